// A second implementation of docs/PROTOCOL.md, written from that page alone; § refers to its sections.
// It shares no code with src/, so that a test can set one against the other.
import sodium from "libsodium-wrappers";
import { Chain, follow, StepBudget, step } from "./independent-generations.js";
import {
  type Bytes,
  bytesOf,
  CLOCK_FLOOR,
  commitmentOf,
  fingerprint,
  H,
  hex,
  hintOf,
  type Item,
  isIdentityKey,
  join,
  KDF,
  keyIdOf,
  label,
  MAX_AGE,
  MAX_CONTROL,
  MAX_EPOCH,
  MAX_GENERATION,
  MAX_PAYLOAD,
  MAX_STATEMENT,
  MAX_TIME,
  MIN_STATEMENT,
  malformed,
  messageKeyOf,
  numberOf,
  open,
  PeerError,
  publicKeyOf,
  readCbor,
  refuse,
  SKEW,
  same,
  seal,
  sign,
  TEN_MINUTES,
  verify,
  writeCbor,
} from "./independent-primitives.js";

export {
  commitmentOf,
  fingerprint,
  hex,
  isIdentityKey,
  keyIdOf,
  messageKeyOf,
  PeerError,
  participantId,
  publicKeyOf,
  ready,
  safetyNumber,
  unhex,
} from "./independent-primitives.js";

// §5

type Message = { type: 0; keyId: Bytes; session: Bytes; sequence: number; ciphertext: Bytes };
type IntroductionBytes = Record<"senderKey" | "kemKey" | "wrap" | "rejoin" | "signature", Bytes>;
export type Introduction = IntroductionBytes & { type: 1; sentAt: number; name: string };
type Reply = { type: 2; id: Bytes; kemCiphertext: Bytes; ciphertext: Bytes };

/** What people are shown as a name (§9.1); that it has at most 64 bytes was seen when it was read. */
export function checkName(name: Item | undefined): asserts name is string {
  if (typeof name !== "string") malformed("not such a name");
  else if (/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/u.test(name)) malformed("name with a character that is not shown");
}

export function parse(wire: Bytes, maxPayload = MAX_PAYLOAD, isRooted = false): Message | Introduction | Reply {
  if (wire.length > Math.max(maxPayload, MAX_CONTROL) + 130) refuse("MESSAGE_TOO_LARGE", `${wire.length} bytes`);
  const [array, version] = [wire[0] ?? 0, wire[1] ?? 1];
  if (array >= 0x80 && array <= 0x97 && version < 0x18 && version !== 1) refuse("UNSUPPORTED_VERSION", `${version}`);
  const items = readCbor(wire, 9, false);
  if (typeof items[0] === "number" && items[0] !== 1) refuse("UNSUPPORTED_VERSION", `${items[0]}`);
  if (items[0] !== 1) malformed("no version");
  if (items[1] === 0 && items.length === 6) {
    const [keyId, session] = [bytesOf(items[2], 4), bytesOf(items[3], 12)];
    const sequence = numberOf(items[4], Number.MAX_SAFE_INTEGER);
    const ciphertext = bytesOf(items[5], 95, Number.POSITIVE_INFINITY);
    const most = isRooted ? Math.max(maxPayload, MAX_CONTROL) : maxPayload;
    if (ciphertext.length > most + 95) refuse("MESSAGE_TOO_LARGE", `${ciphertext.length - 95} bytes`);
    return { type: 0, keyId, session, sequence, ciphertext };
  }
  if (items[1] === 1 && items.length === 9) {
    const [senderKey, kemKey] = [bytesOf(items[2], 32), bytesOf(items[3], 1216)];
    const [wrap, rejoin, sentAt] = [bytesOf(items[4], 0, 256), bytesOf(items[5], 0, 64), numberOf(items[6], MAX_TIME)];
    const [name, signature] = [items[7], bytesOf(items[8], 64)];
    // §9.1 says which characters a name has, and not when that is checked: here, as the kind of the other items is.
    checkName(name);
    return { type: 1, senderKey, kemKey, wrap, rejoin, sentAt, name, signature };
  }
  if (items[1] === 2 && items.length === 5) {
    const [id, kemCiphertext] = [bytesOf(items[2], 16), bytesOf(items[3], 1120)];
    return { type: 2, id, kemCiphertext, ciphertext: bytesOf(items[4], 16, MAX_CONTROL) };
  }
  return malformed("no known type with so many items");
}

// §6

const DELIVERIES = ["event", "state", "command", "will", "alive", "control"] as const;
export type Delivery = (typeof DELIVERIES)[number];
export type Place = { topicKey: Bytes; session: Bytes; sequence: number; context: string };
export type BatchContent = { delivery: Delivery; sentAt: number; payloads: readonly Bytes[] };
/** Of a batch, `payload` is the array of all its payloads (§6.2). */
export type Content = { delivery: Delivery; sentAt: number; payload: Bytes; batch?: boolean };

const numberOfDelivery = ({ delivery, batch }: Content): number =>
  DELIVERIES.indexOf(delivery) + (batch === true ? 16 : 0);
const deliveryOf = (number: number): { delivery: Delivery; batch: boolean } => {
  const batch = number >= 16 && number <= 18;
  return { delivery: DELIVERIES[batch ? number - 16 : number] ?? malformed(`delivery ${number}`), batch };
};

