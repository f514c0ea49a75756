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
  DependantsError,
  DisposedError,
  ForbiddenError,
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
  StateError,
  StringphoneError,
  UnexpectedDeliveryError,
  UnknownTopicKeyError,
  UnsupportedVersionError,
  UntrustedKeyError,
  WillError,
} from "./errors.js";
export type { ControlMessage, IntroductionWant, RekeyWant, TopicEvent, TopicListener } from "./events.js";
export { fingerprint, generateSigningKeySeed, type Participant, safetyNumber } from "./identity.js";
export type {
  AdmitOptions,
  DecodeContext,
  DecodeOptions,
  EncodeOptions,
  EstablishOptions,
  LoadOptions,
  NaiveDecodeOptions,
  RevokeOptions,
  TopicOptions,
  WillMessages,
} from "./options.js";
export type { Member } from "./participants.js";
export type { Received, UnverifiedMessage } from "./received.js";
export type { RekeyReason } from "./rekey.js";
export type { Role } from "./roster.js";
export { Topic } from "./topic.js";
export { generateTopicKey } from "./topic-key.js";
