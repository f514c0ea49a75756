/// <reference lib="esnext.disposable" preserve="true" />
/** Topic: the only place that orders the checks (PROTOCOL §10). */
import {
  copyBytes,
  describe,
  expectBytes,
  expectOptions,
  fromTableKey,
  toHex,
  toTableKey,
  toUtf8,
  wipe,
} from "./bytes.js";
import { writeBigEndian } from "./cbor.js";
import { Clock, isTime } from "./clock.js";
import { expectContext } from "./context.js";
import { loadCrypto } from "./crypto.js";
import { introductionHash, Newcomer, type OpenedReply, Sponsor, type VerifiedIntroduction } from "./discovery.js";
import {
  type AnyDelivery,
  BadSignatureError,
  BatchError,
  ClockError,
  DecryptionError,
  type Delivery,
  DisposedError,
  type Introduction,
  IntroductionError,
  IntroductionReplyError,
  MalformedMessageError,
  MessageTooLargeError,
  MissingTopicKeyError,
  ReplayError,
  type Reply,
  RetainedCommandError,
  StaleMessageError,
  type Standing,
  UnexpectedDeliveryError,
  UnknownTopicKeyError,
  UntrustedKeyError,
  WillError,
} from "./errors.js";
import { generateSigningKeySeed, Identity, type Participant } from "./identity.js";
import { Keyring, type TopicKey } from "./keyring.js";
import {
  DEFAULT_COMMAND_MAX_AGE,
  DEFAULT_MAX_CLOCK_SKEW,
  DEFAULT_MAX_PAYLOAD_BYTES,
  KEY_BYTES,
  KEY_ID_BYTES,
  MAX_BATCH_PAYLOADS,
  MAX_PAYLOAD_BYTES,
} from "./limits.js";
import {
  batchLength,
  formatBatch,
  isDisplayName,
  type Plaintext,
  parse,
  type WireIntroduction,
  type WireMessage,
  type WireReply,
} from "./message.js";
import {
  CONTEXT_OPTIONS,
  type DecodeOptions,
  ENCODE_OPTIONS,
  type EncodeOptions,
  expectMilliseconds,
  expectSentDelivery,
  INTRODUCTION_OPTIONS,
  type NaiveDecodeOptions,
  type ReadDecodeOptions,
  readDecodeOptions,
  TOPIC_OPTIONS,
  type TopicOptions,
  type WillMessages,
} from "./options.js";
import { Pins } from "./participants.js";
import { Received, UnverifiedMessage } from "./received.js";
import { type Mark, ReplayMemory } from "./replay.js";
import { isSignedBy, openMessage, type Position, sealMessage } from "./sealing.js";
import { SendingSessions } from "./sessions.js";

/** How something is sent. */
interface Sending {
  readonly delivery: Delivery;
  readonly context: string;
  readonly sentAt: number;
}

const NAIVE_DELIVERIES: readonly Delivery[] = ["event", "state"];

/**
 * A one-to-many channel that an untrusted broker carries, as one participant sees it. All participants share one topic key;
 * each has an identity, and reads only those whom it trusts.
 *
 * @example
 * ```ts
 * import { generateTopicKey, Topic } from "stringphone";
 *
 * const topicKey = generateTopicKey();
 * const alice = await Topic.create({ topicKey, name: "home/kitchen" });
 * const bob = await Topic.create({ topicKey, name: "home/kitchen", participants: [alice.publicKey] });
 * console.log(bob.decode(alice.encode("Hi Bob!"))?.text()); // "Hi Bob!"
 * ```
 */
export class Topic {
  /** What messages are bound to unless a call names another context. */
  readonly name: string;
  /** Bytes of the largest payload, sent or received; of a batch, of all payloads in it. */
  readonly maxPayloadBytes: number;
  readonly #identity: Identity;
  readonly #keyring = new Keyring();
  readonly #pins = new Pins();
  readonly #clock: Clock;
  readonly #sessions: SendingSessions;
  readonly #replays = new ReplayMemory();
  readonly #newcomer = new Newcomer();
  readonly #sponsor: Sponsor;
  readonly #introductions = new WeakMap<Introduction, VerifiedIntroduction>();
  readonly #opened = new WeakMap<Reply, OpenedReply>();
  #disposed = false;

