/**
 * The statements of one rooted topic (PROTOCOL §10.4): what is taken in, what is kept, and the roster they give.
 * Each signature is checked once.
 */
import { fromHex } from "./bytes.js";
import { hash } from "./crypto.js";
import { MalformedMessageError } from "./errors.js";
import { MAX_CHAIN, MAX_ISSUERS, MAX_STATEMENTS, MAX_STATEMENTS_PER_ISSUER } from "./limits.js";
import { computeRoster, outranks, type Roster } from "./roster.js";
import {
  formatRenewal,
  isNewerWrap,
  isRoleStatement,
  isSameWrap,
  parseStatement,
  type RoleStatement,
  renewalHash,
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

/** What an issuer says goes in this order where it is too much: the smaller version first. */
function byVersion(a: RoleStatement, b: RoleStatement): number {
  return a.version !== b.version ? a.version - b.version : a.hash < b.hash ? -1 : 1;
}

/** Whom a root made an admin, and by that in the end this one; a root itself. */
function lineageOf(roster: Roster<RoleStatement>, admin: string): string {
  let at = admin;
  for (;;) {
    const issuer = roster.get(at)?.statement?.issuer;
    if (issuer === undefined || roster.rankOf(issuer) === 0 || roster.rankOf(issuer) === undefined) return at;
    at = issuer;
  }
}

function groupsOf<T>(list: Iterable<T>, nameOf: (one: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const one of list) {
    const group = groups.get(nameOf(one));
    if (group === undefined) groups.set(nameOf(one), [one]);
    else group.push(one);
  }
  return groups;
}

/** In the same order within each group, but one of each group after the other. */
export function inTurns(list: Iterable<string>, groupOf: (one: string) => string): string[] {
  const groups = [...groupsOf(list, groupOf).values()];
  const longest = Math.max(0, ...groups.map(({ length }) => length));
  return Array.from({ length: longest }, (_, i) => groups.flatMap((group) => group[i] ?? [])).flat();
}

/** What was verified, and is not part of the set yet. */
export interface Staged {
  readonly roles: readonly RoleStatement[];
  /** The newest of each, where it is newer than what is held. */
  readonly wraps: ReadonlyMap<string, WrapStatement>;
  /** Who became an issuer by it, and by which statement. */
  readonly links: ReadonlyMap<string, RoleStatement>;
  /** The names of all that came, also of what was known. */
  readonly names: ReadonlySet<string>;
}

export const NOTHING_STAGED: Staged = { roles: [], wraps: new Map(), links: new Map(), names: new Set() };

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
  /** The same by subject, then by issuer. */
  readonly #about = new Map<string, Map<string, RoleStatement>>();
  /** Their names. */
  readonly #names = new Set<string>();
  /** How everybody who ever was an admin became one: its statements are taken in, also when it is one no more. */
  readonly #links = new Map<string, RoleStatement>();
  readonly #wraps = new Map<string, WrapStatement>();
  /** Whether there ever were more links than are kept. */
  #isCrowded = false;
  #roster: Roster<RoleStatement> | undefined;
  /** The roster with what was staged and asked about last: mostly that is added next. */
  #foreseen: { readonly staged: Staged; readonly roster: Roster<RoleStatement> } | undefined;
  #digest: Uint8Array | undefined;
  /** The names that the last digest was made of, in order: to sort the next ones from here is linear. */
  #counting: readonly string[] = [];

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
  rosterWith(staged: Staged): Roster<RoleStatement> {
    if (staged.roles.length === 0) return this.roster;
    if (this.#foreseen?.staged !== staged) {
      this.#foreseen = { staged, roster: computeRoster(this.roots, [...this, ...staged.roles], bySmallerHash) };
    }
    return this.#foreseen.roster;
  }

  /** The newest wrap statement of somebody. */
  wrapOf(participant: string): WrapStatement | undefined {
    return this.#wraps.get(participant);
  }

  /** The newest wrap statement of somebody, if those were part of the set. */
  wrapWith({ wraps }: Staged, participant: string): WrapStatement | undefined {
    return wraps.get(participant) ?? this.#wraps.get(participant);
  }

  /** Whether anything was ever said about somebody by an issuer. */
  knows(participant: string): boolean {
    return this.#about.has(participant) || this.#links.has(participant) || this.roots.includes(participant);
  }

  /** Everybody of whom anything is said. */
  subjects(): Iterable<string> {
    return this.#about.keys();
  }

  /** What `issuer` says about `subject`. */
  get(issuer: string, subject: string): RoleStatement | undefined {
    return this.#roles.get(issuer)?.get(subject);
  }

  /** Whether a statement counts of what its issuer says, or is how its subject became an issuer. */
  has({ issuer, subject, hash: name }: RoleStatement): boolean {
    return this.get(issuer, subject)?.hash === name || this.#links.get(subject)?.hash === name;
  }

  /** All that `issuer` says. */
  by(issuer: string): readonly RoleStatement[] {
    return [...(this.#roles.get(issuer)?.values() ?? [])];
  }

  /** Of how many participants `issuer` says anything. */
  countBy(issuer: string): number {
    return this.#roles.get(issuer)?.size ?? 0;
  }

  /** All that is said about `subject`. */
  about(subject: string): readonly RoleStatement[] {
    return [...(this.#about.get(subject)?.values() ?? [])];
  }

  /** Whether a statement makes somebody an issuer, or by a shorter chain than before: one that is too long makes nobody one. */
  #isLink({ issuer, subject, role }: RoleStatement, links: ReadonlyMap<string, RoleStatement>): boolean {
    if (role !== "admin" || this.roots.includes(subject)) return false;
    const length = (this.chainOf(issuer, links)?.length ?? MAX_CHAIN) + 1;
    return length <= MAX_CHAIN && length < (this.chainOf(subject, links)?.length ?? Number.POSITIVE_INFINITY);
  }

  /** Looks again at the admissions that were taken in before. Says whether any is a link by those that came since. */
  #linkAgain(roles: readonly RoleStatement[], links: Map<string, RoleStatement>): boolean {
    // Where there were too many, there may be room again.
    if (links.size === 0 && !(this.#isCrowded && this.#links.size < MAX_ISSUERS)) return false;
    const found = [...this, ...roles].filter((statement) => {
      const isLink = this.#isLink(statement, links);
      if (isLink) links.set(statement.subject, statement);
      return isLink;
    });
    return found.length > 0;
  }

  /** The statements by which somebody is or was an admin, from a root on; `undefined` for who never was. */
  chainOf(issuer: string, links?: ReadonlyMap<string, RoleStatement>): RoleStatement[] | undefined {
    const chain: RoleStatement[] = [];
    for (let at = issuer; !this.roots.includes(at); ) {
      const link = links?.get(at) ?? this.#links.get(at);
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
    /** The newest of each: any number of others would cost a signature check each. */
    const renewals = new Map<string, WrapStatement>();
    const seen = new Set<string>();
    for (const bytes of encoded) {
      const name = statementHash(bytes);
      if (seen.has(name)) continue;
      seen.add(name);
      if (this.#names.has(name)) continue;
      const statement = parseStatement(bytes);
      if (!isRoleStatement(statement)) {
        if (isNewerWrap(statement, renewals.get(statement.identity))) renewals.set(statement.identity, statement);
      } else {
        waiting.push(statement);
      }
    }
    const roles: RoleStatement[] = [];
    const wraps = new Map<string, WrapStatement>();
    const links = new Map<string, RoleStatement>();
    const spokenOf = new Set<string>();
    const weakest = new Map<string, RoleStatement | undefined>();
    const newestOf = (identity: string) => wraps.get(identity) ?? this.#wraps.get(identity);
    const isNews = (wrap: WrapStatement) => isNewerWrap(wrap, newestOf(wrap.identity));
    const takeWrap = (wrap: WrapStatement) => {
      const newest = newestOf(wrap.identity);
      if (newest !== undefined && isSameWrap(wrap, newest)) return;
      // Also one that is not needed here: the statement that carries it is handed on to others, who may need it.
      verifyWrap(this.scope, wrap);
      if (isNewerWrap(wrap, newest)) wraps.set(wrap.identity, wrap);
    };
    for (let before = -1; waiting.length !== before || this.#linkAgain(roles, links); ) {
      before = waiting.length;
      waiting = waiting.filter((statement) => {
        const { issuer, subject } = statement;
        const mayCount =
          issuer === subject
            ? statement.role === "revoked" && (this.knows(subject) || spokenOf.has(subject))
            : this.chainOf(issuer, links) !== undefined;
        if (!mayCount) return true;
        const isLink = this.#isLink(statement, links);
        if (!isLink && this.#isTooWeak(statement, weakest)) {
          // Its wrap key may be news all the same, and what is known must not hang on the order.
          const isKnown = this.knows(subject) || spokenOf.has(subject);
          if (isKnown && statement.wrap !== undefined && isNews(statement.wrap)) takeWrap(statement.wrap);
          return false;
        }
        verifyRole(this.scope, statement);
        if (statement.wrap !== undefined) takeWrap(statement.wrap);
        if (isLink) links.set(subject, statement);
        spokenOf.add(subject);
        roles.push(statement);
        return false;
      });
    }
    for (const [identity, wrap] of renewals) {
      if (isNews(wrap) && (this.knows(identity) || spokenOf.has(identity))) takeWrap(wrap);
    }
    return { roles, wraps, links, names: seen };
  }

  /**
   * Whether a statement would not be kept, so that its signature need not be checked: the broker could repeat thousands.
   *
   * @param weakest of who says as much as it may, what would go first: found once
   */
  #isTooWeak(statement: RoleStatement, weakest: Map<string, RoleStatement | undefined>): boolean {
    const { issuer, subject } = statement;
    const held = this.get(issuer, subject);
    if (held !== undefined) return !outranks(statement, held, bySmallerHash);
    if (!weakest.has(issuer)) {
      const isFull = this.countBy(issuer) >= MAX_STATEMENTS_PER_ISSUER;
      weakest.set(issuer, isFull ? this.by(issuer).reduce((a, b) => (byVersion(a, b) < 0 ? a : b)) : undefined);
    }
    const first = weakest.get(issuer);
    return first !== undefined && byVersion(statement, first) < 0;
  }

  /** Makes what was staged a part of the set. Says whether anything changed. */
  add(staged: Staged): boolean {
    const { roles, wraps, links } = staged;
    for (const [subject, link] of links) this.#links.set(subject, link);
    let changed = false;
    for (const statement of roles) changed = this.#add(statement) || changed;
    if (changed) {
      const foreseen = this.#foreseen;
      this.#forgetRoster();
      if (foreseen?.staged === staged) this.#roster = foreseen.roster;
    }
    for (const wrap of wraps.values()) {
      if (!isNewerWrap(wrap, this.#wraps.get(wrap.identity))) continue;
      this.#wraps.set(wrap.identity, wrap);
      this.#digest = undefined;
      changed = true;
    }
    for (const issuer of new Set(roles.map((statement) => statement.issuer))) this.#dropWeakest(issuer);
    if (this.#links.size > MAX_ISSUERS) this.#dropIssuers();
    if (this.#names.size > MAX_STATEMENTS) this.#dropStatements();
    return changed;
  }

  /**
   * Makes room. First those stay who are admins now: those whom roots made, and then one after the other of the lineage of each of these, the
   * smaller rank first. So a bad admin that made hundreds of others admins keeps nobody out whom another one made. Then those who were, the
   * earlier first. What the others said of anybody else is forgotten.
   */
  #dropIssuers(): void {
    this.#isCrowded = true;
    const before = [...this.#links];
    this.#links.clear();
    const take = (subject: string, link: RoleStatement | undefined): void => {
      if (link === undefined || this.#links.has(subject) || this.#links.size === MAX_ISSUERS) return;
      if (this.chainOf(link.issuer) !== undefined) this.#links.set(subject, link);
    };
    const { roster } = this;
    // Those whom roots made come first, since each begins a lineage; and an issuer before whom it made.
    const made = roster.admins.filter((admin) => roster.rankOf(admin) !== 0);
    for (const admin of inTurns(made, (one) => lineageOf(roster, one))) take(admin, roster.get(admin)?.statement);
    for (const [subject, link] of before) take(subject, link);
    for (const [issuer, bySubject] of this.#roles) {
      if (this.chainOf(issuer) !== undefined) continue;
      for (const [subject, statement] of bySubject) if (subject !== issuer) this.#remove(statement);
    }
    this.#forgetRoster();
  }

  /**
   * Makes room, some for what is to come. First what those said goes who are no admins now. Then, of the lineages of those whom roots made
   * admins, that which said the most loses something, of the greatest rank in it what is weakest, until it has said less than another.
   */
  #dropStatements(): void {
    const { roster } = this;
    let excess = this.#names.size - (MAX_STATEMENTS - MAX_STATEMENTS / 16);
    const drop = (said: readonly RoleStatement[]): number => said.filter((one) => this.#remove(one)).length;
    const ofOthers = (issuer: string): RoleStatement[] =>
      this.by(issuer)
        .filter(({ subject }) => subject !== issuer)
        .sort(byVersion);
    for (const issuer of this.#roles.keys()) {
      if (excess > 0 && !roster.isAdmin(issuer)) excess -= drop(ofOthers(issuer).slice(0, excess));
    }
    const said = [...roster.admins].reverse().flatMap(ofOthers);
    const lineages = groupsOf(said, ({ issuer }) => lineageOf(roster, issuer));
    while (excess > 0) {
      const [most, next] = [...lineages.values()].sort((a, b) => b.length - a.length);
      if (most === undefined || most.length === 0) break;
      excess -= drop(most.splice(0, Math.min(excess, Math.max(most.length - (next?.length ?? 0), 1))));
    }
    this.#forgetRoster();
  }

  #forgetRoster(): void {
    this.#roster = undefined;
    this.#foreseen = undefined;
    this.#digest = undefined;
  }

  #add(statement: RoleStatement): boolean {
    const { issuer, subject } = statement;
    const bySubject = this.#roles.get(issuer) ?? new Map<string, RoleStatement>();
    const held = bySubject.get(subject);
    if (held !== undefined && !outranks(statement, held, bySmallerHash)) return false;
    const byIssuer = this.#about.get(subject) ?? new Map<string, RoleStatement>();
    this.#roles.set(issuer, bySubject);
    this.#about.set(subject, byIssuer);
    bySubject.set(subject, statement);
    byIssuer.set(issuer, statement);
    if (held !== undefined) this.#names.delete(held.hash);
    this.#names.add(statement.hash);
    return true;
  }

  /** Of what one issuer says, the weakest goes where it is too much. */
  #dropWeakest(issuer: string): void {
    const excess = this.countBy(issuer) - MAX_STATEMENTS_PER_ISSUER;
    if (excess <= 0) return;
    for (const statement of [...this.by(issuer)].sort(byVersion).slice(0, excess)) this.#remove(statement);
    this.#forgetRoster();
  }

  /** Forgets a statement; and all of its subject, where nobody else says anything of it. Says whether it was there. */
  #remove({ issuer, subject, hash: name }: RoleStatement): boolean {
    const bySubject = this.#roles.get(issuer);
    const byIssuer = this.#about.get(subject);
    if (bySubject?.delete(subject) !== true || byIssuer === undefined) return false;
    byIssuer.delete(issuer);
    this.#names.delete(name);
    this.#foreseen = undefined;
    if (bySubject.size === 0) this.#roles.delete(issuer);
    const own = byIssuer.get(subject);
    if (own !== undefined && byIssuer.size === 1 && !this.roots.includes(subject)) this.#remove(own);
    if (byIssuer.size > 0) return true;
    this.#about.delete(subject);
    if (!this.knows(subject)) this.#wraps.delete(subject);
    return true;
  }

  /** All statements, as they travel: whoever takes them in has this set. */
  encoded(): Uint8Array[] {
    const { needed, rest } = this.encodedByNeed();
    return [...needed, ...rest];
  }

  /** The same in two parts: whoever takes in what is `needed` alone has the same roster and the same digest. */
  encodedByNeed(): { readonly needed: readonly Uint8Array[]; readonly rest: readonly Uint8Array[] } {
    const { roster } = this;
    const needed = new Set(roster.admins.flatMap((admin) => this.by(admin)));
    const rest = new Set<RoleStatement>();
    for (const one of [...this, ...this.#links.values()])
      if (!needed.has(one)) (this.#counts(one) ? needed : rest).add(one);
    const carried = new Set([...needed].map(({ wrap }) => wrap));
    const carriedByRest = new Set([...rest].map(({ wrap }) => wrap));
    const [wraps, otherWraps]: [WrapStatement[], WrapStatement[]] = [[], []];
    for (const [participant, wrap] of this.#wraps) {
      if (carried.has(wrap)) continue;
      if (roster.isOn(participant)) wraps.push(wrap);
      else if (!carriedByRest.has(wrap)) otherWraps.push(wrap);
    }
    return {
      needed: [...[...needed].map(({ bytes }) => bytes), ...wraps.map(formatRenewal)],
      rest: [...[...rest].map(({ bytes }) => bytes), ...otherWraps.map(formatRenewal)],
    };
  }

  /** Whether the roster may rest on it: its issuer is an admin now, or speaks of itself. */
  #counts({ issuer, subject }: RoleStatement): boolean {
    return this.roster.isAdmin(issuer) || (subject === issuer && this.roster.get(subject) !== undefined);
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
    this.#forgetRoster();
  }

  /**
   * The statements by which somebody is not on the roster: about itself, or about those who had admitted it. Nothing is said twice of whom
   * was `seen`.
   */
  whyNot(participant: string, seen = new Set<string>()): RoleStatement[] {
    if (seen.has(participant)) return [];
    seen.add(participant);
    const [decisive, strongest] = this.#reasons(participant);
    if (decisive !== undefined) return strongest === undefined ? [decisive] : [decisive, strongest];
    return this.about(participant).flatMap(({ issuer }) => this.whyNot(issuer, seen));
  }

  /** Who is not on the roster for a reason with one of these names, or because those are not who had admitted it. */
  outBy(names: ReadonlySet<string>): ReadonlySet<string> {
    const out = new Set<string>();
    const found: string[] = [];
    for (const subject of this.subjects()) {
      if (this.#reasons(subject).some((one) => names.has(one.hash))) found.push(subject);
    }
    for (let one = found.pop(); one !== undefined; one = found.pop()) {
      if (out.has(one)) continue;
      out.add(one);
      for (const { subject } of this.by(one)) if (this.roster.get(subject) === undefined) found.push(subject);
    }
    return out;
  }

  /**
   * What revoked somebody, or else decided it: also of an admin that is one no more, but is something else. If that is its own word, also
   * the admins' revocations that would hold without it, the strongest first: it can say something newer at any time.
   */
  #reasons(subject: string): RoleStatement[] {
    const { revokedBy, statement } = this.roster.get(subject) ?? {};
    const decisive = revokedBy ?? statement;
    if (decisive === undefined) return [];
    if (decisive.issuer !== subject || statement === undefined) return [decisive];
    const holds = ({ role, version }: RoleStatement) =>
      role === "revoked" && version >= statement.version && statement.role !== "admin";
    const byAdmins = this.about(subject).filter(
      (one) => one.issuer !== subject && this.roster.isAdmin(one.issuer) && holds(one),
    );
    return [decisive, ...byAdmins.sort((a, b) => (outranks(a, b, bySmallerHash) ? -1 : 1))];
  }

  /** Names what the roster now rests on: who has another digest lacks something, or knows something more. */
  get digest(): Uint8Array {
    if (this.#digest === undefined) {
      const counting = new Set<string>();
      for (const statement of this) if (this.#counts(statement)) counting.add(statement.hash);
      for (const [participant, wrap] of this.#wraps) if (this.roster.isOn(participant)) counting.add(renewalHash(wrap));
      const known = this.#counting.filter((name) => counting.delete(name));
      this.#counting = [...known, ...counting].sort();
      this.#digest = hash("statementSet", fromHex(this.#counting.join("")));
    }
    return this.#digest;
  }

  /** What counts of all that issuers say, whether they are admins now or not. */
  *[Symbol.iterator](): Iterator<RoleStatement> {
    for (const bySubject of this.#roles.values()) yield* bySubject.values();
  }
}
