/** Writes test/vectors/*.json and test/vectors/rooted/*.json. */
import { writeFileSync } from "node:fs";
import { makeRootedVectors } from "./rooted-cases.js";
import { makeVectors } from "./vector-cases.js";

const rooted = Object.entries(await makeRootedVectors()).map(([name, vectors]) => [`rooted/${name}`, vectors] as const);
for (const [name, vectors] of [...Object.entries(await makeVectors()), ...rooted]) {
  writeFileSync(new URL(`../test/vectors/${name}.json`, import.meta.url), `${JSON.stringify(vectors, null, 1)}\n`);
  console.log(`test/vectors/${name}.json: ${vectors.cases.length} cases`);
}
