/**
 * Introductions and replies (PROTOCOL §9): how a newcomer gets the topic key over a channel that
 * anybody reads and writes. `Newcomer` holds what one's own introductions need, `Sponsor` what
 * answering those of others needs.
 */
import { equalSecrets, toHex, wipe } from "./bytes.js";
import { encode, Reader } from "./cbor.js";
import { type Clock, isTime, runningTime, wakeAfter } from "./clock.js";
import {
  associatedData,
  hash,
  kdf,
  kemDecapsulate,
  kemEncapsulate,
  kemKeyPair,
  open,
  randomBytes,
  seal,
  verify,
} from "./crypto.js";
import {
  BadSignatureError,
  ClockError,
  DecryptionError,
  ForeignReplyError,
  InvalidKeyError,
  MalformedMessageError,
  RateLimitError,
  ReplayError,
  StaleMessageError,
} from "./errors.js";
import { expectIdentityKey, type Identity, Participant } from "./identity.js";
import {
  INTRODUCTION_BURST,
  INTRODUCTION_ID_BYTES,
  INTRODUCTION_INTERVAL,
  INTRODUCTION_LIFETIME,
  KEM_ENCAPSULATION_SEED_BYTES,
  KEY_BYTES,
  MAX_EPOCH,
  MAX_OPENED_REPLY_BYTES,
  MAX_OUTSTANDING_INTRODUCTIONS,
  MAX_REMEMBERED_INTRODUCTIONS,
  MAX_REMEMBERED_REPLIES,
  MAX_REPLIES_PER_INTRODUCTION,
  NONCE_BYTES,
} from "./limits.js";
import {
  formatIntroduction,
  formatReply,
  formatReplyPlaintext,
  parseReplyPlaintext,
  type ReplyContent,
  type RootedReply,
  rootedItems,
  type WireIntroduction,
  type WireReply,
} from "./message.js";
import { TopicKey } from "./topic-key.js";

const noBytes = new Uint8Array(0);
/** A reply key seals one reply only, so its nonce needs no randomness. */
const zeroNonce = new Uint8Array(NONCE_BYTES);

/** A set that forgets its oldest members. */
export class Remembered {
  readonly #members = new Set<string>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  has(bytes: Uint8Array): boolean {
    return this.#members.has(toHex(bytes));
  }

  add(bytes: Uint8Array): void {
    if (this.#members.size >= this.#most) this.#members.delete(this.#members.values().next().value as string);
    this.#members.add(toHex(bytes));
  }
}

/** Names an introduction: a hash of all its bytes. */
export function introductionHash(wire: Uint8Array): Uint8Array {
  return hash("introduction", wire);
}

function replyHash(wire: Uint8Array): Uint8Array {
  return hash("seenReply", wire);
}

function introductionDigest(introduction: Omit<WireIntroduction, "type" | "signature">, context: string): Uint8Array {
  const { identityKey, kemPublicKey, wrapStatement, rejoin, sentAt, name } = introduction;
  return hash("introductionSignature", identityKey, kemPublicKey, wrapStatement, rejoin, sentAt, name, context);
}

/** What a reply is bound to besides its own items. */
interface ReplyBinding {
  readonly introductionHash: Uint8Array;
  readonly kemCiphertext: Uint8Array;
  readonly context: string;
}

/** With the rejoin secret that the introduction proved, where the sponsor has it: nobody else can make such a reply, whatever seed he stole. */
function replyKey(
  sharedSecret: Uint8Array,
  { introductionHash: name }: ReplyBinding,
  provenSecret: Uint8Array | undefined,
): Uint8Array {
  if (provenSecret === undefined) return kdf(sharedSecret, "replyKey", name);
  return kdf(sharedSecret, "returningReplyKey", name, provenSecret);
}

function replyData({ introductionHash: name, kemCiphertext, context }: ReplyBinding): Uint8Array {
  return associatedData("reply", name, hash("kemCiphertext", kemCiphertext), context);
}

/** `named` is the commitment of the topic key; or, where that is wrapped once more, the hash of the wrap. */
function replyDigest(
  binding: ReplyBinding,
  sponsorKey: Uint8Array,
  named: Uint8Array,
  rooted: RootedReply,
): Uint8Array {
  const { introductionHash: name, kemCiphertext, context } = binding;
  const { epoch, generation } = rooted;
  const rest = hash("replyRest", generation, ...rootedItems(rooted));
  return hash("replySignature", name, hash("kemCiphertext", kemCiphertext), sponsorKey, epoch, named, rest, context);
}

