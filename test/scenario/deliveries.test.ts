/** What a receiver may do with a copy (PROTOCOL §7): stories of brokers that repeat, keep and withhold. */
import { describe, expect, it } from "vitest";
import { generateTopicKey, Topic } from "../../src/index.js";
import { expectCode } from "../support/expect.js";
import { forgeMessage } from "../support/forge.js";
import { bytes, makePair, NAME, START, TestClock } from "../support/topics.js";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const YEAR = 365 * 24 * 60 * MINUTE;

describe("event", () => {
  it("is given exactly once, in whatever order its copies come", async () => {
    const { alice, bob } = await makePair();
    const wires = Array.from({ length: 50 }, (_, i) => alice.encode(String(i)));
    const given = [];
    for (const i of [3, 0, 3, 49, 10, 0, 49, 10, 2]) {
      try {
        given.push(bob.decode(wires[i] as Uint8Array)?.text());
      } catch (error) {
        expect(error).toMatchObject({ code: "REPLAY", reason: "seen" });
      }
    }
    expect(given).toEqual(["3", "0", "49", "10", "2"]);
  });

  it("is given however old it is, unless the caller names a maxAge", async () => {
    const { alice, bob, clock } = await makePair();
    const queued = alice.encode("queued for weeks");
    const other = alice.encode("queued for weeks, too");
    clock.now += 30 * 24 * 60 * MINUTE;
    expect(bob.decode(queued)?.text()).toBe("queued for weeks");
    expectCode("STALE_MESSAGE", () => bob.decode(other, { maxAge: MINUTE }));
    expect(bob.decode(other, { maxAge: Number.POSITIVE_INFINITY })?.text()).toBe("queued for weeks, too");
  });

  it("is given when its time is ahead: for an event, time is only information", async () => {
    const { alice, bob, clock } = await makePair();
    const wire = alice.encode("from tomorrow");
    clock.now -= 24 * 60 * MINUTE;
    expect(bob.decode(wire)?.sentAt).toBe(START);
  });

  it("is refused beyond the window of 16,384 sequences, and batches may overtake each other", async () => {
    const { alice, bob } = await makePair();
    const first = [alice.encode("a"), alice.encode("b"), alice.encodeBatch(Array(1024).fill("c"))];
    const batches = Array.from({ length: 15 }, () => alice.encodeBatch(Array(1024).fill("x")));
    for (const wire of batches.reverse()) expect(bob.decodeBatch(wire)).toHaveLength(1024);
    expect(bob.decodeBatch(first[2] as Uint8Array)).toHaveLength(1024);
    // The highest is 2 + 16 · 1,024 − 1: the first two are 16,385 and 16,384 below it.
    for (const wire of first.slice(0, 2)) expect(expectCode("REPLAY", () => bob.decode(wire)).reason).toBe("too-old");
    for (const wire of batches) expect(expectCode("REPLAY", () => bob.decodeBatch(wire)).reason).toBe("seen");
  });
});

