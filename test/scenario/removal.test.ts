/** Taking somebody out of a rooted topic (PROTOCOL §10, §11): by one message, whatever it does against it, and in whatever order things come. */
import { describe, expect, it, vi } from "vitest";
import { toHex } from "../../src/bytes.js";
import { diffieHellmanKeyPair } from "../../src/crypto.js";
import type { Topic } from "../../src/index.js";
import { MAX_STATEMENT_VERSION } from "../../src/limits.js";
import { expectCode } from "../support/expect.js";
import { forgeMessage } from "../support/forge.js";
import {
  DAY,
  type Family,
  forgeControl,
  forgeRekey,
  forgeStatement,
  hear,
  keyOf,
  pair,
  permutations,
  recipientOf,
  roleOf,
  rosterOf,
  SEEDS,
  say,
  standStill,
  take,
  tell,
  World,
} from "../support/rooted.js";
import { bytes } from "../support/topics.js";

standStill();

/** They have the same roster and key, and read each other. */
function expectOne(...topics: readonly [Topic, ...Topic[]]): void {
  const [first] = topics;
  for (const topic of topics) {
    expect(rosterOf(topic)).toEqual(rosterOf(first));
    expect(topic.topicKey).toEqual(first.topicKey);
    expect(topic.rekeyWanted).toBeUndefined();
    const others = topics.filter((one) => one !== topic);
    expect(tell(topic.encode("all together"), ...others)).toEqual(others.map(() => "all together"));
  }
}

/** What the removed one can say with what it has: its seed, and the key from before. */
function lastWords(topicKey: Uint8Array, payload = "I am still here"): Uint8Array {
  const session = globalThis.crypto.getRandomValues(new Uint8Array(12));
  return forgeMessage({ seed: SEEDS.bob, topicKey, session, payload });
}

/** The topics as they are, to be told things in one order after another. */
async function inEveryOrder(
  world: World,
  topics: readonly Topic[],
  wires: readonly Uint8Array[],
  check: (topics: readonly Topic[], order: readonly number[]) => void,
): Promise<void> {
  const states = topics.map((topic) => topic.save());
  for (const order of permutations([...wires.keys()])) {
    const copies = await Promise.all(states.map((state) => world.load(state)));
    for (const i of order) tell(wires[i] as Uint8Array, ...copies);
    check(copies, order);
    for (const copy of copies) copy.dispose();
  }
}

