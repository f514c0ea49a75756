/** What a crash, a clock or the caller's own code may do to a topic at the worst moment: each was tried, and did harm before. */
import { describe, expect, it, vi } from "vitest";
import { generateTopicKey, type Participant, Topic, type TopicOptions } from "../../src/index.js";
import { MAX_SENT_AT } from "../../src/limits.js";
import { expectCode } from "../support/expect.js";
import {
  DAY,
  HOUR,
  hear,
  keyOf,
  overheard,
  pair,
  roleOf,
  SEEDS,
  standStill,
  stolen,
  take,
  tell,
  World,
} from "../support/rooted.js";
import { bytes, NAME } from "../support/topics.js";

standStill();

const MINUTE = 60_000;

describe("a program that ended after it saved a rekey, and before it published it", () => {
  it("publishes it when it is started again: who was removed is not left in", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const removal = root.revoke(bob.publicKey);
    const again = await world.load(root.save());
    // There is nobody to wait for: each second that it takes, he reads on.
    await vi.advanceTimersByTimeAsync(2000);
    const [event] = await world.told(again, "publish");
    expect(event?.messages).toEqual([removal]);
    tell(removal.wire, admin, carol);
    for (const topic of [again, admin, carol]) expect(overheard(topic, bob)).toBe("UNKNOWN_TOPIC_KEY");
    // Once in each run.
    await vi.advanceTimersByTimeAsync(DAY);
    expect(await world.told(again, "publish")).toEqual([]);
  });

  it("and no more when it came back from the broker, or another epoch counts", async () => {
    const world = new World();
    const { root, admin, bob } = await world.family();
    const removal = root.revoke(bob.publicKey);
    tell(removal.wire, root, admin);
    const back = await world.load(root.save());
    const rekey = root.rekey();
    const before = root.save();
    tell(rekey.wire, admin);
    tell(admin.rekey().wire, root);
    const overtaken = await world.load(root.save());
    await vi.advanceTimersByTimeAsync(MINUTE);
    for (const topic of [back, overtaken]) expect(await world.told(topic, "publish")).toEqual([]);
    expect(stolen(back).ownRekey).toBeUndefined();
    expect(stolen(await world.load(before)).ownRekey?.wire).toEqual(rekey.wire);
  });
});

describe("the caller's byte arrays and options", () => {
  it("are copied before anything is waited for", async () => {
    const world = new World();
    const [seed, topicKey, key] = [
      bytes(0x71),
      generateTopicKey(),
      (await world.create({ seed: bytes(0x72) })).publicKey,
    ];
    const kept = topicKey.slice();
    const options: { -readonly [K in keyof TopicOptions]: TopicOptions[K] } = {
      seed,
      topicKey,
      name: NAME,
      participants: [key],
    };
    const underway = Topic.create(options);
    for (const array of [seed, topicKey, key]) array.fill(0);
    options.name = "elsewhere";
    const topic = await underway;
    const whole = await Topic.create({ seed: bytes(0x71), topicKey: kept, name: NAME });
    expect(topic.publicKey).toEqual(whole.publicKey);
    expect(topic.topicKey).toEqual(kept);
    expect(topic.name).toBe(NAME);
    expect(topic.participants).toHaveLength(1);
    const again = bytes(0x71);
    const roots = [whole.publicKey];
    const founding = Topic.establish({ seed: again, name: NAME, roots });
    again.fill(0);
    roots[0]?.fill(0);
    expect((await founding).members.map(({ participant }) => participant.publicKey)).toEqual([whole.publicKey]);
  });

  it("of an introduction may be its bytes and the context that it was made in", async () => {
    const world = new World();
    const { root } = await world.family();
    const newcomer = await world.create({ seed: bytes(0x73) });
    const context = "home/introductions";
    const intro = newcomer.constructIntro({ context });
    expectCode("BAD_SIGNATURE", () => root.admit(intro));
    root.admit(intro, { context });
    const wire = root.constructReply(intro, { context });
    const { reply } = expectCode("INTRODUCTION_REPLY", () => newcomer.decode(wire, { context }));
    expect(newcomer.parseReply(reply)).toBe(true);
    expect(roleOf(root, newcomer)).toBe("publisher");
  });

  it("cannot change who is on the roster", async () => {
    const { root, carol } = await new World().family();
    const member = root.members.find(
      ({ participant }) => participant.hex === Buffer.from(carol.publicKey).toString("hex"),
    );
    expect(() => Object.assign(member as object, { role: "admin" })).toThrow(TypeError);
    expect(() => Object.assign(member?.participant as Participant, { hint: "x" })).toThrow(TypeError);
    expect(tell(carol.encode("as before"), root)).toEqual(["as before"]);
  });
});

