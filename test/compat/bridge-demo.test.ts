/** examples/bridge in a process of its own, over a real MQTT connection. */
import { beforeAll, expect, it } from "vitest";
import { Program } from "../mqtt/program.js";
import { ensureBuilt } from "../support/build.js";

beforeAll(ensureBuilt);

it("the demo carries a reading and an answer, and refuses what is repeated", async () => {
  const program = new Program("../bridge/demo.ts", []);
  expect(await program.ended, program.errors).toEqual({ code: 0, signal: null });
  const story = program.lines
    .filter((line) => !/^broker\s+saw/.test(line))
    .map((line) => line.split(/\s{2,}/).slice(0, 3));
  expect(story.map(([who, verb]) => `${who} ${verb}`)).toEqual([
    "thermometer sends",
    "app reads",
    "app sends",
    "thermometer reads",
    "broker repeats",
    "bridge refuses",
  ]);
  expect(story[1]?.[2]).toBe("21.5 °C");
  expect(story[3]?.[2]).toBe("report every minute");
  expect(story[5]?.[2]).toBe("REPLAY");
  // Two messages on each side and one repetition: nothing came back that a side had sent.
  expect(program.lines.filter((line) => line.includes("house/legacy") && line.startsWith("broker"))).toHaveLength(3);
  expect(program.lines.filter((line) => line.includes("house/readings") && line.startsWith("broker"))).toHaveLength(2);
});