  private constructor(options: TopicOptions) {
    expectOptions(options, TOPIC_OPTIONS);
    const { name = "", maxPayloadBytes = DEFAULT_MAX_PAYLOAD_BYTES, clock = Date.now } = options;
    this.name = expectContext("name", name);
    if (!Number.isInteger(maxPayloadBytes) || maxPayloadBytes < 0 || maxPayloadBytes > MAX_PAYLOAD_BYTES) {
      throw new RangeError(
        `"maxPayloadBytes" expected an integer from 0 to ${MAX_PAYLOAD_BYTES}, got ${maxPayloadBytes}`,
      );
    }
    this.maxPayloadBytes = maxPayloadBytes;
    if (typeof clock !== "function") throw new TypeError(`"clock" expected a function, got ${describe(clock)}`);
    this.#clock = new Clock(clock, expectMilliseconds("maxClockSkew", options.maxClockSkew ?? DEFAULT_MAX_CLOCK_SKEW));
    const seed = options.seed === undefined ? generateSigningKeySeed() : copyBytes("seed", options.seed, KEY_BYTES);
    this.#identity = new Identity(seed);
    seed.fill(0);
    this.#sessions = new SendingSessions(this.#identity);
    this.#sponsor = new Sponsor(this.#clock);
    this.topicKey = options.topicKey;
    for (const publicKey of options.participants ?? []) this.addParticipant(publicKey);
  }

  /**
   * Makes a topic. Asynchronous because libsodium's WebAssembly is; everything after it is synchronous.
   *
   * @throws TypeError, RangeError for options of a wrong type or length
   * @throws InvalidKeyError when a participant's key is none that an honest program makes
   * @throws BackendError when `backend` names one that cannot be had
   */
  static async create(options: TopicOptions = {}): Promise<Topic> {
    // Before a backend is chosen for the whole process.
    expectOptions(options, TOPIC_OPTIONS);
    await loadCrypto(options.backend);
    return new Topic(options);
  }

  /** Our own Ed25519 public key, 32 bytes, a copy: what others add as participant. */
  get publicKey(): Uint8Array {
    return this.#identity.participant.publicKey;
  }

  /** Our own id: the first 16 bytes of SHA-256 of the public key, a copy. */
  get id(): Uint8Array {
    return this.#identity.participant.id;
  }

  /** Those whom we trust, in the order in which they were added. The list is a copy. */
  get participants(): readonly Participant[] {
    return this.#pins.list();
  }

  /** The topic key, 32 secret bytes, a copy; `undefined` while there is none. */
  get topicKey(): Uint8Array | undefined {
    this.#expectLive();
    return this.#keyring.current?.bytes;
  }

  /**
   * Takes another topic key (copied), or with `undefined` forgets it. The one before is wiped: messages under it are an
   * `UnknownTopicKeyError` from now on. A new key ends the introductions of ours that wait for one.
   */
  set topicKey(topicKey: Uint8Array | undefined) {
    this.#expectLive();
    const key = topicKey === undefined ? undefined : copyBytes("topicKey", topicKey, KEY_BYTES);
    this.#keyring.replace(key);
    key?.fill(0);
    // What we asked for is answered; a reply that was opened before must not bring an older key back.
    if (topicKey !== undefined) this.#newcomer.end();
  }

  /**
   * Trusts a participant: its messages are read from now on, and its introductions may be answered. Compare its fingerprint
   * with a person before. Events that it sent earlier are new to this program, however old: name a `maxAge` where that
   * matters. A second time changes nothing.
   *
   * @param publicKey 32 bytes, copied
   * @throws InvalidKeyError when it is not a canonical point of the prime-order subgroup
   */
  addParticipant(publicKey: Uint8Array): Participant {
    this.#expectLive();
    return this.#pins.add(publicKey);
  }

  /**
   * Mutes a participant: its messages are an `UntrustedKeyError` from now on. It keeps the topic key and can read on; what it
   * sent before stays refused as a replay, also after it is added again.
   *
   * @param participant its public key (32 bytes) or id (16 bytes)
   * @returns whether it was trusted before
   */
  removeParticipant(participant: Uint8Array): boolean {
    this.#expectLive();
    return this.#pins.remove(participant);
  }

