/** `npm run demo:bridge`: a thermometer that speaks 0.1 and an app that speaks version 1 meet over a bridge. */
import { connect } from "mqtt";
import { generateTopicKey, isStringphoneError, Topic } from "stringphone";
import { LegacyTopic, LegacyTopicKey } from "stringphone/compat";
import { startBroker } from "../mqtt/broker.js";
import { closeChannel } from "../mqtt/connection.js";
import { glimpse, line } from "../mqtt/screen.js";
import { openBridge } from "./bridge.js";

const LEGACY = "house/legacy";
const MODERN = "house/readings";
const PATIENCE = 20_000;

function show(who: string, verb: string, what: string, note = ""): void {
  console.log(`${who.padEnd(14)}${line(verb, what, note)}`);
}

const broker = await startBroker((mqttTopic, payload) =>
  show("broker", "saw", glimpse(payload), `${payload.length} bytes on ${mqttTopic}`),
);
const tooLate = setTimeout(() => {
  console.error("the demo did not end by itself");
  process.exit(1);
}, PATIENCE);

// The device in the field: it was there first, and knows nothing of version 1. Here it is a LegacyTopic; the wire is the same.
const legacyKey = LegacyTopicKey.generate();
const device = await LegacyTopic.create({ topicKey: legacyKey });
// The app, on a topic of its own, with secrets of its own.
const topicKey = generateTopicKey();
const app = await Topic.create({ topicKey, name: MODERN });
// The bridge has an identity on each side. Each side trusts it, and it trusts those whom it lets speak.
const legacy = await LegacyTopic.create({
  topicKey: legacyKey,
  participants: [device.publicKey],
  replayMemory: 10_000,
});
const topic = await Topic.create({ topicKey, name: MODERN, participants: [app.publicKey] });
device.addParticipant(legacy.publicKey);
app.addParticipant(topic.publicKey);

const bridgeClient = await openBridge({
  url: broker.url,
  legacy,
  legacyMqttTopic: LEGACY,
  isHex: true,
  topic,
  mqttTopic: MODERN,
  onRefused: (where, why) => show("bridge", "refuses", why, `on ${where}`),
});
const channel = connect(broker.url);

/** What device and app do with what comes; gives what it was, if it was for them. */
function hear(mqttTopic: string, payload: Buffer): string | undefined {
  if (mqttTopic === LEGACY) return device.decode(Buffer.from(payload.toString(), "hex"))?.text();
  return app.decode(payload)?.text();
}

/** Resolves with the next text that comes for somebody on this MQTT topic. */
function next(mqttTopic: string): Promise<string> {
  return new Promise((resolve) => {
    const listen = (from: string, payload: Buffer) => {
      if (from !== mqttTopic) return;
      try {
        const text = hear(from, payload);
        if (text === undefined) return;
        channel.off("message", listen);
        resolve(text);
      } catch (error) {
        if (!isStringphoneError(error)) throw error;
      }
    };
    channel.on("message", listen);
  });
}

await channel.subscribeAsync([LEGACY, MODERN], { qos: 1 });

const reading = device.encode("21.5 °C");
show("thermometer", "sends", "21.5 °C", `as ${glimpse(reading)}, in hex text`);
const heard = next(MODERN);
await channel.publishAsync(LEGACY, Buffer.from(reading).toString("hex"), { qos: 1 });
show("app", "reads", await heard, "from the bridge");

const answer = next(LEGACY);
show("app", "sends", "report every minute");
await channel.publishAsync(MODERN, Buffer.from(app.encode("report every minute")), { qos: 1 });
show("thermometer", "reads", await answer, "from the bridge");

// The broker repeats what it recorded: the device would take it, the bridge does not.
const refused = new Promise<void>((resolve) => {
  bridgeClient.on("message", (mqttTopic, payload) => {
    if (mqttTopic === LEGACY && payload.toString() === Buffer.from(reading).toString("hex")) resolve();
  });
});
show("broker", "repeats", "the first reading");
await channel.publishAsync(LEGACY, Buffer.from(reading).toString("hex"), { qos: 1 });
await refused;

await Promise.all([bridgeClient, channel].map(closeChannel));
await broker.close();
for (const one of [device, app, legacy, topic]) one.dispose();
clearTimeout(tooLate);
