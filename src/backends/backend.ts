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
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}

/**
 * Whether two backends give the same answers to a few questions with known traps: asked once before
 * native code is trusted, because one that was built otherwise would split a group or write what
 * nobody else can read.
 */
export function agree(one: Backend, other: Backend): boolean {
  const seed = Uint8Array.from({ length: 32 }, (_, i) => 7 * i + 1);
  const text = Uint8Array.from({ length: 200 }, (_, i) => 13 * i + 5);
  const nonce = text.subarray(100, 124);
  // y = 1, of order 1: a signature of zeros by it would hold for a lax verifier.
  const neutral = Uint8Array.of(1, ...new Uint8Array(31));
  const answers = (backend: Backend): Uint8Array => {
    const answer = new Uint8Array(32 + 64 + 64 + 32 + 32 + 216 + 200 + 6);
    const parts = [32, 64, 64, 32, 32, 216, 200, 6].map((length, i, all) => {
      const start = all.slice(0, i).reduce((sum, one) => sum + one, 0);
      return answer.subarray(start, start + length);
    });
    const [publicKey, secretKey, signature, hash, keyedHash, sealed, opened, facts] = parts as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    backend.signingKeyPair(publicKey, secretKey, seed);
    backend.sign(signature, text, secretKey);
    backend.blake2b(hash, new Uint8Array(0), seed, text);
    backend.blake2b(keyedHash, seed, text, new Uint8Array(0));
    sealed.set(text);
    backend.encrypt(sealed, seed, nonce, seed);
    const flipped = new Uint8Array(sealed);
    flipped[0] = (flipped[0] as number) ^ 1;
    facts.set(
      [
        backend.decrypt(opened, sealed, seed, nonce, seed),
        backend.decrypt(new Uint8Array(200), flipped, seed, nonce, seed),
        backend.verify(signature, text, publicKey),
        backend.verify(signature, seed, publicKey),
        backend.verify(Uint8Array.of(...neutral, ...new Uint8Array(32)), text, neutral),
        backend.isPrimeOrderPoint(neutral),
      ].map(Number),
    );
    return answer;
  };
  return equal(answers(one), answers(other));
}
