import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { generateSigningKeySeed, generateTopicKey, StringphoneError, Topic, type TopicOptions } from "../src/index.js";
import { sealControl } from "../src/sealing.js";
import { stepInPlace, TopicKey } from "../src/topic-key.js";
import { expectCode, thrownBy } from "./support/expect.js";
import { forgeMessage, openWire, sealPlaintext } from "./support/forge.js";
import { bytes, flipBit, makePair, NAME, START, sponsorNewcomer, TestClock } from "./support/topics.js";

/** The topic key so many generations after this one. */
function keyAfter(key: Uint8Array, steps: number): Uint8Array {
  const copy = new Uint8Array(key);
  for (let i = 0; i < steps; i++) stepInPlace(copy);
  return copy;
}

describe("Topic.create", () => {
  it.each<[string, TopicOptions, typeof TypeError | typeof RangeError]>([
    ["a short seed", { seed: bytes(1, 31) }, RangeError],
    ["a long topic key", { topicKey: bytes(1, 33) }, RangeError],
    ["a seed of text", { seed: "x".repeat(32) as unknown as Uint8Array }, TypeError],
    ["a name that is no text", { name: 7 as unknown as string }, TypeError],
    ["a name of half a character", { name: "\ud800" }, TypeError],
    ["a name that no MQTT topic can have", { name: "x".repeat(65_536) }, RangeError],
    ["a negative payload limit", { maxPayloadBytes: -1 }, RangeError],
    ["a payload limit above 256 MiB", { maxPayloadBytes: 2 ** 28 + 1 }, RangeError],
    ["a fractional payload limit", { maxPayloadBytes: 0.5 }, RangeError],
    ["a clock that is no function", { clock: 5 as unknown as () => number }, TypeError],
    ["a negative clock skew", { maxClockSkew: -1 }, RangeError],
    ["a clock skew of text", { maxClockSkew: "5" as unknown as number }, RangeError],
    ["a participant of 31 bytes", { participants: [bytes(1, 31)] }, RangeError],
  ])("refuses %s", async (_, options, kind) => {
    await expect(Topic.create(options)).rejects.toBeInstanceOf(kind);
  });

  it("refuses a participant whose key is none", async () => {
    await expect(Topic.create({ participants: [bytes(0)] })).rejects.toMatchObject({ code: "INVALID_KEY" });
  });

  it("gives the same identity for the same seed, and another without one", async () => {
    const seed = generateSigningKeySeed();
    const one = await Topic.create({ seed });
    const same = await Topic.create({ seed });
    const other = await Topic.create();
    expect(one.publicKey).toEqual(same.publicKey);
    expect(one.publicKey).not.toEqual(other.publicKey);
    expect(one.topicKey).toBeUndefined();
  });

  it("copies what it is given and gives copies", async () => {
    const seed = bytes(1);
    const topicKey = bytes(2);
    const topic = await Topic.create({ seed, topicKey });
    const before = { id: topic.id, publicKey: topic.publicKey };
    expect(seed).toEqual(bytes(1));
    expect(topicKey).toEqual(bytes(2));
    seed.fill(9);
    topicKey.fill(9);
    topic.id.fill(9);
    topic.publicKey.fill(9);
    topic.topicKey?.fill(9);
    expect(topic.id).toEqual(before.id);
    expect(topic.publicKey).toEqual(before.publicKey);
    expect(topic.topicKey).toEqual(bytes(2));
    const list = topic.participants as unknown[];
    list.push("intruder");
    expect(topic.participants).toEqual([]);
  });
});

