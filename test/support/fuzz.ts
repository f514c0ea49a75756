/** Random and mutated inputs for `decode`, as the broker, an outsider and a participant can make them. Repeatable by its seed. */
import { readFileSync } from "node:fs";
import { toTableKey } from "../../src/bytes.js";
import { StringphoneError, Topic } from "../../src/index.js";
import { type Plaintext, parse } from "../../src/message.js";
import { sealControl } from "../../src/sealing.js";
import { TopicKey } from "../../src/topic-key.js";
import { openWire, sealPlaintext } from "./forge.js";
import { bytes, NAME, START } from "./topics.js";

/** Inputs after which all receivers are made anew, so that rates and memories of introductions do not end the search. */
const ROUND = 2000;
const TOPIC_KEY = bytes(1);

/** Every input that ever broke something, and seeds of shapes that random bytes rarely have. */
export const corpus: readonly { readonly name: string; readonly bytes: string }[] = JSON.parse(
  readFileSync(new URL("../corpus/inputs.json", import.meta.url), "utf8"),
);

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer from 0 to below `bound`: mulberry32. */
  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * bound);
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

/** Random CBOR heads and contents, of all major types, mostly well nested. */
function randomCbor(random: Random, depth = 0): number[] {
  const major = depth > 6 ? random.below(4) : random.below(8);
  const length = random.below(12);
  const head = random.below(6) === 0 ? [(major << 5) | 24, length] : [(major << 5) | length];
  if (major === 2 || major === 3) return [...head, ...random.bytes(length)];
  if (major === 4) return [...head, ...Array.from({ length }, () => randomCbor(random, depth + 1)).flat()];
  if (major === 5) return [...head, ...Array.from({ length: 2 * length }, () => randomCbor(random, depth + 1)).flat()];
  if (major === 6) return [...head, ...randomCbor(random, depth + 1)];
  return head;
}

function mutate(random: Random, wire: Uint8Array, other: Uint8Array): Uint8Array {
  const copy = Array.from(wire);
  for (let times = 1 + random.below(3); times > 0; times--) {
    const at = random.below(copy.length + 1);
    switch (random.below(7)) {
      case 0:
        copy[at % Math.max(copy.length, 1)] = (copy[at % Math.max(copy.length, 1)] ?? 0) ^ (1 << random.below(8));
        break;
      case 1:
        copy[at % Math.max(copy.length, 1)] = random.pick([0, 0x7f, 0x80, 0xff, 0x18, 0x1b, 0x5f, 0x9f, 0xf6]);
        break;
      case 2:
        copy.length = at;
        break;
      case 3:
        copy.splice(at, 0, ...random.bytes(1 + random.below(9)));
        break;
      case 4:
        copy.splice(at, 1 + random.below(9));
        break;
      case 5:
        copy.splice(at, copy.length, ...other.subarray(random.below(other.length)));
        break;
      default:
        copy.splice(random.below(30), 1, ...randomCbor(random));
    }
  }
  return Uint8Array.from(copy.slice(0, 5000));
}

/** What a holder of the topic key makes of an honest message: changed inside, and correctly sealed again. */
function reseal(random: Random, wire: Uint8Array): Uint8Array {
  const { position, plaintext } = openWire(TOPIC_KEY, wire);
  const changed: { -readonly [K in keyof Plaintext]: Plaintext[K] } = { ...plaintext };
  const place = { ...position };
  switch (random.below(8)) {
    case 0:
      changed.senderHint = toTableKey(random.bytes(8));
      break;
    case 1:
      changed.delivery = random.pick(["event", "state", "command", "will", "alive", "control", "x" as "event"]);
      changed.sentAt += 1;
      break;
    case 2:
      changed.sentAt = random.pick([0, 1, 2 ** 40, 2 ** 48 - 1]);
      break;
    case 3:
      changed.signature = random.bytes(64);
      break;
    case 4:
      changed.payload = random.bytes(random.below(40));
      changed.batch = random.pick([undefined, []]);
      break;
    case 5:
      place.sequence = random.pick([1, 2 ** 32, 2 ** 53 - 1]) + (place.sequence % 2);
      if (place.sequence > Number.MAX_SAFE_INTEGER) place.sequence = 77;
      break;
    case 6:
      place.sequence = random.pick([0, 0, 0, 1]);
      return sealControl(new TopicKey(TOPIC_KEY), place, random.bytes(60 + random.below(60)));
    default:
      place.session = random.bytes(12);
  }
  return sealPlaintext(TOPIC_KEY, place, changed);
}

