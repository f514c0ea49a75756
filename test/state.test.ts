/** A topic that is saved and loaded goes on as the one that was saved; and bytes that are none of ours are refused. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { toHex } from "../src/bytes.js";
import { type CborItem, decode, encode } from "../src/cbor.js";
import { backend, hashEncoded } from "../src/crypto.js";
import {
  type ControlMessage,
  type DecodeOptions,
  generateTopicKey,
  type LoadOptions,
  type Received,
  StateError,
  StringphoneError,
  Topic,
  type TopicEvent,
  type TopicOptions,
} from "../src/index.js";
import { parse } from "../src/message.js";
import { type RejoinSecret, RejoinSecrets } from "../src/rejoin.js";
import { formatState, parseState, type SavedTopic } from "../src/state.js";
import { expectCode, thrownBy } from "./support/expect.js";
import { Random } from "./support/fuzz.js";
import { bytes, flipBit, NAME, START, TestClock } from "./support/topics.js";

const HOUR = 3_600_000;

/** Running time and timers stand still unless a test moves them: then a state is the same as long as nothing happens. */
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout"] });
  // Numbers are drawn for delays, and bytes for everything else.
  const { crypto } = globalThis;
  const drawn = crypto.getRandomValues.bind(crypto);
  vi.spyOn(crypto, "getRandomValues").mockImplementation((out) =>
    out instanceof Uint32Array ? out.fill(0) : drawn(out),
  );
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Lets a newcomer in. Gives what is to be published for the others. */
function admit(admin: Topic, newcomer: Topic, role: "admin" | "publisher" | "reader" = "publisher"): ControlMessage {
  const intro = newcomer.constructIntro();
  const control = admin.admit(intro, { role });
  const answer = admin.constructReply(intro);
  const { reply } = expectCode("INTRODUCTION_REPLY", () => newcomer.decode(answer));
  newcomer.parseReply(reply);
  return control;
}

interface Cast {
  readonly clock: TestClock;
  readonly root: Topic;
  readonly boss: Topic;
  readonly carol: Topic;
  readonly bob: Topic;
}

/** A rooted topic: two admins, a publisher who steps the key, and Bob, whom the test is about. */
async function makeCast(
  options: TopicOptions = {},
  role: "admin" | "publisher" | "reader" = "publisher",
): Promise<Cast> {
  const clock = new TestClock();
  const shared = { name: NAME, clock: clock.read };
  const root = await Topic.establish(shared);
  const boss = await Topic.create(shared);
  const carol = await Topic.create({ ...shared, ratchet: { every: HOUR } });
  const bob = await Topic.create({ ...shared, ...options });
  admit(root, boss, "admin");
  const controls = [admit(root, carol), admit(root, bob, role)];
  for (const { wire } of controls) for (const topic of [boss, carol, bob]) topic.decode(wire);
  return { clock, root, boss, carol, bob };
}

/** What came out of a call, as far as an application can see it. */
function outcomeOf(call: () => unknown): unknown {
  try {
    return plain(call());
  } catch (error) {
    if (!(error instanceof StringphoneError)) throw error;
    return { ...(error as object), message: error.message };
  }
}

function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  if ("message" in value) return { ...value, message: plain(value.message) };
  if (!("sequence" in value)) return value;
  const { sender, sentAt, delivery, sequence, missed, replayed, payload } = value as Received;
  return { sender: sender.hex, sentAt, delivery, sequence, missed, replayed, payload: toHex(payload) };
}

interface Told {
  readonly original: TopicEvent[];
  readonly copy: TopicEvent[];
}

/** A topic, and another one that was loaded from what the first one saved. Whatever the one is told, the other is told too. */
class Twins {
  readonly original: Topic;
  readonly #options: LoadOptions;
  readonly #told: Told;
  #copy: Topic;

  private constructor(original: Topic, copy: Topic, options: LoadOptions, told: Told) {
    this.original = original;
    this.#copy = copy;
    this.#options = options;
    this.#told = told;
  }

  /** `make` makes the original, with what tells it events. */
  static async of(options: LoadOptions, make: (options: LoadOptions) => Promise<Topic>): Promise<Twins> {
    const told: Told = { original: [], copy: [] };
    const original = await make({ ...options, listener: (event) => told.original.push(event) });
    told.original.length = 0;
    const copyOptions = { ...options, listener: (event: TopicEvent) => told.copy.push(event) };
    return new Twins(original, await Topic.load(original.save(), copyOptions), copyOptions, told);
  }

  get copy(): Topic {
    return this.#copy;
  }

  /** Saves the copy and goes on with what is loaded. Gives what was saved. */
  async reload(): Promise<SavedTopic> {
    const state = this.copy.save();
    const [one, other] = [state, this.original.save()].map(withoutRepublished) as [Uint8Array, Uint8Array];
    expect(Buffer.compare(one, other), "the states differ").toBe(0);
    this.copy.dispose();
    this.#copy = await Topic.load(state, this.#options);
    expect(Buffer.compare(this.copy.save(), state), "the state changed").toBe(0);
    return parseState(state);
  }