describe("encode", () => {
  it.each([
    ["empty text", ""],
    ["text", "Grüße 🌡"],
    ["text that begins with a byte order mark", "\ufeffx"],
  ])("carries %s", async (_, text) => {
    const { alice, bob } = await makePair();
    expect(bob.decode(alice.encode(text))?.text()).toBe(text);
  });

  it.each([0, 1, 20, 255, 65_535, 65_536, 1 << 20])("carries %d bytes", async (length) => {
    const { alice, bob } = await makePair();
    const payload = bytes(0xa5, length);
    const received = bob.decode(alice.encode(payload));
    // vitest compares large arrays slowly.
    expect(Buffer.compare(received?.payload as Uint8Array, payload)).toBe(0);
    expect(payload[0] ?? 0xa5).toBe(0xa5);
  });

  it("carries the largest payload, and refuses one byte more", async () => {
    const { alice, bob } = await makePair({ maxPayloadBytes: 1000 });
    expect(bob.decode(alice.encode(bytes(1, 1000)))?.payload.length).toBe(1000);
    const error = expectCode("MESSAGE_TOO_LARGE", () => alice.encode(bytes(1, 1001)));
    expect(error).toMatchObject({ length: 1001, limit: 1000 });
  });

  it("carries 16 MiB by default", async () => {
    const { alice, bob } = await makePair();
    expect(bob.decode(alice.encode(new Uint8Array(16 << 20)))?.payload.length).toBe(16 << 20);
    expectCode("MESSAGE_TOO_LARGE", () => alice.encode(new Uint8Array((16 << 20) + 1)));
  });

  it("takes a Buffer, and gives plain arrays", async () => {
    const { alice, bob } = await makePair();
    const wire = alice.encode(Buffer.from("hi"));
    expect(wire.constructor).toBe(Uint8Array);
    const received = bob.decode(Buffer.concat([Buffer.from("??"), wire]).subarray(2));
    expect(received?.payload.constructor).toBe(Uint8Array);
    expect(received?.payload.buffer.byteLength).toBe(2);
    expect(received?.text()).toBe("hi");
  });

  it("costs at most 128 bytes for a payload of 20, whatever the sequence", async () => {
    const { alice, bob } = await makePair();
    let wire = alice.encode(bytes(1, 20));
    expect(wire.length - 20).toBe(119);
    for (let i = 0; i < 300; i++) wire = alice.encode(bytes(1, 20));
    expect(wire.length - 20).toBe(121);
    expect(bob.decode(wire)?.sequence).toBe(300);
  });

  it.each([
    ["a number", 5],
    ["nothing", undefined],
    ["null", null],
    ["an array", [1, 2]],
    ["a 16-bit array", new Uint16Array(2)],
    ["half a character", "\udfff"],
  ])("refuses %s as payload with a TypeError", async (_, payload) => {
    const { alice } = await makePair();
    expect(thrownBy(() => alice.encode(payload as string))).toBeInstanceOf(TypeError);
  });

  it("refuses a delivery that it cannot make", async () => {
    const { alice } = await makePair();
    for (const delivery of ["will", "alive", "x"]) {
      expect(thrownBy(() => alice.encode("x", { delivery: delivery as "event" }))).toBeInstanceOf(RangeError);
    }
  });

  it("sends nothing in clear while there is no topic key", async () => {
    const topic = await Topic.create();
    expectCode("MISSING_TOPIC_KEY", () => topic.encode("x"));
    expectCode("MISSING_TOPIC_KEY", () => topic.encodeWill("x"));
  });
});

