import { beforeAll, describe, expect, it } from "vitest";
import { toTableKey } from "../src/bytes.js";
import { loadCrypto } from "../src/crypto.js";
import { Topic } from "../src/index.js";
import { type Mark, ReplayMemory } from "../src/replay.js";
import { forgeMessage } from "./support/forge.js";
import { bytes, NAME, START } from "./support/topics.js";

beforeAll(() => loadCrypto());

/** A session that a number names. */
function sessionOf(number: number): Uint8Array {
  const session = new Uint8Array(12);
  new DataView(session.buffer).setUint32(0, number);
  return session;
}

function event(session: number, sequence: number, sentAt: number, count = 1): Mark {
  return { session: toTableKey(sessionOf(session)), sequence, sentAt, delivery: "event", count };
}

/** Bytes of the heap after a collection; vitest's workers run with `--expose-gc`. */
function heapUsed(): number {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error("the tests need --expose-gc: see vitest.config.ts");
  gc();
  return process.memoryUsage().heapUsed;
}

/** Small and repeatable; nothing here is secret. */
function* numbers(seed: number): Generator<number, never> {
  let state = seed;
  for (;;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 32;
  }
}

describe("a hostile but trusted sender", () => {
  it("with 1,000,000 sessions and any clock leaves bounded memory, gets nothing in twice, and locks out nobody else", () => {
    const memory = new ReplayMemory();
    const random = numbers(7);
    const next = () => random.next().value;
    memory.accept("honest", NAME, event(1, 0, START));
    const before = heapUsed();
    const taken: { context: string; mark: Mark }[] = [];
    let accepted = 0;
    for (let i = 0; i < 1_000_000; i++) {
      const context = `home/${Math.floor(next() * 400)}`;
      const sentAt = next() < 0.1 ? Math.floor(next() * 2 ** 48) : START + i;
      const mark = event(i, Math.floor(next() * 2 ** 53), sentAt);
      if (memory.seen("hostile", context, mark) !== undefined) continue;
      memory.accept("hostile", context, mark);
      accepted++;
      if (i % 50 === 0) taken.push({ context, mark });
    }
    expect(accepted).toBeGreaterThan(0);
    // 256 contexts of 16 sessions with one block of 128 bytes each, and their keys: measured 3.4 MB.
    expect(heapUsed() - before).toBeLessThan(8_000_000);
    for (const { context, mark } of taken) {
      expect(memory.seen("hostile", context, mark), JSON.stringify(mark)).toBeDefined();
    }
    expect(memory.seen("honest", NAME, event(1, 1, START + 1))).toBeUndefined();
    expect(memory.seen("honest", NAME, event(2, 0, START + 1))).toBeUndefined();
    expect(memory.seen("honest", NAME, event(1, 0, START))).toBe("seen");
  });

  it("is bounded in the same way through decode, and an honest one beside it goes on", async () => {
    const topicKey = bytes(1);
    const seed = bytes(2);
    const hostile = await Topic.create({ seed });
    const honest = await Topic.create({ topicKey, name: NAME, clock: () => START });
    const participants = [hostile.publicKey, honest.publicKey];
    const bob = await Topic.create({ topicKey, name: NAME, participants, clock: () => START });
    const wires = [];
    for (let i = 0; i < 300; i++) {
      const sentAt = i % 3 === 0 ? 2 ** 48 - 400 + i : START + i;
      const wire = forgeMessage({ seed, topicKey, session: sessionOf(i), sequence: i, sentAt });
      wires.push(wire);
      try {
        bob.decode(wire);
      } catch (error) {
        expect(error).toMatchObject({ code: "REPLAY", reason: "too-old" });
      }
      if (i % 10 === 0) expect(bob.decode(honest.encode("x"))?.missed ?? 0).toBe(0);
    }
    for (const wire of wires) expect(() => bob.decode(wire)).toThrowError(expect.objectContaining({ code: "REPLAY" }));
  });
});

