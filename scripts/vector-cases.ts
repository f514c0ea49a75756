/**
 * The test vectors: every case with the secrets that make its bytes, and what a receiver must say. Deterministic, so that
 * the test can make them again and compare; `npm run vectors` writes them to test/vectors.
 */
import { blake2b } from "@noble/hashes/blake2.js";
import { toTableKey } from "../src/bytes.js";
import { type CborItem, encode } from "../src/cbor.js";
import {
  diffieHellmanKeyPair,
  hash,
  isIdentityKey,
  kdf,
  kemEncapsulate,
  kemKeyPair,
  loadCrypto,
  seal,
  sign,
  signingKeyPair,
  verify,
} from "../src/crypto.js";
import { introductionHash, sealReply, signIntroduction } from "../src/discovery.js";
import type { AnyDelivery, AnyStringphoneError } from "../src/errors.js";
import { fingerprint, Identity, participantId } from "../src/identity.js";
import { parse, UNROOTED } from "../src/message.js";
import { sealMessage } from "../src/sealing.js";
import { formatWrap, signWrap } from "../src/statements.js";
import { TopicKey } from "../src/topic-key.js";
import { openWire, sealPlaintext } from "../test/support/forge.js";
import { type BatchCase, batchCases } from "./batch-cases.js";
import { mixedOrder, nonCanonical, SMALL_ORDER_KEYS } from "./edwards.js";
import {
  ALICE,
  BOB,
  CONTEXT,
  hex,
  MALLORY,
  NOW,
  named,
  OTHER_TOPIC_KEY,
  SESSION,
  TOPIC_KEY,
  unhex,
  utf8,
} from "./vector-secrets.js";

type Code = AnyStringphoneError["code"];

export interface MakeMessage {
  readonly seed: string;
  readonly topicKey: string;
  readonly session: string;
  readonly sequence: number;
  readonly context: string;
  readonly delivery: AnyDelivery;
  readonly sentAt: number;
  readonly payload: string;
}

export interface MessageCase {
  readonly name: string;
  /** How the bytes are made, where an honest sender makes them. */
  readonly make?: MakeMessage;
  /** Messages that the receiver decodes before, in the same context. */
  readonly before?: readonly string[];
  readonly wire: string;
  readonly receiver: { readonly now: number; readonly context: string; readonly options: Record<string, unknown> };
  readonly expect:
    | {
        readonly accept: "message";
        readonly sender: string;
        readonly payload: string;
        readonly sentAt: number;
        readonly delivery: string;
        readonly sequence: number;
      }
    | { readonly accept: "unverified"; readonly payload: string; readonly claimedSender: string }
    | { readonly accept: "null" }
    | { readonly refuse: Code };
}

export interface IntroductionCase {
  readonly name: string;
  readonly make?: {
    readonly seed: string;
    readonly kemSeed: string;
    readonly wrapStatement: string;
    readonly name: string;
    readonly sentAt: number;
    readonly context: string;
  };
  readonly wire: string;
  readonly receiver: { readonly now: number; readonly context: string };
  readonly expect:
    | { readonly accept: true; readonly senderKey: string; readonly name: string; readonly id: string }
    | { readonly refuse: Code };
}

export interface ReplyCase {
  readonly name: string;
  readonly make?: {
    readonly seed: string;
    readonly topicKey: string;
    readonly generation: number;
    readonly introduction: string;
    readonly encapsulationSeed: string;
    readonly context: string;
  };
  readonly wire: string;
  readonly receiver: { readonly introduction: string; readonly kemSeed: string; readonly context: string };
  readonly expect:
    | {
        readonly accept: true;
        readonly sponsorKey: string;
        readonly topicKey: string;
        readonly generation: number;
      }
    | { readonly refuse: Code };
}

interface KeyCase {
  readonly name: string;
  readonly publicKey: string;
  readonly accept: boolean;
  readonly id?: string;
  readonly fingerprint?: string;
}

export interface Vectors {
  readonly messages: {
    readonly about: string;
    readonly secrets: Record<string, Record<string, string>>;
    readonly cases: readonly MessageCase[];
  };
  readonly batches: { readonly about: string; readonly cases: readonly BatchCase[] };
  readonly introductions: { readonly about: string; readonly cases: readonly IntroductionCase[] };
  readonly replies: { readonly about: string; readonly cases: readonly ReplyCase[] };
  readonly keys: { readonly about: string; readonly cases: readonly KeyCase[] };
}

function makeMessage(changes: Partial<MakeMessage> = {}): { make: MakeMessage; wire: Uint8Array } {
  const make: MakeMessage = {
    seed: hex(ALICE),
    topicKey: hex(TOPIC_KEY),
    session: hex(SESSION),
    sequence: 0,
    context: CONTEXT,
    delivery: "event",
    sentAt: NOW,
    payload: utf8("Hi Bob!"),
    ...changes,
  };
  return { make, wire: messageOf(make) };
}

export function messageOf(make: MakeMessage): Uint8Array {
  const { session, sequence, context, delivery, sentAt, payload } = make;
  return sealMessage(
    new TopicKey(unhex(make.topicKey)),
    new Identity(unhex(make.seed)),
    { session: unhex(session), sequence, context },
    { delivery, sentAt, payload: unhex(payload), isBatch: false },
  );
}

