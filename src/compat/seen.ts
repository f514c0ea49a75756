/** What was given already. The wire of 0.1 has no time and no number, so nothing but a memory of contents can tell. */
import { toTableKey } from "../bytes.js";
import { sha256 } from "../crypto.js";
import { SEEN_BYTES } from "./limits.js";

/** A set that forgets its oldest members. */
export class Remembered {
  readonly #members = new Set<string>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  has(member: string): boolean {
    return this.#members.has(member);
  }

  /** Makes a member the newest, whether it was one or not. */
  add(member: string): void {
    this.#members.delete(member);
    if (this.#members.size >= this.#most) this.#members.delete(this.#members.values().next().value as string);
    this.#members.add(member);
  }
}

/** Names bytes in a table: by their hash, so that what is remembered has one size. */
export function nameOf(bytes: Uint8Array): string {
  return toTableKey(sha256(bytes).subarray(0, SEEN_BYTES));
}

/**
 * The messages that were given, of each sender apart: nobody can make it forget what another sent. It names what the
 * signature covers, not the signature, so that a second valid signature of the same content would be a repetition too.
 */
export class SeenMessages {
  readonly #bySender = new Map<string, Remembered>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  has(sender: string, message: string): boolean {
    return this.#bySender.get(sender)?.has(message) ?? false;
  }

  /** To be called for messages that were verified and opened, and for no others. */
  add(sender: string, message: string): void {
    let seen = this.#bySender.get(sender);
    if (seen === undefined) {
      seen = new Remembered(this.#most);
      this.#bySender.set(sender, seen);
    }
    seen.add(message);
  }
}
