/** How somebody joins a rooted topic (PROTOCOL §9, §12.5): one fingerprint is compared, and everything else is signed. */
import { describe, expect, it } from "vitest";
import { fromHex, toHex } from "../../src/bytes.js";
import { diffieHellmanKeyPair, kemKeyPair, randomBytes } from "../../src/crypto.js";
import { signIntroduction } from "../../src/discovery.js";
import { Identity } from "../../src/identity.js";
import { fingerprint, type Topic } from "../../src/index.js";
import type { ReplyContent } from "../../src/message.js";
import { formatRenewal, formatWrap, signWrap } from "../../src/statements.js";
import { expectCode, thrownBy } from "../support/expect.js";
import {
  forgeControl,
  forgeReply,
  hear,
  pair,
  roleOf,
  rosterOf,
  SEEDS,
  standStill,
  stolen,
  take,
  tell,
  World,
} from "../support/rooted.js";
import { bytes, NAME, START } from "../support/topics.js";

standStill();

/** X25519 public keys with which every shared secret is zero: u = 0, u = 1, and one of order 8. */
const LOW_ORDER = [
  bytes(0),
  Uint8Array.of(1, ...bytes(0, 31)),
  fromHex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
];

/** What a member can give away of a topic that is at its first epoch. */
function contentOf(topic: Topic): ReplyContent {
  const { epochs, rooted } = stolen(topic);
  const [epoch] = epochs;
  if (epoch?.keys === undefined || rooted === undefined) throw new Error("not a rooted topic with a key");
  const { salt, roots, statements } = rooted;
  const { oldest: generation, key: topicKey } = epoch.keys;
  const said = [...new Set([...statements.links, ...statements.roles, ...statements.wraps])];
  const head = fromHex(epoch.id);
  return { epoch: 0, generation, topicKey, salt, roots, statements: said, head, rejoinSecret: bytes(9) };
}

/** An introduction with any wrap statement. */
function forgeIntroduction(seed: Uint8Array, wrapStatement: Uint8Array): Uint8Array {
  const { publicKey } = kemKeyPair(randomBytes(32));
  const facts = { name: "Mallory", sentAt: START, context: NAME, wrapStatement, rejoin: undefined };
  return signIntroduction(new Identity(seed), publicKey, facts);
}

describe("a newcomer", () => {
  it("who compared one fingerprint reads everybody at once, and is read by everybody", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const dave = await world.create();
    const intro = dave.constructIntro({ name: "Dave's phone" });

    // On the root's screen, and on Dave's: each compares one line.
    const { introduction } = expectCode("INTRODUCTION", () => root.decode(intro));
    expect(introduction).toMatchObject({ name: "Dave's phone", standing: "unknown", isReturning: false });
    expect(introduction.fingerprint).toBe(fingerprint(dave.publicKey));
    const admission = root.admit(introduction);
    const { reply } = expectCode("INTRODUCTION_REPLY", () => dave.decode(root.constructReply(introduction)));
    expect(reply.fingerprint).toBe(fingerprint(root.publicKey));
    expect(dave.topicKey).toBeUndefined();
    expect(dave.parseReply(reply)).toBe(true);

    const senders = [root, admin, carol, bob];
    expect(senders.map((sender) => hear(dave, sender.encode("hello")))).toEqual(senders.map(() => "hello"));
    expect(dave.participants).toEqual([]);
    expect(tell(dave.encode("too early"), admin)).toEqual(["UNTRUSTED_KEY"]);
    expect(tell(admission.wire, admin, carol, bob)).toEqual([null, null, null]);
    expect(tell(dave.encode("hi all"), ...senders)).toEqual(senders.map(() => "hi all"));
    expect(rosterOf(dave)).toEqual(rosterOf(root));
    for (const topic of [...senders, dave]) {
      const member = topic.members.find(({ participant }) => participant.hex === toHex(dave.publicKey));
      expect(member).toMatchObject({ role: "publisher", name: "Dave's phone", rank: 1 });
      expect(topic.topicId).toEqual(root.topicId);
      expect(topic.rekeyWanted).toBeUndefined();
    }
  });

  it("is admitted by the bytes of its introduction or by what decode() threw, and answered by either", async () => {
    const world = new World();
    const { root } = await world.family();
    for (const [admitsObject, answersObject] of [
      [true, true],
      [true, false],
      [false, true],
      [false, false],
    ]) {
      const newcomer = await world.create();
      const intro = newcomer.constructIntro();
      const { introduction } = expectCode("INTRODUCTION", () => root.decode(intro));
      root.admit(admitsObject ? introduction : intro, { role: "reader", name: "a reader" });
      take(root.constructReply(answersObject ? introduction : intro), newcomer);
      expect(roleOf(newcomer, newcomer)).toBe("reader");
      expect(newcomer.decode(root.encode("x"))?.text()).toBe("x");
      newcomer.dispose();
    }
    // And one that was never raised.
    const quiet = await world.create();
    pair(root, quiet);
    expect(quiet.members.length).toBe(root.members.length);
    expect(thrownBy(() => root.admit(bytes(5, 16)))).toBeInstanceOf(RangeError);
  });

  it("who was not admitted is not answered, nor is another introduction than the one that was", async () => {
    const world = new World();
    const { root, carol } = await world.family();
    const dave = await world.create();
    const [first, second] = [dave.constructIntro(), dave.constructIntro()];
    expectCode("UNTRUSTED_KEY", () => root.constructReply(first));
    // A pin is no admission.
    root.addParticipant(dave.publicKey);
    expectCode("UNTRUSTED_KEY", () => root.constructReply(first));
    root.admit(first);
    // Somebody with Dave's seed may have made the second, and a person looked at the first.
    expectCode("UNTRUSTED_KEY", () => root.constructReply(second));
    expect(take(root.constructReply(first), dave)).toBe(true);
    expectCode("REPLAY", () => root.constructReply(first));
    expectCode("FORBIDDEN", () => carol.admit(second));
    expectCode("UNTRUSTED_KEY", () => carol.constructReply(second));
  });

  it("who asks in the name of another topic cannot join: its wrap key is bound to the name", async () => {
    const world = new World();
    const { root } = await world.family();
    const garage = await world.create({ name: "home/garage" });
    const before = root.save();
    // Its introduction is valid where it is published. What it says of its wrap key is not.
    const intro = garage.constructIntro({ context: NAME });
    const { introduction } = expectCode("INTRODUCTION", () => root.decode(intro));
    expectCode("BAD_SIGNATURE", () => root.admit(introduction));
    expectCode("BAD_SIGNATURE", () => root.admit(intro));
    expectCode("UNTRUSTED_KEY", () => root.constructReply(introduction));
    expect(root.save()).toEqual(before);
  });
});