describe("somebody is revoked", () => {
  it("by one message, after which it reads nothing and is read by nobody", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const oldKey = keyOf(bob);
    expect(tell(bob.encode("hello"), root, admin, carol)).toEqual(["hello", "hello", "hello"]);
    const { wire } = root.revoke(bob.publicKey);
    expect(tell(wire, admin, carol, bob)).toEqual([null, null, null]);
    expectOne(root, admin, carol);
    expect(root.members).toHaveLength(3);
    expect(root.epoch).toBe(1);

    // Nothing that is sent from now on.
    expect(hear(bob, carol.encode("without Bob"))).toBe("UNKNOWN_TOPIC_KEY");
    expect(hear(bob, admin.encode("state", { delivery: "state" }))).toBe("UNKNOWN_TOPIC_KEY");
    expect(hear(bob, root.rekey().wire)).toBe("UNKNOWN_TOPIC_KEY");
    // Not by its own program either: what it says under the old key is refused by all, what it says itself does not leave.
    expect(tell(lastWords(oldKey), root, admin, carol)).toEqual(Array(3).fill("UNTRUSTED_KEY"));
    expectCode("FORBIDDEN", () => bob.encode("x"));
    expectCode("FORBIDDEN", () => bob.encodeWill("x"));
  });

  it("and everybody is told who it was, and by whom; the removed one, too", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    tell(admin.revoke(bob.id).wire, root, carol, bob);
    for (const topic of [root, admin, carol]) {
      const events = await world.eventsOf(topic);
      expect(events.map(({ type }) => type)).toEqual(["revoked", "rekeyed"]);
      const [revoked, rekeyed] = events;
      expect(revoked?.type === "revoked" && revoked.participant.publicKey).toEqual(bob.publicKey);
      expect(revoked?.type === "revoked" && revoked.by?.publicKey).toEqual(admin.publicKey);
      if (rekeyed?.type !== "rekeyed") throw new Error("not told of the rekey");
      expect(rekeyed).toMatchObject({ epoch: 1, reason: "removal" });
      expect(rekeyed.issuer?.publicKey).toEqual(admin.publicKey);
      expect(rekeyed.removed.map(({ publicKey }) => publicKey)).toEqual([bob.publicKey]);
    }
    const [removed, ...others] = await world.told(bob, "removed");
    expect(removed?.by?.publicKey).toEqual(admin.publicKey);
    expect(others).toEqual([]);
    // It does not ask to be let in again, however long it waits.
    await vi.advanceTimersByTimeAsync(3 * DAY);
    expect(await world.told(bob, "introduction-wanted")).toEqual([]);
  });

  it("and the pins that others had of it end, and do not come back: only an admin takes it in again", async () => {
    const world = new World();
    const { root, carol, bob } = await world.family();
    const oldKey = keyOf(bob);
    carol.addParticipant(bob.publicKey);
    const { wire } = root.revoke(bob.publicKey);
    tell(wire, carol);
    expect(carol.participants).toEqual([]);
    expect(hear(carol, lastWords(oldKey))).toBe("UNTRUSTED_KEY");
    expectCode("FORBIDDEN", () => carol.addParticipant(bob.publicKey));
    tell(wire, carol);
    expect(hear(carol, lastWords(oldKey))).toBe("UNTRUSTED_KEY");
    tell(root.admit(bob.publicKey).wire, carol);
    expect(roleOf(carol, bob)).toBe("publisher");
  });

  it("and gets nothing for an introduction, with whatever proof it has of being there before", async () => {
    const world = new World();
    const { root, admin, bob } = await world.family();
    tell(root.revoke(bob.publicKey).wire, admin, bob);
    for (const topic of [root, admin]) {
      const { introduction } = expectCode("INTRODUCTION", () => topic.decode(bob.constructIntro()));
      expect(introduction).toMatchObject({ standing: "revoked", isReturning: false });
      expectCode("UNTRUSTED_KEY", () => topic.constructReply(introduction));
    }
  });

  it("and can be admitted again, by whoever could have revoked it", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const oldKey = keyOf(bob);
    tell(root.revoke(bob.publicKey).wire, admin, carol, bob);
    expectCode("FORBIDDEN", () => admin.admit(bob.publicKey));
    tell(pair(root, bob).wire, admin, carol);
    expectOne(root, admin, carol, bob);
    expect(bob.topicKey).not.toEqual(oldKey);
  });
});

