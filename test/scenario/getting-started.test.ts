/** The flows of the "Getting started" and "Discovery" pages of stringphone 0.1, in the same order of calls. */
import { describe, expect, it } from "vitest";
import { fingerprint, generateSigningKeySeed, generateTopicKey, Topic } from "../../src/index.js";
import { expectCode } from "../support/expect.js";
import { NAME } from "../support/topics.js";

describe("getting started", () => {
  it("goes from no trust over naive and ignored to trusted, both ways", async () => {
    const topicKey = generateTopicKey();
    const alice = await Topic.create({ seed: generateSigningKeySeed(), topicKey, name: NAME });
    const bob = await Topic.create({ seed: generateSigningKeySeed(), topicKey, name: NAME });

    const aliceMessage = alice.encode("Hi Bob!");
    const { claimedSender } = expectCode("UNTRUSTED_KEY", () => bob.decode(aliceMessage));
    expect(claimedSender).toEqual(alice.id.slice(0, 8));

    const naive = bob.decode(aliceMessage, { naive: true });
    expect(naive.text()).toBe("Hi Bob!");
    expect(naive.claimedSender).toEqual(alice.id.slice(0, 8));
    expect(Object.keys(naive).sort()).toEqual(["claimedSender", "payload"]);

    expect(bob.decode(aliceMessage, { ignoreUntrusted: true })).toBeNull();

    bob.addParticipant(alice.publicKey);
    const received = bob.decode(aliceMessage);
    expect(received?.text()).toBe("Hi Bob!");
    expect(received?.sender.publicKey).toEqual(alice.publicKey);
    expect(received?.delivery).toBe("event");
    expect(received?.sequence).toBe(0);
    expect(received?.missed).toBeUndefined();
    expect(received?.replayed).toBe(false);

    const bobMessage = bob.encode("Hey Alice!");
    expectCode("UNTRUSTED_KEY", () => alice.decode(bobMessage));
    alice.addParticipant(bob.publicKey);
    expect(alice.decode(bobMessage)?.text()).toBe("Hey Alice!");
  });

  it("removes a participant, by key and by id", async () => {
    const topicKey = generateTopicKey();
    const alice = await Topic.create({ topicKey });
    const bob = await Topic.create({ topicKey, participants: [alice.publicKey] });
    expect(bob.removeParticipant(alice.publicKey)).toBe(true);
    expect(bob.removeParticipant(alice.publicKey)).toBe(false);
    expectCode("UNTRUSTED_KEY", () => bob.decode(alice.encode("x")));
    bob.addParticipant(alice.publicKey);
    expect(bob.removeParticipant(alice.id)).toBe(true);
    expect(bob.participants).toEqual([]);
  });
});

describe("discovery", () => {
  it("goes introduction, trust, reply, parseReply, trust, and both talk", async () => {
    const alice = await Topic.create({ topicKey: generateTopicKey(), name: NAME });
    const bob = await Topic.create({ name: NAME });

    const intro = bob.constructIntro({ name: "Bob's phone" });
    const { introduction } = expectCode("INTRODUCTION", () => alice.decode(intro));
    expect(introduction.senderKey).toEqual(bob.publicKey);
    expect(introduction.senderId).toEqual(bob.id);
    expect(introduction.name).toBe("Bob's phone");
    expect(introduction.standing).toBe("unknown");
    // What the person compares with Bob's screen.
    expect(introduction.fingerprint).toBe(fingerprint(bob.publicKey));

    // Not before the person said so.
    expectCode("UNTRUSTED_KEY", () => alice.constructReply(introduction));
    alice.addParticipant(introduction.senderKey);
    const answer = alice.constructReply(introduction);

    const { reply } = expectCode("INTRODUCTION_REPLY", () => bob.decode(answer));
    expect(reply.fingerprint).toBe(fingerprint(alice.publicKey));
    expect(reply.standing).toBe("unknown");
    expect(bob.topicKey).toBeUndefined();
    expect(bob.parseReply(reply)).toBe(true);
    expect(bob.topicKey).toEqual(alice.topicKey);
    bob.addParticipant(reply.senderKey);

    expect(alice.decode(bob.encode("Hey, Alice! Thanks for the key!"))?.text()).toBe("Hey, Alice! Thanks for the key!");
    expect(bob.decode(alice.encode("Hey Bob! No problem!"))?.text()).toBe("Hey Bob! No problem!");
  });

  it("works on bytes alone, without the objects that decode threw", async () => {
    const alice = await Topic.create({ topicKey: generateTopicKey(), name: NAME });
    const bob = await Topic.create({ name: NAME });
    const intro = bob.constructIntro();
    alice.addParticipant(bob.publicKey);
    const answer = alice.constructReply(intro);
    expect(bob.parseReply(answer)).toBe(true);
    bob.addParticipant(alice.publicKey);
    expect(bob.decode(alice.encode("hi"))?.text()).toBe("hi");
  });

  it("takes bytes after decode has opened them", async () => {
    const alice = await Topic.create({ topicKey: generateTopicKey(), name: NAME });
    const bob = await Topic.create({ name: NAME });
    const intro = bob.constructIntro();
    expectCode("INTRODUCTION", () => alice.decode(intro));
    alice.addParticipant(bob.publicKey);
    const answer = alice.constructReply(intro);
    expectCode("INTRODUCTION_REPLY", () => bob.decode(answer));
    expect(bob.parseReply(answer)).toBe(true);
  });

  it("gives null for our own introduction and reply, come back from the broker", async () => {
    const alice = await Topic.create({ topicKey: generateTopicKey(), name: NAME });
    const bob = await Topic.create({ name: NAME });
    const intro = bob.constructIntro();
    expect(bob.decode(intro)).toBeNull();
    alice.addParticipant(bob.publicKey);
    const answer = alice.constructReply(intro);
    expect(alice.decode(answer)).toBeNull();
  });

  it("says of an introduction whether its sender is pinned, or bears our own identity", async () => {
    const seed = generateSigningKeySeed();
    const alice = await Topic.create({ seed, topicKey: generateTopicKey(), name: NAME });
    const twin = await Topic.create({ seed, name: NAME });
    const bob = await Topic.create({ name: NAME });
    alice.addParticipant(bob.publicKey);
    expect(expectCode("INTRODUCTION", () => alice.decode(bob.constructIntro())).introduction.standing).toBe("pinned");
    const own = expectCode("INTRODUCTION", () => alice.decode(twin.constructIntro())).introduction;
    expect(own.standing).toBe("self");
    // A stolen seed alone gets nothing, unless a person adds it on purpose.
    expectCode("UNTRUSTED_KEY", () => alice.constructReply(own));
  });
});
