/** The test vectors of generations (PROTOCOL §4) and of topic ids (§10.1). */
import { Identity } from "../src/identity.js";
import { sealMessage } from "../src/sealing.js";
import { TopicKey } from "../src/topic-key.js";
import {
  type Code,
  commitmentOf,
  generationOf,
  KDF,
  keyIdOf,
  person,
  rejoinSecretOf,
  topicIdOf,
} from "./rooted-parts.js";
import { CONTEXT, hex, NOW, named, OTHER_TOPIC_KEY, SESSION, TOPIC_KEY } from "./vector-secrets.js";

export interface GenerationCase {
  readonly name: string;
  /** Generation 0. */
  readonly topicKey: string;
  readonly rejoinSecret: string;
  readonly generations: readonly {
    readonly generation: number;
    readonly topicKey: string;
    readonly keyId: string;
    readonly messageKey: string;
    readonly commitment: string;
  }[];
}

export interface FollowCase {
  readonly name: string;
  /** Of the key that the receiver was given, which is its oldest. */
  readonly oldest: number;
  readonly topicKey: string;
  /** Messages of Alice, each with the generation that it is sealed under. */
  readonly messages: readonly {
    readonly generation: number;
    readonly wire: string;
    /** The generation that the receiver sends under afterwards; or why it refuses. */
    readonly expect: { readonly sendsUnder: number } | { readonly refuse: Code };
  }[];
}

export interface TopicIdCase {
  readonly name: string;
  readonly salt: string;
  readonly roots: readonly string[];
  readonly topicId: string;
}

function generationCase(name: string, topicKey: Uint8Array, generations: readonly number[]): GenerationCase {
  return {
    name,
    topicKey: hex(topicKey),
    rejoinSecret: hex(rejoinSecretOf(topicKey)),
    generations: generations.map((generation) => {
      const key = generationOf(topicKey, generation);
      return {
        generation,
        topicKey: hex(key),
        keyId: hex(keyIdOf(key)),
        messageKey: hex(KDF(key, "message key")),
        commitment: hex(commitmentOf(key)),
      };
    }),
  };
}

export function generationCases(): GenerationCase[] {
  return [
    generationCase("generations 0 to 4", TOPIC_KEY, [0, 1, 2, 3, 4]),
    generationCase("generations of another key, on both sides of each 64th", OTHER_TOPIC_KEY, [0, 63, 64, 65, 128]),
    generationCase("the last generation that is read by who has the first", named("a far key"), [4096]),
    generationCase("a topic key of zeros", new Uint8Array(32), [0, 1]),
  ];
}

type Outcome = FollowCase["messages"][number]["expect"];

function followCase(name: string, oldest: number, ...steps: readonly (readonly [number, Outcome])[]): FollowCase {
  const messages = steps.map(([generation, expected], sequence) => {
    const key = new TopicKey(generationOf(TOPIC_KEY, generation));
    const content = { delivery: "event", sentAt: NOW, payload: Buffer.from("Hi Bob!"), isBatch: false } as const;
    const wire = sealMessage(
      key,
      new Identity(person("alice").seed),
      { session: SESSION, sequence, context: CONTEXT },
      content,
    );
    return { generation, wire: hex(wire), expect: expected };
  });
  return { name, oldest, topicKey: hex(generationOf(TOPIC_KEY, oldest)), messages };
}

/** Bob has just begun, so that his budget is 24 steps. */
export function followCases(): FollowCase[] {
  const unknown = { refuse: "UNKNOWN_TOPIC_KEY" } as const;
  return [
    followCase("follows to the next generation", 0, [1, { sendsUnder: 1 }]),
    followCase(
      "reads what is below, and stays",
      0,
      [5, { sendsUnder: 5 }],
      [3, { sendsUnder: 5 }],
      [0, { sendsUnder: 5 }],
    ),
    followCase("follows as far as the first budget goes", 0, [24, { sendsUnder: 24 }]),
    followCase(
      "reads one further than the budget goes, and stays",
      0,
      [25, { sendsUnder: 0 }],
      [24, { sendsUnder: 24 }],
    ),
    followCase(
      "spends the budget bit by bit",
      0,
      [20, { sendsUnder: 20 }],
      [25, { sendsUnder: 20 }],
      [24, { sendsUnder: 24 }],
    ),
    followCase("reads the 4,096th after its oldest, and none after", 0, [4096, { sendsUnder: 0 }], [4097, unknown]),
    followCase("knows none below its oldest", 7, [6, unknown], [7, { sendsUnder: 7 }], [8, { sendsUnder: 8 }]),
    followCase("reads 4,096 after an oldest that is not the first", 7, [4103, { sendsUnder: 7 }], [4104, unknown]),
  ];
}

export function topicIdCases(): TopicIdCase[] {
  const salt = named("salt").slice(0, 16);
  const one = (name: string, roots: readonly string[], bytes = salt): TopicIdCase => ({
    name,
    salt: hex(bytes),
    roots: roots.map((root) => person(root).hex),
    topicId: hex(topicIdOf({ salt: bytes, roots, name: CONTEXT })),
  });
  return [
    one("one root", ["alice"]),
    one("two roots", ["alice", "bob"]),
    one("the same two in the other order: another topic", ["bob", "alice"]),
    one("another salt", ["alice"], named("another salt").slice(0, 16)),
    one("a salt of zeros", ["alice"], new Uint8Array(16)),
    one(
      "16 roots, the most",
      Array.from({ length: 16 }, (_, i) => `root ${i}`),
    ),
  ];
}
