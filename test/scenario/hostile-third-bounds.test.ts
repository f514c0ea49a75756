/** Of a third attack: what needs tables that are full. The bounds are smaller here, so that it is quick. */
import { describe, expect, it, vi } from "vitest";
import { diffieHellmanKeyPair } from "../../src/crypto.js";
import { Identity } from "../../src/identity.js";
import { signWrap } from "../../src/statements.js";
import { forgeMessage } from "../support/forge.js";
import { forgeControl, SEEDS, say, standStill, stolen, tell, World } from "../support/rooted.js";
import { bytes, NAME } from "../support/topics.js";

const MOST = vi.hoisted(() => 32);

vi.mock("../../src/limits.js", async (original) => ({
  ...(await original<typeof import("../../src/limits.js")>()),
  MAX_STATEMENTS_PER_ISSUER: MOST,
  MAX_STATEMENTS: 4 * MOST,
}));

standStill();

function junk(number: number): { seed: Uint8Array; identity: Identity; key: Uint8Array } {
  const seed = new Uint8Array(32).fill(0xee);
  new DataView(seed.buffer).setUint32(0, number);
  const identity = new Identity(seed);
  return { seed, identity, key: identity.participant.publicKey };
}

describe("6: memory that has no bound", () => {
  it("who is doubted: an admin that was removed makes up any number, under the old key", async () => {
    const world = new World();
    const { root, admin, carol } = await world.family();
    const oldKey = admin.topicKey as Uint8Array;
    tell(root.revoke(admin.publicKey, { keep: "all" }).wire, carol);
    for (let i = 0; i < 8; i++) {
      const statements = Array.from({ length: MOST }, (_, j) => {
        const { identity, key } = junk(i * MOST + j);
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
      const one = junk(i);
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
void bytes;