/** What a reply's signature calls the topic key in it. */
function nameOf(topicKey: Uint8Array): Uint8Array {
  if (topicKey.length !== KEY_BYTES) return hash("returnWrap", topicKey);
  const key = new TopicKey(topicKey);
  key.wipe();
  return key.commitment;
}

/** What a proof of coming back covers: an introduction without the proof, and without the signature over both. */
function proofInput(
  introduction: Omit<WireIntroduction, "type" | "signature" | "rejoin">,
  context: string,
): Uint8Array {
  const { identityKey, kemPublicKey, wrapStatement, sentAt, name } = introduction;
  return hash("rejoinIntroduction", identityKey, kemPublicKey, wrapStatement, sentAt, name, context);
}

/** What an introduction says to come back: an epoch, and a proof to have known its key. */
export function parseRejoin(rejoin: Uint8Array): { epoch: number; proof: Uint8Array } | undefined {
  if (rejoin.length === 0) return undefined;
  const reader = new Reader(rejoin);
  if (reader.array() !== 2) throw new MalformedMessageError("expected a rejoin proof of 2 items");
  const epoch = reader.unsigned();
  const proof = new Uint8Array(reader.bytes());
  reader.end();
  if (epoch > MAX_EPOCH) throw new MalformedMessageError(`expected a rejoin proof of an epoch of at most ${MAX_EPOCH}`);
  if (proof.length !== KEY_BYTES) throw new MalformedMessageError("expected a rejoin proof of 32 bytes");
  return { epoch, proof };
}

/** Whether an introduction's proof was made with this secret. */
export function isProofOf(secret: Uint8Array, proof: Uint8Array, { wire, context }: VerifiedIntroduction): boolean {
  return equalSecrets(proof, kdf(secret, "rejoinProof", proofInput(wire, context)));
}

/** What an introduction says, but for who signs it and its KEM key. */
export interface IntroductionFacts {
  readonly name: string;
  readonly sentAt: number;
  readonly context: string;
  readonly wrapStatement: Uint8Array;
  /** Of an epoch whose key we had, and what shows that. */
  readonly rejoin: { readonly epoch: number; readonly secret: Uint8Array } | undefined;
}

/** Signs an introduction. `kemPublicKey` must be made for it alone. */
export function signIntroduction(identity: Identity, kemPublicKey: Uint8Array, facts: IntroductionFacts): Uint8Array {
  const { name, sentAt, context, wrapStatement } = facts;
  const identityKey = identity.participant.publicKey;
  const unproved = { identityKey, kemPublicKey, wrapStatement, sentAt, name };
  const rejoin =
    facts.rejoin === undefined
      ? noBytes
      : encode([facts.rejoin.epoch, kdf(facts.rejoin.secret, "rejoinProof", proofInput(unproved, context))]);
  const introduction = { ...unproved, rejoin };
  return formatIntroduction({ ...introduction, signature: identity.sign(introductionDigest(introduction, context)) });
}

/** What is to be answered. */
export interface Addressee {
  readonly wire: WireIntroduction;
  readonly hash: Uint8Array;
  readonly context: string;
  /** The rejoin secret with which its proof was made, where we have it. */
  readonly provenSecret?: Uint8Array | undefined;
}

/** Encrypts the topic key to one introduction. `kemSeed` is 64 random bytes, used for nothing else. */
export function sealReply(
  identity: Identity,
  content: ReplyContent,
  introduction: Addressee,
  kemSeed: Uint8Array,
): Uint8Array {
  const encapsulated = kemEncapsulate(introduction.wire.kemPublicKey, kemSeed);
  if (encapsulated === undefined) {
    throw new InvalidKeyError(
      "expected an X-Wing public key in the introduction, got bytes that no honest program makes",
    );
  }
  const { ciphertext: kemCiphertext, sharedSecret } = encapsulated;
  const binding = { introductionHash: introduction.hash, kemCiphertext, context: introduction.context };
  const sponsorKey = identity.participant.publicKey;
  const signature = identity.sign(replyDigest(binding, sponsorKey, nameOf(content.topicKey), content));
  const key = replyKey(sharedSecret, binding, introduction.provenSecret);
  const plaintext = formatReplyPlaintext({ sponsorKey, signature, ...content });
  try {
    const ciphertext = seal(key, zeroNonce, replyData(binding), plaintext);
    const introductionId = introduction.hash.slice(0, INTRODUCTION_ID_BYTES);
    return formatReply({ introductionId, kemCiphertext, ciphertext });
  } finally {
    wipe(sharedSecret, key, plaintext);
  }
}

