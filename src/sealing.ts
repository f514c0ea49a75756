/** Seals and opens single messages (PROTOCOL §6): the cryptography of a message, without any state. */
import { associatedData, hashWithTail, open, seal, verify } from "./crypto.js";
import type { AnyDelivery } from "./errors.js";
import { type Identity, Participant } from "./identity.js";
import { TopicKey } from "./keyring.js";
import { NONCE_BYTES } from "./limits.js";
import {
  deliveryNumber,
  formatMessage,
  formatPlaintextHead,
  type Plaintext,
  parsePlaintext,
  type WireMessage,
} from "./message.js";

/** Where a message stands: what makes its nonce, and what it is bound to. */
export interface Position {
  readonly session: Uint8Array;
  readonly sequence: number;
  readonly context: string;
}

/** What a message says, but for who signs it. */
export interface Content {
  readonly delivery: AnyDelivery;
  readonly sentAt: number;
  readonly payload: Uint8Array;
}

/**
 * Session (12), four zero bytes, sequence (8, big endian). XChaCha20 makes a key of the first 16
 * bytes, so each session has a key of its own and the sequence is the nonce under it.
 */
function nonceOf({ session, sequence }: Position): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES);
  nonce.set(session);
  let rest = sequence;
  for (let i = NONCE_BYTES - 1; rest > 0; i--) {
    nonce[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return nonce;
}

function dataOf(key: TopicKey, { session, sequence, context }: Position): Uint8Array {
  return associatedData("message", key.id, session, sequence, context);
}

/** What the sender signs: nobody can lift it into another key, session, context or delivery. */
function digestOf(key: TopicKey, position: Position, content: Content, sender: Participant): Uint8Array {
  const { session, sequence, context } = position;
  return hashWithTail(
    "messageSignature",
    [
      key.commitment,
      session,
      sequence,
      context,
      deliveryNumber(content.delivery),
      content.sentAt,
      Participant.keyOf(sender),
    ],
    content.payload,
  );
}

/** Signs and encrypts one message. The caller must never use a position twice. */
export function sealMessage(key: TopicKey, identity: Identity, position: Position, content: Content): Uint8Array {
  const signature = identity.sign(digestOf(key, position, content, identity.participant));
  const senderHint = Participant.hintOf(identity.participant);
  const head = formatPlaintextHead({ senderHint, delivery: content.delivery, sentAt: content.sentAt, signature });
  const messageKey = TopicKey.messageKeyOf(key);
  const ciphertext = seal(messageKey, nonceOf(position), dataOf(key, position), head, content.payload);
  return formatMessage({ keyId: key.id, session: position.session, sequence: position.sequence, ciphertext });
}

/**
 * Decrypts one message; `undefined` where it is not authentic. Its signature is not checked yet.
 *
 * @throws MalformedMessageError where a holder of the topic key sealed something else than a message
 */
export function openMessage(key: TopicKey, message: WireMessage, context: string): Plaintext | undefined {
  const position = { session: message.session, sequence: message.sequence, context };
  const plaintext = open(TopicKey.messageKeyOf(key), nonceOf(position), dataOf(key, position), message.ciphertext);
  return plaintext === undefined ? undefined : parsePlaintext(plaintext, message.sequence);
}

/** Whether `sender` signed this message, in this position and under this key. */
export function isSignedBy(key: TopicKey, position: Position, plaintext: Plaintext, sender: Participant): boolean {
  return verify(plaintext.signature, digestOf(key, position, plaintext, sender), Participant.keyOf(sender));
}
