/**
 * What is signed about a participant of a rooted topic (PROTOCOL §10.2): its role, by an admin, and its wrap
 * key, by itself. Pure: who may say so is decided where statements are gathered.
 */
import { equalBytes, fromHex, toHex } from "./bytes.js";
import { type CborItem, decode, encode } from "./cbor.js";
import { diffieHellman, hash, randomBytes, verify } from "./crypto.js";
import { BadSignatureError, InvalidKeyError, MalformedMessageError } from "./errors.js";
import { expectIdentityKey, type Identity, participantId } from "./identity.js";
import {
  KEY_BYTES,
  MAX_DISPLAY_NAME_BYTES,
  MAX_STATEMENT_BYTES,
  MAX_STATEMENT_VERSION,
  MAX_WRAP_STATEMENT_BYTES,
  SIGNATURE_BYTES,
} from "./limits.js";
import { bytesItem, displayNameItem, integerItem } from "./message.js";
import type { Role, RoleClaim } from "./roster.js";

const ROLE_STATEMENT = 0;
const WRAP_STATEMENT = 1;
/** The numbers that roles have on the wire, by rising privilege. */
const ROLES: readonly (Role | "revoked")[] = ["revoked", "reader", "publisher", "admin"];

const noBytes = new Uint8Array(0);

/** What statements of one topic are bound to. */
export interface StatementScope {
  readonly topicId: Uint8Array;
  /** The topic's name: wrap statements are made before the id is known. */
  readonly name: string;
}

/** Says which X25519 key somebody can be reached under. */
export interface WrapStatement {
  /** Whose, in hex. */
  readonly identity: string;
  readonly identityKey: Uint8Array;
  readonly wrapKey: Uint8Array;
  readonly version: number;
  readonly signature: Uint8Array;
}

/** Says what somebody may do. Participants are public keys in hex. */
export interface RoleStatement extends RoleClaim {
  readonly issuerKey: Uint8Array;
  readonly subjectKey: Uint8Array;
  /** What the subject is called, for people. */
  readonly name: string;
  /** Names the epoch whose key the subject was given with it, in hex; empty where it was given none. */
  readonly head: string;
  readonly wrap: WrapStatement | undefined;
  readonly signature: Uint8Array;
  /** As it travels. */
  readonly bytes: Uint8Array;
  /** Names it, in hex. */
  readonly hash: string;
}

/** What a role statement says, before it is signed. */
export interface RoleContent {
  readonly subjectKey: Uint8Array;
  readonly version: number;
  readonly role: Role | "revoked";
  readonly name: string;
  readonly head: string;
  readonly wrap: WrapStatement | undefined;
}

export function statementHash(bytes: Uint8Array): string {
  return toHex(hash("statement", bytes));
}

function wrapDigest(name: string, { identityKey, wrapKey, version }: Omit<WrapStatement, "signature">): Uint8Array {
  return hash("wrapStatement", identityKey, wrapKey, version, name);
}

function roleDigest(topicId: Uint8Array, issuerKey: Uint8Array, content: RoleContent): Uint8Array {
  const { subjectKey, version, role, name, head, wrap } = content;
  const items = [topicId, issuerKey, subjectKey, version, ROLES.indexOf(role), name, fromHex(head), wrapItem(wrap)];
  return hash("roleStatement", ...items);
}

function wrapItem(wrap: WrapStatement | undefined): Uint8Array {
  return wrap === undefined ? noBytes : formatWrap(wrap);
}

/** A wrap statement as an introduction and an admission carry it: whose it is stands beside it. */
export function formatWrap({ wrapKey, version, signature }: WrapStatement): Uint8Array {
  return encode([wrapKey, version, signature]);
}

/** A wrap statement as it travels alone. */
export function formatRenewal({ identityKey, wrapKey, version, signature }: WrapStatement): Uint8Array {
  return encode([WRAP_STATEMENT, identityKey, wrapKey, version, signature]);
}

const renewalHashes = new WeakMap<WrapStatement, string>();

/** Names a wrap statement as it travels alone. Made once: each change of a set asks for the names of all in it. */
export function renewalHash(wrap: WrapStatement): string {
  let name = renewalHashes.get(wrap);
  if (name === undefined) {
    name = statementHash(formatRenewal(wrap));
    renewalHashes.set(wrap, name);
  }
  return name;
}

/** Signs that `wrapKey` is ours. */
export function signWrap(identity: Identity, name: string, wrapKey: Uint8Array, version: number): WrapStatement {
  const { publicKey: identityKey, hex } = identity.participant;
  const content = { identity: hex, identityKey, wrapKey, version };
  return { ...content, signature: identity.sign(wrapDigest(name, content)) };
}

/** Signs what somebody may do. */
export function signRole(identity: Identity, topicId: Uint8Array, content: RoleContent): RoleStatement {
  const { publicKey: issuerKey } = identity.participant;
  const signature = identity.sign(roleDigest(topicId, issuerKey, content));
  const { subjectKey, version, role, name, head, wrap } = content;
  const number = ROLES.indexOf(role);
  const items = [
    ROLE_STATEMENT,
    issuerKey,
    subjectKey,
    version,
    number,
    name,
    fromHex(head),
    wrapItem(wrap),
    signature,
  ];
  return parseStatement(encode(items)) as RoleStatement;
}