describe("what is forgotten stays refused", () => {
  it("of a session that sixteen others pushed out, also when it comes to life again", () => {
    const memory = new ReplayMemory();
    const first = event(0, 0, 100);
    memory.accept("a", NAME, first);
    memory.accept("a", NAME, event(0, 1, 101));
    for (let i = 1; i <= 16; i++) memory.accept("a", NAME, event(i, 0, 200 + i));
    expect(memory.seen("a", NAME, first)).toBe("too-old");
    const again = event(0, 2, 300);
    expect(memory.seen("a", NAME, again)).toBeUndefined();
    expect(memory.accept("a", NAME, again)).toBeUndefined();
    expect(memory.seen("a", NAME, first)).toBe("too-old");
    expect(memory.seen("a", NAME, event(0, 1, 101))).toBe("too-old");
    expect(memory.seen("a", NAME, event(0, 3, 301))).toBeUndefined();
  });

  it("of a context that 256 others pushed out", () => {
    const memory = new ReplayMemory();
    const first = event(0, 0, 100);
    memory.accept("a", "first", first);
    memory.acceptAlive("a", "first", { ...first, delivery: "alive", sentAt: 150 }, sessionOf(9));
    memory.accept("a", "first", { ...event(9, 0, 149), delivery: "will" });
    for (let i = 0; i < 256; i++) memory.accept("a", `other ${i}`, event(i + 10, 0, 200 + i));
    expect(memory.seen("a", "first", first)).toBe("too-old");
    expect(memory.seen("a", "first", event(1, 0, 101))).toBeUndefined();
    // The old alive does not make the old will current again.
    memory.acceptAlive("a", "first", { ...first, delivery: "alive", sentAt: 150 }, sessionOf(9));
    const will: Mark = { ...event(9, 0, 149), delivery: "will" };
    expect(memory.willRefusal("a", "first", will)).toBe("unannounced");
    memory.acceptAlive("a", "first", { ...first, delivery: "alive", sentAt: 151 }, sessionOf(9));
    expect(memory.willRefusal("a", "first", will)).toBeUndefined();
  });

  it("a session in use is kept, and another one goes", () => {
    const memory = new ReplayMemory();
    memory.accept("a", NAME, event(0, 0, 100));
    for (let i = 1; i < 40; i++) {
      memory.accept("a", NAME, event(i, 0, 100 + i));
      memory.accept("a", NAME, event(0, i, 100 + i));
    }
    // Late, and older than the watermark: its session is alive, so its window decides.
    expect(memory.seen("a", NAME, event(0, 40, 1))).toBeUndefined();
    expect(memory.seen("a", NAME, event(0, 39, 139))).toBe("seen");
  });

  it("states raise no watermark: a retained one never locks events out", () => {
    const memory = new ReplayMemory();
    for (let i = 0; i < 20; i++) {
      memory.accept("a", NAME, { ...event(i, 0, 10 ** 9 + i), delivery: "state" });
    }
    expect(memory.seen("a", NAME, event(99, 0, 5))).toBeUndefined();
  });

  it("a context as long as MQTT allows costs no more than a short one", () => {
    const memory = new ReplayMemory();
    const before = heapUsed();
    for (let i = 0; i < 256; i++) memory.accept("a", `${i}/${"x".repeat(60_000)}`, event(i, 0, i));
    expect(heapUsed() - before).toBeLessThan(1_000_000);
    expect(memory.seen("a", `7/${"x".repeat(60_000)}`, event(7, 0, 7))).toBe("seen");
    expect(memory.seen("a", `7/${"x".repeat(60_001)}`, event(7, 0, 7))).toBeUndefined();
  });
});

