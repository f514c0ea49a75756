import { describe, expect, it } from "vitest";
import { type SavedStepBudget, StepBudget } from "../src/step-budget.js";
import { thrownBy } from "./support/expect.js";
import { START } from "./support/topics.js";

const HOUR = 3_600_000;
const YEAR = 8766 * HOUR;
const MOST = 2048;

/** A budget of which all that it begins with is spent, at running time 0. */
function spent(clock: number | undefined): StepBudget {
  const budget = new StepBudget(clock, 0);
  expect(budget.spend(24, clock, 0)).toBe(true);
  return budget;
}

describe("spending", () => {
  it("begins with 24 steps", () => {
    const budget = new StepBudget(START, 0);
    expect(budget.available(START, 0)).toBe(24);
    expect(budget.spend(1, START, 0)).toBe(true);
    expect(budget.available(START, 0)).toBe(23);
    expect(budget.spend(24, START, 0)).toBe(false);
    expect(budget.available(START, 0)).toBe(23);
    expect(budget.spend(23, START, 0)).toBe(true);
    expect(budget.spend(1, START, 0)).toBe(false);
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])("takes no count of %d", (count) => {
    const budget = new StepBudget(START, 0);
    expect(thrownBy(() => budget.spend(count, START, 0))).toBeInstanceOf(RangeError);
    expect(budget.available(START, 0)).toBe(24);
  });
});

describe("earning", () => {
  it("is a step an hour, to the millisecond, however often somebody looks", () => {
    const budget = spent(START);
    expect(budget.available(START + HOUR - 1, HOUR - 1)).toBe(0);
    expect(budget.spend(1, START + HOUR - 1, HOUR - 1)).toBe(false);
    expect(budget.available(START + HOUR, HOUR)).toBe(1);
    for (let time = HOUR; time < 3 * HOUR; time += 777) budget.available(START + time, time);
    expect(budget.available(START + 3 * HOUR - 1, 3 * HOUR - 1)).toBe(2);
    expect(budget.available(START + 3 * HOUR, 3 * HOUR)).toBe(3);
    expect(budget.spend(2, START + 3 * HOUR, 3 * HOUR)).toBe(true);
    expect(budget.available(START + 4 * HOUR, 4 * HOUR)).toBe(2);
  });

  it("is not more for a clock of whole milliseconds beside a running time of parts of them", () => {
    const budget = spent(START);
    for (let time = 0; time < HOUR - 1; time += 0.3) budget.available(START + Math.floor(time), time);
    expect(budget.available(START + HOUR - 1, HOUR - 1)).toBe(0);
    expect(budget.available(START + HOUR, HOUR)).toBe(1);
  });

  it("ends at 2,048, and goes on from there when some are spent", () => {
    const budget = spent(START);
    expect(budget.available(START + 100 * YEAR, 0)).toBe(MOST);
    expect(budget.spend(MOST + 1, START + 100 * YEAR, 0)).toBe(false);
    expect(budget.spend(MOST, START + 100 * YEAR, 0)).toBe(true);
    expect(budget.available(START + 100 * YEAR, 0)).toBe(0);
    expect(budget.available(START + 100 * YEAR + HOUR, HOUR)).toBe(1);
  });

  it("counts by the clock while the machine sleeps and running time stands still", () => {
    expect(spent(START).available(START + 5 * HOUR, 1)).toBe(5);
  });

  it("counts by running time where there is no clock, or one that stands still", () => {
    const budget = spent(undefined);
    expect(budget.available(undefined, HOUR - 1)).toBe(0);
    expect(budget.available(undefined, HOUR)).toBe(1);
    expect(budget.available(undefined, 1e15)).toBe(MOST);
    expect(spent(START).available(START, 2 * HOUR)).toBe(2);
  });
});

it("loses nothing to a running time that goes back", () => {
  const budget = spent(undefined);
  expect(budget.available(undefined, 5 * HOUR)).toBe(5);
  expect(budget.available(undefined, HOUR)).toBe(5);
  expect(budget.available(undefined, 5 * HOUR)).toBe(5);
});

