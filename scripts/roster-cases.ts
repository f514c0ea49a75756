/**
 * The test vectors of rosters (PROTOCOL §10.4, §10.5, §10.7): sets of statements, and who has which role by them. Each roster here was
 * worked out by hand.
 */
import {
  admission,
  type Code,
  digestOf,
  KITCHEN,
  type Place,
  type Role,
  type RoleParts,
  type Row,
  roleStatement,
  rowsOf,
  type ShownTopic,
  type Standings,
  shownTopic,
  topicIdOf,
  type WrapParts,
  wrapAlone,
  wrapWithin,
} from "./rooted-parts.js";
import { hex, NOW, named, unhex } from "./vector-secrets.js";

export interface RosterCase {
  readonly name: string;
  readonly topic: ShownTopic;
  /** Lots that are taken in before, one after the other; each is fine. */
  readonly before?: readonly (readonly string[])[];
  /** One lot: of one control message, or one reply. */
  readonly statements: readonly string[];
  /** Everybody of whom the roster says anything, by rank and then by public key. */
  readonly expect: { readonly roster: readonly Row[]; readonly digest: string } | { readonly refuse: Code };
}

interface More {
  readonly place?: Place;
  readonly before?: readonly (readonly Uint8Array[])[];
  /** Of the statements those that are dropped, or that do not count besides others: so that they are in no digest. */
  readonly dropped?: readonly Uint8Array[];
}

const shownLots = (lots: More["before"]): Pick<RosterCase, "before"> =>
  lots === undefined ? {} : { before: lots.map((lot) => lot.map(hex)) };

function gives(name: string, statements: readonly Uint8Array[], standings: Standings, more: More = {}): RosterCase {
  const { place = KITCHEN, before, dropped = [] } = more;
  const all = [...(before ?? []).flat(), ...statements].filter((one) => !dropped.includes(one));
  return {
    name,
    topic: shownTopic(place),
    ...shownLots(before),
    statements: statements.map(hex),
    expect: { roster: rowsOf(standings), digest: hex(digestOf(all, standings)) },
  };
}

function refused(code: Code, name: string, statements: readonly Uint8Array[], { before }: More = {}): RosterCase {
  return {
    name,
    topic: shownTopic(KITCHEN),
    ...shownLots(before),
    statements: statements.map(hex),
    expect: { refuse: code },
  };
}

const says = (issuer: string, subject: string, version: number, role: Role, parts?: RoleParts): Uint8Array =>
  roleStatement(issuer, subject, version, role, parts);

const MOST = 2 ** 48 - 1;
const TWO: Place = { ...KITCHEN, roots: ["alice", "carol"] };

/** In a topic of two roots. */
function saysOfTwo(issuer: string, subject: string, version: number, role: Role): Uint8Array {
  return says(issuer, subject, version, role, { topicId: topicIdOf(TWO) });
}

const ROOT: Standings = { alice: ["admin", 0] };
const ADMINS: Standings = { ...ROOT, dave: ["admin", 1], erin: ["admin", 1] };