describe("a revocation", () => {
  it("may come in any order with what happens at the same time, and twice", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const dave = await world.create();
    const admission = pair(admin, dave, "reader").wire;
    const renewal = carol.renewWrapKey().wire;
    const removal = root.revoke(bob.publicKey).wire;
    tell(admission, root, carol);
    tell(renewal, root, admin, dave);
    tell(removal, admin, carol, dave);
    // The root did not know Dave when it made the rekey.
    expect(root.rekeyWanted).toBe("participant-missing");
    const repair = root.rekey().wire;
    tell(repair, admin, carol, dave);
    expectOne(root, admin, carol);

    const fresh = new World();
    const second = await fresh.family();
    const late = await fresh.create();
    const wires = [pair(second.admin, late, "reader").wire, second.root.revoke(second.bob.publicKey).wire];
    tell(wires[0] as Uint8Array, second.root);
    wires.push(second.root.rekey().wire);
    await inEveryOrder(fresh, [second.carol, second.admin], [...wires, wires[1] as Uint8Array], (copies) => {
      for (const copy of copies) {
        expect(rosterOf(copy)).toEqual(rosterOf(second.root));
        expect(copy.topicKey).toEqual(second.root.topicKey);
        expect(roleOf(copy, second.bob)).toBeUndefined();
        expect(roleOf(copy, late)).toBe("reader");
      }
    });
  });

  it("of the same one by two admins at once ends the same for everybody", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const oldKey = keyOf(bob);
    const wires = [root.revoke(bob.publicKey).wire, admin.revoke(bob.publicKey).wire];
    await inEveryOrder(world, [carol], [...wires, ...wires], ([copy]) => {
      expect(copy?.topicKey).toEqual(root.topicKey);
      expect(hear(copy as Topic, lastWords(oldKey))).toBe("UNTRUSTED_KEY");
    });
    tell(wires[0] as Uint8Array, admin, carol, bob);
    tell(wires[1] as Uint8Array, root, carol, bob);
    expect([root.rekeyWanted, admin.rekeyWanted]).toEqual([undefined, "removal-lost"]);
    // The admin cannot know whether the root knew what it did, and makes sure.
    tell(admin.rekey().wire, root, carol, bob);
    expectOne(root, admin, carol);
    expect(hear(bob, root.encode("x"))).toBe("UNKNOWN_TOPIC_KEY");
  });

  it("that crosses a rekey of somebody who did not know of it is not lost with it", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    // The root's rekey wins against the admin's, and is wrapped to Bob.
    const rekey = root.rekey().wire;
    const removal = admin.revoke(bob.publicKey).wire;
    tell(rekey, admin, carol, bob);
    tell(removal, root, carol, bob);
    expect([root.rekeyWanted, admin.rekeyWanted]).toEqual(["held-by-removed", "held-by-removed"]);
    expect(await world.told(root, "rekey-wanted")).toMatchObject([{ reason: "held-by-removed" }]);
    // Until then nobody says a word that Bob could read.
    for (const topic of [root, admin, carol]) expectCode("MISSING_TOPIC_KEY", () => topic.encode("x"));
    tell(admin.rekey().wire, root, carol, bob);
    expectOne(root, admin, carol);
    expect(hear(bob, carol.encode("x"))).toBe("UNKNOWN_TOPIC_KEY");
  });

  it("is not ours to say: of publishers, readers, juniors, and of a root", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family({ role: "reader" });
    const junior = await world.create();
    tell(pair(admin, junior, "admin").wire, root, carol, bob);
    for (const [who, whom] of [
      [carol, bob],
      [bob, carol],
      [carol, admin],
      [junior, admin],
      [admin, root],
      [root, root],
      [admin, admin],
    ] as const) {
      const before = who.save();
      expectCode("FORBIDDEN", () => who.revoke(whom.publicKey, { keep: "all" }));
      expect(rosterOf(who)).toEqual(rosterOf(root));
      expect(who.epoch).toBe(0);
      expect(before.length).toBe(who.save().length);
    }
    for (const who of [carol, bob]) {
      expectCode("FORBIDDEN", () => who.admit(carol.publicKey, { role: "admin" }));
      expectCode("FORBIDDEN", () => who.rekey());
    }
    for (const who of [root, admin]) {
      const before = who.save();
      expectCode("FORBIDDEN", () => who.admit(root.publicKey, { role: "reader", keep: "all" }));
      expect(before.length).toBe(who.save().length);
    }
    // Somebody of a larger rank may well revoke a publisher whom the root admitted.
    tell(junior.revoke(carol.publicKey).wire, root, admin, bob, carol);
    expect(roleOf(root, carol)).toBeUndefined();
    expect(hear(carol, root.encode("x"))).toBe("UNKNOWN_TOPIC_KEY");
  });

  it("that somebody signs without being asked changes nothing", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const before = rosterOf(root);
    const statements = [
      forgeStatement(SEEDS.bob, root, { subjectKey: carol.publicKey, version: 5, role: "revoked" }),
      forgeStatement(SEEDS.bob, root, { subjectKey: bob.publicKey, version: 5, role: "admin" }),
      forgeStatement(SEEDS.admin, root, { subjectKey: root.publicKey, version: 5, role: "revoked" }),
    ];
    expect(tell(forgeControl(keyOf(root), { statements }), root, admin, carol)).toEqual([null, null, null]);
    for (const topic of [root, admin, carol]) expect(rosterOf(topic)).toEqual(before);
    const { wire } = forgeRekey(SEEDS.bob, root, { parentKey: keyOf(root), epoch: 1 }, statements);
    expect(tell(wire, root, admin, carol)).toEqual(Array(3).fill("UNTRUSTED_KEY"));
    expectOne(root, admin, carol, bob);
  });
});

