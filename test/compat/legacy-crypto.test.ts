import sodium from "libsodium-wrappers";
import { beforeAll, describe, expect, it } from "vitest";
import {
  agree,
  agreementKeyPair,
  LegacyIdentity,
  openBox,
  sealBox,
  verifyRaw,
} from "../../src/compat/legacy-crypto.js";
import { loadCrypto, randomBytes, signingKeyPair } from "../../src/crypto.js";
import { thrownBy } from "../support/expect.js";
import { bytes } from "../support/topics.js";

beforeAll(() => loadCrypto());

describe("what goes around libsodium's wrapper gives what the wrapper gives", () => {
  it.each([0, 1, 15, 16, 63, 64, 65, 1000, 200_000])("a box of %d bytes", (length) => {
    const [key, nonce] = [randomBytes(32), randomBytes(24)];
    const plaintext = Uint8Array.from({ length }, (_, i) => (i * i + i) >>> 3);
    const box = sodium.crypto_secretbox_easy(plaintext, nonce, key);
    expect(sealBox(key, nonce, plaintext)).toEqual(box);
    expect(openBox(key, nonce, box)).toEqual(plaintext);
    const flipped = new Uint8Array(box);
    flipped[length] = (flipped[length] as number) ^ 1;
    expect(openBox(key, nonce, flipped)).toBeUndefined();
    expect(openBox(bytes(1), nonce, box)).toBeUndefined();
  });

  it("crypto_box between two key pairs, from both ends", () => {
    const [one, other] = [agreementKeyPair(), agreementKeyPair()];
    const nonce = randomBytes(24);
    expect(one.publicKey).toEqual(sodium.crypto_scalarmult_base(one.secretKey));
    const box = sodium.crypto_box_easy(bytes(7), nonce, other.publicKey, one.secretKey);
    expect(openBox(agree(one.publicKey, other.secretKey), nonce, box)).toEqual(bytes(7));
    expect(sealBox(agree(other.publicKey, one.secretKey), nonce, bytes(7))).toEqual(box);
  });

  it("a signature over raw bytes", () => {
    const { publicKey, secretKey } = signingKeyPair(bytes(1));
    const identity = new LegacyIdentity(bytes(1));
    expect(identity.participant.publicKey).toEqual(publicKey);
    for (const text of [new Uint8Array(0), bytes(2), randomBytes(60_000)]) {
      const signature = sodium.crypto_sign_detached(text, secretKey);
      expect(identity.sign(text)).toEqual(signature);
      expect(verifyRaw(signature, text, publicKey)).toBe(true);
      expect(verifyRaw(signature, Uint8Array.of(...bytes(3, 4), ...text.subarray(0, 5)), publicKey)).toBe(false);
    }
    const neutral = Uint8Array.of(1, ...new Uint8Array(31));
    expect(verifyRaw(Uint8Array.of(...neutral, ...new Uint8Array(32)), bytes(2), neutral)).toBe(false);
  });
});

describe("the WebAssembly heap", () => {
  it("keeps nothing of a key or a plaintext that went over it", () => {
    const heap = (): Buffer =>
      Buffer.from((sodium as unknown as { libsodium: { HEAPU8: Uint8Array } }).libsodium.HEAPU8);
    const [key, nonce, secret, seed] = [randomBytes(32), randomBytes(24), randomBytes(200), randomBytes(32)];
    openBox(key, nonce, sealBox(key, nonce, secret));
    const identity = new LegacyIdentity(seed);
    identity.sign(secret);
    const { publicKey, secretKey } = agreementKeyPair();
    const agreed = agree(
      identity.participant.publicKey.map((byte, i) => (i === 31 ? byte & 0x3f : byte)),
      secretKey,
    );
    sodium.crypto_generichash(32, publicKey, null);
    expect(heap().includes(Buffer.from(publicKey.subarray(16)))).toBe(true);
    // The first bytes of a block are the allocator's once it is free.
    for (const value of [key, secret, seed, secretKey, agreed]) {
      expect(heap().includes(Buffer.from(value.subarray(16)))).toBe(false);
    }
  });

  it("has its bounds", () => {
    const huge = { length: 1.5 * 2 ** 30 } as unknown as Uint8Array;
    expect(thrownBy(() => openBox(bytes(1), bytes(1, 24), huge))).toBeInstanceOf(RangeError);
  });
});

describe("X25519 keys", () => {
  it("in any of the 19 encodings that are not canonical are refused, and the last canonical one is not", () => {
    const prime = 2n ** 255n - 19n;
    const little = (value: bigint) =>
      new Uint8Array(Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse());
    for (let value = prime; value < 2n ** 255n; value++) {
      expect((thrownBy(() => agree(little(value), bytes(1))) as { code?: string }).code).toBe("INVALID_KEY");
    }
    for (const value of [9n, prime - 2n, prime - 3n, 2n ** 254n + 1n]) {
      expect(agree(little(value), bytes(1)).length).toBe(32);
      const face = little(value + 2n ** 255n);
      expect((thrownBy(() => agree(face, bytes(1))) as { code?: string }).code).toBe("INVALID_KEY");
    }
  });
});
