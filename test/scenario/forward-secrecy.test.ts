/** Generations of a topic key (PROTOCOL §4): what a thief of today reads of yesterday, and who can push whom how far. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { backend } from "../../src/crypto.js";
import type { Topic, TopicOptions } from "../../src/index.js";
import { stepInPlace } from "../../src/topic-key.js";
import { expectCode } from "../support/expect.js";
import { forgeMessage } from "../support/forge.js";
import { DAY, HOUR, hear, pair, SEEDS, stolen, take, tell, World } from "../support/rooted.js";
import { bytes, flipBit } from "../support/topics.js";

const HOURLY = { ratchet: { every: HOUR } };

/** Running time and timers stand still unless a test moves them. */
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout"] });
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

interface Three {
  readonly world: World;
  readonly alice: Topic;
  readonly bob: Topic;
  /** Holds the topic key, is trusted, and has a program of his own. */
  readonly mallory: Topic;
}

/** Three who read each other, in a topic with or without a roster. */
async function makeThree(kind: string, options: { alice?: TopicOptions; bob?: TopicOptions } = {}): Promise<Three> {
  const world = new World();
  if (kind === "rooted") {
    const alice = await world.establish({ seed: SEEDS.root, ...options.alice });
    const bob = await world.create({ seed: SEEDS.bob, ...options.bob });
    const mallory = await world.create({ seed: SEEDS.carol });
    pair(alice, bob);
    tell(pair(alice, mallory).wire, bob);
    return { world, alice, bob, mallory };
  }
  const shared = { topicKey: bytes(1) };
  const alice = await world.create({ ...shared, seed: SEEDS.root, ...options.alice });
  const bob = await world.create({ ...shared, seed: SEEDS.bob, ...options.bob });
  const mallory = await world.create({ ...shared, seed: SEEDS.carol });
  const all = [alice, bob, mallory];
  for (const one of all) for (const other of all) if (one !== other) one.addParticipant(other.publicKey);
  return { world, alice, bob, mallory };
}

function pass(world: World, milliseconds: number): void {
  world.clock.now += milliseconds;
  vi.advanceTimersByTime(milliseconds);
}

/** The key so many generations after one. */
function keyAfter(topicKey: Uint8Array, steps: number): Uint8Array {
  const key = new Uint8Array(topicKey);
  for (let i = 0; i < steps; i++) stepInPlace(key);
  return key;
}

/** A message that Mallory's own program seals that far ahead of a key. */
function fromAhead(world: World, topicKey: Uint8Array, steps: number): Uint8Array {
  const session = globalThis.crypto.getRandomValues(new Uint8Array(12));
  const key = keyAfter(topicKey, steps);
  return forgeMessage({ seed: SEEDS.carol, topicKey: key, session, sentAt: world.clock.now, payload: `+${steps}` });
}

