/** What messages leave behind, and what each allocates. Run with --expose-gc and a young generation that holds it all. */
import { setTimeout } from "node:timers/promises";
import { generateTopicKey, Topic } from "stringphone";
import { print, random } from "./measure.js";

const MESSAGES = 1_000_000;
const SAMPLE = 2000;

interface Used {
  readonly heap: number;
  readonly buffers: number;
}

function used(): Used {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { heap: heapUsed, buffers: arrayBuffers };
}

/** What is in use after a collection. Buffers are freed by another thread, a moment later. */
async function kept(): Promise<Used> {
  for (let i = 0; i < 3; i++) {
    (globalThis as unknown as { gc: () => void }).gc();
    await setTimeout(50);
  }
  return used();
}

async function allocation(call: (i: number) => unknown): Promise<string[]> {
  const before = await kept();
  for (let i = 0; i < SAMPLE; i++) call(i);
  const after = used();
  return [
    `${((after.heap - before.heap) / SAMPLE).toFixed(0)} B`,
    `${((after.buffers - before.buffers) / SAMPLE).toFixed(0)} B`,
  ];
}

export async function benchMemory(): Promise<void> {
  const topicKey = generateTopicKey();
  const alice = await Topic.create({ topicKey, name: "home/kitchen" });
  const bob = await Topic.create({ topicKey, name: "home/kitchen", participants: [alice.publicKey] });
  const payload = random(200);
  for (let i = 0; i < 10_000; i++) bob.decode(alice.encode(payload));

  const wires: Uint8Array[] = Array.from({ length: SAMPLE }, () => new Uint8Array(0));
  const encoded = await allocation((i) => {
    wires[i] = alice.encode(payload);
  });
  const decoded = await allocation((i) => bob.decode(wires[i] as Uint8Array));
  print(
    "Allocated for each message of 200 B, the result included",
    ["", "heap", "array buffers"],
    [
      ["encode", ...encoded],
      ["decode", ...decoded],
    ],
  );

  const before = await kept();
  for (let i = 0; i < MESSAGES; i++) bob.decode(alice.encode(payload));
  const after = await kept();
  const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(2)} MiB`;
  print(
    `After ${MESSAGES.toLocaleString("en")} encodes and decodes`,
    ["heap grew by", "array buffers by"],
    [[mebibytes(after.heap - before.heap), mebibytes(after.buffers - before.buffers)]],
  );
}
