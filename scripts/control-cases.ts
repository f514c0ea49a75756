/** The test vectors of control messages (PROTOCOL §6.3, §11.3 to §11.5, §13): to Bob, a publisher of a rooted topic. */
import { type CborItem, encode } from "../src/cbor.js";
import {
  admission,
  type Code,
  type ControlFacts,
  commitmentOf,
  concat,
  digestOf,
  FAMILY,
  familyStatements,
  generationOf,
  KITCHEN,
  type MadeRekey,
  NONE,
  person,
  type RekeyFacts,
  type RekeyForgery,
  type RoleParts,
  type Row,
  recipientsOf,
  rekeyOf,
  roleStatement,
  rowsOf,
  type ShownTopic,
  type Standings,
  sealedControl,
  shownTopic,
  statementsHashOf,
  wrapAlone,
} from "./rooted-parts.js";
import { CONTEXT, hex, NOW, named, OTHER_TOPIC_KEY, TOPIC_KEY } from "./vector-secrets.js";

/** A participant of a rooted topic in its first epoch, as every case finds it. */
export interface MemberState {
  readonly seed: string;
  readonly topic: ShownTopic;
  /** Of epoch 0, generation 0. */
  readonly topicKey: string;
  readonly wrapSecret: string;
  /** All statements that it knows. */
  readonly statements: readonly string[];
}

export interface MakeControl {
  readonly topicKey: string;
  readonly session: string;
  readonly context: string;
  readonly statements: readonly string[];
  readonly rekey: string;
}

export interface ControlCase {
  readonly name: string;
  readonly make?: MakeControl;
  /** Control messages that Bob decodes before; they are fine. */
  readonly before?: readonly string[];
  readonly wire: string;
  readonly receiver: { readonly context: string; readonly options: { readonly naive?: true }; readonly bare?: true };
  readonly expect:
    | {
        readonly accept: true;
        readonly roster: readonly Row[];
        readonly digest: string;
        /** That counts. */
        readonly epoch: { readonly number: number; readonly commitment: string };
        /** That Bob sends under; `null` while he is silent. */
        readonly topicKey: string | null;
        /** What the application is to be told besides. */
        readonly report: "bad-rekey" | "seed-stolen" | null;
      }
    | { readonly refuse: Code };
}

export function memberState(who: string): MemberState {
  const { seed, wrapSecret } = person(who);
  return {
    seed: hex(seed),
    topic: shownTopic(KITCHEN),
    topicKey: hex(TOPIC_KEY),
    wrapSecret: hex(wrapSecret),
    statements: familyStatements().map(hex),
  };
}

interface Control {
  /** Those of the rekey, unless others are given. */
  readonly statements?: readonly Uint8Array[];
  readonly rekey?: MadeRekey;
  readonly under?: Uint8Array;
}

const sessionOf = (name: string): Uint8Array => named(`session: ${name}`).slice(0, 12);
const payloadOf = ({ rekey, statements = rekey?.statements ?? [] }: Control): Uint8Array =>
  encode([statements, rekey?.bytes ?? NONE]);
const wireOf = (name: string, control: Control): Uint8Array =>
  sealedControl(payloadOf(control), { session: sessionOf(name), topicKey: control.under ?? TOPIC_KEY });

/** What Bob makes of it, where that is not what he had. */
interface Outcome {
  readonly standings?: Standings;
  /** What he takes in. */
  readonly taken?: readonly Uint8Array[];
  readonly epoch?: number;
  /** The rekey that started the epoch that counts. */
  readonly counts?: MadeRekey;
  readonly isSilent?: true;
  readonly report?: "bad-rekey" | "seed-stolen";
}

const receiver = { context: CONTEXT, options: {} } as const;

function beforeOf(name: string, before: readonly Control[]): Pick<ControlCase, "before"> {
  return before.length === 0 ? {} : { before: before.map((one, i) => hex(wireOf(`${i} before ${name}`, one))) };
}

function applied(name: string, control: Control, outcome: Outcome = {}, before: readonly Control[] = []): ControlCase {
  const { standings = FAMILY, taken = [], counts, epoch = counts === undefined ? 0 : 1, isSilent, report } = outcome;
  const { rekey, statements = rekey?.statements ?? [], under = TOPIC_KEY } = control;
  const topicKey = counts?.topicKey ?? TOPIC_KEY;
  const commitment = counts === undefined ? commitmentOf(TOPIC_KEY) : counts.commitment;
  return {
    name,
    make: {
      topicKey: hex(under),
      session: hex(sessionOf(name)),
      context: CONTEXT,
      statements: statements.map(hex),
      rekey: hex(rekey?.bytes ?? NONE),
    },
    ...beforeOf(name, before),
    wire: hex(wireOf(name, control)),
    receiver,
    expect: {
      accept: true,
      roster: rowsOf(standings),
      digest: hex(digestOf([...familyStatements(), ...taken], standings)),
      epoch: { number: epoch, commitment: hex(commitment) },
      topicKey: isSilent === undefined ? hex(topicKey) : null,
      report: report ?? null,
    },
  };
}

