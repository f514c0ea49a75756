/** What `decode` gives: a message that was verified, or under another type one that was not. */
import { type Delivery, PayloadFormatError } from "./errors.js";
import type { Participant } from "./identity.js";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A payload, and the ways to read it. */
export abstract class Decoded {
  /** The bytes that the sender gave to `encode`; they are the caller's. */
  readonly payload: Uint8Array;

  constructor(payload: Uint8Array) {
    this.payload = payload;
  }

  /**
   * The payload as text.
   *
   * @throws PayloadFormatError when it is not UTF-8
   */
  text(): string {
    try {
      return utf8.decode(this.payload);
    } catch {
      throw new PayloadFormatError("expected a payload of UTF-8 text, got other bytes: read payload instead");
    }
  }

  /**
   * The payload parsed as JSON; `unknown`, because a trusted sender may still send another shape.
   *
   * @throws PayloadFormatError when it is not UTF-8 or not JSON
   */
  json(): unknown {
    const text = this.text();
    try {
      return JSON.parse(text);
    } catch {
      throw new PayloadFormatError("expected a payload of JSON, got other text: read text() instead");
    }
  }
}

/** The facts that surround a verified payload. */
export interface Facts {
  readonly sender: Participant;
  readonly sentAt: number;
  readonly delivery: Delivery;
  readonly sequence: number;
  readonly missed: number | undefined;
  readonly replayed: boolean;
}

/** A message of a trusted participant: decrypted, verified and, unless a `state` or `replayed`, not given before by this topic. */
export class Received extends Decoded {
  /** Who signed it. */
  readonly sender: Participant;
  /**
   * Milliseconds since 1970 by the sender's clock, never falling for one sender. Below 2^40 the sender has
   * no clock and only counts.
   */
  readonly sentAt: number;
  /** For what it was sent: see `EncodeOptions.delivery`. */
  readonly delivery: Delivery;
  /** Its number in the sender's session, from 0. */
  readonly sequence: number;
  /**
   * Messages of this session that were sent between the highest one seen and this, and did not come: lost,
   * late, or withheld by the broker. 0 for one that came late. `undefined` for a session's first message,
   * and where `replayed`.
   */
  readonly missed: number | undefined;
  /** Whether it was, or may have been, given before. True only where `allowReplay` was asked for. */
  readonly replayed: boolean;

  /** @internal */
  constructor(payload: Uint8Array, facts: Facts) {
    super(payload);
    this.sender = facts.sender;
    this.sentAt = facts.sentAt;
    this.delivery = facts.delivery;
    this.sequence = facts.sequence;
    this.missed = facts.missed;
    this.replayed = facts.replayed;
  }
}

/**
 * What `decode` gives under `naive`: some holder of the topic key sealed it. Nobody checked who, or
 * whether it came before.
 */
export class UnverifiedMessage extends Decoded {
  /**
   * First 8 bytes of the id that the sender claims, all 16 of a message of 0.1 (`stringphone/compat`). Any holder of the topic
   * key can claim any.
   */
  readonly claimedSender: Uint8Array;

  /** @internal */
  constructor(payload: Uint8Array, claimedSender: Uint8Array) {
    super(payload);
    this.claimedSender = claimedSender;
  }
}
