/** What tests of stringphone/compat share. */
import { readFileSync } from "node:fs";
import { vi } from "vitest";
import { LegacySeed, LegacyTopic, LegacyTopicKey } from "../../src/compat/index.js";
import type { LegacyTopicOptions } from "../../src/compat/options.js";
import { expectCode } from "./expect.js";
import { bytes } from "./topics.js";

export const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex");
export const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

export interface LegacyVectors {
  readonly participants: Record<"alice" | "bob" | "carol", { seed: string; publicKey: string; id: string }>;
  readonly topicKey: string;
  readonly messages: readonly { from: "alice" | "bob"; plaintext: string; wire: string }[];
  readonly rejected: readonly { case: string; python: string; wire: string }[];
  readonly discovery: readonly {
    newcomer: "carol";
    sponsor: "alice";
    newcomerEncryptionPrivateKey: string;
    sponsorEncryptionPrivateKey: string;
    intro: string;
    reply: string;
    topicKey: string;
    introSenderKey: string;
    replySenderKey: string;
    replyRecipientId: string;
  }[];
}

/** What the original made and accepted. */
export const legacyVectors = JSON.parse(
  readFileSync(new URL("../vectors/compat/stringphone-0.1.json", import.meta.url), "utf8"),
) as LegacyVectors;

export const legacySeed = (value: number): LegacySeed => LegacySeed.from(bytes(value));
export const legacyKey = (value: number): LegacyTopicKey => LegacyTopicKey.from(bytes(value));

/** Two topics with one key, who trust each other. */
export async function makeLegacyPair(
  options: LegacyTopicOptions = {},
): Promise<{ alice: LegacyTopic; bob: LegacyTopic }> {
  const shared = { topicKey: legacyKey(1), ...options };
  const alice = await LegacyTopic.create({ ...shared, seed: legacySeed(2) });
  const bob = await LegacyTopic.create({ ...shared, seed: legacySeed(3), participants: [alice.publicKey] });
  alice.addParticipant(bob.publicKey);
  return { alice, bob };
}

/** Runs an introduction up to where the sponsor's person has confirmed the newcomer, and gives the reply. */
export function sponsorLegacy(
  sponsor: LegacyTopic,
  newcomer: LegacyTopic,
  intro = newcomer.constructIntro(),
): Uint8Array {
  const { introduction } = expectCode("INTRODUCTION", () => sponsor.decode(intro));
  sponsor.addParticipant(introduction.senderKey);
  return sponsor.constructReply(introduction);
}

/** Runs `call` while the platform's generator gives these bytes, each when its length is asked for. */
export function withRandom<T>(values: readonly Uint8Array[], call: () => T): T {
  const left = [...values];
  const spy = vi.spyOn(globalThis.crypto, "getRandomValues").mockImplementation((array) => {
    const at = left.findIndex(({ length }) => length === array?.byteLength);
    if (at < 0) throw new Error(`nobody expected ${array?.byteLength} random bytes`);
    (array as unknown as Uint8Array).set(left.splice(at, 1)[0] as Uint8Array);
    return array;
  });
  try {
    return call();
  } finally {
    spy.mockRestore();
  }
}
