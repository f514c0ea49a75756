/**
 * The test vectors of what an admin says (PROTOCOL §10.6): the version, the head and the wrap statement of an admission without an
 * introduction. All of it follows from what that admin knows, so the bytes are the same everywhere.
 */
import { encode } from "../src/cbor.js";
import { type MemberState, memberState } from "./control-cases.js";
import {
  admission,
  type Code,
  commitmentOf,
  concat,
  digestOf,
  FAMILY,
  familyStatements,
  person,
  type Role,
  recipientsOf,
  rekeyOf,
  roleStatement,
  sealedControl,
  wrapAlone,
  wrapWithin,
} from "./rooted-parts.js";
import { hex, NOW, named, TOPIC_KEY } from "./vector-secrets.js";

export interface AdmissionCase {
  readonly name: string;
  /** Who admits: one of `admins`. */
  readonly by: Admin;
  /** Control messages that it decodes before; they are fine. */
  readonly before: readonly string[];
  /** Public key. */
  readonly subject: string;
  readonly role: Exclude<Role, "revoked">;
  readonly called: string;
  readonly expect: { readonly accept: true; readonly statement: string } | { readonly refuse: Code };
}

type Admin = "alice" | "dave" | "bob";
export type Admins = Readonly<Record<Admin, MemberState>>;

export const admins = (): Admins => ({
  alice: memberState("alice"),
  dave: memberState("dave"),
  bob: memberState("bob"),
});

const GREATEST = 2 ** 48 - 1;

interface Sealed {
  readonly statements: readonly Uint8Array[];
  readonly rekey?: Uint8Array;
  readonly under?: Uint8Array;
}

interface Question {
  readonly by?: Admin;
  readonly before?: readonly Sealed[];
  readonly as?: AdmissionCase["role"];
  readonly called?: string;
}

/** What is said then, where that is not the rest of the question. */
interface Answer {
  readonly version: number;
  readonly head?: Uint8Array;
  readonly wrap?: Uint8Array;
}

function asked(name: string, subject: string, question: Question) {
  const { by = "alice", before = [], as = "publisher", called = subject } = question;
  const wires = before.map(({ statements, rekey = new Uint8Array(0), under = TOPIC_KEY }, i) => {
    const session = named(`session: ${i} before ${name}`).slice(0, 12);
    return hex(sealedControl(encode([statements, rekey]), { session, topicKey: under }));
  });
  return { name, by, before: wires, subject: person(subject).hex, role: as, called };
}

function says(name: string, subject: string, question: Question, answer: Answer): AdmissionCase {
  const { by = "alice", as = "publisher", called = subject } = question;
  const { version, head = commitmentOf(TOPIC_KEY), wrap = wrapWithin(subject) } = answer;
  const statement = roleStatement(by, subject, version, as, { name: called, head, wrap });
  return { ...asked(name, subject, question), expect: { accept: true, statement: hex(statement) } };
}

function refuses(name: string, subject: string, question: Question): AdmissionCase {
  return { ...asked(name, subject, question), expect: { refuse: "FORBIDDEN" } };
}

const none = new Uint8Array(0);
const link = (): Uint8Array => familyStatements()[1] as Uint8Array;
/** As Dave says it. */
const byDave = (subject: string, version: number, role: Role): Sealed => ({
  statements: [link(), roleStatement("dave", subject, version, role)],
});

