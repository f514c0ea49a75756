/** What a user gets: the project is packed, installed into an empty project, and tried there. */
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { transform } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));
const fixtures = join(root, "test/package/fixtures");
const tsc = join(root, "node_modules/typescript/bin/tsc");

/** At the top of the work tree: what is made or installed, and not part of the sources. */
const NOT_SOURCE = new Set(["node_modules", ".git", "dist", "coverage", ".tmp"]);
/** Beside package.json, what a tarball may hold. */
const PACKED = [
  /^(README|CHANGELOG|SECURITY)\.md$/,
  /^LICENSE$/,
  /^package\.json$/,
  /^docs\/[\w./-]+$/,
  /^src\/[\w/-]+\.ts$/,
  /^dist\/[\w/-]+\.(js|d\.ts)(\.map)?$/,
];

interface Manifest {
  readonly scripts: Record<string, string>;
  readonly dependencies: Record<string, string>;
  readonly peerDependencies: Record<string, string>;
  readonly [field: string]: unknown;
}

let temp: string;
let app: string;
let installed: string;

beforeAll(async () => {
  temp = await mkdtemp(join(tmpdir(), "stringphone-package-"));
  // A copy, because packing rebuilds dist, which other tests may be reading at this moment.
  const copy = join(temp, "copy");
  await cp(root, copy, {
    recursive: true,
    filter: (from) => !NOT_SOURCE.has(relative(root, from)),
  });
  await symlink(join(root, "node_modules"), join(copy, "node_modules"));
  // What lies around in a work tree and must not be packed.
  await mkdir(join(copy, ".tmp"));
  await writeFile(join(copy, ".tmp/secret.txt"), "");
  await mkdir(join(copy, "dist"));
  await writeFile(join(copy, "dist/stale.js"), "");
  await run("npm", ["pack", "--pack-destination", temp], { cwd: copy });
  const tarballs = (await readdir(temp)).filter((name) => name.endsWith(".tgz"));
  expect(tarballs).toHaveLength(1);

  app = join(temp, "app");
  await mkdir(app);
  await writeFile(join(app, "package.json"), JSON.stringify({ name: "app", private: true }));
  const tarball = join(temp, tarballs[0] as string);
  await run("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", tarball], { cwd: app });
  installed = join(app, "node_modules/stringphone");
  await cp(fixtures, app, { recursive: true });
});

afterAll(async () => {
  await rm(temp, { recursive: true, force: true });
});

async function installedFiles(): Promise<string[]> {
  const entries = await readdir(installed, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(installed, join(entry.parentPath, entry.name)))
    .sort();
}

async function manifest(): Promise<Manifest> {
  return JSON.parse(await readFile(join(installed, "package.json"), "utf8")) as Manifest;
}

describe("the tarball", () => {
  it("holds the code, its sources and its documents, and nothing else", async () => {
    const files = await installedFiles();
    expect(files.filter((file) => !PACKED.some((pattern) => pattern.test(file)))).toEqual([]);
    expect(files).toEqual(expect.arrayContaining(["LICENSE", "dist/index.js", "dist/index.d.ts", "src/index.ts"]));
    expect(files).not.toContain("dist/stale.js");
    const sources = files.filter((file) => file.startsWith("src/"));
    expect(files.filter((file) => /^dist\/.*\.js$/.test(file))).toEqual(
      sources.map((file) => file.replace(/^src(.*)\.ts$/, "dist$1.js")),
    );
    const documents = (await readdir(root)).filter((name) => /^(README|CHANGELOG|SECURITY)\.md$/.test(name));
    expect(files).toEqual(expect.arrayContaining(documents));
  });

  it("has source maps that lead to the packed sources", async () => {
    const files = await installedFiles();
    const maps = files.filter((file) => file.endsWith(".map"));
    expect(maps.length).toBeGreaterThan(0);
    for (const file of maps) {
      const map = JSON.parse(await readFile(join(installed, file), "utf8")) as { sources: string[] };
      expect(files).toEqual(expect.arrayContaining(map.sources.map((source) => join(dirname(file), source))));
    }
  });

  it("runs nothing at install, and depends on three libraries only", async () => {
    const { scripts, dependencies, ...rest } = await manifest();
    for (const name of ["preinstall", "install", "postinstall"]) expect(scripts).not.toHaveProperty(name);
    expect(Object.keys(dependencies).sort()).toEqual(["@noble/hashes", "cbor-x", "libsodium-wrappers"]);
    for (const field of ["optionalDependencies", "bundleDependencies", "gypfile", "os", "cpu"]) {
      expect(rest).not.toHaveProperty(field);
    }
  });

  it("neither needs nor brings native code", async () => {
    const { peerDependencies, peerDependenciesMeta } = await manifest();
    expect(Object.keys(peerDependencies)).toEqual(["sodium-native"]);
    expect(peerDependenciesMeta).toEqual({ "sodium-native": { optional: true } });
    const modules = await readdir(join(app, "node_modules"), { recursive: true });
    expect(modules.length).toBeGreaterThan(0);
    expect(modules.filter((file) => /sodium-native|\.node$/.test(file))).toEqual([]);
  });

  it("uses nothing of Node", async () => {
    // What looks for native code is for Node alone, and is found only by Node.
    const files = (await installedFiles()).filter(
      (file) => /^dist\/.*\.js$/.test(file) && file !== "dist/backends/native.js",
    );
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) {
      // Comments go first: they may speak of a process.
      const { code } = await transform(await readFile(join(installed, file), "utf8"), {
        minifyWhitespace: true,
        legalComments: "none",
      });
      expect(code.match(/\bnode:|\b(?:Buffer|process|require|__dirname|__filename|setImmediate)\b/g), file).toBeNull();
    }
  });
});

describe("an application that installed it", () => {
  it("imports it", async () => {
    const { stdout, stderr } = await run(process.execPath, ["esm.mjs"], { cwd: app });
    expect(stdout).toBe("ok\n");
    expect(stderr).toBe("");
  });

  it("requires it, and gets the very same classes", async () => {
    const { stdout } = await run(process.execPath, ["commonjs.cjs"], { cwd: app });
    expect(stdout).toBe("ok\n");
  });

  it.each([
    ["Node's rules", { module: "NodeNext" }],
    ["a bundler's rules", { module: "Preserve" }],
  ])("compiles against its declarations by %s, without Node's types or skipLibCheck", async (_, modules) => {
    const compilerOptions = {
      ...modules,
      target: "ES2022",
      lib: ["ES2022", "DOM"],
      types: [],
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: false,
      noEmit: true,
    };
    const include = ["*.ts", "*.cts"];
    await writeFile(join(app, "tsconfig.json"), JSON.stringify({ compilerOptions, include }));
    const { stdout } = await run(process.execPath, [tsc, "--listFiles"], { cwd: app }).catch(
      (error: Error & { stdout?: string }) => expect.fail(error.stdout || error.message),
    );
    for (const name of ["consumer.ts", "consumer-commonjs.cts", "stringphone/dist/index.d.ts"]) {
      expect(stdout).toContain(name);
    }
    // Neither our own sources nor Node's types may stand in for what is missing.
    expect(stdout).not.toMatch(/stringphone\/src\/|@types\/node/);
  });
});
