// The independent peer passes the vectors of generations and rooted topics, whose README says what a case means.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import sodium from "libsodium-wrappers";
import { beforeAll, describe, expect, test } from "vitest";
import { refusal } from "./both.js";
import { Chain } from "./independent-generations.js";
import {
  commitmentOf,
  type Handover,
  hex,
  introductionId,
  keyIdOf,
  makeHandover,
  makeIntroduction,
  messageKeyOf,
  Peer,
  publicKeyOf,
  ready,
  unhex,
} from "./independent-peer.js";
import {
  type Beginning,
  controlPayload,
  headOf,
  makeRejoin,
  makeRekey,
  openRekey,
  parseRekey,
  type Reason,
  RootedPeer,
  rejoinSecretOf,
  rekeyIsSigned,
  sealControl,
  wrapOnceMore,
} from "./independent-rooted.js";
import {
  makeRoleStatement,
  makeWrapAlone,
  parseStatement,
  type Role,
  Statements,
  topicIdOf,
  verifyRole,
  verifyWrap,
  wrapAlone,
} from "./independent-statements.js";

type Bytes = Uint8Array;
const NOW = 1_794_700_000_000;
const NAME = "home/kitchen";

beforeAll(async () => {
  await ready;
});

type Text<K extends string> = Record<K, string>;
type Refusal = { refuse: string };
const read = (file: string): unknown =>
  JSON.parse(readFileSync(new URL(`../vectors/rooted/${file}.json`, import.meta.url), "utf8"));
const casesOf = <C>(file: string): (C & { name: string })[] =>
  (read(file) as { cases: (C & { name: string })[] }).cases;
const unhexAll = (all: readonly string[]): Bytes[] => all.map(unhex);
const secretOf = (what: string): Bytes =>
  new Uint8Array(createHash("sha256").update(`stringphone vectors: ${what}`).digest());

type Topic = Text<"salt" | "name"> & { roots: string[] };
type Known = { seed: string; topic: Topic; topicKey: string; wrapSecret: string; statements: string[] };
const beginning = ({ topic, topicKey, wrapSecret, statements }: Known): Beginning => ({
  roots: unhexAll(topic.roots),
  salt: unhex(topic.salt),
  topicKey: unhex(topicKey),
  wrapSecret: unhex(wrapSecret),
  statements: unhexAll(statements),
});
const member = (known: Known): RootedPeer => {
  const peer = new RootedPeer({ seed: unhex(known.seed), name: NAME, clock: () => NOW });
  peer.begin(beginning(known));
  return peer;
};
const rosterOf = (known: Statements) =>
  [...known.roster]
    .map(([participant, { role, rank }]) => ({ participant, role, rank }))
    .sort((a, b) => a.rank - b.rank || (a.participant < b.participant ? -1 : 1));
const epochOf = (peer: RootedPeer) => ({ number: peer.epoch, commitment: peer.commitment });

describe("generations", () => {
  type Generation = { generation: number } & Text<"topicKey" | "keyId" | "messageKey" | "commitment">;
  type Case = Text<"topicKey" | "rejoinSecret"> & { generations: Generation[] };
  test.each(casesOf<Case>("generations"))("$name", ({ topicKey, rejoinSecret, generations }) => {
    const chain = new Chain(unhex(topicKey), 0);
    expect(hex(rejoinSecretOf(unhex(topicKey)))).toBe(rejoinSecret);
    for (const expected of generations) {
      const { generation } = expected;
      const key = chain.keyOf(generation);
      const [keyId, messageKey, commitment] = [keyIdOf, messageKeyOf, commitmentOf].map((of) => hex(of(key)));
      expect({ generation, topicKey: hex(key), keyId, messageKey, commitment }).toEqual(expected);
      expect(chain.with(keyIdOf(key))).toContain(generation);
    }
  });

  type Message = { generation: number; wire: string; expect: { sendsUnder: number } | Refusal };
  test.each(casesOf<{ oldest: number; topicKey: string; messages: Message[] }>("following"))(
    "$name",
    ({ oldest, topicKey, messages }) => {
      const alice = unhex("7d67d8645d578998c986fdc36b125d844645b233575e5d850f66fc40a03bf49c");
      const bob = new Peer({ seed: secretOf("bob"), clock: () => NOW, pins: [alice] });
      bob.adopt(unhex(topicKey), oldest);
      for (const { wire, expect: expected } of messages) {
        const given = refusal(() => bob.receive(unhex(wire), { context: NAME })?.kind);
        expect("refuse" in given ? given : { sendsUnder: bob.generation }).toEqual(expected);
      }
    },
  );
});

