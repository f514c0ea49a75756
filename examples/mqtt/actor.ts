/** A participant's process, as the demo sees it: its screen, its keyboard, and its end. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const PARTICIPANT = fileURLToPath(new URL("./participant.ts", import.meta.url));
const END_TIMEOUT = 3_000;

interface Wait {
  readonly pattern: RegExp;
  readonly resolve: (match: RegExpExecArray) => void;
  readonly reject: (error: Error) => void;
}

export class Actor {
  readonly label: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #screen: string[] = [];
  readonly #waits = new Set<Wait>();
  #failure: Error | undefined;

  /** Starts the process. `show` gets each line that it prints. */
  constructor(label: string, args: string[], deadline: AbortSignal, show: (label: string, line: string) => void) {
    this.label = label;
    const command = ["--import", import.meta.resolve("tsx"), PARTICIPANT, ...args];
    // In a group of its own, so that Ctrl-C reaches the demo alone, which then ends all in order.
    const detached = process.platform !== "win32";
    this.#child = spawn(process.execPath, command, { detached, stdio: ["pipe", "pipe", "inherit"] });
    this.#exited = new Promise((resolve) => {
      const ended = (how: string) => {
        this.#fail(how);
        resolve();
      };
      this.#child.once("error", (error) => ended(`it could not be started: ${error.message}`));
      this.#child.once("close", (code, signal) => ended(`it ended with ${signal ?? `code ${code}`}`));
    });
    deadline.addEventListener("abort", () => this.#fail("not in time"));
    // Its keyboard is gone when it ends, which "close" tells.
    this.#child.stdin?.on("error", () => undefined);
    if (this.#child.stdout === null) return;
    createInterface(this.#child.stdout).on("line", (text) => {
      show(label, text);
      this.#screen.push(text);
      for (const wait of this.#waits) this.#check(wait, text);
    });
  }

  /** Waits until its screen shows a line that fits; `what` is what to complain about when it never does. */
  shows(pattern: RegExp, what: string): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const wait: Wait = {
        pattern,
        resolve,
        reject: (error) => reject(new Error(`${this.label} did not show ${what}: ${error.message}`)),
      };
      this.#waits.add(wait);
      for (const text of this.#screen) this.#check(wait, text);
      if (this.#failure !== undefined) wait.reject(this.#failure);
    });
  }

  /** Lets what it showed so far count no more for `shows`. */
  clearScreen(): void {
    this.#screen.length = 0;
  }

  /** Types a line on its keyboard. */
  type(text: string): void {
    this.#child.stdin?.write(`${text}\n`);
  }

  /** Ends it: kindly by closing its keyboard, then with a signal that nothing withstands. */
  async end(): Promise<void> {
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), END_TIMEOUT);
    await this.#exited;
    clearTimeout(timer);
  }

  #check(wait: Wait, text: string): void {
    const match = wait.pattern.exec(text);
    if (match === null) return;
    this.#waits.delete(wait);
    wait.resolve(match);
  }

  #fail(message: string): void {
    this.#failure ??= new Error(message);
    for (const wait of this.#waits) wait.reject(this.#failure);
    this.#waits.clear();
  }
}