describe("decode", () => {
  it("binds a message to its context", async () => {
    const { alice, bob } = await makePair();
    const wire = alice.encode("open", { context: "home/door" });
    expectCode("DECRYPTION_FAILED", () => bob.decode(wire));
    expectCode("DECRYPTION_FAILED", () => bob.decode(wire, { context: "home/window" }));
    expect(bob.decode(wire, { context: "home/door" })?.text()).toBe("open");
    expect(thrownBy(() => bob.decode(wire, { context: 5 as unknown as string }))).toBeInstanceOf(TypeError);
  });

  it("says which key is missing", async () => {
    const { alice, bob } = await makePair();
    const wire = alice.encode("x");
    bob.topicKey = generateTopicKey();
    const { keyId } = expectCode("UNKNOWN_TOPIC_KEY", () => bob.decode(wire));
    expect(keyId).toEqual(wire.slice(4, 8));
    bob.topicKey = undefined;
    expectCode("MISSING_TOPIC_KEY", () => bob.decode(wire));
  });

  it("gives null for our own message, and with hearOwn those of another program with our seed", async () => {
    const clock = new TestClock();
    const shared = { seed: bytes(1), topicKey: bytes(2), name: NAME, clock: clock.read };
    const here = await Topic.create(shared);
    const there = await Topic.create(shared);
    const ours = here.encode("echo");
    const theirs = there.encode("from the other");
    expect(here.decode(ours)).toBeNull();
    expect(here.decode(ours, { hearOwn: true })).toBeNull();
    expect(here.decode(theirs)).toBeNull();
    const received = here.decode(theirs, { hearOwn: true });
    expect(received?.text()).toBe("from the other");
    expect(received?.sender.publicKey).toEqual(here.publicKey);
    expectCode("REPLAY", () => here.decode(theirs, { hearOwn: true }));
  });

  it("gives messages only as the delivery that the caller is ready for", async () => {
    const { alice, bob } = await makePair();
    const command = alice.encode("unlock", { delivery: "command" });
    const error = expectCode("UNEXPECTED_DELIVERY", () => bob.decode(command, { delivery: ["event", "state"] }));
    expect(error).toMatchObject({ delivery: "command", expected: ["event", "state"] });
    expect(bob.decode(command, { delivery: "command" })?.text()).toBe("unlock");
    expect(thrownBy(() => bob.decode(alice.encode("x"), { delivery: "evnt" as "event" }))).toBeInstanceOf(RangeError);
  });

  it("never gives a command, a will or a control message under naive", async () => {
    const { alice, bob } = await makePair();
    const { will, alive } = alice.encodeWill("gone");
    for (const wire of [alice.encode("x", { delivery: "command" }), will, alive]) {
      expectCode("UNEXPECTED_DELIVERY", () => bob.decode(wire, { naive: true }));
    }
    expect(bob.decode(alice.encode("x", { delivery: "state" }), { naive: true }).text()).toBe("x");
    expectCode("UNEXPECTED_DELIVERY", () => bob.decode(alice.encode("x"), { naive: true, delivery: "state" }));
  });

  it("reads a recording again under allowReplay, flagged, and remembers nothing of it", async () => {
    const { alice, bob } = await makePair();
    const first = alice.encode("one");
    const oldState = alice.encode("21 °C", { delivery: "state" });
    const newState = alice.encode("22 °C", { delivery: "state" });
    for (const wire of [first, oldState, newState]) bob.decode(wire);
    expectCode("REPLAY", () => bob.decode(first));
    expectCode("STALE_MESSAGE", () => bob.decode(oldState));
    for (const wire of [first, oldState]) {
      expect(bob.decode(wire, { allowReplay: true })).toMatchObject({ replayed: true, missed: undefined });
    }
    expect(bob.decode(newState, { allowReplay: true })).toMatchObject({ replayed: false });
    expectCode("REPLAY", () => bob.decode(first));
    const { will } = alice.encodeWill("gone");
    expectCode("WILL_NOT_CURRENT", () => bob.decode(will));
    expect(bob.decode(will, { allowReplay: true })).toMatchObject({ replayed: true, delivery: "will" });
    expectCode("WILL_NOT_CURRENT", () => bob.decode(will));
    const fresh = alice.encode("two");
    expect(bob.decode(fresh, { allowReplay: true })).toMatchObject({ replayed: false });
    expectCode("REPLAY", () => bob.decode(fresh));
  });

  it("checks the signature also under allowReplay and ignoreUntrusted", async () => {
    const { alice, bob } = await makePair();
    const mallory = await Topic.create({ topicKey: alice.topicKey as Uint8Array, name: NAME });
    const wire = mallory.encode("x");
    expectCode("UNTRUSTED_KEY", () => bob.decode(wire, { allowReplay: true }));
    expect(bob.decode(wire, { ignoreUntrusted: true, allowReplay: true })).toBeNull();
  });

  it.each([
    ["text", "hi"],
    ["nothing", undefined],
    ["numbers", [1, 2]],
  ])("refuses %s instead of bytes with a TypeError", async (_, wire) => {
    const { bob } = await makePair();
    expect(thrownBy(() => bob.decode(wire as unknown as Uint8Array))).toBeInstanceOf(TypeError);
  });

  it.each([1001, 5000])(
    "refuses a payload of %d bytes where 1,000 are allowed, before it decrypts anything",
    async (length) => {
      const { alice } = await makePair();
      const topicKey = alice.topicKey as Uint8Array;
      const small = await Topic.create({
        topicKey,
        name: NAME,
        participants: [alice.publicKey],
        maxPayloadBytes: 1000,
      });
      const error = expectCode("MESSAGE_TOO_LARGE", () => small.decode(alice.encode(bytes(1, length))));
      expect(error.limit).toBe(1000);
      expect(error.length).toBeGreaterThan(1000);
    },
  );

  it("says of plaintext that it is none of ours", async () => {
    const { bob } = await makePair();
    const error = expectCode("MALFORMED_MESSAGE", () => bob.decode(new TextEncoder().encode('{"celsius":21.4}')));
    expect(error.message).toContain("in clear");
  });

  it("reads from memory that another thread shares", async () => {
    const { alice, bob } = await makePair();
    const wire = alice.encode("shared");
    const shared = new Uint8Array(new SharedArrayBuffer(wire.length));
    shared.set(wire);
    expect(bob.decode(shared)?.text()).toBe("shared");
  });

  it("counts what was missed in a session, and begins anew after renewSessions", async () => {
    const { alice, bob } = await makePair();
    const wires = Array.from({ length: 6 }, (_, i) => alice.encode(String(i)));
    const missed = [0, 1, 4, 3, 5].map((i) => bob.decode(wires[i] as Uint8Array)?.missed);
    expect(missed).toEqual([undefined, 0, 2, 0, 0]);
    alice.renewSessions();
    expect(bob.decode(alice.encode("x"))).toMatchObject({ sequence: 0, missed: undefined });
  });
});

