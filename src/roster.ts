/**
 * The roster: who has which role in a rooted topic, as a pure function of its roots and of the set of statements about roles
 * (PROTOCOL §10.5).
 * Nothing here depends on the order in which statements came, on a clock or on what the roster was before, so whoever has the
 * same statements has the same roster. Signatures are checked before; participants are strings, the keys of a table.
 *
 * Roots are admins of rank 0, and only they themselves can end that. Rank by rank, the admins of that rank decide everybody they
 * speak about who is not decided yet; an admin that rank r makes has rank r + 1. So authority only ever flows down, and there is
 * one solution: a statement counts by who its issuer is, which smaller ranks alone decide.
 */

/** May admit and revoke; may publish; may only read. */
export type Role = "admin" | "publisher" | "reader";

/** What the roster needs of a statement. */
export interface RoleClaim {
  readonly issuer: string;
  readonly subject: string;
  /** Of what this issuer says about this subject, the highest counts. */
  readonly version: number;
  readonly role: Role | "revoked";
}

/** What the statements make of one participant. */
export interface Standing<C extends RoleClaim> {
  readonly role: Role | "revoked";
  /** 0 for a root; for everybody else, whatever the role, one more than the rank of who decided. */
  readonly rank: number;
  /** What decided it, also where that was overruled by a revocation; `undefined` for a root, whom nobody decides. */
  readonly statement: C | undefined;
  /** For a revoked one: its own revocation where that counts, else the deciding one, else the strongest of any admin. */
  readonly revokedBy: C | undefined;
}

/** Order of two statements of which neither outranks the other by version and role; negative where `a` comes first and wins. */
export type TieBreak<C extends RoleClaim> = (a: C, b: C) => number;

const PRIVILEGE = { revoked: 0, reader: 1, publisher: 2, admin: 3 } as const;

/** Whether a statement says anything at all: about oneself one can only say that one leaves. Keep no others. */
export function counts(claim: RoleClaim): boolean {
  return claim.issuer !== claim.subject || claim.role === "revoked";
}

/**
 * Whether `a` takes the place of `b`: a higher version does, then less privilege, then `tieBreak`. Of all statements that count
 * of one issuer about one subject, the roster needs only the one that no other outranks.
 */
export function outranks<C extends RoleClaim>(a: C, b: C, tieBreak: TieBreak<C>): boolean {
  if (a.version !== b.version) return a.version > b.version;
  if (a.role !== b.role) return PRIVILEGE[a.role] < PRIVILEGE[b.role];
  return tieBreak(a, b) < 0;
}

/** What `computeRoster` found. Somebody about whom no admin speaks is not in it. */
export class Roster<C extends RoleClaim> implements Iterable<readonly [subject: string, standing: Standing<C>]> {
  readonly #standings: ReadonlyMap<string, Standing<C>>;
  #sorted: readonly (readonly [subject: string, standing: Standing<C>])[] | undefined;
  /** The effective ones: by rank, then by name. */
  readonly admins: readonly string[];

  constructor(standings: ReadonlyMap<string, Standing<C>>) {
    this.#standings = standings;
    const admins = [...standings].filter(([, { role }]) => role === "admin");
    this.admins = admins.sort(compareEntries).map(([subject]) => subject);
  }

  get size(): number {
    return this.#standings.size;
  }

  get(subject: string): Standing<C> | undefined {
    return this.#standings.get(subject);
  }

  /** Whether somebody is on it: has a role, and is not revoked. */
  isOn(subject: string): boolean {
    const standing = this.get(subject);
    return standing !== undefined && standing.role !== "revoked";
  }

  /** Whether a revocation is why somebody is not on it; of who was never heard of, nothing is said. */
  isRevoked(subject: string): boolean {
    return this.get(subject)?.role === "revoked";
  }

  isAdmin(subject: string): boolean {
    return this.get(subject)?.role === "admin";
  }

  /** Of an effective admin; `undefined` for everybody else. */
  rankOf(admin: string): number | undefined {
    const standing = this.get(admin);
    return standing?.role === "admin" ? standing.rank : undefined;
  }

  /** Everybody who is on it, by rank. */
  *members(): Iterable<string> {
    for (const [participant, { role }] of this) if (role !== "revoked") yield participant;
  }

