/**
 * The reasons that docs/PROTOCOL.md gives for its rules, each played: what would go wrong, and that it does not. Those of §7
 * (order, watermarks, wills) are played in deliveries.test.ts and replay.test.ts, those of §9 also in discovery.test.ts.
 */
import { createPublicKey, verify as opensslVerify } from "node:crypto";
import sodium from "libsodium-wrappers";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { backend, loadCrypto, sign, signingKeyPair, verify } from "../../src/crypto.js";
import { fingerprint, safetyNumber, Topic } from "../../src/index.js";
import { formatMessage, parse } from "../../src/message.js";
import { expectCode } from "../support/expect.js";
import { encode, openWire, sealPlaintext } from "../support/forge.js";
import { bytes, flipBit, makePair, NAME, START, sponsorNewcomer } from "../support/topics.js";

beforeAll(() => loadCrypto());
afterEach(() => {
  vi.restoreAllMocks();
});

const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex");

describe("§3", () => {
  it("labels: no use of a hash can be passed off as another", async () => {
    const { alice, clock } = await makePair();
    const newcomer = await Topic.create({ name: NAME, clock: clock.read });
    const texts: Buffer[] = [];
    const used = backend();
    const really = used.sign.bind(used);
    vi.spyOn(used, "sign").mockImplementation((signature, text, secretKey) => {
      // A copy: all signatures are made over one array.
      texts.push(Buffer.from(text));
      really(signature, text, secretKey);
    });
    alice.encode("x");
    // A message, a wrap statement, an introduction, a reply.
    sponsorNewcomer(alice, newcomer);
    expect(texts.length).toBe(4);
    for (const text of texts) {
      expect(text.length).toBe(46);
      expect(text.subarray(0, 14).toString()).toBe("stringphone/1 ");
    }
    expect(new Set(texts.map((text) => text.toString("hex"))).size).toBe(texts.length);
  });

  it("one library verifies: OpenSSL takes a signature of a small-order key that libsodium refuses", () => {
    const publicKey = bytes(0);
    publicKey[0] = 1;
    const signature = new Uint8Array(64);
    signature[0] = 1;
    const digest = bytes(7);
    const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), publicKey]);
    const key = createPublicKey({ key: spki, format: "der", type: "spki" });
    const text = Buffer.concat([Buffer.from("stringphone/1 "), digest]);
    expect(opensslVerify(null, text, key, signature)).toBe(true);
    expect(verify(signature, digest, publicKey)).toBe(false);
  });

  it("a seed that also speaks 0.1 gives it no signature that serves here, and the other way round", () => {
    const { publicKey, secretKey } = signingKeyPair(bytes(1));
    const digest = bytes(2);
    const raw = sodium.crypto_sign_detached(digest, secretKey);
    expect(verify(raw, digest, publicKey)).toBe(false);
    expect(sodium.crypto_sign_verify_detached(sign(digest, secretKey), digest, publicKey)).toBe(false);
  });
});

describe("§4", () => {
  it("a fingerprint shows 120 bits, and a safety number 120 of each side", () => {
    const [one, other] = [signingKeyPair(bytes(1)).publicKey, signingKeyPair(bytes(2)).publicKey];
    expect(fingerprint(one).replaceAll("-", "").length * 5).toBe(120);
    expect(safetyNumber(one, other)).toContain(fingerprint(one));
    expect(safetyNumber(one, other)).toContain(fingerprint(other));
  });
});

describe("§5", () => {
  it("one content has one encoding: a second copy in other bytes is refused as malformed, not taken as new", async () => {
    const { alice, bob } = await makePair();
    const wire = alice.encode("x");
    bob.decode(wire);
    // The sequence 0 in two bytes, the array with an indefinite length, a byte more.
    const longer = Buffer.concat([wire.subarray(0, 21), Buffer.from([0x18, 0]), wire.subarray(22)]);
    const indefinite = Buffer.concat([Buffer.from([0x9f]), wire.subarray(1), Buffer.from([0xff])]);
    for (const copy of [longer, indefinite, Buffer.concat([wire, Buffer.from([0])])]) {
      expectCode("MALFORMED_MESSAGE", () => bob.decode(copy));
    }
  });

  it("what is kept is copied: the transport may use its buffer again", async () => {
    const { alice, bob, clock } = await makePair();
    const newcomer = await Topic.create({ name: NAME, clock: clock.read });
    const wire = alice.encode("keep me", { delivery: "state" });
    const received = bob.decode(wire);
    const intro = newcomer.constructIntro({ name: "keep me too" });
    const { introduction } = expectCode("INTRODUCTION", () => bob.decode(intro));
    const again = new Uint8Array(wire);
    wire.fill(0);
    intro.fill(0);
    expect(received?.text()).toBe("keep me");
    expect(introduction.senderKey).toEqual(newcomer.publicKey);
    bob.addParticipant(newcomer.publicKey);
    expectCode("INTRODUCTION_REPLY", () => newcomer.decode(bob.constructReply(introduction)));
    expect(bob.decode(again)?.text()).toBe("keep me");
  });
});

