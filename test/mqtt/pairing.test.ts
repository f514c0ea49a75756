/** examples/mqtt/participant.ts in a process of its own, and a test that plays the other side, the person, or an attacker. */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { fingerprint, generateTopicKey, Topic } from "../../src/index.js";
import { ensureBuilt } from "../support/build.js";
import { expectCode } from "../support/expect.js";
import { MaliciousBroker, type MqttMessage } from "./malicious-broker.js";
import { Program } from "./program.js";

const BASE = "pairing-test";
const DISCOVERY = `${BASE}/discovery`;
const MEMBERS = `${BASE}/members`;

let broker: MaliciousBroker;
const programs: Program[] = [];

beforeAll(ensureBuilt);
beforeEach(async () => {
  broker = await MaliciousBroker.start();
});
afterEach(async () => {
  for (const program of programs.splice(0)) program.kill("SIGKILL");
  await broker[Symbol.asyncDispose]();
});

async function start(name: string, ...args: string[]): Promise<{ program: Program; print: string }> {
  const all = ["--url", broker.url, "--topic", BASE, "--name", name, "--every", "0", ...args];
  const program = new Program("participant.ts", all);
  programs.push(program);
  const [, print = ""] = await program.shows(/^my fingerprint\s+(\S+)/);
  return { program, print };
}

function on(mqttTopic: string, payload: Uint8Array): MqttMessage {
  return { topic: mqttTopic, payload, retain: false };
}

function publishedOn(mqttTopic: string): MqttMessage[] {
  return broker.captured.filter((message) => message.topic === mqttTopic);
}

describe("a sponsor's process", () => {
  it("lets nobody in whose fingerprint is not the very one that the person read", async () => {
    const { program } = await start("kitchen", "--create", "--newcomers", "1");
    const [stranger, newcomer] = [await Topic.create(), await Topic.create()];
    const print = fingerprint(stranger.publicKey);
    program.type(`read ${print.slice(0, -1)}${print.endsWith("0") ? "1" : "0"}`);
    program.type(`read ${print.slice(0, 4)}`);
    program.type("read");
    await broker.deliver(on(DISCOVERY, stranger.constructIntro({ name: "garden", context: DISCOVERY })));
    await program.shows(new RegExp(`^asked by\\s+${print}`));
    // Whom the person did confirm comes in, and the window closes.
    program.type(`read ${fingerprint(newcomer.publicKey)}`);
    await broker.deliver(on(DISCOVERY, newcomer.constructIntro({ name: "garden", context: DISCOVERY })));
    await program.shows(new RegExp(`^refuses\\s+${print}.*nobody confirmed it`));
    const replies = await captured(DISCOVERY, 1);
    expect(replies).toHaveLength(1);
    const reply = replies[0]?.payload ?? new Uint8Array();
    expectCode("FOREIGN_REPLY", () => stranger.decode(reply, { context: DISCOVERY }));
  });

  it("lets nobody in once its window closed by itself", async () => {
    const { program } = await start("kitchen", "--create", "--pair-seconds", "1");
    await program.shows(/^pairing window\s+closed/);
    const newcomer = await Topic.create();
    const print = fingerprint(newcomer.publicKey);
    program.type(`read ${print}`);
    await broker.deliver(on(DISCOVERY, newcomer.constructIntro({ context: DISCOVERY })));
    await program.shows(new RegExp(`^refuses\\s+${print}.*no pairing window is open`));
    program.type("pair");
    await program.shows(/^pairing window\s+open/);
    expect(publishedOn(DISCOVERY)).toEqual([]);
  });

  it("answers again whom a person confirmed before, and gives nobody a name that is taken", async () => {
    const { program, print } = await start("kitchen", "--create", "--newcomers", "2");
    const [garden, namesake] = [await Topic.create(), await Topic.create()];
    for (const [newcomer, name] of [
      [garden, "garden"],
      [garden, "garden"],
      [namesake, "kitchen"],
    ] as const) {
      program.type(`read ${fingerprint(newcomer.publicKey)}`);
      const before = publishedOn(MEMBERS).length;
      await broker.deliver(on(DISCOVERY, newcomer.constructIntro({ name, context: DISCOVERY })));
      await captured(MEMBERS, before + 1);
    }
    const replies = publishedOn(DISCOVERY);
    expect(replies).toHaveLength(3);
    const reply = replies[1]?.payload ?? new Uint8Array();
    const sponsorKey = replySenderOf(garden, reply);
    expect(fingerprint(sponsorKey)).toBe(print);
    garden.parseReply(reply, { context: DISCOVERY });
    garden.addParticipant(sponsorKey);
    const list = publishedOn(MEMBERS).at(-1)?.payload ?? new Uint8Array();
    expect(garden.decode(list, { context: MEMBERS, delivery: "state" })?.json()).toEqual({
      members: [
        { name: "kitchen", key: base64(sponsorKey) },
        { name: "garden", key: base64(garden.publicKey) },
        { name: fingerprint(namesake.publicKey), key: base64(namesake.publicKey) },
      ],
    });
  });

  it("shows a person no more than eight devices in one window", async () => {
    const { program } = await start("kitchen", "--create", "--pair-seconds", "3600");
    for (let i = 0; i < 9; i++) {
      const stranger = await Topic.create();
      await broker.deliver(on(DISCOVERY, stranger.constructIntro({ name: "garden", context: DISCOVERY })));
    }
    await program.shows(/^refuses .*too many asked/);
    expect(program.lines.filter((line) => line.startsWith("asked by"))).toHaveLength(8);
  });

  it("lets no more in than it was told, though a person confirms them", async () => {
    const { program } = await start("kitchen", "--create", "--newcomers", "1");
    for (const outcome of ["lets in", "refuses"]) {
      const newcomer = await Topic.create();
      const print = fingerprint(newcomer.publicKey);
      program.type(`read ${print}`);
      await broker.deliver(on(DISCOVERY, newcomer.constructIntro({ context: DISCOVERY })));
      await program.shows(new RegExp(`^${outcome}\\s+${print}`));
    }
  });
});

