// What is refused in a rooted topic, and what is worth nothing to a thief: by the independent peer as by the library.
import sodium from "libsodium-wrappers";
import { beforeAll, describe, expect, test } from "vitest";
import { Topic } from "../../src/index.js";
import { memberOf } from "../support/member.js";
import { flip, home, refusal } from "./both.js";
import { adopt, agree, converse, House, heard, introductionRaised, rosterSeen, says, type Wire } from "./house.js";
import { Chain } from "./independent-generations.js";
import {
  hex,
  makeHandover,
  makeIntroduction,
  makeWrapStatement,
  openMessage,
  publicKeyOf,
  ready,
  sendMessage,
} from "./independent-peer.js";
import { commitmentOf } from "./independent-primitives.js";
import {
  controlPayload,
  headOf,
  makeRejoin,
  makeRekey,
  parseRekey,
  RootedPeer,
  readControlPayload,
  sealControl,
} from "./independent-rooted.js";
import {
  makeRoleStatement,
  makeWrapAlone,
  parseStatement,
  type Role,
  saltOf,
  topicIdOf,
  wrapAlone,
} from "./independent-statements.js";

type Bytes = Uint8Array;
const none = new Uint8Array();

beforeAll(async () => {
  await ready;
});

/** A peer as root, whose seed is known; one publisher of each kind, who hear all. */
const start = async (seed: number) => {
  const house = new House(seed);
  const rootSeed = house.random.bytes(32);
  const root = house.peerRoot(rootSeed);
  const [peer, library] = [house.peer(), await house.library()];
  house.join(root, peer, "publisher");
  house.join(root, library, "publisher", peer);
  const both = (wire: Wire, why = ""): string => {
    const outcome = heard(peer, wire);
    expect(heard(library, wire), why).toBe(outcome);
    return outcome;
  };
  /** Seals what an insider made up under the key that all have. */
  const control = (statements: readonly Bytes[], rekey: Bytes = none, topicKey = root.topicKey as Bytes): Wire => ({
    wire: sealControl(topicKey, "home", controlPayload(statements, rekey), house.random.bytes(12)),
  });
  return { house, root, rootSeed, peer, library, both, control };
};

describe("tampering", () => {
  test("with a control message on the way", async () => {
    const { house, root, peer, library, both } = await start(1);
    const { wire } = root.rekey();
    for (let n = 0; n < 300; n++) {
      const changed = wire.slice(0, house.random.chance(0.1) ? house.random.below(wire.length) : wire.length);
      if (changed.length === wire.length) flip(house.random, changed);
      expect(both({ wire: changed }, hex(changed))).not.toBe("");
    }
    expect(both({ wire })).toBe("");
    agree(root, peer, library);
  });

  test("with a rekey or a statement by who has the topic key", async () => {
    const { house, root, peer, library, both, control } = await start(2);
    const topicKey = root.topicKey as Bytes;
    const lost = house.peer();
    house.join(root, lost, "publisher", peer, library);
    const { wire } = root.revoke(lost.publicKey);
    const { statements, rekey } = readControlPayload(openMessage(wire, topicKey, "home").payload);
    expect(statements).toHaveLength(1);
    const codes = new Set<string>();
    const members = peer.members.length;
    for (let n = 0; n < 600; n++) {
      const [statement, changed] = [(statements[0] as Bytes).slice(), rekey.slice()];
      const withRekey = house.random.chance(0.5);
      flip(house.random, withRekey ? changed : statement);
      const made = withRekey ? control(statements, changed, topicKey) : control([statement], none, topicKey);
      const outcome = both(made, `${hex(statement)} ${hex(changed)}`);
      if (withRekey) expect(outcome).not.toBe("");
      expect(peer.members).toHaveLength(members); // a statement by nobody is dropped
      agree(peer, library);
      codes.add(outcome);
    }
    for (const code of ["MALFORMED_MESSAGE", "BAD_SIGNATURE", "UNTRUSTED_KEY"]) expect(codes).toContain(code);
    expect(both({ wire })).toBe("");
    agree(root, peer, library);
    expect(both(control(statements, rekey, root.topicKey))).toBe("MALFORMED_MESSAGE"); // not sealed under its parent
  });

  test("with a reply on the way", async () => {
    for (const sponsorIs of ["peer", "library"] as const) {
      const house = new House(3);
      const root = sponsorIs === "peer" ? house.peerRoot() : await house.establish();
      for (const newcomer of [house.peer(), await house.library()]) {
        const { reply } = house.answer(root, house.introduce(newcomer), "publisher");
        for (let n = 0; n < 7; n++) {
          const changed = reply.slice();
          changed[1200 + n * 20] = (changed[1200 + n * 20] ?? 0) ^ 1;
          expect(refusal(() => adopt(newcomer, changed))).toEqual({ refuse: "DECRYPTION_FAILED" });
        }
        adopt(newcomer, reply);
        agree(root, newcomer);
      }
    }
  });

  test("a member that is none of the admins speaks to nobody's effect", async () => {
    const { house, root, peer, library, both, control } = await start(4);
    const [memberSeed, strangerSeed] = [house.random.bytes(32), house.random.bytes(32)];
    const member = house.peer(memberSeed);
    house.join(root, member, "publisher", peer, library);
    const topicId = root.topicId as Bytes;
    const before = member.members;
    const said = { topicId, subject: publicKeyOf(strangerSeed), version: 9, role: "admin" } as const;
    expect(both(control([makeRoleStatement({ seed: memberSeed, ...said })]))).toBe("");
    expect(
      both(control([makeRoleStatement({ seed: strangerSeed, ...said, subject: root.publicKey, role: "revoked" })])),
    ).toBe("");
    agree(root, peer, library);
    expect(peer.members).toHaveLength(before.length);
    const { rekey } = readControlPayload(openMessage(root.rekey().wire, member.topicKey as Bytes, "home").payload);
    const forged = rekey.slice();
    forged.set(member.publicKey, 3); // the issuer's key, behind the heads of the array and of the key
    expect(both(control([], forged, member.topicKey))).toBe("UNTRUSTED_KEY");
  });
});