export function introductionOf(make: NonNullable<IntroductionCase["make"]>): Uint8Array {
  const { publicKey } = kemKeyPair(unhex(make.kemSeed));
  const facts = { ...make, wrapStatement: unhex(make.wrapStatement), rejoin: undefined };
  return signIntroduction(new Identity(unhex(make.seed)), publicKey, facts);
}

export function replyOf(make: NonNullable<ReplyCase["make"]>): Uint8Array {
  const bytes = unhex(make.introduction);
  const wire = parse(bytes, 0);
  if (wire.type !== "introduction") throw new Error("not an introduction");
  const introduction = { wire, hash: introductionHash(bytes), context: make.context };
  const content = { ...UNROOTED, generation: make.generation, topicKey: unhex(make.topicKey) };
  return sealReply(new Identity(unhex(make.seed)), content, introduction, unhex(make.encapsulationSeed));
}

interface CaseOptions {
  readonly now?: number;
  readonly context?: string;
  readonly options?: Record<string, unknown>;
  readonly before?: readonly Uint8Array[];
}

function messageCase(
  name: string,
  wire: Uint8Array,
  expect: MessageCase["expect"],
  more: CaseOptions & { make?: MakeMessage } = {},
): MessageCase {
  const { now = NOW, context = CONTEXT, options = {}, before, make } = more;
  return {
    name,
    ...(make === undefined ? {} : { make }),
    ...(before === undefined ? {} : { before: before.map(hex) }),
    wire: hex(wire),
    receiver: { now, context, options },
    expect,
  };
}

function accepted(name: string, changes: Partial<MakeMessage> = {}, more: CaseOptions = {}): MessageCase {
  const { make, wire } = makeMessage(changes);
  const sender = hex(signingKeyPair(unhex(make.seed)).publicKey);
  const { payload, sentAt, delivery, sequence } = make;
  return messageCase(
    name,
    wire,
    { accept: "message", sender, payload, sentAt, delivery, sequence },
    { context: make.context, ...more, make },
  );
}

function refused(code: Code, name: string, changes: Partial<MakeMessage>, more: CaseOptions = {}): MessageCase {
  const { make, wire } = makeMessage(changes);
  return messageCase(name, wire, { refuse: code }, { ...more, make });
}

/** A case whose bytes no honest sender makes. */
function damaged(code: Code, name: string, wire: Uint8Array, more: CaseOptions = {}): MessageCase {
  return messageCase(name, wire, { refuse: code }, more);
}

function changed(wire: Uint8Array, at: number, xor: number): Uint8Array {
  const copy = new Uint8Array(wire);
  copy[at] = (copy[at] as number) ^ xor;
  return copy;
}

function concat(...parts: (Uint8Array | number[])[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts.map((part) => Buffer.from(part))));
}

function acceptedMessages(): MessageCase[] {
  const clocked = (delivery: AnyDelivery): Partial<MakeMessage> => ({ delivery });
  const will = makeMessage({ delivery: "will", session: hex(named("will").slice(0, 12)), payload: utf8("gone") });
  const alive = makeMessage({
    delivery: "alive",
    session: hex(named("alive").slice(0, 12)),
    sentAt: NOW + 1,
    payload: will.make.session,
  });
  const own = makeMessage({ seed: hex(BOB) });
  const stranger = makeMessage({ seed: hex(MALLORY) });
  const aliceHint = hex(participantId(signingKeyPair(ALICE).publicKey).slice(0, 8));
  return [
    accepted("event (the worked example of docs/PROTOCOL.md)"),
    accepted("state", clocked("state")),
    accepted("command", clocked("command")),
    accepted("will, after its alive", { ...will.make }, { before: [alive.wire] }),
    messageCase("alive", alive.wire, { accept: "null" }, { make: alive.make }),
    ...[1, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1].map((sequence) =>
      accepted(`sequence ${sequence}`, { sequence }),
    ),
    accepted("empty payload", { payload: "" }),
    ...[20, 160, 161, 300].map((length) => accepted(`payload of ${length} bytes`, { payload: "5a".repeat(length) })),
    accepted("empty context", { context: "" }),
    accepted("context of 23 bytes", { context: "x".repeat(23) }),
    accepted("context of 24 bytes", { context: "x".repeat(24) }),
    accepted("context that is not ASCII", { context: "Küche/🌡" }),
    ...[0, 1, 2 ** 40 - 1, 2 ** 40, NOW + 365 * 86_400_000, 2 ** 48 - 1].map((sentAt) =>
      accepted(`event with sentAt ${sentAt}`, { sentAt }),
    ),
    accepted("state of a sender without a clock", { delivery: "state", sentAt: 7 }),
    accepted("state 5 minutes ahead", { delivery: "state", sentAt: NOW + 300_000 }),
    accepted("state to a receiver without a clock", { delivery: "state" }, { now: 0 }),
    accepted("command 30 seconds old", { delivery: "command", sentAt: NOW - 30_000 }),
    accepted("command 30 seconds ahead", { delivery: "command", sentAt: NOW + 30_000 }),
    accepted(
      "command within a longer maxAge",
      { delivery: "command", sentAt: NOW - 60_000 },
      { options: { maxAge: 60_000 } },
    ),
    accepted(
      "event that comes late, within the window",
      { sequence: 5 },
      { before: [makeMessage({ sequence: 1028 }).wire] },
    ),
    accepted("the same state again", clocked("state"), { before: [makeMessage({ delivery: "state" }).wire] }),
    accepted(
      "event in another session of the sender",
      { session: hex(named("second session").slice(0, 12)) },
      { before: [makeMessage().wire] },
    ),
    messageCase("own message", own.wire, { accept: "null" }, { make: own.make }),
    accepted("own message of another program", { seed: hex(BOB) }, { options: { hearOwn: true } }),
    messageCase(
      "stranger, ignored",
      stranger.wire,
      { accept: "null" },
      { make: stranger.make, options: { ignoreUntrusted: true } },
    ),
    messageCase(
      "naive",
      makeMessage().wire,
      { accept: "unverified", payload: utf8("Hi Bob!"), claimedSender: aliceHint },
      { make: makeMessage().make, options: { naive: true } },
    ),
  ];
}

