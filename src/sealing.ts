/** Seals and opens single messages (PROTOCOL §6): the cryptography of a message, without any state. */
import { Front } from "./bytes.js";
import { Writer, writeBigEndian } from "./cbor.js";
import { knownContext } from "./context.js";
import { openInto, sealInPlace, verifyHashed } from "./crypto.js";
import type { AnyDelivery } from "./errors.js";
import { type Identity, Participant } from "./identity.js";

import { NONCE_BYTES, SESSION_BYTES, SIGNATURE_BYTES, TAG_BYTES } from "./limits.js";
import {
  deliveryNumber,
  formatControlPlaintext,
  frameMessage,
  type Plaintext,
  parsePlaintext,
  plaintextLength,
  writePlaintext,
} from "./message.js";
import { TopicKey } from "./topic-key.js";

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
  /** Of a batch: what `formatBatch` made. */
  readonly payload: Uint8Array;
  readonly isBatch: boolean;
}

/*
 * What is written for each message has the same few arrays for all of them: messages are small, and an
 * array of its own costs more than what is written to it. Nothing here is read after the next message,
 * and no code of the caller runs between. What is secret is wiped; the rest travels in clear, or would
 * tell only a holder of the topic key something.
 */
const nonce = new Uint8Array(NONCE_BYTES);
const data = new Writer();
const signedInput = new Writer();
const SMALL_PLAINTEXT = 4096;
const smallPlaintext = new Front(new Uint8Array(SMALL_PLAINTEXT));
const openedSignature = new Uint8Array(SIGNATURE_BYTES);

/**
 * Session (12), four zero bytes, sequence (8, big endian). XChaCha20 makes a key of the first 16
 * bytes, so each session has a key of its own and the sequence is the nonce under it.
 */
function writeNonce({ session, sequence }: Position): Uint8Array {
  nonce.set(session);
  writeBigEndian(nonce, SESSION_BYTES + 4, NONCE_BYTES, sequence);
  return nonce;
}

function writeData(key: TopicKey, { session, sequence, context }: Position): Uint8Array {
  return data.clear().encoded(key.dataPrefix).bytes(session).unsigned(sequence).encoded(knownContext(context).encoded)
    .view;
}

/** What the sender signs, all but the payload: nobody can lift it into another key, session, context or delivery. */
function writeSigned(
  key: TopicKey,
  position: Position,
  content: Pick<Plaintext, "deliveryNumber" | "sentAt" | "payload">,
  sender: Participant,
): Uint8Array {
  return signedInput
    .clear()
    .encoded(key.signaturePrefix)
    .bytes(position.session)
    .unsigned(position.sequence)
    .encoded(knownContext(position.context).encoded)
    .unsigned(content.deliveryNumber)
    .unsigned(content.sentAt)
    .encoded(Participant.encodedKeyOf(sender))
    .bytesHead(content.payload.length).view;
}

/** Signs and encrypts one message. The caller must never use a position twice. */
export function sealMessage(key: TopicKey, identity: Identity, position: Position, content: Content): Uint8Array {
  const { session, sequence } = position;
  const { delivery, isBatch, sentAt, payload } = content;
  const senderHint = Participant.hintOf(identity.participant);
  const { wire, ciphertext } = frameMessage({ keyId: key.id, session, sequence }, plaintextLength(payload.length));
  const signature = writePlaintext(ciphertext, { senderHint, delivery, isBatch, sentAt }, payload);
  const signed = { deliveryNumber: deliveryNumber(content), sentAt, payload };
  identity.signHashed(signature, writeSigned(key, position, signed, identity.participant), payload);
  sealInPlace(TopicKey.messageKeyOf(key), writeNonce(position), writeData(key, position), ciphertext);
  return wire;
}

/** Encrypts what signs for itself. The caller must never use a position twice. */
export function sealControl(key: TopicKey, position: Position, payload: Uint8Array): Uint8Array {
  const { session, sequence } = position;
  const plaintext = formatControlPlaintext(payload);
  const { wire, ciphertext } = frameMessage({ keyId: key.id, session, sequence }, plaintext.length);
  ciphertext.set(plaintext);
  sealInPlace(TopicKey.messageKeyOf(key), writeNonce(position), writeData(key, position), ciphertext);
  return wire;
}

/**
 * Decrypts one message; `undefined` where it is not authentic. Its signature is not checked yet, and must be before the next
 * message is opened, which overwrites it.
 *
 * @throws MalformedMessageError where a holder of the topic key sealed something else than a message
 */
export function openMessage(key: TopicKey, position: Position, ciphertext: Uint8Array): Plaintext | undefined {
  const length = ciphertext.length - TAG_BYTES;
  const plaintext = length <= SMALL_PLAINTEXT ? smallPlaintext.of(length) : new Uint8Array(length);
  const messageKey = TopicKey.messageKeyOf(key);
  if (!openInto(plaintext, messageKey, writeNonce(position), writeData(key, position), ciphertext)) return undefined;
  try {
    return parsePlaintext(plaintext, position.sequence, openedSignature);
  } finally {
    plaintext.fill(0);
  }
}

/** Whether `sender` signed this message, in this position and under this key. */
export function isSignedBy(key: TopicKey, position: Position, plaintext: Plaintext, sender: Participant): boolean {
  const { signature, payload } = plaintext;
  return verifyHashed(signature, writeSigned(key, position, plaintext, sender), payload, Participant.keyOf(sender));
}
