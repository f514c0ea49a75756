import { describe, expect, it } from "vitest";
import { computeRoster, counts, outranks, type RoleClaim, type Roster } from "../src/roster.js";

/** As statements are told apart beyond what they say: by a hash. */
interface Statement extends RoleClaim {
  readonly hash: number;
}

let statements = 0;

function says(issuer: string, subject: string, role: Statement["role"], version = 1, hash = ++statements): Statement {
  return { issuer, subject, version, role, hash };
}

const byHash = (a: Statement, b: Statement): number => a.hash - b.hash;

function rosterOf(roots: readonly string[], ...claims: readonly Statement[]): Roster<Statement> {
  return computeRoster(roots, claims, byHash);
}

/** Everybody on the roster with role and rank, as one reads it. */
function told(roster: Roster<Statement>): string[] {
  return [...roster].map(([subject, { role, rank }]) => `${subject}: ${role} ${rank}`);
}

/** The root admits ann and bob as admins; ann admits cleo and bob admits dan as admins, of rank 2. */
const FAMILY = [
  says("root", "ann", "admin"),
  says("root", "bob", "admin"),
  says("ann", "cleo", "admin"),
  says("bob", "dan", "admin"),
];

describe("roots", () => {
  it("are admins of rank 0 without a statement, each once", () => {
    const roster = rosterOf(["root", "other", "root"]);
    expect(told(roster)).toEqual(["other: admin 0", "root: admin 0"]);
    expect(roster.get("root")).toEqual({ role: "admin", rank: 0, statement: undefined, revokedBy: undefined });
    expect(roster.admins).toEqual(["other", "root"]);
    expect(roster.size).toBe(2);
  });

  it("stay what they are, whatever anybody else says about them, another root too", () => {
    const roster = rosterOf(
      ["root", "other"],
      says("other", "root", "revoked", 9),
      says("root", "ann", "admin"),
      says("ann", "root", "reader", 9),
      says("ann", "other", "admin", 9),
    );
    expect(told(roster)).toEqual(["other: admin 0", "root: admin 0", "ann: admin 1"]);
  });

  it("can leave, once for all: what they said and say no longer counts, and no other root brings them back", () => {
    const leaves = says("root", "root", "revoked");
    const roster = rosterOf(
      ["root", "other"],
      leaves,
      says("root", "root", "admin", 9),
      says("other", "root", "admin", 9),
      says("root", "ann", "publisher", 9),
      says("other", "bob", "publisher"),
    );
    expect(told(roster)).toEqual(["other: admin 0", "root: revoked 0", "bob: publisher 1"]);
    expect(roster.get("root")).toMatchObject({ statement: undefined, revokedBy: leaves });
  });

  it("of which there is none, or none that has not left, leave nobody else on the roster", () => {
    expect(told(rosterOf([], ...FAMILY))).toEqual([]);
    expect(told(rosterOf(["root"], ...FAMILY, says("root", "root", "revoked")))).toEqual(["root: revoked 0"]);
  });
});

describe("of what one issuer says about one subject", () => {
  it("the highest version counts, whichever way it goes", () => {
    const promoted = [says("root", "ann", "reader", 1), says("root", "ann", "publisher", 2)];
    expect(rosterOf(["root"], ...promoted).get("ann")?.role).toBe("publisher");
    const back = [says("root", "ann", "revoked", 2), says("root", "ann", "reader", 3)];
    expect(rosterOf(["root"], ...promoted, ...back).get("ann")).toMatchObject({ role: "reader", revokedBy: undefined });
  });

  it("of one version the least privileged counts", () => {
    const roles = ["admin", "publisher", "reader", "revoked"] as const;
    roles.forEach((least, index) => {
      const claims = roles.slice(0, index + 1).map((role) => says("root", "ann", role));
      expect(rosterOf(["root"], ...claims).get("ann")?.role).toBe(least);
      expect(rosterOf(["root"], ...claims.reverse()).get("ann")?.role).toBe(least);
    });
  });

  it("of the same version and role, the one that the tie-break puts first", () => {
    const claims = [says("root", "ann", "reader", 1, 20), says("root", "ann", "reader", 1, 10)];
    expect(rosterOf(["root"], ...claims).get("ann")?.statement?.hash).toBe(10);
    expect(rosterOf(["root"], ...claims.reverse()).get("ann")?.statement?.hash).toBe(10);
  });

  it("what is replaced is no more heard", () => {
    const roster = rosterOf(
      ["root"],
      ...FAMILY,
      says("root", "eve", "publisher"),
      says("ann", "eve", "revoked", 1),
      says("ann", "eve", "publisher", 2),
    );
    expect(roster.get("eve")).toMatchObject({ role: "publisher", rank: 1, statement: { issuer: "root" } });
  });
});

