/** Batches (PROTOCOL §6.2): many payloads, one message. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Identity } from "../src/identity.js";
import { generateTopicKey, type Received, Topic } from "../src/index.js";
import { sealMessage } from "../src/sealing.js";
import { TopicKey } from "../src/topic-key.js";
import { expectCode, thrownBy } from "./support/expect.js";
import { encode, openWire, sealPlaintext } from "./support/forge.js";
import { bytes, NAME, START, TestClock } from "./support/topics.js";

const text = (message: Received): string => message.text();
const sequences = (messages: readonly Received[]): number[] => messages.map((message) => message.sequence);

/** Bob trusts Alice, whose seed is known, and nobody trusts Carol. */
async function makeThree() {
  const clock = new TestClock();
  const seed = bytes(21);
  const shared = { topicKey: generateTopicKey(), name: NAME, clock: clock.read };
  const alice = await Topic.create({ ...shared, seed });
  const bob = await Topic.create({ ...shared, participants: [alice.publicKey] });
  return { alice, bob, carol: await Topic.create(shared), clock, seed };
}

describe("a batch", () => {
  it("gives every payload, each with a sequence of its own, and counts what is missing", async () => {
    const { alice, bob, clock } = await makeThree();
    alice.encode("lost");
    const wire = alice.encodeBatch(["a", new Uint8Array([0xff]), "", "d"]);
    clock.now += 10;
    const received = bob.decodeBatch(wire);
    expect(received.map((message) => [...message.payload])).toEqual([[97], [255], [], [100]]);
    expect(sequences(received)).toEqual([1, 2, 3, 4]);
    expect(received.map((message) => message.missed)).toEqual([undefined, 0, 0, 0]);
    for (const message of received) {
      expect(message).toMatchObject({ sentAt: START + 1, delivery: "event", replayed: false });
      expect(message.sender.publicKey).toEqual(alice.publicKey);
    }
    alice.encodeBatch(["lost", "lost too"]);
    expect(bob.decode(alice.encode("next"))).toMatchObject({ sequence: 7, missed: 2 });
    alice.encode("lost");
    expect(bob.decodeBatch(alice.encodeBatch(["x", "y"])).map((message) => message.missed)).toEqual([1, 0]);
  });

  it("of any payloads arrives as it was sent", async () => {
    const { alice, bob } = await makeThree();
    const payloads = fc.array(fc.uint8Array({ maxLength: 700 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(payloads, fc.constantFrom("event", "state", "command"), (all, delivery) => {
        const received = bob.decodeBatch(alice.encodeBatch(all, { delivery }));
        expect(received.map((message) => message.payload)).toEqual(all);
        expect(received.every((message) => message.delivery === delivery)).toBe(true);
      }),
    );
  });

  it("has payloads of their own: changing one changes no other", async () => {
    const { alice, bob } = await makeThree();
    const [one, other] = bob.decodeBatch(alice.encodeBatch(["one", "other"])) as [Received, Received];
    expect(one.payload.buffer.byteLength).toBe(3);
    new Uint8Array(one.payload.buffer).fill(0);
    expect(other.text()).toBe("other");
  });

  it("of one costs 2 bytes more than a message, and of 64 at most 5 for each", async () => {
    const { alice } = await makeThree();
    const single = alice.encode(bytes(1, 200)).length;
    expect(alice.encodeBatch([bytes(1, 200)]).length).toBeLessThanOrEqual(single + 5);
    const many = alice.encodeBatch(Array.from({ length: 64 }, () => bytes(1, 200)));
    expect((many.length - 64 * 200) / 64).toBeLessThanOrEqual(5);
  });

  it("takes from any iterable what encode takes, and leaves it as it was", async () => {
    const { alice, bob } = await makeThree();
    const given = Object.freeze([Object.freeze("x"), "y"]);
    expect(bob.decodeBatch(alice.encodeBatch(given)).map(text)).toEqual(["x", "y"]);
    expect(bob.decodeBatch(alice.encodeBatch(new Set(["x", "y"]))).map(text)).toEqual(["x", "y"]);
  });

  it("is bounded in count and in bytes, on both sides", async () => {
    const { alice, bob } = await makeThree();
    expect(bob.decodeBatch(alice.encodeBatch(Array(1024).fill("x")))).toHaveLength(1024);
    const next = bob.decode(alice.encode("x"))?.sequence as number;
    for (const payloads of [[], Array(1025).fill("x")]) {
      expect(thrownBy(() => alice.encodeBatch(payloads))).toBeInstanceOf(RangeError);
    }
    for (const payloads of ["text", bytes(1), undefined, [1], [undefined], ["\ud800"]]) {
      expect(thrownBy(() => alice.encodeBatch(payloads as string[]))).toBeInstanceOf(TypeError);
    }
    const small = await Topic.create({ topicKey: generateTopicKey(), maxPayloadBytes: 100 });
    const peer = await Topic.create({
      topicKey: small.topicKey as Uint8Array,
      maxPayloadBytes: 99,
      participants: [small.publicKey],
    });
    // 1 for the array, 2 for each head.
    expectCode("MESSAGE_TOO_LARGE", () => small.encodeBatch([bytes(1, 48), bytes(1, 48)]));
    const full = small.encodeBatch([bytes(1, 48), bytes(1, 47)]);
    expectCode("MESSAGE_TOO_LARGE", () => peer.decodeBatch(full));
    // What was refused took no sequence.
    expect(bob.decode(alice.encode("x"))?.sequence).toBe(next + 1);
  });
});

describe("an application that never heard of batches", () => {
  it("cannot misread one: decode says what it is, and what to do, and nothing is lost", async () => {
    const { alice, bob } = await makeThree();
    const wire = alice.encodeBatch(["a", "b"]);
    for (let i = 0; i < 2; i++) expect(expectCode("BATCH", () => bob.decode(wire)).size).toBe(2);
    expect(expectCode("BATCH", () => bob.decode(wire, { naive: true })).size).toBe(2);
    expect(bob.decodeBatch(wire).map(text)).toEqual(["a", "b"]);
    expectCode("REPLAY", () => bob.decode(wire));
  });

  it("is told first what is wrong with it", async () => {
    const { alice, bob, carol } = await makeThree();
    expectCode("UNTRUSTED_KEY", () => bob.decode(carol.encodeBatch(["a"])));
    expectCode("UNEXPECTED_DELIVERY", () => bob.decode(alice.encodeBatch(["a"]), { delivery: "command" }));
    expect(alice.decode(alice.encodeBatch(["a"]))).toBeNull();
  });
});

describe("decodeBatch", () => {
  it("takes whatever comes", async () => {
    const { alice, bob, carol } = await makeThree();
    expect(bob.decodeBatch(alice.encode("single")).map(text)).toEqual(["single"]);
    expect(alice.decodeBatch(alice.encodeBatch(["own"]))).toEqual([]);
    expect(bob.decodeBatch(carol.encodeBatch(["x"]), { ignoreUntrusted: true })).toEqual([]);
    const { alive } = alice.encodeWill("gone");
    expect(bob.decodeBatch(alive)).toEqual([]);
    expectCode("INTRODUCTION", () => bob.decodeBatch(carol.constructIntro()));
    expectCode("UNTRUSTED_KEY", () => bob.decodeBatch(carol.encode("x")));
    const unverified = bob.decodeBatch(carol.encodeBatch(["x", "y"]), { naive: true });
    expect(unverified.map((message) => message.text())).toEqual(["x", "y"]);
    expect(unverified[0]?.payload.buffer.byteLength).toBe(1);
  });

  it("gives a batch once", async () => {
    const { alice, bob } = await makeThree();
    const wire = alice.encodeBatch(["a", "b"]);
    bob.decodeBatch(wire);
    expect(expectCode("REPLAY", () => bob.decodeBatch(wire)).reason).toBe("seen");
    const again = bob.decodeBatch(wire, { allowReplay: true });
    expect(again.map((message) => [message.text(), message.replayed, message.missed, message.sequence])).toEqual([
      ["a", true, undefined, 0],
      ["b", true, undefined, 1],
    ]);
  });

  it("gives states as long as no newer one came, and commands while they are fresh", async () => {
    const { alice, bob, clock } = await makeThree();
    const old = alice.encodeBatch(["1", "2"], { delivery: "state" });
    expect(bob.decodeBatch(old).map(text)).toEqual(["1", "2"]);
    expect(bob.decodeBatch(old).map(text)).toEqual(["1", "2"]);
    bob.decode(alice.encode("3", { delivery: "state" }));
    expectCode("STALE_MESSAGE", () => bob.decodeBatch(old));
    const command = alice.encodeBatch(["open", "close"], { delivery: "command" });
    expectCode("RETAINED_COMMAND", () => bob.decodeBatch(command, { retained: true }));
    clock.now += 30_010;
    expectCode("STALE_MESSAGE", () => bob.decodeBatch(command));
  });

  it("hears other devices with our seed, and not ourselves", async () => {
    const topicKey = generateTopicKey();
    const [one, other] = [
      await Topic.create({ seed: bytes(1), topicKey }),
      await Topic.create({ seed: bytes(1), topicKey }),
    ];
    const wire = other.encodeBatch(["a", "b"]);
    expect(one.decodeBatch(wire, { hearOwn: true }).map(text)).toEqual(["a", "b"]);
    expect(other.decodeBatch(wire, { hearOwn: true })).toEqual([]);
  });
});

describe("a hostile sender", () => {
  it("that overlaps sequences has a batch refused as a whole", async () => {
    const { bob, alice, seed } = await makeThree();
    const topicKey = alice.topicKey as Uint8Array;
    const send = (sequence: number, payloads: string[], sentAt = START + sequence): Uint8Array =>
      sealMessage(
        new TopicKey(topicKey),
        new Identity(seed),
        { session: bytes(5, 12), sequence, context: NAME },
        { delivery: "event", sentAt, payload: encode(payloads.map((one) => Buffer.from(one))), isBatch: true },
      );
    expect(bob.decodeBatch(send(10, ["a", "b", "c"]))).toHaveLength(3);
    for (const sequence of [8, 9, 10, 11, 12]) {
      expectCode("REPLAY", () => bob.decodeBatch(send(sequence, ["x", "y", "z"])));
    }
    expect(bob.decodeBatch(send(7, ["x", "y", "z"])).map((message) => message.missed)).toEqual([0, 0, 0]);
    expect(bob.decodeBatch(send(13, ["x"]))[0]?.missed).toBe(0);
  });

  it("cannot pass a batch off as one payload, or one payload as a batch", async () => {
    const { alice, bob } = await makeThree();
    const topicKey = alice.topicKey as Uint8Array;
    const batch = openWire(topicKey, alice.encodeBatch(["a", "b"]));
    const { batch: _, ...rest } = batch.plaintext;
    expectCode("BAD_SIGNATURE", () =>
      bob.decode(sealPlaintext(topicKey, batch.position, { ...rest, batch: undefined })),
    );
    const single = openWire(topicKey, alice.encode(encode([bytes(1, 3)])));
    const wire = sealPlaintext(topicKey, single.position, { ...single.plaintext, batch: [] });
    expectCode("BAD_SIGNATURE", () => bob.decodeBatch(wire));
    expect(bob.decodeBatch(sealPlaintext(topicKey, batch.position, batch.plaintext)).map(text)).toEqual(["a", "b"]);
  });

  it.each<[string, string]>([
    ["nothing", ""],
    ["an empty array", "80"],
    ["1,025 payloads", `990401${"40".repeat(1025)}`],
    ["a count that does not fit", "82 4161"],
    ["text", "81 6161"],
    ["a number", "81 01"],
    ["an array", "81 80"],
    ["a nested batch", "81 81 4161"],
    ["bytes after its end", "81 4161 00"],
    ["a head that is not the shortest, of the array", "9801 4161"],
    ["a head that is not the shortest, of a payload", "81 580161"],
    ["an indefinite array", "9f 4161 ff"],
    ["an indefinite payload", "81 5f 4161 ff"],
    ["a map", "a1 4161 4162"],
    ["a tag", "c0 81 4161"],
    ["a payload that ends too early", "81 43 6162"],
    ["a length of 2^53", "81 5b0020000000000000"],
    ["a length of 2^64 − 1", "81 5bffffffffffffffff"],
  ])("gets nothing through with %s in place of a batch", async (_, body) => {
    const { alice, bob, seed } = await makeThree();
    const payload = new Uint8Array(Buffer.from(body.replaceAll(" ", ""), "hex"));
    const wire = sealMessage(
      new TopicKey(alice.topicKey as Uint8Array),
      new Identity(seed),
      { session: bytes(5, 12), sequence: 0, context: NAME },
      { delivery: "event", sentAt: START, payload, isBatch: true },
    );
    for (const options of [{}, { naive: true as const }]) {
      expectCode("MALFORMED_MESSAGE", () => bob.decodeBatch(wire, options as object));
      expectCode("MALFORMED_MESSAGE", () => bob.decode(wire, options as object));
    }
  });

  it("cannot count beyond the last sequence", async () => {
    const { alice, bob, seed } = await makeThree();
    const last = 2 ** 53 - 1;
    const send = (sequence: number): Uint8Array =>
      sealMessage(
        new TopicKey(alice.topicKey as Uint8Array),
        new Identity(seed),
        { session: bytes(5, 12), sequence, context: NAME },
        { delivery: "event", sentAt: START, payload: encode([bytes(1, 1), bytes(2, 1)]), isBatch: true },
      );
    expectCode("MALFORMED_MESSAGE", () => bob.decodeBatch(send(last)));
    expect(sequences(bob.decodeBatch(send(last - 1)))).toEqual([last - 1, last]);
  });

  it.each([5, 15, 19, 20, 255])("may use no other delivery, as %d", async (number) => {
    const { alice, bob } = await makeThree();
    const topicKey = alice.topicKey as Uint8Array;
    const { position, plaintext } = openWire(topicKey, alice.encodeBatch(["a"]));
    const wire = sealPlaintext(topicKey, position, plaintext, number);
    expectCode("MALFORMED_MESSAGE", () => bob.decodeBatch(wire));
    expectCode("MALFORMED_MESSAGE", () => bob.decode(wire));
  });
});
