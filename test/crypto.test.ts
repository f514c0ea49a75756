import sodium from "libsodium-wrappers";
import { beforeAll, describe, expect, it } from "vitest";
import { encode } from "../src/cbor.js";
import * as crypto from "../src/crypto.js";
import { thrownBy } from "./support/expect.js";
import { bytes } from "./support/topics.js";
import { hasLimbsOf, LOW_ORDER_ENCODINGS, REDUCED_ENCODINGS } from "./support/x25519.js";

beforeAll(() => crypto.loadCrypto());

/** Bytes that do not repeat within a block. */
const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * i + i) >>> 3);

/** RFC 7748 §6.1. */
const RFC = {
  alice: "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
  alicePublic: "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
  bob: "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
  bobPublic: "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
  shared: "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
};

const LENGTHS = [0, 1, 15, 16, 63, 64, 65, 127, 128, 129, 1000, 100_000];

describe("what goes around libsodium's wrapper gives what the wrapper gives", () => {
  it.each(LENGTHS)("seal and open, %d bytes", (length) => {
    const [key, nonce] = [crypto.randomBytes(32), crypto.randomBytes(24)];
    const plaintext = pattern(length);
    for (const data of [new Uint8Array(0), crypto.randomBytes(50)]) {
      const expected = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, data, null, nonce, key);
      expect(crypto.seal(key, nonce, data, plaintext)).toEqual(expected);
      expect(crypto.open(key, nonce, data, expected)).toEqual(plaintext);
      const flipped = new Uint8Array(expected);
      flipped[length] = (flipped[length] as number) ^ 1;
      expect(crypto.open(key, nonce, data, flipped)).toBeUndefined();
      expect(crypto.open(key, nonce, bytes(1, 5), expected)).toBeUndefined();
    }
  });

  it.each(LENGTHS)("hash and kdf, %d bytes", (length) => {
    const key = crypto.randomBytes(32);
    const input = pattern(length);
    const array = encode(["stringphone/1 message", 5, input]);
    expect(crypto.hash("message", 5, input)).toEqual(sodium.crypto_generichash(32, array, null));
    expect(crypto.kdf(key, "message", 5, input)).toEqual(sodium.crypto_generichash(32, array, key));
  });

  it("grows the heap as it must, and keeps what it copied out", () => {
    const [key, nonce, none] = [bytes(1), bytes(2, 24), new Uint8Array(0)];
    const small = crypto.seal(key, nonce, none, bytes(3, 100));
    const before = new Uint8Array(small);
    const large = crypto.seal(key, nonce, none, new Uint8Array(60_000_000));
    expect(crypto.open(key, nonce, none, large)?.length).toBe(60_000_000);
    expect(small).toEqual(before);
  });
});

describe("the WebAssembly heap", () => {
  it("keeps nothing of a key or a plaintext that went over it", () => {
    const heap = (): Buffer =>
      Buffer.from((sodium as unknown as { libsodium: { HEAPU8: Uint8Array } }).libsodium.HEAPU8);
    const [key, nonce, secret] = [crypto.randomBytes(32), crypto.randomBytes(24), crypto.randomBytes(200)];
    const sealed = crypto.seal(key, nonce, bytes(1), secret);
    crypto.open(key, nonce, bytes(1), sealed);
    crypto.kdf(key, "message", secret);
    const pair = crypto.signingKeyPair(key);
    crypto.verify(crypto.sign(bytes(3), pair.secretKey), bytes(3), pair.publicKey);
    const kemSeed = crypto.randomBytes(64);
    const kem = crypto.kemKeyPair(secret.slice(0, 32));
    const { ciphertext, sharedSecret } = crypto.kemEncapsulate(kem.publicKey, kemSeed) as {
      ciphertext: Uint8Array;
      sharedSecret: Uint8Array;
    };
    expect(crypto.kemDecapsulate(ciphertext, kem.secretKey)).toEqual(sharedSecret);
    // The wrapper leaves what it was given: so the search finds what is there.
    sodium.crypto_generichash(32, nonce, null);
    expect(heap().includes(Buffer.from(nonce.subarray(16)))).toBe(true);
    // The first bytes of a block are the allocator's once it is free.
    expect(heap().includes(Buffer.from(key.subarray(16)))).toBe(false);
    expect(heap().includes(Buffer.from(secret.subarray(100)))).toBe(false);
    expect(heap().includes(Buffer.from(secret.subarray(16, 32)))).toBe(false);
    expect(heap().includes(Buffer.from(kemSeed.subarray(32)))).toBe(false);
    expect(heap().includes(Buffer.from(sharedSecret.subarray(16)))).toBe(false);
  });

  it("keeps no secret of X25519, neither in bytes nor in limbs", () => {
    const heap = (): Uint8Array => (sodium as unknown as { libsodium: { HEAPU8: Uint8Array } }).libsodium.HEAPU8;
    const { secretKey } = crypto.diffieHellmanKeyPair();
    const other = crypto.diffieHellmanKeyPair();
    const shared = crypto.diffieHellman(secretKey, other.publicKey) as Uint8Array;
    // The stack is at the front.
    expect(hasLimbsOf(heap().subarray(0, 200_000), shared)).toBe(false);
    for (const secret of [secretKey, other.secretKey, shared]) {
      expect(Buffer.from(heap()).includes(Buffer.from(secret.subarray(16)))).toBe(false);
    }
    // The wrapper leaves it: so the search finds what is there.
    sodium.crypto_scalarmult(secretKey, other.publicKey);
    expect(hasLimbsOf(heap().subarray(0, 200_000), shared)).toBe(true);
  });
});