/** What a batch has in the place of a payload (§6.2). */
export const batchBody = (payloads: readonly Bytes[]): Bytes => writeCbor(payloads);
function readBatchBody(body: Bytes, sequence: number): Bytes[] {
  const payloads = readCbor(body, 1024, false).map((item) =>
    item instanceof Uint8Array ? item : malformed("a payload that is no byte string"),
  );
  if (payloads.length === 0) malformed("a batch of nothing");
  if (payloads.length - 1 > Number.MAX_SAFE_INTEGER - sequence) malformed("a batch past the last sequence");
  return payloads;
}

const messageData = (p: Place): Bytes =>
  writeCbor([label("message"), keyIdOf(p.topicKey), p.session, p.sequence, p.context]);
const nonceOf = (session: Bytes, sequence: number): Bytes => {
  const counter = Buffer.alloc(12);
  counter.writeBigUInt64BE(BigInt(sequence), 4);
  return join(session, counter);
};
const messageDigest = (p: Place, c: Content, sender: Bytes): Bytes => {
  const place = [commitmentOf(p.topicKey), p.session, p.sequence, p.context];
  return H("message signature", ...place, numberOfDelivery(c), c.sentAt, sender, c.payload);
};

/** The plaintext of a message, for `sealPlaintext`. */
export function plaintextOf(message: Place & Content & { seed: Bytes }): Bytes {
  const sender = publicKeyOf(message.seed);
  const time = Buffer.alloc(6);
  time.writeUIntBE(message.sentAt, 0, 6);
  const signature = sign(message.seed, messageDigest(message, message, sender));
  return join(hintOf(sender), Uint8Array.of(numberOfDelivery(message)), time, signature, message.payload);
}

export function sealPlaintext(place: Place, plaintext: Bytes): Bytes {
  const nonce = nonceOf(place.session, place.sequence);
  const ciphertext = seal(messageKeyOf(place.topicKey), nonce, messageData(place), plaintext);
  return writeCbor([1, 0, keyIdOf(place.topicKey), place.session, place.sequence, ciphertext]);
}

/** Makes the one message that these inputs have. */
export const sendMessage = (message: Place & Content & { seed: Bytes }): Bytes =>
  sealPlaintext(message, plaintextOf(message));
export const sendBatch = ({ payloads, ...rest }: Place & BatchContent & { seed: Bytes }): Bytes =>
  sendMessage({ ...rest, batch: true, payload: batchBody(payloads) });

/** Opens a message, and checks no signature: for tests that look at what somebody sends. */
export function openMessage(wire: Bytes, topicKey: Bytes, context: string): Unsealed {
  const parsed = parse(wire);
  return parsed.type === 0 ? unseal(parsed, topicKey, context) : malformed("not a message");
}

export type Unsealed = Place & Content & { hint: Bytes; signature: Bytes; payloads: Bytes[] };

/** Opens a message and looks at its shape: step 4 of §13. */
function unseal({ session, sequence, ciphertext }: Message, topicKey: Bytes, context: string): Unsealed {
  const place = { topicKey, session, sequence, context };
  const plaintext = open(messageKeyOf(topicKey), nonceOf(session, sequence), messageData(place), ciphertext);
  if (plaintext[8] === DELIVERIES.indexOf("control")) return controlOf(place, plaintext);
  const [hint, signature, payload] = [plaintext.slice(0, 8), plaintext.slice(15, 79), plaintext.slice(79)];
  const { delivery, batch } = deliveryOf(plaintext[8] as number);
  if ((delivery === "will" || delivery === "alive") && sequence !== 0) malformed(`${delivery} with a sequence`);
  if (delivery === "alive" && payload.length !== 0 && payload.length !== 12) malformed("alive that names no session");
  const payloads = batch ? readBatchBody(payload, sequence) : [payload];
  const sentAt = Number(`0x${hex(plaintext.subarray(9, 15))}`);
  return { ...place, hint, signature, delivery, batch, sentAt, payload, payloads };
}

/** What is sealed of a control message: nobody as sender, the delivery, the payload. */
export const controlPlaintext = (payload: Bytes): Bytes => join(new Uint8Array(8), Uint8Array.of(5), payload);
function controlOf(place: Place, plaintext: Bytes): Unsealed {
  const [hint, payload] = [plaintext.slice(0, 8), plaintext.slice(9)];
  if (place.sequence !== 0) malformed("control with a sequence");
  if (hint.some((byte) => byte !== 0)) malformed("control with a sender");
  const nothing = { signature: new Uint8Array(64), batch: false, sentAt: 0 };
  return { ...place, ...nothing, hint, delivery: "control", payload, payloads: [payload] };
}

// §9

const introductionDigest = (i: Introduction, context: string): Bytes =>
  H("introduction signature", i.senderKey, i.kemKey, i.wrap, i.rejoin, i.sentAt, i.name, context);
export const introductionHash = (wire: Bytes): Bytes => H("introduction", wire);
export const introductionId = (wire: Bytes): Bytes => introductionHash(wire).slice(0, 16);

type IntroductionFacts = { seed: Bytes; kemSeed: Bytes; name: string; sentAt: number; context: string };
export type IntroductionInput = IntroductionFacts & { wrapStatement: Bytes };
/** What the proof of somebody who comes back is bound to. */
export type Claim = Pick<Introduction, "senderKey" | "kemKey" | "wrap" | "sentAt" | "name"> & { context: string };
/** Of a program that knows no topics with a roster, unless it is given what such a one says. */
export type MadeIntroduction = IntroductionFacts & {
  wrapStatement?: Bytes;
  rejoin?: Bytes | ((claim: Claim) => Bytes);
};
export function makeIntroduction(input: MadeIntroduction): Bytes {
  const none = new Uint8Array();
  const { seed, kemSeed, name, sentAt, context, wrapStatement: wrap = none } = input;
  const senderKey = publicKeyOf(seed);
  const kemKey = sodium.crypto_kem_xwing_seed_keypair(kemSeed).publicKey;
  const { rejoin: given = none } = input;
  const rejoin = typeof given === "function" ? given({ senderKey, kemKey, wrap, sentAt, name, context }) : given;
  const unsigned = { type: 1, senderKey, kemKey, wrap, rejoin, sentAt, name, signature: none } as const;
  const signature = sign(seed, introductionDigest(unsigned, context));
  return writeCbor([1, 1, senderKey, kemKey, wrap, rejoin, sentAt, name, signature]);
}

