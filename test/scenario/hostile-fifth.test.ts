/** Ways in that a fifth attack found, kept as tests: each was played against the code as it was, and worked. */
import { describe, expect, it, vi } from "vitest";
import { fromHex, toHex } from "../../src/bytes.js";
import { diffieHellmanKeyPair } from "../../src/crypto.js";
import { Identity } from "../../src/identity.js";
import type { Topic } from "../../src/index.js";
import { commitmentOf } from "../../src/keyring.js";
import { MAX_EPOCHS_PER_ISSUER } from "../../src/limits.js";
import { parseControl } from "../../src/message.js";
import { formatState } from "../../src/state.js";
import { StatementSet } from "../../src/statement-set.js";
import { formatRenewal, signWrap } from "../../src/statements.js";
import { expectCode } from "../support/expect.js";
import { openWire } from "../support/forge.js";
import {
  canSpeak,
  DAY,
  digestOf,
  forgeControl,
  forgeRekey,
  hear,
  keyOf,
  overheard,
  pair,
  pass,
  publicKeyOf,
  recipientOf,
  rekeyThatClaims,
  SEEDS,
  say,
  standStill,
  stolen,
  take,
  tell,
  World,
} from "../support/rooted.js";
import { NAME, START } from "../support/topics.js";

standStill();

describe("an admin that makes an epoch a parent of its own parents", () => {
  it.each([false, true])(
    "neither stops those who hear it nor what they save (it was removed before: %s)",
    async (isRemoved) => {
      const world = new World();
      const { root, admin, carol, bob } = await world.family();
      const statements = stolen(admin).rooted?.statements.links ?? [];
      const recipients = [root, carol, bob].map(recipientOf);
      const first = keyOf(root);
      const rekeys: ReturnType<typeof forgeRekey>[] = [];
      const rekey = (parentKey: Uint8Array, epoch: number) => {
        const made = forgeRekey(SEEDS.admin, root, { parentKey, epoch, recipients }, statements);
        rekeys.push(made);
        return made.key;
      };
      // The lowest goes when one more comes, and its child stays.
      let last = rekey(first, 1);
      rekey(first, 1);
      for (let epoch = 2; epoch <= MAX_EPOCHS_PER_ISSUER; epoch++) last = rekey(last, epoch);
      if (isRemoved) tell(root.revoke(admin.publicKey, { keep: "none" }).wire, carol, bob);
      tell(rekeys[0]?.wire as Uint8Array, carol);
      const [lowest] = stolen(carol).epochs.filter(
        ({ number, issuer }) => number === 1 && issuer === toHex(admin.publicKey),
      );
      for (const { wire } of rekeys) tell(wire, carol, bob);
      expect(stolen(carol).epochs.some(({ id }) => id === lowest?.id)).toBe(false);
      const commitment = fromHex(commitmentOf({ id: lowest?.id as string }));
      const epoch = MAX_EPOCHS_PER_ISSUER + 1;
      const back = rekeyThatClaims(commitment, SEEDS.admin, root, last, { epoch, statements });
      expect(tell(back, carol, bob)).toEqual([null, null]);
      expect(stolen(carol).epochs.find(({ id }) => id === lowest?.id)?.number).toBe(epoch);
      const loaded = await world.load(carol.save());
      for (const topic of [carol, loaded, bob]) expect(canSpeak(topic)).toBe(isRemoved);
      if (!isRemoved) tell(root.revoke(admin.publicKey, { keep: "none" }).wire, carol, bob, loaded);
      expect(await world.load(carol.save()).then((topic) => topic.members.length)).toBe(3);
    },
  );
});

describe("who says that it leaves while it is removed", () => {
  /** Bob's own program says that he left, with a version of his choice. */
  const leave = (key: Uint8Array, root: Topic, version: number): Uint8Array =>
    forgeControl(key, { statements: [say(SEEDS.bob, root, publicKeyOf(SEEDS.bob), "revoked", version)] });

  it("silences nobody who heard that first", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const left = bob.revoke(bob.publicKey).wire;
    const removal = root.revoke(bob.publicKey).wire;
    tell(left, carol, admin);
    tell(removal, carol, admin);
    for (const topic of [root, admin, carol]) {
      expect(overheard(topic, bob)).toBe("UNKNOWN_TOPIC_KEY");
      expect(topic.rekeyWanted).toBeUndefined();
    }
    tell(left, root);
    expect(overheard(root, bob)).toBe("UNKNOWN_TOPIC_KEY");
  });

  it("nor anybody again and again, by newer words under the key that it had", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const key = keyOf(bob);
    tell(leave(key, root, 1000), carol);
    tell(root.revoke(bob.publicKey).wire, carol, admin);
    for (let version = 1001; version < 1004; version++) {
      tell(leave(key, root, version), carol);
      expect(overheard(carol, bob)).toBe("UNKNOWN_TOPIC_KEY");
      tell(root.rekey().wire, carol);
      expect(overheard(carol, bob)).toBe("UNKNOWN_TOPIC_KEY");
    }
  });

  it("nor where the next rekey is by somebody who had heard of it that it left: it tells of both", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const [key, dave] = [keyOf(bob), await world.create()];
    tell(pair(root, dave).wire, admin, carol, bob);
    // The root's rekey counts, and Bob has it.
    const rekey = root.rekey().wire;
    const removal = admin.revoke(bob.publicKey).wire;
    tell(rekey, admin, carol, bob);
    tell(leave(key, root, 1000), root);
    tell(removal, root, carol);
    expect(root.rekeyWanted).toBe("held-by-removed");
    const other = root.revoke(dave.publicKey).wire;
    tell(leave(key, root, 2000), carol);
    tell(other, admin, carol);
    for (const topic of [root, admin, carol]) expect(overheard(topic, bob)).toBe("UNKNOWN_TOPIC_KEY");
  });

  it("and who is silent for another reason lets the key before go all the same, a grace later", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const [firstKey, dave] = [keyOf(bob), await world.create()];
    tell(pair(admin, dave).wire, root, carol);
    // The root does not hear of the removal, and its rekey counts; she hears what the removal says, and not its rekey.
    const rekey = root.rekey().wire;
    const removal = admin.revoke(dave.publicKey).wire;
    const { statements } = parseControl(openWire(firstKey, removal).plaintext.payload);
    tell(forgeControl(firstKey, { statements }), carol);
    tell(rekey, carol);
    expect(canSpeak(carol)).toBe(false);
    expect(hear(carol, bob.encode("x"))).toBe("x");
    await vi.advanceTimersByTimeAsync(2 * DAY);
    expect(canSpeak(carol)).toBe(false);
    expect(hear(carol, bob.encode("x"))).toBe("UNKNOWN_TOPIC_KEY");
  });
});

