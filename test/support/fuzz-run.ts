/** `npm run fuzz [inputs] [seed]`: a million inputs unless told otherwise, with a look at the memory. */
import { fuzz } from "./fuzz.js";

const inputs = Number(process.argv[2] ?? 1_000_000);
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 32);
const heap: number[] = [];

function heapMegabytes(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage().heapUsed / 1e6;
}

console.log(`${inputs} inputs, seed ${seed}`);
const { outcomes } = await fuzz(inputs, seed, (done) => {
  if (done % Math.max(1, Math.floor(inputs / 10)) !== 0 && done !== inputs) return;
  heap.push(heapMegabytes());
  console.log(`${String(done).padStart(9)} done, heap ${heap.at(-1)?.toFixed(1)} MB`);
});
for (const [outcome, count] of Object.entries(outcomes).sort(([, a], [, b]) => b - a)) {
  console.log(`${String(count).padStart(9)} ${outcome}`);
}
const growth = (heap.at(-1) ?? 0) - (heap[Math.floor(heap.length / 4)] ?? 0);
console.log(`growth of the heap over the last three quarters: ${growth.toFixed(1)} MB`);
if (growth > 5) throw new Error("the heap grew by more than 5 MB");
