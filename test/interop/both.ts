// What the tests have in common that set the independent peer against the library.
import { StringphoneError, type Topic } from "../../src/index.js";
import { type Given, type Peer, PeerError, type ReceiveOptions, hex as toHex } from "./independent-peer.js";

export const NOW = 1_794_700_000_000;

export const codeOf = (error: unknown): string => {
  if (error instanceof PeerError || error instanceof StringphoneError) return error.code;
  throw error;
};
export const refusal = <T>(act: () => T): { refuse: string } | { accept: T } => {
  try {
    return { accept: act() };
  } catch (error) {
    return { refuse: codeOf(error) };
  }
};

/** mulberry32: the whole run follows from its seed. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed;
  }
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  /** An integer from 0 to n - 1. */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }
  chance(p: number): boolean {
    return this.next() < p;
  }
  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
  bytes(n: number): Uint8Array {
    return Uint8Array.from({ length: n }, () => this.below(256));
  }
}

/** The context of a topic of the library is its name, unless a call gives another. */
export const home = { context: "home" };
export const SENT = ["event", "state", "command"] as const;

export const flip = (random: Random, bytes: Uint8Array): void => {
  const at = random.chance(0.5) ? random.below(Math.min(bytes.length, 30)) : random.below(bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
};

/** What came of a wire message: `kind` is "message", "unverified", "null", "many" (with `given`) or the code of a refusal. */
export type Outcome = { kind: string; given?: Outcome[] } & Partial<Fields>;
type Fields = Record<"payload" | "sender" | "claimedSender" | "delivery", string> &
  Record<"sentAt" | "sequence", number> & { missed: number | undefined };
type Unverified = { payload: Uint8Array; claimedSender: Uint8Array };
type Verified = Omit<Fields, "payload" | "sender" | "claimedSender"> & { payload: Uint8Array };

const unverified = ({ payload, claimedSender }: Unverified): Outcome => ({
  kind: "unverified",
  payload: toHex(payload),
  claimedSender: toHex(claimedSender),
});
const verified = ({ payload, sentAt, delivery, sequence, missed }: Verified, sender: Uint8Array): Outcome => ({
  kind: "message",
  payload: toHex(payload),
  sender: toHex(sender),
  sentAt,
  delivery,
  sequence,
  missed,
});
const outcome = (act: () => Outcome[], many: boolean): Outcome => {
  try {
    const given = act();
    const [first] = given;
    if (first === undefined) return { kind: "null" };
    return many && !first.kind.startsWith("INTRODUCTION") ? { kind: "many", given } : first;
  } catch (error) {
    return { kind: codeOf(error) };
  }
};
const listOf = <T>(one: T | null): T[] => (one === null ? [] : [one]);

/** What `decode` gives, or if `many` `decodeBatch`. */
export const libraryOutcome = (library: Topic, wire: Uint8Array, options: ReceiveOptions, many = false): Outcome => {
  const { naive, delivery, ...others } = options;
  const asked = delivery === undefined ? others : { ...others, delivery };
  const trusting = { ...asked, naive: true } as const;
  return outcome(() => {
    if (naive === true)
      return (many ? library.decodeBatch(wire, trusting) : [library.decode(wire, trusting)]).map(unverified);
    const got = many ? library.decodeBatch(wire, asked) : listOf(library.decode(wire, asked));
    return got.map((one) => verified(one, one.sender.publicKey));
  }, many);
};

export const peerOutcome = (peer: Peer, wire: Uint8Array, options: ReceiveOptions, many = false): Outcome =>
  outcome(() => {
    const got: Given[] = many ? peer.receiveBatch(wire, options) : listOf(peer.receive(wire, options));
    return got.map((one) => {
      if (one.kind === "unverified") return unverified(one);
      return one.kind === "message" ? verified(one, one.sender) : { kind: one.kind };
    });
  }, many);
