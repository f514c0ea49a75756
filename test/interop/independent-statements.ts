// Statements, the set of them, and the roster: §10 of docs/PROTOCOL.md, from that page alone.
import sodium from "libsodium-wrappers";
import { checkName, makeWrapStatement, parseWrapWithin, type WrapKey, wrapDigest } from "./independent-peer.js";
import {
  type Bytes,
  bytesOf,
  H,
  hex,
  isIdentityKey,
  join,
  MAX_STATEMENT,
  MAX_TIME,
  malformed,
  numberOf,
  publicKeyOf,
  readCbor,
  refuse,
  sign,
  unhex,
  verify,
  writeCbor,
} from "./independent-primitives.js";

const none = new Uint8Array();

// §10.1

export const saltOf = (firstCommitment: Bytes): Bytes => H("salt", firstCommitment).slice(0, 16);
export const topicIdOf = (roots: readonly Bytes[], salt: Bytes): Bytes => H("topic id", roots, salt);

// §10.2

export const ROLES = ["revoked", "reader", "publisher", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** What a role statement says; keys in hex, to be looked up by. */
export type Claim = { issuer: string; subject: string; version: number; role: Role };
type RoleFacts = { version: number; role: Role; name: string; head: Bytes; wrap: Bytes };
export type RoleStatement = Claim & RoleFacts & { kind: "role"; signature: Bytes; bytes: Bytes; id: string };
export type WrapStatement = { kind: "wrap"; identity: string; wrapKey: Bytes; version: number } & {
  signature: Bytes;
  /** In the form that travels alone, and its name. */
  bytes: Bytes;
  id: string;
};

export const nameOf = (statement: Bytes): Bytes => H("statement", statement);

const roleDigest = (topicId: Bytes, issuer: Bytes, subject: Bytes, facts: RoleFacts): Bytes => {
  const { version, role, name, head, wrap } = facts;
  return H("role statement", topicId, issuer, subject, version, ROLES.indexOf(role), name, head, wrap);
};

export type RoleInput = {
  seed: Bytes;
  topicId: Bytes;
  subject: Bytes;
  version: number;
  role: Role;
} & Partial<RoleFacts>;
export function makeRoleStatement({ seed, topicId, subject, ...said }: RoleInput): Bytes {
  const facts = { name: "", head: none, wrap: none, ...said };
  const issuer = publicKeyOf(seed);
  const signature = sign(seed, roleDigest(topicId, issuer, subject, facts));
  const { version, role, name, head, wrap } = facts;
  return writeCbor([0, issuer, subject, version, ROLES.indexOf(role), name, head, wrap, signature]);
}

/** The form that travels alone, of what stands within a role statement or an introduction. */
export function wrapAlone(identity: Bytes, within: Bytes): WrapStatement {
  const { wrapKey, version, signature } = parseWrapWithin(within);
  const bytes = writeCbor([1, identity, wrapKey, version, signature]);
  return { kind: "wrap", identity: hex(identity), wrapKey, version, signature, bytes, id: hex(nameOf(bytes)) };
}
export const wrapWithin = ({ wrapKey, version, signature }: WrapStatement): Bytes =>
  writeCbor([wrapKey, version, signature]);
export const makeWrapAlone = (wrap: WrapKey & { seed: Bytes }): Bytes =>
  wrapAlone(publicKeyOf(wrap.seed), makeWrapStatement(wrap)).bytes;

export function parseStatement(bytes: Bytes): RoleStatement | WrapStatement {
  if (bytes.length > MAX_STATEMENT) malformed(`a statement of ${bytes.length} bytes`);
  const items = readCbor(bytes, 9, false);
  const id = hex(nameOf(bytes));
  if (items[0] === 1 && items.length === 5) {
    const [identity, wrapKey, version] = [bytesOf(items[1], 32), bytesOf(items[2], 32), numberOf(items[3], MAX_TIME)];
    return { kind: "wrap", identity: hex(identity), wrapKey, version, signature: bytesOf(items[4], 64), bytes, id };
  }
  if (items[0] !== 0 || items.length !== 9) return malformed("no statement");
  const [issuer, subject] = [hex(bytesOf(items[1], 32)), hex(bytesOf(items[2], 32))];
  const [version, role, name] = [numberOf(items[3], MAX_TIME), ROLES[numberOf(items[4], 3)] as Role, items[5]];
  const [head, wrap, signature] = [bytesOf(items[6], 0, 32), bytesOf(items[7], 0, 256), bytesOf(items[8], 64)];
  checkName(name);
  if (head.length !== 0 && head.length !== 32) malformed("a head of another length");
  if (wrap.length > 0) parseWrapWithin(wrap);
  return { kind: "role", issuer, subject, version, role, name, head, wrap, signature, bytes, id };
}

// §10.4

/** Whether one says more than the other: of statements by one issuer about one subject, or of decisions. */
type Named = Claim & { id: string };
const isStronger = (a: Named, b: Named): boolean => {
  if (a.version !== b.version) return a.version > b.version;
  if (a.role !== b.role) return ROLES.indexOf(a.role) < ROLES.indexOf(b.role);
  return a.id < b.id;
};
const strongest = <S extends Named>(of: readonly S[]): S | undefined =>
  of.reduce<S | undefined>((best, each) => (best === undefined || isStronger(each, best) ? each : best), undefined);

const isNewer = (a: WrapStatement, b: WrapStatement | undefined): boolean =>
  b === undefined ||
  a.version > b.version ||
  (a.version === b.version && hex(a.wrapKey) + hex(a.signature) > hex(b.wrapKey) + hex(b.signature));

const pairOf = (claim: Claim): string => claim.issuer + claim.subject;
const MAX_CHAIN = 8;
const MAX_LINKS = 256;
const MAX_OF_ISSUER = 16_384;
const MAX_STATEMENTS = 65_536;
const STATEMENTS_LEFT = 61_440;

/** All that is known in one rooted topic. */
export class Statements {
  readonly roles = new Map<string, RoleStatement>();
  readonly links = new Map<string, RoleStatement>();
  readonly wraps = new Map<string, WrapStatement>();
  readonly topicId: Bytes;
  readonly topicName: string;
  readonly roots: readonly string[];
  #roster: Map<string, Standing<RoleStatement>> | undefined;

  constructor(roots: readonly string[], topicId: Bytes, topicName: string) {
    [this.roots, this.topicId, this.topicName] = [roots, topicId, topicName];
  }

  copy(): Statements {
    const copy = new Statements(this.roots, this.topicId, this.topicName);
    for (const [key, role] of this.roles) copy.roles.set(key, role);
    for (const [key, link] of this.links) copy.links.set(key, link);
    for (const [key, wrap] of this.wraps) copy.wraps.set(key, wrap);
    return copy;
  }

  get roster(): Map<string, Standing<RoleStatement>> {
    this.#roster ??= rosterOf(this.roots, [...this.roles.values()]);
    return this.#roster;
  }

  isIssuer(key: string): boolean {
    return this.roots.includes(key) || this.links.has(key);
  }

  /** The links from a root down to this issuer. */
  chainOf(issuer: string): RoleStatement[] {
    const link = this.links.get(issuer);
    return this.roots.includes(issuer) || link === undefined ? [] : [...this.chainOf(link.issuer), link];
  }

  /** The set with these taken in besides, and this one as it was. */
  with(statements: readonly Bytes[]): Statements {
    const next = this.copy();
    next.#takeIn(statements.map(parseStatement), this.roles);
    return next;
  }

  /** `held` is what was known before. */
  #takeIn(parsed: readonly (RoleStatement | WrapStatement)[], held: ReadonlyMap<string, RoleStatement>): void {
    const once = [...new Map(parsed.map((statement) => [statement.id, statement])).values()];
    const waiting = new Set(
      once.filter((each): each is RoleStatement => each.kind === "role" && held.get(pairOf(each))?.id !== each.id),
    );
    for (let before = -1; before !== waiting.size; ) {
      before = waiting.size;
      for (const each of waiting) if (this.#takeRole(each, held.get(pairOf(each)))) waiting.delete(each);
      this.#relink();
    }
    const alone = new Map<string, WrapStatement>();
    for (const each of once)
      if (each.kind === "wrap" && isNewer(each, alone.get(each.identity))) alone.set(each.identity, each);
    for (const each of alone.values()) if (this.#isKnown(each.identity)) this.#takeWrap(each);
    this.#makeRoom();
  }

  #isKnown(key: string): boolean {
    return this.isIssuer(key) || [...this.roles.values()].some(({ subject }) => subject === key);
  }

  #isHeard({ issuer, subject, role }: RoleStatement): boolean {
    return issuer === subject ? role === "revoked" && this.#isKnown(subject) : this.isIssuer(issuer);
  }

  #isLink({ issuer, subject, role }: RoleStatement): boolean {
    if (role !== "admin" || issuer === subject || this.roots.includes(subject) || !this.isIssuer(issuer)) return false;
    const [length, held] = [this.chainOf(issuer).length + 1, this.links.get(subject)];
    return length <= MAX_CHAIN && (held === undefined || length < this.chainOf(subject).length);
  }

  /** What is held may be a link now that the chain of its issuer is shorter. */
  #relink(): void {
    for (let isDone = false; !isDone; ) {
      const link = [...this.roles.values()].find((each) => this.#isLink(each));
      if (link !== undefined) this.links.set(link.subject, link);
      isDone = link === undefined;
    }
  }

  /** Takes in what its issuer may say; false where it may not, or where it is weaker than what was held and only its wrap counts. */
  #takeRole(statement: RoleStatement, held: RoleStatement | undefined): boolean {
    const { subject, wrap } = statement;
    if (!this.#isHeard(statement)) return false;
    const isLink = this.#isLink(statement);
    const isTaken = isLink || held === undefined || isStronger(statement, held);
    if (isTaken) verifyRole(statement, this.topicId);
    if (wrap.length > 0) this.#takeWrap(wrapAlone(unhex(subject), wrap), isTaken);
    if (!isTaken) return false;
    if (isLink) this.links.set(subject, statement);
    const taken = this.roles.get(pairOf(statement));
    if (taken === undefined || isStronger(statement, taken)) this.#keep(statement);
    return true;
  }

  #keep(statement: RoleStatement): void {
    this.roles.set(pairOf(statement), statement);
    const of = [...this.roles.values()].filter(({ issuer }) => issuer === statement.issuer);
    if (of.length <= MAX_OF_ISSUER) return;
    const weakest = of.reduce((a, b) => (a.version < b.version || (a.version === b.version && a.id < b.id) ? a : b));
    this.roles.delete(pairOf(weakest));
  }

  /** §10.3; what is handed on is checked though it is older. */
  #takeWrap(wrap: WrapStatement, isHandedOn = false): void {
    const held = this.wraps.get(wrap.identity);
    const counts = isNewer(wrap, held);
    if (!counts && (!isHandedOn || wrap.id === held?.id)) return;
    verifyWrap(wrap, this.topicName);
    if (counts) this.wraps.set(wrap.identity, wrap);
  }

  /** The bounds of §10.4. */
  #makeRoom(): void {
    if (this.links.size > MAX_LINKS) {
      this.#roster = undefined;
      const admins = [...this.roster].filter(([, { role, statement }]) => role === "admin" && statement !== undefined);
      const inOrder = admins.sort(([, a], [, b]) => a.rank - b.rank).map(([key]) => key);
      const lineages = [...this.#byLineage(inOrder, (key) => key).values()];
      const longest = Math.max(...lineages.map(({ length }) => length));
      const inTurn = Array.from({ length: longest }, (_, i) => lineages.flatMap((each) => each[i] ?? [])).flat();
      const links = new Map(inTurn.map((key) => [key, this.roster.get(key)?.statement]));
      for (const [key, link] of this.links) if (!links.has(key)) links.set(key, link);
      const [stay, go] = [[...links].slice(0, MAX_LINKS), [...links.keys()].slice(MAX_LINKS)];
      this.links.clear();
      for (const [key, link] of stay) this.links.set(key, link as RoleStatement);
      this.#forget(({ issuer, subject }) => issuer !== subject && go.includes(issuer));
    }
    if (this.roles.size <= MAX_STATEMENTS) return;
    this.#roster = undefined;
    const inOrder = [...this.roles.values()]
      .filter(({ issuer, subject }) => issuer !== subject)
      .sort((a, b) => a.version - b.version || (a.id < b.id ? -1 : 1));
    const excess = this.roles.size - STATEMENTS_LEFT;
    const go = new Set(inOrder.filter(({ issuer }) => !this.isAdmin(issuer)).slice(0, excess));
    const rankOf = ({ issuer }: RoleStatement): number => this.roster.get(issuer)?.rank ?? 0;
    const said = inOrder.filter(({ issuer }) => this.isAdmin(issuer)).sort((a, b) => rankOf(b) - rankOf(a));
    const lineages = [...this.#byLineage(said, ({ issuer }) => issuer).values()];
    while (go.size < excess) {
      const most = lineages.reduce((a, b) => (b.length > a.length ? b : a));
      const loses = most.shift();
      if (loses === undefined) break;
      go.add(loses);
    }
    this.#forget((each) => go.has(each));
  }

  /** Whom somebody made whom a root made, and that one; each root is a lineage of its own. */
  #byLineage<T>(of: readonly T[], adminOf: (each: T) => string): Map<string, T[]> {
    const lineages = new Map<string, T[]>();
    for (const each of of) {
      let first = adminOf(each);
      for (let by = this.roster.get(first)?.statement?.issuer; by !== undefined && !this.roots.includes(by); ) {
        first = by;
        by = this.roster.get(first)?.statement?.issuer;
      }
      lineages.set(first, [...(lineages.get(first) ?? []), each]);
    }
    return lineages;
  }

  #forget(goes: (statement: RoleStatement) => boolean): void {
    for (const [pair, each] of this.roles) if (goes(each)) this.roles.delete(pair);
    this.#roster = undefined;
    const others = [...this.roles.values()].filter(({ issuer, subject }) => issuer !== subject);
    const known = new Set([...this.roots, ...this.links.keys(), ...others.map(({ subject }) => subject)]);
    for (const [pair, { subject }] of this.roles) if (!known.has(subject)) this.roles.delete(pair);
    for (const key of this.wraps.keys()) if (!known.has(key)) this.wraps.delete(key);
  }

  // What the roster says

  isOn(key: string): boolean {
    return (this.roster.get(key)?.role ?? "revoked") !== "revoked";
  }
  isAdmin(key: string): boolean {
    return this.roster.get(key)?.role === "admin";
  }
  get members(): string[] {
    return [...this.roster.keys()].filter((key) => this.isOn(key));
  }

  /** Whether it says something to the roster. */
  #counts({ issuer, subject }: RoleStatement): boolean {
    return issuer === subject ? this.roster.has(subject) : this.isAdmin(issuer);
  }

  /** §10.7 */
  digest(): Bytes {
    const roles = [...this.roles.values()].filter((each) => this.#counts(each));
    const wraps = this.members.flatMap((key) => this.wraps.get(key) ?? []);
    const names = [...roles, ...wraps].map(({ id }) => id).sort();
    return H("statement set", join(...names.map(unhex)));
  }

  /** All of them, as a reply has them: first what gives the roster; what a role statement carries does not travel alone. */
  all(): Bytes[] {
    const rolesOf = (all: Iterable<RoleStatement>): Map<string, RoleStatement> =>
      new Map([...all].map((each) => [each.id, each]));
    const first = rolesOf([...this.roles.values()].filter((each) => this.#counts(each)));
    const rest = rolesOf([...this.links.values(), ...this.roles.values()].filter(({ id }) => !first.has(id)));
    const carried = (roles: Map<string, RoleStatement>): Set<string> =>
      new Set(
        [...roles.values()].flatMap(({ subject, wrap }) =>
          wrap.length > 0 ? [wrapAlone(unhex(subject), wrap).id] : [],
        ),
      );
    const [byFirst, byRest] = [carried(first), carried(rest)];
    const alone = [...this.wraps.values()].filter(({ id }) => !byFirst.has(id));
    const ofMembers = alone.filter(({ identity }) => this.isOn(identity));
    const others = alone.filter(({ identity, id }) => !this.isOn(identity) && !byRest.has(id));
    return [...first.values(), ...ofMembers, ...rest.values(), ...others].map(({ bytes }) => bytes);
  }

  /** §10.6: the version of what this admin says next about somebody. */
  nextVersion(issuer: string, subject: string, role: Role = "reader"): number {
    const rankOf = (key: string): number => this.roster.get(key)?.rank ?? Number.POSITIVE_INFINITY;
    const above = [...this.roles.values()].filter(({ issuer: by, subject: of, role: said }) => {
      if (of !== subject) return false;
      if (by === issuer || by === subject) return true;
      const isRevocation = said === "revoked" && role !== "admin";
      return this.isAdmin(by) && (isRevocation || issuer === subject || rankOf(by) <= rankOf(issuer));
    });
    const version = 1 + Math.max(0, ...above.map((each) => each.version));
    if (version <= MAX_TIME) return version;
    return role === "revoked" ? MAX_TIME : refuse("FORBIDDEN", "no version is left");
  }
}

export function verifyRole(statement: RoleStatement, topicId: Bytes): void {
  const [issuer, subject] = [unhex(statement.issuer), unhex(statement.subject)];
  if (!isIdentityKey(subject)) refuse("INVALID_KEY", statement.subject);
  if (!verify(statement.signature, roleDigest(topicId, issuer, subject, statement), issuer))
    refuse("BAD_SIGNATURE", "role statement");
}

export function verifyWrap({ identity, wrapKey, version, signature }: WrapStatement, topicName: string): void {
  try {
    sodium.crypto_scalarmult(sodium.randombytes_buf(32), wrapKey);
  } catch {
    refuse("INVALID_KEY", "wrap key of low order");
  }
  if (!verify(signature, wrapDigest(unhex(identity), { wrapKey, version, topicName }), unhex(identity)))
    refuse("BAD_SIGNATURE", "wrap statement");
}

// §10.5

export type Standing<S extends Claim> = {
  role: Role;
  rank: number;
  /** What decided it: nothing for a root. */
  statement: S | undefined;
  revokedBy: S | undefined;
};

/** Of `statements` each pair of issuer and subject has one. */
export function rosterOf<S extends Named>(
  roots: readonly string[],
  statements: readonly S[],
): Map<string, Standing<S>> {
  const ofThemselves = new Map<string, S>();
  for (const each of statements)
    if (each.issuer === each.subject && each.role === "revoked") ofThemselves.set(each.subject, each);
  const roster = new Map<string, Standing<S>>();
  for (const root of roots) {
    const revokedBy = ofThemselves.get(root);
    roster.set(root, { role: revokedBy ? "revoked" : "admin", rank: 0, statement: undefined, revokedBy });
  }
  for (let rank = 0; ; rank++) {
    const speakers = new Set(
      [...roster].filter(([, it]) => it.rank === rank && it.role === "admin").map(([key]) => key),
    );
    if (speakers.size === 0) return roster;
    const about = new Map<string, S[]>();
    for (const each of statements)
      if (speakers.has(each.issuer) && each.issuer !== each.subject)
        about.set(each.subject, [...(about.get(each.subject) ?? []), each]);
    for (const [subject, said] of about) {
      const before = roster.get(subject);
      if (before !== undefined) {
        revokeBy(before, said);
        continue;
      }
      const statement = strongest(said) as S;
      const self = ofThemselves.get(subject);
      const left = self !== undefined && self.version >= statement.version ? self : undefined;
      const revokedBy = left ?? (statement.role === "revoked" ? statement : undefined);
      roster.set(subject, { role: revokedBy ? "revoked" : statement.role, rank: rank + 1, statement, revokedBy });
    }
  }
}

/** (2.2): what a larger rank says of who was decided before. */
function revokeBy<S extends Named>(before: Standing<S>, said: readonly S[]): void {
  const { statement: decided, revokedBy: by } = before;
  if (decided?.role !== "publisher" && decided?.role !== "reader") return;
  const revocations = said.filter(({ role, version }) => role === "revoked" && version >= decided.version);
  const isSelf = by !== undefined && by.issuer === by.subject;
  if (revocations.length === 0 || isSelf) return;
  before.role = "revoked";
  before.revokedBy = strongest(by === undefined ? revocations : [...revocations, by]);
}