describe("constructReply and parseReply", () => {
  it("refuses bytes that are something else", async () => {
    const { alice, bob } = await makePair();
    const message = alice.encode("x");
    expectCode("MALFORMED_MESSAGE", () => bob.constructReply(message));
    expectCode("MALFORMED_MESSAGE", () => bob.parseReply(message));
    expectCode("MALFORMED_MESSAGE", () => bob.parseReply(bytes(1)));
    expect(thrownBy(() => bob.parseReply({} as Uint8Array))).toBeInstanceOf(TypeError);
  });

  it("refuses the object of another topic", async () => {
    const { alice, clock } = await makePair();
    const newcomer = await Topic.create({ name: NAME, clock: clock.read });
    const { introduction } = expectCode("INTRODUCTION", () => alice.decode(newcomer.constructIntro()));
    const other = await Topic.create({ topicKey: bytes(1), name: NAME });
    expect(thrownBy(() => other.constructReply(introduction))).toBeInstanceOf(TypeError);
    expect(thrownBy(() => alice.constructReply({ ...introduction }))).toBeInstanceOf(TypeError);
  });

  it("needs a key to give", async () => {
    const sponsor = await Topic.create({ name: NAME });
    const newcomer = await Topic.create({ name: NAME });
    sponsor.addParticipant(newcomer.publicKey);
    expectCode("MISSING_TOPIC_KEY", () => sponsor.constructReply(newcomer.constructIntro()));
  });

  it("refuses a display name that would lie on a screen", async () => {
    const topic = await Topic.create();
    for (const name of ["x".repeat(65), "a\nb", "a\u202eb", "\ufeff", "\ud800"]) {
      expect(thrownBy(() => topic.constructIntro({ name }))).toBeInstanceOf(RangeError);
    }
    expect(thrownBy(() => topic.constructIntro({ name: 5 as unknown as string }))).toBeInstanceOf(TypeError);
    expect(topic.constructIntro({ name: "é".repeat(32) })).toBeInstanceOf(Uint8Array);
  });

  it("replaces a topic key that was held, only in parseReply", async () => {
    const { alice, clock } = await makePair();
    const bob = await Topic.create({ topicKey: bytes(9), name: NAME, clock: clock.read });
    const reply = sponsorNewcomer(alice, bob);
    expectCode("INTRODUCTION_REPLY", () => bob.decode(reply));
    expect(bob.topicKey).toEqual(bytes(9));
    bob.parseReply(reply);
    expect(bob.topicKey).toEqual(alice.topicKey);
  });
});

