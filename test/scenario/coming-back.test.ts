/** Who was away (PROTOCOL §12): what it finds, in any order; what it keeps until it can be read; and how it asks, when it must. */
import { describe, expect, it } from "vitest";
import { diffieHellmanKeyPair } from "../../src/crypto.js";
import { Identity } from "../../src/identity.js";
import type { ControlMessage, Topic } from "../../src/index.js";
import { formatState, type SavedTopic } from "../../src/state.js";
import { formatRenewal, signWrap } from "../../src/statements.js";
import { expectCode } from "../support/expect.js";
import {
  DAY,
  forgeControl,
  forgeRekey,
  HOUR,
  hear,
  keyOf,
  pair,
  pass,
  permutations,
  roleOf,
  rosterOf,
  SEEDS,
  standStill,
  stolen,
  take,
  tell,
  World,
} from "../support/rooted.js";
import { bytes, NAME } from "../support/topics.js";

const MINUTE = 60_000;

standStill();

/** A control message that all of these know, and its author anyway. */
function spread({ wire }: ControlMessage, ...topics: readonly Topic[]): Uint8Array {
  expect(tell(wire, ...topics)).toEqual(topics.map(() => null));
  return wire;
}

/** Goes on with what was stolen, but with wrap secrets that nobody announced. */
function loadWithout(world: World, state: SavedTopic): Promise<Topic> {
  const wrapKeys = state.wrapKeys.map(({ version }) => ({
    secretKey: diffieHellmanKeyPair().secretKey,
    version,
    replaced: undefined,
  }));
  return world.load(formatState({ ...state, wrapKeys }));
}

function textsOf(topic: Topic): string[] {
  return topic.decodeKept().map(({ message }) => message.text());
}

describe("a chain of rekeys and statements", () => {
  it("ends the same in whatever order a device finds them", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const state = bob.save();
    const dave = await world.create();
    const wires = [
      spread(pair(admin, dave), root, carol),
      spread(root.rekey(), admin, carol, dave),
      spread(admin.revoke(carol.publicKey), root, dave),
      spread(root.rekey(), admin, dave),
    ];
    expect(root.epoch).toBe(3);
    const message = dave.encode("at the end");
    for (const order of permutations([0, 1, 2, 3])) {
      const copy = await world.load(state);
      for (const i of order) hear(copy, wires[i] as Uint8Array);
      const where = order.join(" ");
      expect(copy.epoch, where).toBe(3);
      expect(copy.topicKey, where).toEqual(root.topicKey);
      expect(rosterOf(copy), where).toEqual(rosterOf(root));
      expect(copy.decode(message)?.text(), where).toBe("at the end");
      // Each copy is another program: of those at one time, a receiver remembers sixteen.
      world.clock.now += 1000;
      expect(root.decode(copy.encode(where))?.text()).toBe(where);
      copy.dispose();
    }
  });

  it("and so when it is switched off after each of them", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const wires = [
      spread(root.rekey(), admin, carol),
      spread(admin.rekey(), root, carol),
      spread(root.revoke(carol.publicKey), admin),
      spread(admin.renewWrapKey(), root),
    ];
    for (const order of permutations([0, 1, 2, 3])) {
      let device = await world.load(bob.save());
      for (const i of order) {
        hear(device, wires[i] as Uint8Array);
        const state = device.save();
        device.dispose();
        device = await world.load(state);
      }
      expect(device.topicKey).toEqual(root.topicKey);
      expect(rosterOf(device)).toEqual(rosterOf(root));
      expect(device.decode(admin.encode("x"))?.text()).toBe("x");
      device.dispose();
    }
  });
});

