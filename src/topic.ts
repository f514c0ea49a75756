/// <reference lib="esnext.disposable" preserve="true" />
/** Topic: the only place that orders the checks (PROTOCOL §13). */
import {
  copyBytes,
  copyKeys,
  describe,
  equalBytes,
  expectBytes,
  expectOptions,
  expectSwitch,
  fromTableKey,
  toHex,
  toTableKey,
  toUtf8,
  wipe,
} from "./bytes.js";
import { writeBigEndian } from "./cbor.js";
import { Clock, isTime, runningTime, wakeAfter } from "./clock.js";
import { expectContext } from "./context.js";
import { loadCrypto } from "./crypto.js";
import {
  introductionHash,
  isProofOf,
  Newcomer,
  type OpenedReply,
  parseRejoin,
  Remembered,
  Sponsor,
  type VerifiedIntroduction,
} from "./discovery.js";
import {
  type AnyDelivery,
  BadSignatureError,
  BatchError,
  ClockError,
  DecryptionError,
  type Delivery,
  DisposedError,
  ForbiddenError,
  ForeignReplyError,
  type Introduction,
  IntroductionError,
  IntroductionReplyError,
  isStringphoneError,
  MalformedMessageError,
  MessageTooLargeError,
  MissingTopicKeyError,
  RateLimitError,
  ReplayError,
  type Reply,
  RetainedCommandError,
  StaleMessageError,
  type Standing,
  StateError,
  UnexpectedDeliveryError,
  UnknownTopicKeyError,
  UntrustedKeyError,
  WillError,
} from "./errors.js";
import type { ControlMessage, RekeyWant, TopicEvent, TopicListener } from "./events.js";
import { Gaps, spread } from "./gaps.js";
import { expectIdentityKey, generateSigningKeySeed, Identity, type Participant } from "./identity.js";
import { type Kept, KeptMessages } from "./kept.js";
import { type Epoch, type FoundKey, Keyring } from "./keyring.js";
import {
  DEFAULT_COMMAND_MAX_AGE,
  DEFAULT_GRACE,
  DEFAULT_MAX_CLOCK_SKEW,
  DEFAULT_MAX_PAYLOAD_BYTES,
  ID_BYTES,
  KEY_BYTES,
  KEY_ID_BYTES,
  MAX_BATCH_PAYLOADS,
  MAX_CONTROL_BYTES,
  MAX_DISPLAY_NAME_BYTES,
  MAX_PAYLOAD_BYTES,
  MAX_REMEMBERED_INTRODUCTIONS,
  MAX_REPAIRS,
  MAX_ROOTS,
  MAX_SENDERS_GONE,
  MAX_STATEMENTS,
  MIN_RATCHET_INTERVAL,
  MIN_WIRE_BYTES,
} from "./limits.js";
import {
  batchLength,
  formatBatch,
  formatControl,
  isDisplayName,
  MAX_OVERHEAD_BYTES,
  type Plaintext,
  parse,
  parseControl,
  type ReplyContent,
  UNROOTED,
  type WireIntroduction,
  type WireMessage,
  type WireReply,
} from "./message.js";
import {
  ADMIT_OPTIONS,
  type AdmitOptions,
  CONTEXT_OPTIONS,
  copyOptions,
  type DecodeOptions,
  ENCODE_OPTIONS,
  type EncodeOptions,
  ESTABLISH_OPTIONS,
  type EstablishOptions,
  expectMilliseconds,
  expectSentDelivery,
  INTRODUCTION_OPTIONS,
  LOAD_OPTIONS,
  type LoadOptions,
  type NaiveDecodeOptions,
  REVOKE_OPTIONS,
  type ReadDecodeOptions,
  type RevokeOptions,
  readDecodeOptions,
  TOPIC_OPTIONS,
  type TopicOptions,
  type WillMessages,
} from "./options.js";
import { expectKeyOrId, type Member, Members, Pins } from "./participants.js";
import { Received, UnverifiedMessage } from "./received.js";
import { unwrapReturn, wrapReturn } from "./rekey.js";
import { type Mark, ReplayMemory } from "./replay.js";
import { type Change, type Control, type Keep, participantOf, Rooted, saltOf } from "./rooted.js";
import type { Role } from "./roster.js";
import { isSignedBy, openMessage, type Position, sealControl, sealMessage } from "./sealing.js";
import { SendingSessions } from "./sessions.js";
import { formatState, type OwnRekey, parseState, type SavedTopic, stateErrorOf, wipeSaved } from "./state.js";
import { formatWrap, parseWrap } from "./statements.js";
import { StepBudget } from "./step-budget.js";
import { generateTopicKey, TopicKey } from "./topic-key.js";
import { WrapKeys } from "./wrap-keys.js";

/** What opened, and under which key. */
interface OpenedMessage {
  readonly found: FoundKey;
  readonly plaintext: Plaintext;
}

/** How something is sent. */
interface Sending {
  readonly delivery: Delivery;
  readonly context: string;
  readonly sentAt: number;
}

/** What a timer waits at least, so that whatever is due cannot keep a program busy; and the longest that it can. */
const MIN_TIMEOUT = 1000;
const MAX_TIMEOUT = 2 ** 31 - 1;

/** The turn of those who are no admins, where many could do the same. */
const RANK_OF_OTHERS = 8;

