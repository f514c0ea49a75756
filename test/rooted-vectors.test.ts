/** The vectors of generations and of rooted topics: the library makes the same bytes, and says of each what they say. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { AdmissionCase } from "../scripts/admission-cases.js";
import type { ControlCase } from "../scripts/control-cases.js";
import type { FollowCase } from "../scripts/generation-cases.js";
import type { RekeyCase } from "../scripts/rekey-cases.js";
import { makeRootedVectors, type RootedVectors } from "../scripts/rooted-cases.js";
import type { MakeRootedReply, RootedIntroductionCase, RootedReplyCase } from "../scripts/rooted-discovery-cases.js";
import type { RosterCase } from "../scripts/roster-cases.js";
import type { StatementCase } from "../scripts/statement-cases.js";
import { NOW, unhex } from "../scripts/vector-secrets.js";
import { toHex as hex } from "../src/bytes.js";
import { diffieHellmanKeyPair, kdf, kemKeyPair, loadCrypto } from "../src/crypto.js";
import { introductionHash, openReply, sealReply, signIntroduction } from "../src/discovery.js";
import { Generations } from "../src/generations.js";
import { Identity, Participant } from "../src/identity.js";
import { formatControl, parse } from "../src/message.js";
import {
  formatHead,
  formatRekey,
  headOf,
  makeRekey,
  openRekey,
  parseHead,
  parseRekey,
  verifyHead,
  wrapReturn,
} from "../src/rekey.js";
import { topicIdOf } from "../src/rooted.js";
import { sealControl } from "../src/sealing.js";
import { parseState } from "../src/state.js";
import { StatementSet } from "../src/statement-set.js";
import {
  formatRenewal,
  isRoleStatement,
  parseStatement,
  parseWrap,
  signRole,
  signWrap,
  statementHash,
  verifyRole,
  verifyWrap,
} from "../src/statements.js";
import { TopicKey } from "../src/topic-key.js";
import { thrownBy } from "./support/expect.js";
import { isStringphoneError, StringphoneError, Topic, type TopicEvent } from "./support/internals.js";
import { memberOf, shownMember } from "./support/member.js";
import { withRandom } from "./support/pinned.js";
import { permutations } from "./support/rooted.js";
import { flipBit } from "./support/topics.js";

await loadCrypto();

function read<N extends keyof RootedVectors>(name: N): RootedVectors[N] {
  return JSON.parse(readFileSync(new URL(`./vectors/rooted/${name}.json`, import.meta.url), "utf8"));
}

function load<N extends keyof RootedVectors>(name: N): RootedVectors[N]["cases"] {
  return read(name).cases;
}

const NAMES = [
  "generations",
  "following",
  "topic-ids",
  "statements",
  "rosters",
  "rekeys",
  "controls",
  "admissions",
  "introductions",
  "replies",
] as const;

/** What a call gives, or that it refuses, as the vectors say it. */
function outcomeOf<T extends object>(call: () => T): T | { refuse: string } {
  try {
    return call();
  } catch (error) {
    if (isStringphoneError(error)) return { refuse: error.code };
    throw error;
  }
}

/** All that somebody knows in a rooted topic. */
function statementsOf(topic: Topic): StatementSet {
  const { rooted, name } = parseState(topic.save());
  if (rooted === undefined) throw new Error("no roster");
  const set = new StatementSet({ topicId: topicIdOf(rooted.salt, rooted.roots), name }, rooted.roots.map(hex));
  set.restoreWithoutVerifying(rooted.statements);
  return set;
}

const alice = new Identity(unhex(load("statements")[0]?.make?.seed ?? "")).participant.publicKey;