function refusedMessages(): MessageCase[] {
  const { wire } = makeMessage();
  const { position, plaintext } = openWire(TOPIC_KEY, wire, CONTEXT);
  const sealed = (changes: Partial<typeof plaintext>, at: Partial<typeof position> = {}) =>
    sealPlaintext(TOPIC_KEY, { ...position, ...at }, { ...plaintext, ...changes });
  const mallory = signingKeyPair(MALLORY);
  const will = makeMessage({ delivery: "will", session: hex(named("will").slice(0, 12)), payload: utf8("gone") });
  const alive = makeMessage({
    delivery: "alive",
    session: hex(named("alive").slice(0, 12)),
    sentAt: NOW + 1,
    payload: will.make.session,
  });
  const farewell = makeMessage({
    delivery: "alive",
    session: hex(named("farewell").slice(0, 12)),
    sentAt: NOW + 2,
    payload: "",
  });
  const short = sealPlaintext(TOPIC_KEY, position, plaintext).slice(0, 20);
  return [
    refused("REPLAY", "the same event again", {}, { before: [wire] }),
    refused(
      "REPLAY",
      "the same command again",
      { delivery: "command" },
      { before: [makeMessage({ delivery: "command" }).wire] },
    ),
    refused("REPLAY", "event beyond the window", { sequence: 5 }, { before: [makeMessage({ sequence: 16_389 }).wire] }),
    refused(
      "STALE_MESSAGE",
      "state older than the newest",
      { delivery: "state", sentAt: NOW - 1 },
      { before: [makeMessage({ delivery: "state" }).wire] },
    ),
    refused(
      "STALE_MESSAGE",
      "state of the same time and a smaller sequence",
      { delivery: "state" },
      { before: [makeMessage({ delivery: "state", sequence: 1 }).wire] },
    ),
    refused("STALE_MESSAGE", "command 30.001 seconds old", { delivery: "command", sentAt: NOW - 30_001 }),
    refused(
      "STALE_MESSAGE",
      "event older than the maxAge asked for",
      { sentAt: NOW - 1001 },
      { options: { maxAge: 1000 } },
    ),
    refused("CLOCK", "command 30.001 seconds ahead", { delivery: "command", sentAt: NOW + 30_001 }),
    refused("CLOCK", "state 5 minutes and 1 ms ahead", { delivery: "state", sentAt: NOW + 300_001 }),
    refused("CLOCK", "command of a sender without a clock", { delivery: "command", sentAt: 2 ** 40 - 1 }),
    refused("CLOCK", "command to a receiver without a clock", { delivery: "command" }, { now: 2 ** 40 - 1 }),
    refused(
      "RETAINED_COMMAND",
      "command that the broker retained",
      { delivery: "command" },
      { options: { retained: true } },
    ),
    refused("UNEXPECTED_DELIVERY", "command under naive", { delivery: "command" }, { options: { naive: true } }),
    refused("UNEXPECTED_DELIVERY", "event where states are expected", {}, { options: { delivery: "state" } }),
    messageCase("will without an alive", will.wire, { refuse: "WILL_NOT_CURRENT" }, { make: will.make }),
    messageCase(
      "will after a farewell",
      will.wire,
      { refuse: "WILL_NOT_CURRENT" },
      { make: will.make, before: [alive.wire, farewell.wire] },
    ),
    messageCase(
      "will for the second time",
      will.wire,
      { refuse: "REPLAY" },
      { make: will.make, before: [alive.wire, will.wire] },
    ),
    refused("DECRYPTION_FAILED", "another context", {}, { context: "home/garage" }),
    refused("UNKNOWN_TOPIC_KEY", "another topic key", { topicKey: hex(OTHER_TOPIC_KEY) }),
    refused("UNTRUSTED_KEY", "a stranger with the topic key", { seed: hex(MALLORY) }),
    damaged("UNKNOWN_TOPIC_KEY", "key id with a bit flipped", changed(wire, 4, 1)),
    damaged("DECRYPTION_FAILED", "session with a bit flipped", changed(wire, 9, 1)),
    damaged("DECRYPTION_FAILED", "sequence raised by one", changed(wire, 21, 1)),
    damaged("DECRYPTION_FAILED", "first byte of the ciphertext flipped", changed(wire, 24, 0x80)),
    damaged("DECRYPTION_FAILED", "last byte of the tag flipped", changed(wire, wire.length - 1, 1)),
    damaged(
      "BAD_SIGNATURE",
      "signature of somebody else",
      sealed({ signature: sign(named("digest"), mallory.secretKey) }),
    ),
    damaged(
      "BAD_SIGNATURE",
      "signature with S raised by the group order",
      sealed({ signature: nonCanonical(plaintext.signature) }),
    ),
    damaged("BAD_SIGNATURE", "signature of zeros", sealed({ signature: new Uint8Array(64) })),
    damaged(
      "BAD_SIGNATURE",
      "signature whose R is the neutral point and whose S is 0",
      sealed({ signature: concat([1], new Uint8Array(63)) }),
    ),
    damaged("BAD_SIGNATURE", "delivery changed after signing", sealed({ delivery: "state" })),
    damaged("BAD_SIGNATURE", "sentAt changed after signing", sealed({ sentAt: NOW + 1 })),
    damaged("BAD_SIGNATURE", "payload changed after signing", sealed({ payload: unhex(utf8("Hi Rob!")) })),
    damaged(
      "BAD_SIGNATURE",
      "moved to another session after signing",
      sealed({}, { session: named("other").slice(0, 12) }),
    ),
    damaged("BAD_SIGNATURE", "moved to another sequence after signing", sealed({}, { sequence: 1 })),
    damaged("BAD_SIGNATURE", "moved to another context after signing", sealed({}, { context: "home/garage" }), {
      context: "home/garage",
    }),
    damaged(
      "BAD_SIGNATURE",
      "own id, signed by another",
      sealed({ senderHint: toTableKey(participantId(signingKeyPair(BOB).publicKey), 8) }),
    ),
    damaged(
      "MALFORMED_MESSAGE",
      "a delivery that version 1 does not know (255)",
      sealed({ delivery: "x" as AnyDelivery }),
    ),
    damaged("MALFORMED_MESSAGE", "will with sequence 1", makeMessage({ delivery: "will", sequence: 1 }).wire),
    damaged(
      "MALFORMED_MESSAGE",
      "alive that names 5 bytes",
      makeMessage({ delivery: "alive", payload: "0102030405" }).wire,
    ),
    damaged(
      "MALFORMED_MESSAGE",
      "ciphertext of 94 bytes",
      encode([1, 0, wire.slice(4, 8), SESSION, 0, new Uint8Array(94)]),
    ),
    damaged(
      "DECRYPTION_FAILED",
      "ciphertext of 95 bytes",
      encode([1, 0, wire.slice(4, 8), SESSION, 0, new Uint8Array(95)]),
    ),
    damaged("MALFORMED_MESSAGE", "cut after 20 bytes", short),
    ...malformedBytes(wire).map(([name, bytes]) => damaged("MALFORMED_MESSAGE", name, bytes)),
    ...[0, 2, 23].map((version) =>
      damaged("UNSUPPORTED_VERSION", `version ${version}`, concat([0x86, version], wire.slice(2))),
    ),
    damaged("UNSUPPORTED_VERSION", "version 24", concat([0x86, 0x18, 24], wire.slice(2))),
    damaged("UNSUPPORTED_VERSION", "version 2 in a shape of its own", concat([0x82, 2, 0xa0])),
  ];
}

