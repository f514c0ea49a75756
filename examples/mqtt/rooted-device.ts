/**
 * A device of a rooted topic: the roster says who takes part, and one message removes a device that was stolen. What changes it
 * travels as control messages, each retained under a name of its own, so that whoever was away finds them.
 */
import type { MqttClient } from "mqtt";
import {
  type ControlMessage,
  fingerprint,
  generateSigningKeySeed,
  type Introduction,
  isStringphoneError,
  type Participant,
  type Received,
  type Reply,
  Topic,
  type TopicEvent,
} from "stringphone";
import { closeChannel, openChannel, publish } from "./connection.js";
import type { DeviceOptions } from "./device.js";
import { Answers, Joining, PairingWindow } from "./pairing.js";
import type { Person } from "./person.js";
import { type Handlers, receiver } from "./receive.js";
import { reason, say } from "./screen.js";
import { celsiusOf, Sensor } from "./sensor.js";

/** A root is called nothing by anybody: nobody admitted it. */
const ROOT = "owner";

export class RootedDevice implements Handlers {
  readonly #options: DeviceOptions;
  readonly #person: Person;
  readonly #topic: Topic;
  readonly #sensor: Sensor;
  readonly #discovery: string;
  readonly #readings: string;
  /** Where control messages are retained. */
  readonly #control: string;
  readonly #retained = new Set<string>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #client: MqttClient | undefined;
  #pairing: PairingWindow | undefined;
  #joining: Joining | undefined;
  /** What a person is asked about when this device was in already. */
  #answers: Answers | undefined;
  /** What a thief copied from the device, and lets hear nothing. */
  #stolen: Topic | undefined;
  #isShutOut = false;

  private constructor(options: DeviceOptions, person: Person, topic: Topic) {
    const { base, name } = options;
    this.#options = options;
    this.#person = person;
    this.#topic = topic;
    this.#sensor = new Sensor(name);
    this.#discovery = `${base}/discovery`;
    this.#readings = `${base}/readings`;
    this.#control = `${base}/control`;
  }

  static async create(options: DeviceOptions, person: Person): Promise<RootedDevice> {
    let device: RootedDevice | undefined;
    // A real device loads what `topic.save()` gave. Here each start is a new identity, and with --create a new topic.
    const common = {
      seed: generateSigningKeySeed(),
      name: options.base,
      listener: (event: TopicEvent) => device?.heard(event),
    };
    const topic = options.window
      ? await Topic.establish({ ...common, answerReturning: true })
      : await Topic.create(common);
    device = new RootedDevice(options, person, topic);
    return device;
  }

