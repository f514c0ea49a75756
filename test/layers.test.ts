/** Imports only go down: a file of src may import from the layers before its own, and from its own without a circle. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";

const LAYERS: readonly (readonly string[])[] = [
  ["errors", "limits"],
  ["bytes", "cbor", "crypto"],
  ["identity", "message", "clock", "context"],
  ["keyring", "sealing", "sessions", "replay", "participants", "received", "options"],
  ["discovery"],
  ["topic"],
  ["index"],
];

const folder = new URL("../src/", import.meta.url);
const files = readdirSync(folder).map((name) => name.replace(/\.ts$/, ""));
const layerOf = (file: string): number => LAYERS.findIndex((layer) => layer.includes(file));
const importsOf = (file: string): string[] => {
  const text = readFileSync(new URL(`${file}.ts`, folder), "utf8");
  return [...text.matchAll(/from "\.\/([a-z/]+)\.js"/g)].map(([, name]) => name as string);
};

it("every file has a layer", () => {
  expect(files.filter((file) => layerOf(file) < 0)).toEqual([]);
  expect(LAYERS.flat().sort()).toEqual([...files].sort());
});

it.each(files)("%s imports only from its own layer and those before it", (file) => {
  expect(importsOf(file).filter((one) => layerOf(one) > layerOf(file))).toEqual([]);
});

it.each([
  ["libsodium-wrappers", ["crypto"]],
  ["cbor-x", ["cbor"]],
  ["@noble/hashes", ["crypto"]],
])("%s is imported by %j alone", (library, expected) => {
  const importers = files.filter((file) => readFileSync(new URL(`${file}.ts`, folder), "utf8").includes(`"${library}`));
  expect(importers).toEqual(expected);
});