function versions(): AdmissionCase[] {
  const left = { statements: [roleStatement("carol", "carol", 7, "revoked")] };
  const greatest = [byDave("erin", GREATEST, "revoked")];
  const unknown = { wrap: none, version: 1 };
  return [
    says("of somebody of whom nothing is known", "erin", {}, unknown),
    says("with an empty name", "erin", { called: "" }, unknown),
    says("in another role", "carol", {}, { version: 2 }),
    says("in the same role once more", "bob", {}, { version: 2 }),
    says("as admin", "carol", { as: "admin" }, { version: 2 }),
    says("of who left", "carol", { before: [left], as: "reader" }, { version: 8 }),
    says("of who left, as admin", "carol", { before: [left], as: "admin" }, { version: 8 }),
    says(
      "above a revocation by a larger rank",
      "erin",
      { before: [byDave("erin", 5, "revoked")] },
      { ...unknown, version: 6 },
    ),
    says("not above an admission by a larger rank", "erin", { before: [byDave("erin", 5, "reader")] }, unknown),
    says(
      "as admin, which no larger rank revokes: not above its revocation",
      "erin",
      { before: [byDave("erin", 5, "revoked")], as: "admin" },
      unknown,
    ),
    says(
      "as admin, whom a larger rank revoked with the greatest version",
      "erin",
      { before: greatest, as: "admin" },
      unknown,
    ),
    refuses("of who was revoked with the greatest version, by a larger rank", "erin", { before: greatest }),
    says(
      "of who was revoked with the version before the greatest",
      "erin",
      { before: [byDave("erin", GREATEST - 1, "revoked")] },
      { ...unknown, version: GREATEST },
    ),
    says("by an admin that is no root", "erin", { by: "dave", as: "admin" }, unknown),
    says("by a larger rank, in the role that it has: that it is given this key", "bob", { by: "dave" }, { version: 2 }),
    refuses("by a larger rank, in another role", "bob", { by: "dave", as: "reader" }),
    says("of a root, as admin", "alice", { by: "dave", as: "admin" }, { version: 1 }),
    refuses("of a root, in another role", "alice", { by: "dave" }),
    refuses("of a root by itself, in another role", "alice", { as: "reader" }),
    refuses("by a publisher", "erin", { by: "bob" }),
  ];
}

/** Which wrap statement it carries, and the epoch that it names. */
function wraps(): AdmissionCase[] {
  const digest = digestOf(familyStatements(), FAMILY);
  // Alice made it, and goes on from a copy of before.
  const own = rekeyOf({ recipients: recipientsOf("alice", "bob", "carol", "dave"), digest });
  const hears: Sealed = { statements: [], rekey: own.bytes };
  const { commitment: head, topicKey: under } = own;
  const parts = { wrapKey: person("nobody").wrapKey, version: NOW + 1 };
  const renewal = wrapAlone("carol", parts);
  const renewed = wrapWithin("carol", parts);
  const [first, again] = [{ statements: [renewal] }, { statements: [renewal], under }];
  const known = admission("alice", "carol", 1, "reader");
  const carried = { statements: [link(), admission("dave", "carol", 1, "reader", { wrap: renewed })] };
  const byOthers = { statements: [roleStatement("bob", "carol", 1, "reader", { wrap: renewed }), renewal] };
  const erin = { statements: [roleStatement("alice", "erin", 1, "reader")] };
  const erinsWrap = { statements: [wrapAlone("erin")] };
  return [
    says("under an epoch of our own, opened by our wrap key", "carol", { before: [hears] }, { version: 2, head }),
    says("with the wrap key that was renewed", "carol", { before: [first] }, { version: 2, wrap: renewed }),
    says(
      "with the wrap key as it was, while the renewed one is doubted",
      "carol",
      { before: [hears, first] },
      { version: 2, head },
    ),
    says(
      "with the wrap key that was doubted until it came again under the epoch that counts",
      "carol",
      { before: [hears, first, again] },
      { version: 2, head, wrap: renewed },
    ),
    says(
      "with the wrap key as it was: the renewed one came again under the old key only",
      "carol",
      { before: [hears, first, { statements: [known, renewal] }] },
      { version: 2, head },
    ),
    says(
      "with the wrap key that an admin's statement brought under the old key",
      "carol",
      { before: [hears, carried] },
      { version: 2, head, wrap: renewed },
    ),
    says(
      "with the wrap key as it was: the renewed one came in a statement by who is no admin",
      "carol",
      { before: [hears, byOthers] },
      { version: 2, head },
    ),
    says(
      "with no wrap key, while the only one is doubted",
      "erin",
      { before: [hears, erin, erinsWrap] },
      { version: 2, head, wrap: none },
    ),
    says(
      "with the first wrap key, which came alone under the epoch that counts",
      "erin",
      { before: [erin, erinsWrap] },
      { version: 2 },
    ),
    says(
      "with a wrap key that bit 255 is set in, as it was signed",
      "erin",
      { before: [erin, { statements: [wrapAlone("erin", { wrapKey: withBit255(person("erin").wrapKey) })] }] },
      { version: 2, wrap: wrapWithin("erin", { wrapKey: withBit255(person("erin").wrapKey) }) },
    ),
  ];
}

const withBit255 = (key: Uint8Array): Uint8Array => concat(key.slice(0, 31), [(key[31] as number) | 0x80]);

export function admissionCases(): AdmissionCase[] {
  return [...versions(), ...wraps()];
}
