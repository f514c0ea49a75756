/** MQTT with its hazards handled; it knows nothing of encryption. */
import { connect, type IPublishPacket, type MqttClient } from "mqtt";
import { printable, say } from "./screen.js";

const CONNECT_TIMEOUT = 10_000;
const CLOSE_TIMEOUT = 1_000;

/** `mqttTopic` is the event's own argument: with a topic alias `packet.topic` can be empty. */
export type OnMessage = (mqttTopic: string, payload: Buffer, packet: IPublishPacket) => void;

/**
 * Connects and subscribes. It subscribes again after each reconnect, because a clean session forgets: the broker then gives
 * retained messages once more, and QoS 1 repeats what it is not sure of. `Topic.decode` tells what is new.
 *
 * Not `connectAsync`: that never settles when the peer closes the connection before it answers.
 */
export function openChannel(url: string, filters: string[], onMessage: OnMessage): Promise<MqttClient> {
  const client = connect(url, { clean: true, resubscribe: false, reconnectPeriod: 1000, keepalive: 30 });
  client.on("message", onMessage);
  return new Promise((resolve, reject) => {
    let isOpen = false;
    const fail = (problem: string) => {
      if (isOpen) return;
      clearTimeout(timer);
      client.end(true);
      reject(new Error(`no MQTT connection to ${printable(url)}: ${problem}`));
    };
    const timer = setTimeout(() => fail(`no answer within ${CONNECT_TIMEOUT / 1000} s`), CONNECT_TIMEOUT);
    // Without a listener an error would end the process. Once it was connected, mqtt.js tries again by itself. A failed
    // attempt at several addresses has a code and no message.
    client.on("error", (error: Error & { code?: unknown }) => fail(error.message || String(error.code)));
    client.on("offline", () => isOpen && say("connection", "lost", "tries again"));
    client.on("connect", () => {
      client.subscribe(filters, { qos: 1 }, (error) => {
        if (error) return fail(`subscribing failed: ${error.message}`);
        if (isOpen) say("connection", "back");
        isOpen = true;
        clearTimeout(timer);
        resolve(client);
      });
    });
  });
}

/** Publishes bytes with QoS 1: the client repeats them until the broker has them. */
export function publish(client: MqttClient, mqttTopic: string, bytes: Uint8Array, retain = false): void {
  client.publish(mqttTopic, Buffer.from(bytes), { qos: 1, retain }, (error) => {
    if (error && !client.disconnecting) say("not published", mqttTopic, error.message);
  });
}

/** Says goodbye to the broker, but does not wait for one that is gone. */
export function closeChannel(client: MqttClient): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      client.end(true);
      resolve();
    }, CLOSE_TIMEOUT);
    client.end(false, {}, () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
