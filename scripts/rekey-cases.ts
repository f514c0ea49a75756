/**
 * The test vectors of rekeys (PROTOCOL §11.1, and steps 1, 6 and 7 of §11.3): whether one is well formed and signed, and what somebody
 * gets out of it. What a topic makes of one is in control-cases.ts.
 */
import { encode } from "../src/cbor.js";
import { SMALL_ORDER_KEYS } from "./edwards.js";
import {
  admission,
  type Code,
  commitmentOf,
  concat,
  familyStatements,
  generationOf,
  KITCHEN,
  keyIdOf,
  type MadeRekey,
  person,
  type REASONS,
  type RekeyFacts,
  type RekeyForgery,
  recipientsOf,
  rekeyOf,
  statementsHashOf,
  topicIdOf,
} from "./rooted-parts.js";
import { hex, named, OTHER_TOPIC_KEY, TOPIC_KEY, unhex } from "./vector-secrets.js";

export interface MakeRekey {
  readonly seed: string;
  readonly topicId: string;
  /** What it is sealed under. */
  readonly parentKey: string;
  readonly epoch: number;
  readonly reason: (typeof REASONS)[number];
  readonly ephemeralSecret: string;
  /** Of the epoch. */
  readonly secret: string;
  readonly recipients: readonly { readonly identityKey: string; readonly wrapKey: string }[];
  readonly digest: string;
  /** Those that go out with it. */
  readonly statements: readonly string[];
}

export interface RekeyCase {
  readonly name: string;
  readonly make?: MakeRekey;
  readonly bytes: string;
  readonly receiver: {
    readonly identityKey: string;
    readonly topicId: string;
    readonly parentKey: string;
    /** X25519 secret keys, the newest first. */
    readonly wrapSecrets: readonly string[];
  };
  readonly expect:
    | {
        readonly accept: "opened";
        readonly topicKey: string;
        readonly keyId: string;
        readonly commitment: string;
        readonly head: string;
      }
    | {
        /** `bad` is what is to be reported: a wrap for us that does not open, or gives another key than the one announced. */
        readonly accept: "not-for-us" | "bad";
        readonly commitment: string;
        readonly head: string;
      }
    | { readonly refuse: Code };
}

const LAST_EPOCH = 2 ** 35;

function receiverOf(who = "bob", more: Partial<RekeyCase["receiver"]> = {}): RekeyCase["receiver"] {
  const { hex: identityKey, wrapSecret } = person(who);
  return {
    identityKey,
    topicId: hex(topicIdOf(KITCHEN)),
    parentKey: hex(TOPIC_KEY),
    wrapSecrets: [hex(wrapSecret)],
    ...more,
  };
}

function makeOf(facts: RekeyFacts, { ephemeralSecret, secret }: MadeRekey): MakeRekey {
  const { issuer = "alice", parentKey = TOPIC_KEY, epoch = 1, reason = "requested", digest = named("digest") } = facts;
  const { recipients = recipientsOf(issuer, "bob"), statements = [] } = facts;
  return {
    seed: hex(person(issuer).seed),
    topicId: hex(topicIdOf(KITCHEN)),
    parentKey: hex(parentKey),
    epoch,
    reason,
    ephemeralSecret: hex(ephemeralSecret),
    secret: hex(secret),
    recipients: recipients.map(({ identityKey, wrapKey }) => ({
      identityKey: hex(identityKey),
      wrapKey: hex(wrapKey),
    })),
    digest: hex(digest),
    statements: statements.map(hex),
  };
}

function expected(made: MadeRekey, result: "opened" | "not-for-us" | "bad"): RekeyCase["expect"] {
  const { topicKey, head, items } = made;
  const known = { commitment: hex(items[9] as Uint8Array), head: hex(head) };
  if (result !== "opened") return { accept: result, ...known };
  return { accept: "opened", topicKey: hex(topicKey), keyId: hex(keyIdOf(topicKey)), ...known };
}

function honest(
  name: string,
  facts: RekeyFacts = {},
  receiver = receiverOf("bob", facts.parentKey && { parentKey: hex(facts.parentKey) }),
  result: "opened" | "not-for-us" | "bad" = "opened",
): RekeyCase {
  const made = rekeyOf(facts);
  return { name, make: makeOf(facts, made), bytes: hex(made.bytes), receiver, expect: expected(made, result) };
}

function forged(name: string, facts: RekeyFacts, forgery: RekeyForgery, result: "opened" | "bad" = "bad"): RekeyCase {
  const made = rekeyOf(facts, forgery);
  return { name, bytes: hex(made.bytes), receiver: receiverOf(), expect: expected(made, result) };
}