describe("what cannot be read yet", () => {
  it("is kept until the key comes, and then given in the order in which it came", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const rekeys = [spread(root.rekey(), admin, carol), spread(root.rekey(), admin, carol)];
    const early = [carol.encode("first"), admin.encode("second"), carol.encodeBatch(["third", "fourth"])];
    for (const wire of early) expect(expectCode("UNKNOWN_TOPIC_KEY", () => bob.decodeBatch(wire)).isKept).toBe(true);
    expect(textsOf(bob)).toEqual([]);
    // The second rekey is kept, too: it is sealed under the key of the first.
    expect(tell(rekeys[1] as Uint8Array, bob)).toEqual(["UNKNOWN_TOPIC_KEY"]);
    expect(await world.told(bob, "readable")).toEqual([]);
    expect(tell(rekeys[0] as Uint8Array, bob)).toEqual([null]);
    expect(bob.epoch).toBe(2);
    expect((await world.told(bob, "readable")).at(-1)).toEqual({ type: "readable", count: 3 });
    expect(textsOf(bob)).toEqual(["first", "second", "third", "fourth"]);
    expect(textsOf(bob)).toEqual([]);
    for (const wire of early) expectCode("REPLAY", () => bob.decodeBatch(wire));
  });

  it("of somebody who is not known yet is kept until it is said who that is", async () => {
    const world = new World();
    const { root, carol, bob } = await world.family();
    const dave = await world.create();
    const admission = pair(root, dave);
    expectCode("UNTRUSTED_KEY", () => bob.decode(dave.encode("hello")));
    expectCode("UNTRUSTED_KEY", () => bob.decode(dave.encode("in the hall", { context: "hall" }), { context: "hall" }));
    expect(hear(bob, dave.encode("nobody cares"), { ignoreUntrusted: true })).toBe(null);
    spread(admission, bob, carol);
    expect(await world.told(bob, "readable")).toEqual([{ type: "readable", count: 2 }]);
    expect(bob.decodeKept().map(({ context, message }) => [context, message.text()])).toEqual([
      [NAME, "hello"],
      ["hall", "in the hall"],
    ]);
  });

  it("is judged when it is given: a command may be too late", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const rekey = root.rekey();
    spread(rekey, admin, carol);
    for (const delivery of ["command", "state", "event"] as const) {
      hear(bob, carol.encode(`a ${delivery}`, { delivery }));
    }
    world.clock.now += 31_000;
    spread(rekey, bob);
    expect(textsOf(bob)).toEqual(["a state", "a event"]);
  });

  it("is bounded: the latest 64 messages, and 256 KiB, stay", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const rekey = root.rekey();
    spread(rekey, admin, carol);
    for (let i = 0; i < 70; i++) hear(bob, carol.encode(`${i}`));
    const small = await world.load(bob.save());
    spread(rekey, small);
    expect(textsOf(small)).toEqual(Array.from({ length: 64 }, (_, i) => `${i + 6}`));
    for (let i = 0; i < 10; i++) hear(bob, carol.encode(`${i}`.repeat(60_000)));
    // One that exceeds it all is not kept, and drives out nothing.
    const huge = carol.encode("x".repeat(300_000));
    expect(expectCode("UNKNOWN_TOPIC_KEY", () => bob.decode(huge)).isKept).toBe(false);
    const { kept } = stolen(bob);
    expect(kept.length).toBe(4);
    expect(kept.reduce((sum, { wire }) => sum + wire.length, 0)).toBeLessThanOrEqual(256 * 1024);
    spread(rekey, bob);
    expect(textsOf(bob).map(([first]) => first)).toEqual(["6", "7", "8", "9"]);
  });

  it("outlives a restart, and the listener is told again", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const rekey = root.rekey();
    spread(rekey, admin, carol);
    hear(bob, carol.encode("kept"));
    const first = await world.load(bob.save());
    spread(rekey, first);
    const second = await world.load(first.save());
    expect(await world.eventsOf(second)).toEqual([]);
    await pass(world, 1000);
    expect(await world.told(second, "readable")).toEqual([{ type: "readable", count: 1 }]);
    expect(textsOf(second)).toEqual(["kept"]);
  });
});