  /** Connects, and then lets others in or asks to be let in. */
  async start(): Promise<void> {
    const receive = receiver(this.#topic, this);
    const filters = [this.#discovery, this.#readings, `${this.#control}/+`];
    this.#client = await openChannel(this.#options.url, filters, (mqttTopic, payload, packet) =>
      receive(mqttTopic, payload, packet.retain),
    );
    say("my fingerprint", fingerprint(this.#topic.publicKey), `process ${process.pid}`);
    if (this.#options.window) this.openWindow();
    else this.#joining = new Joining(this.#topic, this.#person, this.#introduce, this.#joined);
  }

  /** Opens a pairing window, if this device established the topic. */
  openWindow(): void {
    if (this.#options.window === undefined) return;
    this.#pairing?.close();
    this.#pairing = new PairingWindow(this.#topic, this.#person, this.#options.window, this.#letIn);
  }

  /** Publishes the next reading, once there is a topic key. */
  measure(): void {
    if (this.#topic.topicId === undefined) return;
    const reading = this.#sensor.measure();
    try {
      const wire = this.#topic.encode(reading, { context: this.#readings });
      say("sends", reading);
      this.#publish(this.#readings, wire);
    } catch (error) {
      if (!isStringphoneError(error)) throw error;
      say("cannot send", error.code, error.message);
      if (this.#stolen === undefined) return;
      // It never heard of its removal, has the key of before, and nothing to stop it.
      const wire = this.#stolen.encode(reading, { context: this.#readings });
      say("sends anyway", reading, "under the key that it had, and its own name");
      this.#publish(this.#readings, wire);
    }
  }

  /** Removes whoever has this fingerprint: one message says so, and gives all others a new key. */
  revoke(print: string): void {
    const member = this.#topic.members.find(({ participant }) => participant.fingerprint === print);
    try {
      if (member === undefined) throw new RangeError("nobody on the roster has this fingerprint");
      const message = this.#topic.revoke(member.participant.publicKey);
      say("removes", print, `one message of ${message.wire.length} bytes, retained`);
      this.#publishControl(message);
    } catch (error) {
      say("does not remove", print, reason(error));
    }
  }

  /** A thief copies all that this device knows. */
  async steal(): Promise<void> {
    const state = this.#topic.save();
    this.#stolen = await Topic.load(state);
    say("was stolen", `${state.length} bytes of state`, "with its seed, its keys and its roster");
    state.fill(0);
  }

  /** Leaves, and wipes the secrets. */
  async end(): Promise<void> {
    this.#pairing?.close();
    this.#joining?.end();
    this.#answers?.end();
    for (const timer of this.#timers) clearTimeout(timer);
    // The topic ends with who established it. A real one stays, and so do its retained messages.
    if (this.#pairing) for (const name of this.#retained) this.#clear(name);
    if (this.#client) await closeChannel(this.#client);
    this.#stolen?.dispose();
    this.#topic.dispose();
  }

  /** What the topic tells without being asked: most of it is for a program to do, the rest for people. */
  heard(event: TopicEvent): void {
    switch (event.type) {
      case "admitted":
        say("on the roster", event.participant.fingerprint, `${JSON.stringify(event.name)}, ${event.role}`);
        break;
      case "revoked":
        say("off the roster", event.participant.fingerprint, `removed by ${this.#nameOf(event.by)}`);
        break;
      case "removed":
        say("is removed", `by ${this.#nameOf(event.by)}`, "it may send nothing, and gets no new key");
        break;
      case "rekeyed":
        // Who retains states, or has left a will, seals them again here.
        if (event.removed.length === 0 || event.removed.some((one) => this.#isUs(one))) break;
        say("has a new key", `epoch ${event.epoch}`, "without whoever was removed");
        break;
      case "ratcheted":
        say("has a new key", `generation ${event.generation}`);
        break;
      case "readable":
        for (const { context, message } of this.#topic.decodeKept()) this.message(context, message);
        break;
      case "publish":
        for (const message of event.messages) this.#publishControl(message);
        break;
      case "rekey-wanted":
        this.#later(event.delay, () => {
          // Somebody else may have done it meanwhile.
          if (this.#topic.rekeyWanted !== undefined) this.#publishControl(this.#topic.rekey());
        });
        break;
      case "introduction-wanted":
        this.#later(event.delay, this.#introduce);
        break;
      case "answered":
        this.#publish(event.context, event.wire);
        break;
      case "expired":
        for (const name of event.names) this.#clear(name);
        break;
      case "seed-stolen":
        say("warns", "our seed was stolen", "remove this device, and pair another");
        break;
      case "bad-rekey":
        say("warns", event.issuer.fingerprint, "made a key that does not fit");
        break;
    }
  }

  introduction(introduction: Introduction): void {
    void this.#pairing?.consider(introduction);
  }

  reply(reply: Reply): void {
    if (this.#topic.topicId === undefined) {
      void this.#joining?.consider(reply);
      return;
    }
    // We are in, missed something, and asked for it. Whom the roster has needs no person if it knows what we proved, too: a seed alone
    // can be stolen. Everybody else is asked about as by a newcomer.
    if (reply.standing !== "member" || !reply.isReturning) {
      this.#answers ??= new Answers(this.#topic, this.#person, this.#answered);
      void this.#answers.consider(reply);
      return;
    }
    try {
      this.#topic.parseReply(reply);
      this.#answered();
    } catch (error) {
      if (!isStringphoneError(error)) throw error;
      say("no key", reply.fingerprint, reason(error));
    }
  }

  message(mqttTopic: string, received: Received): void {
    const { sender, delivery, missed } = received;
    if (mqttTopic !== this.#readings || delivery !== "event") return;
    const celsius = celsiusOf(received.json());
    const name = this.#nameOf(sender);
    if (celsius === undefined) say("ignores", name, "no reading");
    else say("reads", `${name} → ${celsius.toFixed(1)} °C`, missed ? `${missed} before it did not come` : "");
  }

  unreadable(mqttTopic: string, payload: Uint8Array): void {
    if (this.#isShutOut || mqttTopic !== this.#readings || this.#topic.topicId === undefined) return;
    this.#isShutOut = true;
    say("cannot read", `${payload.length} bytes, nor what follows`, "sealed under a key that we were not given");
  }

  readonly #introduce = (): void => {
    const { name } = this.#options;
    const introduction = this.#topic.constructIntro({ name, context: this.#discovery });
    say("introduces", `itself as ${JSON.stringify(name)}`, "and asks for the topic key");
    this.#publish(this.#discovery, introduction);
  };

  /** First what everybody has to know, then what the newcomer waits for. */
  readonly #letIn = (_introduction: Introduction, reply: Uint8Array, admission: ControlMessage | undefined): void => {
    if (admission !== undefined) this.#publishControl(admission);
    this.#publish(this.#discovery, reply);
  };

  readonly #joined = (): void => {
    // What was retained could not be read before: subscribing again makes the broker repeat it.
    this.#client?.subscribe(`${this.#control}/+`, { qos: 1 });
  };

  /** No other reply is wanted. */
  readonly #answered = (): void => {
    this.#answers?.end();
    this.#answers = undefined;
  };

  #isUs(participant: Participant): boolean {
    return participant.fingerprint === fingerprint(this.#topic.publicKey);
  }

  #nameOf(participant: Participant | undefined): string {
    if (participant === undefined) return "nobody";
    const member = this.#topic.members.find((one) => one.participant.equals(participant));
    if (member === undefined) return participant.fingerprint;
    return member.rank === 0 ? ROOT : member.name;
  }

  #later(delay: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, delay);
    this.#timers.add(timer);
  }

  #publishControl({ name, wire }: ControlMessage): void {
    this.#retained.add(name);
    this.#publish(`${this.#control}/${name}`, wire, true);
  }

  #clear(name: string): void {
    this.#retained.delete(name);
    this.#publish(`${this.#control}/${name}`, new Uint8Array(0), true);
  }

  #publish(mqttTopic: string, bytes: Uint8Array, retain = false): void {
    if (this.#client) publish(this.#client, mqttTopic, bytes, retain);
  }
}
