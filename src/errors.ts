/**
 * Every error that the library throws for what came over the wire or for a state that the caller can
 * mend. One class per thing a caller can do; `code` is stable, the message is for people.
 *
 * Misuse of the API (an argument of the wrong type, a key of the wrong length) is a `TypeError` or a
 * `RangeError`. A failed authentication never says which part failed and carries no `cause`.
 *
 * Byte arrays in these objects are copies: they are the caller's.
 */

/** What a receiver may do with a copy of a message (docs/PROTOCOL.md §7). */
export type Delivery = "event" | "state" | "command" | "will";

/** A delivery or a control message, which no application can send as such. */
export type AnyDelivery = Delivery | "alive" | "control";

/**
 * What this program knows of somebody: `self` bears our own identity (another device with our seed, or a thief of it),
 * `member` is on the roster, `revoked` was and is no more, `pinned` is among our participants.
 */
export type Standing = "unknown" | "pinned" | "self" | "member" | "revoked";

/** A verified introduction: its sender has the secret key of `senderKey`, and nothing more is known. */
export interface Introduction {
  /** Ed25519 public key, 32 bytes. */
  readonly senderKey: Uint8Array;
  /** First 16 bytes of SHA-256 of `senderKey`. */
  readonly senderId: Uint8Array;
  /** What a person compares with the newcomer's screen before trusting it: 120 bits. */
  readonly fingerprint: string;
  /** What the newcomer calls itself. Unverified: anybody can choose any name. At most 64 bytes. */
  readonly name: string;
  /** Milliseconds since 1970 by the newcomer's clock; below 2^40 it has none. */
  readonly sentAt: number;
  readonly standing: Standing;
  /**
   * Whether it comes back: it is on the roster, and showed that it had the key of an epoch in which it was. `constructReply` then
   * answers without `admit`, to the wrap key that it had before. A member that does not return so has lost its state, or its seed was
   * stolen: ask a person, and look at the device.
   */
  readonly isReturning: boolean;
}

/** A verified reply to an introduction of ours. The topic key in it is not adopted yet, and not shown. */
export interface Reply {
  /** The sponsor's Ed25519 public key, 32 bytes. */
  readonly senderKey: Uint8Array;
  /** First 16 bytes of SHA-256 of `senderKey`. */
  readonly senderId: Uint8Array;
  /** What a person compares with the sponsor's screen before adopting the key: 120 bits. */
  readonly fingerprint: string;
  readonly standing: Standing;
  /**
   * Whether the sponsor shows that it had the key of the epoch that our introduction proved to know, as nobody has who was removed before
   * that epoch, and no thief of a bare seed. Only with it, and a `standing` of "member", may a program take a reply without a person: to
   * confirm another is to trust whoever has the sponsor's seed. Never in a topic without a roster, nor to a newcomer.
   */
  readonly isReturning: boolean;
}

/** The base of every error of this library. `code` tells them apart. */
export abstract class StringphoneError extends Error {
  abstract readonly code: string;
}

/** Sets the name on the prototype: `constructor.name` does not survive minification. */
function named(errorClass: { prototype: Error }, name: string): void {
  Object.defineProperty(errorClass.prototype, "name", { value: name, configurable: true });
}

/** @internal Runs `call`, in which errors capture no stack. Nothing but `call` runs, also where somebody watches the limit. */
export function withoutStack<T>(call: () => T): T {
  const limit = Object.getOwnPropertyDescriptor(Error, "stackTraceLimit");
  if (typeof limit?.value !== "number" || limit.writable !== true) return call();
  Reflect.set(Error, "stackTraceLimit", 0);
  try {
    return call();
  } finally {
    Reflect.set(Error, "stackTraceLimit", limit.value);
  }
}

/** The backend that was asked for cannot be had: install it, or ask for another. */
export class BackendError extends StringphoneError {
  readonly code = "BACKEND_UNAVAILABLE";
  /** The backend that was asked for. */
  readonly backend: "native" | "wasm";
  constructor(backend: "native" | "wasm", message: string, options?: { readonly cause: unknown }) {
    super(message, options);
    this.backend = backend;
  }
}
named(BackendError, "BackendError");

/** The bytes are not a message of version 1 (of 0.1 in `stringphone/compat`). Ignore them: nothing about them was authenticated. */
export class MalformedMessageError extends StringphoneError {
  readonly code = "MALFORMED_MESSAGE";
}
named(MalformedMessageError, "MalformedMessageError");

/** The bytes name another version of the protocol. Update this program if it comes from your own devices. */
export class UnsupportedVersionError extends StringphoneError {
  readonly code = "UNSUPPORTED_VERSION";
  /** The version that the bytes name; not authenticated. */
  readonly version: number;
  constructor(version: number) {
    super(`expected protocol version 1, got ${version}: a newer version of stringphone may read it`);
    this.version = version;
  }
}
named(UnsupportedVersionError, "UnsupportedVersionError");

