/** The simulator's primitives: what programs rely on that do not attack the mathematics. */
import { createHash } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "../../src/backends/backend.js";
import { loadWasm as loadRealWasm } from "../../src/backends/wasm.js";
import { bytes, flipBit } from "../support/topics.js";
import { type Kem, loadWasm } from "./fast-crypto.js";

const none: Uint8Array = new Uint8Array(0);
let fast: Backend;
let kem: Kem;

beforeAll(async () => {
  ({ backend: fast, kem } = await loadWasm());
});

/** Bytes that differ from block to block, the same in every run. */
const pattern = (length: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (Math.imul(i + seed, 0x9e3779b1) >>> 13) & 0xff);
const hex = (of: Uint8Array): string => Buffer.from(of).toString("hex");

function hash(front: Uint8Array, tail: Uint8Array = none, key: Uint8Array = none): Uint8Array {
  const out = new Uint8Array(32);
  fast.blake2b(out, key, front, tail);
  return out;
}

function seal(key: Uint8Array, nonce: Uint8Array, data: Uint8Array, text: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(text.length + 16);
  sealed.set(text);
  fast.encrypt(sealed, data, nonce, key);
  return sealed;
}

function open(key: Uint8Array, nonce: Uint8Array, data: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
  const text = new Uint8Array(sealed.length - 16).fill(0xee);
  if (fast.decrypt(text, sealed, data, nonce, key)) return text;
  expect(text.every((byte) => byte === 0xee)).toBe(true);
  return undefined;
}

it("has what the module has that it stands in for", async () => {
  const [real, simulated] = [await loadRealWasm(), await loadWasm()];
  expect(Object.keys(simulated).sort()).toEqual(Object.keys(real).sort());
  for (const part of ["backend", "kem"] as const) {
    expect(Object.keys(simulated[part]).sort()).toEqual(Object.keys(real[part]).sort());
  }
  expect(simulated.backend.name).toBe("wasm");
});

describe("the hash", () => {
  it("is of front and tail as one, wherever they meet, and of nothing that was there before", () => {
    for (const length of [0, 1, 31, 32, 33, 64, 100, 9000]) {
      const input = pattern(length);
      const expected = hash(input);
      for (const at of [0, 1, 31, 32, 33, length >>> 1, length]) {
        hash(bytes(at, 9500));
        expect(hash(input.subarray(0, at), input.subarray(at))).toEqual(expected);
      }
    }
  });

  it("is another for another length, key or place", () => {
    const inputs = Array.from({ length: 200 }, (_, length) => hash(new Uint8Array(length)));
    const keyed = Array.from({ length: 200 }, (_, length) => hash(new Uint8Array(length), none, bytes(0)));
    const keys = Array.from({ length: 256 }, (_, bit) => hash(bytes(1), none, flipBit(bytes(0), bit)));
    expect(new Set([...inputs, ...keyed, ...keys].map(hex)).size).toBe(200 + 200 + 256);
    expect(hash(bytes(1), none, bytes(2))).not.toEqual(hash(bytes(2), bytes(1)));
  });

  it("changes by about half its bits for each bit of an input or key", () => {
    const [input, key] = [pattern(80), pattern(32, 7)];
    const before = hash(input, none, key);
    const ones = (of: Uint8Array): number =>
      of.reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);
    const changes = Array.from({ length: 8 * 112 }, (_, bit) => {
      const after = bit < 640 ? hash(flipBit(input, bit), none, key) : hash(input, none, flipBit(key, bit - 640));
      return ones(after.map((byte, i) => byte ^ (before[i] as number)));
    });
    // Of 256, with a deviation of 8: six of those to either side.
    expect(Math.min(...changes)).toBeGreaterThan(80);
    expect(Math.max(...changes)).toBeLessThan(176);
  });

  it("has no collision in 100,000, not even of 8 of its bytes", () => {
    const seen = Array.from({ length: 4 }, () => new Set<bigint>());
    const input = new Uint8Array(105);
    const out = new Uint8Array(32);
    const quarters = new BigUint64Array(out.buffer);
    for (let i = 0; i < 100_000; i++) {
      // A counter at one place, or in the same place of three blocks; the rest always the same.
      const places = i & 1 ? [0, 1, 2] : [31, 63, 95];
      places.forEach((at, place) => {
        input[at] = i >>> (1 + 8 * place);
      });
      fast.blake2b(out, none, input, none);
      for (const [quarter, set] of seen.entries()) set.add(quarters[quarter] as bigint);
      for (const at of places) input[at] = 0;
    }
    // Nothing but zeros is in both halves.
    expect(seen.map((set) => set.size)).toEqual(Array(4).fill(99_999));
  });
});

