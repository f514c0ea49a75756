/** Every TypeScript block of the documents and docstrings compiles, and README's table of errors is complete. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, rm, rmdir, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as errors from "../src/errors.js";
import * as index from "../src/index.js";

const root = fileURLToPath(new URL("../", import.meta.url));
const folder = join(root, ".tmp", `docs-${process.pid}`);
const readme = join(root, "README.md");

interface Block {
  /** Where the fence opens, as an editor names it. */
  readonly where: string;
  /** The name of the module that it becomes. */
  readonly module: string;
  /** Empty lines come first, so that the compiler counts lines as the document does. */
  readonly text: string;
  readonly ignored: boolean;
}

/** The ```ts blocks among these lines of Markdown. */
function blocksOf(path: string, lines: readonly string[]): Block[] {
  const file = relative(root, path);
  const blocks: Block[] = [];
  let open: { ticks: string; info: string; start: number } | undefined;
  lines.forEach((line, at) => {
    const [, ticks, info = ""] = /^\s*(`{3,})\s*([^`]*?)\s*$/.exec(line) ?? [];
    if (ticks === undefined) return;
    if (open === undefined) {
      open = { ticks, info, start: at + 1 };
      return;
    }
    // A longer fence may show a shorter one.
    if (info !== "" || ticks.length < open.ticks.length) return;
    const { start } = open;
    if (/^(?:ts|typescript)\b/.test(open.info)) {
      const where = `${file}:${start}`;
      const code = lines.slice(start, at).join("\n");
      blocks.push({
        where,
        module: `${where.replaceAll(/[^\w.-]/g, "_")}.ts`,
        // The last line makes a module of it, where `await` may stand alone and no name is anybody else's.
        text: `${"\n".repeat(start)}${code}\nexport {};\n`,
        ignored: open.info === "ts ignore",
      });
    }
    open = undefined;
  });
  if (open !== undefined) throw new Error(`${file} opens a code block that nothing closes`);
  return blocks;
}

/** The text of the docstrings, line for line; everything else is blank. */
function docstringLines(lines: readonly string[]): string[] {
  let inside = false;
  return lines.map((line) => {
    if (/^\s*\/\*\*/.test(line)) inside = true;
    const text = inside ? line.replace(/^\s*\/?\*+\/? ?/, "") : "";
    if (line.includes("*/")) inside = false;
    return text;
  });
}

function linesOf(path: string): string[] {
  return readFileSync(path, "utf8").split("\n");
}

function findBlocks(): Block[] {
  const documents = [readme, ...filesOf("docs", ".md")].filter((path) => existsSync(path));
  return [
    ...documents.flatMap((path) => blocksOf(path, linesOf(path))),
    ...filesOf("src", ".ts").flatMap((path) => blocksOf(path, docstringLines(linesOf(path)))),
  ];
}

function filesOf(name: string, extension: string): string[] {
  const path = join(root, name);
  if (!existsSync(path)) return [];
  return readdirSync(path, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(extension))
    .sort()
    .map((file) => join(path, file));
}

/** Compiles all modules at once, and gives the compiler's complaints. */
async function compile(modules: readonly Block[]): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  for (const { module, text } of modules) await writeFile(join(folder, module), text);
  const tsconfig = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: {
      paths: {
        stringphone: [join(root, "src/index.ts")],
        "stringphone/compat": [join(root, "src/compat/index.ts")],
      },
      // An example may name what it does not go on to use.
      noUnusedLocals: false,
      noUnusedParameters: false,
    },
    include: ["*.ts"],
    exclude: [],
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(tsconfig));
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  return promisify(execFile)(process.execPath, [tsc, "-p", folder, "--pretty", "false"], { cwd: folder }).then(
    () => [],
    // A complaint goes on in indented lines.
    (error: Error & { stdout?: string }) => (error.stdout ? error.stdout.trim().split(/\n(?! )/) : [error.message]),
  );
}

const blocks = findBlocks();
const checked = blocks.filter(({ ignored }) => !ignored);

describe("the code blocks of the documents", () => {
  let complaints: string[] = [];

  beforeAll(async () => {
    complaints = await compile(checked);
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    // Only where nobody else keeps anything there.
    await rmdir(dirname(folder)).catch(() => undefined);
  });

  it("are found", () => {
    expect(checked.filter(({ where }) => where.startsWith("src/")).length).toBeGreaterThan(0);
    if (existsSync(readme)) expect(checked.some(({ where }) => where.startsWith("README.md"))).toBe(true);
  });

  it.each(checked)("$where compiles", ({ module }) => {
    expect(complaints.filter((line) => basename(line.split("(")[0] as string) === module)).toEqual([]);
  });

  it("give no other complaint", () => {
    const modules = new Set(checked.map(({ module }) => module));
    expect(complaints.filter((line) => !modules.has(basename(line.split("(")[0] as string)))).toEqual([]);
  });
});

const errorClasses = Object.values(errors)
  .map((one): { readonly prototype: unknown; readonly name: string } => one)
  .filter((one) => one.prototype instanceof errors.StringphoneError)
  .map((one) => one.name);

it.each(errorClasses)("%s can be imported", (name) => {
  expect(index).toHaveProperty(name);
});

function tableRows(): string {
  return linesOf(readme)
    .filter((line) => /^\s*\|.*\|\s*$/.test(line))
    .join("\n");
}

describe.skipIf(!existsSync(readme))("README's table of errors (skipped while there is no README.md)", () => {
  it.each(errorClasses)("has %s", (name) => {
    expect(tableRows()).toMatch(new RegExp(`\\b${name}\\b`));
  });

  it("has no error that does not exist", () => {
    const known = [...errorClasses, "StringphoneError", "AnyStringphoneError", "TypeError", "RangeError", "Error"];
    expect((tableRows().match(/\b[A-Z]\w*Error\b/g) ?? []).filter((name) => !known.includes(name))).toEqual([]);
  });
});