describe("generations", () => {
  test("of a member: followed within the budget, read up to the 4,096th, unknown after", async () => {
    const { house, root, peer, library, both } = await start(5);
    const seed = house.random.bytes(32);
    const member = house.peer(seed);
    house.join(root, member, "publisher", peer, library);
    const chain = new Chain(member.topicKey as Bytes, 0);
    const speaks = (generation: number, topicKey = chain.keyOf(generation)): string => {
      house.pass(1);
      const place = { topicKey, session: house.random.bytes(12), sequence: 0, ...home };
      const payload = new TextEncoder().encode("later");
      return both({ wire: sendMessage({ ...place, seed, delivery: "event", sentAt: house.now, payload }) });
    };
    for (const [generation, follows] of [
      [4096, 0],
      [25, 0],
      [20, 20],
      [25, 20],
      [3, 20],
      [24, 24],
      [25, 24],
    ] as const) {
      expect(speaks(generation)).toBe("later");
      for (const who of [peer, library]) expect(who.generation, `after ${generation}`).toBe(follows);
    }
    expect(speaks(4097, new Chain(chain.keyOf(4096), 4096).keyOf(4097))).toBe("UNKNOWN_TOPIC_KEY");
    converse(peer, library);
  });

  test("below the one that is sent under are wiped after the grace", async () => {
    const house = new House(6);
    const [seed, own, topicKey] = [house.random.bytes(32), house.random.bytes(32), house.random.bytes(32)];
    const others = [publicKeyOf(seed)];
    const shared = { seed: own, topicKey, name: "home", clock: house.clock, grace: 0 };
    const peer = new RootedPeer({ ...shared, pins: others, elapsed: () => house.elapsed });
    const library = await Topic.create({ ...shared, participants: others });
    const chain = new Chain(topicKey, 0);
    const wire = (generation: number, n: number): Wire => {
      const place = {
        topicKey: chain.keyOf(generation),
        session: new Uint8Array(12).fill(n + 1),
        sequence: 0,
        ...home,
      };
      return {
        wire: sendMessage({
          ...place,
          seed,
          delivery: "event",
          sentAt: house.now + n,
          payload: Uint8Array.of(104, 105),
        }),
      };
    };
    const steps = [
      [0, "hi"],
      [2, "hi"],
      [0, "UNKNOWN_TOPIC_KEY"],
      [1, "UNKNOWN_TOPIC_KEY"],
      [2, "hi"],
      [3, "hi"],
    ] as const;
    for (const [n, [generation, outcome]] of steps.entries()) {
      expect(heard(peer, wire(generation, n)), `peer, generation ${generation}`).toBe(outcome);
      expect(heard(library, wire(generation, n)), `library, generation ${generation}`).toBe(outcome);
      if (n === 1) await new Promise((done) => setTimeout(done, 1500)); // the library looks once a second
    }
  });
});

