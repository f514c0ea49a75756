/** The test vectors of introductions and replies in rooted topics (PROTOCOL §9, §12.5). */
import { type CborItem, encode } from "../src/cbor.js";
import { mixedOrder, SMALL_ORDER_KEYS } from "./edwards.js";
import {
  admission,
  type Code,
  commitmentOf,
  concat,
  digestOf,
  FAMILY,
  familyStatements,
  generationOf,
  type IntroductionFacts,
  introductionHashOf,
  introductionOf,
  KITCHEN,
  kemSeedOf,
  type MadeRekey,
  NONE,
  type Place,
  person,
  type ReplyFacts,
  type ReturnWrap,
  type Row,
  recipientsOf,
  rejoinSecretOf,
  rekeyOf,
  replyOf,
  returnWrapOf,
  roleStatement,
  rootsOf,
  rowsOf,
  type Standings,
  topicIdOf,
  wrapAlone,
  wrapWithin,
} from "./rooted-parts.js";
import { CONTEXT, hex, NOW, named, OTHER_TOPIC_KEY, TOPIC_KEY, unhex } from "./vector-secrets.js";

export interface MakeRootedIntroduction {
  readonly seed: string;
  readonly kemSeed: string;
  readonly wrapStatement: string;
  readonly rejoin: { readonly epoch: number; readonly secret: string } | null;
  readonly name: string;
  readonly sentAt: number;
  readonly context: string;
}

export interface RootedIntroductionCase {
  readonly name: string;
  readonly make?: MakeRootedIntroduction;
  readonly wire: string;
  readonly expect:
    | {
        readonly accept: true;
        readonly senderKey: string;
        readonly id: string;
        /** Whether it comes back (PROTOCOL §12.5). */
        readonly returns: boolean;
        /** What comes of admitting it as publisher: the version of its wrap key that is on the roster then, or the refusal. */
        readonly admit: { readonly wrapVersion: number | null } | { readonly refuse: Code };
      }
    | { readonly refuse: Code };
}

export interface MakeRootedReply {
  readonly seed: string;
  readonly encapsulationSeed: string;
  readonly context: string;
  readonly epoch: number;
  readonly generation: number;
  /** Plain; in the reply it and the rejoin secret are wrapped once more where `returnWrap` says with what. */
  readonly topicKey: string;
  readonly returnWrap: { readonly wrapKey: string; readonly ephemeralSecret: string } | null;
  readonly salt: string;
  readonly roots: readonly string[];
  readonly statements: readonly string[];
  readonly head: string;
  readonly rejoinSecret: string;
  /** The rejoin secret that the introduction proved; `null` where the sponsor has it not, or it proved none. */
  readonly provenSecret: string | null;
}

export interface RootedReplyCase {
  readonly name: string;
  readonly make?: MakeRootedReply;
  readonly wire: string;
  /** Bob, who is new and knows of no roster; or a member, who comes back. */
  readonly receiver: "newcomer" | "member";
  /** A reply that he adopts before; and the introduction that he makes then, to which `wire` is the reply. */
  readonly before?: { readonly wire: string; readonly introduction: string; readonly kemSeed: string };
  readonly expect:
    | {
        readonly accept: true;
        readonly sponsorKey: string;
        /** Whether the sponsor had the rejoin secret that the introduction proved. */
        readonly returns: boolean;
        readonly topicId: string;
        readonly roster: readonly Row[];
        readonly digest: string;
        readonly epoch: { readonly number: number; readonly commitment: string };
        readonly generation: number;
        /** That Bob sends under; `null` while he is silent. */
        readonly topicKey: string | null;
        readonly rejoinSecret: string;
      }
    | { readonly refuse: Code };
}

/** Bob, whose introduction all replies to him answer. */
export interface Newcomer {
  readonly seed: string;
  /** Made for this introduction, by one who is new. */
  readonly wrapSecret: string;
  readonly introduction: string;
  readonly kemSeed: string;
}

const TOO_LATE = 2 ** 34 + 1;

const FIRST_SECRET = (): Uint8Array => rejoinSecretOf(TOPIC_KEY);

// ——— Introductions ———