function refusedWire(
  code: Code,
  name: string,
  wire: Uint8Array,
  to: Partial<ControlCase["receiver"]> = {},
): ControlCase {
  return { name, wire: hex(wire), receiver: { ...receiver, ...to }, expect: { refuse: code } };
}

function refused(code: Code, name: string, control: Control, before: readonly Control[] = []): ControlCase {
  return { ...refusedWire(code, name, wireOf(name, control)), ...beforeOf(name, before) };
}

/** A control message with anything for payload. */
function malformed(name: string, payload: Uint8Array, facts: Partial<ControlFacts> = {}): ControlCase {
  const wire = sealedControl(payload, { session: sessionOf(name), ...facts });
  return refusedWire("MALFORMED_MESSAGE", name, wire, { context: facts.context ?? CONTEXT });
}

const role = (
  issuer: string,
  subject: string,
  version: number,
  to: "revoked" | "reader" | "publisher" | "admin",
  parts?: RoleParts,
) => roleStatement(issuer, subject, version, to, parts);
const link = (): Uint8Array => familyStatements()[1] as Uint8Array;

const rekey = (facts: RekeyFacts = {}, forgery?: RekeyForgery): MadeRekey =>
  rekeyOf(
    {
      recipients: recipientsOf("alice", "bob", "carol", "dave"),
      digest: digestOf(familyStatements(), FAMILY),
      ...facts,
    },
    forgery,
  );
/** The smaller commitment first. */
const byCommitment = (a: MadeRekey, b: MadeRekey): number => Buffer.compare(a.commitment, b.commitment);

function statementsApplied(): ControlCase[] {
  const erin = admission("alice", "erin", 1, "reader");
  const erinByDave = admission("dave", "erin", 1, "publisher");
  const erinAdmin = admission("alice", "erin", 1, "admin");
  const frank = admission("erin", "frank", 1, "publisher");
  const renewed = wrapAlone("carol", { wrapKey: person("nobody").wrapKey, version: NOW + 1 });
  const stolen = wrapAlone("bob", { wrapKey: person("nobody").wrapKey, version: NOW + 1 });
  const out = role("alice", "carol", 2, "revoked");
  const left = role("carol", "carol", 2, "revoked");
  return [
    applied(
      "an admission by the root",
      { statements: [erin] },
      { standings: { ...FAMILY, erin: ["reader", 1] }, taken: [erin] },
    ),
    applied(
      "an admission by an admin, with its chain",
      { statements: [link(), erinByDave] },
      { standings: { ...FAMILY, erin: ["publisher", 2] }, taken: [erinByDave] },
    ),
    applied(
      "a new admin, and what it says",
      { statements: [erinAdmin, frank] },
      { standings: { ...FAMILY, erin: ["admin", 1], frank: ["publisher", 2] }, taken: [erinAdmin, frank] },
    ),
    applied("what an unknown admin says, without its chain: dropped", { statements: [frank] }),
    applied("what is known already", { statements: familyStatements() }),
    applied(
      "the same message again",
      { statements: [erin] },
      { standings: { ...FAMILY, erin: ["reader", 1] }, taken: [erin] },
      [{ statements: [erin] }],
    ),
    applied("a wrap key renewed", { statements: [familyStatements()[3] as Uint8Array, renewed] }, { taken: [renewed] }),
    applied(
      "a wrap key of ours that we do not have",
      { statements: [stolen] },
      { taken: [stolen], report: "seed-stolen" },
    ),
    applied(
      "a revocation whose rekey did not come yet: silence",
      { statements: [out] },
      { standings: { ...FAMILY, carol: ["revoked", 1] }, taken: [out], isSilent: true },
    ),
    applied(
      "somebody who left: no silence",
      { statements: [left] },
      { standings: { ...FAMILY, carol: ["revoked", 1] }, taken: [left] },
    ),
    ...silenceOfWhoLeft(),
    applied(
      "under generation 3",
      { statements: [erin], under: generationOf(TOPIC_KEY, 3) },
      { standings: { ...FAMILY, erin: ["reader", 1] }, taken: [erin] },
    ),
  ];
}

