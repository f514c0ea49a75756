/** The topic keys that a topic holds, and what is derived from each (PROTOCOL §4). */
import { wipe } from "./bytes.js";
import { readBigEndian, Writer } from "./cbor.js";
import { kdf, type Label, labelPrefix, randomBytes } from "./crypto.js";
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

const NONE: readonly TopicKey[] = [];

/** The keys that can be read. A topic without generations has one at most, for sending and reading. */
export class Keyring {
  #current: TopicKey | undefined;
  #all = NONE;

  /** The key to send under. */
  get current(): TopicKey | undefined {
    return this.#current;
  }

  /** Takes another key, and wipes the one before. */
  replace(key: Uint8Array | undefined): void {
    const next = key === undefined ? undefined : new TopicKey(key);
    this.#current?.wipe();
    this.#current = next;
    this.#all = next === undefined ? NONE : [next];
  }

  /** Every key that a key id may mean. */
  candidates(keyId: number): readonly TopicKey[] {
    return this.#current?.idNumber === keyId ? this.#all : NONE;
  }
}
