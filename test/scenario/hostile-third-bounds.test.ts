/** Of a third attack: what needs tables that are full. The bounds are smaller here, so that it is quick. */
import { describe, expect, it, vi } from "vitest";
import { fromHex, toHex } from "../../src/bytes.js";
import { diffieHellmanKeyPair } from "../../src/crypto.js";
import { signWrap } from "../../src/statements.js";
import { forgeMessage } from "../support/forge.js";
import {
  canSpeak,
  digestOf,
  type Family,
  forgeControl,
  forgeRekey,
  hear,
  keyOf,
  recipientOf,
  SEEDS,
  say,
  somebody,
  standStill,
  stolen,
  tell,
  World,
} from "../support/rooted.js";
import { bytes, NAME } from "../support/topics.js";

const MOST = vi.hoisted(() => 32);

vi.mock("../../src/limits.js", async (original) => ({
  ...(await original<typeof import("../../src/limits.js")>()),
  MAX_STATEMENTS_PER_ISSUER: MOST,
  MAX_STATEMENTS: 4 * MOST,
  MAX_SENDERS_GONE: 16 * MOST,
  MAX_DIGESTS: 8,
}));

standStill();

describe("6: memory that has no bound", () => {
  it("who is doubted: an admin that was removed makes up any number, under the old key", async () => {
    const world = new World();
    const { root, admin, carol } = await world.family();
    const oldKey = admin.topicKey as Uint8Array;
    tell(root.revoke(admin.publicKey, { keep: "all" }).wire, carol);
    for (let i = 0; i < 8; i++) {
      const statements = Array.from({ length: MOST }, (_, j) => {
        const { identity, key } = somebody(i * MOST + j);
        const wrap = signWrap(identity, NAME, diffieHellmanKeyPair().publicKey, 1);
        return say(SEEDS.admin, root, key, "reader", 1 + i, { wrap });
      });
      tell(forgeControl(oldKey, { statements }), carol);
    }
    const { rooted } = stolen(carol);
    expect(rooted?.statements.roles.length).toBeLessThanOrEqual(4 * MOST);
    expect(rooted?.doubted.length).toBeLessThanOrEqual(4 * MOST);
  }, 60_000);

  it("who was heard: an admin makes up any number, has each say one word, and nobody forgets them when it is removed", async () => {
    const world = new World();
    const { root, admin, carol } = await world.family();
    const key = admin.topicKey as Uint8Array;
    for (let i = 0; i < 8 * MOST; i++) {
      const one = somebody(i);
      tell(forgeControl(key, { statements: [say(SEEDS.admin, root, one.key, "publisher", 1 + i)] }), carol);
      const session = new Uint8Array(12);
      new DataView(session.buffer).setUint32(0, i);
      expect(tell(forgeMessage({ seed: one.seed, topicKey: key, session, payload: "x" }), carol)).toEqual(["x"]);
    }
    tell(root.revoke(admin.publicKey, { keep: "none" }).wire, carol);
    expect(stolen(carol).rooted?.statements.roles.length).toBeLessThanOrEqual(4 * MOST);
    expect(stolen(carol).replays.senders.length).toBeLessThanOrEqual(4 * MOST);
  }, 60_000);
});

