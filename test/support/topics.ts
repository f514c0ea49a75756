import { generateTopicKey, Topic, type TopicOptions } from "../../src/index.js";
import { expectCode } from "./expect.js";

export const NAME = "home/kitchen";

/** November 2026, in milliseconds: a clock that a test moves by hand. */
export const START = 1_794_700_000_000;

export class TestClock {
  now: number;

  constructor(now = START) {
    this.now = now;
  }

  readonly read = (): number => this.now;
}

/** Bytes of one value, for seeds and keys that a test wants to repeat. */
export function bytes(value: number, length = 32): Uint8Array {
  return new Uint8Array(length).fill(value);
}

export interface Pair {
  readonly alice: Topic;
  readonly bob: Topic;
  readonly clock: TestClock;
}

/** Two topics with one key and clock. Bob trusts Alice and Alice trusts Bob. */
export async function makePair(options: TopicOptions = {}): Promise<Pair> {
  const clock = new TestClock();
  const shared = { topicKey: generateTopicKey(), name: NAME, clock: clock.read, ...options };
  const alice = await Topic.create(shared);
  const bob = await Topic.create({ ...shared, participants: [alice.publicKey] });
  alice.addParticipant(bob.publicKey);
  return { alice, bob, clock };
}

/** Runs an introduction up to where the sponsor's person has confirmed the newcomer, and gives the reply. */
export function sponsorNewcomer(sponsor: Topic, newcomer: Topic, intro = newcomer.constructIntro()): Uint8Array {
  const { introduction } = expectCode("INTRODUCTION", () => sponsor.decode(intro));
  sponsor.addParticipant(introduction.senderKey);
  return sponsor.constructReply(introduction);
}

/** A copy with one bit flipped. */
export function flipBit(wire: Uint8Array, bit: number): Uint8Array {
  const flipped = new Uint8Array(wire);
  flipped[bit >>> 3] = (flipped[bit >>> 3] as number) ^ (1 << (bit & 7));
  return flipped;
}