describe("a newcomer's process", () => {
  it("takes no topic key from somebody whose fingerprint the person did not read", async () => {
    const { program } = await start("garden");
    const [introduction] = await captured(DISCOVERY, 1);
    const [mallory, alice] = [await makeSponsor(), await makeSponsor()];
    for (const sponsor of [mallory, alice]) {
      await broker.deliver(on(DISCOVERY, answer(sponsor, introduction?.payload)));
      await program.shows(new RegExp(`^answered by\\s+${fingerprint(sponsor.publicKey)}`));
    }
    program.type(`read ${fingerprint(alice.publicKey)}`);
    await program.shows(new RegExp(`^has joined\\s+${fingerprint(alice.publicKey)}`));
    program.type("measure");
    const [reading] = await captured(`${BASE}/readings`, 1);
    const [context, wire] = [`${BASE}/readings`, reading?.payload ?? new Uint8Array()];
    expect(alice.decode(wire, { context })?.json()).toHaveProperty("celsius");
    expectCode("UNKNOWN_TOPIC_KEY", () => mallory.decode(wire, { context }));
  });

  it("trusts whom its sponsor names, and nobody whom another participant names", async () => {
    const { program } = await start("garden");
    const [introduction] = await captured(DISCOVERY, 1);
    const alice = await makeSponsor();
    program.type(`read ${fingerprint(alice.publicKey)}`);
    await broker.deliver(on(DISCOVERY, answer(alice, introduction?.payload)));
    await program.shows(/^has joined/);

    const { topicKey } = alice;
    const bob = await Topic.create(topicKey ? { topicKey } : {});
    const [mallory, carol] = [await Topic.create(), await Topic.create()];
    await broker.deliver(on(MEMBERS, listOf(alice, { bob })));
    await program.shows(new RegExp(`^trusts\\s+${fingerprint(bob.publicKey)}\\s+"bob"`));
    await broker.deliver(on(MEMBERS, listOf(bob, { mallory })), on(MEMBERS, listOf(alice, { carol })));
    await program.shows(new RegExp(`^trusts\\s+${fingerprint(carol.publicKey)}`));
    expect(program.lines.join("\n")).not.toContain(fingerprint(mallory.publicKey));
  });

  it("ends by itself when its standard input is closed", async () => {
    const { program } = await start("garden");
    program.closeInput();
    expect(await program.ended).toEqual({ code: 0, signal: null });
    expect(program.errors).toBe("");
  });
});

