/**
 * What is weak in 0.1, played against LegacyTopic: first what compat mends, then what the wire makes impossible to mend and
 * docs/COMPAT.md §5 lists. A test of the second kind that fails is good news, and the list is then to be shortened.
 */
import { describe, expect, it } from "vitest";
import { LegacyTopic, type LegacyTopicKey } from "../../src/compat/index.js";
import { LegacyIdentity } from "../../src/compat/legacy-crypto.js";
import { formatMessage, parse } from "../../src/compat/wire.js";
import type { StringphoneError } from "../../src/index.js";
import { expectCode, thrownBy } from "../support/expect.js";
import { hex, legacyKey, legacySeed, makeLegacyPair, sponsorLegacy } from "../support/legacy.js";
import { bytes } from "../support/topics.js";

/** A message in its parts. */
function messageOf(wire: Uint8Array) {
  const parsed = parse(wire, 1000);
  if (parsed.type !== "message") throw new Error("not a message");
  return parsed;
}

describe("mended", () => {
  it("a forged introduction is not raised, so it cannot bring back a key that was removed", async () => {
    const { alice, bob } = await makeLegacyPair();
    const mallory = await LegacyTopic.create();
    alice.removeParticipant(bob.publicKey);
    const forged = mallory.constructIntro();
    forged.set(bob.publicKey, 1);
    expectCode("BAD_SIGNATURE", () => alice.decode(forged));
    expectCode("BAD_SIGNATURE", () => alice.constructReply(forged));
    expect(alice.participants).toEqual([]);
  });

  it("who introduces itself can be compared by its fingerprint, on both screens", async () => {
    const { alice } = await makeLegacyPair();
    const [newcomer, middle] = [await LegacyTopic.create(), await LegacyTopic.create()];
    const shown = (intro: Uint8Array) => expectCode("INTRODUCTION", () => alice.decode(intro)).introduction.fingerprint;
    expect(shown(middle.constructIntro())).not.toBe(shown(newcomer.constructIntro()));
  });

  it("the X25519 key of an introduction is its own, and gone with the reply", async () => {
    const { alice } = await makeLegacyPair();
    const newcomer = await LegacyTopic.create();
    const [first, second] = [newcomer.constructIntro(), newcomer.constructIntro()];
    expect(first.slice(97)).not.toEqual(second.slice(97));
    const reply = sponsorLegacy(alice, newcomer, second);
    newcomer.parseReply(reply);
    newcomer.topicKey = undefined;
    expectCode("FOREIGN_REPLY", () => newcomer.parseReply(reply));
  });

  it("the X25519 key of a reply is its own too, unless the sponsor has announced one", async () => {
    const { alice } = await makeLegacyPair();
    const newcomer = await LegacyTopic.create();
    const keyOf = (reply: Uint8Array) => hex(reply.slice(89, 121));
    const intro = newcomer.constructIntro();
    expect(keyOf(sponsorLegacy(alice, newcomer, intro))).not.toBe(keyOf(sponsorLegacy(alice, newcomer, intro)));
    const announced = hex(alice.constructIntro().slice(97));
    expect(keyOf(sponsorLegacy(alice, newcomer, intro))).toBe(announced);
    alice.topicKey = legacyKey(7);
    expect(keyOf(sponsorLegacy(alice, newcomer, intro))).not.toBe(announced);
  });

  it("null means one thing; an empty payload, a stranger and a newcomer are something else", async () => {
    const { alice, bob } = await makeLegacyPair();
    expect(bob.decode(alice.encode(""))?.payload).toEqual(new Uint8Array(0));
    expect(alice.decode(alice.encode("own"))).toBeNull();
    const keyless = await LegacyTopic.create();
    expectCode("INTRODUCTION", () => keyless.decode(bob.constructIntro()));
    const reply = sponsorLegacy(alice, keyless);
    expectCode("FOREIGN_REPLY", () => bob.decode(reply));
    expectCode("MALFORMED_MESSAGE", () => bob.decode(new Uint8Array(0)));
  });

  it("a failed key change leaves everything as it was, and no list is shared", async () => {
    const { alice, bob } = await makeLegacyPair();
    for (const wrong of [bytes(1), "k".repeat(32), null, {}]) {
      const change = () => {
        bob.topicKey = wrong as unknown as LegacyTopicKey;
      };
      expect(thrownBy(change)).toBeInstanceOf(TypeError);
    }
    expect(bob.decode(alice.encode("x"))?.text()).toBe("x");
    (bob.participants as unknown[]).length = 0;
    expect(bob.participants.length).toBe(1);
  });

  it("no raw error of a library escapes", async () => {
    const { alice } = await makeLegacyPair();
    for (let length = 0; length < 300; length++) {
      for (const type of [0x73, 0x69, 0x72, 0x00]) {
        const junk = Uint8Array.from({ length }, (_, i) => (i === 0 ? type : (i * 7919 + length) & 0xff));
        expect((thrownBy(() => alice.decode(junk)) as StringphoneError).code).toMatch(/^[A-Z_]+$/);
      }
    }
  });
});