/** A reply that was opened and verified. */
export interface OpenedReply {
  readonly sponsor: Participant;
  /** What it says, as it came: read, it takes many times as much memory. Wiped with the introduction. */
  readonly plaintext: Uint8Array;
  readonly introductionHash: Uint8Array;
  /** Whether the sponsor had the rejoin secret that the introduction proved. */
  readonly isReturning: boolean;
}

/** Decrypts and verifies a reply to the introduction whose KEM secret this is, and which proved this rejoin secret, if any. */
export function openReply(
  wire: WireReply,
  introduction: { hash: Uint8Array; context: string; provenSecret?: Uint8Array | undefined },
  kemSecretKey: Uint8Array,
): OpenedReply {
  const sharedSecret = kemDecapsulate(wire.kemCiphertext, kemSecretKey);
  if (sharedSecret === undefined) throw DecryptionError.withoutStack();
  const { kemCiphertext, ciphertext } = wire;
  const binding = { introductionHash: introduction.hash, kemCiphertext, context: introduction.context };
  const openWith = (provenSecret: Uint8Array | undefined): Uint8Array | undefined => {
    const key = replyKey(sharedSecret, binding, provenSecret);
    const opened = open(key, zeroNonce, replyData(binding), ciphertext);
    wipe(key);
    return opened;
  };
  const { provenSecret } = introduction;
  const returning = provenSecret === undefined ? undefined : openWith(provenSecret);
  const plaintext = returning ?? openWith(undefined);
  wipe(sharedSecret);
  if (plaintext === undefined) throw DecryptionError.withoutStack();
  try {
    const sponsor = verifyReply(plaintext, binding);
    return { sponsor, plaintext, introductionHash: introduction.hash, isReturning: returning !== undefined };
  } catch (error) {
    wipe(plaintext);
    throw error;
  }
}

function verifyReply(plaintext: Uint8Array, binding: ReplyBinding): Participant {
  const { sponsorKey, signature, ...content } = parseReplyPlaintext(plaintext);
  try {
    expectIdentityKey(sponsorKey);
    const sponsor = new Participant(sponsorKey);
    const digest = replyDigest(binding, sponsorKey, nameOf(content.topicKey), content);
    if (!verify(signature, digest, sponsorKey)) throw new BadSignatureError(sponsor.id);
    return sponsor;
  } finally {
    wipe(content.topicKey, content.rejoinSecret);
  }
}

interface Outstanding {
  readonly hash: Uint8Array;
  readonly context: string;
  readonly kemSecretKey: Uint8Array;
  /** The rejoin secret that it proved, a copy. */
  readonly provenSecret: Uint8Array | undefined;
  readonly deadline: number;
  readonly timer: ReturnType<typeof setTimeout>;
  /** Whether a reply was adopted: what comes beyond the bound is then too late, and nothing to ask anew for. */
  isAnswered: boolean;
  /** By hash of the reply; `undefined` for one that did not open, was adopted or dropped. */
  readonly replies: Map<string, OpenedReply | undefined>;
}

/** Our own introductions that wait for a reply. Their secrets never leave this object and are never saved. */
export class Newcomer {
  readonly #outstanding = new Map<string, Outstanding>();
  readonly #made = new Remembered(MAX_REMEMBERED_INTRODUCTIONS);

