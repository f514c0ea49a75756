/** What an attacker tried on introductions, replies and coming back (PROTOCOL §9, §12.4, §12.5), and no longer gets. */
import { describe, expect, it, vi } from "vitest";
import { kdf, randomBytes } from "../../src/crypto.js";
import type { Topic } from "../../src/index.js";
import { RejoinSecrets } from "../../src/rejoin.js";
import { expectCode } from "../support/expect.js";
import {
  canSpeak,
  DAY,
  forgeRekey,
  forgeReply,
  HOUR,
  hear,
  keyOf,
  madeUp,
  overheard,
  pair,
  pass,
  recipientOf,
  roleOf,
  SEEDS,
  standStill,
  stolen,
  take,
  tell,
  toldOf,
  World,
} from "../support/rooted.js";
import { bytes } from "../support/topics.js";

const SECOND = bytes(0x66);

standStill();

function secretOf(topic: Topic, epoch: number): Uint8Array {
  return stolen(topic).rooted?.rejoinSecrets.find((one) => one.epoch === epoch)?.secret as Uint8Array;
}

function isReturning(sponsor: Topic, newcomer: Topic): boolean {
  return expectCode("INTRODUCTION", () => sponsor.decode(newcomer.constructIntro())).introduction.isReturning;
}

/** What somebody publishes in the next ten minutes. */
async function publishedBy(topic: Topic, world: World): Promise<Uint8Array[]> {
  const wires: Uint8Array[] = [];
  for (let seconds = 0; seconds < 600; seconds += 10) {
    await pass(world, 10_000);
    for (const { messages } of await world.told(topic, "publish")) wires.push(...messages.map(({ wire }) => wire));
  }
  return wires;
}

describe("a removed admin, while the old key is read", () => {
  it("gives nobody a secret to prove by a rekey of its own", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const second = await world.create({ seed: SECOND });
    tell(pair(root, second, "admin").wire, admin, carol, bob);
    const planted = forgeRekey(SEEDS.admin, root, {
      parentKey: keyOf(admin),
      epoch: 1,
      recipients: [recipientOf(carol)],
    });
    tell(root.revoke(admin.publicKey, { keep: "all" }).wire, second, carol, bob);
    expect(tell(planted.wire, carol)).toEqual([null]);
    await pass(world, 2 * DAY);
    // She is left out of an epoch, and asks.
    const recipients = [recipientOf(root), recipientOf(second)];
    tell(forgeRekey(SEEDS.root, root, { parentKey: keyOf(root), epoch: 2, recipients }).wire, carol, root, second);
    expect(canSpeak(carol)).toBe(false);
    const intro = carol.constructIntro();
    // The removed one has the bare seed of an admin, too.
    const reply = forgeReply(SECOND, intro, madeUp(SECOND, carol, bytes(0x77)), kdf(planted.key, "rejoinSecret"));
    expectCode("DECRYPTION_FAILED", () => carol.decode(reply));
    root.admit(intro);
    const honest = expectCode("INTRODUCTION_REPLY", () => carol.decode(root.constructReply(intro))).reply;
    expect(honest).toMatchObject({ standing: "member", isReturning: true });
    expect(carol.parseReply(honest)).toBe(true);
    expect(canSpeak(carol)).toBe(true);
  });

  it("pushes nothing out by which others come back", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    let parentKey = keyOf(admin);
    const recipients = [recipientOf(root), recipientOf(bob)];
    // Carol is away.
    tell(root.revoke(admin.publicKey, { keep: "all" }).wire, bob);
    for (let epoch = 1; epoch <= 257; epoch++) {
      const { wire, key } = forgeRekey(SEEDS.admin, root, { parentKey, epoch, recipients });
      parentKey = key;
      expect(tell(wire, root)).toEqual([null]);
    }
    expect(stolen(root).rooted?.rejoinSecrets.length).toBe(257);
    expect(isReturning(root, carol)).toBe(true);
  });

  it.each([
    ["was not removed yet", 100, true],
    ["was removed", 200, false],
  ] as const)("nor, where it %s, anything of an issuer that made %d", (_, made, counts) => {
    const secrets = new RejoinSecrets();
    const add = (issuer: string | undefined, epoch: number): void => {
      const id = `${issuer} ${epoch}`;
      const recipients = new Uint8Array(0);
      secrets.add({ id, epoch, secret: bytes(epoch % 256), recipients, issuer, isProven: true, since: 0 });
      secrets.trim(`root ${made}`, (issuer) => counts || issuer !== "bad");
    };
    add(undefined, 0);
    for (let epoch = 1; epoch <= made; epoch++) add("root", epoch);
    for (let epoch = made + 1; epoch <= 1000; epoch++) add("bad", epoch);
    const kept = secrets.saved().map(({ issuer, epoch }) => [issuer, epoch]);
    // And that of the epoch that counts is one more.
    const newest = Array.from({ length: 256 - made }, (_, i) => ["bad", 1000 - 256 + made + 1 + i]);
    expect(kept).toEqual([[undefined, 0], ...Array.from({ length: made }, (_, i) => ["root", i + 1]), ...newest]);
  });
});

