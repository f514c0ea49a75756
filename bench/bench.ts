/**
 * Speed and memory, as ratios to a floor measured in the same run. Each backend that is installed has processes of its
 * own, so that one does not shape the code that is compiled for the other. docs/performance.md says what bounds each figure.
 */
import { spawnSync } from "node:child_process";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import sodium from "libsodium-wrappers";
import { cryptoBackend, Topic } from "stringphone";
import { floorOf } from "./floor.js";
import { ROUNDS } from "./measure.js";
import { benchMemory } from "./memory.js";
import { benchBatches, benchCbor, benchSizes } from "./messages.js";
import { benchFloods, benchParticipants, benchSessions } from "./receivers.js";
import { benchRooted } from "./rooted.js";

const PARTS: Record<string, readonly string[]> = {
  speed: [],
  rooted: [],
  memory: ["--expose-gc", "--min-semi-space-size=64", "--max-semi-space-size=64"],
};

async function runPart(part: string): Promise<void> {
  await Topic.create();
  const backend = cryptoBackend() as "native" | "wasm";
  if (part === "memory") {
    await benchMemory();
    return;
  }
  await sodium.ready;
  console.log(
    `\n== ${backend === "native" ? "native libsodium" : `libsodium ${sodium.SODIUM_VERSION_STRING} in WebAssembly`}, ` +
      `Node ${process.version}, ${cpus()[0]?.model ?? "unknown processor"}, median of ${ROUNDS} rounds`,
  );
  const floor = await floorOf(backend);
  if (part === "rooted") {
    await benchRooted(floor);
    return;
  }
  await benchSizes(floor);
  await benchBatches();
  await benchCbor();
  await benchFloods();
  await benchSessions();
  await benchParticipants();
}

async function isInstalled(name: string): Promise<boolean> {
  return import(name).then(
    () => true,
    () => false,
  );
}

const [part] = process.argv.slice(2);
if (part !== undefined) {
  await runPart(part);
} else {
  const asked = process.env["STRINGPHONE_BACKEND"];
  const all = (await isInstalled("sodium-native")) ? ["native", "wasm"] : ["wasm"];
  for (const backend of asked === undefined || asked === "auto" ? all : [asked]) {
    for (const [name, flags] of Object.entries(PARTS)) {
      const { status } = spawnSync(process.execPath, [...flags, fileURLToPath(import.meta.url), name], {
        stdio: "inherit",
        env: { ...process.env, STRINGPHONE_BACKEND: backend },
      });
      if (status !== 0) process.exit(status ?? 1);
    }
  }
}
