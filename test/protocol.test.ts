/** The worked example of docs/PROTOCOL.md is what the code makes. */
import { readFileSync } from "node:fs";
import { blake2b } from "@noble/hashes/blake2.js";
import { describe, expect, it } from "vitest";
import { makeVectors } from "../scripts/vector-cases.js";
import { fromTableKey } from "../src/bytes.js";
import { encode } from "../src/cbor.js";
import { fingerprint } from "../src/index.js";
import { openWire } from "./support/forge.js";

const page = readFileSync(new URL("../docs/PROTOCOL.md", import.meta.url), "utf8");
const example = page.slice(page.indexOf("## 11."), page.indexOf("## 12.")).replace(/[\s‖]/g, "");
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

describe("the worked example", async () => {
  const { messages } = await makeVectors();
  const { make, wire } = messages.cases[0] as unknown as { make: Record<string, string>; wire: string };
  const { alice, topic } = messages.secrets as Record<"alice" | "topic", Record<string, string>>;
  const commitment = unhex(topic["commitment"] as string);
  const session = unhex(make["session"] as string);
  const publicKey = unhex(alice["publicKey"] as string);
  const sentAt = Number(make["sentAt"]);
  const payload = unhex(make["payload"] as string);
  const input = encode([
    "stringphone/1 message signature",
    commitment,
    session,
    0,
    "home/kitchen",
    0,
    sentAt,
    publicKey,
    payload,
  ]);
  const { plaintext } = openWire(unhex(topic["topicKey"] as string), unhex(wire));
  const time = sentAt.toString(16).padStart(12, "0");

  it.each<[string, string]>([
    ["seed", alice["seed"] as string],
    ["public key", alice["publicKey"] as string],
    ["id", alice["id"] as string],
    ["fingerprint", fingerprint(publicKey)],
    ["topic key", topic["topicKey"] as string],
    ["session", make["session"] as string],
    ["input of the key id", hex(encode(["stringphone/1 key id"]))],
    ["key id", topic["keyId"] as string],
    ["message key", topic["messageKey"] as string],
    ["commitment", topic["commitment"] as string],
    ["input of the signature", hex(input)],
    ["its hash", hex(blake2b(input, { dkLen: 32 }))],
    ["signature", hex(plaintext.signature)],
    ["plaintext", `${hex(fromTableKey(plaintext.senderHint))}00${time}${hex(plaintext.signature)}${make["payload"]}`],
    [
      "associated data",
      hex(encode(["stringphone/1 message", unhex(topic["keyId"] as string), session, 0, "home/kitchen"])),
    ],
    ["wire message", wire],
    ["nonce", `${make["session"]}${"00".repeat(12)}`],
  ])("shows the %s", (_, value) => {
    expect(example).toContain(value);
  });
});
