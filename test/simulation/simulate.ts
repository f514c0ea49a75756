/**
 * `npm run simulate [schedules] [first seed] [defect]`: 100,000 schedules from seed 1 unless told otherwise, on all cores. Prints every seed
 * that fails. `npm run simulate 1 <seed> trace` shows what happens in one.
 */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { bundleSimulation, type Mutation } from "./bundle.js";
import type { Line, Totals } from "./worker.js";

const here = fileURLToPath(new URL("./", import.meta.url));
const scratch = fileURLToPath(new URL("../../.tmp/", import.meta.url));

/** Shows the simulation what a topic holds, which nothing else can see. */
const OPEN: Mutation = {
  file: "src/topic.ts",
  find: "  #disposed = false;\n",
  replace: `  #disposed = false;
  static internals(topic: Topic) {
    return { rooted: topic.#rooted, keyring: topic.#keyring };
  }
`,
};

/** A shorter table of key ids: making it is most of the work of a schedule, and no schedule steps so often. */
const SHORT_TABLE: Mutation = {
  file: "src/limits.ts",
  find: "export const MAX_GENERATIONS_AHEAD = 4096;",
  replace: "export const MAX_GENERATIONS_AHEAD = 64;",
};

export interface Result {
  readonly failed: readonly { readonly seed: number; readonly failures: readonly string[] }[];
  readonly totals: Totals;
}

/** Runs so many schedules, with a defect or none, spread over processes; or until the first that fails in each of them. */
export async function simulate(
  schedules: number,
  first: number,
  mutations: readonly Mutation[] = [],
  onLine: (line: string) => void = () => undefined,
  mode: "" | "trace" | "first" = "",
): Promise<Result> {
  await mkdir(scratch, { recursive: true });
  const folder = await mkdtemp(join(scratch, "simulation-"));
  const outfile = join(folder, "worker.mjs");
  try {
    await bundleSimulation({ outfile, entry: join(here, "worker.ts"), mutations: [OPEN, SHORT_TABLE, ...mutations] });
    const processes = Math.min(availableParallelism(), Math.ceil(schedules / 10));
    const share = Math.ceil(schedules / processes);
    const parts = Array.from({ length: processes }, (_, i) => {
      const begin = first + i * share;
      return work(outfile, begin, Math.min(share, first + schedules - begin), onLine, mode);
    });
    return unite(await Promise.all(parts));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function unite(results: readonly Result[]): Result {
  const sum = (of: (totals: Totals) => number): number => results.reduce((all, { totals }) => all + of(totals), 0);
  const most = (of: (totals: Totals) => number): number => Math.max(...results.map(({ totals }) => of(totals)));
  return {
    failed: results.flatMap(({ failed }) => failed),
    totals: {
      asked: sum(({ asked }) => asked),
      hostile: sum(({ hostile }) => hostile),
      repairs: sum(({ repairs }) => repairs),
      mostRounds: most(({ mostRounds }) => mostRounds),
      mostRepairs: most(({ mostRepairs }) => mostRepairs),
    },
  };
}

async function work(
  outfile: string,
  first: number,
  count: number,
  onLine: (line: string) => void,
  mode: string,
): Promise<Result> {
  const child = spawn(process.execPath, [outfile, String(first), String(count), mode], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const failed: { seed: number; failures: readonly string[] }[] = [];
  let totals: Totals | undefined;
  for await (const text of createInterface({ input: child.stdout })) {
    if (!text.startsWith("{")) {
      onLine(text);
      continue;
    }
    const line = JSON.parse(text) as Line;
    if ("totals" in line) totals = line.totals;
    else {
      failed.push(line);
      onLine(`seed ${line.seed}: ${line.failures.slice(0, 5).join("; ")}`);
    }
  }
  if (totals === undefined) throw new Error(`the schedules from ${first} on ended without a result`);
  return { failed, totals };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [schedules = "100000", first = "1", mode = ""] = process.argv.slice(2);
  const begun = performance.now();
  const { failed, totals } = await simulate(
    Number(schedules),
    Number(first),
    [],
    console.log,
    mode === "trace" ? mode : "",
  );
  const { asked, hostile, repairs, mostRounds, mostRepairs } = totals;
  const minutes = ((performance.now() - begun) / 60_000).toFixed(1);
  console.log(
    `${schedules} schedules in ${minutes} min: ${failed.length} failed; ${asked} rekeys asked for, ${hostile} hostile, ${repairs} repairs ` +
      `(at most ${mostRepairs} more than two for each of those); settled after at most ${mostRounds} rounds`,
  );
  if (failed.length > 0) process.exitCode = 1;
}
