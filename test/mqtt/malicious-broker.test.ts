/** Two MQTT clients with a broker between them that repeats, moves, damages, keeps and withholds what it carries. */
import { connect, type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fingerprint, generateTopicKey, StringphoneError, Topic, type WillMessages } from "../../src/index.js";
import { flipBit, TestClock } from "../support/topics.js";
import { MaliciousBroker, type MqttMessage } from "./malicious-broker.js";

const LAMP = "home/lamp";
const DOOR = "home/door";
const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** What came out of `decode`, or which error. */
type Outcome =
  | { readonly text: string; readonly missed: number | undefined }
  | { readonly code: string; readonly error: StringphoneError }
  | null;

/** A client that gives each message to `decode`, and keeps what comes of it until somebody asks. */
class Receiver {
  readonly #outcomes: Outcome[] = [];
  readonly #waiting: ((outcome: Outcome) => void)[] = [];
  readonly #client: MqttClient;
  topic: Topic;

  private constructor(client: MqttClient, topic: Topic) {
    this.#client = client;
    this.topic = topic;
    client.on("message", (mqttTopic, payload, packet) => {
      const outcome = this.#decode(mqttTopic, payload, packet.retain);
      const waiting = this.#waiting.shift();
      if (waiting) waiting(outcome);
      else this.#outcomes.push(outcome);
    });
  }

  static async connect(topic: Topic, ...filters: string[]): Promise<Receiver> {
    const receiver = new Receiver(await connectTo(broker.url), topic);
    if (filters.length > 0) await receiver.subscribe(...filters);
    return receiver;
  }

  async subscribe(...filters: string[]): Promise<void> {
    await this.#client.subscribeAsync(filters, { qos: 1 });
  }

  /** What came of the next message. */
  next(): Promise<Outcome> {
    const first = this.#outcomes.shift();
    if (first !== undefined) return Promise.resolve(first);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #decode(mqttTopic: string, payload: Uint8Array, retained: boolean): Outcome {
    try {
      const received = this.topic.decode(payload, { context: mqttTopic, retained });
      return received && { text: received.text(), missed: received.missed };
    } catch (error) {
      if (!(error instanceof StringphoneError)) throw error;
      return { code: error.code, error };
    }
  }
}

const clients: MqttClient[] = [];
let broker: MaliciousBroker;
let clock: TestClock;
let alice: Topic;
let aliceClient: MqttClient;
let bob: Receiver;

/** An own listener, because `connectAsync` may never settle. */
function connectTo(url: string): Promise<MqttClient> {
  const client = connect(url, { clean: true, reconnectPeriod: 0 });
  clients.push(client);
  return new Promise((resolve, reject) => {
    client.once("connect", () => resolve(client));
    client.once("error", reject);
    client.once("close", () => reject(new Error("the connection was closed")));
  });
}

async function send(text: string, delivery: "event" | "state" | "command" = "event", retain = false): Promise<void> {
  const wire = alice.encode(text, { context: LAMP, delivery });
  await aliceClient.publishAsync(LAMP, Buffer.from(wire), { qos: 1, retain });
}

/** The n-th message that the broker was given. */
function copy(index: number): MqttMessage {
  return broker.captured[index] ?? expect.fail("the broker was not given so much");
}

beforeEach(async () => {
  broker = await MaliciousBroker.start();
  clock = new TestClock();
  const shared = { topicKey: generateTopicKey(), clock: clock.read };
  alice = await Topic.create(shared);
  aliceClient = await connectTo(broker.url);
  bob = await Receiver.connect(await Topic.create({ ...shared, participants: [alice.publicKey] }), LAMP, DOOR);
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  await broker[Symbol.asyncDispose]();
});