describe("the window agrees with a plain set", () => {
  it("for random sequences, forwards and back", () => {
    const random = numbers(42);
    for (let round = 0; round < 20; round++) {
      const memory = new ReplayMemory();
      const plain = new Set<number>();
      let highest = -1;
      const base = round % 2 === 0 ? 0 : 2 ** 53 - 1 - 200_000;
      for (let i = 0; i < 2000; i++) {
        const jump = random.next().value < 0.02 ? 24_000 : 20;
        const ahead = base + i * (round % 4 < 2 ? 10 : 75);
        const sequence = Math.max(0, ahead + Math.floor((random.next().value - 0.7) * jump));
        const mark = event(1, sequence, 1);
        const seen = memory.seen("a", NAME, mark);
        if (sequence <= highest - 16_384) expect(seen).toBe("too-old");
        else expect(seen).toBe(plain.has(sequence) ? "seen" : undefined);
        if (seen !== undefined) continue;
        const missed = memory.accept("a", NAME, mark);
        expect(missed).toBe(highest < 0 ? undefined : Math.max(0, sequence - highest - 1));
        plain.add(sequence);
        highest = Math.max(highest, sequence);
      }
    }
  });

  it("the last one of a block that is missing is not taken for one that came", () => {
    for (const missing of [0, 500, 1023, 1024, 2047]) {
      const memory = new ReplayMemory();
      for (let i = 0; i < 3000; i++) if (i !== missing) memory.accept("a", NAME, event(0, i, 1 + i));
      expect(memory.seen("a", NAME, event(0, missing, 1 + missing)), `${missing}`).toBeUndefined();
      memory.accept("a", NAME, event(0, missing, 1 + missing));
      for (let i = 0; i < 3000; i += 7) expect(memory.seen("a", NAME, event(0, i, 1 + i))).toBe("seen");
      expect(memory.seen("a", NAME, event(0, missing, 1 + missing))).toBe("seen");
    }
  });

  it("a state that comes once more, long after, takes no other message's place in the window", () => {
    const memory = new ReplayMemory();
    const state: Mark = { ...event(0, 0, 100), delivery: "state" };
    memory.accept("a", NAME, state);
    // Seventeen blocks of 1,024 later, the same place belongs to another sequence.
    const other = 17 * 1024;
    for (let i = 1; i <= other + 500; i++) if (i !== other) memory.accept("a", NAME, event(0, i, 100 + i));
    expect(memory.accept("a", NAME, state)).toBe(0);
    expect(memory.seen("a", NAME, event(0, other, 100 + other))).toBeUndefined();
    memory.accept("a", NAME, event(0, other, 100 + other));
    expect(memory.seen("a", NAME, event(0, other, 100 + other))).toBe("seen");
  });
});

describe("a batch", () => {
  it("takes a sequence for each payload, and counts what was skipped before it", () => {
    const memory = new ReplayMemory();
    expect(memory.accept("a", NAME, event(0, 0, 1, 10))).toBeUndefined();
    expect(memory.accept("a", NAME, event(0, 12, 2, 1024))).toBe(2);
    for (const sequence of [12, 500, 1035]) expect(memory.seen("a", NAME, event(0, sequence, 3))).toBe("seen");
    expect(memory.seen("a", NAME, event(0, 11, 3))).toBeUndefined();
    expect(memory.accept("a", NAME, event(0, 1036, 3))).toBe(0);
  });

  it("is refused where any of its sequences was taken, or is too old", () => {
    const memory = new ReplayMemory();
    memory.accept("a", NAME, event(0, 100, 1, 10));
    for (const [sequence, count] of [
      [91, 10],
      [109, 1],
      [109, 10],
      [50, 100],
    ] as const) {
      expect(memory.seen("a", NAME, event(0, sequence, 2, count)), `${sequence}`).toBe("seen");
    }
    for (const [sequence, count] of [
      [90, 10],
      [110, 10],
      [0, 100],
    ] as const) {
      expect(memory.seen("a", NAME, event(0, sequence, 2, count)), `${sequence}`).toBeUndefined();
    }
    memory.accept("a", NAME, event(0, 17_000, 3));
    expect(memory.seen("a", NAME, event(0, 610, 4, 20))).toBe("too-old");
    expect(memory.seen("a", NAME, event(0, 617, 4, 20))).toBeUndefined();
  });
});

