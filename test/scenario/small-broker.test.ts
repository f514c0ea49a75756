/** A broker that takes small messages only (`maxWireBytes`): what is too large for it is told before anything changes. */
import { expect, it } from "vitest";
import { Identity } from "../../src/identity.js";
import { Topic } from "../../src/index.js";
import { expectCode } from "../support/expect.js";
import { forgeControl, pair, rosterOf, SEEDS, say, stolen, tell, World } from "../support/rooted.js";
import { bytes } from "../support/topics.js";

const MOST = 16 * 1024;

function strangers(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => {
    const seed = new Uint8Array(32).fill(0xee);
    new DataView(seed.buffer).setUint32(0, i);
    return new Identity(seed).participant.publicKey;
  });
}

it("leaves room for a smaller payload", async () => {
  const topic = await Topic.create({ maxWireBytes: MOST });
  expect(topic.maxPayloadBytes).toBeLessThan(MOST);
  topic.topicKey = bytes(1);
  expect(topic.encode(new Uint8Array(topic.maxPayloadBytes)).length).toBeLessThanOrEqual(MOST);
  expectCode("MESSAGE_TOO_LARGE", () => topic.encode(new Uint8Array(topic.maxPayloadBytes + 1)));
});

it.each([
  [{ maxWireBytes: MOST - 1 }],
  [{ maxWireBytes: 1.5 }],
  [{ maxWireBytes: "1" as unknown as number }],
  [{ maxWireBytes: MOST, maxPayloadBytes: MOST }],
])("is refused where it cannot be: %j", async (options) => {
  await expect(Topic.create(options)).rejects.toThrow(RangeError);
});

it("a rekey and a reply that would be larger are refused, and nothing has changed", async () => {
  const world = new World();
  const root = await world.establish({ seed: SEEDS.root, maxWireBytes: MOST });
  const carol = await world.create({ seed: SEEDS.carol });
  pair(root, carol);
  const intro = carol.constructIntro();
  root.admit(intro);
  for (const publicKey of strangers(100)) root.admit(publicKey);
  const before = stolen(root);
  expect(expectCode("MESSAGE_TOO_LARGE", () => root.constructReply(intro))).toMatchObject({ limit: MOST });
  // Nor is anybody admitted whom no reply could tell of it.
  const newcomer = await world.create();
  expect(expectCode("MESSAGE_TOO_LARGE", () => root.admit(newcomer.constructIntro()))).toMatchObject({ limit: MOST });
  expect(root.rekey().wire.length).toBeLessThanOrEqual(MOST);
  expect(stolen(root).rooted?.statements).toEqual(before.rooted?.statements);
  // A rekey has one wrap for each whose wrap key is known.
  const large = await world.establish({ seed: SEEDS.admin });
  for (let i = 0; i < 300; i++) {
    const newcomer = await world.create();
    large.admit(newcomer.constructIntro());
  }
  const many = await world.load(large.save(), { maxWireBytes: MOST });
  const [epoch, roster] = [many.epoch, rosterOf(many)];
  for (const act of [
    () => many.rekey(),
    () => many.revoke(Object.keys(roster).map((hex) => Buffer.from(hex, "hex"))[1] as Uint8Array),
  ]) {
    const error = expectCode("MESSAGE_TOO_LARGE", act);
    expect(error.message).toMatch(/maxWireBytes/);
    expect(error.length).toBeGreaterThan(MOST);
    expect([many.epoch, rosterOf(many)]).toEqual([epoch, roster]);
  }
});

it("a reply leaves out what the roster does not rest on, where there is no room for it", async () => {
  const world = new World();
  const root = await world.establish({ seed: SEEDS.root, maxWireBytes: MOST });
  const admin = await world.create({ seed: SEEDS.admin });
  pair(root, admin, "admin");
  const statements = strangers(100).map((key) => say(SEEDS.admin, root, key, "reader", 1));
  tell(forgeControl(root.topicKey as Uint8Array, { statements }), root);
  const carol = await world.create({ seed: SEEDS.carol });
  // While it is an admin, what it said is part of the roster.
  expectCode("MESSAGE_TOO_LARGE", () => pair(root, carol));
  root.revoke(admin.publicKey, { keep: "none" });
  pair(root, carol);
  expect(rosterOf(carol)).toEqual(rosterOf(root));
  expect(carol.topicKey).toEqual(root.topicKey);
});
