/**
 * Attacks on rooted topics by removed participants, hostile admins and readers, each of which worked once.
 */
import { describe, expect, it, vi } from "vitest";
import { toHex } from "../../src/bytes.js";
import { diffieHellmanKeyPair } from "../../src/crypto.js";
import { signIntroduction } from "../../src/discovery.js";
import { Identity } from "../../src/identity.js";
import { Topic } from "../../src/index.js";
import { MAX_STATEMENT_VERSION } from "../../src/limits.js";
import { parse, parseControl, type WireIntroduction } from "../../src/message.js";
import { formatHead, makeRekey, parseRekey, type Rekey, type RekeyHead } from "../../src/rekey.js";
import { formatState } from "../../src/state.js";
import { formatRenewal, formatWrap, signWrap } from "../../src/statements.js";
import { TopicKey } from "../../src/topic-key.js";
import { expectCode } from "../support/expect.js";
import { forgeMessage, openWire } from "../support/forge.js";
import {
  canSpeak,
  forgeControl,
  forgeReply,
  hear,
  keyOf,
  overheard,
  pair,
  publicKeyOf,
  rekeyForNobody,
  rekeyThatClaims,
  roleOf,
  rosterOf,
  SEEDS,
  say,
  signAgain,
  standStill,
  statementsOf,
  stolen,
  take,
  tell,
  World,
} from "../support/rooted.js";
import { bytes, NAME, START } from "../support/topics.js";

standStill();

const HOSTILE = bytes(0x22);
const MAX = MAX_STATEMENT_VERSION;

/** What a holder of the topic key reads in a control message. */
function read(topicKey: Uint8Array, wire: Uint8Array): { statements: readonly Uint8Array[]; rekey: Rekey | undefined } {
  const { payload } = openWire(topicKey, wire).plaintext;
  const { statements, rekey } = parseControl(payload);
  return { statements, rekey: rekey && parseRekey(rekey) };
}

describe("confidentiality after a removal", () => {
  /** The root rekeys without knowing of the admin's removal of Bob, and wins. Carol hears the removal first. */
  async function cross(bobSpeaks: boolean): Promise<string | null> {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const oldKey = keyOf(bob);
    const rekey = root.rekey().wire;
    const removal = admin.revoke(bob.publicKey).wire;
    tell(rekey, bob);
    tell(removal, carol);
    expect(hear(bob, carol.encode("without Bob"))).toBe("UNKNOWN_TOPIC_KEY");
    if (bobSpeaks) {
      // Bob's own word, of a version that nobody reaches, under the key from before.
      const left = say(SEEDS.bob, root, bob.publicKey, "revoked", MAX);
      tell(forgeControl(oldKey, { statements: [left] }), carol);
    }
    tell(rekey, carol);
    expect(roleOf(carol, bob)).toBeUndefined();
    return overheard(carol, bob);
  }

  it("where a removal crosses a rekey, nobody speaks under a key that the removed one has", async () => {
    expect(await cross(false)).toBe("silence");
  });

  it("nor does anybody where the removed one also says that it left by itself", async () => {
    expect(await cross(true)).toBe("silence");
  });

  it("a key that an admin gave in a reply is known to be with the one who is removed, by whoever knows of the removal", async () => {
    const world = new World();
    const { root, admin, carol } = await world.family();
    const dave = await world.create({ seed: bytes(0x66) });
    const admission = pair(admin, dave).wire;
    tell(admission, carol);
    // The root does not know Dave when it makes a rekey; then it does, and Dave comes back to it.
    const rekey = root.rekey().wire;
    tell(admission, root);
    const { introduction } = expectCode("INTRODUCTION", () => root.decode(dave.constructIntro()));
    expect(introduction.isReturning).toBe(true);
    // Nothing that others see says that Dave has this key: a person has to say so.
    expectCode("UNTRUSTED_KEY", () => root.constructReply(introduction));
    const again = root.admit(introduction).wire;
    take(root.constructReply(introduction), dave);
    expect(dave.topicKey).toEqual(root.topicKey);
    // The admin knows nothing of that rekey, and removes Dave. Carol gets both.
    const removal = admin.revoke(dave.publicKey).wire;
    tell(removal, carol);
    expect(roleOf(carol, dave)).toBeUndefined();
    tell(rekey, carol);
    tell(again, carol);
    expect(overheard(carol, dave)).toBe("silence");
  });
});