/** Says which X25519 key its sender has, in the topic of this name. */
export type WrapKey = { wrapKey: Bytes; version: number; topicName: string };
export const wrapDigest = (identity: Bytes, { wrapKey, version, topicName }: WrapKey): Bytes =>
  H("wrap statement", identity, wrapKey, version, topicName);
export const makeWrapStatement = ({ seed, ...wrap }: WrapKey & { seed: Bytes }): Bytes =>
  writeCbor([wrap.wrapKey, wrap.version, sign(seed, wrapDigest(publicKeyOf(seed), wrap))]);

/** Reads a wrap statement in the form that an introduction or a role statement has, and verifies nothing. */
export function parseWrapWithin(bytes: Bytes): { wrapKey: Bytes; version: number; signature: Bytes } {
  const items = readCbor(bytes, 3, false);
  if (items.length !== 3) malformed("wrap statement without 3 items");
  return { wrapKey: bytesOf(items[0], 32), version: numberOf(items[1], MAX_TIME), signature: bytesOf(items[2], 64) };
}

/** Reads the wrap statement of an introduction, and verifies it. */
export function openWrapStatement(introduction: Bytes, topicName: string): WrapKey & { sentAt: number } {
  const parsed = parse(introduction);
  if (parsed.type !== 1) return malformed("not an introduction");
  const { signature, ...said } = parseWrapWithin(parsed.wrap);
  const wrap = { ...said, topicName };
  if (!verify(signature, wrapDigest(parsed.senderKey, wrap), parsed.senderKey))
    refuse("BAD_SIGNATURE", "wrap statement");
  return { ...wrap, sentAt: parsed.sentAt };
}

/** The checks of an introduction that need no memory and no clock. */
export function verifyIntroduction(introduction: Introduction, context: string): void {
  if (!isIdentityKey(introduction.senderKey)) refuse("INVALID_KEY", "newcomer");
  if (!verify(introduction.signature, introductionDigest(introduction, context), introduction.senderKey))
    refuse("BAD_SIGNATURE", "introduction");
}

const kemHash = (kemCiphertext: Bytes): Bytes => H("kem ciphertext", kemCiphertext);
const replyData = (hash: Bytes, kem: Bytes, context: string): Bytes => writeCbor([label("reply"), hash, kem, context]);
/** What a sponsor gives; the roots and what follows are empty in a bare topic. */
export type Handover = {
  epoch: number;
  generation: number;
  topicKey: Bytes;
  roots: Bytes[];
  statements: Bytes[];
} & Record<"salt" | "head" | "rejoinSecret", Bytes>;
const none = new Uint8Array();
export const bareHandover = (topicKey: Bytes, generation: number): Handover => ({
  epoch: 0,
  generation,
  topicKey,
  roots: [],
  statements: [],
  salt: none,
  head: none,
  rejoinSecret: none,
});
const replyDigest = (hash: Bytes, kem: Bytes, sponsor: Bytes, given: Handover, context: string): Bytes => {
  const { epoch, generation, topicKey, salt, roots, statements, head, rejoinSecret } = given;
  const named = topicKey.length === 112 ? H("return wrap", topicKey) : commitmentOf(topicKey);
  const rest = H("reply rest", generation, salt, roots, statements, head, rejoinSecret);
  return H("reply signature", hash, kem, sponsor, epoch, named, rest, context);
};

/** `proven` is the rejoin secret that the introduction proved, of a sponsor that holds it. */
type ReplyFacts = Record<"seed" | "introduction" | "encapsulationSeed", Bytes> & {
  context: string;
  proven?: Bytes | undefined;
};
const replyKey = (secret: Bytes, hash: Bytes, proven: Bytes | undefined): Bytes =>
  proven === undefined ? KDF(secret, "reply key", hash) : KDF(secret, "returning reply key", hash, proven);
export type ReplyInput = ReplyFacts & { topicKey: Bytes; generation: number };
export const makeReply = ({
  topicKey,
  generation = 0,
  ...facts
}: Omit<ReplyInput, "generation"> & { generation?: number }) => makeHandover(facts, bareHandover(topicKey, generation));

export function makeHandover(facts: ReplyFacts, given: Handover): Bytes {
  const { seed, introduction, encapsulationSeed, context, proven } = facts;
  const parsed = parse(introduction);
  if (parsed.type !== 1) return malformed("not an introduction");
  const hash = introductionHash(introduction);
  const { ciphertext, sharedSecret } = sodium.crypto_kem_xwing_enc_deterministic(parsed.kemKey, encapsulationSeed);
  const [sponsor, kem] = [publicKeyOf(seed), kemHash(ciphertext)];
  const signature = sign(seed, replyDigest(hash, kem, sponsor, given, context));
  const { epoch, generation, topicKey, salt, roots, statements, head, rejoinSecret } = given;
  const first = [sponsor, signature, epoch, generation, topicKey];
  const plaintext = writeCbor([...first, salt, roots, statements, head, rejoinSecret]);
  const key = replyKey(sharedSecret, hash, proven);
  const sealed = seal(key, new Uint8Array(24), replyData(hash, kem, context), plaintext);
  return writeCbor([1, 2, hash.slice(0, 16), ciphertext, sealed]);
}

