/** The runner's side of the protocol: a peer as a child process, asked one thing at a time. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Failure, Hello, Opened, Ready, Request, Sealed } from "./protocol.js";
import type { Entry } from "./roster.js";

/** No honest answer takes this long; a peer that hangs must not hang the run. */
const PATIENCE_MS = 60_000;

type Answer<R extends Request> = R extends { op: "seal" } ? Sealed : R extends { op: "open" } ? Opened : Ready;

export class Child {
  readonly entry: Entry;
  readonly hello: Hello;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #nextLine: () => Promise<string>;

  private constructor(entry: Entry, hello: Hello, child: ChildProcessWithoutNullStreams, next: () => Promise<string>) {
    this.entry = entry;
    this.hello = hello;
    this.#process = child;
    this.#nextLine = next;
  }

  /** Starts the first of the entry's commands that gets ready; throws the last one's reason when none does. */
  static async start(entry: Entry): Promise<Child> {
    let reason: unknown;
    for (const [command, ...args] of entry.commands) {
      const child = spawn(command, args, { env: { ...process.env, ...entry.env }, stdio: ["pipe", "pipe", "pipe"] });
      const nextLine = lines(child);
      try {
        return new Child(entry, JSON.parse(await nextLine()) as Hello, child, nextLine);
      } catch (error) {
        child.kill();
        reason = error;
      }
    }
    throw reason;
  }

  async ask<R extends Request>(request: R): Promise<Answer<R>> {
    this.#process.stdin.write(`${JSON.stringify(request)}\n`);
    const answer = JSON.parse(await this.#nextLine()) as Answer<R> | Failure;
    if ("error" in answer) throw new Error(answer.error);
    return answer;
  }

  /** A peer ends by itself when there is nothing more to read; one that hangs is killed. */
  stop(): void {
    this.#process.stdin.end();
    setTimeout(() => this.#process.kill(), 1000).unref();
  }
}

/** A function that waits for the next line of a child, and rejects with what it complained of when none comes. */
function lines(child: ChildProcessWithoutNullStreams): () => Promise<string> {
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaints = (complaints + text).slice(-8192);
  });
  const failed = new Promise<never>((_resolve, reject) => {
    child.on("error", reject);
    child.stdin.on("error", reject);
    child.on("close", (code, signal) => {
      reject(new Error(complaint(complaints) ?? `it ended with ${signal ?? `exit code ${code}`}`));
    });
  });
  failed.catch(() => undefined); // a child that ends after its last answer is no failure
  const iterator = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async () => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        child.kill(); // a late answer must not be taken for that to the next request
        reject(new Error(`no answer within ${PATIENCE_MS / 1000} seconds`));
      }, PATIENCE_MS);
    });
    try {
      const line = await Promise.race([iterator.next(), failed, late]);
      // Nothing more to read: the end of the process follows, with its reason.
      return line.done === true ? await Promise.race([failed, late]) : line.value;
    } finally {
      clearTimeout(timer);
    }
  };
}

/** The line that names the error: of a stack trace the first one with it, in Python the last. */
function complaint(text: string): string | undefined {
  return text
    .split("\n")
    .map((line) => line.trim())
    .find((line) => /^\w*(Error|Exception)\b.*:/.test(line));
}