/** Bytes that are not the one deterministic encoding of six items. */
function malformedBytes(wire: Uint8Array): [string, Uint8Array][] {
  const keyId = wire.slice(4, 8);
  const ciphertext = new Uint8Array(100);
  const items = (sequence: number[], type: number[] = [0]) =>
    concat([0x86, 1], type, [0x44], keyId, [0x4c], SESSION, sequence, [0x58, 100], ciphertext);
  return [
    ["no bytes", new Uint8Array(0)],
    ["one byte", new Uint8Array([0x86])],
    ["bytes of stringphone 0.1", concat([0x73], new Uint8Array(130))],
    ["a byte after the end", concat(wire, [0])],
    ["two messages in one", concat(wire, wire)],
    ["array of indefinite length", concat([0x9f], wire.slice(1), [0xff])],
    ["array length not in its shortest form", concat([0x98, 6], wire.slice(1))],
    ["version not in its shortest form", concat([0x86, 0x18, 1], wire.slice(2))],
    ["type not in its shortest form", items([0], [0x18, 0])],
    ["sequence in one byte too many", items([0x18, 5])],
    ["sequence in 2 bytes instead of 1", items([0x19, 0, 0xff])],
    ["sequence in 4 bytes instead of 2", items([0x1a, 0, 0, 0xff, 0xff])],
    ["sequence in 8 bytes instead of 4", items([0x1b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])],
    ["sequence 2^53", items([0x1b, 0, 0x20, 0, 0, 0, 0, 0, 0])],
    ["sequence 2^64 − 1", items([0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
    ["negative sequence", items([0x20])],
    ["sequence as a float", items([0xf9, 0x3c, 0])],
    ["sequence as a big number", items([0xc2, 0x41, 5])],
    ["sequence null", items([0xf6])],
    ["sequence true", items([0xf5])],
    ["sequence as text", items([0x61, 0x35])],
    ["sequence with reserved additional information", items([0x1c])],
    ["type 3", items([0], [3])],
    ["session of 11 bytes", encode([1, 0, keyId, SESSION.slice(1), 0, ciphertext])],
    ["key id of 5 bytes", encode([1, 0, new Uint8Array(5), SESSION, 0, ciphertext])],
    ["key id as text", encode([1, 0, "abcd", SESSION, 0, ciphertext])],
    ["five items", encode([1, 0, keyId, SESSION, 0])],
    ["seven items", encode([1, 0, keyId, SESSION, 0, ciphertext, 0])],
    ["an array in place of the ciphertext", encode([1, 0, keyId, SESSION, 0, []])],
    ["a map", concat([0xa1, 1, 0])],
    ["an integer alone", concat([1])],
    ["a tagged message", concat([0xd8, 0x18], wire)],
    ["ciphertext of indefinite length", concat([0x86, 1, 0, 0x44], keyId, [0x4c], SESSION, [0, 0x5f, 0x41, 0, 0xff])],
    [
      "ciphertext longer than the bytes",
      concat([0x86, 1, 0, 0x44], keyId, [0x4c], SESSION, [0, 0x5a, 0xff, 0xff, 0xff, 0xff]),
    ],
    ["arrays nested 10,000 deep", concat(new Array(10_000).fill(0x81), [0])],
  ];
}

/** Bob's wrap key, which he made at this time, in the topic that is called as its context. */
function wrapStatement(version = NOW): string {
  const { publicKey } = diffieHellmanKeyPair(named("wrap"));
  return hex(formatWrap(signWrap(new Identity(BOB), CONTEXT, publicKey, version)));
}

type MakeIntroduction = NonNullable<IntroductionCase["make"]>;

/** What Bob's introduction is made of. He made the wrap key for it, unless it is said which one he has. */
function introduction(changes: Partial<MakeIntroduction> = {}): MakeIntroduction {
  const { sentAt = NOW } = changes;
  const usual = { seed: hex(BOB), kemSeed: hex(named("kem")), wrapStatement: wrapStatement(sentAt) };
  return { ...usual, name: "Bob's phone", sentAt, context: CONTEXT, ...changes };
}

function introductionCases(): IntroductionCase[] {
  const receiver = { now: NOW, context: CONTEXT };
  const good = (
    name: string,
    changes: Partial<MakeIntroduction> = {},
    at: Partial<typeof receiver> = {},
  ): IntroductionCase => {
    const make = introduction(changes);
    const wire = introductionOf(make);
    const senderKey = hex(signingKeyPair(unhex(make.seed)).publicKey);
    const id = hex(introductionHash(wire).slice(0, 16));
    return {
      name,
      make,
      wire: hex(wire),
      receiver: { ...receiver, context: make.context, ...at },
      expect: { accept: true, senderKey, name: make.name, id },
    };
  };
  const bad = (code: Code, name: string, wire: Uint8Array, at: Partial<typeof receiver> = {}): IntroductionCase => ({
    name,
    wire: hex(wire),
    receiver: { ...receiver, ...at },
    expect: { refuse: code },
  });
  const wire = introductionOf(introduction());
  const parsed = parse(wire, 0);
  if (parsed.type !== "introduction") throw new Error("not an introduction");
  const { identityKey, kemPublicKey, wrapStatement: wrap, rejoin, sentAt, name, signature } = parsed;
  const items = [1, 1, identityKey, kemPublicKey, wrap, rejoin, sentAt, name, signature];
  const rebuilt = (changes: Record<number, Uint8Array | number | string>) =>
    encode(items.map((item, i) => changes[i] ?? item));
  const none = new Uint8Array(0);
  const mixed = mixedOrderIntroduction(kemPublicKey);
  const junk = signedIntroduction(kemPublicKey, [named("junk"), named("more junk")]);
  return [
    good("introduction"),
    good("without a name", { name: "" }),
    good("name of 64 bytes, not ASCII", { name: "é".repeat(32) }),
    good("10 minutes old", { sentAt: NOW - 600_000 }),
    good("5 minutes ahead", { sentAt: NOW + 300_000 }),
    good("of a newcomer without a clock", { sentAt: 5 }),
    good("to a receiver without a clock", { sentAt: NOW - 86_400_000 }, { now: 0 }),
    good("with the wrap key of an earlier introduction", { wrapStatement: wrapStatement(NOW - 86_400_000) }),
    good("without a wrap statement", { wrapStatement: "" }),
    {
      name: "with a wrap statement and a rejoin proof that are none: a topic without a roster takes them as bytes",
      wire: hex(junk),
      receiver,
      expect: { accept: true, senderKey: hex(identityKey), name: "", id: hex(introductionHash(junk).slice(0, 16)) },
    },
    bad("STALE_MESSAGE", "10 minutes and 1 ms old", introductionOf(introduction({ sentAt: NOW - 600_001 }))),
    bad("CLOCK", "5 minutes and 1 ms ahead", introductionOf(introduction({ sentAt: NOW + 300_001 }))),
    bad("BAD_SIGNATURE", "another context", wire, { context: "home/garage" }),
    bad("BAD_SIGNATURE", "another name", rebuilt({ 7: "Mallory" })),
    bad("BAD_SIGNATURE", "another KEM key", rebuilt({ 3: kemKeyPair(named("other kem")).publicKey })),
    bad("BAD_SIGNATURE", "another identity", rebuilt({ 2: signingKeyPair(MALLORY).publicKey })),
    bad("BAD_SIGNATURE", "another sentAt", rebuilt({ 6: NOW + 1 })),
    bad("BAD_SIGNATURE", "another wrap statement", rebuilt({ 4: unhex(wrapStatement(NOW + 1)) })),
    bad("BAD_SIGNATURE", "the wrap statement taken out after signing", rebuilt({ 4: none })),
    bad("BAD_SIGNATURE", "a rejoin proof added after signing", rebuilt({ 5: new Uint8Array(4) })),
    bad("BAD_SIGNATURE", "signature with S raised by the group order", rebuilt({ 8: nonCanonical(signature) })),
    bad("INVALID_KEY", "identity of mixed order whose signature libsodium accepts", mixed),
    ...SMALL_ORDER_KEYS.map((key, i) => bad("INVALID_KEY", `identity of small order ${i}`, rebuilt({ 2: unhex(key) }))),
    bad("MALFORMED_MESSAGE", "identity of 31 bytes", rebuilt({ 2: identityKey.slice(1) })),
    bad("MALFORMED_MESSAGE", "KEM key of 1,215 bytes", rebuilt({ 3: kemPublicKey.slice(1) })),
    bad("MALFORMED_MESSAGE", "wrap statement of 257 bytes", rebuilt({ 4: new Uint8Array(257) })),
    bad("MALFORMED_MESSAGE", "rejoin proof of 65 bytes", rebuilt({ 5: new Uint8Array(65) })),
    bad("MALFORMED_MESSAGE", "sentAt 2^48", rebuilt({ 6: 2 ** 48 })),
    bad("MALFORMED_MESSAGE", "name of 65 bytes", rebuilt({ 7: "x".repeat(65) })),
    bad("MALFORMED_MESSAGE", "name with a line end", rebuilt({ 7: "a\nb" })),
    bad("MALFORMED_MESSAGE", "name that turns the text around", rebuilt({ 7: "a\u202eb" })),
    bad("MALFORMED_MESSAGE", "name as bytes", rebuilt({ 7: new Uint8Array(3) })),
    bad("MALFORMED_MESSAGE", "name that is not UTF-8", notUtf8(wire, name)),
    bad("MALFORMED_MESSAGE", "signature of 63 bytes", rebuilt({ 8: signature.slice(1) })),
  ];
}

function notUtf8(wire: Uint8Array, name: string): Uint8Array {
  const at = Buffer.from(wire).indexOf(name);
  return changed(wire, at, 0x80);
}

/**
 * An identity with a part of order 8, and an introduction whose signature libsodium accepts: the digest is tried until it
 * cancels that part, which one in eight does. Only the check of the key itself can refuse it.
 */
function mixedOrderIntroduction(kemPublicKey: Uint8Array): Uint8Array {
  const { publicKey, secretKey } = signingKeyPair(named("mixed"));
  const identityKey = mixedOrder(publicKey);
  const none = new Uint8Array(0);
  // Ed25519 hashes the public key from the second half of the secret key.
  const secret = concat(secretKey.slice(0, 32), identityKey);
  for (let sentAt = NOW; ; sentAt++) {
    const digest = hashOfIntroduction(identityKey, kemPublicKey, [none, none], sentAt);
    const signature = sign(digest, secret);
    if (verify(signature, digest, identityKey))
      return encode([1, 1, identityKey, kemPublicKey, none, none, sentAt, "", signature]);
  }
}

/** Wrap statement and rejoin proof. */
type Attached = readonly [Uint8Array, Uint8Array];

function hashOfIntroduction(
  identityKey: Uint8Array,
  kemPublicKey: Uint8Array,
  attached: Attached,
  sentAt: number,
): Uint8Array {
  const label = "stringphone/1 introduction signature";
  return blake2b(encode([label, identityKey, kemPublicKey, ...attached, sentAt, "", CONTEXT]), { dkLen: 32 });
}

/** An introduction of Bob with anything for wrap statement and rejoin proof. */
function signedIntroduction(kemPublicKey: Uint8Array, attached: Attached): Uint8Array {
  const { publicKey, secretKey } = signingKeyPair(BOB);
  const signature = sign(hashOfIntroduction(publicKey, kemPublicKey, attached, NOW), secretKey);
  return encode([1, 1, publicKey, kemPublicKey, ...attached, NOW, "", signature]);
}

function replyCases(): ReplyCase[] {
  const first = introduction();
  const introductionWire = introductionOf(first);
  const encapsulationSeed = hex(concat(named("encapsulation 1"), named("encapsulation 2")));
  const make = {
    seed: hex(ALICE),
    topicKey: hex(TOPIC_KEY),
    generation: 0,
    introduction: hex(introductionWire),
    encapsulationSeed,
    context: CONTEXT,
  };
  const receiver = { introduction: hex(introductionWire), kemSeed: first.kemSeed, context: CONTEXT };
  const wire = replyOf(make);
  const bad = (code: Code, name: string, bytes: Uint8Array, at: Partial<typeof receiver> = {}): ReplyCase => ({
    name,
    wire: hex(bytes),
    receiver: { ...receiver, ...at },
    expect: { refuse: code },
  });
  const good = (name: string, changes: Partial<typeof make>): ReplyCase => {
    const made = { ...make, ...changes };
    const { topicKey, generation } = made;
    const sponsorKey = hex(signingKeyPair(unhex(made.seed)).publicKey);
    const expect = { accept: true, sponsorKey, topicKey, generation } as const;
    return {
      name,
      make: made,
      wire: hex(replyOf(made)),
      receiver: { ...receiver, introduction: made.introduction },
      expect,
    };
  };
  const forged = (parts: Partial<ReplyParts>) => forgedReply(introductionWire, encapsulationSeed, parts);
  if (hex(forged({})) !== hex(wire))
    throw new Error("the reply written from PROTOCOL §9.2 is another than the library's");
  const secondMake = introduction({ kemSeed: hex(named("second kem")) });
  const kemAt = 2 + 1 + 16 + 3 + 1;
  return [
    good("reply", {}),
    good("reply of another sponsor, with a topic key of its own", {
      seed: hex(MALLORY),
      topicKey: hex(OTHER_TOPIC_KEY),
    }),
    good("reply to an introduction without a wrap statement", {
      introduction: hex(introductionOf(introduction({ wrapStatement: "" }))),
    }),
    good("reply with the key of generation 7", { generation: 7 }),
    good("reply with the key of the greatest generation", { generation: 2 ** 40 }),
    bad("DECRYPTION_FAILED", "another introduction with the same KEM key", wire, {
      introduction: hex(introductionOf(introduction({ name: "other" }))),
    }),
    bad("DECRYPTION_FAILED", "another introduction with another KEM key", wire, {
      introduction: hex(introductionOf(secondMake)),
      kemSeed: secondMake.kemSeed,
    }),
    bad("DECRYPTION_FAILED", "another context", wire, { context: "home/garage" }),
    bad("DECRYPTION_FAILED", "KEM ciphertext with a bit flipped", changed(wire, kemAt + 5, 1)),
    bad("DECRYPTION_FAILED", "X25519 part of the KEM ciphertext flipped", changed(wire, kemAt + 1110, 1)),
    bad(
      "DECRYPTION_FAILED",
      "KEM ciphertext whose X25519 part is of small order",
      concat(wire.slice(0, kemAt + 1088), new Uint8Array(32), wire.slice(kemAt + 1120)),
    ),
    bad("DECRYPTION_FAILED", "last byte flipped", changed(wire, wire.length - 1, 1)),
    bad("BAD_SIGNATURE", "signed by another than the sponsor named", forged({ signer: MALLORY })),
    bad("BAD_SIGNATURE", "topic key replaced after signing", forged({ signedTopicKey: OTHER_TOPIC_KEY })),
    bad("INVALID_KEY", "sponsor of small order", forged({ sponsorKey: unhex(SMALL_ORDER_KEYS[0] as string) })),
    bad("INVALID_KEY", "sponsor of mixed order", forged({ sponsorKey: mixedOrder(signingKeyPair(ALICE).publicKey) })),
    bad("BAD_SIGNATURE", "generation changed after signing", forged({ items: { 3: 1 } })),
    bad("MALFORMED_MESSAGE", "epoch 1 without roots", forged({ items: { 2: 1 } })),
    bad("MALFORMED_MESSAGE", "generation 2^40 + 1", forged({ items: { 3: 2 ** 40 + 1 } })),
    bad("MALFORMED_MESSAGE", "topic key of 31 bytes", forged({ items: { 4: new Uint8Array(31) } })),
    bad("MALFORMED_MESSAGE", "topic key of 80 bytes without roots", forged({ items: { 4: new Uint8Array(80) } })),
    bad("MALFORMED_MESSAGE", "salt without roots", forged({ items: { 5: new Uint8Array(16) } })),
    bad("MALFORMED_MESSAGE", "salt of 32 bytes", forged({ items: { 5: new Uint8Array(32) } })),
    bad("MALFORMED_MESSAGE", "roots without a salt", forged({ items: { 6: [new Uint8Array(32)] } })),
    bad("MALFORMED_MESSAGE", "statements without roots", forged({ items: { 7: [new Uint8Array(32)] } })),
    bad("MALFORMED_MESSAGE", "head without roots", forged({ items: { 8: new Uint8Array(32) } })),
    bad("MALFORMED_MESSAGE", "rejoin secret without roots", forged({ items: { 9: new Uint8Array(32) } })),
    bad(
      "MALFORMED_MESSAGE",
      "KEM ciphertext of 1,119 bytes",
      encode([1, 2, new Uint8Array(16), new Uint8Array(1119), new Uint8Array(150)]),
    ),
    bad(
      "MALFORMED_MESSAGE",
      "introduction id of 15 bytes",
      encode([1, 2, new Uint8Array(15), new Uint8Array(1120), new Uint8Array(150)]),
    ),
    bad(
      "DECRYPTION_FAILED",
      "ciphertext of 1,025 bytes that does not open",
      encode([
        1,
        2,
        introductionHash(introductionWire).slice(0, 16),
        wire.slice(kemAt, kemAt + 1120),
        new Uint8Array(1025),
      ]),
    ),
    bad(
      "MALFORMED_MESSAGE",
      "ciphertext of 15 bytes",
      encode([1, 2, new Uint8Array(16), new Uint8Array(1120), new Uint8Array(15)]),
    ),
  ];
}

/** What the sponsor of a reply signs and encrypts, written from PROTOCOL §9.2: any of it may be changed. */
interface ReplyParts {
  readonly signer: Uint8Array;
  readonly sponsorKey: Uint8Array;
  readonly signedTopicKey: Uint8Array;
  readonly items: Record<number, CborItem>;
}

function forgedReply(introduction: Uint8Array, encapsulationSeed: string, parts: Partial<ReplyParts>): Uint8Array {
  const {
    signer = ALICE,
    sponsorKey = signingKeyPair(ALICE).publicKey,
    signedTopicKey = TOPIC_KEY,
    items = {},
  } = parts;
  const wire = parse(introduction, 0);
  if (wire.type !== "introduction") throw new Error("not an introduction");
  const encapsulated = kemEncapsulate(wire.kemPublicKey, unhex(encapsulationSeed));
  if (encapsulated === undefined) throw new Error("not a KEM key");
  const { ciphertext, sharedSecret } = encapsulated;
  const none = new Uint8Array(0);
  const rest: CborItem[] = [none, [], [], none, none];
  const name = introductionHash(introduction);
  const kemHash = hash("kemCiphertext", ciphertext);
  const { commitment } = new TopicKey(signedTopicKey);
  const digest = hash(
    "replySignature",
    name,
    kemHash,
    sponsorKey,
    0,
    commitment,
    hash("replyRest", 0, ...rest),
    CONTEXT,
  );
  const signature = sign(digest, signingKeyPair(signer).secretKey);
  const inside = [sponsorKey, signature, 0, 0, TOPIC_KEY, ...rest].map((item, i) => items[i] ?? item);
  const key = kdf(sharedSecret, "replyKey", name);
  const data = encode(["stringphone/1 reply", name, kemHash, CONTEXT]);
  const sealed = seal(key, new Uint8Array(24), data, encode(inside));
  return encode([1, 2, name.slice(0, 16), ciphertext, sealed]);
}

function keyCases(): KeyCase[] {
  const honest = [ALICE, BOB, MALLORY].map((seed, i): KeyCase => {
    const { publicKey } = signingKeyPair(seed);
    return {
      name: `honest key ${i}`,
      publicKey: hex(publicKey),
      accept: true,
      id: hex(participantId(publicKey)),
      fingerprint: fingerprint(publicKey),
    };
  });
  const bad = (name: string, publicKey: string): KeyCase => ({ name, publicKey, accept: false });
  return [
    ...honest,
    ...SMALL_ORDER_KEYS.map((key, i) => bad(`small order ${i}`, key)),
    bad("mixed order", hex(mixedOrder(signingKeyPair(ALICE).publicKey))),
    bad("not on the curve", `02${"00".repeat(31)}`),
    bad("y = 2^255 − 19 + 3, which is not canonical", `f0${"ff".repeat(30)}7f`),
    bad("y = 2^255 − 1, which is not canonical", `${"ff".repeat(31)}7f`),
  ];
}

/** Makes all of them. */
export async function makeVectors(): Promise<Vectors> {
  await loadCrypto();
  if (isIdentityKey(mixedOrder(signingKeyPair(ALICE).publicKey))) throw new Error("a mixed-order key was accepted");
  const person = (seed: Uint8Array) => {
    const { publicKey } = signingKeyPair(seed);
    return { seed: hex(seed), publicKey: hex(publicKey), id: hex(participantId(publicKey)) };
  };
  const key = new TopicKey(TOPIC_KEY);
  const secrets = {
    alice: person(ALICE),
    bob: person(BOB),
    mallory: person(MALLORY),
    topic: {
      topicKey: hex(TOPIC_KEY),
      keyId: hex(key.id),
      messageKey: hex(TopicKey.messageKeyOf(key)),
      commitment: hex(key.commitment),
    },
  };
  return {
    messages: {
      about: "Messages to Bob, who trusts Alice and has the topic key. See README.md.",
      secrets,
      cases: [...acceptedMessages(), ...refusedMessages()],
    },
    batches: { about: "Batches to Bob, as messages.json has him. See README.md.", cases: batchCases() },
    introductions: { about: "Introductions as a sponsor meets them. See README.md.", cases: introductionCases() },
    replies: { about: "Replies as the newcomer of an introduction meets them. See README.md.", cases: replyCases() },
    keys: { about: "Identity public keys to accept or refuse. See README.md.", cases: keyCases() },
  };
}