describe("bounds", () => {
  it("of what is too short to be sealed", () => {
    expect(crypto.open(bytes(1), bytes(1, 24), new Uint8Array(0), bytes(1, 15))).toBeUndefined();
  });

  it.each<[string, () => unknown]>([
    ["a key for sealing", () => crypto.seal(bytes(1, 31), bytes(1, 24), bytes(1), bytes(1))],
    ["a nonce for sealing", () => crypto.seal(bytes(1), bytes(1, 23), bytes(1), bytes(1))],
    ["a key for opening", () => crypto.open(bytes(1, 33), bytes(1, 24), bytes(1), bytes(1))],
    ["a nonce for opening", () => crypto.open(bytes(1), bytes(1, 25), bytes(1), bytes(1))],
    ["a key for the KDF", () => crypto.kdf(bytes(1, 16), "message")],
    ["a seed", () => crypto.signingKeyPair(bytes(1, 31))],
    ["a digest", () => crypto.sign(bytes(1, 31), bytes(1, 64))],
    ["a secret key", () => crypto.sign(bytes(1), bytes(1, 32))],
    ["a signature", () => crypto.verify(bytes(1, 63), bytes(1), bytes(1))],
    ["a public key", () => crypto.verify(bytes(1, 64), bytes(1), bytes(1, 31))],
    ["an X25519 secret key for a pair", () => crypto.diffieHellmanKeyPair(bytes(1, 31))],
    ["an X25519 secret key", () => crypto.diffieHellman(bytes(1, 33), bytes(9))],
    ["an X25519 public key", () => crypto.diffieHellman(bytes(1), bytes(9, 31))],
    ["an identity key", () => crypto.isIdentityKey(bytes(1, 31))],
    ["a KEM seed", () => crypto.kemKeyPair(bytes(1, 31))],
    ["a KEM public key", () => crypto.kemEncapsulate(bytes(1, 1215))],
    ["an encapsulation seed", () => crypto.kemEncapsulate(bytes(1, 1216), bytes(1, 63))],
    ["a KEM ciphertext", () => crypto.kemDecapsulate(bytes(1, 1119), bytes(1))],
    ["a KEM secret key", () => crypto.kemDecapsulate(bytes(1, 1120), bytes(1, 31))],
  ])("of %s", (_, call) => {
    expect(thrownBy(call)).toBeInstanceOf(RangeError);
  });

  it.runIf(process.env["STRINGPHONE_BACKEND"] !== "native")("of the heap", () => {
    const huge = { length: 2 ** 31 } as unknown as Uint8Array;
    expect(thrownBy(() => crypto.open(bytes(1), bytes(1, 24), new Uint8Array(0), huge))).toBeInstanceOf(RangeError);
  });
});

