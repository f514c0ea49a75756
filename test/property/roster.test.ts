/**
 * The rules of the roster, for 100,000 random sets of statements in worlds so small that everything collides. Each failure
 * names its seed and prints its set.
 */
import { expect, it } from "vitest";
import { computeRoster, counts, outranks, type RoleClaim, type Roster, type Standing } from "../../src/roster.js";
import { Random } from "../support/fuzz.js";

const SETS = 100_000;

/** As statements are told apart beyond what they say: by a hash, different for each. */
interface Statement extends RoleClaim {
  readonly hash: number;
}

interface World {
  readonly people: readonly string[];
  readonly roots: readonly string[];
  readonly claims: readonly Statement[];
  readonly random: Random;
}

const ROLES = ["admin", "admin", "publisher", "reader", "revoked", "revoked"] as const;
/** More than any hash. */
const HASHES = 1_000_000_000;

function statement(random: Random, issuers: readonly string[], subjects: readonly string[]): Statement {
  const [issuer, subject] = [random.pick(issuers), random.pick(subjects)];
  return { issuer, subject, version: 1 + random.below(4), role: random.pick(ROLES), hash: random.below(HASHES) };
}

/** Up to three more that fit. */
function additions(
  random: Random,
  issuers: readonly string[],
  subjects: readonly string[],
  fits: (claim: Statement) => boolean = () => true,
): Statement[] {
  if (issuers.length === 0 || subjects.length === 0) return [];
  return Array.from({ length: 1 + random.below(3) }, () => statement(random, issuers, subjects)).filter(fits);
}

/** In every other world, most statements admit the next in a row, or are about the last: authority gets far down, and disagrees. */
function worldOf(seed: number): World {
  const random = new Random(Math.imul(seed, 0x9e3779b1));
  const people = ["a", "b", "c", "d", "e", "f"].slice(0, 2 + random.below(5));
  const roots = people.slice(0, 1 + random.below(Math.min(3, people.length)));
  const any = (): Statement => statement(random, people, people);
  const inRow = (): Statement => {
    const elder = random.below(people.length - 1);
    const next = { ...any(), issuer: people[elder] as string, subject: people[elder + 1] as string };
    return random.below(4) === 0 ? next : { ...next, role: "admin" };
  };
  const aboutLast = (): Statement => {
    const one = statement(random, people.slice(0, -1), people.slice(-1));
    return one.role === "admin" ? { ...one, role: "publisher" } : one;
  };
  const kinds = seed % 2 === 0 ? [any] : [any, inRow, inRow, inRow, aboutLast, aboutLast];
  const claims = Array.from({ length: random.below(15) }, () => random.pick(kinds)());
  return { people, roots, claims, random };
}

function forAllWorlds(check: (world: World) => void): void {
  for (let seed = 1; seed <= SETS; seed++) {
    const world = worldOf(seed);
    try {
      check(world);
    } catch (error) {
      const lines = world.claims.map(
        (one) => `${one.issuer} on ${one.subject}: ${one.role} ${one.version} #${one.hash}`,
      );
      throw new Error(`seed ${seed}, roots ${world.roots.join(", ")}:\n${lines.join("\n")}\n${String(error)}`, {
        cause: error,
      });
    }
  }
}

const byHash = (a: Statement, b: Statement): number => a.hash - b.hash;

function rosterOf({ roots }: World, claims: Iterable<Statement>): Roster<Statement> {
  return computeRoster(roots, claims, byHash);
}

/** All that a roster says, in its own order. */
function written(roster: Iterable<readonly [string, Standing<Statement>]>): string {
  let text = "";
  for (const [subject, { role, rank, statement, revokedBy }] of roster) {
    text += `${subject}: ${role} ${rank} by ${statement?.hash} ended by ${revokedBy?.hash}\n`;
  }
  return text;
}

/** As `expect` does, but a hundred times as fast where there is nothing to report. */
function same(actual: unknown, expected: unknown): void {
  if (!Object.is(actual, expected)) expect(actual).toBe(expected);
}

/** The seniors of a rank: who alone decide about it. */
function isSenior(roster: Roster<Statement>, person: string, rank: number): boolean {
  return (roster.rankOf(person) ?? Number.POSITIVE_INFINITY) < rank;
}

function shuffled<T>(random: Random, list: readonly T[]): T[] {
  const copy = [...list];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [copy[i], copy[j]] = [copy[j] as T, copy[i] as T];
  }
  return copy;
}