export function rootedIntroductionCases(): RootedIntroductionCase[] {
  const proof = { epoch: 0, secret: FIRST_SECRET() };
  const shown = (
    wire: Uint8Array,
    who: string,
    returns: boolean,
    admit: Code | number | null,
  ): RootedIntroductionCase["expect"] => ({
    accept: true,
    senderKey: person(who).hex,
    id: hex(introductionHashOf(wire).slice(0, 16)),
    returns,
    admit: typeof admit === "string" ? { refuse: admit } : { wrapVersion: admit },
  });
  const good = (
    name: string,
    facts: IntroductionFacts & { readonly rejoin?: typeof proof },
    returns: boolean,
    admit: Code | number | null = NOW,
  ): RootedIntroductionCase => {
    const { who = "bob", name: called = "", sentAt = NOW, rejoin } = facts;
    const wire = introductionOf(facts);
    const make = {
      seed: hex(person(who).seed),
      kemSeed: hex(kemSeedOf(facts.kem ?? who)),
      wrapStatement: hex(facts.wrap ?? wrapWithin(who, { version: sentAt })),
      rejoin: rejoin === undefined ? null : { epoch: rejoin.epoch, secret: hex(rejoin.secret) },
      name: called,
      sentAt,
      context: CONTEXT,
    };
    return { name, make, wire: hex(wire), expect: shown(wire, who, returns, admit) };
  };
  const bad = (name: string, rejoin: Uint8Array): RootedIntroductionCase => ({
    name,
    wire: hex(introductionOf({ rejoin })),
    expect: { refuse: "MALFORMED_MESSAGE" },
  });
  const items = (...list: CborItem[]): Uint8Array => encode(list);
  const digest = named("proof");
  const honest = introductionOf({ rejoin: proof });
  const lifted = (honestAt: number): Uint8Array => honest.slice(honestAt, honestAt + 36);
  const proofAt = Buffer.from(honest).indexOf(Buffer.from([0x58, 36, 0x82, 0])) + 2;
  const otherKem = introductionOf({ kem: "another", rejoin: lifted(proofAt) });
  return [
    good("a stranger", { who: "mallory", name: "Mallory" }, false),
    good("a member without a proof: it comes anew", {}, false),
    good("a member with the rejoin secret of the first epoch: it comes back", { rejoin: proof }, true),
    good("the same, named", { rejoin: proof, name: "Bob's phone", kem: "another" }, true),
    good("a reader that comes back", { who: "carol", rejoin: proof }, true),
    good("an admin that comes back", { who: "dave", rejoin: proof }, true),
    good("a member with another secret", { rejoin: { epoch: 0, secret: named("secret") } }, false),
    good("a member with the topic key itself for a secret", { rejoin: { epoch: 0, secret: TOPIC_KEY } }, false),
    good("a member with the right secret under the number of another epoch", { rejoin: { ...proof, epoch: 1 } }, false),
    good(
      "a member with the right secret under the number of the last epoch",
      { rejoin: { ...proof, epoch: 2 ** 35 } },
      false,
    ),
    good("a stranger with the right secret", { who: "mallory", rejoin: proof }, false),
    good(
      "a member that comes back with a newer wrap key, which counts once it is admitted",
      { rejoin: proof, wrap: wrapWithin("bob", { wrapKey: person("nobody").wrapKey, version: NOW + 1 }) },
      true,
      NOW + 1,
    ),
    good(
      "a member that comes back with an older wrap key",
      { rejoin: proof, wrap: wrapWithin("bob", { wrapKey: person("nobody").wrapKey, version: 1 }) },
      true,
    ),
    good("a stranger without a wrap statement", { who: "mallory", wrap: NONE }, false, null),
    good(
      "a stranger with a wrap key of low order: refused when it is admitted",
      { who: "mallory", wrap: wrapWithin("mallory", { wrapKey: new Uint8Array(32) }) },
      false,
      "INVALID_KEY",
    ),
    good(
      "a stranger with the wrap statement of another topic",
      { who: "mallory", wrap: wrapWithin("mallory", { topicName: "home/garage" }) },
      false,
      "BAD_SIGNATURE",
    ),
    good(
      "a stranger with the wrap statement of somebody else",
      { who: "mallory", wrap: wrapWithin("bob") },
      false,
      "BAD_SIGNATURE",
    ),
    good(
      "a stranger with bytes for a wrap statement",
      { who: "mallory", wrap: named("junk") },
      false,
      "MALFORMED_MESSAGE",
    ),
    {
      name: "a proof that was made for another introduction",
      wire: hex(otherKem),
      expect: shown(otherKem, "bob", false, NOW),
    },
    bad("a rejoin that is no array", digest),
    bad("a rejoin of one item", items(digest)),
    bad("a rejoin of three items", items(0, digest, 0)),
    bad("a rejoin whose epoch is bytes", items(digest, digest)),
    bad("a rejoin whose proof is an integer", items(0, 0)),
    bad("a rejoin of epoch 2^35 + 1", items(2 ** 35 + 1, digest)),
    bad("a proof of 31 bytes", items(0, digest.slice(1))),
    bad("a proof of 33 bytes", items(0, concat(digest, [0]))),
    bad("a rejoin with a byte after it", concat(items(0, digest), [0])),
    bad("a rejoin that is cut", items(0, digest).slice(0, -1)),
    bad("an epoch not in its shortest form", concat([0x82, 0x18, 0], items(digest).slice(1))),
    {
      name: "a proof changed after signing",
      wire: hex(changedAt(honest, proofAt + 10)),
      expect: { refuse: "BAD_SIGNATURE" },
    },
  ];
}