  /** Makes an introduction and keeps its KEM secret until `end`, or until it is replaced or ten minutes old. */
  introduce(identity: Identity, facts: IntroductionFacts): Uint8Array {
    const seed = randomBytes(KEY_BYTES);
    const { publicKey, secretKey } = kemKeyPair(seed);
    wipe(seed);
    const wire = signIntroduction(identity, publicKey, facts);
    const name = introductionHash(wire);
    const id = idOf(name);
    if (this.#outstanding.size >= MAX_OUTSTANDING_INTRODUCTIONS) {
      this.#end(this.#outstanding.keys().next().value as string);
    }
    const timer = wakeAfter(INTRODUCTION_LIFETIME, () => this.#end(id));
    this.#outstanding.set(id, {
      hash: name,
      context: facts.context,
      kemSecretKey: secretKey,
      provenSecret: facts.rejoin === undefined ? undefined : new Uint8Array(facts.rejoin.secret),
      deadline: runningTime() + INTRODUCTION_LIFETIME,
      timer,
      isAnswered: false,
      replies: new Map(),
    });
    this.#made.add(name);
    return wire;
  }

  /** Whether this very introduction is ours. */
  made(name: Uint8Array): boolean {
    return this.#made.has(name);
  }

  /**
   * Opens a reply to an introduction of ours. A reply that was opened already is given again only if
   * `again`; otherwise it counts as a replay.
   */
  open(bytes: Uint8Array, wire: WireReply, context: string, again: boolean): OpenedReply {
    const introduction = this.#find(toHex(wire.introductionId));
    const replyName = toHex(replyHash(bytes));
    const opened = introduction.replies.get(replyName);
    if (opened !== undefined && again) return opened;
    if (introduction.replies.has(replyName)) {
      throw new ReplayError("seen", "this reply came before: use parseReply() with what its first decode gave, once");
    }
    if (introduction.replies.size >= MAX_REPLIES_PER_INTRODUCTION) {
      if (introduction.isAnswered) throw new ForeignReplyError();
      throw new RateLimitError(
        undefined,
        `more than ${MAX_REPLIES_PER_INTRODUCTION} replies: call constructIntro() again`,
      );
    }
    // The introduction is bound to one context, and its reply with it; in the right one it can still be opened.
    if (context !== introduction.context) throw DecryptionError.withoutStack();
    introduction.replies.set(replyName, undefined);
    const reply = openReply(wire, introduction, introduction.kemSecretKey);
    introduction.replies.set(replyName, reply);
    this.#makeRoom(reply);
    return reply;
  }

  /** Drops the largest replies but this one where they exceed what is kept: somebody else may have made them to fill this memory. */
  #makeRoom(newest: OpenedReply): void {
    const all = [...this.#outstanding.values()].flatMap(({ replies }) =>
      [...replies].map(([name, reply]) => ({ replies, name, reply })),
    );
    const opened = all.filter(({ reply }) => reply !== undefined).sort((a, b) => lengthOf(b) - lengthOf(a));
    let bytes = opened.reduce((sum, one) => sum + lengthOf(one), 0);
    for (const one of opened) {
      if (bytes <= MAX_OPENED_REPLY_BYTES) break;
      if (one.reply === newest) continue;
      bytes -= lengthOf(one);
      one.replies.set(one.name, undefined);
      wipe(one.reply?.plaintext);
    }
  }

  /** What an opened reply says, whose introduction is still open. The secrets in it are the caller's to wipe. */
  contentOf(reply: OpenedReply): ReplyContent {
    const { replies } = this.#find(idOf(reply.introductionHash));
    if (![...replies.values()].includes(reply)) throw new ForeignReplyError();
    return parseReplyPlaintext(reply.plaintext);
  }

  /** Whether another reply to the same introduction was adopted before this one. */
  isFurther(reply: OpenedReply): boolean {
    return this.#outstanding.get(idOf(reply.introductionHash))?.isAnswered === true;
  }

  /** Wipes what an adopted reply says, and leaves its introduction open: another sponsor may know more. */
  keepOpen(adopted: OpenedReply): void {
    const introduction = this.#outstanding.get(idOf(adopted.introductionHash));
    if (introduction === undefined) return;
    introduction.isAnswered = true;
    for (const [name, reply] of introduction.replies) if (reply === adopted) introduction.replies.set(name, undefined);
    wipe(adopted.plaintext);
  }

  /** Ends all introductions and wipes their secrets. */
  end(): void {
    for (const id of this.#outstanding.keys()) this.#end(id);
  }

  #find(id: string): Outstanding {
    const introduction = this.#outstanding.get(id);
    if (introduction === undefined || runningTime() > introduction.deadline) throw new ForeignReplyError();
    return introduction;
  }

  #end(id: string): void {
    const introduction = this.#outstanding.get(id);
    if (introduction === undefined) return;
    this.#outstanding.delete(id);
    clearTimeout(introduction.timer);
    wipe(introduction.kemSecretKey, introduction.provenSecret);
    for (const reply of introduction.replies.values()) wipe(reply?.plaintext);
  }
}

function idOf(introductionHash: Uint8Array): string {
  return toHex(introductionHash.subarray(0, INTRODUCTION_ID_BYTES));
}

function lengthOf({ reply }: { readonly reply: OpenedReply | undefined }): number {
  return reply?.plaintext.length ?? 0;
}

