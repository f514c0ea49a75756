/** A rooted topic among a few devices, on a channel that a test holds in its hands: it gives each message to whom it wants, when it wants. */
import { afterEach, beforeEach, vi } from "vitest";
import { toHex } from "../../src/bytes.js";
import { diffieHellmanKeyPair, hash, randomBytes } from "../../src/crypto.js";
import { introductionHash, sealReply } from "../../src/discovery.js";
import { Identity } from "../../src/identity.js";
import {
  type ControlMessage,
  type DecodeOptions,
  type EstablishOptions,
  type LoadOptions,
  StringphoneError,
  Topic,
  type TopicEvent,
  type TopicOptions,
} from "../../src/index.js";
import { formatControl, parse, type ReplyContent } from "../../src/message.js";
import { formatHead, formatRekey, headOf, makeRekey, type Recipient, type Rekey } from "../../src/rekey.js";
import type { Role } from "../../src/roster.js";
import { sealControl } from "../../src/sealing.js";
import { parseState, type SavedTopic } from "../../src/state.js";
import { signRole, type WrapStatement } from "../../src/statements.js";
import { TopicKey } from "../../src/topic-key.js";
import { expectCode } from "./expect.js";
import { bytes, NAME, TestClock } from "./topics.js";

/** Running time and timers stand still in this file, unless a test moves them. */
export function standStill(): void {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
}

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

/** Time passes by the clock and by running time, and what is due is done. */
export async function pass({ clock }: World, milliseconds: number): Promise<void> {
  clock.now += milliseconds;
  await vi.advanceTimersByTimeAsync(milliseconds);
}

export type EventOf<T extends TopicEvent["type"]> = Extract<TopicEvent, { type: T }>;

/** Makes topics that have one clock, and writes down what each is told. */
export class World {
  readonly clock = new TestClock();
  readonly #told = new Map<Topic, TopicEvent[]>();

  /** Options of every topic here, with a listener of its own. */
  async #listening(make: (shared: { clock: () => number; listener: (event: TopicEvent) => void }) => Promise<Topic>) {
    const told: TopicEvent[] = [];
    const topic = await make({ clock: this.clock.read, listener: (event) => told.push(event) });
    this.#told.set(topic, told);
    return topic;
  }

  establish(options: EstablishOptions = {}): Promise<Topic> {
    return this.#listening((shared) => Topic.establish({ name: NAME, ...shared, ...options }));
  }

  create(options: TopicOptions = {}): Promise<Topic> {
    return this.#listening((shared) => Topic.create({ name: NAME, ...shared, ...options }));
  }

  load(state: Uint8Array, options: LoadOptions = {}): Promise<Topic> {
    return this.#listening((shared) => Topic.load(state, { ...shared, ...options }));
  }

  /** What a topic was told since the last time that this was asked. */
  async eventsOf(topic: Topic): Promise<TopicEvent[]> {
    await Promise.resolve();
    return this.#told.get(topic)?.splice(0) ?? [];
  }

  /** Of what a topic was told since then, the events of one type. */
  async told<T extends TopicEvent["type"]>(topic: Topic, type: T): Promise<EventOf<T>[]> {
    return (await this.eventsOf(topic)).filter((event): event is EventOf<T> => event.type === type);
  }

  /** A root, an admin whom it admitted, a publisher and another participant; each knows of all the others. */
  async family(options: { role?: Role; bob?: TopicOptions; all?: TopicOptions } = {}): Promise<Family> {
    const { all = {} } = options;
    const root = await this.establish({ seed: SEEDS.root, ...all });
    const admin = await this.create({ seed: SEEDS.admin, ...all });
    const carol = await this.create({ seed: SEEDS.carol, ...all });
    const bob = await this.create({ seed: SEEDS.bob, ...all, ...options.bob });
    pair(root, admin, "admin");
    tell(pair(root, carol).wire, admin);
    tell(pair(root, bob, options.role).wire, admin, carol);
    const everybody = [root, admin, carol, bob];
    for (const topic of everybody) await this.eventsOf(topic);
    return { root, admin, carol, bob, everybody };
  }
}

export interface Family {
  readonly root: Topic;
  readonly admin: Topic;
  readonly carol: Topic;
  readonly bob: Topic;
  readonly everybody: readonly Topic[];
}

/** Of a family. */
export const SEEDS = { root: bytes(0x21), admin: bytes(0x22), carol: bytes(0x23), bob: bytes(0x24) } as const;

/** Lets a newcomer in, who trusts the admin. Gives what is to be published for the others. */
export function pair(admin: Topic, newcomer: Topic, role: Role = "publisher"): ControlMessage {
  const intro = newcomer.constructIntro();
  const control = admin.admit(intro, { role });
  take(admin.constructReply(intro), newcomer);
  return control;
}

