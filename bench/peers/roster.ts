/** Who takes part: how each peer is started, and which floor it is measured against. */
import { fileURLToPath } from "node:url";

export interface Entry {
  readonly name: string;
  /** The floor that runs code of the same kind: machine code, or WebAssembly. */
  readonly floor: "floor-native" | "floor-wasm";
  /** Commands to try in turn, until one starts. */
  readonly commands: readonly (readonly [string, ...string[]])[];
  readonly env?: Readonly<Record<string, string>>;
}

function node(adapter: string, ...args: string[]): Pick<Entry, "commands"> {
  const script = fileURLToPath(new URL(`./adapters/${adapter}.js`, import.meta.url));
  return { commands: [[process.execPath, script, ...args]] };
}

/**
 * The system's Python after the one on the PATH: a version manager often hides the one for which the
 * distribution packages PyNaCl. PEERS_PYTHON names another, and then no other is tried.
 */
function python(adapter: string): Pick<Entry, "commands"> {
  const script = fileURLToPath(new URL(`../adapters/${adapter}.py`, import.meta.url));
  const named = process.env["PEERS_PYTHON"];
  const interpreters = named === undefined ? ["python3", "/usr/bin/python3"] : [named];
  return { commands: interpreters.map((interpreter) => [interpreter, script]) };
}

function stringphone(backend: "native" | "wasm", batch?: number): Entry {
  return {
    name: `stringphone-${backend}${batch === undefined ? "" : `-batch${batch}`}`,
    floor: `floor-${backend}`,
    ...node("stringphone", ...(batch === undefined ? [] : [String(batch)])),
    env: { STRINGPHONE_BACKEND: backend },
  };
}

export const ROSTER: readonly Entry[] = [
  { name: "floor-native", floor: "floor-native", ...node("floor-native") },
  { name: "floor-wasm", floor: "floor-wasm", ...node("floor-wasm") },
  stringphone("native"),
  stringphone("wasm"),
  stringphone("native", 16),
  stringphone("native", 64),
  stringphone("wasm", 64),
  { name: "stringphone-0.1", floor: "floor-native", ...python("stringphone_0_1") },
  { name: "libsignal", floor: "floor-native", ...node("libsignal") },
  { name: "ts-mls", floor: "floor-native", ...node("ts-mls") },
  { name: "megolm", floor: "floor-wasm", ...node("megolm") },
];
