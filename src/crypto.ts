/**
 * The only way to libsodium: primitives with checked lengths, and hashing under a label. A second
 * backend needs no change outside this file.
 *
 * Inputs of a wrong length are a mistake of this library or its caller and give a `RangeError`: the
 * wire was checked before. Values from the wire that libsodium refuses give `undefined` or `false`.
 */
import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js";
import type sodiumModule from "libsodium-wrappers";
import { type CborItem, encodeFront, encodeView } from "./cbor.js";
import {
  KEM_CIPHERTEXT_BYTES,
  KEM_ENCAPSULATION_SEED_BYTES,
  KEM_PUBLIC_KEY_BYTES,
  KEY_BYTES,
  NONCE_BYTES,
  SIGNATURE_BYTES,
  SIGNING_KEY_BYTES,
  TAG_BYTES,
} from "./limits.js";

/** What everything signed begins with: no other protocol or version signs the same text. */
const domain = new TextEncoder().encode("stringphone/1 ");

/** The first item of everything hashed or authenticated: what it is for, so that no two uses give the same. */
const LABELS = {
  messageKey: "stringphone/1 message key",
  keyId: "stringphone/1 key id",
  commitment: "stringphone/1 commitment",
  session: "stringphone/1 session",
  message: "stringphone/1 message",
  messageSignature: "stringphone/1 message signature",
  introduction: "stringphone/1 introduction",
  introductionSignature: "stringphone/1 introduction signature",
  reply: "stringphone/1 reply",
  replyKey: "stringphone/1 reply key",
  replyRest: "stringphone/1 reply rest",
  replySignature: "stringphone/1 reply signature",
  kemCiphertext: "stringphone/1 kem ciphertext",
  seenReply: "stringphone/1 seen reply",
  longContext: "stringphone/1 long context",
} as const;

export type Label = keyof typeof LABELS;

/**
 * The functions of the WebAssembly module itself that are called without the wrapper: it throws an
 * Error for each forgery, which costs more than the decryption, wants its input in one piece, and
 * leaves keys behind in its heap. Lengths of 64 bits are two arguments.
 */
interface RawSodium {
  /** The heap; another object after it grew, so read it after `_malloc`. */
  readonly HEAPU8: Uint8Array;
  readonly _malloc: (length: number) => number;
  readonly _free: (address: number) => void;
  readonly _crypto_generichash: (
    out: number,
    outLength: number,
    input: number,
    inputLength: number,
    inputHigh: 0,
    key: number,
    keyLength: number,
  ) => number;
  readonly _crypto_aead_xchacha20poly1305_ietf_encrypt: (
    out: number,
    outLength: 0,
    input: number,
    inputLength: number,
    inputHigh: 0,
    data: number,
    dataLength: number,
    dataHigh: 0,
    secretNonce: 0,
    nonce: number,
    key: number,
  ) => number;
  readonly _crypto_aead_xchacha20poly1305_ietf_decrypt: (
    out: number,
    outLength: 0,
    secretNonce: 0,
    input: number,
    inputLength: number,
    inputHigh: 0,
    data: number,
    dataLength: number,
    dataHigh: 0,
    nonce: number,
    key: number,
  ) => number;
}

type Sodium = typeof sodiumModule;

interface Backend {
  readonly sodium: Sodium;
  readonly module: RawSodium;
  readonly malloc: RawSodium["_malloc"];
  readonly free: RawSodium["_free"];
  readonly blake2b: RawSodium["_crypto_generichash"];
  readonly encrypt: RawSodium["_crypto_aead_xchacha20poly1305_ietf_encrypt"];
  readonly decrypt: RawSodium["_crypto_aead_xchacha20poly1305_ietf_decrypt"];
}

let loaded: Backend | undefined;

/** Loads libsodium's WebAssembly. Await it before anything below but `randomBytes` and `sha256`. */
export async function loadCrypto(): Promise<void> {
  if (loaded !== undefined) return;
  const { default: sodium } = await import("libsodium-wrappers");
  await sodium.ready;
  const module = (sodium as unknown as { libsodium: RawSodium }).libsodium;
  // Kept one by one: a look-up among the module's eight hundred functions is slow.
  loaded = {
    sodium,
    module,
    malloc: module._malloc,
    free: module._free,
    blake2b: module._crypto_generichash,
    encrypt: module._crypto_aead_xchacha20poly1305_ietf_encrypt,
    decrypt: module._crypto_aead_xchacha20poly1305_ietf_decrypt,
  };
}

