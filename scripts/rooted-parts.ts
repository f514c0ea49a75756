/**
 * What the vectors of rooted topics are made of, written from docs/PROTOCOL.md and not from the code: a test makes each of them with
 * the library too, and compares. Any part may be another than an honest program puts there.
 */
import { blake2b } from "@noble/hashes/blake2.js";
import { type CborItem, decode, encode } from "../src/cbor.js";
import {
  diffieHellman,
  diffieHellmanKeyPair,
  kemEncapsulate,
  kemKeyPair,
  seal,
  sign,
  signingKeyPair,
} from "../src/crypto.js";
import type { AnyStringphoneError } from "../src/errors.js";
import { participantId } from "../src/identity.js";
import { CONTEXT, hex, NOW, named, TOPIC_KEY } from "./vector-secrets.js";

export type Code = AnyStringphoneError["code"];
export type Role = "revoked" | "reader" | "publisher" | "admin";

export const NONE = new Uint8Array(0);
const ZERO_NONCE = new Uint8Array(24);
const ROLES: readonly Role[] = ["revoked", "reader", "publisher", "admin"];

/** H and KDF of PROTOCOL §3. */
export const H = (label: string, ...items: CborItem[]): Uint8Array =>
  blake2b(encode([`stringphone/1 ${label}`, ...items]), { dkLen: 32 });
export const KDF = (key: Uint8Array, label: string, ...items: CborItem[]): Uint8Array =>
  blake2b(encode([`stringphone/1 ${label}`, ...items]), { key, dkLen: 32 });

export const commitmentOf = (topicKey: Uint8Array): Uint8Array => KDF(topicKey, "commitment");
export const keyIdOf = (topicKey: Uint8Array): Uint8Array => KDF(topicKey, "key id").slice(0, 4);
export const rejoinSecretOf = (topicKey: Uint8Array): Uint8Array => KDF(topicKey, "rejoin secret");

export function concat(...parts: (Uint8Array | number[])[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts.map((part) => Buffer.from(part))));
}

/** The key of this topic key that many generations later. */
export function generationOf(topicKey: Uint8Array, generation: number): Uint8Array {
  let key = topicKey;
  for (let i = 0; i < generation; i++) key = KDF(key, "next generation");
  return key;
}

export interface Person {
  readonly seed: Uint8Array;
  readonly key: Uint8Array;
  readonly hex: string;
  readonly hint: Uint8Array;
  readonly wrapSecret: Uint8Array;
  readonly wrapKey: Uint8Array;
}

const people = new Map<string, Person>();

/** Somebody whose seed and wrap secret follow from the name. */
export function person(name: string): Person {
  let known = people.get(name);
  if (known === undefined) {
    const seed = named(name);
    const key = signingKeyPair(seed).publicKey;
    const { secretKey: wrapSecret, publicKey: wrapKey } = diffieHellmanKeyPair(named(`wrap of ${name}`));
    known = { seed, key, hex: hex(key), hint: participantId(key).slice(0, 8), wrapSecret, wrapKey };
    people.set(name, known);
  }
  return known;
}

export function signedBy(name: string, digest: Uint8Array): Uint8Array {
  return sign(digest, signingKeyPair(person(name).seed).secretKey);
}

/** A topic: its roots are names of people. */
export interface Place {
  readonly salt: Uint8Array;
  readonly roots: readonly string[];
  readonly name: string;
}

export const saltOf = (commitment: Uint8Array): Uint8Array => H("salt", commitment).slice(0, 16);

export const KITCHEN: Place = { salt: saltOf(commitmentOf(TOPIC_KEY)), roots: ["alice"], name: CONTEXT };

export function rootsOf({ roots }: Place): Uint8Array[] {
  return roots.map((root) => person(root).key);
}

export function topicIdOf(place: Place): Uint8Array {
  return H("topic id", rootsOf(place), place.salt);
}

export interface ShownTopic {
  readonly salt: string;
  readonly roots: readonly string[];
  readonly name: string;
}

export function shownTopic(place: Place): ShownTopic {
  return { salt: hex(place.salt), roots: rootsOf(place).map(hex), name: place.name };
}

type Changes = Readonly<Record<number, CborItem>>;

