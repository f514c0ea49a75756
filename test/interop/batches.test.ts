// Batches (§6.2 of docs/PROTOCOL.md): the independent peer and the library make, open and refuse the same.
import { beforeAll, describe, expect, test } from "vitest";
import { Topic } from "../../src/index.js";
import { home, libraryOutcome, NOW, type Outcome, peerOutcome, Random, refusal, SENT } from "./both.js";
import {
  batchBody,
  type Content,
  type Delivery,
  openMessage,
  Peer,
  type Place,
  plaintextOf,
  publicKeyOf,
  type ReceiveOptions,
  ready,
  sealPlaintext,
  sendBatch,
  sendMessage,
  unhex,
} from "./independent-peer.js";

type Bytes = Uint8Array;
const END = 2 ** 53 - 1;
const filled = (n: number, length = 32): Bytes => new Uint8Array(length).fill(n);
const [topicKey, alice, bob, mallory] = [filled(1), filled(2), filled(3), filled(4)];
const session = filled(7, 12);
const SMALL = [1, 2, 3].map((n) => filled(n, n));

type Made = Partial<Place & Content> & { seed?: Bytes };
const base = { topicKey, session, sequence: 0, ...home, seed: alice, delivery: "event", sentAt: NOW } as const;
/** A batch of so many payloads, or of these; of Alice, unless it says otherwise. */
const batch = (what: number | readonly Bytes[], made: Made = {}): Bytes => {
  const payloads = typeof what === "number" ? Array.from({ length: what }, (_, i) => filled(i, i % 5)) : what;
  return sendBatch({ ...base, ...made, payloads });
};
const single = (made: Made = {}): Bytes => sendMessage({ ...base, payload: filled(9, 3), ...made });
/** What somebody makes who has the topic key and writes what he likes in the place of a batch. */
const withBody = (payload: Bytes, made: Made = {}): Bytes => sendMessage({ ...base, ...made, payload, batch: true });

type Both = {
  library: Topic;
  peer: Peer;
  /** The outcome, which is the same of the library and of the peer; `one` asks for one payload. */
  many: (wire: Bytes, options?: ReceiveOptions) => Outcome;
  one: (wire: Bytes, options?: ReceiveOptions) => Outcome;
};
/** Bob, twice: he has pinned Alice. */
async function bobs(maxPayload = 2 ** 24): Promise<Both> {
  const clock = () => NOW;
  const pins = [publicKeyOf(alice)];
  const made = { seed: bob, topicKey, name: "home", participants: pins, clock, maxPayloadBytes: maxPayload };
  const library = await Topic.create(made);
  const peer = new Peer({ seed: bob, topicKey, pins, clock, maxPayload });
  const ask =
    (many: boolean) =>
    (wire: Bytes, options: ReceiveOptions = {}): Outcome => {
      const asked = { ...home, ...options };
      const ours = peerOutcome(peer, wire, asked, many);
      expect(libraryOutcome(library, wire, asked, many)).toEqual(ours);
      return ours;
    };
  return { library, peer, many: ask(true), one: ask(false) };
}
const missed = ({ given }: Outcome): unknown => given?.map((one) => one.missed);

beforeAll(async () => {
  await ready;
});

