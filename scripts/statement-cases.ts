/** The test vectors of single statements (PROTOCOL §10.2, §10.3): their form and their signatures, not whether their issuer may. */
import { type CborItem, encode } from "../src/cbor.js";
import { mixedOrder, nonCanonical, SMALL_ORDER_KEYS } from "./edwards.js";
import {
  type Code,
  commitmentOf,
  concat,
  KITCHEN,
  person,
  type Role,
  type RoleParts,
  roleItems,
  roleStatement,
  statementName,
  topicIdOf,
  type WrapParts,
  wrapAlone,
  wrapWithin,
} from "./rooted-parts.js";
import { CONTEXT, hex, NOW, named, TOPIC_KEY, unhex } from "./vector-secrets.js";

export interface MakeRole {
  readonly seed: string;
  readonly topicId: string;
  readonly subject: string;
  readonly version: number;
  readonly role: Role;
  readonly name: string;
  readonly head: string;
  /** The wrap statement within, whole. */
  readonly wrap: string;
}

export interface MakeWrap {
  readonly seed: string;
  readonly topicName: string;
  readonly wrapKey: string;
  readonly version: number;
}

export interface StatementCase {
  readonly name: string;
  readonly make?: MakeRole | MakeWrap;
  readonly bytes: string;
  readonly receiver: { readonly topicId: string; readonly topicName: string };
  readonly expect:
    | {
        readonly accept: "role";
        readonly issuer: string;
        readonly subject: string;
        readonly version: number;
        readonly role: Role;
        readonly name: string;
        readonly head: string;
        /** The wrap key within and its version. */
        readonly wrap: { readonly wrapKey: string; readonly version: number } | null;
        /** What names the statement (PROTOCOL §10.2). */
        readonly hash: string;
      }
    | {
        readonly accept: "wrap";
        readonly identity: string;
        readonly wrapKey: string;
        readonly version: number;
        readonly hash: string;
      }
    | { readonly refuse: Code };
}

const MOST = 2 ** 48 - 1;
/** X25519 public keys with which every shared secret is zero, and p + 9, which is the base point and well. */
const LOW_ORDER = {
  "of zeros": "00".repeat(32),
  one: `01${"00".repeat(31)}`,
  "of order 8": "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "of order 8, the other": "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "p − 1": `ec${"ff".repeat(30)}7f`,
  "p, which is not reduced": `ed${"ff".repeat(30)}7f`,
  "p + 1, which is not reduced": `ee${"ff".repeat(30)}7f`,
  "of zeros with bit 255 set": `${"00".repeat(31)}80`,
} as const;
const NOT_REDUCED = unhex(`f6${"ff".repeat(30)}7f`);

const receiver = () => ({ topicId: hex(topicIdOf(KITCHEN)), topicName: CONTEXT });

function goodRole(
  name: string,
  [issuer, subject, version, role]: readonly [string, string, number, Role],
  parts: RoleParts = {},
  wrap?: WrapParts & { readonly who: string },
): StatementCase {
  const within = wrap && wrapWithin(wrap.who, wrap);
  const all = { ...parts, ...(within && { wrap: within }) };
  const bytes = roleStatement(issuer, subject, version, role, all);
  const said = {
    subject: person(subject).hex,
    version,
    role,
    name: parts.name ?? "",
    head: hex(all.head ?? new Uint8Array(0)),
  };
  const shownWrap = wrap && { wrapKey: hex(wrap.wrapKey ?? person(wrap.who).wrapKey), version: wrap.version ?? NOW };
  return {
    name: `role: ${name}`,
    make: {
      seed: hex(person(issuer).seed),
      topicId: receiver().topicId,
      ...said,
      wrap: hex(within ?? new Uint8Array(0)),
    },
    bytes: hex(bytes),
    receiver: receiver(),
    expect: {
      accept: "role",
      issuer: person(issuer).hex,
      ...said,
      wrap: shownWrap ?? null,
      hash: statementName(bytes),
    },
  };
}

function goodWrap(name: string, parts: WrapParts = {}): StatementCase {
  const { wrapKey = person("bob").wrapKey, version = NOW, topicName = CONTEXT } = parts;
  const bytes = wrapAlone("bob", parts);
  const said = { wrapKey: hex(wrapKey), version };
  return {
    name: `wrap: ${name}`,
    make: { seed: hex(person("bob").seed), topicName, ...said },
    bytes: hex(bytes),
    receiver: { ...receiver(), topicName },
    expect: { accept: "wrap", identity: person("bob").hex, ...said, hash: statementName(bytes) },
  };
}

const bad = (refuse: Code, name: string, bytes: Uint8Array): StatementCase => ({
  name,
  bytes: hex(bytes),
  receiver: receiver(),
  expect: { refuse },
});