function changed(items: readonly CborItem[], changes: Changes = {}): CborItem[] {
  return items.map((item, i) => changes[i] ?? item);
}

export interface WrapParts {
  readonly signer?: string;
  readonly wrapKey?: Uint8Array;
  readonly version?: number;
  readonly topicName?: string;
}

/** The items of a wrap statement that travels alone: kind, identity, wrap key, version, signature. */
function wrapItems(who: string, { signer = who, wrapKey, version = NOW, topicName = CONTEXT }: WrapParts = {}) {
  const { key, wrapKey: own } = person(who);
  const signed = [key, wrapKey ?? own, version];
  return [1, ...signed, signedBy(signer, H("wrap statement", ...signed, topicName))];
}

/** A wrap statement as it travels alone; `after` the signature any item may be changed. */
export function wrapAlone(who: string, parts?: WrapParts, after?: Changes): Uint8Array {
  return encode(changed(wrapItems(who, parts), after));
}

/** The same as it stands within an admission or an introduction. */
export function wrapWithin(who: string, parts?: WrapParts, after?: Changes): Uint8Array {
  return encode(changed(wrapItems(who, parts).slice(2), after));
}

export interface RoleParts {
  readonly signer?: string;
  readonly name?: string;
  readonly head?: Uint8Array;
  readonly wrap?: Uint8Array;
  readonly topicId?: Uint8Array;
  /** Items in the place of others before the signature, and after it. */
  readonly before?: Changes;
  readonly after?: Changes;
}

/** The items of a role statement: kind, issuer, subject, version, role, name, head, wrap statement within, signature. */
export function roleItems(issuer: string, subject: string, version: number, role: Role, parts: RoleParts = {}) {
  const { signer = issuer, name = "", head = NONE, wrap = NONE, topicId = topicIdOf(KITCHEN) } = parts;
  const plain = [0, person(issuer).key, person(subject).key, version, ROLES.indexOf(role), name, head, wrap];
  const items = changed(plain, parts.before);
  const signature = signedBy(signer, H("role statement", topicId, ...items.slice(1)));
  return changed([...items, signature], parts.after);
}

export function roleStatement(
  issuer: string,
  subject: string,
  version: number,
  role: Role,
  parts?: RoleParts,
): Uint8Array {
  return encode(roleItems(issuer, subject, version, role, parts));
}

export function statementName(bytes: Uint8Array): string {
  return hex(H("statement", bytes));
}

// ——— The roster and its digest ———

/** Who is on a roster, or was: role and rank by name. */
export type Standings = Readonly<Record<string, readonly [role: Role, rank: number]>>;

export interface Row {
  readonly participant: string;
  readonly role: string;
  readonly rank: number;
}

/** By rank, then by public key. */
export function rowsOf(standings: Standings): Row[] {
  return Object.entries(standings)
    .map(([name, [role, rank]]) => ({ participant: person(name).hex, role, rank }))
    .sort((a, b) => a.rank - b.rank || (a.participant < b.participant ? -1 : 1));
}

interface Named {
  readonly name: string;
  readonly version: number;
}

