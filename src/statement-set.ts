/**
 * The statements of one rooted topic (PROTOCOL §10.4): what is taken in, what is kept, and the roster they give.
 * Each signature is checked once.
 */
import { fromHex } from "./bytes.js";
import { hash } from "./crypto.js";
import { MalformedMessageError } from "./errors.js";
import { MAX_CHAIN, MAX_ISSUERS, MAX_STATEMENTS_PER_ISSUER } from "./limits.js";
import { computeRoster, outranks, type Roster } from "./roster.js";
import {
  formatRenewal,
  isNewerWrap,
  isRoleStatement,
  parseStatement,
  type RoleStatement,
  type StatementScope,
  statementHash,
  verifyRole,
  verifyWrap,
  type WrapStatement,
} from "./statements.js";

/** Of statements that say the same: any rule serves that everybody has. */
function bySmallerHash(a: RoleStatement, b: RoleStatement): number {
  return a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0;
}

/** What was verified, and is not part of the set yet. */
export interface Staged {
  readonly roles: readonly RoleStatement[];
  readonly wraps: readonly WrapStatement[];
  /** Who became an issuer by it, and by which statement. */
  readonly links: ReadonlyMap<string, RoleStatement>;
  /** The names of all that came, also of what was known. */
  readonly names: ReadonlySet<string>;
}

export const NOTHING_STAGED: Staged = { roles: [], wraps: [], links: new Map(), names: new Set() };

/** All of a `StatementSet`, each statement as it travels; one that stands in several places is one and the same array. */
export interface SavedStatements {
  /** What counts of all that issuers say. */
  readonly roles: readonly Uint8Array[];
  /** How everybody who ever was an admin became one: it may count no more. */
  readonly links: readonly Uint8Array[];
  /** The newest wrap statement of each: alone, or a role statement that carries it. */
  readonly wraps: readonly Uint8Array[];
}

export class StatementSet implements Iterable<RoleStatement> {
  readonly scope: StatementScope;
  /** Public keys in hex. */
  readonly roots: readonly string[];
  /** By issuer, then by subject: the one that counts. */
  readonly #roles = new Map<string, Map<string, RoleStatement>>();
  /** By subject: how many statements above are about it. */
  readonly #spokenOf = new Map<string, number>();
  /** How everybody who ever was an admin became one: its statements are taken in, also when it is one no more. */
  readonly #links = new Map<string, RoleStatement>();
  readonly #wraps = new Map<string, WrapStatement>();
  #roster: Roster<RoleStatement> | undefined;
  #digest: Uint8Array | undefined;

  constructor(scope: StatementScope, roots: readonly string[]) {
    this.scope = scope;
    this.roots = roots;
  }

  /** The roster that these statements give. */
  get roster(): Roster<RoleStatement> {
    this.#roster ??= computeRoster(this.roots, this, bySmallerHash);
    return this.#roster;
  }

  /** The roster that they would give with those. */
  rosterWith({ roles }: Staged): Roster<RoleStatement> {
    return roles.length === 0 ? this.roster : computeRoster(this.roots, [...this, ...roles], bySmallerHash);
  }

  /** The newest wrap statement of somebody. */
  wrapOf(participant: string): WrapStatement | undefined {
    return this.#wraps.get(participant);
  }

