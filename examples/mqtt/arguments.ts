/** The command lines of both programs. What is wrong with one is said in a sentence, with exit code 2. */
import { parseArgs } from "node:util";

class UsageError extends Error {}

type Options = Record<string, { type: "string" | "boolean"; default?: string | boolean }>;

/** Parses the command line; prints `help` and gives `undefined` when it is asked for. */
export function parseCommand(options: Options, help: string): Record<string, string | boolean | undefined> | undefined {
  let values: Record<string, string | boolean | undefined>;
  try {
    ({ values } = parseArgs({ options: { ...options, help: { type: "boolean" } }, strict: true }));
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  if (values["help"] !== true) return values;
  console.log(help.trim());
  return undefined;
}

function got(given: unknown): string {
  return given === undefined ? "nothing" : JSON.stringify(given);
}

/** A broker's address. For mqtts and wss, NODE_EXTRA_CA_CERTS names a private certificate authority. */
export function brokerUrl(given: unknown): string {
  if (typeof given === "string" && URL.canParse(given)) {
    const { protocol, hostname } = new URL(given);
    if (["mqtt:", "mqtts:", "ws:", "wss:"].includes(protocol) && hostname !== "") return given;
  }
  throw new UsageError(`--url expected mqtt://, mqtts://, ws:// or wss:// and a host, got ${got(given)}`);
}

/** The start of all MQTT topics of a run: no wildcards, no empty levels, no broker's own topics. */
export function topicBase(given: unknown): string {
  if (typeof given === "string" && /^[^$/+#\0][^/+#\0]*(?:\/[^/+#\0]+)*$/u.test(given) && given.length <= 200)
    return given;
  throw new UsageError(
    `--topic expected an MQTT topic such as house/cellar, without + # and empty levels, got ${got(given)}`,
  );
}

export function displayName(given: unknown): string {
  if (typeof given === "string" && /^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,15}$/u.test(given)) return given;
  throw new UsageError(`--name expected 1 to 16 letters, digits, spaces, dots, "_" or "-", got ${got(given)}`);
}

export function integer(option: string, given: unknown, least: number, most: number): number {
  const value = typeof given === "string" && /^\d{1,9}$/.test(given) ? Number(given) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`${option} expected an integer from ${least} to ${most}, got ${got(given)}`);
}

/** Runs a program's `main`, and turns what it throws into one line and an exit code. */
export function run(main: () => Promise<void>): void {
  main().catch((error: unknown) => {
    const isUsage = error instanceof UsageError;
    console.error(error instanceof Error ? error.message : String(error));
    if (isUsage) console.error("Use --help to see what there is.");
    process.exit(isUsage ? 2 : 1);
  });
}
