/** Messages that could not be read when they came, because their key or sender is not known yet (PROTOCOL §12.3). */
import { MAX_KEPT_BYTES, MAX_KEPT_MESSAGES } from "./limits.js";
import type { ReadDecodeOptions } from "./options.js";

export interface Kept {
  readonly wire: Uint8Array;
  readonly context: string;
  readonly wanted: ReadDecodeOptions;
  /** Whether its sender was known, and not on the roster, when it came. */
  readonly whileRevoked: boolean;
}

/** The latest of them, within bounds: the oldest goes first. */
export class KeptMessages {
  #messages: Kept[] = [];
  #bytes = 0;

  /** Takes a copy. Says whether it was kept: what alone exceeds all room is not. */
  add(message: Kept): boolean {
    const { wire, context } = message;
    if (wire.length > MAX_KEPT_BYTES) return false;
    if (this.#messages.some((one) => one.context === context && isSame(one.wire, wire))) return true;
    this.#messages.push({ ...message, wire: wire.slice() });
    this.#bytes += wire.length;
    while (this.#messages.length > MAX_KEPT_MESSAGES || this.#bytes > MAX_KEPT_BYTES)
      this.remove(this.#messages[0] as Kept);
    return true;
  }

  /** A list of them, the oldest first. */
  list(): readonly Kept[] {
    return [...this.#messages];
  }

  remove(kept: Kept): void {
    const at = this.#messages.indexOf(kept);
    if (at < 0) return;
    this.#messages.splice(at, 1);
    this.#bytes -= kept.wire.length;
  }

  clear(): void {
    this.#messages = [];
    this.#bytes = 0;
  }
}

/** From the end: junk differs there, and what is compared most often is another message of the same length. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = a.length - 1; i >= 0; i--) if (a[i] !== b[i]) return false;
  return true;
}