/** An admission of Bob by Alice with something else in it, which she signed. */
const signed = (before: Readonly<Record<number, CborItem>>, parts: RoleParts = {}): Uint8Array =>
  roleStatement("alice", "bob", 1, "publisher", { ...parts, before });
/** The same with something else put in after she had signed. */
const altered = (after: Readonly<Record<number, CborItem>>): Uint8Array =>
  roleStatement("alice", "bob", 1, "publisher", { name: "Bob", after });
const within = (wrap: Uint8Array): Uint8Array => roleStatement("alice", "bob", 1, "publisher", { wrap });

function goodRoles(): StatementCase[] {
  const head = commitmentOf(TOPIC_KEY);
  const bob = { who: "bob" };
  return [
    goodRole("a publisher, with head and wrap statement", ["alice", "bob", 1, "publisher"], { name: "Bob", head }, bob),
    goodRole("a reader", ["alice", "bob", 1, "reader"], { name: "Bob", head }, bob),
    goodRole("an admin", ["alice", "bob", 1, "admin"], { name: "Bob", head }, bob),
    goodRole("a revocation, with the head that it had", ["alice", "bob", 2, "revoked"], { head }),
    goodRole("a self-revocation", ["bob", "bob", 2, "revoked"], { head }),
    goodRole("without head and wrap statement", ["alice", "bob", 1, "publisher"], { name: "Bob" }),
    goodRole("with a head and no wrap statement", ["alice", "bob", 1, "publisher"], { head }),
    goodRole("with a wrap statement and no head", ["alice", "bob", 1, "publisher"], {}, bob),
    goodRole("version 0", ["alice", "bob", 0, "reader"]),
    goodRole("version 2^48 − 1, the greatest", ["alice", "bob", MOST, "reader"]),
    goodRole("a name of 64 bytes", ["alice", "bob", 1, "reader"], { name: "x".repeat(64) }),
    goodRole("a name of 64 bytes, not ASCII", ["alice", "bob", 1, "reader"], { name: "é".repeat(32) }),
    goodRole(
      "the longest: 391 bytes",
      ["alice", "bob", MOST, "admin"],
      { name: "x".repeat(64), head },
      { who: "bob", version: MOST },
    ),
    goodRole("of an issuer about itself, which says nothing but is well signed", ["bob", "bob", 1, "admin"]),
    goodRole("by one who never was an admin", ["mallory", "bob", 1, "reader"]),
    goodRole("a wrap statement of version 0", ["alice", "bob", 1, "reader"], {}, { who: "bob", version: 0 }),
  ];
}

