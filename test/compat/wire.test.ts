import { describe, expect, it } from "vitest";
import { LegacyTopic, parseLegacyWire } from "../../src/compat/index.js";
import { parse } from "../../src/compat/wire.js";
import { Topic } from "../../src/index.js";
import { expectCode, thrownBy } from "../support/expect.js";
import { legacyVectors, makeLegacyPair, sponsorLegacy, unhex } from "../support/legacy.js";
import { bytes } from "../support/topics.js";

describe("the fields of each type", () => {
  it("of a message", async () => {
    const { alice } = await makeLegacyPair();
    const wire = alice.encode("Hi!");
    const parsed = parseLegacyWire(wire);
    expect(parsed).toEqual({
      type: "message",
      signature: wire.slice(1, 65),
      claimedSenderId: alice.id,
      nonce: wire.slice(81, 105),
      box: wire.slice(105),
      signed: wire.slice(65),
    });
    expect(wire.length).toBe(121 + 3);
  });

  it("of an introduction", async () => {
    const { alice } = await makeLegacyPair();
    const wire = alice.constructIntro();
    expect(parseLegacyWire(wire)).toEqual({
      type: "introduction",
      claimedSenderKey: alice.publicKey,
      claimedSenderId: alice.id,
      signature: wire.slice(33, 97),
      encryptionKey: wire.slice(97),
    });
  });

  it("of a reply", async () => {
    const { alice } = await makeLegacyPair();
    const newcomer = await LegacyTopic.create();
    const wire = sponsorLegacy(alice, newcomer);
    expect(parseLegacyWire(wire)).toEqual({
      type: "reply",
      recipientId: newcomer.id,
      nonce: wire.slice(17, 41),
      box: wire.slice(41, 89),
      encryptionKey: wire.slice(89, 121),
      claimedSenderKey: alice.publicKey,
      claimedSenderId: alice.id,
    });
  });

  it("share nothing with the bytes, and nothing with each other", () => {
    const wire = unhex(legacyVectors.messages[0]?.wire as string);
    const parsed = parseLegacyWire(wire);
    const before = JSON.stringify(parsed);
    wire.fill(0);
    expect(JSON.stringify(parsed)).toBe(before);
    if (parsed.type !== "message") throw new Error("not a message");
    parsed.signed.fill(0);
    expect(parsed.box).not.toEqual(new Uint8Array(parsed.box.length));
  });
});

describe("bytes that are none of 0.1", () => {
  it("are malformed, and the message says what was expected and what came", async () => {
    const v1 = (await Topic.create({ topicKey: bytes(1) })).encode("x");
    const wire = legacyVectors.messages[0]?.wire as string;
    for (const [given, said] of [
      [new Uint8Array(0), "in clear"],
      [bytes(0x75, 121), "in clear"],
      [new TextEncoder().encode("hello"), "in clear"],
      [v1, "Topic of stringphone reads"],
      [new TextEncoder().encode(wire), "decode the hex first"],
      [new TextEncoder().encode("69ab"), "decode the hex first"],
      [new TextEncoder().encode("72ab"), "decode the hex first"],
      [bytes(0x73, 120), "at least 121 bytes, got 120"],
      [bytes(0x69, 128), "129 bytes, got 128"],
      [bytes(0x69, 130), "129 bytes, got 130"],
      [bytes(0x72, 152), "153 bytes, got 152"],
      [bytes(0x72, 154), "153 bytes, got 154"],
    ] as const) {
      expect(expectCode("MALFORMED_MESSAGE", () => parseLegacyWire(given)).message).toContain(said);
    }
    expect(thrownBy(() => parseLegacyWire("s" as unknown as Uint8Array))).toBeInstanceOf(TypeError);
  });

  it("are too large by the payload that they would have", () => {
    expect(parse(bytes(0x73, 131), 10).type).toBe("message");
    expect(expectCode("MESSAGE_TOO_LARGE", () => parse(bytes(0x73, 132), 10)).length).toBe(11);
  });
});

describe("a version-1 topic", () => {
  it("names compat for what looks like 0.1, and only for that", async () => {
    const topic = await Topic.create();
    const said = (given: Uint8Array) => expectCode("MALFORMED_MESSAGE", () => topic.decode(given)).message;
    for (const given of [bytes(0x73, 121), bytes(0x73, 5000), bytes(0x69, 129), bytes(0x72, 153)]) {
      expect(said(given)).toContain("stringphone/compat");
    }
    for (const given of [bytes(0x73, 120), bytes(0x69, 128), bytes(0x72, 154), bytes(0x75, 121), bytes(0x7b, 200)]) {
      expect(said(given)).not.toContain("stringphone/compat");
    }
  });
});