describe("generations of a topic without a roster", () => {
  it("are stepped by one, followed by all with the next message, and read while they are late", async () => {
    const { alice, bob } = await makePair();
    const late = alice.encode("late");
    const before = alice.topicKey as Uint8Array;
    alice.ratchet();
    expect([alice.generation, bob.generation, alice.epoch]).toEqual([1, 0, 0]);
    expect(alice.topicKey).not.toEqual(before);
    const stepped = alice.encode("stepped");
    expect(stepped.subarray(4, 8)).not.toEqual(late.subarray(4, 8));
    expect(bob.decode(stepped)?.text()).toBe("stepped");
    expect([bob.generation, bob.topicKey]).toEqual([1, alice.topicKey]);
    expect(bob.decode(late)?.text()).toBe("late");
    expect(bob.generation).toBe(1);
    expect(alice.decode(bob.encode("back"))?.text()).toBe("back");
  });

  it("are stepped 24 times at once, and then once an hour", async () => {
    const { alice, clock } = await makePair();
    for (let i = 0; i < 24; i++) alice.ratchet();
    expectCode("RATE_LIMIT", () => alice.ratchet());
    // Running time counts too, until the clock is read first.
    clock.now += 3_600_000 - 60_000;
    expectCode("RATE_LIMIT", () => alice.ratchet());
    clock.now += 60_000;
    alice.ratchet();
    expectCode("RATE_LIMIT", () => alice.ratchet());
    expect(alice.generation).toBe(25);
  });

  it("are read further ahead than they are followed", async () => {
    const [clock, topicKey] = [new TestClock(), bytes(1)];
    const options = { name: NAME, clock: clock.read };
    const bob = await Topic.create({ ...options, topicKey });
    const later = async (generation: number): Promise<Uint8Array> => {
      const alice = await Topic.create({ ...options, topicKey: keyAfter(topicKey, generation) });
      bob.addParticipant(alice.publicKey);
      return alice.encode(`${generation}`);
    };
    expect(bob.decode(await later(25))?.text()).toBe("25");
    expect(bob.generation).toBe(0);
    expect(bob.decode(await later(24))?.text()).toBe("24");
    expect(bob.generation).toBe(24);
    expect(bob.decode(await later(4096))?.text()).toBe("4096");
    expect(
      expectCode("UNKNOWN_TOPIC_KEY", () => bob.decode(forgeMessage({ seed: bytes(2), topicKey: bytes(7) }))),
    ).toMatchObject({ isKept: false });
    const { keyId } = expectCode("UNKNOWN_TOPIC_KEY", () =>
      bob.decode(forgeMessage({ seed: bytes(2), topicKey: keyAfter(topicKey, 4097) })),
    );
    expect(keyId).toEqual(new TopicKey(keyAfter(topicKey, 4097)).id);
    expect(bob.generation).toBe(24);
  });

  it("are not followed for what is refused", async () => {
    const { alice, bob, clock } = await makePair();
    const stranger = await Topic.create({ name: NAME, clock: clock.read, topicKey: alice.topicKey as Uint8Array });
    stranger.ratchet();
    expectCode("UNTRUSTED_KEY", () => bob.decode(stranger.encode("x")));
    expect(bob.generation).toBe(0);
    alice.ratchet();
    const command = alice.encode("x", { delivery: "command" });
    expectCode("RETAINED_COMMAND", () => bob.decode(command, { retained: true }));
    bob.decode(alice.encode("unverified"), { naive: true });
    expect(bob.generation).toBe(0);
    bob.decode(command);
    expect(bob.generation).toBe(1);
  });

  it("are found also where one has the key id of the key in use", async () => {
    // Generations 1,605 and 4,707 after this key have the same id.
    const start = bytes(0);
    start.set([374 >> 8, 374 & 0xff], 30);
    const [first, second] = [keyAfter(start, 1605), keyAfter(start, 4707)];
    const alice = await Topic.create({ topicKey: second, name: NAME });
    const bob = await Topic.create({ topicKey: first, name: NAME, participants: [alice.publicKey] });
    const wire = alice.encode("x");
    expect(wire.slice(4, 8)).toEqual(bob.encode("x").slice(4, 8));
    expectCode("DECRYPTION_FAILED", () => bob.decode(flipBit(wire, wire.length * 8 - 1)));
    expect(bob.decode(wire)?.text()).toBe("x");
  });

  it("cost no second look at the clock", async () => {
    const { alice, bob: other } = await makePair();
    let read = 0;
    const bob = await Topic.create({
      topicKey: alice.topicKey as Uint8Array,
      name: NAME,
      participants: [alice.publicKey, other.publicKey],
      clock: () => {
        read++;
        return START;
      },
    });
    // What a clock says is known once it is asked for: one that was ahead when the topic was made may be set right until then.
    expect(read).toBe(0);
    alice.ratchet();
    bob.decode(alice.encode("x"));
    expect([bob.generation, read]).toEqual([1, 1]);
  });

  it("step by a policy, when something is sent", async () => {
    const { alice, clock } = await makePair({ ratchet: { every: 3_600_000 } });
    alice.encode("x");
    clock.now += 3_599_999;
    alice.encode("x");
    expect(alice.generation).toBe(0);
    clock.now += 1;
    alice.encode("x");
    expect(alice.generation).toBe(1);
    clock.now += 5 * 3_600_000;
    alice.encode("x");
    expect(alice.generation).toBe(6);
  });

  it("do not step where the clock that is asked for disposes the topic", async () => {
    let [isArmed, now] = [false, START];
    const topic: Topic = await Topic.create({
      topicKey: bytes(1),
      ratchet: { every: 3_600_000 },
      clock: () => {
        if (isArmed) topic.dispose();
        return now;
      },
    });
    topic.encode("x");
    [isArmed, now] = [true, START + 3_600_000];
    expect(thrownBy(() => topic.encode("x"))).toBeInstanceOf(StringphoneError);
  });
});