describe("coming back", () => {
  /** Of who has the seed and the rejoin secret, and a wrap key of its own. */
  const claim = (house: House, seed: Bytes, epoch: number, secret: Bytes | undefined, kemSeed: Bytes): Bytes => {
    const wrapKey = house.random.bytes(32);
    const wrapStatement = makeWrapStatement({ seed, wrapKey, version: house.now, topicName: "home" });
    const proven = secret && { rejoin: (said: Parameters<typeof makeRejoin>[2]) => makeRejoin(epoch, secret, said) };
    house.pass(1);
    return makeIntroduction({ seed, kemSeed, name: "", sentAt: house.now, ...home, wrapStatement, ...proven });
  };
  const returns = (sponsor: Topic | RootedPeer, introduction: Bytes): boolean =>
    sponsor instanceof RootedPeer
      ? sponsor.isReturning(introduction, "home")
      : introductionRaised(sponsor, introduction).isReturning;
  const answer = (house: House, sponsor: Topic | RootedPeer, introduction: Bytes) =>
    refusal(() =>
      sponsor instanceof RootedPeer
        ? sponsor.reply(introduction, house.random.bytes(64), "home")
        : sponsor.constructReply(introduction),
    );

  describe.each(["peer", "library"] as const)("to the %s", (kind) => {
    const founded = async (seed: number) => {
      const house = new House(seed);
      const sponsor = kind === "peer" ? house.peerRoot() : await house.establish();
      const seeds = [house.random.bytes(32), house.random.bytes(32)] as const;
      const [peer, library] = [house.peer(seeds[0]), await house.library(seeds[1])];
      house.join(sponsor, peer, "publisher");
      house.join(sponsor, library, "publisher", peer);
      return { house, sponsor, seeds, peer, library };
    };

    test("with a proof, to the wrap key that the roster has", async () => {
      const { house, sponsor, peer, library } = await founded(10);
      for (const away of [peer, library]) {
        sponsor.rekey();
        const introduction = house.introduce(away);
        expect(returns(sponsor, introduction)).toBe(true);
        const reply = answer(house, sponsor, introduction);
        if (!("accept" in reply)) throw new TypeError(reply.refuse);
        if (away === peer)
          expect(peer.receive(reply.accept, home)).toMatchObject({
            kind: "INTRODUCTION_REPLY",
            returns: true,
            topicKey: { length: 112 },
            rejoinSecret: { length: 0 },
          });
        if (away === library) expect(adopt(library, reply.accept)).toBe(true);
      }
      // The peer looked at its reply above, which is opened once; it asks again.
      expect(adopt(peer, house.answer(sponsor, house.introduce(peer)).reply)).toBe(true);
      agree(sponsor, peer, library);
      converse(sponsor, peer, library);
    });

    test("without a proof nobody does", async () => {
      const { house, sponsor, seeds } = await founded(11);
      for (const anew of [house.peer(seeds[0]), await house.library(seeds[1])]) {
        const introduction = house.introduce(anew);
        expect(returns(sponsor, introduction)).toBe(false);
        expect(answer(house, sponsor, introduction)).toEqual({ refuse: "UNTRUSTED_KEY" });
      }
    });

    test("a proof with another secret, under another epoch or of somebody else proves nothing", async () => {
      const { house, sponsor, seeds, peer } = await founded(12);
      const secret = peer.rejoinSecret as Bytes;
      const stranger = house.random.bytes(32);
      const claims = [
        [seeds[0], 0, house.random.bytes(32)],
        [seeds[0], 1, secret],
        [stranger, 0, secret],
      ] as const;
      for (const [seed, epoch, proof] of claims) {
        const introduction = claim(house, seed, epoch, proof, house.random.bytes(32));
        expect(returns(sponsor, introduction)).toBe(false);
        expect(answer(house, sponsor, introduction)).toEqual({ refuse: "UNTRUSTED_KEY" });
      }
    });

    test("a stolen seed with its rejoin secret gets a reply, and no topic key", async () => {
      const { house, sponsor, seeds, peer } = await founded(13);
      const kemSeed = house.random.bytes(32);
      const introduction = claim(house, seeds[0], 0, peer.rejoinSecret, kemSeed);
      expect(returns(sponsor, introduction)).toBe(true);
      const reply = answer(house, sponsor, introduction);
      if (!("accept" in reply)) throw new TypeError(reply.refuse);
      const thief = house.peer(seeds[0]);
      thief.holds(house.random.bytes(32), house.now);
      thief.expect({ introduction, kemSeed, ...home, proven: peer.rejoinSecret });
      expect(refusal(() => adopt(thief, reply.accept))).toEqual({ refuse: "DECRYPTION_FAILED" });
      expect(thief.topicKey).toBeUndefined();
    });

    test("not by a wrap key that came under an old key, until it comes again under the one that counts", async () => {
      const { house, sponsor, seeds, peer, library } = await founded(15);
      const first = sponsor.topicKey as Bytes;
      const rekey = sponsor.rekey();
      for (const other of [peer, library]) expect(heard(other, rekey)).toBe("");
      const [secret, version] = [house.random.bytes(32), house.now];
      const wrapKey = sodium.crypto_scalarmult_base(secret);
      const wrap = makeWrapAlone({ seed: seeds[0], wrapKey, version, topicName: "home" });
      peer.holds(secret, version);
      for (const topicKey of [first, sponsor.topicKey as Bytes]) {
        const session = house.random.bytes(12);
        expect(heard(sponsor, { wire: sealControl(topicKey, "home", controlPayload([wrap], none), session) })).toBe("");
        const reply = answer(house, sponsor, house.introduce(peer));
        if (topicKey === first) expect(reply).toEqual({ refuse: "UNTRUSTED_KEY" });
        else expect(reply).toHaveProperty("accept");
      }
    });

    test("not by who was not given the key that counts, though it had another", async () => {
      const { house, sponsor, peer, library } = await founded(16);
      const admin = house.peer();
      house.join(sponsor, admin, "admin", peer, library);
      const late = house.peer();
      const { reply, control } = house.answer(admin, house.introduce(late), "publisher");
      adopt(late, reply);
      sponsor.rekey();
      expect(heard(sponsor, control as Wire)).toBe("");
      expect(answer(house, sponsor, house.introduce(late))).toEqual({ refuse: "UNTRUSTED_KEY" });
      sponsor.rekey();
      expect(answer(house, sponsor, house.introduce(late))).toHaveProperty("accept");
    });

    test("who is revoked does not come back, and cannot read on", async () => {
      const { house, sponsor, peer, library } = await founded(14);
      for (const gone of [peer, library]) {
        const proven = house.introduce(gone);
        sponsor.revoke(gone.publicKey);
        expect(returns(sponsor, proven)).toBe(false);
        expect(answer(house, sponsor, proven)).toEqual({ refuse: "UNTRUSTED_KEY" });
        expect(heard(gone, says(sponsor, "secret"))).toBe("UNKNOWN_TOPIC_KEY");
      }
    });
  });
});