describe("a broker that repeats", () => {
  it("gives a message twice: the second is a replay", async () => {
    broker.meddle = (message) => [message, message];
    await send("on");
    expect(await bob.next()).toEqual({ text: "on", missed: undefined });
    expect(await bob.next()).toMatchObject({ code: "REPLAY", error: { reason: "seen" } });
  });

  it("gives messages again days later, and others in between: only the new ones are taken", async () => {
    for (const text of ["one", "two", "three"]) await send(text);
    for (const text of ["one", "two", "three"]) expect(await bob.next()).toMatchObject({ text });
    clock.now += 3 * 24 * 60 * MINUTE;
    await broker.deliver(copy(1), copy(0));
    await send("four");
    await broker.deliver(copy(2));
    expect(await bob.next()).toMatchObject({ code: "REPLAY" });
    expect(await bob.next()).toMatchObject({ code: "REPLAY" });
    expect(await bob.next()).toEqual({ text: "four", missed: 0 });
    expect(await bob.next()).toMatchObject({ code: "REPLAY" });
  });

  it("gives a command again minutes later: to Bob it is a replay, and to a Bob who restarted it is stale", async () => {
    await send("open", "command");
    expect(await bob.next()).toMatchObject({ text: "open" });
    clock.now += 5 * MINUTE;
    await broker.deliver(copy(0));
    expect(await bob.next()).toMatchObject({ code: "REPLAY" });
    const { topicKey } = alice;
    bob.topic = await Topic.create({
      ...(topicKey && { topicKey }),
      clock: clock.read,
      participants: [alice.publicKey],
    });
    await broker.deliver(copy(0));
    expect(await bob.next()).toMatchObject({ code: "STALE_MESSAGE", error: { age: 5 * MINUTE } });
  });

  it("gives an older state after a newer one: only the newest may come again", async () => {
    await send("warm", "state");
    clock.now += MINUTE;
    await send("cold", "state");
    expect(await bob.next()).toMatchObject({ text: "warm" });
    expect(await bob.next()).toMatchObject({ text: "cold" });
    await broker.deliver(copy(0), copy(1));
    expect(await bob.next()).toMatchObject({ code: "STALE_MESSAGE", error: { age: MINUTE } });
    expect(await bob.next()).toMatchObject({ text: "cold" });
  });

  it("announces a death of last year: a will counts only while its sender's newest alive names it", async () => {
    const publish = (wire: Uint8Array) => aliceClient.publishAsync(LAMP, Buffer.from(wire), { qos: 1 });
    const connection = (): WillMessages => alice.encodeWill("offline", { context: LAMP });
    const [first, second] = [connection(), connection()];
    await publish(first.alive);
    expect(await bob.next()).toBeNull();
    await publish(second.alive);
    expect(await bob.next()).toBeNull();
    await publish(first.will);
    expect(await bob.next()).toMatchObject({ code: "WILL_NOT_CURRENT", error: { reason: "withdrawn" } });
    await publish(second.will);
    expect(await bob.next()).toMatchObject({ text: "offline" });
    await publish(second.will);
    expect(await bob.next()).toMatchObject({ code: "REPLAY" });
  });
});

describe("a broker that moves and damages", () => {
  it("gives a message on another MQTT topic: it does not open there, and still does where it belongs", async () => {
    broker.meddle = (message) => [{ ...message, topic: DOOR }, message];
    await send("open", "command");
    expect(await bob.next()).toMatchObject({ code: "DECRYPTION_FAILED" });
    expect(await bob.next()).toMatchObject({ text: "open" });
  });

  it("flips any bit of a message: none is taken, and the message itself still is", async () => {
    broker.meddle = () => [];
    await send("on");
    const message = copy(0);
    const codes = new Set<string>();
    for (let bit = 0; bit < message.payload.length * 8; bit++) {
      await broker.deliver({ ...message, payload: flipBit(message.payload, bit) });
      const outcome = await bob.next();
      if (outcome === null || !("code" in outcome)) expect.fail(`bit ${bit} was flipped, and the message was taken`);
      codes.add(outcome.code);
    }
    expect([...codes].sort()).toEqual([
      "DECRYPTION_FAILED",
      "MALFORMED_MESSAGE",
      "UNKNOWN_TOPIC_KEY",
      "UNSUPPORTED_VERSION",
    ]);
    await broker.deliver(message);
    expect(await bob.next()).toEqual({ text: "on", missed: undefined });
  });

  it("cuts messages short, and sends what it made itself", async () => {
    broker.meddle = (message) => [
      { ...message, payload: message.payload.slice(0, -1) },
      { ...message, payload: message.payload.slice(0, 1) },
      { ...message, payload: new Uint8Array(0) },
      { ...message, payload: new TextEncoder().encode("on") },
    ];
    await send("off");
    for (let i = 0; i < 4; i++) {
      expect(await bob.next()).toMatchObject({
        code: expect.stringMatching(/^(MALFORMED_MESSAGE|DECRYPTION_FAILED)$/),
      });
    }
  });

  it("says that a command was retained: it is not acted on", async () => {
    broker.meddle = (message) => [{ ...message, topic: "home/gate", retain: true }];
    const wire = alice.encode("open", { context: "home/gate", delivery: "command" });
    await aliceClient.publishAsync("home/gate", Buffer.from(wire), { qos: 1 });
    await bob.subscribe("home/gate");
    expect(await bob.next()).toMatchObject({ code: "RETAINED_COMMAND" });
  });
});

