/** stringphone/compat as a user gets it: by its name, in a browser, and weighing nothing where it is not imported. */
import { execFile } from "node:child_process";
import { cp, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createContext, runInContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { type BuildResult, build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt } from "../support/build.js";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));
const MAX_COMPAT_BYTES = 8 * 1024;

/** Bundles a program for a browser as an application would, from the sources in a folder. */
async function bundle(program: string, source = join(root, "src")) {
  const result: BuildResult<{ write: false; metafile: true }> = await build({
    absWorkingDir: root,
    stdin: { contents: program, resolveDir: root, loader: "ts" },
    alias: { stringphone: join(source, "index.ts"), "stringphone/compat": join(source, "compat/index.ts") },
    external: ["libsodium-wrappers"],
    bundle: true,
    minify: true,
    platform: "browser",
    format: "esm",
    target: "es2022",
    write: false,
    metafile: true,
    logLevel: "silent",
  });
  const [{ text } = { text: "" }] = result.outputFiles;
  const inputs = Object.values(result.metafile.outputs).flatMap(({ inputs: all }) =>
    Object.entries(all).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? [file] : [])),
  );
  return { text, inputs, gzip: gzipSync(text).length };
}

const CORE = 'export * from "stringphone";';
const COMPAT = 'export * from "stringphone/compat";';

// Where "#native-backend" leads to.
beforeAll(ensureBuilt);

describe("a bundle", () => {
  let temp: string;

  beforeAll(async () => {
    temp = await mkdtemp(join(tmpdir(), "stringphone-compat-"));
    await cp(join(root, "src"), join(temp, "src"), { recursive: true });
    await rm(join(temp, "src/compat"), { recursive: true });
    await cp(join(root, "package.json"), join(temp, "package.json"));
    for (const name of ["node_modules", "dist"]) await symlink(join(root, name), join(temp, name));
  });

  afterAll(async () => {
    await rm(temp, { recursive: true, force: true });
  });

  it("of stringphone alone is the same, byte for byte, with and without compat in the package", async () => {
    const [withIt, withoutIt] = [await bundle(CORE), await bundle(CORE, join(temp, "src"))];
    expect(withIt.inputs.filter((file) => file.includes("compat"))).toEqual([]);
    expect(withIt.text === withoutIt.text).toBe(true);
    expect(withIt.text).not.toMatch(/secretbox|beforenm|LegacySeed/);
    const both = await bundle(`${CORE}${COMPAT}`);
    expect(both.inputs.filter((file) => file.includes("compat/")).length).toBeGreaterThan(5);
    expect(both.text).toMatch(/secretbox/);
    const alone = await bundle('export { LegacyTopic } from "stringphone/compat";');
    // Whoever wants no bridge carries no version-1 topic.
    expect(alone.inputs.filter((file) => /src\/(topic|sealing|cbor-x)\.ts$|compat\/bridge/.test(file))).toEqual([]);
    console.log(
      `gzip, without libsodium: ${withIt.gzip} bytes for stringphone, with or without compat in the package; ` +
        `${both.gzip - withIt.gzip} more with all of compat; ${alone.gzip} for LegacyTopic alone`,
    );
    expect(both.gzip - withIt.gzip).toBeLessThan(MAX_COMPAT_BYTES);
  });
});

/** What a program does with it: prints "ok" where both wires work, and each refuses the other. */
const PROGRAM = `
  const key = LegacyTopicKey.generate();
  const alice = await LegacyTopic.create({ topicKey: key });
  const bob = await LegacyTopic.create({ topicKey: key, participants: [alice.publicKey], replayMemory: 5 });
  const newcomer = await LegacyTopic.create();
  alice.addParticipant(newcomer.publicKey);
  const wire = alice.encode("Hi Bob!");
  const topic = await Topic.create();
  const codes = [() => topic.decode(wire), () => bob.decode(newcomer.constructIntro())].map((call) => {
    try { return call(); } catch (error) { return error instanceof StringphoneError ? error.code : String(error); }
  });
  newcomer.parseReply(alice.constructReply(newcomer.constructIntro()));
  const same = newcomer.topicKey.bytes.every((byte, i) => byte === key.bytes[i]);
  const result = [bob.decode(wire).text(), ...codes, same].join();
  const ok = result === "Hi Bob!,MALFORMED_MESSAGE,INTRODUCTION,true" ? "ok" : result;
`;

describe("by its name", () => {
  it("is imported", async () => {
    const program = `import { StringphoneError, Topic } from "stringphone";
      import { LegacyTopic, LegacyTopicKey } from "stringphone/compat"; ${PROGRAM} console.log(ok);`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program], { cwd: root });
    expect(stdout).toBe("ok\n");
  });

  it("is required, and gives the very same classes", async () => {
    const program = `const { StringphoneError, Topic } = require("stringphone");
      const { LegacyTopic, LegacyTopicKey } = require("stringphone/compat");
      import("stringphone/compat").then(async (imported) => {
        if (imported.LegacyTopic !== LegacyTopic) throw new Error("two classes");
        ${PROGRAM} console.log(ok);
      });`;
    const { stdout } = await run(process.execPath, ["--input-type=commonjs", "--eval", program], { cwd: root });
    expect(stdout).toBe("ok\n");
  });
});

/** What browsers have, and what compat may use of it. There is no `process`, no `Buffer` and no `require`. */
const BROWSER = ["crypto", "performance", "setTimeout", "clearTimeout", "TextEncoder", "TextDecoder", "atob", "URL"];

it("runs where there is nothing of Node", async () => {
  const { outputFiles } = await build({
    absWorkingDir: root,
    stdin: {
      contents: `import { StringphoneError, Topic } from "stringphone";
        import { LegacyTopic, LegacyTopicKey } from "stringphone/compat";
        globalThis.outcome = (async () => { ${PROGRAM} return ok; })();`,
      resolveDir: root,
    },
    alias: { stringphone: "./src/index.ts", "stringphone/compat": "./src/compat/index.ts" },
    bundle: true,
    platform: "browser",
    format: "iife",
    target: "es2022",
    write: false,
    logLevel: "silent",
  });
  const context = createContext(
    Object.fromEntries(BROWSER.map((name) => [name, Reflect.get(globalThis, name) as unknown])),
  );
  runInContext("globalThis.window = globalThis.self = globalThis;", context);
  runInContext(outputFiles[0]?.text ?? "", context);
  expect(await (context as { outcome?: Promise<string> }).outcome).toBe("ok");
});
