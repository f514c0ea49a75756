/** A topic key, what is derived from it, and how the next generation follows from it (PROTOCOL §4). */
import { wipe } from "./bytes.js";
import { readBigEndian, Writer } from "./cbor.js";
import { kdf, kdfInto, type Label, labelPrefix, randomBytes } from "./crypto.js";
import { KEY_BYTES, KEY_ID_BYTES } from "./limits.js";

/**
 * Makes a topic key: 32 random bytes. Whoever has it reads the topic; nobody can publish with it alone.
 *
 * @example
 * ```ts
 * import { generateTopicKey, Topic } from "stringphone";
 *
 * const topic = await Topic.create({ topicKey: generateTopicKey(), name: "home/kitchen" });
 * ```
 */
export function generateTopicKey(): Uint8Array {
  return randomBytes(KEY_BYTES);
}

/** Label and first item of an array of so many items, in CBOR. */
function encodedPrefix(label: Label, items: number, first: Uint8Array): Uint8Array {
  return new Writer().encoded(labelPrefix(label, items)).bytes(first).view.slice();
}

/** One topic key with its derived values. Nothing of it can be printed. */
export class TopicKey {
  readonly #key: Uint8Array;
  readonly #messageKey: Uint8Array;
  /** A hint by which receivers find the key; says nothing about it. */
  readonly id: Uint8Array;
  /** The id as a number, big endian. */
  readonly idNumber: number;
  /** Names the key without revealing it; every signature covers it. */
  readonly commitment: Uint8Array;
  /** How what is signed of every message under this key begins. */
  readonly signaturePrefix: Uint8Array;
  /** How the associated data of every message under this key begins. */
  readonly dataPrefix: Uint8Array;

  /** Copies `key`, 32 bytes. */
  constructor(key: Uint8Array) {
    this.#key = new Uint8Array(key);
    this.#messageKey = kdf(key, "messageKey");
    this.id = kdf(key, "keyId").slice(0, KEY_ID_BYTES);
    this.idNumber = readBigEndian(this.id, 0, KEY_ID_BYTES);
    this.commitment = kdf(key, "commitment");
    this.signaturePrefix = encodedPrefix("messageSignature", 8, this.commitment);
    this.dataPrefix = encodedPrefix("message", 4, this.id);
  }

  /** A copy of the key itself. */
  get bytes(): Uint8Array {
    return new Uint8Array(this.#key);
  }

  /** The key that seals messages: not a copy, it is used at once. */
  static messageKeyOf(key: TopicKey): Uint8Array {
    return key.#messageKey;
  }

  wipe(): void {
    wipe(this.#key, this.#messageKey);
  }
}

const nextGeneration = labelPrefix("nextGeneration", 0);
const keyId = labelPrefix("keyId", 0);
const hashed = new Uint8Array(KEY_BYTES);

/** Makes of a topic key, 32 bytes, the one of the next generation, in its place. Nothing leads back. */
export function stepInPlace(key: Uint8Array): void {
  kdfInto(key, key, nextGeneration);
}

/** The id of a topic key as a number, big endian: for the many of which no more is needed. */
export function keyIdOf(key: Uint8Array): number {
  kdfInto(hashed, key, keyId);
  return readBigEndian(hashed, 0, KEY_ID_BYTES);
}