function plainCases(): RosterCase[] {
  const three = [
    says("alice", "bob", 1, "publisher"),
    says("alice", "carol", 1, "reader"),
    says("alice", "dave", 1, "admin"),
  ];
  const ofThree: Standings = { ...ROOT, bob: ["publisher", 1], carol: ["reader", 1], dave: ["admin", 1] };
  const chain = [
    says("alice", "dave", 1, "admin"),
    says("dave", "erin", 1, "admin"),
    says("erin", "bob", 1, "publisher"),
  ];
  const ofChain: Standings = { ...ROOT, dave: ["admin", 1], erin: ["admin", 2], bob: ["publisher", 3] };
  const long = Array.from({ length: 9 }, (_, i) =>
    says(i === 0 ? "alice" : `admin ${i}`, `admin ${i + 1}`, 1, "admin"),
  );
  const tooFar = says("admin 9", "bob", 1, "reader");
  const short = says("alice", "admin 5", 1, "admin");
  const byShort = says("alice", "admin 9", 1, "admin");
  const ofLong = Object.fromEntries(long.map((_, i) => [`admin ${i + 1}`, ["admin", i + 1] as const]));
  return [
    gives("nothing said: the root alone", [], ROOT),
    gives("the wrap statement of the root alone", [wrapAlone("alice")], ROOT),
    gives("two roots", [], { alice: ["admin", 0], carol: ["admin", 0] }, { place: TWO }),
    gives("one of each role", three, ofThree),
    gives("one of each role, the other way round, and each twice", [...three, ...three].reverse(), ofThree),
    gives(
      "admissions with wrap statements and heads",
      [wrapAlone("alice"), admission("alice", "bob", 1, "publisher"), admission("alice", "carol", 1, "reader")],
      { ...ROOT, bob: ["publisher", 1], carol: ["reader", 1] },
    ),
    gives("a chain of admins", chain, ofChain),
    gives("a chain of admins, the last of it first", [...chain].reverse(), ofChain),
    gives("a chain of admins that comes in lots", chain.slice(2), ofChain, {
      before: [chain.slice(0, 1), chain.slice(1, 2)],
    }),
    gives(
      "an admission whose issuer becomes an admin in a later lot: dropped, and not remembered",
      chain.slice(0, 2),
      { ...ROOT, dave: ["admin", 1], erin: ["admin", 2] },
      { before: [chain.slice(2)], dropped: chain.slice(2) },
    ),
    gives(
      "a chain of 8 links, and an admin by a ninth, whose statements are dropped",
      [...long, tooFar].reverse(),
      { ...ROOT, ...ofLong },
      { dropped: [tooFar] },
    ),
    gives(
      "a shorter chain in the place of one of 8 links: there is room for another admin below it",
      [...long.slice(8), tooFar],
      {
        ...ROOT,
        ...Object.fromEntries(long.map((_, i) => [`admin ${i + 1}`, ["admin", i < 4 ? i + 1 : i - 3] as const])),
        bob: ["reader", 6],
      },
      { before: [long.slice(0, 8), [short]] },
    ),
    gives(
      "a chain of 9 links and then one of 1: an issuer",
      [byShort, tooFar],
      { ...ROOT, ...ofLong, "admin 9": ["admin", 1], bob: ["reader", 2] },
      { before: [long] },
    ),
  ];
}

function versionCases(): RosterCase[] {
  const names = ["Bob", "Bobby"].map((name) => says("alice", "bob", 1, "reader", { name }));
  const bob = (role: Role): Standings => ({ ...ROOT, bob: [role, 1] });
  return [
    gives(
      "revoked by its issuer, with a greater version",
      [says("alice", "bob", 1, "publisher"), says("alice", "bob", 2, "revoked")],
      bob("revoked"),
    ),
    gives(
      "revoked by its issuer, with a smaller version: not at all",
      [says("alice", "bob", 2, "publisher"), says("alice", "bob", 1, "revoked")],
      bob("publisher"),
    ),
    gives(
      "admitted again by its issuer",
      [1, 2, 3].map((version) => says("alice", "bob", version, version === 2 ? "revoked" : "publisher")),
      bob("publisher"),
    ),
    gives(
      "admitted, and revoked with the greatest version",
      [says("alice", "bob", MOST - 1, "admin"), says("alice", "bob", MOST, "revoked")],
      bob("revoked"),
    ),
    gives(
      "equal versions: publisher and reader",
      [says("alice", "bob", 1, "publisher"), says("alice", "bob", 1, "reader")],
      bob("reader"),
    ),
    gives(
      "equal versions: admin and revoked",
      [says("alice", "bob", 1, "revoked"), says("alice", "bob", 1, "admin")],
      bob("revoked"),
    ),
    gives(
      "equal versions: admin and publisher, who stays an issuer",
      [says("alice", "bob", 1, "admin"), says("alice", "bob", 1, "publisher"), says("bob", "erin", 1, "reader")],
      bob("publisher"),
    ),
    gives("equal versions and roles: the smaller name of the statement, which the digest shows", names, bob("reader")),
    gives("equal versions and roles, the other way round", [...names].reverse(), bob("reader")),
    gives("a role raised", [says("alice", "bob", 1, "reader"), says("alice", "bob", 2, "publisher")], bob("publisher")),
  ];
}

