/** Every byte that the original made, in both roles: received, and made again. */
import { describe, expect, it } from "vitest";
import { LegacyIntroductionReplyError, LegacySeed, LegacyTopic, LegacyTopicKey } from "../../src/compat/index.js";
import { parseLegacyWire } from "../../src/compat/wire.js";
import { IntroductionReplyError, StringphoneError, Topic } from "../../src/index.js";
import { expectCode, thrownBy } from "../support/expect.js";
import { hex, legacyVectors, unhex, withRandom } from "../support/legacy.js";
import { flipBit } from "../support/topics.js";

const { participants, messages, rejected, discovery } = legacyVectors;
const topicKey = LegacyTopicKey.from(unhex(legacyVectors.topicKey));

function create(who: keyof typeof participants, options: { topicKey?: LegacyTopicKey; trusts?: string[] } = {}) {
  const { trusts = [], ...rest } = options;
  return LegacyTopic.create({
    seed: LegacySeed.from(unhex(participants[who].seed)),
    participants: trusts.map((key) => unhex(key)),
    ...rest,
  });
}

/** Alice or Bob, who trusts the other. */
const alice = () => create("alice", { topicKey, trusts: [participants.bob.publicKey] });
const bob = () => create("bob", { topicKey, trusts: [participants.alice.publicKey] });
const carol = () => create("carol");

describe("participants", () => {
  it.each(["alice", "bob", "carol"] as const)("%s has her public key and id", async (who) => {
    const topic = await create(who);
    expect(hex(topic.publicKey)).toBe(participants[who].publicKey);
    expect(hex(topic.id)).toBe(participants[who].id);
  });
});

describe.each(messages.map((one, i) => ({ name: `message ${i}, ${one.plaintext.length / 2} bytes`, ...one })))(
  "$name",
  ({ from, plaintext, wire }) => {
    const sender = from === "alice" ? alice : bob;
    const receiver = from === "alice" ? bob : alice;

    it("is received, by those who trust its sender and by nobody else", async () => {
      const received = (await receiver()).decode(unhex(wire));
      expect(hex(received?.payload ?? new Uint8Array(1))).toBe(plaintext);
      expect(hex(received?.sender.publicKey ?? new Uint8Array())).toBe(participants[from].publicKey);
      expect((await sender()).decode(unhex(wire))).toBeNull();
      const stranger = await create("carol", { topicKey });
      expectCode("UNTRUSTED_KEY", () => stranger.decode(unhex(wire)));
      expect(stranger.decode(unhex(wire), { ignoreUntrusted: true })).toBeNull();
      const naive = stranger.decode(unhex(wire), { naive: true });
      expect(hex(naive.payload)).toBe(plaintext);
      expect(hex(naive.claimedSender)).toBe(participants[from].id);
    });

    it("is made again, byte for byte", async () => {
      const topic = await sender();
      const parsed = parseLegacyWire(unhex(wire));
      if (parsed.type !== "message") throw new Error("not a message");
      expect(hex(withRandom([parsed.nonce], () => topic.encode(unhex(plaintext))))).toBe(wire);
    });

    it("is refused when cut at any byte, or when any bit is flipped", async () => {
      const topic = await receiver();
      const bytes = unhex(wire);
      for (let length = 0; length < bytes.length; length++) {
        const cut = thrownBy(() => topic.decode(bytes.subarray(0, length)));
        expect((cut as StringphoneError).code).toBe(length < 121 ? "MALFORMED_MESSAGE" : "BAD_SIGNATURE");
      }
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const { code } = thrownBy(() => topic.decode(flipBit(bytes, bit))) as StringphoneError;
        const place = bit >>> 3;
        if (place === 0) expect(code).toBe("MALFORMED_MESSAGE");
        else expect(code).toBe(place > 64 && place <= 80 ? "UNTRUSTED_KEY" : "BAD_SIGNATURE");
      }
    });

    it("is refused by a version-1 topic, which says who reads it", async () => {
      const topic = await Topic.create();
      expect(expectCode("MALFORMED_MESSAGE", () => topic.decode(unhex(wire))).message).toContain("stringphone/compat");
    });
  },
);

describe("rejected", () => {
  it.each(rejected)("$case: $python", async ({ python, wire, case: name }) => {
    const topic = await bob();
    const isReply = name.includes("construct_reply");
    const error = thrownBy(() => (isReply ? topic.constructReply(unhex(wire)) : topic.decode(unhex(wire))));
    expect(error).toBeInstanceOf(StringphoneError);
    expect((error as StringphoneError).name).toBe(python);
    // What 0.1 found out only when it answered, compat says before it asks a person.
    expect((thrownBy(() => topic.decode(unhex(wire))) as StringphoneError).name).toBe(python);
  });
});

