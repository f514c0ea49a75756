/**
 * Whose reply may be taken without a person (PROTOCOL §9.2, §12.5). The thief here is Bob: he was removed, knows salt, roots and the keys of
 * before, and stole bare seeds of others.
 */
import { expect, it } from "vitest";
import { kemKeyPair, randomBytes } from "../../src/crypto.js";
import { introductionHash, openReply, signIntroduction } from "../../src/discovery.js";
import { Identity } from "../../src/identity.js";
import type { Topic } from "../../src/index.js";
import { parse, parseControl, parseReplyPlaintext, type WireReply } from "../../src/message.js";
import type { SavedTopic } from "../../src/state.js";
import { formatWrap, signWrap } from "../../src/statements.js";
import { expectCode } from "../support/expect.js";
import { openWire } from "../support/forge.js";
import {
  canSpeak,
  type Family,
  forgeControl,
  forgeRekey,
  forgeReply,
  hear,
  keyOf,
  madeUp,
  recipientOf,
  SEEDS,
  standStill,
  stolen,
  tell,
  toldOf,
  World,
} from "../support/rooted.js";
import { bytes, NAME } from "../support/topics.js";

standStill();

/** What the thief makes everybody send under, if he can. */
const THEFT = bytes(0x77);

interface Removed extends Family {
  readonly world: World;
  /** What Bob had when he was removed, and what he knows of the roster. */
  readonly bobs: SavedTopic;
}

/** Bob was removed, and everybody else knows; then Carol was away. */
async function removed(): Promise<Removed> {
  const world = new World();
  const family = await world.family({ all: { answerReturning: true } });
  const { root, admin, carol, bob } = family;
  const bobs = stolen(bob);
  tell(root.revoke(bob.publicKey).wire, admin, carol);
  tell(root.rekey().wire, admin);
  for (const topic of [root, admin, carol]) await world.eventsOf(topic);
  return { ...family, world, bobs };
}

/** Bob's reply in the name of the admin, whose bare seed he has: an epoch and a key of his own. */
function forged({ carol }: Removed, intro: Uint8Array, provenSecret?: Uint8Array): Uint8Array {
  // What removed him he has read, too.
  return forgeReply(SEEDS.admin, intro, madeUp(SEEDS.admin, carol, THEFT), provenSecret);
}

const replyIn = (wire: Uint8Array, topic: Topic) => expectCode("INTRODUCTION_REPLY", () => topic.decode(wire)).reply;

/** The only reply that was made unasked. */
async function answeredBy({ world }: Removed, sponsor: Topic): Promise<Uint8Array> {
  const [answered] = await world.told(sponsor, "answered");
  if (answered === undefined) throw new Error("nobody was answered");
  return answered.wire;
}

it("a removed one with an admin's bare seed is told from that admin, whose reply returns", async () => {
  const all = await removed();
  const { admin, carol } = all;
  const intro = carol.constructIntro();
  expect(replyIn(forged(all, intro), carol)).toMatchObject({ standing: "member", isReturning: false });
  // Nor does anything help that he knew: it is not what she proved.
  const { epochs, rooted } = all.bobs;
  const known = [rooted?.rejoinSecrets[0]?.secret, epochs[0]?.keys?.key, rooted?.salt, new Uint8Array(0)];
  for (const secret of known) {
    expect(secret).toBeDefined();
    expect(hear(carol, forged(all, intro, secret))).toBe("DECRYPTION_FAILED");
  }
  expect(admin.decode(intro)).toBeNull();
  const reply = replyIn(await answeredBy(all, admin), carol);
  expect(reply).toMatchObject({ standing: "member", isReturning: true });
  expect(carol.parseReply(reply)).toBe(true);
  expect(carol.topicKey).toEqual(admin.topicKey);
});

it("whoever takes it all the same, confirmed by a person, trusts the bare seed", async () => {
  const all = await removed();
  const { carol } = all;
  expect(carol.parseReply(replyIn(forged(all, carol.constructIntro()), carol))).toBe(true);
  expect(carol.epoch).toBe(9);
});

