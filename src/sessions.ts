/** Our own sessions: the positions at which this topic sends (PROTOCOL §6.1). */
import { toTableKey } from "./bytes.js";
import { knownContext } from "./context.js";
import type { Identity } from "./identity.js";
import { MAX_OWN_SESSIONS, MAX_SENDING_CONTEXTS, MAX_SEQUENCE } from "./limits.js";
import type { Position } from "./sealing.js";

interface Sending {
  readonly session: Uint8Array;
  /** Of its context, in the table. */
  readonly key: string;
  next: number;
  lastSentAt: number;
}

export class SendingSessions {
  readonly #identity: Identity;
  readonly #maxSequence: number;
  readonly #byContext = new Map<string, Sending>();
  readonly #own = new Map<string, Sending>();
  #forgottenUntil = -1;

  constructor(identity: Identity, maxSequence = MAX_SEQUENCE) {
    this.#identity = identity;
    this.#maxSequence = maxSequence;
  }

  /** The next position in a context, for a message of this time that takes `count` sequences. No call gives one twice. */
  next(context: string, sentAt: number, count = 1): Position {
    const key = knownContext(context).key;
    let sending = this.#byContext.get(key);
    if (sending === undefined || sending.next > this.#maxSequence - (count - 1)) {
      sending = this.#draw(context, sentAt);
      this.#byContext.delete(key);
      if (this.#byContext.size >= MAX_SENDING_CONTEXTS) {
        this.#byContext.delete(this.#byContext.keys().next().value as string);
      }
      this.#byContext.set(key, sending);
    }
    sending.lastSentAt = sentAt;
    const sequence = sending.next;
    sending.next += count;
    return { session: sending.session, sequence, context };
  }

  /** A position in a session of its own, for a will and for control messages. */
  single(context: string, sentAt: number): Position {
    return { session: this.#draw(context, sentAt).session, sequence: 0, context };
  }

  /** Begins new sessions in every context. */
  renew(): void {
    this.#byContext.clear();
  }

  /** Whether this topic itself sent this message: under a session (as the key of a table) it remembers, or so long ago that it forgot. */
  isOwn(session: string, sentAt: number): boolean {
    return sentAt <= this.#forgottenUntil || this.#own.has(session);
  }

  #draw(context: string, sentAt: number): Sending {
    const key = knownContext(context).key;
    const session = this.#identity.drawSession(sentAt, context);
    const sending = { session, key, next: 0, lastSentAt: sentAt };
    if (this.#own.size >= MAX_OWN_SESSIONS) {
      const [oldestSession, oldest] = this.#own.entries().next().value as [string, Sending];
      this.#own.delete(oldestSession);
      // Nothing may be sent under a session that would not be known as our own any more.
      if (this.#byContext.get(oldest.key) === oldest) this.#byContext.delete(oldest.key);
      this.#forgottenUntil = Math.max(this.#forgottenUntil, oldest.lastSentAt);
    }
    this.#own.set(toTableKey(session), sending);
    return sending;
  }
}
