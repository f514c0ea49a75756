/** What a run says: the machine, who was left out, and a Markdown table for each size. */
import { arch, cpus, platform } from "node:os";
import type { Child } from "./child.js";
import type { Series, SizeResult } from "./measure.js";

export interface LeftOut {
  readonly name: string;
  readonly reason: string;
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly system: string;
  readonly node: string;
  readonly openssl: string;
}

export function machine(): Machine {
  const processors = cpus();
  const { node, openssl } = process.versions;
  return {
    cpu: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    system: `${platform()} ${arch()}`,
    node,
    openssl,
  };
}

/** The value below which `share` of the values lie: 0.5 gives the median. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const low = sorted[Math.floor(at)] as number;
  const high = sorted[Math.ceil(at)] as number;
  return low + (high - low) * (at - Math.floor(at));
}

function micros(values: readonly number[]): string {
  const median = quantile(values, 0.5);
  return median < 1000 ? median.toFixed(1) : median.toFixed(0);
}

/** The median of the ratios within each round, and the middle half of them. */
function ratio(values: readonly number[], floor: readonly number[] | undefined): string {
  if (floor === undefined || floor.length !== values.length) return "–";
  const ratios = values.map((value, round) => value / (floor[round] as number));
  const digits = quantile(ratios, 0.5) < 10 ? 2 : 1;
  const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(ratios, share).toFixed(digits));
  return `${middle} (${low}–${high})`;
}

export function sizeLabel(bytes: number): string {
  if (bytes >= 1024 * 1024 && bytes % (1024 * 1024) === 0) return `${bytes / (1024 * 1024)} MiB`;
  if (bytes >= 1024 && bytes % 1024 === 0) return `${bytes / 1024} KiB`;
  return `${bytes} B`;
}

export function header(children: readonly Child[], leftOut: readonly LeftOut[], rounds: number): string {
  const { cpu, cores, system, node, openssl } = machine();
  const versions = new Map(children.flatMap(({ hello }) => Object.entries(hello.versions)));
  const lines = [
    `- ${cpu}, ${cores} cores, ${system}; Node ${node} (OpenSSL ${openssl})`,
    `- ${[...versions].map(([name, version]) => `${name} ${version}`).join(", ")}`,
    `- median of ${rounds} interleaved rounds; microseconds for each payload; ratios are taken within a round, with their middle half`,
  ];
  for (const { name, reason } of leftOut) lines.push(`- left out: **${name}**: ${reason}`);
  return lines.join("\n");
}

function row(child: Child, series: Series | undefined, floor: Series | undefined): string {
  const { name } = child.entry;
  if (series === undefined) return `| ${name} | not measured: too much for one batch | | | | | |`;
  if (series.failure !== undefined) return `| ${name} | failed: ${series.failure} | | | | | |`;
  const isFloor = name === child.entry.floor;
  const cells = [
    name,
    micros(series.seal),
    micros(series.open),
    isFloor ? "1" : ratio(series.seal, floor?.seal),
    isFloor ? "1" : ratio(series.open, floor?.open),
    child.entry.floor.replace("floor-", ""),
    Number(series.overhead.toFixed(1)).toString(),
  ];
  return `| ${cells.join(" | ")} |`;
}

export function table(children: readonly Child[], result: SizeResult): string {
  const { series } = result;
  const rows = children.map((child) => row(child, series.get(child.entry.name), series.get(child.entry.floor)));
  return [
    `## ${sizeLabel(result.bytes)}`,
    "",
    "| peer | seal µs | open µs | seal ÷ floor | open ÷ floor | floor | overhead B |",
    "|---|--:|--:|--:|--:|---|--:|",
    ...rows,
  ].join("\n");
}