/** The message or payload is larger than `maxPayloadBytes` or `maxWireBytes` allows. Raise it, or send less. */
export class MessageTooLargeError extends StringphoneError {
  readonly code = "MESSAGE_TOO_LARGE";
  /** Bytes of the payload that came; of the wire message that it would take, at most. */
  readonly length: number;
  /** Bytes that are allowed. */
  readonly limit: number;
  constructor(length: number, limit: number, what: "payload" | "wire message" = "payload") {
    const option = what === "payload" ? "maxPayloadBytes" : "maxWireBytes, and let the broker take as much";
    super(`expected a ${what} of at most ${limit} bytes, got ${length}: create the topic with a larger ${option}`);
    this.length = length;
    this.limit = limit;
  }
}
named(MessageTooLargeError, "MessageTooLargeError");

/**
 * There is no topic key that may be sent under, or read with. With `none`, introduce yourself with `constructIntro`, or set
 * `topicKey`. With `unusable`, in a rooted topic, wait: an admin's rekey or the reply to an introduction brings the key that counts.
 */
export class MissingTopicKeyError extends StringphoneError {
  readonly code = "MISSING_TOPIC_KEY";
  /** `none`: this topic never had one. `unusable`: not that which counts now, or it is known to somebody who was removed. */
  readonly reason: "none" | "unusable";
  constructor(reason: "none" | "unusable" = "none") {
    super(
      reason === "none"
        ? "this topic has no topic key: ask for it with constructIntro(), or set topicKey"
        : "this topic does not have the key that counts now, or may not use it: wait for a rekey, or ask with constructIntro()",
    );
    this.reason = reason;
  }
}
named(MissingTopicKeyError, "MissingTopicKeyError");

/**
 * The message is sealed under a key that this topic does not have. A rooted topic keeps it, asks with an `introduction-wanted` event
 * when the key does not come by itself, and gives it with `decodeKept` later; otherwise introduce yourself again.
 */
export class UnknownTopicKeyError extends StringphoneError {
  readonly code = "UNKNOWN_TOPIC_KEY";
  /** The message's key id, 4 bytes; a hint, not authenticated. */
  readonly keyId: Uint8Array;
  /** Whether the message was kept. */
  readonly isKept: boolean;
  constructor(keyId: Uint8Array, isKept = false, isRemoved = false) {
    super(
      isRemoved
        ? "the message is sealed under a key that is not known: we were removed from this topic, and get none of the newer ones"
        : isKept
          ? "the message is sealed under a key that is not known yet: it is kept until the key comes, then call decodeKept()"
          : "the message is sealed under another topic key than ours: if it is the newer one, ask for it with constructIntro()",
    );
    this.keyId = keyId;
    this.isKept = isKept;
  }

  /** @internal Makes one without a stack, as of all that anybody can send at any rate. */
  static withoutStack(keyId: Uint8Array, isKept: boolean, isRemoved: boolean): UnknownTopicKeyError {
    return withoutStack(() => new UnknownTopicKeyError(keyId, isKept, isRemoved));
  }
}
named(UnknownTopicKeyError, "UnknownTopicKeyError");

/** The bytes do not open: forged, damaged, or moved here from another context. Ignore them. */
export class DecryptionError extends StringphoneError {
  readonly code = "DECRYPTION_FAILED";

  private constructor(message = "the message does not open: it was forged or damaged, or sealed for another context") {
    super(message);
  }

  /**
   * @internal Makes one without a stack: anybody can send junk at any rate, and V8 takes longer to walk the
   * stack than libsodium to refuse the junk.
   */
  static withoutStack(message?: string): DecryptionError {
    return withoutStack(() => new DecryptionError(message));
  }
}
named(DecryptionError, "DecryptionError");

/** Nobody whom we trust. Add the sender with `addParticipant` once a person compared fingerprints. */
export class UntrustedKeyError extends StringphoneError {
  readonly code = "UNTRUSTED_KEY";
  /**
   * First bytes of the id that the sender claims: 8 of a message, all 16 of an introduction, and of whatever
   * `stringphone/compat` refuses. Of a message or a reply it is *not verified*: whoever holds the topic key can write any.
   */
  readonly claimedSender: Uint8Array;
  constructor(claimedSender: Uint8Array, message: string) {
    super(message);
    this.claimedSender = claimedSender;
  }
}
named(UntrustedKeyError, "UntrustedKeyError");

/**
 * The signature is not that of the claimed sender. Of a message: somebody who holds the topic key forges, tell a person. Of an
 * introduction (`claimedSender` has 16 bytes): forged or damaged by anybody, or made for another context; ignore it.
 */