describe("7: who was forgotten, because there were too many", () => {
  /** An admin makes up so many, each of whom says a word. Gives what the first one said. */
  function flood({ root, admin, carol }: Family, count: number): Uint8Array {
    const topicKey = keyOf(admin);
    const words = Array.from({ length: count }, (_, i) => {
      const { seed, key } = somebody(i);
      tell(forgeControl(topicKey, { statements: [say(SEEDS.admin, root, key, "publisher", 1 + i)] }), carol);
      const word = forgeMessage({ seed, topicKey, payload: "x" });
      expect(tell(word, carol)).toEqual(["x"]);
      return word;
    });
    return words[0] as Uint8Array;
  }

  it("nothing that it said is given again when it is back; under a later epoch it is heard, and so is who never was before", async () => {
    const world = new World();
    const family = await world.family();
    const { root, admin, carol, bob } = family;
    const oldKey = keyOf(admin);
    expect(hear(carol, root.encode("x"))).toBe("x");
    const word = flood(family, 5 * MOST);
    const { seed, key } = somebody(0);
    const unheard = bob.encode("late");
    const late = root.encode("late");
    const session = bytes(7, 12);
    const named = new TextDecoder().decode(session);
    const alive = forgeMessage({ seed, topicKey: oldKey, delivery: "alive", session: bytes(8, 12), payload: named });
    const will = forgeMessage({ seed, topicKey: oldKey, delivery: "will", session });
    tell(root.revoke(admin.publicKey, { keep: "none" }).wire, carol, bob);
    expect(stolen(carol).replays.senders.map(({ sender }) => sender)).toEqual([toHex(root.publicKey)]);
    tell(root.admit(key).wire, carol, bob);
    const again = await world.load(carol.save());
    for (const one of [carol, again]) {
      expect(tell(word, one)).toEqual(["REPLAY"]);
      expect(one.decode(word, { allowReplay: true })?.replayed).toBe(true);
      expect([hear(one, alive), hear(one, alive, { allowReplay: true })]).toEqual(["REPLAY", null]);
      expect(hear(one, will)).toBe("WILL_NOT_CURRENT");
      expect([hear(one, unheard), hear(one, late)]).toEqual(["REPLAY", "late"]);
      expect(hear(one, forgeMessage({ seed, topicKey: keyOf(root), payload: "new" }))).toBe("new");
      expect([hear(one, bob.encode("new")), hear(one, root.encode("new"))]).toEqual(["new", "new"]);
      // Also now that it is remembered again.
      expect([hear(one, word), hear(one, unheard)]).toEqual(["REPLAY", "REPLAY"]);
    }
  }, 60_000);

  it("also while the admin makes up more and more under one epoch: then the next rekey lets be heard who was not before", async () => {
    const world = new World();
    const family = await world.family();
    const { root, carol, bob } = family;
    flood(family, 17 * MOST);
    const { key } = somebody(17 * MOST);
    expect(stolen(carol).replays.senders.length).toBe(17 * MOST);
    tell(forgeControl(keyOf(root), { statements: [say(SEEDS.admin, root, key, "publisher", 2 ** 20)] }), carol);
    // Those are left who are on the roster.
    expect(stolen(carol).replays.senders.length).toBe(MOST - 1);
    expect(hear(carol, bob.encode("x"))).toBe("REPLAY");
    tell(root.rekey().wire, carol, bob);
    expect(hear(carol, bob.encode("x"))).toBe("x");
  }, 60_000);
});

it("who was removed is named by the next rekey, but an admin makes up no more than there may be statements", async () => {
  const world = new World();
  const { root, carol } = await world.family();
  for (let i = 0; i < 5 * MOST; i++) {
    const { key } = somebody(i);
    const said = [say(SEEDS.admin, root, key, "reader", 2 * i + 1), say(SEEDS.admin, root, key, "revoked", 2 * i + 2)];
    for (const one of said) tell(forgeControl(keyOf(root), { statements: [one] }), carol);
  }
  expect(stolen(carol).removed.length).toBe(4 * MOST);
  tell(root.rekey().wire, carol);
  const [rekeyed] = await world.told(carol, "rekeyed");
  expect(rekeyed?.removed.length).toBe(4 * MOST);
  expect(stolen(carol).removed).toEqual([]);
}, 60_000);

