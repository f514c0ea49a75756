/** Random and mutated inputs of the wire of 0.1, as the broker, an outsider and a participant can make them. Repeatable by its seed. */
import { LegacyTopic, parseLegacyWire } from "../../src/compat/index.js";
import { agreementKeyPair, LegacyIdentity, sealBox } from "../../src/compat/legacy-crypto.js";
import { StringphoneError, Topic } from "../../src/index.js";
import { type FuzzResult, Random } from "./fuzz.js";
import { hex, legacyKey, legacySeed, unhex } from "./legacy.js";
import { bytes } from "./topics.js";

/** Inputs after which all receivers are made anew, so that rates of introductions do not end the search. */
const ROUND = 500;
/** Where parts begin: cuts and splices are likelier there than anywhere else. */
const SEAMS = [0, 1, 17, 33, 41, 65, 81, 89, 97, 105, 121, 129, 153];

function mutate(random: Random, wire: Uint8Array, other: Uint8Array): Uint8Array {
  const copy = Array.from(wire);
  for (let times = 1 + random.below(3); times > 0; times--) {
    const at = random.below(2) === 0 ? random.pick(SEAMS) : random.below(copy.length + 1);
    // Twice as often of the same length: an introduction or a reply of another is refused at once.
    switch (random.below(9)) {
      case 0:
      case 1:
      case 2:
        copy[at % Math.max(copy.length, 1)] = (copy[at % Math.max(copy.length, 1)] ?? 0) ^ (1 << random.below(8));
        break;
      case 3:
        copy.splice(at, 16, ...other.subarray(at, at + 16));
        break;
      case 4:
      case 5: {
        const key = random.pick([bytes(0), bytes(0xff), random.bytes(32), Uint8Array.of(1, ...bytes(0, 31))]);
        copy.splice(at, 32, ...key);
        break;
      }
      case 6:
        copy[0] = random.pick([0x73, 0x69, 0x72, 0x75, 0x86, 0x37]);
        break;
      case 7:
        if (random.below(2) === 0) copy.length = Math.min(at, copy.length);
        else copy.splice(at, 0, ...random.bytes(1 + random.below(9)));
        break;
      default:
        copy.splice(at, copy.length, ...other.subarray(Math.min(at, other.length)));
    }
  }
  return Uint8Array.from(copy);
}

/** What a trusted participant can make: any content, correctly signed, under any key. */
function sign(random: Random, identity: LegacyIdentity, topicKey: Uint8Array): Uint8Array {
  const { participant } = identity;
  if (random.below(4) === 0) {
    const key = random.pick([agreementKeyPair().publicKey, random.bytes(32), bytes(0)]);
    return Uint8Array.of(0x69, ...participant.publicKey, ...identity.sign(key), ...key);
  }
  const nonce = random.bytes(24);
  const box = sealBox(random.pick([topicKey, random.bytes(32)]), nonce, random.bytes(random.below(40)));
  const cut = box.subarray(0, random.below(8) === 0 ? random.below(box.length) : box.length);
  const signed = Uint8Array.of(...participant.id, ...nonce, ...cut);
  return Uint8Array.of(0x73, ...identity.sign(signed), ...signed);
}

async function makeCast() {
  const shared = { topicKey: legacyKey(1), replayMemory: 100 };
  const alice = await LegacyTopic.create({ ...shared, seed: legacySeed(2) });
  const mallory = new LegacyIdentity(bytes(6));
  const trusted = [alice.publicKey, mallory.participant.publicKey];
  const bob = await LegacyTopic.create({ ...shared, seed: legacySeed(3), participants: trusted });
  const carol = await LegacyTopic.create({ seed: legacySeed(4), participants: trusted });
  alice.addParticipant(carol.publicKey);
  const topic = await Topic.create({ topicKey: bytes(9), seed: bytes(5) });
  const stranger = await Topic.create({ topicKey: bytes(9), seed: bytes(7) });
  return { alice, bob, carol, mallory, topic, stranger };
}

/**
 * Gives `count` inputs to everything that takes bytes from the wire. Throws at the first that gives anything but a typed error,
 * unless it is what somebody trusted made and it did not come before; the message names the seed and the input.
 */
export async function fuzzLegacy(count: number, seed: number): Promise<FuzzResult> {
  const random = new Random(seed);
  const outcomes: Record<string, number> = {};
  for (let done = 0; done < count; done += ROUND) {
    const { alice, bob, carol, mallory, topic, stranger } = await makeCast();
    let intro = carol.constructIntro();
    let reply = alice.constructReply(intro);
    const messages = ["", "x", "Hi Bob!", "a longer text, to have more than one block of it and of its signature"].map(
      (text) => alice.encode(text),
    );
    const honest = new Set([...messages, intro, reply].map(hex));
    const others = [stranger.encode("x"), new TextEncoder().encode(hex(intro))];
    for (let i = done; i < Math.min(done + ROUND, count); i++) {
      const bases = [...messages, intro, intro, reply, reply, ...others];
      const base = random.pick(bases);
      const kind = random.below(20);
      let input: Uint8Array;
      if (kind === 0) input = random.bytes(random.below(300));
      else if (kind === 1) input = base;
      else if (kind < 5) {
        input = sign(random, mallory, bytes(1));
        honest.add(hex(input));
      } else input = mutate(random, base, random.pick(bases));
      const uses: Record<string, () => unknown> = {
        decode: () => bob.decode(input),
        naive: () => bob.decode(input, { naive: true }),
        newcomer: () => carol.decode(input),
        answer: () => alice.constructReply(input),
        adopt: () => carol.parseReply(input),
        parse: () => parseLegacyWire(input),
        topic: () => topic.decode(input),
      };
      const use = random.pick(["decode", "decode", ...Object.keys(uses)]);
      const outcome = outcomeOf(use, uses[use] as () => unknown, input, honest, `seed ${seed}, input ${i}`);
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      if (outcome === "adopt accepted") {
        // Carol has the key: she forgets it and asks again.
        carol.topicKey = undefined;
        intro = carol.constructIntro();
        reply = alice.constructReply(intro);
        for (const wire of [intro, reply]) honest.add(hex(wire));
      }
    }
    for (const one of [alice, bob, carol, topic, stranger]) one.dispose();
  }
  return { inputs: count, outcomes };
}

/** What may be accepted: only what an honest participant made, but for what no signature and no encryption covers. */
function isExpected(use: string, input: Uint8Array, honest: ReadonlySet<string>): boolean {
  if (use === "parse" || use === "naive") return true;
  if (honest.has(hex(input))) return use !== "topic";
  // The name of the sponsor is signed by nobody.
  return (
    use === "adopt" &&
    [...honest].some((one) => unhex(one).length === 153 && hex(input.subarray(0, 121)) === one.slice(0, 242))
  );
}

function outcomeOf(
  use: string,
  call: () => unknown,
  input: Uint8Array,
  honest: ReadonlySet<string>,
  where: string,
): string {
  try {
    const result = call();
    if (!isExpected(use, input, honest)) throw new Error(`${where}: ${use} accepted ${hex(input)}`);
    return result === null ? `${use} null` : `${use} accepted`;
  } catch (error) {
    if (error instanceof StringphoneError) return error.code;
    throw new Error(`${where}: ${use} threw ${String(error)} for ${hex(input)}`, { cause: error });
  }
}
