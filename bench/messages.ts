/** What a message costs, by size; what a payload costs in a batch, by the batch's size; and what CBOR costs of it. */
import { generateTopicKey, Topic } from "stringphone";
// Not public: the parts whose cost is asked for alone.
import { frameMessage, parse } from "../dist/message.js";
import type { Floor } from "./floor.js";
import { interleave, micros, print, random, times } from "./measure.js";

const NAME = "home/kitchen/temperature";
const COUNT = 400;
const SIZES: readonly [label: string, bytes: number, count: number][] = [
  ["20 B", 20, COUNT],
  ["200 B", 200, COUNT],
  ["1 KiB", 1024, COUNT],
  ["64 KiB", 64 * 1024, 60],
  ["1 MiB", 1024 * 1024, 8],
];
const BATCHES = [1, 4, 16, 64, 256, 1024];

async function makePair(): Promise<{ alice: Topic; bob: Topic }> {
  const topicKey = generateTopicKey();
  const alice = await Topic.create({ topicKey, name: NAME });
  return { alice, bob: await Topic.create({ topicKey, name: NAME, participants: [alice.publicKey] }) };
}

export async function benchSizes(floor: Floor): Promise<void> {
  const { alice, bob } = await makePair();
  const rows = SIZES.map(([label, bytes, count]) => {
    const payload = random(bytes);
    const texts = Array.from({ length: count }, () => new Uint8Array(46));
    let signatures: Uint8Array[] = [];
    let ciphertexts: Uint8Array[] = [];
    let wires: Uint8Array[] = [];
    const measured = interleave(
      count,
      {
        sealFloor: (i) => {
          signatures[i] = floor.sign(texts[i] as Uint8Array);
          ciphertexts[i] = floor.seal(payload);
        },
        encode: (i) => {
          wires[i] = alice.encode(payload);
        },
        openFloor: (i) => {
          if (!floor.verify(signatures[i] as Uint8Array, texts[i] as Uint8Array)) throw new Error("not verified");
          return floor.open(ciphertexts[i] as Uint8Array);
        },
        decode: (i) => bob.decode(wires[i] as Uint8Array),
        hash: () => floor.hash(payload),
      },
      () => {
        for (const text of texts) crypto.getRandomValues(text);
        [signatures, ciphertexts, wires] = [[], [], []];
      },
    );
    return [
      label,
      micros(measured.of("sealFloor")),
      micros(measured.of("encode")),
      times(measured.ratio("encode", "sealFloor")),
      times(measured.ratio("encode", "sealFloor", "hash")),
      micros(measured.of("openFloor")),
      micros(measured.of("decode")),
      times(measured.ratio("decode", "openFloor")),
      times(measured.ratio("decode", "openFloor", "hash")),
      `${(wires[0] as Uint8Array).length - bytes} B`,
    ];
  });
  print(
    "Single messages, µs. Floor: signature and AEAD; the second ratio adds one hash of the payload to it.",
    ["payload", "floor", "encode", "ratio", "with hash", "floor", "decode", "ratio", "with hash", "overhead"],
    rows,
  );
}

export async function benchBatches(): Promise<void> {
  const { alice, bob } = await makePair();
  const rows = BATCHES.map((size) => {
    const payloads = Array.from({ length: size }, () => random(200));
    const count = Math.max(4, Math.ceil(COUNT / size));
    let wires: Uint8Array[] = [];
    let singles: Uint8Array[] = [];
    const measured = interleave(
      count,
      {
        encodeBatch: (i) => {
          wires[i] = alice.encodeBatch(payloads);
        },
        encode: (i) => {
          singles[i] = alice.encode(payloads[0] as Uint8Array);
        },
        decodeBatch: (i) => bob.decodeBatch(wires[i] as Uint8Array),
        decode: (i) => bob.decode(singles[i] as Uint8Array),
      },
      () => {
        [wires, singles] = [[], []];
      },
    );
    return [
      String(size),
      micros(measured.of("encodeBatch") / size),
      times(size / measured.ratio("encodeBatch", "encode")),
      micros(measured.of("decodeBatch") / size),
      times(size / measured.ratio("decodeBatch", "decode")),
      `${((wires[0] as Uint8Array).length / size - 200).toFixed(2)} B`,
    ];
  });
  print(
    "Batches of payloads of 200 B, µs a payload, and how many times faster than single messages",
    ["payloads", "encode", "faster", "decode", "faster", "overhead"],
    rows,
  );
}

export async function benchCbor(): Promise<void> {
  const { alice } = await makePair();
  const wire = alice.encode(random(200));
  const message = { keyId: wire.slice(4, 8), session: wire.slice(9, 21), sequence: 0 };
  const measured = interleave(4000, {
    parse: () => parse(wire, 1024),
    format: () => frameMessage(message, 279),
  });
  print(
    "CBOR of a message of 200 B, µs",
    ["parsed", "written", "together"],
    [
      [
        micros(measured.of("parse")),
        micros(measured.of("format")),
        micros(measured.of("parse") + measured.of("format")),
      ],
    ],
  );
}
