/// <reference lib="esnext.disposable" preserve="true" />
/** LegacyTopic: a topic on the wire of stringphone 0.1, and the only place in compat that orders the checks. */
import {
  copyBytes,
  copyKeys,
  equalBytes,
  expectBytes,
  expectOptions,
  expectSwitch,
  toHex,
  toTableKey,
  toUtf8,
} from "../bytes.js";
import { loadCrypto, randomBytes } from "../crypto.js";
import { RateLimit } from "../discovery.js";
import {
  BadSignatureError,
  DecryptionError,
  DisposedError,
  ForeignReplyError,
  type Introduction,
  IntroductionError,
  MalformedMessageError,
  MessageTooLargeError,
  MissingTopicKeyError,
  ReplayError,
  type Reply,
  type Standing,
  UntrustedKeyError,
} from "../errors.js";
import { Participant } from "../identity.js";
import { KEY_BYTES, NONCE_BYTES, SENDER_HINT_BYTES } from "../limits.js";
import { Pins } from "../participants.js";
import { UnverifiedMessage } from "../received.js";
import {
  OthersIntroductions,
  OwnIntroductions,
  type VerifiedLegacyIntroduction,
  verifyIntroduction,
} from "./discovery.js";
import { LegacyIdentity, openBox, sealBox, verifyRaw } from "./legacy-crypto.js";
import {
  LEGACY_DECODE_OPTIONS,
  LEGACY_REPLY_OPTIONS,
  LEGACY_TOPIC_OPTIONS,
  type LegacyDecodeOptions,
  type LegacyReplyOptions,
  type LegacyTopicOptions,
  type NaiveLegacyDecodeOptions,
  readBounds,
} from "./options.js";
import { LegacyIntroductionReplyError, LegacyReceived, type LegacyReply } from "./received.js";
import { LegacySeed, LegacyTopicKey, notASecret } from "./secrets.js";
import { nameOf, SeenMessages } from "./seen.js";
import {
  formatMessage,
  type LegacyWireIntroduction,
  type LegacyWireMessage,
  type LegacyWireReply,
  parse,
} from "./wire.js";

/**
 * A topic on the wire of stringphone 0.1, for talking to Python devices in the field. It has the calls of `Topic`, and what 0.1
 * cannot give it does not have: messages carry no time, number, delivery or context.
 *
 * **What stays weak, because the wire is as it is:** a message that the broker held back or recorded is accepted whenever it comes,
 * on whatever topic has this key (`replayMemory` refuses repetitions, as long as this program runs). Everybody sees who speaks. Another
 * participant can send what it copied under its own name, even without the topic key. A reply has no signature, so anybody
 * who heard an introduction can hand out a topic key of his own: name the `sponsor` in `parseReply`. An introduction is
 * valid for ever. Who was removed can read on. docs/COMPAT.md has the whole list.
 *
 * **A seed or a topic key never serves both wires.** Here they are a `LegacySeed` and a `LegacyTopicKey`, which a version-1
 * `Topic` refuses.
 *
 * @example
 * ```ts
 * import { LegacyTopic, LegacyTopicKey } from "stringphone/compat";
 *
 * const topicKey = LegacyTopicKey.generate();
 * const alice = await LegacyTopic.create({ topicKey });
 * const bob = await LegacyTopic.create({ topicKey, participants: [alice.publicKey], replayMemory: 10_000 });
 * console.log(bob.decode(alice.encode("Hi Bob!"))?.text()); // "Hi Bob!"
 * ```
 */
export class LegacyTopic {
  /** Messages of each sender that are remembered; 0 is none. See `LegacyTopicOptions`. */
  readonly replayMemory: number;
  readonly #identity: LegacyIdentity;
  #topicKey: Uint8Array | undefined;
  readonly #pins = new Pins();
  readonly #seen: SeenMessages | undefined;
  readonly #own = new OwnIntroductions();
  readonly #others = new OthersIntroductions();
  readonly #replyRate = new RateLimit();
  readonly #introductions = new WeakMap<object, VerifiedLegacyIntroduction>();
  readonly #replies = new WeakMap<object, LegacyWireReply>();
  readonly #maxPayloadBytes: number;
  #disposed = false;

