/**
 * The wire of stringphone 0.1: parse and format, pure, no keys (docs/COMPAT.md §2). One type byte, then fixed offsets:
 *
 *     message       "s"  signature 64  sender id 16  nonce 24  box (tag 16, ciphertext)
 *     introduction  "i"  signing key 32  signature 64  X25519 key 32
 *     reply         "r"  recipient id 16  nonce 24  box 48  X25519 key 32  signing key 32
 */
import { expectBytes } from "../bytes.js";
import { MalformedMessageError, MessageTooLargeError } from "../errors.js";
import { participantId } from "../identity.js";
import { ID_BYTES, KEY_BYTES, MAX_PAYLOAD_BYTES, NONCE_BYTES, SIGNATURE_BYTES, TAG_BYTES } from "../limits.js";

const MESSAGE = 0x73;
const INTRODUCTION = 0x69;
const REPLY = 0x72;

/** Everything that a message adds to a payload of any length. */
const OVERHEAD_BYTES = 1 + SIGNATURE_BYTES + ID_BYTES + NONCE_BYTES + TAG_BYTES;
const INTRODUCTION_BYTES = 1 + KEY_BYTES + SIGNATURE_BYTES + KEY_BYTES;
const BOXED_KEY_BYTES = KEY_BYTES + TAG_BYTES;
const REPLY_BYTES = 1 + ID_BYTES + NONCE_BYTES + BOXED_KEY_BYTES + KEY_BYTES + KEY_BYTES;

/** A message of 0.1 in its parts. Nothing of it is verified. */
export interface LegacyWireMessage {
  readonly type: "message";
  /** Ed25519, 64 bytes, over `signed`. */
  readonly signature: Uint8Array;
  /** The id that the sender claims, 16 bytes. */
  readonly claimedSenderId: Uint8Array;
  /** 24 bytes. */
  readonly nonce: Uint8Array;
  /** XSalsa20-Poly1305 under the topic key: the tag (16 bytes), then the ciphertext, as long as the payload. */
  readonly box: Uint8Array;
  /** What the signature covers: sender id, nonce and box. */
  readonly signed: Uint8Array;
}

/** An introduction of 0.1 in its parts. Nothing of it is verified. */
export interface LegacyWireIntroduction {
  readonly type: "introduction";
  /** The Ed25519 public key that the newcomer claims, 32 bytes. */
  readonly claimedSenderKey: Uint8Array;
  /** The id of that key, 16 bytes. */
  readonly claimedSenderId: Uint8Array;
  /** Ed25519, 64 bytes, over `encryptionKey` alone. */
  readonly signature: Uint8Array;
  /** The X25519 public key for which the topic key is asked, 32 bytes. */
  readonly encryptionKey: Uint8Array;
}

/** A reply of 0.1 in its parts. It has no signature: anybody who heard the introduction can make one. */
export interface LegacyWireReply {
  readonly type: "reply";
  /** Id of the participant that it is for, 16 bytes. */
  readonly recipientId: Uint8Array;
  /** 24 bytes. */
  readonly nonce: Uint8Array;
  /** `crypto_box` of the topic key: 48 bytes. */
  readonly box: Uint8Array;
  /** The sponsor's X25519 public key, 32 bytes. */
  readonly encryptionKey: Uint8Array;
  /** The Ed25519 public key that the sponsor claims, 32 bytes. */
  readonly claimedSenderKey: Uint8Array;
  /** The id of that key, 16 bytes. */
  readonly claimedSenderId: Uint8Array;
}

/** Any bytes on the wire of 0.1, told apart by `type`. */
export type LegacyWire = LegacyWireMessage | LegacyWireIntroduction | LegacyWireReply;

/**
 * Takes bytes of 0.1 apart without verifying anything: for looking at recordings, and what 0.1 called `Message`. To talk to a
 * device use `LegacyTopic.decode`.
 *
 * @param wire the bytes as the transport gave them; what comes back shares nothing with them
 * @throws MalformedMessageError when they are none of 0.1
 * @throws MessageTooLargeError when the payload would be longer than 256 MiB
 * @example
 * ```ts
 * import { LegacyTopic, parseLegacyWire } from "stringphone/compat";
 *
 * const device = await LegacyTopic.create();
 * const wire = parseLegacyWire(device.constructIntro());
 * if (wire.type === "introduction") console.log(wire.claimedSenderKey, wire.encryptionKey);
 * ```
 */
export function parseLegacyWire(wire: Uint8Array): LegacyWire {
  const parsed = parse(expectBytes("wire", wire), MAX_PAYLOAD_BYTES);
  if (parsed.type !== "message") return parsed;
  return { ...parsed, box: parsed.box.slice(), signed: parsed.signed.slice() };
}

function malformed(what: string): never {
  throw new MalformedMessageError(`expected ${what}`);
}

/** Reads parts of fixed length, one after the other, as copies. */
class Parts {
  readonly #bytes: Uint8Array;
  #at = 1;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  take(length: number): Uint8Array {
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
  }
}