test.each(casesOf<{ salt: string; roots: string[]; topicId: string }>("topic-ids"))(
  "topic id: $name",
  ({ salt, roots, topicId }) => {
    expect(hex(topicIdOf(unhexAll(roots), unhex(salt)))).toBe(topicId);
  },
);

describe("statements", () => {
  type Make = Text<"seed"> &
    Partial<Text<"topicId" | "subject" | "name" | "head" | "wrap" | "wrapKey" | "topicName">> & {
      version: number;
      role?: Role;
    };
  type Case = { make?: Make; bytes: string; receiver: Text<"topicId" | "topicName">; expect: Record<string, unknown> };
  test.each(casesOf<Case>("statements"))("$name", ({ make, bytes, receiver, expect: expected }) => {
    if (make !== undefined) {
      const [seed, version] = [unhex(make.seed), make.version];
      const {
        topicId = "",
        subject = "",
        name = "",
        head = "",
        wrap = "",
        wrapKey = "",
        topicName = NAME,
        role,
      } = make;
      const parts = { topicId: unhex(topicId), subject: unhex(subject), name, head: unhex(head), wrap: unhex(wrap) };
      const made =
        role === undefined
          ? makeWrapAlone({ seed, version, wrapKey: unhex(wrapKey), topicName })
          : makeRoleStatement({ seed, version, role, ...parts });
      expect(hex(made)).toBe(bytes);
    }
    const outcome = refusal(() => {
      const statement = parseStatement(unhex(bytes));
      const said = { accept: statement.kind, version: statement.version, hash: statement.id };
      if (statement.kind === "wrap") {
        verifyWrap(statement, receiver.topicName);
        return { ...said, identity: statement.identity, wrapKey: hex(statement.wrapKey) };
      }
      verifyRole(statement, unhex(receiver.topicId));
      const { issuer, subject, role, name, head } = statement;
      const within = statement.wrap.length === 0 ? undefined : wrapAlone(unhex(subject), statement.wrap);
      if (within !== undefined) verifyWrap(within, receiver.topicName);
      const wrap = within === undefined ? null : { wrapKey: hex(within.wrapKey), version: within.version };
      return { ...said, issuer, subject, role, name, head: hex(head), wrap };
    });
    expect("accept" in outcome ? outcome.accept : outcome).toEqual(expected);
  });
});

describe("rosters", () => {
  type Case = { topic: Topic; before?: string[][]; statements: string[]; expect: Record<string, unknown> };
  test.each(casesOf<Case>("rosters"))("$name", ({ topic, before = [], statements, expect: expected }) => {
    const id = topicIdOf(unhexAll(topic.roots), unhex(topic.salt));
    const start = new Statements(topic.roots, id, topic.name);
    const taken = before.reduce((known, lot) => known.with(unhexAll(lot)), start);
    for (const lot of [statements, [...statements].reverse(), [...statements, ...statements]]) {
      const outcome = refusal(() => taken.with(unhexAll(lot)));
      const accepted = "accept" in outcome && {
        roster: rosterOf(outcome.accept),
        digest: hex(outcome.accept.digest()),
      };
      expect(accepted === false ? outcome : accepted).toEqual(expected);
    }
  });
});

describe("rekeys", () => {
  type Recipient = Text<"identityKey" | "wrapKey">;
  type Make = Text<"seed" | "topicId" | "parentKey" | "ephemeralSecret" | "secret" | "digest"> & {
    epoch: number;
    reason: Reason;
    recipients: Recipient[];
    statements: string[];
  };
  type Receiver = Text<"identityKey" | "topicId" | "parentKey"> & { wrapSecrets: string[] };
  type Case = { make?: Make; bytes: string; receiver: Receiver; expect: Record<string, unknown> };
  test.each(casesOf<Case>("rekeys"))("$name", ({ make, bytes, receiver, expect: expected }) => {
    if (make !== undefined) {
      const recipients = make.recipients.map(({ identityKey, wrapKey }) => ({
        identity: unhex(identityKey),
        wrapKey: unhex(wrapKey),
      }));
      const secrets = {
        ephemeralSecret: unhex(make.ephemeralSecret),
        secret: unhex(make.secret),
        digest: unhex(make.digest),
      };
      const place = { seed: unhex(make.seed), topicId: unhex(make.topicId), parentKey: unhex(make.parentKey) };
      const statements = unhexAll(make.statements);
      expect(hex(makeRekey({ ...make, ...place, ...secrets, recipients, statements }).rekey)).toBe(bytes);
    }
    const outcome = refusal(() => {
      const [rekey, topicId, parentKey] = [
        parseRekey(unhex(bytes)),
        unhex(receiver.topicId),
        unhex(receiver.parentKey),
      ];
      rekeyIsSigned(topicId, rekey);
      // The newest stands first in the vectors, and last at the peer.
      const secrets = unhexAll(receiver.wrapSecrets).reverse();
      const wrapKeys = secrets.map((secret) => ({
        secret,
        wrapKey: sodium.crypto_scalarmult_base(secret),
        version: 0,
      }));
      const opened = openRekey(rekey, { topicId, parentKey, identity: unhex(receiver.identityKey), wrapKeys });
      const head = hex(headOf(rekey));
      if (opened === undefined || opened === "bad")
        return { accept: opened ?? "not-for-us", commitment: hex(rekey.commitment), head };
      const { topicKey } = opened;
      const names = { keyId: hex(keyIdOf(topicKey)), commitment: hex(commitmentOf(topicKey)) };
      return { accept: "opened", topicKey: hex(topicKey), ...names, head };
    });
    expect("accept" in outcome ? outcome.accept : outcome).toEqual(expected);
  });
});