/** `proven` is the rejoin secret that it proved. */
export type OpenIntroduction = { introduction: Bytes; kemSeed: Bytes; context: string; proven?: Bytes | undefined };
/** `returns`: its sponsor had the rejoin secret that the introduction proved. */
export type OpenedHandover = Handover & { sponsorKey: Bytes; returns: boolean };

const listOf = (item: Item | undefined, most: number, size: [number, number?]): Bytes[] =>
  typeof item === "object" && !(item instanceof Uint8Array) && item.length <= most
    ? item.map((each) => bytesOf(each, ...size))
    : malformed("not such a list");

/** Opens a reply to this introduction: the checks that need no memory, after the lookup by introduction id. */
export function openHandover(wire: Bytes, opening: OpenIntroduction): OpenedHandover {
  const { introduction, kemSeed, context, proven } = opening;
  const reply = parse(wire);
  if (reply.type !== 2) return malformed("not a reply");
  const [hash, kem] = [introductionHash(introduction), kemHash(reply.kemCiphertext)];
  let secret: Bytes;
  try {
    secret = sodium.crypto_kem_xwing_dec(reply.kemCiphertext, kemSeed);
  } catch {
    return refuse("DECRYPTION_FAILED", "KEM");
  }
  const openUnder = (secretProven: Bytes | undefined): Bytes =>
    open(replyKey(secret, hash, secretProven), new Uint8Array(24), replyData(hash, kem, context), reply.ciphertext);
  const returning = proven && orNothing(() => openUnder(proven));
  const plaintext = returning ?? openUnder(undefined);
  const items = readCbor(plaintext, 65_568, true);
  if (items.length !== 10) malformed("reply without 10 items");
  const [sponsorKey, signature] = [bytesOf(items[0], 32), bytesOf(items[1], 64)];
  const roots = listOf(items[6], 16, [32]);
  const given = roots.length === 0 ? readBare(items) : readRooted(items, roots);
  if (!isIdentityKey(sponsorKey)) refuse("INVALID_KEY", "sponsor");
  if (!verify(signature, replyDigest(hash, kem, sponsorKey, given, context), sponsorKey))
    refuse("BAD_SIGNATURE", "reply");
  return { ...given, sponsorKey, returns: returning !== undefined };
}

function orNothing<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (error instanceof PeerError) return undefined;
    throw error;
  }
}

function readBare(items: Item[]): Handover {
  const given = bareHandover(bytesOf(items[4], 32), numberOf(items[3], MAX_GENERATION));
  if (items[2] !== 0 || !same(writeCbor(items.slice(5)), writeCbor([none, [], [], none, none])))
    malformed("a reply that is neither bare nor rooted");
  return given;
}

function readRooted(items: Item[], roots: Bytes[]): Handover {
  const [epoch, generation] = [numberOf(items[2], MAX_EPOCH), numberOf(items[3], MAX_GENERATION)];
  const [topicKey, salt] = [bytesOf(items[4], 32, 112), bytesOf(items[5], 16)];
  if (topicKey.length !== 32 && topicKey.length !== 112) malformed("topic key of another length");
  const rejoinSecret = bytesOf(items[9], topicKey.length === 32 ? 32 : 0);
  if (new Set(roots.map(hex)).size < roots.length) malformed("a root twice");
  const statements = listOf(items[7], 65_536, [MIN_STATEMENT, MAX_STATEMENT]);
  const head = bytesOf(items[8], 32, MAX_CONTROL);
  return { epoch, generation, topicKey, salt, roots, statements, head, rejoinSecret };
}

// §7.3

const putLast = <K, V>(map: Map<K, V>, key: K, value: V): void => {
  map.delete(key);
  map.set(key, value);
};
const oldest = <K, V>(map: Map<K, V>): [K, V] => map.entries().next().value as [K, V];
const bounded = (set: Map<string, true>, key: string, most: number): void => {
  putLast(set, key, true);
  if (set.size > most) set.delete(oldest(set)[0]);
};

type Known = { content: Content; session: string; sequence: number; count: number };
const compare = (a: readonly (number | string)[], b: readonly (number | string)[]): number => {
  const i = a.findIndex((value, i) => value !== b[i]);
  return i < 0 ? 0 : (a[i] as number) < (b[i] as number) ? -1 : 1;
};

class ContextMemory {
  readonly sessions = new Map<string, { highest: number; marks: Set<number>; greatest: number; floor: number }>();
  watermark: number;
  state: [number, string, number] | undefined;
  alive: { order: [number, string]; will: string; given: boolean } | undefined;
  constructor(watermark: number) {
    this.watermark = watermark;
  }
  givenBefore({ content, session, sequence, count }: Known): boolean {
    if (content.delivery === "will") return this.alive?.will === session && this.alive.given;
    if (content.delivery !== "event" && content.delivery !== "command") return false;
    const known = this.sessions.get(session);
    if (known === undefined) return content.sentAt <= this.watermark;
    if (content.sentAt <= known.floor) return true;
    for (let each = sequence; each < sequence + count; each++)
      if (each <= known.highest - 16_384 || known.marks.has(each)) return true;
    return false;
  }
  /** Marks each payload of events, states or commands, and says how many were missed before it. */
  mark({ content, session, sequence, count }: Known): (number | undefined)[] {
    const isNew = !this.sessions.has(session);
    const begun = { highest: -1, marks: new Set<number>(), greatest: -1, floor: this.watermark };
    const known = this.sessions.get(session) ?? begun;
    if (isNew && this.sessions.size === 16) {
      const [key, forgotten] = oldest(this.sessions);
      this.watermark = Math.max(this.watermark, forgotten.greatest);
      this.sessions.delete(key);
    }
    putLast(this.sessions, session, known);
    const missed = Array.from({ length: count }, (_, i) => {
      const each = sequence + i;
      const gap = Math.max(0, each - known.highest - 1);
      known.highest = Math.max(known.highest, each);
      if (each > known.highest - 16_384) known.marks.add(each);
      return isNew && i === 0 ? undefined : gap;
    });
    for (const mark of known.marks) if (mark <= known.highest - 16_384) known.marks.delete(mark);
    if (content.delivery !== "state") known.greatest = Math.max(known.greatest, content.sentAt);
    return missed;
  }
}