function backend(): Backend {
  if (loaded === undefined) throw new Error("libsodium is not loaded: await Topic.create() first");
  return loaded;
}

function sodium(): Sodium {
  return backend().sodium;
}

/** Copies the parts one behind the other onto the WebAssembly heap, and wipes all of it afterwards. */
function onHeap<T>(parts: readonly Uint8Array[], use: (backend: Backend, heap: Uint8Array, at: number) => T): T {
  const used = backend();
  const length = totalLength(parts);
  const at = used.malloc(length);
  if (at === 0) throw new RangeError(`no memory for ${length} bytes`);
  const heap = used.module.HEAPU8;
  try {
    let end = at;
    for (const part of parts) {
      heap.set(part, end);
      end += part.length;
    }
    return use(used, heap, at);
  } finally {
    heap.fill(0, at, at + length);
    used.free(at);
  }
}

function totalLength(parts: readonly Uint8Array[]): number {
  let length = 0;
  for (const part of parts) length += part.length;
  return length;
}

const noBytes = new Uint8Array(0);
const roomForTag = new Uint8Array(TAG_BYTES);
const roomForHash = new Uint8Array(KEY_BYTES);

function expectLength(name: string, bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) {
    throw new RangeError(`"${name}" expected Uint8Array of length ${length}, got length=${bytes.length}`);
  }
}

/** Bytes from the platform's generator; libsodium's own costs twenty times as much in WebAssembly. */
export function randomBytes(length: number): Uint8Array {
  return globalThis.crypto.getRandomValues(new Uint8Array(length));
}

/** SHA-256 (FIPS 180-4), for ids only: libsodium's standard build does not have it. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return nobleSha256(bytes);
}

function blake2b(front: Uint8Array, tail: Uint8Array, key: Uint8Array): Uint8Array {
  const length = front.length + tail.length;
  return onHeap([roomForHash, key, front, tail], ({ blake2b: digest }, heap, at) => {
    const keyAt = at + KEY_BYTES;
    digest(at, KEY_BYTES, keyAt + key.length, length, 0, keyAt, key.length);
    return heap.slice(at, at + KEY_BYTES);
  });
}

/** H (PROTOCOL §3): BLAKE2b-256 of the CBOR array of label and items. */
export function hash(label: Label, ...items: CborItem[]): Uint8Array {
  return blake2b(encodeView([LABELS[label], ...items]), noBytes, noBytes);
}

/** H whose last item may be large: it is copied once. */
export function hashWithTail(label: Label, items: readonly CborItem[], tail: Uint8Array): Uint8Array {
  return blake2b(encodeFront([LABELS[label], ...items], tail.length), tail, noBytes);
}

/** KDF (PROTOCOL §3): BLAKE2b-256 keyed with `key`, of the CBOR array of label and items. */
export function kdf(key: Uint8Array, label: Label, ...items: CborItem[]): Uint8Array {
  expectLength("key", key, KEY_BYTES);
  return blake2b(encodeView([LABELS[label], ...items]), noBytes, key);
}

/** The CBOR array of label and items, as associated data: a view, to be used at once. */
export function associatedData(label: Label, ...items: CborItem[]): Uint8Array {
  return encodeView([LABELS[label], ...items]);
}

/** XChaCha20-Poly1305 of the concatenated parts; the tag comes last. */
export function seal(key: Uint8Array, nonce: Uint8Array, data: Uint8Array, ...parts: Uint8Array[]): Uint8Array {
  expectLength("key", key, KEY_BYTES);
  expectLength("nonce", nonce, NONCE_BYTES);
  const length = totalLength(parts);
  return onHeap([...parts, roomForTag, data, nonce, key], (used, heap, at) => {
    const dataAt = at + length + TAG_BYTES;
    const nonceAt = dataAt + data.length;
    const keyAt = nonceAt + NONCE_BYTES;
    // In place: the ciphertext takes the place of the plaintext, and the tag the room behind it.
    used.encrypt(at, 0, at, length, 0, dataAt, data.length, 0, 0, nonceAt, keyAt);
    return heap.slice(at, at + length + TAG_BYTES);
  });
}