/** Who left by itself silences nobody; who was revoked besides does. */
function silenceOfWhoLeft(): ControlCase[] {
  const noCarol: Standings = { ...FAMILY, carol: ["revoked", 1] };
  const gone = (name: string, statements: readonly Uint8Array[], isSilent?: true): ControlCase =>
    applied(name, { statements }, { standings: noCarol, taken: statements, ...(isSilent && { isSilent }) });
  const left = role("carol", "carol", 9, "revoked");
  return [
    gone(
      "somebody who left, and whose revocation decides it: silence",
      [role("alice", "carol", 2, "revoked"), left],
      true,
    ),
    gone(
      "somebody who left, and whom a larger rank revoked: silence",
      [role("dave", "carol", 1, "revoked"), left],
      true,
    ),
    gone("somebody who left, and whom a larger rank had revoked before it was admitted: no silence", [
      role("dave", "carol", 0, "revoked"),
      left,
    ]),
  ];
}

/** After a removal of Dave, whom Bob does not hear any more. */
function afterDaveCases(): ControlCase[] {
  const outDave = role("alice", "dave", 2, "revoked");
  const noDave: Standings = { ...FAMILY, dave: ["revoked", 1] };
  const removal = removalOfDave(outDave);
  const { topicKey: under, commitment: head } = removal;
  const before = [{ rekey: removal }];
  const then = (name: string, said: readonly Uint8Array[], more: Outcome = {}): ControlCase => {
    const outcome = { standings: noDave, taken: [outDave, ...said], counts: removal, ...more };
    return applied(name, { statements: said, under }, outcome, before);
  };
  const forged = rekey(
    { issuer: "dave", recipients: recipientsOf("alice", "bob", "dave"), draw: "Dave's last" },
    { commitment: head },
  );
  return [
    then("a head named by a removed admin: no silence", [role("dave", "frank", 1, "publisher", { head })]),
    then("a head named by somebody about itself: no silence", [
      role("dave", "frank", 1, "publisher"),
      role("frank", "frank", 9, "revoked", { head }),
    ]),
    then(
      "a head named by an admin, of somebody who is revoked: silence",
      [role("alice", "frank", 1, "revoked", { head })],
      {
        standings: { ...noDave, frank: ["revoked", 1] },
        isSilent: true,
      },
    ),
    applied(
      "a rekey whose commitment a removed admin took for its own before",
      { rekey: removal },
      { standings: noDave, taken: [outDave], counts: removal },
      [{ statements: [outDave] }, { rekey: forged }],
    ),
    applied(
      "a rekey by a removed admin with the commitment of the epoch that counts",
      { rekey: forged },
      { standings: noDave, taken: [outDave], counts: removal, report: "bad-rekey" },
      before,
    ),
  ];
}

function removalOfDave(outDave: Uint8Array): MadeRekey {
  const recipients = recipientsOf("alice", "bob", "carol");
  return rekey({ reason: "removal", recipients, draw: "without Dave", statements: [outDave] });
}