it("who was not given the key that counts is shown to a person when it comes back, also where others are answered without one", async () => {
  const world = new World();
  const { root, admin, carol } = await world.family({ all: { answerReturning: true } });
  const dave = await world.create({ seed: bytes(0x66) });
  const admission = pair(admin, dave).wire;
  root.rekey();
  tell(admission, root, carol);
  expect(expectCode("INTRODUCTION", () => root.decode(dave.constructIntro())).introduction.isReturning).toBe(true);
  expect(await world.told(root, "answered")).toEqual([]);
  // Who has another sponsor that gave it the key is answered.
  expect(hear(admin, dave.constructIntro())).toBeNull();
  expect(await world.told(admin, "answered")).toHaveLength(1);
});

describe("who was removed, with the bare seed of somebody who is there", () => {
  it("is not answered without a person to a wrap key that it announced under the key from before the removal", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family({ all: { answerReturning: true } });
    const saved = stolen(bob);
    tell(root.revoke(bob.publicKey).wire, admin, carol, bob);
    const { publicKey, secretKey } = diffieHellmanKeyPair();
    const version = START + 5000;
    const thief = await world.load(
      formatState({ ...saved, seed: SEEDS.carol, wrapKeys: [{ secretKey, version, replaced: undefined }] }),
    );
    const renewal = formatRenewal(signWrap(new Identity(SEEDS.carol), NAME, publicKey, version));
    const oldKey = saved.epochs[0]?.keys?.key as Uint8Array;
    tell(forgeControl(oldKey, { statements: [renewal] }), root, admin);
    hear(root, thief.constructIntro());
    const [answered] = await world.told(root, "answered");
    let read: string | null = null;
    try {
      if (answered !== undefined) take(answered.wire, thief);
      read = hear(thief, root.encode("a secret"));
    } catch {
      // Not opened: as good.
    }
    expect(read).not.toBe("a secret");
  });
});

describe("a hostile admin cannot make itself irremovable", () => {
  it("by revoking somebody together with an accomplice that it made, both with the greatest version", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const accomplice = publicKeyOf(bytes(0x71));
    const statements = [
      say(HOSTILE, root, accomplice, "admin", 1),
      say(HOSTILE, root, bob.publicKey, "revoked", MAX),
      say(bytes(0x71), root, bob.publicKey, "revoked", MAX),
    ];
    tell(forgeControl(keyOf(root), { statements }), root, carol, bob);
    expect(roleOf(root, bob)).toBeUndefined();
    for (const whom of [admin.publicKey, accomplice]) {
      expect(() => root.revoke(whom, { keep: "none" })).not.toThrow();
    }
    expect(roleOf(root, admin)).toBeUndefined();
  });

  it("nor can a participant make itself so, by a word of the greatest version that it left", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const left = say(SEEDS.bob, root, bob.publicKey, "revoked", MAX);
    tell(forgeControl(keyOf(bob), { statements: [left] }), root, admin, carol);
    // It left, so nobody is silent; but a person says that it is removed, and means at once.
    expect(() => root.revoke(bob.publicKey)).not.toThrow();
  });

  it("nor by leaving with a version that leaves room for one admission only, and no revocation", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const left = say(SEEDS.bob, root, bob.publicKey, "revoked", MAX - 1);
    tell(forgeControl(keyOf(bob), { statements: [left] }), root, admin, carol, bob);
    // Bob comes again, and a person lets him in.
    tell(root.admit(bob.publicKey).wire, admin, carol, bob);
    if (root.rekeyWanted !== undefined) tell(root.rekey().wire, admin, carol, bob);
    expect(roleOf(root, bob)).toBe("publisher");
    // Now he is to go, and nobody can say so: neither who admitted him, nor anybody else.
    let isRemoved = false;
    for (const one of [root, admin]) {
      try {
        tell(one.revoke(bob.publicKey).wire, root, admin, carol);
        isRemoved = true;
      } catch {
        // Another may.
      }
    }
    expect(isRemoved).toBe(true);
  });

  it("nor by revoking an accomplice that would be back, and had taken the greatest version of somebody whom it admitted", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const [seed, dave] = [bytes(0x73), publicKeyOf(bytes(0x74))];
    const statements = [
      say(SEEDS.root, root, publicKeyOf(bytes(0x75)), "admin", 1),
      say(bytes(0x75), root, publicKeyOf(seed), "admin", 1),
      say(HOSTILE, root, dave, "publisher", 1),
      say(seed, root, dave, "revoked", MAX),
      say(HOSTILE, root, publicKeyOf(seed), "revoked", 5),
    ];
    tell(forgeControl(keyOf(root), { statements }), root, carol, bob);
    expect(rosterOf(root)[toHex(dave)]).toBe("publisher");
    tell(root.revoke(admin.publicKey, { keep: "all" }).wire, carol, bob);
    for (const topic of [root, carol, bob]) {
      expect(roleOf(topic, admin)).toBeUndefined();
      // Who was revoked by that admin is not back.
      expect(rosterOf(topic)[toHex(publicKeyOf(seed))]).toBeUndefined();
    }
  });

  it("nor can a removed participant make the admin irremovable that removed it", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const oldKey = keyOf(bob);
    tell(admin.revoke(bob.publicKey).wire, root, carol, bob);
    const left = say(SEEDS.bob, root, bob.publicKey, "revoked", MAX);
    tell(forgeControl(oldKey, { statements: [left] }), root, admin, carol);
    // Later the admin's phone is stolen.
    expect(() => root.revoke(admin.publicKey, { keep: "all" })).not.toThrow();
    expect(roleOf(root, admin)).toBeUndefined();
  });
});