describe.each(["bare", "rooted"])("a thief of the whole device, in a %s topic", (kind) => {
  it("reads what comes later, and nothing of the generation before, once that had its grace", async () => {
    const { world, alice, bob } = await makeThree(kind);
    const oldKey = bob.topicKey as Uint8Array;
    const before = alice.encode("before the step");
    alice.ratchet();
    const after = alice.encode("after it");
    expect(bob.decode(after)?.text()).toBe("after it");
    expect(bob.generation).toBe(1);

    // Within the grace there is something to steal: it is there for messages that are late.
    pass(world, DAY - 2000);
    const early = await world.load(bob.save());
    expect(early.decode(before)?.text()).toBe("before the step");

    pass(world, 4000);
    const state = bob.save();
    const thief = await world.load(state);
    expectCode("UNKNOWN_TOPIC_KEY", () => thief.decode(before, { allowReplay: true }));
    expect(thief.decode(after, { allowReplay: true })?.text()).toBe("after it");
    alice.ratchet();
    expect(thief.decode(alice.encode("two steps later"))?.text()).toBe("two steps later");
    // Nor by a program of his own: no byte of what Bob saved leads there.
    expect(Buffer.from(state).includes(Buffer.from(oldKey))).toBe(false);
    for (const { keys } of stolen(bob).epochs) expect(keys?.key).toEqual(keyAfter(oldKey, 1));
  });

  it("finds the old key for as long as the owner wants late messages to be read", async () => {
    const { world, alice, bob } = await makeThree(kind, { bob: { grace: 3 * DAY } });
    const before = alice.encode("queued for two days");
    alice.ratchet();
    bob.decode(alice.encode("x"));
    pass(world, 2 * DAY);
    expect(bob.decode(before)?.text()).toBe("queued for two days");
    pass(world, 2 * DAY);
    expect(hear(bob, before, { allowReplay: true })).toBe("UNKNOWN_TOPIC_KEY");
  });

  it("who steals it during a run of steps has only the generations of the last day", async () => {
    const { world, alice, bob } = await makeThree(kind, { alice: HOURLY });
    const wires: Uint8Array[] = [];
    for (let i = 0; i < 60; i++) {
      const wire = alice.encode(`hour ${i}`);
      wires.push(wire);
      bob.decode(wire);
      pass(world, HOUR);
    }
    const thief = await world.load(bob.save());
    const readable = wires.map((wire) => hear(thief, wire, { allowReplay: true }) !== "UNKNOWN_TOPIC_KEY");
    // Generation 35 was left 24 hours ago to the millisecond.
    expect(readable.lastIndexOf(false)).toBe(35);
    expect(readable.indexOf(true)).toBe(36);
  });
});

describe.each(["bare", "rooted"])("a hostile publisher who runs ahead, in a %s topic", (kind) => {
  it("by 4,000 generations again and again is read, and followed by nobody", async () => {
    const { world, alice, bob } = await makeThree(kind);
    const asleep = bob.save();
    const topicKey = alice.topicKey as Uint8Array;
    for (let i = 0; i < 5; i++) {
      expect(tell(fromAhead(world, topicKey, 4000 + i), alice, bob)).toEqual([`+${4000 + i}`, `+${4000 + i}`]);
      // From there on again: beyond what anybody reads.
      expect(tell(fromAhead(world, topicKey, 8000 + i), alice, bob)).toEqual(Array(2).fill("UNKNOWN_TOPIC_KEY"));
      pass(world, HOUR);
    }
    for (const topic of [alice, bob]) {
      expect(topic.generation).toBe(0);
      expect(topic.topicKey).toEqual(topicKey);
    }
    const awake = await world.load(asleep);
    expect(tell(alice.encode("good morning"), bob, awake)).toEqual(["good morning", "good morning"]);
    expect(alice.decode(awake.encode("morning"))?.text()).toBe("morning");
  });

  it("by just what the others have saved up takes them along that far, and no further than one an hour", async () => {
    const { world, alice, bob } = await makeThree(kind);
    const topicKey = alice.topicKey as Uint8Array;
    expect(tell(fromAhead(world, topicKey, 24), alice, bob)).toEqual(["+24", "+24"]);
    expect([alice.generation, bob.generation]).toEqual([24, 24]);
    tell(fromAhead(world, topicKey, 25), alice, bob);
    expect([alice.generation, bob.generation]).toEqual([24, 24]);
    pass(world, HOUR);
    tell(fromAhead(world, topicKey, 26), alice, bob);
    expect([alice.generation, bob.generation]).toEqual([24, 24]);
    tell(fromAhead(world, topicKey, 25), alice, bob);
    expect([alice.generation, bob.generation]).toEqual([25, 25]);
  });

  it("for two months with all that was saved up in half a year locks nobody out who slept meanwhile", async () => {
    const { world, alice, bob } = await makeThree(kind);
    const topicKey = alice.topicKey as Uint8Array;
    pass(world, 180 * DAY);
    const asleep = bob.save();
    const honest: Uint8Array[] = [];
    let generation = 2048;
    tell(fromAhead(world, topicKey, generation), alice);
    expect(alice.generation).toBe(2048);
    for (let day = 0; day < 60; day++) {
      honest.push(alice.encode(`day ${day}`));
      pass(world, DAY);
      generation += 24;
      tell(fromAhead(world, topicKey, generation), alice);
      expect(alice.generation).toBe(generation);
    }
    const awake = await world.load(asleep);
    expect(honest.map((wire) => hear(awake, wire))).toEqual(honest.map((_, day) => `day ${day}`));
    expect(awake.decode(alice.encode("now"))?.text()).toBe("now");
  });

  it("cannot make anybody send under a generation by a message that he repeats, or that is not his", async () => {
    const { world, alice, bob } = await makeThree(kind);
    const topicKey = alice.topicKey as Uint8Array;
    const stranger = forgeMessage({ seed: bytes(0x66), topicKey: keyAfter(topicKey, 5), payload: "x" });
    expect(hear(bob, stranger)).toBe("UNTRUSTED_KEY");
    expect(hear(bob, flipBit(fromAhead(world, topicKey, 5), 700))).toBe("DECRYPTION_FAILED");
    const stale = fromAhead(world, topicKey, 6);
    world.clock.now += HOUR;
    expect(hear(bob, stale, { maxAge: 1000 })).toBe("STALE_MESSAGE");
    expect(bob.generation).toBe(0);
    tell(fromAhead(world, topicKey, 5), bob);
    expect(bob.generation).toBe(5);
  });
});

