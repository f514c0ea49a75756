/** The interleaved run: in each round every peer seals and opens once, one at a time, in an order that changes. */
import type { Child } from "./child.js";

/** Long enough that a block holds its share of garbage collection: in shorter ones some peers pay for it in every other block. */
const BLOCK_MICROS = 100_000;
/** Wires are kept from seal to open: bounds the memory of a peer. */
const KEPT_BYTES = 64 * 1024 * 1024;
/** Batches that would carry more are not measured: nobody collects that much before publishing. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** All figures of one peer at one size: microseconds for each payload, by round. */
export interface Series {
  readonly calls: number;
  readonly seal: number[];
  readonly open: number[];
  overhead: number;
  failure?: string;
}

export interface SizeResult {
  readonly bytes: number;
  readonly series: ReadonlyMap<string, Series>;
  /** The order of the peers, by round. */
  readonly orders: readonly string[][];
}

function shuffled<T>(items: readonly T[]): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [result[i], result[j]] = [result[j] as T, result[i] as T];
  }
  return result;
}

/** Doubles the calls until sealing and opening take long enough to be measured, and scales them to one block. */
async function calibrate(child: Child, bytes: number): Promise<number> {
  const most = Math.max(1, Math.floor(KEPT_BYTES / (bytes * child.hello.batch || 1)));
  for (let calls = 1; ; calls *= 2) {
    const { micros: seal } = await child.ask({ op: "seal", calls });
    const { micros: open } = await child.ask({ op: "open" });
    const shorter = Math.min(seal, open);
    if (calls >= most) return most;
    if (shorter >= BLOCK_MICROS / 2) return Math.min(most, Math.max(1, Math.round((calls * BLOCK_MICROS) / shorter)));
  }
}

/** One seal and one open of a peer. Round 0 warms up and is not recorded. */
async function turn(child: Child, bytes: number, series: Series, round: number): Promise<void> {
  const payloads = series.calls * child.hello.batch;
  const sealed = await child.ask({ op: "seal", calls: series.calls });
  const opened = await child.ask({ op: "open" });
  if (round === 0) return;
  series.seal.push(sealed.micros / payloads);
  series.open.push(opened.micros / payloads);
  series.overhead = sealed.wireBytes - bytes;
}

export async function measureSize(children: readonly Child[], bytes: number, rounds: number): Promise<SizeResult> {
  const series = new Map<string, Series>();
  const fail = (child: Child, error: unknown) => {
    const empty = { calls: 0, seal: [], open: [], overhead: 0 };
    series.set(child.entry.name, { ...empty, failure: error instanceof Error ? error.message : String(error) });
  };

  for (const child of children) {
    if (child.hello.batch > 1 && child.hello.batch * bytes > BATCH_BYTES) continue;
    try {
      await child.ask({ op: "size", bytes });
      series.set(child.entry.name, { calls: await calibrate(child, bytes), seal: [], open: [], overhead: 0 });
    } catch (error) {
      fail(child, error);
    }
  }
  const orders: string[][] = [];
  for (let round = 0; round <= rounds; round++) {
    const order = shuffled(children.filter(({ entry }) => series.get(entry.name)?.failure === undefined));
    const taken = order.filter(({ entry }) => series.has(entry.name));
    for (const child of taken) {
      try {
        await turn(child, bytes, series.get(child.entry.name) as Series, round);
      } catch (error) {
        fail(child, error);
      }
    }
    if (round > 0) orders.push(taken.map(({ entry }) => entry.name));
  }
  return { bytes, series, orders };
}