describe("two processes", () => {
  it("read on after the broker broke their connections, once each, and take no message twice", async () => {
    broker.meddle = (message) => [message, message];
    const { kitchen, garden } = await pairTwo();
    kitchen.program.type("measure");
    await garden.program.shows(/^reads\s+kitchen/);

    broker.dropConnections();
    await Promise.all([kitchen, garden].map(({ program }) => program.shows(/^connection\s+back/)));
    const before = garden.program.lines.length;
    kitchen.program.type("measure");
    garden.program.type("measure");
    const [, celsius] = await kitchen.program.shows(/^reads\s+garden → ([\d.]+)/);
    expect(Number(celsius)).toBeGreaterThan(0);
    await expect.poll(() => garden.program.lines.slice(before).join("\n"), { timeout: 60_000 }).toMatch(/^reads/m);
    const readings = garden.program.lines.filter((line) => line.startsWith("reads"));
    expect(readings).toHaveLength(2);
    expect(readings.every((line) => /^reads\s+kitchen → [\d.]+ °C$/.test(line))).toBe(true);
  });

  it("say how many readings the broker withheld", async () => {
    const { kitchen, garden } = await pairTwo();
    kitchen.program.type("measure");
    await garden.program.shows(/^reads\s+kitchen/);
    broker.meddle = () => [];
    const already = publishedOn(`${BASE}/readings`).length;
    for (let i = 0; i < 3; i++) kitchen.program.type("measure");
    await captured(`${BASE}/readings`, already + 3);
    broker.meddle = (message) => [message];
    kitchen.program.type("measure");
    await garden.program.shows(/^reads\s+kitchen → .*3 before it did not come/);
  });

  async function pairTwo() {
    const kitchen = await start("kitchen", "--create");
    const garden = await start("garden");
    kitchen.program.type(`read ${garden.print}`);
    garden.program.type(`read ${kitchen.print}`);
    await garden.program.shows(/^trusts .*"kitchen"/);
    return { kitchen, garden };
  }
});

function makeSponsor(): Promise<Topic> {
  return Topic.create({ topicKey: generateTopicKey() });
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

function replySenderOf(newcomer: Topic, wire: Uint8Array): Uint8Array {
  const { reply } = expectCode("INTRODUCTION_REPLY", () => newcomer.decode(wire, { context: DISCOVERY }));
  return reply.senderKey;
}

/** A list of members as `author` signs it. */
function listOf(author: Topic, named: Record<string, Topic>): Uint8Array {
  const members = Object.entries(named).map(([name, topic]) => ({
    name,
    key: base64(topic.publicKey),
  }));
  return author.encode(JSON.stringify({ members }), { context: MEMBERS, delivery: "state" });
}

/** What a sponsor says to an introduction that it lets in. The newcomer's messages are trusted from then on. */
function answer(sponsor: Topic, introduction: Uint8Array | undefined): Uint8Array {
  if (introduction === undefined) throw new Error("no introduction came");
  const verified = expectCode("INTRODUCTION", () => sponsor.decode(introduction, { context: DISCOVERY }));
  sponsor.addParticipant(verified.introduction.senderKey);
  return sponsor.constructReply(verified.introduction);
}

/** Waits until the broker has so many messages of one MQTT topic. */
async function captured(mqttTopic: string, count: number): Promise<MqttMessage[]> {
  await expect.poll(() => publishedOn(mqttTopic).length, { timeout: 60_000 }).toBeGreaterThanOrEqual(count);
  return publishedOn(mqttTopic);
}
