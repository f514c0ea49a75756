/**
 * How many generations this program may step, by itself and by following others: one an hour, saved up to 2,048 (PROTOCOL §4.2).
 * So nobody takes a group along faster, or further ahead, than those who sleep can read when they come back.
 */
import { FIRST_STEPS, MAX_STEP_BUDGET, STEP_INTERVAL } from "./limits.js";

/** All of a `StepBudget` that must outlive the program. */
export interface SavedStepBudget {
  /** Milliseconds saved up. */
  readonly credit: number;
  /** The reading of the clock from which time is counted; `undefined` where there never was a clock. */
  readonly clock: number | undefined;
  /** Milliseconds counted since that reading. */
  readonly counted: number;
}

/**
 * Everywhere below, `clock` is milliseconds since 1970 or `undefined` where there is no clock, and `running` is milliseconds of
 * running time. Of the two, the one that says more counts, from the last reading at which it was the clock: so time counts while
 * the program is away or the machine sleeps, and also without a clock, or with one that went back. No time counts twice.
 */
export class StepBudget {
  #credit = FIRST_STEPS * STEP_INTERVAL;
  /** The reading of the clock, and the running time then, from which both are counted. It never goes back. */
  #clock: number | undefined;
  #running: number;
  /** What was counted since. */
  #counted = 0;

  /** Begins with a few steps. */
  constructor(clock: number | undefined, running: number) {
    this.#clock = clock;
    this.#running = running;
  }

  /** Goes on with what was saved. */
  static restore(saved: SavedStepBudget, clock: number | undefined, running: number): StepBudget {
    const { credit, counted } = saved;
    for (const [name, value] of Object.entries({ credit, counted, clock: saved.clock ?? 0 })) {
      if (!(value >= 0 && value < Infinity)) throw new RangeError(`"${name}" expected milliseconds, got ${value}`);
    }
    const budget = new StepBudget(saved.clock, running - counted);
    budget.#credit = credit;
    budget.#counted = counted;
    budget.#accrue(clock, running);
    return budget;
  }

  /** Steps that may be spent now. */
  available(clock: number | undefined, running: number): number {
    this.#accrue(clock, running);
    return Math.floor(this.#credit / STEP_INTERVAL);
  }

  /** Spends so many steps, or none where there are fewer. Says whether it did. */
  spend(count: number, clock: number | undefined, running: number): boolean {
    if (!Number.isSafeInteger(count) || count < 1) {
      throw new RangeError(`"count" expected an integer from 1, got ${count}`);
    }
    if (count > this.available(clock, running)) return false;
    this.#credit -= count * STEP_INTERVAL;
    return true;
  }

  /** What to save, as it is now. */
  saved(clock: number | undefined, running: number): SavedStepBudget {
    this.#accrue(clock, running);
    return { credit: this.#credit, clock: this.#clock, counted: this.#counted };
  }

  #accrue(clock: number | undefined, running: number): void {
    const byClock = clock === undefined || this.#clock === undefined ? 0 : clock - this.#clock;
    const elapsed = Math.max(byClock, running - this.#running, this.#counted);
    this.#credit = Math.min(this.#credit + elapsed - this.#counted, MOST);
    this.#counted = elapsed;
    // Not where the clock lags behind: once it is right again, it would count what running time has counted.
    if (clock !== undefined && (this.#clock === undefined || byClock === elapsed)) {
      this.#clock = clock;
      this.#running = running;
      this.#counted = 0;
    }
  }
}

const MOST = MAX_STEP_BUDGET * STEP_INTERVAL;
