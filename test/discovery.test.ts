import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { decode } from "../src/cbor.js";
import { hash, verify } from "../src/crypto.js";
import { generateTopicKey, Topic } from "../src/index.js";
import { parse } from "../src/message.js";
import { expectCode } from "./support/expect.js";
import { encode } from "./support/forge.js";
import { bytes, flipBit, NAME, sponsorNewcomer } from "./support/topics.js";

const MINUTE = 60_000;

/** Moves the running time and the wall clock together. */
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date", "performance", "setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const makeSponsor = () => Topic.create({ topicKey: generateTopicKey(), name: NAME });
const makeNewcomer = () => Topic.create({ name: NAME });

describe("an introduction of ours", () => {
  it("is open for ten minutes", async () => {
    const [alice, bob] = [await makeSponsor(), await makeNewcomer()];
    const reply = sponsorNewcomer(alice, bob);
    vi.advanceTimersByTime(10 * MINUTE);
    expectCode("FOREIGN_REPLY", () => bob.decode(reply));
    expect(vi.getTimerCount()).toBe(0);
  });

  it("ends at its deadline also where timers are late, as after a sleep", async () => {
    const [alice, bob] = [await makeSponsor(), await makeNewcomer()];
    const reply = sponsorNewcomer(alice, bob);
    vi.spyOn(performance, "now").mockReturnValue(performance.now() + 10 * MINUTE + 1);
    expectCode("FOREIGN_REPLY", () => bob.decode(reply));
  });

  it("is pushed out by the fourth after it", async () => {
    const [alice, bob] = [await makeSponsor(), await makeNewcomer()];
    const first = bob.constructIntro();
    const second = bob.constructIntro();
    for (let i = 0; i < 3; i++) bob.constructIntro();
    expect(vi.getTimerCount()).toBe(4);
    expectCode("FOREIGN_REPLY", () => bob.decode(sponsorNewcomer(alice, bob, first)));
    expectCode("INTRODUCTION_REPLY", () => bob.decode(alice.constructReply(second)));
  });

  it("ends with dispose, and with the reply that is adopted", async () => {
    const [alice, bob] = [await makeSponsor(), await makeNewcomer()];
    const other = bob.constructIntro();
    bob.parseReply(sponsorNewcomer(alice, bob));
    expect(vi.getTimerCount()).toBe(0);
    expectCode("FOREIGN_REPLY", () => bob.decode(alice.constructReply(other)));
    bob.constructIntro();
    bob.dispose();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("opens eight replies, good or bad, and each of them once", async () => {
    const [alice, bob] = [await makeSponsor(), await makeNewcomer()];
    const intro = bob.constructIntro();
    const reply = sponsorNewcomer(alice, bob, intro);
    for (let i = 0; i < 3; i++) {
      expectCode("DECRYPTION_FAILED", () => bob.decode(flipBit(reply, reply.length * 8 - 1 - i)));
      expectCode("REPLAY", () => bob.decode(flipBit(reply, reply.length * 8 - 1 - i)));
    }
    for (let i = 0; i < 4; i++) {
      const mallory = await makeSponsor();
      expectCode("INTRODUCTION_REPLY", () => bob.decode(sponsorNewcomer(mallory, bob, intro)));
    }
    expectCode("INTRODUCTION_REPLY", () => bob.decode(reply));
    expectCode("REPLAY", () => bob.decode(reply));
    const ninth = await makeSponsor();
    expectCode("RATE_LIMIT", () => bob.decode(sponsorNewcomer(ninth, bob, intro)));
    // What was opened can still be adopted, by its bytes.
    expect(bob.parseReply(reply)).toBe(true);
    expect(bob.topicKey).toEqual(alice.topicKey);
  });

  it("is bound to one context, and its reply with it", async () => {
    const [alice, bob] = [await makeSponsor(), await makeNewcomer()];
    const intro = bob.constructIntro({ context: "lobby" });
    alice.addParticipant(bob.publicKey);
    expectCode("BAD_SIGNATURE", () => alice.constructReply(intro));
    const reply = alice.constructReply(intro, { context: "lobby" });
    expectCode("DECRYPTION_FAILED", () => bob.decode(reply));
    const other = bob.constructIntro({ context: "lobby" });
    const second = alice.constructReply(other, { context: "lobby" });
    expectCode("INTRODUCTION_REPLY", () => bob.decode(second, { context: "lobby" }));
    expect(bob.parseReply(second, { context: "lobby" })).toBe(true);
  });

  it("carries a wrap statement: one for all of this topic object, another for another, of when it was first made", async () => {
    const options = { seed: bytes(1), name: NAME };
    const [bob, same] = [await Topic.create(options), await Topic.create(options)];
    const introductionOf = (topic: Topic) => {
      const wire = parse(topic.constructIntro({ context: "lobby" }), 0);
      if (wire.type !== "introduction") throw new Error("not an introduction");
      expect(wire.rejoin).toEqual(bytes(0, 0));
      return wire;
    };
    const first = introductionOf(bob);
    vi.advanceTimersByTime(MINUTE);
    const [second, other] = [introductionOf(bob), introductionOf(same)];
    expect(second.sentAt).toBeGreaterThan(first.sentAt);
    expect(second.wrapStatement).toEqual(first.wrapStatement);
    expect(other.wrapStatement.subarray(3, 35)).not.toEqual(first.wrapStatement.subarray(3, 35));
    const [wrapKey, version, signature] = decode(first.wrapStatement, {
      maxDepth: 1,
      maxItems: 4,
      maxTextBytes: 0,
    }) as [Uint8Array, number, Uint8Array];
    expect([wrapKey.length, version]).toEqual([32, first.sentAt]);
    // Bound to the name of the topic, and not to the context of the introduction.
    const digest = (name: string) => hash("wrapStatement", bob.publicKey, wrapKey, version, name);
    expect(verify(signature, digest(NAME), bob.publicKey)).toBe(true);
    expect(verify(signature, digest("lobby"), bob.publicKey)).toBe(false);
  });

  it("is answered with the generation that the sponsor sends under, from which the newcomer goes on", async () => {
    const [alice, bob] = [await makeSponsor(), await makeNewcomer()];
    for (let i = 0; i < 3; i++) alice.ratchet();
    bob.parseReply(sponsorNewcomer(alice, bob));
    expect(bob.generation).toBe(3);
    expect(bob.topicKey).toEqual(alice.topicKey);
    bob.addParticipant(alice.publicKey);
    expect(bob.decode(alice.encode("third"))?.text()).toBe("third");
    alice.ratchet();
    expect(bob.decode(alice.encode("fourth"))?.text()).toBe("fourth");
    expect(bob.generation).toBe(4);
  });

  it("of a program that has a key already is answered like any other", async () => {
    const [alice, bob] = [await makeSponsor(), await makeSponsor()];
    const { reply } = expectCode("INTRODUCTION_REPLY", () => bob.decode(sponsorNewcomer(alice, bob)));
    // Nobody proves anything where there is no roster.
    expect(reply).toMatchObject({ standing: "unknown", isReturning: false });
    bob.parseReply(reply);
    expect(bob.topicKey).toEqual(alice.topicKey);
  });
});

describe("an introduction of somebody else", () => {
  it("is answered within ten minutes of being verified", async () => {
    const [alice, bob] = [await makeSponsor(), await makeNewcomer()];
    const { introduction } = expectCode("INTRODUCTION", () => alice.decode(bob.constructIntro()));
    alice.addParticipant(bob.publicKey);
    vi.advanceTimersByTime(10 * MINUTE + 1);
    expectCode("STALE_MESSAGE", () => alice.constructReply(introduction));
  });

  it("is judged by running time where a clock is missing", async () => {
    const alice = await Topic.create({ topicKey: generateTopicKey(), name: NAME, clock: () => 0 });
    const bob = await makeNewcomer();
    const { introduction } = expectCode("INTRODUCTION", () => alice.decode(bob.constructIntro()));
    alice.addParticipant(bob.publicKey);
    vi.advanceTimersByTime(10 * MINUTE + 1);
    expectCode("STALE_MESSAGE", () => alice.constructReply(introduction));
  });

  it("asks for encryption to a key that is none: refused when it would be answered", async () => {
    const [alice, bob] = [await makeSponsor(), await makeNewcomer()];
    const { signIntroduction } = await import("../src/discovery.js");
    const { Identity } = await import("../src/identity.js");
    const identity = new Identity(new Uint8Array(32).fill(1));
    const attached = { wrapStatement: new Uint8Array(0), rejoin: undefined };
    const facts = { name: "", sentAt: Date.now(), context: NAME, ...attached };
    const intro = signIntroduction(identity, new Uint8Array(1216).fill(0xff), facts);
    const { introduction } = expectCode("INTRODUCTION", () => alice.decode(intro));
    alice.addParticipant(introduction.senderKey);
    expectCode("INVALID_KEY", () => alice.constructReply(introduction));
    expectCode("INTRODUCTION", () => alice.decode(bob.constructIntro()));
  });

  it("carries a wrap statement and a rejoin proof that a topic without roots signs over and ignores", async () => {
    const [alice, bob] = [await makeSponsor(), await makeNewcomer()];
    const { hash, sign, signingKeyPair } = await import("../src/crypto.js");
    const { publicKey, secretKey } = signingKeyPair(new Uint8Array(32).fill(1));
    const intro = parse(bob.constructIntro(), 0);
    if (intro.type !== "introduction") throw new Error("not an introduction");
    const wrap = new Uint8Array(256).fill(2);
    const rejoin = new Uint8Array(64).fill(3);
    const signed = [publicKey, intro.kemPublicKey, wrap, rejoin, intro.sentAt, "n"];
    const signature = sign(hash("introductionSignature", ...signed, NAME), secretKey);
    const { introduction } = expectCode("INTRODUCTION", () => alice.decode(encode([1, 1, ...signed, signature])));
    expect(introduction.senderKey).toEqual(publicKey);
    expect(introduction.name).toBe("n");
    expect(introduction.isReturning).toBe(false);
    alice.addParticipant(publicKey);
    expect(parse(alice.constructReply(introduction), 0).type).toBe("reply");
  });

  it("comes again and again: sixteen at once, then one a second, and memory for all of them", async () => {
    const alice = await makeSponsor();
    const intros: Uint8Array[] = [];
    for (let i = 0; i < 17; i++) intros.push((await makeNewcomer()).constructIntro());
    for (const intro of intros.slice(0, 16)) expectCode("INTRODUCTION", () => alice.decode(intro));
    const last = intros[16] as Uint8Array;
    expect(expectCode("RATE_LIMIT", () => alice.decode(last)).retryAfter).toBe(1000);
    vi.advanceTimersByTime(400);
    expect(expectCode("RATE_LIMIT", () => alice.decode(last)).retryAfter).toBe(600);
    // One that was raised is told without a token.
    expectCode("REPLAY", () => alice.decode(intros[0] as Uint8Array));
    vi.advanceTimersByTime(600);
    expectCode("INTRODUCTION", () => alice.decode(last));
  });
});

describe("a sponsor", () => {
  it("never gives the key by mistake: an object that only looks like an introduction is refused", async () => {
    const [alice, bob] = [await makeSponsor(), await makeNewcomer()];
    const { introduction } = expectCode("INTRODUCTION", () => alice.decode(bob.constructIntro()));
    alice.addParticipant(bob.publicKey);
    // The application changes the key in its hands; what is answered is what was verified.
    introduction.senderKey.fill(0);
    const reply = alice.constructReply(introduction);
    expectCode("INTRODUCTION_REPLY", () => bob.decode(reply));
  });
});