describe("an admin is revoked", () => {
  interface Court extends Family {
    readonly dave: Topic;
    readonly erin: Topic;
  }

  /** The admin has admitted Dave and Erin, and has revoked Bob, whom the root had admitted. */
  async function makeCourt(world: World): Promise<Court> {
    const family = await world.family();
    const { root, admin, carol, bob } = family;
    const dave = await world.create();
    const erin = await world.create();
    tell(pair(admin, dave).wire, root, carol);
    tell(pair(admin, erin, "reader").wire, root, carol, dave);
    tell(admin.revoke(bob.publicKey).wire, root, carol, dave, erin, bob);
    return { ...family, dave, erin };
  }

  it("only when somebody said who of those stays whom it admitted", async () => {
    const world = new World();
    const { root, admin, dave, erin } = await makeCourt(world);
    const before = root.save();
    const error = expectCode("DEPENDANTS", () => root.revoke(admin.publicKey));
    const dependants = error.dependants.map(toHex);
    expect(dependants.sort()).toEqual([dave, erin].map(({ publicKey }) => toHex(publicKey)).sort());
    expect(root.save()).toEqual(before);
  });

  it.each([
    ["all", ["dave", "erin"]],
    ["none", []],
    ["some", ["erin"]],
  ] as const)("and %s of them stay", async (keep, staying) => {
    const world = new World();
    const { root, admin, carol, bob, dave, erin } = await makeCourt(world);
    const oldKey = keyOf(admin);
    const given = keep === "some" ? [erin.publicKey] : keep;
    const { wire } = root.revoke(admin.publicKey, { keep: given });
    tell(wire, admin, carol, bob, dave, erin);
    const expected: Record<string, string> = {
      [toHex(root.publicKey)]: "admin",
      [toHex(carol.publicKey)]: "publisher",
      ...((staying as readonly string[]).includes("dave") && { [toHex(dave.publicKey)]: "publisher" }),
      ...((staying as readonly string[]).includes("erin") && { [toHex(erin.publicKey)]: "reader" }),
    };
    // Bob is not: that the admin had revoked him is said again.
    expect(rosterOf(root)).toEqual(expected);
    expect(rosterOf(carol)).toEqual(expected);
    expectOne(root, carol);
    const text = root.encode("after it");
    const hears = (topic: Topic) => hear(topic, text);
    expect(hears(admin)).toBe("UNKNOWN_TOPIC_KEY");
    expect(hears(dave)).toBe(keep === "all" ? "after it" : "UNKNOWN_TOPIC_KEY");
    expect(hears(erin)).toBe(keep === "none" ? "UNKNOWN_TOPIC_KEY" : "after it");
    const forged = forgeMessage({ seed: SEEDS.admin, topicKey: oldKey, payload: "x" });
    expect(tell(forged, root, carol)).toEqual(["UNTRUSTED_KEY", "UNTRUSTED_KEY"]);
    expect((await world.told(admin, "removed")).length).toBe(1);
    expectCode("FORBIDDEN", () => admin.revoke(carol.publicKey));
    // What it signs from now on moves nobody.
    const again = forgeStatement(SEEDS.admin, root, { subjectKey: carol.publicKey, version: 99, role: "revoked" });
    tell(forgeControl(keyOf(root), { statements: [again] }), root, carol);
    expect([rosterOf(root), rosterOf(carol)]).toEqual([expected, expected]);
  });

  it("or demoted, and what it had revoked stays revoked", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await makeCourt(world);
    expect(roleOf(root, bob)).toBeUndefined();
    const { wire } = root.admit(admin.publicKey, { role: "publisher", keep: "all" });
    tell(wire, admin, carol);
    expect(roleOf(root, admin)).toBe("publisher");
    expect(roleOf(root, bob)).toBeUndefined();
    expectCode("FORBIDDEN", () => admin.revoke(carol.publicKey));
    expectOne(root, carol, admin);
  });

  it("or demoted, when somebody said who of those stays whom it admitted", async () => {
    const world = new World();
    const { root, admin, carol, dave, erin } = await makeCourt(world);
    const error = expectCode("DEPENDANTS", () => root.admit(admin.publicKey, { role: "reader" }));
    expect(error.dependants).toHaveLength(2);
    expect(roleOf(root, admin)).toBe("admin");
    const { wire } = root.admit(admin.publicKey, { role: "reader", keep: [dave.publicKey] });
    expect(tell(wire, admin, carol, dave, erin)).toEqual([null, null, null, null]);
    expectOne(root, carol, dave);
    for (const topic of [root, carol, dave, admin]) {
      expect(roleOf(topic, admin)).toBe("reader");
      expect(roleOf(topic, dave)).toBe("publisher");
      expect(roleOf(topic, erin)).toBeUndefined();
    }
    expect(admin.decode(root.encode("it still reads"))?.text()).toBe("it still reads");
    expectCode("FORBIDDEN", () => admin.encode("x"));
    expect(hear(erin, root.encode("x"))).toBe("UNKNOWN_TOPIC_KEY");
  });

  it("and whom an admin had revoked that fell with it stays revoked, too", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const junior = await world.create({ seed: bytes(0x51) });
    tell(pair(admin, junior, "admin").wire, root, carol, bob);
    const version = MAX_STATEMENT_VERSION;
    const said = forgeStatement(bytes(0x51), root, { subjectKey: bob.publicKey, version, role: "revoked" });
    tell(forgeControl(keyOf(root), { statements: [said] }), root, admin, carol, junior, bob);
    for (const topic of [root, carol]) expect(roleOf(topic, bob)).toBeUndefined();
    const { wire } = root.revoke(admin.publicKey, { keep: "none" });
    tell(wire, admin, carol, bob, junior);
    for (const topic of [root, carol]) {
      expect(roleOf(topic, junior)).toBeUndefined();
      expect(roleOf(topic, bob)).toBeUndefined();
    }
    expectOne(root, carol);
    expect(hear(bob, root.encode("x"))).toBe("UNKNOWN_TOPIC_KEY");
  });

  it("and a removal whose rekey lost is not asked for again, once those who go on know of it", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const rekey = root.rekey().wire;
    const removal = admin.revoke(bob.publicKey).wire;
    tell(rekey, admin, carol);
    tell(removal, root, carol);
    // The root's rekey has the smaller rank, and is Bob's, too: it makes another, and later one more.
    expect(root.rekeyWanted).toBe("held-by-removed");
    for (let i = 0; i < 2; i++) {
      tell(root.rekey().wire, admin, carol);
      expect([root, admin].map((topic) => topic.rekeyWanted)).toEqual([undefined, undefined]);
    }
    expectOne(root, admin, carol);
  });

  it("and whom it had given the greatest version is let in again by a root, which made it an admin meanwhile", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const other = await world.create({ seed: bytes(0x31) });
    tell(pair(root, other, "admin").wire, admin, carol, bob);
    const greatest = say(SEEDS.admin, root, bob.publicKey, "publisher", MAX_STATEMENT_VERSION);
    tell(forgeControl(keyOf(root), { statements: [greatest] }), root, other, carol, bob);
    // To be sure that Bob is out, the other admin takes the greatest version as well; the root, which makes Bob an admin, has not heard it.
    const removal = other.revoke(bob.publicKey).wire;
    const promotion = root.admit(bob.publicKey, { role: "admin" }).wire;
    tell(promotion, other, carol, bob);
    tell(removal, root, carol, bob);
    tell(root.revoke(admin.publicKey, { keep: "all" }).wire, other, carol, bob);
    for (const topic of [root, other, carol]) expect(roleOf(topic, bob)).toBe("admin");
    const { introduction } = expectCode("INTRODUCTION", () => root.decode(bob.constructIntro()));
    tell(root.admit(introduction).wire, other, carol);
    take(root.constructReply(introduction), bob);
    expectOne(root, other, carol, bob);
  });

  it("but not by one of its own rank; and two who try have the same rank as before", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const other = await world.create({ seed: bytes(0x31) });
    tell(pair(root, other, "admin").wire, admin, carol, bob);
    expectCode("FORBIDDEN", () => admin.revoke(other.publicKey, { keep: "all" }));
    expectCode("FORBIDDEN", () => other.revoke(admin.publicKey, { keep: "all" }));
    const revoke = (seed: Uint8Array, whom: Topic) =>
      forgeStatement(seed, root, { subjectKey: whom.publicKey, version: 7, role: "revoked" });
    const before = rosterOf(root);
    const wires = [revoke(SEEDS.admin, other), revoke(bytes(0x31), admin)].map((one) =>
      forgeControl(keyOf(root), { statements: [one] }),
    );
    await inEveryOrder(world, [root, admin, other, carol], wires, (copies) => {
      for (const copy of copies) expect(rosterOf(copy)).toEqual(before);
    });
  });
});