describe("state", () => {
  it("is given as often as it comes, but never after a newer one", async () => {
    const { alice, bob, clock } = await makePair();
    const old = alice.encode("off", { delivery: "state" });
    clock.now += SECOND;
    const now = alice.encode("on", { delivery: "state" });
    for (let i = 0; i < 3; i++) expect(bob.decode(now, { retained: true })?.text()).toBe("on");
    expect(expectCode("STALE_MESSAGE", () => bob.decode(old)).age).toBe(SECOND);
  });

  it("is ordered over a restart of its sender, by time", async () => {
    const clock = new TestClock();
    const shared = { seed: bytes(1), topicKey: bytes(2), name: NAME, clock: clock.read };
    const before = await Topic.create(shared);
    const bob = await Topic.create({
      topicKey: bytes(2),
      name: NAME,
      clock: clock.read,
      participants: [before.publicKey],
    });
    const old = before.encode("old", { delivery: "state" });
    clock.now += SECOND;
    const after = await Topic.create(shared);
    expect(bob.decode(after.encode("new", { delivery: "state" }))?.text()).toBe("new");
    expectCode("STALE_MESSAGE", () => bob.decode(old));
  });

  it("has an order even within one millisecond", async () => {
    const seed = bytes(1);
    const topicKey = bytes(2);
    const alice = await Topic.create({ seed, topicKey, name: NAME });
    const bob = await Topic.create({ topicKey, name: NAME, participants: [alice.publicKey], clock: () => START });
    const make = (session: number, sequence: number) =>
      forgeMessage({ seed, topicKey, delivery: "state", session: bytes(session, 12), sequence });
    bob.decode(make(5, 5));
    expectCode("STALE_MESSAGE", () => bob.decode(make(5, 4)));
    expectCode("STALE_MESSAGE", () => bob.decode(make(4, 9)));
    expect(bob.decode(make(6, 0))?.sequence).toBe(0);
  });

  it("is kept apart by context and sender", async () => {
    const { alice, bob, clock } = await makePair();
    const old = alice.encode("old", { delivery: "state", context: "a" });
    clock.now += SECOND;
    bob.decode(alice.encode("new", { delivery: "state", context: "b" }), { context: "b" });
    expect(bob.decode(old, { context: "a" })?.text()).toBe("old");
  });

  it("from ahead is refused before anything changes", async () => {
    const { alice, bob, clock } = await makePair();
    clock.now += 6 * MINUTE;
    const ahead = alice.encode("future", { delivery: "state" });
    clock.now -= 6 * MINUTE;
    const error = expectCode("CLOCK", () => bob.decode(ahead));
    expect(error).toMatchObject({ whose: "sender", ahead: 6 * MINUTE });
    alice.resetClock();
    expect(bob.decode(alice.encode("now", { delivery: "state" }))?.text()).toBe("now");
  });
});

describe("command", () => {
  it("is given once, and within 30 seconds", async () => {
    const { alice, bob, clock } = await makePair();
    const unlock = alice.encode("unlock", { delivery: "command" });
    const delayed = alice.encode("unlock", { delivery: "command" });
    expect(bob.decode(unlock)?.delivery).toBe("command");
    expectCode("REPLAY", () => bob.decode(unlock));
    clock.now += 30 * SECOND + 2;
    expect(expectCode("STALE_MESSAGE", () => bob.decode(delayed)).age).toBe(30 * SECOND + 1);
    expect(bob.decode(delayed, { maxAge: MINUTE })?.text()).toBe("unlock");
  });

  it("is refused from ahead by more than maxAge, and taken later", async () => {
    const { alice, bob, clock } = await makePair();
    const wire = alice.encode("unlock", { delivery: "command" });
    clock.now -= 31 * SECOND;
    expectCode("CLOCK", () => bob.decode(wire));
    clock.now += 2 * SECOND;
    expect(bob.decode(wire)?.text()).toBe("unlock");
  });

  it("is never given when the broker had retained it", async () => {
    const { alice, bob } = await makePair();
    const wire = alice.encode("unlock", { delivery: "command" });
    expectCode("RETAINED_COMMAND", () => bob.decode(wire, { retained: true }));
    expect(bob.decode(wire)?.text()).toBe("unlock");
  });

  it("needs both clocks", async () => {
    const { alice, bob } = await makePair();
    const clockless = await Topic.create({
      topicKey: bob.topicKey as Uint8Array,
      name: NAME,
      clock: () => 5000,
      participants: [alice.publicKey],
    });
    expectCode("CLOCK", () => clockless.encode("x", { delivery: "command" }));
    const wire = alice.encode("x", { delivery: "command" });
    expect(expectCode("CLOCK", () => clockless.decode(wire)).whose).toBe("ours");
    const seed = bytes(1);
    bob.addParticipant((await Topic.create({ seed })).publicKey);
    const topicKey = bob.topicKey as Uint8Array;
    const order = forgeMessage({ seed, topicKey, delivery: "command", sentAt: 7 });
    expect(expectCode("CLOCK", () => bob.decode(order))).toMatchObject({ whose: "sender", ahead: undefined });
  });

  it.each([Number.NaN, -1, "5" as unknown as number])("refuses maxAge %s", async (maxAge) => {
    const { alice, bob } = await makePair();
    const wire = alice.encode("x");
    expect(() => bob.decode(wire, { maxAge })).toThrow(RangeError);
    expect(bob.decode(wire)?.text()).toBe("x");
  });
});