  /**
   * Signs and encrypts a payload. Publish the result as it is, as bytes.
   *
   * @param payload text, sent as UTF-8, or bytes; may be empty
   * @throws MissingTopicKeyError while there is no topic key: nothing leaves in clear
   * @throws MessageTooLargeError when the payload exceeds `maxPayloadBytes`
   * @throws ClockError when a `state` or `command` is sent by a clock that is not set, went back, or ran ahead before
   */
  encode(payload: string | Uint8Array, options: EncodeOptions = {}): Uint8Array {
    this.#expectLive();
    const wanted = this.#sending(options);
    return this.#seal(this.#payload(payload), 1, false, wanted);
  }

  /**
   * Signs and encrypts many payloads at once, as one wire message under one signature: far cheaper for each than `encode`. They
   * arrive together or not at all. Receivers need `decodeBatch`, which gives each with a sequence of its own; their `decode`
   * throws a `BatchError` and accepts nothing.
   *
   * @param payloads 1 to 1,024 of what `encode` takes; together, with one to five bytes for each, at most `maxPayloadBytes`
   * @throws RangeError for none, or too many
   * @throws MissingTopicKeyError, MessageTooLargeError, ClockError as `encode` does
   * @example
   * ```ts
   * import { generateTopicKey, Topic } from "stringphone";
   *
   * const topicKey = generateTopicKey();
   * const alice = await Topic.create({ topicKey, name: "home/kitchen" });
   * const bob = await Topic.create({ topicKey, name: "home/kitchen", participants: [alice.publicKey] });
   * const wire = alice.encodeBatch(["21.5 °C", "21.6 °C"]);
   * for (const message of bob.decodeBatch(wire)) console.log(message.sequence, message.text());
   * ```
   */
  encodeBatch(payloads: Iterable<string | Uint8Array>, options: EncodeOptions = {}): Uint8Array {
    this.#expectLive();
    if (typeof payloads === "string" || ArrayBuffer.isView(payloads)) {
      throw new TypeError(`"payloads" expected a list of payloads, got ${describe(payloads)}: call encode() for one`);
    }
    const parts: Uint8Array[] = [];
    let length = 0;
    // What gives the payloads is the caller's code: it may use a buffer again for the next, or change this topic.
    for (const payload of payloads) {
      if (parts.length === MAX_BATCH_PAYLOADS) {
        throw new RangeError(
          `"payloads" expected at most ${MAX_BATCH_PAYLOADS} payloads, got more: make several batches`,
        );
      }
      const part = this.#payload(payload);
      length += part.length;
      this.#expectFits(length);
      parts.push(part.slice());
    }
    if (parts.length === 0) throw new RangeError('"payloads" expected at least one payload, got none');
    this.#expectFits(batchLength(parts));
    const wanted = this.#sending(options);
    const batch = formatBatch(parts);
    try {
      return this.#seal(batch, parts.length, true, wanted);
    } finally {
      wipe(batch, ...parts);
    }
  }

