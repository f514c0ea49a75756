// A house where participants of the library and independent peers share one rooted topic.
import { expect } from "vitest";
import { IntroductionError, IntroductionReplyError, Topic, type TopicEvent } from "../../src/index.js";
import { home, NOW, Random, refusal } from "./both.js";
import { publicKeyOf } from "./independent-peer.js";
import { RootedPeer } from "./independent-rooted.js";
import type { Role } from "./independent-statements.js";

type Bytes = Uint8Array;

export type Wire = { wire: Bytes };
/** What came of a wire message: what was given, or the code of the refusal. */
export const heard = (who: Topic | RootedPeer, { wire }: Wire): string => {
  const given = refusal(() => (who instanceof Topic ? who.decode(wire)?.payload : payloadOf(who.receive(wire, home))));
  return "refuse" in given ? given.refuse : given.accept === undefined ? "" : new TextDecoder().decode(given.accept);
};
const payloadOf = (given: ReturnType<RootedPeer["receive"]>): Bytes | undefined => {
  if (given !== null && given.kind !== "message") throw new TypeError(`${given.kind}, and no message`);
  return given?.payload;
};
export const says = (who: Topic | RootedPeer, text: string): Wire => ({
  wire:
    who instanceof Topic ? who.encode(text) : who.send(new TextEncoder().encode(text), { delivery: "event", ...home }),
});

type Roster = { key: string; role: string; rank: number; name: string }[];
export const rosterSeen = (who: Topic | RootedPeer): Roster => {
  const list =
    who instanceof Topic
      ? who.members.map(({ participant, ...rest }) => ({ key: participant.hex, ...rest }))
      : who.members;
  return [...list].sort((a, b) => (a.key < b.key ? -1 : 1));
};
/** Whoever is named has the same roster as the first, and the same epoch. */
export const agree = (...all: (Topic | RootedPeer)[]): void => {
  const [first, ...others] = all.map((who) => ({
    roster: rosterSeen(who),
    epoch: who.epoch,
    generation: who.generation,
  }));
  for (const other of others) expect(other).toEqual(first);
};

/** A house where both kinds live, with one clock. */
export class House {
  now = NOW;
  elapsed = 0;
  readonly random: Random;
  readonly clock = (): number => this.now;
  readonly events: TopicEvent[] = [];
  constructor(seed: number) {
    this.random = new Random(seed);
  }
  pass(ms: number): void {
    this.now += ms;
    this.elapsed += ms;
  }
  peer(seed = this.random.bytes(32)): RootedPeer {
    return new RootedPeer({
      seed,
      name: "home",
      clock: this.clock,
      elapsed: () => this.elapsed,
    });
  }
  library(seed = this.random.bytes(32)): Promise<Topic> {
    const listener = (event: TopicEvent): void => void this.events.push(event);
    return Topic.create({ seed, name: "home", clock: this.clock, listener });
  }
  establish(roots: Bytes[] = []): Promise<Topic> {
    const seed = this.random.bytes(32);
    const options = { seed, name: "home", clock: this.clock, roots: [publicKeyOf(seed), ...roots] };
    return Topic.establish({ ...options, listener: (event) => void this.events.push(event) });
  }
  peerRoot(seed?: Bytes): RootedPeer {
    const root = this.peer(seed);
    root.establish({
      roots: [root.publicKey],
      topicKey: this.random.bytes(32),
      now: this.now,
    });
    return root;
  }
  introduce(newcomer: Topic | RootedPeer): Bytes {
    this.pass(1000);
    if (newcomer instanceof Topic) return newcomer.constructIntro({ name: "newcomer" });
    return newcomer.introduce({ kemSeed: this.random.bytes(32), name: "newcomer", sentAt: this.now, ...home });
  }
  /** The reply of a sponsor who is asked, and lets in or only answers. */
  answer(
    sponsor: Topic | RootedPeer,
    introduction: Bytes,
    role?: Exclude<Role, "revoked">,
  ): { reply: Bytes; control?: Wire } {
    if (sponsor instanceof Topic) {
      const raised = introductionRaised(sponsor, introduction);
      const control = role && { control: sponsor.admit(raised, { role, name: "named" }) };
      return { ...control, reply: sponsor.constructReply(raised) };
    }
    expect(sponsor.receive(introduction, home)?.kind).toBe("INTRODUCTION");
    const control = role && { control: sponsor.admit(introduction, role, "named") };
    return { ...control, reply: sponsor.reply(introduction, this.random.bytes(64), "home") };
  }
  /** Somebody comes in, and the others hear of it. */
  join(
    sponsor: Topic | RootedPeer,
    newcomer: Topic | RootedPeer,
    role: Exclude<Role, "revoked">,
    ...others: (Topic | RootedPeer)[]
  ): void {
    const { reply, control } = this.answer(sponsor, this.introduce(newcomer), role);
    for (const other of others) expect(heard(other, control as Wire)).toBe("");
    adopt(newcomer, reply);
  }
}
export const introductionRaised = (sponsor: Topic, wire: Bytes) => {
  try {
    sponsor.decode(wire);
  } catch (error) {
    if (error instanceof IntroductionError) return error.introduction;
    throw error;
  }
  throw new TypeError("no introduction");
};
/** Says whether the sponsor had what the introduction proved. */
export const adopt = (newcomer: Topic | RootedPeer, wire: Bytes): boolean => {
  if (newcomer instanceof RootedPeer) {
    const reply = newcomer.receive(wire, home);
    if (reply?.kind !== "INTRODUCTION_REPLY") throw new TypeError("no reply");
    newcomer.adoptReply(reply);
    return reply.returns;
  }
  try {
    newcomer.decode(wire);
  } catch (error) {
    if (!(error instanceof IntroductionReplyError)) throw error;
    newcomer.parseReply(error.reply);
    return error.reply.isReturning;
  }
  throw new TypeError("no reply");
};

/** Every sentence is understood by all others. */
export const converse = (...all: (Topic | RootedPeer)[]): void => {
  for (const [i, who] of all.entries()) {
    const sentence = says(who, `from ${i}`);
    for (const other of all) expect(heard(other, sentence), `${i}`).toBe(other === who ? "" : `from ${i}`);
  }
};
