/** A program of examples/mqtt in a process of its own, as a test sees it. */
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
/** Long enough for any machine: reaching it means that the line never comes. */
const PATIENCE = 90_000;

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
}

export class Program {
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();
  readonly lines: string[] = [];
  readonly ended: Promise<Ended>;
  errors = "";
  #hasEnded = false;

  /** Starts `node --import tsx examples/mqtt/<file> <args>` at the top of the project. */
  constructor(file: string, args: readonly string[]) {
    this.#child = spawn(process.execPath, ["--import", "tsx", `examples/mqtt/${file}`, ...args], {
      cwd: root,
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child.stdin?.on("error", () => undefined);
    this.#child.stderr?.on("data", (data: Buffer) => {
      this.errors += data.toString();
    });
    if (this.#child.stdout) {
      createInterface(this.#child.stdout).on("line", (line) => {
        this.lines.push(line);
        this.#changed();
      });
    }
    this.ended = new Promise((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("close", (code, signal) => {
        this.#hasEnded = true;
        this.#changed();
        resolve({ code, signal });
      });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Waits for a line that fits. */
  shows(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const settle = (): boolean => {
        const match = this.lines.map((line) => pattern.exec(line)).find((one) => one !== null);
        if (match) resolve(match);
        else if (this.#hasEnded) reject(this.#never(pattern, "ended"));
        else return false;
        this.#watchers.delete(settle);
        clearTimeout(timer);
        return true;
      };
      const timer = setTimeout(() => {
        this.#watchers.delete(settle);
        reject(this.#never(pattern, "was waited for long"));
      }, PATIENCE);
      if (!settle()) this.#watchers.add(settle);
    });
  }

  type(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  closeInput(): void {
    this.#child.stdin?.end();
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher();
  }

  #never(pattern: RegExp, why: string): Error {
    return new Error(
      `${String(pattern)} never came, and the program ${why}:\n${this.lines.join("\n")}\n${this.errors}`,
    );
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

/** The ids of all processes with this word in their command line; none where the system does not tell. */
export function processesWith(word: string): number[] {
  let ids: string[];
  try {
    ids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
  return ids.filter((id) => commandOf(id).includes(word)).map(Number);
}