export interface FuzzResult {
  readonly inputs: number;
  /** How often decode ended how: an error code, `null`, or `accepted`. */
  readonly outcomes: Readonly<Record<string, number>>;
}

async function makeCast(): Promise<{ alice: Topic; bob: Topic; carol: Topic }> {
  const shared = { topicKey: TOPIC_KEY, name: NAME, clock: () => START };
  const alice = await Topic.create({ ...shared, seed: bytes(2) });
  const bob = await Topic.create({ ...shared, seed: bytes(3), participants: [alice.publicKey] });
  const carol = await Topic.create({ name: NAME, clock: () => START, seed: bytes(4) });
  alice.addParticipant(carol.publicKey);
  return { alice, bob, carol };
}

/**
 * Decodes `count` inputs. Throws at the first that gives anything but a typed error, unless it is an honest message that was
 * not given before; the message names the seed and the input.
 */
export async function fuzz(
  count: number,
  seed: number,
  onRound: (done: number) => void = () => undefined,
): Promise<FuzzResult> {
  const random = new Random(seed);
  const outcomes: Record<string, number> = {};
  const fixed = corpus.map((one) => new Uint8Array(Buffer.from(one.bytes, "hex")));
  for (let done = 0; done < count; done += ROUND) {
    const { alice, bob, carol } = await makeCast();
    const will = alice.encodeWill("gone");
    const intro = carol.constructIntro({ name: "Carol" });
    const honest = new Map<string, string | null>();
    const say = (wire: Uint8Array, text: string | null) => {
      honest.set(Buffer.from(wire).toString("hex"), text);
      return wire;
    };
    const messages = (["event", "state", "command"] as const).map((delivery) =>
      say(alice.encode(delivery, { delivery }), delivery),
    );
    messages.push(say(alice.encodeBatch(["first", "second"]), "first,second"));
    messages.push(say(alice.encodeBatch(["state"], { delivery: "state" }), "state"));
    messages.push(say(will.alive, null), say(will.will, "gone"), say(will.farewell, null));
    alice.ratchet();
    const ahead = say(alice.encode("ahead"), "ahead");
    const bases = [...messages, ahead, intro, alice.constructReply(intro), ...fixed];
    for (let i = done; i < Math.min(done + ROUND, count); i++) {
      const base = random.pick(bases);
      const kind = random.below(20);
      let input: Uint8Array;
      if (kind === 0) input = random.bytes(random.below(400));
      else if (kind === 1) input = Uint8Array.from(randomCbor(random));
      else if (kind === 2) input = base;
      else if (kind < 8) input = reseal(random, random.pick(messages));
      else input = mutate(random, base, random.pick(bases));
      const receiver = random.below(8) === 0 ? carol : bob;
      const outcome = outcomeOf(receiver, input, random.below(2) === 0, honest, `seed ${seed}, input ${i}`);
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
    // Carol's introduction would be held by its timer for ten minutes.
    for (const topic of [alice, bob, carol]) topic.dispose();
    onRound(Math.min(done + ROUND, count));
  }
  return { inputs: count, outcomes };
}

function outcomeOf(
  receiver: Topic,
  input: Uint8Array,
  takesBatches: boolean,
  honest: Map<string, string | null>,
  where: string,
): string {
  const hex = Buffer.from(input).toString("hex");
  try {
    const received = takesBatches ? receiver.decodeBatch(input) : [receiver.decode(input)].flatMap((one) => one ?? []);
    const [first] = received;
    // Carol's own introduction is the one thing that is given nothing for without being a message.
    const ownIntroduction = first === undefined && parse(input, 1 << 20).type === "introduction";
    const expected = honest.get(hex);
    const text = first === undefined ? null : received.map((one) => one.text()).join();
    if (!ownIntroduction && expected !== text) throw new Error(`${where}: accepted ${hex}`);
    if (first !== undefined && first.delivery !== "state") honest.delete(hex);
    return first === undefined ? "null" : "accepted";
  } catch (error) {
    if (error instanceof StringphoneError) return error.code;
    throw new Error(`${where}: decode threw ${String(error)} for ${hex}`, { cause: error });
  }
}
