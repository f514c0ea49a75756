/**
 * Introductions and replies of 0.1 (docs/COMPAT.md §2): what one's own introductions need, and what those of others need. The
 * reply has no signature; all that can show who made it is an X25519 key that its sponsor signed in an introduction of its own.
 */
import { toHex, wipe } from "../bytes.js";
import { runningTime } from "../clock.js";
import { randomBytes } from "../crypto.js";
import { RateLimit } from "../discovery.js";
import { BadSignatureError, DecryptionError, ForeignReplyError } from "../errors.js";
import { expectIdentityKey, Participant } from "../identity.js";
import {
  INTRODUCTION_LIFETIME,
  MAX_OUTSTANDING_INTRODUCTIONS,
  MAX_REMEMBERED_INTRODUCTIONS,
  MAX_REMEMBERED_REPLIES,
  NONCE_BYTES,
} from "../limits.js";
import {
  type AgreementKeyPair,
  agree,
  agreementKeyPair,
  expectAgreementKey,
  type LegacyIdentity,
  openBox,
  sealBox,
  verifyRaw,
} from "./legacy-crypto.js";
import { MAX_ATTESTED_KEYS } from "./limits.js";
import { nameOf, Remembered } from "./seen.js";
import { formatIntroduction, formatReply, type LegacyWireIntroduction, type LegacyWireReply } from "./wire.js";

interface Open {
  readonly keyPair: AgreementKeyPair;
  readonly deadline: number;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** Our own introductions, and the X25519 secrets behind them, each of its own and gone after ten minutes. */
export class OwnIntroductions {
  readonly #open = new Set<Open>();
  readonly #made = new Remembered(MAX_REMEMBERED_INTRODUCTIONS);

  /** Makes an introduction; a fifth that is open ends the oldest. */
  introduce(identity: LegacyIdentity): Uint8Array {
    const keyPair = agreementKeyPair();
    const wire = formatIntroduction({
      claimedSenderKey: identity.participant.publicKey,
      signature: identity.sign(keyPair.publicKey),
      encryptionKey: keyPair.publicKey,
    });
    if (this.#open.size >= MAX_OUTSTANDING_INTRODUCTIONS) this.#end(this.#open.values().next().value as Open);
    const timer = setTimeout(() => this.#end(open), INTRODUCTION_LIFETIME);
    const open: Open = { keyPair, deadline: runningTime() + INTRODUCTION_LIFETIME, timer };
    // In Node a timer keeps the process alive, unless told not to; a browser's is a number.
    (timer as { unref?: () => void }).unref?.();
    this.#open.add(open);
    this.#made.add(nameOf(wire));
    return wire;
  }

  /** Whether this very introduction is ours. */
  made(wire: Uint8Array): boolean {
    return this.#made.has(nameOf(wire));
  }

  /** The key pair of the newest one that is open: whoever heard it knows whose it is. Not a copy; it is used at once. */
  newest(): AgreementKeyPair | undefined {
    return this.#stillOpen().at(-1)?.keyPair;
  }

  /**
   * The topic key in a reply to one of them, 32 bytes. It names none, so all are tried.
   *
   * @throws ForeignReplyError, InvalidKeyError, DecryptionError
   */
  read(reply: LegacyWireReply): Uint8Array {
    const open = this.#stillOpen();
    if (open.length === 0) throw new ForeignReplyError();
    expectIdentityKey(reply.claimedSenderKey);
    for (const { keyPair } of open) {
      const key = agree(reply.encryptionKey, keyPair.secretKey);
      try {
        const topicKey = openBox(key, reply.nonce, reply.box);
        if (topicKey !== undefined) return topicKey;
      } finally {
        wipe(key);
      }
    }
    throw DecryptionError.withoutStack();
  }

  /** Ends all of them and wipes their secrets. */
  end(): void {
    for (const open of this.#open) this.#end(open);
  }

  /** A timer may come late: on a busy machine, or after a sleep. */
  #stillOpen(): readonly Open[] {
    const now = runningTime();
    return [...this.#open].filter(({ deadline }) => now <= deadline);
  }

  #end(open: Open): void {
    clearTimeout(open.timer);
    wipe(open.keyPair.secretKey);
    this.#open.delete(open);
  }
}

/** An introduction whose signature was verified: its sender has, or had, the secret key. */
export interface VerifiedLegacyIntroduction {
  readonly wire: LegacyWireIntroduction;
  readonly sender: Participant;
}

/** The introductions of others, and our answers. */
export class OthersIntroductions {
  readonly #rate = new RateLimit();
  readonly #attested = new Remembered(MAX_ATTESTED_KEYS);
  readonly #sent = new Remembered(MAX_REMEMBERED_REPLIES);

  /** Verifies an introduction that came over the wire, and remembers which X25519 key its sender signed. */
  raise(wire: LegacyWireIntroduction): VerifiedLegacyIntroduction {
    this.#rate.spend("introductions", "taken");
    const verified = verifyIntroduction(wire);
    this.#attested.add(attestation(wire));
    return verified;
  }

  /** Whether the sponsor that a reply names has signed the X25519 key under which the reply is encrypted. */
  hasAttested(reply: LegacyWireReply): boolean {
    return this.#attested.has(attestation(reply));
  }

  /** Answers a verified introduction, under the key pair of an introduction of ours where there is one. Copies `topicKey`. */
  answer(
    { wire }: VerifiedLegacyIntroduction,
    identity: LegacyIdentity,
    topicKey: Uint8Array,
    announced: AgreementKeyPair | undefined,
  ): Uint8Array {
    const keyPair = announced ?? agreementKeyPair();
    const nonce = randomBytes(NONCE_BYTES);
    let key: Uint8Array | undefined;
    try {
      key = agree(wire.encryptionKey, keyPair.secretKey);
      const reply = formatReply({
        recipientId: wire.claimedSenderId,
        nonce,
        box: sealBox(key, nonce, topicKey),
        encryptionKey: keyPair.publicKey,
        claimedSenderKey: identity.participant.publicKey,
      });
      this.#sent.add(nameOf(reply));
      return reply;
    } finally {
      wipe(key);
      if (announced === undefined) wipe(keyPair.secretKey);
    }
  }

  /** Whether this reply is ours, come back from the broker. */
  sent(reply: Uint8Array): boolean {
    return this.#sent.has(nameOf(reply));
  }
}

/** Who signed which X25519 key. Both: anybody can sign somebody else's. */
function attestation(wire: Pick<LegacyWireReply, "claimedSenderKey" | "encryptionKey">): string {
  return toHex(wire.claimedSenderKey) + toHex(wire.encryptionKey);
}

/** @throws InvalidKeyError, BadSignatureError */
export function verifyIntroduction(wire: LegacyWireIntroduction): VerifiedLegacyIntroduction {
  expectIdentityKey(wire.claimedSenderKey);
  if (!verifyRaw(wire.signature, wire.encryptionKey, wire.claimedSenderKey)) {
    throw new BadSignatureError(wire.claimedSenderId);
  }
  expectAgreementKey(wire.encryptionKey);
  return { wire, sender: new Participant(wire.claimedSenderKey) };
}