describe("something is missing for 30 seconds", () => {
  it("and an introduction is wanted: not before, and each time later than the last", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    spread(root.rekey(), admin, carol);
    const times: number[] = [];
    for (let second = 0; second < 6 * 3600; second++) {
      if (second % 10 === 0) hear(bob, carol.encode("under a key that is lost"));
      await pass(world, 1000);
      for (const { reason, delay } of await world.told(bob, "introduction-wanted")) {
        expect(reason).toBe("unknown-key");
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThan(20_000);
        times.push(second);
      }
    }
    // After 30 s, and then 10, 20, 40, ... minutes later.
    expect(times.length).toBe(6);
    expect(times[0]).toBeGreaterThanOrEqual(29);
    expect(times[0]).toBeLessThanOrEqual(31);
    const waits = times.slice(1).map((time, i) => Math.round((time - (times[i] as number)) / 60));
    expect(waits).toEqual([10, 20, 40, 80, 160]);
  });

  it("but not when it comes in time, and not for junk of who is known", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const rekey = root.rekey();
    spread(rekey, admin, carol);
    hear(bob, carol.encode("early"));
    await pass(world, 25_000);
    spread(rekey, bob);
    await pass(world, HOUR);
    expect(await world.told(bob, "introduction-wanted")).toEqual([]);
  });

  it("a message of somebody of whom nobody ever spoke is a gap, too", async () => {
    const world = new World();
    const { root, bob } = await world.family();
    const dave = await world.create();
    pair(root, dave);
    hear(bob, dave.encode("who am I?"));
    await pass(world, 31_000);
    expect(await world.told(bob, "introduction-wanted")).toMatchObject([{ reason: "unknown-sender" }]);
    const { introduction } = expectCode("INTRODUCTION", () => root.decode(bob.constructIntro()));
    take(root.constructReply(introduction), bob);
    expect(await world.told(bob, "readable")).toEqual([{ type: "readable", count: 1 }]);
    expect(textsOf(bob)).toEqual(["who am I?"]);
    await pass(world, DAY);
    expect(await world.told(bob, "introduction-wanted")).toEqual([]);
  });

  it("and so are statements that an admin knew and we do not, when it made its rekey", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const dave = await world.create();
    // Its admission is lost on the way to Bob.
    spread(pair(root, dave), admin, carol);
    spread(root.rekey(), admin, carol, dave, bob);
    expect(bob.topicKey).toEqual(root.topicKey);
    expect(roleOf(bob, dave)).toBeUndefined();
    await pass(world, 31_000);
    expect(await world.told(bob, "introduction-wanted")).toMatchObject([{ reason: "statements-differ" }]);
    for (const topic of [admin, carol, dave]) expect(await world.told(topic, "introduction-wanted")).toEqual([]);
    take(root.constructReply(bob.constructIntro()), bob);
    expect(bob.decode(dave.encode("hello"))?.text()).toBe("hello");
  });
});

describe("an admin that is asked, and does not know all itself", () => {
  it("tells later what it learns: whom it answered takes itself for told all", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const dave = await world.create();
    // His admission is lost on the way to all but Bob; the root's rekey says that there is something.
    spread(pair(root, dave), bob);
    spread(root.rekey(), admin, carol, bob);
    take(admin.constructReply(carol.constructIntro()), carol);
    await pass(world, MINUTE);
    expect(await world.told(carol, "introduction-wanted")).toEqual([]);
    await world.eventsOf(admin);
    take(root.constructReply(admin.constructIntro()), admin);
    await pass(world, MINUTE);
    const [event] = await world.told(admin, "publish");
    for (const message of event?.messages ?? []) spread(message, carol);
    expect(roleOf(carol, dave)).toBe("publisher");
    // Who knew all, or answered nobody, tells nothing of it.
    for (const topic of [root, bob, dave]) expect(await world.told(topic, "publish")).toEqual([]);
  });
});