/**
 * Parses bytes from the channel. Byte arrays are copies, but for the box of a message and what is signed of it, which are
 * views: they are read before `decode` returns.
 *
 * @param maxPayloadBytes the longest payload that a message may have
 * @throws MalformedMessageError, MessageTooLargeError and nothing else
 */
export function parse(bytes: Uint8Array, maxPayloadBytes: number): LegacyWire {
  switch (bytes[0]) {
    case MESSAGE:
      return parseMessage(bytes, maxPayloadBytes);
    case INTRODUCTION:
      return parseIntroduction(bytes);
    case REPLY:
      return parseReply(bytes);
    default:
      return refuseStrangers(bytes);
  }
}

function parseMessage(bytes: Uint8Array, maxPayloadBytes: number): LegacyWireMessage {
  const payloadBytes = bytes.length - OVERHEAD_BYTES;
  if (payloadBytes < 0) malformed(`a message of 0.1 of at least ${OVERHEAD_BYTES} bytes, got ${bytes.length}`);
  if (payloadBytes > maxPayloadBytes) throw new MessageTooLargeError(payloadBytes, maxPayloadBytes);
  const parts = new Parts(bytes);
  return {
    type: "message",
    signature: parts.take(SIGNATURE_BYTES),
    claimedSenderId: parts.take(ID_BYTES),
    nonce: parts.take(NONCE_BYTES),
    box: bytes.subarray(OVERHEAD_BYTES - TAG_BYTES),
    signed: bytes.subarray(1 + SIGNATURE_BYTES),
  };
}

function parseIntroduction(bytes: Uint8Array): LegacyWireIntroduction {
  if (bytes.length !== INTRODUCTION_BYTES) {
    malformed(`an introduction of 0.1 of ${INTRODUCTION_BYTES} bytes, got ${bytes.length}`);
  }
  const parts = new Parts(bytes);
  const claimedSenderKey = parts.take(KEY_BYTES);
  return {
    type: "introduction",
    claimedSenderKey,
    claimedSenderId: participantId(claimedSenderKey),
    signature: parts.take(SIGNATURE_BYTES),
    encryptionKey: parts.take(KEY_BYTES),
  };
}

function parseReply(bytes: Uint8Array): LegacyWireReply {
  if (bytes.length !== REPLY_BYTES) malformed(`a reply of 0.1 of ${REPLY_BYTES} bytes, got ${bytes.length}`);
  const parts = new Parts(bytes);
  const recipientId = parts.take(ID_BYTES);
  const nonce = parts.take(NONCE_BYTES);
  const box = parts.take(BOXED_KEY_BYTES);
  const encryptionKey = parts.take(KEY_BYTES);
  const claimedSenderKey = parts.take(KEY_BYTES);
  const claimedSenderId = participantId(claimedSenderKey);
  return { type: "reply", recipientId, nonce, box, encryptionKey, claimedSenderKey, claimedSenderId };
}

/** Says of bytes that are none of 0.1 what they are: mostly version 1, or the hex text that the MQTT example of 0.1 sends. */
function refuseStrangers(bytes: Uint8Array): never {
  const [head = 0, next = 0] = bytes;
  if (head >= 0x80 && head <= 0x97) {
    malformed("stringphone 0.1, got what looks like version 1: Topic of stringphone reads that");
  }
  // "73", "69" or "72" in ASCII.
  if ((head === 0x37 && (next === 0x33 || next === 0x32)) || (head === 0x36 && next === 0x39)) {
    malformed("bytes of stringphone 0.1, got what looks like their hex text: decode the hex first");
  }
  return malformed('bytes of stringphone 0.1, which begin with "s", "i" or "r": was it sent in clear?');
}

function join(type: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const wire = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 1));
  wire[0] = type;
  let at = 1;
  for (const part of parts) {
    wire.set(part, at);
    at += part.length;
  }
  return wire;
}

/** Lays out a message around a box; `sign` is given a view on what the signature covers. */
export function formatMessage(
  message: Pick<LegacyWireMessage, "claimedSenderId" | "nonce" | "box">,
  sign: (signed: Uint8Array) => Uint8Array,
): Uint8Array {
  const { claimedSenderId, nonce, box } = message;
  const wire = join(MESSAGE, new Uint8Array(SIGNATURE_BYTES), claimedSenderId, nonce, box);
  wire.set(sign(wire.subarray(1 + SIGNATURE_BYTES)), 1);
  return wire;
}

export function formatIntroduction(
  introduction: Pick<LegacyWireIntroduction, "claimedSenderKey" | "signature" | "encryptionKey">,
): Uint8Array {
  const { claimedSenderKey, signature, encryptionKey } = introduction;
  return join(INTRODUCTION, claimedSenderKey, signature, encryptionKey);
}

export function formatReply(reply: Omit<LegacyWireReply, "type" | "claimedSenderId">): Uint8Array {
  const { recipientId, nonce, box, encryptionKey, claimedSenderKey } = reply;
  return join(REPLY, recipientId, nonce, box, encryptionKey, claimedSenderKey);
}