function rankCases(): RosterCase[] {
  const admins = [says("alice", "dave", 1, "admin"), says("alice", "erin", 1, "admin")];
  const by = (
    name: string,
    statements: readonly Uint8Array[],
    bob: Standings[string],
    more: Standings = {},
  ): RosterCase => gives(name, [...admins, ...statements], { ...ADMINS, bob, ...more });
  return [
    by(
      "revoked by an equal rank, with a greater version",
      [says("dave", "bob", 1, "publisher"), says("erin", "bob", 2, "revoked")],
      ["revoked", 2],
    ),
    by(
      "revoked by an equal rank, with the same version",
      [says("dave", "bob", 1, "publisher"), says("erin", "bob", 1, "revoked")],
      ["revoked", 2],
    ),
    by(
      "revoked by an equal rank, with a smaller version: not at all",
      [says("dave", "bob", 2, "publisher"), says("erin", "bob", 1, "revoked")],
      ["publisher", 2],
    ),
    by(
      "revoked by a larger rank, with a greater version",
      [says("alice", "bob", 1, "publisher"), says("dave", "bob", 2, "revoked")],
      ["revoked", 1],
    ),
    by(
      "revoked by a larger rank, with the same version",
      [says("alice", "bob", 1, "reader"), says("dave", "bob", 1, "revoked")],
      ["revoked", 1],
    ),
    by(
      "revoked by a larger rank, with a smaller version: not at all",
      [says("alice", "bob", 2, "publisher"), says("dave", "bob", 1, "revoked")],
      ["publisher", 1],
    ),
    by(
      "revoked by a smaller rank, with a smaller version",
      [says("dave", "bob", 9, "publisher"), says("alice", "bob", 1, "revoked")],
      ["revoked", 1],
    ),
    by(
      "admitted again by a larger rank than the one that revoked: not at all",
      [says("alice", "bob", 2, "revoked"), says("dave", "bob", 9, "publisher")],
      ["revoked", 1],
    ),
    by(
      "a role changed by a larger rank: not at all",
      [says("alice", "bob", 1, "publisher"), says("dave", "bob", 9, "reader")],
      ["publisher", 1],
    ),
    by(
      "a role changed by a smaller rank, with a smaller version",
      [says("dave", "bob", 9, "publisher"), says("alice", "bob", 1, "reader")],
      ["reader", 1],
    ),
    by(
      "an admin revoked by a larger rank: not at all",
      [says("alice", "bob", 1, "admin"), says("dave", "bob", MOST, "revoked")],
      ["admin", 1],
    ),
    by(
      "revoked by two of a larger rank",
      [says("alice", "bob", 1, "publisher"), says("dave", "bob", 2, "revoked"), says("erin", "bob", 3, "revoked")],
      ["revoked", 1],
    ),
    by(
      "revoked by a larger rank, and admitted anew by the one that had decided",
      [says("alice", "bob", 3, "publisher"), says("dave", "bob", 2, "revoked")],
      ["publisher", 1],
    ),
    by(
      "two admins of one rank that revoke each other: neither is",
      [says("dave", "erin", 9, "revoked"), says("erin", "dave", 9, "revoked"), says("alice", "bob", 1, "reader")],
      ["reader", 1],
    ),
    by(
      "an admin made by two of one rank, the stronger of whom says so",
      [says("dave", "bob", 1, "reader"), says("erin", "bob", 2, "admin"), says("bob", "frank", 1, "reader")],
      ["admin", 2],
      { frank: ["reader", 3] },
    ),
    by(
      "what a larger rank admitted, revoked by one between",
      [says("dave", "bob", 1, "admin"), says("bob", "frank", 1, "publisher"), says("erin", "frank", 1, "revoked")],
      ["admin", 2],
      { frank: ["revoked", 2] },
    ),
  ];
}

