import { expect, it } from "vitest";
import { fuzzLegacy } from "../support/legacy-fuzz.js";

const OUTCOMES_THAT_MUST_BE_REACHED = [
  "MALFORMED_MESSAGE",
  "MISSING_TOPIC_KEY",
  "DECRYPTION_FAILED",
  "UNTRUSTED_KEY",
  "BAD_SIGNATURE",
  "INVALID_KEY",
  "REPLAY",
  "INTRODUCTION",
  "INTRODUCTION_REPLY",
  "FOREIGN_REPLY",
  "decode accepted",
  "naive accepted",
  "newcomer null",
  "answer accepted",
  "adopt accepted",
  "parse accepted",
];

it("100,000 inputs give typed errors only, and nothing is accepted that was not sent", async () => {
  const seed = Date.now() % 2 ** 32;
  console.log(`fuzz seed ${seed}`);
  const { outcomes } = await fuzzLegacy(100_000, seed);
  // A search that never gets past the parser would show nothing.
  for (const outcome of OUTCOMES_THAT_MUST_BE_REACHED) expect(outcomes[outcome] ?? 0, outcome).toBeGreaterThan(0);
});