describe("a hostile admin", () => {
  it("that wraps a rekey only to itself is revoked all the same", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const { wire, key } = forgeRekey(SEEDS.admin, root, { parentKey: keyOf(root), epoch: 1 });
    expect(tell(wire, root, carol, bob)).toEqual([null, null, null]);
    // Nobody speaks: what counts cannot be opened.
    for (const topic of [root, carol, bob]) {
      expect(expectCode("MISSING_TOPIC_KEY", () => topic.encode("x")).reason).toBe("unusable");
    }
    expect(root.rekeyWanted).toBe("unusable");
    tell(root.revoke(admin.publicKey, { keep: "all" }).wire, carol, bob, admin);
    expectOne(root, carol, bob);
    expect(root.topicKey).not.toEqual(key);
    expect(hear(admin, carol.encode("x"))).toBe("UNKNOWN_TOPIC_KEY");
  });

  it("that wraps to itself again and again is outrun by a root's rekey, and stays for who looks at it", async () => {
    const world = new World();
    const { root, carol, bob } = await world.family();
    let parentKey = keyOf(root);
    const wires: Uint8Array[] = [];
    for (let epoch = 1; epoch <= 30; epoch++) {
      const { wire, key } = forgeRekey(SEEDS.admin, root, { parentKey, epoch });
      wires.push(wire);
      parentKey = key;
    }
    // Of all these, only the first is sealed under a key that the others have.
    expect(tell(wires[0] as Uint8Array, root, carol, bob)).toEqual([null, null, null]);
    for (const wire of wires.slice(1)) expect(hear(carol, wire)).toBe("UNKNOWN_TOPIC_KEY");
    tell(root.rekey().wire, carol, bob);
    expect(carol.decode(bob.encode("on we go"))?.text()).toBe("on we go");
  });

  it("that crosses its own revocation with rekeys of higher epochs and statements of the greatest version is out", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const accomplice = await world.create({ seed: bytes(0x41) });
    const oldKey = keyOf(root);
    const recipients = [carol, bob].map(recipientOf);
    const version = MAX_STATEMENT_VERSION;
    const said = [
      forgeStatement(SEEDS.admin, root, { subjectKey: carol.publicKey, version, role: "revoked" }),
      forgeStatement(SEEDS.admin, root, { subjectKey: accomplice.publicKey, version, role: "admin" }),
      forgeStatement(SEEDS.admin, root, { subjectKey: admin.publicKey, version, role: "admin" }),
    ];
    const first = forgeRekey(SEEDS.admin, root, { parentKey: oldKey, epoch: 1, recipients }, said);
    const second = forgeRekey(SEEDS.admin, root, { parentKey: first.key, epoch: 2, recipients }, said);
    const byAccomplice = forgeStatement(bytes(0x41), root, { subjectKey: bob.publicKey, version, role: "revoked" });
    const third = forgeRekey(bytes(0x41), root, { parentKey: second.key, epoch: 3, recipients }, [
      ...said,
      byAccomplice,
    ]);
    const removal = root.revoke(admin.publicKey, { keep: "all" }).wire;
    await inEveryOrder(world, [carol, bob], [removal, first.wire, second.wire, third.wire], (copies, order) => {
      for (const copy of copies) {
        expect(rosterOf(copy), order.join(" ")).toEqual(rosterOf(root));
        expect(roleOf(copy, carol)).toBe("publisher");
        expect(roleOf(copy, bob)).toBe("publisher");
        expect(roleOf(copy, accomplice)).toBeUndefined();
      }
    });
    for (const wire of [first.wire, second.wire, third.wire, removal]) tell(wire, root, carol, bob);
    expect(roleOf(root, admin)).toBeUndefined();
    // Who sent under the hostile key cannot go back: a rekey of the root's is wanted, or nothing.
    if (root.rekeyWanted !== undefined) tell(root.rekey().wire, carol, bob);
    expectOne(root, carol, bob);
    for (const { key } of [first, second, third]) expect(root.topicKey).not.toEqual(key);
  });

  it("whose revocation of somebody was known before is out, and that one can be admitted again", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const version = MAX_STATEMENT_VERSION;
    const said = [forgeStatement(SEEDS.admin, root, { subjectKey: carol.publicKey, version, role: "revoked" })];
    tell(forgeControl(keyOf(root), { statements: said }), root, carol, bob);
    expect(roleOf(root, carol)).toBeUndefined();
    tell(root.revoke(admin.publicKey, { keep: "all" }).wire, carol, bob);
    tell(pair(root, carol).wire, bob);
    if (root.rekeyWanted !== undefined) tell(root.rekey().wire, carol, bob);
    expectOne(root, carol, bob);
    expect(roleOf(bob, carol)).toBe("publisher");
  });

  it("whose wrap for us is bad is reported, and who was shut out so comes back by an introduction", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const wrong = diffieHellmanKeyPair().publicKey;
    const recipients = [recipientOf(root), recipientOf(carol), { identityKey: bob.publicKey, wrapKey: wrong }];
    const { wire } = forgeRekey(SEEDS.admin, root, { parentKey: keyOf(root), epoch: 1, recipients });
    expect(tell(wire, root, carol, bob)).toEqual([null, null, null]);
    for (const topic of [root, carol]) expect(await world.told(topic, "bad-rekey")).toEqual([]);
    const [report, ...others] = await world.told(bob, "bad-rekey");
    expect(report?.issuer.publicKey).toEqual(admin.publicKey);
    expect(report?.epoch).toBe(1);
    expect(others).toEqual([]);
    expect(carol.decode(root.encode("without Bob"))?.text()).toBe("without Bob");
    expectCode("MISSING_TOPIC_KEY", () => bob.encode("x"));

    await vi.advanceTimersByTimeAsync(31_000);
    expect(await world.told(bob, "introduction-wanted")).toMatchObject([{ reason: "no-key" }]);
    const { introduction } = expectCode("INTRODUCTION", () => root.decode(bob.constructIntro()));
    expect(introduction).toMatchObject({ standing: "member", isReturning: true });
    expect(take(root.constructReply(introduction), bob)).toBe(true);
    expect(bob.topicKey).toEqual(root.topicKey);
    expect(tell(bob.encode("back"), root, carol)).toEqual(["back", "back"]);
  });
});