function authorityCases(): RosterCase[] {
  const dave = says("alice", "dave", 1, "admin");
  const byDave = [says("dave", "bob", 1, "publisher"), says("dave", "frank", 3, "revoked")];
  const frank = says("alice", "frank", 1, "publisher");
  const ended = (version: number, role: Role): Uint8Array => says("alice", "dave", version, role);
  const again = says("alice", "bob", 2, "publisher");
  return [
    gives("what an admin said, while it is one", [dave, frank, ...byDave], {
      ...ROOT,
      dave: ["admin", 1],
      bob: ["publisher", 2],
      frank: ["revoked", 1],
    }),
    gives(
      "an admin revoked: whom it admitted is not on the roster, whom it had revoked is back",
      [dave, frank, ...byDave, ended(2, "revoked")],
      { ...ROOT, dave: ["revoked", 1], frank: ["publisher", 1] },
    ),
    gives(
      "an admin revoked: what is signed again stays",
      [dave, frank, ...byDave, ended(2, "revoked"), again, says("alice", "frank", 4, "revoked")],
      { ...ROOT, dave: ["revoked", 1], bob: ["publisher", 1], frank: ["revoked", 1] },
    ),
    gives("an admin made a publisher: what it said counts no more", [dave, frank, ...byDave, ended(2, "publisher")], {
      ...ROOT,
      dave: ["publisher", 1],
      frank: ["publisher", 1],
    }),
    gives(
      "an admin made a reader and then admin again: all that it had said counts again",
      [dave, frank, ...byDave, ended(2, "reader"), ended(3, "admin")],
      { ...ROOT, dave: ["admin", 1], bob: ["publisher", 2], frank: ["revoked", 1] },
    ),
    gives(
      "an admin revoked, in lots, with what it says afterwards",
      [says("dave", "mallory", 1, "admin")],
      { ...ROOT, dave: ["revoked", 1] },
      { before: [[dave], [ended(2, "revoked")]] },
    ),
    gives(
      "a revoked admin's admins and their dependants",
      [dave, says("dave", "erin", 1, "admin"), says("erin", "bob", 1, "reader"), ended(2, "revoked")],
      { ...ROOT, dave: ["revoked", 1] },
    ),
    gives(
      "a revoked admin's admin, kept by the root",
      [
        dave,
        says("dave", "erin", 1, "admin"),
        says("erin", "bob", 1, "reader"),
        ended(2, "revoked"),
        says("alice", "erin", 2, "admin"),
      ],
      { ...ROOT, dave: ["revoked", 1], erin: ["admin", 1], bob: ["reader", 2] },
    ),
    gives(
      "a revoked admin whose authority came by two ways",
      [
        dave,
        says("alice", "erin", 1, "admin"),
        says("dave", "frank", 1, "admin"),
        says("erin", "frank", 1, "admin"),
        says("frank", "bob", 1, "reader"),
        ended(2, "revoked"),
      ],
      { ...ROOT, dave: ["revoked", 1], erin: ["admin", 1], frank: ["admin", 2], bob: ["reader", 3] },
    ),
    gives(
      "an admin that revokes the one who made it: not at all",
      [dave, says("dave", "erin", 1, "admin"), says("erin", "dave", MOST, "revoked")],
      { ...ROOT, dave: ["admin", 1], erin: ["admin", 2] },
    ),
  ];
}