  /**
   * Makes a last will with the `alive` that names it and the `farewell` that withdraws it. Call it for each connect, also when
   * a client reconnects by itself: receivers take each will once. See {@link WillMessages} for when to publish which.
   *
   * @throws MissingTopicKeyError, MessageTooLargeError, ClockError as `encode` does for a state
   */
  encodeWill(payload: string | Uint8Array, options: { readonly context?: string } = {}): WillMessages {
    this.#expectLive();
    expectOptions(options, CONTEXT_OPTIONS);
    const bytes = this.#payload(payload).slice();
    const context = this.#context(options.context);
    this.#key();
    this.#clock.expectUsable("will");
    const single = (delivery: AnyDelivery, content: Uint8Array) => {
      const sentAt = this.#clock.nextSentAt();
      this.#expectLive();
      const position: Position = this.#sessions.single(context, sentAt);
      const message = { delivery, sentAt, payload: content, isBatch: false };
      const wire = sealMessage(this.#key(), this.#identity, position, message);
      return { position, wire };
    };
    const will = single("will", bytes);
    const alive = single("alive", will.position.session);
    const farewell = single("alive", new Uint8Array(0));
    return { will: will.wire, alive: alive.wire, farewell: farewell.wire };
  }

  /**
   * Decrypts a message without checking who signed it, or whether it came before: every holder of the topic key can forge it,
   * and the broker can replay it. Never acts for a command or a will, which are refused here.
   */
  decode(wire: Uint8Array, options: NaiveDecodeOptions): UnverifiedMessage;
  /**
   * Decrypts, verifies and accepts one message. `null` means one thing: valid, and nothing for the application (our own
   * message, one ignored on request, a control message that was applied). Everything else throws, and an error changes
   * nothing but what it says.
   *
   * @param wire the bytes as the transport gave them
   * @throws IntroductionError, IntroductionReplyError when somebody asks for the topic key, or gives it to us
   * @throws UntrustedKeyError when its sender is not among our participants
   * @throws ReplayError when it was given before: brokers repeat messages, ignore it
   * @throws StringphoneError any other of {@link AnyStringphoneError}; README has the table of what to do
   */
  decode(wire: Uint8Array, options?: DecodeOptions): Received | null;
  decode(wire: Uint8Array, options?: DecodeOptions | NaiveDecodeOptions): Received | UnverifiedMessage | null {
    return this.#decode(wire, options, false)?.[0] ?? null;
  }

  /** Decrypts a batch without checking who signed it, or whether it came before: see `decode`. */
  decodeBatch(wire: Uint8Array, options: NaiveDecodeOptions): readonly UnverifiedMessage[];
  /**
   * The same as `decode`, for whatever comes: what `encodeBatch` made gives all its payloads in order, any other message gives one,
   * and where `decode` returns `null` there are none. A batch is accepted or refused as a whole. The sequences of its payloads
   * follow each other; they share `sentAt` and delivery.
   *
   * @throws the errors that `decode` throws, but for `BatchError`
   */
  decodeBatch(wire: Uint8Array, options?: DecodeOptions): readonly Received[];
  decodeBatch(
    wire: Uint8Array,
    options?: DecodeOptions | NaiveDecodeOptions,
  ): readonly (Received | UnverifiedMessage)[] {
    return this.#decode(wire, options, true) ?? [];
  }

  /**
   * Makes an introduction: publish it, and hand what comes to `decode` until it throws an `IntroductionReplyError`. It may be
   * answered for ten minutes; at most four wait at a time, a further one ends the oldest.
   *
   * @param options.name what this participant calls itself: at most 64 bytes of UTF-8, without control characters. Anybody on
   *   the channel can read it.
   */
  constructIntro(options: { readonly name?: string; readonly context?: string } = {}): Uint8Array {
    this.#expectLive();
    expectOptions(options, INTRODUCTION_OPTIONS);
    const { name = "" } = options;
    if (typeof name !== "string" || !isDisplayName(name)) {
      throw new RangeError('"name" expected at most 64 bytes of UTF-8 without control characters');
    }
    const context = this.#context(options.context);
    const sentAt = this.#clock.nextSentAt();
    this.#expectLive();
    return this.#newcomer.introduce(this.#identity, { name, sentAt, context });
  }

  /**
   * Answers an introduction with the topic key, once. Call `addParticipant` with its sender before, after a person compared
   * fingerprints: whoever gets a reply reads the topic from then on.
   *
   * @param introduction the bytes, or the very object that this topic's `decode` threw
   * @throws UntrustedKeyError when its sender is not among our participants
   * @throws MissingTopicKeyError when we have no key to give
   * @throws StaleMessageError, ClockError, ReplayError when it is too old, ahead of us, or answered already
   * @throws InvalidKeyError when it asks for encryption to a key that is none
   */
  constructReply(introduction: Uint8Array | Introduction, options: { readonly context?: string } = {}): Uint8Array {
    this.#expectLive();
    expectOptions(options, CONTEXT_OPTIONS);
    const now = this.#clock.read();
    this.#expectLive();
    const verified = this.#verifiedIntroduction(introduction, options.context, now);
    if (!this.#pins.has(verified.wire.identityKey)) {
      throw new UntrustedKeyError(
        verified.sender.id,
        "the sender of this introduction is not trusted: compare its fingerprint, then addParticipant()",
      );
    }
    return this.#sponsor.answer(verified, this.#identity, () => this.#key(), now);
  }

  /**
   * Adopts the topic key of a reply, once a person compared the sponsor's fingerprint, and ends all introductions of ours.
   * Call `addParticipant` with the sponsor's key after it, to read the sponsor.
   *
   * @param reply the bytes, or the very object that this topic's `decode` threw
   * @returns true: the topic key is ours now
   * @throws ForeignReplyError when it answers no introduction of ours that is still open
   */
  parseReply(reply: Uint8Array | Reply, options: { readonly context?: string } = {}): boolean {
    this.#expectLive();
    expectOptions(options, CONTEXT_OPTIONS);
    const opened = this.#openedReply(reply, options.context);
    const key = this.#newcomer.keyOf(opened);
    this.topicKey = key;
    key.fill(0);
    return true;
  }

  /** Begins a new session in every context: receivers count from 0 again, and report no loss in between. */
  renewSessions(): void {
    this.#expectLive();
    this.#sessions.renew();
  }

  /**
   * Takes the clock as it is now for right, after it had run ahead or was set back: `sentAt` follows it again. Receivers may
   * refuse our states until it passes the newest one that they accepted, and, after sixteen more sessions of ours, events that are
   * not newer than those sent while the clock ran ahead.
   */
  resetClock(): void {
    this.#expectLive();
    this.#clock.reset();
  }

  /** Wipes all secrets, as far as JavaScript allows. Every later call but this one throws a `DisposedError`. */
  dispose(): void {
    if (this.#disposed) return;
    this.#keyring.replace(undefined);
    this.#newcomer.end();
    this.#identity.wipe();
    this.#disposed = true;
  }

  /** The same as `dispose`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Who and where; never a secret. */
  toJSON(): { name: string; id: string } {
    return { name: this.name, id: toHex(this.id) };
  }

  #expectLive(): void {
    if (this.#disposed) throw new DisposedError();
  }

  #context(context: string | undefined): string {
    return context === undefined ? this.name : expectContext("context", context);
  }

  #key(): TopicKey {
    const key = this.#keyring.current;
    if (key === undefined) throw new MissingTopicKeyError();
    return key;
  }