/** The digest of PROTOCOL §10.7 of statements that were all taken in, and of the roster that they give. */
export function digestOf(statements: readonly Uint8Array[], standings: Standings): Uint8Array {
  const byKey = new Map(Object.entries(standings).map(([name, [role]]) => [person(name).hex, role]));
  const said = new Map<string, Named & { readonly role: number; readonly issuer: string; readonly subject: string }>();
  const wraps = new Map<string, Named & { readonly wrapKey: string }>();
  const noteWrap = (identity: Uint8Array, [wrapKey, version, signature]: readonly CborItem[]) => {
    const alone = encode([1, identity, wrapKey as Uint8Array, version as number, signature as Uint8Array]);
    const one = { name: statementName(alone), version: version as number, wrapKey: hex(wrapKey as Uint8Array) };
    const other = wraps.get(hex(identity));
    const isNewer =
      other === undefined ||
      one.version > other.version ||
      (one.version === other.version && one.wrapKey > other.wrapKey);
    if (isNewer) wraps.set(hex(identity), one);
  };
  for (const bytes of statements) {
    const items = itemsOf(bytes);
    if (items[0] === 1) {
      noteWrap(items[1] as Uint8Array, items.slice(2));
      continue;
    }
    const [issuer, subject] = [hex(items[1] as Uint8Array), hex(items[2] as Uint8Array)];
    const within = items[7] as Uint8Array;
    if (within.length > 0) noteWrap(items[2] as Uint8Array, itemsOf(within));
    const one = {
      name: statementName(bytes),
      version: items[3] as number,
      role: items[4] as number,
      issuer,
      subject,
    };
    if (issuer === subject && one.role !== 0) continue;
    const other = said.get(issuer + subject);
    const order =
      other === undefined
        ? 1
        : one.version - other.version || other.role - one.role || (one.name < other.name ? 1 : -1);
    if (order > 0) said.set(issuer + subject, one);
  }
  const names: string[] = [];
  for (const { name, issuer, subject } of said.values()) {
    if (issuer === subject ? byKey.has(subject) : byKey.get(issuer) === "admin") names.push(name);
  }
  for (const [identity, { name }] of wraps) {
    if ((byKey.get(identity) ?? "revoked") !== "revoked") names.push(name);
  }
  return H("statement set", new Uint8Array(Buffer.from(names.sort().join(""), "hex")));
}

function itemsOf(bytes: Uint8Array): readonly CborItem[] {
  return decode(bytes, { maxDepth: 1, maxItems: 10, maxTextBytes: 64 }) as readonly CborItem[];
}

// ——— Rekeys ———

export const REASONS = ["requested", "removal", "repair"] as const;

export interface RekeyFacts {
  readonly issuer?: string;
  readonly parentKey?: Uint8Array;
  readonly epoch?: number;
  readonly reason?: (typeof REASONS)[number];
  /** What all randomness of it follows from. */
  readonly draw?: string;
  readonly recipients?: readonly { readonly identityKey: Uint8Array; readonly wrapKey: Uint8Array }[];
  readonly digest?: Uint8Array;
  /** Those that go out with it. */
  readonly statements?: readonly Uint8Array[];
  readonly topicId?: Uint8Array;
}

/** What no honest program does to a rekey. */
export interface RekeyForgery {
  readonly signer?: string;
  readonly ephemeralKey?: Uint8Array;
  readonly wraps?: (wraps: Uint8Array) => Uint8Array;
  readonly commitment?: Uint8Array;
  readonly after?: Changes;
}

export interface MadeRekey {
  readonly bytes: Uint8Array;
  readonly head: Uint8Array;
  readonly items: readonly CborItem[];
  readonly topicKey: Uint8Array;
  readonly commitment: Uint8Array;
  readonly ephemeralSecret: Uint8Array;
  readonly secret: Uint8Array;
  readonly statements: readonly Uint8Array[];
}

/** What a rekey says of those that go out with it. */
export const statementsHashOf = (statements: readonly Uint8Array[]): Uint8Array => H("rekey statements", statements);

/** Everybody named, as those to whom a rekey is wrapped. */
export function recipientsOf(...names: readonly string[]): NonNullable<RekeyFacts["recipients"]> {
  return names.map((name) => ({ identityKey: person(name).key, wrapKey: person(name).wrapKey }));
}