describe("a clock that ran ahead, and was set right", () => {
  it("does not end the steps of the key", async () => {
    const world = new World();
    const topic = await world.create({ topicKey: generateTopicKey(), ratchet: { every: HOUR } });
    world.clock.now += 3650 * DAY;
    topic.encode("x");
    world.clock.now -= 3650 * DAY;
    topic.resetClock();
    topic.encode("x");
    world.clock.now += 3 * HOUR;
    vi.advanceTimersByTime(3 * HOUR);
    topic.encode("x");
    expect(topic.generation).toBe(3);
  });

  it("does not refuse for a year what was sent before a load that was said to be of a backup", async () => {
    const world = new World();
    const { root, carol } = await world.family();
    const state = carol.save();
    world.clock.now += 365 * DAY;
    const restored = await world.load(state, { restored: true });
    world.clock.now -= 365 * DAY;
    expect(hear(restored, root.encode("x"))).toBe("REPLAY");
    const recorded = root.encode("before the clock was set");
    world.clock.now += MINUTE;
    restored.resetClock();
    expect(hear(restored, recorded)).toBe("REPLAY");
    world.clock.now += MINUTE;
    expect(hear(restored, root.encode("x"))).toBe("x");
  });

  it("leaves what there is no time for until it is set, instead of failing in a timer", async () => {
    const world = new World();
    const { root, admin, carol } = await world.family();
    for (const seed of [bytes(0x74), bytes(0x75)]) {
      tell(root.admit((await world.create({ seed })).constructIntro()).wire, carol);
    }
    const rekey = admin.rekey().wire;
    const now = world.clock.now;
    world.clock.now = MAX_SENT_AT - 1;
    carol.encode("x");
    tell(rekey, carol);
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect((await world.told(carol, "publish")).map(({ messages }) => messages.length)).toEqual([1]);
    world.clock.now = now;
    carol.resetClock();
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect((await world.told(carol, "publish")).map(({ messages }) => messages.length)).toEqual([2]);
  });
});

it("a topic key that is new has not been used for as long as the one before: it begins at its first generation", async () => {
  const world = new World();
  const topic = await world.create({ topicKey: generateTopicKey(), ratchet: { every: DAY } });
  topic.encode("x");
  world.clock.now += 20 * DAY;
  vi.advanceTimersByTime(20 * DAY);
  topic.topicKey = generateTopicKey();
  topic.encode("x");
  expect(topic.generation).toBe(0);
  const sponsor = await world.create({ topicKey: generateTopicKey() });
  world.clock.now += 20 * DAY;
  vi.advanceTimersByTime(20 * DAY);
  sponsor.addParticipant(topic.publicKey);
  topic.addParticipant(sponsor.publicKey);
  const intro = topic.constructIntro();
  expectCode("INTRODUCTION", () => sponsor.decode(intro));
  take(sponsor.constructReply(intro), topic);
  expect(keyOf(topic)).toEqual(keyOf(sponsor));
  topic.encode("x");
  expect(topic.generation).toBe(0);
});

describe("what an error says", () => {
  it("names what came, and what to do", async () => {
    const world = new World();
    const { root } = await world.family();
    const newcomer = await world.create({ seed: SEEDS.bob });
    pair(root, newcomer);
    const { introduction } = expectCode("INTRODUCTION", () => root.decode(newcomer.constructIntro()));
    const copy = structuredClone({ ...introduction });
    expect(() => root.admit(copy as never)).toThrow("the very introduction that decode threw, no copy of it");
    expect(() => root.admit(introduction, { role: 1n as never })).toThrow("got bigint");
    expect(() => root.admit(introduction, { name: 5 as never })).toThrow('"name" expected text, got number');
    expect(() => root.revoke("bob" as never)).toThrow('"whom" expected');
    await expect(Topic.create({ ratchet: 5 as never })).rejects.toThrow('"ratchet" expected an object');
  });
});
