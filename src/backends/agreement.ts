/** Whether native code can be trusted to be libsodium. Only native.ts imports this: no browser needs it. */
import { equalBytes } from "../bytes.js";
import { KEY_BYTES, SIGNATURE_BYTES, SIGNING_KEY_BYTES, TAG_BYTES } from "../limits.js";
import type { Backend } from "./backend.js";

/**
 * Whether two backends give the same answers to a few questions with known traps: asked once before
 * native code is trusted, because one that was built otherwise would split a group or write what
 * nobody else can read.
 */
export function agree(one: Backend, other: Backend): boolean {
  const seed = Uint8Array.from({ length: KEY_BYTES }, (_, i) => 7 * i + 1);
  // Longer than what native code is given in one piece.
  const long = Uint8Array.from({ length: 10_000 }, (_, i) => 13 * i + 5);
  const text = long.subarray(0, 200);
  const nonce = long.subarray(100, 124);
  const answers = (backend: Backend): Uint8Array => {
    const publicKey = new Uint8Array(KEY_BYTES);
    const secretKey = new Uint8Array(SIGNING_KEY_BYTES);
    const signature = new Uint8Array(SIGNATURE_BYTES);
    backend.signingKeyPair(publicKey, secretKey, seed);
    backend.sign(signature, text, secretKey);
    const hashes = [new Uint8Array(0), seed].flatMap((key) =>
      [text, long].map((tail) => {
        const hash = new Uint8Array(KEY_BYTES);
        backend.blake2b(hash, key, seed, tail);
        return hash;
      }),
    );
    const sealed = [new Uint8Array(0), text, long].map((plaintext) => {
      const bytes = new Uint8Array(plaintext.length + TAG_BYTES);
      bytes.set(plaintext);
      backend.encrypt(bytes, seed, nonce, seed);
      return bytes;
    });
    const opened = sealed.map((bytes) => {
      const plaintext = new Uint8Array(bytes.length - TAG_BYTES);
      return backend.decrypt(plaintext, bytes, seed, nonce, seed) ? plaintext : Uint8Array.of(1);
    });
    const keys = [publicKey, ...TRAPS.map(fromHex)];
    const dhPublicKey = new Uint8Array(KEY_BYTES);
    backend.diffieHellmanPublicKey(dhPublicKey, seed);
    const shared = [dhPublicKey, ...DIFFIE_HELLMAN_TRAPS.map(fromHex)].map((key) => {
      // Not empty, so that what a backend leaves there shows.
      const secret = text.slice(0, KEY_BYTES);
      const isTaken = backend.diffieHellman(secret, seed, key);
      return Uint8Array.of(Number(isTaken), ...secret);
    });
    const facts = [
      ...sealed.map((bytes) =>
        backend.decrypt(new Uint8Array(bytes.length - TAG_BYTES), flipped(bytes), seed, nonce, seed),
      ),
      backend.verify(signature, text, publicKey),
      backend.verify(signature, seed, publicKey),
      backend.verify(flipped(signature), text, publicKey),
      backend.verify(withOrderAdded(signature), text, publicKey),
      ...keys.map((key) => backend.isPrimeOrderPoint(key)),
      // A key of small order, with itself as R and S = 0: it holds for a lax verifier.
      ...keys.map((key) => backend.verify(Uint8Array.of(...key, ...new Uint8Array(KEY_BYTES)), text, key)),
    ];
    return Uint8Array.of(
      ...[publicKey, secretKey, signature, ...hashes, dhPublicKey, ...shared].flatMap((bytes) => [...bytes]),
      ...[...sealed, ...opened].flatMap((bytes) => [
        bytes.length & 0xff,
        ...bytes.subarray(0, 300),
        ...bytes.subarray(-300),
      ]),
      ...facts.map(Number),
    );
  };
  return equalBytes(answers(one), answers(other));
}

/** Of order 1, 2, 4 and 8; of order 8 times the prime; a canonical y that is not on the curve; one that is not canonical. */
const TRAPS = [
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "af09fdbe1a97599aefb76f8710b2aaef3e7920460249ca4bc0a08aad80b2ac95",
  "0200000000000000000000000000000000000000000000000000000000000000",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];
/** For X25519: of low order, the last in a face that is not canonical; two others that are not canonical, the last with bit 255. */
const DIFFIE_HELLMAN_TRAPS = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0900000000000000000000000000000000000000000000000000000000000080",
];
/** The order of the prime-order subgroup (RFC 8032 §5.1), little endian. */
const ORDER = fromHex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}

function flipped(bytes: Uint8Array): Uint8Array {
  const changed = bytes.slice();
  changed[0] = (changed[0] as number) ^ 1;
  return changed;
}

/** The same signature with another S that is congruent to it: only one of the two is canonical. */
function withOrderAdded(signature: Uint8Array): Uint8Array {
  const changed = signature.slice();
  let carry = 0;
  for (let i = 0; i < KEY_BYTES; i++) {
    carry += (changed[KEY_BYTES + i] as number) + (ORDER[i] as number);
    changed[KEY_BYTES + i] = carry;
    carry >>>= 8;
  }
  return changed;
}
