// Random statements and rekeys (§10 and §11 of docs/PROTOCOL.md): the independent peer and the library conclude the same of them.
import sodium from "libsodium-wrappers";
import { beforeAll, describe, expect, test } from "vitest";
import type { Topic } from "../../src/index.js";
import { memberOf } from "../support/member.js";
import { flip, NOW, refusal } from "./both.js";
import { adopt, agree, House, heard, rosterSeen, says, type Wire } from "./house.js";
import { hex, makeWrapStatement, openMessage, publicKeyOf, ready, unhex } from "./independent-peer.js";
import { MAX_TIME } from "./independent-primitives.js";
import { controlPayload, parseRekey, RootedPeer, readControlPayload, sealControl } from "./independent-rooted.js";
import {
  makeRoleStatement,
  makeWrapAlone,
  parseStatement,
  ROLES,
  type RoleStatement,
  topicIdOf,
} from "./independent-statements.js";

type Bytes = Uint8Array;

beforeAll(async () => {
  await ready;
});

const LOW_ORDER = unhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");

/** The digest that the rekey in a control message has. */
const digestIn = ({ wire }: Wire, topicKey: Bytes): string =>
  hex(parseRekey(readControlPayload(openMessage(wire, topicKey, "home").payload).rekey).digest);

/** The role statements in a control message. */
const statementsIn = ({ wire }: Wire, topicKey: Bytes): RoleStatement[] =>
  readControlPayload(openMessage(wire, topicKey, "home").payload)
    .statements.map(parseStatement)
    .filter((each) => each.kind === "role");

describe("statements in control messages", () => {
  class Statements {
    readonly house: House;
    readonly seeds: Bytes[];
    readonly topicId: Bytes;
    readonly made: Bytes[] = [];
    constructor(house: House, seeds: Bytes[], topicId: Bytes) {
      [this.house, this.seeds, this.topicId] = [house, seeds, topicId];
    }

    wrap() {
      const { random } = this.house;
      const wrapKey = random.chance(0.03) ? LOW_ORDER : sodium.crypto_scalarmult_base(random.bytes(32));
      return { wrapKey, version: random.below(5), topicName: random.chance(0.97) ? "home" : "elsewhere" };
    }

    draw(): Bytes {
      const { random } = this.house;
      if (random.chance(0.15) && this.made.length > 0) return random.of(this.made);
      const seed = random.of(this.seeds);
      if (random.chance(0.15)) return makeWrapAlone({ seed, ...this.wrap() });
      const of = random.of(this.seeds);
      const topicId = random.chance(0.97) ? this.topicId : random.bytes(32);
      const subject = random.chance(0.97) ? publicKeyOf(of) : random.bytes(32);
      const role = random.chance(0.3) ? "admin" : random.of(ROLES);
      const head = random.chance(0.5) ? random.bytes(32) : new Uint8Array();
      const wrap = random.chance(0.4) ? makeWrapStatement({ seed: of, ...this.wrap() }) : new Uint8Array();
      const name = random.of(["", "lamp", "Küche"]);
      const statement = makeRoleStatement({ seed, topicId, subject, version: random.below(6), role, name, head, wrap });
      if (random.chance(0.03)) flip(random, statement);
      return statement;
    }
  }

  test("the same are taken in, refused and dropped; the same roster and digest follow", async () => {
    const codes = new Map<string, number>();
    const versions: number[] = [];
    for (let world = 0; world < 80; world++) {
      const house = new House(0xabc0 + world);
      const { random } = house;
      const second = random.bytes(32);
      const library = await house.establish([publicKeyOf(second)]);
      const peer = house.peer();
      house.join(library, peer, "publisher");
      const others = Array.from({ length: 2 + random.below(6) }, () => random.bytes(32));
      const statements = new Statements(house, [second, ...others], library.topicId as Bytes);
      const topicKey = library.topicKey as Bytes;
      for (let n = 0; n < 12; n++) {
        const drawn = Array.from({ length: random.below(7) }, () => statements.draw());
        const wire = sealControl(topicKey, "home", controlPayload(drawn, new Uint8Array()), random.bytes(12));
        const why = `world ${world}, message ${n}: ${drawn.map(hex).join(" ")}`;
        const outcome = heard(peer, { wire });
        expect(heard(library, { wire }), why).toBe(outcome);
        codes.set(outcome, (codes.get(outcome) ?? 0) + 1);
        if (outcome === "") statements.made.push(...drawn);
        agree(peer, library);
      }
      const subject = publicKeyOf(random.of(others));
      const role = random.of(["reader", "publisher"] as const);
      const version = peer.known.nextVersion(hex(library.publicKey), hex(subject));
      const spoken = refusal(() => library.admit(subject, { role, keep: "none" }));
      if ("accept" in spoken) {
        const said = statementsIn(spoken.accept, topicKey).filter((each) => each.issuer === hex(library.publicKey));
        expect(said.find((each) => each.subject === hex(subject))?.version, `world ${world}`).toBe(version);
        expect(heard(peer, spoken.accept)).toBe("");
        versions.push(version);
        if (library.epoch > 0) continue;
      }
      const digest = hex(peer.known.digest());
      expect(digestIn(library.rekey(), topicKey), `world ${world}`).toBe(digest);
    }
    for (const code of ["", "MALFORMED_MESSAGE", "INVALID_KEY", "BAD_SIGNATURE"])
      expect(codes.get(code) ?? 0, code).toBeGreaterThan(10);
    expect(versions.length).toBeGreaterThan(20);
    expect(Math.max(...versions)).toBeGreaterThan(4);
  });
});