describe.each(discovery.map((one, i) => ({ name: `discovery ${i}`, ...one })))("$name", (one) => {
  const intro = unhex(one.intro);
  const reply = unhex(one.reply);
  const parsed = parseLegacyWire(reply);
  if (parsed.type !== "reply") throw new Error("not a reply");

  /** Carol, who has just sent the introduction of this case. */
  async function newcomer(): Promise<LegacyTopic> {
    const topic = await carol();
    const made = withRandom([unhex(one.newcomerEncryptionPrivateKey)], () => topic.constructIntro());
    expect(hex(made)).toBe(one.intro);
    return topic;
  }

  it("the sponsor hears the introduction and makes the reply, byte for byte", async () => {
    const sponsor = await alice();
    const { introduction } = expectCode("INTRODUCTION", () => sponsor.decode(intro));
    expect(hex(introduction.senderKey)).toBe(one.introSenderKey);
    expectCode("UNTRUSTED_KEY", () => sponsor.constructReply(introduction));
    sponsor.addParticipant(introduction.senderKey);
    for (const given of [introduction, intro]) {
      const random = [unhex(one.sponsorEncryptionPrivateKey), parsed.nonce];
      expect(hex(withRandom(random, () => sponsor.constructReply(given)))).toBe(one.reply);
    }
    expect(sponsor.decode(reply)).toBeNull();
  });

  it("the newcomer makes the introduction, byte for byte, and adopts the topic key of the reply", async () => {
    const topic = await newcomer();
    expect(topic.decode(intro)).toBeNull();
    const error = expectCode("INTRODUCTION_REPLY", () => topic.decode(reply));
    expect(error).toBeInstanceOf(IntroductionReplyError);
    expect(error).toBeInstanceOf(LegacyIntroductionReplyError);
    expect(hex(error.reply.senderKey)).toBe(one.replySenderKey);
    expect(hex(parsed.recipientId)).toBe(one.replyRecipientId);
    expect(topic.parseReply(error.reply)).toBe(true);
    expect(hex(topic.topicKey?.bytes ?? new Uint8Array())).toBe(one.topicKey);
    const again = await newcomer();
    expect(again.parseReply(reply)).toBe(true);
    expect(hex(again.topicKey?.bytes ?? new Uint8Array())).toBe(one.topicKey);
  });

  it("an introduction is refused when cut at any byte, or when any bit is flipped", async () => {
    // Another sponsor now and then: only so many introductions are taken at once.
    for (let bit = 0; bit < intro.length * 8; bit++) {
      const sponsor = await alice();
      const codes = ["BAD_SIGNATURE", "INVALID_KEY", ...(bit < 8 ? ["MALFORMED_MESSAGE"] : [])];
      expect(codes).toContain((thrownBy(() => sponsor.decode(flipBit(intro, bit))) as StringphoneError).code);
      expect(codes).toContain((thrownBy(() => sponsor.constructReply(flipBit(intro, bit))) as StringphoneError).code);
    }
    const sponsor = await alice();
    for (let length = 0; length < intro.length; length++) {
      expectCode("MALFORMED_MESSAGE", () => sponsor.decode(intro.subarray(0, length)));
    }
    expectCode("MALFORMED_MESSAGE", () => sponsor.decode(Uint8Array.of(...intro, 0)));
  });

  it("a reply is refused when cut at any byte, or when any bit is flipped, but for the name of the sponsor", async () => {
    const topic = await newcomer();
    const nameAt = reply.length - 32;
    for (let bit = 0; bit < nameAt * 8; bit++) {
      const { code } = thrownBy(() => topic.parseReply(flipBit(reply, bit))) as StringphoneError;
      const place = bit >>> 3;
      if (place === 0) expect(code).toBe("MALFORMED_MESSAGE");
      else if (place <= 16) expect(code).toBe("FOREIGN_REPLY");
      else if (place <= 88) expect(code).toBe("DECRYPTION_FAILED");
      else expect(["DECRYPTION_FAILED", "INVALID_KEY"]).toContain(code);
    }
    for (let length = 0; length < reply.length; length++) {
      expectCode("MALFORMED_MESSAGE", () => topic.decode(reply.subarray(0, length)));
    }
    expectCode("MALFORMED_MESSAGE", () => topic.decode(Uint8Array.of(...reply, 0)));
    expect(topic.topicKey).toBeUndefined();
    // Nothing signs the name: docs/COMPAT.md says so, and `sponsor` is the remedy.
    const renamed = Uint8Array.of(...reply.subarray(0, nameAt), ...unhex(participants.bob.publicKey));
    const { reply: claimed } = expectCode("INTRODUCTION_REPLY", () => topic.decode(renamed));
    expect(hex(claimed.senderKey)).toBe(participants.bob.publicKey);
    expectCode("UNTRUSTED_KEY", () => topic.parseReply(renamed, { sponsor: unhex(participants.bob.publicKey) }));
    expectCode("UNTRUSTED_KEY", () => topic.parseReply(renamed, { sponsor: unhex(participants.alice.publicKey) }));
    expect(topic.topicKey).toBeUndefined();
  });
});
