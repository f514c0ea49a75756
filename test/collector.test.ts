import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Collector, type CollectorOptions, Topic } from "../src/index.js";
import { thrownBy } from "./support/expect.js";
import { bytes, makePair, START } from "./support/topics.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

async function make(options: Partial<CollectorOptions> = {}) {
  const { alice, bob, clock } = await makePair();
  const published: string[][] = [];
  const publish = (wire: Uint8Array): void => {
    published.push(
      bob.decodeBatch(wire, options.context === undefined ? {} : { context: options.context }).map((one) => one.text()),
    );
  };
  return { alice, bob, clock, published, collector: new Collector(alice, { publish, ...options }) };
}

const codeOf = (error: unknown): unknown => (error as { code?: string }).code ?? (error as Error).name;

describe("a collector", () => {
  it("gathers what is sent within the linger of the first, and tells each sender when it was published", async () => {
    const { collector, published } = await make({ linger: 5 });
    const settled: string[] = [];
    for (const text of ["a", "b"]) void collector.send(text).then(() => settled.push(text));
    await vi.advanceTimersByTimeAsync(4);
    const last = collector.send("c");
    expect(published).toEqual([]);
    expect(settled).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(published).toEqual([["a", "b", "c"]]);
    expect(settled).toEqual(["a", "b"]);
    await last;
    const next = collector.send("d");
    await vi.advanceTimersByTimeAsync(5);
    await next;
    expect(published).toEqual([["a", "b", "c"], ["d"]]);
  });

  it("sends one alone as encode makes it, for receivers that know no batches", async () => {
    const wires: Uint8Array[] = [];
    const { collector, bob } = await make({ publish: (wire) => wires.push(wire) });
    void collector.send("alone");
    await collector.flush();
    expect(bob.decode(wires[0] as Uint8Array)?.text()).toBe("alone");
  });

  it("sends at once what is enough in count", async () => {
    const { collector, published } = await make({ maxPayloads: 2 });
    for (const text of ["a", "b", "c"]) void collector.send(text);
    await vi.advanceTimersByTimeAsync(0);
    expect(published).toEqual([["a", "b"]]);
    await collector.close();
    expect(published).toEqual([["a", "b"], ["c"]]);
  });

  it("sends at once what is enough in bytes, a large one alone, and in order", async () => {
    const { collector, published } = await make({ maxBytes: 30 });
    const texts = ["x".repeat(10), "y".repeat(10), "z".repeat(100), "w"];
    for (const text of texts) void collector.send(text);
    await collector.close();
    expect(published).toEqual([[texts[0]], [texts[1]], [texts[2]], [texts[3]]]);
  });

  it("never makes a batch that the topic refuses", async () => {
    const { alice, bob } = await makePair({ maxPayloadBytes: 100 });
    const received: string[] = [];
    const publish = (wire: Uint8Array) => received.push(...bob.decodeBatch(wire).map((one) => one.text()));
    const collector = new Collector(alice, { publish });
    const sent = Array.from({ length: 50 }, (_, i) => "x".repeat((i * 37) % 101));
    for (const text of sent) void collector.send(text);
    await collector.close();
    expect(received).toEqual(sent);
    expect(codeOf(await new Collector(alice, { publish }).send("x".repeat(101)).catch((error) => error))).toBe(
      "MESSAGE_TOO_LARGE",
    );
  });

  it("takes the time when it seals, and sends in its context and delivery", async () => {
    const wires: Uint8Array[] = [];
    const { collector, bob, clock } = await make({
      publish: (wire) => wires.push(wire),
      context: "hall",
      delivery: "command",
      linger: 50,
    });
    void collector.send("open");
    clock.now += 40;
    await vi.advanceTimersByTimeAsync(50);
    expect(bob.decode(wires[0] as Uint8Array, { context: "hall" })).toMatchObject({
      sentAt: START + 40,
      delivery: "command",
    });
  });

  it("copies what it is given: the caller may use its buffer again", async () => {
    const { collector, published } = await make();
    const buffer = new TextEncoder().encode("first");
    void collector.send(buffer);
    buffer.set(new TextEncoder().encode("other"));
    void collector.send(buffer);
    await collector.close();
    expect(published).toEqual([["first", "other"]]);
  });
});

describe("closing", () => {
  it("sends what waits, waits until it is published, and takes nothing more", async () => {
    let publishedBy: (() => void) | undefined;
    const wires: Uint8Array[] = [];
    const { collector } = await make({
      publish: (wire) => {
        wires.push(wire);
        return new Promise<void>((resolve) => {
          publishedBy = resolve;
        });
      },
    });
    const sent = collector.send("a");
    let isClosed = false;
    const closed = collector.close().then(() => {
      isClosed = true;
    });
    expect(codeOf(await collector.send("b").catch((error) => error))).toBe("DISPOSED");
    await vi.advanceTimersByTimeAsync(0);
    expect(wires).toHaveLength(1);
    expect(isClosed).toBe(false);
    publishedBy?.();
    await Promise.all([sent, closed]);
    await collector.close();
    expect(vi.getTimerCount()).toBe(0);
    expect(wires).toHaveLength(1);
  });

  it("is done by await using", async () => {
    const { alice, bob } = await makePair();
    const received: string[] = [];
    {
      await using collector = new Collector(alice, {
        publish: (wire) => received.push(...bob.decodeBatch(wire).map((one) => one.text())),
      });
      void collector.send("a");
      void collector.send("b");
    }
    expect(received).toEqual(["a", "b"]);
  });
});

