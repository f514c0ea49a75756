/** What a topic, mostly a rooted one, tells the application without being asked (PROTOCOL §11, §12). */
import type { Participant } from "./identity.js";
import type { RekeyReason } from "./rekey.js";
import type { Role } from "./roster.js";

/** Bytes for everybody on the channel, to be published under a name of their own. */
export interface ControlMessage {
  /**
   * 16 hex digits. A transport that retains messages keeps this one under its name, so that who was away finds it: over MQTT
   * for example, retained at `home/kitchen/control/<name>`. A message with the same name takes its place.
   */
  readonly name: string;
  /** What to publish. It is bound to the topic's `name`: receivers decode it without another `context`. */
  readonly wire: Uint8Array;
}

/** Why a rekey is wanted. */
export type RekeyWant =
  /** The key to send under was given to somebody who is not on the roster any more. */
  | "held-by-removed"
  /** A removal of ours lost against another rekey, whose issuer may not have known of it. */
  | "removal-lost"
  /** Somebody on the roster was not given the key to send under. */
  | "participant-missing"
  /** No epoch counts, or that which counts cannot be opened here, or we ceased to send under it. */
  | "unusable";

/** Why an introduction is wanted. */
export type IntroductionWant =
  /** There is no key that may be sent under. */
  | "no-key"
  /** Messages come under a key that is not known. */
  | "unknown-key"
  /** Messages come under a later generation than we may step to: others may have wiped what we send under. */
  | "behind"
  /** Messages come of somebody whom no statement names. */
  | "unknown-sender"
  /** Somebody knows statements that we do not, or we some that it does not. */
  | "statements-differ"
  /** An old state was loaded. */
  | "restored";

/** Something that changed over the wire, or that is wanted from the application. */
export type TopicEvent =
  /**
   * The topic is at another epoch: seal retained messages and the will again, under the new key. `issuer` is ourselves for a
   * rekey of our own, and `undefined` for a key that a reply gave. `removed` are those who lost the key by it. It also comes where we
   * may not send under that key.
   */
  | {
      readonly type: "rekeyed";
      readonly epoch: number;
      readonly issuer: Participant | undefined;
      readonly reason: RekeyReason | undefined;
      readonly removed: readonly Participant[];
    }
  /** The key stepped to another generation, by us or by following somebody: retained messages and the will want to be sealed again. */
  | { readonly type: "ratcheted"; readonly generation: number }
  /** Somebody is on the roster now, or in another role. */
  | {
      readonly type: "admitted";
      readonly participant: Participant;
      readonly role: Role;
      readonly name: string;
      readonly by: Participant | undefined;
    }
  /** Somebody is not on the roster any more. `by` is undefined where nobody spoke: who had admitted it is no admin any more. */
  | { readonly type: "revoked"; readonly participant: Participant; readonly by: Participant | undefined }
  /** We are not on the roster any more: nothing can be sent, and what is sent from now on cannot be read. */
  | { readonly type: "removed"; readonly by: Participant | undefined }
  /** A rekey is wanted from us: wait `delay` milliseconds, and if `rekeyWanted` still says so, publish what `rekey()` gives. */
  | { readonly type: "rekey-wanted"; readonly reason: RekeyWant; readonly delay: number }
  /** We miss something: wait `delay` milliseconds, and publish what `constructIntro()` gives. */
  | { readonly type: "introduction-wanted"; readonly reason: IntroductionWant; readonly delay: number }
  /** Others miss something: publish these. */
  | { readonly type: "publish"; readonly messages: readonly ControlMessage[] }
  /** A reply to somebody who comes back, made without asking a person (`answerReturning`): publish it in this context. */
  | {
      readonly type: "answered";
      readonly participant: Participant;
      readonly wire: Uint8Array;
      readonly context: string;
    }
  /** So many messages that were kept can be read now: call `decodeKept()`. */
  | { readonly type: "readable"; readonly count: number }
  /**
   * For admins: what was retained under these names was replaced by later statements, or its key is past the grace. Clear it: over MQTT,
   * publish empty bytes there, retained.
   */
  | { readonly type: "expired"; readonly names: readonly string[] }
  /**
   * Somebody announced a wrap key as ours, and has our seed: revoke this identity, and pair with another. Or an old state was loaded: see
   * `Topic.load`.
   */
  | { readonly type: "seed-stolen"; readonly wrapKey: Uint8Array }
  /** An admin made a rekey whose wrap for us is bad: it is at fault, or hostile. */
  | { readonly type: "bad-rekey"; readonly issuer: Participant; readonly epoch: number };

export type TopicListener = (event: TopicEvent) => void;
