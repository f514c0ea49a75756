/**
 * The only way to libsodium: primitives with checked lengths, and hashing under a label, on one of two
 * backends that behave alike.
 *
 * Inputs of a wrong length are a mistake of this library or its caller and give a `RangeError`: the
 * wire was checked before. Values from the wire that libsodium refuses give `undefined` or `false`.
 */
import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js";
import { environmentBackend, loadNative } from "#native-backend";
import type { Backend, BackendName } from "./backends/backend.js";
import { type Kem, loadWasm } from "./backends/wasm.js";
import { type CborItem, Writer } from "./cbor.js";
import { BackendError } from "./errors.js";
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
  returningReplyKey: "stringphone/1 returning reply key",
  replyRest: "stringphone/1 reply rest",
  replySignature: "stringphone/1 reply signature",
  kemCiphertext: "stringphone/1 kem ciphertext",
  seenReply: "stringphone/1 seen reply",
  nextGeneration: "stringphone/1 next generation",
  salt: "stringphone/1 salt",
  topicId: "stringphone/1 topic id",
  statement: "stringphone/1 statement",
  roleStatement: "stringphone/1 role statement",
  wrapStatement: "stringphone/1 wrap statement",
  statementSet: "stringphone/1 statement set",
  rekey: "stringphone/1 rekey",
  rekeySignature: "stringphone/1 rekey signature",
  rekeyStatements: "stringphone/1 rekey statements",
  wraps: "stringphone/1 wraps",
  wrap: "stringphone/1 wrap",
  returnWrap: "stringphone/1 return wrap",
  epochKey: "stringphone/1 epoch key",
  rejoinSecret: "stringphone/1 rejoin secret",
  rejoinIntroduction: "stringphone/1 rejoin introduction",
  rejoinProof: "stringphone/1 rejoin proof",
  longContext: "stringphone/1 long context",
  state: "stringphone/1 state",
} as const;

export type Label = keyof typeof LABELS;

const BACKEND_NAMES: readonly string[] = ["native", "wasm"] satisfies BackendName[];

let wasm: Backend | undefined;
let kem: Kem | undefined;
let module: unknown;
let current: Backend | undefined;
let loading: Promise<void> = Promise.resolve();

/**
 * Loads a backend. Await it before anything below but `randomBytes` and `sha256`. The first call decides for the whole
 * process: native code where it is installed and gives the same answers, WebAssembly otherwise.
 *
 * @param wanted what the caller asks for, "auto" for no wish
 * @throws BackendError when what was asked for cannot be had
 */
export function loadCrypto(wanted: BackendName | "auto" = "auto"): Promise<void> {
  // One after the other: two at once, with different wishes, must not both be the first.
  const result = loading.then(() => load(wanted));
  loading = result.catch(() => undefined);
  return result;
}

async function load(wanted: BackendName | "auto"): Promise<void> {
  const name = agreedBackend(wanted);
  if (current === undefined) {
    if (wasm === undefined) ({ backend: wasm, kem, module } = await loadWasm());
    current = name === "wasm" ? wasm : await nativeBackend(wasm, name === "native");
  } else if (name !== undefined && name !== current.name) {
    throw new BackendError(
      name,
      `"${name}" was asked for, but this program runs on "${current.name}" already: name it where the first topic is created`,
    );
  }
}

/** What caller and environment want together; `undefined` where neither cares. */
function agreedBackend(wanted: BackendName | "auto"): BackendName | undefined {
  const environment = environmentBackend() ?? "auto";
  for (const [where, value] of [
    ["backend", wanted],
    ["STRINGPHONE_BACKEND", environment],
  ] as const) {
    if (value !== "auto" && !BACKEND_NAMES.includes(value)) {
      throw new RangeError(`"${where}" expected "auto", "native" or "wasm", got ${JSON.stringify(value)}`);
    }
  }
  if (wanted === "auto") return environment === "auto" ? undefined : (environment as BackendName);
  if (environment !== "auto" && environment !== wanted) {
    throw new BackendError(
      wanted,
      `"${wanted}" was asked for, but the environment variable STRINGPHONE_BACKEND says "${environment}"`,
    );
  }
  return wanted;
}

async function nativeBackend(reference: Backend, isForced: boolean): Promise<Backend> {
  try {
    return await loadNative(reference);
  } catch (cause) {
    if (!isForced) return reference;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BackendError("native", `native code was asked for, and cannot be had: ${reason}`, { cause });
  }
}