describe("a publish that calls back", () => {
  it("sends what it sends in order, and within the bounds", async () => {
    const { alice, bob } = await makePair({ maxPayloadBytes: 100 });
    const received: string[] = [];
    const outcomes: Promise<void>[] = [];
    let calls = 0;
    const collector: Collector = new Collector(alice, {
      publish: (wire) => {
        received.push(...bob.decodeBatch(wire).map((one) => one.text()));
        if (calls++ === 0) outcomes.push(collector.send("s".repeat(60)));
      },
    });
    for (const letter of ["a", "b"]) outcomes.push(collector.send(letter.repeat(60)));
    await vi.advanceTimersByTimeAsync(5);
    await collector.close();
    await Promise.all(outcomes);
    expect(received.map((text) => text[0])).toEqual(["a", "b", "s"]);
  });

  it("and closes, has everything published before close resolves", async () => {
    const { alice, bob } = await makePair();
    const received: string[] = [];
    let closed: Promise<void> | undefined;
    const collector: Collector = new Collector(alice, {
      maxPayloads: 2,
      publish: (wire) => {
        received.push(...bob.decodeBatch(wire).map((one) => one.text()));
        closed ??= collector.close();
      },
    });
    const outcomes = ["a", "b", "c"].map((text) => collector.send(text));
    await vi.advanceTimersByTimeAsync(0);
    await closed;
    await Promise.all(outcomes);
    expect(received).toEqual(["a", "b", "c"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("or flushes: flush resolves after the very batch was published", async () => {
    const { alice } = await makePair();
    const log: string[] = [];
    const collector: Collector = new Collector(alice, {
      publish: async () => {
        void collector.flush().then(() => log.push("flushed"));
        await Promise.resolve();
        log.push("published");
      },
    });
    await Promise.all([collector.send("a"), collector.flush()]);
    await vi.advanceTimersByTimeAsync(0);
    expect(log).toEqual(["published", "flushed"]);
  });
});

describe("what fails", () => {
  it("is told to those whose payloads were in that batch, and to nobody else", async () => {
    let calls = 0;
    const { collector } = await make({
      maxPayloads: 2,
      publish: () => {
        if (calls++ === 0) throw new Error("no connection");
        return calls === 2 ? Promise.reject(new Error("lost it")) : undefined;
      },
    });
    const outcomes = Promise.allSettled(["a", "b", "c", "d", "e"].map((text) => collector.send(text)));
    await collector.close();
    expect(
      (await outcomes).map((one) => (one.status === "fulfilled" ? "sent" : (one.reason as Error).message)),
    ).toEqual(["no connection", "no connection", "lost it", "lost it", "sent"]);
  });

  it("when it is sealed, too", async () => {
    const { collector, alice } = await make();
    const outcomes = Promise.allSettled([collector.send("a"), collector.send("b")]);
    alice.dispose();
    await vi.advanceTimersByTimeAsync(5);
    expect((await outcomes).map((one) => one.status === "rejected" && codeOf(one.reason))).toEqual([
      "DISPOSED",
      "DISPOSED",
    ]);
  });

  it.each<[string, unknown]>([
    ["a number", 1],
    ["nothing", undefined],
    ["a lone surrogate", "\ud800"],
  ])("%s cannot be sent, and the rest goes on", async (_, payload) => {
    const { collector, published } = await make();
    void collector.send("a");
    expect(await collector.send(payload as string).catch((error: unknown) => error)).toBeInstanceOf(TypeError);
    await collector.close();
    expect(published).toEqual([["a"]]);
  });

  it.each<[object, typeof TypeError | typeof RangeError]>([
    [{ publish: undefined }, TypeError],
    [{ publish: "topic" }, TypeError],
    [{ linger: -1 }, RangeError],
    [{ linger: Number.NaN }, RangeError],
    [{ linger: 60_001 }, RangeError],
    [{ linger: "5" }, RangeError],
    [{ maxPayloads: 0 }, RangeError],
    [{ maxPayloads: 1025 }, RangeError],
    [{ maxPayloads: 1.5 }, RangeError],
    [{ maxBytes: 0 }, RangeError],
    [{ maxBytes: "many" }, RangeError],
    [{ delivery: "will" }, RangeError],
    [{ context: 5 }, TypeError],
    [{ lingerMs: 5 }, TypeError],
  ])("options %j", async (options, kind) => {
    const topic = await Topic.create({ topicKey: bytes(1) });
    expect(thrownBy(() => new Collector(topic, { publish: () => undefined, ...options }))).toBeInstanceOf(kind);
  });
});