export function rekeyOf(facts: RekeyFacts = {}, forgery: RekeyForgery = {}): MadeRekey {
  const { issuer = "alice", parentKey = TOPIC_KEY, epoch = 1, reason = "requested", draw = "rekey" } = facts;
  const { recipients = recipientsOf(issuer, "bob"), digest = named("digest"), topicId = topicIdOf(KITCHEN) } = facts;
  const { statements = [] } = facts;
  const issuerKey = person(issuer).key;
  const parent = commitmentOf(parentKey);
  const ephemeral = diffieHellmanKeyPair(named(`ephemeral of ${draw}`));
  const ephemeralKey = forgery.ephemeralKey ?? ephemeral.publicKey;
  const secret = named(`secret of ${draw}`);
  const wrapped = recipients.map(({ identityKey, wrapKey }) => {
    const shared = diffieHellman(ephemeral.secretKey, wrapKey);
    if (shared === undefined) throw new Error("a wrap key of low order");
    const key = KDF(shared, "wrap", topicId, ephemeralKey, identityKey, wrapKey, issuerKey, parent, epoch);
    return seal(key, ZERO_NONCE, NONE, secret);
  });
  const wraps = (forgery.wraps ?? ((same) => same))(concat(...wrapped));
  const hints = concat(...recipients.map(({ identityKey }) => participantId(identityKey).slice(0, 8)));
  const front = [issuerKey, parent, epoch, REASONS.indexOf(reason), ephemeralKey, hints];
  const wrapsHash = H("wraps", wraps);
  const statementsHash = statementsHashOf(statements);
  const body = H("rekey", topicId, ...front, wrapsHash, digest, statementsHash);
  const topicKey = KDF(parentKey, "epoch key", secret, epoch, body);
  const commitment = forgery.commitment ?? commitmentOf(topicKey);
  const signature = signedBy(forgery.signer ?? issuer, H("rekey signature", body, commitment));
  const items = changed([...front, wraps, digest, statementsHash, commitment, signature], forgery.after);
  const head = encode(changed(items, { 6: wrapsHash }));
  const secrets = { ephemeralSecret: ephemeral.secretKey, secret };
  return { bytes: encode(items), head, items, topicKey, commitment, ...secrets, statements };
}

// ——— Control messages ———

export interface ControlFacts {
  readonly topicKey?: Uint8Array;
  readonly session: Uint8Array;
  readonly context?: string;
  readonly sequence?: number;
  /** The first 8 bytes of the plaintext. */
  readonly hint?: Uint8Array;
}

export function sealedControl(payload: Uint8Array, facts: ControlFacts): Uint8Array {
  const { topicKey = TOPIC_KEY, session, context = CONTEXT, sequence = 0, hint = new Uint8Array(8) } = facts;
  const keyId = keyIdOf(topicKey);
  const nonce = concat(session, new Uint8Array(11), [sequence]);
  const data = encode(["stringphone/1 message", keyId, session, sequence, context]);
  const sealed = seal(KDF(topicKey, "message key"), nonce, data, concat(hint, [5], payload));
  return encode([1, 0, keyId, session, sequence, sealed]);
}

// ——— The family that most cases are about ———

/** Alice is the root, Dave an admin of hers, Bob a publisher and Carol a reader. */
export const FAMILY: Standings = {
  alice: ["admin", 0],
  dave: ["admin", 1],
  bob: ["publisher", 1],
  carol: ["reader", 1],
};

/** An admission with the wrap statement and the head that belong into one. */
export function admission(issuer: string, subject: string, version: number, role: Role, parts: RoleParts = {}) {
  const whole = { name: subject, head: commitmentOf(TOPIC_KEY), wrap: wrapWithin(subject), ...parts };
  return roleStatement(issuer, subject, version, role, whole);
}

export function familyStatements(): Uint8Array[] {
  return [
    wrapAlone("alice"),
    admission("alice", "dave", 1, "admin"),
    admission("alice", "bob", 1, "publisher"),
    admission("alice", "carol", 1, "reader"),
  ];
}

// ——— Introductions and replies ———

export interface IntroductionFacts {
  readonly who?: string;
  readonly kem?: string;
  readonly wrap?: Uint8Array;
  readonly rejoin?: Uint8Array | { readonly epoch: number; readonly secret: Uint8Array };
  readonly sentAt?: number;
  readonly name?: string;
  readonly context?: string;
}

export const kemSeedOf = (kem: string): Uint8Array => named(`kem of ${kem}`);

export function introductionOf(facts: IntroductionFacts = {}): Uint8Array {
  const { who = "bob", kem = who, sentAt = NOW, name = "", context = CONTEXT, rejoin = NONE } = facts;
  const { wrap = wrapWithin(who, { version: sentAt }) } = facts;
  const keys = [person(who).key, kemKeyPair(kemSeedOf(kem)).publicKey, wrap];
  const rest = [sentAt, name, context];
  const proof =
    rejoin instanceof Uint8Array
      ? rejoin
      : encode([rejoin.epoch, KDF(rejoin.secret, "rejoin proof", H("rejoin introduction", ...keys, ...rest))]);
  const signature = signedBy(who, H("introduction signature", ...keys, proof, ...rest));
  return encode([1, 1, ...keys, proof, sentAt, name, signature]);
}