/**
 * Which libsodium this program runs on: `native` code (sodium-native, where it is installed) or WebAssembly. Both give the
 * same bytes and the same answers; native code is about twice as fast.
 *
 * @returns `undefined` before the first `Topic.create`
 * @example
 * ```ts
 * import { cryptoBackend, Topic } from "stringphone";
 *
 * await Topic.create({ backend: "wasm" });
 * console.log(cryptoBackend()); // "wasm"
 * ```
 */
export function cryptoBackend(): BackendName | undefined {
  return current?.name;
}

/** @internal Goes on with another backend: for tests and benchmarks, which compare the two in one process. */
export async function switchBackend(name: BackendName): Promise<void> {
  if (current === undefined) await loadCrypto();
  const reference = wasm as Backend;
  current = name === "wasm" ? reference : await nativeBackend(reference, true);
}

/** @internal The backend in use, below all checks of lengths: for tests that compare or watch it. */
export function backend(): Backend {
  if (current === undefined) throw new Error("libsodium is not loaded: await Topic.create() first");
  return current;
}

/** Key encapsulation, which is WebAssembly's on either backend. */
function loadedKem(): Kem {
  backend();
  return kem as Kem;
}

/** @internal The module of the WebAssembly, for what only stringphone/compat computes: so nobody else carries it. */
export function wasmModule(): unknown {
  backend();
  return module;
}

const noBytes = new Uint8Array(0);

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

function blake2b(key: Uint8Array, input: Uint8Array): Uint8Array {
  const out = new Uint8Array(KEY_BYTES);
  backend().blake2b(out, key, input, noBytes);
  return out;
}

/** Written to again and again: a new buffer for each would cost more than to fill it. */
let labelled = new Writer();
/** Bytes of such a buffer that is kept. */
const MAX_KEPT_BUFFER = 64 * 1024;

/** The CBOR array of label and items, as a view: to be used before anything else is hashed. */
function encodeLabelled(label: Label, items: readonly CborItem[]): Uint8Array {
  const { view } = labelled.clear().item([LABELS[label], ...items]);
  if (view.length > MAX_KEPT_BUFFER) labelled = new Writer();
  return view;
}

function hashLabelled(key: Uint8Array, label: Label, items: readonly CborItem[]): Uint8Array {
  const input = encodeLabelled(label, items);
  const digest = blake2b(key, input);
  // There may be secrets in it.
  input.fill(0);
  return digest;
}

/** H (PROTOCOL §3): BLAKE2b-256 of the CBOR array of label and items. */
export function hash(label: Label, ...items: CborItem[]): Uint8Array {
  return hashLabelled(noBytes, label, items);
}

/** The same of what is encoded already: an array that begins with a `labelPrefix`, or all of it but its end. */
export function hashEncoded(encoded: Uint8Array): Uint8Array {
  return blake2b(noBytes, encoded);
}

/** KDF (PROTOCOL §3): BLAKE2b-256 keyed with `key`, of the CBOR array of label and items. */
export function kdf(key: Uint8Array, label: Label, ...items: CborItem[]): Uint8Array {
  expectLength("key", key, KEY_BYTES);
  return hashLabelled(key, label, items);
}

/** The same as `kdf` without items, of a label that `labelPrefix` encoded once; to `out`, which may be `key` itself. */
export function kdfInto(out: Uint8Array, key: Uint8Array, encoded: Uint8Array): void {
  expectLength("out", out, KEY_BYTES);
  expectLength("key", key, KEY_BYTES);
  backend().blake2b(out, key, encoded, noBytes);
}

/** The CBOR array of label and items, as associated data: a view, to be used at once. */
export function associatedData(label: Label, ...items: CborItem[]): Uint8Array {
  return encodeLabelled(label, items);
}

/** How such an array begins: its head, for this many items behind the label, and the label. To be written once and copied. */
export function labelPrefix(label: Label, items: number): Uint8Array {
  return new Writer()
    .array(1 + items)
    .text(LABELS[label])
    .view.slice();
}

/** XChaCha20-Poly1305 in place: all but the last 16 bytes are the plaintext, all of it becomes ciphertext and tag. */
export function sealInPlace(key: Uint8Array, nonce: Uint8Array, data: Uint8Array, bytes: Uint8Array): void {
  expectLength("key", key, KEY_BYTES);
  expectLength("nonce", nonce, NONCE_BYTES);
  backend().encrypt(bytes, data, nonce, key);
}