describe("a second admin's reply", () => {
  it.each([["admin"], ["admin", "root"]] as const)(
    "does not keep the first from hearing what it did not know: %s, %s",
    async (...sponsors) => {
      const world = new World();
      const family = await world.family();
      const { root, admin, carol, bob } = family;
      const dave = await world.create();
      // His admission is lost on the way to the admin.
      tell(pair(root, dave).wire, carol, bob);
      const intro = carol.constructIntro();
      const replies = sponsors.map((name) => family[name].constructReply(intro));
      for (const reply of replies) take(reply, carol);
      tell((await publishedBy(carol, world))[0] as Uint8Array, admin);
      expect(roleOf(admin, dave)).toBe("publisher");
    },
  );

  it("does not, either, if it is of a bad admin, which says to know it", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const bad = await world.create({ seed: SECOND });
    tell(pair(root, bad, "admin").wire, admin, carol, bob);
    const removal = root.revoke(bob.publicKey);
    const rekeys = [admin.rekey(), admin.rekey()];
    tell(removal.wire, carol, bad);
    for (const { wire } of rekeys) tell(wire, carol, bad, bob);
    expect(overheard(admin, bob)).not.toBe("silence");
    const intro = carol.constructIntro();
    take(admin.constructReply(intro), carol);
    const topicKey = stolen(bad).epochs.find(({ number }) => number === 2)?.keys?.key as Uint8Array;
    const secret = secretOf(bad, 2);
    const content = { ...toldOf(bad, 2), generation: 0, topicKey, rejoinSecret: secret };
    take(forgeReply(SECOND, intro, content, secret), carol);
    for (const wire of await publishedBy(carol, world)) hear(admin, wire);
    expect(overheard(admin, bob)).toBe("silence");
  });

  it("gives the rejoin secret that a bad admin had made up", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    // Carol is away.
    tell(root.rekey().wire, admin, bob);
    await pass(world, 2 * HOUR);
    root.ratchet();
    tell(root.encode("x"), admin, bob);
    const intro = carol.constructIntro();
    const content = { ...toldOf(admin, 1), generation: 1, topicKey: keyOf(admin), rejoinSecret: bytes(0x57) };
    take(forgeReply(SEEDS.admin, intro, content, secretOf(admin, 0)), carol);
    expect(secretOf(carol, 1)).toEqual(bytes(0x57));
    const loaded = await world.load(carol.save());
    expect(isReturning(root, loaded)).toBe(false);
    take(root.constructReply(intro), carol);
    expect(secretOf(carol, 1)).toEqual(secretOf(root, 1));
    expect(isReturning(root, carol)).toBe(true);
    // One that follows from a key that was opened stays.
    const again = bob.constructIntro();
    take(forgeReply(SEEDS.admin, again, content, secretOf(admin, 1)), bob);
    expect(secretOf(bob, 1)).toEqual(secretOf(root, 1));
  });
});

describe("who waits for a thief or a flood", () => {
  it("has no rejoin secret for longer than 90 days, but that of the epoch that counts", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    for (let i = 0; i < 3; i++) tell(root.rekey().wire, admin, carol, bob);
    const asleep = carol.save();
    const epochs = (topic: Topic) => stolen(topic).rooted?.rejoinSecrets.map(({ epoch }) => epoch);
    world.clock.now += 89 * DAY;
    expect(epochs(carol)).toEqual([0, 1, 2, 3]);
    world.clock.now += 2 * DAY;
    expect(epochs(carol)).toEqual([3]);
    const loaded = await world.load(asleep);
    const expire = vi.spyOn(RejoinSecrets.prototype, "expire");
    await pass(world, 1000);
    expect(expire).toHaveBeenCalled();
    expire.mockRestore();
    expect(epochs(loaded)).toEqual([3]);
  });

  it("is told at once that it was restored, though it had waited for an answer for days", async () => {
    const world = new World();
    const { root, carol } = await world.family();
    const junk = (): string | null =>
      hear(carol, forgeRekey(SEEDS.bob, root, { parentKey: randomBytes(32), epoch: 1 }).wire);
    for (let i = 0; i < 10; i++) {
      junk();
      await pass(world, 25 * HOUR);
    }
    junk();
    const back = await world.load(carol.save(), { restored: true });
    await pass(world, 1000);
    expect(await world.told(back, "introduction-wanted")).toHaveLength(1);
  });

  it("does not answer itself after a restart", async () => {
    const world = new World();
    const { admin } = await world.family();
    const intro = admin.constructIntro();
    const again = await world.load(admin.save(), { answerReturning: true });
    const { introduction } = expectCode("INTRODUCTION", () => again.decode(intro));
    expect(introduction).toMatchObject({ standing: "self", isReturning: false });
    expect(await world.told(again, "answered")).toEqual([]);
  });
});
