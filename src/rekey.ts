/** The rekey that starts an epoch (PROTOCOL §11): how it is made, read and opened. Which of them counts is not decided here. */
import { toHex, wipe } from "./bytes.js";
import { type CborItem, decode, encode, Writer } from "./cbor.js";
import {
  diffieHellman,
  diffieHellmanEach,
  diffieHellmanKeyPair,
  hash,
  kdf,
  kdfInto,
  labelPrefix,
  open,
  randomBytes,
  seal,
  sealInPlace,
  verify,
} from "./crypto.js";
import { BadSignatureError, MalformedMessageError } from "./errors.js";
import { type Identity, Participant, participantId } from "./identity.js";
import {
  KEY_BYTES,
  MAX_EPOCH,
  MAX_RECIPIENTS,
  MAX_WRAPS_TRIED,
  NONCE_BYTES,
  SENDER_HINT_BYTES,
  SIGNATURE_BYTES,
  TAG_BYTES,
} from "./limits.js";
import { bytesItem, integerItem } from "./message.js";
import { TopicKey } from "./topic-key.js";

/** Bytes of the secret of an epoch, wrapped for one participant. */
const WRAP_BYTES = KEY_BYTES + TAG_BYTES;
/** A wrap has a key of its own, so its nonce needs no randomness. */
const zeroNonce = new Uint8Array(NONCE_BYTES);
const noBytes = new Uint8Array(0);

/** Why a rekey was made, by the number that it has on the wire. */
export const REASONS = ["requested", "removal", "repair"] as const;

/** Why an epoch began: somebody asked for it, somebody was removed, or what was there before did not reach everybody. */
export type RekeyReason = (typeof REASONS)[number];

/** The most bytes of a rekey for so many recipients, as it stands in a message. */
export function mostRekeyBytes(recipients: number): number {
  return 360 + recipients * (SENDER_HINT_BYTES + WRAP_BYTES);
}

/** A rekey without its wraps: what is signed of it, and handed on in replies. */
export interface RekeyHead {
  readonly issuerKey: Uint8Array;
  /** Of the key that it is sealed under. */
  readonly parent: Uint8Array;
  readonly epoch: number;
  readonly reason: RekeyReason;
  readonly ephemeralKey: Uint8Array;
  /** The first 8 bytes of each recipient's id, one after the other. */
  readonly recipients: Uint8Array;
  readonly wrapsHash: Uint8Array;
  /** Of the issuer's statements. */
  readonly digest: Uint8Array;
  /** Of the statements that go out with it. */
  readonly statementsHash: Uint8Array;
  /** Of the new key. */
  readonly commitment: Uint8Array;
  readonly signature: Uint8Array;
}

export interface Rekey extends RekeyHead {
  /** One for each recipient, in their order. */
  readonly wraps: Uint8Array;
}

/** Somebody to whom the secret of an epoch is wrapped. */
export interface Recipient {
  readonly identityKey: Uint8Array;
  readonly wrapKey: Uint8Array;
}

/** All of a rekey but the key that it gives: both are bound to each other. */
function bodyHash(topicId: Uint8Array, rekey: Omit<RekeyHead, "commitment" | "signature">): Uint8Array {
  const { issuerKey, parent, epoch, reason, ephemeralKey, recipients, wrapsHash, digest, statementsHash } = rekey;
  const number = REASONS.indexOf(reason);
  const items = [issuerKey, parent, epoch, number, ephemeralKey, recipients, wrapsHash, digest, statementsHash];
  return hash("rekey", topicId, ...items);
}

/** What a rekey says of the statements that go out with it: nobody else can put others beside it. */
export function hashOfStatements(statements: readonly Uint8Array[]): Uint8Array {
  return hash("rekeyStatements", statements);
}

function signedDigest(body: Uint8Array, commitment: Uint8Array): Uint8Array {
  return hash("rekeySignature", body, commitment);
}

/** The key of the new epoch. */
function epochKey(parent: TopicKey, secret: Uint8Array, epoch: number, body: Uint8Array): Uint8Array {
  const parentKey = parent.bytes;
  try {
    return kdf(parentKey, "epochKey", secret, epoch, body);
  } finally {
    wipe(parentKey);
  }
}