function selfCases(): RosterCase[] {
  const left = (who: string, version: number): Uint8Array => says(who, who, version, "revoked");
  const bob = says("alice", "bob", 2, "publisher");
  const early = left("bob", 2);
  return [
    gives("leaving, with a greater version", [bob, left("bob", 3)], { ...ROOT, bob: ["revoked", 1] }),
    gives("leaving, with the same version", [bob, left("bob", 2)], { ...ROOT, bob: ["revoked", 1] }),
    gives("admitted again after leaving", [bob, left("bob", 1)], { ...ROOT, bob: ["publisher", 1] }),
    gives("leaving, of who was revoked too", [says("alice", "bob", 2, "revoked"), left("bob", 2)], {
      ...ROOT,
      bob: ["revoked", 1],
    }),
    gives(
      "an admin that says of itself that it is revoked: whom it admitted is not on the roster",
      [says("alice", "dave", 1, "admin"), says("dave", "bob", 1, "reader"), left("dave", 1)],
      { ...ROOT, dave: ["revoked", 1] },
    ),
    gives("an admission of oneself says nothing", [bob, says("bob", "bob", 9, "admin")], {
      ...ROOT,
      bob: ["publisher", 1],
    }),
    gives("leaving, of somebody of whom nothing is known: dropped", [left("mallory", 1)], ROOT),
    gives("leaving, that comes before the admission in one lot", [left("bob", 2), bob], {
      ...ROOT,
      bob: ["revoked", 1],
    }),
    gives(
      "leaving, that comes in a lot before the admission: dropped",
      [bob],
      { ...ROOT, bob: ["publisher", 1] },
      { before: [[early]], dropped: [early] },
    ),
    gives("the only root revokes itself, with version 0: nobody is left", [bob, left("alice", 0)], {
      alice: ["revoked", 0],
    }),
  ];
}

function rootCases(): RosterCase[] {
  const both: Standings = { alice: ["admin", 0], carol: ["admin", 0] };
  const two = (name: string, statements: readonly Uint8Array[], standings: Standings): RosterCase =>
    gives(name, statements, standings, { place: TWO });
  return [
    two(
      "roots that revoke each other: neither is",
      [saysOfTwo("alice", "carol", 1, "revoked"), saysOfTwo("carol", "alice", MOST, "revoked")],
      both,
    ),
    two(
      "a root made a reader by another, and revoked by an admin: not at all",
      [
        saysOfTwo("alice", "carol", 9, "reader"),
        saysOfTwo("alice", "dave", 1, "admin"),
        saysOfTwo("dave", "alice", 9, "revoked"),
      ],
      { ...both, dave: ["admin", 1] },
    ),
    two(
      "one of two roots revokes itself: what rests on it alone lapses",
      [
        saysOfTwo("alice", "bob", 1, "reader"),
        saysOfTwo("carol", "bob", 2, "revoked"),
        saysOfTwo("carol", "dave", 1, "admin"),
        saysOfTwo("carol", "carol", 0, "revoked"),
      ],
      { alice: ["admin", 0], carol: ["revoked", 0], bob: ["reader", 1] },
    ),
    two(
      "two roots about one: the greater version",
      [saysOfTwo("alice", "bob", 1, "publisher"), saysOfTwo("carol", "bob", 2, "reader")],
      { ...both, bob: ["reader", 1] },
    ),
  ];
}