test("all that was kept is applied when its key becomes known", async () => {
  const { house, root, rootSeed, library, control } = await start(20);
  const topicId = root.topicId as Bytes;
  const [adminSeed, subject] = [house.random.bytes(32), publicKeyOf(house.random.bytes(32))];
  const root0 = { seed: rootSeed, topicId } as const;
  const admin = makeRoleStatement({ ...root0, subject: publicKeyOf(adminSeed), version: 1, role: "admin" });
  const admission = makeRoleStatement({ ...root0, subject, version: 1, role: "publisher" });
  const idle = (version: number): Bytes =>
    makeRoleStatement({ seed: adminSeed, topicId, subject, version, role: "reader" });
  expect(heard(library, control([admin, admission, idle(1)]))).toBe("");
  const rekey = root.rekey();
  const removal = makeRoleStatement({ ...root0, subject, version: 2, role: "revoked" });
  for (const kept of [control([idle(2)]), control([removal])]) expect(heard(library, kept)).toBe("UNKNOWN_TOPIC_KEY");
  expect(library.members).toHaveLength(5);
  expect(heard(library, rekey)).toBe("");
  expect(library.members).toHaveLength(4);
});

// §10.4: an admission becomes a link as soon as its chain is short enough, in whatever order they come.
describe("an admission below a chain that becomes shorter is a link then", () => {
  const lots = async (seed: number) => {
    const { house, root, rootSeed, both, control, peer, library } = await start(seed);
    const seeds = [rootSeed, ...Array.from({ length: 9 }, () => house.random.bytes(32))];
    const admits = (by: number, who: number): Bytes => {
      const [seed, subject] = [seeds[by] as Bytes, publicKeyOf(seeds[who] as Bytes)];
      return makeRoleStatement({ seed, topicId: root.topicId as Bytes, subject, version: 1, role: "admin" });
    };
    const long = Array.from({ length: 9 }, (_, i) => admits(i, i + 1));
    const place = { seed: seeds[9] as Bytes, topicId: root.topicId as Bytes };
    const last = makeRoleStatement({
      ...place,
      subject: publicKeyOf(house.random.bytes(32)),
      version: 1,
      role: "reader",
    });
    const heardAll = (...messages: Bytes[][]): void => {
      for (const statements of messages) expect(both(control(statements))).toBe("");
      for (const who of [peer, library]) expect(who.members).toHaveLength(13);
      agree(peer, library);
    };
    return { long, short: admits(0, 5), last, heardAll };
  };
  test("where the shorter chain came first", async () => {
    const { long, short, last, heardAll } = await lots(21);
    heardAll([short], long, [last]);
  });
  test("where it came later", async () => {
    const { long, short, last, heardAll } = await lots(22);
    heardAll(long, [short], [last]);
  });
  test("where it came last in the same message", async () => {
    const { long, short, last, heardAll } = await lots(23);
    heardAll([...long, last, short]);
  });
});