/** What a wrap is bound to besides the two keys. */
interface WrapBinding {
  readonly topicId: Uint8Array;
  readonly issuerKey: Uint8Array;
  readonly parent: Uint8Array;
  readonly epoch: number;
  readonly ephemeralKey: Uint8Array;
}

/** Gives the key of each wrap of one rekey, written to `key`. What is the same for all of them is encoded once. */
function wrapKeyDeriver(binding: WrapBinding): (key: Uint8Array, shared: Uint8Array, recipient: Recipient) => void {
  const { topicId, issuerKey, parent, epoch, ephemeralKey } = binding;
  const front = new Writer().encoded(labelPrefix("wrap", 7)).bytes(topicId).bytes(ephemeralKey).view;
  const back = new Writer().bytes(issuerKey).bytes(parent).unsigned(epoch).view;
  const input = new Writer();
  return (key, shared, { identityKey, wrapKey }) =>
    kdfInto(key, shared, input.clear().encoded(front).bytes(identityKey).bytes(wrapKey).encoded(back).view);
}

/** Makes a rekey and the key that it gives, 32 bytes. Recipients whose wrap key X25519 refuses were refused before. */
export function makeRekey(
  identity: Identity,
  topicId: Uint8Array,
  parent: TopicKey,
  content: {
    readonly epoch: number;
    readonly reason: RekeyReason;
    /** With the first 8 bytes of each id, where they are known. */
    readonly recipients: readonly (Recipient & { readonly hint?: Uint8Array })[];
    readonly digest: Uint8Array;
    /** Those that go out with it. */
    readonly statements: readonly Uint8Array[];
  },
): { rekey: Rekey; key: Uint8Array } {
  const { epoch, reason, digest } = content;
  const secret = randomBytes(KEY_BYTES);
  const ephemeral = diffieHellmanKeyPair();
  const issuerKey = identity.participant.publicKey;
  const ephemeralKey = ephemeral.publicKey;
  const deriveWrapKey = wrapKeyDeriver({ topicId, issuerKey, parent: parent.commitment, epoch, ephemeralKey });
  const wrapKey = new Uint8Array(KEY_BYTES);
  const recipients = new Uint8Array(content.recipients.length * SENDER_HINT_BYTES);
  const wraps = new Uint8Array(content.recipients.length * WRAP_BYTES);
  try {
    let i = 0;
    for (const shared of diffieHellmanEach(
      ephemeral.secretKey,
      content.recipients.map((recipient) => recipient.wrapKey),
    )) {
      if (shared === undefined) throw new RangeError("a wrap key of low order was let in");
      const recipient = content.recipients[i] as Recipient & { readonly hint?: Uint8Array };
      deriveWrapKey(wrapKey, shared, recipient);
      const wrap = wraps.subarray(i * WRAP_BYTES, (i + 1) * WRAP_BYTES);
      wrap.set(secret);
      sealInPlace(wrapKey, zeroNonce, noBytes, wrap);
      const hint = recipient.hint ?? participantId(recipient.identityKey).subarray(0, SENDER_HINT_BYTES);
      recipients.set(hint, i * SENDER_HINT_BYTES);
      wipe(shared);
      i++;
    }
    const wrapsHash = hash("wraps", wraps);
    const statementsHash = hashOfStatements(content.statements);
    const bound = { issuerKey, parent: parent.commitment, epoch, reason, ephemeralKey };
    const body = { ...bound, recipients, wrapsHash, digest, statementsHash };
    const name = bodyHash(topicId, body);
    const key = epochKey(parent, secret, epoch, name);
    const made = new TopicKey(key);
    const { commitment } = made;
    made.wipe();
    const signature = identity.sign(signedDigest(name, commitment));
    return { rekey: { ...body, wraps, commitment, signature }, key };
  } finally {
    wipe(secret, wrapKey, ephemeral.secretKey);
  }
}

function itemsOf(head: RekeyHead, wraps: Uint8Array): CborItem[] {
  const { issuerKey, parent, epoch, reason, ephemeralKey, recipients, digest, statementsHash } = head;
  const front = [issuerKey, parent, epoch, REASONS.indexOf(reason), ephemeralKey, recipients];
  return [...front, wraps, digest, statementsHash, head.commitment, head.signature];
}

