/** The statements that others may not know (PROTOCOL §12.2): what is to be published again when the key changes. */
import { MAX_REPUBLISHED } from "./limits.js";
import { parseStatement, statementHash } from "./statements.js";

export interface Unsettled {
  readonly bytes: Uint8Array;
  /** Whether it was published under the epoch that counts, by us or by somebody else. */
  isSpread: boolean;
}

/** Without what was published: a program may end after it was told to publish something, and before it does. */
export type SavedUnsettled = Pick<Unsettled, "bytes">;

/** The latest of them, by their names. */
export class UnsettledStatements implements Iterable<Unsettled> {
  readonly #byName = new Map<string, Unsettled>();
  readonly #byOthers = new Set<string>();

  /** `counts`: whether an admin says it. What others said goes first: whoever was removed can say any number of things. */
  add(name: string, bytes: Uint8Array, isSpread: boolean, counts = true): void {
    this.delete(name);
    this.#byName.set(name, { bytes, isSpread });
    if (!counts) this.#byOthers.add(name);
    if (this.#byName.size <= MAX_REPUBLISHED) return;
    const [oldest] = this.#byOthers.size > 0 ? this.#byOthers : this.#byName.keys();
    this.delete(oldest as string);
  }

  delete(name: string): void {
    this.#byName.delete(name);
    this.#byOthers.delete(name);
  }

  /** Somebody published these under the epoch that counts. */
  noteSpread(names: Iterable<string>): void {
    for (const name of names) {
      const unsettled = this.#byName.get(name);
      if (unsettled !== undefined) unsettled.isSpread = true;
    }
  }

  /** Another epoch counts. */
  unspread(): void {
    for (const unsettled of this) unsettled.isSpread = false;
  }

  /** Everybody who has the key knows them. */
  clear(): void {
    this.#byName.clear();
    this.#byOthers.clear();
  }

  [Symbol.iterator](): Iterator<Unsettled> {
    return this.#byName.values();
  }

  /** Goes on with what was saved: all of it is to be published again. */
  restore(saved: Iterable<SavedUnsettled>): void {
    for (const { bytes } of saved) {
      // What is none would be found out by a timer, where nobody could catch it.
      parseStatement(bytes);
      this.add(statementHash(bytes), bytes, false);
    }
  }
}
