import { expect, it } from "vitest";
import { Gaps } from "../src/gaps.js";
import { GAP_DELAY, GAP_INTERVAL, MAX_GAP_INTERVAL } from "../src/limits.js";

/** The times at which something is told that is missing all the while. */
function tellings(gaps: Gaps, from: number, count: number): number[] {
  const times: number[] = [];
  let now = from;
  while (times.length < count) {
    now = Math.max(now, gaps.nextAt ?? Number.POSITIVE_INFINITY);
    if (gaps.due(now) !== undefined) times.push(now);
  }
  return times;
}

it("what is missing is told after 30 seconds, and then twice as late each time, up to a day", () => {
  const gaps = new Gaps();
  expect(gaps.open("unknown-key", 1000)).toBe(true);
  expect(gaps.open("unknown-key", 2000)).toBe(false);
  const [first, second, third, ...others] = tellings(gaps, 1000, 10) as [number, number, number, ...number[]];
  expect(first).toBe(1000 + GAP_DELAY);
  expect([second - first, third - second]).toEqual([GAP_INTERVAL, 2 * GAP_INTERVAL]);
  expect((others.at(-1) as number) - (others.at(-2) as number)).toBe(MAX_GAP_INTERVAL);
});

it("an answer begins the intervals anew, but a wait that has begun goes on", () => {
  const gaps = new Gaps();
  gaps.open("unknown-key", 0);
  const before = tellings(gaps, 0, 3).at(-1) as number;
  gaps.answered();
  expect(gaps.nextAt).toBeUndefined();
  gaps.open("statements-differ", before + 1);
  const [first, second] = tellings(gaps, before + 1, 2) as [number, number];
  expect(first - before).toBe(4 * GAP_INTERVAL);
  expect(second - first).toBe(GAP_INTERVAL);
});

it("of what came nothing is told, and of a program that starts again no more than of one that runs on", () => {
  const gaps = new Gaps();
  gaps.open("no-key", 0);
  gaps.open("behind", 0);
  gaps.close("no-key");
  expect(gaps.due(GAP_DELAY)).toBe("behind");
  const copy = new Gaps();
  copy.restore(gaps.saved(GAP_DELAY + 1), 7);
  expect(tellings(copy, 7, 2).map((at) => at - 7)).toEqual([GAP_INTERVAL - 1, 3 * GAP_INTERVAL - 1]);
});
