/** The public names of stringphone/compat, one by one. */
export { type Bridge, type BridgeOptions, bridge } from "./bridge.js";
export { LegacyTopic } from "./legacy-topic.js";
export type {
  LegacyDecodeOptions,
  LegacyReplyOptions,
  LegacyTopicOptions,
  NaiveLegacyDecodeOptions,
} from "./options.js";
export { LegacyIntroductionReplyError, type LegacyReceived, type LegacyReply } from "./received.js";
export { LegacySeed, LegacyTopicKey } from "./secrets.js";
export {
  type LegacyWire,
  type LegacyWireIntroduction,
  type LegacyWireMessage,
  type LegacyWireReply,
  parseLegacyWire,
} from "./wire.js";