describe("encryption", () => {
  const [key, nonce, data] = [pattern(32, 3), pattern(24, 4), pattern(61, 5)];

  it.each([0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 1000, 8192, 20_001])("and back, %d bytes", (length) => {
    const text = pattern(length);
    for (const used of [none, data, pattern(32, 9)]) {
      const sealed = seal(key, nonce, used, text);
      hash(bytes(0xff, length + 200));
      expect(open(key, nonce, used, sealed)).toEqual(text);
      expect(seal(key, nonce, used, text)).toEqual(sealed);
      if (length >= 15) expect(Buffer.from(sealed).includes(Buffer.from(text.subarray(0, 15)))).toBe(false);
    }
  });

  it.each([0, 5, 32, 70])(
    "notices every bit that was changed, of ciphertext, data, nonce and key: %d bytes",
    (length) => {
      const sealed = seal(key, nonce, data, pattern(length));
      const forged = [
        ...Array.from({ length: 8 * sealed.length }, (_, bit) => [key, nonce, data, flipBit(sealed, bit)] as const),
        ...Array.from({ length: 8 * data.length }, (_, bit) => [key, nonce, flipBit(data, bit), sealed] as const),
        ...Array.from({ length: 8 * nonce.length }, (_, bit) => [key, flipBit(nonce, bit), data, sealed] as const),
        ...Array.from({ length: 8 * key.length }, (_, bit) => [flipBit(key, bit), nonce, data, sealed] as const),
      ];
      for (const one of forged) expect(open(...one)).toBeUndefined();
      expect(open(key, nonce, data, sealed)).toEqual(pattern(length));
    },
  );

  it("notices what is missing or was moved", () => {
    const sealed = seal(key, nonce, data, new Uint8Array(40));
    for (let length = 16; length < sealed.length; length++) {
      expect(open(key, nonce, data, sealed.subarray(0, length))).toBeUndefined();
      expect(open(key, nonce, data, sealed.subarray(sealed.length - length))).toBeUndefined();
    }
    expect(open(key, nonce, data.subarray(1), sealed)).toBeUndefined();
    expect(open(key, nonce, new Uint8Array([...data, 0]), sealed)).toBeUndefined();
    expect(open(key, nonce, none, seal(key, nonce, bytes(0), none))).toBeUndefined();
  });

  it.each([0, 0xff, 0x80, 0x55])(
    "of blocks of %d has nothing in common with that under another key or nonce",
    (value) => {
      const all = [seal(key, nonce, data, bytes(value, 200))];
      for (const bit of [0, 7, 100, 191]) {
        all.push(
          seal(flipBit(key, bit), nonce, data, bytes(value, 200)),
          seal(key, flipBit(nonce, bit), data, bytes(value, 200)),
        );
      }
      const words = all.flatMap((sealed) => Array.from({ length: 54 }, (_, i) => hex(sealed.slice(4 * i, 4 * i + 4))));
      expect(new Set(words).size).toBe(words.length);
    },
  );
});

describe("signatures", () => {
  const publicKey = new Uint8Array(32);
  const secretKey = new Uint8Array(64);
  const signature = new Uint8Array(64);
  const text = pattern(46);
  beforeAll(() => {
    fast.signingKeyPair(publicKey, secretKey, bytes(5));
    fast.sign(signature, text, secretKey);
  });

  it("hold for what was signed", () => {
    expect(secretKey).toEqual(new Uint8Array([...bytes(5), ...publicKey]));
    expect(fast.isPrimeOrderPoint(publicKey)).toBe(true);
    expect(fast.verify(signature, text, publicKey)).toBe(true);
    fast.sign(signature, none, secretKey);
    expect(fast.verify(signature, none, publicKey)).toBe(true);
    fast.sign(signature, text, secretKey);
  });

  it("hold for nothing else", () => {
    for (let bit = 0; bit < 512; bit++) expect(fast.verify(flipBit(signature, bit), text, publicKey)).toBe(false);
    for (let bit = 0; bit < 368; bit++) expect(fast.verify(signature, flipBit(text, bit), publicKey)).toBe(false);
    for (let bit = 0; bit < 256; bit++) expect(fast.verify(signature, text, flipBit(publicKey, bit))).toBe(false);
    expect(fast.verify(signature, text.subarray(1), publicKey)).toBe(false);
    expect(fast.verify(new Uint8Array(64), text, publicKey)).toBe(false);
  });
});