describe("made by one, opened by the other", () => {
  const talk = async (): Promise<[Topic, Peer]> => {
    const clock = () => NOW;
    const participants = [publicKeyOf(bob)];
    const library = await Topic.create({ seed: alice, topicKey, name: "home", participants, clock });
    return [library, new Peer({ seed: bob, topicKey, pins: [publicKeyOf(alice)], clock })];
  };

  test.each(SENT)("batches of each size, of %ss", async (delivery) => {
    const [library, peer] = await talk();
    const random = new Random(301);
    let next = 0;
    for (const count of [1, 2, 3, 23, 24, 25, 64, 255, 256, 257, 1023, 1024]) {
      const sizes = count === 3 ? [65_535, 65_536, 70_000] : [0, 1, 23, 24, 25, 255, 256];
      const payloads = Array.from({ length: count }, (_, i) => random.bytes(sizes[i % sizes.length] as number));
      const theirs = library.encodeBatch(payloads, { delivery });
      const ours = peer.send(payloads, { delivery, context: "home" });
      expect(theirs.length).toBe(ours.length);

      const received = peer.receiveBatch(theirs, home);
      const decoded = library.decodeBatch(ours);
      for (const [from, got] of [
        [alice, received.map((one) => (one.kind === "message" ? one : expect.fail(one.kind)))],
        [bob, decoded.map(({ sender, ...one }) => ({ ...one, payload: one.payload, sender: sender.publicKey }))],
      ] as const) {
        expect(got.map((one) => one.payload)).toEqual(payloads);
        expect(got.map((one) => one.sequence)).toEqual(payloads.map((_, i) => next + i));
        expect(got.map((one) => one.missed)).toEqual(payloads.map((_, i) => (next + i === 0 ? undefined : 0)));
        expect(new Set(got.map((one) => one.delivery))).toEqual(new Set([delivery]));
        expect(new Set(got.map((one) => one.sentAt)).size).toBe(1);
        expect(got[0]?.sender).toEqual(publicKeyOf(from));
      }

      next += count;
      const after = { sequence: next, missed: 0 };
      expect(peer.receive(library.encode("then", { delivery }), home)).toMatchObject(after);
      expect(library.decode(peer.send(filled(1, 1), { delivery, context: "home" }))).toMatchObject(after);
      next++;
    }
  });

  test("text and bytes of any iterable", async () => {
    const [library, peer] = await talk();
    const texts = new Set(["", "21.5 °C", "🌡"]);
    const expected = [...texts].map((one) => ({ payload: new TextEncoder().encode(one) }));
    expect(peer.receiveBatch(library.encodeBatch(texts), home)).toMatchObject(expected);
  });

  test("a batch of one is a batch", async () => {
    const [library, peer] = await talk();
    expect(openMessage(library.encodeBatch(["x"]), topicKey, "home")).toMatchObject({ batch: true, delivery: "event" });
    expect(refusal(() => peer.receive(library.encodeBatch(["x"]), home))).toEqual({ refuse: "BATCH" });
    expect(refusal(() => library.decode(peer.send([filled(1)], { delivery: "event", ...home })))).toEqual({
      refuse: "BATCH",
    });
  });

  test("no batch of nothing, or of more than 1,024", async () => {
    const [library, peer] = await talk();
    for (const count of [0, 1025]) {
      const payloads = Array.from({ length: count }, () => new Uint8Array());
      expect(() => library.encodeBatch(payloads)).toThrow(RangeError);
      expect(() => peer.send(payloads, { delivery: "event", ...home })).toThrow(RangeError);
    }
    expect(peer.receive(library.encode("first"), home)).toMatchObject({ sequence: 0 });
  });

  test("64 payloads of 200 bytes cost 4 bytes each", async () => {
    const [library] = await talk();
    const payloads = Array.from({ length: 64 }, () => filled(1, 200));
    expect(library.encodeBatch(payloads).length).toBeLessThanOrEqual(64 * 204);
  });

  test("all of a batch is bounded as one payload is", async () => {
    const { library, peer, many } = await bobs(100);
    const payloads = (most: number): Bytes[] => [filled(1, 10), filled(2, most - 14)]; // three heads, one of them of two bytes
    expect(batchBody(payloads(100)).length).toBe(100);
    expect(many(batch(payloads(100))).kind).toBe("many");
    expect(many(batch(payloads(101), { sequence: 9 })).kind).toBe("MESSAGE_TOO_LARGE");
    for (const bytes of [99, 100, 101, 102]) {
      const theirs = refusal(() => library.encodeBatch(payloads(bytes)).length);
      expect(theirs).toEqual(refusal(() => peer.send(payloads(bytes), { delivery: "event", ...home }).length));
      expect("refuse" in theirs).toBe(bytes > 100);
    }
  });

  test("no bit of it can be changed, and no byte is missing", async () => {
    const { many, one } = await bobs();
    const wire = batch(SMALL);
    for (let bit = 0; bit < wire.length * 8; bit++) {
      const altered = wire.slice();
      altered[bit >> 3] = (altered[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(many(altered).kind).toMatch(/^[A-Z_]+$/);
      expect(many(wire.slice(0, bit >> 3)).kind).toBe("MALFORMED_MESSAGE");
    }
    expect(one(wire).kind).toBe("BATCH");
    expect(many(wire).given?.map((each) => each.payload)).toEqual(["01", "0202", "030303"]);
  });
});

describe("the shape of a batch", () => {
  const bodies: [string, string][] = [
    ["no bytes", ""],
    ["no payloads", "80"],
    ["1,025 payloads", `990401${"40".repeat(1025)}`],
    ["2^32 payloads announced", "9b000000010000000040"],
    ["2^64 - 1 payloads announced", "9bffffffffffffffff40"],
    ["one byte string", "40"],
    ["an integer", "01"],
    ["fewer payloads than announced", "824101"],
    ["the last payload cut", "8243010241"],
    ["a byte after the end", "81410100"],
    ["a second array after the end", "8141018141"],
    ["array head of two bytes for 1", "980140"],
    ["array head of two bytes for 23", `9817${"40".repeat(23)}`],
    ["array head of three bytes for 1", "99000140"],
    ["array head of three bytes for 255", `9900ff${"40".repeat(255)}`],
    ["array head of five bytes for 1,024", `9a00000400${"40".repeat(1024)}`],
    ["array head of nine bytes for 1", "9b000000000000000140"],
    ["array of indefinite length", "9f40ff"],
    ["payload head of two bytes for 0", "815800"],
    ["payload head of two bytes for 23", `815817${"00".repeat(23)}`],
    ["payload head of three bytes for 255", `815900ff${"00".repeat(255)}`],
    ["payload head of five bytes for 1", "815a0000000100"],
    ["payload head of nine bytes for 1", "815b000000000000000100"],
    ["payload of 2^64 - 1 bytes", "815bffffffffffffffff"],
    ["payload of 2^53 bytes", "815b0020000000000000"],
    ["payload of indefinite length", "815f4101ff"],
    ["the second head not minimal", "824101580102"],
    ["text", "826161"],
    ["text after a payload", "82416161"],
    ["an integer among them", "82410100"],
    ["a negative integer", "8120"],
    ["an array in it", "8180"],
    ["an array of payloads in it", "81814101"],
    ["an array after a payload", "8241018141"],
    ["a map in it", "81a0"],
    ["a map", "a0"],
    ["a tag", "81c24101"],
    ["a tagged array", "c4814101"],
    ["null", "81f6"],
    ["undefined", "81f7"],
    ["true", "81f5"],
    ["a float", "81fb3ff0000000000000"],
    ["a reserved head", "815c"],
    ["a break", "81ff"],
    ["arrays a hundred thousand deep", "81".repeat(100_000)],
  ];
  test.each(bodies)("%s", async (_, hex) => {
    const { many, one } = await bobs();
    const body = unhex(hex);
    for (const delivery of SENT) {
      const wire = withBody(body, { delivery });
      for (const asked of [{}, { naive: true }, { delivery: "will" }, { maxAge: 0 }] as const) {
        expect(many(wire, asked).kind).toBe("MALFORMED_MESSAGE");
        expect(one(wire, asked).kind).toBe("MALFORMED_MESSAGE");
      }
      // before it is asked whose it is, whether it came before, and whether the signature holds
      expect(many(withBody(body, { delivery, seed: mallory }), { ignoreUntrusted: true }).kind).toBe(
        "MALFORMED_MESSAGE",
      );
      expect(many(withBody(body, { delivery, seed: bob })).kind).toBe("MALFORMED_MESSAGE");
      const forged = plaintextOf({ ...base, delivery, batch: true, payload: body });
      forged[40] = (forged[40] as number) ^ 1;
      expect(many(sealPlaintext(base, forged)).kind).toBe("MALFORMED_MESSAGE");
    }
    expect(many(batch(2)).kind).toBe("many"); // nothing of it was remembered
    expect(many(withBody(body)).kind).toBe("MALFORMED_MESSAGE");
    expect(many(batch(2)).kind).toBe("REPLAY");
  });

  test("1 to 1,024 payloads, and empty ones", async () => {
    const { many } = await bobs();
    for (const [sequence, body, count] of [
      [0, "8140", 1],
      [1, "824040", 2],
      [3, `9818${"40".repeat(24)}`, 24],
      [27, `990400${"40".repeat(1024)}`, 1024],
    ] as const) {
      const { kind, given } = many(withBody(unhex(body), { sequence }));
      expect(kind).toBe("many");
      expect(given?.length).toBe(count);
    }
  });

  test("random bodies", async () => {
    const { many, one } = await bobs();
    const random = new Random(302);
    const heads = [
      0x80, 0x81, 0x82, 0x83, 0x98, 0x99, 0x9a, 0x9b, 0x9f, 0x40, 0x41, 0x42, 0x58, 0x59, 0x5b, 0x5f, 0x60, 0,
    ];
    const seen = new Map<string, number>();
    for (let i = 0; i < 4000; i++) {
      const body = random.chance(0.5)
        ? Uint8Array.from({ length: 1 + random.below(8) }, () => random.of(heads))
        : batchBody(Array.from({ length: 1 + random.below(4) }, () => random.bytes(random.below(3))));
      for (let changes = random.below(3); changes > 0; changes--)
        body[random.below(body.length)] = random.chance(0.6) ? random.of(heads) : random.below(256);
      const wire = withBody(body, { sequence: i * 1024 });
      const { kind } = random.chance(0.9) ? many(wire) : one(wire);
      seen.set(kind, (seen.get(kind) ?? 0) + 1);
    }
    expect([...seen.keys()].sort()).toEqual(["BATCH", "MALFORMED_MESSAGE", "many"]);
    for (const kind of seen.keys()) expect(seen.get(kind), kind).toBeGreaterThan(50);
  });

  test("every number of a delivery", async () => {
    const { many, one } = await bobs();
    const payload = unhex("814a00112233445566778899"); // a batch of one, of as many bytes as an alive may have
    const of = (number: number, sequence: number): Bytes => {
      const plaintext = plaintextOf({ ...base, sequence, payload });
      plaintext[8] = number; // the signature is that of an event
      return sealPlaintext({ ...base, sequence }, plaintext);
    };
    for (let number = 255; number >= 0; number--)
      for (const sequence of [0, 1]) {
        const known = [0, 1, 2, 16, 17, 18, ...(sequence === 0 ? [3, 4] : [])].includes(number);
        const expected = known ? (number === 0 ? /^(message|REPLAY)$/ : /^BAD_SIGNATURE$/) : /^MALFORMED_MESSAGE$/;
        for (const ask of [one, many]) {
          const { kind, given } = ask(of(number, sequence));
          expect(given?.[0]?.kind ?? kind, `${number} at ${sequence}`).toMatch(expected);
          const naive = ask(of(number, sequence), { naive: true });
          const unexpected = known ? "UNEXPECTED_DELIVERY" : "MALFORMED_MESSAGE";
          const want = ![0, 1, 16, 17].includes(number)
            ? unexpected
            : number > 1 && ask === one
              ? "BATCH"
              : "unverified";
          expect(naive.given?.[0]?.kind ?? naive.kind, `${number} at ${sequence}, naive`).toBe(want);
        }
      }
  });

  test.each([1, 2, 24, 1023, 1024])("the last sequence of a batch of %d is at most 2^53 - 1", async (count) => {
    for (const delivery of SENT) {
      const { many, one } = await bobs();
      for (const more of [1, 2, 1024]) {
        if (more >= count) continue;
        const beyond = batch(count, { sequence: END - count + 1 + more, delivery });
        expect(many(beyond).kind).toBe("MALFORMED_MESSAGE");
        expect(one(beyond, { naive: true }).kind).toBe("MALFORMED_MESSAGE");
      }
      const { kind, given } = many(batch(count, { sequence: END - count + 1, delivery }));
      expect(kind).toBe("many");
      expect(given?.at(-1)?.sequence).toBe(END);
      const again = many(single({ sequence: END, sentAt: NOW + 1 })).kind;
      expect(again).toBe("REPLAY");
    }
  });
});

describe("what is remembered of a batch", () => {
  type Step = [Delivery, first: number, count: number, expected: string | (number | undefined)[]];
  /** What is expected of a batch that is given is how many payloads were missed before each of its first three. */
  const run = async (steps: Step[], made: Made = {}): Promise<void> => {
    const { many } = await bobs();
    for (const [i, [delivery, sequence, count, expected]] of steps.entries()) {
      const outcome = many(batch(count, { delivery, sequence, ...made }));
      const at = `step ${i}: ${count} ${delivery}s from ${sequence}`;
      if (typeof expected === "string") expect(outcome.kind, at).toBe(expected);
      else {
        expect(outcome.kind, at).toBe("many");
        expect((missed(outcome) as unknown[]).slice(0, 3), at).toEqual(expected);
        expect(new Set((missed(outcome) as unknown[]).slice(3)), at).toEqual(new Set(count > 3 ? [0] : []));
      }
    }
  };
  const [WINDOW, HIGH] = [16_384, 50_000];
  const EDGE = HIGH - WINDOW; // the last that is too old
  const first: Step = ["event", HIGH, 1, [undefined]];
  /** The window's worth of payloads from this one on, in batches of 1,024. */
  const full = (kind: Delivery, from: number): Step[] =>
    Array.from({ length: 16 }, (_, i) => [kind, from + 1024 * i, 1024, [0, 0, 0]]);

  test.each(["event", "command"] as const)("%ss at the edges of the window", async (kind) => {
    await run([first, [kind, EDGE + 1, 1, [0]]]);
    await run([first, [kind, EDGE, 1, "REPLAY"]]);
    await run([first, [kind, EDGE - 1, 1, "REPLAY"]]);
    await run([first, [kind, EDGE, 2, "REPLAY"], [kind, EDGE + 1, 1, [0]]]);
    await run([first, [kind, EDGE - 1023, 1024, "REPLAY"], [kind, EDGE + 1, 1024, [0, 0, 0]]]);
    await run([first, [kind, EDGE - 1022, 1024, "REPLAY"], [kind, EDGE + 1, 1, [0]], [kind, EDGE + 1, 1, "REPLAY"]]);
    await run([first, [kind, EDGE - 500, 1024, "REPLAY"], [kind, EDGE + 1, 523, [0, 0, 0]]]);
    await run([first, [kind, EDGE, 1024, "REPLAY"], [kind, EDGE + 1, 1023, [0, 0, 0]]]);
    // all that is within it, and nothing else
    const within = full(kind, EDGE + 1).slice(0, 15);
    await run([first, ...within, [kind, HIGH - 1023, 1024, "REPLAY"], [kind, HIGH - 1023, 1023, [0, 0, 0]]]);
    await run([first, ...[...within].reverse(), [kind, EDGE + 1, 1, "REPLAY"], [kind, HIGH - 1023, 1, [0]]]);
    await run([first, [kind, HIGH - 1, 2, "REPLAY"], [kind, HIGH, 2, "REPLAY"], [kind, HIGH - 1, 1, [0]]]);
    await run([first, [kind, HIGH + 1, 1024, [0, 0, 0]], [kind, HIGH - 1, 1, [0]], [kind, HIGH, 1, "REPLAY"]]);
    // a whole window on: EDGE comes to HIGH
    const on = full(kind, HIGH + 1);
    await run([first, ...on, [kind, HIGH - 1, 1, "REPLAY"], [kind, HIGH + WINDOW + 1, 1, [0]]]);
    await run([first, ...on, [kind, HIGH + 1, 1, "REPLAY"], [kind, HIGH + WINDOW, 2, "REPLAY"]]);
    const end = HIGH + WINDOW - 1023; // a batch of 1,024 from here ends a window above the highest
    const gap = end - HIGH - 1;
    const jump = (from: number, count: number): Step => [kind, from, count, [gap + from - end, 0, 0]];
    await run([first, jump(end, 1023), [kind, HIGH, 1, "REPLAY"], [kind, HIGH + 1, 1024, [0, 0, 0]]]);
    await run([first, jump(end, 1023), [kind, HIGH - 1, 1, "REPLAY"], [kind, HIGH + WINDOW, 1, [0]]]);
    await run([first, jump(end - 1, 1023), [kind, HIGH - 1, 1, [0]], [kind, HIGH - 2, 1, "REPLAY"]]);
    await run([first, jump(end, 1024), [kind, HIGH, 2, "REPLAY"], [kind, HIGH + 1, 1, [0]]]);
    await run([first, jump(end + 1, 1023), [kind, HIGH + 1, 1, [0]], [kind, HIGH + WINDOW + 1, 1, [0]]]);
    await run([first, jump(end + 2, 1023), [kind, HIGH + 1, 1, "REPLAY"], [kind, HIGH + 2, 1, [0]]]);
    await run([first, jump(end + 2, 1024), [kind, HIGH + 2, 1, "REPLAY"], [kind, end + 1026, 1024, [0, 0, 0]]]);
  });

  test("states at the edges of the window", async () => {
    const older = { sentAt: NOW };
    await run([first, ["state", EDGE, 1, [0]], ["event", EDGE, 1, "REPLAY"], ["event", HIGH, 1, "REPLAY"]], older);
    // only those within the last 16,384 are marked
    await run([
      first,
      ["state", EDGE - 2, 4, [0, 0, 0]],
      ["event", EDGE + 1, 1, "REPLAY"],
      ["event", EDGE + 2, 1, [0]],
    ]);
    await run([
      first,
      ["state", EDGE - 1024, 1024, [0, 0, 0]], // EDGE - 1 is its last
      ["event", EDGE + 1, 1, [0]],
      ["event", HIGH - 1024, 1024, [0, 0, 0]], // a window above them
    ]);
    await run([
      first,
      ["state", EDGE - 1022, 1024, [0, 0, 0]],
      ["event", EDGE + 1, 1, "REPLAY"],
      ["event", EDGE + 2, 1022, [0, 0, 0]],
      ["event", HIGH - 1022, 1022, [0, 0, 0]],
    ]);
    // one that goes past the highest raises it, and is marked whole
    await run([
      first,
      ["state", HIGH - 500, 1024, [0, 0, 0]],
      ["event", HIGH - 500, 1, "REPLAY"],
      ["event", HIGH - 501, 1, [0]],
      ["event", EDGE + 523, 1, "REPLAY"], // the window moved by as many
      ["event", EDGE + 524, 1, [0]],
      ["event", HIGH + 523, 1, "REPLAY"],
      ["event", HIGH + 524, 1, [0]],
    ]);
    await run([first, ["state", HIGH, 2, [0, 0]], ["event", HIGH + 1, 1, "REPLAY"], ["event", HIGH - 2, 2, [0, 0]]]);
  });

  test("batches that overlap", async () => {
    await run([
      ["event", 10, 5, [undefined, 0, 0]],
      ["event", 14, 3, "REPLAY"],
      ["event", 15, 1, [0]], // nothing of the batch before was marked
      ["event", 8, 2, [0, 0]],
      ["event", 5, 4, "REPLAY"],
      ["event", 5, 3, [0, 0, 0]],
      ["event", 0, 1024, "REPLAY"],
      ["command", 12, 1, "REPLAY"],
      ["command", 20, 4, [4, 0, 0]],
      ["event", 16, 5, "REPLAY"],
      ["event", 16, 4, [0, 0, 0]],
      ["state", 12, 20, [0, 0, 0]], // states are no copies, and mark all the same
      ["event", 24, 8, "REPLAY"],
      ["event", 31, 1, "REPLAY"],
      ["event", 32, 1, [0]],
    ]);
  });

  test("how many were missed", async () => {
    await run([
      ["state", 7, 3, [undefined, 0, 0]],
      ["event", 15, 2, [5, 0]],
      ["event", 10, 3, [0, 0, 0]],
      ["event", 17, 1, [0]],
      ["command", 1042, 4, [1024, 0, 0]],
      ["event", END - 1, 2, [END - 1 - 1046, 0]],
    ]);
    const { many, one } = await bobs();
    expect(missed(many(batch(1024)))).toEqual([undefined, ...Array.from({ length: 1023 }, () => 0)]);
    expect(one(single({ sequence: 1030 })).missed).toBe(6);
    expect(missed(many(batch(2, { sequence: 1028 })))).toEqual([0, 0]);
  });

  test("a copy of a batch", async () => {
    const { many, one } = await bobs();
    for (const [delivery, sequence] of [
      ["event", 0],
      ["command", 10],
    ] as const) {
      const wire = batch(3, { delivery, sequence });
      expect(many(wire).kind).toBe("many");
      expect(many(wire).kind).toBe("REPLAY");
      expect(one(wire).kind).toBe("REPLAY");
      for (let i = 0; i < 3; i++) expect(one(single({ sequence: sequence + i })).kind).toBe("REPLAY");
    }
    const state = batch(3, { delivery: "state", sequence: 20 });
    expect(missed(many(state))).toEqual([7, 0, 0]);
    expect(missed(many(state))).toEqual([0, 0, 0]);
  });

  test("a batch of states is compared by its first sequence", async () => {
    const { many, one } = await bobs();
    const state = (sequence: number, more: Made = {}): Made => ({ delivery: "state", sequence, ...more });
    expect(many(batch(5, state(10))).kind).toBe("many");
    expect(many(batch(9, state(9))).kind).toBe("STALE_MESSAGE"); // it goes further, and begins earlier
    expect(one(single(state(10))).kind).toBe("message"); // the same place
    expect(one(single(state(11))).kind).toBe("message");
    expect(many(batch(5, state(10))).kind).toBe("STALE_MESSAGE");
    expect(many(batch(1, state(11))).kind).toBe("many");
    expect(many(batch(3, state(2, { sentAt: NOW + 1 }))).kind).toBe("many");
    expect(many(batch(1024, state(11))).kind).toBe("STALE_MESSAGE");
    expect(many(batch(2, state(0, { sentAt: NOW + 1, session: filled(8, 12) }))).kind).toBe("many");
    expect(many(batch(2, state(9, { sentAt: NOW + 1 }))).kind).toBe("STALE_MESSAGE");
  });

  test("a floor and a watermark hold for a batch", async () => {
    const { many } = await bobs();
    const of = (n: number, sentAt: number, more: Made = {}): Bytes =>
      batch(2, { session: filled(n, 12), sentAt, ...more });
    for (let n = 10; n < 27; n++) expect(many(of(n, NOW + n)).kind).toBe("many");
    expect(many(of(10, NOW + 10, { sequence: 2 })).kind).toBe("REPLAY"); // forgotten: the watermark is its sentAt
    expect(many(of(40, NOW + 10)).kind).toBe("REPLAY");
    expect(many(of(40, NOW + 11)).kind).toBe("many");
    expect(many(of(40, NOW + 10, { sequence: 2 })).kind).toBe("REPLAY"); // its floor
    expect(many(of(40, NOW + 11, { sequence: 2 })).kind).toBe("many");
    expect(many(of(41, NOW + 11)).kind).toBe("REPLAY"); // 11 was forgotten for 40
  });
});

describe("the order of checks", () => {
  type Row = [string, wire: () => Bytes, asked: ReceiveOptions, one: string, many: string];
  const forged = (delivery: Delivery): Bytes => {
    const plaintext = plaintextOf({ ...base, delivery, batch: true, payload: batchBody(SMALL) });
    plaintext[20] = (plaintext[20] as number) ^ 1;
    return sealPlaintext(base, plaintext);
  };
  const rows: Row[] = [
    ["fine", () => batch(2), {}, "BATCH", "many"],
    ["another context", () => batch(2, { context: "away" }), {}, "DECRYPTION_FAILED", "DECRYPTION_FAILED"],
    ["a stranger's", () => batch(2, { seed: mallory }), {}, "UNTRUSTED_KEY", "UNTRUSTED_KEY"],
    ["a stranger's, ignored", () => batch(2, { seed: mallory }), { ignoreUntrusted: true }, "null", "null"],
    ["a stranger's, unverified", () => batch(2, { seed: mallory }), { naive: true }, "BATCH", "many"],
    ["our own", () => batch(2, { seed: bob }), {}, "null", "null"],
    ["our own, not expected", () => batch(2, { seed: bob }), { delivery: "state" }, "null", "null"],
    ["our own of another program", () => batch(2, { seed: bob }), { hearOwn: true }, "BATCH", "many"],
    ["forged", () => forged("event"), {}, "BAD_SIGNATURE", "BAD_SIGNATURE"],
    ["forged, and not expected", () => forged("event"), { delivery: "state" }, "BAD_SIGNATURE", "BAD_SIGNATURE"],
    ["forged, unverified", () => forged("state"), { naive: true }, "BATCH", "many"],
    ["not expected", () => batch(2), { delivery: "state" }, "UNEXPECTED_DELIVERY", "UNEXPECTED_DELIVERY"],
    ["expected", () => batch(2), { delivery: "event" }, "BATCH", "many"],
    ["commands, unverified", () => batch(2, { delivery: "command" }), { naive: true }, ...twice("UNEXPECTED_DELIVERY")],
    ["states, unverified", () => batch(2, { delivery: "state" }), { naive: true }, "BATCH", "many"],
    [
      "unverified, and not expected",
      () => batch(2),
      { naive: true, delivery: "state" },
      ...twice("UNEXPECTED_DELIVERY"),
    ],
    ["unverified, and expected", () => batch(2), { naive: true, delivery: "event" }, "BATCH", "many"],
    ["late commands", () => batch(2, { delivery: "command", sentAt: NOW - 30_001 }), {}, ...twice("STALE_MESSAGE")],
    ["timely commands", () => batch(2, { delivery: "command", sentAt: NOW - 30_000 }), {}, "BATCH", "many"],
    ["commands ahead", () => batch(2, { delivery: "command", sentAt: NOW + 30_001 }), {}, ...twice("CLOCK")],
    ["states ahead", () => batch(2, { delivery: "state", sentAt: NOW + 300_001 }), {}, ...twice("CLOCK")],
    ["events ahead", () => batch(2, { sentAt: NOW + 300_001 }), {}, "BATCH", "many"],
    ["older than asked for", () => batch(2, { sentAt: NOW - 11 }), { maxAge: 10 }, ...twice("STALE_MESSAGE")],
    [
      "old and not expected",
      () => batch(2, { sentAt: NOW - 11 }),
      { maxAge: 10, delivery: "state" },
      ...twice("STALE_MESSAGE"),
    ],
    ["retained commands", () => batch(2, { delivery: "command" }), { retained: true }, "BATCH", "RETAINED_COMMAND"],
    [
      "retained, not expected",
      () => batch(2, { delivery: "command" }),
      { retained: true, delivery: "event" },
      ...twice("UNEXPECTED_DELIVERY"),
    ],
    ["retained states", () => batch(2, { delivery: "state" }), { retained: true }, "BATCH", "many"],
    ["older states", () => batch(2, { delivery: "state", sentAt: NOW - 2 }), {}, "BATCH", "STALE_MESSAGE"],
    ["given before", () => batch(2, { sequence: 99 }), {}, "REPLAY", "REPLAY"],
    ["given before, not expected", () => batch(2, { sequence: 99 }), { delivery: "state" }, "REPLAY", "REPLAY"],
    ["given before, old", () => batch(2, { sequence: 99, sentAt: NOW - 11 }), { maxAge: 10 }, "REPLAY", "REPLAY"],
    ["given before, unverified", () => batch(2, { sequence: 99 }), { naive: true }, "BATCH", "many"],
  ];
  function twice(code: string): [string, string] {
    return [code, code];
  }

  test.each(rows)("%s", async (name, make, asked, asOne, asMany) => {
    const { many, one } = await bobs();
    expect(one(single({ sequence: 100, delivery: "state", sentAt: NOW - 1 })).kind).toBe("message");
    expect(one(make(), asked).kind).toBe(asOne);
    const { kind, given } = many(make(), asked);
    expect(kind).toBe(asMany); // what was refused the first time changed nothing
    if (kind === "many") expect(given?.length).toBe(name.startsWith("forged") ? 3 : 2);
  });

  test("a batch where one payload was asked for changes nothing", async () => {
    for (const delivery of SENT) {
      const { many, one } = await bobs();
      const wire = batch(3, { delivery, sequence: 5 });
      expect(one(wire).kind).toBe("BATCH");
      expect(one(wire).kind).toBe("BATCH");
      expect(one(single({ delivery, sequence: 6 })).missed).toBeUndefined(); // it is the first of its session
      expect(many(wire).kind).toBe({ event: "REPLAY", command: "REPLAY", state: "STALE_MESSAGE" }[delivery]);
    }
  });
});

describe("what is no batch, where any number of payloads is asked for", () => {
  test("messages, unverified ones, and nothing", async () => {
    const { many } = await bobs();
    for (const [i, delivery] of SENT.entries())
      expect(many(single({ delivery, sequence: i })).given).toMatchObject([{ kind: "message", delivery, sequence: i }]);
    expect(many(single(), { naive: true }).given).toMatchObject([{ kind: "unverified" }]);
    expect(many(single({ delivery: "alive", payload: filled(8, 12) })).kind).toBe("null");
    expect(many(single({ delivery: "will", session: filled(8, 12) })).given).toMatchObject([{ delivery: "will" }]);
    expect(many(single({ delivery: "will", session: filled(8, 12) })).kind).toBe("REPLAY");
    expect(many(single({ seed: bob })).kind).toBe("null");
    expect(many(single({ seed: mallory }), { ignoreUntrusted: true }).kind).toBe("null");
    expect(many(single({ seed: mallory })).kind).toBe("UNTRUSTED_KEY");
    expect(many(new Uint8Array()).kind).toBe("MALFORMED_MESSAGE");
  });
});

describe("our own batches", () => {
  test("are nothing to who sent them, and are heard by another program with the seed", async () => {
    const { library, peer } = await bobs();
    for (const delivery of SENT) {
      const theirs = library.encodeBatch(SMALL, { delivery });
      const ours = peer.send(SMALL, { delivery, ...home });
      for (const hearOwn of [false, true]) {
        const asked = { ...home, hearOwn };
        for (const many of [false, true]) {
          expect(libraryOutcome(library, theirs, asked, many)).toEqual({ kind: "null" });
          expect(peerOutcome(peer, ours, asked, many)).toEqual({ kind: "null" });
          const heard = !hearOwn ? "null" : many ? "many" : "BATCH";
          expect(libraryOutcome(library, ours, asked, many).kind).toBe(heard);
          expect(peerOutcome(peer, theirs, asked, many).kind).toBe(heard);
        }
      }
      const again = delivery === "state" ? "many" : "REPLAY";
      expect(libraryOutcome(library, ours, { ...home, hearOwn: true }, true).kind).toBe(again);
      expect(peerOutcome(peer, theirs, { ...home, hearOwn: true }, true).kind).toBe(again);
    }
  });

  test("are nothing to who sent them in a session before", async () => {
    const { library } = await bobs();
    const wire = library.encodeBatch(SMALL);
    library.renewSessions();
    expect(libraryOutcome(library, wire, { ...home, hearOwn: true }, true)).toEqual({ kind: "null" });
    expect(openMessage(library.encodeBatch(SMALL), topicKey, "home").sequence).toBe(0);
  });
});