// §12.2: it is enough that one of the role statements which bring it is by an effective admin.
describe("a wrap key is not doubted that came in what an admin said", () => {
  const check = async (isBefore: boolean): Promise<void> => {
    const { house, root, rootSeed, library } = await start(24);
    const [bobSeed, daveSeed] = [house.random.bytes(32), house.random.bytes(32)];
    const [bob, twin, admin] = [house.peer(bobSeed), house.peer(), await house.library()];
    house.join(root, bob, "publisher", library);
    house.join(root, twin, "admin", library, bob);
    house.join(root, admin, "admin", library, bob, twin);
    const [topicId, first] = [root.topicId as Bytes, root.topicKey as Bytes];
    const says = (seed: Bytes, subject: Bytes, version: number, role: Role, wrap: Bytes = none): Bytes =>
      makeRoleStatement({ seed, topicId, subject, version, role, wrap });
    const dave = publicKeyOf(daveSeed);
    const rekey = root.rekey();
    for (const each of [bob, twin, admin]) expect(heard(each, rekey)).toBe("");
    const secret = house.random.bytes(32);
    const wrapKey = sodium.crypto_scalarmult_base(secret);
    const wrap = makeWrapStatement({ seed: bobSeed, wrapKey, version: house.now, topicName: "home" });
    bob.holds(secret, house.now);
    const version = root.known.nextVersion(hex(root.publicKey), hex(bob.publicKey));
    const two = [
      says(rootSeed, bob.publicKey, version, "publisher", wrap),
      says(daveSeed, bob.publicKey, 1, "publisher", wrap),
    ];
    const sealed = (statements: readonly Bytes[]): Wire => ({
      wire: sealControl(first, "home", controlPayload(statements, none), house.random.bytes(12)),
    });
    const removed = [says(rootSeed, dave, 1, "admin"), says(rootSeed, dave, 2, "revoked")];
    const hear = (wire: Wire) => {
      for (const each of [twin, admin]) expect(heard(each, wire)).toBe("");
    };
    hear(sealed(removed));
    // They have never heard of whom that is, and may not send until an admin knew it.
    expect(heard(root, sealed(removed))).toBe("");
    hear(root.rekey());
    hear(sealed(isBefore ? [...two].reverse() : two));
    for (const sponsor of [twin, admin]) {
      const introduction = house.introduce(bob);
      const { reply } = house.answer(sponsor, introduction);
      adopt(bob, reply);
    }
  };
  test("and then in what a removed admin had said", () => check(false));
  test("and before in what a removed admin had said", () => check(true));
});

// §12.2: what is doubted only its own participant publishes. §11.7: a repair does not either.
test("a doubted wrap key is not handed on by a repair", async () => {
  const { house, root, rootSeed, library } = await start(28);
  const bobSeed = house.random.bytes(32);
  const [bob, gone, admin] = [house.peer(bobSeed), house.peer(), await house.library()];
  for (const who of [bob, gone]) house.join(root, who, "publisher", library);
  house.join(root, admin, "admin", library, bob);
  const first = root.topicKey as Bytes;
  expect(heard(admin, root.rekey())).toBe("");
  const sealed = (topicKey: Bytes, statement: Bytes): Wire => ({
    wire: sealControl(topicKey, "home", controlPayload([statement], none), house.random.bytes(12)),
  });
  const wrapKey = sodium.crypto_scalarmult_base(house.random.bytes(32));
  const wrap = makeWrapAlone({ seed: bobSeed, wrapKey, version: house.now + 1, topicName: "home" });
  expect(heard(admin, sealed(first, wrap))).toBe("");
  const [topicId, topicKey] = [root.topicId as Bytes, root.topicKey as Bytes];
  const out = { topicId, subject: gone.publicKey, version: 2, role: "revoked" } as const;
  expect(heard(admin, sealed(topicKey, makeRoleStatement({ seed: rootSeed, ...out })))).toBe("");
  const { wire } = admin.rekey();
  const { statements, rekey } = readControlPayload(openMessage(wire, topicKey, "home").payload);
  expect(parseRekey(rekey).reason).toBe(2);
  expect(statements.map(hex)).not.toContain(hex(wrap));
});

// §12.5: roots are looked at in step 1, before a topic key that is wrapped once more is opened in step 2.
test("a reply with a root of small order, whose topic key does not open either", async () => {
  const house = new House(25);
  const seed = house.random.bytes(32);
  const given = {
    epoch: 0,
    generation: 0,
    topicKey: house.random.bytes(112),
    salt: house.random.bytes(16),
    roots: [publicKeyOf(seed), new Uint8Array(32)],
    statements: [],
    head: house.random.bytes(32),
    rejoinSecret: none,
  };
  const [peer, library] = [house.peer(), await house.library()];
  for (const newcomer of [peer, library]) {
    const introduction = house.introduce(newcomer);
    const facts = { seed, introduction, encapsulationSeed: house.random.bytes(64), context: "home" };
    expect(refusal(() => adopt(newcomer, makeHandover(facts, given)))).toEqual({ refuse: "INVALID_KEY" });
  }
});

