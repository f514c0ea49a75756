// Rooted topics (§10 to §12 of docs/PROTOCOL.md): the peer, which was written from that page alone, and the library in one topic.
import { readFileSync } from "node:fs";
import sodium from "libsodium-wrappers";
import { beforeAll, describe, expect, test } from "vitest";
import { Topic } from "../../src/index.js";
import { computeRoster } from "../../src/roster.js";
import { Random, refusal } from "./both.js";
import { adopt, agree, converse, House, heard, rosterSeen, says } from "./house.js";
import {
  commitmentOf,
  hex,
  keyIdOf,
  makeWrapStatement,
  openMessage,
  publicKeyOf,
  ready,
  unhex,
} from "./independent-peer.js";
import { hintOf } from "./independent-primitives.js";
import {
  controlPayload,
  headOf,
  makeRekey,
  openRekey,
  parseRekey,
  type RootedPeer,
  readControlPayload,
  rejoinSecretOf,
} from "./independent-rooted.js";
import {
  type Claim,
  makeRoleStatement,
  makeWrapAlone,
  nameOf,
  ROLES,
  rosterOf,
  Statements,
  topicIdOf,
} from "./independent-statements.js";

type Bytes = Uint8Array;

beforeAll(async () => {
  await ready;
});

// (1) the worked example, read from the page

const page = readFileSync(new URL("../../docs/PROTOCOL.md", import.meta.url), "utf8");
const example = page.slice(page.indexOf("## 14."), page.indexOf("## 15."));
/** The bytes that stand behind this label, on its line or those after it; the n-th time that it stands there. */
const said = (label: string, time = 0): Bytes => {
  const found = [...example.matchAll(new RegExp(`^ {4}${label}((?:\\s+[0-9a-f]{8,})+)$`, "gm"))][time]?.[1];
  if (found === undefined) throw new RangeError(`§14 says no ${label}`);
  return unhex(found.replaceAll(/\s/g, ""));
};

describe("the worked example of §14.1", () => {
  const topicName = "home/kitchen";
  const version = 1_794_700_000_000;

  test("statements, digest and rekey", () => {
    const seed = said("Alice's seed");
    const bobSeed = unhex("bcbf8881a5866077958a9ccd95e4fea25b2ec5fbc0a905f5167035e0e9bd1b93"); // of the vectors
    const [alice, bob, topicKey] = [publicKeyOf(seed), publicKeyOf(bobSeed), said("topic key")];
    expect(bob).toEqual(said("Bob's public key"));
    const topicId = topicIdOf([alice], said("salt"));
    expect(topicId).toEqual(said("topic id"));
    const wrapKey = sodium.crypto_scalarmult_base(said("secret of his wrap key"));
    expect(wrapKey).toEqual(said("his wrap key"));
    const wrap = makeWrapStatement({ seed: bobSeed, wrapKey, version, topicName });
    const facts = { role: "publisher", name: "Bob", head: commitmentOf(topicKey), wrap } as const;
    const admission = makeRoleStatement({ seed, topicId, subject: bob, version: 1, ...facts });
    expect(admission.length).toBe(Number(/The admission, (\d+) bytes/.exec(example)?.[1]));
    expect(nameOf(admission)).toEqual(said("its name"));
    const own = makeWrapAlone({ seed, wrapKey: said("Alice's wrap key"), version, topicName });
    expect(nameOf(own)).toEqual(said("of Alice's wrap statement"));
    const known = new Statements([hex(alice)], topicId, topicName).with([own, admission]);
    const digest = known.digest();
    expect(digest).toEqual(said(String.raw`digest \(.*\)`));

    const secrets = { ephemeralSecret: said("ephemeral secret"), secret: said("secret of the epoch") };
    const recipients = [
      { identity: alice, wrapKey: said("Alice's wrap key") },
      { identity: bob, wrapKey },
    ];
    const place = {
      seed,
      topicId,
      parentKey: topicKey,
      epoch: 1,
      reason: "requested",
      digest,
      statements: [],
    } as const;
    const made = makeRekey({ ...place, ...secrets, recipients });
    expect(made.topicKey).toEqual(said("topic key of epoch 1"));
    expect(commitmentOf(made.topicKey)).toEqual(said("its commitment"));
    expect(keyIdOf(made.topicKey)).toEqual(said("its key id"));
    expect(rejoinSecretOf(made.topicKey)).toEqual(said("its rejoin secret"));
    const payload = controlPayload([], made.rekey);
    const shown = example.slice(example.indexOf("    82 80 590184")).split("\n\n")[0] ?? "";
    expect(hex(payload)).toBe(shown.replaceAll(/\s/g, ""));

    const wrapKeys = [{ secret: said("secret of his wrap key"), wrapKey, version }];
    const opened = openRekey(parseRekey(made.rekey), { topicId, parentKey: topicKey, identity: bob, wrapKeys });
    expect(opened).toMatchObject({ topicKey: made.topicKey });
    expect(readControlPayload(payload)).toEqual({ statements: [], rekey: made.rekey });
    const head = parseRekey(headOf(parseRekey(made.rekey)), true);
    expect(head.wraps).toEqual(said("wraps hash"));
    expect(head.statementsHash).toEqual(said("statements hash"));
  });
});