describe("control messages", () => {
  type Make = Text<"topicKey" | "session" | "context" | "rekey"> & { statements: string[] };
  type Receiver = { context: string; options: { naive?: true }; bare?: true };
  type Case = { make?: Make; before?: string[]; wire: string; receiver: Receiver; expect: Record<string, unknown> };
  const { receiver: bob, cases } = read("controls") as { receiver: Known; cases: (Case & { name: string })[] };
  test.each(cases)("$name", ({ make, before = [], wire, receiver, expect: expected }) => {
    if (make !== undefined) {
      const payload = controlPayload(unhexAll(make.statements), unhex(make.rekey));
      expect(hex(sealControl(unhex(make.topicKey), make.context, payload, unhex(make.session)))).toBe(wire);
    }
    const bare = new RootedPeer({ seed: unhex(bob.seed), name: NAME, clock: () => NOW, topicKey: unhex(bob.topicKey) });
    const peer = receiver.bare === true ? bare : member(bob);
    for (const each of before) expect(peer.receive(unhex(each), { context: NAME })).toBeNull();
    peer.reports.splice(0);
    const outcome = refusal(() => peer.receive(unhex(wire), { context: receiver.context, ...receiver.options }));
    if ("refuse" in outcome) return expect(outcome).toEqual(expected);
    const [topicKey, report] = [peer.topicKey ? hex(peer.topicKey) : null, peer.reports[0] ?? null];
    const [roster, digest] = [rosterOf(peer.known), hex(peer.known.digest())];
    return expect({ accept: true, roster, digest, epoch: epochOf(peer), topicKey, report }).toEqual(expected);
  });
});

describe("admissions", () => {
  type Case = Text<"by" | "subject" | "called"> & { before: string[]; role: Role; expect: Record<string, unknown> };
  const { admins, cases } = read("admissions") as { admins: Record<string, Known>; cases: (Case & { name: string })[] };
  test.each(cases)("$name", ({ by, before, subject, role, called, expect: expected }) => {
    const admin = member(admins[by] as Known);
    for (const each of before) expect(admin.receive(unhex(each), { context: NAME })).toBeNull();
    const said = refusal(() => {
      const { statement } = admin.admitKnown(unhex(subject), role, called);
      return { accept: true, statement: hex(statement) };
    });
    expect("accept" in said ? said.accept : said).toEqual(expected);
  });
});

describe("introductions", () => {
  type Make = Text<"seed" | "kemSeed" | "wrapStatement" | "name" | "context"> & {
    sentAt: number;
    rejoin: { epoch: number; secret: string } | null;
  };
  type Case = { make?: Make; wire: string; expect: Record<string, unknown> };
  const { receiver: alice, cases } = read("introductions") as { receiver: Known; cases: (Case & { name: string })[] };
  test.each(cases)("$name", ({ make, wire, expect: expected }) => {
    if (make !== undefined) {
      const { rejoin, ...facts } = make;
      const bytes = { seed: unhex(make.seed), kemSeed: unhex(make.kemSeed), wrapStatement: unhex(make.wrapStatement) };
      const proven = rejoin && {
        rejoin: (claim: Parameters<typeof makeRejoin>[2]) => makeRejoin(rejoin.epoch, unhex(rejoin.secret), claim),
      };
      expect(hex(makeIntroduction({ ...facts, ...bytes, ...proven }))).toBe(wire);
    }
    const sponsor = member(alice);
    const outcome = refusal(() => sponsor.receive(unhex(wire), { context: NAME }));
    if ("refuse" in outcome) return expect(outcome).toEqual(expected);
    const raised = outcome.accept;
    if (raised?.kind !== "INTRODUCTION") throw new TypeError("no introduction");
    const [senderKey, id] = [hex(raised.senderKey), hex(introductionId(unhex(wire)))];
    const returns = sponsor.isReturning(unhex(wire), NAME);
    const admitted = refusal(() => sponsor.admit(unhex(wire), "publisher", ""));
    const admit =
      "refuse" in admitted ? admitted : { wrapVersion: sponsor.known.wraps.get(senderKey)?.version ?? null };
    return expect({ accept: true, senderKey, id, returns, admit }).toEqual(expected);
  });
});

