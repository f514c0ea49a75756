/**
 * What a simulator computes with in place of src/backends/wasm.ts: the same interface and lengths, signatures and key exchange
 * at less than a hundredth of the cost, and NO SECURITY WHATEVER. bundle.ts swaps it in; nothing in src knows of it.
 *
 * It behaves as libsodium does towards programs that do not attack the mathematics: equal inputs give equal bytes, different ones
 * give others, what was changed is not authentic, and both sides of an exchange have one secret. Anybody can forge a signature
 * and compute a shared secret from public keys, though; simulated attackers do not. Deterministic: nothing here is random.
 *
 * Not simulated: clamping, reduction and low-order points of X25519 (of which zeros alone are refused), points that are not of
 * prime order, KEM public keys that libsodium refuses (again zeros alone), and the module that stringphone/compat uses.
 */
import type { Backend } from "../../src/backends/backend.js";
import type { Kem, loadWasm as loadRealWasm } from "../../src/backends/wasm.js";
import { KEY_BYTES, SIGNATURE_BYTES, TAG_BYTES } from "../../src/limits.js";

export type { Kem };

const BLOCK_BYTES = 32;
const BLOCK_WORDS = 8;

/** What each hash begins with, so that no two uses give the same. */
const HASH = 1;
const ENCRYPTION = 2;
const SIGNATURE = 3;
const SIGNING_KEY = 4;
const DIFFIE_HELLMAN_KEY = 5;
const DIFFIE_HELLMAN = 6;
const KEM_KEY = 7;
const KEM_CIPHERTEXT = 8;
const KEM_SECRET = 9;
const KEM_REJECTION = 10;

/** The state of the hash, as words and as bytes; the order of bytes is this machine's. */
const state = new Int32Array(BLOCK_WORDS);
const stateBytes = new Uint8Array(state.buffer);

/** Where inputs are put together, each at a multiple of a block where it must be read in words. */
let room = new Uint8Array(8192);
let words = new Int32Array(room.buffer);

function reserve(length: number): void {
  if (length + BLOCK_BYTES <= room.length) return;
  // A multiple of four, for the words.
  room = new Uint8Array(4 * length);
  words = new Int32Array(room.buffer);
}

/** Copies to the room, and gives where it ends. */
function put(bytes: Uint8Array, at: number): number {
  room.set(bytes, at);
  return at + bytes.length;
}

/** Fills the block up with zeros, and gives where it ends. */
function pad(end: number): number {
  const next = (end + BLOCK_BYTES - 1) & -BLOCK_BYTES;
  for (let at = end; at < next; at++) room[at] = 0;
  return next;
}

/** Eight quarter rounds of ChaCha on eight words: each bit of the state changes about half of it. */
function permute(): void {
  let a = state[0] as number;
  let b = state[1] as number;
  let c = state[2] as number;
  let d = state[3] as number;
  let e = state[4] as number;
  let f = state[5] as number;
  let g = state[6] as number;
  let h = state[7] as number;
  for (let round = 0; round < 2; round++) {
    // Each half by itself: a b c d, and e f g h.
    a = (a + b) | 0;
    d ^= a;
    d = (d << 16) | (d >>> 16);
    c = (c + d) | 0;
    b ^= c;
    b = (b << 12) | (b >>> 20);
    a = (a + b) | 0;
    d ^= a;
    d = (d << 8) | (d >>> 24);
    c = (c + d) | 0;
    b ^= c;
    b = (b << 7) | (b >>> 25);

    e = (e + f) | 0;
    h ^= e;
    h = (h << 16) | (h >>> 16);
    g = (g + h) | 0;
    f ^= g;
    f = (f << 12) | (f >>> 20);
    e = (e + f) | 0;
    h ^= e;
    h = (h << 8) | (h >>> 24);
    g = (g + h) | 0;
    f ^= g;
    f = (f << 7) | (f >>> 25);

    // Across: a f c h, and e b g d.
    a = (a + f) | 0;
    h ^= a;
    h = (h << 16) | (h >>> 16);
    c = (c + h) | 0;
    f ^= c;
    f = (f << 12) | (f >>> 20);
    a = (a + f) | 0;
    h ^= a;
    h = (h << 8) | (h >>> 24);
    c = (c + h) | 0;
    f ^= c;
    f = (f << 7) | (f >>> 25);

    e = (e + b) | 0;
    d ^= e;
    d = (d << 16) | (d >>> 16);
    g = (g + d) | 0;
    b ^= g;
    b = (b << 12) | (b >>> 20);
    e = (e + b) | 0;
    d ^= e;
    d = (d << 8) | (d >>> 24);
    g = (g + d) | 0;
    b ^= g;
    b = (b << 7) | (b >>> 25);
  }
  state[0] = a;
  state[1] = b;
  state[2] = c;
  state[3] = d;
  state[4] = e;
  state[5] = f;
  state[6] = g;
  state[7] = h;
}