describe("what an admin says when it removes another", () => {
  test("is the same, byte for byte", async () => {
    const seen = { said: 0, again: 0, refused: 0 };
    for (let world = 0; world < 100; world++) {
      const { random } = new House(0x5a1d + world);
      const [seeds, topicKey, salt] = [
        Array.from({ length: 7 }, () => random.bytes(32)),
        random.bytes(32),
        random.bytes(16),
      ];
      const keys = seeds.map(publicKeyOf);
      const roots = keys.slice(0, 1 + random.below(2));
      const topicId = topicIdOf(roots, salt);
      const wrapSecret = random.bytes(32);
      const own = { seed: seeds[0] as Bytes, wrapKey: sodium.crypto_scalarmult_base(wrapSecret), version: NOW };
      const statements = [makeWrapAlone({ ...own, topicName: "home" })];
      for (let n = 10 + random.below(40); n > 0; n--) {
        const [seed, of] = [random.of(seeds), random.of(seeds)];
        if (seed === of && seeds.indexOf(seed) < roots.length) continue; // see rooted-hostile.test.ts, of a root that left
        const version = random.chance(0.05) ? MAX_TIME - random.below(2) : random.below(6);
        const role = random.chance(0.4) ? "admin" : random.of(ROLES);
        const head = random.chance(0.5) ? random.bytes(32) : new Uint8Array();
        const wrapped = {
          seed: of,
          wrapKey: sodium.crypto_scalarmult_base(random.bytes(32)),
          version: random.below(9),
        };
        const wrap = random.chance(0.5) ? makeWrapStatement({ ...wrapped, topicName: "home" }) : new Uint8Array();
        const name = random.of(["", "lamp"]);
        statements.push(
          makeRoleStatement({ seed, topicId, subject: publicKeyOf(of), version, role, name, head, wrap }),
        );
      }
      const state = { topicKey: hex(topicKey), wrapSecret: hex(wrapSecret), statements: statements.map(hex) };
      const topic = { salt: hex(salt), roots: roots.map(hex), name: "home" };
      const library = await memberOf({ ...state, seed: hex(seeds[0] as Bytes), topic });
      const peer = new RootedPeer({ seed: seeds[0] as Bytes, name: "home", clock: () => NOW });
      peer.begin({ roots, salt, topicKey, statements, wrapSecret });
      const admins = keys.filter((key) => peer.known.isAdmin(hex(key)) && !roots.includes(key));
      const subject = random.of(admins.length > 0 && random.chance(0.8) ? admins : keys.slice(1));
      const keep = keys.filter(() => random.chance(0.5));
      const spoken = [refusal(() => peer.revoke(subject, keep)), refusal(() => library.revoke(subject, { keep }))];
      const [ours, theirs] = spoken.map((outcome) => {
        if (!("accept" in outcome)) return outcome.refuse;
        const mine = statementsIn(outcome.accept, topicKey).filter(({ issuer }) => issuer === hex(peer.publicKey));
        return mine.map((each) => `${each.role} ${each.version} ${each.subject} ${hex(each.bytes)}`).sort();
      });
      expect(theirs, `world ${world}`).toEqual(ours);
      seen[typeof ours === "string" ? "refused" : ours && ours.length > 1 ? "again" : "said"]++;
    }
    expect(seen.again).toBeGreaterThan(10);
    expect(seen.said).toBeGreaterThan(10);
  });
});