/** Decrypts to `plaintext`, which has 16 bytes less. Says whether the ciphertext is authentic. */
export function openInto(
  plaintext: Uint8Array,
  key: Uint8Array,
  nonce: Uint8Array,
  data: Uint8Array,
  ciphertext: Uint8Array,
): boolean {
  expectLength("key", key, KEY_BYTES);
  expectLength("nonce", nonce, NONCE_BYTES);
  expectLength("plaintext", plaintext, ciphertext.length - TAG_BYTES);
  return backend().decrypt(plaintext, ciphertext, data, nonce, key);
}

/** XChaCha20-Poly1305; the tag comes last. */
export function seal(key: Uint8Array, nonce: Uint8Array, data: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(plaintext.length + TAG_BYTES);
  bytes.set(plaintext);
  sealInPlace(key, nonce, data, bytes);
  return bytes;
}

/** The plaintext, or `undefined` where the ciphertext is not authentic. */
export function open(
  key: Uint8Array,
  nonce: Uint8Array,
  data: Uint8Array,
  ciphertext: Uint8Array,
): Uint8Array | undefined {
  if (ciphertext.length < TAG_BYTES) return undefined;
  const plaintext = new Uint8Array(ciphertext.length - TAG_BYTES);
  return openInto(plaintext, key, nonce, data, ciphertext) ? plaintext : undefined;
}

/** An Ed25519 key pair (RFC 8032) from its 32-byte seed. */
export function signingKeyPair(seed: Uint8Array): { publicKey: Uint8Array; secretKey: Uint8Array } {
  expectLength("seed", seed, KEY_BYTES);
  const publicKey = new Uint8Array(KEY_BYTES);
  const secretKey = new Uint8Array(SIGNING_KEY_BYTES);
  backend().signingKeyPair(publicKey, secretKey, seed);
  return { publicKey, secretKey };
}

/**
 * What is really signed: never 32 raw bytes, which stringphone 0.1 signs. Always the same array, so that no signature needs one
 * of its own: what it holds is a hash, and is written before each use.
 */
const signedText = new Uint8Array(domain.length + KEY_BYTES);
signedText.set(domain);
const signedDigest = signedText.subarray(domain.length);

/** Ed25519 over the domain prefix and a digest. */
export function sign(digest: Uint8Array, secretKey: Uint8Array): Uint8Array {
  expectLength("digest", digest, KEY_BYTES);
  expectLength("secretKey", secretKey, SIGNING_KEY_BYTES);
  signedDigest.set(digest);
  const signature = new Uint8Array(SIGNATURE_BYTES);
  backend().sign(signature, signedText, secretKey);
  return signature;
}

/** Whether `signature` is libsodium's idea of a valid one: canonical, and of no small-order point. */
export function verify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean {
  expectLength("signature", signature, SIGNATURE_BYTES);
  expectLength("digest", digest, KEY_BYTES);
  expectLength("publicKey", publicKey, KEY_BYTES);
  signedDigest.set(digest);
  return backend().verify(signature, signedText, publicKey);
}

/** The same as `sign` of the hash of `front` ‖ `tail`, an encoded array that begins with a `labelPrefix`; to `signature`. */
export function signHashed(signature: Uint8Array, front: Uint8Array, tail: Uint8Array, secretKey: Uint8Array): void {
  expectLength("signature", signature, SIGNATURE_BYTES);
  expectLength("secretKey", secretKey, SIGNING_KEY_BYTES);
  const used = backend();
  used.blake2b(signedDigest, noBytes, front, tail);
  used.sign(signature, signedText, secretKey);
}

/** The same as `verify` of the hash of `front` ‖ `tail`, an encoded array that begins with a `labelPrefix`. */
export function verifyHashed(
  signature: Uint8Array,
  front: Uint8Array,
  tail: Uint8Array,
  publicKey: Uint8Array,
): boolean {
  expectLength("signature", signature, SIGNATURE_BYTES);
  expectLength("publicKey", publicKey, KEY_BYTES);
  const used = backend();
  used.blake2b(signedDigest, noBytes, front, tail);
  return used.verify(signature, signedText, publicKey);
}

/**
 * Whether this is a canonical point of the prime-order subgroup: no key with a small-order part,
 * whose signatures other libraries judge differently. libsodium's conversion to X25519 checks the
 * curve, small order and the subgroup. It does not ask whether the encoding is canonical, and need
 * not: none of the 38 that are not is of a point of the subgroup.
 */
export function isIdentityKey(publicKey: Uint8Array): boolean {
  expectLength("publicKey", publicKey, KEY_BYTES);
  return backend().isPrimeOrderPoint(publicKey);
}

/**
 * An X25519 key pair (RFC 7748). The secret key is 32 random bytes: the very array that is given, or a fresh one; to be
 * wiped by whoever asked.
 */
