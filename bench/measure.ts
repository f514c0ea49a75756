/** Interleaved rounds, and ratios within a round: a machine whose speed drifts gives the same ratio. */
import { StringphoneError, type Topic } from "stringphone";

export const ROUNDS = 15;

/** A call that is timed, over and over, with its number in the round. */
export type Call = (i: number) => unknown;

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number;
}

/** Microseconds of one call, averaged over `count`. */
function time(count: number, call: Call): number {
  const start = performance.now();
  for (let i = 0; i < count; i++) call(i);
  return ((performance.now() - start) * 1000) / count;
}

/** What rounds gave: microseconds of each call, a list for each round. */
export class Times<Name extends string> {
  readonly #rounds: Record<Name, number>[] = [];

  add(round: Record<Name, number>): void {
    this.#rounds.push(round);
  }

  /** Microseconds of one call. */
  of(name: Name): number {
    return median(this.#rounds.map((round) => round[name]));
  }

  /** The median of the ratios of each round; several names below are added up. */
  ratio(above: Name, ...below: Name[]): number {
    return median(this.#rounds.map((round) => round[above] / below.reduce((sum, name) => sum + round[name], 0)));
  }
}

/**
 * Runs all calls in turn, `count` times each, round after round; two rounds before warm up. `prepare` runs before each round,
 * untimed. The order of the calls is kept: a later one may need what an earlier one made.
 */
export function interleave<Name extends string>(
  count: number,
  calls: Record<Name, Call>,
  prepare: () => void = () => undefined,
): Times<Name> {
  const times = new Times<Name>();
  for (let round = -2; round < ROUNDS; round++) {
    prepare();
    const micros = {} as Record<Name, number>;
    for (const name of Object.keys(calls) as Name[]) micros[name] = time(count, calls[name]);
    if (round >= 0) times.add(micros);
  }
  return times;
}

/** Prints a table, its columns as wide as they must be. */
export function print(title: string, head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => (row[i] as string).length)));
  const line = (row: readonly string[]): string => row.map((cell, i) => cell.padStart(widths[i] as number)).join("  ");
  console.log(`\n${title}\n`);
  for (const row of [head, ...rows]) console.log(`  ${line(row)}`);
}

export const micros = (value: number): string => value.toFixed(value < 10 ? 2 : 1);
export const times = (value: number): string => `${value.toFixed(value < 10 ? 3 : 1)} ×`;

/** Random bytes of any length. */
export function random(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i += 65_536) crypto.getRandomValues(bytes.subarray(i, i + 65_536));
  return bytes;
}

/** Decodes what has to be refused. */
export function refuse(topic: Topic, wire: Uint8Array): void {
  try {
    topic.decode(wire);
  } catch (error) {
    if (error instanceof StringphoneError) return;
    throw error;
  }
  throw new Error("it was accepted");
}