describe("Diffie-Hellman", () => {
  const publicKeyOf = (secretKey: Uint8Array): Uint8Array => {
    const publicKey = new Uint8Array(32);
    fast.diffieHellmanPublicKey(publicKey, secretKey);
    return publicKey;
  };
  const shared = (secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array => {
    const sharedSecret = new Uint8Array(32);
    expect(fast.diffieHellman(sharedSecret, secretKey, publicKey)).toBe(true);
    return sharedSecret;
  };

  it("gives each two one secret, and others another", () => {
    const secrets = new Set<string>();
    for (let i = 0; i < 20; i++) {
      for (let j = 0; j <= i; j++) {
        const secret = shared(bytes(i), publicKeyOf(bytes(j)));
        expect(shared(bytes(j), publicKeyOf(bytes(i)))).toEqual(secret);
        secrets.add(hex(secret));
      }
    }
    expect(secrets.size).toBe(210);
  });

  it("refuses a public key of zeros, and leaves zeros", () => {
    const sharedSecret = bytes(7);
    expect(fast.diffieHellman(sharedSecret, bytes(1), bytes(0))).toBe(false);
    expect(sharedSecret).toEqual(bytes(0));
  });
});

describe("key encapsulation", () => {
  const [publicKey, secretKey] = [new Uint8Array(1216), new Uint8Array(32)];
  const [ciphertext, sharedSecret] = [new Uint8Array(1120), new Uint8Array(32)];
  const decapsulated = (of: Uint8Array, key: Uint8Array = secretKey): Uint8Array => {
    const secret = new Uint8Array(32);
    expect(kem.decapsulate(secret, of, key)).toBe(true);
    return secret;
  };
  beforeAll(() => {
    kem.keyPair(publicKey, secretKey, bytes(3));
    expect(kem.encapsulate(ciphertext, sharedSecret, publicKey, bytes(4, 64))).toBe(true);
  });

  it("gives both sides one secret", () => {
    expect(decapsulated(ciphertext)).toEqual(sharedSecret);
    expect(decapsulated(ciphertext, bytes(9))).not.toEqual(sharedSecret);
  });

  it("gives another for another seed, and wherever ciphertext or public key was changed", () => {
    const secrets: Uint8Array[] = [sharedSecret];
    for (let bit = 0; bit < 8 * 1120; bit += 5) secrets.push(decapsulated(flipBit(ciphertext, bit)));
    const [otherCiphertext, otherSecret] = [new Uint8Array(1120), new Uint8Array(32)];
    for (let bit = 0; bit < 8 * 1216; bit += 5) {
      expect(kem.encapsulate(otherCiphertext, otherSecret, flipBit(publicKey, bit), bytes(4, 64))).toBe(true);
      secrets.push(otherSecret.slice(), decapsulated(otherCiphertext));
    }
    expect(kem.encapsulate(otherCiphertext, otherSecret, publicKey, bytes(5, 64))).toBe(true);
    expect(decapsulated(otherCiphertext)).toEqual(otherSecret);
    secrets.push(otherSecret);
    expect(new Set(secrets.map(hex)).size).toBe(secrets.length);
  });

  it("refuses zeros", () => {
    expect(kem.encapsulate(new Uint8Array(1120), new Uint8Array(32), new Uint8Array(1216), bytes(4, 64))).toBe(false);
    expect(kem.decapsulate(new Uint8Array(32), new Uint8Array(1120), secretKey)).toBe(false);
  });
});

it("is fast", () => {
  const [key, nonce, data, text] = [bytes(1), bytes(2, 24), bytes(3, 60), bytes(4, 100)];
  const [publicKey, secretKey, signature] = [new Uint8Array(32), new Uint8Array(64), new Uint8Array(64)];
  const [out, sealed, opened] = [new Uint8Array(32), seal(key, nonce, data, text), new Uint8Array(100)];
  const [scratch, kemKey, ciphertext] = [new Uint8Array(116), new Uint8Array(1216), new Uint8Array(1120)];
  fast.signingKeyPair(publicKey, secretKey, key);
  kem.keyPair(kemKey, new Uint8Array(32), key);
  const seed = bytes(5, 64);
  const calls: Record<string, () => unknown> = {
    "hash of 100 bytes": () => fast.blake2b(out, none, text, none),
    "hash of 100 bytes, keyed": () => fast.blake2b(out, key, text, none),
    "node's BLAKE2s of 100 bytes": () => createHash("blake2s256").update(text).digest(),
    "encrypt 100 bytes": () => fast.encrypt(scratch, data, nonce, key),
    "decrypt 100 bytes": () => fast.decrypt(opened, sealed, data, nonce, key),
    sign: () => fast.sign(signature, text, secretKey),
    verify: () => fast.verify(signature, text, publicKey),
    "Diffie-Hellman key": () => fast.diffieHellmanPublicKey(out, key),
    "Diffie-Hellman": () => fast.diffieHellman(out, key, publicKey),
    "KEM key pair": () => kem.keyPair(kemKey, out, key),
    encapsulate: () => kem.encapsulate(ciphertext, out, kemKey, seed),
    decapsulate: () => kem.decapsulate(out, ciphertext, key),
  };
  const rounds = 20_000;
  const timed = Object.entries(calls).map(([name, call]) => {
    for (let i = 0; i < rounds; i++) call();
    const start = performance.now();
    for (let i = 0; i < rounds; i++) call();
    return `${name} ${(((performance.now() - start) * 1000) / rounds).toFixed(2)} µs`;
  });
  console.log(timed.join(", "));
  expect(fast.decrypt(opened, sealed, data, nonce, key)).toBe(true);
});