describe("a poisoned wrap key", () => {
  it.each(LOW_ORDER.map((key) => [toHex(key), key] as const))("%s is refused at admit()", async (_, poison) => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const seed = bytes(0x61);
    const wrap = signWrap(new Identity(seed), NAME, poison, 1);
    const intro = forgeIntroduction(seed, formatWrap(wrap));
    const before = root.save();
    const { introduction } = expectCode("INTRODUCTION", () => root.decode(intro));
    expectCode("INVALID_KEY", () => root.admit(introduction));
    expect(root.save()).toEqual(before);
    // Nor does a member get it in later, to break everybody's next rekey.
    const renewal = formatRenewal(signWrap(new Identity(SEEDS.bob), NAME, poison, 2 ** 47));
    const wire = forgeControl(root.topicKey as Uint8Array, { statements: [renewal] });
    expect(tell(wire, root, admin, carol)).toEqual(Array(3).fill("INVALID_KEY"));
    tell(root.rekey().wire, admin, carol, bob);
    expect(bob.decode(carol.encode("x"))?.text()).toBe("x");
  });

  it("that is another one's is refused, too", async () => {
    const world = new World();
    const { root } = await world.family();
    const wrap = signWrap(new Identity(SEEDS.bob), NAME, diffieHellmanKeyPair().publicKey, 1);
    expectCode("BAD_SIGNATURE", () => root.admit(forgeIntroduction(bytes(0x61), formatWrap(wrap))));
    expectCode("MALFORMED_MESSAGE", () => root.admit(forgeIntroduction(bytes(0x61), bytes(9, 100))));
  });
});