describe("a device that comes back with a proof", () => {
  it("is answered without a person, and to the wrap key that it had", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    for (let i = 0; i < 3; i++) spread(root.rekey(), admin, carol);
    const intro = bob.constructIntro({ name: "Bob" });
    const { introduction } = expectCode("INTRODUCTION", () => root.decode(intro));
    expect(introduction).toMatchObject({ standing: "member", isReturning: true });
    expect(take(root.constructReply(introduction), bob)).toBe(true);
    expect(bob.epoch).toBe(3);
    expect(bob.topicKey).toEqual(root.topicKey);
    expect(tell(bob.encode("back"), root, admin, carol)).toEqual(["back", "back", "back"]);
    // Not by who is no admin.
    expectCode("FORBIDDEN", () => carol.constructReply(bob.constructIntro()));
  });

  it("and so is who established the topic, by those whom it let in itself: its wrap key they know by its own reply", async () => {
    const world = new World();
    const { root, admin, carol } = await world.family();
    for (let i = 0; i < 3; i++) spread(admin.rekey(), carol);
    const { introduction } = expectCode("INTRODUCTION", () => admin.decode(root.constructIntro()));
    expect(introduction).toMatchObject({ standing: "member", isReturning: true });
    expect(take(admin.constructReply(introduction), root)).toBe(true);
    expect(root.epoch).toBe(3);
  });

  it("is answered at once where the owner wants that, by every admin, and nowhere by default", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    spread(root.rekey(), admin, carol);
    const willing = await world.load(root.save(), { answerReturning: true });
    const reader = await world.load(carol.save(), { answerReturning: true });
    const intro = bob.constructIntro();
    expectCode("INTRODUCTION", () => root.decode(intro));
    expectCode("INTRODUCTION", () => reader.decode(intro));
    expect(willing.decode(intro)).toBe(null);
    expect(await world.told(root, "answered")).toEqual([]);
    const [answered, ...others] = await world.told(willing, "answered");
    expect(others).toEqual([]);
    expect(answered?.participant.publicKey).toEqual(bob.publicKey);
    expect(answered?.context).toBe(NAME);
    expect(take(answered?.wire as Uint8Array, bob)).toBe(true);
    expect(bob.topicKey).toEqual(root.topicKey);
    expectCode("REPLAY", () => willing.decode(intro));
    // A stranger is a matter for a person, whatever was switched on.
    const stranger = await world.create();
    expectCode("INTRODUCTION", () => willing.decode(stranger.constructIntro()));
    expect(await world.told(willing, "answered")).toEqual([]);
  });

  it("hears every admin that answers: who answers first may be as far behind", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const message = root.revoke(admin.publicKey);
    spread(message, carol);
    const [intro, next] = [bob.constructIntro(), bob.constructIntro()];
    // It was removed, and has not heard of it.
    const behind = expectCode("INTRODUCTION_REPLY", () => bob.decode(admin.constructReply(intro))).reply;
    const reply = root.constructReply(intro);
    expect(bob.parseReply(behind)).toBe(true);
    expect(bob.epoch).toBe(0);
    expectCode("FOREIGN_REPLY", () => bob.parseReply(behind));
    expect(take(reply, bob)).toBe(true);
    expect(bob.topicKey).toEqual(root.topicKey);
    expect(rosterOf(bob)).toEqual(rosterOf(root));
    expectCode("REPLAY", () => bob.decode(reply));
    expectCode("REPLAY", () => bob.parseReply(reply));
    // What the other one says from now on changes nothing, and ends nothing.
    const state = bob.save();
    const late = expectCode("INTRODUCTION_REPLY", () => bob.decode(admin.constructReply(next))).reply;
    expect(late).toMatchObject({ standing: "revoked", isReturning: true });
    expectCode("FORBIDDEN", () => bob.parseReply(late));
    expect(bob.save()).toEqual(state);
    expect(take(root.constructReply(next), bob)).toBe(true);
  });

  it("hears them for ten minutes, and eight at most", async () => {
    const world = new World();
    const { root, admin, bob } = await world.family();
    const intro = bob.constructIntro();
    const sponsors = await Promise.all(Array.from({ length: 9 }, () => world.load(root.save())));
    const replies = sponsors.map((sponsor) => sponsor.constructReply(intro));
    for (const reply of replies.slice(0, 8)) expect(take(reply, bob)).toBe(true);
    // Not a reason to ask anew, as it was if none of them had been adopted.
    expectCode("FOREIGN_REPLY", () => bob.decode(replies[8] as Uint8Array));
    const next = bob.constructIntro();
    const [early, late] = [root, admin].map((sponsor) => sponsor.constructReply(next));
    await pass(world, 10 * MINUTE - 1000);
    expect(take(early as Uint8Array, bob)).toBe(true);
    await pass(world, 2000);
    expectCode("FOREIGN_REPLY", () => bob.decode(late as Uint8Array));
  });

  it("hears nobody else where a person had to confirm who answered", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const dave = await world.create();
    // Bob has not heard of Dave, who has the key that Bob proves, too.
    spread(pair(root, dave, "admin"), admin, carol);
    const [first, second] = [bob.constructIntro(), bob.constructIntro()];
    const { reply } = expectCode("INTRODUCTION_REPLY", () => bob.decode(dave.constructReply(first)));
    expect(reply).toMatchObject({ standing: "unknown", isReturning: true });
    expect(bob.parseReply(reply)).toBe(true);
    for (const intro of [first, second]) expectCode("FOREIGN_REPLY", () => bob.decode(root.constructReply(intro)));
  });

  it("gets out of an epoch that one admin made for it alone and left it out of: another admin's reply ends that", async () => {
    const world = new World();
    const { root, admin, carol } = await world.family();
    const { wire } = forgeRekey(SEEDS.admin, root, { parentKey: keyOf(admin), epoch: 1 });
    spread({ wire } as ControlMessage, carol);
    expectCode("MISSING_TOPIC_KEY", () => carol.encode("x"));
    const { introduction } = expectCode("INTRODUCTION", () => root.decode(carol.constructIntro()));
    expect(take(root.constructReply(introduction), carol)).toBe(true);
    const copy = await world.load(carol.save());
    for (const topic of [carol, copy]) {
      // Also when that comes again.
      hear(topic, wire);
      expect(tell(topic.encode("back"), root, admin)).toEqual(["back", "back"]);
    }
  });

  it("has 90 days for it", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const asleep = bob.save();
    world.clock.now += 89 * DAY;
    spread(root.rekey(), admin, carol);
    const intro = (await world.load(asleep)).constructIntro();
    expect(expectCode("INTRODUCTION", () => root.decode(intro)).introduction.isReturning).toBe(true);
    world.clock.now += 2 * DAY;
    spread(root.rekey(), admin, carol);
    const late = (await world.load(asleep)).constructIntro();
    expect(expectCode("INTRODUCTION", () => root.decode(late)).introduction.isReturning).toBe(false);
    // Whoever has the key that counts may always prove it, however old that is.
    world.clock.now += 91 * DAY;
    const { introduction } = expectCode("INTRODUCTION", () => root.decode(carol.constructIntro()));
    expect(introduction.isReturning).toBe(true);
  });

  it("knows by the reply that its sponsor was there, or a person is to look: also over a restart, and for 90 days", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const asleep = bob.save();
    spread(root.rekey(), admin, carol);
    const answer = (sponsor: Topic, newcomer: Topic) => {
      const { introduction } = expectCode("INTRODUCTION", () => sponsor.decode(newcomer.constructIntro()));
      if (!introduction.isReturning) sponsor.admit(introduction);
      return expectCode("INTRODUCTION_REPLY", () => newcomer.decode(sponsor.constructReply(introduction))).reply;
    };
    const restarted = await world.load(root.save());
    for (const sponsor of [root, admin, restarted]) {
      const back = await world.load(asleep);
      const reply = answer(sponsor, back);
      expect(reply).toMatchObject({ standing: "member", isReturning: true });
      expect(back.parseReply(reply)).toBe(true);
      expect(back.topicKey).toEqual(root.topicKey);
      // What it proves from now on is what came with the reply.
      expect(answer(sponsor, back).isReturning).toBe(true);
    }
    world.clock.now += 91 * DAY;
    const late = await world.load(asleep);
    const reply = answer(restarted, late);
    expect(reply).toMatchObject({ standing: "member", isReturning: false });
    // A person may still confirm it.
    expect(late.parseReply(reply)).toBe(true);
    expect(late.topicKey).toEqual(root.topicKey);
    expect(answer(restarted, late).isReturning).toBe(true);
  });

  it("knows it also of a sponsor that a person asked to admit it anew, and of none where it is new", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    spread(root.rekey(), admin, carol);
    const intro = bob.constructIntro();
    root.admit(intro);
    const again = expectCode("INTRODUCTION_REPLY", () => bob.decode(root.constructReply(intro))).reply;
    expect(again).toMatchObject({ standing: "member", isReturning: true });
    const dave = await world.create();
    const first = dave.constructIntro();
    root.admit(first);
    const { reply } = expectCode("INTRODUCTION_REPLY", () => dave.decode(root.constructReply(first)));
    expect(reply).toMatchObject({ standing: "unknown", isReturning: false });
  });

  it("is answered also where the key that counts is older than that, and another one lost against it since", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const lost = admin.rekey();
    spread(root.rekey(), carol, bob);
    world.clock.now += 91 * DAY;
    // It was in a drawer.
    spread(lost, root);
    const dave = await world.create();
    spread(pair(root, dave), carol, bob);
    expect(dave.decode(bob.encode("welcome"))?.text()).toBe("welcome");
  });
});

