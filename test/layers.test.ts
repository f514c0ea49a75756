/** Imports only go down: a file of src may import from the layers before its own, and from its own without a circle. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const LAYERS: readonly (readonly string[])[] = [
  ["errors", "limits"],
  [
    "bytes",
    "cbor",
    "crypto",
    "backends/agreement",
    "backends/backend",
    "backends/wasm",
    "backends/native",
    "backends/no-native",
  ],
  ["identity", "message", "clock", "context", "codec"],
  [
    "topic-key",
    "generations",
    "step-budget",
    "roster",
    "statements",
    "statement-set",
    "rekey",
    "wrap-keys",
    "keyring",
    "departures",
    "events",
    "rejoin",
    "unsettled",
    "gaps",
    "kept",
    "sealing",
    "sessions",
    "replay",
    "participants",
    "received",
    "options",
  ],
  ["discovery", "rooted", "state"],
  ["topic"],
  ["collector"],
  ["index"],
  // What is built on the core. Nothing above imports anything from here.
  ["compat/limits", "compat/options", "compat/secrets"],
  ["compat/wire", "compat/seen", "compat/received", "compat/legacy-crypto"],
  ["compat/discovery"],
  ["compat/legacy-topic"],
  ["compat/bridge"],
  ["compat/index"],
];

const folder = new URL("../src/", import.meta.url);
const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => name.replace(/\.ts$/, "").replaceAll("\\", "/"));
const layerOf = (file: string): number => LAYERS.findIndex((layer) => layer.includes(file));
const textOf = (file: string): string => readFileSync(new URL(`${file}.ts`, folder), "utf8");
const importsOf = (file: string): string[] =>
  [...textOf(file).matchAll(/from "(\.{1,2}\/[a-z/-]+)\.js"/g)].map(([, name]) =>
    join(file, "..", name as string).replaceAll("\\", "/"),
  );

it("every file has a layer", () => {
  expect(files.filter((file) => layerOf(file) < 0)).toEqual([]);
  expect(LAYERS.flat().sort()).toEqual([...files].sort());
});

it.each(files)("%s imports only from its own layer and those before it", (file) => {
  expect(importsOf(file).filter((one) => layerOf(one) < 0 || layerOf(one) > layerOf(file))).toEqual([]);
});

it("compat imports the core, one by one and not through its index, and the core never imports compat", () => {
  const compat = files.filter((file) => file.startsWith("compat/"));
  expect(compat.length).toBeGreaterThan(0);
  expect(compat.filter((file) => importsOf(file).includes("index"))).toEqual([]);
  expect(files.filter((file) => !compat.includes(file) && /from "[^"]*compat/.test(textOf(file)))).toEqual([]);
  // The module of the WebAssembly is for compat's primitives only.
  expect(files.filter((file) => /\bwasmModule\b.* from /.test(textOf(file)))).toEqual(["compat/legacy-crypto"]);
});

it.each([
  ["libsodium-wrappers", ["backends/wasm"]],
  ["sodium-native", ["backends/native"]],
  ["cbor-x", ["cbor"]],
  ["@noble/hashes", ["crypto"]],
])("%s is imported by %j alone", (library, expected) => {
  const quoted = new RegExp(`(from|import\\(|: string =) ?"${library}`);
  expect(files.filter((file) => quoted.test(textOf(file)))).toEqual(expected);
});