function rekeysApplied(): ControlCase[] {
  const one = rekey();
  const byDave = rekey({ issuer: "dave", draw: "Dave's rekey", statements: [link()] });
  const second = rekey({ parentKey: one.topicKey, epoch: 2, draw: "the second rekey" });
  const later = rekey({ parentKey: generationOf(TOPIC_KEY, 3) });
  const outCarol = role("alice", "carol", 2, "revoked");
  const noCarol: Standings = { ...FAMILY, carol: ["revoked", 1] };
  const removal = rekey({
    reason: "removal",
    recipients: recipientsOf("alice", "bob", "dave"),
    digest: digestOf([...familyStatements(), outCarol], noCarol),
    statements: [outCarol],
  });
  const outBob = role("alice", "bob", 2, "revoked");
  const outDave = role("alice", "dave", 2, "revoked");
  const noDave: Standings = { ...FAMILY, dave: ["revoked", 1] };
  const afterDave = removalOfDave(outDave);
  const others = rekey({ recipients: recipientsOf("alice", "carol", "dave") });
  const withoutUs = rekey({ recipients: recipientsOf("alice", "carol", "dave"), statements: [outBob] });
  const bad = rekey({}, { commitment: commitmentOf(OTHER_TOPIC_KEY) });
  const erinAdmin = admission("alice", "erin", 1, "admin");
  const withErin: Standings = { ...FAMILY, erin: ["admin", 1] };
  const everybody = recipientsOf("alice", "bob", "carol", "dave", "erin");
  const byErin = rekey({ issuer: "erin", recipients: everybody, draw: "Erin's rekey", statements: [erinAdmin] });
  const [small, great] = [rekey({ draw: "one of two" }), rekey({ draw: "the other of two" })].sort(byCommitment) as [
    MadeRekey,
    MadeRekey,
  ];
  const five = Array.from({ length: 5 }, (_, i) => rekey({ draw: `rekey ${i} of five` }));
  const unsigned = rekey({}, { after: { 10: new Uint8Array(64) } });
  const low = rekey({}, { ephemeralKey: new Uint8Array(32) });
  // The smallest of all comes last, and would count if it were let in.
  const inOrder = [...five].sort(byCommitment).reverse();
  return [
    applied("a rekey by the root", { rekey: one }, { counts: one }),
    applied("a rekey by an admin, with its chain", { rekey: byDave }, { counts: byDave }),
    applied("a rekey under generation 3", { rekey: later, under: generationOf(TOPIC_KEY, 3) }, { counts: later }),
    applied("a second rekey, under the first", { rekey: second, under: one.topicKey }, { counts: second, epoch: 2 }, [
      { rekey: one },
    ]),
    applied("the same rekey again", { rekey: one }, { counts: one }, [{ rekey: one }]),
    applied("the same epoch again with a bad signature, which is not checked", { rekey: unsigned }, { counts: one }, [
      { rekey: one },
    ]),
    applied("a removal", { rekey: removal }, { standings: noCarol, taken: [outCarol], counts: removal }),
    applied(
      "a removal of ourselves",
      { rekey: withoutUs },
      { standings: { ...FAMILY, bob: ["revoked", 1] }, taken: [outBob], counts: withoutUs, isSilent: true },
    ),
    applied("a rekey that is wrapped to others: silence", { rekey: others }, { counts: others, isSilent: true }),
    applied(
      "a rekey that gives another key than it announces",
      { rekey: bad },
      { counts: bad, isSilent: true, report: "bad-rekey" },
    ),
    applied(
      "a rekey with an ephemeral key of low order",
      { rekey: low },
      { counts: low, isSilent: true, report: "bad-rekey" },
    ),
    applied(
      "a rekey by an admin that its statements make",
      { rekey: byErin },
      { standings: withErin, taken: [erinAdmin], counts: byErin },
    ),
    applied("two of one number: the smaller rank counts, that comes second", { rekey: one }, { counts: one }, [
      { rekey: byDave },
    ]),
    applied("two of one number: the smaller rank counts, that came first", { rekey: byDave }, { counts: one }, [
      { rekey: one },
    ]),
    applied(
      "two of one number and rank: the smaller commitment counts, that comes second",
      { rekey: small },
      { counts: small },
      [{ rekey: great }],
    ),
    applied(
      "two of one number and rank: the smaller commitment counts, that came first",
      { rekey: great },
      { counts: small },
      [{ rekey: small }],
    ),
    applied(
      "a fifth of one issuer under one parent: stays unknown",
      { rekey: inOrder[4] as MadeRekey },
      { counts: inOrder[3] as MadeRekey },
      inOrder.slice(0, 4).map((made) => ({ rekey: made })),
    ),
    applied(
      "an admin revoked after its rekey, by a rekey beside it",
      { rekey: afterDave },
      { standings: noDave, taken: [outDave], counts: afterDave },
      [{ rekey: byDave }],
    ),
    applied(
      "a rekey by an admin that was revoked: known, and does not count",
      { rekey: byDave },
      { standings: noDave, taken: [outDave], isSilent: true },
      [{ statements: [outDave] }],
    ),
  ];
}

