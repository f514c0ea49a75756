import { createHash } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { loadCrypto } from "../src/crypto.js";
import { Identity, Participant } from "../src/identity.js";
import { fingerprint, generateSigningKeySeed, generateTopicKey, safetyNumber, Topic } from "../src/index.js";
import { thrownBy } from "./support/expect.js";
import { bytes } from "./support/topics.js";

beforeAll(() => loadCrypto());

describe("seeds and keys", () => {
  it("are 32 bytes, and never the same", () => {
    expect(generateSigningKeySeed().length).toBe(32);
    expect(generateTopicKey().length).toBe(32);
    expect(generateSigningKeySeed()).not.toEqual(generateSigningKeySeed());
    expect(generateTopicKey()).not.toEqual(generateTopicKey());
  });

  it("give the id of stringphone 0.1", () => {
    const { participant } = new Identity(bytes(1));
    const sha256 = createHash("sha256").update(participant.publicKey).digest();
    expect(Buffer.from(participant.id)).toEqual(sha256.subarray(0, 16));
  });
});

describe("fingerprint", () => {
  it("shows the first 120 bits of the id, in six groups of four", () => {
    const { participant } = new Identity(bytes(1));
    const shown = fingerprint(participant.publicKey);
    expect(shown).toMatch(/^([0-9A-HJKMNP-TV-Z]{4}-){5}[0-9A-HJKMNP-TV-Z]{4}$/);
    const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    const bits = shown
      .replaceAll("-", "")
      .split("")
      .map((one) => alphabet.indexOf(one).toString(2).padStart(5, "0"))
      .join("");
    const id = BigInt(`0x${Buffer.from(participant.id).toString("hex")}`)
      .toString(2)
      .padStart(128, "0");
    expect(bits).toBe(id.slice(0, 120));
    expect(participant.fingerprint).toBe(shown);
  });

  it("needs no topic and no WebAssembly, but a key of 32 bytes", () => {
    expect(thrownBy(() => fingerprint(bytes(1, 31)))).toBeInstanceOf(RangeError);
    expect(thrownBy(() => fingerprint("x" as unknown as Uint8Array))).toBeInstanceOf(TypeError);
  });
});

describe("safety number", () => {
  it("is the same on both screens, holds both fingerprints, and differs for another pair", async () => {
    const [alice, bob, carol] = await Promise.all([Topic.create(), Topic.create(), Topic.create()]);
    const number = safetyNumber(alice.publicKey, bob.publicKey);
    expect(number).toBe(safetyNumber(bob.publicKey, alice.publicKey));
    expect(number.split(" ").sort()).toEqual([fingerprint(alice.publicKey), fingerprint(bob.publicKey)].sort());
    expect(number).not.toBe(safetyNumber(alice.publicKey, carol.publicKey));
  });
});

describe("Participant", () => {
  it("gives copies and compares by key", () => {
    const { participant } = new Identity(bytes(1));
    participant.publicKey.fill(0);
    participant.id.fill(0);
    expect(participant.equals(new Identity(bytes(1)).participant)).toBe(true);
    expect(participant.equals(new Identity(bytes(2)).participant)).toBe(false);
    expect(Participant.hintOf(participant)).toEqual(participant.id.slice(0, 8));
  });
});

describe("sessions", () => {
  it("are drawn anew each time, and depend on all that goes in", () => {
    const identity = new Identity(bytes(1));
    const draw = (...[who, time, context, random]: [Identity, number, string, Uint8Array]) =>
      Buffer.from(who.drawSession(time, context, random)).toString("hex");
    expect(identity.drawSession(1, "a")).not.toEqual(identity.drawSession(1, "a"));
    const drawn = [
      draw(identity, 1, "a", bytes(1)),
      draw(new Identity(bytes(2)), 1, "a", bytes(1)),
      draw(identity, 2, "a", bytes(1)),
      draw(identity, 1, "b", bytes(1)),
      draw(identity, 1, "a", bytes(2)),
    ];
    expect(new Set(drawn).size).toBe(5);
    expect(drawn[0]?.length).toBe(24);
  });
});