type Ranks = ReadonlyMap<string, number>;

/**
 * The rules once more, as conditions instead of steps: what holds of everybody, if those were the admins, with those ranks?
 * A roster is right when it holds of its own admins.
 */
function verdicts({ people, roots, claims }: World): (given: Ranks) => Map<string, Standing<Statement>> {
  const strength = ({ version, role, hash }: Statement): number =>
    (version * 4 + ["admin", "publisher", "reader", "revoked"].indexOf(role)) * HASHES - hash;
  const strongest = (list: readonly Statement[]): Statement | undefined =>
    list.find((one) => list.every((other) => strength(other) <= strength(one)));
  const meant = claims.filter(({ issuer, subject, role }) => role === "revoked" || issuer !== subject);
  const heard = people.flatMap((issuer) =>
    people.map((subject) => strongest(meant.filter((one) => one.issuer === issuer && one.subject === subject))),
  );
  const verdict = (who: string, given: Ranks): Standing<Statement> | undefined => {
    const about = heard.filter((one): one is Statement => one?.subject === who);
    const own = about.find(({ issuer }) => issuer === who);
    if (roots.includes(who)) {
      return { role: own === undefined ? "admin" : "revoked", rank: 0, statement: undefined, revokedBy: own };
    }
    const others = about.filter(({ issuer }) => issuer !== who && given.has(issuer));
    const smallest = Math.min(...others.map(({ issuer }) => given.get(issuer) as number));
    const statement = strongest(others.filter(({ issuer }) => given.get(issuer) === smallest));
    if (statement === undefined) return undefined;
    const ends = (one: Statement | undefined): one is Statement =>
      one?.role === "revoked" && one.version >= statement.version;
    const touchable = statement.role !== "admin" && statement.role !== "revoked";
    const ending = touchable ? strongest(others.filter(ends)) : statement;
    const revokedBy = [own, ending].find(ends);
    return { role: revokedBy === undefined ? statement.role : "revoked", rank: smallest + 1, statement, revokedBy };
  };
  return (given) => {
    const found = people.map((who) => [who, verdict(who, given)] as const);
    return new Map(found.filter((entry): entry is [string, Standing<Statement>] => entry[1] !== undefined));
  };
}

function adminsOf(standings: Iterable<readonly [string, Standing<Statement>]>): Map<string, number> {
  return new Map([...standings].flatMap(([who, { role, rank }]) => (role === "admin" ? [[who, rank] as const] : [])));
}

/** Asks again with the admins that came out, until the same come out. */
function settled(
  judge: (given: Ranks) => Map<string, Standing<Statement>>,
  start: Ranks,
): Map<string, Standing<Statement>> {
  let given = start;
  for (let times = 0; times < 20; times++) {
    const standings = judge(given);
    const admins = adminsOf(standings);
    // Two who admit each other, and nobody else them, would rise for ever; but no rank is without an admin of the one before.
    for (const [who, rank] of admins) if (rank >= standings.size) admins.delete(who);
    if (admins.size === given.size && [...admins].every(([who, rank]) => given.get(who) === rank)) return standings;
    given = admins;
  }
  throw new Error("it does not settle");
}

function sorted(standings: ReadonlyMap<string, Standing<Statement>>): [string, Standing<Statement>][] {
  return [...standings].sort(([a, { rank: ofA }], [b, { rank: ofB }]) => ofA - ofB || a.localeCompare(b));
}

it("the sets have in them what the rules are about", () => {
  const seen = { empty: 0, rank3: 0, demoted: 0, ended: 0, left: 0, rootLeft: 0, adminLeft: 0, absent: 0, tied: 0 };
  forAllWorlds((world) => {
    const roster = rosterOf(world, world.claims);
    if (roster.admins.length === 0) seen.empty++;
    for (const [who, { rank, statement, revokedBy }] of roster) {
      if (rank >= 3 && roster.isAdmin(who)) seen.rank3++;
      if (revokedBy !== undefined && revokedBy !== statement && revokedBy.issuer !== who) seen.ended++;
      if (revokedBy?.issuer === who)
        seen[rank === 0 ? "rootLeft" : statement?.role === "admin" ? "adminLeft" : "left"]++;
      const { claims } = world;
      const replaced = claims.filter(
        (one) => one.issuer === statement?.issuer && one.subject === who && one !== statement,
      );
      if (statement?.role !== "admin" && replaced.some(({ role }) => role === "admin")) seen.demoted++;
      if (replaced.some(({ version, role }) => version === statement?.version && role === statement.role)) seen.tied++;
    }
    if (roster.size < world.people.length) seen.absent++;
  });
  expect(Object.entries(seen).filter(([, times]) => times < SETS / 200)).toEqual([]);
});

