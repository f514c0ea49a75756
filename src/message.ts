/**
 * The wire: parses and formats the three kinds of bytes that travel (PROTOCOL §5). Pure: no keys, no
 * state, and nothing here is authenticated.
 */
import { toTableKey } from "./bytes.js";
import {
  type CborItem,
  decode,
  encode,
  headLength,
  MAX_HEAD_BYTES,
  Reader,
  readBigEndian,
  Writer,
  writeBigEndian,
  writeBytesHead,
  writeUnsigned,
} from "./cbor.js";
import { type AnyDelivery, MalformedMessageError, MessageTooLargeError, UnsupportedVersionError } from "./errors.js";
import {
  GENERATION_LIMIT,
  INTRODUCTION_ID_BYTES,
  KEM_CIPHERTEXT_BYTES,
  KEM_PUBLIC_KEY_BYTES,
  KEY_BYTES,
  KEY_ID_BYTES,
  MAX_BATCH_PAYLOADS,
  MAX_CONTROL_BYTES,
  MAX_CONTROL_STATEMENTS,
  MAX_DISPLAY_NAME_BYTES,
  MAX_EPOCH,
  MAX_REJOIN_BYTES,
  MAX_ROOTS,
  MAX_SENT_AT,
  MAX_SEQUENCE,
  MAX_STATEMENT_BYTES,
  MAX_WRAP_STATEMENT_BYTES,
  MIN_STATEMENT_BYTES,
  RETURN_WRAP_BYTES,
  SALT_BYTES,
  SENDER_HINT_BYTES,
  SESSION_BYTES,
  SIGNATURE_BYTES,
  TAG_BYTES,
} from "./limits.js";

const VERSION = 1;
const MESSAGE = 0;
const INTRODUCTION = 1;
const REPLY = 2;

/** The numbers that deliveries have on the wire. 6 to 15, and 19 and above, are kept for what is to come. */
const DELIVERIES: readonly AnyDelivery[] = ["event", "state", "command", "will", "alive", "control"];
/** Added to the number of a delivery where the message carries a batch: who does not know batches refuses it. */
const BATCH = 16;
/** The deliveries of which there are batches are the first ones. */
const BATCH_DELIVERIES = 3;

const SENT_AT_BYTES = 6;
/** The head of the array that a message is. */
const MESSAGE_HEAD = 0x86;
const CONTROL = 5;
/** Bytes of the plaintext of a control message before what it carries: zeros for the sender, and the delivery. */
const CONTROL_HEAD_BYTES = SENDER_HINT_BYTES + 1;
const noSignature = new Uint8Array(SIGNATURE_BYTES);
/** Bytes of the plaintext before the payload: sender, delivery, sentAt, signature. */
const PLAINTEXT_HEAD_BYTES = SENDER_HINT_BYTES + 1 + SENT_AT_BYTES + SIGNATURE_BYTES;
const SIGNATURE_START = SENDER_HINT_BYTES + 1 + SENT_AT_BYTES;
/** Everything that a message with the largest sequence adds to a payload of any length. */
export const MAX_OVERHEAD_BYTES =
  3 + (1 + KEY_ID_BYTES) + (1 + SESSION_BYTES) + 9 + 5 + TAG_BYTES + PLAINTEXT_HEAD_BYTES;

export interface WireMessage {
  readonly type: "message";
  /** As a number, big endian: tables are looked up by it. */
  readonly keyId: number;
  readonly session: Uint8Array;
  readonly sequence: number;
  readonly ciphertext: Uint8Array;
}

export interface WireIntroduction {
  readonly type: "introduction";
  readonly identityKey: Uint8Array;
  readonly kemPublicKey: Uint8Array;
  /** Opaque where there is no roster: covered by the signature, and ignored. */
  readonly wrapStatement: Uint8Array;
  /** Opaque where there is no roster: covered by the signature, and ignored. */
  readonly rejoin: Uint8Array;
  readonly sentAt: number;
  readonly name: string;
  readonly signature: Uint8Array;
}

