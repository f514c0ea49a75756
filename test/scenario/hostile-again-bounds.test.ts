/** Of a second attack: what needs tables that are full. The bounds are smaller here, so that it is quick. */
import { describe, expect, it, vi } from "vitest";
import {
  forgeControl,
  pair,
  roleOf,
  SEEDS,
  say,
  somebody,
  standStill,
  stolen,
  tell,
  World,
} from "../support/rooted.js";
import { bytes } from "../support/topics.js";

const MOST = vi.hoisted(() => 32);

vi.mock("../../src/limits.js", async (original) => ({
  ...(await original<typeof import("../../src/limits.js")>()),
  MAX_STATEMENTS_PER_ISSUER: MOST,
  MAX_STATEMENTS: 4 * MOST,
}));

standStill();

describe("a hostile admin that makes others admins who say as much as they may", () => {
  it("pushes out nothing that an honest admin said, also of the rank of those: who was removed is not back", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const second = await world.create({ seed: bytes(0x31) });
    tell(pair(root, second, "admin").wire, admin, carol, bob);
    const dave = await world.create({ seed: bytes(0x32) });
    tell(pair(second, dave, "admin").wire, root, admin, carol, bob);
    tell(dave.revoke(bob.publicKey).wire, root, second, admin, carol, bob);
    const statements: Uint8Array[] = [];
    for (let i = 0; i < 8; i++) {
      const { seed, key } = somebody(1000 + i);
      statements.push(say(SEEDS.admin, root, key, "admin", 1));
      for (let j = 0; j < MOST; j++) statements.push(say(seed, root, somebody(i * MOST + j).key, "reader", 1));
    }
    tell(forgeControl(root.topicKey as Uint8Array, { statements }), root, second, carol);
    tell(root.revoke(admin.publicKey, { keep: "none" }).wire, second, dave, carol);
    for (const one of [root, second, carol]) expect(roleOf(one, bob)).toBeUndefined();
  });
});

describe("an admin that is removed", () => {
  it("brings nobody back whom it had removed, however many another bad one admitted whom it revoked", async () => {
    const world = new World();
    const { root, admin, carol } = await world.family();
    const [second, third, dave] = [await world.create(), await world.create(), await world.create()];
    tell(pair(root, second, "admin").wire, admin, carol);
    tell(pair(root, third, "admin").wire, admin, carol, second);
    tell(pair(third, dave).wire, root, admin, carol, second);
    tell(second.revoke(dave.publicKey).wire, root, admin, carol, third);
    expect(roleOf(root, dave)).toBeUndefined();
    // Now two have turned bad.
    const names: Uint8Array[] = [];
    for (let i = 0; names.length < MOST - 2; i++) {
      const { key } = somebody(i);
      if (Buffer.compare(key, dave.publicKey) < 0) names.push(key);
    }
    const statements = names.map((key) => say(SEEDS.admin, root, key, "reader", 1));
    const secondSeed = stolen(second).seed;
    for (const key of names) statements.push(say(secondSeed, root, key, "revoked", 2));
    tell(forgeControl(root.topicKey as Uint8Array, { statements }), root, carol, third);
    tell(root.revoke(second.publicKey, { keep: "none" }).wire, carol, third);
    for (const one of [root, carol, third]) expect(roleOf(one, dave)).toBeUndefined();
  });
});