describe("leaving", () => {
  it("needs nobody's leave, and the next rekey takes the key away", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const oldKey = keyOf(bob);
    const { wire } = bob.revoke(bob.publicKey);
    expect(tell(wire, root, admin, carol)).toEqual([null, null, null]);
    expect((await world.told(bob, "removed")).map(({ by }) => by?.publicKey)).toEqual([bob.publicKey]);
    expectCode("FORBIDDEN", () => bob.encode("x"));
    // It left in peace: nobody falls silent for it. But an admin is to change the key.
    expect(carol.decode(admin.encode("x"))?.text()).toBe("x");
    expect(tell(lastWords(oldKey), root, admin, carol)).toEqual(Array(3).fill("UNTRUSTED_KEY"));
    expect(await world.told(root, "rekey-wanted")).toMatchObject([{ reason: "held-by-removed" }]);
    tell(root.rekey().wire, admin, carol, bob);
    expectOne(root, admin, carol);
    expect(hear(bob, carol.encode("x"))).toBe("UNKNOWN_TOPIC_KEY");
  });

  it("also for a reader, but not for an admin or a root", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family({ role: "reader" });
    tell(bob.revoke(bob.id).wire, root, admin, carol);
    expect(roleOf(root, bob)).toBeUndefined();
    for (const topic of [root, admin]) {
      expectCode("FORBIDDEN", () => topic.revoke(topic.publicKey));
      expect(roleOf(topic, topic)).toBe("admin");
    }
  });
});