export interface WireReply {
  readonly type: "reply";
  readonly introductionId: Uint8Array;
  readonly kemCiphertext: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/** What is inside the encryption of a message, before its signature was checked. */
export interface Plaintext {
  /** The first bytes of the sender's id, as the key of a table. */
  readonly senderHint: string;
  readonly delivery: AnyDelivery;
  /** The delivery, and whether this is a batch, as the wire has it: what is signed. */
  readonly deliveryNumber: number;
  readonly sentAt: number;
  readonly signature: Uint8Array;
  /** What the application sent; of a batch, all of it as it is signed. */
  readonly payload: Uint8Array;
  /** What the application sent at once, as views on `payload`; `undefined` where this is no batch. */
  readonly batch: readonly Uint8Array[] | undefined;
}

/** What is inside the encryption of a reply. */
export interface ReplyPlaintext extends ReplyContent {
  readonly sponsorKey: Uint8Array;
  readonly signature: Uint8Array;
}

/** What a sponsor gives: all that somebody needs to take part. A topic without roots has the values of `UNROOTED` behind the key. */
export interface ReplyContent extends RootedReply {
  /** 32 bytes; or wrapped once more for somebody who comes back, together with the rejoin secret. */
  readonly topicKey: Uint8Array;
}

/** What only a rooted topic's reply says. */
export interface RootedReply {
  readonly epoch: number;
  readonly generation: number;
  readonly salt: Uint8Array;
  readonly roots: readonly Uint8Array[];
  readonly statements: readonly Uint8Array[];
  /** The commitment of a topic's first key, or the head of the rekey that started the epoch. */
  readonly head: Uint8Array;
  /** 32 bytes; none where it is wrapped with the topic key. */
  readonly rejoinSecret: Uint8Array;
}

const none = new Uint8Array(0);
export const UNROOTED: RootedReply = {
  epoch: 0,
  generation: 0,
  salt: none,
  roots: [],
  statements: [],
  head: none,
  rejoinSecret: none,
};

/** The items of a reply behind the topic key. */
export function rootedItems({ salt, roots, statements, head, rejoinSecret }: RootedReply): CborItem[] {
  return [salt, roots, statements, head, rejoinSecret];
}

function malformed(what: string): never {
  throw new MalformedMessageError(`expected ${what}`);
}

export function bytesItem(name: string, item: CborItem | undefined, least: number, most = least): Uint8Array {
  if (!(item instanceof Uint8Array) || item.length < least || item.length > most) {
    malformed(`${name} of ${least === most ? least : `${least} to ${most}`} bytes`);
  }
  return new Uint8Array(item);
}

export function integerItem(name: string, item: CborItem | undefined, most: number): number {
  if (typeof item !== "number" || item > most) malformed(`${name} of at most ${most}`);
  return item;
}

/**
 * Whether a display name is fit to be shown: no control characters, none that only steer the text
 * around them (a bidirectional override, a byte order mark), no line ends, at most 64 bytes.
 */
export function isDisplayName(name: string): boolean {
  return (
    new TextEncoder().encode(name).length <= MAX_DISPLAY_NAME_BYTES &&
    !/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/u.test(name)
  );
}

export function displayNameItem(item: CborItem | undefined): string {
  if (typeof item !== "string" || !isDisplayName(item)) {
    malformed(`a name of at most ${MAX_DISPLAY_NAME_BYTES} bytes without control characters`);
  }
  return item;
}

/** Whether bytes have the type and a length of stringphone 0.1: "s" from 121 bytes on, "i" with 129, "r" with 153. */
function looksLegacy({ [0]: type, length }: Uint8Array): boolean {
  return (type === 0x73 && length >= 121) || (type === 0x69 && length === 129) || (type === 0x72 && length === 153);
}

/**
 * Says of bytes that are none of ours, and of those of another version, what they are. A later version may look
 * different after its second item, so the version is read first: here if it has one byte, a longer one by the shape.
 */
function refuseStrangers(bytes: Uint8Array): void {
  const [head, version] = bytes;
  if (head === undefined) malformed("a message, got 0 bytes: a retained message that was cleared?");
  if (head < 0x80 || head > 0x97) {
    if (looksLegacy(bytes)) {
      malformed("version 1, got what looks like stringphone 0.1: LegacyTopic of stringphone/compat reads that");
    }
    malformed("a message of stringphone, got bytes that begin otherwise: was it sent in clear?");
  }
  if (version !== undefined && version < 24 && version !== VERSION) throw new UnsupportedVersionError(version);
}

/**
 * Parses bytes from the channel. Every byte array in the result is a copy, but for those of a message, which are views: they
 * are read before `decode` returns.
 *
 * @param maxPayloadBytes the largest payload that may be inside
 * @param maxControlBytes bytes of the largest control message that may be inside
 * @throws MalformedMessageError, UnsupportedVersionError, MessageTooLargeError and nothing else
 */
export function parse(
  bytes: Uint8Array,
  maxPayloadBytes: number,
  maxControlBytes = 0,
): WireMessage | WireIntroduction | WireReply {
  const mostBytes = Math.max(maxPayloadBytes, MAX_CONTROL_BYTES) + MAX_OVERHEAD_BYTES;
  if (bytes.length > mostBytes) throw new MessageTooLargeError(bytes.length - MAX_OVERHEAD_BYTES, maxPayloadBytes);
  refuseStrangers(bytes);
  if (bytes[1] === VERSION && bytes[2] === MESSAGE) {
    return parseMessage(bytes, Math.max(maxPayloadBytes, maxControlBytes));
  }
  const items = decode(bytes, { maxDepth: 1, maxItems: 10, maxTextBytes: MAX_DISPLAY_NAME_BYTES });
  if (typeof items !== "object" || items instanceof Uint8Array) malformed("an array");
  const [version, type] = items;
  if (typeof version === "number" && version !== VERSION) throw new UnsupportedVersionError(version);
  if (version === VERSION && type === INTRODUCTION && items.length === 9) return parseIntroduction(items);
  if (version === VERSION && type === REPLY && items.length === 5) return parseReply(items);
  return malformed("a message, an introduction or a reply, with all of its items");
}

/** Reads the one shape that a message has; nearly all that comes is one. */
function parseMessage(bytes: Uint8Array, maxPayloadBytes: number): WireMessage {
  const reader = new Reader(bytes);
  if (reader.array() !== 6) malformed("a message of 6 items");
  reader.unsigned();
  reader.unsigned();
  const keyId = reader.number(KEY_ID_BYTES);
  if (keyId === undefined) malformed(`a key id of ${KEY_ID_BYTES} bytes`);
  const session = reader.bytes();
  if (session.length !== SESSION_BYTES) malformed(`a session of ${SESSION_BYTES} bytes`);
  const sequence = reader.unsigned();
  const ciphertext = reader.bytes();
  reader.end();
  const payloadBytes = ciphertext.length - PLAINTEXT_HEAD_BYTES - TAG_BYTES;
  if (payloadBytes < 0) malformed(`a ciphertext of at least ${PLAINTEXT_HEAD_BYTES + TAG_BYTES} bytes`);
  if (payloadBytes > maxPayloadBytes) throw new MessageTooLargeError(payloadBytes, maxPayloadBytes);
  return { type: "message", keyId, session, sequence, ciphertext };
}

function parseIntroduction(items: readonly CborItem[]): WireIntroduction {
  return {
    type: "introduction",
    identityKey: bytesItem("an identity key", items[2], KEY_BYTES),
    kemPublicKey: bytesItem("a KEM public key", items[3], KEM_PUBLIC_KEY_BYTES),
    wrapStatement: bytesItem("a wrap statement", items[4], 0, MAX_WRAP_STATEMENT_BYTES),
    rejoin: bytesItem("a rejoin proof", items[5], 0, MAX_REJOIN_BYTES),
    sentAt: integerItem("a sentAt", items[6], MAX_SENT_AT),
    name: displayNameItem(items[7]),
    signature: bytesItem("a signature", items[8], SIGNATURE_BYTES),
  };
}

function parseReply(items: readonly CborItem[]): WireReply {
  return {
    type: "reply",
    introductionId: bytesItem("an introduction id", items[2], INTRODUCTION_ID_BYTES),
    kemCiphertext: bytesItem("a KEM ciphertext", items[3], KEM_CIPHERTEXT_BYTES),
    ciphertext: bytesItem("a ciphertext", items[4], TAG_BYTES, MAX_CONTROL_BYTES),
  };
}

/** What a message shows to everybody. */
export interface Frame {
  readonly keyId: Uint8Array;
  readonly session: Uint8Array;
  readonly sequence: number;
}

/**
 * Lays out a message whose ciphertext is still to be made: all but its last bytes, which are zeros.
 *
 * @returns the wire, and a view on those bytes: as many as `plaintextBytes` and a tag
 */
export function frameMessage(message: Frame, plaintextBytes: number): { wire: Uint8Array; ciphertext: Uint8Array } {
  const { keyId, session, sequence } = message;
  const length = plaintextBytes + TAG_BYTES;
  const front = 3 + (1 + KEY_ID_BYTES) + (1 + SESSION_BYTES) + headLength(sequence) + headLength(length);
  const wire = new Uint8Array(front + length);
  wire[0] = MESSAGE_HEAD;
  wire[1] = VERSION;
  wire[2] = MESSAGE;
  wire.set(keyId, writeBytesHead(wire, 3, KEY_ID_BYTES));
  wire.set(session, writeBytesHead(wire, 4 + KEY_ID_BYTES, SESSION_BYTES));
  writeBytesHead(wire, writeUnsigned(wire, 5 + KEY_ID_BYTES + SESSION_BYTES, sequence), length);
  return { wire, ciphertext: wire.subarray(front) };
}

export function formatMessage({ keyId, session, sequence }: Frame, ciphertext: Uint8Array): Uint8Array {
  return encode([VERSION, MESSAGE, keyId, session, sequence, ciphertext]);
}

export function formatIntroduction(introduction: Omit<WireIntroduction, "type">): Uint8Array {
  const { identityKey, kemPublicKey, wrapStatement, rejoin, sentAt, name, signature } = introduction;
  return encode([VERSION, INTRODUCTION, identityKey, kemPublicKey, wrapStatement, rejoin, sentAt, name, signature]);
}

export function formatReply(reply: Omit<WireReply, "type">): Uint8Array {
  const { introductionId, kemCiphertext, ciphertext } = reply;
  return encode([VERSION, REPLY, introductionId, kemCiphertext, ciphertext]);
}

/** The number that a delivery has on the wire and under the signature. */
export function deliveryNumber({ delivery, isBatch }: { delivery: AnyDelivery; isBatch: boolean }): number {
  return DELIVERIES.indexOf(delivery) + (isBatch ? BATCH : 0);
}

/** The part of a plaintext before the signature and the payload, which have fixed places, so that nothing inside has to be parsed. */
export interface PlaintextHead {
  readonly senderHint: Uint8Array;
  readonly delivery: AnyDelivery;
  readonly isBatch: boolean;
  readonly sentAt: number;
}

/** Bytes of a plaintext with a payload of so many. */
export function plaintextLength(payloadBytes: number): number {
  return PLAINTEXT_HEAD_BYTES + payloadBytes;
}

/** Writes a plaintext to the beginning of `out`, and gives the place where its signature belongs, as a view. */
export function writePlaintext(out: Uint8Array, head: PlaintextHead, payload: Uint8Array): Uint8Array {
  out.set(head.senderHint);
  out[SENDER_HINT_BYTES] = deliveryNumber(head);
  writeBigEndian(out, SENDER_HINT_BYTES + 1, SIGNATURE_START, head.sentAt);
  out.set(payload, PLAINTEXT_HEAD_BYTES);
  return out.subarray(SIGNATURE_START, PLAINTEXT_HEAD_BYTES);
}

/**
 * Reads what was decrypted, and copies it; the signature to `signature`, which becomes part of the result. A `will` and an
 * `alive` have sessions of their own, so their sequence is 0.
 */
export function parsePlaintext(bytes: Uint8Array, sequence: number, signature: Uint8Array): Plaintext {
  const number = bytes[SENDER_HINT_BYTES] as number;
  if (number === CONTROL) return parseControlPlaintext(bytes, sequence);
  const isBatch = number >= BATCH && number < BATCH + BATCH_DELIVERIES;
  const delivery = DELIVERIES[isBatch ? number - BATCH : number];
  if (delivery === undefined) malformed("a delivery that version 1 knows");
  const payload = bytes.slice(PLAINTEXT_HEAD_BYTES);
  if ((delivery === "will" || delivery === "alive") && sequence !== 0) malformed(`sequence 0 of a ${delivery}`);
  if (delivery === "alive" && payload.length !== 0 && payload.length !== SESSION_BYTES) {
    malformed("an alive that names one session or none");
  }
  for (let i = 0; i < SIGNATURE_BYTES; i++) signature[i] = bytes[SIGNATURE_START + i] as number;
  return {
    senderHint: toTableKey(bytes, SENDER_HINT_BYTES),
    delivery,
    deliveryNumber: number,
    sentAt: readBigEndian(bytes, SENDER_HINT_BYTES + 1, SIGNATURE_START),
    signature,
    payload,
    batch: isBatch ? parseBatch(payload, sequence) : undefined,
  };
}

/** A control message has no sender of its own: what it carries is signed by itself, and anybody may pass it on. */
function parseControlPlaintext(bytes: Uint8Array, sequence: number): Plaintext {
  if (sequence !== 0) malformed("sequence 0 of a control message");
  const senderHint = toTableKey(bytes, SENDER_HINT_BYTES);
  if (/[^\0]/.test(senderHint)) malformed("a control message without a sender");
  const payload = bytes.slice(CONTROL_HEAD_BYTES);
  const empty = { signature: noSignature, batch: undefined, sentAt: 0 };
  return { senderHint, delivery: "control", deliveryNumber: CONTROL, payload, ...empty };
}

/** What is encrypted of a control message. */
export function formatControlPlaintext(payload: Uint8Array): Uint8Array {
  const plaintext = new Uint8Array(CONTROL_HEAD_BYTES + payload.length);
  plaintext[SENDER_HINT_BYTES] = CONTROL;
  plaintext.set(payload, CONTROL_HEAD_BYTES);
  return plaintext;
}

/** What a control message carries: statements, and a rekey or none. */
export function formatControl(statements: readonly Uint8Array[], rekey: Uint8Array | undefined): Uint8Array {
  return encode([statements, rekey ?? new Uint8Array(0)]);
}

export function parseControl(bytes: Uint8Array): { statements: readonly Uint8Array[]; rekey: Uint8Array | undefined } {
  const items = decode(bytes, { maxDepth: 2, maxItems: MAX_CONTROL_STATEMENTS + 3, maxTextBytes: 0 });
  if (typeof items !== "object" || items instanceof Uint8Array || items.length !== 2) malformed("a control of 2 items");
  const rekey = bytesItem("a rekey", items[1], 0, MAX_CONTROL_BYTES);
  return {
    statements: listItem("statements", items[0], MIN_STATEMENT_BYTES, MAX_STATEMENT_BYTES),
    rekey: rekey.length === 0 ? undefined : rekey,
  };
}

/** A list of byte strings. */
function listItem(name: string, item: CborItem | undefined, least: number, most: number): Uint8Array[] {
  if (typeof item !== "object" || item instanceof Uint8Array) malformed(`a list of ${name}`);
  return item.map((one) => bytesItem(`each of the ${name}`, one, least, most));
}

/** Bytes of a batch of these payloads. */
export function batchLength(payloads: readonly Uint8Array[]): number {
  return payloads.reduce((sum, { length }) => sum + headLength(length) + length, headLength(payloads.length));
}

/** What a message carries in place of one payload: a CBOR array of byte strings. */
export function formatBatch(payloads: readonly Uint8Array[]): Uint8Array {
  const writer = new Writer(batchLength(payloads) + MAX_HEAD_BYTES).array(payloads.length);
  for (const payload of payloads) writer.bytes(payload);
  return writer.view;
}

function parseBatch(bytes: Uint8Array, sequence: number): readonly Uint8Array[] {
  const reader = new Reader(bytes);
  const size = reader.array();
  if (size === 0 || size > MAX_BATCH_PAYLOADS) malformed(`a batch of 1 to ${MAX_BATCH_PAYLOADS} payloads`);
  if (sequence > MAX_SEQUENCE - (size - 1)) malformed(`sequences of at most ${MAX_SEQUENCE}`);
  const payloads: Uint8Array[] = [];
  for (let i = 0; i < size; i++) payloads.push(reader.bytes());
  reader.end();
  return payloads;
}

/** Encodes what a reply encrypts. */
export function formatReplyPlaintext(plaintext: ReplyPlaintext): Uint8Array {
  const { sponsorKey, signature, epoch, generation, topicKey } = plaintext;
  return encode([sponsorKey, signature, epoch, generation, topicKey, ...rootedItems(plaintext)]);
}

/** Reads what a reply decrypted to. */
export function parseReplyPlaintext(bytes: Uint8Array): ReplyPlaintext {
  const items = decode(bytes, { maxDepth: 2, maxItems: MAX_CONTROL_STATEMENTS + MAX_ROOTS + 16, maxTextBytes: 0 });
  if (typeof items !== "object" || items instanceof Uint8Array || items.length !== 10) malformed("a reply of 10 items");
  const salt = bytesItem("a salt", items[5], 0, SALT_BYTES);
  const isRooted = salt.length > 0;
  const topicKey = bytesItem("a topic key", items[4], KEY_BYTES, isRooted ? RETURN_WRAP_BYTES : KEY_BYTES);
  const roots = listItem("roots", items[6], KEY_BYTES, KEY_BYTES);
  const statements = listItem("statements", items[7], MIN_STATEMENT_BYTES, MAX_STATEMENT_BYTES);
  const head = bytesItem("a head", items[8], isRooted ? KEY_BYTES : 0, isRooted ? MAX_CONTROL_BYTES : 0);
  const isWrapped = topicKey.length === RETURN_WRAP_BYTES;
  const rejoinSecret = bytesItem("a rejoin secret", items[9], isRooted && !isWrapped ? KEY_BYTES : 0);
  const isFit = isRooted
    ? salt.length === SALT_BYTES && roots.length > 0 && roots.length <= MAX_ROOTS
    : roots.length === 0 && statements.length === 0;
  if (!isFit) malformed("a salt of 16 bytes and 1 to 16 roots; or of a topic without roots, nothing");
  if (topicKey.length !== KEY_BYTES && !isWrapped) malformed("a topic key, plain or wrapped");
  return {
    sponsorKey: bytesItem("a sponsor's key", items[0], KEY_BYTES),
    signature: bytesItem("a signature", items[1], SIGNATURE_BYTES),
    epoch: integerItem("an epoch", items[2], isRooted ? MAX_EPOCH : 0),
    generation: integerItem("a generation", items[3], GENERATION_LIMIT),
    topicKey,
    salt,
    roots,
    statements,
    head,
    rejoinSecret,
  };
}