describe("who admits", () => {
  it("is one rank above, whatever role it gives", () => {
    const roster = rosterOf(
      ["root"],
      ...FAMILY,
      says("cleo", "pia", "publisher"),
      says("cleo", "rex", "reader"),
      says("cleo", "zoe", "revoked"),
    );
    expect(told(roster)).toEqual([
      "root: admin 0",
      "ann: admin 1",
      "bob: admin 1",
      "cleo: admin 2",
      "dan: admin 2",
      "pia: publisher 3",
      "rex: reader 3",
      "zoe: revoked 3",
    ]);
    expect(roster.admins).toEqual(["root", "ann", "bob", "cleo", "dan"]);
  });

  it("must be an admin: publishers, readers, the revoked and strangers admit nobody", () => {
    const roster = rosterOf(
      ["root"],
      says("root", "pia", "publisher"),
      says("root", "rex", "reader"),
      says("root", "zoe", "revoked"),
      ...["pia", "rex", "zoe", "stranger"].map((issuer) => says(issuer, `friend of ${issuer}`, "reader")),
      says("stranger", "pia", "revoked", 9),
      says("rex", "pia", "revoked", 9),
    );
    expect(told(roster)).toEqual(["root: admin 0", "pia: publisher 1", "rex: reader 1", "zoe: revoked 1"]);
  });

  it("decides before a larger rank does, whatever the versions", () => {
    const roster = rosterOf(["root"], ...FAMILY, says("ann", "pia", "publisher", 9), says("root", "pia", "reader", 1));
    expect(roster.get("pia")).toMatchObject({ role: "reader", rank: 1, statement: { issuer: "root" } });
  });

  it("of several of one rank: the highest version, then the least privilege, then the tie-break", () => {
    const version = rosterOf(["root"], ...FAMILY, says("ann", "pia", "reader", 1), says("bob", "pia", "publisher", 2));
    expect(version.get("pia")).toMatchObject({ role: "publisher", statement: { issuer: "bob" } });
    const privilege = rosterOf(["root"], ...FAMILY, says("ann", "pia", "admin", 2), says("bob", "pia", "reader", 2));
    expect(privilege.get("pia")).toMatchObject({ role: "reader", statement: { issuer: "bob" } });
    const tie = rosterOf(["root"], ...FAMILY, says("ann", "pia", "reader", 2, 8), says("bob", "pia", "reader", 2, 7));
    expect(tie.get("pia")).toMatchObject({ role: "reader", statement: { issuer: "bob" } });
  });

  it("cannot admit itself, alone or in a circle", () => {
    const roster = rosterOf(
      ["root"],
      says("eve", "eve", "admin", 9),
      says("mallory", "trudy", "admin", 9),
      says("trudy", "mallory", "admin", 9),
    );
    expect(told(roster)).toEqual(["root: admin 0"]);
  });

  it("is gone with all whom it alone admitted, in a chain", () => {
    const chain = [...FAMILY, says("cleo", "pia", "publisher"), says("bob", "rex", "reader")];
    expect(told(rosterOf(["root"], ...chain, says("root", "ann", "revoked", 2)))).toEqual([
      "root: admin 0",
      "ann: revoked 1",
      "bob: admin 1",
      "dan: admin 2",
      "rex: reader 2",
    ]);
  });
});

