/** Mosquitto on a free port of this machine. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram } from "../support/programs.js";

const ATTEMPTS = 5;

/** A port that was free a moment ago: Mosquitto cannot say which one it took. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address ? address.port : 0;
}

/** Resolves to "" once Mosquitto says that it runs, or to all that it said when it ended instead. */
function started(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (data: Buffer) => {
        said += data.toString();
        if (/mosquitto version \S+ running/.test(said)) resolve("");
      });
    }
    child.once("error", (error) => resolve(error.message));
    child.once("close", () => resolve(said));
  });
}

export class Mosquitto {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(port: number, folder: string, child: ChildProcess) {
    this.url = `mqtt://127.0.0.1:${port}`;
    this.#folder = folder;
    this.#child = child;
  }

  static async start(): Promise<Mosquitto> {
    let complaint = "";
    // Somebody else may take the port in between; then Mosquitto ends, and the next one is tried.
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const port = await freePort();
      const folder = await mkdtemp(join(tmpdir(), "stringphone-mosquitto-"));
      const config = join(folder, "mosquitto.conf");
      await writeFile(
        config,
        `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest stderr\nlog_type all\n`,
      );
      const child = spawn(findProgram("mosquitto") ?? "mosquitto", ["-c", config], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      complaint = await started(child);
      if (complaint === "") return new Mosquitto(port, folder, child);
      await rm(folder, { recursive: true, force: true });
    }
    throw new Error(`Mosquitto did not start:\n${complaint}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, "close");
    this.#child.kill("SIGTERM");
    await ended;
    await rm(this.#folder, { recursive: true, force: true });
  }
}