describe("a reader", () => {
  it("reads everybody, may not publish, and is not believed if it does", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family({ role: "reader" });
    expect(bob.decode(carol.encode("for all"))?.text()).toBe("for all");
    for (const send of [
      () => bob.encode("x"),
      () => bob.encodeBatch(["x"]),
      () => bob.encodeWill("x"),
      () => bob.encode("x", { delivery: "command", context: "other" }),
    ]) {
      expectCode("FORBIDDEN", send);
    }
    expect(tell(lastWords(keyOf(bob)), root, admin, carol)).toEqual(Array(3).fill("FORBIDDEN"));
    // Its own wrap key is its own to announce, so that it is no worse protected than the others.
    tell(bob.renewWrapKey().wire, root, admin, carol);
    tell(root.rekey().wire, admin, carol, bob);
    expect(bob.decode(carol.encode("x"))?.text()).toBe("x");
  });

  it("may be made a publisher, and one be made a reader, without a change of key", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family({ role: "reader" });
    tell(root.admit(bob.publicKey, { role: "publisher" }).wire, admin, carol, bob);
    expectOne(root, admin, carol, bob);
    // The root said publisher, and the admin is below it.
    expectCode("FORBIDDEN", () => admin.admit(carol.id, { role: "reader" }));
    tell(root.admit(carol.id, { role: "reader" }).wire, admin, carol, bob);
    expectCode("FORBIDDEN", () => carol.encode("x"));
    expect(root.epoch).toBe(0);
  });
});