describe("an admin", () => {
  it("of a larger rank cannot be made to override a root by version", () => {
    const roster = rosterOf(["root"], ...FAMILY, says("cleo", "ann", "revoked", 9), says("cleo", "bob", "reader", 9));
    expect(roster.get("ann")).toMatchObject({ role: "admin", rank: 1 });
    expect(roster.get("bob")).toMatchObject({ role: "admin", rank: 1 });
  });

  it("is out of reach for another of the same rank: two that revoke each other both stay, and their parent decides", () => {
    const quarrel = [...FAMILY, says("ann", "bob", "revoked", 9), says("bob", "ann", "revoked", 9)];
    expect(rosterOf(["root"], ...quarrel).admins).toEqual(["root", "ann", "bob", "cleo", "dan"]);
    const settled = rosterOf(["root"], ...quarrel, says("root", "bob", "revoked", 2));
    expect(told(settled)).toEqual(["root: admin 0", "ann: admin 1", "bob: revoked 1", "cleo: admin 2"]);
    expect(settled.get("bob")?.revokedBy?.issuer).toBe("root");
  });

  it("that an uncle wants gone stays as long as its parent's version is higher", () => {
    const both = [...FAMILY, says("bob", "cleo", "revoked", 2)];
    expect(rosterOf(["root"], ...both).get("cleo")).toMatchObject({ role: "revoked", revokedBy: { issuer: "bob" } });
    expect(rosterOf(["root"], ...both, says("ann", "cleo", "admin", 3)).isAdmin("cleo")).toBe(true);
  });

  it("that is demoted loses what it said: its friends go, and its revocations", () => {
    const before = [...FAMILY, says("root", "pia", "publisher"), says("ann", "pia", "revoked", 5)];
    expect(rosterOf(["root"], ...before).get("pia")?.role).toBe("revoked");
    const after = rosterOf(["root"], ...before, says("root", "ann", "publisher", 2));
    expect(told(after)).toEqual([
      "root: admin 0",
      "ann: publisher 1",
      "bob: admin 1",
      "pia: publisher 1",
      "dan: admin 2",
    ]);
    expect(after.get("cleo")).toBeUndefined();
  });

  it("that is demoted can be revoked by any admin, as every publisher", () => {
    const demoted = [...FAMILY, says("root", "ann", "reader", 2)];
    expect(rosterOf(["root"], ...demoted, says("dan", "ann", "revoked", 1)).get("ann")?.role).toBe("reader");
    expect(rosterOf(["root"], ...demoted, says("dan", "ann", "revoked", 2)).get("ann")?.role).toBe("revoked");
  });
});