describe("who was removed, with the bare seed of somebody who is there", () => {
  it("is not answered to a wrap key that it had somebody hand on who heard of the removal late", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family({ all: { answerReturning: true } });
    const late = await world.create();
    tell(pair(root, late).wire, admin, carol, bob);
    const old = stolen(bob);
    const removal = root.revoke(bob.publicKey).wire;
    tell(removal, carol, admin);
    await pass(world, 2 * DAY);
    const { publicKey, secretKey } = diffieHellmanKeyPair();
    const version = START + 3 * DAY;
    const renewal = formatRenewal(signWrap(new Identity(SEEDS.carol), NAME, publicKey, version));
    const told = forgeControl(keyOf(bob), { statements: [renewal] });
    expect(tell(told, root, carol, late)).toEqual(["UNKNOWN_TOPIC_KEY", "UNKNOWN_TOPIC_KEY", null]);
    // It hears of the removal now, and says what others may not know.
    tell(removal, late);
    for (const topic of [root, admin]) await world.eventsOf(topic);
    await vi.advanceTimersByTimeAsync(10 * 60_000);
    for (const { messages } of await world.told(late, "publish")) {
      for (const { wire } of messages) tell(wire, root, admin, carol);
    }
    const thief = await world.load(
      formatState({ ...old, seed: SEEDS.carol, wrapKeys: [{ secretKey, version, replaced: undefined }] }),
    );
    for (const topic of [root, admin]) {
      hear(topic, thief.constructIntro());
      const [answered] = await world.told(topic, "answered");
      const { reply } = expectCode("INTRODUCTION_REPLY", () => thief.decode(answered?.wire as Uint8Array));
      const error = expectCode("DECRYPTION_FAILED", () => thief.parseReply(reply));
      expect(error.message).toMatch(/admit/);
    }
    expect(overheard(root, thief)).not.toBe("a secret");
  });

  it("and whose wrap key it is says so itself under the next key, and nobody else does", async () => {
    const world = new World();
    const { root, admin, carol } = await world.family();
    const rekey = root.rekey().wire;
    const renewal = carol.renewWrapKey().wire;
    tell(renewal, admin);
    // The root has not heard of it.
    tell(rekey, admin, carol);
    await vi.advanceTimersByTimeAsync(10 * 60_000);
    const told = async (topic: Topic) => (await world.told(topic, "publish")).flatMap(({ messages }) => messages);
    for (const { wire } of await told(admin)) tell(wire, root, carol);
    expect(digestOf(root)).not.toBe(digestOf(carol));
    for (const { wire } of await told(carol)) tell(wire, root, admin);
    expect([root, admin].map(digestOf)).toEqual([digestOf(carol), digestOf(carol)]);
  });
});

describe("a rekey that comes after the reply that told of its epoch", () => {
  it("does not set its reader back to the first generation", async () => {
    const world = new World();
    const { root, admin, carol } = await world.family();
    const rekey = root.rekey().wire;
    for (let i = 0; i < 20; i++) root.ratchet();
    const early = root.encode("under the last one");
    take(root.constructReply(carol.constructIntro()), carol);
    expect(carol.generation).toBe(20);
    expect(tell(rekey, carol, admin)).toEqual([null, null]);
    expect([carol.epoch, carol.generation]).toEqual([1, 20]);
    // What was sent in between is read now, too.
    expect(tell(early, carol, admin)).toEqual(["under the last one", "under the last one"]);
    expect(tell(admin.encode("under the first one"), carol)).toEqual(["under the first one"]);
    const loaded = await world.load(carol.save());
    expect([loaded.epoch, loaded.generation]).toEqual([1, 20]);
    await pass(world, 2 * DAY);
    expect(tell(carol.encode("heard"), root)).toEqual(["heard"]);
  });
});

describe("what comes again", () => {
  it("is told to nobody, and does not make a program that waits forget that it waits", async () => {
    const world = new World();
    const { root, carol, bob } = await world.family();
    const removal = root.revoke(bob.publicKey).wire;
    tell(removal, carol);
    await world.eventsOf(carol);
    const before = carol.save();
    const looked = vi.spyOn(StatementSet.prototype, "subjects");
    for (let i = 0; i < 3; i++) expect(hear(carol, removal)).toBeNull();
    // Nor is anybody looked up for it: a broker can repeat it at any rate.
    expect(looked).not.toHaveBeenCalled();
    vi.restoreAllMocks();
    expect(await world.eventsOf(carol)).toEqual([]);
    expect(carol.save()).toEqual(before);
  });
});