export function diffieHellmanKeyPair(secretKey: Uint8Array = randomBytes(KEY_BYTES)): {
  publicKey: Uint8Array;
  secretKey: Uint8Array;
} {
  expectLength("secretKey", secretKey, KEY_BYTES);
  const publicKey = new Uint8Array(KEY_BYTES);
  backend().diffieHellmanPublicKey(publicKey, secretKey);
  return { publicKey, secretKey };
}

/**
 * X25519 with a public key from the wire: the 32 bytes that both sides have, to be hashed before use and wiped; `undefined` for
 * a public key of low order, with which they would be zeros whatever the secret key.
 *
 * Bit 255 is ignored and the number reduced (RFC 7748 §5), so several public keys give one secret: hash both public keys with it.
 */
export function diffieHellman(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  const [sharedSecret] = diffieHellmanEach(secretKey, [publicKey]);
  return sharedSecret;
}

/** The same with each of many public keys, one after the other, as they are asked for. */
export function* diffieHellmanEach(
  secretKey: Uint8Array,
  publicKeys: Iterable<Uint8Array>,
): Generator<Uint8Array | undefined, void> {
  expectLength("secretKey", secretKey, KEY_BYTES);
  const used = backend();
  let last: Uint8Array | undefined;
  try {
    for (const publicKey of publicKeys) {
      expectLength("publicKey", publicKey, KEY_BYTES);
      const sharedSecret = new Uint8Array(KEY_BYTES);
      last = publicKey;
      yield used.diffieHellman(sharedSecret, secretKey, publicKey) ? sharedSecret : undefined;
    }
  } finally {
    // libsodium leaves the last result on the stack of the WebAssembly, in limbs: the same call for what is public puts that in its place.
    if (last !== undefined && used.name === "wasm") used.diffieHellman(new Uint8Array(KEY_BYTES), last, last);
  }
}

/** An X-Wing key pair (draft-connolly-cfrg-xwing-kem) from its 32-byte seed, which is its secret key. */
export function kemKeyPair(seed: Uint8Array): { publicKey: Uint8Array; secretKey: Uint8Array } {
  expectLength("seed", seed, KEY_BYTES);
  const publicKey = new Uint8Array(KEM_PUBLIC_KEY_BYTES);
  const secretKey = new Uint8Array(KEY_BYTES);
  loadedKem().keyPair(publicKey, secretKey, seed);
  return { publicKey, secretKey };
}

/** X-Wing to a public key from the wire; `undefined` where libsodium refuses it. `seed` is 64 random bytes. */
export function kemEncapsulate(
  publicKey: Uint8Array,
  seed: Uint8Array = randomBytes(KEM_ENCAPSULATION_SEED_BYTES),
): { ciphertext: Uint8Array; sharedSecret: Uint8Array } | undefined {
  expectLength("publicKey", publicKey, KEM_PUBLIC_KEY_BYTES);
  expectLength("seed", seed, KEM_ENCAPSULATION_SEED_BYTES);
  const ciphertext = new Uint8Array(KEM_CIPHERTEXT_BYTES);
  const sharedSecret = new Uint8Array(KEY_BYTES);
  const used = loadedKem();
  if (!used.encapsulate(ciphertext, sharedSecret, publicKey, seed)) return undefined;
  // libsodium leaves the shared secret on the stack of the WebAssembly; the same call for another puts that in its place.
  const [otherCiphertext, otherSecret] = [new Uint8Array(KEM_CIPHERTEXT_BYTES), new Uint8Array(KEY_BYTES)];
  used.encapsulate(otherCiphertext, otherSecret, publicKey, randomBytes(KEM_ENCAPSULATION_SEED_BYTES));
  return { ciphertext, sharedSecret };
}

/** The shared secret of an X-Wing ciphertext from the wire; `undefined` where libsodium refuses it. */
export function kemDecapsulate(ciphertext: Uint8Array, secretKey: Uint8Array): Uint8Array | undefined {
  expectLength("ciphertext", ciphertext, KEM_CIPHERTEXT_BYTES);
  expectLength("secretKey", secretKey, KEY_BYTES);
  const sharedSecret = new Uint8Array(KEY_BYTES);
  const used = loadedKem();
  if (!used.decapsulate(sharedSecret, ciphertext, secretKey)) return undefined;
  // As above: with a key of nobody, the same call leaves a secret of nobody.
  used.decapsulate(new Uint8Array(KEY_BYTES), ciphertext, randomBytes(KEY_BYTES));
  return sharedSecret;
}
