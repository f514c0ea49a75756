/** Who a participant is: its seed and key pair, its id, and what people compare. */
import { copyBytes, equalBytes, toHex, toTableKey, wipe } from "./bytes.js";
import { encode } from "./cbor.js";
import { isIdentityKey, kdf, randomBytes, sha256, sign, signHashed, signingKeyPair } from "./crypto.js";
import { InvalidKeyError } from "./errors.js";
import { ID_BYTES, KEY_BYTES, SENDER_HINT_BYTES, SESSION_BYTES } from "./limits.js";

/** Crockford's alphabet: no I, L, O or U, so nothing looks like something else. */
const BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const FINGERPRINT_BYTES = 15;
const GROUP = 4;

function base32(bytes: Uint8Array): string {
  let bits = 0;
  let pending = 0;
  let text = "";
  for (const byte of bytes) {
    pending = (pending << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += BASE32[(pending >>> (bits - 5)) & 31];
    pending &= 0xff;
  }
  return text;
}

/**
 * Makes an identity seed: 32 random bytes. Store it as the secret it is: whoever has it is this
 * participant.
 *
 * @example
 * ```ts
 * import { generateSigningKeySeed, Topic } from "stringphone";
 *
 * const seed = generateSigningKeySeed();
 * const topic = await Topic.create({ seed, name: "home/kitchen" });
 * ```
 */
export function generateSigningKeySeed(): Uint8Array {
  return randomBytes(KEY_BYTES);
}

/** The id of a public key: the first 16 bytes of its SHA-256, as in stringphone 0.1. */
export function participantId(publicKey: Uint8Array): Uint8Array {
  return sha256(publicKey).slice(0, ID_BYTES);
}

/**
 * What a person compares to be sure of one participant: six groups of four characters, the first
 * 120 bits of its id (PROTOCOL §4). To be taken for somebody else an attacker must find a key with
 * the very same 120 bits: 2^120 key pairs, or 2^100 to hit any one of a million participants.
 *
 * Case does not matter; the alphabet has no I, L, O or U.
 *
 * @param publicKey 32 bytes
 * @throws TypeError, RangeError when it is not 32 bytes
 * @example
 * ```ts
 * import { fingerprint, Topic } from "stringphone";
 *
 * const topic = await Topic.create();
 * console.log(fingerprint(topic.publicKey)); // "7JFA-X0M3-…"
 * ```
 */
export function fingerprint(publicKey: Uint8Array): string {
  const id = participantId(copyBytes("publicKey", publicKey, KEY_BYTES));
  const text = base32(id.subarray(0, FINGERPRINT_BYTES));
  return (text.match(new RegExp(`.{${GROUP}}`, "g")) as string[]).join("-");
}

/**
 * What two people compare to be sure of both participants at once: the two fingerprints, the
 * smaller first, so that both screens show the same (PROTOCOL §4). It is not one hash of both keys:
 * somebody in the middle chooses a key for each side and could look for two that give the same
 * hash, which costs only the square root. Here each half must be hit alone: 2^120.
 *
 * @example
 * ```ts
 * import { safetyNumber, Topic } from "stringphone";
 *
 * const alice = await Topic.create();
 * const bob = await Topic.create();
 * console.log(safetyNumber(alice.publicKey, bob.publicKey) === safetyNumber(bob.publicKey, alice.publicKey)); // true
 * ```
 */
export function safetyNumber(oneKey: Uint8Array, otherKey: Uint8Array): string {
  return [fingerprint(oneKey), fingerprint(otherKey)].sort().join(" ");
}

/** Throws unless a public key may stand for anybody, wherever it comes from (PROTOCOL §3). */
export function expectIdentityKey(publicKey: Uint8Array): void {
  if (!isIdentityKey(publicKey)) {
    throw new InvalidKeyError(
      "expected an Ed25519 public key of the prime-order subgroup in canonical form, got another 32 bytes",
    );
  }
}

/** A participant as others see it. Its byte arrays are copies: changing them changes nobody. */
export class Participant {
  readonly #publicKey: Uint8Array;
  readonly #id: Uint8Array;
  /** The whole public key in hex: what tables are keyed by. */
  readonly hex: string;
  /** The 8 bytes of its id that travel in a message, as the key of a table. */
  readonly hint: string;
  readonly #encodedKey: Uint8Array;

  /** @internal `publicKey` was checked and is not shared. */
  constructor(publicKey: Uint8Array) {
    this.#publicKey = publicKey;
    this.#id = participantId(publicKey);
    this.hex = toHex(publicKey);
    this.hint = toTableKey(this.#id.subarray(0, SENDER_HINT_BYTES));
    this.#encodedKey = encode(publicKey);
    // One object is handed out again and again.
    Object.freeze(this);
  }

  /** Ed25519 public key, 32 bytes. */
  get publicKey(): Uint8Array {
    return new Uint8Array(this.#publicKey);
  }

  /** First 16 bytes of SHA-256 of the public key. */
  get id(): Uint8Array {
    return new Uint8Array(this.#id);
  }

  /** What people compare: see {@link fingerprint}. */
  get fingerprint(): string {
    return fingerprint(this.#publicKey);
  }

  /** Whether this is the same participant. */
  equals(other: Participant): boolean {
    return equalBytes(this.#publicKey, other.#publicKey);
  }

  toJSON(): { fingerprint: string } {
    return { fingerprint: this.fingerprint };
  }

  /** @internal The key itself, for checking signatures. */
  static keyOf(participant: Participant): Uint8Array {
    return participant.#publicKey;
  }

  /** @internal The key in CBOR, for what is signed. */
  static encodedKeyOf(participant: Participant): Uint8Array {
    return participant.#encodedKey;
  }

  /** @internal The first 8 bytes of the id, for writing messages. */
  static hintOf(participant: Participant): Uint8Array {
    return participant.#id.subarray(0, SENDER_HINT_BYTES);
  }
}

/** Our own identity. Nothing of it can be printed. */
export class Identity {
  readonly #seed: Uint8Array;
  readonly #secretKey: Uint8Array;
  readonly participant: Participant;

  /** Copies `seed`, 32 bytes. */
  constructor(seed: Uint8Array) {
    const { publicKey, secretKey } = signingKeyPair(seed);
    this.#seed = new Uint8Array(seed);
    this.#secretKey = secretKey;
    this.participant = new Participant(publicKey);
  }

  /** @internal A copy of the seed, to be saved; and wiped by whoever asked. */
  static seedOf(identity: Identity): Uint8Array {
    return new Uint8Array(identity.#seed);
  }

  /** Signs a digest (PROTOCOL §3). */
  sign(digest: Uint8Array): Uint8Array {
    return sign(digest, this.#secretKey);
  }

  /** Signs the hash of an encoded array in two parts, to `signature`. */
  signHashed(signature: Uint8Array, front: Uint8Array, tail: Uint8Array): void {
    signHashed(signature, front, tail, this.#secretKey);
  }

  /**
   * Draws a session (PROTOCOL §6.1). Fresh randomness makes it unique, also after an old backup was
   * loaded. The seed, the context and the time of its first message, which no other message of
   * this program has, are mixed in: where there is a clock, a generator that repeats itself
   * repeats no session.
   */
  drawSession(sentAt: number, context: string, random: Uint8Array = randomBytes(KEY_BYTES)): Uint8Array {
    return kdf(this.#seed, "session", random, sentAt, context).slice(0, SESSION_BYTES);
  }

  /** Wipes the secrets; the identity cannot sign any more. */
  wipe(): void {
    wipe(this.#seed, this.#secretKey);
  }
}
