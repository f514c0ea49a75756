/** A bridge between the two wires, for moving a fleet: what one side's participants say is said again on the other side. */
import { describe, equalBytes, expectOptions, wipe } from "../bytes.js";
import { expectContext } from "../context.js";
import { type Delivery, MissingTopicKeyError } from "../errors.js";
import type { Received } from "../received.js";
import { Topic } from "../topic.js";
import { LegacyTopic } from "./legacy-topic.js";
import type { LegacyReceived } from "./received.js";
import { nameOf } from "./seen.js";

const BRIDGE_OPTIONS = ["legacy", "topic", "delivery", "deliveries", "context", "toTopicPayload", "toLegacyPayload"];
const TO_TOPIC_OPTIONS = ["context"];
const TO_LEGACY_OPTIONS = ["context", "retained"];

/** What a bridge is made of. */
export interface BridgeOptions {
  /** The side of 0.1: reads whom it trusts, and needs a `replayMemory`, because a bridge makes an old message new. */
  readonly legacy: LegacyTopic;
  /** The side of version 1, with a seed and a topic key of its own. */
  readonly topic: Topic;
  /**
   * As what the messages of 0.1 are sent on. Not as a `command`: nobody can tell when a message of 0.1 was sent, and it would
   * become a fresh one. Default: `event`.
   */
  readonly delivery?: "event" | "state";
  /**
   * What may go from version 1 to 0.1, where it loses its protection against replays; other deliveries are an
   * `UnexpectedDeliveryError`. Default: `event` and `state`. Add `command` only where a device of 0.1 must be commanded, and whoever
   * records the command may repeat it for ever.
   */
  readonly deliveries?: readonly Delivery[];
  /** What messages are bound to on version 1, unless a call names another. Default: the topic's `name`. */
  readonly context?: string;
  /**
   * Makes the payload that goes to version 1, or `null` to keep a message back. The place to name the original sender, in a format
   * that your own programs know: the wire has none. Called at once, so not asynchronous; what it throws loses the message, which
   * was decoded already. Default: the payload as it is.
   */
  readonly toTopicPayload?: (message: LegacyReceived) => string | Uint8Array | null;
  /** The same for what goes to 0.1. Default: the payload as it is. */
  readonly toLegacyPayload?: (message: Received) => string | Uint8Array | null;
}

/** What `bridge` makes: two functions from wire to wire. It keeps nothing, and publishes nothing itself. */
export interface Bridge {
  /**
   * What to publish on version 1 for bytes that came on 0.1; `null` for our own, and for what `toTopicPayload` keeps back.
   *
   * @throws MissingTopicKeyError until both sides have a topic key: pair them before, each by its own `decode`
   * @throws StringphoneError whatever `LegacyTopic.decode` throws: nothing is sent on then. An introduction in it is one of `legacy`
   */
  readonly toTopic: (wire: Uint8Array, options?: { readonly context?: string }) => Uint8Array | null;
  /**
   * What to publish on 0.1 for bytes that came on version 1: nothing for our own and for control messages, several for a
   * batch. `retained` says whether the transport says that the broker had retained it.
   *
   * @throws MissingTopicKeyError until both sides have a topic key
   * @throws StringphoneError whatever `Topic.decodeBatch` throws: nothing is sent on then. An introduction in it is one of `topic`
   */
  readonly toLegacy: (
    wire: Uint8Array,
    options?: { readonly context?: string; readonly retained?: boolean },
  ) => Uint8Array[];
}

/**
 * Joins a 0.1 topic and a version-1 topic of this program. What somebody whom `legacy` trusts says on 0.1 is said again on
 * version 1, and what somebody whom `topic` trusts says there, on 0.1. Strangers, forgeries and repetitions are refused as
 * each side refuses them.
 *
 * On the other side **the bridge itself is the sender**: its identity there is the one to trust, and whoever trusts it trusts all whom
 * it trusts. It reads everything, and both topics are only as safe as the program that it runs in.
 *
 * What it has sent itself is never sent back. Of two bridges between the same topics, neither may trust the other on both
 * sides: they would repeat each other without end.
 *
 * @throws TypeError for anything but topics and known options
 * @throws RangeError when `legacy` has no `replayMemory`, or both sides have the same identity or topic key
 * @example
 * ```ts
 * import { generateTopicKey, Topic } from "stringphone";
 * import { bridge, LegacyTopic, LegacyTopicKey } from "stringphone/compat";
 *
 * declare const pythonDevice: Uint8Array; // the public keys of those who may be heard on the other side
 * declare const newDevice: Uint8Array;
 * declare const legacyKey: LegacyTopicKey;
 * declare function publish(mqttTopic: string, wire: Uint8Array): void;
 *
 * const legacy = await LegacyTopic.create({ topicKey: legacyKey, participants: [pythonDevice], replayMemory: 10_000 });
 * const topic = await Topic.create({ topicKey: generateTopicKey(), name: "home/v1", participants: [newDevice] });
 * const { toTopic, toLegacy } = bridge({ legacy, topic });
 *
 * // For each message that comes, where any StringphoneError is caught as in any other message loop:
 * function hear(mqttTopic: string, wire: Uint8Array): void {
 *   if (mqttTopic === "home/v1") {
 *     for (const one of toLegacy(wire)) publish("home/legacy", one);
 *   } else {
 *     const one = toTopic(wire);
 *     if (one !== null) publish("home/v1", one);
 *   }
 * }
 * ```
 */