function badRoles(): StatementCase[] {
  const key = person("bob").key;
  const plain = roleStatement("alice", "bob", 1, "publisher", { name: "Bob" });
  const items = roleItems("alice", "bob", 1, "publisher", { name: "Bob" });
  const signature = items[8] as Uint8Array;
  const versionAt = 2 + 2 * 34;
  const withVersion = (...version: number[]): Uint8Array =>
    concat(plain.slice(0, versionAt), version, plain.slice(versionAt + 1));
  return [
    bad(
      "BAD_SIGNATURE",
      "role: signed by another",
      roleStatement("alice", "bob", 1, "publisher", { signer: "mallory" }),
    ),
    bad(
      "BAD_SIGNATURE",
      "role: signed by its subject",
      roleStatement("alice", "bob", 1, "publisher", { signer: "bob" }),
    ),
    bad("BAD_SIGNATURE", "role: of a topic with another id", signed({}, { topicId: named("another topic id") })),
    bad("BAD_SIGNATURE", "role: version changed after signing", altered({ 3: 2 })),
    bad("BAD_SIGNATURE", "role: role changed after signing", altered({ 4: 3 })),
    bad("BAD_SIGNATURE", "role: name changed after signing", altered({ 5: "Rob" })),
    bad("BAD_SIGNATURE", "role: head added after signing", altered({ 6: named("head") })),
    bad("BAD_SIGNATURE", "role: wrap statement added after signing", altered({ 7: wrapWithin("bob") })),
    bad("BAD_SIGNATURE", "role: subject changed after signing", altered({ 2: person("carol").key })),
    bad("BAD_SIGNATURE", "role: issuer changed after signing", altered({ 1: person("carol").key })),
    bad("BAD_SIGNATURE", "role: signature with S raised by the group order", altered({ 8: nonCanonical(signature) })),
    bad("BAD_SIGNATURE", "role: signature of zeros", altered({ 8: new Uint8Array(64) })),
    bad("BAD_SIGNATURE", "role: issuer of small order", altered({ 1: unhex(SMALL_ORDER_KEYS[0] as string) })),
    bad(
      "BAD_SIGNATURE",
      "role: wrap statement within of another topic name",
      within(wrapWithin("bob", { topicName: "home/garage" })),
    ),
    bad(
      "BAD_SIGNATURE",
      "role: wrap statement within signed by another",
      within(wrapWithin("bob", { signer: "mallory" })),
    ),
    bad("BAD_SIGNATURE", "role: wrap statement within of somebody else", within(wrapWithin("carol"))),
    bad(
      "BAD_SIGNATURE",
      "role: wrap statement within whose version was changed",
      within(wrapWithin("bob", {}, { 1: NOW + 1 })),
    ),
    bad("INVALID_KEY", "role: subject of small order", signed({ 2: unhex(SMALL_ORDER_KEYS[4] as string) })),
    bad("INVALID_KEY", "role: subject of mixed order", signed({ 2: mixedOrder(key) })),
    bad("INVALID_KEY", "role: subject that is no point", signed({ 2: unhex(`02${"00".repeat(31)}`) })),
    bad(
      "INVALID_KEY",
      "role: subject of mixed order, and a signature of another",
      signed({ 2: mixedOrder(key) }, { signer: "mallory" }),
    ),
    ...Object.entries(LOW_ORDER).map(([what, lowKey]) =>
      bad("INVALID_KEY", `role: wrap key within ${what}`, within(wrapWithin("bob", { wrapKey: unhex(lowKey) }))),
    ),
    bad("MALFORMED_MESSAGE", "role: version 2^48", signed({ 3: 2 ** 48 })),
    bad("MALFORMED_MESSAGE", "role: version as bytes", signed({ 3: new Uint8Array(1) })),
    bad("MALFORMED_MESSAGE", "role: negative version", withVersion(0x20)),
    bad("MALFORMED_MESSAGE", "role: version not in its shortest form", withVersion(0x18, 1)),
    bad("MALFORMED_MESSAGE", "role: version as a float", withVersion(0xf9, 0x3c, 0)),
    bad("MALFORMED_MESSAGE", "role: role 4", signed({ 4: 4 })),
    bad("MALFORMED_MESSAGE", "role: role as text", signed({ 4: "admin" })),
    bad("MALFORMED_MESSAGE", "role: name of 65 bytes", signed({ 5: "x".repeat(65) })),
    bad("MALFORMED_MESSAGE", "role: name of 33 characters and 66 bytes", signed({ 5: "é".repeat(33) })),
    bad("MALFORMED_MESSAGE", "role: name with a line end", signed({ 5: "a\nb" })),
    bad("MALFORMED_MESSAGE", "role: name that turns the text around", signed({ 5: "a\u202eb" })),
    bad("MALFORMED_MESSAGE", "role: name as bytes", signed({ 5: new Uint8Array(3) })),
    ...[1, 31, 33].map((length) =>
      bad("MALFORMED_MESSAGE", `role: head of ${length} bytes`, signed({ 6: new Uint8Array(length) })),
    ),
    bad("MALFORMED_MESSAGE", "role: issuer of 31 bytes", signed({ 1: key.slice(1) })),
    bad("MALFORMED_MESSAGE", "role: subject of 33 bytes", signed({ 2: concat(key, [0]) })),
    bad("MALFORMED_MESSAGE", "role: signature of 63 bytes", altered({ 8: signature.slice(1) })),
    bad("MALFORMED_MESSAGE", "role: wrap statement within of 257 bytes", signed({ 7: new Uint8Array(257) })),
    bad("MALFORMED_MESSAGE", "role: wrap statement within as it travels alone", within(wrapAlone("bob"))),
    bad(
      "MALFORMED_MESSAGE",
      "role: wrap statement within with a byte after it",
      within(concat(wrapWithin("bob"), [0])),
    ),
    bad(
      "MALFORMED_MESSAGE",
      "role: wrap key within of 31 bytes",
      within(wrapWithin("bob", { wrapKey: new Uint8Array(31) })),
    ),
    bad(
      "MALFORMED_MESSAGE",
      "role: wrap statement within of version 2^48",
      within(wrapWithin("bob", { version: 2 ** 48 })),
    ),
    bad("MALFORMED_MESSAGE", "role: wrap statement within that is no array", within(new Uint8Array([0]))),
    bad("MALFORMED_MESSAGE", "role: wrap statement as an array", signed({ 7: [] })),
    bad("MALFORMED_MESSAGE", "role: 8 items", encode(items.slice(0, 8))),
    bad("MALFORMED_MESSAGE", "role: 10 items", encode([...items, 0])),
    bad("MALFORMED_MESSAGE", "role: kind 2", encode([2, ...items.slice(1)])),
    bad("MALFORMED_MESSAGE", "role: kind 1 with the items of kind 0", encode([1, ...items.slice(1)])),
    bad("MALFORMED_MESSAGE", "role: a byte after the end", concat(plain, [0])),
    bad("MALFORMED_MESSAGE", "role: array length not in its shortest form", concat([0x98, 9], plain.slice(1))),
    bad("MALFORMED_MESSAGE", "role: array of indefinite length", concat([0x9f], plain.slice(1), [0xff])),
    bad(
      "MALFORMED_MESSAGE",
      "role: key with a length not in its shortest form",
      concat(plain.slice(0, 2), [0x59, 0, 32], plain.slice(4)),
    ),
    bad("MALFORMED_MESSAGE", "role: 513 bytes", signed({ 7: new Uint8Array(513 - plain.length + 1) })),
    bad("MALFORMED_MESSAGE", "no bytes", new Uint8Array(0)),
    bad("MALFORMED_MESSAGE", "an empty array", encode([])),
    bad("MALFORMED_MESSAGE", "bytes in place of an array", encode(plain)),
    bad("MALFORMED_MESSAGE", "arrays nested 400 deep", concat(new Array(400).fill(0x81), [0])),
  ];
}