describe("a publisher or reader", () => {
  const members = [...FAMILY, says("root", "pia", "publisher", 3), says("root", "rex", "reader", 3)];

  it("is revoked by any admin of any rank whose version is not below the deciding one", () => {
    const older = rosterOf(["root"], ...members, says("dan", "pia", "revoked", 2), says("dan", "rex", "revoked", 2));
    expect(older.get("pia")?.role).toBe("publisher");
    expect(older.get("rex")?.role).toBe("reader");
    const revocation = says("dan", "pia", "revoked", 3);
    const roster = rosterOf(["root"], ...members, revocation, says("dan", "rex", "revoked", 3));
    expect(roster.get("pia")).toMatchObject({ role: "revoked", rank: 1, revokedBy: revocation });
    expect(roster.get("pia")?.statement).toMatchObject({ issuer: "root", role: "publisher" });
    expect(roster.get("rex")?.role).toBe("revoked");
  });

  it("is only revoked by a larger rank: it gives no other role", () => {
    const roster = rosterOf(["root"], ...members, says("dan", "pia", "reader", 9), says("ann", "rex", "admin", 9));
    expect(roster.get("pia")?.role).toBe("publisher");
    expect(roster.get("rex")?.role).toBe("reader");
  });

  it("comes back when the revoker itself says so with a higher version", () => {
    const revoked = [...members, says("dan", "pia", "revoked", 5)];
    expect(rosterOf(["root"], ...revoked, says("dan", "pia", "reader", 5)).get("pia")?.role).toBe("revoked");
    // What the revoker gives is not what it gets: the root's word was only covered.
    expect(rosterOf(["root"], ...revoked, says("dan", "pia", "reader", 6)).get("pia")?.role).toBe("publisher");
  });

  it("comes back when the decider, or a smaller rank, says so with a higher version than every revocation", () => {
    const byAnn = [...FAMILY, says("ann", "sam", "publisher", 3), says("dan", "sam", "revoked", 5)];
    for (const issuer of ["ann", "bob", "root"]) {
      expect(rosterOf(["root"], ...byAnn, says(issuer, "sam", "reader", 5)).get("sam")?.role, issuer).toBe("revoked");
      expect(rosterOf(["root"], ...byAnn, says(issuer, "sam", "reader", 6)).get("sam")?.role, issuer).toBe("reader");
    }
    const twice = [...byAnn, says("cleo", "sam", "revoked", 7), says("ann", "sam", "reader", 6)];
    expect(rosterOf(["root"], ...twice).get("sam")).toMatchObject({ role: "revoked", revokedBy: { issuer: "cleo" } });
  });

  it("does not come back when another admin of a larger rank says so, or itself", () => {
    const revoked = [...members, says("ann", "pia", "revoked", 3)];
    for (const issuer of ["bob", "cleo", "dan", "pia", "stranger"]) {
      const roster = rosterOf(
        ["root"],
        ...revoked,
        says(issuer, "pia", "publisher", 9),
        says(issuer, "pia", "admin", 9),
      );
      expect(roster.get("pia"), issuer).toMatchObject({ role: "revoked", revokedBy: { issuer: "ann" } });
    }
  });

  it("whose revoker is revoked comes back where only that one had revoked it, and stays out where another had too", () => {
    const revoked = [...members, says("dan", "pia", "revoked", 3)];
    const bobGone = says("root", "bob", "revoked", 2);
    expect(rosterOf(["root"], ...revoked, bobGone).get("pia")).toMatchObject({
      role: "publisher",
      revokedBy: undefined,
    });
    // So whoever revokes an admin says again which of its revocations are to stay.
    expect(rosterOf(["root"], ...revoked, bobGone, says("cleo", "pia", "revoked", 3)).get("pia")?.role).toBe("revoked");
    expect(rosterOf(["root"], ...revoked, bobGone, says("root", "pia", "revoked", 4)).get("pia")?.role).toBe("revoked");
  });

  it("that one admin admits and another of the same rank revokes: they decide together, and alone where one is gone", () => {
    const claims = [...FAMILY, says("bob", "sam", "publisher"), says("ann", "sam", "revoked")];
    expect(rosterOf(["root"], ...claims).get("sam")).toMatchObject({ role: "revoked", statement: { issuer: "ann" } });
    const without = (issuer: string) => rosterOf(["root"], ...claims, says("root", issuer, "revoked", 2)).get("sam");
    expect(without("ann")).toMatchObject({ role: "publisher", statement: { issuer: "bob" } });
    expect(without("bob")).toMatchObject({ role: "revoked", statement: { issuer: "ann" } });
  });

  it("that is made an admin is out of reach of larger ranks, so also of what they had revoked", () => {
    const revoked = [...members, says("ann", "pia", "revoked", 9)];
    expect(rosterOf(["root"], ...revoked, says("root", "pia", "publisher", 4)).get("pia")?.role).toBe("revoked");
    expect(rosterOf(["root"], ...revoked, says("root", "pia", "admin", 4)).get("pia")?.role).toBe("admin");
  });

  it("that several revoked names the strongest revocation, in any order", () => {
    const revocations = [
      says("dan", "pia", "revoked", 4, 1003),
      says("ann", "pia", "revoked", 5, 1002),
      says("cleo", "pia", "revoked", 5, 1001),
    ];
    for (const claims of [revocations, [...revocations].reverse()]) {
      expect(rosterOf(["root"], ...members, ...claims).get("pia")?.revokedBy?.hash).toBe(1001);
    }
  });
});

