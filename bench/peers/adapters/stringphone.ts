/**
 * stringphone: one topic that sends and one that trusts it. The first argument is the size of a batch; without it each
 * payload is a message. The runner names the backend in STRINGPHONE_BACKEND, and another one is an error here: a fallback
 * that nobody noticed would be measured under the wrong name.
 */
import { cryptoBackend, generateTopicKey, type Received, Topic } from "stringphone";
import { sameBytes, serveSync, versionOf } from "../serve.js";

const topicKey = generateTopicKey();
const name = "home/kitchen/temperature";
const alice = await Topic.create({ topicKey, name });
const bob = await Topic.create({ topicKey, name, participants: [alice.publicKey] });

const expected = process.env["STRINGPHONE_BACKEND"];
if (expected !== "native" && expected !== "wasm") {
  throw new Error(`STRINGPHONE_BACKEND expected "native" or "wasm", got ${JSON.stringify(expected)}`);
}
if (cryptoBackend() !== expected) throw new Error(`the backend is "${cryptoBackend()}", not "${expected}"`);

const versions = { stringphone: versionOf("stringphone") };
const batch = Number(process.argv[2] ?? 1);
let payload = new Uint8Array(0);
let payloads: Uint8Array[] = [];

function prepare(bytes: Uint8Array): void {
  payload = new Uint8Array(bytes);
  payloads = new Array<Uint8Array>(batch).fill(payload);
}

const wireBytes = (wire: Uint8Array) => wire.length;

if (batch > 1) {
  await serveSync<Uint8Array, readonly Received[]>({
    versions,
    batch,
    prepare,
    wireBytes,
    seal: () => alice.encodeBatch(payloads),
    open: (wire) => bob.decodeBatch(wire),
    isPayload: (messages) =>
      messages.length === batch && messages.every((message) => sameBytes(message.payload, payload)),
  });
} else {
  await serveSync<Uint8Array, Received | null>({
    versions,
    prepare,
    wireBytes,
    seal: () => alice.encode(payload),
    open: (wire) => bob.decode(wire),
    isPayload: (message) => message !== null && sameBytes(message.payload, payload),
  });
}