/** Begins a hash: for what, and with the lengths of its parts, so that padding makes no two inputs one. */
function begin(purpose: number, length: number, otherLength = 0): void {
  state[0] = 0x6a09e667;
  state[1] = 0xbb67ae85;
  state[2] = 0x3c6ef372;
  state[3] = 0xa54ff53a;
  state[4] = 0x510e527f;
  state[5] = 0x9b05688c ^ purpose;
  state[6] = 0x1f83d9ab ^ length;
  state[7] = 0x5be0cd19 ^ otherLength;
}

/** Hashes on with what is in the room between two multiples of a block. */
function absorb(from: number, to: number): void {
  for (let at = from >>> 2; at < to >>> 2; at += BLOCK_WORDS) {
    for (let i = 0; i < BLOCK_WORDS; i++) state[i] = (state[i] as number) ^ (words[at + i] as number);
    permute();
  }
}

/** Leaves the hash of one or two parts in the state. */
function hash(purpose: number, part: Uint8Array, other?: Uint8Array): void {
  const otherLength = other === undefined ? 0 : other.length;
  reserve(part.length + otherLength);
  let end = put(part, 0);
  if (other !== undefined) end = put(other, end);
  begin(purpose, part.length, otherLength);
  absorb(0, pad(end));
}

/** Whether the state begins as these bytes do, from `at`. */
function stateIs(bytes: Uint8Array, at: number, length: number): boolean {
  for (let i = 0; i < length; i++) {
    if (bytes[at + i] !== stateBytes[i]) return false;
  }
  return true;
}

const zeros = new Uint8Array(2048);

function isZero(bytes: Uint8Array): boolean {
  return Buffer.compare(bytes, zeros.subarray(0, bytes.length)) === 0;
}

/** Three above a multiple of eight: so that for a plaintext of zeros or ones too, what is added does not undo the keystream. */
const SPREAD = 0x9e3779b3;

/** Behind key and nonce, each in a block of its own. */
const DATA_AT = 2 * BLOCK_BYTES;

/**
 * Encrypts or decrypts the first `length` bytes of the text, in the room from the address that is returned, and leaves the tag
 * in the front of the state. The state is the keystream of a block, and then takes up its ciphertext: not by XOR, which would
 * leave nothing in it that depends on the key.
 */
function crypt(
  isEncryption: boolean,
  text: Uint8Array,
  length: number,
  data: Uint8Array,
  nonce: Uint8Array,
  key: Uint8Array,
): number {
  reserve(DATA_AT + data.length + BLOCK_BYTES + text.length);
  pad(put(nonce, put(key, 0)));
  const textAt = pad(put(data, DATA_AT));
  const end = put(text, textAt) - TAG_BYTES;
  begin(ENCRYPTION, length, data.length);
  absorb(0, textAt);
  for (let block = textAt; block < end; block += BLOCK_BYTES) {
    // Behind the end is a plaintext of zeros, of which the ciphertext is the keystream.
    for (let at = end; at < block + BLOCK_BYTES; at++) room[at] = isEncryption ? 0 : (stateBytes[at - block] as number);
    const first = block >>> 2;
    for (let i = 0; i < BLOCK_WORDS; i++) {
      const stream = state[i] as number;
      const before = words[first + i] as number;
      const after = before ^ stream;
      words[first + i] = after;
      state[i] = stream + Math.imul(isEncryption ? after : before, SPREAD);
    }
    permute();
  }
  return textAt;
}

/** The public key of the secret key that a call was given. */
const own = new Uint8Array(KEY_BYTES);