/** An introduction whose signature was verified. */
export interface VerifiedIntroduction {
  readonly wire: WireIntroduction;
  readonly hash: Uint8Array;
  readonly context: string;
  readonly sender: Participant;
  /** Running time at which it was verified. */
  readonly verifiedAt: number;
}

/** Lets a burst through, and then one each interval. */
export class RateLimit {
  #tokens = INTRODUCTION_BURST;
  #refilledAt = runningTime();

  /** @throws RateLimitError when there were too many of `what`; `done` says what happens to those that are let through */
  spend(what: string, done: string): void {
    const now = runningTime();
    const refilled = this.#tokens + (now - this.#refilledAt) / INTRODUCTION_INTERVAL;
    this.#tokens = Math.min(refilled, INTRODUCTION_BURST);
    this.#refilledAt = now;
    if (this.#tokens < 1) {
      const wait = Math.ceil((1 - this.#tokens) * INTRODUCTION_INTERVAL);
      throw new RateLimitError(wait, `too many ${what}: the next is ${done} in ${wait} ms`);
    }
    this.#tokens -= 1;
  }
}

/** Verifies and answers the introductions of others. */
export class Sponsor {
  readonly #clock: Clock;
  readonly #raised = new Remembered(MAX_REMEMBERED_INTRODUCTIONS);
  readonly #answered = new Remembered(MAX_REMEMBERED_INTRODUCTIONS);
  readonly #replies = new Remembered(MAX_REMEMBERED_REPLIES);
  readonly #rate = new RateLimit();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Verifies an introduction that came over the wire, once. `now` is what the clock read, as in all of these. */
  raise(wire: WireIntroduction, name: Uint8Array, context: string, now: number | undefined): VerifiedIntroduction {
    if (this.#raised.has(name)) throw new ReplayError("seen", "this introduction was raised before");
    this.#rate.spend("introductions", "verified");
    const introduction = this.verify(wire, name, context, now);
    this.#raised.add(name);
    return introduction;
  }

  /** Verifies an introduction: its key, its signature, its time. */
  verify(wire: WireIntroduction, name: Uint8Array, context: string, now: number | undefined): VerifiedIntroduction {
    expectIdentityKey(wire.identityKey);
    const sender = new Participant(wire.identityKey);
    if (!verify(wire.signature, introductionDigest(wire, context), wire.identityKey)) {
      throw new BadSignatureError(sender.id);
    }
    this.#expectRecent(wire, now);
    return { wire, hash: name, context, sender, verifiedAt: runningTime() };
  }

  /** Refuses an introduction that is too old to be answered, or was answered. */
  expectAnswerable(introduction: VerifiedIntroduction, now: number | undefined): void {
    this.#expectRecent(introduction.wire, now);
    const waited = runningTime() - introduction.verifiedAt;
    if (waited > INTRODUCTION_LIFETIME) throw tooOld(waited);
    if (this.#answered.has(introduction.hash)) {
      throw new ReplayError("seen", "this introduction was answered before: the newcomer can make another");
    }
  }

  /** Answers a verified introduction, once, and while it is recent. What to give is taken when nothing else can refuse. */
  answer(
    introduction: VerifiedIntroduction & Addressee,
    identity: Identity,
    take: () => ReplyContent,
    now: number | undefined,
  ): Uint8Array {
    this.expectAnswerable(introduction, now);
    const kemSeed = randomBytes(KEM_ENCAPSULATION_SEED_BYTES);
    const content = take();
    try {
      const reply = sealReply(identity, content, introduction, kemSeed);
      this.#answered.add(introduction.hash);
      this.#replies.add(replyHash(reply));
      return reply;
    } finally {
      wipe(kemSeed, content.topicKey);
    }
  }

  /** Whether this reply is ours, come back from the broker. */
  sent(reply: Uint8Array): boolean {
    return this.#replies.has(replyHash(reply));
  }

  #expectRecent({ sentAt }: WireIntroduction, now: number | undefined): void {
    if (now === undefined || !isTime(sentAt)) return;
    const ahead = this.#clock.tooFarAhead(sentAt, now);
    if (ahead !== undefined) {
      throw new ClockError("sender", ahead, `the introduction is ${ahead} ms ahead of our clock: compare both clocks`);
    }
    if (now - sentAt > INTRODUCTION_LIFETIME) throw tooOld(now - sentAt);
  }
}

function tooOld(age: number): StaleMessageError {
  return new StaleMessageError(
    age,
    `the introduction is ${age} ms old: it may be answered for ${INTRODUCTION_LIFETIME}`,
  );
}