const refused = (code: Code, name: string, bytes: Uint8Array): RekeyCase => ({
  name,
  bytes: hex(bytes),
  receiver: receiverOf(),
  expect: { refuse: code },
});

function opened(): RekeyCase[] {
  const four = recipientsOf("alice", "carol", "bob", "dave");
  const [link] = familyStatements().slice(1);
  if (link === undefined) throw new Error("no link");
  const said = [link, admission("alice", "erin", 1, "reader")];
  const [bob] = recipientsOf("bob");
  if (bob === undefined) throw new Error("no recipient");
  const mislaid = { identityKey: bob.identityKey, wrapKey: person("mallory").wrapKey };
  const high = concat(bob.wrapKey.slice(0, 31), [(bob.wrapKey[31] as number) | 0x80]);
  const older = receiverOf("bob", {
    wrapSecrets: [hex(named("the newest")), hex(named("the next")), hex(person("bob").wrapSecret)],
  });
  return [
    honest("requested, to its issuer and us"),
    honest("the same, opened by its issuer", {}, receiverOf("alice")),
    honest("removal, to four, of whom we are the third", { reason: "removal", recipients: four }),
    honest("the same, opened by the fourth", { reason: "removal", recipients: four }, receiverOf("dave")),
    honest("with two statements", { statements: said }),
    honest("with the same two in another order", { statements: [...said].reverse() }),
    honest("with one of them twice", { statements: [link, link] }),
    honest("repair", { reason: "repair" }),
    honest("by an admin that is no root", { issuer: "dave" }),
    honest("under generation 3 of its parent", { parentKey: generationOf(TOPIC_KEY, 3) }),
    honest("the second epoch", { parentKey: rekeyOf().topicKey, epoch: 2 }),
    honest("epoch 2^32", { epoch: 2 ** 32 }),
    honest("epoch 2^35, the last", { epoch: LAST_EPOCH }),
    honest("to the oldest of three wrap keys", {}, older),
    honest(
      "to a wrap key with bit 255 set, which is hashed so",
      { recipients: [{ ...bob, wrapKey: high }] },
      receiverOf(),
      "bad",
    ),
    honest("twice to us, of which the second opens", { recipients: [mislaid, bob] }),
    honest(
      "three times to us, of which only two are tried",
      { recipients: [mislaid, mislaid, bob] },
      receiverOf(),
      "bad",
    ),
    honest("to nobody", { recipients: [] }, receiverOf(), "not-for-us"),
    honest("to others", { recipients: recipientsOf("alice", "carol", "dave") }, receiverOf(), "not-for-us"),
    honest("to 23 others and us", {
      recipients: recipientsOf("alice", ...Array.from({ length: 22 }, (_, i) => `device ${i}`), "bob"),
    }),
    honest("to a wrap key that we lost", {}, receiverOf("bob", { wrapSecrets: [hex(named("lost"))] }), "bad"),
    honest("to us, who have no wrap key any more", {}, receiverOf("bob", { wrapSecrets: [] }), "bad"),
  ];
}

function bad(): RekeyCase[] {
  const flipped = (wraps: Uint8Array): Uint8Array => concat(wraps.slice(0, -1), [(wraps.at(-1) as number) ^ 1]);
  return [
    forged("a wrap with a bit flipped, which its issuer signed", {}, { wraps: flipped }),
    forged("the commitment of another key, which its issuer signed", {}, { commitment: commitmentOf(OTHER_TOPIC_KEY) }),
    ...["00".repeat(32), `01${"00".repeat(31)}`, `ec${"ff".repeat(30)}7f`].map((key, i) =>
      forged(`an ephemeral key of low order ${i}`, {}, { ephemeralKey: unhex(key) }),
    ),
    forged("the ephemeral key of another rekey", {}, { ephemeralKey: person("mallory").wrapKey }),
    forged(
      "the wraps of two exchanged",
      { recipients: recipientsOf("bob", "carol") },
      { wraps: (wraps) => concat(wraps.slice(48), wraps.slice(0, 48)) },
    ),
  ];
}