const backend: Backend = {
  name: "wasm",

  /** A hash of its own, in no way BLAKE2b. */
  blake2b(out, key, front, tail) {
    const length = front.length + tail.length;
    reserve(key.length + length);
    const end = put(tail, put(front, put(key, 0)));
    begin(HASH, length, key.length);
    absorb(0, pad(end));
    // Nothing was absorbed where there is nothing.
    if (end === 0) permute();
    out.set(stateBytes);
  },

  encrypt(bytes, data, nonce, key) {
    const length = bytes.length - TAG_BYTES;
    const textAt = crypt(true, bytes, length, data, nonce, key);
    bytes.set(room.subarray(textAt, textAt + length));
    for (let i = 0; i < TAG_BYTES; i++) bytes[length + i] = stateBytes[i] as number;
  },

  decrypt(plaintext, ciphertext, data, nonce, key) {
    const length = ciphertext.length - TAG_BYTES;
    const textAt = crypt(false, ciphertext, length, data, nonce, key);
    if (!stateIs(ciphertext, length, TAG_BYTES)) return false;
    plaintext.set(room.subarray(textAt, textAt + length));
    return true;
  },

  /** The hash of public key and text, which anybody can compute, in two halves. */
  sign(signature, text, secretKey) {
    hash(SIGNATURE, secretKey.subarray(KEY_BYTES), text);
    signature.set(stateBytes);
    permute();
    signature.set(stateBytes, SIGNATURE_BYTES / 2);
  },

  verify(signature, text, publicKey) {
    hash(SIGNATURE, publicKey, text);
    if (!stateIs(signature, 0, SIGNATURE_BYTES / 2)) return false;
    permute();
    return stateIs(signature, SIGNATURE_BYTES / 2, SIGNATURE_BYTES / 2);
  },

  signingKeyPair(publicKey, secretKey, seed) {
    hash(SIGNING_KEY, seed);
    publicKey.set(stateBytes);
    secretKey.set(seed);
    secretKey.set(stateBytes, KEY_BYTES);
  },

  isPrimeOrderPoint() {
    return true;
  },

  diffieHellmanPublicKey(publicKey, secretKey) {
    hash(DIFFIE_HELLMAN_KEY, secretKey);
    publicKey.set(stateBytes);
  },

  /** The hash of both public keys, the lesser first, which anybody can compute. */
  diffieHellman(sharedSecret, secretKey, publicKey) {
    if (isZero(publicKey)) {
      sharedSecret.fill(0);
      return false;
    }
    backend.diffieHellmanPublicKey(own, secretKey);
    if (Buffer.compare(own, publicKey) < 0) hash(DIFFIE_HELLMAN, own, publicKey);
    else hash(DIFFIE_HELLMAN, publicKey, own);
    sharedSecret.set(stateBytes);
    return true;
  },
};

/** Hashes the front of a public key and of a ciphertext: of what an honest program makes, the rest is zeros. */
function sharedSecretOf(publicKey: Uint8Array, ciphertext: Uint8Array): void {
  hash(KEM_SECRET, publicKey.subarray(0, KEY_BYTES), ciphertext.subarray(0, KEY_BYTES));
}

const kem: Kem = {
  keyPair(publicKey, secretKey, seed) {
    hash(KEM_KEY, seed);
    publicKey.fill(0);
    publicKey.set(stateBytes);
    secretKey.set(seed);
  },

  encapsulate(ciphertext, sharedSecret, publicKey, seed) {
    if (isZero(publicKey)) return false;
    const isHonest = isZero(publicKey.subarray(KEY_BYTES));
    hash(KEM_CIPHERTEXT, seed, isHonest ? publicKey.subarray(0, KEY_BYTES) : publicKey);
    ciphertext.fill(0);
    ciphertext.set(stateBytes);
    if (isHonest) sharedSecretOf(publicKey, ciphertext);
    // To a key that somebody changed: nobody decapsulates that.
    else hash(KEM_REJECTION, publicKey, seed);
    sharedSecret.set(stateBytes);
    return true;
  },

  /** Of a changed ciphertext another secret, as by ML-KEM. */
  decapsulate(sharedSecret, ciphertext, secretKey) {
    if (isZero(ciphertext)) return false;
    if (isZero(ciphertext.subarray(KEY_BYTES))) {
      hash(KEM_KEY, secretKey);
      own.set(stateBytes);
      sharedSecretOf(own, ciphertext);
    } else {
      hash(KEM_REJECTION, ciphertext, secretKey);
    }
    sharedSecret.set(stateBytes);
    return true;
  },
};

/** Gives the simulated primitives, under the name of what they stand in for. */
export const loadWasm: typeof loadRealWasm = () => Promise.resolve({ backend, kem, module: undefined });