function refusals(): ControlCase[] {
  const good = role("alice", "erin", 1, "reader");
  const forged = role("alice", "erin", 1, "reader", { signer: "mallory" });
  const lowWrap = wrapAlone("carol", { wrapKey: new Uint8Array(32), version: NOW + 1 });
  const one = rekey();
  const cut: MadeRekey = { ...one, bytes: one.bytes.slice(0, -1) };
  const wrongEpoch = rekey({ epoch: 2 });
  const mallory = rekey({ issuer: "mallory" });
  return [
    refused("BAD_SIGNATURE", "a statement with a bad signature, after a good one", { statements: [good, forged] }),
    refused("BAD_SIGNATURE", "a good rekey with a statement of a bad signature", {
      rekey: rekey({ statements: [forged] }),
    }),
    refused("BAD_SIGNATURE", "a good rekey of other statements, with a statement of a bad signature", {
      statements: [forged],
      rekey: one,
    }),
    refused("BAD_SIGNATURE", "a rekey with a bad signature, with a good statement", {
      rekey: rekey({ statements: [good] }, { signer: "dave" }),
    }),
    refused("BAD_SIGNATURE", "a rekey of another topic", { rekey: rekey({ topicId: named("another topic id") }) }),
    refused("INVALID_KEY", "a wrap key of low order", { statements: [lowWrap] }),
    refused("UNTRUSTED_KEY", "a rekey by nobody", { rekey: mallory }),
    refused("UNTRUSTED_KEY", "a rekey by ourselves, who are no admin", { rekey: rekey({ issuer: "bob" }) }),
    refused("UNTRUSTED_KEY", "a rekey by a reader", { rekey: rekey({ issuer: "carol" }) }),
    refused("UNTRUSTED_KEY", "a rekey by nobody with a bad signature", {
      rekey: rekey({ issuer: "mallory" }, { signer: "bob" }),
    }),
    refused("UNTRUSTED_KEY", "a rekey by somebody whom nobody who may made an admin", {
      rekey: rekey({ issuer: "mallory", statements: [role("bob", "mallory", 1, "admin")] }),
    }),
    refused("MALFORMED_MESSAGE", "a statement that is cut", { statements: [good.slice(0, -1)] }),
    refused("MALFORMED_MESSAGE", "a rekey that is cut", { rekey: cut }),
    refused("MALFORMED_MESSAGE", "a rekey that is cut, with a statement of a bad signature", {
      statements: [forged],
      rekey: cut,
    }),
    refused("MALFORMED_MESSAGE", "a rekey of epoch 2 under epoch 0", { rekey: wrongEpoch }),
    refused("MALFORMED_MESSAGE", "a rekey of epoch 0", { rekey: rekey({ epoch: 0 }) }),
    refused("MALFORMED_MESSAGE", "a rekey of epoch 2 under epoch 0, by nobody", {
      rekey: rekey({ epoch: 2, issuer: "mallory" }),
    }),
    refused("BAD_SIGNATURE", "a rekey of epoch 2 under epoch 0, with a statement of a bad signature", {
      statements: [forged],
      rekey: wrongEpoch,
    }),
    refused("MALFORMED_MESSAGE", "a rekey of generation 0, sealed under generation 1", {
      rekey: one,
      under: generationOf(TOPIC_KEY, 1),
    }),
    refused(
      "MALFORMED_MESSAGE",
      "a rekey of the first epoch, sealed under the second",
      { rekey: rekey({ draw: "another" }), under: one.topicKey },
      [{ rekey: one }],
    ),
    refused("UNKNOWN_TOPIC_KEY", "under a key that we do not have", { statements: [good], under: OTHER_TOPIC_KEY }),
  ];
}