const MAX_WIRE_BYTES = MAX_PAYLOAD_BYTES + MAX_OVERHEAD_BYTES;

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
  readonly #wrapKeys = new WrapKeys();
  readonly #members = new Members();
  readonly #kept = new KeptMessages();
  readonly #gaps = new Gaps();
  #budget: StepBudget;
  readonly #maxWireBytes: number;
  readonly #ratchetEvery: number | undefined;
  readonly #grace: number;
  readonly #answersReturning: boolean;
  readonly #listener: TopicListener | undefined;
  /** Hashes of introductions whose senders a person admitted since. */
  readonly #admitted = new Remembered(MAX_REMEMBERED_INTRODUCTIONS);
  #rooted: Rooted | undefined;
  /** At which epoch that counts, and why, a rekey is wanted from us. */
  #wantedFor: string | undefined;
  /** How many of ours did not change that. */
  #lostRepairs = 0;
  /** Public keys in hex: those who lost the key by the next epoch, unless they are on the roster again by then. */
  readonly #removed = new Set<string>();
  /** By the clock: when the key last stepped, or was new. */
  #steppedAt: number | undefined;
  /** Our latest rekey, until it comes back from the broker: the program may have ended before it was published, and then has to be told again. */
  #ownRekey: OwnRekey | undefined;
  /** Running time at which to publish what others may not know. */
  #spreadAt: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #disposed = false;

  private constructor(options: TopicOptions) {
    expectOptions(options, TOPIC_OPTIONS);
    const { name = "", clock = Date.now } = options;
    this.name = expectContext("name", name);
    this.#maxWireBytes = expectBytesWithin("maxWireBytes", options.maxWireBytes, MIN_WIRE_BYTES, MAX_WIRE_BYTES);
    const mostPayload = Math.min(MAX_PAYLOAD_BYTES, this.#maxWireBytes - MAX_OVERHEAD_BYTES);
    const { maxPayloadBytes = Math.min(DEFAULT_MAX_PAYLOAD_BYTES, mostPayload) } = options;
    this.maxPayloadBytes = expectBytesWithin("maxPayloadBytes", maxPayloadBytes, 0, mostPayload);
    if (typeof clock !== "function") throw new TypeError(`"clock" expected a function, got ${describe(clock)}`);
    this.#clock = new Clock(clock, expectMilliseconds("maxClockSkew", options.maxClockSkew ?? DEFAULT_MAX_CLOCK_SKEW));
    const seed = options.seed === undefined ? generateSigningKeySeed() : copyBytes("seed", options.seed, KEY_BYTES);
    this.#identity = new Identity(seed);
    seed.fill(0);
    this.#sessions = new SendingSessions(this.#identity);
    this.#sponsor = new Sponsor(this.#clock);
    this.#ratchetEvery = options.ratchet === undefined ? undefined : expectInterval(options.ratchet);
    this.#grace = expectMilliseconds("grace", options.grace ?? DEFAULT_GRACE);
    this.#answersReturning = expectSwitch("answerReturning", options.answerReturning);
    if (options.listener !== undefined && typeof options.listener !== "function") {
      throw new TypeError(`"listener" expected a function, got ${describe(options.listener)}`);
    }
    this.#listener = options.listener;
    // The clock is not read yet: one that runs ahead now, and is set right before it is needed, would count as gone back.
    this.#budget = new StepBudget(undefined, runningTime());
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
    const own = copyOptions(options);
    try {
      await loadCrypto(own.backend);
      return new Topic(own);
    } finally {
      wipe(own.seed, own.topicKey);
    }
  }

  /**
   * Establishes a rooted topic: one that has a roster, and can remove somebody and change its key by one message. We are a root of it.
   *
   * @throws TypeError, RangeError for options of a wrong type or length, and for roots without ourselves
   * @throws InvalidKeyError when a root's key is none that an honest program makes
   * @example
   * ```ts
   * import { fingerprint, generateSigningKeySeed, Topic } from "stringphone";
   *
   * const owner = await Topic.establish({ seed: generateSigningKeySeed(), name: "home/kitchen" });
   * console.log(owner.members.length, fingerprint(owner.publicKey)); // 1, and what newcomers compare
   * ```
   */
  static async establish(options: EstablishOptions): Promise<Topic> {
    expectOptions(options, ESTABLISH_OPTIONS);
    const { roots, ...others } = options;
    const given = roots && copyKeys("roots", roots);
    const topic = await Topic.create(others);
    const self = topic.publicKey;
    const keys = given ?? [self];
    const names = new Set(keys.map(toHex));
    if (!names.has(toHex(self)) || names.size !== keys.length || keys.length > MAX_ROOTS) {
      const got = `got ${keys.length}, ${names.size} of them different, ${names.has(toHex(self)) ? "with" : "without"} our own`;
      throw new RangeError(
        `"roots" expected at most ${MAX_ROOTS} public keys, each once, and our own among them, ${got}`,
      );
    }
    for (const key of keys) expectIdentityKey(key);
    const topicKey = generateTopicKey();
    const firstKey = new TopicKey(topicKey);
    const rooted = topic.#newRooted(saltOf(firstKey.commitment), keys);
    firstKey.wipe();
    const wrap = topic.#wrapKeys.statement(topic.#identity, topic.name, topic.#clock.nextSentAt());
    rooted.begin(topicKey, wrap, topic.#clock.read() ?? 0);
    wipe(topicKey);
    topic.#rooted = rooted;
    topic.#after([]);
    return topic;
  }

  /**
   * Goes on with what `save` gave: the same participant, with the same keys, roster, and memory of what it was given. It begins new
   * sessions, so that a copy that is loaded again repeats no nonce. But load the newest one only, and not while another topic that was
   * loaded from it is in use: each would take what the other was given for new. Where it may be an old one, say `restored`.
   *
   * Introductions of ours that were open are not any more: make others. What is still wanted, and what was kept and can be read, is told
   * to the listener again, a second later.
   *
   * A backup from before `renewWrapKey` lacks the wrap key that the others know. They announce it as ours, which is told as `seed-stolen`,
   * and wrap to it, which is told as `bad-rekey`. An admin has to admit us again; then call `renewWrapKey`.
   *
   * @param state copied: it may be wiped when the promise settles
   * @throws StateError when these are not the bytes that `save` gave, or those of a version to come
   * @throws TypeError, RangeError for options of a wrong type
   * @throws BackendError when `backend` names one that cannot be had
   * @example
   * ```ts
   * import { readFile } from "node:fs/promises";
   * import { Topic } from "stringphone";
   *
   * const topic = await Topic.load(await readFile("kitchen.state"), { ratchet: { every: 24 * 3_600_000 } });
   * console.log(topic.name, topic.participants.length);
   * ```
   */
  static async load(state: Uint8Array, options: LoadOptions = {}): Promise<Topic> {
    expectOptions(options, LOAD_OPTIONS);
    const { restored, ...others } = options;
    const isRestored = expectSwitch("restored", restored);
    // The caller may wipe its own meanwhile.
    const bytes = new Uint8Array(expectBytes("state", state));
    let saved: SavedTopic | undefined;
    try {
      await loadCrypto(options.backend);
      saved = parseState(bytes);
      const topic = new Topic({ ...others, name: saved.name, seed: saved.seed });
      topic.#restore(saved, isRestored);
      return topic;
    } finally {
      wipe(bytes);
      if (saved !== undefined) wipeSaved(saved);
    }
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
   *
   * @throws ForbiddenError in a rooted topic: call `rekey()`
   */
  set topicKey(topicKey: Uint8Array | undefined) {
    this.#expectLive();
    if (this.#rooted !== undefined) throw new ForbiddenError("a rooted topic changes its key with rekey()");
    const key = topicKey === undefined ? undefined : copyBytes("topicKey", topicKey, KEY_BYTES);
    this.#keyring.replace(key);
    this.#steppedAt = undefined;
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
   * @throws ForbiddenError in a topic with a roster, for who was removed from it
   */
  addParticipant(publicKey: Uint8Array): Participant {
    this.#expectLive();
    const key = copyBytes("publicKey", publicKey, KEY_BYTES);
    if (this.#rooted?.roster.isRevoked(toHex(key)) === true) {
      throw new ForbiddenError("this participant was removed from the topic: only admit() takes it in again");
    }
    return this.#pins.add(key);
  }

  /**
   * Mutes a participant: its messages are an `UntrustedKeyError` from now on. It keeps the topic key and can read on; what it
   * sent before stays refused as a replay, also after it is added again. In a topic with a roster this ends the pin only: members are
   * read all the same, `revoke` them.
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
   * @throws ForbiddenError in a rooted topic, as a reader or off the roster
   */
  encode(payload: string | Uint8Array, options: EncodeOptions = {}): Uint8Array {
    this.#expectLive();
    // Before the key steps.
    const bytes = this.#payload(payload);
    const wanted = this.#sending(options);
    // The caller's code ran meanwhile, and a buffer can grow.
    this.#expectFits(bytes.length);
    return this.#sealData(bytes, 1, false, wanted);
  }

  /**
   * Signs and encrypts many payloads at once, as one wire message under one signature: far cheaper for each than `encode`. They
   * arrive together or not at all. Receivers need `decodeBatch`, which gives each with a sequence of its own; their `decode`
   * throws a `BatchError` and accepts nothing.
   *
   * @param payloads 1 to 1,024 of what `encode` takes; together, with one to five bytes for each, at most `maxPayloadBytes`
   * @throws RangeError for none, or too many
   * @throws MissingTopicKeyError, MessageTooLargeError, ClockError, ForbiddenError as `encode` does
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
      return this.#sealData(batch, parts.length, true, wanted);
    } finally {
      wipe(batch, ...parts);
    }
  }

  /**
   * Makes a last will with the `alive` that names it and the `farewell` that withdraws it. Call it for each connect, also when
   * a client reconnects by itself: receivers take each will once. See {@link WillMessages} for when to publish which.
   *
   * @throws MissingTopicKeyError, MessageTooLargeError, ClockError, ForbiddenError as `encode` does for a state
   */
  encodeWill(payload: string | Uint8Array, options: { readonly context?: string } = {}): WillMessages {
    this.#expectLive();
    expectOptions(options, CONTEXT_OPTIONS);
    const bytes = this.#payload(payload).slice();
    const context = this.#context(options.context);
    this.#expectMayPublish();
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
   * @throws UntrustedKeyError when its sender is not among our participants, and not on the roster
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
    expectDisplayName(name);
    const context = this.#context(options.context);
    const sentAt = this.#clock.nextSentAt();
    this.#expectLive();
    const wrapStatement = formatWrap(this.#wrapKeys.statement(this.#identity, this.name, sentAt));
    const rejoin = this.#rooted?.rejoinSecret;
    return this.#newcomer.introduce(this.#identity, { name, sentAt, context, wrapStatement, rejoin });
  }

  /**
   * Answers an introduction with the topic key, once. Call `addParticipant` with its sender before, in a rooted topic `admit`, after a
   * person compared fingerprints: whoever gets a reply reads the topic from then on.
   *
   * @param introduction the bytes, or the very object that this topic's `decode` threw
   * @throws UntrustedKeyError when its sender is not among our participants, or was not admitted
   * @throws MissingTopicKeyError when we have no key to give
   * @throws StaleMessageError, ClockError, ReplayError when it is too old, ahead of us, or answered already
   * @throws InvalidKeyError when it asks for encryption to a key that is none
   * @throws MessageTooLargeError beyond `maxWireBytes`
   */
  constructReply(introduction: Uint8Array | Introduction, options: { readonly context?: string } = {}): Uint8Array {
    this.#expectLive();
    expectOptions(options, CONTEXT_OPTIONS);
    const now = this.#clock.read();
    this.#expectLive();
    const verified = this.#verifiedIntroduction(introduction, options.context, now);
    if (this.#rooted !== undefined) return this.#answer(this.#rooted, verified, now);
    if (!this.#pins.has(verified.wire.identityKey)) {
      throw new UntrustedKeyError(
        verified.sender.id,
        "the sender of this introduction is not trusted: compare its fingerprint, then addParticipant()",
      );
    }
    const take = () => ({ ...UNROOTED, generation: this.generation, topicKey: this.#key().bytes });
    return this.#sponsor.answer(verified, this.#identity, take, now);
  }

  #answer(rooted: Rooted, introduction: VerifiedIntroduction, now: number | undefined): Uint8Array {
    const { hash, sender } = introduction;
    const isAdmitted = rooted.isMember(sender.hex) && this.#admitted.has(hash);
    const wrap = isAdmitted ? undefined : rooted.wrapToReturn(sender.hex);
    const proven = this.#provenReturn(introduction, now);
    const isReturning = wrap !== undefined && proven?.isReturning === true;
    if (!(isAdmitted || isReturning) || !rooted.isGivenKey(sender.hex)) {
      throw new UntrustedKeyError(
        sender.id,
        "the sender of this introduction was not admitted to the key that counts now: compare its fingerprint, then admit() this introduction",
      );
    }
    const take = (): ReplyContent => {
      const handover = rooted.handover();
      if (wrap === undefined) return handover;
      // The rejoin secret as well: who has it can make replies that are taken without a person.
      const wrapped = wrapReturn(handover, wrap, hash);
      wipe(handover.topicKey);
      return { ...handover, topicKey: wrapped, rejoinSecret: new Uint8Array(0) };
    };
    // Also to who was admitted: it shows that we are no thief of a bare seed.
    return this.#sponsor.answer({ ...introduction, provenSecret: proven?.secret }, this.#identity, take, now);
  }

  /** What somebody shows to have known, if we know it too, and whether it comes back by that. */
  #provenReturn(introduction: VerifiedIntroduction, now: number | undefined): ReturnType<Rooted["provesReturn"]> {
    if (this.#rooted === undefined) return undefined;
    const rejoin = parseRejoin(introduction.wire.rejoin);
    if (rejoin === undefined) return undefined;
    return this.#rooted.provesReturn(introduction.sender.hex, rejoin.epoch, now, (secret) =>
      isProofOf(secret, rejoin.proof, introduction),
    );
  }

  /**
   * Adopts the topic key of a reply, once a person compared the sponsor's fingerprint, and ends all introductions of ours. No person is
   * needed if its `standing` is "member" and it `isReturning`; those of other admins may then follow: adopt them, too, they may know more.
   *
   * Call `addParticipant` with the sponsor's key after it, to read the sponsor.
   *
   * @param reply the bytes, or the very object that this topic's `decode` threw
   * @returns whether the key is that of the epoch that counts now: false in a rooted topic where another one counts
   * @throws ForeignReplyError when it answers no introduction of ours that is still open, or is of another topic
   * @throws ReplayError, or ForeignReplyError for the object, when it was adopted before
   * @throws ForbiddenError, UntrustedKeyError, BadSignatureError, MalformedMessageError, InvalidKeyError, DecryptionError for a reply of a
   *   rooted topic that is not as PROTOCOL §12.5 says
   */
  parseReply(reply: Uint8Array | Reply, options: { readonly context?: string } = {}): boolean {
    this.#expectLive();
    expectOptions(options, CONTEXT_OPTIONS);
    const clock = this.#clock.read() ?? 0;
    this.#expectLive();
    const opened = this.#openedReply(reply, options.context);
    const content = this.#newcomer.contentOf(opened);
    try {
      if (content.salt.length > 0) return this.#adopt(content, opened, clock);
      if (this.#rooted !== undefined) throw new ForeignReplyError();
      this.#keyring.replace(content.topicKey, content.generation);
      this.#steppedAt = undefined;
      this.#newcomer.end();
      return true;
    } finally {
      wipe(content.topicKey, content.rejoinSecret);
    }
  }

  #adopt(content: ReplyContent, opened: OpenedReply, clock: number): boolean {
    const { introductionHash: binding, sponsor } = opened;
    const self = this.#identity.participant;
    const needsNoPerson = opened.isReturning && this.#standing(sponsor) === "member";
    const rooted = this.#rooted ?? this.#newRooted(content.salt, content.roots);
    rooted.expectTopic(content);
    const { topicKey, rejoinSecret } = content;
    const secrets =
      topicKey.length === KEY_BYTES
        ? { topicKey: new Uint8Array(topicKey), rejoinSecret: new Uint8Array(rejoinSecret) }
        : unwrapReturn(topicKey, self, this.#wrapKeys.pairs, binding);
    if (secrets === undefined) {
      throw DecryptionError.withoutStack(
        "the reply is sealed to a wrap key that we do not have: this is an old copy, or our seed was stolen; an admin has to admit() an introduction of ours",
      );
    }
    try {
      const checked = rooted.check({ ...content, ...secrets }, sponsor.hex);
      if (this.#rooted === undefined) this.#keyring.wipe();
      this.#rooted = rooted;
      const { adopted, changes } = rooted.adopt(checked, clock, runningTime(), !this.#newcomer.isFurther(opened));
      // Other admins may know more than this one, and cost nobody a look at a fingerprint.
      if (needsNoPerson) this.#newcomer.keepOpen(opened);
      else this.#newcomer.end();
      this.#gaps.answered();
      this.#after(changes);
      return adopted;
    } finally {
      wipe(secrets.topicKey, secrets.rejoinSecret);
    }
  }

  // ——— Rooted topics ———

  /** The id of a rooted topic, 32 bytes, a copy: it names its roots. `undefined` for a topic without a roster. */
  get topicId(): Uint8Array | undefined {
    return this.#rooted === undefined ? undefined : new Uint8Array(this.#rooted.topicId);
  }

  /** The epoch that we send under: how many rekeys it is from the topic's first key. 0 also while nothing can be sent: see `topicKey`. */
  get epoch(): number {
    return this.#keyring.sending?.number ?? 0;
  }

  /** The generation that we send under: how many steps it is from the first key of the epoch. */
  get generation(): number {
    return this.#keyring.sending?.keys?.sending ?? 0;
  }

  /** Who is on the roster of a rooted topic, ourselves too, by rank. */
  get members(): readonly Member[] {
    return this.#members.list;
  }

  /** Our own role in a rooted topic: an admin answers introductions. `undefined` while we are not on the roster, or there is none. */
  get role(): Role | undefined {
    const role = this.#rooted?.roster.get(this.#identity.participant.hex)?.role;
    return role === "revoked" ? undefined : role;
  }

  /** Why a rekey is wanted from us, if it is: see the `rekey-wanted` event. */
  get rekeyWanted(): RekeyWant | undefined {
    return this.#rooted?.rekeyWant;
  }

  /**
   * Puts somebody on the roster, or gives it another role. Publish what it gives; to a newcomer, publish after it what `constructReply`
   * gives for the same introduction. An admin that is made something else starts an epoch, as when it is revoked.
   *
   * @param whom an introduction, its bytes or the very object that this topic's `decode` threw, after a person compared fingerprints; or
   *   the public key (32 bytes) or id (16 bytes) of somebody on the roster. Another public key is put on it, too, but its participant
   *   gets no key before it introduces itself.
   * @throws ForbiddenError when we are no admin, or somebody of a smaller rank says otherwise; and for a root, in any role but admin
   * @throws DependantsError when an admin is made something else on whom the roles of others rest, and `keep` does not say who stays
   * @throws StaleMessageError, ClockError, BadSignatureError for an introduction, as `constructReply`
   * @throws MissingTopicKeyError while no key can be used
   * @throws MessageTooLargeError beyond `maxWireBytes`, also of the reply to an introduction
   */
  admit(whom: Uint8Array | Introduction, options: AdmitOptions = {}): ControlMessage {
    const rooted = this.#expectRooted();
    expectOptions(options, ADMIT_OPTIONS);
    const keep = expectKeep(options.keep);
    const introduced = this.#introduced(whom, options.context);
    if (introduced !== undefined) this.#sponsor.expectAnswerable(introduced, this.#clock.read());
    this.#expectLive();
    const subjectKey = introduced?.wire.identityKey ?? this.#knownKey(whom as Uint8Array);
    const known = rooted.roster.get(toHex(subjectKey));
    const { role = known === undefined || known.role === "revoked" ? "publisher" : known.role } = options;
    if (role !== "admin" && role !== "publisher" && role !== "reader") {
      throw new RangeError(`"role" expected "admin", "publisher" or "reader", got ${quote(role)}`);
    }
    // Of who was revoked it is not said any more.
    const called = known === undefined || known.role === "revoked" ? undefined : known.statement?.name;
    const { name = called ?? introduced?.wire.name ?? "" } = options;
    expectDisplayName(name);
    const wrapBytes = introduced?.wire.wrapStatement;
    const wrap = wrapBytes === undefined || wrapBytes.length === 0 ? undefined : parseWrap(wrapBytes, subjectKey);
    const clock = this.#controlTime();
    const content = { role, name, wrap, keep, isIntroduced: introduced !== undefined };
    const said = rooted.admit(subjectKey, content, clock, runningTime());
    if (introduced !== undefined) this.#admitted.add(introduced.hash);
    return this.#publish(said);
  }

  /**
   * Removes somebody: it loses its role, and with the epoch that this starts, the key. Publish what it gives. Whoever applies it sends
   * nothing any more that the removed one can read, and refuses what it sends.
   *
   * @param whom a public key (32 bytes) or id (16 bytes); our own, of who is no admin, to leave
   * @throws DependantsError when an admin is revoked on whom the roles of others rest, and `keep` does not say which of them stay
   * @throws ForbiddenError when we are no admin, or one of equal or larger rank
   * @throws MissingTopicKeyError while no key can be used
   * @throws MessageTooLargeError beyond `maxWireBytes`
   */
  revoke(whom: Uint8Array, options: RevokeOptions = {}): ControlMessage {
    const rooted = this.#expectRooted();
    expectOptions(options, REVOKE_OPTIONS);
    const keep = expectKeep(options.keep);
    const subjectKey = this.#knownKey(whom);
    const clock = this.#controlTime();
    const said =
      toHex(subjectKey) === this.#identity.participant.hex
        ? rooted.leave(runningTime())
        : rooted.revoke(subjectKey, keep, clock, runningTime());
    return this.#publish(said);
  }

  /**
   * Starts an epoch: a fresh secret for everybody on the roster, that nobody else gets. Publish what it gives. Call it when `rekeyWanted`
   * says so, or whenever all keys are to be new.
   *
   * @throws ForbiddenError when we are no admin
   * @throws MissingTopicKeyError when we have no key that others could open it with
   * @throws MessageTooLargeError beyond `maxWireBytes`
   */
  rekey(): ControlMessage {
    const rooted = this.#expectRooted();
    const clock = this.#controlTime();
    const reason = rooted.rekeyWant === undefined ? "requested" : "repair";
    const wantedFor = this.#wantedFor;
    const message = this.#publish(rooted.rekey(reason, clock, runningTime()));
    // It lost, of two of one number perhaps by chance: the next has a greater one.
    const want = this.#wantedFor === wantedFor ? rooted.rekeyWant : undefined;
    if (want !== undefined && ++this.#lostRepairs < MAX_REPAIRS) this.#tell([this.#wanted(rooted, want)]);
    return message;
  }

  /**
   * Steps the topic key to its next generation. Nothing has to be published: others follow with the first message that they get. Who takes
   * this device after the grace reads nothing that was sent before. In a topic without a roster, save `topicKey` again after it.
   *
   * @throws RateLimitError when it is called more often than once an hour, over time, or the key is 4,096 generations ahead of the oldest
   *   held
   * @throws MissingTopicKeyError while there is no topic key
   */
  ratchet(): void {
    this.#expectLive();
    const clock = this.#clock.read();
    this.#key();
    if (this.#stepsLeft === 0 || !this.#budget.spend(1, clock, runningTime())) {
      throw new RateLimitError(undefined, "a topic key steps at most once an hour, over time: wait");
    }
    this.#stepTo(this.generation + 1, clock);
  }

  /**
   * Makes a wrap key, by which the next rekey reaches us, and announces it: publish what it gives. A copy of this device that is a grace
   * older than the next rekey cannot open what comes after. Once a month is enough.
   */
  renewWrapKey(): ControlMessage {
    const rooted = this.#expectRooted();
    const clock = this.#controlTime();
    // Without a clock, a program that lost its state knows no better than others do which version it has reached.
    const known = rooted.statements.wrapOf(this.#identity.participant.hex)?.version ?? 0;
    const version = Math.max(clock, known + 1);
    this.#key();
    this.#wrapKeys.renew(version);
    const wrap = this.#wrapKeys.statement(this.#identity, this.name, version);
    return this.#publish(rooted.announceWrapKey(wrap, runningTime()));
  }

  /**
   * Gives the messages that were kept because their key or sender was not known, and can be read now. Each is judged as if it came now: a
   * command may be too late.
   */
  decodeKept(): readonly { readonly context: string; readonly message: Received }[] {
    this.#expectRooted();
    // Before anything is taken out: the clock is the caller's code.
    const now = this.#clock.read();
    this.#expectLive();
    return this.#kept.list().flatMap((kept) => {
      const { context } = kept;
      return (this.#decodeKept(kept, now) ?? []).map((message) => ({ context, message }));
    });
  }

  #decodeKept(kept: Kept, now: number | undefined): readonly Received[] | null {
    const { wire, context, wanted } = kept;
    this.#kept.remove(kept);
    try {
      return this.#decodeMessage(wire, this.#parseMessage(wire), context, wanted, now, true) as
        | readonly Received[]
        | null;
    } catch (error) {
      // What is still not known keeps itself again; what is refused now would have been refused when it came.
      if (isStringphoneError(error)) return null;
      throw error;
    }
  }

  /** Whether somebody sent it while it was revoked, who was admitted again since: to an epoch that is later than that of the message. */
  #isFromRevokedTime({ whileRevoked }: Kept, { found, plaintext }: OpenedMessage): boolean {
    if (!whileRevoked) return false;
    const admittedAt = this.#members
      .withHint(plaintext.senderHint)
      .map(({ hex }) => this.#rooted?.epochOfAdmission(hex) ?? 0);
    return found.epoch.number < Math.max(0, ...admittedAt);
  }

  #parseMessage(wire: Uint8Array): WireMessage {
    return parse(wire, this.maxPayloadBytes, MAX_CONTROL_BYTES) as WireMessage;
  }

  /** Reads the clock for a control message, before anything changes: it is the caller's code, and may dispose us. */
  #controlTime(): number {
    const clock = this.#clock.read() ?? 0;
    this.#expectLive();
    this.#clock.expectOneMore();
    return clock;
  }

  #introduced(whom: Uint8Array | Introduction, context: string | undefined): VerifiedIntroduction | undefined {
    const known = this.#introductions.get(whom as Introduction);
    if (known !== undefined) return known;
    const bytes = expectBytes("whom (or the very introduction that decode threw, no copy of it)", whom);
    if (bytes.length === KEY_BYTES || bytes.length === ID_BYTES) return undefined;
    const now = this.#clock.read();
    this.#expectLive();
    return this.#verifiedIntroduction(bytes, context, now);
  }

  /** The public key of somebody, given itself or by an id that the roster has. */
  #knownKey(whom: Uint8Array): Uint8Array {
    const bytes = expectKeyOrId("whom", whom);
    if (bytes.length === KEY_BYTES) {
      expectIdentityKey(bytes);
      return new Uint8Array(bytes);
    }
    for (const subject of this.#expectRooted().statements.subjects()) {
      const participant = participantOf(subject);
      if (equalBytes(participant.id, bytes)) return participant.publicKey;
    }
    throw new RangeError('"whom" expected the id of somebody whom the roster knows: give its public key');
  }

  #seal(control: Control): ControlMessage {
    const sentAt = this.#clock.nextSentAtAsRead();
    const position = this.#sessions.single(this.name, sentAt);
    return {
      name: control.name,
      wire: sealControl(control.under, position, formatControl(control.statements, control.rekey)),
    };
  }

  #publish({ control, changes }: { control: Control; changes: readonly Change[] }): ControlMessage {
    // Before anything is wiped that is past its grace.
    const message = this.#seal(control);
    if (control.epoch !== undefined) this.#ownRekey = { epoch: control.epoch, ...message };
    this.#after(changes);
    return message;
  }

  #applyControl(payload: Uint8Array, context: string, found: FoundKey, now: number | undefined): void {
    const rooted = this.#rooted;
    if (rooted === undefined) {
      throw new ForbiddenError(
        "a control message came in a topic without a roster: somebody who has its key misuses it",
      );
    }
    if (context !== this.name)
      throw new MalformedMessageError("expected a control message in the context of the topic's name");
    const changes = rooted.apply(parseControl(payload), found, now ?? 0, runningTime());
    if (changes !== undefined) this.#after(changes);
  }

  /** Draws the conclusions of what changed, and tells them when nothing is left to change. */
  #after(changes: readonly Change[], events: TopicEvent[] = []): void {
    this.#conclude(changes, events);
    this.#schedule();
    this.#tell(events);
  }

  #conclude(changes: readonly Change[], events: TopicEvent[]): void {
    const rooted = this.#rooted;
    if (rooted === undefined) return;
    for (const change of changes) this.#note(rooted, change, events);
    this.#members.follow(rooted.roster, () => rooted.members());
    const isNewEpoch = changes.some(({ type }) => type === "epoch");
    this.#forgetSenders(rooted, isNewEpoch ? MAX_STATEMENTS : MAX_SENDERS_GONE);
    if (changes.some(mayRead)) this.#reviewKept(events);
    if (isNewEpoch) {
      this.#gaps.close("unknown-key");
      this.#gaps.close("behind");
      this.#steppedAt = undefined;
    }
    if (changes.some(({ type }) => type === "standing")) this.#gaps.close("unknown-sender");
    this.#noteWants(rooted, events);
  }

  #note(rooted: Rooted, change: Change, events: TopicEvent[]): void {
    const self = this.#identity.participant;
    if (change.type === "standing") {
      const { participant: hex, statement, role, by } = change;
      const participant = participantOf(hex);
      if (role === "revoked") {
        this.#removed.add(hex);
        if (this.#removed.size > MAX_STATEMENTS) this.#removed.delete(this.#removed.values().next().value as string);
        this.#pins.remove(participant.publicKey);
        if (hex === self.hex) events.push({ type: "removed", by });
        else events.push({ type: "revoked", participant, by });
      } else {
        events.push({ type: "admitted", participant, role, name: statement?.name ?? "", by });
      }
    } else if (change.type === "epoch") {
      const { epoch, reason } = change;
      const issuer = epoch.issuer === undefined || epoch.parent === undefined ? undefined : participantOf(epoch.issuer);
      const removed = [...this.#removed].filter((hex) => !rooted.isMember(hex)).map(participantOf);
      events.push({ type: "rekeyed", epoch: epoch.number, issuer, reason, removed });
      this.#removed.clear();
    } else if (change.type === "bad-rekey") {
      events.push({ type: "bad-rekey", issuer: participantOf(toHex(change.issuerKey)), epoch: change.epoch });
    } else if (change.type === "expired") {
      if (rooted.roster.isAdmin(self.hex)) events.push({ type: "expired", names: change.names });
    } else if (change.type === "seed-stolen") {
      events.push({ type: "seed-stolen", wrapKey: change.wrapKey });
    }
  }

  #noteWants(rooted: Rooted, events: TopicEvent[]): void {
    const now = runningTime();
    const want = rooted.rekeyWant;
    const wantedFor = want && `${rooted.winner?.id} ${want}`;
    if (wantedFor !== this.#wantedFor) {
      this.#lostRepairs = 0;
      if (want !== undefined) events.push(this.#wanted(rooted, want));
    }
    this.#wantedFor = wantedFor;
    this.#noteSpread(rooted, events, now);
    const missing = rooted.introductionWant;
    for (const reason of ["no-key", "statements-differ"] as const) {
      if (missing === reason) this.#gaps.open(reason, now);
      else this.#gaps.close(reason);
    }
    const due = rooted.isRevoked ? undefined : this.#gaps.due(now);
    if (due !== undefined) events.push({ type: "introduction-wanted", reason: due, delay: spread(0) });
  }

  /** Asks for a rekey: of several admins the one whose rekey would win first. */
  #wanted({ roster }: Rooted, reason: RekeyWant): TopicEvent {
    return { type: "rekey-wanted", reason, delay: spread(roster.rankOf(this.#identity.participant.hex) ?? 0) };
  }

  /** What others may not know is published after a while, unless somebody else does: admins first, by rank. */
  #noteSpread(rooted: Rooted, events: TopicEvent[], now: number): void {
    const most = rooted.hasToSpread ? this.#clock.left : 0;
    if (most === 0) {
      this.#spreadAt = undefined;
      return;
    }
    const rank = rooted.roster.rankOf(this.#identity.participant.hex);
    this.#spreadAt ??= now + spread(rank ?? RANK_OF_OTHERS);
    if (now < this.#spreadAt) return;
    this.#spreadAt = undefined;
    events.push({ type: "publish", messages: rooted.spread(most).map((control) => this.#seal(control)) });
  }

  /** Looks again at what was kept: control messages are applied, of the others it is told when they can be read. */
  #reviewKept(events: TopicEvent[]): void {
    let readable = 0;
    for (const kept of this.#kept.list()) {
      const { wire, context } = kept;
      const message = this.#parseMessage(wire);
      const { session, sequence } = message;
      const opened = this.#tryOpen(message, { session, sequence, context });
      if (opened === undefined) continue;
      const { found, plaintext } = opened;
      if (plaintext.delivery !== "control") {
        if (this.#isFromRevokedTime(kept, opened)) this.#kept.remove(kept);
        else if (this.#trusted(plaintext.senderHint).length > 0) readable++;
        continue;
      }
      this.#kept.remove(kept);
      const changes = this.#applyKept(plaintext.payload, context, found);
      if (changes.length === 0) continue;
      this.#conclude(changes, events);
      // That looked at all again.
      if (changes.some(mayRead)) return;
    }
    if (readable > 0) events.push({ type: "readable", count: readable });
  }

  #tryOpen(message: WireMessage, position: Position): OpenedMessage | undefined {
    try {
      return this.#open(message, position);
    } catch (error) {
      if (isStringphoneError(error)) return undefined;
      throw error;
    }
  }

  #applyKept(payload: Uint8Array, context: string, found: FoundKey): readonly Change[] {
    if (context !== this.name || this.#rooted === undefined) return [];
    try {
      return this.#rooted.apply(parseControl(payload), found, this.#clock.latest, runningTime()) ?? [];
    } catch (error) {
      if (isStringphoneError(error)) return [];
      throw error;
    }
  }

  /** Tells the application when this call is over, so that none of its code runs in the middle of a change. */
  #tell(events: readonly TopicEvent[]): void {
    const listener = this.#listener;
    if (listener === undefined) return;
    for (const event of events) {
      queueMicrotask(() => {
        if (!this.#disposed) listener(event);
      });
    }
  }

  /** Wakes this topic when the next key is to be wiped, or something has been missing for long enough. */
  #schedule(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const gap = this.#rooted?.isRevoked === true ? undefined : this.#gaps.nextAt;
    const times = [this.#keyring.nextExpiry(this.#grace), this.#wrapKeys.nextExpiry(this.#grace), gap, this.#spreadAt];
    const known = times.filter((at) => at !== undefined);
    if (known.length === 0) return;
    const wait = Math.min(Math.max(MIN_TIMEOUT, Math.min(...known) - runningTime()), MAX_TIMEOUT);
    this.#timer = wakeAfter(wait, () => this.#wake());
  }

  /** Does what is due. The first time after a load, what was told before is told again. */
  #wake(isFirst = false): void {
    const clock = this.#clock.read();
    if (this.#disposed) return;
    const now = runningTime();
    this.#wrapKeys.expire(now, this.#grace);
    this.#rooted?.expireRejoin(clock);
    const changes = this.#rooted?.expire(now, this.#grace);
    if (changes === undefined) this.#keyring.expire(now, this.#grace);
    const events: TopicEvent[] = [];
    if (isFirst) {
      this.#reviewKept(events);
      this.#tellOwnRekey(events);
    }
    this.#after(changes ?? [], events);
  }

  /** A rekey that may never have been published: nobody else can do it, so there is nobody to wait for. */
  #tellOwnRekey(events: TopicEvent[]): void {
    const rekey = this.#ownRekey;
    if (rekey === undefined || rekey.epoch !== this.#rooted?.winner?.id) return;
    events.push({ type: "publish", messages: [{ name: rekey.name, wire: rekey.wire }] });
  }

  /** Steps the key by as much as the policy says, if there is one, and as is granted. */
  #step(clock: number | undefined): void {
    const every = this.#ratchetEvery;
    if (every === undefined || clock === undefined || this.#keyring.current === undefined) return;
    // A clock that ran ahead once is not waited for.
    if (this.#steppedAt === undefined || this.#steppedAt > clock) this.#steppedAt = clock;
    const due = Math.floor((clock - this.#steppedAt) / every);
    const steps = Math.min(due, this.#budget.available(clock, runningTime()), this.#stepsLeft);
    if (steps < 1 || !this.#budget.spend(steps, clock, runningTime())) return;
    const steppedAt = this.#steppedAt + steps * every;
    this.#stepTo(this.generation + steps, clock);
    this.#steppedAt = steppedAt;
  }

  /** Steps that lead no further than is read: older keys are wiped by running time, which stands still while a device sleeps. */
  get #stepsLeft(): number {
    const keys = this.#keyring.sending?.keys;
    return keys === undefined ? 0 : keys.last - keys.sending;
  }

  /** Sends under the generation of a message that was verified, if it is a later one, as far as is granted. */
  #follow({ epoch, generation }: FoundKey, clock: number | undefined): void {
    const sending = this.#keyring.sending;
    if (epoch !== sending || generation <= this.generation) return;
    if (this.#budget.spend(generation - this.generation, clock, runningTime())) {
      this.#gaps.close("behind");
      this.#stepTo(generation, clock);
    } else if (this.#rooted !== undefined && this.#gaps.open("behind", runningTime())) {
      this.#schedule();
    }
  }

  #stepTo(generation: number, clock: number | undefined): void {
    this.#keyring.adopt(this.#keyring.sending as Epoch, generation, runningTime());
    this.#steppedAt = clock;
    this.#schedule();
    this.#tell([{ type: "ratcheted", generation }]);
  }

  #trusted(hint: string): readonly Participant[] {
    // Who was removed stays out, also where its admission was never heard of.
    const pinned = this.#pins.withHint(hint).filter(({ hex }) => this.#rooted?.roster.isRevoked(hex) !== true);
    const members = this.#members.withHint(hint);
    if (members.length === 0) return pinned;
    return [...members, ...pinned.filter((one) => !members.some((member) => member.equals(one)))];
  }

  #expectPublisher(sender: Participant, keep: () => void): void {
    if (this.#rooted?.roster.get(sender.hex)?.role !== "reader") return;
    // It may be a publisher already, and the statement that says so underway.
    keep();
    throw new ForbiddenError(
      "the sender is a reader, and readers may not publish: this program or that one is at fault",
    );
  }

  #expectMayPublish(): void {
    if (this.#rooted === undefined) return;
    const { role } = this;
    if (role === "reader") throw new ForbiddenError("we are a reader of this topic: ask an admin for another role");
    if (role !== undefined) return;
    throw new ForbiddenError(
      this.#rooted.isRevoked
        ? "we were removed from this topic: whoever is to take part again needs a new seed, or an admin who admits this one again"
        : "we are not on the roster of this topic: an admin has to admit us, by an introduction of constructIntro()",
    );
  }

  /**
   * All of this topic, for `load` to go on with after a restart: keys, roster, participants, what was seen and sent, and what was kept.
   * The bytes hold the seed and every key: whoever has them is this participant and reads the topic. Keep them as such, readable to
   * nobody else, and wipe old ones. Save after whatever changes something: before a message made here is published, and before one
   * received is acted on or acknowledged, if it is to be given once at most.
   *
   * The same state gives the same bytes, at one reading of the clock and at one running time: how long a key has had its grace is part
   * of it.
   *
   * @returns bytes of the caller's: wipe them when they are stored
   * @example
   * ```ts
   * import { writeFile } from "node:fs/promises";
   * import { generateTopicKey, Topic } from "stringphone";
   *
   * const topic = await Topic.create({ topicKey: generateTopicKey(), name: "home/kitchen" });
   * const state = topic.save();
   * await writeFile("kitchen.state", state, { mode: 0o600 });
   * state.fill(0);
   * ```
   */
  save(): Uint8Array {
    this.#expectLive();
    const clock = this.#clock.read();
    this.#expectLive();
    const now = runningTime();
    this.#rooted?.expireRejoin(clock);
    const saved: SavedTopic = {
      name: this.name,
      seed: Identity.seedOf(this.#identity),
      clock: this.#clock.saved(),
      epochs: this.#keyring.saved(now),
      sending: this.#keyring.sending?.id,
      wrapKeys: this.#wrapKeys.saved(now),
      budget: this.#budget.saved(clock, now),
      steppedAt: this.#steppedAt,
      removed: [...this.#removed].sort(),
      ownRekey: this.#ownRekey,
      spread: this.#spreadAt === undefined ? undefined : this.#spreadAt - now,
      rooted: this.#rooted?.saved(),
      pins: this.#pins.list().map((participant) => participant.publicKey),
      replays: this.#replays.saved(),
      kept: this.#kept.list(),
      gaps: this.#gaps.saved(now),
    };
    try {
      return formatState(saved);
    } finally {
      wipeSaved(saved);
    }
  }

  #restore(saved: SavedTopic, isRestored: boolean): void {
    this.#clock.restore(saved.clock);
    const now = runningTime();
    try {
      this.#keyring.restore(saved.epochs, saved.sending, now);
      this.#wrapKeys.restore(saved.wrapKeys, now);
      // The clock is not read yet, as in a new topic.
      this.#budget = StepBudget.restore(saved.budget, undefined, now);
      this.#steppedAt = saved.steppedAt;
      for (const hex of saved.removed) this.#removed.add(hex);
      this.#ownRekey = saved.ownRekey;
      this.#spreadAt = saved.spread === undefined ? undefined : now + saved.spread;
      this.#pins.restore(saved.pins);
      this.#replays.restore(saved.replays);
      this.#gaps.restore(saved.gaps, now);
      if (saved.rooted !== undefined) {
        const rooted = this.#newRooted(saved.rooted.salt, saved.rooted.roots);
        rooted.restore(saved.rooted);
        this.#rooted = rooted;
        this.#members.follow(rooted.roster, () => rooted.members());
      }
      for (const one of saved.kept) {
        if (this.#parseMessage(one.wire).type !== "message")
          throw new StateError("expected messages, kept something else");
        this.#kept.add(one);
      }
    } catch (error) {
      this.dispose();
      throw stateErrorOf(error);
    }
    if (isRestored) {
      this.#replays.refuseUntil(this.#clock.read() ?? this.#clock.latest);
      if (this.#rooted?.hasOtherAdmin === true) this.#gaps.restored(now);
    }
    this.#schedule();
    // Not before the caller has this topic: its listener will want it.
    if (this.#rooted !== undefined) wakeAfter(MIN_TIMEOUT, () => this.#wake(true));
  }

  /** Begins a new session in every context: receivers count from 0 again, and report no loss in between. */
  renewSessions(): void {
    this.#expectLive();
    this.#sessions.renew();
  }

  /**
   * Takes the clock as it is now for right, after it had run ahead or was set back: `sentAt` follows it again. Receivers may
   * refuse our states until it passes the newest one that they accepted, and, after sixteen more sessions of ours, events that are
   * not newer than those sent while the clock ran ahead. What was refused from before a load with `restored` ends with this time, too.
   */
  resetClock(): void {
    this.#expectLive();
    this.#clock.reset();
    const now = this.#clock.read();
    if (now !== undefined) this.#replays.refuseNoLongerThanUntil(now);
    // What there was no time left to publish has one now.
    this.#after([]);
  }

  /**
   * Wipes all secrets, as far as JavaScript allows. Whatever needs them throws a `DisposedError` from then on; what is public can still be
   * looked at.
   */
  dispose(): void {
    if (this.#disposed) return;
    clearTimeout(this.#timer);
    this.#keyring.wipe();
    this.#wrapKeys.wipe();
    this.#rooted?.wipe();
    this.#kept.clear();
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
    if (key === undefined) throw new MissingTopicKeyError(this.#rooted === undefined ? "none" : "unusable");
    return key;
  }

  #newRooted(salt: Uint8Array, roots: readonly Uint8Array[]): Rooted {
    const place = {
      identity: this.#identity,
      name: this.name,
      keyring: this.#keyring,
      wrapKeys: this.#wrapKeys,
      maxWireBytes: this.#maxWireBytes,
    };
    return new Rooted(place, { salt, roots });
  }

  #expectRooted(): Rooted {
    this.#expectLive();
    if (this.#rooted === undefined) {
      throw new ForbiddenError("this topic has no roster: only Topic.establish() makes one that has");
    }
    return this.#rooted;
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
    this.#expectMayPublish();
    this.#key();
    const clock = this.#ratchetEvery === undefined ? undefined : this.#clock.read();
    if (delivery !== "event") this.#clock.expectUsable(delivery);
    const sentAt = this.#clock.nextSentAt();
    this.#expectLive();
    // Only when the clock is read: where it throws, nothing has changed.
    this.#step(clock);
    return { delivery, context: checked, sentAt };
  }

  /** Seals what takes `count` sequences. */
  #sealData(payload: Uint8Array, count: number, isBatch: boolean, { delivery, context, sentAt }: Sending): Uint8Array {
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
    const message = parse(bytes, this.maxPayloadBytes, this.#rooted === undefined ? 0 : MAX_CONTROL_BYTES);
    if (message.type === "introduction") return this.#raiseIntroduction(bytes, message, context, now);
    if (message.type === "reply") return this.#raiseReply(bytes, message, context);
    return this.#decodeMessage(bytes, message, context, wanted, now, takesBatches);
  }

  #standing(participant: Participant): Standing {
    if (participant.equals(this.#identity.participant)) return "self";
    const role = this.#rooted?.roster.get(participant.hex)?.role;
    if (role !== undefined) return role === "revoked" ? "revoked" : "member";
    return this.#pins.has(participant.publicKey) ? "pinned" : "unknown";
  }

  #raiseIntroduction(bytes: Uint8Array, wire: WireIntroduction, context: string, now: number | undefined): null {
    const name = introductionHash(bytes);
    if (this.#newcomer.made(name)) return null;
    if (this.#rooted !== undefined) parseRejoin(wire.rejoin);
    const verified = this.#sponsor.raise(wire, name, context, now);
    const { sender } = verified;
    const isProven = this.#provenReturn(verified, now)?.isReturning === true;
    const isOurs = sender.equals(this.#identity.participant);
    const isReturning = isProven && !isOurs && this.#rooted?.wrapToReturn(sender.hex) !== undefined;
    const canAnswer = this.#answersReturning && isReturning && this.#keyring.current !== undefined;
    const rooted = canAnswer ? this.#rooted : undefined;
    if (rooted?.roster.isAdmin(this.#identity.participant.hex) === true && rooted.isGivenKey(sender.hex)) {
      const wire = this.#answer(rooted, verified, now);
      this.#tell([{ type: "answered", participant: sender, wire, context }]);
      return null;
    }
    const introduction: Introduction = Object.freeze({
      senderKey: sender.publicKey,
      senderId: sender.id,
      fingerprint: sender.fingerprint,
      name: wire.name,
      sentAt: wire.sentAt,
      standing: this.#standing(sender),
      isReturning,
    });
    this.#introductions.set(introduction, verified);
    throw new IntroductionError(introduction);
  }

  #raiseReply(bytes: Uint8Array, wire: WireReply, context: string): null {
    if (this.#sponsor.sent(bytes)) return null;
    const opened = this.#newcomer.open(bytes, wire, context, false);
    const { sponsor, isReturning } = opened;
    const reply: Reply = Object.freeze({
      senderKey: sponsor.publicKey,
      senderId: sponsor.id,
      fingerprint: sponsor.fingerprint,
      standing: this.#standing(sponsor),
      isReturning,
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
    if (wire.type !== "introduction")
      throw new MalformedMessageError(`expected an introduction, got another type: ${wire.type}`);
    return this.#sponsor.verify(wire, introductionHash(bytes), this.#context(context), now);
  }

  #openedReply(given: Uint8Array | Reply, context: string | undefined): OpenedReply {
    const known = this.#opened.get(given as Reply);
    if (known !== undefined) return known;
    const bytes = expectBytes("reply", given);
    const wire = parse(bytes, this.maxPayloadBytes);
    if (wire.type !== "reply") throw new MalformedMessageError(`expected a reply, got another type: ${wire.type}`);
    return this.#newcomer.open(bytes, wire, this.#context(context), true);
  }

  /** Opens a message under a key that it may be sealed under, most likely the one that we send under ourselves. */
  #open(wire: WireMessage, position: Position): OpenedMessage | undefined {
    const { keyId, ciphertext } = wire;
    const current = this.#keyring.current;
    const isCurrent = current?.idNumber === keyId;
    if (isCurrent) {
      const plaintext = openMessage(current, position, ciphertext);
      if (plaintext !== undefined) return { found: this.#keyring.currentFound as FoundKey, plaintext };
    }
    const others = this.#keyring.find(keyId, current);
    for (const found of others) {
      const plaintext = openMessage(found.key, position, ciphertext);
      if (plaintext !== undefined) return { found, plaintext };
    }
    if (!isCurrent && others.length === 0) return undefined;
    // An id has four bytes: a generation ahead may have the same one.
    if (this.#keyring.complete()) return this.#open(wire, position);
    throw DecryptionError.withoutStack();
  }

  #unknownKey(bytes: Uint8Array, keyId: number, context: string, wanted: ReadDecodeOptions): never {
    const rooted = this.#rooted;
    if (rooted === undefined && this.#keyring.isEmpty) throw new MissingTopicKeyError();
    const isKept = rooted !== undefined && this.#keep(bytes, context, wanted);
    if (rooted !== undefined && this.#gaps.open("unknown-key", runningTime())) this.#schedule();
    const id = new Uint8Array(KEY_ID_BYTES);
    writeBigEndian(id, 0, KEY_ID_BYTES, keyId);
    throw UnknownTopicKeyError.withoutStack(id, isKept, rooted?.isRevoked === true);
  }

  /** The statement that admits its sender may be underway, or lost. */
  #keepOfStranger(rooted: Rooted, bytes: Uint8Array, hint: string, context: string, wanted: ReadDecodeOptions): void {
    const known = rooted.withHint(hint);
    const isRevoked = known.some((one) => rooted.roster.isRevoked(one));
    this.#keep(bytes, context, wanted, isRevoked);
    if (known.length > 0) return;
    if (this.#gaps.open("unknown-sender", runningTime())) this.#schedule();
  }

  #keep(wire: Uint8Array, context: string, wanted: ReadDecodeOptions, whileRevoked = false): boolean {
    return !wanted.naive && this.#kept.add({ wire, context, wanted, whileRevoked });
  }

  #decodeMessage(
    bytes: Uint8Array,
    wire: WireMessage,
    context: string,
    wanted: ReadDecodeOptions,
    now: number | undefined,
    takesBatches: boolean,
  ): readonly Received[] | readonly UnverifiedMessage[] | null {
    const { keyId, session, sequence } = wire;
    const position = { session, sequence, context };
    const opened = this.#open(wire, position);
    if (opened === undefined) return this.#unknownKey(bytes, keyId, context, wanted);
    const { found, plaintext } = opened;
    const { key } = found;
    const { delivery, sentAt, payload, batch, senderHint } = plaintext;
    if (delivery === "control") {
      if (wanted.naive) expectDelivery(delivery, NAIVE_DELIVERIES);
      this.#applyControl(payload, context, found, now);
      if (this.#ownRekey !== undefined && equalBytes(bytes, this.#ownRekey.wire)) this.#ownRekey = undefined;
      return null;
    }
    this.#expectFits(payload.length);
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
    const trusted = isOwn ? [self] : this.#trusted(senderHint);
    if (trusted.length === 0) {
      // Our own hint, but not our signature: a forgery, not a stranger.
      if (senderHint === self.hint) throw new BadSignatureError(fromTableKey(senderHint));
      if (wanted.ignoreUntrusted) return null;
      if (this.#rooted !== undefined) this.#keepOfStranger(this.#rooted, bytes, senderHint, context, wanted);
      throw new UntrustedKeyError(fromTableKey(senderHint), this.#whyUntrusted(senderHint));
    }

    let sender: Participant | undefined;
    let repetition: "seen" | "too-old" | undefined;
    let refusal: "seen" | "too-old" | undefined;
    let isUnseen = false;
    for (const one of trusted) {
      // Before the signature check, which is the dear one: a repeated message is refused at the price of its decryption.
      repetition = this.#replays.seen(one.hex, context, mark) ?? this.#mayBeForgotten(one, found, delivery);
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
    if (!isOwn) this.#expectPublisher(sender, () => this.#keep(bytes, context, wanted));

    this.#checkTime(delivery, sentAt, now, wanted.maxAge);
    if (delivery === "alive") {
      if (repetition !== undefined) return null;
      found.epoch.heardSince ??= this.#replays.forgotten;
      this.#replays.acceptAlive(sender.hex, context, mark, payload);
      return null;
    }
    expectDelivery(delivery, wanted.expected);
    expectSingle(batch, takesBatches);
    if (delivery === "command" && wanted.retained) throw new RetainedCommandError();
    const isReplay = repetition !== undefined || this.#isOutdated(sender, context, mark, wanted.allowReplay);
    // Only now may anything change: the message is authentic, in time, and new.
    this.#follow(found, now);
    if (!isReplay) found.epoch.heardSince ??= this.#replays.forgotten;
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

  /**
   * Whether something may have been given before to a memory that forgot its sender since. A watermark of times, for all who are forgotten,
   * would let one of them shut out whoever is heard first after that; by the epoch, the next rekey ends it.
   */
  #mayBeForgotten({ hex }: Participant, { epoch }: FoundKey, delivery: AnyDelivery): "too-old" | undefined {
    const { heardSince } = epoch;
    if (heardSince === undefined || delivery === "state" || delivery === "will") return undefined;
    return this.#replays.heardSince(hex) > heardSince ? "too-old" : undefined;
  }

  /** Of senders who are not read any more, only so many are remembered. */
  #forgetSenders(rooted: Rooted, most: number): void {
    this.#replays.forget(most, () => {
      const pinned = new Set([this.#identity.participant, ...this.#pins.list()].map(({ hex }) => hex));
      return (sender) => pinned.has(sender) || rooted.isMember(sender);
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

  #whyUntrusted(hint: string): string {
    const rooted = this.#rooted;
    if (rooted === undefined) return "the sender is not trusted: compare its fingerprint, then addParticipant()";
    return rooted.withHint(hint).some((one) => rooted.roster.isRevoked(one))
      ? "the sender was removed from this topic: ignore it"
      : "the sender is not on the roster: ignore it, unless it is new here; then admit() its introduction";
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

/** Whether something may be read by it that could not be. */
function mayRead({ type }: Change): boolean {
  return type === "key" || type === "standing";
}

function expectBytesWithin(name: string, value: number | undefined, least: number, most: number): number {
  const bytes = value ?? most;
  if (!Number.isInteger(bytes) || bytes < least || bytes > most) {
    throw new RangeError(`"${name}" expected an integer from ${least} to ${most}, got ${bytes}`);
  }
  return bytes;
}

/** Text as it came, of anything else its type. */
function quote(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : describe(value);
}

function expectDisplayName(name: unknown): asserts name is string {
  if (typeof name !== "string") throw new TypeError(`"name" expected text, got ${describe(name)}`);
  if (isDisplayName(name)) return;
  throw new RangeError(
    `"name" expected at most ${MAX_DISPLAY_NAME_BYTES} bytes of UTF-8 without control characters, got ${quote(name.slice(0, MAX_DISPLAY_NAME_BYTES))}`,
  );
}

function expectKeep(keep: RevokeOptions["keep"]): Keep {
  if (keep === undefined) return undefined;
  if (typeof keep === "string") {
    if (keep === "all") return "all";
    if (keep === "none") return "none";
    throw new RangeError(`"keep" expected "all", "none" or public keys, got ${quote(keep)}`);
  }
  return new Set(copyKeys("keep", keep).map(toHex));
}

function expectInterval(ratchet: { readonly every: number }): number {
  expectOptions(ratchet, ["every"], "ratchet");
  if (!(expectMilliseconds("ratchet.every", ratchet.every) >= MIN_RATCHET_INTERVAL)) {
    throw new RangeError(
      `"ratchet.every" expected at least ${MIN_RATCHET_INTERVAL} milliseconds, got ${ratchet.every}`,
    );
  }
  return ratchet.every;
}

function expectSingle(batch: readonly Uint8Array[] | undefined, takesBatches: boolean): void {
  if (batch !== undefined && !takesBatches) throw new BatchError(batch.length);
}

function expectDelivery(delivery: AnyDelivery, expected: readonly Delivery[]): asserts delivery is Delivery {
  if (delivery !== "alive" && delivery !== "control" && expected.includes(delivery)) return;
  throw new UnexpectedDeliveryError(
    delivery,
    expected,
    `expected ${expected.join(" or ")}, got a message that was sent as ${delivery}`,
  );
}

function replayed(reason: "seen" | "too-old"): ReplayError {
  return new ReplayError(
    reason,
    reason === "seen"
      ? "this message was given before"
      : "this message is older than what is remembered of its sender, or than a load with restored",
  );
}
