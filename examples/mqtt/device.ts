/** A device that measures: it joins a topic, publishes its readings, and prints those of the others. */
import type { MqttClient } from "mqtt";
import {
  fingerprint,
  generateTopicKey,
  type Introduction,
  type Participant,
  type Received,
  type Reply,
  Topic,
} from "stringphone";
import { closeChannel, openChannel, publish } from "./connection.js";
import { Members } from "./members.js";
import { Joining, PairingWindow } from "./pairing.js";
import type { Person } from "./person.js";
import { type Handlers, receiver } from "./receive.js";
import { say } from "./screen.js";
import { celsiusOf, Sensor } from "./sensor.js";

export interface DeviceOptions {
  readonly url: string;
  /** The start of all MQTT topics. */
  readonly base: string;
  readonly name: string;
  /** Makes the topic key and lets others in; `undefined` for a newcomer. */
  readonly window: { readonly seconds: number; readonly newcomers: number } | undefined;
}

export class Device implements Handlers {
  readonly #options: DeviceOptions;
  readonly #person: Person;
  readonly #topic: Topic;
  readonly #members: Members;
  readonly #sensor: Sensor;
  readonly #mqttTopics: { readonly discovery: string; readonly members: string; readonly readings: string };
  #client: MqttClient | undefined;
  #pairing: PairingWindow | undefined;
  #joining: Joining | undefined;
  #sponsor: Participant | undefined;
  #isShutOut = false;

  private constructor(options: DeviceOptions, person: Person, topic: Topic) {
    const { base, name } = options;
    this.#options = options;
    this.#person = person;
    this.#topic = topic;
    this.#members = new Members(topic, name);
    this.#sensor = new Sensor(name);
    this.#mqttTopics = { discovery: `${base}/discovery`, members: `${base}/members`, readings: `${base}/readings` };
  }

  static async create(options: DeviceOptions, person: Person): Promise<Device> {
    // A real device stores its seed, as the secret it is. Here each start is a new identity, which must be paired again.
    const topic = await Topic.create(options.window ? { topicKey: generateTopicKey() } : {});
    return new Device(options, person, topic);
  }

  /** Connects, and then lets others in or asks to be let in. */
  async start(): Promise<void> {
    const receive = receiver(this.#topic, this);
    this.#client = await openChannel(this.#options.url, Object.values(this.#mqttTopics), (mqttTopic, payload, packet) =>
      receive(mqttTopic, payload, packet.retain),
    );
    say("my fingerprint", fingerprint(this.#topic.publicKey), `process ${process.pid}`);
    if (this.#options.window) this.openWindow();
    else this.#joining = new Joining(this.#topic, this.#person, this.#introduce, this.#joined);
  }

  /** Opens a pairing window, if this device made the topic key. */
  openWindow(): void {
    if (this.#options.window === undefined) return;
    this.#pairing?.close();
    this.#pairing = new PairingWindow(this.#topic, this.#person, this.#options.window, this.#letIn);
  }

  /** Publishes the next reading, once there is a topic key. */
  measure(): void {
    if (this.#topic.topicKey === undefined) return;
    const { readings } = this.#mqttTopics;
    const reading = this.#sensor.measure();
    say("sends", reading);
    this.#publish(readings, this.#topic.encode(reading, { context: readings }));
  }

  /** Leaves, and wipes the secrets. */
  async end(): Promise<void> {
    this.#pairing?.close();
    this.#joining?.end();
    // An empty retained message clears the list from the broker.
    if (this.#pairing) this.#publish(this.#mqttTopics.members, new Uint8Array(0), true);
    if (this.#client) await closeChannel(this.#client);
    this.#topic.dispose();
  }

  introduction(introduction: Introduction): void {
    void this.#pairing?.consider(introduction);
  }

  reply(reply: Reply): void {
    void this.#joining?.consider(reply);
  }

  message(mqttTopic: string, received: Received): void {
    const { sender, delivery, missed } = received;
    // What a payload holds is `unknown`, also when a friend signed it.
    const content = received.json();
    if (mqttTopic === this.#mqttTopics.members && delivery === "state") {
      if (this.#sponsor?.equals(sender)) this.#members.take(content);
      return;
    }
    if (mqttTopic !== this.#mqttTopics.readings || delivery !== "event") return;
    const celsius = celsiusOf(content);
    const name = this.#members.nameOf(sender);
    if (celsius === undefined) say("ignores", name, "no reading");
    else say("reads", `${name} → ${celsius.toFixed(1)} °C`, missed ? `${missed} before it did not come` : "");
  }

  unreadable(mqttTopic: string, payload: Uint8Array): void {
    if (this.#isShutOut || mqttTopic !== this.#mqttTopics.readings) return;
    this.#isShutOut = true;
    const why =
      this.#topic.topicKey === undefined ? "no topic key: nobody let us in" : "sealed under another topic key";
    say("cannot read", `${payload.length} bytes, nor what follows`, why);
  }

  readonly #introduce = (): void => {
    const { discovery } = this.#mqttTopics;
    const { name } = this.#options;
    const introduction = this.#topic.constructIntro({ name, context: discovery });
    say("introduces", `itself as ${JSON.stringify(name)}`, "and asks for the topic key");
    this.#publish(discovery, introduction);
  };

  readonly #letIn = (introduction: Introduction, reply: Uint8Array): void => {
    const { discovery, members } = this.#mqttTopics;
    this.#publish(discovery, reply);
    // Retained, so that it waits for newcomers whose person still compares; a state, so that it may be read twice.
    const list = this.#topic.encode(this.#members.with(introduction), { context: members, delivery: "state" });
    say("publishes", "its signed list of members", "whoever trusts it trusts them too");
    this.#publish(members, list, true);
  };

  readonly #joined = (sponsor: Participant | undefined): void => {
    this.#sponsor = sponsor;
    // Subscribing again makes the broker repeat the retained list, which could not be read before.
    this.#client?.subscribe(this.#mqttTopics.members, { qos: 1 });
  };

  #publish(mqttTopic: string, bytes: Uint8Array, retain = false): void {
    if (this.#client) publish(this.#client, mqttTopic, bytes, retain);
  }
}
