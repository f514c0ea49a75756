/** What a hostile participant can make everybody hold and compute in a rooted topic. The bounds are smaller here, so that it is quick. */
import { describe, expect, it, vi } from "vitest";
import { diffieHellmanKeyPair, randomBytes } from "../../src/crypto.js";
import { introductionHash, sealReply } from "../../src/discovery.js";
import { Identity } from "../../src/identity.js";
import { Topic } from "../../src/index.js";
import { parse, type WireIntroduction } from "../../src/message.js";
import { formatRenewal, signWrap } from "../../src/statements.js";
import { expectCode } from "../support/expect.js";
import {
  forgeControl,
  hear,
  pair,
  roleOf,
  SEEDS,
  say,
  somebody,
  standStill,
  stolen,
  tell,
  World,
} from "../support/rooted.js";
import { NAME } from "../support/topics.js";

const MOST = vi.hoisted(() => 32);
const counts = vi.hoisted(() => ({ verify: 0 }));

vi.mock("../../src/limits.js", async (original) => ({
  ...(await original<typeof import("../../src/limits.js")>()),
  MAX_STATEMENTS_PER_ISSUER: MOST,
  MAX_STATEMENTS: 4 * MOST,
}));

vi.mock("../../src/crypto.js", async (original) => {
  const crypto = await original<typeof import("../../src/crypto.js")>();
  const verify: typeof crypto.verify = (...of) => {
    counts.verify++;
    return crypto.verify(...of);
  };
  return { ...crypto, verify };
});

standStill();

describe("a hostile admin", () => {
  it("cannot make a root forget what it said: by revocations that the root signs again when it removes that admin", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const statements: Uint8Array[] = [];
    for (let i = 0; i < MOST; i++) {
      const { seed, key } = somebody(i);
      // Made up, revoked, and with a word of its own that makes the root take a greater version than for whom it knows.
      statements.push(say(SEEDS.admin, root, key, "revoked", 1), say(seed, root, key, "revoked", 1000));
    }
    tell(forgeControl(root.topicKey as Uint8Array, { statements }), root, carol, bob);
    tell(root.revoke(admin.publicKey, { keep: "all" }).wire, carol, bob);
    for (const topic of [root, carol, bob]) {
      expect([carol, bob, admin].map((whom) => roleOf(topic, whom))).toEqual(["publisher", "publisher", undefined]);
    }
  });

  it("and afterwards the root still admits whom it likes", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const statements: Uint8Array[] = [];
    for (let i = 0; i < MOST; i++) {
      const { seed, key } = somebody(i);
      statements.push(say(SEEDS.admin, root, key, "revoked", 1), say(seed, root, key, "revoked", 1000));
    }
    tell(forgeControl(root.topicKey as Uint8Array, { statements }), root, carol, bob);
    tell(root.revoke(admin.publicKey, { keep: "all" }).wire, carol, bob);
    const dave = await world.create();
    expect(() => pair(root, dave)).not.toThrow();
    expect(roleOf(root, dave)).toBe("publisher");
  });

  it("cannot so bring somebody back whom one root had removed, and another admitted: it is answered without a person", async () => {
    const world = new World();
    const root = await world.create({ seed: SEEDS.root, answerReturning: true });
    const seed = new Uint8Array(32).fill(0x91);
    const rootKey = (of: Uint8Array) => new Identity(of).participant.publicKey;
    const second = await world.establish({ seed, roots: [rootKey(SEEDS.root), rootKey(seed)] });
    pair(second, root, "admin");
    const [admin, dave, carol] = [
      await world.create({ seed: SEEDS.admin }),
      await world.create(),
      await world.create(),
    ];
    tell(pair(second, dave).wire, root);
    tell(pair(second, carol).wire, root, dave);
    tell(pair(root, admin, "admin").wire, second, dave, carol);
    tell(root.revoke(dave.publicKey).wire, second, carol, admin, dave);
    expect(roleOf(carol, dave)).toBeUndefined();

    const statements: Uint8Array[] = [];
    for (let i = 0; i < MOST; i++) {
      const made = somebody(i);
      statements.push(say(SEEDS.admin, root, made.key, "revoked", 1), say(made.seed, root, made.key, "revoked", 1000));
    }
    tell(forgeControl(root.topicKey as Uint8Array, { statements }), root, second, carol);
    tell(root.revoke(admin.publicKey, { keep: "all" }).wire, second, carol);
    if (root.rekeyWanted !== undefined) tell(root.rekey().wire, second, carol, dave);
    await world.eventsOf(root);
    hear(root, dave.constructIntro());
    expect(await world.told(root, "answered")).toEqual([]);
    for (const topic of [root, second, carol]) expect(roleOf(topic, dave)).toBeUndefined();
  });

  it("cannot bring a root back that left: by what it says of it, and pushes out again", async () => {
    const world = new World();
    const seed = new Uint8Array(32).fill(0x91);
    const left = new Identity(seed).participant.publicKey;
    const root = await world.establish({
      seed: SEEDS.root,
      roots: [new Identity(SEEDS.root).participant.publicKey, left],
    });
    const admin = await world.create({ seed: SEEDS.admin });
    pair(root, admin, "admin");
    const statements = [say(seed, root, left, "revoked", 1), say(SEEDS.admin, root, left, "admin", 1)];
    for (let i = 0; i < MOST; i++) statements.push(say(SEEDS.admin, root, somebody(i).key, "reader", 2));
    const wire = forgeControl(root.topicKey as Uint8Array, { statements });
    tell(wire, root, admin);
    for (const topic of [root, admin]) {
      expect(stolen(topic).rooted?.statements.roles.length).toBeLessThan(2 * MOST);
      expect(topic.members.map(({ participant }) => participant.publicKey)).not.toContainEqual(left);
    }
  });

  it("cannot fill memory beyond the bounds: wrap statements of those who were forgotten go with them", async () => {
    const world = new World();
    const { root, carol } = await world.family();
    for (let round = 0; round < 8; round++) {
      const statements: Uint8Array[] = [];
      for (let i = 0; i < MOST; i++) {
        const { seed, key } = somebody(round * MOST + i);
        const wrap = signWrap(new Identity(seed), NAME, diffieHellmanKeyPair().publicKey, 1);
        statements.push(say(SEEDS.admin, root, key, "reader", round + 1, { wrap }));
      }
      tell(forgeControl(root.topicKey as Uint8Array, { statements }), carol);
    }
    const saved = stolen(carol).rooted?.statements;
    expect(saved?.roles.length).toBeLessThanOrEqual(2 * MOST);
    expect(saved?.wraps.length).toBeLessThanOrEqual(2 * MOST);
  });

  it("cannot fill memory beyond the bounds: nor by self-revocations of those whom it made up", async () => {
    const world = new World();
    const { root, carol } = await world.family();
    for (let round = 0; round < 8; round++) {
      const statements: Uint8Array[] = [];
      for (let i = 0; i < MOST; i++) {
        const { seed, key } = somebody(round * MOST + i);
        statements.push(say(SEEDS.admin, root, key, "revoked", round + 1), say(seed, root, key, "revoked", 1));
      }
      tell(forgeControl(root.topicKey as Uint8Array, { statements }), carol);
    }
    // One issuer, and of each whom it speaks of one word of its own.
    expect(stolen(carol).rooted?.statements.roles.length).toBeLessThanOrEqual(3 * MOST);
  });
});