describe("a device that slept for two days, while a hostile publisher spent all that was saved up in half a year", () => {
  /** The others are 2,096 generations ahead: more than anybody can ever save up. */
  async function wake(): Promise<{ world: World; alice: Topic; awake: Topic }> {
    const { world, alice, bob } = await makeThree("rooted");
    const topicKey = alice.topicKey as Uint8Array;
    pass(world, 180 * DAY);
    const asleep = bob.save();
    bob.dispose();
    tell(fromAhead(world, topicKey, 2048), alice);
    pass(world, 2 * DAY);
    tell(fromAhead(world, topicKey, 2096), alice);
    pass(world, DAY + 2000);
    expect(alice.generation).toBe(2096);
    const awake = await world.load(asleep);
    expect(awake.decode(alice.encode("good morning"))?.text()).toBe("good morning");
    return { world, alice, awake };
  }

  it("is told to introduce itself, since nobody has the key any more that it sends under", async () => {
    const { world, alice, awake } = await wake();
    const heard = hear(alice, awake.encode("can you hear me?"));
    pass(world, 60_000);
    awake.decode(alice.encode("hello?"));
    const asked = await world.told(awake, "introduction-wanted");
    expect(heard).not.toBe("can you hear me?");
    expect(asked).toMatchObject([{ reason: "behind" }]);
  });

  it("is heard when it has introduced itself, which needs no person", async () => {
    const { alice, awake } = await wake();
    expect(take(alice.constructReply(awake.constructIntro()), awake)).toBe(true);
    expect(awake.generation).toBe(2096);
    expect(alice.decode(awake.encode("can you hear me?"))?.text()).toBe("can you hear me?");
  });
});

