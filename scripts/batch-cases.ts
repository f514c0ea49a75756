/** The test vectors of batches (PROTOCOL §6.2): to Bob, who trusts Alice, as those of messages. */
import { encode } from "../src/cbor.js";
import type { AnyStringphoneError, Delivery } from "../src/errors.js";
import { Identity } from "../src/identity.js";
import { formatBatch } from "../src/message.js";
import { type Content, sealMessage } from "../src/sealing.js";
import { TopicKey } from "../src/topic-key.js";
import { ALICE, BOB, CONTEXT, hex, MALLORY, NOW, SESSION, TOPIC_KEY, unhex, utf8 } from "./vector-secrets.js";

export interface MakeBatch {
  readonly seed: string;
  readonly topicKey: string;
  readonly session: string;
  /** Of the first payload. */
  readonly sequence: number;
  readonly context: string;
  /** Of each payload. */
  readonly delivery: Exclude<Delivery, "will">;
  readonly sentAt: number;
  readonly payloads: readonly string[];
}

export interface BatchCase {
  readonly name: string;
  readonly make?: MakeBatch;
  readonly before?: readonly string[];
  readonly wire: string;
  readonly receiver: {
    readonly now: number;
    readonly context: string;
    /** `single`: the application asked for one payload, as it does that knows no batches. */
    readonly options: { readonly single?: boolean } & Record<string, unknown>;
  };
  readonly expect:
    | {
        readonly accept: "batch";
        readonly sender: string;
        readonly payloads: readonly string[];
        readonly sequences: readonly number[];
        /** `null` where it is not known. */
        readonly missed: readonly (number | null)[];
        readonly sentAt: number;
        readonly delivery: string;
      }
    | { readonly accept: "unverified"; readonly payloads: readonly string[] }
    | { readonly accept: "null" }
    | { readonly refuse: AnyStringphoneError["code"] };
}

const sealed = (make: Omit<MakeBatch, "payloads" | "delivery">, content: Omit<Content, "sentAt">): Uint8Array => {
  const { seed, topicKey, session, sequence, context, sentAt } = make;
  const position = { session: unhex(session), sequence, context };
  return sealMessage(new TopicKey(unhex(topicKey)), new Identity(unhex(seed)), position, { ...content, sentAt });
};

export function batchOf(make: MakeBatch): Uint8Array {
  const { delivery, payloads } = make;
  return sealed(make, { delivery, payload: formatBatch(payloads.map(unhex)), isBatch: true });
}

function makeBatch(changes: Partial<MakeBatch> = {}): MakeBatch {
  return {
    seed: hex(ALICE),
    topicKey: hex(TOPIC_KEY),
    session: hex(SESSION),
    sequence: 0,
    context: CONTEXT,
    delivery: "event",
    sentAt: NOW,
    payloads: ["21.5 °C", "21.6 °C", "21.7 °C"].map(utf8),
    ...changes,
  };
}

const receiver = { now: NOW, context: CONTEXT, options: {} };
const alice = (): string => hex(new Identity(ALICE).participant.publicKey);

/** One that Bob takes; `missed` is that of the first payload. */
function accepted(
  name: string,
  changes: Partial<MakeBatch> = {},
  more: Partial<BatchCase> = {},
  missed: number | null = null,
): BatchCase {
  const make = makeBatch(changes);
  const { payloads, sequence, sentAt, delivery } = make;
  return {
    name,
    make,
    wire: hex(batchOf(make)),
    receiver,
    expect: {
      accept: "batch",
      sender: alice(),
      payloads,
      sequences: payloads.map((_, i) => sequence + i),
      missed: payloads.map((_, i) => (i === 0 ? missed : 0)),
      sentAt,
      delivery,
    },
    ...more,
  };
}

function withOptions(options: BatchCase["receiver"]["options"], now = NOW): Pick<BatchCase, "receiver"> {
  return { receiver: { now, context: CONTEXT, options } };
}

function otherwise(
  name: string,
  expected: BatchCase["expect"],
  changes: Partial<MakeBatch>,
  more: Partial<BatchCase>,
): BatchCase {
  return { ...accepted(name, changes), expect: expected, ...more };
}

/** One with something else in place of a batch, which only a hostile participant signs. */
function malformed(name: string, body: Uint8Array, sequence = 0): BatchCase {
  const wire = sealed(makeBatch({ sequence }), { delivery: "event", payload: body, isBatch: true });
  return { name: `in place of a batch: ${name}`, wire: hex(wire), receiver, expect: { refuse: "MALFORMED_MESSAGE" } };
}

const before = (...changes: Partial<MakeBatch>[]): Pick<BatchCase, "before"> => ({
  before: changes.map((one) => hex(batchOf(makeBatch(one)))),
});