export class BadSignatureError extends StringphoneError {
  readonly code = "BAD_SIGNATURE";
  /** First 8 bytes of the id that the message claims; whole (16) of an introduction, and in `stringphone/compat`. Not verified. */
  readonly claimedSender: Uint8Array;
  constructor(claimedSender: Uint8Array) {
    super(
      "the signature is not that of the participant named: forged, or of an introduction, made for another context or with another name of the topic",
    );
    this.claimedSender = claimedSender;
  }
}
named(BadSignatureError, "BadSignatureError");

/**
 * The role of somebody does not allow this: ours, what we asked for; or that of a sender, its message. Nothing changed. Ask an admin, or
 * one of a smaller rank.
 */
export class ForbiddenError extends StringphoneError {
  readonly code = "FORBIDDEN";
}
named(ForbiddenError, "ForbiddenError");

/**
 * An admin is to be revoked on whom the roles of others rest. Show them to a person: a thief of that admin may have admitted some.
 * Then say which of them stay.
 */
export class DependantsError extends StringphoneError {
  readonly code = "DEPENDANTS";
  /**
   * The public keys of those whom it admitted, and nobody of a smaller rank. With an admin among them those stay, or go, whom that one
   * admitted in turn.
   */
  readonly dependants: readonly Uint8Array[];
  constructor(dependants: readonly Uint8Array[]) {
    super(
      `the roles of ${dependants.length} others rest on this admin, and on those of them who are admins perhaps others in turn: say with "keep" whether "all", "none", or which of them stay`,
    );
    this.dependants = dependants;
  }
}
named(DependantsError, "DependantsError");

/** What was saved cannot be loaded: it is damaged, or of another version. */
export class StateError extends StringphoneError {
  readonly code = "STATE";
}
named(StateError, "StateError");

/** An identity, wrap or KEM public key that no honest program makes: refused wherever it comes from. */
export class InvalidKeyError extends StringphoneError {
  readonly code = "INVALID_KEY";
}
named(InvalidKeyError, "InvalidKeyError");

/** Seen already, or so old that it cannot be told. Nothing changed; ignore it. */
export class ReplayError extends StringphoneError {
  readonly code = "REPLAY";
  /** `seen`: this very one was taken before. `too-old`: it lies before what is remembered. */
  readonly reason: "seen" | "too-old";
  constructor(reason: "seen" | "too-old", message: string) {
    super(message);
    this.reason = reason;
  }
}
named(ReplayError, "ReplayError");

/** Too old to act on: a command or an introduction past its age, or a state that a newer one replaced. */
export class StaleMessageError extends StringphoneError {
  readonly code = "STALE_MESSAGE";
  /** Milliseconds: older than now, or for a replaced state, older than the newest state of its sender. */
  readonly age: number;
  constructor(age: number, message: string) {
    super(message);
    this.age = age;
  }
}
named(StaleMessageError, "StaleMessageError");

/** A clock is missing or wrong, here or at the sender. Set it; after a clock that ran ahead, call `resetClock()`. */
export class ClockError extends StringphoneError {
  readonly code = "CLOCK";
  /** Whose clock has to be mended. `sender` is of a verified message. */
  readonly whose: "ours" | "sender";
  /** Milliseconds ahead of this program's clock; `undefined` where a clock is missing. */
  readonly ahead: number | undefined;
  constructor(whose: "ours" | "sender", ahead: number | undefined, message: string) {
    super(message);
    this.whose = whose;
    this.ahead = ahead;
  }
}
named(ClockError, "ClockError");

/** A message of another delivery than the call allows. Decode it where that delivery is expected. */
export class UnexpectedDeliveryError extends StringphoneError {
  readonly code = "UNEXPECTED_DELIVERY";
  readonly delivery: AnyDelivery;
  readonly expected: readonly Delivery[];
  constructor(delivery: AnyDelivery, expected: readonly Delivery[], message: string) {
    super(message);
    this.delivery = delivery;
    this.expected = expected;
  }
}
named(UnexpectedDeliveryError, "UnexpectedDeliveryError");

/** The message carries a batch. Give it to `decodeBatch`, which returns every payload in it; nothing was accepted yet. */
export class BatchError extends StringphoneError {
  readonly code = "BATCH";
  /** Payloads in it: the message was verified before. Under `naive` anybody with the topic key may have written it. */
  readonly size: number;
  constructor(size: number) {
    super(`expected one payload, got a batch of ${size}: call decodeBatch()`);
    this.size = size;
  }
}
named(BatchError, "BatchError");

/** A command that the broker had retained. Never act on it; clear it at the broker, and mend its publisher. */
export class RetainedCommandError extends StringphoneError {
  readonly code = "RETAINED_COMMAND";
  constructor() {
    super("a command came as a retained message: it is not acted on; publish commands without retain");
  }
}
named(RetainedCommandError, "RetainedCommandError");

