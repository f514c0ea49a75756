/** What callers pass to a topic, how it is read and checked, and what a topic makes of a will. */
import { copyBytes, copyKeys, describe, expectOptions, expectSwitch } from "./bytes.js";
import type { Delivery } from "./errors.js";
import type { TopicListener } from "./events.js";
import { KEY_BYTES } from "./limits.js";
import type { Role } from "./roster.js";

export const TOPIC_OPTIONS = [
  "seed",
  "topicKey",
  "name",
  "participants",
  "maxPayloadBytes",
  "maxWireBytes",
  "maxClockSkew",
  "clock",
  "backend",
  "ratchet",
  "grace",
  "answerReturning",
  "listener",
];
export const ESTABLISH_OPTIONS = [...TOPIC_OPTIONS.filter((name) => name !== "topicKey"), "roots"];
export const LOAD_OPTIONS = [
  ...TOPIC_OPTIONS.filter((name) => !["seed", "topicKey", "name", "participants"].includes(name)),
  "restored",
];
export const ADMIT_OPTIONS = ["role", "name", "keep", "context"];
export const REVOKE_OPTIONS = ["keep"];
export const ENCODE_OPTIONS = ["delivery", "context"];
export const INTRODUCTION_OPTIONS = ["name", "context"];
export const CONTEXT_OPTIONS = ["context"];
const DECODE_OPTIONS = [
  "context",
  "delivery",
  "naive",
  "ignoreUntrusted",
  "maxAge",
  "retained",
  "allowReplay",
  "hearOwn",
];

export const ALL_DELIVERIES: readonly Delivery[] = ["event", "state", "command", "will"];

/** What a topic is made of. Byte arrays are copied. */
export interface TopicOptions {
  /**
   * 32 secret bytes of `generateSigningKeySeed` that are this participant's identity. Default: fresh ones, which are
   * gone with the topic. Never use a seed of stringphone 0.1 here.
   */
  readonly seed?: Uint8Array;
  /**
   * 32 secret bytes of `generateTopicKey`. Default: none yet; ask for it with `constructIntro`. Never use a topic key of
   * stringphone 0.1 here.
   */
  readonly topicKey?: Uint8Array;
  /**
   * What every message is bound to unless the call names another `context`: usually the MQTT topic name.
   * At most 65,535 bytes of UTF-8. Default: empty.
   */
  readonly name?: string;
  /** Public keys (32 bytes each) of those whom this topic reads from the start. Default: nobody. */
  readonly participants?: Iterable<Uint8Array>;
  /**
   * The libsodium to compute with: `native` (the package sodium-native, which you install), `wasm`, or `auto`, which is native
   * where it can be had. All topics of a process run on one; asking for another than the one in use, or than the environment
   * variable STRINGPHONE_BACKEND names, is a `BackendError`. Default: `auto`.
   */
  readonly backend?: "auto" | "native" | "wasm";
  /** Bytes of the largest payload, sent or received: up to 256 MiB. Default: 16 MiB, or what `maxWireBytes` leaves room for. */
  readonly maxPayloadBytes?: number;
  /**
   * Bytes of the largest message that the broker takes, from 16 KiB on: nothing larger is made. What a call would have to say beyond it is
   * a `MessageTooLargeError`, before anything changes. A rekey takes 56 bytes for each participant and some statements; a reply takes all
   * statements, about 300 bytes for each. Default: no limit but those of the protocol, 8 MiB for these two.
   */
  readonly maxWireBytes?: number;
  /** Milliseconds by which honest clocks may differ. Default: 5 minutes. */
  readonly maxClockSkew?: number;
  /**
   * The clock, in milliseconds since 1970; below 2^40 it counts as not set. Default: `Date.now`. A device without a clock
   * should give `saved + performance.now()`, where `saved` is a number that it stored and that is greater than any that it
   * gave before: receivers refuse its events after sixteen restarts that begin at the same number.
   */
  readonly clock?: () => number;
  /**
   * Steps the topic key to its next generation every so many milliseconds, an hour at least, with the first message that is sent then: who
   * takes this device later reads nothing that was sent before the step and the grace. A device that only listens follows the steps of
   * those who send, and makes none. Default: only when `ratchet()` is called.
   */
  readonly ratchet?: { readonly every: number };
  /**
   * Milliseconds of running time for which a key is kept when its successor is in use, for what is late, retained or sent by somebody
   * who slept. Default: 24 hours. Make it days where devices sleep for days; after it, they have to come back with an introduction.
   */
  readonly grace?: number;
  /**
   * Whether an admin's topic answers members that come back without asking a person: those that show that they had the key of an epoch
   * in which the roster had them, and to the wrap key that they had. Default: false. See the `answered` event.
   */
  readonly answerReturning?: boolean;
  /** Told what happens in a rooted topic, and of `ratcheted` in every topic, after it happened. */
  readonly listener?: TopicListener;
}