describe("a clock", () => {
  it("that goes back gives nothing and takes nothing", () => {
    const budget = spent(START);
    expect(budget.available(START + 3 * HOUR, 3 * HOUR)).toBe(3);
    expect(budget.available(START - YEAR, 3 * HOUR)).toBe(3);
    expect(budget.available(START + 3 * HOUR, 3 * HOUR)).toBe(3);
    // Back and forth for ever: no more than once.
    for (let i = 0; i < 100; i++) {
      expect(budget.available(START + 10 * HOUR, 3 * HOUR)).toBe(10);
      expect(budget.available(START, 3 * HOUR)).toBe(10);
    }
  });

  it("that went back leaves the counting to running time until it is where it was", () => {
    const budget = spent(START);
    expect(budget.available(START - 5 * HOUR, 0)).toBe(0);
    expect(budget.available(START - 3 * HOUR, 2 * HOUR)).toBe(2);
    expect(budget.available(START, 5 * HOUR)).toBe(5);
    expect(budget.available(START + HOUR, 6 * HOUR)).toBe(6);
    expect(budget.available(START + 2 * HOUR, 7 * HOUR)).toBe(7);
  });

  it("that comes later does not count again what running time counted", () => {
    const budget = spent(undefined);
    expect(budget.available(undefined, 2 * HOUR)).toBe(2);
    expect(budget.available(START, 3 * HOUR)).toBe(3);
    expect(budget.available(START + HOUR, 4 * HOUR)).toBe(4);
    expect(budget.available(START + 10 * HOUR, 4 * HOUR)).toBe(13);
  });

  it("that is lost for a while loses nothing, and what was counted meanwhile is not counted again", () => {
    const budget = spent(START);
    expect(budget.available(START + HOUR, HOUR)).toBe(1);
    expect(budget.available(undefined, 3 * HOUR)).toBe(3);
    expect(budget.available(START + 3 * HOUR, 3 * HOUR)).toBe(3);
    expect(budget.available(START + 4 * HOUR, 4 * HOUR)).toBe(4);
    // Once more, and the machine sleeps meanwhile.
    expect(budget.available(undefined, 5 * HOUR)).toBe(5);
    expect(budget.available(START + 10 * HOUR, 5 * HOUR)).toBe(10);
  });

  it("that lags behind after a start does not count again, once it is right, what running time counted", () => {
    const budget = spent(START);
    expect(budget.available(START + 60_000, 5 * HOUR)).toBe(5);
    expect(budget.available(START + 5 * HOUR, 5 * HOUR)).toBe(5);
    expect(budget.available(START + 6 * HOUR, 6 * HOUR)).toBe(6);
  });

  it("that was ahead for a moment does not stop the counting for as long as it was ahead", () => {
    const budget = spent(START);
    expect(budget.spend(MOST, START + YEAR, 0)).toBe(true);
    expect(budget.available(START + HOUR, HOUR)).toBe(1);
    expect(budget.available(undefined, 2 * HOUR)).toBe(2);
  });

  it("never makes more of a time than its own way up and the running time together", () => {
    let state = 3;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    for (let run = 0; run < 200; run++) {
      let budget = spent(START);
      let [clock, running, away, greatest] = [START, 0, 0, START];
      for (let i = 0; i < 50; i++) {
        running += random(HOUR);
        clock += random(5 * HOUR) - HOUR;
        const read = random(4) === 0 ? undefined : clock;
        greatest = Math.max(greatest, read ?? 0);
        if (random(10) === 0) {
          budget = StepBudget.restore(budget.saved(read, running), read, 0);
          away += running;
          running = 0;
        }
        const available = budget.available(read, running);
        expect(available).toBeLessThanOrEqual(Math.floor((greatest - START + running + away) / HOUR));
        expect(available).toBeGreaterThanOrEqual(Math.floor(Math.max(greatest - START, running + away) / HOUR));
      }
    }
  });
});

describe("what is saved", () => {
  it("earns while the program is away, by the clock", () => {
    const budget = spent(START);
    const saved = budget.saved(START + HOUR + 600_000, HOUR + 600_000);
    expect(saved).toEqual({ credit: HOUR + 600_000, clock: START + HOUR + 600_000, counted: 0 });
    const restored = StepBudget.restore(saved, START + 10 * HOUR, 5);
    expect(restored.available(START + 10 * HOUR, 5)).toBe(10);
    expect(restored.available(START + 11 * HOUR, 5 + HOUR)).toBe(11);
    // Also where the clock is lost right after.
    expect(StepBudget.restore(saved, START + 10 * HOUR, 5).available(undefined, 5)).toBe(10);
    expect(StepBudget.restore(saved, START + YEAR, 5).available(START + YEAR, 5)).toBe(MOST);
  });

  it("earns nothing while away without a clock, and goes on by running time", () => {
    const restored = StepBudget.restore(spent(undefined).saved(undefined, 2 * HOUR), undefined, 1e12);
    expect(restored.available(undefined, 1e12)).toBe(2);
    expect(restored.available(undefined, 1e12 + HOUR)).toBe(3);
    expect(restored.available(START, 1e12 + 2 * HOUR)).toBe(4);
  });

  it("gets the time away once a clock is there, without what running time counted before and after", () => {
    const budget = spent(START);
    const saved = budget.saved(undefined, 2 * HOUR);
    expect(saved).toEqual({ credit: 2 * HOUR, clock: START, counted: 2 * HOUR });
    const restored = StepBudget.restore(saved, undefined, 0);
    expect(restored.available(undefined, 3 * HOUR)).toBe(5);
    expect(restored.available(START + 20 * HOUR, 3 * HOUR)).toBe(20);
  });

  it("loses no running time between the last look and saving", () => {
    expect(StepBudget.restore(spent(undefined).saved(undefined, 7 * HOUR), undefined, 0).available(undefined, 0)).toBe(
      7,
    );
  });

  it("may have been saved by a clock that was ahead", () => {
    const restored = StepBudget.restore(spent(START + YEAR).saved(START + YEAR, 0), START, 0);
    expect(restored.available(START, 0)).toBe(0);
    expect(restored.available(START + 2 * HOUR, 2 * HOUR)).toBe(2);
  });

  it("never has more than 2,048 steps", () => {
    const saved: SavedStepBudget = { credit: 1e15, clock: START, counted: 0 };
    expect(StepBudget.restore(saved, START, 0).available(START, 0)).toBe(MOST);
  });

  it.each<Partial<SavedStepBudget>>([
    { credit: -1 },
    { credit: Number.NaN },
    { counted: -1 },
    { counted: Number.POSITIVE_INFINITY },
    { clock: Number.NaN },
    { clock: -1 },
  ])("is refused with %o", (wrong) => {
    const saved = { credit: 0, clock: START, counted: 0, ...wrong };
    expect(thrownBy(() => StepBudget.restore(saved, START, 0))).toBeInstanceOf(RangeError);
  });
});