describe("X25519", () => {
  const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

  it("gives what RFC 7748 §6.1 gives", () => {
    const alice = crypto.diffieHellmanKeyPair(hex(RFC.alice));
    const bob = crypto.diffieHellmanKeyPair(hex(RFC.bob));
    expect(alice.publicKey).toEqual(hex(RFC.alicePublic));
    expect(bob.publicKey).toEqual(hex(RFC.bobPublic));
    expect(crypto.diffieHellman(alice.secretKey, bob.publicKey)).toEqual(hex(RFC.shared));
    expect(crypto.diffieHellman(bob.secretKey, alice.publicKey)).toEqual(hex(RFC.shared));
  });

  it("gives what RFC 7748 §5.2 gives after 1 and after 1,000 rounds", () => {
    let [k, u] = [hex(`09${"00".repeat(31)}`), hex(`09${"00".repeat(31)}`)];
    for (let round = 1; round <= 1000; round++) {
      [k, u] = [crypto.diffieHellman(k, u) as Uint8Array, k];
      if (round === 1) expect(k).toEqual(hex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"));
    }
    expect(k).toEqual(hex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
  });

  it("makes a fresh secret key, or takes the very one that it is given", () => {
    const [one, other] = [crypto.diffieHellmanKeyPair(), crypto.diffieHellmanKeyPair()];
    expect(one.secretKey).not.toEqual(other.secretKey);
    expect(crypto.diffieHellmanKeyPair(one.secretKey).secretKey).toBe(one.secretKey);
    expect(crypto.diffieHellman(one.secretKey, other.publicKey)).toEqual(
      crypto.diffieHellman(other.secretKey, one.publicKey),
    );
  });

  it.each(LOW_ORDER_ENCODINGS)("refuses the public key of low order %s", (encoding) => {
    for (let i = 0; i < 20; i++) expect(crypto.diffieHellman(crypto.randomBytes(32), hex(encoding))).toBeUndefined();
  });

  it("takes what is not canonical for what it is reduced to, and bit 255 for nothing", () => {
    const secretKey = crypto.randomBytes(32);
    const reduced = (encoding: string): Uint8Array => {
      const u = (BigInt(`0x${Buffer.from(hex(encoding)).reverse().toString("hex")}`) % 2n ** 255n) % (2n ** 255n - 19n);
      return new Uint8Array(Buffer.from(u.toString(16).padStart(64, "0"), "hex").reverse());
    };
    for (const encoding of REDUCED_ENCODINGS) {
      const shared = crypto.diffieHellman(secretKey, hex(encoding));
      expect(shared, encoding).toBeInstanceOf(Uint8Array);
      expect(shared, encoding).toEqual(crypto.diffieHellman(secretKey, reduced(encoding)));
    }
  });
});

describe("X-Wing", () => {
  it("gives both sides one secret, and another for a changed ciphertext", () => {
    const { publicKey, secretKey } = crypto.kemKeyPair(crypto.randomBytes(32));
    const encapsulated = crypto.kemEncapsulate(publicKey);
    expect(crypto.kemDecapsulate(encapsulated?.ciphertext as Uint8Array, secretKey)).toEqual(
      encapsulated?.sharedSecret,
    );
    const changed = new Uint8Array(encapsulated?.ciphertext as Uint8Array);
    changed[0] = (changed[0] as number) ^ 1;
    expect(crypto.kemDecapsulate(changed, secretKey)).not.toEqual(encapsulated?.sharedSecret);
  });

  it("what libsodium throws at becomes undefined", () => {
    expect(crypto.kemEncapsulate(bytes(0xff, 1216))).toBeUndefined();
    expect(crypto.kemDecapsulate(bytes(0, 1120), bytes(1))).toBeUndefined();
  });
});

describe("signatures", () => {
  it("are over a text that no 0.1 signature is over", () => {
    const { publicKey, secretKey } = crypto.signingKeyPair(bytes(1));
    const digest = bytes(2);
    const signature = crypto.sign(digest, secretKey);
    expect(crypto.verify(signature, digest, publicKey)).toBe(true);
    expect(sodium.crypto_sign_verify_detached(signature, digest, publicKey)).toBe(false);
    const raw = sodium.crypto_sign_detached(digest, secretKey);
    expect(crypto.verify(raw, digest, publicKey)).toBe(false);
  });
});

describe("identity keys", () => {
  it("in any of the 38 encodings that are not canonical are refused: y from 2^255 − 19 on, either sign", () => {
    const least = 2n ** 255n - 19n;
    for (let y = least; y < 2n ** 255n; y++) {
      for (const sign of [0n, 2n ** 255n]) {
        const encoding = Buffer.from((y + sign).toString(16).padStart(64, "0"), "hex").reverse();
        expect(crypto.isIdentityKey(new Uint8Array(encoding)), encoding.toString("hex")).toBe(false);
      }
    }
  });
});
