/**
 * libsodium in WebAssembly, which every environment has. The module itself is called without its
 * wrapper: the wrapper throws an Error for each forgery, which costs more than the decryption, wants
 * its input in one piece, and leaves keys behind in the module's heap.
 */
import { TAG_BYTES } from "../limits.js";
import type { Backend } from "./backend.js";

type Address = number;
/** Lengths of 64 bits are two arguments; ours fit the first. */
type High = 0;
type Null = 0;

interface Module {
  /** The heap; another object after it grew, so read it after `_malloc`. */
  readonly HEAPU8: Uint8Array;
  readonly _malloc: (length: number) => Address;
  readonly _free: (address: Address) => void;
  readonly _crypto_generichash: (
    out: Address,
    outLength: number,
    input: Address,
    inputLength: number,
    inputHigh: High,
    key: Address,
    keyLength: number,
  ) => number;
  readonly _crypto_aead_xchacha20poly1305_ietf_encrypt: (
    out: Address,
    outLength: Null,
    input: Address,
    inputLength: number,
    inputHigh: High,
    data: Address,
    dataLength: number,
    dataHigh: High,
    secretNonce: Null,
    nonce: Address,
    key: Address,
  ) => number;
  readonly _crypto_aead_xchacha20poly1305_ietf_decrypt: (
    out: Address,
    outLength: Null,
    secretNonce: Null,
    input: Address,
    inputLength: number,
    inputHigh: High,
    data: Address,
    dataLength: number,
    dataHigh: High,
    nonce: Address,
    key: Address,
  ) => number;
  readonly _crypto_sign_detached: (
    out: Address,
    outLength: Null,
    text: Address,
    textLength: number,
    textHigh: High,
    secretKey: Address,
  ) => number;
  readonly _crypto_sign_verify_detached: (
    signature: Address,
    text: Address,
    textLength: number,
    textHigh: High,
    publicKey: Address,
  ) => number;
  readonly _crypto_sign_seed_keypair: (publicKey: Address, secretKey: Address, seed: Address) => number;
  readonly _crypto_sign_ed25519_pk_to_curve25519: (out: Address, publicKey: Address) => number;
  readonly _crypto_scalarmult_base: (publicKey: Address, secretKey: Address) => number;
  readonly _crypto_scalarmult: (sharedSecret: Address, secretKey: Address, publicKey: Address) => number;
  readonly _crypto_kem_xwing_seed_keypair: (publicKey: Address, secretKey: Address, seed: Address) => number;
  readonly _crypto_kem_xwing_enc_deterministic: (
    ciphertext: Address,
    sharedSecret: Address,
    publicKey: Address,
    seed: Address,
  ) => number;
  readonly _crypto_kem_xwing_dec: (sharedSecret: Address, ciphertext: Address, secretKey: Address) => number;
}

/** X-Wing, which native builds do not have: results are written where the caller says, as by a backend. */
export interface Kem {
  keyPair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void;
  /** Says whether libsodium takes the public key. */
  encapsulate(ciphertext: Uint8Array, sharedSecret: Uint8Array, publicKey: Uint8Array, seed: Uint8Array): boolean;
  decapsulate(sharedSecret: Uint8Array, ciphertext: Uint8Array, secretKey: Uint8Array): boolean;
}

/** Kept for the many small calls; what is longer gets room of its own each time. */
const ROOM_BYTES = 4096;

/** Loads libsodium-wrappers. */
export async function loadWasm(): Promise<{ backend: Backend; kem: Kem; module: unknown }> {
  const { default: sodium } = await import("libsodium-wrappers");
  await sodium.ready;
  const { libsodium: module } = sodium as unknown as { libsodium: Module };
  return { ...partsOf(module), module };
}

