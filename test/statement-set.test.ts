/** What a set of statements remembers of its roster and its digest, against a set that was just made. The bounds are smaller here. */
import { expect, it, vi } from "vitest";
import { loadCrypto } from "../src/crypto.js";
import type { Role, Roster } from "../src/roster.js";
import { StatementSet } from "../src/statement-set.js";
import { type RoleStatement, signRole } from "../src/statements.js";
import { Random } from "./support/fuzz.js";
import { somebody } from "./support/rooted.js";
import { bytes, NAME } from "./support/topics.js";

vi.mock("../src/limits.js", async (original) => ({
  ...(await original<typeof import("../src/limits.js")>()),
  MAX_STATEMENTS_PER_ISSUER: 6,
  MAX_STATEMENTS: 16,
  MAX_ISSUERS: 3,
}));

await loadCrypto();

const ROLES: readonly (Role | "revoked")[] = ["admin", "admin", "publisher", "reader", "revoked"];
const people = Array.from({ length: 9 }, (_, i) => somebody(i).identity);
const scope = { topicId: bytes(7), name: NAME };
const roots = people.slice(0, 2).map(({ participant }) => participant.hex);

it("what is remembered is what a set that was just made computes, also where something falls out", () => {
  const random = new Random(1);
  const came = { asForeseen: 0, otherwise: 0 };
  for (let round = 0; round < 6; round++) {
    const set = new StatementSet(scope, roots);
    for (let i = 0; i < 60; i++) {
      const staged = set.stage(Array.from({ length: 1 + random.below(3) }, () => anything(random)));
      const foreseen = namesOf(set.rosterWith(staged));
      expect([...set.roster]).toEqual([...madeAnew(set).roster]);
      set.add(staged);
      const anew = madeAnew(set);
      expect([...set.roster]).toEqual([...anew.roster]);
      expect(set.digest).toEqual(anew.digest);
      came[foreseen === namesOf(set.roster) ? "asForeseen" : "otherwise"]++;
    }
  }
  expect(came.asForeseen).toBeGreaterThan(0);
  expect(came.otherwise).toBeGreaterThan(0);
});

function anything(random: Random): Uint8Array {
  const [issuer, subject] = [random.pick(people.slice(0, 5)), random.pick(people)];
  const { publicKey: subjectKey } = subject.participant;
  const said = { subjectKey, version: 1 + random.below(20), role: random.pick(ROLES), name: "", head: "" };
  return signRole(issuer, scope.topicId, { ...said, wrap: undefined }).bytes;
}

function namesOf(roster: Roster<RoleStatement>): string {
  return [...roster].map(([subject]) => subject).join();
}

function madeAnew(set: StatementSet): StatementSet {
  const copy = new StatementSet(scope, roots);
  copy.restoreWithoutVerifying(set.saved());
  return copy;
}