it("nor does the removed one learn from an answer what others prove, with that admin's seed and what he knew", async () => {
  const all = await removed();
  const { root, admin, carol, bobs } = all;
  // What she proves now, he does not know; so he asks for it in the name of the admin, who was there when he was.
  const [old] = bobs.rooted?.rejoinSecrets ?? [];
  if (old === undefined) throw new Error("no rejoin secret");
  tell(root.rekey().wire, admin, carol);
  const kem = kemKeyPair(randomBytes(32));
  const version = all.world.clock.now + 1;
  const wrap = formatWrap(signWrap(new Identity(SEEDS.admin), NAME, bytes(9), version));
  const facts = { name: "", sentAt: version, context: NAME, wrapStatement: wrap, rejoin: old };
  const intro = signIntroduction(new Identity(SEEDS.admin), kem.publicKey, facts);
  expect(root.decode(intro)).toBeNull();
  const own = { hash: introductionHash(intro), context: NAME, provenSecret: old.secret };
  const { plaintext, isReturning } = openReply(parse(await answeredBy(all, root), 0) as WireReply, own, kem.secretKey);
  expect(isReturning).toBe(true);
  const { rejoinSecret, topicKey } = parseReplyPlaintext(plaintext);
  expect(topicKey.length).toBeGreaterThan(32);
  const secretOfNow = stolen(root).rooted?.rejoinSecrets.at(-1)?.secret;
  expect(rejoinSecret).not.toEqual(secretOfNow);
});

it("whoever was removed after the epoch that is proved can make one, for who has heard of nothing since", async () => {
  const world = new World();
  const family = await world.family();
  const { root, admin, carol, bob } = family;
  const all = { ...family, world, bobs: stolen(bob) };
  tell(root.revoke(bob.publicKey).wire, admin);
  const secret = all.bobs.rooted?.rejoinSecrets[0]?.secret;
  expect(replyIn(forged(all, carol.constructIntro(), secret), carol).isReturning).toBe(true);
  // She believes Bob anyway.
  expect(carol.decode(bob.encode("I am here"))?.text()).toBe("I am here");
});

it("and for who has heard that he is removed, but has no key since: it would take his rekey as well", async () => {
  const world = new World();
  const family = await world.family();
  const { root, carol, bob } = family;
  const all = { ...family, world, bobs: stolen(bob) };
  const firstKey = keyOf(bob);
  const { payload } = openWire(firstKey, root.revoke(bob.publicKey).wire).plaintext;
  const { statements } = parseControl(payload);
  expect(tell(forgeControl(firstKey, { statements }), carol)).toEqual([null]);
  expect(canSpeak(carol)).toBe(false);
  const secret = all.bobs.rooted?.rejoinSecrets[0]?.secret;
  expect(replyIn(forged(all, carol.constructIntro(), secret), carol).isReturning).toBe(true);
  const recipients = [recipientOf(carol)];
  const { wire } = forgeRekey(SEEDS.admin, carol, { parentKey: firstKey, epoch: 1, recipients }, statements);
  expect(tell(wire, carol)).toEqual([null]);
  expect(canSpeak(carol)).toBe(true);
});

it("an admin that makes up a rejoin secret does not keep anybody from coming back: it follows from the key", async () => {
  const world = new World();
  const { root, admin, carol } = await world.family();
  tell(root.rekey().wire, admin);
  const content = { ...toldOf(admin, 1), generation: 0, topicKey: keyOf(admin), rejoinSecret: bytes(0x57) };
  const reply = forgeReply(SEEDS.admin, carol.constructIntro(), content);
  expect(carol.parseReply(replyIn(reply, carol))).toBe(true);
  const { introduction } = expectCode("INTRODUCTION", () => root.decode(carol.constructIntro()));
  expect(introduction).toMatchObject({ standing: "member", isReturning: true });
});