/**
 * The options as they are now: what the caller does to them while libsodium loads changes nothing. The secrets are copies, to be wiped.
 *
 * @throws TypeError, RangeError for keys of a wrong type or length
 */
export function copyOptions(options: TopicOptions): TopicOptions {
  const { seed, topicKey, participants, ratchet } = options;
  const given = TOPIC_OPTIONS.map((name) => [name, options[name as keyof TopicOptions]]);
  return {
    ...Object.fromEntries(given.filter(([, value]) => value !== undefined)),
    ...(seed !== undefined && { seed: copyBytes("seed", seed, KEY_BYTES) }),
    ...(topicKey !== undefined && { topicKey: copyBytes("topicKey", topicKey, KEY_BYTES) }),
    ...(participants !== undefined && { participants: copyKeys("participants", participants) }),
    ...(typeof ratchet === "object" && { ratchet: { ...ratchet } }),
  };
}

/** What a rooted topic is made of. */
export interface EstablishOptions extends Omit<TopicOptions, "topicKey"> {
  /**
   * Public keys (32 bytes each) of the roots, ours among them: nobody ever revokes them, and all authority comes from them. Default: ours
   * alone. Two that are kept offline are better than one: see README.
   */
  readonly roots?: Iterable<Uint8Array>;
}

/** What a topic that is loaded is not told by what was saved. */
export interface LoadOptions extends Omit<TopicOptions, "seed" | "topicKey" | "name" | "participants"> {
  /**
   * Whether what is loaded may be older than what this program last knew, as from a backup: events and commands from before now are
   * then refused, and an introduction is asked for. The clock has to be right: where it was ahead, set it and call `resetClock()`. Of a
   * device without a clock nobody can tell what is from before now: all its events are refused from then on. Default: false.
   */
  readonly restored?: boolean;
}

/** What somebody is admitted as. */
export interface AdmitOptions {
  /** `publisher` sends and reads, `reader` only reads, `admin` also admits, revokes and rekeys. Default: the role that it has, else `publisher`. */
  readonly role?: Role;
  /**
   * What people call it: at most 64 bytes, without control characters. All participants see it. Default: what
   * it is called on the roster, else what it calls itself. A root has no name, whatever is said here.
   */
  readonly name?: string;
  /**
   * Where this makes an admin less than one: of those whose role rests on it, who stays. Public keys (32 bytes each), or `all` or `none`
   * of them.
   */
  readonly keep?: "all" | "none" | Iterable<Uint8Array>;
  /** Of the bytes of an introduction: what it was made in, where that is not the topic's name. */
  readonly context?: string;
}

/** How somebody is revoked. */
export interface RevokeOptions {
  /** Of those whose role rests on an admin that is revoked: who stays. Public keys (32 bytes each), or `all` or `none` of them. */
  readonly keep?: "all" | "none" | Iterable<Uint8Array>;
}

/** How a message is sent. */
export interface EncodeOptions {
  /**
   * What receivers may do with a copy. `event` (default): give it once. `state`: give it as often as it comes, unless a
   * newer one came; for retained messages. `command`: give it once, and only within seconds of being sent. A last will
   * is made by `encodeWill`.
   */
  readonly delivery?: Exclude<Delivery, "will">;
  /** What the message is bound to. Default: the topic's `name`. Receivers must name the same. */
  readonly context?: string;
}

/** What all ways of decoding have in common. */
export interface DecodeContext {
  /** What the message must be bound to: the concrete MQTT topic on which it came. Default: the topic's `name`. */
  readonly context?: string;
  /** The deliveries that the caller is ready for. Default: all. Others are an `UnexpectedDeliveryError`. */
  readonly delivery?: Delivery | readonly Delivery[];
}