export function batchCases(): BatchCase[] {
  const own = { seed: hex(BOB) };
  const stranger = { seed: hex(MALLORY) };
  const three = makeBatch().payloads;
  const nested = "in place of a batch: ";
  const cases: BatchCase[] = [
    accepted("three events"),
    accepted("three states", { delivery: "state" }),
    accepted("three commands", { delivery: "command" }),
    accepted("one payload", { payloads: [utf8("alone")] }),
    accepted("an empty payload among others", { payloads: ["", utf8("x"), ""] }),
    accepted("23 payloads, the most with a head of one byte", { payloads: Array(23).fill("61") }),
    accepted("24 payloads", { payloads: Array(24).fill("61") }),
    accepted("256 payloads", { payloads: Array(256).fill("") }),
    accepted("1,024 payloads, the most", { payloads: Array(1024).fill("00") }),
    accepted("payloads at the edges of each head", {
      payloads: [23, 24, 255, 256].map((length) => "ab".repeat(length)),
    }),
    accepted("that begins at sequence 4,294,967,294", { sequence: 2 ** 32 - 2 }),
    accepted("with the last sequences that there are", { sequence: 2 ** 53 - 3 }),
    accepted("by a sender without a clock", { sentAt: 5 }),
    accepted("in an empty context", { context: "" }, { receiver: { ...receiver, context: "" } }),
    accepted("after a gap of four", { sequence: 7 }, before({}), 4),
    accepted("right after another", { sequence: 3 }, before({}), 0),
    accepted("late, before another", { sequence: 0 }, before({ sequence: 3 }), 0),
    accepted(
      "16,383 below the highest, the last that the window holds",
      { sequence: 0 },
      before({ sequence: 16_383, payloads: ["00"] }),
      0,
    ),
    accepted("the same states once more", { delivery: "state" }, before({ delivery: "state" }), 0),
    accepted("commands of the greatest age", { delivery: "command", sentAt: NOW - 30_000 }),
    otherwise("the same events once more", { refuse: "REPLAY" }, {}, before({})),
    otherwise("whose last sequence was taken", { refuse: "REPLAY" }, { sequence: 0 }, before({ sequence: 2 })),
    otherwise("whose first sequence was taken", { refuse: "REPLAY" }, { sequence: 4 }, before({ sequence: 2 })),
    otherwise(
      "that spans what was taken",
      { refuse: "REPLAY" },
      { sequence: 0, payloads: Array(9).fill("") },
      before({ sequence: 4, payloads: [""] }),
    ),
    otherwise(
      "16,384 below the highest",
      { refuse: "REPLAY" },
      { sequence: 0 },
      before({ sequence: 16_384, payloads: ["00"] }),
    ),
    otherwise(
      "older states than those accepted",
      { refuse: "STALE_MESSAGE" },
      { delivery: "state", sentAt: NOW - 1 },
      before({ delivery: "state", sequence: 3 }),
    ),
    otherwise(
      "commands that are too old",
      { refuse: "STALE_MESSAGE" },
      { delivery: "command", sentAt: NOW - 30_001 },
      {},
    ),
    otherwise("states that are ahead", { refuse: "CLOCK" }, { delivery: "state", sentAt: NOW + 300_001 }, {}),
    otherwise(
      "commands that the broker retained",
      { refuse: "RETAINED_COMMAND" },
      { delivery: "command" },
      withOptions({ retained: true }),
    ),
    otherwise("where one payload was asked for", { refuse: "BATCH" }, {}, withOptions({ single: true })),
    otherwise(
      "of one payload, where one payload was asked for",
      { refuse: "BATCH" },
      { payloads: ["00"] },
      withOptions({ single: true }),
    ),
    otherwise(
      "of a stranger, where one payload was asked for",
      { refuse: "UNTRUSTED_KEY" },
      stranger,
      withOptions({ single: true }),
    ),
    otherwise(
      "where one unverified payload was asked for",
      { refuse: "BATCH" },
      {},
      withOptions({ single: true, naive: true }),
    ),
    otherwise("unverified", { accept: "unverified", payloads: three }, stranger, withOptions({ naive: true })),
    otherwise(
      "unverified commands",
      { refuse: "UNEXPECTED_DELIVERY" },
      { delivery: "command" },
      withOptions({ naive: true }),
    ),
    otherwise(
      "of another delivery than expected",
      { refuse: "UNEXPECTED_DELIVERY" },
      {},
      withOptions({ delivery: "state" }),
    ),
    otherwise("of a stranger", { refuse: "UNTRUSTED_KEY" }, stranger, {}),
    otherwise("of a stranger who is ignored", { accept: "null" }, stranger, withOptions({ ignoreUntrusted: true })),
    otherwise("of our own", { accept: "null" }, own, {}),
    otherwise("in another context", { refuse: "DECRYPTION_FAILED" }, { context: "hall" }, {}),
    malformed("nothing", new Uint8Array(0)),
    malformed("an empty array", unhex("80")),
    malformed("1,025 payloads", unhex(`990401${"40".repeat(1025)}`)),
    malformed("one byte string", unhex("4161")),
    malformed("an array of text", encode(["a"])),
    malformed("an array of arrays", encode([[unhex("61")]])),
    malformed("an array of integers", encode([1])),
    malformed("bytes after the array", unhex("81416100")),
    malformed("fewer payloads than it says", unhex("824161")),
    malformed("a count that is not in its shortest form", unhex("98014161")),
    malformed("a length that is not in its shortest form", unhex("81580161")),
    malformed("an indefinite length", unhex("9f4161ff")),
    malformed("a payload beyond its end", unhex("814261")),
    malformed("sequences beyond 2^53 − 1", formatBatch([unhex("61"), unhex("62")]), 2 ** 53 - 1),
  ];
  return cases.map((one) => ({ ...one, name: one.name.startsWith(nested) ? one.name : `a batch: ${one.name}` }));
}
