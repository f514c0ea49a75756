/** What a backend is: the primitives of libsodium that the library computes with, and nothing else. */

/** `native` is sodium-native, `wasm` is libsodium-wrappers: the same library, compiled in two ways. */
export type BackendName = "native" | "wasm";

/**
 * The primitives, with results written where the caller says. Lengths were checked by crypto.ts, and
 * nothing here is kept: no argument, and no copy of one.
 */
export interface Backend {
  readonly name: BackendName;
  /** BLAKE2b-256 of `front` ‖ `tail`, keyed unless `key` is empty. */
  blake2b(out: Uint8Array, key: Uint8Array, front: Uint8Array, tail: Uint8Array): void;
  /** XChaCha20-Poly1305 in place: a plaintext and room for the tag, 16 bytes, become the ciphertext. */
  encrypt(bytes: Uint8Array, data: Uint8Array, nonce: Uint8Array, key: Uint8Array): void;
  /** To `plaintext`, 16 bytes shorter than `ciphertext`. Where it is not authentic: `false`, and zeros or nothing in it. */
  decrypt(plaintext: Uint8Array, ciphertext: Uint8Array, data: Uint8Array, nonce: Uint8Array, key: Uint8Array): boolean;
  /** Ed25519, detached. */
  sign(signature: Uint8Array, text: Uint8Array, secretKey: Uint8Array): void;
  verify(signature: Uint8Array, text: Uint8Array, publicKey: Uint8Array): boolean;
  signingKeyPair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void;
  /** Whether libsodium converts this Ed25519 public key to X25519: it is on the curve and in the prime-order subgroup. */
  isPrimeOrderPoint(publicKey: Uint8Array): boolean;
  /** X25519: the public key of a secret key. */
  diffieHellmanPublicKey(publicKey: Uint8Array, secretKey: Uint8Array): void;
  /** X25519. Where the public key is of low order, so that the result would be zeros: `false`, and zeros in it. */
  diffieHellman(sharedSecret: Uint8Array, secretKey: Uint8Array, publicKey: Uint8Array): boolean;
}