describe("a removed one cannot silence the others", () => {
  it("by a word about itself that names the epoch of its removal", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const oldKey = keyOf(bob);
    const removal = root.revoke(bob.publicKey).wire;
    tell(removal, admin, carol, bob);
    // The removal is sealed under the old key, so Bob reads what the new epoch is called.
    const head = toHex(read(oldKey, removal).rekey?.commitment as Uint8Array);
    const left = say(SEEDS.bob, root, bob.publicKey, "revoked", 1, { head });
    tell(forgeControl(oldKey, { statements: [left] }), root, admin, carol);
    expect([root, admin, carol].map(canSpeak)).toEqual([true, true, true]);
  });

  it("nor can an admin that was removed, by an admission that does not count", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const oldKey = keyOf(admin);
    const removal = root.revoke(admin.publicKey, { keep: "all" }).wire;
    tell(removal, admin, carol, bob);
    const head = toHex(read(oldKey, removal).rekey?.commitment as Uint8Array);
    const junk = say(HOSTILE, root, publicKeyOf(bytes(0x72)), "publisher", 1, { head });
    tell(forgeControl(oldKey, { statements: [junk] }), root, carol, bob);
    expect([root, carol, bob].map(canSpeak)).toEqual([true, true, true]);
  });

  it("nor again and again, with a reader that tells it what the epochs are called", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    tell(root.revoke(admin.publicKey, { keep: "all" }).wire, carol, bob);
    for (let i = 0; i < 5; i++) {
      const head = stolen(bob)
        .epochs.find(({ number }) => number === bob.epoch)
        ?.id.slice(0, 64) as string;
      const junk = say(HOSTILE, root, publicKeyOf(bytes(0xa0 + i)), "publisher", 1, { head });
      tell(forgeControl(keyOf(bob), { statements: [junk] }), root, carol, bob);
      expect(canSpeak(carol)).toBe(true);
      if (root.rekeyWanted !== undefined) tell(root.rekey().wire, carol, bob);
    }
  });

  it("nor can an admin that was removed, by a rekey of its own that bears the commitment of the root's", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const oldKey = keyOf(admin);
    const removal = root.revoke(admin.publicKey, { keep: "all" }).wire;
    // The broker gives it to the admin first.
    const { commitment } = read(oldKey, removal).rekey as Rekey;
    const squat = rekeyThatClaims(commitment, HOSTILE, root, oldKey);
    expect(tell(squat, carol)).toEqual([null]);
    expect(tell(removal, carol, bob)).toEqual([null, null]);
    expect(roleOf(carol, admin)).toBeUndefined();
    expect(hear(carol, root.encode("x"))).toBe("x");
    expect(canSpeak(carol)).toBe(true);
  });

  it("and who was kept from an epoch so is back with the next reply", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const oldKey = keyOf(admin);
    const removal = root.revoke(admin.publicKey, { keep: "all" }).wire;
    const { commitment } = read(oldKey, removal).rekey as Rekey;
    tell(rekeyThatClaims(commitment, HOSTILE, root, oldKey), carol);
    tell(removal, carol, bob);
    const { introduction } = expectCode("INTRODUCTION", () => root.decode(carol.constructIntro()));
    take(root.constructReply(introduction), carol);
    expect(canSpeak(carol)).toBe(true);
  });
});