  private constructor(options: LegacyTopicOptions) {
    const { replayMemory, maxPayloadBytes } = readBounds(options);
    this.replayMemory = replayMemory;
    this.#seen = replayMemory > 0 ? new SeenMessages(replayMemory) : undefined;
    this.#maxPayloadBytes = maxPayloadBytes;
    const { seed: given } = options;
    if (given !== undefined && !(given instanceof LegacySeed)) throw notASecret("seed", "LegacySeed", given);
    const seed = given?.bytes ?? randomBytes(KEY_BYTES);
    this.#identity = new LegacyIdentity(seed);
    seed.fill(0);
    this.topicKey = options.topicKey;
    for (const publicKey of options.participants ?? []) this.addParticipant(publicKey);
  }

  /**
   * Makes a topic. Asynchronous because libsodium's WebAssembly is; everything after it is synchronous.
   *
   * @throws TypeError, RangeError for options of a wrong type or length, and for bytes where a secret of 0.1 is expected
   * @throws InvalidKeyError when a participant's key is none that an honest program makes
   * @throws BackendError when `backend` names one that cannot be had
   */
  static async create(options: LegacyTopicOptions = {}): Promise<LegacyTopic> {
    expectOptions(options, LEGACY_TOPIC_OPTIONS);
    const own = { ...options, participants: copyKeys("participants", options.participants ?? []) };
    await loadCrypto(own.backend);
    return new LegacyTopic(own);
  }

  /** Our own Ed25519 public key, 32 bytes, a copy: what others add as participant. */
  get publicKey(): Uint8Array {
    return this.#identity.participant.publicKey;
  }

  /** Our own id: the first 16 bytes of SHA-256 of the public key, a copy. Every message shows it. */
  get id(): Uint8Array {
    return this.#identity.participant.id;
  }

  /** Those whom we trust, in the order in which they were added. The list is a copy. */
  get participants(): readonly Participant[] {
    return this.#pins.list();
  }

  /** The topic key, a copy; `undefined` while there is none. */
  get topicKey(): LegacyTopicKey | undefined {
    this.#expectLive();
    return this.#topicKey && LegacyTopicKey.from(this.#topicKey);
  }

  /** Takes another topic key (copied), or with `undefined` forgets it. The one before is wiped, and our introductions end. */
  set topicKey(topicKey: LegacyTopicKey | undefined) {
    this.#expectLive();
    if (topicKey !== undefined && !(topicKey instanceof LegacyTopicKey)) {
      throw notASecret("topicKey", "LegacyTopicKey", topicKey);
    }
    const key = topicKey?.bytes;
    this.#topicKey?.fill(0);
    this.#topicKey = key;
    this.#own.end();
  }

  /**
   * Trusts a participant: its messages are read from now on, and its introductions may be answered. Compare its fingerprint
   * with a person before. A second time changes nothing.
   *
   * @param publicKey 32 bytes, copied
   * @throws InvalidKeyError when it is not a canonical point of the prime-order subgroup
   */
  addParticipant(publicKey: Uint8Array): Participant {
    this.#expectLive();
    return this.#pins.add(publicKey);
  }

  /**
   * Mutes a participant: its messages are an `UntrustedKeyError` from now on. It keeps the topic key and can read on.
   *
   * @param participant its public key (32 bytes) or id (16 bytes)
   * @returns whether it was trusted before
   */
  removeParticipant(participant: Uint8Array): boolean {
    this.#expectLive();
    return this.#pins.remove(participant);
  }

