// A second implementation of docs/PROTOCOL.md, written from that page alone; § refers to its sections.
// It shares no code with src/, so that a test can set one against the other.
import { createHash } from "node:crypto";
import sodium from "libsodium-wrappers";

type Bytes = Uint8Array;
export const ready: Promise<void> = sodium.ready;

/** A refusal, with one of the codes of §13. */
export class PeerError extends Error {
  readonly code: string;
  constructor(code: string, why: string) {
    super(`${code}: ${why}`);
    this.code = code;
  }
}
const refuse = (code: string, why: string): never => {
  throw new PeerError(code, why);
};
const malformed = (why: string): never => refuse("MALFORMED_MESSAGE", why);

export const hex = (bytes: Bytes): string => Buffer.from(bytes).toString("hex");
export const unhex = (text: string): Bytes => new Uint8Array(Buffer.from(text, "hex"));
const join = (...parts: Bytes[]): Bytes => new Uint8Array(Buffer.concat(parts));
const same = (a: Bytes, b: Bytes): boolean => Buffer.compare(a, b) === 0;

// §2
const CLOCK_FLOOR = 2 ** 40;
const MAX_TIME = 2 ** 48 - 1;
const MAX_PAYLOAD = 16 * 2 ** 20;
/** Of a control message, or of the ciphertext of a reply. */
const MAX_CONTROL = 8 * 2 ** 20;
const MAX_GENERATION = 2 ** 40;
const SKEW = 300_000;
const MAX_AGE = 30_000;
const TEN_MINUTES = 600_000;

// §3: CBOR of four kinds, in its shortest form

type Item = number | string | Bytes | readonly Item[];

const head = (major: number, n: number): Bytes => {
  if (!Number.isSafeInteger(n) || n < 0) throw new RangeError(`no CBOR argument: ${n}`);
  const [info, size] = n < 24 ? [n, 0] : n < 2 ** 8 ? [24, 1] : n < 2 ** 16 ? [25, 2] : n < 2 ** 32 ? [26, 4] : [27, 8];
  const eight = Buffer.alloc(8);
  eight.writeBigUInt64BE(BigInt(n));
  return join(Uint8Array.of((major << 5) | info), eight.subarray(8 - size));
};

function writeCbor(item: Item): Bytes {
  if (typeof item === "number") return head(0, item);
  if (item instanceof Uint8Array) return join(head(2, item.length), item);
  if (typeof item !== "string") return join(head(4, item.length), ...item.map(writeCbor));
  if (/\p{Cs}/u.test(item)) throw new RangeError("text with a lone surrogate");
  const text = new TextEncoder().encode(item);
  return join(head(3, text.length), text);
}

/** Reads exactly one array of at most `most` items; it may hold arrays only where `nested` says so. */
function readCbor(bytes: Bytes, most: number, nested: boolean): Item[] {
  let at = 0;
  const take = (n: number): Bytes => {
    if (n > bytes.length - at) malformed("shorter than it says");
    at += n;
    return bytes.subarray(at - n, at);
  };
  const item = (depth: number): Item => {
    const first = take(1)[0] as number;
    const [major, info] = [first >> 5, first & 31];
    if (info > 27) malformed("indefinite length or reserved head");
    const size = info < 24 ? 0 : 2 ** (info - 24);
    const wide = size === 0 ? BigInt(info) : BigInt(`0x${hex(take(size))}`);
    if (wide > BigInt(Number.MAX_SAFE_INTEGER)) malformed("argument above 2^53 - 1");
    const n = Number(wide);
    if (size > 0 && n < (size === 1 ? 24 : 2 ** (4 * size))) malformed("head not in its shortest form");
    if (major === 0) return n;
    if (major === 2) return take(n).slice();
    if (major === 3) {
      try {
        if (n > 64) malformed("text of more than 64 bytes");
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(take(n));
      } catch (error) {
        if (error instanceof PeerError) throw error;
        return malformed("text that is not UTF-8");
      }
    }
    if (major !== 4) return malformed(`major type ${major}`);
    if (depth > (nested ? 1 : 0)) return malformed("array too deep");
    if (n > most) return malformed("too many items");
    return Array.from({ length: n }, () => item(depth + 1));
  };
  const whole = item(0);
  if (at !== bytes.length) malformed("bytes after the end");
  return typeof whole === "object" && !(whole instanceof Uint8Array) ? [...whole] : malformed("not an array");
}