/** Somebody who knows the sponsor takes its reply. Says whether its epoch counts. */
export function take(reply: Uint8Array, newcomer: Topic): boolean {
  return newcomer.parseReply(expectCode("INTRODUCTION_REPLY", () => newcomer.decode(reply)).reply);
}

/** Gives a message to these topics. Of each: the text that it read, `null`, or the code of the error. */
export function tell(wire: Uint8Array, ...topics: readonly Topic[]): (string | null)[] {
  return topics.map((topic) => hear(topic, wire));
}

/** What a topic makes of a message: its text, `null`, or the code of the error. */
export function hear(topic: Topic, wire: Uint8Array, options: DecodeOptions = {}): string | null {
  try {
    return topic.decode(wire, options)?.text() ?? null;
  } catch (error) {
    if (error instanceof StringphoneError) return error.code;
    throw error;
  }
}

/** The key that a topic sends under. */
export function keyOf(topic: Topic): Uint8Array {
  return topic.topicKey as Uint8Array;
}

/** One of any number of people, always the same. */
export function somebody(number: number): { seed: Uint8Array; identity: Identity; key: Uint8Array } {
  const seed = new Uint8Array(32).fill(0xee);
  new DataView(seed.buffer).setUint32(0, number);
  const identity = new Identity(seed);
  return { seed, identity, key: identity.participant.publicKey };
}

export function publicKeyOf(seed: Uint8Array): Uint8Array {
  return new Identity(seed).participant.publicKey;
}

/** Whether it can be heard by those who have the key that counts for it. */
export function canSpeak(topic: Topic): boolean {
  try {
    topic.encode("x");
    return true;
  } catch {
    return false;
  }
}

/** What somebody who was removed reads of what another says. */
export function overheard(speaker: Topic, removed: Topic): string | null {
  return canSpeak(speaker) ? hear(removed, speaker.encode("a secret"), {}) : "silence";
}

/** The roles of everybody on the roster, by public key in hex. */
export function rosterOf(topic: Topic): Record<string, string> {
  return Object.fromEntries(topic.members.map(({ participant, role }) => [participant.hex, role]));
}

/** The role that one topic knows of another one's participant. */
export function roleOf(topic: Topic, whom: Topic): string | undefined {
  return rosterOf(topic)[toHex(whom.publicKey)];
}

/** What a thief finds in a topic. */
export function stolen(topic: Topic): SavedTopic {
  return parseState(topic.save());
}

/** The roster's statements, as a reply of somebody has them who does as it likes. */
export function statementsOf(topic: Topic): Uint8Array[] {
  const { links = [], roles = [] } = stolen(topic).rooted?.statements ?? {};
  return [...new Map([...links, ...roles].map((one) => [toHex(one), one])).values()];
}

/** What a reply gives of an epoch that this topic knows, but for the key. */
export function toldOf(topic: Topic, epoch: number): Omit<ReplyContent, "generation" | "topicKey" | "rejoinSecret"> {
  const { epochs, rooted } = stolen(topic);
  const head = epochs.find(({ number }) => number === epoch)?.head;
  if (rooted === undefined || head === undefined) throw new Error("expected an epoch with a head");
  const { salt, roots } = rooted;
  return { epoch, salt, roots, statements: statementsOf(topic), head: formatHead(head) };
}

/** What a reply gives of an epoch and a key that its author made for itself, with all else as this topic knows it. */
export function madeUp(seed: Uint8Array, topic: Topic, parentKey: Uint8Array): ReplyContent {
  const { rooted } = stolen(topic);
  if (rooted === undefined) throw new Error("expected a roster");
  const { salt, roots } = rooted;
  const inside = { epoch: 9, reason: "requested", recipients: [], digest: bytes(0), statements: [] } as const;
  const made = makeRekey(new Identity(seed), topic.topicId as Uint8Array, new TopicKey(parentKey), inside);
  const given = { epoch: 9, generation: 0, topicKey: made.key, rejoinSecret: bytes(0x57) };
  return { ...given, salt, roots, statements: statementsOf(topic), head: formatHead(headOf(made.rekey)) };
}

/** A reply that anybody can make who has this seed, and the rejoin secret that was proved, if any. */
export function forgeReply(
  seed: Uint8Array,
  intro: Uint8Array,
  content: ReplyContent,
  provenSecret?: Uint8Array,
): Uint8Array {
  const wire = parse(intro, 0);
  if (wire.type !== "introduction") throw new Error("expected an introduction");
  const addressee = { wire, hash: introductionHash(intro), context: NAME, provenSecret };
  return sealReply(new Identity(seed), content, addressee, randomBytes(64));
}

/** What a topic calls the statements that it knows. */
export function digestOf(topic: Topic): string | undefined {
  return stolen(topic).rooted?.digests.at(-1);
}