  /**
   * Encrypts and signs a payload. Publish the result as it is, as bytes; devices that follow the MQTT example of 0.1 want it as
   * hex text.
   *
   * @param payload text, sent as UTF-8, or bytes; may be empty, which Python code often takes for nothing
   * @throws MissingTopicKeyError while there is no topic key: nothing leaves in clear
   * @throws MessageTooLargeError when the payload exceeds `maxPayloadBytes`
   */
  encode(payload: string | Uint8Array): Uint8Array {
    this.#expectLive();
    const bytes =
      typeof payload === "string" ? toUtf8("payload", payload) : expectBytes("payload (or a string)", payload);
    if (bytes.length > this.#maxPayloadBytes) throw new MessageTooLargeError(bytes.length, this.#maxPayloadBytes);
    const nonce = randomBytes(NONCE_BYTES);
    const box = sealBox(this.#key(), nonce, bytes);
    return formatMessage({ claimedSenderId: this.id, nonce, box }, (signed) => this.#identity.sign(signed));
  }

  /**
   * Decrypts a message without checking who signed it, or whether it came before: every holder of the topic key can forge it,
   * and the broker can replay it.
   */
  decode(wire: Uint8Array, options: NaiveLegacyDecodeOptions): UnverifiedMessage;
  /**
   * Verifies and decrypts one message. `null` means one thing: authentic, and nothing for the application (our own message,
   * introduction or reply, or a stranger's message under `ignoreUntrusted`). Everything else throws, and an error changes
   * nothing but what it says.
   *
   * @param wire the bytes as the transport gave them, decoded if they came as hex text
   * @throws IntroductionError when somebody asks for the topic key; its signature is verified, its `name` is empty and
   *   its `sentAt` 0, which 0.1 does not have
   * @throws LegacyIntroductionReplyError when somebody, mostly not known who, gives the topic key to us
   * @throws UntrustedKeyError when its sender is not among our participants
   * @throws ReplayError when it was given before, and is still in the `replayMemory`
   * @throws BadSignatureError, MissingTopicKeyError, DecryptionError, InvalidKeyError, ForeignReplyError, RateLimitError
   * @throws MalformedMessageError, MessageTooLargeError when the bytes are none of 0.1, or too many
   */
  decode(wire: Uint8Array, options?: LegacyDecodeOptions): LegacyReceived | null;
  decode(
    wire: Uint8Array,
    options: LegacyDecodeOptions | NaiveLegacyDecodeOptions = {},
  ): LegacyReceived | UnverifiedMessage | null {
    this.#expectLive();
    expectOptions(options, LEGACY_DECODE_OPTIONS);
    const { naive, ignoreUntrusted }: { naive?: boolean; ignoreUntrusted?: boolean } = options;
    const isNaive = expectSwitch("naive", naive);
    const ignoresUntrusted = expectSwitch("ignoreUntrusted", ignoreUntrusted);
    const bytes = expectBytes("wire", wire);
    const parsed = parse(bytes, this.#maxPayloadBytes);
    if (parsed.type === "introduction") return this.#raiseIntroduction(bytes, parsed);
    if (parsed.type === "reply") return this.#raiseReply(bytes, parsed);
    if (isNaive) return new UnverifiedMessage(this.#open(parsed), parsed.claimedSenderId);
    return this.#decodeMessage(parsed, ignoresUntrusted);
  }

  /**
   * Makes an introduction: publish it, and hand what comes to `decode` until it throws a `LegacyIntroductionReplyError`. It may be
   * answered for ten minutes; at most four wait at a time, a further one ends the oldest.
   *
   * With a topic key it asks for nothing: it shows others our identity, and those that are a `LegacyTopic` can name us as
   * `sponsor` of the replies that we make in the next ten minutes.
   */
  constructIntro(): Uint8Array {
    this.#expectLive();
    return this.#own.introduce(this.#identity);
  }

  /**
   * Answers an introduction with the topic key. Call `addParticipant` with its sender before, after a person compared
   * fingerprints: whoever gets a reply reads the topic from then on. A second call answers again, because a 0.1 device repeats
   * its introduction byte for byte.
   *
   * @param introduction the bytes, or the very object that this topic's `decode` threw
   * @throws BadSignatureError, InvalidKeyError when the introduction is forged
   * @throws UntrustedKeyError when its sender is not among our participants
   * @throws MissingTopicKeyError when we have no key to give
   */
  constructReply(introduction: Uint8Array | Introduction): Uint8Array {
    this.#expectLive();
    const verified = this.#verifiedIntroduction(introduction);
    if (!this.#pins.has(verified.wire.claimedSenderKey)) {
      throw new UntrustedKeyError(
        verified.sender.id,
        "the sender of this introduction is not trusted: compare its fingerprint, then addParticipant()",
      );
    }
    return this.#others.answer(verified, this.#identity, this.#key(), this.#own.newest());
  }

  /**
   * Adopts the topic key of a reply, and ends our introductions. Where no `sponsor` is named, and the reply is not
   * `isAuthenticated`, the key may be anybody's: send nothing secret under it before a message of somebody whom you trust
   * has been decoded, which only the true key does.
   *
   * @param reply the bytes, or the very object that this topic's `decode` threw
   * @returns true: the topic key is ours now
   * @throws ForeignReplyError when it is for somebody else, when we have a topic key, or when no introduction of ours is open
   * @throws UntrustedKeyError when nothing shows that the sponsor named made it
   * @throws DecryptionError, InvalidKeyError when it is forged
   */
  parseReply(reply: Uint8Array | Reply, options: LegacyReplyOptions = {}): boolean {
    this.#expectLive();
    expectOptions(options, LEGACY_REPLY_OPTIONS);
    const { sponsor: given } = options;
    // A setting that is missing must not mean "from anybody".
    if (given === undefined && Object.hasOwn(options, "sponsor")) {
      throw new TypeError('"sponsor" expected Uint8Array, got undefined: leave it out to take a key from anybody');
    }
    const sponsor = given === undefined ? undefined : copyBytes("sponsor", given, KEY_BYTES);
    const wire = this.#wireOfReply(reply);
    this.#expectOurs(wire);
    if (sponsor !== undefined) this.#expectSponsor(wire, sponsor);
    const key = this.#own.read(wire);
    this.#topicKey = key;
    this.#own.end();
    return true;
  }

  /** Wipes all secrets, as far as JavaScript allows. Every later call but this one throws a `DisposedError`. */
  dispose(): void {
    if (this.#disposed) return;
    this.topicKey = undefined;
    this.#identity.wipe();
    this.#disposed = true;
  }

  /** The same as `dispose`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Who; never a secret. */
  toJSON(): { id: string } {
    return { id: toHex(this.id) };
  }

  #expectLive(): void {
    if (this.#disposed) throw new DisposedError();
  }

  #key(): Uint8Array {
    if (this.#topicKey === undefined) throw new MissingTopicKeyError();
    return this.#topicKey;
  }

  #open(wire: LegacyWireMessage): Uint8Array {
    const payload = openBox(this.#key(), wire.nonce, wire.box);
    if (payload === undefined) throw DecryptionError.withoutStack();
    return payload;
  }

  #standing(participant: Participant): Standing {
    if (participant.equals(this.#identity.participant)) return "self";
    return this.#pins.has(participant.publicKey) ? "pinned" : "unknown";
  }

  #decodeMessage(wire: LegacyWireMessage, ignoresUntrusted: boolean): LegacyReceived | null {
    const { claimedSenderId, signature, signed } = wire;
    const hasSigned = (one: Participant) => verifyRaw(signature, signed, Participant.keyOf(one));
    const self = this.#identity.participant;
    if (equalBytes(claimedSenderId, self.id)) {
      if (hasSigned(self)) return null;
      throw new BadSignatureError(claimedSenderId);
    }
    const hint = toTableKey(claimedSenderId.subarray(0, SENDER_HINT_BYTES));
    const trusted = this.#pins.withHint(hint).filter(({ id }) => equalBytes(id, claimedSenderId));
    if (trusted.length === 0) {
      if (ignoresUntrusted) return null;
      throw new UntrustedKeyError(
        claimedSenderId,
        "the sender is not trusted: compare its fingerprint, then addParticipant()",
      );
    }
    const name = this.#seen && nameOf(signed);
    // Before the signature check, which is the dear one. Only what was verified is in there.
    if (name !== undefined && trusted.some(({ hex }) => this.#seen?.has(hex, name))) {
      throw new ReplayError("seen", "this message was given before");
    }
    const sender = trusted.find(hasSigned);
    if (sender === undefined) throw new BadSignatureError(claimedSenderId);
    const payload = this.#open(wire);
    // Only now may anything change: the message is authentic, and opens.
    if (name !== undefined) this.#seen?.add(sender.hex, name);
    return new LegacyReceived(payload, sender);
  }

  #raiseIntroduction(bytes: Uint8Array, wire: LegacyWireIntroduction): null {
    if (this.#own.made(bytes)) return null;
    const verified = this.#others.raise(wire);
    const { sender } = verified;
    const introduction: Introduction = Object.freeze({
      senderKey: sender.publicKey,
      senderId: sender.id,
      fingerprint: sender.fingerprint,
      name: "",
      sentAt: 0,
      isReturning: false,
      standing: this.#standing(sender),
    });
    this.#introductions.set(introduction, verified);
    throw new IntroductionError(introduction);
  }

  #raiseReply(bytes: Uint8Array, wire: LegacyWireReply): null {
    if (this.#others.sent(bytes)) return null;
    this.#expectOurs(wire);
    this.#own.read(wire).fill(0);
    const isAuthenticated = this.#others.hasAttested(wire);
    // Anybody can make as many of the other kind as he likes; they must not keep the true one out.
    if (!isAuthenticated) this.#replyRate.spend("replies", "taken");
    const sponsor = new Participant(wire.claimedSenderKey);
    const reply: LegacyReply = Object.freeze({
      senderKey: sponsor.publicKey,
      senderId: sponsor.id,
      fingerprint: sponsor.fingerprint,
      standing: this.#standing(sponsor),
      isReturning: false,
      isAuthenticated,
    });
    this.#replies.set(reply, wire);
    throw new LegacyIntroductionReplyError(reply);
  }

  #verifiedIntroduction(given: Uint8Array | Introduction): VerifiedLegacyIntroduction {
    const known = this.#introductions.get(given);
    if (known !== undefined) return known;
    const wire = parse(expectBytes("introduction", given), this.#maxPayloadBytes);
    if (wire.type !== "introduction") throw new MalformedMessageError(`expected an introduction, got a ${wire.type}`);
    return verifyIntroduction(wire);
  }

  #wireOfReply(given: Uint8Array | Reply): LegacyWireReply {
    const known = this.#replies.get(given);
    if (known !== undefined) return known;
    const wire = parse(expectBytes("reply", given), this.#maxPayloadBytes);
    if (wire.type !== "reply") throw new MalformedMessageError(`expected a reply, got a ${wire.type}`);
    return wire;
  }

  /** Throws unless the reply may answer an introduction of ours. Whoever has a key takes no other from the wire, as in 0.1. */
  #expectOurs(wire: LegacyWireReply): void {
    if (this.#topicKey !== undefined || !equalBytes(wire.recipientId, this.id)) throw new ForeignReplyError();
  }

  #expectSponsor(wire: LegacyWireReply, sponsor: Uint8Array): void {
    if (!equalBytes(wire.claimedSenderKey, sponsor)) {
      throw new UntrustedKeyError(
        wire.claimedSenderId,
        "expected a reply of the sponsor named, got one in another name: ignore it",
      );
    }
    if (!this.#others.hasAttested(wire)) {
      throw new UntrustedKeyError(
        wire.claimedSenderId,
        "nothing shows that the sponsor named made this reply: decode an introduction of that sponsor, then ask again",
      );
    }
  }
}