describe("§6", () => {
  it("no message draws a random number, and no two share a nonce", async () => {
    const { alice } = await makePair();
    alice.encode("the first draws a session");
    const random = vi.spyOn(globalThis.crypto, "getRandomValues");
    const nonces = new Set<string>();
    for (let i = 0; i < 300; i++) {
      const message = parse(alice.encode("x", { delivery: i % 2 === 0 ? "event" : "state" }), 1 << 20);
      if (message.type !== "message") throw new Error("not a message");
      nonces.add(`${hex(message.session)} ${message.sequence}`);
    }
    expect(random).not.toHaveBeenCalled();
    expect(nonces.size).toBe(300);
  });

  it("two programs made from one disk draw different sessions, at the same millisecond", async () => {
    const options = { seed: bytes(1), topicKey: bytes(2), name: NAME, clock: () => START };
    const [one, copy] = await Promise.all([Topic.create(options), Topic.create(options)]);
    expect(hex(one.encode("x").slice(9, 21))).not.toBe(hex(copy.encode("x").slice(9, 21)));
  });

  it("an outsider's junk, and a repeated message, cost no signature check", async () => {
    const { alice, bob } = await makePair();
    const wire = alice.encode("x");
    bob.decode(wire);
    const verifying = vi.spyOn(backend(), "verify");
    expectCode("DECRYPTION_FAILED", () => bob.decode(flipBit(alice.encode("y"), 800)));
    expectCode("REPLAY", () => bob.decode(wire));
    expect(verifying).not.toHaveBeenCalled();
    bob.decode(alice.encode("z"));
    expect(verifying).toHaveBeenCalledTimes(1);
  });

  it("everything signed is bound: key, session, sequence, context, delivery, sentAt, payload, signer", async () => {
    const { alice, bob } = await makePair();
    const topicKey = alice.topicKey as Uint8Array;
    const { position, plaintext } = openWire(topicKey, alice.encode("x"));
    const moved: [object, object][] = [
      [{ session: bytes(9, 12) }, {}],
      [{ sequence: 1 }, {}],
      [{}, { delivery: "state" }],
      [{}, { sentAt: plaintext.sentAt + 1 }],
      [{}, { payload: new Uint8Array([1]) }],
      [{}, { payload: new Uint8Array(0) }],
    ];
    for (const [place, content] of moved) {
      const wire = sealPlaintext(topicKey, { ...position, ...place }, { ...plaintext, ...content });
      expectCode("BAD_SIGNATURE", () => bob.decode(wire));
    }
    expect(bob.decode(sealPlaintext(topicKey, position, plaintext))?.text()).toBe("x");
  });
});

describe("§13", () => {
  it("nobody uses up another's sequences, or hides a message, by what travels in clear", async () => {
    const { alice, bob } = await makePair();
    const first = parse(alice.encode("first"), 1 << 20);
    if (first.type !== "message") throw new Error("not a message");
    const keyId = new Uint8Array(4);
    new DataView(keyId.buffer).setUint32(0, first.keyId);
    bob.decode(formatMessage({ ...first, keyId }, first.ciphertext));
    // The broker knows session and key id, and tries every sequence to come, and the last one.
    for (const sequence of [1, 2, 3, 2000, 2 ** 53 - 1]) {
      const ciphertext = new Uint8Array(first.ciphertext);
      expectCode("DECRYPTION_FAILED", () => bob.decode(formatMessage({ ...first, keyId, sequence }, ciphertext)));
    }
    expect(bob.decode(alice.encode("second"))).toMatchObject({ sequence: 1, missed: 0 });
  });

  it("a participant cannot use up another's sequences either: only what verified is remembered", async () => {
    const { alice, bob } = await makePair();
    const topicKey = alice.topicKey as Uint8Array;
    const { position, plaintext } = openWire(topicKey, alice.encode("first"));
    for (const sequence of [0, 1, 2, 2 ** 53 - 1]) {
      expectCode("BAD_SIGNATURE", () =>
        bob.decode(sealPlaintext(topicKey, { ...position, sequence }, { ...plaintext, payload: bytes(1) })),
      );
    }
    const second = alice.encode("second");
    expect(bob.decode(sealPlaintext(topicKey, position, plaintext))).toMatchObject({ missed: undefined });
    expect(bob.decode(second)).toMatchObject({ sequence: 1, missed: 0 });
  });

  it("a message that was refused for its time, delivery or retaining can still be given", async () => {
    const { alice, bob, clock } = await makePair();
    const command = alice.encode("unlock", { delivery: "command" });
    expectCode("RETAINED_COMMAND", () => bob.decode(command, { retained: true }));
    expectCode("UNEXPECTED_DELIVERY", () => bob.decode(command, { delivery: "event" }));
    clock.now += 31_000;
    expectCode("STALE_MESSAGE", () => bob.decode(command));
    clock.now -= 31_000;
    expect(bob.decode(command)?.text()).toBe("unlock");
  });

  it("an introduction of another's key costs tokens, never a place among its own", async () => {
    const { alice, bob } = await makePair();
    const intro = parse(bob.constructIntro(), 0);
    if (intro.type !== "introduction") throw new Error("not an introduction");
    const { identityKey, kemPublicKey, wrapStatement, rejoin, sentAt, signature } = intro;
    const forged = encode([1, 1, identityKey, kemPublicKey, wrapStatement, rejoin, sentAt, "Bob", signature]);
    expectCode("BAD_SIGNATURE", () => alice.decode(forged));
    // It was not remembered as raised: it fails again, and is no replay.
    expectCode("BAD_SIGNATURE", () => alice.decode(forged));
  });
});