describe("will", () => {
  it("is given once, when its sender's newest alive names it", async () => {
    const { alice, bob } = await makePair();
    const { will, alive } = alice.encodeWill("gone");
    expect(expectCode("WILL_NOT_CURRENT", () => bob.decode(will)).reason).toBe("unannounced");
    expect(bob.decode(alive)).toBeNull();
    expect(bob.decode(will)).toMatchObject({ delivery: "will", sequence: 0, missed: undefined });
    expect(expectCode("REPLAY", () => bob.decode(will)).reason).toBe("seen");
    // The alive again, as a retained message on a new subscription: still delivered once.
    expect(bob.decode(alive)).toBeNull();
    expectCode("REPLAY", () => bob.decode(will));
  });

  it("of an earlier connection is refused, also if it was never given", async () => {
    const { alice, bob } = await makePair();
    const first = alice.encodeWill("first");
    const second = alice.encodeWill("second");
    bob.decode(first.alive);
    bob.decode(second.alive);
    bob.decode(first.alive);
    expect(expectCode("WILL_NOT_CURRENT", () => bob.decode(first.will)).reason).toBe("withdrawn");
    expect(bob.decode(second.will)?.text()).toBe("second");
  });

  it("is withdrawn by a farewell", async () => {
    const { alice, bob } = await makePair();
    const { will, alive, farewell } = alice.encodeWill("gone");
    for (const wire of [alive, farewell, alive]) bob.decode(wire);
    expect(expectCode("WILL_NOT_CURRENT", () => bob.decode(will)).reason).toBe("withdrawn");
  });

  it("is believed from its sender and for its context only", async () => {
    const { alice, bob } = await makePair();
    const { will, alive } = alice.encodeWill("gone", { context: "a" });
    bob.decode(alive, { context: "a" });
    expectCode("DECRYPTION_FAILED", () => bob.decode(will, { context: "b" }));
    const mallory = await Topic.create({ topicKey: bob.topicKey as Uint8Array, name: NAME });
    expectCode("UNTRUSTED_KEY", () => bob.decode(mallory.encodeWill("x").alive));
    expect(bob.decode(mallory.encodeWill("x").alive, { ignoreUntrusted: true })).toBeNull();
    expect(bob.decode(will, { context: "a" })?.text()).toBe("gone");
  });

  it("and its alive leave no gap in the sender's session, and take no place in the window", async () => {
    const { alice, bob } = await makePair();
    bob.decode(alice.encode("1"));
    const { will, alive, farewell } = alice.encodeWill("gone");
    bob.decode(alive);
    bob.decode(will);
    bob.decode(farewell);
    expect(bob.decode(alice.encode("2"))?.missed).toBe(0);
  });

  it("from ahead is not announced: a clock that jumped would lock later wills out", async () => {
    const { alice, bob, clock } = await makePair();
    clock.now += YEAR;
    const { alive } = alice.encodeWill("gone");
    clock.now -= YEAR;
    expectCode("CLOCK", () => bob.decode(alive));
    alice.resetClock();
    const now = alice.encodeWill("gone");
    bob.decode(now.alive);
    expect(bob.decode(now.will)?.text()).toBe("gone");
  });

  it("is not sent where no clock can order its alive", async () => {
    const { alice } = await makePair({ clock: () => 5000 });
    expectCode("CLOCK", () => alice.encodeWill("gone"));
  });
});

