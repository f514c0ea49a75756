/** Whether native code can be trusted to be libsodium. Only native.ts imports this: no browser needs it. */
import { equalBytes } from "../bytes.js";
import type { Backend } from "./backend.js";

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
  return equalBytes(answers(one), answers(other));
}