  /** Both do the same, with the same result and the same events. */
  async both(what: string, act: (topic: Topic) => unknown): Promise<unknown> {
    this.#told.original.length = 0;
    this.#told.copy.length = 0;
    const outcome = outcomeOf(() => act(this.original));
    expect(
      outcomeOf(() => act(this.copy)),
      what,
    ).toEqual(outcome);
    // Events are told when a call is over.
    await Promise.resolve();
    const [copy, original] = [this.#told.copy, this.#told.original].map((told) => told.flatMap(withoutChance));
    expect(copy, what).toEqual(original);
    return outcome;
  }

  get events(): readonly TopicEvent[] {
    return this.#told.original;
  }

  expectSame(): void {
    for (const name of ["epoch", "generation", "rekeyWanted", "participants", "topicKey"] as const) {
      expect(this.copy[name], name).toEqual(this.original[name]);
    }
    const rolesOf = (topic: Topic) => topic.members.map(({ participant, role }) => `${participant.hex} ${role}`).sort();
    expect(rolesOf(this.copy)).toEqual(rolesOf(this.original));
  }
}

/**
 * A state, but for what is only in that of a topic that was loaded: it publishes again what others may not know, at times of its own, and
 * remembers under which key.
 */
function withoutRepublished(state: Uint8Array): Uint8Array {
  const saved = parseState(state);
  const { rooted } = saved;
  const clock = { ...saved.clock, lastSentAt: 0 };
  if (rooted === undefined) return formatState({ ...saved, clock });
  const rejoinSecrets = rooted.rejoinSecrets.map((one) => ({ ...one, since: 0 }));
  return formatState({ ...saved, clock, spread: undefined, rooted: { ...rooted, rejoinSecrets, sealedUnder: [] } });
}

/** An event, but for what is drawn by lot, for what is told again after each load, and for what was published. */
function withoutChance(event: TopicEvent): unknown {
  if (event.type === "rekey-wanted" || event.type === "publish" || event.type === "expired") return [];
  if (event.type === "rekeyed")
    return { ...event, removed: event.removed.map(({ hex }) => hex).sort(), issuer: event.issuer?.hex };
  if ("by" in event)
    return { ...event, by: event.by?.hex, participant: "participant" in event && event.participant.hex };
  return "delay" in event ? { ...event, delay: 0 } : event;
}

/** What there is in a state that is easily lost. */
function* notable({ epochs, kept, rooted }: SavedTopic): Iterable<string> {
  if (epochs.some(({ keys }) => keys === undefined)) yield "unopened";
  if (epochs.some(({ isRetired }) => isRetired)) yield "retired";
  if (kept.length > 0) yield "kept";
  if (rooted === undefined) return;
  if (rooted.rejoinSecrets.length > 1) yield "several to come back with";
  if (rooted.unsettled.length > 0) yield "unsettled";
  const { roles, links, wraps } = rooted.statements;
  if (links.some((link) => !roles.includes(link))) yield "superseded link";
  if (wraps.some((wrap) => !roles.includes(wrap) && !links.includes(wrap))) yield "renewed wrap key";
}

describe("a saved topic", () => {
  it("is the same bytes for the same state, behind a label and a format", async () => {
    const { bob } = await makeCast();
    const state = bob.save();
    expect(bob.save()).toEqual(state);
    // cbor-x leaves something of its own on what it decodes.
    const [label, format] = decode(state.slice(), { maxDepth: 12, maxItems: 10_000, maxTextBytes: 100 }) as CborItem[];
    expect([label, format]).toEqual(["stringphone/1 state", 1]);
    const copy = await Topic.load(state, { clock: () => START });
    expect(copy.save()).toEqual(state);
    expect(formatState(parseState(state))).toEqual(state);
  });

  it("differs by nothing but times when time passes", async () => {
    const clock = new TestClock();
    const topic = await Topic.create({ topicKey: bytes(1), name: NAME, clock: clock.read });
    topic.ratchet();
    const before = parseState(topic.save());
    await vi.advanceTimersByTimeAsync(5000);
    clock.now += 5000;
    const after = parseState(topic.save());
    expect(after.epochs[0]?.keys?.graces[0]?.elapsed).toBe(5000);
    expect(after.clock.greatest).toBe(START + 5000);
    const withoutTimes = (state: typeof before) => ({ ...state, clock: 0, budget: 0, epochs: 0 });
    expect(withoutTimes(after)).toEqual(withoutTimes(before));
  });

  it.each([
    ["nothing", {}],
    ["a topic key", { topicKey: bytes(1), name: "ß/🌡" }],
    ["pins", { topicKey: bytes(1), name: NAME, participants: [] as Uint8Array[] }],
  ])("keeps %s", async (_, options) => {
    const peer = await Topic.create();
    const topic = await Topic.create({
      ...options,
      participants: [peer.publicKey],
      seed: bytes(7),
      clock: () => START,
    });
    const copy = await Topic.load(topic.save(), { clock: () => START });
    expect(copy.publicKey).toEqual(topic.publicKey);
    expect(copy.name).toBe(topic.name);
    expect(copy.topicKey).toEqual(topic.topicKey);
    expect(copy.participants.map(({ hex }) => hex)).toEqual([toHex(peer.publicKey)]);
    expect(copy.save()).toEqual(topic.save());
  });

  it("keeps a newcomer's wrap key, and none of its open introductions", async () => {
    const clock = new TestClock();
    const root = await Topic.establish({ name: NAME, clock: clock.read });
    const newcomer = await Topic.create({ name: NAME, clock: clock.read });
    const { introduction } = expectCode("INTRODUCTION", () => root.decode(newcomer.constructIntro()));
    root.admit(introduction);
    const reply = root.constructReply(introduction);
    const loaded = await Topic.load(newcomer.save(), { clock: clock.read });
    expectCode("FOREIGN_REPLY", () => loaded.decode(reply));
    const again = loaded.constructIntro();
    root.admit(again);
    const { reply: opened } = expectCode("INTRODUCTION_REPLY", () => loaded.decode(root.constructReply(again)));
    loaded.parseReply(opened);
    // Wrapped to the key that was saved.
    loaded.decode(root.rekey().wire);
    expect(loaded.epoch).toBe(1);
    expect(loaded.topicKey).toEqual(root.topicKey);
  });

  it("is refused of a disposed topic", async () => {
    const topic = await Topic.create();
    topic.dispose();
    expectCode("DISPOSED", () => topic.save());
    let disposed: Topic | undefined;
    const clock = () => {
      disposed?.dispose();
      return START;
    };
    const other = await Topic.create({ clock });
    disposed = other;
    expectCode("DISPOSED", () => other.save());
  });

  it("verifies no signature when it is loaded", async () => {
    const { root, bob } = await makeCast();
    for (let i = 0; i < 30; i++) {
      const one = await Topic.create({ name: NAME, clock: () => START });
      bob.decode(admit(root, one).wire);
    }
    const state = bob.save();
    const verify = vi.spyOn(backend(), "verify");
    const isPoint = vi.spyOn(backend(), "isPrimeOrderPoint");
    const loaded = await Topic.load(state, { clock: () => START });
    expect(verify).not.toHaveBeenCalled();
    expect(isPoint).not.toHaveBeenCalled();
    verify.mockRestore();
    expect(loaded.members.length).toBe(34);
    expect(loaded.decode(root.encode("x"))?.text()).toBe("x");
  });

  it("takes its clock, grace and policy from what load() is told", async () => {
    const topic = await Topic.create({ topicKey: bytes(1), clock: () => START });
    topic.ratchet();
    const clock = new TestClock();
    const loaded = await Topic.load(topic.save(), {
      clock: clock.read,
      ratchet: { every: HOUR },
      grace: 0,
      maxPayloadBytes: 3,
    });
    expect(loaded.maxPayloadBytes).toBe(3);
    clock.now += 2 * HOUR;
    loaded.encode("x");
    expect(loaded.generation).toBe(3);
    await vi.advanceTimersByTimeAsync(2000);
    expect(parseState(loaded.save()).epochs[0]?.keys?.oldest).toBe(3);
  });

  it.each<[string, LoadOptions, typeof TypeError | typeof RangeError]>([
    ["a seed", { seed: bytes(1) } as LoadOptions, TypeError],
    ["a name", { name: "x" } as LoadOptions, TypeError],
    ["a topic key", { topicKey: bytes(1) } as LoadOptions, TypeError],
    ["participants", { participants: [] } as LoadOptions, TypeError],
    ["restored: 1", { restored: 1 as unknown as boolean }, TypeError],
    ["a negative grace", { grace: -1 }, RangeError],
    ["a clock that is none", { clock: 5 as unknown as () => number }, TypeError],
  ])("refuses %s as an option", async (_, options, kind) => {
    const state = (await Topic.create()).save();
    await expect(Topic.load(state, options)).rejects.toBeInstanceOf(kind);
  });

  it("throws what the caller's clock throws, and bytes of another type, as they are", async () => {
    const state = (await Topic.create()).save();
    const clock = () => {
      throw new Error("no clock");
    };
    await expect(Topic.load(state, { clock, restored: true })).rejects.toThrow("no clock");
    await expect(Topic.load("state" as unknown as Uint8Array)).rejects.toBeInstanceOf(TypeError);
  });

  it("leaves the caller's bytes alone, and does not need them any more", async () => {
    const topic = await Topic.create({ topicKey: bytes(1) });
    const state = topic.save();
    const before = new Uint8Array(state);
    const loading = Topic.load(state);
    state.fill(0);
    const loaded = await loading;
    expect(loaded.topicKey).toEqual(bytes(1));
    await Topic.load(before);
    expect(before).not.toEqual(state);
  });
});

describe("time", () => {
  it("sentAt never falls, whatever the clock says after the load", async () => {
    const clock = new TestClock();
    const alice = await Topic.create({ topicKey: bytes(1), name: NAME, clock: clock.read });
    const bob = await Topic.create({
      topicKey: bytes(1),
      name: NAME,
      participants: [alice.publicKey],
      clock: () => START,
    });
    const last = bob.decode(alice.encode("1"))?.sentAt as number;
    for (const now of [START - 10 * HOUR, 5, Number.NaN]) {
      const loaded = await Topic.load(alice.save(), { clock: () => now });
      expect(bob.decode(loaded.encode("2"))?.sentAt).toBeGreaterThan(last);
      // The clock went back: it is none.
      expectCode("CLOCK", () => loaded.encode("2", { delivery: "state" }));
    }
  });

  it("a grace counts running time only, and goes on after a load", async () => {
    const clock = new TestClock();
    const options = { clock: clock.read, grace: 10_000 };
    const topic = await Topic.create({ topicKey: bytes(1), name: NAME, ...options });
    const sender = await Topic.create({ topicKey: bytes(1), name: NAME, clock: clock.read });
    topic.addParticipant(sender.publicKey);
    topic.ratchet();
    await vi.advanceTimersByTimeAsync(6000);
    const state = topic.save();
    topic.dispose();
    // Switched off for a day.
    clock.now += 24 * HOUR;
    await vi.advanceTimersByTimeAsync(24 * HOUR);
    const loaded = await Topic.load(state, options);
    expect(loaded.decode(sender.encode("late"))?.text()).toBe("late");
    await vi.advanceTimersByTimeAsync(3900);
    expect(loaded.decode(sender.encode("late"))?.text()).toBe("late");
    await vi.advanceTimersByTimeAsync(1200);
    expectCode("UNKNOWN_TOPIC_KEY", () => loaded.decode(sender.encode("too late")));
  });

  it("the budget of steps accrues while the program is away, and is not filled by loading", async () => {
    const clock = new TestClock();
    let topic = await Topic.create({ topicKey: bytes(1), clock: clock.read });
    for (let i = 0; i < 24; i++) topic.ratchet();
    for (let i = 0; i < 5; i++) {
      topic = await Topic.load(topic.save(), { clock: clock.read });
      expectCode("RATE_LIMIT", () => topic.ratchet());
    }
    clock.now += 3 * HOUR;
    topic = await Topic.load(topic.save(), { clock: clock.read });
    for (let i = 0; i < 3; i++) topic.ratchet();
    expectCode("RATE_LIMIT", () => topic.ratchet());
  });
});

describe("an old copy, loaded again and again", () => {
  /** Every position that a wire message was sealed at. */
  function positionOf(wire: Uint8Array): string {
    const message = parse(wire, 1 << 20);
    if (message.type !== "message") throw new Error("not a message");
    return `${message.keyId} ${toHex(message.session)} ${message.sequence}`;
  }

  function sendEverything(topic: Topic): Uint8Array[] {
    const wires = ["1", "2"].map((text) => topic.encode(text));
    wires.push(topic.encode("s", { delivery: "state", context: "other" }), topic.encodeBatch(["a", "b", "c"]));
    topic.renewSessions();
    wires.push(topic.encode("3"), ...Object.values(topic.encodeWill("gone") as object as Record<string, Uint8Array>));
    return wires;
  }

  it("never seals two messages at one position under one key", async () => {
    const { clock, bob } = await makeCast({}, "admin");
    const positions = new Set<string>();
    let count = 0;
    const note = (wires: Uint8Array[]) => {
      for (const wire of wires) positions.add(positionOf(wire));
      count += wires.length;
    };
    note(sendEverything(bob));
    const state = bob.save();
    note(sendEverything(bob));
    for (let i = 0; i < 40; i++) {
      const loaded = await Topic.load(state, { clock: clock.read, restored: i % 2 === 0 });
      note(sendEverything(loaded));
      note([loaded.renewWrapKey().wire, loaded.rekey().wire]);
      loaded.ratchet();
      note(sendEverything(loaded));
      loaded.dispose();
    }
    expect(positions.size).toBe(count);
  });
});

describe("a backup that is restored", () => {
  it("refuses events and commands from before now of everybody, and judges states as before", async () => {
    const clock = new TestClock();
    const shared = { topicKey: bytes(1), name: NAME, clock: clock.read };
    const alice = await Topic.create(shared);
    const dave = await Topic.create(shared);
    const bob = await Topic.create({ ...shared, participants: [alice.publicKey] });
    bob.decode(alice.encode("in the backup"));
    bob.decode(alice.encode("old", { delivery: "state" }));
    const backup = bob.save();
    clock.now += 10_000;
    const seen = alice.encode("seen after it");
    const batch = alice.encodeBatch(["so", "too"], { context: "another" });
    const command = alice.encode("open", { delivery: "command" });
    const state = alice.encode("new", { delivery: "state" });
    const stranger = dave.encode("of somebody new");
    for (const wire of [seen, command, state]) bob.decode(wire);
    clock.now += 10_000;
    const unrestored = await Topic.load(backup, { clock: clock.read });
    expect(unrestored.decode(seen)?.text()).toBe("seen after it");
    let restored = await Topic.load(backup, { clock: clock.read, restored: true });
    restored.addParticipant(dave.publicKey);
    for (let i = 0; i < 2; i++) {
      for (const wire of [seen, command, stranger]) {
        expect(expectCode("REPLAY", () => restored.decode(wire)).reason).toBe("too-old");
      }
      expect(expectCode("REPLAY", () => restored.decodeBatch(batch, { context: "another" })).reason).toBe("too-old");
      expect(restored.decode(seen, { allowReplay: true })?.replayed).toBe(true);
      expect(restored.decode(state)?.text()).toBe("new");
      // The floor is part of what is saved.
      restored = await Topic.load(restored.save(), { clock: clock.read });
    }
    clock.now += 1;
    expect(restored.decode(alice.encode("now"))?.text()).toBe("now");
    expect(restored.decode(dave.encode("now"))?.text()).toBe("now");
    expect(restored.decode(alice.encode("now", { delivery: "command" }))?.text()).toBe("now");
  });

  it("without a clock, refuses what is no later than the latest that it knew itself, and nobody else moves that", async () => {
    let counter = 100;
    const alice = await Topic.create({ topicKey: bytes(1), name: NAME, clock: () => ++counter });
    const liar = await Topic.create({ topicKey: bytes(1), name: NAME, clock: () => 2 ** 48 - 5 });
    const bob = await Topic.create({ topicKey: bytes(1), name: NAME, clock: () => counter });
    for (const { publicKey } of [alice, liar]) bob.addParticipant(publicKey);
    bob.decode(liar.encode("from the end of time"));
    const early = alice.encode("early");
    counter = 500;
    bob.encode("x");
    const restored = await Topic.load(bob.save(), { clock: () => Number.NaN, restored: true });
    expect(expectCode("REPLAY", () => restored.decode(early)).reason).toBe("too-old");
    expect(restored.decode(alice.encode("late"))?.text()).toBe("late");
  });

  it("asks for an introduction until one is answered, also after it was saved and loaded again", async () => {
    const { clock, root, bob } = await makeCast();
    const told: TopicEvent[] = [];
    const options = { clock: clock.read, listener: (event: TopicEvent) => void told.push(event) };
    let restored = await Topic.load(bob.save(), { ...options, restored: true });
    expect(told).toEqual([]);
    await vi.advanceTimersByTimeAsync(1500);
    expect(told).toMatchObject([{ type: "introduction-wanted", reason: "restored" }]);
    await vi.advanceTimersByTimeAsync(9 * 60_000);
    expect(told.length).toBe(1);
    const state = restored.save();
    restored.dispose();
    restored = await Topic.load(state, options);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(told.length).toBe(1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told).toMatchObject([{}, { type: "introduction-wanted", reason: "restored" }]);

    const { introduction } = expectCode("INTRODUCTION", () => root.decode(restored.constructIntro()));
    expect(introduction.isReturning).toBe(true);
    const { reply } = expectCode("INTRODUCTION_REPLY", () => restored.decode(root.constructReply(introduction)));
    restored.parseReply(reply);
    await vi.advanceTimersByTimeAsync(30 * HOUR);
    expect(told.filter(({ type }) => type === "introduction-wanted").length).toBe(2);
    expect(parseState(restored.save()).gaps.missing).toEqual([]);
  });

  it("asks for none in a topic without a roster, or of which we are no part any more", async () => {
    const told: TopicEvent[] = [];
    const options = { clock: () => START, restored: true, listener: (event: TopicEvent) => void told.push(event) };
    const bare = await Topic.load((await Topic.create({ topicKey: bytes(1) })).save(), options);
    expect(vi.getTimerCount()).toBe(0);
    bare.dispose();
    const { root, bob } = await makeCast();
    bob.decode(root.revoke(bob.publicKey).wire);
    await Topic.load(bob.save(), options);
    await vi.advanceTimersByTimeAsync(HOUR);
    expect(told).toEqual([]);
  });
});

describe("what is wanted is told again after a load", () => {
  it("a rekey, once the caller has the topic", async () => {
    const { clock, root, boss } = await makeCast();
    // The boss admits somebody under its own head, and a rekey of the root crosses it.
    const dave = await Topic.create({ name: NAME, clock: clock.read });
    const rekey = root.rekey();
    const admission = admit(boss, dave);
    boss.decode(rekey.wire);
    root.decode(admission.wire);
    expect(root.rekeyWanted).toBe("participant-missing");
    let loaded: Topic | undefined;
    const told: unknown[] = [];
    const listener = ({ type }: TopicEvent) => {
      // The admission may be unknown to others, and is published again besides.
      if (type !== "publish") told.push([type, loaded?.rekeyWanted]);
    };
    loaded = await Topic.load(root.save(), { clock: clock.read, listener });
    expect(told).toEqual([]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(told).toEqual([["rekey-wanted", "participant-missing"]]);
    boss.decode(loaded.rekey().wire);
    expect(boss.topicKey).toEqual(loaded.topicKey);
    expect(loaded.rekeyWanted).toBeUndefined();
  });

  it("and messages that were kept, and can be read", async () => {
    const { clock, root, carol, bob } = await makeCast();
    const rekey = root.rekey();
    carol.decode(rekey.wire);
    const early = carol.encode("early", { context: "other" });
    expect(expectCode("UNKNOWN_TOPIC_KEY", () => bob.decode(early, { context: "other", maxAge: 0.5 })).isKept).toBe(
      true,
    );
    bob.decode(rekey.wire);
    const told: TopicEvent[] = [];
    const listener = (event: TopicEvent) => void told.push(event);
    const loaded = await Topic.load(bob.save(), { clock: clock.read, listener });
    await vi.advanceTimersByTimeAsync(1000);
    expect(told).toEqual([{ type: "readable", count: 1 }]);
    expect(plain(loaded.decodeKept())).toEqual(plain(bob.decodeKept()));
    expect(loaded.decodeKept()).toEqual([]);
  });

  it("messages are kept with how they were to be decoded", async () => {
    const { clock, root, carol, bob } = await makeCast();
    carol.decode(root.rekey().wire);
    const decodeOptions: DecodeOptions[] = [
      {},
      { maxAge: 5 },
      { maxAge: Number.POSITIVE_INFINITY, hearOwn: true },
      { delivery: ["will", "state"], retained: true, allowReplay: true, ignoreUntrusted: true },
    ];
    for (const options of decodeOptions) thrownBy(() => bob.decode(carol.encode("x"), options));
    const loaded = await Topic.load(bob.save(), { clock: clock.read });
    expect(loaded.save()).toEqual(bob.save());
    const wanted = parseState(loaded.save()).kept.map((one) => one.wanted);
    expect(wanted).toMatchObject([
      { expected: ["event", "state", "command", "will"], maxAge: undefined, retained: false },
      { maxAge: 5 },
      { maxAge: 2 ** 48 - 1, hearOwn: true },
      { expected: ["will", "state"], retained: true, allowReplay: true, ignoreUntrusted: true },
    ]);
  });
});

describe("a loaded topic goes on as the one that was saved", () => {
  // The same stories each time, so that they show each time what they are to show; keys are drawn anew.
  const seed = 1;
  /** How calls ended, and what was told. */
  const seenInAll: Set<unknown>[] = [];

  it.each([0, 1, 2, 3, 4, 5])(
    "without a roster: pins, deliveries, batches, wills, replays and steps (story %i)",
    async (story) => {
      console.log(`state seed ${seed + story}`);
      const random = new Random(seed + story);
      const clock = new TestClock();
      const topicKey = generateTopicKey();
      const shared = { topicKey, name: NAME, clock: clock.read };
      const senders = await Promise.all([1, 2, 3, 4].map(() => Topic.create(shared)));
      const ratcheting = await Topic.create({ ...shared, ratchet: { every: HOUR } });
      senders.push(ratcheting);
      const participants = senders.slice(1).map(({ publicKey }) => publicKey);
      const options = { clock: clock.read, grace: 3 * HOUR };
      const twins = await Twins.of(options, (given) => Topic.create({ ...shared, participants, ...given }));
      const contexts = [NAME, "other", "long/".repeat(20)];
      const wires: { wire: Uint8Array; context: string }[] = [];
      const outcomes = new Set<unknown>();
      for (let i = 0; i < 400; i++) {
        const sender = random.pick(senders);
        const context = random.pick(contexts);
        const kind = random.below(20);
        if (kind < 9) {
          const delivery = random.pick(["event", "event", "state", "command"] as const);
          const wire =
            random.below(4) > 0
              ? sender.encode(`${i}`, { delivery, context })
              : sender.encodeBatch(
                  Array.from({ length: 1 + random.below(700) }, () => "x"),
                  { delivery, context },
                );
          wires.push({ wire, context });
        } else if (kind === 9) {
          for (const wire of Object.values(
            sender.encodeWill(`will ${i}`, { context }) as object as Record<string, Uint8Array>,
          )) {
            wires.push({ wire, context });
          }
        } else if (kind === 10) {
          sender.renewSessions();
        } else if (kind === 11) {
          const passed = random.pick([10, 20_000, HOUR]);
          clock.now += passed;
          await vi.advanceTimersByTimeAsync(passed);
        } else if (kind === 12) {
          const publicKey = sender.publicKey;
          await twins.both("pins", (topic) => {
            if (i % 2 === 0) topic.addParticipant(publicKey);
            else topic.removeParticipant(publicKey);
          });
        } else if (kind === 13) {
          outcomes.add(await twins.both("a step", (topic) => topic.ratchet()));
        } else if (kind < 17) {
          await twins.reload();
        }
        for (let times = random.below(4); times > 0 && wires.length > 0; times--) {
          const { wire, context: bound } =
            random.below(3) > 0
              ? (wires.at(-1 - random.below(Math.min(4, wires.length))) as (typeof wires)[0])
              : random.pick(wires);
          const decodeOptions: DecodeOptions = {
            context: bound,
            retained: random.below(6) === 0,
            allowReplay: random.below(6) === 0,
            ...(random.below(6) === 0 && { maxAge: random.below(60_000) }),
          };
          const outcome = (await twins.both(`step ${i}`, (topic) => topic.decodeBatch(wire, decodeOptions))) as {
            code?: string;
          };
          outcomes.add(outcome.code ?? "given");
        }
      }
      await twins.reload();
      twins.expectSame();
      seenInAll.push(outcomes);
      const wire = twins.copy.encode("from the copy");
      senders[0]?.addParticipant(twins.copy.publicKey);
      expect(outcomeOf(() => senders[0]?.decode(wire))).toMatchObject({ sequence: 0, missed: undefined });
      for (const topic of [...senders, twins.original, twins.copy]) topic.dispose();
    },
  );

  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])(
    "with a roster: admins, revocations, rekeys, steps and kept messages (story %i)",
    async (story) => {
      console.log(`state seed ${seed + story}`);
      const random = new Random(seed + 1000 + story);
      const clock = new TestClock();
      const shared = { name: NAME, clock: clock.read };
      const root = await Topic.establish({ ...shared, ratchet: { every: HOUR } });
      const others: Topic[] = [root];
      const role = random.pick(["admin", "publisher", "reader"] as const);
      const twins = await Twins.of({ clock: clock.read, grace: 6 * HOUR }, async (given) => {
        const bob = await Topic.create({ ...shared, ...given });
        admit(root, bob, role);
        return bob;
      });
      const underway: Uint8Array[] = [];
      const outcomes = new Set<unknown>();
      const tellAll = (wire: Uint8Array): void => {
        // The others are always there; what reaches the twins comes late, twice, in another order, or not at all.
        for (const topic of others) outcomeOf(() => topic.decode(wire));
        for (let copies = random.pick([0, 1, 1, 1, 2]); copies > 0; copies--) underway.push(wire);
      };
      const isAdmin = (topic: Topic): boolean => {
        return topic.members.some(
          ({ participant, role: its }) => its === "admin" && participant.hex === toHex(topic.publicKey),
        );
      };
      for (let i = 0; i < 150; i++) {
        const actor = random.pick(others);
        const kind = random.below(24);
        const attempt = (act: () => void): unknown => outcomeOf(act);
        if (kind < 8) {
          attempt(() => tellAll(random.below(3) > 0 ? actor.encode(`${i}`) : actor.encodeBatch([`${i}`, "b"])));
        } else if (kind < 11 && others.length < 8) {
          const admin = random.pick(others.filter(isAdmin));
          const newcomer = await Topic.create({ ...shared, ratchet: { every: HOUR } });
          // Who has no key that counts gives none.
          attempt(() => {
            const control = admit(admin, newcomer, random.pick(["admin", "publisher", "reader"]));
            others.push(newcomer);
            tellAll(control.wire);
          });
        } else if (kind === 11) {
          attempt(() => tellAll(random.pick(others.filter(isAdmin)).rekey().wire));
        } else if (kind === 12) {
          const { participant } = random.pick(root.members);
          const isTwin = participant.hex === toHex(twins.original.publicKey);
          if (!isTwin || random.below(4) === 0) {
            const keep = random.pick(["all", "none"] as const);
            attempt(() => tellAll(random.pick(others.filter(isAdmin)).revoke(participant.publicKey, { keep }).wire));
          }
        } else if (kind === 13) {
          attempt(() => tellAll(actor.renewWrapKey().wire));
        } else if (kind === 14) {
          const passed = random.pick([1000, HOUR, 3 * HOUR]);
          clock.now += passed;
          await vi.advanceTimersByTimeAsync(passed);
        } else if (kind < 18) {
          for (const what of notable(await twins.reload())) outcomes.add(what);
        } else if (kind === 18) {
          outcomes.add(`kept ${((await twins.both("kept", (topic) => topic.decodeKept())) as unknown[]).length}`);
        } else if (kind === 19) {
          await twins.both("sending", (topic) => void topic.encode("x"));
        } else if (kind < 22) {
          const { participant } = random.pick(root.members);
          const changed = { role: random.pick(["admin", "publisher", "reader"] as const) };
          attempt(() => tellAll(random.pick(others.filter(isAdmin)).admit(participant.publicKey, changed).wire));
        }
        while (underway.length > 0 && random.below(3) > 0) {
          const [wire] = underway.splice(random.below(underway.length), 1) as [Uint8Array];
          const outcome = (await twins.both(`step ${i}`, (topic) => topic.decodeBatch(wire))) as { code?: string };
          outcomes.add(outcome.code ?? "given");
          for (const { type } of twins.events) outcomes.add(type);
        }
        twins.expectSame();
      }
      await twins.reload();
      seenInAll.push(outcomes);
      for (const topic of [...others, twins.original, twins.copy]) topic.dispose();
    },
  );

  it("which those stories have shown of all that may happen", () => {
    const seen = new Set(seenInAll.flatMap((one) => [...one]));
    for (const what of [
      "given",
      "REPLAY",
      "STALE_MESSAGE",
      "UNTRUSTED_KEY",
      "UNKNOWN_TOPIC_KEY",
      "rekeyed",
      "ratcheted",
      "admitted",
      "revoked",
      "unopened",
      "retired",
      "several to come back with",
      "superseded link",
      "renewed wrap key",
      "unsettled",
      "kept",
    ]) {
      expect(seen, what).toContain(what);
    }
  });

  it("with an epoch that it cannot open, a retired one, and rejoin secrets of both", async () => {
    const { clock, root, boss, carol, bob } = await makeCast();
    const rekey = root.rekey();
    for (const topic of [boss, carol]) topic.decode(rekey.wire);
    // Of this one Bob gets only the second: it is sealed under a key that he does not have, and is kept.
    const second = boss.rekey();
    for (const topic of [root, carol]) topic.decode(second.wire);
    expectCode("UNKNOWN_TOPIC_KEY", () => bob.decode(second.wire));
    const loaded = await Topic.load(bob.save(), { clock: clock.read });
    expect(loaded.save()).toEqual(bob.save());
    // Its parent comes at last, and the kept one after it opens by itself.
    loaded.decode(rekey.wire);
    expect(loaded.epoch).toBe(2);
    expect(loaded.topicKey).toEqual(carol.topicKey);
    const once = await Topic.load(loaded.save(), { clock: clock.read });
    expect(once.decode(carol.encode("hello"))?.text()).toBe("hello");
    expect(once.save().length).toBeGreaterThan(0);
  });

  it("an admin: it admits, revokes, rekeys, and answers who comes back", async () => {
    const { clock, root, boss, carol, bob } = await makeCast({}, "admin");
    let admin = bob;
    const restart = async (): Promise<void> => {
      const state = admin.save();
      admin.dispose();
      admin = await Topic.load(state, { clock: clock.read });
      expect(admin.save()).toEqual(state);
    };
    await restart();
    const dave = await Topic.create({ name: NAME, clock: clock.read });
    const admission = admit(admin, dave);
    await restart();
    for (const topic of [root, boss, carol]) topic.decode(admission.wire);
    const removal = admin.revoke(carol.publicKey);
    await restart();
    for (const topic of [root, boss, dave]) topic.decode(removal.wire);
    expect(dave.topicKey).toEqual(admin.topicKey);
    expect(root.topicKey).toEqual(admin.topicKey);
    const intro = dave.constructIntro();
    const { introduction } = expectCode("INTRODUCTION", () => admin.decode(intro));
    expect(introduction.isReturning).toBe(true);
    const { reply } = expectCode("INTRODUCTION_REPLY", () => dave.decode(admin.constructReply(introduction)));
    expect(dave.parseReply(reply)).toBe(true);
  });
});