describe("a control message in a topic without a roster", () => {
  const position = { session: bytes(5, 12), sequence: 0, context: NAME };
  const payload = bytes(0, 100);

  it("is forbidden, whoever has the key: nobody is named as its sender", async () => {
    const { alice, bob } = await makePair();
    const key = new TopicKey(alice.topicKey as Uint8Array);
    const wire = sealControl(key, position, payload);
    expectCode("FORBIDDEN", () => bob.decode(wire));
    expectCode("FORBIDDEN", () => bob.decode(wire, { ignoreUntrusted: true }));
    expectCode("FORBIDDEN", () => bob.decodeBatch(wire));
    const elsewhere = sealControl(key, { ...position, context: "home/garage" }, payload);
    expectCode("FORBIDDEN", () => bob.decode(elsewhere, { context: "home/garage" }));
    expectCode("UNEXPECTED_DELIVERY", () => bob.decode(wire, { naive: true }));
    expectCode("DECRYPTION_FAILED", () => bob.decode(wire, { context: "home/garage" }));
  });

  it("is malformed with a sequence, or with a sender", async () => {
    const { alice, bob } = await makePair();
    const topicKey = alice.topicKey as Uint8Array;
    expectCode("MALFORMED_MESSAGE", () =>
      bob.decode(sealControl(new TopicKey(topicKey), { ...position, sequence: 1 }, payload)),
    );
    const { position: place, plaintext } = openWire(topicKey, alice.encode("x"));
    expectCode("MALFORMED_MESSAGE", () => bob.decode(sealPlaintext(topicKey, place, plaintext, 5)));
  });

  it("is bounded as a message is", async () => {
    const { alice, bob } = await makePair({ maxPayloadBytes: 1000 });
    const key = new TopicKey(alice.topicKey as Uint8Array);
    // What is sealed of it has no signature and no time: 70 bytes less.
    expectCode("FORBIDDEN", () => bob.decode(sealControl(key, position, bytes(0, 1070))));
    expectCode("MESSAGE_TOO_LARGE", () => bob.decode(sealControl(key, position, bytes(0, 1071))));
  });

  it("can be made by none of the calls of a topic with a roster", async () => {
    const { alice, bob } = await makePair();
    for (const call of [
      () => alice.admit(bob.publicKey),
      () => alice.revoke(bob.publicKey),
      () => alice.rekey(),
      () => alice.renewWrapKey(),
      () => alice.decodeKept(),
    ]) {
      expectCode("FORBIDDEN", call);
    }
    expect([alice.topicId, alice.members, alice.rekeyWanted]).toEqual([undefined, [], undefined]);
  });
});