describe("a hostile admin that makes others admins who say as much as they may", () => {
  /** The admin makes eight accomplices, each of whom speaks of as many as one issuer may. */
  async function flooded() {
    const world = new World();
    const { root, admin, carol, bob } = await world.family();
    const statements: Uint8Array[] = [];
    for (let i = 0; i < 8; i++) {
      const { seed, key } = somebody(1000 + i);
      statements.push(say(SEEDS.admin, root, key, "admin", 1));
      for (let j = 0; j < MOST; j++) statements.push(say(seed, root, somebody(i * MOST + j).key, "reader", 1));
    }
    tell(forgeControl(root.topicKey as Uint8Array, { statements }), root, carol, bob);
    return { world, root, admin, carol, bob };
  }

  it("cannot fill memory beyond the bound, and pushes out nothing that a smaller rank said", async () => {
    const { root, carol, bob, admin } = await flooded();
    for (const topic of [root, carol, bob]) {
      expect(stolen(topic).rooted?.statements.roles.length).toBeLessThanOrEqual(4 * MOST);
      expect([admin, carol, bob].map((whom) => roleOf(topic, whom))).toEqual(["admin", "publisher", "publisher"]);
    }
  });

  it("leaves nothing that takes room from what is said later", async () => {
    const { world, root, admin, carol, bob } = await flooded();
    tell(root.revoke(admin.publicKey, { keep: "none" }).wire, carol, bob);
    for (let i = 0; i < MOST - 4; i++) {
      const dave = await world.create();
      tell(pair(root, dave).wire, carol, bob);
      for (const topic of [root, carol, bob]) expect(roleOf(topic, dave)).toBe("publisher");
    }
  });
});