function goodWraps(): StatementCase[] {
  const high = concat(person("bob").wrapKey.slice(0, 31), [(person("bob").wrapKey[31] as number) | 0x80]);
  return [
    goodWrap("alone"),
    goodWrap("version 0", { version: 0 }),
    goodWrap("version 2^48 − 1, the greatest", { version: MOST }),
    goodWrap("in a topic without a name", { topicName: "" }),
    goodWrap("in a topic whose name is not ASCII", { topicName: "Küche/🌡" }),
    goodWrap("a key with bit 255 set, which X25519 ignores and the signature does not", { wrapKey: high }),
    goodWrap("a key that is not reduced: p + 9", { wrapKey: NOT_REDUCED }),
  ];
}

function badWraps(): StatementCase[] {
  const alone = wrapAlone("bob");
  const { key, wrapKey } = person("bob");
  return [
    bad("BAD_SIGNATURE", "wrap: signed by another", wrapAlone("bob", { signer: "mallory" })),
    bad("BAD_SIGNATURE", "wrap: of another topic name", wrapAlone("bob", { topicName: "home/garage" })),
    bad("BAD_SIGNATURE", "wrap: key changed after signing", wrapAlone("bob", {}, { 2: person("carol").wrapKey })),
    bad("BAD_SIGNATURE", "wrap: version changed after signing", wrapAlone("bob", {}, { 3: NOW + 1 })),
    bad("BAD_SIGNATURE", "wrap: identity changed after signing", wrapAlone("bob", {}, { 1: person("carol").key })),
    ...Object.entries(LOW_ORDER).map(([what, lowKey]) =>
      bad("INVALID_KEY", `wrap: key ${what}`, wrapAlone("bob", { wrapKey: unhex(lowKey) })),
    ),
    bad(
      "INVALID_KEY",
      "wrap: key of zeros, and signed by another",
      wrapAlone("bob", { wrapKey: new Uint8Array(32), signer: "mallory" }),
    ),
    bad("MALFORMED_MESSAGE", "wrap: version 2^48", wrapAlone("bob", { version: 2 ** 48 })),
    bad("MALFORMED_MESSAGE", "wrap: key of 31 bytes", wrapAlone("bob", { wrapKey: wrapKey.slice(1) })),
    bad("MALFORMED_MESSAGE", "wrap: key of 33 bytes", wrapAlone("bob", { wrapKey: concat(wrapKey, [0]) })),
    bad("MALFORMED_MESSAGE", "wrap: identity of 31 bytes", wrapAlone("bob", {}, { 1: key.slice(1) })),
    bad("MALFORMED_MESSAGE", "wrap: signature of 65 bytes", wrapAlone("bob", {}, { 4: new Uint8Array(65) })),
    bad("MALFORMED_MESSAGE", "wrap: as it stands within an admission", wrapWithin("bob")),
    bad("MALFORMED_MESSAGE", "wrap: 6 items", concat([0x86], alone.slice(1), [0])),
    bad("MALFORMED_MESSAGE", "wrap: kind 0 with the items of kind 1", wrapAlone("bob", {}, { 0: 0 })),
    bad("MALFORMED_MESSAGE", "wrap: a byte after the end", concat(alone, [0])),
    bad("MALFORMED_MESSAGE", "wrap: kind not in its shortest form", concat([0x85, 0x18, 1], alone.slice(2))),
  ];
}

export function statementCases(): StatementCase[] {
  return [...goodRoles(), ...goodWraps(), ...badRoles(), ...badWraps()];
}