it("a removal whose rekey lost is known to be known also where more happened before than is remembered", async () => {
  const world = new World();
  const { root, admin, carol, bob } = await world.family();
  for (let i = 0; i < 12; i++) tell(root.admit(somebody(i).key).wire, admin, carol, bob);
  expect(stolen(admin).rooted?.digests).toHaveLength(8);
  const rekey = root.rekey().wire;
  const removal = admin.revoke(bob.publicKey).wire;
  tell(rekey, admin, carol);
  tell(removal, root, carol);
  expect(admin.rekeyWanted).toBe("held-by-removed");
  const copy = await world.load(admin.save());
  tell(root.rekey().wire, admin, carol, copy);
  expect([root, admin, copy].map((topic) => topic.rekeyWanted)).toEqual([undefined, undefined, undefined]);
  // Of what came later, too: the removal was known in an epoch that does not count any more.
  for (let i = 12; i < 24; i++) tell(root.admit(somebody(i).key).wire, admin, carol);
  tell(root.rekey().wire, admin, carol);
  expect([root, admin].map((topic) => topic.rekeyWanted)).toEqual([undefined, undefined]);
  expect(tell(root.encode("all"), admin, carol, bob)).toEqual(["all", "all", "UNKNOWN_TOPIC_KEY"]);
});

it("and who left is known to have left since then, also where more happens after it than is remembered", async () => {
  const world = new World();
  const { root, admin, carol, bob } = await world.family();
  for (let i = 0; i < 12; i++) tell(root.admit(somebody(i).key).wire, admin, carol, bob);
  const rekey = root.rekey().wire;
  const removal = admin.revoke(bob.publicKey).wire;
  const parentKey = keyOf(root);
  tell(rekey, admin, carol);
  tell(removal, root, carol);
  expect(canSpeak(carol)).toBe(false);
  // A rekey that carries nothing: that its issuer knew of the removal, its digest alone tells, which is not Carol's latest any more.
  const digest = fromHex(digestOf(root) as string);
  const recipients = [recipientOf(carol)];
  const { wire } = forgeRekey(SEEDS.root, root, { parentKey, epoch: 2, recipients, digest });
  for (let i = 12; i < 15; i++) tell(admin.admit(somebody(i).key).wire, carol);
  tell(wire, carol);
  expect(carol.epoch).toBe(2);
  expect(canSpeak(carol)).toBe(true);
});

it("of who left by the words of a rekey no more is remembered than there are who left, also where an admin has others come and go", async () => {
  const world = new World();
  const { root, carol } = await world.family();
  const key = keyOf(root);
  const [one, other, third] = [somebody(9001), somebody(9002), somebody(9003)];
  const pass = (statements: readonly Uint8Array[]): unknown => tell(forgeControl(key, { statements }), carol);
  let version = 1;
  pass([
    say(SEEDS.admin, root, one.key, "admin", 1),
    say(SEEDS.admin, root, other.key, "admin", version),
    say(one.seed, root, third.key, "admin", 1),
  ]);
  const said = [say(SEEDS.admin, root, one.key, "admin", 1), say(one.seed, root, third.key, "revoked", 2)];
  for (let cycle = 0; cycle < 20; cycle++) {
    const made = Array.from({ length: 16 }, (_, i) =>
      say(third.seed, root, somebody(cycle * 16 + i).key, "reader", cycle + 1),
    );
    pass([
      say(SEEDS.admin, root, other.key, "admin", ++version),
      say(other.seed, root, third.key, "admin", 3),
      ...made,
    ]);
    pass([say(SEEDS.admin, root, other.key, "publisher", ++version)]);
    // Each is another epoch.
    tell(forgeRekey(SEEDS.admin, root, { parentKey: key, epoch: 1 }, said).wire, carol);
  }
  const told = stolen(carol).epochs.map((epoch) => epoch.told.length);
  expect(Math.max(...told)).toBeLessThanOrEqual(4 * MOST);
});

it("of somebody who renews its wrap key again and again, only the newest is kept to be published again, and by nobody else", async () => {
  const world = new World();
  const { root, carol } = await world.family();
  const before = [root, carol].map((topic) => stolen(topic).rooted?.unsettled.length as number);
  for (let i = 0; i < 5; i++) tell(carol.renewWrapKey().wire, root);
  const after = [root, carol].map((topic) => stolen(topic).rooted?.unsettled.length as number);
  expect(after.map((count, i) => count - (before[i] as number))).toEqual([0, 1]);
});