describe("what a hostile admin leaves behind when it is removed", () => {
  it("does not keep newcomers out: a wrap statement that nobody checked, because a newer one was known", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const seed = bytes(0x73);
    const subject = publicKeyOf(seed);
    const good = signWrap(new Identity(seed), NAME, diffieHellmanKeyPair().publicKey, 5);
    const bad = { ...good, version: 1, signature: bytes(7, 64) };
    const first = say(HOSTILE, root, subject, "reader", 1, { wrap: good });
    const second = say(HOSTILE, root, subject, "reader", 2, { wrap: bad });
    tell(forgeControl(keyOf(root), { statements: [first] }), root, carol, bob);
    tell(forgeControl(keyOf(root), { statements: [second] }), root, carol, bob);
    tell(root.revoke(admin.publicKey, { keep: "none" }).wire, carol, bob);
    if (root.rekeyWanted !== undefined) tell(root.rekey().wire, carol, bob);
    const dave = await world.create();
    expect(() => pair(root, dave)).not.toThrow();
    expect(hear(dave, root.encode("welcome"))).toBe("welcome");
  });

  it("does not keep newcomers out, nor does what a participant leaves behind: it comes with another introduction", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    // Bob says that he has lost something, and is admitted again. The wrap statement that he brings is none.
    const { wrapStatement: _, ...others } = parse(bob.constructIntro(), 1 << 20) as WireIntroduction;
    const wrap = { identity: "", identityKey: bob.publicKey, wrapKey: bytes(9), version: 1, signature: bytes(7, 64) };
    const { name, sentAt, kemPublicKey } = others;
    const facts = { name, sentAt: sentAt + 1, context: NAME, wrapStatement: formatWrap(wrap), rejoin: undefined };
    const intro = signIntroduction(new Identity(SEEDS.bob), kemPublicKey, facts);
    let admission: Uint8Array | undefined;
    try {
      admission = root.admit(intro).wire;
    } catch {
      // Refused: as good.
    }
    if (admission !== undefined) tell(admission, admin, carol);
    const dave = await world.create();
    expect(() => pair(root, dave)).not.toThrow();
  });

  it("does not keep anybody from the root's next rekey who has missed a message", async () => {
    const world = new World();
    const { root, carol, bob } = await world.family();
    const seed = bytes(0x73);
    const good = signWrap(new Identity(seed), NAME, diffieHellmanKeyPair().publicKey, 5);
    const bad = { ...good, version: 1, signature: bytes(7, 64) };
    const first = say(HOSTILE, root, publicKeyOf(seed), "reader", 1, { wrap: good });
    const second = say(HOSTILE, root, publicKeyOf(seed), "reader", 2, { wrap: bad });
    // The broker gives the first one not to Carol.
    tell(forgeControl(keyOf(root), { statements: [first] }), root, bob);
    tell(forgeControl(keyOf(root), { statements: [second] }), root, bob);
    expect(root.rekeyWanted).toBe("participant-missing");
    expect(tell(root.rekey().wire, bob, carol)).toEqual([null, null]);
  });

  it("does not make void what a root says later: an admin that the root makes is believed", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    // A chain as long as is allowed, and at its end Carol, who is a publisher of the root's.
    const seeds = [HOSTILE, ...[1, 2, 3, 4, 5, 6, 7].map((i) => bytes(0x80 + i))];
    const statements = seeds
      .slice(1)
      .map((seed, i) => say(seeds[i] as Uint8Array, root, publicKeyOf(seed), "admin", 1));
    statements.push(say(seeds.at(-1) as Uint8Array, root, carol.publicKey, "admin", 1));
    tell(forgeControl(keyOf(root), { statements }), root, carol, bob);
    tell(root.revoke(admin.publicKey, { keep: "none" }).wire, carol, bob);
    tell(root.admit(carol.publicKey, { role: "admin" }).wire, carol, bob);
    for (const topic of [root, carol, bob]) expect(roleOf(topic, carol)).toBe("admin");
    const rekey = carol.rekey().wire;
    expect(tell(rekey, root, bob)).toEqual([null, null]);
    expect(() => carol.revoke(bob.publicKey)).not.toThrow();
  });

  it("nor does what it signs after its removal, under the key from before: all places for admins are taken", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const oldKey = keyOf(admin);
    tell(root.revoke(admin.publicKey, { keep: "none" }).wire, carol, bob);
    const seeds = Array.from({ length: 256 }, (_, i) => new Uint8Array(32).fill(0xd0).fill(i, 0, 1));
    const statements = seeds.map((seed) => say(HOSTILE, root, publicKeyOf(seed), "admin", 1));
    tell(forgeControl(oldKey, { statements }), root, carol, bob);
    tell(root.admit(carol.publicKey, { role: "admin" }).wire, carol, bob);
    const rekey = carol.rekey().wire;
    expect(tell(rekey, root, bob)).toEqual([null, null]);
  });
});