export const introductionHashOf = (introduction: Uint8Array): Uint8Array => H("introduction", introduction);

export interface ReturnWrap {
  readonly topicKey: Uint8Array;
  readonly rejoinSecret: Uint8Array;
  readonly identityKey: Uint8Array;
  readonly wrapKey: Uint8Array;
  readonly ephemeralSecret: Uint8Array;
  readonly introduction: Uint8Array;
}

/** A topic key and a rejoin secret that are wrapped once more, for who comes back. */
export function returnWrapOf(facts: ReturnWrap) {
  const { topicKey, rejoinSecret, identityKey, wrapKey, ephemeralSecret, introduction } = facts;
  const { publicKey: ephemeralKey } = diffieHellmanKeyPair(ephemeralSecret);
  const shared = diffieHellman(ephemeralSecret, wrapKey);
  if (shared === undefined) throw new Error("a wrap key of low order");
  const binding = introductionHashOf(introduction);
  const key = KDF(shared, "return wrap", ephemeralKey, identityKey, wrapKey, binding);
  return concat(ephemeralKey, seal(key, ZERO_NONCE, NONE, concat(topicKey, rejoinSecret)));
}

export interface ReplyFacts {
  readonly sponsor?: string;
  readonly signer?: string;
  readonly introduction: Uint8Array;
  readonly encapsulationSeed: Uint8Array;
  readonly context?: string;
  readonly epoch?: number;
  readonly generation?: number;
  /** 32 bytes, or 112. */
  readonly topicKey?: Uint8Array;
  readonly salt?: Uint8Array;
  readonly roots?: readonly Uint8Array[];
  readonly statements?: readonly Uint8Array[];
  readonly head?: Uint8Array;
  readonly rejoinSecret?: Uint8Array;
  /** The rejoin secret that the introduction proved, where the sponsor has it. */
  readonly provenSecret?: Uint8Array | undefined;
  /** Items of the plaintext in the place of others, after the signature. */
  readonly after?: Changes;
  /** What is done to the plaintext before it is sealed. */
  readonly bend?: (plaintext: Uint8Array) => Uint8Array;
}

export function replyOf(facts: ReplyFacts): Uint8Array {
  const { sponsor = "alice", signer = sponsor, introduction, context = CONTEXT, epoch = 0, generation = 0 } = facts;
  const { topicKey = TOPIC_KEY, salt = KITCHEN.salt, roots = rootsOf(KITCHEN) } = facts;
  const { statements = familyStatements(), head = commitmentOf(TOPIC_KEY) } = facts;
  const wrapped = topicKey.length === 112;
  const { rejoinSecret = wrapped ? NONE : rejoinSecretOf(TOPIC_KEY), after, bend = (same) => same } = facts;
  const kemKey = (decode(introduction, { maxDepth: 1, maxItems: 10, maxTextBytes: 64 }) as CborItem[])[3];
  const encapsulated = kemEncapsulate(kemKey as Uint8Array, facts.encapsulationSeed);
  if (encapsulated === undefined) throw new Error("not a KEM key");
  const { ciphertext, sharedSecret } = encapsulated;
  const name = introductionHashOf(introduction);
  const kemHash = H("kem ciphertext", ciphertext);
  const rest = [salt, roots, statements, head, rejoinSecret];
  const restHash = H("reply rest", generation, ...rest);
  const { key } = person(sponsor);
  const called = wrapped ? H("return wrap", topicKey) : KDF(concat(topicKey).slice(0, 32), "commitment");
  const signature = signedBy(signer, H("reply signature", name, kemHash, key, epoch, called, restHash, context));
  const plaintext = bend(encode(changed([key, signature, epoch, generation, topicKey, ...rest], after)));
  const data = encode(["stringphone/1 reply", name, kemHash, context]);
  const { provenSecret: proven } = facts;
  const replyKey =
    proven === undefined
      ? KDF(sharedSecret, "reply key", name)
      : KDF(sharedSecret, "returning reply key", name, proven);
  const sealed = seal(replyKey, ZERO_NONCE, data, plaintext);
  return encode([1, 2, name.slice(0, 16), ciphertext, sealed]);
}