describe("a thief", () => {
  it("with nothing but the seed gets nothing: a person is asked, and sees that it does not return", async () => {
    const world = new World();
    const { root, bob } = await world.family();
    const thief = await world.create({ seed: SEEDS.bob });
    const willing = await world.load(root.save(), { answerReturning: true });
    for (const admin of [root, willing]) {
      const { introduction } = expectCode("INTRODUCTION", () => admin.decode(thief.constructIntro()));
      expect(introduction).toMatchObject({ standing: "member", isReturning: false });
      expectCode("UNTRUSTED_KEY", () => admin.constructReply(introduction));
    }
    // Nor with a proof from a topic of his own, of the same epoch.
    const own = await world.establish({ seed: SEEDS.bob });
    for (const admin of [root, willing]) {
      const { introduction } = expectCode("INTRODUCTION", () => admin.decode(own.constructIntro()));
      expect(introduction.isReturning).toBe(false);
    }
    expect(await world.told(willing, "answered")).toEqual([]);
    expect(bob.decode(root.encode("x"))?.text()).toBe("x");
  });

  it("with the seed and a proof, but no wrap secret, cannot open the reply", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const state = bob.save();
    const topicKey = root.topicKey;
    spread(root.rekey(), admin, carol);
    // The state without its wrap secrets: as if only these had been kept apart.
    const thief = await world.load(state);
    const saved = stolen(thief);
    const wrapless = await loadWithout(world, saved);
    const { introduction } = expectCode("INTRODUCTION", () => root.decode(wrapless.constructIntro()));
    expect(introduction.isReturning).toBe(true);
    const { reply } = expectCode("INTRODUCTION_REPLY", () => wrapless.decode(root.constructReply(introduction)));
    expectCode("DECRYPTION_FAILED", () => wrapless.parseReply(reply));
    expect(wrapless.topicKey).toEqual(topicKey);
    expect(hear(wrapless, carol.encode("x"))).toBe("UNKNOWN_TOPIC_KEY");
    // The same way is open to who has them.
    expect(take(root.constructReply(thief.constructIntro()), thief)).toBe(true);
  });

  it("who was removed gets nothing by an old topic key and another member's seed", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const bobsState = stolen(bob);
    spread(root.revoke(bob.publicKey), admin, carol);
    // All that Bob had, in the name of Carol, whose seed he stole.
    const thief = await loadWithout(world, { ...bobsState, seed: new Uint8Array(SEEDS.carol) });
    const { introduction } = expectCode("INTRODUCTION", () => root.decode(thief.constructIntro()));
    // He knew the epoch's secret, and Carol was there: it looks like her. But the reply is wrapped to what she had.
    expect(introduction.isReturning).toBe(true);
    const { reply } = expectCode("INTRODUCTION_REPLY", () => thief.decode(root.constructReply(introduction)));
    expectCode("DECRYPTION_FAILED", () => thief.parseReply(reply));
    expect(hear(thief, admin.encode("x"))).toBe("UNKNOWN_TOPIC_KEY");
    // In the name of somebody who joined later it does not even look like that.
    const dave = await world.create({ seed: bytes(0x81) });
    spread(pair(root, dave), admin, carol);
    const other = await loadWithout(world, { ...bobsState, seed: bytes(0x81) });
    expect(expectCode("INTRODUCTION", () => root.decode(other.constructIntro())).introduction).toMatchObject({
      standing: "member",
      isReturning: false,
    });
    // Nor does an announcement of his reach anybody: it is sealed under the old key, and known for what it is.
    const stolenKey = signWrap(new Identity(SEEDS.carol), NAME, diffieHellmanKeyPair().publicKey, world.clock.now + 1);
    const wire = forgeControl(bobsState.epochs[0]?.keys?.key as Uint8Array, { statements: [formatRenewal(stolenKey)] });
    tell(wire, carol);
    expect(await world.told(carol, "seed-stolen")).toEqual([{ type: "seed-stolen", wrapKey: stolenKey.wrapKey }]);
  });

  it("who announces a wrap key with our seed is reported, once", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const thief = await world.load(bob.save());
    const { wire } = thief.renewWrapKey();
    expect(tell(wire, root, admin, carol, bob, bob)).toEqual(Array(5).fill(null));
    const reports = await world.told(bob, "seed-stolen");
    expect(reports.length).toBe(1);
    const [newest] = stolen(thief).wrapKeys;
    expect(reports[0]?.wrapKey).toEqual(diffieHellmanKeyPair(newest?.secretKey).publicKey);
    for (const topic of [root, admin, carol, thief]) expect(await world.told(topic, "seed-stolen")).toEqual([]);
    // Our own announcement, come back from the broker, is none.
    const own = bob.renewWrapKey();
    tell(own.wire, bob, root);
    expect(await world.told(bob, "seed-stolen")).toEqual([]);
  });
});