function partsOf(module: Module): { backend: Backend; kem: Kem } {
  // Kept one by one: a look-up among the module's eight hundred functions is slow.
  const { _malloc: malloc, _free: free, _crypto_generichash: generichash } = module;
  const { _crypto_sign_detached: sign, _crypto_sign_verify_detached: verify } = module;
  const encrypt = module._crypto_aead_xchacha20poly1305_ietf_encrypt;
  const decrypt = module._crypto_aead_xchacha20poly1305_ietf_decrypt;
  const room = malloc(ROOM_BYTES);
  let heap = module.HEAPU8;

  function take(length: number): Address {
    const at = length <= ROOM_BYTES ? room : malloc(length);
    if (at === 0) throw new RangeError(`no memory for ${length} bytes`);
    heap = module.HEAPU8;
    return at;
  }

  /** Wipes what was taken: the heap keeps nothing of a key or a plaintext. */
  function give(at: Address, length: number): void {
    heap.fill(0, at, at + length);
    if (at !== room) free(at);
  }

  const kem: Kem = {
    keyPair(publicKey, secretKey, seed) {
      const length = publicKey.length + secretKey.length + seed.length;
      const at = take(length);
      try {
        const secretAt = at + publicKey.length;
        const seedAt = secretAt + secretKey.length;
        heap.set(seed, seedAt);
        module._crypto_kem_xwing_seed_keypair(at, secretAt, seedAt);
        publicKey.set(heap.subarray(at, secretAt));
        secretKey.set(heap.subarray(secretAt, seedAt));
      } finally {
        give(at, length);
      }
    },

    encapsulate(ciphertext, sharedSecret, publicKey, seed) {
      const length = ciphertext.length + sharedSecret.length + publicKey.length + seed.length;
      const at = take(length);
      try {
        const sharedAt = at + ciphertext.length;
        const keyAt = sharedAt + sharedSecret.length;
        const seedAt = keyAt + publicKey.length;
        heap.set(publicKey, keyAt);
        heap.set(seed, seedAt);
        const failed = module._crypto_kem_xwing_enc_deterministic(at, sharedAt, keyAt, seedAt);
        ciphertext.set(heap.subarray(at, sharedAt));
        sharedSecret.set(heap.subarray(sharedAt, keyAt));
        return failed === 0;
      } finally {
        give(at, length);
      }
    },

    decapsulate(sharedSecret, ciphertext, secretKey) {
      const length = sharedSecret.length + ciphertext.length + secretKey.length;
      const at = take(length);
      try {
        const ciphertextAt = at + sharedSecret.length;
        const keyAt = ciphertextAt + ciphertext.length;
        heap.set(ciphertext, ciphertextAt);
        heap.set(secretKey, keyAt);
        const failed = module._crypto_kem_xwing_dec(at, ciphertextAt, keyAt);
        sharedSecret.set(heap.subarray(at, ciphertextAt));
        return failed === 0;
      } finally {
        give(at, length);
      }
    },
  };

  const backend: Backend = {
    name: "wasm",

    blake2b(out, key, front, tail) {
      const inputLength = front.length + tail.length;
      const length = out.length + key.length + inputLength;
      const at = take(length);
      try {
        const keyAt = at + out.length;
        const inputAt = keyAt + key.length;
        heap.set(key, keyAt);
        heap.set(front, inputAt);
        heap.set(tail, inputAt + front.length);
        generichash(at, out.length, inputAt, inputLength, 0, keyAt, key.length);
        out.set(heap.subarray(at, keyAt));
      } finally {
        give(at, length);
      }
    },

    encrypt(bytes, data, nonce, key) {
      const length = bytes.length + data.length + nonce.length + key.length;
      const at = take(length);
      try {
        const dataAt = at + bytes.length;
        const nonceAt = dataAt + data.length;
        const keyAt = nonceAt + nonce.length;
        heap.set(bytes, at);
        heap.set(data, dataAt);
        heap.set(nonce, nonceAt);
        heap.set(key, keyAt);
        const plaintextLength = bytes.length - TAG_BYTES;
        encrypt(at, 0, at, plaintextLength, 0, dataAt, data.length, 0, 0, nonceAt, keyAt);
        bytes.set(heap.subarray(at, dataAt));
      } finally {
        give(at, length);
      }
    },

    decrypt(plaintext, ciphertext, data, nonce, key) {
      const length = ciphertext.length + data.length + nonce.length + key.length;
      const at = take(length);
      try {
        const dataAt = at + ciphertext.length;
        const nonceAt = dataAt + data.length;
        const keyAt = nonceAt + nonce.length;
        heap.set(ciphertext, at);
        heap.set(data, dataAt);
        heap.set(nonce, nonceAt);
        heap.set(key, keyAt);
        const failed = decrypt(at, 0, 0, at, ciphertext.length, 0, dataAt, data.length, 0, nonceAt, keyAt);
        if (failed === 0) plaintext.set(heap.subarray(at, at + plaintext.length));
        return failed === 0;
      } finally {
        give(at, length);
      }
    },

    sign(signature, text, secretKey) {
      const length = signature.length + text.length + secretKey.length;
      const at = take(length);
      try {
        const textAt = at + signature.length;
        const keyAt = textAt + text.length;
        heap.set(text, textAt);
        heap.set(secretKey, keyAt);
        sign(at, 0, textAt, text.length, 0, keyAt);
        signature.set(heap.subarray(at, textAt));
      } finally {
        give(at, length);
      }
    },

    verify(signature, text, publicKey) {
      const length = signature.length + text.length + publicKey.length;
      const at = take(length);
      try {
        const textAt = at + signature.length;
        const keyAt = textAt + text.length;
        heap.set(signature, at);
        heap.set(text, textAt);
        heap.set(publicKey, keyAt);
        const failed = verify(at, textAt, text.length, 0, keyAt);
        return failed === 0;
      } finally {
        give(at, length);
      }
    },

    signingKeyPair(publicKey, secretKey, seed) {
      const length = publicKey.length + secretKey.length + seed.length;
      const at = take(length);
      try {
        const secretAt = at + publicKey.length;
        const seedAt = secretAt + secretKey.length;
        heap.set(seed, seedAt);
        module._crypto_sign_seed_keypair(at, secretAt, seedAt);
        publicKey.set(heap.subarray(at, secretAt));
        secretKey.set(heap.subarray(secretAt, seedAt));
      } finally {
        give(at, length);
      }
    },

    isPrimeOrderPoint(publicKey) {
      const length = 2 * publicKey.length;
      const at = take(length);
      try {
        heap.set(publicKey, at);
        const failed = module._crypto_sign_ed25519_pk_to_curve25519(at + publicKey.length, at);
        return failed === 0;
      } finally {
        give(at, length);
      }
    },

    diffieHellmanPublicKey(publicKey, secretKey) {
      const length = publicKey.length + secretKey.length;
      const at = take(length);
      try {
        const secretAt = at + publicKey.length;
        heap.set(secretKey, secretAt);
        module._crypto_scalarmult_base(at, secretAt);
        publicKey.set(heap.subarray(at, secretAt));
      } finally {
        give(at, length);
      }
    },

    diffieHellman(sharedSecret, secretKey, publicKey) {
      const length = sharedSecret.length + secretKey.length + publicKey.length;
      const at = take(length);
      try {
        const secretAt = at + sharedSecret.length;
        const publicAt = secretAt + secretKey.length;
        heap.set(secretKey, secretAt);
        heap.set(publicKey, publicAt);
        const failed = module._crypto_scalarmult(at, secretAt, publicAt);
        if (failed !== 0) {
          sharedSecret.fill(0);
          return false;
        }
        sharedSecret.set(heap.subarray(at, secretAt));
        return true;
      } finally {
        give(at, length);
      }
    },
  };
  return { backend, kem };
}
