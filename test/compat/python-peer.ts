/** test/compat/peer.py in a process of its own: devices of 0.1 that were written in Python from the format alone. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { hex, unhex } from "../support/legacy.js";

const script = fileURLToPath(new URL("./peer.py", import.meta.url));

/** Bytes are given and taken as bytes; on the pipe they are hex. */
type Fields = Readonly<Record<string, Uint8Array>>;

export class PythonPeer {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #lines: Interface;
  readonly #waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];
  #errors = "";

  constructor(python: string, path = script) {
    this.#child = spawn(python, [path], { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stderr.on("data", (data: Buffer) => {
      this.#errors += data.toString();
    });
    this.#lines = createInterface(this.#child.stdout);
    this.#lines.on("line", (line) => this.#waiting.shift()?.resolve(line));
    this.#lines.on("close", () => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(`the Python peer ended: ${this.#errors}`));
    });
    this.#child.stdin.on("error", () => undefined);
  }

  async #ask(as: string, verb: string, fields: Readonly<Record<string, Uint8Array | null>>): Promise<Fields> {
    const values = Object.entries(fields).map(([name, value]) => [name, value && hex(value)]);
    const answer = new Promise<string>((resolve, reject) => this.#waiting.push({ resolve, reject }));
    this.#child.stdin.write(`${JSON.stringify({ as, do: verb, ...Object.fromEntries(values) })}\n`);
    const answered = JSON.parse(await answer) as Record<string, string>;
    if (answered["error"] !== undefined) throw new Error(answered["error"]);
    return Object.fromEntries(Object.entries(answered).map(([name, value]) => [name, unhex(value)]));
  }

  /** A device with this seed and topic key. Its methods reject with the name of the reason where it refuses what it is given. */
  async device(name: string, seed: Uint8Array, topicKey: Uint8Array | null = null) {
    const one = (verb: string, field: string) => async (fields: Fields) => (await this.#ask(name, verb, fields))[field];
    const { publicKey } = await this.#ask(name, "create", { seed, topicKey });
    return {
      publicKey: publicKey as Uint8Array,
      trust: async (key: Uint8Array) => void (await this.#ask(name, "trust", { publicKey: key })),
      encode: async (payload: Uint8Array) => (await one("encode", "wire")({ payload })) as Uint8Array,
      decode: (wire: Uint8Array) => this.#ask(name, "decode", { wire }),
      introduce: async () => (await one("introduce", "wire")({})) as Uint8Array,
      answer: async (wire: Uint8Array) => (await one("answer", "wire")({ wire })) as Uint8Array,
      adopt: (wire: Uint8Array) => this.#ask(name, "adopt", { wire }),
    };
  }

  /** Closes its input, and waits until it ended. */
  async close(): Promise<number | null> {
    const ended = new Promise<number | null>((resolve) => this.#child.once("close", resolve));
    this.#child.stdin.end();
    return ended;
  }
}
