/** A bridge over MQTT between devices of 0.1 and version 1: the part to copy. */
import { connect, type MqttClient } from "mqtt";
import { isStringphoneError, type Topic } from "stringphone";
import { bridge, type LegacyTopic } from "stringphone/compat";

export interface BridgeSettings {
  readonly url: string;
  /** The side of 0.1: trusts the devices that may be heard on version 1, and has a `replayMemory`. */
  readonly legacy: LegacyTopic;
  /** Where the devices of 0.1 are. Not the MQTT topic of version 1: a 0.1 device ends at bytes that it does not know. */
  readonly legacyMqttTopic: string;
  /** Whether the devices send hex text, as the MQTT example of 0.1 does. */
  readonly isHex: boolean;
  /** The side of version 1: trusts those who may be heard by the devices of 0.1. */
  readonly topic: Topic;
  readonly mqttTopic: string;
  /** Told of what goes wrong: of a message, the stable code of the error (strangers, repetitions, forgeries). */
  readonly onRefused: (where: string, why: string) => void;
}

/** Connects, and carries what comes from one side to the other until the client is ended. mqtt.js connects again by itself. */
export async function openBridge(settings: BridgeSettings): Promise<MqttClient> {
  const { url, legacy, legacyMqttTopic, isHex, topic, mqttTopic, onRefused } = settings;
  // On version 1 each message is bound to the MQTT topic on which it travels.
  const { toTopic, toLegacy } = bridge({ legacy, topic, context: mqttTopic });
  const client = connect(url);
  client.on("message", (from, payload, packet) => {
    // Somebody cleared a retained message. Nobody signed that, so it means nothing.
    if (payload.length === 0) return;
    try {
      if (from === mqttTopic) {
        for (const wire of toLegacy(payload, { retained: packet.retain })) {
          client.publish(legacyMqttTopic, isHex ? Buffer.from(wire).toString("hex") : Buffer.from(wire), { qos: 1 });
        }
      } else {
        const wire = toTopic(isHex ? Buffer.from(payload.toString(), "hex") : payload);
        if (wire !== null) client.publish(mqttTopic, Buffer.from(wire), { qos: 1 });
      }
    } catch (error) {
      // Anything else is a mistake in this program.
      if (!isStringphoneError(error)) throw error;
      onRefused(from, error.code);
    }
  });
  // Without a listener an error would end the process; mqtt.js tries again by itself.
  client.on("error", (error) => onRefused("connection", error.message));
  await client.subscribeAsync([legacyMqttTopic, mqttTopic], { qos: 1 });
  return client;
}