describe.each(["bare", "rooted"])("away for two days under an hourly policy, in a %s topic", (kind) => {
  it("a device reads at once, and is read at once, whoever speaks first", async () => {
    for (const bobFirst of [true, false]) {
      const { world, alice, bob } = await makeThree(kind, { alice: HOURLY, bob: HOURLY });
      tell(bob.encode("good night"), alice);
      const asleep = bob.save();
      bob.dispose();
      const wires: Uint8Array[] = [];
      for (let hour = 0; hour < 48; hour++) {
        wires.push(alice.encode(`hour ${hour}`));
        pass(world, HOUR);
      }
      const awake = await world.load(asleep, HOURLY);
      const hello = () => alice.decode(awake.encode("hello"))?.text();
      if (bobFirst) expect(hello()).toBe("hello");
      expect(wires.map((wire) => hear(awake, wire))).toEqual(wires.map((_, hour) => `hour ${hour}`));
      expect(awake.decode(alice.encode("now"))?.text()).toBe("now");
      expect(hello()).toBe("hello");
      expect([alice.generation, awake.generation]).toEqual([48, 48]);
    }
  });

  it("and one without a policy of its own is heard as soon as it has heard somebody", async () => {
    const { world, alice, bob } = await makeThree(kind, { alice: HOURLY });
    tell(alice.encode("good night"), bob);
    const asleep = bob.save();
    for (let hour = 0; hour < 48; hour++) {
      pass(world, HOUR);
      alice.encode(`hour ${hour}`);
    }
    const awake = await world.load(asleep);
    // What nobody has any more the key of is no message to anybody.
    expect(hear(alice, awake.encode("too early"))).toBe("UNKNOWN_TOPIC_KEY");
    awake.decode(alice.encode("now"));
    expect(alice.decode(awake.encode("hello"))?.text()).toBe("hello");
  });

  it("the policy steps by what was missed, and waits where the budget is spent", async () => {
    const { world, alice, bob } = await makeThree(kind, { alice: HOURLY });
    alice.encode("the policy begins");
    for (let i = 0; i < 24; i++) alice.ratchet();
    pass(world, 2 * HOUR + 1);
    tell(alice.encode("x"), bob);
    expect(alice.generation).toBe(26);
    expectCode("RATE_LIMIT", () => alice.ratchet());
    tell(alice.encode("x"), bob);
    expect([alice.generation, bob.generation]).toEqual([26, 26]);
  });
});

describe.each(["bare", "rooted"])("the budget, in a %s topic", (kind) => {
  it("lets ratchet() step 24 times at once, and then once an hour", async () => {
    const { world, alice, bob } = await makeThree(kind);
    for (let i = 0; i < 24; i++) alice.ratchet();
    const key = alice.topicKey;
    expectCode("RATE_LIMIT", () => alice.ratchet());
    expect(alice.topicKey).toEqual(key);
    pass(world, HOUR);
    alice.ratchet();
    expectCode("RATE_LIMIT", () => alice.ratchet());
    expect(alice.generation).toBe(25);
    expect(bob.decode(alice.encode("x"))?.text()).toBe("x");
  });

  it("tells who listens of each step, by itself or by following somebody", async () => {
    const { world, alice, bob } = await makeThree(kind);
    for (const topic of [alice, bob]) await world.eventsOf(topic);
    alice.ratchet();
    tell(alice.encode("x"), bob);
    expect(await world.eventsOf(alice)).toEqual([{ type: "ratcheted", generation: 1 }]);
    expect(await world.eventsOf(bob)).toEqual([{ type: "ratcheted", generation: 1 }]);
  });
});

describe.each(["bare", "rooted"])("a flood of unknown key ids, in a %s topic", (kind) => {
  it("costs no hash each and moves nobody", async () => {
    const { alice, bob } = await makeThree(kind);
    const wire = alice.encode("template");
    const junk = (i: number): Uint8Array => {
      const copy = new Uint8Array(wire);
      new DataView(copy.buffer).setUint32(4, i * 2_654_435_761);
      return copy;
    };
    // The first one makes the table of all ids.
    expect(hear(bob, junk(1))).toBe("UNKNOWN_TOPIC_KEY");
    const before = stolen(bob);
    const blake2b = vi.spyOn(backend(), "blake2b");
    for (let i = 2; i < 5000; i++) expect(hear(bob, junk(i))).toBe("UNKNOWN_TOPIC_KEY");
    expect(blake2b).not.toHaveBeenCalled();
    blake2b.mockRestore();
    const { kept, gaps, ...after } = stolen(bob);
    expect({ ...after, kept: [], gaps: 0 }).toEqual({ ...before, kept: [], gaps: 0 });
    expect(kept.length).toBe(kind === "bare" ? 0 : 64);
    expect(gaps.missing.length).toBe(kind === "bare" ? 0 : 1);
    expect(bob.decode(wire)?.text()).toBe("template");
    alice.ratchet();
    expect(bob.decode(alice.encode("and the next"))?.text()).toBe("and the next");
  });
});
