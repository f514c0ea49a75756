/** What a rooted topic is asked for that makes no sense: each is said what was expected and what came, and nothing changes. */
import { describe, expect, it } from "vitest";
import { type AdmitOptions, type EstablishOptions, type RevokeOptions, Topic } from "../../src/index.js";
import { publicKeyOf, SEEDS, standStill, World } from "../support/rooted.js";
import { bytes, NAME } from "../support/topics.js";

standStill();

describe("establish", () => {
  const [own, other] = [publicKeyOf.bind(null, SEEDS.root), publicKeyOf.bind(null, SEEDS.admin)];
  const many = Array.from({ length: 16 }, (_, i) => () => publicKeyOf(bytes(0x40 + i)));

  it.each<[what: string, options: () => object, said: string]>([
    ["no list of roots", () => ({ roots: own() }), '"roots"'],
    ["roots that are no keys", () => ({ roots: [own(), bytes(1).subarray(1)] }), '"roots"'],
    ["our own key not among the roots", () => ({ roots: [other()] }), "our own among them"],
    ["a root twice", () => ({ roots: [own(), other(), other()] }), "each once"],
    ["too many roots", () => ({ roots: [own(), ...many.map((make) => make())] }), "at most 16"],
    ["a listener that cannot be called", () => ({ listener: "log" }), '"listener" expected a function, got '],
    ["a ratchet without an interval", () => ({ ratchet: {} }), '"ratchet.every"'],
    ["a ratchet that would never rest", () => ({ ratchet: { every: 10 } }), '"ratchet.every" expected at least'],
    ["an option of another name", () => ({ root: [] }), "root"],
  ])("%s", async (_, options, said) => {
    await Topic.create();
    const whole = { seed: SEEDS.root, name: NAME, ...options() } as EstablishOptions;
    await expect(Topic.establish(whole)).rejects.toThrow(said);
  });
});

describe("admit and revoke", () => {
  it.each<[what: string, options: object, said: string]>([
    ["a role that does not exist", { role: "owner" }, '"role" expected "admin", "publisher" or "reader", got "owner"'],
    ["to revoke by admitting", { role: "revoked" }, '"role" expected'],
    ["a name that is not one", { name: 7 }, '"name" expected text, got number'],
    ["a name that is too long", { name: "é".repeat(33) }, '"name" expected at most 64 bytes'],
    ["a name that a screen cannot show", { name: "a\nb" }, "without control characters"],
    ["keep of another word", { keep: "most" }, '"keep" expected "all", "none" or public keys, got "most"'],
    ["keep of what is no list", { keep: 3 }, '"keep"'],
    ["keep of what is no key", { keep: [bytes(1).subarray(1)] }, '"keep"'],
    ["an option of another name", { reason: "lost" }, "reason"],
  ])("%s", async (_, options, said) => {
    const { root, admin } = await new World().family();
    const before = root.save();
    expect(() => root.admit(admin.publicKey, options as AdmitOptions)).toThrow(said);
    if ("keep" in options || "reason" in options) {
      expect(() => root.revoke(admin.publicKey, options as RevokeOptions)).toThrow(said);
    }
    expect(root.save()).toEqual(before);
  });
});