function changedAt(bytes: Uint8Array, at: number): Uint8Array {
  const copy = new Uint8Array(bytes);
  copy[at] = (copy[at] as number) ^ 1;
  return copy;
}

// ——— Replies ———

const TWO: Place = { ...KITCHEN, roots: ["alice", "carol"] };
const EPHEMERAL = named("ephemeral of the return");
const encapsulationSeed = concat(named("encapsulation 1"), named("encapsulation 2"));

type Facts = Omit<ReplyFacts, "introduction" | "encapsulationSeed">;

/** Of who has not the rejoin secret that the introduction proved. */
const UNKNOWING = { provenSecret: undefined };

interface Good {
  readonly standings?: Standings;
  /** Where that is not what the reply says. */
  readonly isSilent?: true;
  readonly place?: Place;
  readonly returnWrap?: true;
  /** Statements that are dropped. */
  readonly dropped?: readonly Uint8Array[];
  readonly sends?: Uint8Array;
  readonly sendsGeneration?: number;
}

/** To Bob, who knows of no roster, or is a member that comes back. */
class Replies {
  readonly #isMember: boolean;
  /** That the introduction proves. */
  readonly #provenSecret: Uint8Array | undefined;
  readonly introduction: Uint8Array;

  constructor(isMember: boolean, again?: IntroductionFacts & { readonly rejoin: { readonly secret: Uint8Array } }) {
    this.#isMember = isMember;
    const facts = again ?? { rejoin: { epoch: 0, secret: FIRST_SECRET() } };
    this.#provenSecret = isMember ? facts.rejoin.secret : undefined;
    this.introduction = introductionOf(isMember ? facts : {});
  }