// The kind and length of an item (§5, step 5).
const bytesOf = (item: Item | undefined, least: number, most = least): Bytes =>
  item instanceof Uint8Array && item.length >= least && item.length <= most ? item : malformed("not such bytes");
const numberOf = (item: Item | undefined, most: number): number =>
  typeof item === "number" && item <= most ? item : malformed("not such a number");

// §3: hashes, signatures, keys

const label = (name: string): string => `stringphone/1 ${name}`;
const H = (name: string, ...items: Item[]): Bytes =>
  sodium.crypto_generichash(32, writeCbor([label(name), ...items]), null);
const KDF = (key: Bytes, name: string, ...items: Item[]): Bytes =>
  sodium.crypto_generichash(32, writeCbor([label(name), ...items]), key);

const signed = (digest: Bytes): Bytes => join(new TextEncoder().encode("stringphone/1 "), digest);
const sign = (seed: Bytes, digest: Bytes): Bytes =>
  sodium.crypto_sign_detached(signed(digest), sodium.crypto_sign_seed_keypair(seed).privateKey);
const verify = (signature: Bytes, digest: Bytes, publicKey: Bytes): boolean =>
  sodium.crypto_sign_verify_detached(signature, signed(digest), publicKey);

const seal = (key: Bytes, nonce: Bytes, data: Bytes, plaintext: Bytes): Bytes =>
  sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, data, null, nonce, key);
const open = (key: Bytes, nonce: Bytes, data: Bytes, sealed: Bytes): Bytes => {
  try {
    return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(null, sealed, data, nonce, key);
  } catch {
    return refuse("DECRYPTION_FAILED", "AEAD");
  }
};

export const publicKeyOf = (seed: Bytes): Bytes => sodium.crypto_sign_seed_keypair(seed).publicKey;

export function isIdentityKey(key: Bytes): boolean {
  if (key.length !== 32) return false;
  const y = BigInt(`0x${hex(key.slice().reverse())}`) & (2n ** 255n - 1n);
  if (y >= 2n ** 255n - 19n) return false;
  try {
    return sodium.crypto_sign_ed25519_pk_to_curve25519(key).length === 32;
  } catch {
    return false;
  }
}

// §1, §4

export const participantId = (publicKey: Bytes): Bytes =>
  new Uint8Array(createHash("sha256").update(publicKey).digest().subarray(0, 16));
const hintOf = (publicKey: Bytes): Bytes => participantId(publicKey).slice(0, 8);
export const keyIdOf = (topicKey: Bytes): Bytes => KDF(topicKey, "key id").slice(0, 4);
export const messageKeyOf = (topicKey: Bytes): Bytes => KDF(topicKey, "message key");
export const commitmentOf = (topicKey: Bytes): Bytes => KDF(topicKey, "commitment");

export function fingerprint(publicKey: Bytes): string {
  const bits = [...participantId(publicKey).subarray(0, 15)].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const letter = (five: string): string => "0123456789ABCDEFGHJKMNPQRSTVWXYZ".charAt(Number.parseInt(five, 2));
  const text = (bits.match(/.{5}/g) ?? []).map(letter).join("");
  return (text.match(/.{4}/g) ?? []).join("-");
}

export const safetyNumber = (a: Bytes, b: Bytes): string => [fingerprint(a), fingerprint(b)].sort().join(" ");

// §5

type Message = { type: 0; keyId: Bytes; session: Bytes; sequence: number; ciphertext: Bytes };
type IntroductionBytes = Record<"senderKey" | "kemKey" | "wrap" | "rejoin" | "signature", Bytes>;
type Introduction = IntroductionBytes & { type: 1; sentAt: number; name: string };
type Reply = { type: 2; id: Bytes; kemCiphertext: Bytes; ciphertext: Bytes };