/** A last will that its sender's newest `alive` does not name: an old one, or one whose `alive` did not come yet. */
export class WillError extends StringphoneError {
  readonly code = "WILL_NOT_CURRENT";
  /** `unannounced`: no `alive` of this sender was seen. `withdrawn`: the newest names another will, or none. */
  readonly reason: "unannounced" | "withdrawn";
  constructor(reason: "unannounced" | "withdrawn") {
    super(
      reason === "unannounced"
        ? "no alive message of this sender has been seen yet: decode its retained alive first"
        : "the sender's newest alive message does not name this will: it is an old one",
    );
    this.reason = reason;
  }
}
named(WillError, "WillError");

/** Somebody introduces itself; the signature is verified. Ask a person to compare `introduction.fingerprint`. */
export class IntroductionError extends StringphoneError {
  readonly code = "INTRODUCTION";
  readonly introduction: Introduction;
  constructor(introduction: Introduction) {
    super(
      "the message is an introduction: compare its fingerprint, then addParticipant(), or admit() where there is a roster, and constructReply()",
    );
    this.introduction = introduction;
  }
}
named(IntroductionError, "IntroductionError");

/** A reply to our introduction, opened and verified. Ask a person to compare `reply.fingerprint`, then `parseReply`. */
export class IntroductionReplyError extends StringphoneError {
  readonly code = "INTRODUCTION_REPLY";
  readonly reply: Reply;
  constructor(
    reply: Reply,
    message = "the message is a reply to our introduction: compare its fingerprint, then parseReply(), and addParticipant() where there is no roster",
  ) {
    super(message);
    this.reply = reply;
  }
}
named(IntroductionReplyError, "IntroductionReplyError");

/** A reply to somebody else's introduction, or to one of ours that ended. Ignore it: whoever waits introduces itself now and then anyway. */
export class ForeignReplyError extends StringphoneError {
  readonly code = "FOREIGN_REPLY";
  constructor(
    message = "the reply answers no introduction of ours that is still open: ignore it, it is for somebody else or came too late",
  ) {
    super(message);
  }
}
named(ForeignReplyError, "ForeignReplyError");

/** Too many introductions, or replies to one introduction. Somebody floods the channel; wait. Or `ratchet` was called too often. */
export class RateLimitError extends StringphoneError {
  readonly code = "RATE_LIMIT";
  /** Milliseconds to wait; `undefined` where only a new introduction helps, and of `ratchet`. */
  readonly retryAfter: number | undefined;
  constructor(retryAfter: number | undefined, message: string) {
    super(message);
    this.retryAfter = retryAfter;
  }
}
named(RateLimitError, "RateLimitError");

/** The payload is authentic but not the text or JSON that was asked for. */
export class PayloadFormatError extends StringphoneError {
  readonly code = "PAYLOAD_FORMAT";
}
named(PayloadFormatError, "PayloadFormatError");

/** The topic was disposed, and its secrets are gone; or the collector was closed. Create a new one. */
export class DisposedError extends StringphoneError {
  readonly code = "DISPOSED";
  constructor(what: "topic" | "collector" = "topic") {
    super(
      what === "topic"
        ? "this topic was disposed and its secrets were wiped: create a new one"
        : "this collector was closed after what it had was sent: create a new one",
    );
  }
}
named(DisposedError, "DisposedError");

/**
 * Every error of this library, for an exhaustive `switch` over `code`.
 *
 * @example
 * ```ts
 * import { isStringphoneError } from "stringphone";
 *
 * function advise(error: unknown): string {
 *   if (!isStringphoneError(error)) throw error;
 *   switch (error.code) {
 *     case "UNTRUSTED_KEY":
 *       return "pair with this device first";
 *     case "STALE_MESSAGE":
 *       return `came ${error.age} ms too late`;
 *     default:
 *       return error.message;
 *   }
 * }
 * ```
 */
export type AnyStringphoneError =
  | MalformedMessageError
  | UnsupportedVersionError
  | MessageTooLargeError
  | MissingTopicKeyError
  | UnknownTopicKeyError
  | DecryptionError
  | UntrustedKeyError
  | BadSignatureError
  | InvalidKeyError
  | ReplayError
  | StaleMessageError
  | ClockError
  | UnexpectedDeliveryError
  | RetainedCommandError
  | WillError
  | IntroductionError
  | IntroductionReplyError
  | ForeignReplyError
  | RateLimitError
  | PayloadFormatError
  | BatchError
  | ForbiddenError
  | DependantsError
  | StateError
  | BackendError
  | DisposedError;

/** Whether this is an error of this library, as the union that a `switch` over `code` can exhaust. */
export function isStringphoneError(error: unknown): error is AnyStringphoneError {
  return error instanceof StringphoneError;
}