class SenderMemory {
  readonly #contexts = new Map<string, ContextMemory>();
  #watermark = -1;
  /** In a context that has no alive, one that is not later than this does not count. */
  aliveFloor = -1;
  look(context: string): ContextMemory {
    return this.#contexts.get(context) ?? new ContextMemory(this.#watermark);
  }
  use(context: string): ContextMemory {
    const memory = this.look(context);
    if (!this.#contexts.has(context) && this.#contexts.size === 256) {
      const [key, forgotten] = oldest(this.#contexts);
      const times = [...forgotten.sessions.values()].map((session) => session.greatest);
      this.#watermark = Math.max(this.#watermark, forgotten.watermark, ...times);
      this.aliveFloor = Math.max(this.aliveFloor, forgotten.alive?.order[0] ?? -1);
      this.#contexts.delete(key);
    }
    putLast(this.#contexts, context, memory);
    return memory;
  }
}

// §13

/** What the clock says, or undefined where it is none (§7.1). */
type Time = number | undefined;
type Asked = Partial<Record<"naive" | "ignoreUntrusted" | "retained" | "hearOwn", boolean>>;
export type ReceiveOptions = Asked & {
  context?: string;
  maxAge?: number;
  delivery?: Exclude<Delivery, "alive" | "control">;
};
type Accepted = { kind: "message"; payload: Bytes; sender: Bytes; sequence: number; missed: number | undefined };
/** Something for the application; what comes in a batch is given one by one. */
export type Given =
  | (Accepted & { delivery: Delivery; sentAt: number })
  | { kind: "unverified"; payload: Bytes; claimedSender: Bytes }
  | { kind: "INTRODUCTION"; senderKey: Bytes; fingerprint: string; name: string; id: Bytes }
  | (OpenedHandover & { kind: "INTRODUCTION_REPLY"; introduction: Bytes });
export type Outcome = Given | null;

export type PeerInput = { seed: Bytes; topicKey?: Bytes; pins?: Bytes[]; clock: () => number } & {
  /** What the topic is called, which its wrap statements are bound to. */
  name?: string;
  /** Running time in milliseconds. */
  elapsed?: () => number;
  maxPayload?: number;
  skew?: number;
  grace?: number;
};

/** An X25519 key pair, and the version of the statement that names it. */
export type OwnWrapKey = Record<"secret" | "wrapKey", Bytes> & { version: number; ended?: number };

export class Peer {
  readonly publicKey: Bytes;
  readonly name: string;
  protected readonly seed: Bytes;
  /** The newest last. */
  protected readonly wrapKeys: OwnWrapKey[] = [];
  protected readonly grace: number;
  protected readonly budget: StepBudget;
  #chain: Chain | undefined;
  readonly #clock: () => number;
  readonly #elapsed: () => number;
  readonly #maxPayload: number;
  readonly #skew: number;
  readonly #pins = new Map<string, Bytes>();
  readonly #memory = new Map<string, SenderMemory>();
  /** Sessions that this program sent under (step 6). */
  readonly #ownSessions = new Set<string>();
  readonly #sending = new Map<string, { session: Bytes; next: number }>();
  #lastSentAt = -1;
  #greatestReading = 0;
  #bucket = { tokens: 16, at: 0 };
  readonly #own = new Set<string>(); // hashes of introductions and replies made here
  readonly #raised = new Map<string, true>();
  readonly #verifiedAt = new Map<string, number>();
  readonly #answered = new Map<string, true>();
  readonly #open = new Map<string, OpenIntroduction & { at: number; tried: Set<string>; adopted: boolean }>();

  constructor(input: PeerInput) {
    this.seed = input.seed;
    this.publicKey = publicKeyOf(input.seed);
    this.topicKey = input.topicKey;
    this.name = input.name ?? "";
    this.grace = input.grace ?? 24 * 3_600_000;
    this.#clock = input.clock;
    this.#elapsed = input.elapsed ?? (() => performance.now());
    this.#maxPayload = input.maxPayload ?? MAX_PAYLOAD;
    this.#skew = input.skew ?? SKEW;
    this.#bucket.at = this.#elapsed();
    this.budget = new StepBudget(this.#bucket.at);
    for (const key of input.pins ?? []) this.pin(key);
  }

  /** The key that is sent under; for a topic without a roster the only chain of keys that there is. */
  get topicKey(): Bytes | undefined {
    return this.sendingChain()?.key;
  }
  set topicKey(topicKey: Bytes | undefined) {
    this.#chain = topicKey === undefined ? undefined : new Chain(topicKey, 0);
  }
  get generation(): number {
    return this.sendingChain()?.sending ?? 0;
  }

  // What a topic with a roster does otherwise.
  protected sendingChain(): Chain | undefined {
    return this.#chain;
  }
  protected readingChains(): Chain[] {
    return this.#chain === undefined ? [] : [this.#chain];
  }
  protected isRooted(): boolean {
    return false;
  }
  protected isRead(key: Bytes): boolean {
    return this.#pins.has(hex(key));
  }
  protected participants(): Bytes[] {
    return [...this.#pins.values()];
  }
  /** Refuses a message of who may not send (step 12). */
  protected checkRole(_sender: Bytes): void {}
  protected keyToSend(): Bytes {
    return this.topicKey ?? refuse("MISSING_TOPIC_KEY", "none");
  }
  protected applyControl(_control: Unsealed, _chain: Chain): void {
    refuse("FORBIDDEN", "a topic without a roster"); // nothing that a pin could allow
  }
  protected checkRejoin(_introduction: Introduction): void {}
  protected rejoin(_claim: Claim): Bytes {
    return none;
  }
  /** What our introductions prove to know. */
  get rejoinSecret(): Bytes | undefined {
    return undefined;
  }
  /** The rejoin secret that we hold and with which this introduction's proof was made. */
  protected provenBy(_introduction: Introduction, _context: string): Bytes | undefined {
    return undefined;
  }
  /** What to give to this newcomer, or a refusal. */
  protected handover(introduction: Introduction, _wire: Bytes, _context: string): Handover {
    if (!this.#pins.has(hex(introduction.senderKey))) refuse("UNTRUSTED_KEY", "newcomer is not pinned");
    return bareHandover(this.keyToSend(), this.generation);
  }

  protected elapsed(): number {
    return this.#elapsed();
  }
  protected unpin(key: Bytes): void {
    this.#pins.delete(hex(key));
  }

  /** Steps to the next generation. */
  ratchet(): void {
    this.#readClock();
    step(this.sendingChain() ?? refuse("MISSING_TOPIC_KEY", "none"), this.budget, this.#elapsed());
  }

  pin(key: Bytes): void {
    if (!isIdentityKey(key)) refuse("INVALID_KEY", "pin");
    this.#pins.set(hex(key), key);
  }

  /** Notes that this program sends under this session: step 8 of §13 asks who sent it, and not how that is known. */
  sends(session: Bytes): void {
    this.#ownSessions.add(hex(session));
  }

  /** Where the application asks for one payload. */
  receive(wire: Bytes, options: ReceiveOptions = {}): Outcome {
    return this.#receive(wire, options, false)[0] ?? null;
  }

  /** Where it takes any number of them. */
  receiveBatch(wire: Bytes, options: ReceiveOptions = {}): Given[] {
    return this.#receive(wire, options, true);
  }

  #receive(wire: Bytes, options: ReceiveOptions, many: boolean): Given[] {
    const { now } = this.#readClock(); // once, and before anything else (§7.1)
    const parsed = parse(wire, this.#maxPayload, this.isRooted()); // 1
    if (parsed.type === 0) return this.#message(parsed, options, now, many);
    const context = options.context ?? ""; // 2
    const outcome =
      parsed.type === 1 ? this.#meetIntroduction(wire, parsed, context, now) : this.#meetReply(wire, parsed, context);
    return outcome === null ? [] : [outcome];
  }

  #message(message: Message, options: ReceiveOptions, now: Time, many: boolean): Given[] {
    const context = options.context ?? "";
    const { content, chain, generation } = this.#unsealByAny(message, context); // 3, 4
    if (content.delivery === "control") {
      if (options.naive === true) refuse("UNEXPECTED_DELIVERY", "control"); // 5
      this.applyControl(content, chain);
      return [];
    }
    if (content.payload.length > this.#maxPayload) refuse("MESSAGE_TOO_LARGE", "payload"); // 6
    const { session, sequence, hint, signature, delivery, batch, sentAt, payloads } = content;
    const isExpected = (options.delivery ?? delivery) === delivery;
    const checkCount = (): void => {
      if (batch === true && !many) refuse("BATCH", `${payloads.length} payloads where one was asked for`);
    };
    if (options.naive === true) {
      if ((delivery !== "event" && delivery !== "state") || !isExpected) refuse("UNEXPECTED_DELIVERY", delivery); // 7
      checkCount();
      return payloads.map((payload) => ({ kind: "unverified", payload, claimedSender: hint }));
    }
    const isBy = (key: Bytes): boolean => verify(signature, messageDigest(content, content, key), key);
    const ownHint = same(hint, hintOf(this.publicKey));
    let candidates = this.participants().filter((key) => same(hintOf(key), hint));
    if (ownHint && isBy(this.publicKey)) {
      if (options.hearOwn !== true || this.#ownSessions.has(hex(session))) return []; // 8
      candidates = [this.publicKey];
    }
    if (candidates.length === 0) {
      if (ownHint) refuse("BAD_SIGNATURE", "in our name"); // 9
      return options.ignoreUntrusted === true ? [] : refuse("UNTRUSTED_KEY", hex(hint));
    }
    const known = { content, session: hex(session), sequence, count: payloads.length };
    const fresh = candidates.filter((key) => !this.#memoryOf(key).look(context).givenBefore(known));
    if (fresh.length === 0) refuse("REPLAY", `${known.session} ${sequence}`); // 10
    const sender = fresh.find(isBy) ?? refuse("BAD_SIGNATURE", "message"); // 11
    if (!same(sender, this.publicKey)) this.checkRole(sender); // 12
    this.#checkTime(content, options.maxAge, now); // 13
    const memory = this.#memoryOf(sender);
    if (delivery === "alive") return this.#applyAlive(memory, context, known); // 14
    if (!isExpected) refuse("UNEXPECTED_DELIVERY", delivery); // 15
    checkCount();
    if (delivery === "command" && options.retained === true) refuse("RETAINED_COMMAND", "command");
    const { state, alive } = memory.look(context);
    const order: [number, string, number] = [sentAt, known.session, sequence];
    if (delivery === "state" && state !== undefined && compare(order, state) < 0)
      refuse("STALE_MESSAGE", "older state");
    if (delivery === "will" && alive?.will !== known.session) refuse("WILL_NOT_CURRENT", known.session);
    if (chain === this.sendingChain()) follow(chain, generation, this.budget, this.#elapsed()); // 16
    const used = memory.use(context);
    if (delivery === "state") used.state = order;
    if (delivery === "will" && used.alive !== undefined) used.alive.given = true;
    const missed = delivery === "will" ? [undefined] : used.mark(known);
    const shared = { kind: "message", sender, sentAt, delivery } as const;
    return payloads.map((payload, i) => ({ ...shared, payload, sequence: sequence + i, missed: missed[i] }));
  }

  #unsealByAny(message: Message, context: string): { content: Unsealed; chain: Chain; generation: number } {
    const chains = this.readingChains();
    if (chains.length === 0 && !this.isRooted()) refuse("MISSING_TOPIC_KEY", "none");
    const keys = chains.flatMap((chain) => chain.with(message.keyId).map((generation) => ({ chain, generation })));
    if (keys.length === 0) refuse("UNKNOWN_TOPIC_KEY", hex(message.keyId));
    for (const { chain, generation } of keys)
      try {
        return { content: unseal(message, chain.keyOf(generation), context), chain, generation };
      } catch (error) {
        if (!(error instanceof PeerError) || error.code !== "DECRYPTION_FAILED") throw error;
      }
    return refuse("DECRYPTION_FAILED", "AEAD");
  }

  #memoryOf(key: Bytes): SenderMemory {
    const memory = this.#memory.get(hex(key)) ?? new SenderMemory();
    this.#memory.set(hex(key), memory);
    return memory;
  }

  #applyAlive(memory: SenderMemory, context: string, { content, session }: Known): [] {
    const { alive } = memory.look(context);
    const order: [number, string] = [content.sentAt, session];
    const counts = alive === undefined ? content.sentAt > memory.aliveFloor : compare(order, alive.order) > 0;
    if (counts) memory.use(context).alive = { order, will: hex(content.payload), given: false };
    return [];
  }

  // §7.1

  #readClock(): { reading: number; now: Time } {
    const read = this.#clock();
    const reading = Number.isInteger(read) && read >= 0 && read <= MAX_TIME ? read : 0;
    this.#greatestReading = Math.max(this.#greatestReading, reading);
    this.budget.look(reading, this.#elapsed());
    for (const chain of this.readingChains()) chain.wipe(this.#elapsed(), this.grace);
    const isNone = reading < CLOCK_FLOOR || reading < this.#greatestReading - this.#skew;
    return { reading, now: isNone ? undefined : reading };
  }

  // §6.1, §6.2, §7.1: the sender

  /** Makes a message of one payload, or of a list of them a batch. */
  send(what: Bytes | readonly Bytes[], { delivery, context }: Pick<Content, "delivery"> & { context: string }): Bytes {
    const topicKey = this.keyToSend();
    const [batch, count] = what instanceof Uint8Array ? [false, 1] : [true, what.length];
    if (count < 1 || count > 1024) throw new RangeError(`a batch of ${count} payloads`);
    const payload = what instanceof Uint8Array ? what : batchBody(what);
    if (payload.length > this.#maxPayload) refuse("MESSAGE_TOO_LARGE", `${payload.length} bytes`);
    const { reading, now } = this.#readClock();
    const ahead = now !== undefined && this.#lastSentAt - now > this.#skew;
    if (delivery !== "event" && (now === undefined || ahead)) refuse("CLOCK", "receivers would refuse it");
    const sentAt = Math.max(reading, this.#lastSentAt + 1);
    if (sentAt > MAX_TIME) refuse("CLOCK", "no later sentAt"); // §7.1: it sends nothing
    const begun = this.#sending.get(context);
    const goesOn = begun !== undefined && count - 1 <= Number.MAX_SAFE_INTEGER - begun.next;
    const drawn = () => KDF(this.seed, "session", sodium.randombytes_buf(32), sentAt, context).slice(0, 12);
    const { session, next } = goesOn ? begun : { session: drawn(), next: 0 };
    this.#sending.set(context, { session, next: next + count });
    this.#ownSessions.add(hex(session));
    this.#lastSentAt = sentAt;
    const place = { topicKey, session, sequence: next, context };
    return sendMessage({ ...place, seed: this.seed, delivery, sentAt, payload, batch });
  }

  /** §7.2 */
  #checkTime({ delivery, sentAt }: Content, maxAge: number | undefined, now: Time): void {
    const ahead = now !== undefined && sentAt >= CLOCK_FLOOR && sentAt - now > this.#skew;
    if (delivery !== "event" && delivery !== "will" && ahead) refuse("CLOCK", "ahead");
    const bound = maxAge ?? (delivery === "command" ? MAX_AGE : undefined);
    if (bound === undefined || delivery === "alive") return;
    const age = now === undefined || sentAt < CLOCK_FLOOR ? refuse("CLOCK", "no clock") : now - sentAt;
    if (age < -bound) refuse("CLOCK", "ahead");
    if (age > bound) refuse("STALE_MESSAGE", `${age} ms`);
  }

  // §9.1, the sponsor

  #checkIntroductionTime(sentAt: number, now: Time): void {
    if (now === undefined || sentAt < CLOCK_FLOOR) return;
    if (sentAt - now > this.#skew) refuse("CLOCK", "introduction ahead");
    if (now - sentAt > TEN_MINUTES) refuse("STALE_MESSAGE", "introduction");
  }

  #meetIntroduction(wire: Bytes, introduction: Introduction, context: string, now: Time): Outcome {
    const hash = hex(introductionHash(wire));
    if (this.#own.has(hash)) return null;
    if (this.#raised.has(hash)) refuse("REPLAY", "introduction");
    const elapsed = this.#elapsed();
    const tokens = Math.min(16, this.#bucket.tokens + Math.max(0, elapsed - this.#bucket.at) / 1000);
    this.#bucket = { tokens: tokens < 1 ? tokens : tokens - 1, at: elapsed };
    if (tokens < 1) refuse("RATE_LIMIT", "introductions");
    verifyIntroduction(introduction, context);
    this.#checkIntroductionTime(introduction.sentAt, now);
    this.checkRejoin(introduction);
    bounded(this.#raised, hash, 1024);
    this.#verifiedAt.set(hash, elapsed);
    for (const key of this.#verifiedAt.keys()) if (!this.#raised.has(key)) this.#verifiedAt.delete(key);
    const { senderKey, name } = introduction;
    return { kind: "INTRODUCTION", senderKey, fingerprint: fingerprint(senderKey), name, id: introductionId(wire) };
  }

  /** §9.2, the sponsor. The page names no codes for refusals here, and no order. */
  reply(introduction: Bytes, encapsulationSeed: Bytes, context: string): Bytes {
    const { now } = this.#readClock();
    const [parsed, hash] = [parse(introduction), hex(introductionHash(introduction))];
    if (parsed.type !== 1) return malformed("not an introduction");
    const given = this.handover(parsed, introduction, context);
    if (this.#answered.has(hash)) refuse("REPLAY", "answered before");
    const verifiedAt = this.#verifiedAt.get(hash);
    if (verifiedAt === undefined) verifyIntroduction(parsed, context);
    else if (this.#elapsed() - verifiedAt > TEN_MINUTES) refuse("STALE_MESSAGE", "verified too long ago");
    this.#checkIntroductionTime(parsed.sentAt, now);
    const proven = this.provenBy(parsed, context);
    const reply = makeHandover({ seed: this.seed, introduction, encapsulationSeed, context, proven }, given);
    bounded(this.#answered, hash, 1024);
    this.#own.add(hex(H("made here", reply)));
    return reply;
  }

  // §9.2, the newcomer

  introduce(input: Omit<IntroductionFacts, "seed">): Bytes {
    const seed = this.seed;
    const newest = this.wrapKeys.at(-1) ?? this.makeWrapKey(input.sentAt);
    const wrapStatement = makeWrapStatement({ seed, ...newest, topicName: this.name });
    const introduction = makeIntroduction({ seed, ...input, wrapStatement, rejoin: (claim) => this.rejoin(claim) });
    this.expect({ introduction, kemSeed: input.kemSeed, context: input.context, proven: this.rejoinSecret });
    return introduction;
  }

  protected makeWrapKey(sentAt: number): OwnWrapKey {
    const secret = sodium.randombytes_buf(32);
    const version = Math.max(sentAt, (this.wrapKeys.at(-1)?.version ?? -1) + 1);
    const made = { secret, wrapKey: sodium.crypto_scalarmult_base(secret), version };
    this.wrapKeys.push(made);
    if (this.wrapKeys.length > 3) this.wrapKeys.shift();
    return made;
  }

  /** Takes an introduction as one that was made here and is still open. */
  expect(open: OpenIntroduction): void {
    const hash = introductionHash(open.introduction);
    this.#own.add(hex(hash));
    this.#open.set(hex(hash.subarray(0, 16)), { ...open, at: this.#elapsed(), tried: new Set(), adopted: false });
    if (this.#open.size > 4) this.#open.delete(oldest(this.#open)[0]);
  }

  #meetReply(wire: Bytes, reply: Reply, context: string): Outcome {
    const made = hex(H("made here", wire));
    if (this.#own.has(made)) return null;
    for (const [id, { at }] of this.#open) if (this.#elapsed() - at > TEN_MINUTES) this.#open.delete(id);
    const mine = this.#open.get(hex(reply.id)) ?? refuse("FOREIGN_REPLY", hex(reply.id));
    if (mine.tried.has(made)) refuse("REPLAY", "reply");
    if (mine.context !== context) refuse("DECRYPTION_FAILED", "another context"); // the code is that of the vectors
    if (mine.tried.size >= 8) refuse(mine.adopted ? "FOREIGN_REPLY" : "RATE_LIMIT", "replies");
    mine.tried.add(made);
    return { kind: "INTRODUCTION_REPLY", ...openHandover(wire, mine), introduction: mine.introduction };
  }

  /** What follows when a person confirmed the sponsor's fingerprint. */
  adopt(topicKey: Bytes, generation = 0): void {
    this.#chain = new Chain(topicKey, generation);
    this.endIntroductions();
  }

  protected endIntroductions(): void {
    this.#open.clear();
  }

  /** What follows when a reply was adopted that needs no person. */
  protected leaveOpen(introduction: Bytes): void {
    const mine = this.#open.get(hex(introductionHash(introduction).subarray(0, 16)));
    if (mine !== undefined) mine.adopted = true;
  }
}