describe("dispose", () => {
  it("wipes, and says so ever after", async () => {
    const { alice } = await makePair();
    alice.dispose();
    alice.dispose();
    for (const call of [
      () => alice.encode("x"),
      () => alice.decode(bytes(1)),
      () => alice.topicKey,
      () => alice.addParticipant(bytes(1)),
      () => alice.removeParticipant(bytes(1)),
      () => alice.constructIntro(),
      () => alice.encodeWill("x"),
      () => alice.renewSessions(),
      () => alice.resetClock(),
      () => alice.constructReply(bytes(1)),
      () => alice.parseReply(bytes(1)),
      () => alice.ratchet(),
      () => alice.rekey(),
      () => alice.admit(bytes(1)),
      () => alice.revoke(bytes(1)),
      () => alice.renewWrapKey(),
      () => alice.decodeKept(),
    ]) {
      expectCode("DISPOSED", call);
    }
    expect(alice.publicKey.length).toBe(32);
  });

  it("is what `using` calls", async () => {
    const topic = await Topic.create();
    topic[Symbol.dispose]();
    expectCode("DISPOSED", () => topic.constructIntro());
  });
});

describe("printing", () => {
  it("shows no secret of a topic, a participant or a message", async () => {
    const seed = bytes(0xab);
    const topicKey = bytes(0xcd);
    const topic = await Topic.create({ seed, topicKey, name: NAME, clock: () => START });
    const participant = topic.addParticipant((await Topic.create({ seed: bytes(0xef) })).publicKey);
    const printed = [
      inspect(topic, { depth: 9, showHidden: true }),
      JSON.stringify(topic),
      inspect(participant),
      JSON.stringify(participant),
    ];
    for (const text of printed) {
      expect(text).not.toMatch(/(ab){4}|(cd){4}|171, 171|205, 205/i);
    }
    expect(JSON.parse(JSON.stringify(topic))).toEqual({ name: NAME, id: Buffer.from(topic.id).toString("hex") });
    expect(JSON.stringify(participant)).toBe(`{"fingerprint":"${participant.fingerprint}"}`);
  });
});
