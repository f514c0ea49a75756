/**
 * stringphone beside its peers, on the same work in one run. See README.md for how each is used.
 *
 *     npm start -- --rounds 11 --sizes 32,200,1024,65536,1048576 --peers floor-native,stringphone-native --json out.json
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Child } from "./child.js";
import { measureSize, type SizeResult } from "./measure.js";
import { header, type LeftOut, machine, sizeLabel, table } from "./report.js";
import { ROSTER } from "./roster.js";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "11" },
    sizes: { type: "string", default: "32,200,1024,65536,1048576" },
    peers: { type: "string" },
    json: { type: "string" },
  },
});

function wholeNumber(what: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new RangeError(`${what} expected a whole number from 1, got "${text}"`);
  return value;
}

const rounds = wholeNumber("--rounds", values.rounds);
const sizes = values.sizes.split(",").map((size) => wholeNumber("--sizes", size));
const entries = (values.peers?.split(",") ?? ROSTER.map(({ name }) => name)).map((wanted) => {
  const entry = ROSTER.find(({ name }) => name === wanted);
  if (entry === undefined) {
    throw new RangeError(`--peers expected some of ${ROSTER.map(({ name }) => name).join(", ")}, got "${wanted}"`);
  }
  return entry;
});

// All are started before the first is measured: starting takes the second core.
const children: Child[] = [];
const leftOut: LeftOut[] = [];
for (const entry of entries) {
  try {
    children.push(await Child.start(entry));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    leftOut.push({ name: entry.name, reason });
    console.error(`left out: ${entry.name}: ${reason}`);
    if (values.peers !== undefined) process.exitCode = 1; // who is asked for by name must run
  }
}

console.log(`# stringphone and its peers\n\n${header(children, leftOut, rounds)}`);
const results: SizeResult[] = [];
try {
  for (const bytes of sizes) {
    const result = await measureSize(children, bytes, rounds);
    results.push(result);
    console.log(`\n${table(children, result)}`);
    for (const [name, { failure }] of result.series) {
      if (failure === undefined) continue;
      console.error(`failed: ${name} at ${sizeLabel(bytes)}: ${failure}`);
      process.exitCode = 1;
    }
  }
} finally {
  for (const child of children) child.stop();
}

if (values.json !== undefined) {
  const peers = children.map(({ entry, hello }) => ({ name: entry.name, floor: entry.floor, ...hello }));
  const raw = results.map(({ bytes, series, orders }) => ({ bytes, orders, series: Object.fromEntries(series) }));
  writeFileSync(
    values.json,
    `${JSON.stringify({ machine: machine(), rounds, peers, leftOut, sizes: raw }, null, 2)}\n`,
  );
}
