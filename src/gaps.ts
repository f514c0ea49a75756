/** What is missing, and for how long (PROTOCOL §12.4): when to ask for it, and not more often than that. */
import type { IntroductionWant } from "./events.js";
import { ANSWER_SPREAD, GAP_DELAY, GAP_INTERVAL, MAX_GAP_INTERVAL } from "./limits.js";

/** Spreads what many do at the same event. Not secret, but nobody should guess whose turn is next. */
export function spread(rank: number): number {
  const [random] = globalThis.crypto.getRandomValues(new Uint32Array(1)) as unknown as [number];
  return Math.floor((rank + random / 2 ** 32) * ANSWER_SPREAD);
}

/** All of `Gaps` that must outlive the program: otherwise one that starts again and again would ask each time. */
export interface SavedGaps {
  /** What is missing, and for how many milliseconds. */
  readonly missing: readonly (readonly [IntroductionWant, number])[];
  /** Milliseconds before anything may be told again. */
  readonly next: number;
  /** Milliseconds from the next telling to the one after it. */
  readonly interval: number;
}

/** Times are milliseconds of running time. */
export class Gaps {
  readonly #since = new Map<IntroductionWant, number>();
  #nextAt = 0;
  #interval = GAP_INTERVAL;

  /** Something is missing: now, or still. Says whether it was not before: then `nextAt` may be sooner. */
  open(reason: IntroductionWant, now: number): boolean {
    if (this.#since.has(reason)) return false;
    this.#since.set(reason, now);
    return true;
  }

  /** An old state was loaded: told at once, however long the wait was that the state had begun. */
  restored(now: number): void {
    this.#since.set("restored", now - GAP_DELAY);
    this.#nextAt = now;
  }

  /** It came. */
  close(reason: IntroductionWant): void {
    this.#since.delete(reason);
  }

  /** Somebody answered: what is missing after that is told again, but not sooner than the first interval allows. */
  answered(): void {
    this.#since.clear();
    this.#interval = GAP_INTERVAL;
  }

  /** What has been missing for long enough to be told now. It is told again later, and less often each time. */
  due(now: number): IntroductionWant | undefined {
    if (now < this.#nextAt) return undefined;
    for (const [reason, since] of this.#since) {
      if (now - since < GAP_DELAY) continue;
      this.#nextAt = now + this.#interval;
      this.#interval = Math.min(2 * this.#interval, MAX_GAP_INTERVAL);
      return reason;
    }
    return undefined;
  }

  saved(now: number): SavedGaps {
    const missing = [...this.#since].map(([reason, since]) => [reason, now - since] as const);
    return { missing, next: Math.max(this.#nextAt - now, 0), interval: this.#interval };
  }

  restore({ missing, next, interval }: SavedGaps, now: number): void {
    for (const [reason, elapsed] of missing) this.#since.set(reason, now - elapsed);
    this.#nextAt = now + next;
    this.#interval = interval;
  }

  /** The running time at which something may be due. */
  get nextAt(): number | undefined {
    if (this.#since.size === 0) return undefined;
    return Math.max(this.#nextAt, Math.min(...this.#since.values()) + GAP_DELAY);
  }
}