/** To whom a rekey is to be wrapped: by the wrap key that a topic announced last. */
export function recipientOf(topic: Topic): Recipient {
  const secretKey = stolen(topic).wrapKeys[0]?.secretKey;
  return { identityKey: topic.publicKey, wrapKey: diffieHellmanKeyPair(secretKey).publicKey };
}

/** Seals a control message of any content, as a holder of the topic key can. */
export function forgeControl(
  topicKey: Uint8Array,
  content: { readonly statements?: readonly Uint8Array[]; readonly rekey?: Rekey },
  context = NAME,
): Uint8Array {
  const { statements = [], rekey } = content;
  const session = globalThis.crypto.getRandomValues(new Uint8Array(12));
  const payload = formatControl(statements, rekey && formatRekey(rekey));
  return sealControl(new TopicKey(topicKey), { session, sequence: 0, context }, payload);
}

/** What an admin's own program says of somebody, with any version. */
export function forgeStatement(
  seed: Uint8Array,
  topic: Topic,
  content: {
    readonly subjectKey: Uint8Array;
    readonly version: number;
    readonly role: Role | "revoked";
    readonly head?: string;
    readonly wrap?: WrapStatement | undefined;
  },
): Uint8Array {
  const topicId = topic.topicId as Uint8Array;
  return signRole(new Identity(seed), topicId, { name: "", head: "", wrap: undefined, ...content }).bytes;
}

/** The same in fewer words. */
export function say(
  seed: Uint8Array,
  topic: Topic,
  subjectKey: Uint8Array,
  role: Role | "revoked",
  version: number,
  more: { readonly head?: string; readonly wrap?: WrapStatement | undefined } = {},
): Uint8Array {
  return forgeStatement(seed, topic, { subjectKey, role, version, ...more });
}

/** A rekey that an admin's own program makes: for whom it likes, and wrapped to what it likes. Gives the new key, too. */
export function forgeRekey(
  seed: Uint8Array,
  topic: Topic,
  content: {
    readonly parentKey: Uint8Array;
    readonly epoch: number;
    readonly recipients?: readonly Recipient[];
    /** Of the statements that it says it knows. */
    readonly digest?: Uint8Array;
  },
  statements: readonly Uint8Array[] = [],
): { wire: Uint8Array; key: Uint8Array } {
  const { parentKey, epoch, recipients = [], digest = new Uint8Array(32) } = content;
  const parent = new TopicKey(parentKey);
  const inside = { epoch, reason: "requested" as const, recipients, digest, statements };
  const { rekey, key } = makeRekey(new Identity(seed), topic.topicId as Uint8Array, parent, inside);
  return { wire: forgeControl(parentKey, { statements, rekey }), key };
}

/** A rekey that somebody's own program makes, wrapped to nobody. */
export function rekeyForNobody(
  identity: Identity,
  topicId: Uint8Array,
  parentKey: Uint8Array,
  more: { readonly epoch?: number; readonly statements?: readonly Uint8Array[] } = {},
): Rekey {
  const content = {
    epoch: 1,
    reason: "requested" as const,
    recipients: [],
    digest: new Uint8Array(32),
    statements: [],
  };
  return makeRekey(identity, topicId, new TopicKey(parentKey), { ...content, ...more }).rekey;
}

/** Signs a requested rekey again whose parts were changed. */
export function signAgain(identity: Identity, topicId: Uint8Array, rekey: Rekey): Rekey {
  const { issuerKey, parent, epoch, ephemeralKey, recipients, wrapsHash, digest, statementsHash, commitment } = rekey;
  const items = [issuerKey, parent, epoch, 0, ephemeralKey, recipients, wrapsHash, digest, statementsHash];
  const body = hash("rekey", topicId, ...items);
  return { ...rekey, signature: identity.sign(hash("rekeySignature", body, commitment)) };
}

/** A rekey, wrapped to nobody, that claims to lead to somebody else's key. */
export function rekeyThatClaims(
  commitment: Uint8Array,
  seed: Uint8Array,
  topic: Topic,
  parentKey: Uint8Array,
  more: { readonly epoch?: number; readonly statements?: readonly Uint8Array[] } = {},
): Uint8Array {
  const [identity, topicId] = [new Identity(seed), topic.topicId as Uint8Array];
  const rekey = { ...rekeyForNobody(identity, topicId, parentKey, more), commitment };
  return forgeControl(parentKey, { ...more, rekey: signAgain(identity, topicId, rekey) });
}

/** Every order of a list. */
export function* permutations<T>(list: readonly T[]): Iterable<readonly T[]> {
  if (list.length === 0) yield [];
  for (const [i, first] of list.entries()) {
    for (const rest of permutations(list.filter((_, at) => at !== i))) yield [first, ...rest];
  }
}