it("any order and any repetition of statements and roots gives the same roster, in the same order", () => {
  forAllWorlds((world) => {
    const { random, roots, claims } = world;
    const expected = written(rosterOf(world, claims));
    const copies = claims.filter(() => random.below(3) === 0).map((claim) => ({ ...claim }));
    const again = shuffled(random, [...claims, ...copies, ...claims.slice(0, random.below(3))]);
    same(written(computeRoster(shuffled(random, [...roots, random.pick(roots)]), again, byHash)), expected);
  });
});

it("what is outranked may be forgotten as it comes", () => {
  forAllWorlds((world) => {
    const kept = new Map<string, Statement>();
    for (const claim of world.claims.filter(counts)) {
      const key = `${claim.issuer} on ${claim.subject}`;
      const known = kept.get(key);
      if (known === undefined || outranks(claim, known, byHash)) kept.set(key, claim);
    }
    same(written(rosterOf(world, kept.values())), written(rosterOf(world, world.claims)));
  });
});

it("it is the only one that its own admins give, whatever admins one supposes at first", () => {
  forAllWorlds((world) => {
    const { random, roots, people } = world;
    const roster = rosterOf(world, world.claims);
    const actual = written(roster);
    const judge = verdicts(world);
    same(written(sorted(settled(judge, new Map(roots.map((root) => [root, 0]))))), actual);
    same(written(sorted(judge(adminsOf(roster)))), actual);
    const guess = people.filter(() => random.below(2) === 0).map((who) => [who, random.below(5)] as const);
    same(written(sorted(settled(judge, new Map(guess)))), actual);
    for (const who of people) {
      same(roster.isAdmin(who), roster.admins.includes(who));
      same(roster.rankOf(who), roster.isAdmin(who) ? roster.get(who)?.rank : undefined);
    }
    same(roster.admins.join(), [...roster].flatMap(([who]) => (roster.isAdmin(who) ? [who] : [])).join());
  });
});

it("who is no admin changes nothing but its own leaving, whether it speaks or is silent", () => {
  forAllWorlds((world) => {
    const { random, claims } = world;
    const people = [...world.people, "stranger"];
    const roster = rosterOf(world, claims);
    const expected = written(roster);
    const heard = claims.filter((one) => roster.isAdmin(one.issuer) || (one.issuer === one.subject && counts(one)));
    same(written(rosterOf(world, heard)), expected);
    const powerless = people.filter((who) => !roster.isAdmin(who));
    const noise = additions(random, powerless, people, ({ issuer, subject }) => issuer !== subject);
    // Of itself, nobody can say anything but that it leaves.
    const boasts = additions(random, people, people)
      .filter(({ role }) => role !== "revoked")
      .map((claim) => ({ ...claim, subject: claim.issuer }));
    same(written(rosterOf(world, [...claims, ...noise, ...boasts])), expected);
  });
});

it("nobody of an equal or larger rank touches an admin, nor anything else about the roster through it", () => {
  forAllWorlds((world) => {
    const { random, people, claims } = world;
    const roster = rosterOf(world, claims);
    const expected = written(roster);
    for (const [who, { rank, statement }] of roster) {
      // Also one that was made an admin and has left itself.
      if (statement !== undefined && statement.role !== "admin") continue;
      const mayTouch = (issuer: string): boolean => issuer === who || isSenior(roster, issuer, rank);
      const without = claims.filter(({ issuer, subject }) => subject !== who || mayTouch(issuer));
      same(written(rosterOf(world, without)), expected);
      const others = people.filter((issuer) => !mayTouch(issuer));
      same(written(rosterOf(world, [...without, ...additions(random, others, [who])])), expected);
      same(written(rosterOf(world, [...claims, ...additions(random, others, [who])])), expected);
    }
  });
});

