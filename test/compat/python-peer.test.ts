/** LegacyTopic and a Python device of 0.1 talk to each other, discovery included. Needs Python with PyNaCl: python3-nacl of Debian. */
import { randomBytes, randomInt } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bridge, LegacyTopic, LegacyTopicKey } from "../../src/compat/index.js";
import { generateTopicKey, Topic } from "../../src/index.js";
import { expectCode } from "../support/expect.js";
import { hex, legacyVectors, sponsorLegacy, unhex } from "../support/legacy.js";
import { requirePython } from "../support/programs.js";
import { flipBit } from "../support/topics.js";
import { PythonPeer } from "./python-peer.js";

const python = requirePython("nacl", "python3-nacl");
const MESSAGES = 200;
const LENGTHS = [0, 1, 15, 16, 63, 64, 65, 1000, 70_000];

/** Bytes of a length that is likely to find a mistake, or any length. */
function randomPayload(i: number): Uint8Array {
  return new Uint8Array(randomBytes(LENGTHS[i] ?? randomInt(0, 2000)));
}

describe.skipIf(python === undefined)("a Python device", () => {
  let peer: PythonPeer;

  beforeAll(() => {
    peer = new PythonPeer(python as string);
  });

  afterAll(async () => {
    expect(await peer.close()).toBe(0);
  });

  async function makePair() {
    const topicKey = LegacyTopicKey.generate();
    const device = await peer.device("device", randomBytes(32), topicKey.bytes);
    const topic = await LegacyTopic.create({ topicKey, participants: [device.publicKey], replayMemory: MESSAGES });
    await device.trust(topic.publicKey);
    return { device, topic, topicKey };
  }

  it("reads what the original has made, so that it is a fair judge", async () => {
    const { participants, messages, topicKey } = legacyVectors;
    for (const { from, plaintext, wire } of messages) {
      const reader = from === "alice" ? "bob" : "alice";
      const device = await peer.device(reader, unhex(participants[reader].seed), unhex(topicKey));
      expect(hex(device.publicKey)).toBe(participants[reader].publicKey);
      await device.trust(unhex(participants[from].publicKey));
      const { payload, sender } = await device.decode(unhex(wire));
      expect(hex(payload as Uint8Array)).toBe(plaintext);
      expect(hex(sender as Uint8Array)).toBe(participants[from].id);
    }
  });

  it(`is understood: ${MESSAGES} random messages`, async () => {
    const { device, topic } = await makePair();
    for (let i = 0; i < MESSAGES; i++) {
      const payload = randomPayload(i);
      const wire = await device.encode(payload);
      const received = topic.decode(wire);
      expect(hex(received?.payload as Uint8Array)).toBe(hex(payload));
      expect(received?.sender.publicKey).toEqual(device.publicKey);
      expectCode("REPLAY", () => topic.decode(wire));
    }
  });

  it(`understands: ${MESSAGES} random messages`, async () => {
    const { device, topic } = await makePair();
    for (let i = 0; i < MESSAGES; i++) {
      const payload = randomPayload(i);
      const { payload: decoded, sender } = await device.decode(topic.encode(payload));
      expect(hex(decoded as Uint8Array)).toBe(hex(payload));
      expect(sender).toEqual(topic.id);
    }
  });

  it("and LegacyTopic refuse the same forgeries", async () => {
    const { device, topic, topicKey } = await makePair();
    const fromDevice = await device.encode(randomPayload(4));
    const fromTopic = topic.encode(randomPayload(4));
    const reasons: Record<string, string> = { UNTRUSTED_KEY: "UntrustedKey", BAD_SIGNATURE: "BadSignature" };
    for (let bit = 8; bit < fromDevice.length * 8; bit += 13) {
      const place = bit >>> 3;
      const code = place > 64 && place <= 80 ? "UNTRUSTED_KEY" : "BAD_SIGNATURE";
      expectCode(code, () => topic.decode(flipBit(fromDevice, bit)));
      await expect(device.decode(flipBit(fromTopic, bit))).rejects.toThrow(reasons[code]);
    }
    // Signed by somebody trusted, under another topic key.
    const elsewhere = await peer.device("elsewhere", randomBytes(32), LegacyTopicKey.generate().bytes);
    topic.addParticipant(elsewhere.publicKey);
    const wire = await elsewhere.encode(randomPayload(3));
    expectCode("DECRYPTION_FAILED", () => topic.decode(wire));
    const other = await LegacyTopic.create({ topicKey: LegacyTopicKey.generate() });
    await device.trust(other.publicKey);
    await expect(device.decode(other.encode("x"))).rejects.toThrow("Decryption");
    expect(topicKey.bytes).toEqual(topic.topicKey?.bytes);
  });

  it("as newcomer gets the topic key from LegacyTopic", async () => {
    const topicKey = LegacyTopicKey.generate();
    const sponsor = await LegacyTopic.create({ topicKey });
    const newcomer = await peer.device("newcomer", randomBytes(32));
    const intro = await newcomer.introduce();
    const { introduction } = expectCode("INTRODUCTION", () => sponsor.decode(intro));
    expect(introduction.senderKey).toEqual(newcomer.publicKey);
    sponsor.addParticipant(introduction.senderKey);
    const adopted = await newcomer.adopt(sponsor.constructReply(introduction));
    expect(adopted).toEqual({ topicKey: topicKey.bytes, sponsor: sponsor.publicKey });
    await newcomer.trust(sponsor.publicKey);
    expect((await newcomer.decode(sponsor.encode("welcome")))["payload"]).toEqual(new TextEncoder().encode("welcome"));
    expect(sponsor.decode(await newcomer.encode(new TextEncoder().encode("thanks")))?.text()).toBe("thanks");
    // It repeats its introduction byte for byte, and may be answered again.
    expect(await newcomer.introduce()).toEqual(intro);
    expect(expectCode("INTRODUCTION", () => sponsor.decode(intro)).introduction.standing).toBe("pinned");
    await newcomer.adopt(sponsor.constructReply(intro));
    // A reply to somebody else is none to it.
    const stranger = await LegacyTopic.create();
    await expect(newcomer.adopt(sponsorLegacy(sponsor, stranger))).rejects.toThrow("Recipient");
  });

  it("as sponsor gives the topic key to LegacyTopic, which knows it once it introduced itself", async () => {
    const topicKey = LegacyTopicKey.generate();
    const sponsor = await peer.device("sponsor", randomBytes(32), topicKey.bytes);
    const newcomer = await LegacyTopic.create();
    const reply = await sponsor.answer(newcomer.constructIntro());
    const before = expectCode("INTRODUCTION_REPLY", () => newcomer.decode(reply));
    expect(before.reply).toMatchObject({ senderKey: sponsor.publicKey, isAuthenticated: false });
    expectCode("UNTRUSTED_KEY", () => newcomer.parseReply(reply, { sponsor: sponsor.publicKey }));
    const intro = await sponsor.introduce();
    expectCode("INTRODUCTION", () => newcomer.decode(intro));
    expect(expectCode("INTRODUCTION_REPLY", () => newcomer.decode(reply)).reply).toMatchObject({
      isAuthenticated: true,
    });
    expect(newcomer.parseReply(reply, { sponsor: sponsor.publicKey })).toBe(true);
    expect(newcomer.topicKey?.bytes).toEqual(topicKey.bytes);
    newcomer.addParticipant(sponsor.publicKey);
    expect(newcomer.decode(await sponsor.encode(new TextEncoder().encode("hi")))?.text()).toBe("hi");
  });

  it("talks over a bridge with a version-1 topic", async () => {
    const { device, topic: legacy } = await makePair();
    const app = await Topic.create({ topicKey: generateTopicKey(), name: "home" });
    const topic = await Topic.create({ topicKey: app.topicKey!, name: "home", participants: [app.publicKey] });
    app.addParticipant(topic.publicKey);
    const { toTopic, toLegacy } = bridge({ legacy, topic });
    const wire = toTopic(await device.encode(new TextEncoder().encode("21.5 °C")));
    expect(app.decode(wire as Uint8Array)?.text()).toBe("21.5 °C");
    const [back] = toLegacy(app.encode("light on"));
    expect((await device.decode(back as Uint8Array))["payload"]).toEqual(new TextEncoder().encode("light on"));
  });
});