/** Decoding what trusted participants signed: the normal way. */
export interface DecodeOptions extends DecodeContext {
  readonly naive?: false;
  /** Gives `null` for messages of those whom we do not trust. Default: `UntrustedKeyError`. */
  readonly ignoreUntrusted?: boolean;
  /**
   * Milliseconds since `sentAt` after which a message is refused. Default: 30 s for commands, and no bound for the rest;
   * given, it holds for every delivery.
   */
  readonly maxAge?: number;
  /** Whether the transport says that the broker had retained it: a command is then refused. Default: false. */
  readonly retained?: boolean;
  /** Gives messages that were, or may have been, given before, flagged `replayed`: for reading a recording. Default: false. */
  readonly allowReplay?: boolean;
  /** Gives messages that bear our own identity and came from another program with our seed. Default: false. */
  readonly hearOwn?: boolean;
}

/** Decoding what anybody with the topic key may have sealed: no signature, replay or time is checked. */
export interface NaiveDecodeOptions extends DecodeContext {
  readonly naive: true;
}

/** What `encodeWill` makes. All three are bound to the same context. */
export interface WillMessages {
  /**
   * The last will, to be left with the broker when connecting. Not retained, if `alive` is retained on the same MQTT topic: it
   * would take its place, and nobody who comes later could believe it.
   */
  readonly will: Uint8Array;
  /** Names this will as the current one: to be published, retained, after each connect. */
  readonly alive: Uint8Array;
  /** Says that no will is current: to be published, retained, before a clean disconnect. */
  readonly farewell: Uint8Array;
}

/** The options of a decoding, each read once and checked. */
export interface ReadDecodeOptions {
  readonly context: string | undefined;
  readonly expected: readonly Delivery[];
  readonly naive: boolean;
  readonly ignoreUntrusted: boolean;
  readonly allowReplay: boolean;
  readonly hearOwn: boolean;
  readonly retained: boolean;
  readonly maxAge: number | undefined;
}

const DEFAULT_DECODE_OPTIONS = readAll({});

/** Reads what the caller gave to a decoding. */
export function readDecodeOptions(options: DecodeOptions | NaiveDecodeOptions | undefined): ReadDecodeOptions {
  if (options === undefined) return DEFAULT_DECODE_OPTIONS;
  expectOptions(options, DECODE_OPTIONS);
  // An option that `naive` makes meaningless is checked all the same.
  return readAll(options);
}

function readAll(options: Omit<DecodeOptions, "naive"> & { readonly naive?: boolean }): ReadDecodeOptions {
  const { context, delivery, naive, ignoreUntrusted, allowReplay, hearOwn, retained, maxAge } = options;
  return {
    context,
    expected: expectedDeliveries(delivery),
    naive: expectSwitch("naive", naive),
    ignoreUntrusted: expectSwitch("ignoreUntrusted", ignoreUntrusted),
    allowReplay: expectSwitch("allowReplay", allowReplay),
    hearOwn: expectSwitch("hearOwn", hearOwn),
    retained: expectSwitch("retained", retained),
    maxAge: maxAge === undefined ? undefined : expectMilliseconds("maxAge", maxAge),
  };
}

/** The argument as a delivery that `encode` sends; a will is made otherwise. */
export function expectSentDelivery(delivery: unknown): Exclude<Delivery, "will"> {
  if (delivery !== "event" && delivery !== "state" && delivery !== "command") {
    throw new RangeError(`"delivery" expected "event", "state" or "command", got ${JSON.stringify(delivery)}`);
  }
  return delivery;
}

export function expectMilliseconds(name: string, value: number): number {
  if (typeof value !== "number" || !(value >= 0)) {
    throw new RangeError(
      `"${name}" expected milliseconds from 0, got ${typeof value === "number" ? value : describe(value)}`,
    );
  }
  return value;
}

function expectedDeliveries(given: Delivery | readonly Delivery[] | undefined): readonly Delivery[] {
  if (given === undefined) return ALL_DELIVERIES;
  const expected = [given].flat();
  if (expected.every((one) => ALL_DELIVERIES.includes(one))) return expected;
  throw new RangeError(
    `"delivery" expected ${ALL_DELIVERIES.join(", ")} or a list of them, got ${JSON.stringify(given)}`,
  );
}
