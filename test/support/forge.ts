/** What an attacker can make: the library's own parts, put together as no honest program would. */
import { fromTableKey } from "../../src/bytes.js";
import { encode } from "../../src/cbor.js";
import { seal } from "../../src/crypto.js";
import { Identity } from "../../src/identity.js";
import { formatMessage, type Plaintext, parse, plaintextLength, writePlaintext } from "../../src/message.js";
import { type Content, openMessage, type Position, sealMessage } from "../../src/sealing.js";
import { TopicKey } from "../../src/topic-key.js";
import { bytes, NAME, START } from "./topics.js";

export { encode };

export interface Forgery extends Partial<Omit<Content, "payload">>, Partial<Position> {
  readonly seed: Uint8Array;
  readonly topicKey: Uint8Array;
  readonly payload?: string;
}

/** A message with any position, time and delivery, correctly sealed and signed by the holder of `seed`. */
export function forgeMessage(forgery: Forgery): Uint8Array {
  const { seed, topicKey, session = bytes(5, 12), sequence = 0, context = NAME } = forgery;
  const { delivery = "event", sentAt = START, payload = "" } = forgery;
  const content = { delivery, sentAt, payload: new TextEncoder().encode(payload), isBatch: false };
  return sealMessage(new TopicKey(topicKey), new Identity(seed), { session, sequence, context }, content);
}

/** Seals any plaintext at any position, with any number as delivery, as a holder of the topic key can. Written from PROTOCOL §6, not from the code. */
export function sealPlaintext(
  topicKey: Uint8Array,
  position: Position,
  plaintext: Plaintext,
  delivery?: number,
): Uint8Array {
  const key = new TopicKey(topicKey);
  const { session, sequence, context } = position;
  const nonce = Buffer.alloc(24);
  nonce.set(session);
  nonce.writeBigUInt64BE(BigInt(sequence), 16);
  const data = encode(["stringphone/1 message", key.id, session, sequence, context]);
  const inside = new Uint8Array(plaintextLength(plaintext.payload.length));
  writePlaintext(
    inside,
    { ...plaintext, senderHint: fromTableKey(plaintext.senderHint), isBatch: plaintext.batch !== undefined },
    plaintext.payload,
  ).set(plaintext.signature);
  if (delivery !== undefined) inside[8] = delivery;
  const ciphertext = seal(TopicKey.messageKeyOf(key), nonce, data, inside);
  return formatMessage({ keyId: key.id, session, sequence }, ciphertext);
}

/** Opens a message as a holder of the topic key can. */
export function openWire(
  topicKey: Uint8Array,
  wire: Uint8Array,
  context = NAME,
): { position: Position; plaintext: Plaintext } {
  const message = parse(wire, 1 << 24);
  if (message.type !== "message") throw new Error("not a message");
  const { session, sequence, ciphertext } = message;
  const plaintext = openMessage(new TopicKey(topicKey), { session, sequence, context }, ciphertext);
  if (plaintext === undefined) throw new Error("the message does not open");
  return {
    position: { session: new Uint8Array(session), sequence, context },
    plaintext: { ...plaintext, signature: new Uint8Array(plaintext.signature) },
  };
}