describe("rekeys and removals that cross", () => {
  /** Somebody to whom messages come in some order, and who keeps what is under a key that is not known yet. */
  class Hearer<Who extends Topic | RootedPeer = RootedPeer> {
    readonly peer: Who;
    readonly heard = new Set<Wire>();
    kept: Wire[] = [];
    constructor(peer: Who) {
      this.peer = peer;
    }
    hear(control: Wire): string {
      this.heard.add(control);
      const outcome = heard(this.peer, control);
      if (outcome === "UNKNOWN_TOPIC_KEY") this.kept.push(control);
      if (outcome === "") this.hearKept();
      return outcome;
    }
    /** In the order in which they came, and from the first on again after each that was read (§12.3). */
    hearKept(): void {
      for (let at = 0; at < this.kept.length; at++) {
        if (heard(this.peer, this.kept[at] as Wire) === "UNKNOWN_TOPIC_KEY") continue;
        this.kept.splice(at, 1);
        at = -1;
      }
    }
  }

  class Crossing {
    readonly house: House;
    readonly library: Hearer<Topic>;
    readonly peer: Hearer;
    readonly actors: Hearer[] = [];
    readonly log: Wire[] = [];
    readonly seen = { sent: 0, silent: 0, unknown: 0, back: 0, wanted: 0, depth: 0 };

    constructor(house: House, library: Topic) {
      [this.house, this.library, this.peer] = [house, new Hearer(library), new Hearer(house.peer())];
    }

    /** All are in, and know it. */
    begin(): void {
      const { house } = this;
      const [root, second] = [house.peer(), house.peer()];
      const roots = [root.publicKey, second.publicKey];
      root.establish({ roots, topicKey: house.random.bytes(32), now: house.now });
      this.actors.push(new Hearer(root));
      const everybody = (): (Topic | RootedPeer)[] => this.actors.slice(1).map(({ peer }) => peer);
      house.join(root, second, "admin");
      this.actors.push(new Hearer(second));
      for (let n = 0; n < 6; n++) {
        const peer = house.peer();
        house.join(root, peer, n < 3 ? "admin" : "publisher", ...everybody());
        this.actors.push(new Hearer(peer));
      }
      house.join(root, this.library.peer, "admin", ...everybody());
      house.join(root, this.peer.peer, "admin", ...everybody(), this.library.peer);
    }

    act(): void {
      const { random } = this.house;
      const { peer } = random.of(this.actors);
      const others = this.actors.map((each) => each.peer.publicKey);
      const [subject, kept] = [random.of(others), others.filter(() => random.chance(0.5))];
      const acts = [
        () => peer.rekey(),
        () => peer.revoke(subject, kept),
        () => peer.renewWrapKey(this.house.now),
        () => peer.leave(), // admins too, who should not
        () => this.readmit(peer),
      ];
      const control = refusal(() => random.of(acts)());
      if ("accept" in control) this.log.push(control.accept);
    }

    readmit(sponsor: RootedPeer): Wire {
      const { random } = this.house;
      const gone = this.actors.filter(({ peer }) => peer !== sponsor && !sponsor.known.isOn(hex(peer.publicKey)));
      if (gone.length === 0 || !sponsor.canSend || !sponsor.known.isAdmin(hex(sponsor.publicKey)))
        return sponsor.rekey();
      const newcomer = random.of(gone).peer;
      const introduction = this.house.introduce(newcomer);
      const { reply, control } = this.house.answer(sponsor, introduction, random.of(["publisher", "admin"]));
      adopt(newcomer, reply);
      return control as Wire;
    }

    deliver(): void {
      const { random } = this.house;
      const hearer = random.of(this.actors);
      const missing = this.log.filter((control) => !hearer.heard.has(control));
      if (missing.length > 0) hearer.hear(random.of(missing));
    }

    async observe(why: string): Promise<void> {
      const missing = this.log.filter((control) => !this.peer.heard.has(control));
      if (missing.length === 0) return;
      const control = this.house.random.of(missing);
      const outcome = this.peer.hear(control);
      expect(this.library.hear(control), why).toBe(outcome);
      await this.compare(why);
      if (outcome === "UNKNOWN_TOPIC_KEY") this.seen.unknown++;
    }

    /** Both come back, or neither does, with the same proof and the same reply. */
    async comeBack(why: string): Promise<void> {
      const { peer: sponsor } = this.house.random.of(this.actors);
      const [ours, theirs] = [this.peer.peer, this.library.peer].map((who) =>
        refusal(() => adopt(who, this.house.answer(sponsor, this.house.introduce(who)).reply)),
      );
      expect(theirs, why).toEqual(ours);
      if (ours !== undefined && "accept" in ours) this.seen.back++;
      for (const hearer of [this.peer, this.library]) hearer.hearKept();
      await this.compare(why);
    }

    /** The same roster; both send under the same key, or neither does; both want a rekey for the same reason. */
    async compare(why: string): Promise<void> {
      const [library, peer, seen] = [this.library.peer, this.peer.peer, this.seen];
      expect(rosterSeen(library), why).toEqual(rosterSeen(peer));
      // The last that the library asked for is what is wanted now, if anything is.
      if (peer.wanted !== undefined) {
        await Promise.resolve();
        const asked = this.house.events.filter(({ type }) => type === "rekey-wanted").at(-1);
        expect(asked, why).toMatchObject({ reason: peer.wanted });
        seen.wanted++;
      }
      const [ours, theirs] = [peer, library].map((who) => refusal(() => says(who, "which key?")));
      if (ours === undefined || "refuse" in ours) {
        expect(theirs, why).toEqual(ours);
        seen.silent++;
        return;
      }
      expect(theirs, why).toHaveProperty("accept");
      expect(hex(library.topicKey as Bytes), why).toBe(hex(peer.topicKey as Bytes));
      expect(library.epoch, why).toBe(peer.epoch);
      seen.sent++;
      seen.depth = Math.max(seen.depth, peer.epoch);
    }
  }

  test("both know the same, and send under the same key or not at all", async () => {
    const seen = { sent: 0, silent: 0, unknown: 0, back: 0, wanted: 0, depth: 0 };
    for (let round = 0; round < 12; round++) {
      const house = new House(0xc055 + round);
      const crossing = new Crossing(house, await house.library());
      crossing.begin();
      for (let n = 0; n < 60; n++) {
        house.pass(1);
        if (house.random.chance(0.3)) crossing.act();
        for (let each = house.random.below(4); each > 0; each--) crossing.deliver();
        if (house.random.chance(0.2)) await crossing.observe(`round ${round}, step ${n}`);
        if (house.random.chance(0.05)) await crossing.comeBack(`round ${round}, back at step ${n}`);
      }
      for (let n = 0; n < 100; n++) await crossing.observe(`round ${round}, at the end`);
      for (const key of ["sent", "silent", "unknown", "back", "wanted"] as const) seen[key] += crossing.seen[key];
      seen.depth = Math.max(seen.depth, crossing.seen.depth);
    }
    expect(seen.sent).toBeGreaterThan(40);
    expect(seen.unknown).toBeGreaterThan(5);
    expect(seen.back).toBeGreaterThan(5);
    expect(seen.wanted).toBeGreaterThan(20);
    expect(seen.depth).toBeGreaterThan(2);
  });
});
