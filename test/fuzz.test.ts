import { describe, expect, it } from "vitest";
import { StringphoneError } from "../src/index.js";
import { thrownBy } from "./support/expect.js";
import { corpus, fuzz } from "./support/fuzz.js";
import { makePair } from "./support/topics.js";

const CODES_THAT_MUST_BE_REACHED = [
  "MALFORMED_MESSAGE",
  "UNSUPPORTED_VERSION",
  "UNKNOWN_TOPIC_KEY",
  "MISSING_TOPIC_KEY",
  "DECRYPTION_FAILED",
  "UNTRUSTED_KEY",
  "BAD_SIGNATURE",
  "REPLAY",
  "INTRODUCTION",
  "INTRODUCTION_REPLY",
  "RATE_LIMIT",
  "FOREIGN_REPLY",
  "WILL_NOT_CURRENT",
  "FORBIDDEN",
  "accepted",
  "null",
];

describe("fuzz", () => {
  it("gives typed errors only, and accepts nothing that was not sent", async () => {
    const seed = Date.now() % 2 ** 32;
    console.log(`fuzz seed ${seed}`);
    const { outcomes } = await fuzz(30_000, seed);
    // A search that never gets past the parser would show nothing.
    for (const code of CODES_THAT_MUST_BE_REACHED) expect(outcomes[code] ?? 0, code).toBeGreaterThan(0);
  });

  it.each(corpus)("$name", async ({ bytes }) => {
    const { bob } = await makePair();
    expect(thrownBy(() => bob.decode(new Uint8Array(Buffer.from(bytes, "hex"))))).toBeInstanceOf(StringphoneError);
  });
});