describe("replies", () => {
  type Newcomer = Text<"seed" | "wrapSecret" | "introduction" | "kemSeed">;
  type Bytewise = "seed" | "encapsulationSeed" | "topicKey" | "salt" | "head" | "rejoinSecret";
  type Make = Text<Bytewise | "context"> & {
    provenSecret: string | null;
    epoch: number;
    generation: number;
    roots: string[];
    statements: string[];
  } & {
    returnWrap: Text<"wrapKey" | "ephemeralSecret"> | null;
  };
  type Before = Text<"wire" | "introduction" | "kemSeed">;
  type Case = { make?: Make; wire: string; receiver: "newcomer" | "member" } & {
    before?: Before;
    expect: Record<string, unknown>;
  };
  type File = { newcomer: Newcomer; member: Newcomer & Known; cases: (Case & { name: string })[] };
  const file = read("replies") as File;
  test.each(file.cases)("$name", ({ make, wire, receiver, before, expect: expected }) => {
    const who = file[receiver];
    const seed = unhex(who.seed);
    const answered = before ?? who;
    const [introduction, kemSeed] = [unhex(answered.introduction), unhex(answered.kemSeed)];
    if (make !== undefined) {
      const { returnWrap: again, epoch, generation } = make;
      const to = again && { identity: publicKeyOf(seed), wrapKey: unhex(again.wrapKey), introduction };
      const plain = { topicKey: unhex(make.topicKey), rejoinSecret: unhex(make.rejoinSecret) };
      const secrets =
        again && to
          ? { topicKey: wrapOnceMore(plain, unhex(again.ephemeralSecret), to), rejoinSecret: new Uint8Array() }
          : plain;
      const lists = { roots: unhexAll(make.roots), statements: unhexAll(make.statements) };
      const bytes = { salt: unhex(make.salt), head: unhex(make.head) };
      const given: Handover = { epoch, generation, ...secrets, ...lists, ...bytes };
      const facts = {
        seed: unhex(make.seed),
        introduction,
        encapsulationSeed: unhex(make.encapsulationSeed),
        context: make.context,
        proven: make.provenSecret === null ? undefined : unhex(make.provenSecret),
      };
      expect(hex(makeHandover(facts, given))).toBe(wire);
    }
    const peer = receiver === "member" ? member(file.member) : new RootedPeer({ seed, name: NAME, clock: () => NOW });
    if (receiver === "newcomer") peer.holds(unhex(who.wrapSecret), NOW);
    const adopted = (bytes: string): { sponsorKey: string; returns: boolean } => {
      const reply = peer.receive(unhex(bytes), { context: NAME });
      if (reply?.kind !== "INTRODUCTION_REPLY") throw new TypeError("no reply");
      peer.adoptReply(reply);
      return { sponsorKey: hex(reply.sponsorKey), returns: reply.returns };
    };
    if (before !== undefined) {
      const first = { introduction: unhex(who.introduction), kemSeed: unhex(who.kemSeed), context: NAME };
      peer.expect({ ...first, proven: peer.rejoinSecret });
      adopted(before.wire);
    }
    peer.expect({ introduction, kemSeed, context: NAME, proven: peer.rejoinSecret });
    const outcome = refusal(() => adopted(wire));
    if ("refuse" in outcome) return expect(outcome).toEqual(expected);
    const { generation, topicId } = peer;
    const shown = { roster: rosterOf(peer.known), digest: hex(peer.known.digest()), epoch: epochOf(peer), generation };
    const [topicKey, rejoinSecret] = [peer.topicKey ? hex(peer.topicKey) : null, hex(peer.rejoinSecret as Bytes)];
    return expect({
      accept: true,
      ...outcome.accept,
      topicId: hex(topicId as Bytes),
      ...shown,
      topicKey,
      rejoinSecret,
    }).toEqual(expected);
  });
});
