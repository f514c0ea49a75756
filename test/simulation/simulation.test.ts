/**
 * Thousands of schedules in which a topic lives and is repaired: see schedule.ts for what each of them checks. `npm run simulate` runs as many
 * as you like. A failing seed is printed; `npm run simulate 1 <seed> trace` shows it.
 */
import { expect, it } from "vitest";
import { DEFECTS } from "./defects.js";
import { simulate } from "./simulate.js";

const SCHEDULES = 2000;
const WITH_DEFECT = 400;

it(`${SCHEDULES} schedules end with one key, one roster, and nobody removed who reads`, async () => {
  const { failed, totals } = await simulate(SCHEDULES, 1);
  expect(failed).toEqual([]);
  // They are not idle: what is repaired was broken before.
  expect(totals.asked).toBeGreaterThan(SCHEDULES);
  expect(totals.hostile).toBeGreaterThan(SCHEDULES / 2);
  expect(totals.repairs).toBeGreaterThan(SCHEDULES / 4);
}, 1_200_000);

it.each(Object.entries(DEFECTS))(
  "finds out: %s",
  async (_, mutations) => {
    const { failed } = await simulate(WITH_DEFECT, 1, mutations, () => undefined, "first");
    expect(failed.length).toBeGreaterThan(0);
  },
  1_200_000,
);