// §10.6: of roots no admin says that they are revoked, also of one that left.
test("of a root that left nothing is said when an admin is removed that had revoked it", async () => {
  const house = new House(26);
  const [alice, carol, dave] = [house.random.bytes(32), house.random.bytes(32), house.random.bytes(32)] as const;
  const [roots, salt, topicKey] = [[alice, carol].map(publicKeyOf), house.random.bytes(16), house.random.bytes(32)];
  const topicId = topicIdOf(roots, salt);
  const of = (seed: Bytes, who: Bytes, version: number, role: "admin" | "revoked"): Bytes =>
    makeRoleStatement({ seed, topicId, subject: publicKeyOf(who), version, role });
  const statements = [of(alice, dave, 1, "admin"), of(dave, carol, 1, "revoked"), of(carol, carol, 1, "revoked")];
  const topic = { salt: hex(salt), roots: roots.map(hex), name: "home" };
  const secrets = { seed: hex(alice), topicKey: hex(topicKey), wrapSecret: hex(house.random.bytes(32)) };
  const library = await memberOf({ ...secrets, topic, statements: statements.map(hex) });
  const { wire } = library.revoke(publicKeyOf(dave));
  const said = readControlPayload(openMessage(wire, topicKey, "home").payload).statements.map(parseStatement);
  const signed = said.flatMap((each) =>
    each.kind === "role" && each.issuer === hex(publicKeyOf(alice)) ? each.subject : [],
  );
  expect(signed).toEqual([hex(publicKeyOf(dave))]);
});

// §11.3: of one issuer's epochs 16 are kept, the one just learned and the one that is sent under among them.
test("of too many epochs of one issuer the lowest goes, with its key", async () => {
  const { house, root, rootSeed, peer, library, both, control } = await start(32);
  const first = root.topicKey as Bytes;
  const topicId = root.topicId as Bytes;
  const recipients = [peer, library].map((who) => {
    const { wrapKey } = root.known.wraps.get(hex(who.publicKey)) ?? { wrapKey: none };
    return { identity: who.publicKey, wrapKey };
  });
  const under = (parentKey: Bytes, epoch: number): Bytes => {
    const secrets = { ephemeralSecret: house.random.bytes(32), secret: house.random.bytes(32) };
    const place = { seed: rootSeed, topicId, parentKey, epoch, digest: root.known.digest() };
    const { rekey, topicKey } = makeRekey({ ...place, ...secrets, reason: "requested", recipients, statements: [] });
    expect(both(control([], rekey, parentKey)), `epoch ${epoch}`).toBe("");
    return topicKey;
  };
  const keys = [first];
  for (let epoch = 1; epoch <= 18; epoch++) keys.push(under(keys.at(-1) as Bytes, epoch));
  const reads = (topicKey: Bytes): string => {
    house.pass(1);
    const place = { topicKey, session: house.random.bytes(12), sequence: 0, ...home };
    const payload = new TextEncoder().encode("read");
    return both({ wire: sendMessage({ ...place, seed: rootSeed, delivery: "event", sentAt: house.now, payload }) });
  };
  const read = (): number[] => [...keys.keys()].filter((epoch) => reads(keys[epoch] as Bytes) === "read");
  expect(read()).toEqual([0, ...Array.from({ length: 16 }, (_, i) => i + 3)]);
  // Lower than all, and stays until the next one comes.
  const low = under(first, 1);
  expect(reads(low)).toBe("read");
  expect(read()).toEqual([0, ...Array.from({ length: 15 }, (_, i) => i + 4)]);
  const next = under(first, 1);
  expect([low, next].map(reads)).toEqual(["UNKNOWN_TOPIC_KEY", "read"]);
  agree(peer, library);
});