  /** The newest wrap statement of somebody, if those were part of the set. */
  wrapWith({ wraps }: Staged, participant: string): WrapStatement | undefined {
    return newestOf(wraps, participant, this.#wraps.get(participant));
  }

  /** Whether anything was ever said about somebody by an issuer. */
  knows(participant: string): boolean {
    return this.#spokenOf.has(participant) || this.#links.has(participant) || this.roots.includes(participant);
  }

  /** Everybody of whom anything is said. */
  subjects(): Iterable<string> {
    return this.#spokenOf.keys();
  }

  /** What `issuer` says about `subject`. */
  get(issuer: string, subject: string): RoleStatement | undefined {
    return this.#roles.get(issuer)?.get(subject);
  }

  /** Whether a statement of this name counts, or is how somebody became an issuer. */
  has(name: string): boolean {
    for (const statement of this) if (statement.hash === name) return true;
    for (const link of this.#links.values()) if (link.hash === name) return true;
    return false;
  }

  /** All that `issuer` says. */
  by(issuer: string): readonly RoleStatement[] {
    return [...(this.#roles.get(issuer)?.values() ?? [])];
  }

  /** All that is said about `subject`. */
  about(subject: string): readonly RoleStatement[] {
    return [...this.#roles.values()].flatMap((bySubject) => bySubject.get(subject) ?? []);
  }

  /** Whether somebody is or was an admin: what it signs is taken in. */
  isIssuer(participant: string, links: ReadonlyMap<string, RoleStatement> = this.#links): boolean {
    return this.roots.includes(participant) || this.#links.has(participant) || links.has(participant);
  }

  /** The statements by which somebody is or was an admin, from a root on; `undefined` for who never was. */
  chainOf(issuer: string, links?: ReadonlyMap<string, RoleStatement>): RoleStatement[] | undefined {
    const chain: RoleStatement[] = [];
    for (let at = issuer; !this.roots.includes(at); ) {
      const link = this.#links.get(at) ?? links?.get(at);
      if (link === undefined || chain.length === MAX_CHAIN) return undefined;
      chain.unshift(link);
      at = link.issuer;
    }
    return chain;
  }

  /**
   * Verifies what came, in any order, and says what of it is new. Statements by those who never were an admin, by these or
   * what is held, are left out.
   *
   * @throws MalformedMessageError, InvalidKeyError, BadSignatureError; then all of it is refused
   */
  stage(encoded: Iterable<Uint8Array>): Staged {
    let waiting: RoleStatement[] = [];
    const renewals: WrapStatement[] = [];
    const seen = new Set<string>();
    for (const bytes of encoded) {
      const name = statementHash(bytes);
      if (seen.has(name)) continue;
      seen.add(name);
      const statement = parseStatement(bytes);
      if (!isRoleStatement(statement)) renewals.push(statement);
      else if (this.get(statement.issuer, statement.subject)?.hash !== name) waiting.push(statement);
    }
    const roles: RoleStatement[] = [];
    const wraps: WrapStatement[] = [];
    const links = new Map<string, RoleStatement>();
    const spokenOf = new Set<string>();
    const takeWrap = (wrap: WrapStatement) => {
      if (!isNewerWrap(wrap, newestOf(wraps, wrap.identity, this.#wraps.get(wrap.identity)))) return;
      verifyWrap(this.scope, wrap);
      wraps.push(wrap);
    };
    for (let before = -1; waiting.length !== before; ) {
      before = waiting.length;
      waiting = waiting.filter((statement) => {
        const { issuer, subject } = statement;
        const mayCount =
          issuer === subject
            ? statement.role === "revoked" && (this.knows(subject) || spokenOf.has(subject))
            : this.chainOf(issuer, links) !== undefined;
        if (!mayCount) return true;
        const held = this.get(issuer, subject);
        const isLink = statement.role === "admin" && !this.isIssuer(subject, links);
        if (!isLink && held !== undefined && !outranks(statement, held, bySmallerHash)) return false;
        verifyRole(this.scope, statement);
        if (statement.wrap !== undefined) takeWrap(statement.wrap);
        if (isLink) links.set(subject, statement);
        spokenOf.add(subject);
        roles.push(statement);
        return false;
      });
    }
    for (const wrap of renewals) if (this.knows(wrap.identity) || spokenOf.has(wrap.identity)) takeWrap(wrap);
    return { roles, wraps, links, names: seen };
  }

  /** Makes what was staged a part of the set. Says whether anything changed. */
  add({ roles, wraps, links }: Staged): boolean {
    let changed = false;
    for (const [subject, link] of links) {
      if (this.#links.size < MAX_ISSUERS) this.#links.set(subject, link);
    }
    for (const statement of roles) changed = this.#add(statement) || changed;
    for (const wrap of wraps) {
      if (!isNewerWrap(wrap, this.#wraps.get(wrap.identity))) continue;
      this.#wraps.set(wrap.identity, wrap);
      changed = true;
    }
    if (changed) {
      this.#roster = undefined;
      this.#digest = undefined;
    }
    return changed;
  }

  #add(statement: RoleStatement): boolean {
    const { issuer, subject } = statement;
    const bySubject = this.#roles.get(issuer) ?? new Map<string, RoleStatement>();
    const held = bySubject.get(subject);
    if (held !== undefined && !outranks(statement, held, bySmallerHash)) return false;
    this.#roles.set(issuer, bySubject);
    bySubject.set(subject, statement);
    if (held === undefined) this.#count(subject, 1);
    if (bySubject.size > MAX_STATEMENTS_PER_ISSUER) {
      const least = [...bySubject.values()].reduce((a, b) =>
        a.version !== b.version ? (a.version < b.version ? a : b) : a.hash < b.hash ? a : b,
      );
      bySubject.delete(least.subject);
      this.#count(least.subject, -1);
    }
    return true;
  }

  #count(subject: string, change: number): void {
    const count = (this.#spokenOf.get(subject) ?? 0) + change;
    if (count > 0) this.#spokenOf.set(subject, count);
    else this.#spokenOf.delete(subject);
  }

  /** All statements, as they travel: whoever takes them in has this set. */
  encoded(): Uint8Array[] {
    const statements = new Set([...this.#links.values(), ...this]);
    const carried = new Set([...statements].map(({ wrap }) => wrap));
    const alone = [...this.#wraps.values()].filter((wrap) => !carried.has(wrap));
    return [...[...statements].map(({ bytes }) => bytes), ...alone.map(formatRenewal)];
  }

  saved(): SavedStatements {
    const links = [...this.#links.values()];
    const roles = [...this];
    const carriers = new Map<WrapStatement | undefined, Uint8Array>();
    for (const { wrap, bytes } of [...links, ...roles]) carriers.set(wrap, bytes);
    return {
      roles: roles.map(({ bytes }) => bytes),
      links: links.map(({ bytes }) => bytes),
      wraps: [...this.#wraps.values()].map((wrap) => carriers.get(wrap) ?? formatRenewal(wrap)),
    };
  }

  /**
   * Takes back what an empty set saved. No signature is checked, and not who may say what: each was when it came. Never for anything
   * that came from others.
   */
  restoreWithoutVerifying({ roles, links, wraps }: SavedStatements): void {
    const parsed = new Map<Uint8Array, RoleStatement | WrapStatement>();
    const parseOnce = (bytes: Uint8Array): RoleStatement | WrapStatement => {
      const statement = parsed.get(bytes) ?? parseStatement(bytes);
      parsed.set(bytes, statement);
      return statement;
    };
    const parseRole = (bytes: Uint8Array): RoleStatement => {
      const statement = parseOnce(bytes);
      if (!isRoleStatement(statement)) throw new MalformedMessageError("expected a statement about a role");
      return statement;
    };
    for (const bytes of roles) this.#add(parseRole(bytes));
    for (const bytes of links) {
      const link = parseRole(bytes);
      this.#links.set(link.subject, link);
    }
    for (const bytes of wraps) {
      const statement = parseOnce(bytes);
      const wrap = isRoleStatement(statement) ? statement.wrap : statement;
      if (wrap === undefined) throw new MalformedMessageError("expected a statement that carries a wrap key");
      this.#wraps.set(wrap.identity, wrap);
    }
    this.#roster = undefined;
    this.#digest = undefined;
  }

  /** Names what the roster now rests on: who has another digest lacks something, or knows something more. */
  get digest(): Uint8Array {
    if (this.#digest === undefined) {
      const { roster } = this;
      const counting: string[] = [];
      for (const [issuer, bySubject] of this.#roles) {
        const isAdmin = roster.isAdmin(issuer);
        for (const statement of bySubject.values()) {
          const { subject, hash: name } = statement;
          if (isAdmin || (subject === issuer && roster.get(subject) !== undefined)) counting.push(name);
        }
      }
      for (const [participant, wrap] of this.#wraps) {
        const standing = roster.get(participant);
        if (standing !== undefined && standing.role !== "revoked") counting.push(renewalHash(wrap));
      }
      this.#digest = hash("statementSet", fromHex(counting.sort().join("")));
    }
    return this.#digest;
  }

  /** What counts of all that issuers say, whether they are admins now or not. */
  *[Symbol.iterator](): Iterator<RoleStatement> {
    for (const bySubject of this.#roles.values()) yield* bySubject.values();
  }
}

const renewalHashes = new WeakMap<WrapStatement, string>();

/** Names a wrap statement as it travels alone. Each change of the set asks for the names of all in it. */
function renewalHash(wrap: WrapStatement): string {
  let name = renewalHashes.get(wrap);
  if (name === undefined) {
    name = statementHash(formatRenewal(wrap));
    renewalHashes.set(wrap, name);
  }
  return name;
}

function newestOf(
  wraps: readonly WrapStatement[],
  participant: string,
  known: WrapStatement | undefined,
): WrapStatement | undefined {
  let newest = known;
  for (const wrap of wraps) if (wrap.identity === participant && isNewerWrap(wrap, newest)) newest = wrap;
  return newest;
}