// (2) the roster

describe("the roster of any set of statements", () => {
  type Named = Claim & { id: string };
  const random = new Random(0x705e);
  const draw = (): { roots: string[]; claims: Named[] } => {
    const keys = Array.from({ length: 3 + random.below(7) }, (_, i) => `k${i}`);
    const roots = keys.slice(0, 1 + random.below(2));
    const pairs = new Map<string, Named>();
    const admins = random.next();
    for (let n = random.below(5 * keys.length); n > 0; n--) {
      const [issuer, subject] = [random.of(keys), random.of(keys)];
      const role = random.chance(admins) ? "admin" : random.of(ROLES);
      const id = hex(random.bytes(32));
      pairs.set(issuer + subject, { issuer, subject, version: random.below(5), role, id });
    }
    return { roots, claims: [...pairs.values()] };
  };
  const firstByName = (a: Named, b: Named): number => (a.id < b.id ? -1 : 1);

  test("is the same", () => {
    let revoked = 0;
    for (let round = 0; round < 6000; round++) {
      const { roots, claims } = draw();
      const ours = rosterOf(roots, claims);
      const theirs = new Map(computeRoster(roots, claims, firstByName));
      const shown = (of: typeof ours) => [...of].sort(([a], [b]) => (a < b ? -1 : 1));
      expect(shown(ours), `round ${round}: ${JSON.stringify({ roots, claims })}`).toEqual(shown(theirs));
      revoked += [...ours.values()].filter(({ revokedBy, statement }) => revokedBy !== statement).length;
    }
    expect(revoked).toBeGreaterThan(1000); // by somebody else than who decided: the rule that is easily got wrong
  });
});

// (3) one topic

