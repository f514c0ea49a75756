/// <reference lib="esnext.disposable" preserve="true" />
/**
 * The secrets of stringphone 0.1, in classes of their own: a version-1 `Topic` takes bytes and refuses these, a `LegacyTopic`
 * takes these and refuses bytes. So one secret serves both wires only where somebody unwraps it on purpose.
 */
import { copyBytes, describe } from "../bytes.js";
import { randomBytes } from "../crypto.js";
import { KEY_BYTES } from "../limits.js";

abstract class LegacySecret {
  readonly #bytes: Uint8Array;
  #disposed = false;

  /** Copies `bytes`. */
  protected constructor(bytes: Uint8Array) {
    this.#bytes = copyBytes("bytes", bytes, KEY_BYTES);
  }

  /** What `describe` and `console.log` call it. */
  abstract get [Symbol.toStringTag](): string;

  /**
   * A copy of the 32 secret bytes, to be stored. Never give them to a version-1 `Topic`.
   *
   * @throws RangeError after `dispose`
   */
  get bytes(): Uint8Array {
    if (this.#disposed) {
      throw new RangeError(
        `this ${this[Symbol.toStringTag]} was disposed and wiped: make another from what you stored`,
      );
    }
    return new Uint8Array(this.#bytes);
  }

  /** Wipes it, as far as JavaScript allows. Topics that were made of it keep their own copy. */
  dispose(): void {
    this.#bytes.fill(0);
    this.#disposed = true;
  }

  /** The same as `dispose`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * The identity of a participant on the wire of 0.1: 32 secret bytes, the "signing key seed" of the original. It belongs to that
 * wire alone, which signs 32 raw bytes as an introduction. A device that moves to version 1 takes a fresh seed of
 * `generateSigningKeySeed`, and with it another fingerprint.
 *
 * @example
 * ```ts
 * import { LegacySeed, LegacyTopic } from "stringphone/compat";
 *
 * declare const stored: Uint8Array; // 32 bytes that a 0.1 device or an earlier run has kept
 * using seed = LegacySeed.from(stored);
 * const topic = await LegacyTopic.create({ seed });
 * ```
 */
export class LegacySeed extends LegacySecret {
  get [Symbol.toStringTag](): "LegacySeed" {
    return "LegacySeed";
  }

  /** A fresh one, of 32 random bytes. */
  static generate(): LegacySeed {
    return new LegacySeed(randomBytes(KEY_BYTES));
  }

  /**
   * Says of bytes that they are a seed of 0.1. Copied.
   *
   * @param bytes 32 bytes: never the seed of a version-1 `Topic`
   * @throws TypeError, RangeError when they are not 32 bytes
   */
  static from(bytes: Uint8Array): LegacySeed {
    return new LegacySeed(bytes);
  }
}

/**
 * The key of a topic on the wire of 0.1: 32 secret bytes. It belongs to that wire alone, on which anybody in the middle of a
 * pairing may have got it. A topic that moves to version 1 takes a fresh key of `generateTopicKey`.
 *
 * @example
 * ```ts
 * import { LegacyTopic, LegacyTopicKey } from "stringphone/compat";
 *
 * const topic = await LegacyTopic.create({ topicKey: LegacyTopicKey.generate() });
 * ```
 */
export class LegacyTopicKey extends LegacySecret {
  get [Symbol.toStringTag](): "LegacyTopicKey" {
    return "LegacyTopicKey";
  }

  /** A fresh one, of 32 random bytes. */
  static generate(): LegacyTopicKey {
    return new LegacyTopicKey(randomBytes(KEY_BYTES));
  }

  /**
   * Says of bytes that they are a topic key of 0.1. Copied.
   *
   * @param bytes 32 bytes: never the key of a version-1 `Topic`
   * @throws TypeError, RangeError when they are not 32 bytes
   */
  static from(bytes: Uint8Array): LegacyTopicKey {
    return new LegacyTopicKey(bytes);
  }
}

/** What is wrong about whatever came in the place of a secret: mostly that it is the bytes of one. */
export function notASecret(name: string, className: "LegacySeed" | "LegacyTopicKey", value: unknown): TypeError {
  return new TypeError(
    `"${name}" expected ${className}, got ${describe(value)}: ` +
      `${className}.from() takes the bytes of a secret of 0.1, never one of a version-1 topic`,
  );
}
