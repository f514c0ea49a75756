import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { type BatchCase, batchOf } from "../scripts/batch-cases.js";
import type { IntroductionCase, MessageCase, ReplyCase, Vectors } from "../scripts/vector-cases.js";
import { introductionOf, makeVectors, messageOf, replyOf } from "../scripts/vector-cases.js";
import { kemKeyPair, loadCrypto } from "../src/crypto.js";
import { introductionHash, openReply } from "../src/discovery.js";
import { formatReply, parse, parseReplyPlaintext } from "../src/message.js";
import { expectCode, thrownBy } from "./support/expect.js";
import { fingerprint, Received, StringphoneError, Topic, UnverifiedMessage } from "./support/internals.js";
import { flipBit } from "./support/topics.js";

function load(name: keyof Vectors): unknown {
  return JSON.parse(readFileSync(new URL(`./vectors/${name}.json`, import.meta.url), "utf8"));
}

const messages = load("messages") as Vectors["messages"];
const { cases: batches } = load("batches") as Vectors["batches"];
const { cases: introductions } = load("introductions") as Vectors["introductions"];
const { cases: replies } = load("replies") as Vectors["replies"];
const { cases: keys } = load("keys") as Vectors["keys"];

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
const secret = (who: string, what: string): string => {
  const value = messages.secrets[who]?.[what];
  if (value === undefined) throw new Error(`no secret ${what} of ${who}`);
  return value;
};

/** Bob as a case wants him: a fresh one for every case. */
async function bobOf({ receiver, before = [] }: Pick<MessageCase | BatchCase, "receiver" | "before">): Promise<Topic> {
  const bob = await Topic.create({
    seed: unhex(secret("bob", "seed")),
    topicKey: unhex(secret("topic", "topicKey")),
    name: receiver.context,
    participants: [unhex(secret("alice", "publicKey"))],
    clock: () => receiver.now,
  });
  for (const wire of before) bob.decodeBatch(unhex(wire));
  return bob;
}

/** What a case expects, from what decode did. */
function outcomeOf(decode: () => unknown): MessageCase["expect"] {
  try {
    const result = decode();
    if (result === null) return { accept: "null" };
    if (result instanceof UnverifiedMessage) {
      return { accept: "unverified", payload: hex(result.payload), claimedSender: hex(result.claimedSender) };
    }
    if (!(result instanceof Received)) throw new Error("decode gave something else");
    const { payload, sender, sentAt, delivery, sequence } = result;
    return { accept: "message", sender: hex(sender.publicKey), payload: hex(payload), sentAt, delivery, sequence };
  } catch (error) {
    if (error instanceof StringphoneError) return { refuse: error.code as never };
    throw error;
  }
}

beforeAll(() => loadCrypto());