describe("a reply of a hostile admin", () => {
  it("cannot put an offline root where it cannot revoke that admin: an epoch of the greatest number", async () => {
    const world = new World();
    const second = await world.create({ seed: bytes(0x91) });
    const root = await world.establish({ seed: SEEDS.root, roots: [publicKeyOf(SEEDS.root), second.publicKey] });
    const admin = await world.create({ seed: SEEDS.admin });
    pair(root, admin, "admin");
    const intro = second.constructIntro();
    const key = bytes(0x55);
    expectCode("MALFORMED_MESSAGE", () => take(hostileReply(admin, intro, { epoch: 2 ** 34 + 1, key }), second));
    take(hostileReply(admin, intro, { epoch: 2 ** 34, key }), second);
    expect(() => second.revoke(admin.publicKey, { keep: "none" })).not.toThrow();
  });

  it("with a key that is none of the epoch's is undone by the reply of another admin", async () => {
    const world = new World();
    const { root, admin, bob } = await world.family();
    tell(root.rekey().wire, admin, bob);
    const dave = await world.create();
    const intro = dave.constructIntro();
    root.admit(intro);
    admin.admit(intro);
    const { rooted, epochs } = stolen(admin);
    const head = epochs.find(({ number }) => number === 1)?.head as RekeyHead;
    const content = {
      epoch: 1,
      generation: 1,
      topicKey: bytes(0x56),
      salt: rooted?.salt as Uint8Array,
      roots: rooted?.roots as Uint8Array[],
      statements: statementsOf(admin),
      head: formatHead(head),
      rejoinSecret: bytes(0x57),
    };
    take(forgeReply(SEEDS.admin, intro, content), dave);
    expect(hear(dave, root.encode("x"))).toBe("UNKNOWN_TOPIC_KEY");
    const again = dave.constructIntro();
    root.admit(again);
    take(root.constructReply(again), dave);
    expect(hear(dave, root.encode("x"))).toBe("x");
  });
});