  /** Everybody it tells of, the revoked too, in an order that follows from the content: by rank, then by name. */
  [Symbol.iterator](): Iterator<readonly [subject: string, standing: Standing<C>]> {
    this.#sorted ??= [...this.#standings].sort(compareEntries);
    return this.#sorted.values();
  }
}

type Entry = readonly [subject: string, standing: Standing<RoleClaim>];

function compareEntries([a, { rank: rankOfA }]: Entry, [b, { rank: rankOfB }]: Entry): number {
  return rankOfA - rankOfB || (a < b ? -1 : 1);
}

/**
 * Computes the roster. Looks at each statement a bounded number of times.
 *
 * @param roots - admins of rank 0; one named twice counts once
 * @param claims - verified statements, in any order and any number of times
 * @param tieBreak - for statements of any issuers: zero for the same statement only, such as the order of their hashes
 */
export function computeRoster<C extends RoleClaim>(
  roots: Iterable<string>,
  claims: Iterable<C>,
  tieBreak: TieBreak<C>,
): Roster<C> {
  const said = strongestOfEach(claims, tieBreak);
  const standings = new Map<string, Standing<C>>();
  /** The effective admins of the rank that speaks now. */
  let speakers: string[] = [];

  const decide = (subject: string, rank: number, statement: C | undefined): void => {
    const standing = standingOf(rank, statement, said.get(subject)?.get(subject));
    standings.set(subject, standing);
    if (standing.role === "admin") speakers.push(subject);
  };

  for (const root of new Set(roots)) decide(root, 0, undefined);
  for (let rank = 0; speakers.length > 0; rank++) {
    const decisions = new Map<string, C>();
    for (const admin of speakers) {
      for (const claim of said.get(admin)?.values() ?? []) {
        const standing = standings.get(claim.subject);
        if (standing === undefined) keepStrongest(decisions, claim, tieBreak);
        else if (overrules(claim, standing, tieBreak)) {
          standings.set(claim.subject, { ...standing, role: "revoked", revokedBy: claim });
        }
      }
    }
    speakers = [];
    for (const [subject, statement] of decisions) decide(subject, rank + 1, statement);
  }
  return new Roster(standings);
}

/** By issuer, then by subject. */
function strongestOfEach<C extends RoleClaim>(claims: Iterable<C>, tieBreak: TieBreak<C>): Map<string, Map<string, C>> {
  const said = new Map<string, Map<string, C>>();
  for (const claim of claims) {
    if (!counts(claim)) continue;
    const bySubject = said.get(claim.issuer) ?? new Map<string, C>();
    if (bySubject.size === 0) said.set(claim.issuer, bySubject);
    keepStrongest(bySubject, claim, tieBreak);
  }
  return said;
}

function keepStrongest<C extends RoleClaim>(bySubject: Map<string, C>, claim: C, tieBreak: TieBreak<C>): void {
  const known = bySubject.get(claim.subject);
  if (known === undefined || outranks(claim, known, tieBreak)) bySubject.set(claim.subject, claim);
}

/** As decided by this statement, unless the subject itself has left since. */
function standingOf<C extends RoleClaim>(rank: number, statement: C | undefined, own: C | undefined): Standing<C> {
  if (own !== undefined && (statement === undefined || own.version >= statement.version)) {
    return { role: "revoked", rank, statement, revokedBy: own };
  }
  if (statement === undefined) return { role: "admin", rank, statement, revokedBy: undefined };
  return { role: statement.role, rank, statement, revokedBy: statement.role === "revoked" ? statement : undefined };
}

/**
 * Whether what an admin says about somebody whom a smaller rank has decided is to be heard: a revocation of who was made publisher
 * or reader, no older than that. Who was made an admin is beyond the reach of every rank but those that could have decided.
 */
function overrules<C extends RoleClaim>(claim: C, standing: Standing<C>, tieBreak: TieBreak<C>): boolean {
  const { statement, revokedBy } = standing;
  if (claim.role !== "revoked" || statement === undefined || claim.version < statement.version) return false;
  if (statement.role === "admin" || statement.role === "revoked") return false;
  if (revokedBy === undefined) return true;
  // Revoked already: only which revocation is named is left to settle, so that it does not hang on the order.
  return revokedBy.issuer !== revokedBy.subject && outranks(claim, revokedBy, tieBreak);
}
