/** Writes test/vectors/*.json. */
import { writeFileSync } from "node:fs";
import { makeVectors } from "./vector-cases.js";

for (const [name, vectors] of Object.entries(await makeVectors())) {
  writeFileSync(new URL(`../test/vectors/${name}.json`, import.meta.url), `${JSON.stringify(vectors, null, 1)}\n`);
  console.log(`test/vectors/${name}.json: ${vectors.cases.length} cases`);
}
