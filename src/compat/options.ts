/** What callers pass to a topic of 0.1, and how it is read and checked. */
import { describe } from "../bytes.js";
import { DEFAULT_MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES } from "../limits.js";
import { MAX_REPLAY_MEMORY } from "./limits.js";
import type { LegacySeed, LegacyTopicKey } from "./secrets.js";

export const LEGACY_TOPIC_OPTIONS = ["seed", "topicKey", "participants", "replayMemory", "maxPayloadBytes", "backend"];
export const LEGACY_DECODE_OPTIONS = ["naive", "ignoreUntrusted"];
export const LEGACY_REPLY_OPTIONS = ["sponsor"];

/** What a topic of 0.1 is made of. Secrets are copied. */
export interface LegacyTopicOptions {
  /** This participant's identity on the wire of 0.1. Default: a fresh one, which is gone with the topic. */
  readonly seed?: LegacySeed;
  /** The topic key on the wire of 0.1. Default: none yet; ask for it with `constructIntro`. */
  readonly topicKey?: LegacyTopicKey;
  /** Public keys (32 bytes each) of those whom this topic reads from the start. Default: nobody. */
  readonly participants?: Iterable<Uint8Array>;
  /**
   * Messages of each sender that are remembered: the same content again is a `ReplayError`. A sender that has sent more since has
   * pushed its own oldest out, nobody else's. Up to 1,000,000, at roughly a hundred bytes each; gone with the
   * process. Default: 0, no memory, as in 0.1.
   */
  readonly replayMemory?: number;
  /** Bytes of the longest payload, sent or received: up to 256 MiB. Default: 16 MiB. */
  readonly maxPayloadBytes?: number;
  /** As in `TopicOptions`: which libsodium this process runs on. What only 0.1 needs is WebAssembly everywhere. Default: `auto`. */
  readonly backend?: "auto" | "native" | "wasm";
}

/** Decoding what trusted participants signed: the normal way. */
export interface LegacyDecodeOptions {
  readonly naive?: false;
  /** Gives `null` for messages of those whom we do not trust. Default: `UntrustedKeyError`. */
  readonly ignoreUntrusted?: boolean;
}

/** Decoding what anybody with the topic key may have sealed: no signature and no repetition is checked. */
export interface NaiveLegacyDecodeOptions {
  readonly naive: true;
}

/** From whom a topic key is taken. */
export interface LegacyReplyOptions {
  /**
   * The public key (32 bytes) of the only sponsor from whom the topic key may come. Its own introduction has to be decoded
   * before its reply: nothing else on this wire ties a reply to anybody. Default: from anybody.
   */
  readonly sponsor?: Uint8Array;
}

/** An argument as an integer from 0 up to a bound. */
export function expectCount(name: string, value: unknown, most: number): number {
  if (typeof value !== "number") throw new TypeError(`"${name}" expected number, got ${describe(value)}`);
  if (!Number.isInteger(value) || value < 0 || value > most) {
    throw new RangeError(`"${name}" expected an integer from 0 to ${most}, got ${value}`);
  }
  return value;
}

/** The numbers among the options, checked. */
export function readBounds(options: LegacyTopicOptions): { replayMemory: number; maxPayloadBytes: number } {
  const { replayMemory = 0, maxPayloadBytes = DEFAULT_MAX_PAYLOAD_BYTES } = options;
  return {
    replayMemory: expectCount("replayMemory", replayMemory, MAX_REPLAY_MEMORY),
    maxPayloadBytes: expectCount("maxPayloadBytes", maxPayloadBytes, MAX_PAYLOAD_BYTES),
  };
}