export function formatRekey(rekey: Rekey): Uint8Array {
  return encode(itemsOf(rekey, rekey.wraps));
}

/** A rekey as a reply hands it on: a hash in the place of the wraps. */
export function formatHead(head: RekeyHead): Uint8Array {
  return encode(itemsOf(head, head.wrapsHash));
}

/** What is kept of a rekey: its wraps have no use once it was opened, and are most of it. */
export function headOf({ wraps: _wraps, ...head }: Rekey): RekeyHead {
  return head;
}

function parseItems(bytes: Uint8Array, maxWrapBytes: number): RekeyHead & { readonly wraps: Uint8Array } {
  const items = decode(bytes, { maxDepth: 1, maxItems: 12, maxTextBytes: 0 });
  if (typeof items !== "object" || items instanceof Uint8Array || items.length !== 11) {
    throw new MalformedMessageError("expected a rekey of 11 items");
  }
  const recipients = bytesItem("recipients", items[5], 0, MAX_RECIPIENTS * SENDER_HINT_BYTES);
  if (recipients.length % SENDER_HINT_BYTES !== 0)
    throw new MalformedMessageError("expected recipients of 8 bytes each");
  const reason = REASONS[integerItem("a reason", items[3], REASONS.length - 1)] as RekeyReason;
  return {
    issuerKey: bytesItem("an issuer's key", items[0], KEY_BYTES),
    parent: bytesItem("a parent's commitment", items[1], KEY_BYTES),
    epoch: integerItem("an epoch", items[2], MAX_EPOCH),
    reason,
    ephemeralKey: bytesItem("an ephemeral key", items[4], KEY_BYTES),
    recipients,
    wraps: bytesItem("wraps", items[6], 0, maxWrapBytes),
    wrapsHash: noBytes,
    digest: bytesItem("a digest", items[7], KEY_BYTES),
    statementsHash: bytesItem("a hash of statements", items[8], KEY_BYTES),
    commitment: bytesItem("a commitment", items[9], KEY_BYTES),
    signature: bytesItem("a signature", items[10], SIGNATURE_BYTES),
  };
}

export function parseRekey(bytes: Uint8Array): Rekey {
  const items = parseItems(bytes, MAX_RECIPIENTS * WRAP_BYTES);
  if (items.wraps.length / WRAP_BYTES !== items.recipients.length / SENDER_HINT_BYTES) {
    throw new MalformedMessageError("expected one wrap for each recipient");
  }
  return { ...items, wrapsHash: hash("wraps", items.wraps) };
}

export function parseHead(bytes: Uint8Array): RekeyHead {
  const { wraps, ...head } = parseItems(bytes, KEY_BYTES);
  return { ...head, wrapsHash: bytesItem("the hash of the wraps", wraps, KEY_BYTES) };
}

/** @throws BadSignatureError unless the issuer named made it; whether it may is not asked here */
export function verifyHead(topicId: Uint8Array, head: RekeyHead): void {
  const digest = signedDigest(bodyHash(topicId, head), head.commitment);
  if (!verify(head.signature, digest, head.issuerKey)) throw new BadSignatureError(participantId(head.issuerKey));
}