function itemsOf(bytes: Uint8Array, maxBytes: number): readonly CborItem[] {
  if (bytes.length > maxBytes) throw new MalformedMessageError(`expected a statement of at most ${maxBytes} bytes`);
  const items = decode(bytes, { maxDepth: 1, maxItems: 10, maxTextBytes: MAX_DISPLAY_NAME_BYTES });
  if (typeof items !== "object" || items instanceof Uint8Array) throw new MalformedMessageError("expected an array");
  return items;
}

/** Reads a wrap statement that stands beside the identity that made it. */
export function parseWrap(bytes: Uint8Array, identityKey: Uint8Array): WrapStatement {
  const items = itemsOf(bytes, MAX_WRAP_STATEMENT_BYTES);
  if (items.length !== 3) throw new MalformedMessageError("expected a wrap statement of 3 items");
  return wrapOf(identityKey, items);
}

function wrapOf(identityKey: Uint8Array, [wrapKey, version, signature]: readonly CborItem[]): WrapStatement {
  return {
    identity: toHex(identityKey),
    identityKey,
    wrapKey: bytesItem("a wrap key", wrapKey, KEY_BYTES),
    version: integerItem("a version", version, MAX_STATEMENT_VERSION),
    signature: bytesItem("a signature", signature, SIGNATURE_BYTES),
  };
}

/** Reads a statement, which is not verified yet. */
export function parseStatement(given: Uint8Array): RoleStatement | WrapStatement {
  const bytes = new Uint8Array(given);
  const items = itemsOf(bytes, MAX_STATEMENT_BYTES);
  const [kind] = items;
  if (kind === WRAP_STATEMENT && items.length === 5) {
    return wrapOf(bytesItem("an identity key", items[1], KEY_BYTES), items.slice(2));
  }
  if (kind !== ROLE_STATEMENT || items.length !== 9) {
    throw new MalformedMessageError("expected a statement about a role or a wrap key, with all of its items");
  }
  const issuerKey = bytesItem("an issuer's key", items[1], KEY_BYTES);
  const subjectKey = bytesItem("a subject's key", items[2], KEY_BYTES);
  const role = ROLES[integerItem("a role", items[4], ROLES.length - 1)] as Role | "revoked";
  const head = bytesItem("the commitment of a head", items[6], 0, KEY_BYTES);
  if (head.length !== 0 && head.length !== KEY_BYTES)
    throw new MalformedMessageError("expected a head of 0 or 32 bytes");
  const wrap = bytesItem("a wrap statement", items[7], 0, MAX_WRAP_STATEMENT_BYTES);
  return {
    issuer: toHex(issuerKey),
    subject: toHex(subjectKey),
    issuerKey,
    subjectKey,
    version: integerItem("a version", items[3], MAX_STATEMENT_VERSION),
    role,
    name: displayNameItem(items[5]),
    head: toHex(head),
    wrap: wrap.length === 0 ? undefined : parseWrap(wrap, subjectKey),
    signature: bytesItem("a signature", items[8], SIGNATURE_BYTES),
    bytes,
    hash: statementHash(bytes),
  };
}

export function isRoleStatement(statement: RoleStatement | WrapStatement): statement is RoleStatement {
  return "issuer" in statement;
}

/**
 * Verifies that somebody made a wrap key its own, and that X25519 takes it.
 *
 * @throws InvalidKeyError, BadSignatureError
 */
export function verifyWrap({ name }: StatementScope, wrap: WrapStatement): void {
  // With a point of low order every shared secret is zero: libsodium refuses it with any secret key.
  if (diffieHellman(randomBytes(KEY_BYTES), wrap.wrapKey) === undefined) {
    throw new InvalidKeyError("expected an X25519 public key as wrap key, got a point of low order");
  }
  if (!verify(wrap.signature, wrapDigest(name, wrap), wrap.identityKey)) {
    throw new BadSignatureError(participantId(wrap.identityKey));
  }
}

/**
 * Verifies that the issuer named made this statement; whether it may is not asked here. Not of a wrap statement in it.
 *
 * @throws InvalidKeyError, BadSignatureError
 */
export function verifyRole({ topicId }: StatementScope, statement: RoleStatement): void {
  expectIdentityKey(statement.subjectKey);
  if (!verify(statement.signature, roleDigest(topicId, statement.issuerKey, statement), statement.issuerKey)) {
    throw new BadSignatureError(participantId(statement.issuerKey));
  }
}

/** Whether two wrap statements of somebody are one. */
export function isSameWrap(one: WrapStatement, other: WrapStatement): boolean {
  return (
    one.version === other.version &&
    equalBytes(one.wrapKey, other.wrapKey) &&
    equalBytes(one.signature, other.signature)
  );
}

/** Whether the one wrap statement of somebody takes the place of the other: of equal versions, the greater key and signature. */
export function isNewerWrap(one: WrapStatement, other: WrapStatement | undefined): boolean {
  if (other === undefined || one.version !== other.version) return other === undefined || one.version > other.version;
  return toHex(one.wrapKey) + toHex(one.signature) > toHex(other.wrapKey) + toHex(other.signature);
}