describe("what is saved and restored", () => {
  const contexts = [NAME, "other", "x".repeat(300)];

  function restored(memory: ReplayMemory): ReplayMemory {
    const copy = new ReplayMemory();
    copy.restore(memory.saved());
    return copy;
  }

  /** What a memory says of a message, as `decode` asks it. */
  function verdict(memory: ReplayMemory, sender: string, context: string, message: Mark): unknown {
    return [
      memory.seen(sender, context, message),
      message.delivery === "state" && memory.stateAge(sender, context, message),
      message.delivery === "will" && memory.willRefusal(sender, context, message),
    ];
  }

  it("says the same of everything to come, through all that may be forgotten", () => {
    const random = numbers(99);
    const below = (bound: number) => Math.floor(random.next().value * bound);
    for (let round = 0; round < 8; round++) {
      const memory = new ReplayMemory();
      let copy = new ReplayMemory();
      const sessions = round % 3 === 0 ? 40 : 10;
      const most = round % 2 === 0 ? 30 : 300;
      for (let i = 0; i < 1500; i++) {
        const sender = `${below(3)}`;
        const context = round % 4 === 3 ? `${below(400)}` : (contexts[below(3)] as string);
        const delivery = (["event", "event", "command", "state", "will", "alive"] as const)[
          below(6)
        ] as Mark["delivery"];
        const alone = delivery === "will" || delivery === "alive";
        const sequence = alone ? 0 : below(10) === 0 ? below(2 ** 20) : below(most);
        const message = { ...event(below(sessions), sequence, i + below(50), alone ? 1 : 1 + below(3)), delivery };
        const expected = verdict(memory, sender, context, message);
        expect(verdict(copy, sender, context, message), `round ${round}, step ${i}`).toEqual(expected);
        const will = sessionOf(below(sessions)).slice(0, below(4) === 0 ? 0 : 12);
        const isRefused =
          memory.seen(sender, context, message) !== undefined ||
          (delivery === "will" && memory.willRefusal(sender, context, message) !== undefined);
        if (delivery === "alive") {
          for (const one of [memory, copy]) one.acceptAlive(sender, context, message, will);
        } else if (!isRefused) {
          expect(copy.accept(sender, context, message)).toBe(memory.accept(sender, context, message));
        }
        if (i % 97 === 0) copy = restored(copy);
        if (i % 500 === 0) expect(copy.saved()).toEqual(memory.saved());
      }
      expect(copy.saved()).toEqual(memory.saved());
    }
  });

  it("of a session that lost nothing, each block is one number", () => {
    const memory = new ReplayMemory();
    for (let i = 0; i < 40_000; i++) memory.accept("a", NAME, event(0, i, i));
    const [session] = memory.saved().senders[0]?.contexts[0]?.sessions ?? [];
    expect(session?.blocks).toEqual([40_000 % 1024, ...Array.from({ length: 16 }, () => 1024)]);
  });

  it("of one that did, a bit for each sequence up to the last one", () => {
    const memory = new ReplayMemory();
    for (const sequence of [0, 1, 1024, 1026, 1024 + 31, 1024 + 32]) memory.accept("a", NAME, event(0, sequence, 1));
    const [session] = memory.saved().senders[0]?.contexts[0]?.sessions ?? [];
    expect(session).toMatchObject({ highest: 1056, floor: -1, greatestSentAt: 1 });
    expect(session?.blocks).toEqual([Uint8Array.of(0b101, 0, 0, 0x80, 1), 2]);
  });

  it("of a single one far ahead of the rest, the empty blocks between them", () => {
    const memory = new ReplayMemory();
    memory.accept("a", NAME, event(0, 5, 1));
    memory.accept("a", NAME, event(0, 3 * 1024, 1));
    const [session] = memory.saved().senders[0]?.contexts[0]?.sessions ?? [];
    expect(session?.blocks).toEqual([1, 0, 0, Uint8Array.of(0b100000)]);
    const copy = restored(memory);
    expect(copy.seen("a", NAME, event(0, 5, 9))).toBe("seen");
    expect(copy.seen("a", NAME, event(0, 1024, 9))).toBeUndefined();
  });

  it.each<[string, number, readonly (number | Uint8Array)[]]>([
    ["more blocks than there are sequences", 1023, [1024, 1]],
    ["more blocks than a window has", 2 ** 20 - 1, Array.from({ length: 18 }, () => 1024)],
    ["more sequences than a block has", 1023, [1025]],
    ["a block of too many bytes", 1023, [new Uint8Array(129).fill(255, 1)]],
    ["bits that a number says", 2, [Uint8Array.of(0b111)]],
    ["bytes of nothing at the end", 2, [Uint8Array.of(0b101, 0)]],
    ["no bytes", 1023, [new Uint8Array(0)]],
    ["an empty block at the end", 1024, [1, 0]],
    ["a highest that is not marked", 5, [Uint8Array.of(0b1101)]],
    ["no block", 5, []],
  ])("refuses %s", (_, highest, blocks) => {
    const session = { session: toTableKey(sessionOf(1)), floor: -1, greatestSentAt: 1, highest, blocks };
    const context = { context: NAME, watermark: -1, sessions: [session], newestState: undefined, alive: undefined };
    const sender = { sender: "a", watermark: -1, aliveWatermark: -1, since: 0, contexts: [context] };
    expect(() => new ReplayMemory().restore({ floor: -1, forgotten: 0, senders: [sender] })).toThrow(RangeError);
  });

  it("refuses more sessions than are remembered", () => {
    const memory = new ReplayMemory();
    for (let i = 0; i < 16; i++) memory.accept("a", NAME, event(i, 0, i));
    const { senders, ...others } = memory.saved();
    const [sender] = senders as [(typeof senders)[number]];
    const [context] = sender.contexts as [(typeof sender.contexts)[number]];
    const [session] = context.sessions as [(typeof context.sessions)[number]];
    const sessions = [...context.sessions, { ...session, session: toTableKey(sessionOf(99)) }];
    const more = { ...others, senders: [{ ...sender, contexts: [{ ...context, sessions }] }] };
    expect(() => new ReplayMemory().restore(more)).toThrow(RangeError);
  });
});