/** A reply of the admin, of an epoch that it made up. */
function hostileReply(admin: Topic, intro: Uint8Array, { epoch, key }: { epoch: number; key: Uint8Array }): Uint8Array {
  const identity = new Identity(SEEDS.admin);
  const { rooted } = stolen(admin);
  const made = new TopicKey(key);
  const topicId = admin.topicId as Uint8Array;
  const rekey = { ...rekeyForNobody(identity, topicId, bytes(0x58), { epoch }), commitment: made.commitment };
  const { wraps: _, ...head } = signAgain(identity, topicId, rekey);
  const content = {
    epoch,
    generation: 0,
    topicKey: key,
    salt: rooted?.salt as Uint8Array,
    roots: rooted?.roots as Uint8Array[],
    statements: statementsOf(admin),
    head: formatHead(head),
    rejoinSecret: bytes(0x57),
  };
  return forgeReply(SEEDS.admin, intro, content);
}

describe("leaving", () => {
  it("works for whom an admin admitted that is no root, and whose role was changed", async () => {
    const world = new World();
    const { root, admin, carol } = await world.family();
    const dave = await world.create();
    tell(pair(admin, dave, "reader").wire, root, carol);
    tell(admin.admit(dave.publicKey, { role: "publisher" }).wire, root, carol, dave);
    tell(dave.revoke(dave.publicKey).wire, root, admin, carol);
    for (const topic of [root, admin, carol, dave]) expect(roleOf(topic, dave)).toBeUndefined();
  });
});

describe("a reader", () => {
  it("cannot make everybody disagree with the epoch that counts by announcing wrap keys", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family({ role: "reader" });
    tell(root.rekey().wire, admin, carol, bob);
    for (const topic of [root, admin, carol]) await world.eventsOf(topic);
    for (let i = 0; i < 257; i++) tell(bob.renewWrapKey().wire, root, admin, carol);
    await vi.advanceTimersByTimeAsync(31_000);
    for (const topic of [root, admin, carol]) {
      expect(await world.told(topic, "introduction-wanted")).toEqual([]);
    }
  }, 60_000);
});

describe("what was refused because its sender was removed", () => {
  it("is not given when that one is admitted again", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const oldKey = keyOf(bob);
    tell(root.revoke(bob.publicKey).wire, admin, carol);
    // A thief has Bob's device.
    const wire = forgeMessage({ seed: SEEDS.bob, topicKey: oldKey, session: bytes(9, 12), payload: "by the thief" });
    expect(tell(wire, carol)).toEqual(["UNTRUSTED_KEY"]);
    tell(root.admit(bob.publicKey).wire, admin, carol);
    expect(carol.decodeKept().map(({ message }) => message.text())).toEqual([]);
  });
});

describe("a caller", () => {
  it("changes nothing by changing the list of members", async () => {
    const world = new World();
    const { root } = await world.family();
    const list = root.members as unknown as unknown[];
    expect(() => (list.length = 0)).toThrow(TypeError);
    expect(root.members).toHaveLength(4);
  });

  /** A topic of which the clock does something when it is read for a control message: once, before anything changes. */
  async function withClock(act: (topic: Topic) => void): Promise<{ topic: Topic; arm: () => void }> {
    let left = Number.POSITIVE_INFINITY;
    const topic: Topic = await Topic.establish({
      name: NAME,
      clock: () => {
        if (--left === 0) act(topic);
        return START;
      },
    });
    return { topic, arm: () => (left = 1) };
  }

  it("whose clock disposes the topic gets no control message that was sealed under a wiped key", async () => {
    const { topic, arm } = await withClock((one) => one.dispose());
    arm();
    expectCode("DISPOSED", () => topic.rekey());
  });

  it("whose clock throws gets its error, and nothing has changed: no epoch that nobody was told of", async () => {
    const { topic, arm } = await withClock(() => {
      throw new RangeError("no clock here");
    });
    const before = topic.topicKey;
    arm();
    expect(() => topic.rekey()).toThrow("no clock here");
    expect(topic.epoch).toBe(0);
    expect(topic.topicKey).toEqual(before);
  });
});