describe("a broker that withholds", () => {
  it("drops messages: the next one says how many", async () => {
    await send("one");
    expect(await bob.next()).toEqual({ text: "one", missed: undefined });
    broker.meddle = () => [];
    for (const text of ["two", "three", "four"]) await send(text);
    broker.meddle = (message) => [message];
    await send("five");
    expect(await bob.next()).toEqual({ text: "five", missed: 3 });
    await send("six");
    expect(await bob.next()).toEqual({ text: "six", missed: 0 });
  });

  it("gives events out of order: all are taken once", async () => {
    broker.meddle = () => [];
    for (const text of ["one", "two", "three"]) await send(text);
    await broker.deliver(copy(0), copy(2), copy(1), copy(1));
    expect(await bob.next()).toEqual({ text: "one", missed: undefined });
    expect(await bob.next()).toEqual({ text: "three", missed: 1 });
    expect(await bob.next()).toEqual({ text: "two", missed: 0 });
    expect(await bob.next()).toMatchObject({ code: "REPLAY" });
  });

  it("keeps a command until the owner is away: it is too old", async () => {
    broker.meddle = () => [];
    await send("open", "command");
    clock.now += 31 * SECOND;
    await broker.deliver(copy(0));
    expect(await bob.next()).toMatchObject({ code: "STALE_MESSAGE", error: { age: 31 * SECOND } });
  });
});

describe("a broker in the middle of a pairing", () => {
  const DISCOVERY = "home/discovery";
  let carol: Receiver;
  let sponsor: Receiver;
  let mallory: Topic;

  async function introduce(): Promise<void> {
    const wire = carol.topic.constructIntro({ name: "carol", context: DISCOVERY });
    await aliceClient.publishAsync(DISCOVERY, Buffer.from(wire), { qos: 1 });
  }

  beforeEach(async () => {
    carol = await Receiver.connect(await Topic.create({ clock: clock.read }), DISCOVERY);
    sponsor = await Receiver.connect(alice, DISCOVERY);
    mallory = await Topic.create({ topicKey: generateTopicKey(), clock: clock.read });
  });

  it("introduces itself in the newcomer's place: the fingerprint is not that on the newcomer's screen", async () => {
    broker.meddle = (message) => [
      { ...message, payload: mallory.constructIntro({ name: "carol", context: DISCOVERY }) },
    ];
    await introduce();
    expect(await sponsor.next()).toMatchObject({
      code: "INTRODUCTION",
      error: { introduction: { name: "carol", fingerprint: fingerprint(mallory.publicKey) } },
    });
    expect(fingerprint(mallory.publicKey)).not.toBe(fingerprint(carol.topic.publicKey));
  });

  it("answers in the sponsor's place: the fingerprint is not that on the sponsor's screen", async () => {
    mallory.addParticipant(carol.topic.publicKey);
    broker.meddle = (message) => [
      { ...message, payload: mallory.constructReply(message.payload, { context: DISCOVERY }) },
    ];
    await introduce();
    expect(await carol.next()).toMatchObject({
      code: "INTRODUCTION_REPLY",
      error: { reply: { fingerprint: fingerprint(mallory.publicKey), standing: "unknown" } },
    });
    // Nothing was adopted by looking at it.
    expect(carol.topic.topicKey).toBeUndefined();
  });

  it("moves, damages and repeats an introduction: it is raised once, where it belongs", async () => {
    await sponsor.subscribe(DOOR);
    broker.meddle = (message) => [
      { ...message, topic: DOOR },
      { ...message, payload: flipBit(message.payload, message.payload.length * 8 - 1) },
      message,
      message,
    ];
    await introduce();
    const codes = ["BAD_SIGNATURE", "BAD_SIGNATURE", "INTRODUCTION", "REPLAY"];
    for (const code of codes) expect(await sponsor.next()).toMatchObject({ code });
  });

  it("damages and repeats a reply: it is raised once", async () => {
    await introduce();
    expect(await carol.next()).toBeNull();
    alice.addParticipant(carol.topic.publicKey);
    const wire = alice.constructReply(copy(0).payload, { context: DISCOVERY });
    const reply = { topic: DISCOVERY, payload: wire, retain: false };
    await broker.deliver({ ...reply, payload: flipBit(wire, wire.length * 8 - 1) }, reply, reply);
    const codes = ["DECRYPTION_FAILED", "INTRODUCTION_REPLY", "REPLAY"];
    for (const code of codes) expect(await carol.next()).toMatchObject({ code });
  });
});