export function bridge(options: BridgeOptions): Bridge {
  expectOptions(options, BRIDGE_OPTIONS);
  const { legacy, topic, delivery = "event", context } = options;
  const { toTopicPayload = payloadOf, toLegacyPayload = payloadOf } = options;
  // A copy: what may pass is decided once.
  const deliveries = expectDeliveries(options.deliveries ?? ["event", "state"]);
  for (const [name, value] of Object.entries({ toTopicPayload, toLegacyPayload })) {
    if (typeof value !== "function") throw new TypeError(`"${name}" expected a function, got ${describe(value)}`);
  }
  if (!(legacy instanceof LegacyTopic)) throw new TypeError(`"legacy" expected LegacyTopic, got ${describe(legacy)}`);
  if (!(topic instanceof Topic)) throw new TypeError(`"topic" expected Topic, got ${describe(topic)}`);
  if (delivery !== "event" && delivery !== "state") {
    throw new RangeError(`"delivery" expected "event" or "state", got ${JSON.stringify(delivery)}`);
  }
  if (legacy.replayMemory === 0) {
    throw new RangeError(
      '"legacy" expected a topic with a replayMemory, got one without: what is repeated to a bridge would be new on version 1',
    );
  }
  if (equalBytes(legacy.publicKey, topic.publicKey)) {
    throw new RangeError('"topic" expected a seed of its own, got that of "legacy": one seed never serves both wires');
  }
  /** Checked before anything is decoded: what could not be sent on must not be marked as given. */
  const at = (own: string | undefined) => {
    const named = own ?? context;
    return named === undefined ? {} : { context: expectContext("context", named) };
  };
  at(undefined);

  return {
    toTopic: (wire, call = {}) => {
      expectOptions(call, TO_TOPIC_OPTIONS);
      expectKeysApart(legacy, topic);
      const place = at(call.context);
      const message = legacy.decode(wire);
      const payload = message && toTopicPayload(message);
      if (payload === null) return null;
      // Once more: `toTopicPayload` is the caller's code.
      expectKeysApart(legacy, topic);
      return topic.encode(payload, { delivery, ...place });
    },

    toLegacy: (wire, call = {}) => {
      expectOptions(call, TO_LEGACY_OPTIONS);
      expectKeysApart(legacy, topic);
      const { retained = false } = call;
      const messages = topic.decodeBatch(wire, { delivery: deliveries, retained, ...at(call.context) });
      const payloads = messages.map((message) => toLegacyPayload(message)).filter((payload) => payload !== null);
      expectKeysApart(legacy, topic);
      return payloads.map((payload) => legacy.encode(payload));
    },
  };
}

function expectDeliveries(given: readonly Delivery[]): readonly Delivery[] {
  const known: readonly Delivery[] = ["event", "state", "command", "will"];
  if (!Array.isArray(given) || given.length === 0 || !given.every((one) => known.includes(one as Delivery))) {
    throw new RangeError(`"deliveries" expected a list of ${known.join(", ")}, got ${JSON.stringify(given)}`);
  }
  return [...(given as readonly Delivery[])];
}

function payloadOf({ payload }: { readonly payload: Uint8Array }): Uint8Array {
  return payload;
}

/** Before anything is decoded: what could not be sent on must not be marked as given. Keys may change at any time. */
function expectKeysApart(legacy: LegacyTopic, topic: Topic): void {
  const legacyKey = legacy.topicKey;
  const key = topic.topicKey;
  const legacyBytes = legacyKey?.bytes;
  legacyKey?.dispose();
  try {
    if (legacyBytes === undefined || key === undefined) throw new MissingTopicKeyError();
    if (nameOf(legacyBytes) === nameOf(key)) {
      throw new RangeError(
        '"topic" expected a topic key of its own, got that of "legacy": one key never serves both wires',
      );
    }
  } finally {
    wipe(legacyBytes, key);
  }
}