describe.each(["library", "peer"] as const)("the root is of the %s", (kind) => {
  const start = async (seed: number) => {
    const house = new House(seed);
    const root = kind === "library" ? await house.establish() : house.peerRoot();
    const others = { peer: house.peer(), library: await house.library() };
    house.join(root, others.peer, "publisher");
    house.join(root, others.library, "publisher", others.peer);
    return { house, root, ...others };
  };

  test("who is admitted reads and publishes", async () => {
    const { root, peer, library } = await start(1);
    agree(root, peer, library);
    expect(rosterSeen(root)).toHaveLength(3);
    converse(root, peer, library);
  });

  test("a reader reads, and does not publish", async () => {
    const { house, root, peer, library } = await start(2);
    for (const reader of [house.peer(), await house.library()]) {
      house.join(root, reader, "reader", peer, library);
      agree(root, peer, library, reader);
      expect(heard(reader, says(root, "to all"))).toBe("to all");
      expect(refusal(() => says(reader, "from a reader"))).toEqual({ refuse: "FORBIDDEN" });
    }
  });

  test("all follow who steps", async () => {
    const { root, peer, library } = await start(3);
    for (const who of [root, peer, library]) {
      who.ratchet();
      who.ratchet();
      converse(who, ...[root, peer, library].filter((other) => other !== who));
    }
    expect(root.generation).toBe(6);
    agree(root, peer, library);
  });

  test("a rekey", async () => {
    const { root, peer, library } = await start(4);
    for (let epoch = 1; epoch <= 3; epoch++) {
      const parentKey = root.topicKey as Bytes;
      const control = root.rekey();
      const { rekey } = readControlPayload(openMessage(control.wire, parentKey, "home").payload);
      const hints = hex(parseRekey(rekey).recipients).match(/.{16}/g);
      expect(hints?.sort(), "its issuer too").toEqual(
        [root, peer, library].map((who) => hex(hintOf(who.publicKey))).sort(),
      );
      for (const other of [peer, library]) expect(heard(other, control)).toBe("");
      expect(root.epoch).toBe(epoch);
      agree(root, peer, library);
      converse(root, peer, library);
      root.ratchet();
    }
  });

  test("a removal", async () => {
    const { house, root, peer, library } = await start(5);
    const lost = [house.peer(), await house.library()];
    for (const one of lost) house.join(root, one, "publisher", peer, library);
    for (const one of lost) {
      const control = root.revoke(one.publicKey);
      const late = says(one, "before it knows");
      for (const other of [peer, library, ...lost]) heard(other, control);
      agree(root, peer, library);
      converse(root, peer, library);
      expect(heard(one, says(root, "secret"))).toBe("UNKNOWN_TOPIC_KEY");
      for (const other of [root, peer, library]) expect(heard(other, late)).toBe("UNTRUSTED_KEY");
      expect(refusal(() => says(one, "after it knows"))).toEqual({ refuse: "FORBIDDEN" });
    }
  });

  test("who leaves by itself is gone, and silences nobody", async () => {
    const { root, peer, library } = await start(6);
    const left = peer.leave();
    for (const other of [root, library]) expect(heard(other, left)).toBe("");
    agree(root, library);
    expect(rosterSeen(root)).toHaveLength(2);
    converse(root, library);
    const gone = library.revoke(library.publicKey);
    expect(heard(root, gone)).toBe("");
    expect(rosterSeen(root)).toHaveLength(1);
    expect(heard(root, says(root, "alone"))).toBe("");
  });

  test("an admin that is revoked, and who stays of those whom it let in", async () => {
    const { house, root, peer, library } = await start(7);
    const admins = [house.peer(), await house.library()];
    for (const [i, admin] of admins.entries()) house.join(root, admin, "admin", peer, library, ...admins.slice(0, i));
    const everybody: (Topic | RootedPeer)[] = [root, peer, library, ...admins];
    const rest = (...but: (Topic | RootedPeer)[]) => everybody.filter((one) => !but.includes(one));
    for (const admin of admins) {
      const [stays, goes, bad] = [house.peer(), await house.library(), house.peer()];
      for (const one of [stays, goes, bad]) house.join(admin, one, "publisher", ...rest(admin));
      const banned = admin.revoke(bad.publicKey);
      for (const other of [...rest(admin), stays, goes]) expect(heard(other, banned)).toBe("");
      everybody.push(stays);
      const control =
        root instanceof Topic
          ? root.revoke(admin.publicKey, { keep: [stays.publicKey] })
          : root.revoke(admin.publicKey, [stays.publicKey]);
      everybody.splice(everybody.indexOf(admin), 1);
      for (const other of rest(root)) expect(heard(other, control)).toBe("");
      agree(...everybody);
      const keys = rosterSeen(root).map(({ key }) => key);
      expect(keys).toContain(hex(stays.publicKey));
      for (const one of [goes, bad, admin]) expect(keys).not.toContain(hex(one.publicKey));
      converse(...everybody);
    }
  });

  test("a wrap key that is renewed opens the next rekey", async () => {
    const { house, root, peer, library } = await start(8);
    house.pass(1000);
    for (const renewed of [peer.renewWrapKey(house.now), library.renewWrapKey()])
      for (const other of [root, peer, library]) expect(heard(other, renewed)).toBe("");
    const control = root.rekey();
    for (const other of [peer, library]) expect(heard(other, control)).toBe("");
    agree(root, peer, library);
    converse(root, peer, library);
    expect(peer.reports).toEqual([]);
    expect(house.events.filter(({ type }) => type === "bad-rekey" || type === "seed-stolen")).toEqual([]);
  });

  test("who was away comes back with a proof", async () => {
    const { house, root, peer, library } = await start(9);
    for (const away of [peer, library]) {
      const near = away === peer ? library : peer;
      const lost = root.rekey();
      expect(heard(near, lost)).toBe("");
      const removed = house.peer();
      house.join(root, removed, "publisher", near);
      expect(heard(near, root.revoke(removed.publicKey))).toBe("");
      expect(heard(away, says(root, "not read"))).toBe("UNKNOWN_TOPIC_KEY");
      const introduction = house.introduce(away);
      const { reply } = house.answer(root, introduction);
      adopt(away, reply);
      agree(root, peer, library);
      converse(root, peer, library);
    }
  });
});