describe("bytes that are not a state", () => {
  /** The same state with other content, and the right hash. */
  function sealAgain(state: Uint8Array): Uint8Array {
    const sealed = new Uint8Array(state);
    sealed.set(hashEncoded(sealed.subarray(0, -34)), sealed.length - 32);
    return sealed;
  }

  async function richState(): Promise<Uint8Array> {
    const { root, carol, bob } = await makeCast();
    bob.addParticipant((await Topic.create()).publicKey);
    bob.decode(carol.encode("x"));
    const { alive } = carol.encodeWill("w");
    bob.decode(alive);
    bob.decode(carol.encode("s", { delivery: "state" }));
    for (let i = 0; i < 5; i++) if (i !== 2) bob.decode(carol.encode("x"));
    bob.ratchet();
    const rekey = root.rekey();
    carol.decode(rekey.wire);
    thrownBy(() => bob.decode(carol.encode("kept")));
    bob.decode(rekey.wire);
    bob.renewWrapKey();
    return bob.save();
  }

  it("cut at each byte, or with more behind, are a StateError", async () => {
    const state = await richState();
    for (let length = 0; length < state.length; length++) {
      await expect(Topic.load(state.subarray(0, length))).rejects.toBeInstanceOf(StateError);
    }
    await expect(Topic.load(Uint8Array.of(...state, 0))).rejects.toBeInstanceOf(StateError);
    const longer = sealAgain(Uint8Array.of(...state, 0x58, 32, ...bytes(0)));
    await expect(Topic.load(longer)).rejects.toBeInstanceOf(StateError);
  });

  it("with any bit flipped are a StateError", async () => {
    const state = await richState();
    for (let bit = 0; bit < 8 * state.length; bit += bit < 400 ? 1 : 7) {
      expect(
        thrownBy(() => parseState(flipBit(state, bit))),
        `bit ${bit}`,
      ).toBeInstanceOf(StateError);
    }
  });

  it("of anything else are a StateError", async () => {
    const { bob } = await makeCast();
    const state = bob.save();
    const format = state.indexOf(1, 21);
    const newer = new Uint8Array(state);
    newer[format] = 2;
    const random = new Random(1);
    for (const foreign of [bob.encode("x"), bob.constructIntro(), new Uint8Array(1000), newer, sealAgain(newer)]) {
      const error = await Topic.load(foreign).catch((one: unknown) => one);
      expect(error).toBeInstanceOf(StateError);
    }
    for (let i = 0; i < 300; i++) {
      await expect(Topic.load(random.bytes(random.below(300)))).rejects.toBeInstanceOf(StateError);
      const begun = Uint8Array.of(...state.subarray(0, format + 1), ...random.bytes(random.below(300) + 34));
      await expect(Topic.load(sealAgain(begun))).rejects.toBeInstanceOf(StateError);
    }
  });

  it("with any change that the hash does not tell are a StateError or a topic, in bounded time", async () => {
    const state = await richState();
    const seed = Date.now() % 2 ** 32;
    console.log(`state fuzz seed ${seed}`);
    const random = new Random(seed);
    const outcomes = { refused: 0, loaded: 0 };
    const { root } = await makeCast();
    const stranger = root.encode("x");
    for (let i = 0; i < 1000; i++) {
      const copy = [...state];
      for (let times = 1 + random.below(3); times > 0; times--) {
        // Not the label, and not the hash.
        const at = 22 + random.below(copy.length - 22 - 34);
        const kind = random.below(5);
        if (kind < 2) copy[at] = (copy[at] as number) ^ (1 << random.below(8));
        else if (kind === 2) copy[at] = random.pick([0, 1, 0x18, 0x1b, 0x3b, 0x40, 0x5f, 0x60, 0x80, 0x81, 0x9b, 0xff]);
        else if (kind === 3) copy.splice(at, random.below(4), ...random.bytes(random.below(4)));
        else copy.splice(at, 0, ...copy.slice(at, at + random.below(60)));
      }
      const changed = sealAgain(Uint8Array.from(copy));
      const loaded = await Topic.load(changed, { clock: () => START }).catch((error: unknown) => error);
      if (loaded instanceof Topic) {
        outcomes.loaded++;
        // Whatever it is, it saves what it loaded, and breaks nothing later.
        expect((await Topic.load(loaded.save(), { clock: () => START })).save()).toEqual(loaded.save());
        outcomeOf(() => loaded.decode(stranger));
        outcomeOf(() => loaded.encode("x"));
        outcomeOf(() => loaded.decodeKept());
        await vi.advanceTimersByTimeAsync(2000);
        loaded.dispose();
      } else {
        outcomes.refused++;
        if (!(loaded instanceof StateError)) throw loaded;
      }
    }
    expect(outcomes.refused).toBeGreaterThan(200);
    expect(outcomes.loaded).toBeGreaterThan(50);
  });

  it("with a counter at its end are a StateError: save() would fail for ever; with a smaller one they are saved again", async () => {
    const saved = parseState(await richState());
    const rooted = saved.rooted as NonNullable<SavedTopic["rooted"]>;
    const graces = (elapsed: number) => [{ generation: 1, elapsed }];
    const inEpochs = (more: (epoch: SavedTopic["epochs"][number]) => object) => ({
      epochs: saved.epochs.map((one) => ({ ...one, ...more(one) })),
    });
    const someone = rooted.departed[0]?.[0] ?? "00".repeat(32);
    const inKeys = (elapsed: number) =>
      inEpochs(({ keys }) => ({ keys: keys && { ...keys, oldest: 0, sending: 1, graces: graces(elapsed) } }));
    const [milliseconds, digests] = [2 ** 48 - 1, 2 ** 52];
    const counters: [string, number, (value: number) => object][] = [
      ["left", milliseconds, (left) => inEpochs(() => ({ left }))],
      ["elapsed", milliseconds, inKeys],
      ["replaced", milliseconds, (replaced) => ({ wrapKeys: saved.wrapKeys.map((one) => ({ ...one, replaced })) })],
      ["credit", milliseconds, (credit) => ({ budget: { ...saved.budget, credit } })],
      ["counted", milliseconds, (counted) => ({ budget: { ...saved.budget, counted } })],
      ["steppedAt", milliseconds, (steppedAt) => ({ steppedAt })],
      ["spread", milliseconds, (spread) => ({ spread })],
      ["missing", milliseconds, (missing) => ({ gaps: { ...saved.gaps, missing: [["no-key", missing]] } })],
      ["next", milliseconds, (next) => ({ gaps: { ...saved.gaps, next } })],
      ["interval", 24 * HOUR, (interval) => ({ gaps: { ...saved.gaps, interval } })],
      ["digestsBefore", digests, (digestsBefore) => ({ rooted: { ...rooted, digestsBefore } })],
      ["departed", digests, (digest) => ({ rooted: { ...rooted, departed: [[someone, digest]] } })],
      ["agreedAt", digests, (agreedAt) => inEpochs(() => ({ agreedAt }))],
      ["told", digests, (digest) => inEpochs(() => ({ told: [[someone, digest]] }))],
    ];
    for (const [what, most, change] of counters) {
      const load = (value: number) => Topic.load(formatState({ ...saved, ...change(value) }), { clock: () => START });
      for (const value of [most + 1, Number.MAX_SAFE_INTEGER]) {
        await expect(load(value), what).rejects.toBeInstanceOf(StateError);
      }
      const loaded = await load(most);
      await vi.advanceTimersByTimeAsync(5000);
      expect(loaded.save().length, what).toBeGreaterThan(1000);
      loaded.dispose();
    }
  });

  it("may have a secret to come back with more than are kept of the latest: that of the epoch that counts", async () => {
    const saved = parseState(await richState());
    const rooted = saved.rooted as NonNullable<SavedTopic["rooted"]>;
    const secrets = new RejoinSecrets();
    const [first] = rooted.rejoinSecrets as [RejoinSecret];
    for (let i = 0; i < 300; i++) {
      const id = i === 0 ? first.id : i.toString(16).padStart(64, "0");
      secrets.add({ ...first, id, secret: bytes(i % 256) });
      secrets.trim(first.id, () => true);
    }
    const rejoinSecrets = secrets.saved();
    expect(rejoinSecrets.length).toBe(257);
    const state = formatState({ ...saved, rooted: { ...rooted, rejoinSecrets } });
    expect((await Topic.load(state, { clock: () => START })).save()).toEqual(state);
  });

  it("that announce more than they hold are refused at once", async () => {
    const state = (await Topic.create({ topicKey: bytes(1) })).save();
    const huge = [0x9b, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    for (let at = 22; at < state.length - 34; at++) {
      const changed = sealAgain(Uint8Array.of(...state.subarray(0, at), ...huge, ...state.subarray(at)));
      expect(await Topic.load(changed).catch((error: unknown) => error)).toBeInstanceOf(StateError);
    }
  });

  it("encode is not needed to read them", () => {
    expect(() => parseState(encode(["stringphone/1 state", 1, [], new Uint8Array(32)]))).toThrow(StateError);
  });
});

describe("sizes", () => {
  it("some 330 bytes for each on the roster", async () => {
    const clock = () => START;
    const root = await Topic.establish({ name: NAME, clock });
    const sizes: number[] = [];
    for (let count = 2; count <= 200; count++) {
      const newcomer = await Topic.create({ name: NAME, clock });
      root.admit(newcomer.constructIntro({ name: `device ${count}` }));
      newcomer.dispose();
      if (count === 10 || count === 200) sizes.push(root.save().length);
    }
    const [ten, twoHundred] = sizes as [number, number];
    expect(ten).toBeLessThan(6000);
    expect((twoHundred - ten) / 190).toBeLessThan(500);
  });
});
