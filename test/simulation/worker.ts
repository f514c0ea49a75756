/** Runs schedules one by one, and prints a line of JSON for each that failed and one for all: what `simulate.ts` starts, in a bundle. */
import { type Outcome, run } from "./schedule.js";

/** What is printed of one that failed, and of all. */
export type Line =
  | { readonly seed: number; readonly failures: readonly string[] }
  | { readonly schedules: number; readonly totals: Totals };

export interface Totals {
  readonly asked: number;
  readonly hostile: number;
  readonly repairs: number;
  readonly mostRounds: number;
  /** Repairs beyond the documented bound for what was asked for and done by the bad one, of the worst schedule. */
  readonly mostRepairs: number;
}

async function outcomeOf(seed: number, trace: boolean): Promise<Outcome> {
  try {
    return await run(seed, { trace });
  } catch (error) {
    const failures = [`threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`];
    return { failures, rekeys: { asked: 0, repairs: 0, hostile: 0 }, rounds: 0 };
  }
}

// Most of what is thrown is expected, and to trace the stack is what costs the most of it.
Error.stackTraceLimit = process.argv[4] === "trace" ? 10 : 0;

const [first = "1", count = "1", mode = ""] = process.argv.slice(2);
let totals: Totals = { asked: 0, hostile: 0, repairs: 0, mostRounds: 0, mostRepairs: Number.NEGATIVE_INFINITY };
for (let seed = Number(first); seed < Number(first) + Number(count); seed++) {
  const { failures, rekeys, rounds } = await outcomeOf(seed, mode === "trace");
  if (failures.length > 0) console.log(JSON.stringify({ seed, failures } satisfies Line));
  if (failures.length > 0 && mode === "first") break;
  const { asked, hostile, repairs } = rekeys;
  totals = {
    asked: totals.asked + asked,
    hostile: totals.hostile + hostile,
    repairs: totals.repairs + repairs,
    mostRounds: Math.max(totals.mostRounds, rounds),
    mostRepairs: Math.max(totals.mostRepairs, repairs - 2 * (asked + hostile)),
  };
}
console.log(JSON.stringify({ schedules: Number(count), totals } satisfies Line));