describe("clocks", () => {
  it("a device without a clock sends events; it counts", async () => {
    const { alice, bob } = await makePair({ clock: () => 0 });
    const received = [alice.encode("a"), alice.encode("b")].map((wire) => bob.decode(wire));
    expect(received.map((one) => one?.sentAt)).toEqual([1, 2]);
    expectCode("CLOCK", () => alice.encode("x", { delivery: "state" }));
  });

  it("a device whose clock says 1970 until it is set loses nothing by it", async () => {
    const clock = new TestClock(12_345);
    const topicKey = generateTopicKey();
    const device = await Topic.create({ topicKey, name: NAME, clock: clock.read });
    const bob = await Topic.create({ topicKey, name: NAME, participants: [device.publicKey], clock: () => START });
    expect(bob.decode(device.encode("booting"))?.sentAt).toBe(12_345);
    expectCode("CLOCK", () => device.encode("x", { delivery: "command" }));
    clock.now = START;
    expect(bob.decode(device.encode("set", { delivery: "state" }))?.sentAt).toBe(START);
    expect(bob.decode(device.encode("unlock", { delivery: "command" }))?.text()).toBe("unlock");
  });

  it.each([Number.NaN, -5, 2 ** 60, Number.POSITIVE_INFINITY])("a clock that says %s is none", async (now) => {
    const { alice, bob } = await makePair({ clock: () => now });
    expect(bob.decode(alice.encode("x"))?.sentAt).toBe(1);
    expectCode("CLOCK", () => alice.encode("x", { delivery: "state" }));
  });

  it("a clock that jumped to 2036 and back locks out nobody, and resetClock mends it", async () => {
    const clock = new TestClock();
    const topicKey = generateTopicKey();
    const device = await Topic.create({ topicKey, name: NAME, clock: clock.read });
    const other = await Topic.create({ topicKey, name: NAME, clock: () => START + 10 * SECOND });
    const participants = [device.publicKey, other.publicKey];
    const bob = await Topic.create({ topicKey, name: NAME, participants, clock: () => START + 10 * SECOND });
    bob.decode(device.encode("21 °C", { delivery: "state" }));

    clock.now = START + 10 * YEAR;
    expect(bob.decode(device.encode("an event of 2036"))?.sentAt).toBe(clock.now);
    const state = device.encode("a state of 2036", { delivery: "state" });
    expect(expectCode("CLOCK", () => bob.decode(state)).whose).toBe("sender");
    expectCode("CLOCK", () => bob.decode(device.encode("unlock", { delivery: "command" })));

    clock.now = START + 10 * SECOND;
    // sentAt never falls: events go on, and what is judged by its time is reported at the sender.
    expect(bob.decode(device.encode("an event"))?.sentAt).toBeGreaterThan(START + 10 * YEAR);
    expect(expectCode("CLOCK", () => device.encode("x", { delivery: "state" })).whose).toBe("ours");
    device.resetClock();
    expect(bob.decode(device.encode("22 °C", { delivery: "state" }))?.sentAt).toBe(START + 10 * SECOND);
    expect(bob.decode(device.encode("unlock", { delivery: "command" }))?.text()).toBe("unlock");
    expect(bob.decode(device.encode("an event again"))?.text()).toBe("an event again");
    // Nobody else noticed.
    expect(bob.decode(other.encode("23 °C", { delivery: "state" }))?.text()).toBe("23 °C");
  });

  it("a last sentAt ahead of the clock is reported even where the clock never seemed to fall", async () => {
    const clock = new TestClock();
    const { alice } = await makePair({ clock: clock.read, maxClockSkew: 10 });
    for (let i = 0; i < 20; i++) alice.encode("many within one millisecond");
    expect(expectCode("CLOCK", () => alice.encode("x", { delivery: "state" })).ahead).toBe(19);
    clock.now += 10;
    alice.encode("x", { delivery: "state" });
  });

  it("a receiver whose own clock went back takes no command until it is mended", async () => {
    const { alice, clock } = await makePair();
    const mine = new TestClock();
    const topicKey = alice.topicKey as Uint8Array;
    const bob = await Topic.create({ topicKey, name: NAME, participants: [alice.publicKey], clock: mine.read });
    mine.now += YEAR;
    expectCode("STALE_MESSAGE", () => bob.decode(alice.encode("x", { delivery: "command" })));
    mine.now = clock.now;
    expect(expectCode("CLOCK", () => bob.decode(alice.encode("x", { delivery: "command" }))).whose).toBe("ours");
    bob.resetClock();
    expect(bob.decode(alice.encode("x", { delivery: "command" }))?.text()).toBe("x");
  });

  it("a time of 2^48 − 1 is the last, and says how to go on", async () => {
    const clock = new TestClock(2 ** 48 - 1);
    const { alice, bob } = await makePair({ clock: clock.read });
    expect(bob.decode(alice.encode("x"))?.sentAt).toBe(2 ** 48 - 1);
    expectCode("CLOCK", () => alice.encode("x"));
    clock.now = START;
    alice.resetClock();
    expect(alice.encode("x")).toBeInstanceOf(Uint8Array);
  });
});