describe("what holds", () => {
  it("a rekey for another parent, epoch or topic than the one that it is sealed under is malformed or forged", async () => {
    const world = new World();
    const { root, admin, carol } = await world.family();
    const oldKey = keyOf(root);
    const removal = read(oldKey, root.rekey().wire).rekey as Rekey;
    const before = carol.save();
    expect(hear(carol, forgeControl(oldKey, { rekey: { ...removal, parent: bytes(1) } }))).toBe("MALFORMED_MESSAGE");
    expect(hear(carol, forgeControl(oldKey, { rekey: { ...removal, epoch: 2 } }))).toBe("MALFORMED_MESSAGE");
    for (const change of [
      { commitment: bytes(2) },
      { digest: bytes(3) },
      { ephemeralKey: bytes(4) },
      { reason: "repair" as const },
      { issuerKey: admin.publicKey },
    ]) {
      expect(hear(carol, forgeControl(oldKey, { rekey: { ...removal, ...change } }))).toBe("BAD_SIGNATURE");
    }
    const other = await new World().establish({ seed: SEEDS.root });
    const rekey = rekeyForNobody(new Identity(SEEDS.root), other.topicId as Uint8Array, oldKey);
    expect(hear(carol, forgeControl(oldKey, { rekey }))).toBe("BAD_SIGNATURE");
    expect(carol.save()).toEqual(before);
  });

  it("statements of another topic with the same root and name say nothing here", async () => {
    const world = new World();
    const { root, carol, bob } = await world.family();
    const other = await new World().establish({ seed: SEEDS.root });
    const statements = [say(SEEDS.root, other, bob.publicKey, "revoked", 9)];
    expect(tell(forgeControl(keyOf(root), { statements }), root, carol)).toEqual(["BAD_SIGNATURE", "BAD_SIGNATURE"]);
    expect(roleOf(carol, bob)).toBe("publisher");
  });

  it("an ephemeral key of low order opens nothing, and is told as a bad rekey", async () => {
    const world = new World();
    const { root, admin, carol } = await world.family();
    const identity = new Identity(HOSTILE);
    const recipients = [{ identityKey: carol.publicKey, wrapKey: diffieHellmanKeyPair().publicKey }];
    const inside = { epoch: 1, reason: "requested" as const, recipients, digest: bytes(0), statements: [] };
    const { rekey } = makeRekey(identity, root.topicId as Uint8Array, new TopicKey(keyOf(root)), inside);
    const poisoned = signAgain(identity, root.topicId as Uint8Array, { ...rekey, ephemeralKey: bytes(0) });
    expect(hear(carol, forgeControl(keyOf(root), { rekey: poisoned }))).toBeNull();
    expect((await world.told(carol, "bad-rekey")).map(({ issuer }) => issuer.publicKey)).toEqual([admin.publicKey]);
    expect(canSpeak(carol)).toBe(false);
  });

  it("old control messages that the broker restores change nothing, in any order and after a restart", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const wires = [carol.renewWrapKey().wire, admin.rekey().wire];
    tell(wires[0] as Uint8Array, root, admin, bob);
    tell(wires[1] as Uint8Array, root, carol, bob);
    wires.push(root.revoke(bob.publicKey).wire);
    tell(wires[2] as Uint8Array, admin, carol);
    const again = await world.load(carol.save());
    const before = again.topicKey;
    for (const wire of [...wires, ...[...wires].reverse()]) expect(hear(again, wire)).toBeNull();
    expect(again.topicKey).toEqual(before);
    expect(roleOf(again, bob)).toBeUndefined();
    expect(hear(again, root.encode("x"))).toBe("x");
  });

  it("a thief of an old copy without what was renewed since opens neither the next rekey nor a reply", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const copy = carol.save();
    tell(carol.renewWrapKey().wire, root, admin, bob);
    tell(root.rekey().wire, admin, carol, bob);
    const wire = root.rekey().wire;
    tell(wire, admin, carol, bob);
    const thief = await world.load(copy);
    expect(hear(thief, wire)).toBe("UNKNOWN_TOPIC_KEY");
    const { introduction } = expectCode("INTRODUCTION", () => root.decode(thief.constructIntro()));
    expect(introduction.isReturning).toBe(true);
    const reply = root.constructReply(introduction);
    expectCode("DECRYPTION_FAILED", () => take(reply, thief));
  });
});
