/** The message loop: the part to copy. Whatever comes goes through `decode`, and each error has one thing to do about it. */
import {
  type AnyStringphoneError,
  type Introduction,
  isStringphoneError,
  type Received,
  type Reply,
  type Topic,
} from "stringphone";
import { say } from "./screen.js";

/** What a participant does with what came. */
export interface Handlers {
  /** A message that somebody whom we trust signed, for the first time unless it is a state. */
  message(mqttTopic: string, received: Received): void;
  /** Somebody asks for the topic key. */
  introduction(introduction: Introduction): void;
  /** Somebody answers our own introduction. */
  reply(reply: Reply): void;
  /** A message came under a topic key that we do not have, or while we have none. A rooted topic keeps it until its key comes. */
  unreadable(mqttTopic: string, payload: Uint8Array): void;
}

/** What a message that came there is bound to: mostly the MQTT topic itself; a control message, to the topic's name. */
function contextOf(topic: Topic, mqttTopic: string): string {
  return mqttTopic.startsWith(`${topic.name}/control/`) ? topic.name : mqttTopic;
}

/** Makes the function that takes each message as MQTT gives it. `retained` is the packet's own flag. */
export function receiver(topic: Topic, handlers: Handlers) {
  function refuse(error: AnyStringphoneError, mqttTopic: string, payload: Uint8Array): void {
    switch (error.code) {
      case "INTRODUCTION":
        handlers.introduction(error.introduction);
        return;
      case "INTRODUCTION_REPLY":
        handlers.reply(error.reply);
        return;
      case "REPLAY": // Brokers repeat messages, and so may attackers: it was taken once.
      case "FOREIGN_REPLY": // An answer to somebody else.
        return;
      case "MISSING_TOPIC_KEY":
      case "UNKNOWN_TOPIC_KEY":
        handlers.unreadable(mqttTopic, payload);
        return;
      case "UNTRUSTED_KEY":
        say("ignores", `${payload.length} bytes`, "of somebody whom we do not trust");
        return;
      default:
        // Forged, damaged, moved, too old, too many: nothing of it is used.
        say("ignores", `${payload.length} bytes`, `on ${mqttTopic}: ${error.code}, ${error.message}`);
    }
  }

  return (mqttTopic: string, payload: Uint8Array, retained: boolean): void => {
    // Somebody cleared a retained message. Nobody signed that, so it means nothing.
    if (payload.length === 0) return;
    try {
      // What the broker moved here from another MQTT topic does not open.
      const received = topic.decode(payload, { context: contextOf(topic, mqttTopic), retained });
      if (received !== null) handlers.message(mqttTopic, received);
    } catch (error) {
      // Anything else is a mistake in this program.
      if (!isStringphoneError(error)) throw error;
      refuse(error, mqttTopic, payload);
    }
  };
}
