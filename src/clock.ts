/** Time as the protocol sees it (PROTOCOL §7.1): an order that never falls, and a clock that may be none. */
import { ClockError } from "./errors.js";
import { CLOCK_FLOOR, MAX_SENT_AT } from "./limits.js";

/** Whether a `sentAt` is a time; below the floor it is only an order. */
export function isTime(sentAt: number): boolean {
  return sentAt >= CLOCK_FLOOR;
}

/** Milliseconds that run whatever anybody does to the clock. */
export function runningTime(): number {
  return performance.now();
}

/** Calls something after so much running time, unless the process ends before. */
export function wakeAfter(milliseconds: number, wake: () => void): ReturnType<typeof setTimeout> {
  const timer = setTimeout(wake, milliseconds);
  // In Node a timer keeps the process alive, unless told not to; a browser's is a number.
  (timer as { unref?: () => void }).unref?.();
  return timer;
}

/** All of a `Clock` that must outlive the program. */
export interface SavedClock {
  /** Of our last message. */
  readonly lastSentAt: number;
  /** Greatest reading. */
  readonly greatest: number;
}

export class Clock {
  readonly #now: () => number;
  readonly #maxSkew: number;
  #greatest = 0;
  #reading = 0;
  #lastSentAt = 0;

  constructor(now: () => number, maxSkew: number) {
    this.#now = now;
    this.#maxSkew = maxSkew;
  }

  #raw(): number {
    const reading = Math.floor(this.#now());
    const now = reading >= 0 && reading <= MAX_SENT_AT ? reading : 0;
    this.#greatest = Math.max(this.#greatest, now);
    this.#reading = now;
    return now;
  }

  /** Milliseconds since 1970, or `undefined` where the clock was never set or went back. */
  read(): number | undefined {
    const now = this.#raw();
    return isTime(now) && now >= this.#greatest - this.#maxSkew ? now : undefined;
  }

  /** The time of the next message: never less than any before it. */
  nextSentAt(): number {
    this.#raw();
    return this.nextSentAtAsRead();
  }

  /** The same by the latest reading: the clock is the caller's code, and must not run when something has changed. */
  nextSentAtAsRead(): number {
    this.expectOneMore();
    this.#lastSentAt = Math.max(this.#reading, this.#lastSentAt + 1);
    return this.#lastSentAt;
  }

  /** How many messages can be sent: there is a time for each. */
  get left(): number {
    return MAX_SENT_AT - Math.max(this.#lastSentAt, this.#reading - 1);
  }

  /** Throws where no message can be sent any more. */
  expectOneMore(): void {
    if (this.left > 0) return;
    throw new ClockError(
      "ours",
      undefined,
      "this program's sentAt reached its end: set the clock and call resetClock()",
    );
  }

  /** Throws where every receiver with a clock would refuse what is judged by its time. */
  expectUsable(delivery: string): void {
    const now = this.read();
    if (now === undefined) {
      throw new ClockError(
        "ours",
        undefined,
        `a ${delivery} needs a clock, and ours is not set or went back: set it, then call resetClock(); or send an event`,
      );
    }
    const ahead = this.#lastSentAt - now;
    if (ahead > this.#maxSkew) {
      throw new ClockError("ours", ahead, `our last sentAt is ${ahead} ms ahead of our clock: call resetClock()`);
    }
  }

  /** How far `sentAt` lies ahead of `now`, a reading of our clock, if by more than the skew; `undefined` also without clocks. */
  tooFarAhead(sentAt: number, now: number | undefined): number | undefined {
    if (now === undefined || !isTime(sentAt)) return undefined;
    const ahead = sentAt - now;
    return ahead > this.#maxSkew ? ahead : undefined;
  }

  /** The latest time that this program is known to have reached, by its clock or by what it sent. */
  get latest(): number {
    return Math.max(this.#greatest, this.#lastSentAt);
  }

  saved(): SavedClock {
    return { lastSentAt: this.#lastSentAt, greatest: this.#greatest };
  }

  /** Goes on with what was saved: no later message has a smaller time. */
  restore({ lastSentAt, greatest }: SavedClock): void {
    this.#lastSentAt = Math.max(this.#lastSentAt, lastSentAt);
    this.#greatest = Math.max(this.#greatest, greatest);
  }

  /** Takes the clock as it is now for right, after it had run ahead. */
  reset(): void {
    this.#greatest = 0;
    this.#lastSentAt = 0;
  }
}