describe("what stays weak", () => {
  it("a message that was held back is accepted whenever it comes first", async () => {
    const { alice, bob } = await makeLegacyPair({ replayMemory: 100 });
    const old = alice.encode("open the door");
    for (let i = 0; i < 50; i++) bob.decode(alice.encode("later"));
    expect(bob.decode(old)?.text()).toBe("open the door");
  });

  it("after a restart of the receiver, everything that was recorded is accepted again", async () => {
    const { alice, bob } = await makeLegacyPair({ replayMemory: 100 });
    const wire = alice.encode("open the door");
    bob.decode(wire);
    const { bob: restarted } = await makeLegacyPair({ replayMemory: 100 });
    expect(restarted.decode(wire)?.text()).toBe("open the door");
  });

  it("a message is accepted on any topic that has this key", async () => {
    const { alice } = await makeLegacyPair();
    const garage = await LegacyTopic.create({ topicKey: legacyKey(1), participants: [alice.publicKey] });
    expect(garage.decode(alice.encode("open"))?.text()).toBe("open");
  });

  it("a trusted participant can send what it copied in its own name, even without the topic key", async () => {
    const { alice, bob } = await makeLegacyPair({ replayMemory: 100 });
    const mallory = new LegacyIdentity(bytes(9));
    bob.addParticipant(mallory.participant.publicKey);
    const wire = alice.encode("open");
    const { nonce, box } = messageOf(wire);
    const copied = formatMessage({ claimedSenderId: mallory.participant.id, nonce, box }, (text) => mallory.sign(text));
    const received = bob.decode(copied);
    expect(received?.text()).toBe("open");
    // In its own name and no other, and what Alice sent still comes.
    expect(received?.sender.publicKey).toEqual(mallory.participant.publicKey);
    expect(bob.decode(wire)?.sender.publicKey).toEqual(alice.publicKey);
  });

  it("everybody sees who speaks, and how much", async () => {
    const { alice } = await makeLegacyPair();
    const wire = alice.encode("x");
    expect(messageOf(wire).claimedSenderId).toEqual(alice.id);
    expect(wire.length).toBe(122);
  });

  it("an introduction is valid for ever and everywhere, also one of somebody who was removed", async () => {
    const { alice, bob } = await makeLegacyPair();
    const intro = bob.constructIntro();
    alice.removeParticipant(bob.publicKey);
    for (let i = 0; i < 2; i++) {
      expect(expectCode("INTRODUCTION", () => alice.decode(intro)).introduction.standing).toBe("unknown");
    }
    const elsewhere = await LegacyTopic.create({ topicKey: legacyKey(8) });
    expectCode("INTRODUCTION", () => elsewhere.decode(intro));
  });

  it("anybody who heard an introduction can hand out a topic key of his own, in anybody's name", async () => {
    const { alice } = await makeLegacyPair();
    const mallory = await LegacyTopic.create({ topicKey: legacyKey(66), seed: legacySeed(66) });
    const newcomer = await LegacyTopic.create();
    const forged = sponsorLegacy(mallory, newcomer);
    forged.set(alice.publicKey, 121);
    const { reply } = expectCode("INTRODUCTION_REPLY", () => newcomer.decode(forged));
    expect(reply.senderKey).toEqual(alice.publicKey);
    newcomer.parseReply(reply);
    newcomer.addParticipant(alice.publicKey);
    expect(newcomer.topicKey?.bytes).toEqual(bytes(66));
    // It shows when the first message of the true sponsor comes: it does not open.
    expectCode("DECRYPTION_FAILED", () => newcomer.decode(alice.encode("welcome")));
  });

  it("who was removed reads on", async () => {
    const { alice, bob } = await makeLegacyPair();
    alice.removeParticipant(bob.publicKey);
    expect(bob.decode(alice.encode("secret"))?.text()).toBe("secret");
  });
});