function strangerCases(): RosterCase[] {
  const bob = says("alice", "bob", 1, "publisher");
  const byBob = says("bob", "mallory", 1, "reader");
  const forged = says("mallory", "erin", 1, "admin", { signer: "bob" });
  const [small, great] = [named("a wrap key"), named("another wrap key")].sort((a, b) => Buffer.compare(a, b)) as [
    Uint8Array,
    Uint8Array,
  ];
  const newer = (wrapKey: Uint8Array, version: number): Uint8Array => wrapAlone("bob", { wrapKey, version });
  const strange = [wrapAlone("mallory")];
  const weaker = says("alice", "bob", 0, "reader", { signer: "mallory" });
  const stronger = admission("alice", "bob", 2, "publisher");
  const newerWrap = wrapWithin("bob", { wrapKey: small, version: NOW + 1 });
  const badOlder = [
    wrapAlone("bob", { signer: "mallory", version: NOW - 1 }),
    wrapAlone("bob", { wrapKey: new Uint8Array(32), version: NOW - 2 }),
    wrapAlone("bob", { topicName: "home/garage", version: NOW - 3 }),
  ];
  const weakerWithBad = admission("alice", "bob", 1, "reader", {
    wrap: wrapWithin("bob", { signer: "mallory", version: NOW - 1 }),
  });
  return [
    gives(
      "a statement by a publisher: dropped",
      [bob, byBob],
      { ...ROOT, bob: ["publisher", 1] },
      { dropped: [byBob] },
    ),
    gives("a statement by somebody who is made an admin in the same lot", [byBob, says("alice", "bob", 1, "admin")], {
      ...ROOT,
      bob: ["admin", 1],
      mallory: ["reader", 2],
    }),
    gives(
      "statements by nobody, about each other",
      [says("mallory", "erin", 1, "admin"), says("erin", "mallory", 1, "admin")],
      ROOT,
    ),
    gives(
      "a statement by nobody with a bad signature: dropped, and not checked",
      [bob, forged],
      { ...ROOT, bob: ["publisher", 1] },
      { dropped: [forged] },
    ),
    gives("a wrap statement of nobody: dropped", strange, ROOT, { dropped: strange }),
    gives(
      "a wrap statement of nobody that is of low order: dropped, and not checked",
      [wrapAlone("mallory", { wrapKey: new Uint8Array(32) })],
      ROOT,
    ),
    gives("of two wrap statements the newer", [newer(great, NOW), bob, newer(small, NOW + 1)], {
      ...ROOT,
      bob: ["publisher", 1],
    }),
    gives(
      "of two wrap statements of one version that with the greater key",
      [newer(great, NOW), bob, newer(small, NOW)],
      { ...ROOT, bob: ["publisher", 1] },
    ),
    gives(
      "a wrap statement that is newer than that of the admission",
      [admission("alice", "bob", 1, "publisher"), newer(small, NOW + 1)],
      { ...ROOT, bob: ["publisher", 1] },
    ),
    gives(
      "the wrap statement of somebody who is revoked is in no digest",
      [admission("alice", "bob", 1, "publisher"), says("alice", "bob", 2, "revoked")],
      { ...ROOT, bob: ["revoked", 1] },
    ),
    gives(
      "an older wrap statement with a bad signature: not checked, because it would not count",
      [wrapAlone("bob", { signer: "mallory", version: NOW - 1 })],
      { ...ROOT, bob: ["publisher", 1] },
      { before: [[bob, wrapAlone("bob")]] },
    ),
    gives(
      "a weaker statement than the one held, with a bad signature: dropped, and not checked",
      [weaker],
      { ...ROOT, bob: ["publisher", 1] },
      { before: [[bob]], dropped: [weaker] },
    ),
    gives(
      "a weaker statement than the one held, with a newer wrap statement, which counts",
      [admission("alice", "bob", 1, "reader", { wrap: newerWrap })],
      { ...ROOT, bob: ["publisher", 1] },
      { before: [[stronger]] },
    ),
    gives(
      "a weaker statement with a bad signature, with a newer wrap statement, which counts",
      [admission("alice", "bob", 1, "reader", { wrap: newerWrap, signer: "mallory" })],
      { ...ROOT, bob: ["publisher", 1] },
      { before: [[stronger]] },
    ),
    gives(
      "a weaker statement than the one held, with an older wrap statement with a bad signature: not checked",
      [weakerWithBad],
      { ...ROOT, bob: ["publisher", 1] },
      { before: [[stronger]], dropped: [weakerWithBad] },
    ),
    gives(
      "a stronger statement with an older wrap statement: the newer stays",
      [admission("alice", "bob", 3, "reader")],
      { ...ROOT, bob: ["reader", 1] },
      { before: [[stronger, newer(small, NOW + 1)]] },
    ),
    gives(
      "of wrap statements alone the newest; the others are bad, and not checked",
      [bob, ...badOlder, wrapAlone("bob")],
      { ...ROOT, bob: ["publisher", 1] },
      { dropped: badOlder },
    ),
  ];
}