// §12.5: what a reply gives of a later generation is proven by nothing; its rejoin secret is made up as easily as its key.
test.each(["library", "peer"] as const)(
  "the %s comes back with the rejoin secret of the rekey that it opened, and not with one that was made up",
  async (kind) => {
    const house = new House(31);
    const [root, badSeed] = [house.peer(), house.random.bytes(32)];
    root.establish({ roots: [root.publicKey], topicKey: house.random.bytes(32), now: house.now });
    const [bad, victim] = [house.peer(badSeed), kind === "library" ? await house.library() : house.peer()];
    house.join(root, victim, "publisher");
    house.join(root, bad, "admin", victim);
    const first = root.topicKey as Bytes;
    const rekey = root.rekey();
    const head = headOf(parseRekey(readControlPayload(openMessage(rekey.wire, first, "home").payload).rekey));
    const introduction = house.introduce(victim);
    const facts = { seed: badSeed, introduction, encapsulationSeed: house.random.bytes(64), context: "home" };
    const told = { salt: saltOf(commitmentOf(first)), roots: [root.publicKey], statements: [], head };
    const madeUp = { topicKey: house.random.bytes(32), rejoinSecret: house.random.bytes(32) };
    adopt(victim, makeHandover(facts, { epoch: 1, generation: 1, ...told, ...madeUp }));
    expect(heard(victim, rekey)).toBe("");
    agree(root, victim);
    converse(root, victim);
    expect(root.isReturning(house.introduce(victim), "home")).toBe(true);
  },
);

// §9.2, §12.5: an admin that was removed and has not heard of it answers, too.
test.each(["library", "peer"] as const)("the %s hears whoever answers it, eight at most", async (kind) => {
  const house = new House(35);
  const root = house.peerRoot();
  const admins = Array.from({ length: 8 }, () => house.peer());
  for (const [i, admin] of admins.entries()) house.join(root, admin, "admin", ...admins.slice(0, i));
  const victim = kind === "library" ? await house.library() : house.peer();
  house.join(root, victim, "publisher", ...admins);
  const [removed, ...others] = admins as [RootedPeer, ...RootedPeer[]];
  const revocation = root.revoke(removed.publicKey);
  for (const other of others) expect(heard(other, revocation)).toBe("");
  const introduction = house.introduce(victim);
  const answers = [removed, root, ...others].map((sponsor) => house.answer(sponsor, introduction).reply);
  expect(adopt(victim, answers[0] as Bytes)).toBe(true);
  expect(rosterSeen(victim)).toHaveLength(1 + 8 + 1);
  expect(adopt(victim, answers[1] as Bytes)).toBe(true);
  agree(root, victim);
  for (const reply of answers.slice(2, 8)) expect(adopt(victim, reply)).toBe(true);
  expect(heard(victim, { wire: answers[1] as Bytes })).toBe("REPLAY");
  expect(heard(victim, { wire: answers[8] as Bytes })).toBe("FOREIGN_REPLY");
  converse(root, victim);
});

// §12.2, §10.6: of the wrap keys that a reply tells of, only its sponsor's is beyond doubt.
test.each(["library", "peer"] as const)(
  "the %s admits with no wrap key that a reply of another told of",
  async (kind) => {
    const house = new House(33);
    const root = house.peerRoot();
    const member = house.peer();
    const admin = kind === "library" ? await house.library() : house.peer();
    house.join(root, admin, "admin");
    house.join(root, member, "publisher", admin);
    const wrapOf = (who: RootedPeer): Bytes | undefined => root.known.wraps.get(hex(who.publicKey))?.wrapKey;
    const before = wrapOf(member);
    house.pass(1000);
    expect(heard(root, member.renewWrapKey(house.now))).toBe("");
    root.renewWrapKey(house.now);
    const after = wrapOf(member);
    expect(after).not.toEqual(before);
    adopt(admin, house.answer(root, house.introduce(admin)).reply);
    const topicKey = root.topicKey as Bytes;
    const carried = (whom: RootedPeer, role: "publisher" | "admin"): Bytes | undefined => {
      const { wire } =
        admin instanceof Topic
          ? admin.admit(whom.publicKey, { role, name: "named" })
          : admin.admitKnown(whom.publicKey, role, "named").control;
      const said = readControlPayload(openMessage(wire, topicKey, "home").payload)
        .statements.map(parseStatement)
        .at(-1);
      return said?.kind === "role" && said.wrap.length > 0 ? wrapAlone(whom.publicKey, said.wrap).wrapKey : undefined;
    };
    expect(carried(root, "admin")).toEqual(wrapOf(root));
    expect(carried(member, "publisher")).toEqual(before);
    const again = root.known.wraps.get(hex(member.publicKey))?.bytes ?? none;
    const session = house.random.bytes(12);
    expect(heard(admin, { wire: sealControl(topicKey, "home", controlPayload([again], none), session) })).toBe("");
    expect(carried(member, "publisher")).toEqual(after);
  },
);