export function parse(wire: Bytes, maxPayload = MAX_PAYLOAD): Message | Introduction | Reply {
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
    if (ciphertext.length > maxPayload + 95) refuse("MESSAGE_TOO_LARGE", `${ciphertext.length - 95} bytes`);
    return { type: 0, keyId, session, sequence, ciphertext };
  }
  if (items[1] === 1 && items.length === 9) {
    const [senderKey, kemKey] = [bytesOf(items[2], 32), bytesOf(items[3], 1216)];
    const [wrap, rejoin, sentAt] = [bytesOf(items[4], 0, 256), bytesOf(items[5], 0, 64), numberOf(items[6], MAX_TIME)];
    const [name, signature] = [items[7], bytesOf(items[8], 64)];
    // §9.1 says which characters a name has, and not when that is checked: here, as the kind of the other items is.
    if (typeof name !== "string") return malformed("not such a name");
    if (/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/u.test(name))
      return malformed("name with a character that is not shown");
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

type Unsealed = Place & Content & { hint: Bytes; signature: Bytes; payloads: Bytes[] };

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
const introductionHash = (wire: Bytes): Bytes => H("introduction", wire);
export const introductionId = (wire: Bytes): Bytes => introductionHash(wire).slice(0, 16);

type IntroductionFacts = { seed: Bytes; kemSeed: Bytes; name: string; sentAt: number; context: string };
export type IntroductionInput = IntroductionFacts & { wrapStatement: Bytes };
/** Of a program that knows no topics with a roster, unless it is given what such a one says. */
export type MadeIntroduction = IntroductionFacts & { wrapStatement?: Bytes; rejoin?: Bytes };
export function makeIntroduction(input: MadeIntroduction): Bytes {
  const none = new Uint8Array();
  const { seed, kemSeed, name, sentAt, context, wrapStatement: wrap = none, rejoin = none } = input;
  const senderKey = publicKeyOf(seed);
  const kemKey = sodium.crypto_kem_xwing_seed_keypair(kemSeed).publicKey;
  const unsigned = { type: 1, senderKey, kemKey, wrap, rejoin, sentAt, name, signature: none } as const;
  const signature = sign(seed, introductionDigest(unsigned, context));
  return writeCbor([1, 1, senderKey, kemKey, wrap, rejoin, sentAt, name, signature]);
}

/** Says which X25519 key its sender has, in the topic of this name. */
export type WrapKey = { wrapKey: Bytes; version: number; topicName: string };
const wrapDigest = (identity: Bytes, { wrapKey, version, topicName }: WrapKey): Bytes =>
  H("wrap statement", identity, wrapKey, version, topicName);
export const makeWrapStatement = ({ seed, ...wrap }: WrapKey & { seed: Bytes }): Bytes =>
  writeCbor([wrap.wrapKey, wrap.version, sign(seed, wrapDigest(publicKeyOf(seed), wrap))]);

/** Reads the wrap statement of an introduction, and verifies it. */
export function openWrapStatement(introduction: Bytes, topicName: string): WrapKey & { sentAt: number } {
  const parsed = parse(introduction);
  if (parsed.type !== 1) return malformed("not an introduction");
  const items = readCbor(parsed.wrap, 3, false);
  if (items.length !== 3) malformed("wrap statement without 3 items");
  const [wrapKey, version, signature] = [bytesOf(items[0], 32), numberOf(items[1], MAX_TIME), bytesOf(items[2], 64)];
  const wrap = { wrapKey, version, topicName };
  if (!verify(signature, wrapDigest(parsed.senderKey, wrap), parsed.senderKey))
    refuse("BAD_SIGNATURE", "wrap statement");
  return { ...wrap, sentAt: parsed.sentAt };
}

/** The checks of an introduction that need no memory and no clock. */
function verifyIntroduction(introduction: Introduction, context: string): void {
  if (!isIdentityKey(introduction.senderKey)) refuse("INVALID_KEY", "newcomer");
  if (!verify(introduction.signature, introductionDigest(introduction, context), introduction.senderKey))
    refuse("BAD_SIGNATURE", "introduction");
}

/** Salt, roots, statements, head, rejoin secret. */
const NO_ROOTS: readonly Item[] = [new Uint8Array(), [], [], new Uint8Array(), new Uint8Array()];
const kemHash = (kemCiphertext: Bytes): Bytes => H("kem ciphertext", kemCiphertext);
const replyData = (hash: Bytes, kem: Bytes, context: string): Bytes => writeCbor([label("reply"), hash, kem, context]);
/** What a sponsor gives. */
type Handover = { topicKey: Bytes; generation: number };
const replyDigest = (hash: Bytes, kem: Bytes, sponsor: Bytes, { topicKey, generation }: Handover, context: string) => {
  const rest = H("reply rest", generation, ...NO_ROOTS);
  return H("reply signature", hash, kem, sponsor, 0, commitmentOf(topicKey), rest, context);
};

type ReplyFacts = Record<"seed" | "topicKey" | "introduction" | "encapsulationSeed", Bytes> & { context: string };
export type ReplyInput = ReplyFacts & { generation: number };
export function makeReply(input: ReplyFacts & { generation?: number }): Bytes {
  const { seed, topicKey, generation = 0, introduction, encapsulationSeed, context } = input;
  const parsed = parse(introduction);
  if (parsed.type !== 1) return malformed("not an introduction");
  const hash = introductionHash(introduction);
  const { ciphertext, sharedSecret } = sodium.crypto_kem_xwing_enc_deterministic(parsed.kemKey, encapsulationSeed);
  const [sponsor, kem] = [publicKeyOf(seed), kemHash(ciphertext)];
  const signature = sign(seed, replyDigest(hash, kem, sponsor, { topicKey, generation }, context));
  const plaintext = writeCbor([sponsor, signature, 0, generation, topicKey, ...NO_ROOTS]);
  const key = KDF(sharedSecret, "reply key", hash);
  const sealed = seal(key, new Uint8Array(24), replyData(hash, kem, context), plaintext);
  return writeCbor([1, 2, hash.slice(0, 16), ciphertext, sealed]);
}

export type OpenIntroduction = { introduction: Bytes; kemSeed: Bytes; context: string };

/** Opens a reply to this introduction: the checks that need no memory, after the lookup by introduction id. */
export function openReply(wire: Bytes, { introduction, kemSeed, context }: OpenIntroduction) {
  const reply = parse(wire);
  if (reply.type !== 2) return malformed("not a reply");
  const [hash, kem] = [introductionHash(introduction), kemHash(reply.kemCiphertext)];
  let secret: Bytes;
  try {
    secret = sodium.crypto_kem_xwing_dec(reply.kemCiphertext, kemSeed);
  } catch {
    return refuse("DECRYPTION_FAILED", "KEM");
  }
  const key = KDF(secret, "reply key", hash);
  // 10 items: "at most 9" of §5 cannot be meant here.
  const items = readCbor(open(key, new Uint8Array(24), replyData(hash, kem, context), reply.ciphertext), 10, true);
  if (items.length !== 10) malformed("reply without 10 items");
  const [sponsorKey, signature, topicKey] = [bytesOf(items[0], 32), bytesOf(items[1], 64), bytesOf(items[4], 32)];
  const generation = numberOf(items[3], MAX_GENERATION);
  if (items[2] !== 0 || !same(writeCbor(items.slice(5)), writeCbor(NO_ROOTS)))
    malformed("roots in a topic without roots");
  if (!isIdentityKey(sponsorKey)) refuse("INVALID_KEY", "sponsor");
  if (!verify(signature, replyDigest(hash, kem, sponsorKey, { topicKey, generation }, context), sponsorKey))
    refuse("BAD_SIGNATURE", "reply");
  return { sponsorKey, topicKey, generation };
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
  | { kind: "INTRODUCTION_REPLY"; sponsorKey: Bytes; topicKey: Bytes; generation: number };
export type Outcome = Given | null;

export type PeerInput = { seed: Bytes; topicKey?: Bytes; pins?: Bytes[]; clock: () => number } & {
  /** What the topic is called, which its wrap statements are bound to. */
  name?: string;
  /** Milliseconds that only rise, for what §9 counts without saying by which clock. */
  elapsed?: () => number;
  maxPayload?: number;
  skew?: number;
};

export class Peer {
  topicKey: Bytes | undefined;
  readonly publicKey: Bytes;
  readonly #seed: Bytes;
  readonly #name: string;
  /** Drawn for this program, and not for an introduction; of when it was first said. */
  readonly #wrapKey = sodium.crypto_scalarmult_base(sodium.randombytes_buf(32));
  #wrapVersion: number | undefined;
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
  readonly #open = new Map<string, OpenIntroduction & { at: number; tried: Set<string> }>();

  constructor(input: PeerInput) {
    this.#seed = input.seed;
    this.publicKey = publicKeyOf(input.seed);
    this.topicKey = input.topicKey;
    this.#name = input.name ?? "";
    this.#clock = input.clock;
    this.#elapsed = input.elapsed ?? (() => performance.now());
    this.#maxPayload = input.maxPayload ?? MAX_PAYLOAD;
    this.#skew = input.skew ?? SKEW;
    this.#bucket.at = this.#elapsed();
    for (const key of input.pins ?? []) this.pin(key);
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
    const parsed = parse(wire, this.#maxPayload); // 1
    if (parsed.type === 0) return this.#message(parsed, options, now, many);
    const context = options.context ?? ""; // 2
    const outcome =
      parsed.type === 1 ? this.#meetIntroduction(wire, parsed, context, now) : this.#meetReply(wire, parsed, context);
    return outcome === null ? [] : [outcome];
  }

  #message(message: Message, options: ReceiveOptions, now: Time, many: boolean): Given[] {
    const context = options.context ?? "";
    const topicKey = this.topicKey ?? refuse("MISSING_TOPIC_KEY", "none"); // 3
    if (!same(message.keyId, keyIdOf(topicKey))) refuse("UNKNOWN_TOPIC_KEY", hex(message.keyId));
    const content = unseal(message, topicKey, context); // 4
    const { session, sequence, hint, signature, delivery, batch, sentAt, payloads } = content;
    const isExpected = (options.delivery ?? delivery) === delivery;
    const checkCount = (): void => {
      if (batch === true && !many) refuse("BATCH", `${payloads.length} payloads where one was asked for`);
    };
    if (options.naive === true) {
      if ((delivery !== "event" && delivery !== "state") || !isExpected) refuse("UNEXPECTED_DELIVERY", delivery); // 5
      checkCount();
      return payloads.map((payload) => ({ kind: "unverified", payload, claimedSender: hint }));
    }
    if (delivery === "control") refuse("FORBIDDEN", "a topic without a roster"); // nothing that a pin could allow
    const isBy = (key: Bytes): boolean => verify(signature, messageDigest(content, content, key), key);
    const ownHint = same(hint, hintOf(this.publicKey));
    let candidates = [...this.#pins.values()].filter((key) => same(hintOf(key), hint));
    if (ownHint && isBy(this.publicKey)) {
      if (options.hearOwn !== true || this.#ownSessions.has(hex(session))) return []; // 6
      candidates = [this.publicKey];
    }
    if (candidates.length === 0) {
      if (ownHint) refuse("BAD_SIGNATURE", "in our name"); // 7
      return options.ignoreUntrusted === true ? [] : refuse("UNTRUSTED_KEY", hex(hint));
    }
    const known = { content, session: hex(session), sequence, count: payloads.length };
    const fresh = candidates.filter((key) => !this.#memoryOf(key).look(context).givenBefore(known));
    if (fresh.length === 0) refuse("REPLAY", `${known.session} ${sequence}`); // 8
    const sender = fresh.find(isBy) ?? refuse("BAD_SIGNATURE", "message"); // 9
    this.#checkTime(content, options.maxAge, now); // 10
    const memory = this.#memoryOf(sender);
    if (delivery === "alive") return this.#applyAlive(memory, context, known); // 11
    if (!isExpected) refuse("UNEXPECTED_DELIVERY", delivery); // 12
    checkCount();
    if (delivery === "command" && options.retained === true) refuse("RETAINED_COMMAND", "command");
    const { state, alive } = memory.look(context);
    const order: [number, string, number] = [sentAt, known.session, sequence];
    if (delivery === "state" && state !== undefined && compare(order, state) < 0)
      refuse("STALE_MESSAGE", "older state");
    if (delivery === "will" && alive?.will !== known.session) refuse("WILL_NOT_CURRENT", known.session);
    const used = memory.use(context); // 13
    if (delivery === "state") used.state = order;
    if (delivery === "will" && used.alive !== undefined) used.alive.given = true;
    const missed = delivery === "will" ? [undefined] : used.mark(known);
    const shared = { kind: "message", sender, sentAt, delivery } as const;
    return payloads.map((payload, i) => ({ ...shared, payload, sequence: sequence + i, missed: missed[i] }));
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
    const isNone = reading < CLOCK_FLOOR || reading < this.#greatestReading - this.#skew;
    return { reading, now: isNone ? undefined : reading };
  }

  // §6.1, §6.2, §7.1: the sender

  /** Makes a message of one payload, or of a list of them a batch. */
  send(what: Bytes | readonly Bytes[], { delivery, context }: Pick<Content, "delivery"> & { context: string }): Bytes {
    const topicKey = this.topicKey ?? refuse("MISSING_TOPIC_KEY", "none");
    const [batch, count] = what instanceof Uint8Array ? [false, 1] : [true, what.length];
    if (count < 1 || count > 1024) throw new RangeError(`a batch of ${count} payloads`);
    const payload = what instanceof Uint8Array ? what : batchBody(what);
    if (payload.length > this.#maxPayload) refuse("MESSAGE_TOO_LARGE", `${payload.length} bytes`);
    const { reading, now } = this.#readClock();
    const ahead = now !== undefined && this.#lastSentAt - now > this.#skew;
    if (delivery !== "event" && (now === undefined || ahead)) refuse("CLOCK", "receivers would refuse it");
    const sentAt = Math.max(reading, this.#lastSentAt + 1);
    if (sentAt > MAX_TIME) refuse("CLOCK", "no later sentAt"); // the page does not say what then
    const begun = this.#sending.get(context);
    const goesOn = begun !== undefined && count - 1 <= Number.MAX_SAFE_INTEGER - begun.next;
    const drawn = () => KDF(this.#seed, "session", sodium.randombytes_buf(32), sentAt, context).slice(0, 12);
    const { session, next } = goesOn ? begun : { session: drawn(), next: 0 };
    this.#sending.set(context, { session, next: next + count });
    this.#ownSessions.add(hex(session));
    this.#lastSentAt = sentAt;
    const place = { topicKey, session, sequence: next, context };
    return sendMessage({ ...place, seed: this.#seed, delivery, sentAt, payload, batch });
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
    const topicKey = this.topicKey ?? refuse("MISSING_TOPIC_KEY", "none");
    if (!this.#pins.has(hex(parsed.senderKey))) refuse("UNTRUSTED_KEY", "newcomer is not pinned");
    if (this.#answered.has(hash)) refuse("REPLAY", "answered before");
    const verifiedAt = this.#verifiedAt.get(hash);
    if (verifiedAt === undefined) verifyIntroduction(parsed, context);
    else if (this.#elapsed() - verifiedAt > TEN_MINUTES) refuse("STALE_MESSAGE", "verified too long ago");
    this.#checkIntroductionTime(parsed.sentAt, now);
    const reply = makeReply({ seed: this.#seed, topicKey, introduction, encapsulationSeed, context });
    bounded(this.#answered, hash, 1024);
    this.#own.add(hex(H("made here", reply)));
    return reply;
  }

  // §9.2, the newcomer

  introduce(input: Omit<IntroductionFacts, "seed">): Bytes {
    const seed = this.#seed;
    this.#wrapVersion ??= input.sentAt;
    const wrap = { wrapKey: this.#wrapKey, version: this.#wrapVersion, topicName: this.#name };
    const introduction = makeIntroduction({ seed, ...input, wrapStatement: makeWrapStatement({ seed, ...wrap }) });
    this.expect({ introduction, kemSeed: input.kemSeed, context: input.context });
    return introduction;
  }

  /** Takes an introduction as one that was made here and is still open. */
  expect(open: OpenIntroduction): void {
    const hash = introductionHash(open.introduction);
    this.#own.add(hex(hash));
    this.#open.set(hex(hash.subarray(0, 16)), { ...open, at: this.#elapsed(), tried: new Set() });
    if (this.#open.size > 4) this.#open.delete(oldest(this.#open)[0]);
  }

  #meetReply(wire: Bytes, reply: Reply, context: string): Outcome {
    const made = hex(H("made here", wire));
    if (this.#own.has(made)) return null;
    for (const [id, { at }] of this.#open) if (this.#elapsed() - at > TEN_MINUTES) this.#open.delete(id);
    const mine = this.#open.get(hex(reply.id)) ?? refuse("FOREIGN_REPLY", hex(reply.id));
    if (mine.tried.has(made)) refuse("REPLAY", "reply");
    if (mine.context !== context) refuse("DECRYPTION_FAILED", "another context"); // the code is that of the vectors
    if (mine.tried.size >= 8) refuse("RATE_LIMIT", "replies");
    mine.tried.add(made);
    return { kind: "INTRODUCTION_REPLY", ...openReply(wire, mine) };
  }

  /** What follows when a person confirmed the sponsor's fingerprint. */
  adopt(topicKey: Bytes): void {
    this.topicKey = topicKey;
    this.#open.clear();
  }
}
