/** What decoding on the wire of 0.1 gives: a verified message, or the error that carries a reply. */
import { IntroductionReplyError, type Reply } from "../errors.js";
import type { Participant } from "../identity.js";
import { Decoded } from "../received.js";

/**
 * A message of a trusted participant: verified and decrypted. 0.1 has no time, no number and no binding to a topic: without a
 * `replayMemory` it may have been given before, and in any case it may have been sent long ago, or on another topic.
 */
export class LegacyReceived extends Decoded {
  /** Who signed it. */
  readonly sender: Participant;

  /** @internal */
  constructor(payload: Uint8Array, sender: Participant) {
    super(payload);
    this.sender = sender;
  }
}

/**
 * A reply on the wire of 0.1: it is for us and it opens. **It has no signature.** Unless `isAuthenticated`, everything in it is
 * what anybody may have written who heard our introduction: that `fingerprint` is the sponsor's shows nothing.
 */
export interface LegacyReply extends Reply {
  /**
   * Whether the sponsor is the one that the reply names: it is encrypted under an X25519 key that this very sponsor has
   * signed, in an introduction of its own that this topic decoded before.
   */
  readonly isAuthenticated: boolean;
}

const UNAUTHENTICATED =
  "the message is a reply to our introduction, and nothing shows who made it: parseReply() adopts its topic key, and takes it " +
  "from one sponsor alone if you name that";

/** A reply to our introduction on the wire of 0.1. Its `name` and `code` are those of `IntroductionReplyError`. */
export class LegacyIntroductionReplyError extends IntroductionReplyError {
  declare readonly reply: LegacyReply;

  constructor(reply: LegacyReply) {
    super(reply, reply.isAuthenticated ? undefined : UNAUTHENTICATED);
  }
}
