/**
 * Speed of encode and decode as a ratio to a floor measured in the same run: libsodium's Ed25519 of a
 * 46-byte text (what stringphone signs) plus XChaCha20-Poly1305 of the payload, with keys and nonce ready
 * and no framing, hashing or checks. The floor signs and verifies as many different texts as stringphone
 * does: verifying one signature again and again is up to a tenth faster, because the processor learns its
 * branches. Each figure is the median of the rounds; the two are interleaved round by round, so that a
 * machine whose speed drifts gives the same ratio.
 */
import sodium from "libsodium-wrappers";
import { generateTopicKey, Topic } from "stringphone";

const ROUNDS = 15;
const SIZES: readonly [label: string, bytes: number, count: number][] = [
  ["20 B", 20, 400],
  ["200 B", 200, 400],
  ["1 KiB", 1024, 400],
  ["64 KiB", 64 * 1024, 60],
  ["1 MiB", 1024 * 1024, 8],
];

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number;
}

/** Microseconds of one call, averaged over `count`. */
function time(count: number, call: (i: number) => unknown): number {
  const start = performance.now();
  for (let i = 0; i < count; i++) call(i);
  return ((performance.now() - start) * 1000) / count;
}

/** Runs all calls in turn, round by round, and gives each one's times. */
function interleave(count: number, calls: readonly ((i: number) => unknown)[], prepare: () => void): number[][] {
  const times: number[][] = calls.map(() => []);
  for (let round = -1; round < ROUNDS; round++) {
    prepare();
    calls.forEach((call, which) => {
      const micros = time(count, call);
      if (round >= 0) (times[which] as number[]).push(micros);
    });
  }
  return times;
}

function ratio(ours: readonly number[], floor: readonly number[]): string {
  return median(ours.map((value, round) => value / (floor[round] as number))).toFixed(3);
}

await sodium.ready;
const topicKey = generateTopicKey();
const name = "home/kitchen/temperature";
const alice = await Topic.create({ topicKey, name });
const bob = await Topic.create({ topicKey, name, participants: [alice.publicKey] });
const keys = sodium.crypto_sign_keypair();
const key = sodium.randombytes_buf(32);
const nonce = sodium.randombytes_buf(24);
const texts = Array.from({ length: 400 }, () => sodium.randombytes_buf(46));
const signatures = texts.map((text) => sodium.crypto_sign_detached(text, keys.privateKey));

console.log(
  `Node ${process.version}, libsodium ${sodium.SODIUM_VERSION_STRING} in WebAssembly, median of ${ROUNDS} rounds, microseconds`,
);
console.log("size     floor   encode  ratio | floor   decode  ratio | overhead");
for (const [label, bytes, count] of SIZES) {
  const payload = sodium.randombytes_buf(bytes);
  const ciphertext = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(payload, null, null, nonce, key);
  let wires: Uint8Array[] = [];
  const [sealFloor, encode, openFloor, decode] = interleave(
    count,
    [
      (i) => {
        sodium.crypto_sign_detached(texts[i] as Uint8Array, keys.privateKey);
        return sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(payload, null, null, nonce, key);
      },
      (i) => {
        wires[i] = alice.encode(payload);
      },
      (i) => {
        sodium.crypto_sign_verify_detached(signatures[i] as Uint8Array, texts[i] as Uint8Array, keys.publicKey);
        return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(null, ciphertext, null, nonce, key);
      },
      (i) => bob.decode(wires[i] as Uint8Array),
    ],
    () => {
      wires = [];
    },
  ) as [number[], number[], number[], number[]];
  const column = (values: readonly number[]) => median(values).toFixed(1).padEnd(7);
  console.log(
    `${label.padEnd(7)}  ${column(sealFloor)} ${column(encode)} ${ratio(encode, sealFloor)} | ${column(openFloor)} ${column(decode)} ${ratio(decode, openFloor)} | ${(wires[0] as Uint8Array).length - bytes} B`,
  );
}

/** Junk of an outsider who knows everything that is visible: key id, a live session, a likely sequence. */
const real = alice.encode(sodium.randombytes_buf(200));
const junk = Array.from({ length: 64 }, () => {
  const wire = new Uint8Array(real);
  for (let i = 60; i < wire.length; i++) wire[i] = Math.floor(Math.random() * 256);
  return wire;
});
let valid: Uint8Array[] = [];
const [refused, decoded] = interleave(
  400,
  [
    (i) => {
      try {
        bob.decode(junk[i % junk.length] as Uint8Array);
      } catch {
        return;
      }
      throw new Error("junk was accepted");
    },
    (i) => bob.decode(valid[i] as Uint8Array),
  ],
  () => {
    valid = Array.from({ length: 400 }, () => alice.encode(new Uint8Array(200)));
  },
) as [number[], number[]];
console.log(
  `junk of an outsider: refused in ${median(refused).toFixed(1)}, a valid message decoded in ${median(decoded).toFixed(1)}: ${ratio(decoded, refused)} times the rate`,
);
