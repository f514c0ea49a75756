/** The public names of stringphone, one by one. */
export type { BackendName } from "./backends/backend.js";
export { Collector, type CollectorOptions } from "./collector.js";
export { cryptoBackend } from "./crypto.js";
export {
  type AnyDelivery,
  type AnyStringphoneError,
  BackendError,
  BadSignatureError,
  BatchError,
  ClockError,
  DecryptionError,
  type Delivery,
  DisposedError,
  ForeignReplyError,
  type Introduction,
  IntroductionError,
  IntroductionReplyError,
  InvalidKeyError,
  isStringphoneError,
  MalformedMessageError,
  MessageTooLargeError,
  MissingTopicKeyError,
  PayloadFormatError,
  RateLimitError,
  ReplayError,
  type Reply,
  RetainedCommandError,
  StaleMessageError,
  type Standing,
  StringphoneError,
  UnexpectedDeliveryError,
  UnknownTopicKeyError,
  UnsupportedVersionError,
  UntrustedKeyError,
  WillError,
} from "./errors.js";
export { fingerprint, generateSigningKeySeed, type Participant, safetyNumber } from "./identity.js";
export { generateTopicKey } from "./keyring.js";
export type {
  DecodeContext,
  DecodeOptions,
  EncodeOptions,
  NaiveDecodeOptions,
  TopicOptions,
  WillMessages,
} from "./options.js";
export type { Received, UnverifiedMessage } from "./received.js";
export { Topic } from "./topic.js";
