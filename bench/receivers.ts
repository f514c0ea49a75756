/** What a receiver's tables cost, and what those who may not send can make it spend. */
import { generateSigningKeySeed, generateTopicKey, Topic } from "stringphone";
import { interleave, micros, print, random, refuse, times } from "./measure.js";

const NAME = "home/kitchen/temperature";
const COUNT = 400;
const PARTICIPANTS = [10, 100, 1000, 10_000, 100_000];
const SENDERS = 32;
const SESSIONS: readonly [contexts: number, sessions: number][] = [
  [1, 1],
  [1, 16],
  [16, 16],
  [256, 16],
];

/** Decodes by a receiver that trusts many, from 32 of them in turn. */
export async function benchParticipants(): Promise<void> {
  const topicKey = generateTopicKey();
  const shared = { topicKey, name: NAME };
  const senders: Topic[] = [];
  for (let i = 0; i < SENDERS; i++) senders.push(await Topic.create(shared));
  // One receiver for each number, and all of them in each round.
  const receivers = new Map<number, Topic>();
  const keys: Uint8Array[] = [];
  for (const number of PARTICIPANTS) {
    while (keys.length < number) keys.push((await Topic.create()).publicKey);
    const participants = [...senders.map((one) => one.publicKey), ...keys.slice(0, Math.max(0, number - SENDERS))];
    receivers.set(
      number,
      await Topic.create({ ...shared, participants: participants.slice(0, Math.max(number, SENDERS)) }),
    );
  }
  let wires: Uint8Array[] = [];
  const payload = random(200);
  const calls = Object.fromEntries(
    [...receivers].map(([number, receiver]) => [number, (i: number) => receiver.decode(wires[i] as Uint8Array)]),
  );
  const measured = interleave(COUNT, calls, () => {
    wires = Array.from({ length: COUNT }, (_, i) => (senders[i % SENDERS] as Topic).encode(payload));
  });
  print(
    `Participants of a receiver, ${SENDERS} of whom send (so 32 at least): µs a message of 200 B`,
    ["participants", "decode", "of the first"],
    PARTICIPANTS.map((number) => [
      String(number),
      micros(measured.of(String(number))),
      times(measured.ratio(String(number), String(PARTICIPANTS[0]))),
    ]),
  );
}

/** Decodes from one sender whose messages come in turn from many live sessions. */
export async function benchSessions(): Promise<void> {
  const shared = { topicKey: generateTopicKey(), seed: generateSigningKeySeed() };
  const programs: Topic[] = [];
  for (let i = 0; i < 16; i++) programs.push(await Topic.create(shared));
  const payload = random(200);
  const receivers: Topic[] = [];
  for (const _ of SESSIONS) {
    const { publicKey } = programs[0] as Topic;
    receivers.push(await Topic.create({ topicKey: shared.topicKey, participants: [publicKey] }));
  }
  let wires: { wire: Uint8Array; context: string }[][] = [];
  const calls = Object.fromEntries(
    receivers.map((receiver, which) => [
      which,
      (i: number) => {
        const { wire, context } = (wires[which] as { wire: Uint8Array; context: string }[])[i] as (typeof wires)[0][0];
        return receiver.decode(wire, { context });
      },
    ]),
  );
  const measured = interleave(COUNT, calls, () => {
    wires = SESSIONS.map(([contexts, sessions]) =>
      Array.from({ length: COUNT }, (_, i) => {
        const context = `home/${i % contexts}`;
        const program = programs[Math.floor(i / contexts) % sessions] as Topic;
        return { wire: program.encode(payload, { context }), context };
      }),
    );
  });
  print(
    "Live sessions of one sender, its messages taken in turn: µs a message of 200 B",
    ["sessions", "decode", "of one"],
    SESSIONS.map(([contexts, sessions], which) => [
      String(contexts * sessions),
      micros(measured.of(String(which))),
      times(measured.ratio(String(which), "0")),
    ]),
  );
}

/** What is refused, against what is accepted. The broker and outsiders can send all but the last row at any rate. */
export async function benchFloods(): Promise<void> {
  const topicKey = generateTopicKey();
  const shared = { name: NAME };
  const alice = await Topic.create({ ...shared, topicKey });
  const bob = await Topic.create({ ...shared, topicKey, participants: [alice.publicKey] });
  const elsewhere = await Topic.create({ ...shared, topicKey: generateTopicKey() });
  const stranger = await Topic.create({ ...shared, topicKey });
  const payload = random(200);
  const repeated = alice.encode(payload);
  bob.decode(repeated);
  const real = alice.encode(payload);
  const junk = Array.from({ length: 64 }, () => {
    const wire = new Uint8Array(real);
    crypto.getRandomValues(wire.subarray(60));
    return wire;
  });
  const unknown = Array.from({ length: 64 }, () => elsewhere.encode(payload));
  const noise = Array.from({ length: 64 }, () => random(324));
  let valid: Uint8Array[] = [];
  let untrusted: Uint8Array[] = [];
  const refused = (wires: () => readonly Uint8Array[]) => (i: number) => {
    const from = wires();
    refuse(bob, from[i % from.length] as Uint8Array);
  };
  const measured = interleave(
    COUNT,
    {
      valid: (i) => bob.decode(valid[i] as Uint8Array),
      noise: refused(() => noise),
      unknown: refused(() => unknown),
      junk: refused(() => junk),
      repeated: refused(() => [repeated]),
      untrusted: refused(() => untrusted),
    },
    () => {
      valid = Array.from({ length: COUNT }, () => alice.encode(payload));
      untrusted = Array.from({ length: COUNT }, () => stranger.encode(payload));
    },
  );
  const row = (label: string, name: "noise" | "unknown" | "junk" | "repeated" | "untrusted"): string[] => [
    label,
    micros(measured.of(name)),
    times(measured.ratio("valid", name)),
  ];
  print(
    `Floods, µs; a valid message of 200 B takes ${micros(measured.of("valid"))}`,
    ["what comes", "refused in", "the rate"],
    [
      row("noise", "noise"),
      row("under an unknown key", "unknown"),
      row("forged under our key id", "junk"),
      row("a repeated message", "repeated"),
      row("of a holder of the key whom nobody trusts", "untrusted"),
    ],
  );
}