describe("a device that lost its state", () => {
  it("needs a person, who admits it again; and then goes on", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const lost = bob.save();
    world.clock.now += MINUTE;
    const again = await world.create({ seed: SEEDS.bob });
    const intro = again.constructIntro();
    const { introduction } = expectCode("INTRODUCTION", () => root.decode(intro));
    expect(introduction).toMatchObject({ standing: "member", isReturning: false });
    expectCode("UNTRUSTED_KEY", () => root.constructReply(introduction));
    const admission = root.admit(introduction);
    take(root.constructReply(introduction), again);
    spread(admission, admin, carol);
    expect(tell(again.encode("I forgot everything"), root, admin, carol)).toEqual(Array(3).fill("I forgot everything"));
    // The next rekey is wrapped to its new wrap key, and not to the one that is lost.
    spread(root.rekey(), admin, carol, again);
    expect(again.topicKey).toEqual(root.topicKey);
    const old = await world.load(lost);
    tell(admission.wire, old);
    expect((await world.told(old, "seed-stolen")).length).toBe(1);
  });
});

describe("a device without a clock that lost its state", () => {
  it("is reached again when it renews its wrap key: others know a later one, which it cannot have any more", async () => {
    const world = new World();
    const { root, admin, carol } = await world.family();
    const again = await world.create({ seed: SEEDS.bob, clock: () => 5 });
    spread(pair(root, again), admin, carol);
    // To the device it looks like a theft, and to others like an old statement.
    expect((await world.told(again, "seed-stolen")).length).toBe(1);
    spread(again.renewWrapKey(), root, admin, carol);
    spread(root.rekey(), admin, carol, again);
    expect(await world.told(again, "bad-rekey")).toEqual([]);
    expect(again.topicKey).toEqual(root.topicKey);
    expect(tell(again.encode("here"), root, admin, carol)).toEqual(["here", "here", "here"]);
  });
});

