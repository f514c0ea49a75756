/** What the simulator's bundles hold, and that no mutation goes astray. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bundleSimulation, type Mutation } from "./bundle.js";

const index = fileURLToPath(new URL("../../src/index.ts", import.meta.url));
const mutatedFile = fileURLToPath(new URL("../../src/crypto.ts", import.meta.url));

/** Two topics that talk, and a newcomer that they introduce. */
const PROGRAM = `
  import { cryptoBackend, generateTopicKey, IntroductionError, ReplayError, Topic } from ${JSON.stringify(index)};
  const topicKey = generateTopicKey();
  const alice = await Topic.create({ topicKey, name: "x" });
  const bob = await Topic.create({ topicKey, name: "x", participants: [alice.publicKey] });
  const wire = alice.encode("Hi Bob!");
  console.log(bob.decode(wire).text());
  try { bob.decode(wire); console.log("twice"); } catch (error) { console.log(error instanceof ReplayError); }
  wire[wire.length - 1] ^= 1;
  try { bob.decode(wire); } catch (error) { console.log(error.code); }
  const newcomer = await Topic.create({ name: "x" });
  try {
    bob.decode(newcomer.constructIntro());
  } catch (error) {
    if (!(error instanceof IntroductionError)) throw error;
    bob.addParticipant(error.introduction.senderKey);
    newcomer.addParticipant(bob.publicKey);
    newcomer.parseReply(bob.constructReply(error.introduction));
  }
  console.log(bob.decode(newcomer.encode("Hi all!")).text());
  console.log(cryptoBackend());
`;
const CLEAN = ["Hi Bob!", "true", "DECRYPTION_FAILED", "Hi all!", "wasm"];

/** Such that the program says another backend. */
const VISIBLE: Mutation = {
  file: "src/crypto.ts",
  find: "return current?.name;",
  replace: 'return "$&" as BackendName;',
};

let temp: string;
let entry: string;
beforeAll(async () => {
  temp = await mkdtemp(join(tmpdir(), "stringphone-simulation-"));
  entry = join(temp, "program.ts");
  await writeFile(entry, PROGRAM);
});
afterAll(() => rm(temp, { recursive: true, force: true }));

async function bundled(name: string, mutations?: readonly Mutation[]): Promise<string> {
  const outfile = join(temp, `${name}.mjs`);
  await bundleSimulation({ outfile, entry, ...(mutations && { mutations }) });
  return outfile;
}

async function run(outfile: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [outfile], { cwd: temp });
  return stdout.trim().split("\n");
}

describe("a bundle", () => {
  it("runs by itself, on primitives that say they are WebAssembly", async () => {
    const outfile = await bundled("clean");
    expect(await run(outfile)).toEqual(CLEAN);
    const text = await readFile(outfile, "utf8");
    expect(text.match(/^import .*|sodium-native|libsodium-wrappers|WebAssembly\.\w+/gm)).toBeNull();
    expect(text.length).toBeLessThan(400_000);
  });

  it("has the defects that are asked for, and leaves the sources as they are", async () => {
    const before = await readFile(mutatedFile, "utf8");
    expect(await run(await bundled("mutated", [VISIBLE]))).toEqual([...CLEAN.slice(0, -1), "$&"]);
    const twice = [VISIBLE, { ...VISIBLE, find: '"$&"', replace: '"other"' }];
    expect(await run(await bundled("twice", twice))).toEqual([...CLEAN.slice(0, -1), "other"]);
    expect(await readFile(mutatedFile, "utf8")).toBe(before);
  });
});

describe("a mutation", () => {
  it.each<[string, Mutation, RegExp]>([
    ["matches never", { ...VISIBLE, find: "no such text" }, /0 times in src\/crypto\.ts: no such text/],
    [
      "matches more than once",
      { ...VISIBLE, find: "export function" },
      /\d\d times in src\/crypto\.ts: export function/,
    ],
    ["matches anything", { ...VISIBLE, find: "" }, /times in src\/crypto\.ts/],
    ["is of no file", { ...VISIBLE, file: "src/none.ts" }, /none\.ts/],
    [
      "is of a file beside the program",
      { ...VISIBLE, file: "src/compat/wire.ts", find: "/** A message of 0.1 in" },
      /wire\.ts, which is no part/,
    ],
    [
      "is of what is replaced",
      { ...VISIBLE, file: "src/backends/wasm.ts", find: "sodium.ready" },
      /wasm\.ts, which is no part/,
    ],
  ])("that %s is an error", async (_, mutation, message) => {
    await expect(bundled("refused", [mutation])).rejects.toThrow(message);
  });

  it("that no longer compiles is an error", async () => {
    await expect(bundled("broken", [{ ...VISIBLE, replace: "return (;" }])).rejects.toThrow(/src\/crypto\.ts/);
  });
});
