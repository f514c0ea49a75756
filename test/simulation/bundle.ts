/** Bundles a program for the simulator: the library with cheap primitives, and with a defect or several where a test wants them. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

const root = fileURLToPath(new URL("../../", import.meta.url));
const source = (file: string): string => join(root, file);
const REAL_PRIMITIVES = "src/backends/wasm.ts";

/** A change to one source file, made as it is loaded; the file itself stays as it is. */
export interface Mutation {
  /** From the top of the work tree, such as "src/replay.ts". */
  readonly file: string;
  /** What must occur exactly once in the file, as the mutations before this one left it. */
  readonly find: string;
  readonly replace: string;
}

export interface SimulationBundle {
  /** Where the bundle is written: one ES module for Node, which imports nothing but what Node has. */
  readonly outfile: string;
  /** The program, in TypeScript. */
  readonly entry: string;
  readonly mutations?: readonly Mutation[];
}

/**
 * Bundles `entry` with what it imports of src, in which fast-crypto.ts replaces WebAssembly and there is no native code.
 *
 * @throws Error when a mutation does not match exactly once, or is of a file that the program does not have; and when esbuild
 * has anything to complain of
 */
export async function bundleSimulation({ outfile, entry, mutations = [] }: SimulationBundle): Promise<void> {
  const mutated = await mutate(mutations);
  const loaded = new Set<string>();
  const { warnings, metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    metafile: true,
    logLevel: "silent",
    plugins: [replacing(mutated, loaded)],
  });
  const [warning] = warnings;
  if (warning !== undefined) throw new Error(`${warning.location?.file ?? entry}: ${warning.text}`);
  if (REAL_PRIMITIVES in metafile.inputs) throw new Error(`${REAL_PRIMITIVES} was not replaced`);
  for (const { file } of mutations) {
    if (!loaded.has(source(file))) throw new Error(`a mutation is of ${file}, which is no part of the program`);
  }
}

/** The texts of the files that are changed, by path. */
async function mutate(mutations: readonly Mutation[]): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  for (const { file, find, replace } of mutations) {
    const path = source(file);
    const text = texts.get(path) ?? (await readFile(path, "utf8"));
    const parts = text.split(find);
    if (parts.length !== 2) {
      throw new Error(`a mutation must match once, and matches ${parts.length - 1} times in ${file}: ${find}`);
    }
    texts.set(path, parts.join(replace));
  }
  return texts;
}

/** Puts those texts in the place of what the files hold, and says in `loaded` which were asked for. */
function replacing(mutated: ReadonlyMap<string, string>, loaded: Set<string>): Plugin {
  return {
    name: "simulation",
    setup(bundler) {
      bundler.onResolve({ filter: /^#native-backend$/ }, () => ({ path: source("src/backends/no-native.ts") }));
      // Every import of it ends so, from wherever it is.
      bundler.onResolve({ filter: /\/wasm\.js$/ }, ({ path, resolveDir }) =>
        join(resolveDir, path.replace(/\.js$/, ".ts")) === source(REAL_PRIMITIVES)
          ? { path: source("test/simulation/fast-crypto.ts") }
          : undefined,
      );
      bundler.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const contents = mutated.get(path);
        if (contents === undefined) return undefined;
        loaded.add(path);
        return { contents, loader: "ts" };
      });
    },
  };
}