it("about a publisher or reader they can only revoke; about who was revoked by the deciding rank, nothing", () => {
  forAllWorlds((world) => {
    const { random, people, claims } = world;
    const roster = rosterOf(world, claims);
    for (const [who, { role, rank, statement }] of roster) {
      if (statement === undefined || statement.role === "admin") continue;
      const others = people.filter((issuer) => issuer !== who && !isSenior(roster, issuer, rank));
      const more = additions(random, others, [who]);
      const later = rosterOf(world, [...claims, ...more]).get(who);
      same(later?.statement, statement);
      same(later?.rank, rank);
      // What of these revokes, and is not heard in this way, is by strangers or of an older version.
      const heard = more.some((one) => roster.isAdmin(one.issuer) && one.version >= statement.version);
      if (!heard || statement.role === "revoked") same(later?.role, role);
      else if (role !== "revoked" && later?.role !== role) same(later?.role, "revoked");
    }
  });
});

it("whatever is said by one rank and below, and about anybody, nothing is decided otherwise down to that rank", () => {
  forAllWorlds((world) => {
    const { random, people, claims } = world;
    const roster = rosterOf(world, claims);
    const rank = random.below(4);
    const juniors = [...people, "stranger"].filter((who) => !isSenior(roster, who, rank));
    // An admin of this rank that leaves is another matter: it speaks about itself.
    const fits = ({ issuer, subject }: Statement): boolean => issuer !== subject || roster.rankOf(issuer) !== rank;
    const later = rosterOf(world, [...claims, ...additions(random, juniors, [...people, "stranger"], fits)]);
    same(
      later.admins.filter((who) => isSenior(later, who, rank + 1)).join(),
      roster.admins.filter((who) => isSenior(roster, who, rank + 1)).join(),
    );
    for (const [who, standing] of roster) {
      if (standing.rank > rank) break;
      same(later.get(who)?.rank, standing.rank);
      same(later.get(who)?.statement, standing.statement);
      // A revocation by somebody of this rank or below may be taken back, or fall with who spoke it.
      const revoker = standing.revokedBy?.issuer;
      if (revoker !== undefined && (revoker === who || isSenior(roster, revoker, rank))) {
        same(later.get(who)?.role, "revoked");
      }
    }
  });
});

it("only the revoker itself, or somebody of at most the decider's rank, brings somebody back", () => {
  forAllWorlds((world) => {
    const { random, people, claims } = world;
    const roster = rosterOf(world, claims);
    for (const [who, { role, rank, revokedBy }] of roster) {
      if (role !== "revoked") continue;
      // Nobody brings back oneself, not even who left, nor anybody a root.
      const helpless = [...people, "stranger"].filter(
        (issuer) => rank === 0 || issuer === who || (issuer !== revokedBy?.issuer && !isSenior(roster, issuer, rank)),
      );
      same(rosterOf(world, [...claims, ...additions(random, helpless, [who])]).get(who)?.role, "revoked");
    }
  });
});

it("nobody brings somebody back with a version that is not above the revocation's, but who may make it an admin", () => {
  forAllWorlds((world) => {
    const { random, people, claims } = world;
    const roster = rosterOf(world, claims);
    for (const [who, { role, revokedBy }] of roster) {
      if (role !== "revoked" || revokedBy === undefined) continue;
      const fits = (one: Statement): boolean =>
        one.version <= revokedBy.version && (one.role !== "admin" || revokedBy.issuer === who);
      const more = additions(random, people, [who], fits);
      same(rosterOf(world, [...claims, ...more]).get(who)?.role, "revoked");
    }
  });
});

it("somebody revoked stays so, whoever below the revoker and the decider says whatever about whomever", () => {
  forAllWorlds((world) => {
    const { random, people, claims } = world;
    const everybody = [...people, "stranger"];
    const roster = rosterOf(world, claims);
    for (const [who, { role, rank, revokedBy }] of roster) {
      if (role !== "revoked" || revokedBy === undefined) continue;
      const { issuer: revoker } = revokedBy;
      const from = Math.max(rank, roster.rankOf(revoker) ?? 0);
      const below = everybody.filter((issuer) => !isSenior(roster, issuer, from));
      // The revoker itself may say anything but about this one, and that it leaves; and who left, anything at all.
      const fits = ({ issuer, subject }: Statement): boolean =>
        issuer === who || issuer !== revoker || (subject !== who && subject !== revoker);
      same(rosterOf(world, [...claims, ...additions(random, below, everybody, fits)]).get(who)?.role, "revoked");
    }
  });
});