describe("a wrap key that is renewed", () => {
  it("does not shut out a rekey to the one before that crossed it", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const renewal = bob.renewWrapKey();
    const crossing = root.rekey();
    spread(crossing, bob, admin, carol);
    expect(bob.topicKey).toEqual(root.topicKey);
    expect(stolen(bob).wrapKeys.length).toBe(2);
    tell(renewal.wire, root, admin, carol);
    spread(root.rekey(), bob, admin, carol);
    expect(bob.topicKey).toEqual(root.topicKey);
  });

  it("heals a copied device: one grace after a rekey to the new one, the old secret is gone", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const copied = await world.load(bob.save());
    const toOld = root.rekey();
    spread(toOld, admin, carol, bob);
    spread(bob.renewWrapKey(), root, admin, carol);
    // Renewing alone wipes nothing: others may not know yet.
    await pass(world, 3 * DAY);
    expect(stolen(bob).wrapKeys.length).toBe(2);
    spread(root.rekey(), admin, carol, bob);
    await pass(world, DAY - MINUTE);
    expect(stolen(bob).wrapKeys.length).toBe(2);
    await pass(world, 2 * MINUTE);
    expect(stolen(bob).wrapKeys.length).toBe(1);
    // The copy follows to where Bob was, and no further.
    tell(toOld.wire, copied);
    expect(copied.epoch).toBe(1);
    const next = root.rekey();
    spread(next, admin, carol, bob);
    tell(next.wire, copied);
    expect(copied.topicKey).not.toEqual(bob.topicKey);
    expect(hear(copied, root.encode("between us"))).toBe("UNKNOWN_TOPIC_KEY");
    expect(bob.decode(root.encode("between us"))?.text()).toBe("between us");
  });

  it("in the middle of all this, a restart changes nothing", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    let device = bob;
    const restart = async (): Promise<void> => {
      const state = device.save();
      device.dispose();
      device = await world.load(state);
      expect(device.save()).toEqual(state);
    };
    spread(device.renewWrapKey(), root, admin, carol);
    await restart();
    spread(root.rekey(), device, admin, carol);
    await restart();
    await pass(world, DAY - MINUTE);
    await restart();
    expect(stolen(device).wrapKeys.length).toBe(2);
    await pass(world, 2 * MINUTE);
    expect(stolen(device).wrapKeys.length).toBe(1);
    spread(admin.rekey(), device, root, carol);
    await restart();
    expect(tell(device.encode("still here"), root, admin, carol)).toEqual(Array(3).fill("still here"));
    const intro = device.constructIntro();
    expect(expectCode("INTRODUCTION", () => root.decode(intro)).introduction.isReturning).toBe(true);
  });
});