function refusals(): RekeyCase[] {
  const { bytes, items } = rekeyOf();
  const after = (changes: NonNullable<RekeyForgery["after"]>, facts: RekeyFacts = {}): Uint8Array =>
    rekeyOf(facts, { after: changes }).bytes;
  const key = (name: string): Uint8Array => named(name);
  const two = { recipients: recipientsOf("bob", "carol") };
  const link = familyStatements()[1] as Uint8Array;
  const hints = rekeyOf(two).items[5] as Uint8Array;
  const short = (length: number): Uint8Array => new Uint8Array(length);
  return [
    refused("BAD_SIGNATURE", "signed by another than its issuer", rekeyOf({}, { signer: "mallory" }).bytes),
    refused("BAD_SIGNATURE", "of a topic with another id", rekeyOf({ topicId: key("another topic id") }).bytes),
    refused("BAD_SIGNATURE", "issuer changed after signing", after({ 0: person("dave").key })),
    refused("BAD_SIGNATURE", "issuer of small order", after({ 0: unhex(SMALL_ORDER_KEYS[0] as string) })),
    refused("BAD_SIGNATURE", "parent changed after signing", after({ 1: key("parent") })),
    refused("BAD_SIGNATURE", "epoch changed after signing", after({ 2: 2 })),
    refused("BAD_SIGNATURE", "reason changed after signing", after({ 3: 1 })),
    refused("BAD_SIGNATURE", "ephemeral key changed after signing", after({ 4: key("ephemeral") })),
    refused(
      "BAD_SIGNATURE",
      "recipients exchanged after signing",
      after({ 5: concat(hints.slice(8), hints.slice(0, 8)) }, two),
    ),
    refused("BAD_SIGNATURE", "wraps changed after signing", after({ 6: short(96) })),
    refused(
      "BAD_SIGNATURE",
      "a recipient and its wrap taken out after signing",
      after({ 5: hints.slice(0, 8), 6: (rekeyOf(two).items[6] as Uint8Array).slice(0, 48) }, two),
    ),
    refused("BAD_SIGNATURE", "digest changed after signing", after({ 7: key("another digest") })),
    refused("BAD_SIGNATURE", "statements hash changed after signing", after({ 8: statementsHashOf([link]) })),
    refused("BAD_SIGNATURE", "commitment changed after signing", after({ 9: commitmentOf(OTHER_TOPIC_KEY) })),
    refused("BAD_SIGNATURE", "signature of zeros", after({ 10: short(64) })),
    refused("MALFORMED_MESSAGE", "epoch 2^35 + 1", rekeyOf({ epoch: LAST_EPOCH + 1 }).bytes),
    refused("MALFORMED_MESSAGE", "reason 3", after({ 3: 3 })),
    refused("MALFORMED_MESSAGE", "ephemeral key of 31 bytes", after({ 4: short(31) })),
    refused("MALFORMED_MESSAGE", "recipients of 15 bytes", after({ 5: short(15) })),
    refused("MALFORMED_MESSAGE", "recipients of 17 bytes", after({ 5: short(17) })),
    refused("MALFORMED_MESSAGE", "no wraps for its recipients", after({ 6: short(0) })),
    refused("MALFORMED_MESSAGE", "three wraps for two recipients", after({ 6: short(144) })),
    refused("MALFORMED_MESSAGE", "wraps of 95 bytes", after({ 6: short(95) })),
    refused("MALFORMED_MESSAGE", "a head in the place of a rekey", rekeyOf().head),
    refused("MALFORMED_MESSAGE", "digest of 31 bytes", after({ 7: short(31) })),
    refused("MALFORMED_MESSAGE", "statements hash of 31 bytes", after({ 8: short(31) })),
    refused("MALFORMED_MESSAGE", "no statements hash where there are no statements", after({ 8: short(0) })),
    refused("MALFORMED_MESSAGE", "statements in the place of their hash", after({ 8: [link] })),
    refused("MALFORMED_MESSAGE", "commitment of 33 bytes", after({ 9: short(33) })),
    refused("MALFORMED_MESSAGE", "signature of 63 bytes", after({ 10: short(63) })),
    refused("MALFORMED_MESSAGE", "issuer of 31 bytes", after({ 0: short(31) })),
    refused("MALFORMED_MESSAGE", "parent as text", after({ 1: "x" })),
    refused("MALFORMED_MESSAGE", "10 items: no signature", encode(items.slice(0, 10))),
    refused("MALFORMED_MESSAGE", "10 items: no statements hash", encode([...items.slice(0, 8), ...items.slice(9)])),
    refused("MALFORMED_MESSAGE", "12 items", encode([...items, 0])),
    refused("MALFORMED_MESSAGE", "wraps as an array", after({ 6: [] })),
    refused("MALFORMED_MESSAGE", "a byte after the end", concat(bytes, [0])),
    refused("MALFORMED_MESSAGE", "array length not in its shortest form", concat([0x98, 11], bytes.slice(1))),
    refused(
      "MALFORMED_MESSAGE",
      "epoch not in its shortest form",
      concat(bytes.slice(0, 69), [0x18, 1], bytes.slice(70)),
    ),
    refused("MALFORMED_MESSAGE", "no bytes", short(0)),
  ];
}

export function rekeyCases(): RekeyCase[] {
  return [...opened(), ...bad(), ...refusals()];
}
