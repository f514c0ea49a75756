import { beforeAll, describe, expect, it, vi } from "vitest";
import { loadCrypto } from "../src/crypto.js";
import { Identity } from "../src/identity.js";
import type { Participant } from "../src/index.js";
import { Pins } from "../src/participants.js";
import { expectCode, thrownBy } from "./support/expect.js";
import { bytes, makePair } from "./support/topics.js";

beforeAll(() => loadCrypto());

const keyOf = (seed: number): Uint8Array => new Identity(bytes(seed)).participant.publicKey;

describe("Pins", () => {
  it("keep order, take a key once, and give copies", () => {
    const pins = new Pins();
    const first = pins.add(keyOf(1));
    pins.add(keyOf(2));
    expect(pins.add(keyOf(1))).toBe(first);
    expect(pins.list().map((one) => one.publicKey)).toEqual([keyOf(1), keyOf(2)]);
    pins.list().pop();
    expect(pins.list().length).toBe(2);
    expect(pins.has(keyOf(2))).toBe(true);
    expect(pins.has(keyOf(3))).toBe(false);
  });

  it("refuse what is no key", () => {
    const pins = new Pins();
    expectCode("INVALID_KEY", () => pins.add(bytes(0)));
    expect(thrownBy(() => pins.add(bytes(1, 16)))).toBeInstanceOf(RangeError);
    expect(thrownBy(() => pins.remove(bytes(1, 8)))).toBeInstanceOf(RangeError);
    expect(thrownBy(() => pins.remove("x" as unknown as Uint8Array))).toBeInstanceOf(TypeError);
    expect(pins.list()).toEqual([]);
  });

  it("keep the others of one hint when one is removed", () => {
    const pins = new Pins();
    const one = pins.add(keyOf(1));
    // A second participant with the same hint costs 2^64 keys to find: it is put there by hand.
    const freeze = vi.spyOn(Object, "freeze").mockImplementation(((value: unknown) => value) as typeof Object.freeze);
    const twin = pins.add(keyOf(2));
    freeze.mockRestore();
    Object.defineProperty(twin, "hint", { value: one.hint });
    pins.remove(keyOf(1));
    expect(pins.withHint(one.hint)).toEqual([]);
    expect(pins.list()).toEqual([twin]);
  });
});

describe("participants of one hint", () => {
  it("are all tried, and only the signer is taken for the sender", async () => {
    const { alice, bob } = await makePair();
    const [known] = bob.participants as [Participant];
    // To find a key whose id begins as Alice's does costs 2^64; here the look-up is made to say that one does.
    const impostor = new Identity(bytes(9)).participant;
    const withHint = vi.spyOn(Pins.prototype, "withHint").mockReturnValue([impostor, known]);
    const wire = alice.encode("who am I?");
    expect(bob.decode(wire)?.sender.publicKey).toEqual(alice.publicKey);
    expectCode("BAD_SIGNATURE", () => bob.decode(wire));
    expect(bob.decode(alice.encode("again"))?.missed).toBe(0);
    withHint.mockRestore();
    expectCode("REPLAY", () => bob.decode(wire));
  });
});