  #payload(payload: string | Uint8Array): Uint8Array {
    const bytes =
      typeof payload === "string" ? toUtf8("payload", payload) : expectBytes("payload (or a string)", payload);
    this.#expectFits(bytes.length);
    return bytes;
  }

  #expectFits(length: number): void {
    if (length > this.maxPayloadBytes) throw new MessageTooLargeError(length, this.maxPayloadBytes);
  }

  /** Reads how something is to be sent, and when: the last code of the caller that runs before it is sealed. */
  #sending(options: EncodeOptions): Sending {
    expectOptions(options, ENCODE_OPTIONS);
    const { delivery: given = "event", context } = options;
    const delivery = expectSentDelivery(given);
    const checked = this.#context(context);
    this.#key();
    if (delivery !== "event") this.#clock.expectUsable(delivery);
    const sentAt = this.#clock.nextSentAt();
    this.#expectLive();
    return { delivery, context: checked, sentAt };
  }

  /** Seals what takes `count` sequences. */
  #seal(payload: Uint8Array, count: number, isBatch: boolean, { delivery, context, sentAt }: Sending): Uint8Array {
    // The key is taken here, because the caller's code may have changed it.
    const key = this.#key();
    const position = this.#sessions.next(context, sentAt, count);
    return sealMessage(key, this.#identity, position, { delivery, sentAt, payload, isBatch });
  }

  #decode(
    wire: Uint8Array,
    options: DecodeOptions | NaiveDecodeOptions | undefined,
    takesBatches: boolean,
  ): readonly Received[] | readonly UnverifiedMessage[] | null {
    this.#expectLive();
    // All code of the caller runs here, before anything is decided: its options may be computed, and its clock is a function.
    const wanted = readDecodeOptions(options);
    const context = this.#context(wanted.context);
    const now = this.#clock.read();
    this.#expectLive();
    const bytes = expectBytes("wire", wire);
    const message = parse(bytes, this.maxPayloadBytes);
    if (message.type === "introduction") return this.#raiseIntroduction(bytes, message, context, now);
    if (message.type === "reply") return this.#raiseReply(bytes, message, context);
    return this.#decodeMessage(message, context, wanted, now, takesBatches);
  }

  #standing(participant: Participant): Standing {
    if (participant.equals(this.#identity.participant)) return "self";
    return this.#pins.has(participant.publicKey) ? "pinned" : "unknown";
  }

  #raiseIntroduction(bytes: Uint8Array, wire: WireIntroduction, context: string, now: number | undefined): null {
    const name = introductionHash(bytes);
    if (this.#newcomer.made(name)) return null;
    const verified = this.#sponsor.raise(wire, name, context, now);
    const { sender } = verified;
    const introduction: Introduction = Object.freeze({
      senderKey: sender.publicKey,
      senderId: sender.id,
      fingerprint: sender.fingerprint,
      name: wire.name,
      sentAt: wire.sentAt,
      standing: this.#standing(sender),
    });
    this.#introductions.set(introduction, verified);
    throw new IntroductionError(introduction);
  }

  #raiseReply(bytes: Uint8Array, wire: WireReply, context: string): null {
    if (this.#sponsor.sent(bytes)) return null;
    const opened = this.#newcomer.open(bytes, wire, context, false);
    const { sponsor } = opened;
    const reply: Reply = Object.freeze({
      senderKey: sponsor.publicKey,
      senderId: sponsor.id,
      fingerprint: sponsor.fingerprint,
      standing: this.#standing(sponsor),
    });
    this.#opened.set(reply, opened);
    throw new IntroductionReplyError(reply);
  }

  #verifiedIntroduction(
    given: Uint8Array | Introduction,
    context: string | undefined,
    now: number | undefined,
  ): VerifiedIntroduction {
    const known = this.#introductions.get(given as Introduction);
    if (known !== undefined) return known;
    const bytes = expectBytes("introduction", given);
    const wire = parse(bytes, this.maxPayloadBytes);
    if (wire.type !== "introduction") throw new MalformedMessageError(`expected an introduction, got a ${wire.type}`);
    return this.#sponsor.verify(wire, introductionHash(bytes), this.#context(context), now);
  }

  #openedReply(given: Uint8Array | Reply, context: string | undefined): OpenedReply {
    const known = this.#opened.get(given as Reply);
    if (known !== undefined) return known;
    const bytes = expectBytes("reply", given);
    const wire = parse(bytes, this.maxPayloadBytes);
    if (wire.type !== "reply") throw new MalformedMessageError(`expected a reply, got a ${wire.type}`);
    return this.#newcomer.open(bytes, wire, this.#context(context), true);
  }

  #open(keyId: number, position: Position, ciphertext: Uint8Array): { key: TopicKey; plaintext: Plaintext } {
    if (this.#keyring.current === undefined) throw new MissingTopicKeyError();
    const candidates = this.#keyring.candidates(keyId);
    if (candidates.length === 0) {
      const bytes = new Uint8Array(KEY_ID_BYTES);
      writeBigEndian(bytes, 0, KEY_ID_BYTES, keyId);
      throw new UnknownTopicKeyError(bytes);
    }
    for (const key of candidates) {
      const plaintext = openMessage(key, position, ciphertext);
      if (plaintext !== undefined) return { key, plaintext };
    }
    throw DecryptionError.withoutStack();
  }

  #decodeMessage(
    wire: WireMessage,
    context: string,
    wanted: ReadDecodeOptions,
    now: number | undefined,
    takesBatches: boolean,
  ): readonly Received[] | readonly UnverifiedMessage[] | null {
    const { keyId, session, sequence, ciphertext } = wire;
    const position = { session, sequence, context };
    const { key, plaintext } = this.#open(keyId, position, ciphertext);
    const { delivery, sentAt, payload, batch, senderHint } = plaintext;
    if (wanted.naive) {
      expectDelivery(
        delivery,
        NAIVE_DELIVERIES.filter((one) => wanted.expected.includes(one)),
      );
      expectSingle(batch, takesBatches);
      return (batch ?? [payload]).map((one) => new UnverifiedMessage(one.slice(), fromTableKey(senderHint)));
    }

    const mark = { session: toTableKey(session), sequence, sentAt, delivery, count: batch?.length ?? 1 };
    const self = this.#identity.participant;
    const isOwn = senderHint === self.hint && isSignedBy(key, position, plaintext, self);
    if (isOwn && (!wanted.hearOwn || this.#sessions.isOwn(mark.session, sentAt))) return null;
    const trusted = isOwn ? [self] : this.#pins.withHint(senderHint);
    if (trusted.length === 0) {
      // Our own hint, but not our signature: a forgery, not a stranger.
      if (senderHint === self.hint) throw new BadSignatureError(fromTableKey(senderHint));
      if (wanted.ignoreUntrusted) return null;
      throw new UntrustedKeyError(
        fromTableKey(senderHint),
        "the sender is not trusted: compare its fingerprint, then addParticipant()",
      );
    }

    let sender: Participant | undefined;
    let repetition: "seen" | "too-old" | undefined;
    let refusal: "seen" | "too-old" | undefined;
    let isUnseen = false;
    for (const one of trusted) {
      // Before the signature check, which is the dear one: a repeated message is refused at the price of its decryption.
      repetition = this.#replays.seen(one.hex, context, mark);
      if (repetition !== undefined && !wanted.allowReplay) {
        refusal ??= repetition;
        continue;
      }
      isUnseen = true;
      if (isOwn || isSignedBy(key, position, plaintext, one)) {
        sender = one;
        break;
      }
    }
    if (refusal !== undefined && !isUnseen) throw replayed(refusal);
    if (sender === undefined) throw new BadSignatureError(fromTableKey(senderHint));

    this.#checkTime(delivery, sentAt, now, wanted.maxAge);
    if (delivery === "alive") {
      this.#replays.acceptAlive(sender.hex, context, mark, payload);
      return null;
    }
    expectDelivery(delivery, wanted.expected);
    expectSingle(batch, takesBatches);
    if (delivery === "command" && wanted.retained) throw new RetainedCommandError();
    const isReplay = repetition !== undefined || this.#isOutdated(sender, context, mark, wanted.allowReplay);
    // Only now may anything change: the message is authentic, in time, and new.
    const missed = isReplay ? undefined : this.#replays.accept(sender.hex, context, mark);
    if (batch === undefined) {
      return [new Received(payload, { sender, sentAt, delivery, sequence, missed, replayed: isReplay })];
    }
    return batch.map((one, i) => {
      const missedBefore = i === 0 || isReplay ? missed : 0;
      const facts = { sender, sentAt, delivery, sequence: sequence + i, missed: missedBefore, replayed: isReplay };
      return new Received(one.slice(), facts);
    });
  }

  /** The rule of a delivery, as far as it looks back and is no repetition. True where only `allowReplay` lets it through. */
  #isOutdated(sender: Participant, context: string, mark: Mark, allowReplay: boolean): boolean {
    if (mark.delivery === "state") {
      const age = this.#replays.stateAge(sender.hex, context, mark);
      if (age === undefined) return false;
      if (!allowReplay) throw new StaleMessageError(age, `a newer state of this sender was accepted, by ${age} ms`);
      return true;
    }
    if (mark.delivery === "will") {
      const refusal = this.#replays.willRefusal(sender.hex, context, mark);
      if (refusal === undefined) return false;
      if (!allowReplay) throw new WillError(refusal);
      return true;
    }
    return false;
  }

  /** What a verified message's time must be, by the two clocks. */
  #checkTime(delivery: AnyDelivery, sentAt: number, now: number | undefined, maxAge: number | undefined): void {
    const ahead = delivery === "event" || delivery === "will" ? undefined : this.#clock.tooFarAhead(sentAt, now);
    if (ahead !== undefined) {
      throw new ClockError("sender", ahead, `the ${delivery} is ${ahead} ms ahead of our clock: compare both clocks`);
    }
    const most = maxAge ?? (delivery === "command" ? DEFAULT_COMMAND_MAX_AGE : undefined);
    if (most === undefined || delivery === "alive") return;
    if (now === undefined) {
      throw new ClockError(
        "ours",
        undefined,
        `the age of a ${delivery} cannot be told: set our clock, then call resetClock()`,
      );
    }
    if (!isTime(sentAt)) {
      throw new ClockError("sender", undefined, `the age of a ${delivery} cannot be told: its sender has no clock`);
    }
    if (sentAt - now > most) {
      throw new ClockError("sender", sentAt - now, `the ${delivery} is ${sentAt - now} ms ahead of our clock`);
    }
    if (now - sentAt > most) {
      throw new StaleMessageError(now - sentAt, `the ${delivery} is ${now - sentAt} ms old, more than ${most}`);
    }
  }
}

function expectSingle(batch: readonly Uint8Array[] | undefined, takesBatches: boolean): void {
  if (batch !== undefined && !takesBatches) throw new BatchError(batch.length);
}

function expectDelivery(delivery: AnyDelivery, expected: readonly Delivery[]): asserts delivery is Delivery {
  if (delivery !== "alive" && expected.includes(delivery)) return;
  throw new UnexpectedDeliveryError(
    delivery,
    expected,
    `expected ${expected.join(" or ")}, got a message that was sent as ${delivery}`,
  );
}

function replayed(reason: "seen" | "too-old"): ReplayError {
  return new ReplayError(
    reason,
    reason === "seen" ? "this message was given before" : "this message is older than what is remembered of its sender",
  );
}
