/** The worked example of docs/PROTOCOL.md is what the code makes. */
import { readFileSync } from "node:fs";
import { blake2b } from "@noble/hashes/blake2.js";
import { describe, expect, it } from "vitest";
import { makeVectors } from "../scripts/vector-cases.js";
import { fromTableKey } from "../src/bytes.js";
import { type CborItem, encode } from "../src/cbor.js";
import { diffieHellman, diffieHellmanKeyPair, loadCrypto, seal } from "../src/crypto.js";
import { Identity } from "../src/identity.js";
import { fingerprint } from "../src/index.js";
import { openRekey, parseRekey, verifyHead } from "../src/rekey.js";
import { StatementSet } from "../src/statement-set.js";
import { TopicKey } from "../src/topic-key.js";
import { openWire } from "./support/forge.js";

const page = readFileSync(new URL("../docs/PROTOCOL.md", import.meta.url), "utf8");
const example = page.slice(page.indexOf("## 14."), page.indexOf("## 15.")).replace(/[\s‖]/g, "");
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

describe("the worked example of a rooted topic", async () => {
  await loadCrypto();
  const { messages } = await makeVectors();
  const { alice, bob, topic } = messages.secrets as Record<"alice" | "bob" | "topic", Record<string, string>>;
  const label = (name: string): string => `stringphone/1 ${name}`;
  const hash = (name: string, ...items: CborItem[]): Uint8Array =>
    blake2b(encode([label(name), ...items]), { dkLen: 32 });
  const kdf = (key: Uint8Array, name: string, ...items: CborItem[]): Uint8Array =>
    blake2b(encode([label(name), ...items]), { key, dkLen: 32 });
  const fixed = (name: string): Uint8Array => blake2b(new TextEncoder().encode(name), { dkLen: 32 });
  const [aliceIdentity, bobIdentity] = [alice, bob].map(({ seed }) => new Identity(unhex(seed as string))) as [
    Identity,
    Identity,
  ];
  const [aliceKey, bobKey] = [unhex(alice["publicKey"] as string), unhex(bob["publicKey"] as string)];
  const topicKey = unhex(topic["topicKey"] as string);
  const parent = unhex(topic["commitment"] as string);
  const none = new Uint8Array(0);
  const name = "home/kitchen";
  const version = 1794700000000;

  const salt = hash("salt", parent).slice(0, 16);
  const topicId = hash("topic id", [aliceKey], salt);
  const aliceWrapKey = diffieHellmanKeyPair(fixed("Alice's wrap key"));
  const bobWrapKey = diffieHellmanKeyPair(fixed("Bob's wrap key"));
  const signWrap = (identity: Identity, key: Uint8Array, wrapKey: Uint8Array): Uint8Array =>
    identity.sign(hash("wrap statement", key, wrapKey, version, name));
  const aliceWrapSignature = signWrap(aliceIdentity, aliceKey, aliceWrapKey.publicKey);
  const bobWrapSignature = signWrap(bobIdentity, bobKey, bobWrapKey.publicKey);
  const aliceWrap = encode([1, aliceKey, aliceWrapKey.publicKey, version, aliceWrapSignature]);
  const bobWrap = encode([bobWrapKey.publicKey, version, bobWrapSignature]);
  const bobWrapAlone = encode([1, bobKey, bobWrapKey.publicKey, version, bobWrapSignature]);
  const roleInput = encode([label("role statement"), topicId, aliceKey, bobKey, 1, 2, "Bob", parent, bobWrap]);
  const roleSignature = aliceIdentity.sign(blake2b(roleInput, { dkLen: 32 }));
  const admission = encode([0, aliceKey, bobKey, 1, 2, "Bob", parent, bobWrap, roleSignature]);
  const names = [admission, aliceWrap, bobWrapAlone].map((bytes) => hex(hash("statement", bytes)));
  const digest = hash("statement set", unhex([...names].sort().join("")));

  const ephemeral = diffieHellmanKeyPair(fixed("ephemeral"));
  const secret = fixed("secret");
  // In the order of the roster: Alice, who issues it, and Bob.
  const recipients = unhex([alice, bob].map(({ id }) => (id as string).slice(0, 16)).join(""));
  const wrapped = [
    { key: aliceKey, wrapKey: aliceWrapKey.publicKey },
    { key: bobKey, wrapKey: bobWrapKey.publicKey },
  ].map((to) => {
    const shared = diffieHellman(ephemeral.secretKey, to.wrapKey) as Uint8Array;
    const key = kdf(shared, "wrap", topicId, ephemeral.publicKey, to.key, to.wrapKey, aliceKey, parent, 1);
    return { shared, key, wrap: seal(key, new Uint8Array(24), none, secret) };
  });
  const wraps = unhex(wrapped.map(({ wrap }) => hex(wrap)).join(""));
  const statementsHash = hash("rekey statements", []);
  const wrapsHash = hash("wraps", wraps);
  const front = [aliceKey, parent, 1, 0, ephemeral.publicKey, recipients];
  const body = hash("rekey", topicId, ...front, wrapsHash, digest, statementsHash);
  const epochKey = kdf(topicKey, "epoch key", secret, 1, body);
  const commitment = kdf(epochKey, "commitment");
  const signature = aliceIdentity.sign(hash("rekey signature", body, commitment));
  const rekey = encode([...front, wraps, digest, statementsHash, commitment, signature]);
  const control = encode([[], rekey]);

  const shown: readonly (readonly [string, Uint8Array | string])[] = [
    ["Bob's public key", bobKey],
    ["Bob's id", bob["id"] as string],
    ["salt", salt],
    ["topic id", topicId],
    ["Alice's wrap key", aliceWrapKey.publicKey],
    ["Alice's wrap statement", aliceWrap],
    ["secret of Bob's wrap key", bobWrapKey.secretKey],
    ["Bob's wrap key", bobWrapKey.publicKey],
    ["signature of Bob's wrap statement", bobWrapSignature],
    ["Bob's wrap statement", bobWrap],
    ["input of the admission's signature", roleInput],
    ["hash of that", blake2b(roleInput, { dkLen: 32 })],
    ["signature of the admission", roleSignature],
    ["admission", admission],
    ["hash of the admission", names[0] as string],
    ["hash of Alice's wrap statement", names[1] as string],
    ["hash of Bob's", names[2] as string],
    ["digest", digest],
    ["secret of the ephemeral key", ephemeral.secretKey],
    ["ephemeral key", ephemeral.publicKey],
    ["secret of the epoch", secret],
    ...["Alice", "Bob"].flatMap((who, i): [string, Uint8Array][] => {
      const { shared, key, wrap } = wrapped[i] as (typeof wrapped)[number];
      return [
        [`shared secret with ${who}`, shared],
        [`key of the wrap for ${who}`, key],
        [`wrap for ${who}`, wrap],
      ];
    }),
    ["hash of the wraps", wrapsHash],
    ["hash of the statements", statementsHash],
    ["hash of the body", body],
    ["key of epoch 1", epochKey],
    ["its commitment", commitment],
    ["its key id", kdf(epochKey, "key id").slice(0, 4)],
    ["its next generation", kdf(epochKey, "next generation")],
    ["its rejoin secret", kdf(epochKey, "rejoin secret")],
    ["signature of the rekey", signature],
    ["rekey", rekey],
    ["payload of the control message", control],
  ];

  it.each(shown)("shows the %s", (_, value) => {
    expect(example).toContain(typeof value === "string" ? value : hex(value));
  });

  it("is taken in", () => {
    const statements = new StatementSet({ topicId, name }, [hex(aliceKey)]);
    statements.add(statements.stage([aliceWrap, admission]));
    expect(statements.roster.get(hex(bobKey))?.role).toBe("publisher");
    expect(hex(statements.digest)).toBe(hex(digest));
    const parsed = parseRekey(rekey);
    verifyHead(topicId, parsed);
    for (const [{ participant }, wrapKey] of [
      [aliceIdentity, aliceWrapKey],
      [bobIdentity, bobWrapKey],
    ] as const) {
      const opened = openRekey(topicId, new TopicKey(topicKey), parsed, participant, [wrapKey]);
      expect(opened.result === "opened" && hex(opened.key)).toBe(hex(epochKey));
    }
  });
});