describe("a backup", () => {
  it("of the only admin asks nobody to be let in", async () => {
    const world = new World();
    const root = await world.establish({ seed: SEEDS.root });
    pair(root, await world.create());
    const restored = await world.load(root.save(), { restored: true });
    await pass(world, DAY);
    expect(await world.told(restored, "introduction-wanted")).toEqual([]);
  });

  it("that is restored refuses what is from before now, asks to be let in, and catches up", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const backup = bob.save();
    const wire = carol.encode("given long ago");
    expect(tell(wire, bob)).toEqual(["given long ago"]);
    spread(root.rekey(), admin, carol, bob);
    world.clock.now += 2 * DAY;
    const restored = await world.load(backup, { restored: true });
    expect(expectCode("REPLAY", () => restored.decode(wire)).reason).toBe("too-old");
    await pass(world, 2000);
    expect(await world.told(restored, "introduction-wanted")).toMatchObject([{ reason: "restored" }]);
    const { introduction } = expectCode("INTRODUCTION", () => root.decode(restored.constructIntro()));
    expect(introduction.isReturning).toBe(true);
    expect(take(root.constructReply(introduction), restored)).toBe(true);
    expect(restored.topicKey).toEqual(root.topicKey);
    expect(restored.decode(carol.encode("and this is new"))?.text()).toBe("and this is new");
    await pass(world, DAY);
    expect(await world.told(restored, "introduction-wanted")).toEqual([]);
  });
});