describe("about oneself", () => {
  const admitted = [...FAMILY, says("root", "pia", "publisher", 3)];

  it("one can say only that one leaves", () => {
    expect(counts(says("pia", "pia", "revoked"))).toBe(true);
    expect(counts(says("ann", "pia", "admin"))).toBe(true);
    for (const role of ["admin", "publisher", "reader"] as const) {
      expect(counts(says("pia", "pia", role))).toBe(false);
      expect(rosterOf(["root"], ...admitted, says("pia", "pia", role, 9)).get("pia")?.role).toBe("publisher");
    }
  });

  it("what does not count hides no revocation, and ends none", () => {
    const left = [...admitted, says("pia", "pia", "revoked", 3), says("pia", "pia", "publisher", 9)];
    expect(rosterOf(["root"], ...left).get("pia")?.role).toBe("revoked");
  });

  it("a revocation counts until a deciding statement of a higher version", () => {
    const own = says("pia", "pia", "revoked", 3);
    const left = rosterOf(["root"], ...admitted, own);
    expect(left.get("pia")).toMatchObject({ role: "revoked", rank: 1, statement: { issuer: "root" }, revokedBy: own });
    expect(rosterOf(["root"], ...admitted, says("pia", "pia", "revoked", 2)).get("pia")?.role).toBe("publisher");
    expect(rosterOf(["root"], ...admitted, own, says("ann", "pia", "reader", 9)).get("pia")?.role).toBe("revoked");
    expect(rosterOf(["root"], ...admitted, own, says("root", "pia", "reader", 4)).get("pia")?.role).toBe("reader");
  });

  it("a revocation is named before any other that also counts", () => {
    const own = says("pia", "pia", "revoked", 3);
    for (const other of [says("dan", "pia", "revoked", 9), says("root", "pia", "revoked", 3)]) {
      expect(rosterOf(["root"], ...admitted, own, other).get("pia")?.revokedBy).toBe(own);
    }
  });

  it("an admin that leaves takes with it whom it admitted", () => {
    const roster = rosterOf(["root"], ...FAMILY, says("ann", "ann", "revoked", 1));
    expect(told(roster)).toEqual(["root: admin 0", "ann: revoked 1", "bob: admin 1", "dan: admin 2"]);
    expect(roster.isAdmin("ann")).toBe(false);
    expect(
      rosterOf(["root"], ...FAMILY, says("ann", "ann", "revoked", 1), says("root", "ann", "admin", 2)).admins,
    ).toEqual(["root", "ann", "bob", "cleo", "dan"]);
  });

  it("an admin that left does not come back through one of the same or a larger rank", () => {
    const left = [...FAMILY, says("ann", "ann", "revoked", 1)];
    for (const issuer of ["bob", "cleo", "dan"]) {
      expect(rosterOf(["root"], ...left, says(issuer, "ann", "admin", 9)).get("ann")?.role, issuer).toBe("revoked");
    }
  });

  it("who only leaves was never there", () => {
    expect(rosterOf(["root"], says("eve", "eve", "revoked", 9)).get("eve")).toBeUndefined();
  });
});

describe("the roster", () => {
  it("knows admins and their ranks, and nobody else's", () => {
    const roster = rosterOf(
      ["root"],
      ...FAMILY,
      says("root", "pia", "publisher"),
      says("dan", "zoe", "admin"),
      says("zoe", "zoe", "revoked"),
    );
    expect(["root", "ann", "cleo"].map((admin) => roster.rankOf(admin))).toEqual([0, 1, 2]);
    for (const other of ["pia", "zoe", "stranger", "__proto__"]) {
      expect(roster.isAdmin(other), other).toBe(false);
      expect(roster.rankOf(other), other).toBeUndefined();
    }
    expect(roster.isAdmin("cleo")).toBe(true);
    expect(roster.size).toBe(7);
  });

  it("needs of each issuer about each subject only what nothing outranks", () => {
    const [old, young] = [says("root", "ann", "admin", 1, 1), says("root", "ann", "admin", 2, 2)];
    expect(outranks(young, old, byHash)).toBe(true);
    expect(outranks(old, young, byHash)).toBe(false);
    const [less, same] = [says("root", "ann", "reader", 1, 3), says("root", "ann", "admin", 1, 0)];
    expect(outranks(less, old, byHash)).toBe(true);
    expect(outranks(old, less, byHash)).toBe(false);
    expect(outranks(same, old, byHash)).toBe(true);
    expect(outranks(old, same, byHash)).toBe(false);
    expect(outranks(old, { ...old }, byHash)).toBe(false);
  });

  it("looks at each statement a bounded number of times, in a long chain and for many members", () => {
    let looks = 0;
    const counted = (claim: Statement): Statement => ({
      ...claim,
      get subject() {
        looks++;
        return claim.subject;
      },
    });
    const chain = Array.from({ length: 10_000 }, (_, i) => says(`${i}`, `${i + 1}`, "admin"));
    const revoked = chain.slice(0, -1).map(({ subject }) => says("10000", subject, "revoked", 9));
    const members = Array.from({ length: 10_000 }, (_, i) => says("0", `member ${i}`, "publisher"));
    const claims = [...chain, ...revoked, ...members];
    const roster = computeRoster(new Array(100).fill("0"), claims.reverse().map(counted), byHash);
    expect(roster.size).toBe(20_001);
    expect(roster.rankOf("10000")).toBe(10_000);
    expect(roster.admins).toHaveLength(10_001);
    expect(looks).toBeLessThan(10 * claims.length);
  });
});