describe("the files", () => {
  it("hold what scripts/make-vectors.ts makes", async () => {
    const made = JSON.parse(JSON.stringify(await makeVectors()));
    for (const name of ["messages", "batches", "introductions", "replies", "keys"] as const)
      expect(load(name), name).toEqual(made[name]);
  });

  it("hold at least 80 cases, each with a name of its own", () => {
    const names = [messages.cases, batches, introductions, replies, keys].flatMap((cases, i) =>
      cases.map(({ name }) => `${i} ${name}`),
    );
    expect(names.length).toBeGreaterThanOrEqual(80);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe("messages", () => {
  it.each(messages.cases)("$name", async (one) => {
    const bob = await bobOf(one);
    expect(outcomeOf(() => bob.decode(unhex(one.wire), one.receiver.options))).toEqual(one.expect);
    if (one.make !== undefined) expect(hex(messageOf(one.make))).toBe(one.wire);
  });

  const accepted = messages.cases.filter(
    (one) => "accept" in one.expect && one.expect.accept === "message" && one.wire.length < 600,
  );

  it.each(accepted)(
    "$name: cut at every byte, and with every bit flipped, it is refused and changes nothing",
    async (one) => {
      const bob = await bobOf(one);
      const wire = unhex(one.wire);
      const { options } = one.receiver;
      for (let length = 0; length < wire.length; length++) {
        expect(thrownBy(() => bob.decode(wire.subarray(0, length), options))).toBeInstanceOf(StringphoneError);
      }
      for (let bit = 0; bit < wire.length * 8; bit++) {
        expect(thrownBy(() => bob.decode(flipBit(wire, bit), options))).toBeInstanceOf(StringphoneError);
      }
      expect(outcomeOf(() => bob.decode(wire, options))).toEqual(one.expect);
    },
  );
});

describe("batches", () => {
  /** What a case expects, from what decoding did. */
  function batchOutcomeOf(bob: Topic, wire: Uint8Array, given: BatchCase["receiver"]["options"]): BatchCase["expect"] {
    const { single, ...options } = given;
    try {
      const received: unknown = single ? bob.decode(wire, options) : bob.decodeBatch(wire, options);
      const list = [received].flat() as (Received | UnverifiedMessage)[];
      if (list[0] === undefined) return { accept: "null" };
      const payloads = list.map(({ payload }) => hex(payload));
      const all = list.filter((one) => one instanceof Received);
      const [first] = all;
      if (first === undefined) return { accept: "unverified", payloads };
      for (const one of all) expect(one).toMatchObject({ sentAt: first.sentAt, delivery: first.delivery });
      return {
        accept: "batch",
        sender: hex(first.sender.publicKey),
        payloads,
        sequences: all.map(({ sequence }) => sequence),
        missed: all.map(({ missed }) => missed ?? null),
        sentAt: first.sentAt,
        delivery: first.delivery,
      };
    } catch (error) {
      if (error instanceof StringphoneError) return { refuse: error.code as never };
      throw error;
    }
  }

  it.each(batches)("$name", async (one) => {
    const bob = await bobOf(one);
    if (one.make !== undefined) expect(hex(batchOf(one.make))).toBe(one.wire);
    expect(batchOutcomeOf(bob, unhex(one.wire), one.receiver.options)).toEqual(one.expect);
  });

  const accepted = batches.filter(
    (one) =>
      "accept" in one.expect && one.expect.accept === "batch" && one.wire.length < 600 && one.before === undefined,
  );

  it.each(accepted)(
    "$name: cut at every byte, and with every bit flipped, it is refused and changes nothing",
    async (one) => {
      const bob = await bobOf(one);
      const wire = unhex(one.wire);
      for (let length = 0; length < wire.length; length++) {
        expect(thrownBy(() => bob.decodeBatch(wire.subarray(0, length)))).toBeInstanceOf(StringphoneError);
      }
      for (let bit = 0; bit < wire.length * 8; bit++) {
        expect(thrownBy(() => bob.decodeBatch(flipBit(wire, bit)))).toBeInstanceOf(StringphoneError);
      }
      expect(batchOutcomeOf(bob, wire, one.receiver.options)).toEqual(one.expect);
    },
  );
});

describe("introductions", () => {
  it.each(introductions)("$name", async ({ make, wire, receiver, expect: expected }) => {
    const sponsor = await Topic.create({ name: receiver.context, clock: () => receiver.now });
    if (make !== undefined) expect(hex(introductionOf(make))).toBe(wire);
    if ("refuse" in expected) {
      expectCode(expected.refuse, () => sponsor.decode(unhex(wire)));
      return;
    }
    const { introduction } = expectCode("INTRODUCTION", () => sponsor.decode(unhex(wire)));
    expect(hex(introduction.senderKey)).toBe(expected.senderKey);
    expect(introduction.name).toBe(expected.name);
    expect(hex(introductionHash(unhex(wire)).subarray(0, 16))).toBe(expected.id);
  });

  it("cut at every byte it is refused", async () => {
    const { wire, receiver } = introductions[0] as IntroductionCase;
    const sponsor = await Topic.create({ name: receiver.context, clock: () => receiver.now });
    const bytes = unhex(wire);
    for (let length = 0; length < bytes.length; length++) {
      expectCode("MALFORMED_MESSAGE", () => sponsor.decode(bytes.subarray(0, length)));
    }
  });

  it("with any bit flipped it is refused", async () => {
    const { wire, receiver } = introductions[0] as IntroductionCase;
    const bytes = unhex(wire);
    for (let bit = 0; bit < bytes.length * 8; bit += 5) {
      // A fresh sponsor, because one verifies only so many at once.
      const sponsor = await Topic.create({ name: receiver.context, clock: () => receiver.now });
      const error = thrownBy(() => sponsor.decode(flipBit(bytes, bit))) as StringphoneError;
      expect(["MALFORMED_MESSAGE", "UNSUPPORTED_VERSION", "BAD_SIGNATURE", "INVALID_KEY"]).toContain(error.code);
    }
  });
});

describe("replies", () => {
  it.each(replies)("$name", ({ make, wire, receiver, expect: expected }) => {
    const introduction = { hash: introductionHash(unhex(receiver.introduction)), context: receiver.context };
    const { secretKey } = kemKeyPair(unhex(receiver.kemSeed));
    const openIt = () => {
      const parsed = parse(unhex(wire), 0);
      if (parsed.type !== "reply") throw new Error("not a reply");
      return openReply(parsed, introduction, secretKey);
    };
    if (make !== undefined) expect(hex(replyOf(make))).toBe(wire);
    if ("refuse" in expected) {
      expectCode(expected.refuse, openIt);
      return;
    }
    const { sponsor, plaintext } = openIt();
    const content = parseReplyPlaintext(plaintext);
    expect(hex(sponsor.publicKey)).toBe(expected.sponsorKey);
    expect(hex(content.topicKey)).toBe(expected.topicKey);
    expect(content.generation).toBe(expected.generation);
    // What a topic without roots gives of a roster.
    const { epoch, salt, roots, statements, head, rejoinSecret } = content;
    expect([epoch, salt, roots, statements, head, rejoinSecret]).toEqual([0, unhex(""), [], [], unhex(""), unhex("")]);
  });

  it("have a ciphertext of up to 8 MiB, which no file has to hold", () => {
    const { wire, receiver } = replies[0] as ReplyCase;
    const introduction = { hash: introductionHash(unhex(receiver.introduction)), context: receiver.context };
    const { secretKey } = kemKeyPair(unhex(receiver.kemSeed));
    const honest = parse(unhex(wire), 0);
    if (honest.type !== "reply") throw new Error("not a reply");
    const openIt = (length: number) => {
      const longer = parse(formatReply({ ...honest, ciphertext: new Uint8Array(length) }), 1 << 24);
      if (longer.type !== "reply") throw new Error("not a reply");
      return openReply(longer, introduction, secretKey);
    };
    expectCode("DECRYPTION_FAILED", () => openIt(8 * 2 ** 20));
    expectCode("MALFORMED_MESSAGE", () => openIt(8 * 2 ** 20 + 1));
  });
});

describe("identity keys", () => {
  it.each(keys)("$name", async ({ publicKey, accept, id, fingerprint: shown }) => {
    const topic = await Topic.create();
    if (!accept) {
      expectCode("INVALID_KEY", () => topic.addParticipant(unhex(publicKey)));
      return;
    }
    const participant = topic.addParticipant(unhex(publicKey));
    expect(hex(participant.id)).toBe(id);
    expect(fingerprint(unhex(publicKey))).toBe(shown);
  });
});