describe("after a change of key", () => {
  it("what the broker retained under the old one is read for a day of grace, and no longer", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const retained = carol.encode("21.5 °C", { delivery: "state" });
    tell(root.revoke(bob.publicKey).wire, admin, carol);
    await vi.advanceTimersByTimeAsync(DAY - 2000);
    expect(hear(admin, retained, { retained: true })).toBe("21.5 °C");
    await vi.advanceTimersByTimeAsync(4000);
    expect(hear(admin, retained, { retained: true })).toBe("UNKNOWN_TOPIC_KEY");
    // So the one who sent it seals it again, when told.
    expect((await world.told(carol, "rekeyed")).length).toBe(1);
    expect(hear(admin, carol.encode("21.5 °C", { delivery: "state" }), { retained: true })).toBe("21.5 °C");
  });

  it("each key has a grace of its own", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const first = bob.encode("under the first");
    tell(root.rekey().wire, admin, carol, bob);
    const second = bob.encode("under the second");
    await vi.advanceTimersByTimeAsync(DAY / 2);
    tell(root.rekey().wire, admin, carol, bob);
    await vi.advanceTimersByTimeAsync(DAY / 2 + 2000);
    expect(tell(first, carol)).toEqual(["UNKNOWN_TOPIC_KEY"]);
    expect(tell(second, carol)).toEqual(["under the second"]);
    await vi.advanceTimersByTimeAsync(DAY / 2);
    expect(tell(second, admin)).toEqual(["UNKNOWN_TOPIC_KEY"]);
  });
});