/** The plaintext, or `undefined` where the ciphertext is not authentic. */
export function open(
  key: Uint8Array,
  nonce: Uint8Array,
  data: Uint8Array,
  ciphertext: Uint8Array,
): Uint8Array | undefined {
  expectLength("key", key, KEY_BYTES);
  expectLength("nonce", nonce, NONCE_BYTES);
  const { length } = ciphertext;
  if (length < TAG_BYTES) return undefined;
  return onHeap([ciphertext, data, nonce, key], (used, heap, at) => {
    const dataAt = at + length;
    const nonceAt = dataAt + data.length;
    const keyAt = nonceAt + NONCE_BYTES;
    const failed = used.decrypt(at, 0, 0, at, length, 0, dataAt, data.length, 0, nonceAt, keyAt);
    return failed === 0 ? heap.slice(at, at + length - TAG_BYTES) : undefined;
  });
}

/** An Ed25519 key pair (RFC 8032) from its 32-byte seed. */
export function signingKeyPair(seed: Uint8Array): { publicKey: Uint8Array; secretKey: Uint8Array } {
  expectLength("seed", seed, KEY_BYTES);
  const { publicKey, privateKey } = sodium().crypto_sign_seed_keypair(seed);
  return { publicKey, secretKey: privateKey };
}

/** What is really signed: never 32 raw bytes, which stringphone 0.1 signs. */
function signedText(digest: Uint8Array): Uint8Array {
  expectLength("digest", digest, KEY_BYTES);
  const text = new Uint8Array(domain.length + KEY_BYTES);
  text.set(domain);
  text.set(digest, domain.length);
  return text;
}

/** Ed25519 over the domain prefix and a digest. */
export function sign(digest: Uint8Array, secretKey: Uint8Array): Uint8Array {
  expectLength("secretKey", secretKey, SIGNING_KEY_BYTES);
  return sodium().crypto_sign_detached(signedText(digest), secretKey);
}

/** Whether `signature` is libsodium's idea of a valid one: canonical, and of no small-order point. */
export function verify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean {
  expectLength("signature", signature, SIGNATURE_BYTES);
  expectLength("publicKey", publicKey, KEY_BYTES);
  return sodium().crypto_sign_verify_detached(signature, signedText(digest), publicKey);
}

/**
 * Whether this is a canonical point of the prime-order subgroup: no key with a small-order part,
 * whose signatures other libraries judge differently. libsodium's conversion to X25519 checks the
 * curve, small order and the subgroup. It does not ask whether the encoding is canonical, and need
 * not: none of the 38 that are not is of a point of the subgroup.
 */
export function isIdentityKey(publicKey: Uint8Array): boolean {
  expectLength("publicKey", publicKey, KEY_BYTES);
  try {
    sodium().crypto_sign_ed25519_pk_to_curve25519(publicKey);
    return true;
  } catch {
    return false;
  }
}

/** An X-Wing key pair (draft-connolly-cfrg-xwing-kem) from its 32-byte seed, which is its secret key. */
export function kemKeyPair(seed: Uint8Array): { publicKey: Uint8Array; secretKey: Uint8Array } {
  expectLength("seed", seed, KEY_BYTES);
  const { publicKey, privateKey } = sodium().crypto_kem_xwing_seed_keypair(seed);
  return { publicKey, secretKey: privateKey };
}

/** X-Wing to a public key from the wire; `undefined` where libsodium refuses it. `seed` is 64 random bytes. */
export function kemEncapsulate(
  publicKey: Uint8Array,
  seed: Uint8Array = randomBytes(KEM_ENCAPSULATION_SEED_BYTES),
): { ciphertext: Uint8Array; sharedSecret: Uint8Array } | undefined {
  expectLength("publicKey", publicKey, KEM_PUBLIC_KEY_BYTES);
  expectLength("seed", seed, KEM_ENCAPSULATION_SEED_BYTES);
  try {
    return sodium().crypto_kem_xwing_enc_deterministic(publicKey, seed);
  } catch {
    return undefined;
  }
}

/** The shared secret of an X-Wing ciphertext from the wire; `undefined` where libsodium refuses it. */
export function kemDecapsulate(ciphertext: Uint8Array, secretKey: Uint8Array): Uint8Array | undefined {
  expectLength("ciphertext", ciphertext, KEM_CIPHERTEXT_BYTES);
  expectLength("secretKey", secretKey, KEY_BYTES);
  try {
    return sodium().crypto_kem_xwing_dec(ciphertext, secretKey);
  } catch {
    return undefined;
  }
}