/** A rekey says which statements it went out with (§11.1, and steps 3 and 5 of §11.3). */
function bindings(): ControlCase[] {
  const erin = admission("alice", "erin", 1, "reader");
  const outCarol = role("alice", "carol", 2, "revoked");
  const standings: Standings = { ...FAMILY, carol: ["revoked", 1], erin: ["reader", 1] };
  const said = [outCarol, erin];
  const taken = { standings, taken: said };
  const facts: RekeyFacts = {
    reason: "removal",
    recipients: recipientsOf("alice", "bob", "dave"),
    digest: digestOf([...familyStatements(), ...said], standings),
    statements: said,
  };
  const both = rekey(facts);
  const twice = rekey({ ...facts, statements: [...said, erin] });
  const bare = rekey();
  const saying = (made: MadeRekey, ...statements: Uint8Array[]): Control => ({
    statements,
    rekey: { ...made, bytes: encode(made.items.map((item, i) => (i === 8 ? statementsHashOf(statements) : item))) },
  });
  const other = (name: string, control: Control, before: readonly Control[] = []): ControlCase =>
    refused("MALFORMED_MESSAGE", name, control, before);
  return [
    applied("a rekey with two statements", { rekey: both }, { ...taken, counts: both }),
    applied("a rekey with two statements, one of them twice", { rekey: twice }, { ...taken, counts: twice }),
    other("a rekey beside a statement that it did not go out with", { statements: [erin], rekey: bare }),
    other("a rekey beside another statement than its own", {
      statements: [outCarol],
      rekey: rekey({ statements: [erin] }),
    }),
    other("a rekey stripped of one of its statements", { statements: [outCarol], rekey: both }),
    other("a rekey stripped of all its statements", { statements: [], rekey: both }),
    other("a rekey beside its statements and one more", { statements: [...said, link()], rekey: both }),
    other("a rekey beside its statements in another order", { statements: [erin, outCarol], rekey: both }),
    other("a rekey beside its statements, one of them twice", { statements: [...said, erin], rekey: both }),
    other("a rekey by nobody beside another statement", { statements: [erin], rekey: rekey({ issuer: "mallory" }) }),
    other("a known rekey beside another statement", { statements: [erin], rekey: bare }, [{ rekey: bare }]),
    other("a known rekey stripped of its statements", { statements: [], rekey: both }, [{ rekey: both }]),
    other("a known rekey beside another statement, its hash changed to fit", saying(bare, erin), [{ rekey: bare }]),
    other("a known rekey stripped of a statement, its hash changed to fit", saying(both, outCarol), [{ rekey: both }]),
    other("a known rekey in another order, its hash changed to fit", saying(both, erin, outCarol), [{ rekey: both }]),
    refused("BAD_SIGNATURE", "an unknown rekey beside another statement, its hash changed to fit", saying(bare, erin)),
    refused(
      "BAD_SIGNATURE",
      "an unknown rekey stripped of a statement, its hash changed to fit",
      saying(both, outCarol),
    ),
    refused("UNTRUSTED_KEY", "a rekey by nobody, its statements hash changed to fit", {
      ...saying(rekey({ issuer: "mallory" }), erin),
    }),
    ...[10, 12].map((count) => {
      const items = count === 10 ? bare.items.filter((_, i) => i !== 8) : [...bare.items, 0];
      return other(`a rekey of ${count} items`, { rekey: { ...bare, bytes: encode(items) } });
    }),
  ];
}

function shapes(): ControlCase[] {
  const good = role("alice", "erin", 1, "reader");
  const payload = payloadOf({ statements: [good] });
  const of = (...items: CborItem[]): Uint8Array => encode(items);
  const sealed = (name: string, facts: Partial<ControlFacts> = {}) =>
    sealedControl(payload, { session: sessionOf(name), ...facts });
  return [
    refusedWire("DECRYPTION_FAILED", "in another context than it was sealed for", sealed("elsewhere"), {
      context: "home/garage",
    }),
    refusedWire("UNEXPECTED_DELIVERY", "where unverified messages were asked for", sealed("naive"), {
      options: { naive: true },
    }),
    refusedWire("FORBIDDEN", "in a bare topic", sealed("bare"), { bare: true }),
    malformed("sealed for another context than the topic's name", payload, { context: "home/garage" }),
    malformed("sequence 1", payload, { sequence: 1 }),
    malformed("with Bob's hint in the place of zeros", payload, { hint: person("bob").hint }),
    malformed("with a single bit in the place of zeros", payload, { hint: concat(new Uint8Array(7), [1]) }),
    malformed("nothing in it: the ciphertext is too short", of([], NONE)),
    malformed("a payload of zeros", new Uint8Array(100)),
    malformed("a statement alone", good),
    malformed("one item", of([good])),
    malformed("three items", of([good], NONE, NONE)),
    malformed("a byte after the end", concat(payload, [0])),
    malformed("statements that are no array", of(good, NONE)),
    malformed("statements within two arrays", of([[good]], NONE)),
    malformed("a statement that is text", of([good, "x"], NONE)),
    malformed("a statement that is an integer", of([good, 1], NONE)),
    malformed("an empty statement", of([good, NONE], NONE)),
    malformed("a statement of 127 bytes", of([new Uint8Array(127)], NONE)),
    malformed("a statement of 128 bytes, which is none", of([new Uint8Array(128)], NONE)),
    malformed("a statement of 513 bytes", of([new Uint8Array(513)], NONE)),
    malformed("a rekey that is an array", of([good], [])),
    malformed("a rekey that is an integer", of([good], 0)),
    malformed("a rekey of one byte", of([good], new Uint8Array(1))),
    malformed("array length not in its shortest form", concat([0x98, 2], payload.slice(1))),
    malformed("array of indefinite length", concat([0x9f], payload.slice(1), [0xff])),
  ];
}

export function controlCases(): ControlCase[] {
  return [...statementsApplied(), ...rekeysApplied(), ...afterDaveCases(), ...bindings(), ...refusals(), ...shapes()];
}