function refusedCases(): RosterCase[] {
  const bob = says("alice", "bob", 1, "publisher");
  const cut = bob.slice(0, -1);
  const withWrap = (version: number, parts?: WrapParts): Uint8Array =>
    says("alice", "bob", version, "publisher", { wrap: wrapWithin("bob", parts) });
  return [
    refused("BAD_SIGNATURE", "one of three with a bad signature: all refused", [
      bob,
      says("alice", "carol", 1, "reader", { signer: "mallory" }),
      says("alice", "dave", 1, "admin"),
    ]),
    refused("BAD_SIGNATURE", "a self-revocation that another signed", [
      bob,
      says("bob", "bob", 1, "revoked", { signer: "mallory" }),
    ]),
    refused("BAD_SIGNATURE", "a statement of another topic with the same root", [
      says("alice", "bob", 1, "reader", { topicId: topicIdOf(TWO) }),
    ]),
    refused("BAD_SIGNATURE", "a newer wrap statement of another topic name", [
      bob,
      wrapAlone("bob", { topicName: "home/garage" }),
    ]),
    ...(
      [
        ["an older wrap statement with a bad signature", { signer: "mallory", version: NOW - 1 }, "BAD_SIGNATURE"],
        ["an older wrap statement of another topic", { topicName: "home/garage", version: NOW - 1 }, "BAD_SIGNATURE"],
        ["the wrap key and version that are known, and another signature", { signer: "mallory" }, "BAD_SIGNATURE"],
        ["an older wrap key of low order", { wrapKey: new Uint8Array(32), version: NOW - 1 }, "INVALID_KEY"],
      ] as const
    ).map(([what, parts, code]) =>
      refused(code, `a stronger statement with ${what}`, [withWrap(2, parts)], { before: [[bob, wrapAlone("bob")]] }),
    ),
    refused(
      "BAD_SIGNATURE",
      "a weaker statement than the one held, with a newer wrap statement with a bad signature",
      [withWrap(1, { signer: "mallory", version: NOW + 1 })],
      { before: [[withWrap(2)]] },
    ),
    refused(
      "INVALID_KEY",
      "a weaker statement than the one held, with a newer wrap key of low order",
      [withWrap(1, { wrapKey: new Uint8Array(32), version: NOW + 1 })],
      { before: [[withWrap(2)]] },
    ),
    refused("BAD_SIGNATURE", "of wrap statements alone the newest is bad, and an older one is good", [
      bob,
      wrapAlone("bob"),
      wrapAlone("bob", { signer: "mallory", version: NOW + 1 }),
    ]),
    refused(
      "BAD_SIGNATURE",
      "a weaker statement that would be a shorter chain, with a bad signature",
      [says("alice", "bob", 1, "admin", { signer: "mallory" })],
      {
        before: [
          [says("alice", "dave", 1, "admin"), says("dave", "bob", 1, "admin"), says("alice", "bob", 2, "reader")],
        ],
      },
    ),
    refused(
      "BAD_SIGNATURE",
      "a weaker statement that would be a new link, with a bad signature",
      [says("alice", "bob", 1, "admin", { signer: "mallory" })],
      { before: [[says("alice", "bob", 2, "reader")]] },
    ),
    refused("INVALID_KEY", "a wrap key of low order, within an admission", [
      says("alice", "bob", 1, "reader", { wrap: wrapWithin("bob", { wrapKey: new Uint8Array(32) }) }),
    ]),
    refused("INVALID_KEY", "a wrap key of low order, alone", [
      bob,
      wrapAlone("bob", { wrapKey: unhex(`01${"00".repeat(31)}`) }),
    ]),
    refused("INVALID_KEY", "a subject of small order", [
      says("alice", "bob", 1, "reader", { before: { 2: unhex("00".repeat(32)) } }),
    ]),
    refused("MALFORMED_MESSAGE", "a statement by nobody that is cut, among others", [
      bob,
      says("mallory", "bob", 1, "admin").slice(0, -1),
    ]),
    refused("MALFORMED_MESSAGE", "a malformed statement after one with a bad signature", [
      says("alice", "carol", 1, "reader", { signer: "mallory" }),
      cut,
    ]),
  ];
}

export function rosterCases(): RosterCase[] {
  return [
    ...plainCases(),
    ...versionCases(),
    ...rankCases(),
    ...authorityCases(),
    ...selfCases(),
    ...rootCases(),
    ...strangerCases(),
    ...refusedCases(),
  ];
}