describe("senders", () => {
  it("are forgotten where more than so many are not to be kept; it is known who was heard before", () => {
    const memory = new ReplayMemory();
    for (const sender of ["a", "b", "c"]) memory.accept(sender, NAME, event(0, 0, 100));
    const isKept = (sender: string) => sender === "a";
    memory.forget(3, () => {
      throw new Error("nobody asks who is to be kept");
    });
    memory.forget(2, () => isKept);
    expect([memory.forgotten, memory.seen("c", NAME, event(0, 0, 100))]).toEqual([0, "seen"]);
    memory.forget(1, () => isKept);
    expect([memory.forgotten, memory.seen("c", NAME, event(0, 0, 100))]).toEqual([1, undefined]);
    expect(memory.seen("a", NAME, event(0, 0, 100))).toBe("seen");
    // It was the last that was heard.
    memory.accept("c", NAME, event(0, 0, 100));
    const copy = new ReplayMemory();
    copy.restore(memory.saved());
    for (const one of [memory, copy]) {
      expect(one.seen("c", NAME, event(0, 0, 100))).toBe("seen");
      expect(["a", "b", "c"].map((sender) => one.heardSince(sender))).toEqual([0, 1, 1]);
    }
  });
});

describe("a floor", () => {
  it("refuses events and commands of everybody up to it, wherever they were sent, and no states", () => {
    const memory = new ReplayMemory();
    memory.accept("a", NAME, event(0, 0, 100));
    memory.refuseUntil(200);
    memory.refuseUntil(150);
    for (const [sender, session] of [
      ["a", 0],
      ["a", 1],
      ["b", 0],
    ] as const) {
      for (const delivery of ["event", "command"] as const) {
        const message: Mark = { ...event(session, 5, 200), delivery };
        expect(memory.seen(sender, NAME, message)).toBe("too-old");
        expect(memory.seen(sender, "other", message)).toBe("too-old");
        expect(memory.seen(sender, NAME, { ...message, sentAt: 201 })).toBeUndefined();
      }
      const state: Mark = { ...event(session, 5, 150), delivery: "state" };
      expect(memory.seen(sender, NAME, state)).toBeUndefined();
    }
    expect(memory.stateAge("a", NAME, { ...event(0, 5, 150), delivery: "state" })).toBeUndefined();
    const copy = new ReplayMemory();
    copy.restore(memory.saved());
    expect(copy.seen("b", NAME, event(0, 0, 200))).toBe("too-old");
  });
});