describe("the files", () => {
  it("hold what scripts/make-vectors.ts makes", async () => {
    const made = JSON.parse(JSON.stringify(await makeRootedVectors())) as RootedVectors;
    expect(Object.keys(made).sort()).toEqual([...NAMES].sort());
    for (const name of NAMES) expect(read(name), name).toEqual(made[name]);
  });

  it("hold at least 400 cases, each with a name of its own", () => {
    const names = NAMES.flatMap((file) => load(file).map(({ name }) => `${file} ${name}`));
    expect(names.length).toBeGreaterThanOrEqual(400);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe("generations", () => {
  it.each(load("generations"))("$name", ({ topicKey, rejoinSecret, generations }) => {
    expect(hex(kdf(unhex(topicKey), "rejoinSecret"))).toBe(rejoinSecret);
    const keys = new Generations(unhex(topicKey));
    for (const expected of generations) {
      const key = keys.keyAt(expected.generation);
      expect({
        generation: expected.generation,
        topicKey: hex(key.bytes),
        keyId: hex(key.id),
        messageKey: hex(TopicKey.messageKeyOf(key)),
        commitment: hex(key.commitment),
      }).toEqual(expected);
      expect(keys.find(key.idNumber).map(({ generation }) => generation)).toContain(expected.generation);
    }
  });

  it.each(load("following"))("$name", async ({ oldest, topicKey, messages }: FollowCase) => {
    const name = "home/kitchen";
    const bob = await Topic.create({ topicKey: unhex(topicKey), name, participants: [alice], clock: () => NOW });
    for (const { generation, wire, expect: expected } of messages) {
      const outcome = outcomeOf(() => {
        expect(bob.decode(unhex(wire))?.text()).toBe("Hi Bob!");
        // A bare topic counts from the key that it was given.
        return { sendsUnder: oldest + bob.generation };
      });
      expect(outcome, `generation ${generation}`).toEqual(expected);
    }
  });
});

describe("topic ids", () => {
  it.each(load("topic-ids"))("$name", ({ salt, roots, topicId }) => {
    expect(hex(topicIdOf(unhex(salt), roots.map(unhex)))).toBe(topicId);
  });
});

describe("statements", () => {
  function outcome({ bytes, receiver }: Pick<StatementCase, "bytes" | "receiver">): StatementCase["expect"] {
    return outcomeOf((): StatementCase["expect"] => {
      const statement = parseStatement(unhex(bytes));
      const scope = { topicId: unhex(receiver.topicId), name: receiver.topicName };
      if (!isRoleStatement(statement)) {
        verifyWrap(scope, statement);
        const { identity, wrapKey, version } = statement;
        return { accept: "wrap", identity, wrapKey: hex(wrapKey), version, hash: statementHash(unhex(bytes)) };
      }
      verifyRole(scope, statement);
      if (statement.wrap !== undefined) verifyWrap(scope, statement.wrap);
      const { issuer, subject, version, role, name, head, hash } = statement;
      const wrap = statement.wrap && { wrapKey: hex(statement.wrap.wrapKey), version: statement.wrap.version };
      return { accept: "role", issuer, subject, version, role, name, head, wrap: wrap ?? null, hash };
    }) as StatementCase["expect"];
  }

  function made(make: NonNullable<StatementCase["make"]>): Uint8Array {
    const identity = new Identity(unhex(make.seed));
    if ("wrapKey" in make) return formatRenewal(signWrap(identity, make.topicName, unhex(make.wrapKey), make.version));
    const subjectKey = unhex(make.subject);
    const wrap = make.wrap === "" ? undefined : parseWrap(unhex(make.wrap), subjectKey);
    const { version, role, name, head } = make;
    return signRole(identity, unhex(make.topicId), { subjectKey, version, role, name, head, wrap }).bytes;
  }

  it.each(load("statements"))("$name", (one) => {
    expect(outcome(one)).toEqual(one.expect);
    if (one.make !== undefined) expect(hex(made(one.make))).toBe(one.bytes);
  });

  const accepted = load("statements").filter((one) => "accept" in one.expect);

  it.each(accepted)("$name: cut at every byte, and with every bit flipped, it is refused", ({ bytes, receiver }) => {
    const all = unhex(bytes);
    for (let length = 0; length < all.length; length++) {
      expect(outcome({ bytes: hex(all.subarray(0, length)), receiver })).toEqual({ refuse: "MALFORMED_MESSAGE" });
    }
    // Each bit costs a signature check: of long ones every third, which is one at least of every item.
    for (let bit = 0; bit < all.length * 8; bit += all.length > 250 ? 3 : 1) {
      const refusal = outcome({ bytes: hex(flipBit(all, bit)), receiver });
      expect(["MALFORMED_MESSAGE", "BAD_SIGNATURE", "INVALID_KEY"]).toContain("refuse" in refusal && refusal.refuse);
    }
  });
});

describe("rosters", () => {
  function setOf({ topic, before = [] }: RosterCase): StatementSet {
    const topicId = topicIdOf(unhex(topic.salt), topic.roots.map(unhex));
    const set = new StatementSet({ topicId, name: topic.name }, topic.roots);
    for (const lot of before) set.add(set.stage(lot.map(unhex)));
    return set;
  }

  function shown(set: StatementSet): RosterCase["expect"] {
    const roster = [...set.roster].map(([participant, { role, rank }]) => ({ participant, role, rank }));
    return { roster, digest: hex(set.digest) };
  }

  const taken = (one: RosterCase, statements: readonly string[]): RosterCase["expect"] =>
    outcomeOf(() => {
      const set = setOf(one);
      set.add(set.stage(statements.map(unhex)));
      return shown(set);
    }) as RosterCase["expect"];

  const given = load("rosters").filter((one): one is RosterCase => "roster" in one.expect);

  it.each(load("rosters"))("$name", (one) => {
    expect(taken(one, one.statements)).toEqual(one.expect);
  });

  it.each(given)("$name: in every order, and each twice, it is the same", (one) => {
    // Of long lists the order that is furthest away.
    const orders = one.statements.length <= 5 ? [...permutations(one.statements)] : [[...one.statements].reverse()];
    for (const order of orders) {
      expect(taken(one, order)).toEqual(one.expect);
      expect(taken(one, [...order, ...order])).toEqual(one.expect);
    }
  });

  it.each(given)("$name: again, and handed on to somebody else, it is the same", (one) => {
    const set = setOf(one);
    set.add(set.stage(one.statements.map(unhex)));
    set.add(set.stage(one.statements.map(unhex)));
    expect(shown(set)).toEqual(one.expect);
    const other = setOf({ ...one, before: [] });
    other.add(other.stage(set.encoded().reverse()));
    expect(shown(other)).toEqual(one.expect);
  });

  it("what is refused changes nothing", () => {
    const refused = load("rosters").filter((one) => "refuse" in one.expect);
    expect(refused.length).toBeGreaterThan(0);
    for (const one of refused) {
      const set = setOf(one);
      const before = shown(set);
      expect(thrownBy(() => set.add(set.stage(one.statements.map(unhex))))).toBeInstanceOf(StringphoneError);
      expect(shown(set)).toEqual(before);
    }
  });
});

describe("rekeys", () => {
  function outcome({ bytes, receiver }: Pick<RekeyCase, "bytes" | "receiver">): RekeyCase["expect"] {
    return outcomeOf((): RekeyCase["expect"] => {
      const rekey = parseRekey(unhex(bytes));
      const topicId = unhex(receiver.topicId);
      verifyHead(topicId, rekey);
      const self = new Participant(unhex(receiver.identityKey));
      const pairs = receiver.wrapSecrets.map((secret) => diffieHellmanKeyPair(unhex(secret)));
      const opened = openRekey(topicId, new TopicKey(unhex(receiver.parentKey)), rekey, self, pairs);
      const head = formatHead(headOf(rekey));
      // Who has the head alone can check it too.
      verifyHead(topicId, parseHead(head));
      const known = { commitment: hex(rekey.commitment), head: hex(head) };
      if (opened.result !== "opened") return { accept: opened.result === "unfit" ? "bad" : "not-for-us", ...known };
      const key = new TopicKey(opened.key);
      expect(hex(key.commitment)).toBe(known.commitment);
      return { accept: "opened", topicKey: hex(opened.key), keyId: hex(key.id), ...known };
    }) as RekeyCase["expect"];
  }

  it.each(load("rekeys"))("$name", (one) => {
    expect(outcome(one)).toEqual(one.expect);
    if (one.make === undefined) return;
    const { seed, topicId, parentKey, epoch, reason, ephemeralSecret, secret, digest, recipients, statements } =
      one.make;
    const whom = recipients.map(({ identityKey, wrapKey }) => ({
      identityKey: unhex(identityKey),
      wrapKey: unhex(wrapKey),
    }));
    const content = { epoch, reason, recipients: whom, digest: unhex(digest), statements: statements.map(unhex) };
    const { rekey } = withRandom([unhex(secret), unhex(ephemeralSecret)], () =>
      makeRekey(new Identity(unhex(seed)), unhex(topicId), new TopicKey(unhex(parentKey)), content),
    );
    expect(hex(formatRekey(rekey))).toBe(one.bytes);
  });

  const opened = load("rekeys").filter((one) => "accept" in one.expect && one.expect.accept === "opened");

  it.each(opened.slice(0, 6))(
    "$name: cut at every byte, and with every bit flipped, it is refused",
    ({ bytes, receiver }) => {
      const all = unhex(bytes);
      for (let length = 0; length < all.length; length++) {
        expect(outcome({ bytes: hex(all.subarray(0, length)), receiver })).toEqual({ refuse: "MALFORMED_MESSAGE" });
      }
      for (let bit = 0; bit < all.length * 8; bit++) {
        const refusal = outcome({ bytes: hex(flipBit(all, bit)), receiver });
        expect(["MALFORMED_MESSAGE", "BAD_SIGNATURE"]).toContain("refuse" in refusal && refusal.refuse);
      }
    },
  );
});

describe("control messages", () => {
  const { receiver: state } = read("controls");

  async function bobOf({ before = [], receiver }: ControlCase, told: TopicEvent[] = []): Promise<Topic> {
    const { seed, topic, topicKey } = state;
    if (receiver.bare) return Topic.create({ seed: unhex(seed), topicKey: unhex(topicKey), name: topic.name });
    const bob = await memberOf(state, (event) => told.push(event));
    for (const wire of before) expect(bob.decode(unhex(wire))).toBeNull();
    return bob;
  }

  async function outcome(bob: Topic, { wire, receiver }: ControlCase, told: TopicEvent[]) {
    await Promise.resolve();
    told.splice(0);
    try {
      const { context, options } = receiver;
      const naive = options.naive === true;
      expect(naive ? bob.decode(unhex(wire), { context, naive }) : bob.decode(unhex(wire), { context })).toBeNull();
    } catch (error) {
      if (isStringphoneError(error)) return { refuse: error.code };
      throw error;
    }
    await Promise.resolve();
    const { rejoinSecret: _, ...shown } = shownMember(bob);
    const report = told.find(({ type }) => type === "bad-rekey" || type === "seed-stolen");
    return { accept: true, ...shown, report: report?.type ?? null };
  }

  it.each(load("controls"))("$name", async (one) => {
    const told: TopicEvent[] = [];
    const bob = await bobOf(one, told);
    const before = one.receiver.bare ? undefined : shownMember(bob);
    expect(await outcome(bob, one, told)).toEqual(one.expect);
    if ("refuse" in one.expect && before !== undefined) expect(shownMember(bob)).toEqual(before);
    if (one.make === undefined) return;
    const { topicKey, session, context, statements, rekey } = one.make;
    const payload = formatControl(statements.map(unhex), unhex(rekey));
    const position = { session: unhex(session), sequence: 0, context };
    expect(hex(sealControl(new TopicKey(unhex(topicKey)), position, payload))).toBe(one.wire);
  });

  const accepted = load("controls").filter((one) => "accept" in one.expect && one.before === undefined);

  it.each(accepted)(
    "$name: cut at every byte, and with every bit flipped, it is refused and changes nothing",
    async (one) => {
      const told: TopicEvent[] = [];
      const bob = await bobOf(one, told);
      const before = shownMember(bob);
      const wire = unhex(one.wire);
      for (let length = 0; length < wire.length; length++) {
        expect(thrownBy(() => bob.decode(wire.subarray(0, length)))).toBeInstanceOf(StringphoneError);
      }
      for (let bit = 0; bit < wire.length * 8; bit++) {
        expect(thrownBy(() => bob.decode(flipBit(wire, bit)))).toBeInstanceOf(StringphoneError);
      }
      expect(shownMember(bob)).toEqual(before);
      expect(await outcome(bob, one, told)).toEqual(one.expect);
    },
  );
});

describe("admissions", () => {
  const { admins } = read("admissions");

  it.each(load("admissions"))("$name", async ({ by, before, subject, role, called, expect: expected }) => {
    const admin = await memberOf(admins[by]);
    for (const wire of before) expect(admin.decode(unhex(wire))).toBeNull();
    const issuer = new Identity(unhex(admins[by].seed)).participant.hex;
    const said = outcomeOf((): AdmissionCase["expect"] => {
      admin.admit(unhex(subject), { role, name: called });
      const statement = statementsOf(admin).get(issuer, subject);
      return { accept: true, statement: hex(statement?.bytes ?? new Uint8Array(0)) };
    });
    expect(said).toEqual(expected);
  });
});

describe("introductions", () => {
  const { receiver: state } = read("introductions");

  function raised(alice: Topic, wire: string): RootedIntroductionCase["expect"] {
    return outcomeOf((): RootedIntroductionCase["expect"] => {
      const error = thrownBy(() => alice.decode(unhex(wire)));
      if (!isStringphoneError(error) || error.code !== "INTRODUCTION") throw error;
      const { introduction } = error;
      const senderKey = hex(introduction.senderKey);
      const admit = outcomeOf(() => {
        alice.admit(introduction);
        return { wrapVersion: statementsOf(alice).wrapOf(senderKey)?.version ?? null };
      });
      const id = hex(introductionHash(unhex(wire)).subarray(0, 16));
      const returns = introduction.isReturning;
      return { accept: true, senderKey, id, returns, admit } as RootedIntroductionCase["expect"];
    }) as RootedIntroductionCase["expect"];
  }

  it.each(load("introductions"))("$name", async ({ make, wire, expect: expected }) => {
    expect(raised(await memberOf(state), wire)).toEqual(expected);
    if (make === undefined) return;
    const { seed, kemSeed, wrapStatement, rejoin, name, sentAt, context } = make;
    const secret = rejoin === null ? undefined : { epoch: rejoin.epoch, secret: unhex(rejoin.secret) };
    const facts = { name, sentAt, context, wrapStatement: unhex(wrapStatement), rejoin: secret };
    const made = signIntroduction(new Identity(unhex(seed)), kemKeyPair(unhex(kemSeed)).publicKey, facts);
    expect(hex(made)).toBe(wire);
  });

  const raisedOnes = load("introductions").flatMap(({ name, wire, expect: expected }) =>
    "accept" in expected ? [{ name, wire, returns: expected.returns }] : [],
  );

  it.each(raisedOnes)("$name: it is answered unasked only if it comes back", async ({ wire, returns }) => {
    const alice = await memberOf(state);
    const answer = outcomeOf(() => ({ type: parse(alice.constructReply(unhex(wire)), 0).type }));
    expect(answer).toEqual(returns ? { type: "reply" } : { refuse: "UNTRUSTED_KEY" });
  });
});

describe("replies", () => {
  const { newcomer, member } = read("replies");
  const newcomers = { newcomer, member } as const;

  /** Bob, who made the introduction just now. */
  async function bobOf({ receiver, before }: Pick<RootedReplyCase, "receiver" | "before">): Promise<Topic> {
    const { seed, wrapSecret, introduction, kemSeed } = newcomers[receiver];
    const isMember = receiver === "member";
    const bob = isMember
      ? await memberOf(member)
      : await Topic.create({ seed: unhex(seed), name: member.topic.name, clock: () => NOW });
    const drawn = isMember ? [unhex(kemSeed)] : [unhex(wrapSecret), unhex(kemSeed)];
    const made = withRandom(drawn, () => bob.constructIntro());
    expect(hex(made)).toBe(introduction);
    if (before !== undefined) {
      expect(outcome(bob, before.wire)).toHaveProperty("accept", true);
      const again = withRandom([unhex(before.kemSeed)], () => bob.constructIntro());
      expect(hex(again)).toBe(before.introduction);
    }
    return bob;
  }

  function outcome(bob: Topic, wire: string): RootedReplyCase["expect"] {
    return outcomeOf((): RootedReplyCase["expect"] => {
      const error = thrownBy(() => bob.decode(unhex(wire)));
      if (!isStringphoneError(error) || error.code !== "INTRODUCTION_REPLY") throw error;
      const { reply } = error;
      bob.parseReply(reply);
      const { rejoinSecret, ...shown } = shownMember(bob);
      if (rejoinSecret === null || bob.topicId === undefined) throw new Error("no rooted topic was adopted");
      const { generation } = bob;
      const sponsorKey = hex(reply.senderKey);
      return {
        accept: true,
        sponsorKey,
        returns: reply.isReturning,
        topicId: hex(bob.topicId),
        ...shown,
        generation,
        rejoinSecret,
      };
    }) as RootedReplyCase["expect"];
  }

  function made(make: MakeRootedReply, wire: Uint8Array): Uint8Array {
    const { topicKey: plain, returnWrap, ...rest } = make;
    const parsed = parse(wire, 0);
    if (parsed.type !== "introduction") throw new Error("not an introduction");
    const { identityKey } = parsed;
    const binding = introductionHash(wire);
    const wrapKey = unhex(returnWrap?.wrapKey ?? "");
    const secrets = { topicKey: unhex(plain), rejoinSecret: unhex(rest.rejoinSecret) };
    const wrapped =
      returnWrap === null
        ? undefined
        : withRandom([unhex(returnWrap.ephemeralSecret)], () => wrapReturn(secrets, { identityKey, wrapKey }, binding));
    const given = wrapped === undefined ? secrets : { topicKey: wrapped, rejoinSecret: new Uint8Array(0) };
    const content = {
      epoch: rest.epoch,
      generation: rest.generation,
      ...given,
      salt: unhex(rest.salt),
      roots: rest.roots.map(unhex),
      statements: rest.statements.map(unhex),
      head: unhex(rest.head),
    };
    const provenSecret = rest.provenSecret === null ? undefined : unhex(rest.provenSecret);
    const introduction = { wire: parsed, hash: binding, context: rest.context, provenSecret };
    return sealReply(new Identity(unhex(rest.seed)), content, introduction, unhex(rest.encapsulationSeed));
  }

  it.each(load("replies"))("$name", async (one) => {
    expect(outcome(await bobOf(one), one.wire)).toEqual(one.expect);
    const { introduction } = one.before ?? newcomers[one.receiver];
    if (one.make !== undefined) expect(hex(made(one.make, unhex(introduction)))).toBe(one.wire);
  });

  const refused = load("replies").filter((one) => "refuse" in one.expect);

  it.each(refused)("$name: it changes nothing, and a good reply is adopted after it", async (one) => {
    const bob = await bobOf(one);
    const isMember = one.receiver === "member";
    const before = isMember ? shownMember(bob) : bob.topicKey;
    expect(outcome(bob, one.wire)).toEqual(one.expect);
    expect(isMember ? shownMember(bob) : bob.topicKey).toEqual(before);
    const good = load("replies").find(
      (other) =>
        "accept" in other.expect &&
        other.receiver === one.receiver &&
        other.before?.wire === one.before?.wire &&
        other.before?.introduction === one.before?.introduction,
    );
    expect(outcome(bob, good?.wire ?? "")).toEqual(good?.expect);
  });

  const first = load("replies")
    .filter((one) => "accept" in one.expect && one.make?.epoch === 0)
    .slice(0, 1);

  it.each(first)("$name: cut at every byte, and with bits flipped, it is refused", async (one) => {
    const wire = unhex(one.wire);
    const bob = await bobOf(one);
    for (let length = 0; length < wire.length; length++) {
      expect(outcome(bob, hex(wire.subarray(0, length)))).toEqual({ refuse: "MALFORMED_MESSAGE" });
    }
    const { introduction, kemSeed } = newcomers[one.receiver];
    const context = member.topic.name;
    const open = (bytes: Uint8Array) =>
      outcomeOf(() => {
        const reply = parse(bytes, 0);
        if (reply.type !== "reply") throw new Error("not a reply");
        return openReply(reply, { hash: introductionHash(unhex(introduction)), context }, unhex(kemSeed));
      });
    // The id is looked up before anything is opened; what follows it, from the ciphertexts on, is opened.
    for (let bit = 0; bit < 20 * 8; bit++) {
      expect(thrownBy(() => bob.decode(flipBit(wire, bit)))).toBeInstanceOf(StringphoneError);
    }
    for (let bit = 20 * 8; bit < wire.length * 8; bit += 7) {
      const refusal = open(flipBit(wire, bit));
      expect(["MALFORMED_MESSAGE", "DECRYPTION_FAILED"]).toContain("refuse" in refusal && refusal.refuse);
    }
  });
});