// §10.4: of more than 256 links those whom roots made stay, and one after the other of the lineage of each.
test("an admin that makes hundreds of others admins pushes out nobody whom another one made", async () => {
  const { house, rootSeed, root, peer, library, both, control } = await start(34);
  const topicId = root.topicId as Bytes;
  const says = (by: Bytes, whom: Bytes, role: Role): Bytes =>
    makeRoleStatement({ seed: by, topicId, subject: publicKeyOf(whom), version: 1, role });
  const [good, bad, below, last] = [0, 1, 2, 3].map(() => house.random.bytes(32)) as [Bytes, Bytes, Bytes, Bytes];
  const made = [says(rootSeed, bad, "admin"), says(rootSeed, good, "admin")];
  const many = Array.from({ length: 300 }, () => house.random.bytes(32));
  expect(both(control([...made, says(good, below, "admin")]))).toBe("");
  expect(both(control(many.map((each) => says(bad, each, "admin"))))).toBe("");
  agree(peer, library);
  expect(peer.members).toHaveLength(3 + 3 + 300);
  // Without its chain, this is taken in by who knows its issuer.
  expect(both(control([says(below, last, "publisher")]))).toBe("");
  agree(peer, library);
  expect(peer.members.map(({ key }) => key)).toContain(hex(publicKeyOf(last)));
  const statements = many.map((each) => says(each, house.random.bytes(32), "reader"));
  expect(both(control(statements))).toBe("");
  expect(peer.members).toHaveLength(library.members.length);
  expect(peer.members).toHaveLength(3 + 3 + 300 + 1 + 256 - 3);
});

// §11.5: "the digest is that of our statements", of the epoch that counts or of one before it, whether that one ever counted or not.
test("who issued an epoch that did not count, and the one after it that does, knew of a removal", async () => {
  const { house, root, rootSeed, peer, library, both, control } = await start(35);
  const topicId = root.topicId as Bytes;
  const [adminSeed, lostSeed] = [house.random.bytes(32), house.random.bytes(32)];
  house.join(root, house.peer(adminSeed), "admin", peer, library);
  const lost = publicKeyOf(lostSeed);
  house.join(root, house.peer(lostSeed), "publisher", peer, library);
  const first = root.topicKey as Bytes;
  const said = { seed: rootSeed, topicId, subject: lost, version: 9, role: "revoked" } as const;
  expect(both(control([makeRoleStatement(said)]))).toBe("");
  const recipients = [peer, library].map((who) => {
    const { wrapKey } = root.known.wraps.get(hex(who.publicKey)) ?? { wrapKey: none };
    return { identity: who.publicKey, wrapKey };
  });
  const rekey = (seed: Bytes, parentKey: Bytes, epoch: number, digest: Bytes): Bytes => {
    const secrets = { ephemeralSecret: house.random.bytes(32), secret: house.random.bytes(32) };
    const place = { seed, topicId, parentKey, epoch, digest, reason: "requested", recipients, statements: [] } as const;
    const made = makeRekey({ ...place, ...secrets });
    expect(both(control([], made.rekey, parentKey))).toBe("");
    return made.topicKey;
  };
  const unknown = house.random.bytes(32);
  rekey(rootSeed, first, 1, unknown);
  for (const who of [peer, library]) expect(who.topicKey).toBeUndefined();
  const second = rekey(adminSeed, first, 1, peer.known.digest());
  for (const who of [peer, library]) expect(who.topicKey).toBeUndefined();
  rekey(adminSeed, second, 2, unknown);
  expect(peer.topicKey).toBeDefined();
  expect(library.topicKey).toEqual(peer.topicKey);
});

// §11.5: "the statements of that reply say why": an older word that a later one has replaced here may be of a removal before the last.
test.each(["library", "peer"] as const)(
  "a sponsor knew of a removal: the %s does not take its word for it, which a later one has replaced here, until it heard that one",
  async (kind) => {
    const { house, root, rootSeed, peer, library, control } = await start(36);
    const topicId = root.topicId as Bytes;
    const [sponsor, lost] = [house.peer(), house.peer()];
    house.join(root, sponsor, "admin", peer, library);
    house.join(root, lost, "publisher", peer, library, sponsor);
    const said = { seed: rootSeed, topicId, subject: lost.publicKey, role: "revoked" } as const;
    const member = kind === "library" ? library : peer;
    const last = control([makeRoleStatement({ ...said, version: 9 })]);
    expect(heard(sponsor, control([makeRoleStatement({ ...said, version: 5 })]))).toBe("");
    expect(heard(member, last)).toBe("");
    expect(heard(member, sponsor.rekey())).toBe("");
    expect(member.topicKey).toBeUndefined(); // its issuer may not have known
    adopt(member, house.answer(sponsor, house.introduce(member)).reply);
    expect(member.topicKey).toBeUndefined();
    expect(heard(sponsor, last)).toBe("");
    adopt(member, house.answer(sponsor, house.introduce(member)).reply);
    expect(member.topicKey).toEqual(sponsor.topicKey);
  },
);
