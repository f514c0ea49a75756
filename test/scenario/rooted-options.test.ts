/** What a rooted topic is asked for that makes no sense: each is said what was expected and what came, and nothing changes. */
import { describe, expect, it } from "vitest";
import { type AdmitOptions, type EstablishOptions, type RevokeOptions, Topic } from "../../src/index.js";
import { expectCode } from "../support/expect.js";
import { pair, publicKeyOf, roleOf, SEEDS, standStill, tell, World } from "../support/rooted.js";
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

describe("what a program asks of itself and of others", () => {
  it("its own role is that of the roster, and none where it is not on one", async () => {
    const world = new World();
    const { root, admin, carol, bob } = await world.family({ role: "reader" });
    expect([root, admin, carol, bob].map(({ role }) => role)).toEqual(["admin", "admin", "publisher", "reader"]);
    tell(root.revoke(bob.publicKey).wire, bob);
    expect([bob.role, (await world.create()).role]).toEqual([undefined, undefined]);
  });

  it("who was removed and is let in again is called what it calls itself, since nobody says any more what it was called", async () => {
    const world = new World();
    const { root, bob } = await world.family();
    const nameOf = () =>
      root.members.find(({ participant }) => participant.publicKey.join() === bob.publicKey.join())?.name;
    root.admit(bob.publicKey, { name: "lamp" });
    root.admit(bob.constructIntro({ name: "something else" }));
    expect(nameOf()).toBe("lamp");
    root.revoke(bob.publicKey);
    root.admit(bob.constructIntro({ name: "lamp again" }));
    expect([nameOf(), roleOf(root, bob)]).toEqual(["lamp again", "publisher"]);
  });

  it("who was removed is told so by what it tries to send, and by what it cannot read", async () => {
    const world = new World();
    const { root, bob } = await world.family();
    tell(root.revoke(bob.publicKey).wire, bob);
    expect(expectCode("FORBIDDEN", () => bob.encode("x")).message).toMatch(/were removed/);
    expect(expectCode("UNKNOWN_TOPIC_KEY", () => bob.decode(root.encode("x"))).message).toMatch(/were removed/);
    const stranger = await world.create();
    pair(root, stranger);
    expect(() => stranger.encode("x")).not.toThrow();
  });
});