/** A wrap key pair of ours. */
export interface WrapKeyPair {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

/** What opening a rekey gave. */
export type Opened =
  | { readonly result: "opened"; readonly key: Uint8Array; readonly wrapKey: WrapKeyPair }
  /** It has no wrap for us. */
  | { readonly result: "not-wrapped" }
  /** It has one, which does not open, or gives another key than the one announced. */
  | { readonly result: "unfit" };

/** Derives the key of a verified rekey. Wrap keys are tried in the order given. */
export function openRekey(
  topicId: Uint8Array,
  parent: TopicKey,
  rekey: Rekey,
  self: Participant,
  wrapKeys: readonly WrapKeyPair[],
): Opened {
  const hint = Participant.hintOf(self);
  const identityKey = Participant.keyOf(self);
  let result: Opened = { result: "not-wrapped" };
  let tried = 0;
  for (let at = 0; at < rekey.recipients.length && tried < MAX_WRAPS_TRIED; at += SENDER_HINT_BYTES) {
    if (!hint.every((byte, i) => byte === rekey.recipients[at + i])) continue;
    tried++;
    result = { result: "unfit" };
    const start = (at / SENDER_HINT_BYTES) * WRAP_BYTES;
    const wrap = rekey.wraps.subarray(start, start + WRAP_BYTES);
    for (const wrapKey of wrapKeys) {
      const key = openWrap(
        topicId,
        parent,
        rekey,
        wrap,
        { identityKey, wrapKey: wrapKey.publicKey },
        wrapKey.secretKey,
      );
      if (key !== undefined) return { result: "opened", key, wrapKey };
    }
  }
  return result;
}

function openWrap(
  topicId: Uint8Array,
  parent: TopicKey,
  rekey: Rekey,
  wrap: Uint8Array,
  self: Recipient,
  secretKey: Uint8Array,
): Uint8Array | undefined {
  const shared = diffieHellman(secretKey, rekey.ephemeralKey);
  if (shared === undefined) return undefined;
  const key = new Uint8Array(KEY_BYTES);
  wrapKeyDeriver({ topicId, ...rekey })(key, shared, self);
  const secret = open(key, zeroNonce, noBytes, wrap);
  wipe(shared, key);
  if (secret === undefined) return undefined;
  const derived = epochKey(parent, secret, rekey.epoch, bodyHash(topicId, rekey));
  wipe(secret);
  const claimed = new TopicKey(derived);
  claimed.wipe();
  if (toHex(claimed.commitment) === toHex(rekey.commitment)) return derived;
  wipe(derived);
  return undefined;
}

/** What a reply gives only to who has the wrap secret, where somebody comes back. */
export interface ReturnSecrets {
  readonly topicKey: Uint8Array;
  readonly rejoinSecret: Uint8Array;
}

/** Wraps a topic key and a rejoin secret once more, for who comes back: to the wrap key that it had before. */
export function wrapReturn(secrets: ReturnSecrets, recipient: Recipient, binding: Uint8Array): Uint8Array {
  const ephemeral = diffieHellmanKeyPair();
  const shared = diffieHellman(ephemeral.secretKey, recipient.wrapKey);
  if (shared === undefined) throw new RangeError("a wrap key of low order was let in");
  const key = kdf(shared, "returnWrap", ephemeral.publicKey, recipient.identityKey, recipient.wrapKey, binding);
  const plaintext = new Uint8Array(KEY_BYTES + secrets.rejoinSecret.length);
  plaintext.set(secrets.topicKey);
  plaintext.set(secrets.rejoinSecret, KEY_BYTES);
  try {
    const sealed = seal(key, zeroNonce, noBytes, plaintext);
    const wrapped = new Uint8Array(KEY_BYTES + sealed.length);
    wrapped.set(ephemeral.publicKey);
    wrapped.set(sealed, KEY_BYTES);
    return wrapped;
  } finally {
    wipe(shared, key, ephemeral.secretKey, plaintext);
  }
}

/** What was wrapped so; `undefined` where none of our wrap keys opens it. */
export function unwrapReturn(
  wrapped: Uint8Array,
  self: Participant,
  wrapKeys: readonly WrapKeyPair[],
  binding: Uint8Array,
): ReturnSecrets | undefined {
  const ephemeralKey = wrapped.subarray(0, KEY_BYTES);
  for (const { publicKey, secretKey } of wrapKeys) {
    const shared = diffieHellman(secretKey, ephemeralKey);
    if (shared === undefined) return undefined;
    const key = kdf(shared, "returnWrap", ephemeralKey, Participant.keyOf(self), publicKey, binding);
    const plaintext = open(key, zeroNonce, noBytes, wrapped.subarray(KEY_BYTES));
    wipe(shared, key);
    if (plaintext === undefined) continue;
    const secrets = { topicKey: plaintext.slice(0, KEY_BYTES), rejoinSecret: plaintext.slice(KEY_BYTES) };
    wipe(plaintext);
    return secrets;
  }
  return undefined;
}