describe("a reply", () => {
  it("from somebody who is no admin is refused, whatever it knows and whoever confirmed it", async () => {
    const world = new World();
    const { root, carol } = await world.family();
    const dave = await world.create();
    const intro = dave.constructIntro();
    const reply = forgeReply(SEEDS.carol, intro, contentOf(carol));
    const opened = expectCode("INTRODUCTION_REPLY", () => dave.decode(reply));
    expect(opened.reply.fingerprint).toBe(fingerprint(carol.publicKey));
    expectCode("FORBIDDEN", () => dave.parseReply(opened.reply));
    expect(dave.topicKey).toBeUndefined();
    expect(dave.topicId).toBeUndefined();
    expect(dave.members).toEqual([]);
    // The introduction is still open for who may answer it; and the same content from an admin is taken.
    expect(take(forgeReply(SEEDS.root, intro, contentOf(carol)), dave)).toBe(true);
    expect(dave.topicId).toEqual(root.topicId);
  });

  it("from who is no admin any more, as far as we know, is refused though its own roster says otherwise", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const before = contentOf(admin);
    tell(root.revoke(admin.publicKey, { keep: "all" }).wire, carol, bob);
    const state = stolen(bob);
    const opened = expectCode("INTRODUCTION_REPLY", () =>
      bob.decode(forgeReply(SEEDS.admin, bob.constructIntro(), before)),
    );
    expect(opened.reply.standing).toBe("revoked");
    expectCode("FORBIDDEN", () => bob.parseReply(opened.reply));
    expect(stolen(bob).epochs).toEqual(state.epochs);
    expect(bob.topicKey).toEqual(root.topicKey);
  });

  it("of another topic is refused by who is in one", async () => {
    const world = new World();
    const { root, bob } = await world.family();
    const other = await world.establish();
    const intro = bob.constructIntro();
    other.admit(intro);
    const { reply } = expectCode("INTRODUCTION_REPLY", () => bob.decode(other.constructReply(intro)));
    expectCode("FOREIGN_REPLY", () => bob.parseReply(reply));
    // Nor one of a topic without a roster.
    const bare = await world.create({ topicKey: bytes(1), participants: [bob.publicKey] });
    const second = expectCode("INTRODUCTION_REPLY", () => bob.decode(bare.constructReply(intro)));
    expectCode("FOREIGN_REPLY", () => bob.parseReply(second.reply));
    expect(bob.topicId).toEqual(root.topicId);
    expect(bob.topicKey).toEqual(root.topicKey);
  });

  it("cannot change the roots, not even one of a root", async () => {
    const world = new World();
    const { root, bob } = await world.family();
    const mallory = await world.create();
    const content = contentOf(root);
    for (const changed of [
      { ...content, roots: [...content.roots, mallory.publicKey] },
      { ...content, roots: [root.publicKey], salt: bytes(7, 16) },
    ]) {
      const opened = expectCode("INTRODUCTION_REPLY", () =>
        bob.decode(forgeReply(SEEDS.root, bob.constructIntro(), changed)),
      );
      expectCode("FOREIGN_REPLY", () => bob.parseReply(opened.reply));
    }
    expect(rosterOf(bob)).toEqual(rosterOf(root));
    // With the roots as they are, the same one is taken.
    expect(take(forgeReply(SEEDS.root, bob.constructIntro(), content), bob)).toBe(true);
  });

  it("with another key than the one that the topic began with is refused", async () => {
    const world = new World();
    const { root } = await world.family();
    const dave = await world.create();
    const content = { ...contentOf(root), topicKey: bytes(3) };
    const opened = expectCode("INTRODUCTION_REPLY", () =>
      dave.decode(forgeReply(SEEDS.root, dave.constructIntro(), content)),
    );
    expectCode("MALFORMED_MESSAGE", () => dave.parseReply(opened.reply));
    expect(dave.topicKey).toBeUndefined();
  });
});

describe("two roots", () => {
  it("of which one is kept offline: it joins later, and is a root as it always was", async () => {
    const world = new World();
    await world.create();
    const offlineSeed = bytes(0x71);
    const offlineKey = keyOf(offlineSeed);
    const root = await world.establish({ seed: SEEDS.root, roots: [keyOf(SEEDS.root), offlineKey] });
    const phone = await world.create();
    const carol = await world.create();
    pair(root, phone, "admin");
    tell(pair(phone, carol).wire, root);
    // It is not missing: it has no wrap key yet, and needs none in the drawer.
    expect([root, phone, carol].map((topic) => rosterOf(topic)[toHex(offlineKey)])).toEqual(Array(3).fill("admin"));
    for (const topic of [root, phone]) expect(topic.rekeyWanted).toBeUndefined();
    tell(root.rekey().wire, phone, carol);

    // Years later, out of the drawer: the phone answers it, and gives it the role that it has.
    const offline = await world.create({ seed: offlineSeed });
    const admission = pair(phone, offline, "admin");
    tell(admission.wire, root, carol);
    for (const topic of [root, phone, carol, offline]) {
      expect(topic.members.find(({ participant }) => participant.hex === toHex(offlineKey))).toMatchObject({
        role: "admin",
        rank: 0,
      });
    }
    expect(tell(offline.encode("hello"), root, phone, carol)).toEqual(["hello", "hello", "hello"]);
    tell(offline.rekey().wire, root, phone, carol);
    expect(root.decode(carol.encode("x"))?.text()).toBe("x");
    // It does what it is there for: the phone was stolen.
    tell(offline.revoke(phone.publicKey, { keep: "all" }).wire, root, carol, phone);
    expect(tell(offline.encode("without the phone"), root, carol, phone)).toEqual([
      "without the phone",
      "without the phone",
      "UNKNOWN_TOPIC_KEY",
    ]);
    for (const [one, other] of [
      [root, offline],
      [offline, root],
    ] as const) {
      expectCode("FORBIDDEN", () => one.revoke(other.publicKey, { keep: "all" }));
    }
  });

  it("that say different things about somebody end the same for everybody", async () => {
    const world = new World();
    await world.create();
    const secondSeed = bytes(0x72);
    const secondKey = keyOf(secondSeed);
    const root = await world.establish({ seed: SEEDS.root, roots: [keyOf(SEEDS.root), secondKey] });
    const second = await world.create({ seed: secondSeed });
    const carol = await world.create();
    pair(root, second, "admin");
    tell(pair(root, carol).wire, second);
    const wires = [
      root.admit(carol.publicKey, { role: "admin" }).wire,
      second.admit(carol.publicKey, { role: "reader" }).wire,
    ];
    tell(wires[1] as Uint8Array, root, carol);
    tell(wires[0] as Uint8Array, carol, second);
    // The same version of the same rank: the smaller privilege counts.
    expect([root, second, carol].map((topic) => roleOf(topic, carol))).toEqual(Array(3).fill("reader"));
  });
});

/** The public key of a seed. */
function keyOf(seed: Uint8Array): Uint8Array {
  return new Identity(seed).participant.publicKey;
}