  get #receiver(): RootedReplyCase["receiver"] {
    return this.#isMember ? "member" : "newcomer";
  }

  wire(facts: Facts): Uint8Array {
    const provenSecret = this.#provenSecret;
    return replyOf({ provenSecret, ...facts, introduction: this.introduction, encapsulationSeed });
  }

  /** To Bob's wrap key, unless another is named. */
  wrapped(topicKey: Uint8Array, more: Partial<ReturnWrap> = {}): Uint8Array {
    const { key: identityKey, wrapKey } = person("bob");
    const { introduction } = this;
    const whole = { topicKey, rejoinSecret: FIRST_SECRET(), identityKey, wrapKey, introduction };
    return returnWrapOf({ ...whole, ephemeralSecret: EPHEMERAL, ...more });
  }

  good(name: string, facts: Facts = {}, more: Good = {}): RootedReplyCase {
    const { standings = FAMILY, place = KITCHEN, dropped = [], isSilent, sends } = more;
    const {
      sponsor = "alice",
      epoch = 0,
      generation = 0,
      topicKey = TOPIC_KEY,
      head = commitmentOf(TOPIC_KEY),
    } = facts;
    const { statements = familyStatements(), rejoinSecret = FIRST_SECRET() } = facts;
    const inside =
      more.returnWrap === undefined
        ? { topicKey, rejoinSecret }
        : { topicKey: this.wrapped(topicKey, { rejoinSecret }), rejoinSecret: NONE };
    const { provenSecret } = { provenSecret: this.#provenSecret, ...facts };
    const wire = this.wire({ ...facts, ...inside, salt: place.salt, roots: rootsOf(place) });
    const returnWrap = { wrapKey: hex(person("bob").wrapKey), ephemeralSecret: hex(EPHEMERAL) };
    const known = this.#isMember ? [...familyStatements(), ...statements] : statements;
    const counted = known.filter((one) => !dropped.includes(one));
    const commitment = head.length === 32 ? head : commitmentInHead(head);
    return {
      name,
      make: {
        seed: hex(person(sponsor).seed),
        encapsulationSeed: hex(encapsulationSeed),
        context: CONTEXT,
        epoch,
        generation,
        topicKey: hex(topicKey),
        returnWrap: more.returnWrap === undefined ? null : returnWrap,
        salt: hex(place.salt),
        roots: rootsOf(place).map(hex),
        statements: statements.map(hex),
        head: hex(head),
        rejoinSecret: hex(rejoinSecret),
        provenSecret: provenSecret === undefined ? null : hex(provenSecret),
      },
      wire: hex(wire),
      receiver: this.#receiver,
      expect: {
        accept: true,
        sponsorKey: person(sponsor).hex,
        returns: provenSecret !== undefined,
        topicId: hex(topicIdOf(place)),
        roster: rowsOf(standings),
        digest: hex(digestOf(counted, standings)),
        epoch: { number: epoch, commitment: hex(commitment) },
        generation: isSilent === undefined ? (more.sendsGeneration ?? generation) : 0,
        topicKey: isSilent === undefined ? hex(sends ?? topicKey) : null,
        rejoinSecret: hex(rejoinSecret),
      },
    };
  }

  /** Without statements, where they do not matter. */
  bad(refuse: Code, name: string, facts: Facts): RootedReplyCase {
    return this.damaged(refuse, name, this.wire({ statements: [], ...facts }));
  }

  damaged(refuse: Code, name: string, wire: Uint8Array): RootedReplyCase {
    return { name, wire: hex(wire), receiver: this.#receiver, expect: { refuse } };
  }
}

/** The second to last item of a head, which has 34 bytes and is followed by a signature of 66. */
function commitmentInHead(head: Uint8Array): Uint8Array {
  return head.slice(head.length - 98, head.length - 66);
}

/** What a reply of a later epoch says. */
function ofEpoch(rekey: MadeRekey, epoch = 1): Facts {
  return { epoch, topicKey: rekey.topicKey, head: rekey.head, rejoinSecret: rejoinSecretOf(rekey.topicKey) };
}

const rekey = (more: Parameters<typeof rekeyOf>[0] = {}, forgery?: Parameters<typeof rekeyOf>[1]): MadeRekey =>
  rekeyOf({ recipients: recipientsOf("alice", "carol", "dave"), ...more }, forgery);

function goodReplies(): RootedReplyCase[] {
  const fresh = new Replies(false);
  const member = new Replies(true);
  const one = rekey();
  const reader = [wrapAlone("alice"), admission("alice", "bob", 1, "reader")];
  const without = familyStatements().filter((_, i) => i !== 2);
  const { bob: _, ...others } = FAMILY;
  const byNobody = roleStatement("mallory", "erin", 1, "admin");
  const ofTwo = roleStatement("carol", "bob", 1, "publisher", { topicId: topicIdOf(TWO) });
  const erin = admission("alice", "erin", 1, "reader");
  const third = generationOf(TOPIC_KEY, 3);
  return [
    fresh.good("a reply of the first epoch"),
    fresh.good("by an admin that is no root", { sponsor: "dave" }),
    fresh.good("to a reader", { statements: reader }, { standings: { alice: ["admin", 0], bob: ["reader", 1] } }),
    fresh.good("in generation 3", { generation: 3, topicKey: third }),
    fresh.good("in generation 2^40, the last", { generation: 2 ** 40 }),
    fresh.good("of epoch 1, with its head", ofEpoch(one)),
    fresh.good("of epoch 1, generation 2", { ...ofEpoch(one), generation: 2, topicKey: generationOf(one.topicKey, 2) }),
    fresh.good("of an epoch that an admin started, by the root", ofEpoch(rekey({ issuer: "dave" }))),
    fresh.good("of epoch 2^34, the last that a reply tells of", ofEpoch(rekey({ epoch: 2 ** 34 }), 2 ** 34)),
    fresh.good(
      "of a topic with two roots, by the second",
      { sponsor: "carol", statements: [ofTwo] },
      { place: TWO, standings: { alice: ["admin", 0], carol: ["admin", 0], bob: ["publisher", 1] } },
    ),
    fresh.good(
      "in which we are not on the roster: silence",
      { statements: without },
      { standings: others, isSilent: true },
    ),
    fresh.good(
      "with statements in another order, twice, and one by nobody",
      { statements: [byNobody, ...familyStatements().reverse(), ...familyStatements()] },
      { dropped: [byNobody] },
    ),
    fresh.good("without any statement", { statements: [] }, { standings: { alice: ["admin", 0] }, isSilent: true }),
    fresh.good("with a topic key that is wrapped once more to the key in the introduction", {}, { returnWrap: true }),
    member.good("coming back: the key that we have, wrapped once more", {}, { returnWrap: true }),
    member.good("coming back: the key of epoch 1, wrapped once more", ofEpoch(one), { returnWrap: true }),
    member.good("coming back: the key of epoch 1, plain", ofEpoch(one)),
    member.good(
      "coming back: a later generation of what we have, which is followed",
      { generation: 3, topicKey: third },
      { returnWrap: true },
    ),
    member.good(
      "coming back: with a statement that we lacked",
      { statements: [...familyStatements(), erin] },
      { returnWrap: true, standings: { ...FAMILY, erin: ["reader", 1] } },
    ),
    member.good("coming back: without the statements that we have", { statements: [] }, { returnWrap: true }),
    member.good("coming back: by an admin that is no root", { ...ofEpoch(one), sponsor: "dave" }, { returnWrap: true }),
    member.good("coming back: by a sponsor that has not the rejoin secret", { ...ofEpoch(one), ...UNKNOWING }),
    member.good(
      "coming back: by one that has it not, wrapped once more",
      { ...ofEpoch(one), ...UNKNOWING },
      { returnWrap: true },
    ),
  ];
}

/** To a member that came back before, and was given a key of epoch 1 then. */
function twice(): RootedReplyCase[] {
  const one = rekey();
  const of = (generation: number, first = one.topicKey): Facts => ({
    ...ofEpoch(one),
    generation,
    topicKey: generationOf(first, generation),
  });
  const first = new Replies(true);
  const facts = {
    rejoin: { epoch: 1, secret: rejoinSecretOf(one.topicKey) },
    wrap: wrapWithin("bob"),
    sentAt: NOW + 1,
  };
  const again = new Replies(true, { ...facts, kem: "Bob again" });
  const after = (given: Facts, then: RootedReplyCase): RootedReplyCase => {
    const wire = hex(first.wire({ statements: [], ...given }));
    const introduction = hex(again.introduction);
    return { ...then, before: { wire, introduction, kemSeed: hex(kemSeedOf("Bob again")) } };
  };
  return [
    after(
      of(2, OTHER_TOPIC_KEY),
      again.good("coming back twice: another key in the place of one that nothing proved", of(3)),
    ),
    after(
      of(2, OTHER_TOPIC_KEY),
      again.good("coming back twice: the first key in the place of one that nothing proved", of(0)),
    ),
    after(of(2), again.good("coming back twice: what the key that was given leads to is followed", of(3))),
    after(
      of(3),
      again.good("coming back twice: an earlier generation than the one given, which nothing proved", of(2)),
    ),
    after(of(0), again.good("coming back twice: what the first key leads to is followed", of(3))),
    after(
      of(0),
      again.good(
        "coming back twice: a generation that is beyond what the first key is read to",
        of(4097, OTHER_TOPIC_KEY),
      ),
    ),
    after(
      of(0),
      again.good("coming back twice: by a sponsor that has not the rejoin secret", { ...of(3), ...UNKNOWING }),
    ),
    after(
      of(0),
      again.bad(
        "DECRYPTION_FAILED",
        "coming back twice: sealed under the rejoin secret of the epoch before, which we have too",
        { ...of(3), provenSecret: FIRST_SECRET() },
      ),
    ),
    after(
      of(0),
      again.bad(
        "MALFORMED_MESSAGE",
        "coming back twice: another key than the first key leads to",
        of(4096, OTHER_TOPIC_KEY),
      ),
    ),
  ];
}

function refusedByContent(): RootedReplyCase[] {
  const fresh = new Replies(false);
  const member = new Replies(true);
  const one = rekey();
  const head = commitmentOf(TOPIC_KEY);
  const roots = rootsOf(KITCHEN);
  const outDave = roleStatement("alice", "dave", 2, "revoked");
  const forged = roleStatement("alice", "erin", 1, "reader", { signer: "mallory" });
  const lowWrap = roleStatement("alice", "erin", 1, "reader", {
    wrap: wrapWithin("erin", { wrapKey: new Uint8Array(32) }),
  });
  const small = unhex(SMALL_ORDER_KEYS[4] as string);
  return [
    fresh.bad("FORBIDDEN", "by somebody who is not on the roster", {
      sponsor: "mallory",
      statements: familyStatements(),
    }),
    fresh.bad("FORBIDDEN", "by a reader", { sponsor: "carol", statements: familyStatements() }),
    fresh.bad("FORBIDDEN", "by an admin that its own statements revoke", {
      sponsor: "dave",
      statements: [...familyStatements(), outDave],
    }),
    fresh.bad("FORBIDDEN", "by the root of another topic", { roots: [person("dave").key] }),
    member.bad("FORBIDDEN", "coming back: by one whom we do not know as an admin", { sponsor: "erin" }),
    member.bad("FOREIGN_REPLY", "coming back: other roots", { roots: [...roots, person("carol").key] }),
    member.bad("FOREIGN_REPLY", "coming back: another salt", { salt: named("another salt").slice(0, 16) }),
    member.bad("FOREIGN_REPLY", "coming back: of a topic without a roster", {
      salt: NONE,
      roots: [],
      statements: [],
      head: NONE,
      rejoinSecret: NONE,
    }),
    member.bad("DECRYPTION_FAILED", "coming back: sealed under the rejoin secret of another epoch", {
      ...ofEpoch(one),
      provenSecret: rejoinSecretOf(one.topicKey),
    }),
    member.bad("DECRYPTION_FAILED", "coming back: sealed under the topic key itself for a rejoin secret", {
      provenSecret: TOPIC_KEY,
    }),
    fresh.bad("DECRYPTION_FAILED", "sealed under a rejoin secret that the introduction did not prove", {
      provenSecret: FIRST_SECRET(),
    }),
    member.bad("DECRYPTION_FAILED", "coming back: wrapped once more to another wrap key", {
      topicKey: member.wrapped(TOPIC_KEY, { wrapKey: person("carol").wrapKey }),
    }),
    member.bad("DECRYPTION_FAILED", "coming back: wrapped once more for another introduction", {
      topicKey: member.wrapped(TOPIC_KEY, { introduction: fresh.introduction }),
    }),
    member.bad("DECRYPTION_FAILED", "coming back: wrapped once more with an ephemeral key of low order", {
      topicKey: concat(new Uint8Array(32), member.wrapped(TOPIC_KEY).slice(32)),
    }),
    fresh.bad("BAD_SIGNATURE", "a statement with a bad signature", { statements: [...familyStatements(), forged] }),
    fresh.bad("INVALID_KEY", "a statement with a wrap key of low order", {
      statements: [...familyStatements(), lowWrap],
    }),
    fresh.bad("MALFORMED_MESSAGE", "a statement that is cut", {
      statements: [(familyStatements()[1] as Uint8Array).slice(0, -1)],
    }),
    fresh.bad("INVALID_KEY", "a root of small order", { roots: [...roots, small] }),
    fresh.bad("INVALID_KEY", "a root of mixed order", { roots: [...roots, mixedOrder(person("carol").key)] }),
    fresh.bad("MALFORMED_MESSAGE", "a root that is named twice", { roots: [...roots, ...roots] }),
    fresh.bad("BAD_SIGNATURE", "a head with a bad signature", ofEpoch(rekey({}, { signer: "mallory" }))),
    fresh.bad("BAD_SIGNATURE", "a head of another topic", ofEpoch(rekey({ topicId: topicIdOf(TWO) }))),
    fresh.bad("UNTRUSTED_KEY", "a head by nobody", ofEpoch(rekey({ issuer: "mallory" }))),
    fresh.bad("UNTRUSTED_KEY", "a head by a publisher", {
      ...ofEpoch(rekey({ issuer: "bob" })),
      statements: familyStatements(),
    }),
    member.bad("MALFORMED_MESSAGE", "coming back: another key for a later generation of what we have", {
      generation: 3,
      topicKey: member.wrapped(OTHER_TOPIC_KEY),
    }),
    fresh.bad("MALFORMED_MESSAGE", "of epoch 2^34 + 1", ofEpoch(rekey({ epoch: TOO_LATE }), TOO_LATE)),
    fresh.bad(
      "BAD_SIGNATURE",
      "of epoch 2^34 + 1, with a head with a bad signature",
      ofEpoch(rekey({ epoch: TOO_LATE }, { signer: "mallory" }), TOO_LATE),
    ),
    fresh.bad(
      "UNTRUSTED_KEY",
      "of epoch 2^34 + 1, with a head by nobody",
      ofEpoch(rekey({ epoch: TOO_LATE, issuer: "mallory" }), TOO_LATE),
    ),
    fresh.bad("BAD_SIGNATURE", "a head of another epoch than the reply, with a bad signature", {
      ...ofEpoch(rekey({}, { signer: "mallory" })),
      epoch: 2,
    }),
    fresh.bad("MALFORMED_MESSAGE", "a head of another epoch than the reply", { ...ofEpoch(one), epoch: 2 }),
    fresh.bad("MALFORMED_MESSAGE", "a head in the first epoch", { ...ofEpoch(one), epoch: 0 }),
    fresh.bad("MALFORMED_MESSAGE", "a commitment in epoch 1", { epoch: 1 }),
    fresh.bad("MALFORMED_MESSAGE", "a rekey in the place of a head", { ...ofEpoch(one), head: one.bytes }),
    fresh.bad("MALFORMED_MESSAGE", "a head that is cut", { ...ofEpoch(one), head: one.head.slice(0, -1) }),
    fresh.bad("MALFORMED_MESSAGE", "a topic key of generation 0 that the head does not name", {
      ...ofEpoch(one),
      topicKey: OTHER_TOPIC_KEY,
    }),
    fresh.bad("MALFORMED_MESSAGE", "a topic key of generation 0 that the commitment does not name", {
      head: commitmentOf(OTHER_TOPIC_KEY),
    }),
    fresh.bad("MALFORMED_MESSAGE", "another first key, which the salt does not follow from", {
      topicKey: OTHER_TOPIC_KEY,
      head: commitmentOf(OTHER_TOPIC_KEY),
      rejoinSecret: rejoinSecretOf(OTHER_TOPIC_KEY),
    }),
    fresh.bad("MALFORMED_MESSAGE", "the same of a later generation, which names no key", {
      generation: 1,
      topicKey: OTHER_TOPIC_KEY,
      head: commitmentOf(OTHER_TOPIC_KEY),
    }),
    member.bad("MALFORMED_MESSAGE", "coming back: another first key, which the salt does not follow from", {
      topicKey: member.wrapped(OTHER_TOPIC_KEY),
      head: commitmentOf(OTHER_TOPIC_KEY),
      rejoinSecret: NONE,
    }),
    member.bad("MALFORMED_MESSAGE", "coming back: a topic key that the head does not name, wrapped once more", {
      ...ofEpoch(one),
      topicKey: member.wrapped(OTHER_TOPIC_KEY),
      rejoinSecret: NONE,
    }),
    fresh.bad("MALFORMED_MESSAGE", "a head of 31 bytes", { head: head.slice(1) }),
  ];
}

function refusedByForm(): RootedReplyCase[] {
  const fresh = new Replies(false);
  const honest = fresh.wire({ statements: [] });
  const topicKey = (length: number): Facts => ({ topicKey: new Uint8Array(length) });
  const many = Array.from({ length: 17 }, (_, i) => person(`root ${i}`).key);
  const signedOver: readonly (readonly [string, Record<number, CborItem>])[] = [
    ["epoch", { 2: 1 }],
    ["generation", { 3: 1 }],
    ["topic key", { 4: OTHER_TOPIC_KEY }],
    ["salt", { 5: named("another salt").slice(0, 16) }],
    ["roots", { 6: [person("dave").key] }],
    ["statements", { 7: [familyStatements()[0] as Uint8Array] }],
    ["statements by one of 128 bytes", { 7: [new Uint8Array(128)] }],
    ["head", { 8: named("head") }],
    ["rejoin secret", { 9: named("secret") }],
  ];
  return [
    ...signedOver.map(([what, after]) => fresh.bad("BAD_SIGNATURE", `${what} changed after signing`, { after })),
    fresh.bad("BAD_SIGNATURE", "signed by another than the sponsor named", { signer: "mallory" }),
    fresh.bad("INVALID_KEY", "a sponsor of small order", { after: { 0: unhex(SMALL_ORDER_KEYS[0] as string) } }),
    fresh.damaged("DECRYPTION_FAILED", "last byte flipped", changedAt(honest, honest.length - 1)),
    fresh.bad("DECRYPTION_FAILED", "another context", { context: "home/garage" }),
    fresh.bad("MALFORMED_MESSAGE", "no roots", { roots: [] }),
    fresh.bad("MALFORMED_MESSAGE", "17 roots", { roots: many }),
    fresh.bad("MALFORMED_MESSAGE", "a root of 31 bytes", { roots: [new Uint8Array(31)] }),
    fresh.bad("MALFORMED_MESSAGE", "roots that are no array", { after: { 6: person("alice").key } }),
    ...[1, 15, 17].map((length) =>
      fresh.bad("MALFORMED_MESSAGE", `salt of ${length} bytes`, { salt: new Uint8Array(length) }),
    ),
    fresh.bad("MALFORMED_MESSAGE", "statements changed after signing by one of 127 bytes", {
      after: { 7: [new Uint8Array(127)] },
    }),
    fresh.bad("MALFORMED_MESSAGE", "a statement of 127 bytes", { statements: [new Uint8Array(127)] }),
    fresh.bad("MALFORMED_MESSAGE", "a statement of 128 bytes, which is none", { statements: [new Uint8Array(128)] }),
    fresh.bad("MALFORMED_MESSAGE", "a statement of 513 bytes", { statements: [new Uint8Array(513)] }),
    fresh.bad("MALFORMED_MESSAGE", "statements within two arrays", { after: { 7: [[named("statement")]] } }),
    fresh.bad("MALFORMED_MESSAGE", "no head", { head: NONE }),
    fresh.bad("MALFORMED_MESSAGE", "no rejoin secret", { rejoinSecret: NONE }),
    fresh.bad("MALFORMED_MESSAGE", "a rejoin secret of 31 bytes", { rejoinSecret: new Uint8Array(31) }),
    ...[33, 48, 80, 111, 113].map((length) =>
      fresh.bad("MALFORMED_MESSAGE", `a topic key of ${length} bytes`, topicKey(length)),
    ),
    fresh.bad("MALFORMED_MESSAGE", "a topic key wrapped once more, and a plain rejoin secret besides", {
      topicKey: fresh.wrapped(TOPIC_KEY),
      rejoinSecret: FIRST_SECRET(),
    }),
    fresh.bad("MALFORMED_MESSAGE", "a topic key wrapped once more without a rejoin secret", {
      topicKey: fresh.wrapped(TOPIC_KEY, { rejoinSecret: NONE }),
      rejoinSecret: NONE,
    }),
    fresh.bad("MALFORMED_MESSAGE", "the same, with a plain rejoin secret", {
      topicKey: fresh.wrapped(TOPIC_KEY, { rejoinSecret: NONE }),
    }),
    fresh.bad("MALFORMED_MESSAGE", "epoch 2^35 + 1", { epoch: 2 ** 35 + 1 }),
    fresh.bad("MALFORMED_MESSAGE", "generation 2^40 + 1", { generation: 2 ** 40 + 1 }),
    fresh.bad("MALFORMED_MESSAGE", "a byte after the plaintext", { bend: (plaintext) => concat(plaintext, [0]) }),
    fresh.bad("MALFORMED_MESSAGE", "nine items", { bend: (plaintext) => concat([0x89], plaintext.slice(1, -34)) }),
    fresh.bad("MALFORMED_MESSAGE", "eleven items", { bend: (plaintext) => concat([0x8b], plaintext.slice(1), [0]) }),
    fresh.bad("MALFORMED_MESSAGE", "array length not in its shortest form", {
      bend: (plaintext) => concat([0x98, 10], plaintext.slice(1)),
    }),
  ];
}

export function rootedReplyCases(): RootedReplyCase[] {
  return [...goodReplies(), ...twice(), ...refusedByContent(), ...refusedByForm()];
}

/** Who makes the introductions that these replies answer. */
export function newcomerOf(receiver: RootedReplyCase["receiver"]): Newcomer {
  const { introduction } = new Replies(receiver === "member");
  const { seed, wrapSecret } = person("bob");
  return {
    seed: hex(seed),
    wrapSecret: hex(wrapSecret),
    introduction: hex(introduction),
    kemSeed: hex(kemSeedOf("bob")),
  };
}