describe("an admin that says as much as one may", () => {
  it("is told so, and says nothing that would push out what it said before", async () => {
    const world = new World();
    const { root, carol } = await world.family();
    const before = stolen(root).rooted?.statements.roles.length as number;
    for (let i = 0; i < MOST - before; i++) root.admit(somebody(i).key);
    expectCode("FORBIDDEN", () => root.admit(somebody(MOST).key));
    expectCode("FORBIDDEN", () => root.revoke(somebody(MOST).key));
    expect(stolen(root).rooted?.statements.roles).toHaveLength(MOST);
    // Of whom it has spoken it speaks on.
    root.revoke(carol.publicKey);
    expect(roleOf(root, carol)).toBeUndefined();
  });
});

describe("a stranger", () => {
  it("cannot make a newcomer hold the statements of replies that nobody has confirmed", async () => {
    const mallory = new Identity(somebody(1).seed);
    const introduced = async () => {
      const newcomer = await Topic.create({ name: NAME });
      const intro = newcomer.constructIntro();
      const wire = parse(intro, 1 << 20) as WireIntroduction;
      const introduction = { wire, hash: introductionHash(intro), context: NAME };
      const send = (statements: Uint8Array[]) => () => {
        const [topicKey, head, rejoinSecret] = [somebody(2).seed, somebody(3).seed, somebody(4).seed];
        const roots = [mallory.participant.publicKey];
        const salt = new Uint8Array(16);
        const content = { epoch: 0, generation: 0, topicKey, salt, roots, statements, head, rejoinSecret };
        newcomer.decode(sealReply(mallory, content, introduction, randomBytes(64)));
      };
      return { newcomer, send };
    };
    const { newcomer, send } = await introduced();
    // 65 KB on the wire that would be many times as much in memory.
    expectCode("MALFORMED_MESSAGE", send(Array.from({ length: 65_000 }, () => new Uint8Array(0))));
    const large = Array.from({ length: 60_000 }, () => new Uint8Array(128));
    const small = expectCode("INTRODUCTION_REPLY", send([])).reply;
    const replies = Array.from({ length: 4 }, () => expectCode("INTRODUCTION_REPLY", send(large)).reply);
    // Of 31 MB the two that came last are kept, and what is small.
    const outcomes = [small, ...replies].map((reply) => {
      try {
        return newcomer.parseReply(reply);
      } catch (error) {
        return (error as { code: string }).code;
      }
    });
    expect(outcomes).toEqual([
      "MALFORMED_MESSAGE",
      "FOREIGN_REPLY",
      "FOREIGN_REPLY",
      "MALFORMED_MESSAGE",
      "MALFORMED_MESSAGE",
    ]);
    newcomer.dispose();
  });
});

describe("what an admin says beyond its bound", () => {
  it("costs its signatures once, and not again with each copy that the broker makes", async () => {
    const world = new World();
    const { root, carol } = await world.family();
    const statements = Array.from({ length: 3 * MOST }, (_, i) =>
      say(SEEDS.admin, root, somebody(i).key, "reader", 1 + (i % 7)),
    );
    const wire = forgeControl(root.topicKey as Uint8Array, { statements });
    expect(hear(carol, wire)).toBeNull();
    const said = stolen(carol).rooted?.statements;
    counts.verify = 0;
    expect(hear(carol, wire)).toBeNull();
    expect(counts.verify).toBe(0);
    expect(stolen(carol).rooted?.statements).toEqual(said);
    // What is stronger than what is kept still comes in.
    const one = say(SEEDS.admin, root, somebody(0).key, "reader", 9);
    expect(hear(carol, forgeControl(root.topicKey as Uint8Array, { statements: [one] }))).toBeNull();
    expect(carol.members.map(({ participant }) => participant.publicKey)).toContainEqual(somebody(0).key);
  });
});

describe("a reader, or who was removed", () => {
  it("cannot cost more than a few signature checks by a control message full of wrap statements of its own", async () => {
    const world = new World();
    const { root, carol, bob } = await world.family({ role: "reader" });
    const oldKey = root.topicKey as Uint8Array;
    tell(root.revoke(bob.publicKey).wire, carol);
    const identity = new Identity(SEEDS.bob);
    const { publicKey } = diffieHellmanKeyPair();
    const statements = Array.from({ length: 500 }, (_, i) =>
      formatRenewal(signWrap(identity, NAME, publicKey, 2 ** 41 + i)),
    );
    const wire = forgeControl(oldKey, { statements });
    counts.verify = 0;
    expect(hear(carol, wire)).toBeNull();
    expect(counts.verify).toBeLessThan(10);
  });
});
