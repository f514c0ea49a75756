/**
 * All of a topic as bytes, from which another run of the program goes on. Plain data only: what it means is the business of those
 * who gave it. The same state gives the same bytes.
 *
 *     [ "stringphone/1 state", 1, the state, BLAKE2b-256 of all before this item ]
 *
 * The hash tells damage, which in a key could not be seen otherwise. It keeps nobody from writing another state.
 */
import { equalBytes, fromHex, fromTableKey, toHex, toTableKey, wipe } from "./bytes.js";
import { Reader, Writer } from "./cbor.js";
import type { SavedClock } from "./clock.js";
import {
  age,
  bytes,
  type Codec,
  fail,
  flag,
  integer,
  list,
  mapped,
  milliseconds,
  oneOf,
  optional,
  pair,
  record,
  shared,
  text,
  time,
  timeOrNothing,
  unsigned,
} from "./codec.js";
import { hashEncoded, labelPrefix } from "./crypto.js";
import type { Removal } from "./departures.js";
import { isStringphoneError, StateError } from "./errors.js";
import type { ControlMessage, IntroductionWant } from "./events.js";
import type { SavedGaps } from "./gaps.js";
import type { SavedGenerations } from "./generations.js";
import type { Kept } from "./kept.js";
import { epochIdOf, type SavedEpoch } from "./keyring.js";
import {
  GENERATION_LIMIT,
  KEY_BYTES,
  MAX_CONTEXT_BYTES,
  MAX_CONTEXTS_PER_SENDER,
  MAX_CONTROL_BYTES,
  MAX_COUNTED,
  MAX_DIGESTS,
  MAX_EPOCH,
  MAX_GAP_INTERVAL,
  MAX_ISSUERS,
  MAX_KEPT_BYTES,
  MAX_KEPT_MESSAGES,
  MAX_RECIPIENTS,
  MAX_REJOIN_SECRETS,
  MAX_REPUBLISHED,
  MAX_RETAINED_NAMES,
  MAX_ROOTS,
  MAX_SEQUENCE,
  MAX_SESSIONS_PER_CONTEXT,
  MAX_STATEMENT_BYTES,
  MAX_STATEMENT_VERSION,
  MAX_STATEMENTS,
  MAX_WRAP_KEYS,
  SALT_BYTES,
  SENDER_HINT_BYTES,
  SESSION_BYTES,
  SIGNATURE_BYTES,
} from "./limits.js";
import { ALL_DELIVERIES, type ReadDecodeOptions } from "./options.js";
import type { RejoinSecret } from "./rejoin.js";
import { REASONS, type RekeyHead } from "./rekey.js";
import type {
  SavedAlive,
  SavedBlock,
  SavedContext,
  SavedReplays,
  SavedSender,
  SavedSession,
  SavedState,
} from "./replay.js";
import type { SavedRooted } from "./rooted.js";
import type { SavedStatements } from "./statement-set.js";
import type { SavedStepBudget } from "./step-budget.js";
import type { SavedUnsettled } from "./unsettled.js";
import type { SavedWrapKey } from "./wrap-keys.js";

/** Of how a state is written. Another one is not read, and none of another program is. */
const FORMAT = 1;

/** A rekey of ours that has not come back from the broker: it may never have been published. */
export interface OwnRekey extends ControlMessage {
  /** The id of the epoch that it started. */
  readonly epoch: string;
}

/** All of a topic that must outlive the program. It is secret. */
export interface SavedTopic {
  readonly name: string;
  readonly seed: Uint8Array;
  readonly clock: SavedClock;
  readonly epochs: readonly SavedEpoch[];
  /** The id of the epoch that is sent under. */
  readonly sending: string | undefined;
  readonly wrapKeys: readonly SavedWrapKey[];
  readonly budget: SavedStepBudget;
  /** By the clock: when the key last stepped, or was new. */
  readonly steppedAt: number | undefined;
  /** Public keys in hex: who lost the key by the next epoch, unless it is on the roster again by then. */
  readonly removed: readonly string[];
  readonly ownRekey: OwnRekey | undefined;
  /** Milliseconds until what others may not know is to be published. */
  readonly spread: number | undefined;
  readonly rooted: SavedRooted | undefined;
  /** Public keys. */
  readonly pins: readonly Uint8Array[];
  readonly replays: SavedReplays;
  readonly kept: readonly Kept[];
  readonly gaps: SavedGaps;
}

const secret = bytes(KEY_BYTES);
/** Public bytes in hex: keys, ids, hashes. */
const name = mapped(shared(KEY_BYTES), fromHex, toHex);
/** Of an epoch: a commitment, and who issued it where somebody did. */
const epochId = mapped(shared(KEY_BYTES, 2 * KEY_BYTES), fromHex, toHex);
/** The name of a control message, in hex. */
const shortName = mapped(bytes(SENDER_HINT_BYTES), fromHex, toHex);
/** A session as the key of a table. */
const session = mapped(bytes(SESSION_BYTES), fromTableKey, (value) => toTableKey(value));
const sessionOrNone = mapped(bytes(0, SESSION_BYTES), fromTableKey, (value) =>
  value.length === 0 || value.length === SESSION_BYTES ? toTableKey(value) : fail("a session or none"),
);
const publicKey = shared(KEY_BYTES);
const statement = shared(1, MAX_STATEMENT_BYTES);
/** What this program counts one by one, as its digests. */
const counted = unsigned(MAX_COUNTED);

// ——— Keys ———

const generations = record<SavedGenerations>({
  oldest: unsigned(GENERATION_LIMIT),
  key: secret,
  sending: unsigned(GENERATION_LIMIT),
  graces: list(
    record<SavedGenerations["graces"][number]>({ generation: unsigned(GENERATION_LIMIT), elapsed: milliseconds }),
  ),
});

const head = record<RekeyHead>({
  issuerKey: publicKey,
  parent: publicKey,
  epoch: unsigned(MAX_EPOCH),
  reason: oneOf(REASONS),
  ephemeralKey: publicKey,
  recipients: shared(0, MAX_RECIPIENTS * SENDER_HINT_BYTES),
  wrapsHash: publicKey,
  digest: publicKey,
  statementsHash: publicKey,
  commitment: publicKey,
  signature: bytes(SIGNATURE_BYTES),
});

const epoch = mapped<SavedEpoch, Omit<SavedEpoch, "number" | "issuer">>(
  record<Omit<SavedEpoch, "number" | "issuer">>({
    id: epochId,
    head: optional(head),
    parent: optional(epochId),
    isProven: flag,
    agreedAt: optional(counted),
    told: list(pair(name, counted)),
    isRetired: flag,
    isSetAside: flag,
    heardSince: optional(counted),
    left: optional(milliseconds),
    keys: optional(generations),
  }),
  (value) => value,
  (value) => {
    const isFit = value.head === undefined ? value.id.length === 2 * KEY_BYTES : epochIdOf(value.head) === value.id;
    if (!isFit) fail("the head of this epoch");
    if (value.head === undefined) return { ...value, number: 0, issuer: undefined };
    return { ...value, number: value.head.epoch, issuer: toHex(value.head.issuerKey) };
  },
);

const wrapKey = record<SavedWrapKey>({
  secretKey: secret,
  version: unsigned(MAX_STATEMENT_VERSION),
  replaced: optional(milliseconds),
});

// ——— The roster ———

const rejoinSecret = record<RejoinSecret>({
  id: epochId,
  epoch: unsigned(MAX_EPOCH),
  secret,
  recipients: shared(0, MAX_RECIPIENTS * SENDER_HINT_BYTES),
  issuer: optional(name),
  isProven: flag,
  since: time,
});

const statements = record<SavedStatements>({
  roles: list(statement),
  links: list(statement, MAX_ISSUERS),
  wraps: list(statement),
});

const rooted = record<SavedRooted>({
  salt: bytes(SALT_BYTES),
  roots: list(publicKey, MAX_ROOTS),
  statements,
  winner: optional(epochId),
  // The latest, and that of the epoch that counts.
  rejoinSecrets: list(rejoinSecret, MAX_REJOIN_SECRETS + 1),
  digests: list(name, MAX_DIGESTS),
  settled: list(epochId),
  answeredIn: optional(epochId),
  unsettled: list(record<SavedUnsettled>({ bytes: statement }), MAX_REPUBLISHED),
  digestsBefore: counted,
  departed: list(pair(name, counted)),
  doubted: list(name),
  sealedUnder: list(pair(shortName, epochId), MAX_RETAINED_NAMES),
  removal: optional(record<Removal>({ id: epochId, digest: unsigned(MAX_DIGESTS), knownIn: optional(epochId) })),
});

// ——— What was seen ———

/** How many of its first sequences are marked, and no others; or which, one bit each. */
const block: Codec<SavedBlock> = {
  write: (out, value) => void (typeof value === "number" ? out.writer.unsigned(value) : out.writer.bytes(value)),
  read: (from) => (from.reader.isUnsigned ? integer.read(from) : new Uint8Array(from.reader.bytes())),
};

/** Of a context as the key of a table: 64 characters at most, or a hash in hex. */
const MAX_CONTEXT_KEY_BYTES = 192;

const replays = record<SavedReplays>({
  floor: timeOrNothing,
  forgotten: counted,
  senders: list(
    record<SavedSender>({
      sender: name,
      watermark: timeOrNothing,
      aliveWatermark: timeOrNothing,
      since: counted,
      contexts: list(
        record<SavedContext>({
          context: text(MAX_CONTEXT_KEY_BYTES),
          watermark: timeOrNothing,
          sessions: list(
            record<SavedSession>({
              session,
              floor: timeOrNothing,
              greatestSentAt: timeOrNothing,
              highest: unsigned(MAX_SEQUENCE),
              blocks: list(block),
            }),
            MAX_SESSIONS_PER_CONTEXT,
          ),
          newestState: optional(record<SavedState>({ sentAt: time, session, sequence: unsigned(MAX_SEQUENCE) })),
          alive: optional(record<SavedAlive>({ sentAt: time, session, will: sessionOrNone, delivered: flag })),
        }),
        MAX_CONTEXTS_PER_SENDER,
      ),
    }),
  ),
});

const wanted = mapped<ReadDecodeOptions, Omit<ReadDecodeOptions, "context" | "naive">>(
  record<Omit<ReadDecodeOptions, "context" | "naive">>({
    expected: list(oneOf(ALL_DELIVERIES)),
    ignoreUntrusted: flag,
    allowReplay: flag,
    hearOwn: flag,
    retained: flag,
    maxAge: optional(age),
  }),
  (value) => value,
  // What is kept has its context beside it, and what is not to be verified is not kept.
  (value) => ({ ...value, context: undefined, naive: false }),
);

const kept = record<Kept>({
  wire: bytes(0, MAX_KEPT_BYTES),
  context: text(MAX_CONTEXT_BYTES),
  wanted,
  whileRevoked: flag,
});

const wants: Codec<IntroductionWant> = oneOf([
  "no-key",
  "unknown-key",
  "behind",
  "unknown-sender",
  "statements-differ",
  "restored",
] as const);

const topic = record<SavedTopic>({
  name: text(MAX_CONTEXT_BYTES),
  seed: secret,
  clock: record<SavedClock>({ lastSentAt: time, greatest: time }),
  epochs: list(epoch),
  sending: optional(epochId),
  wrapKeys: list(wrapKey, MAX_WRAP_KEYS),
  budget: record<SavedStepBudget>({ credit: milliseconds, clock: optional(time), counted: milliseconds }),
  steppedAt: optional(milliseconds),
  removed: list(name, MAX_STATEMENTS),
  ownRekey: optional(record<OwnRekey>({ epoch: epochId, name: shortName, wire: bytes(0, MAX_CONTROL_BYTES) })),
  spread: optional(milliseconds),
  rooted: optional(rooted),
  pins: list(publicKey),
  replays,
  kept: list(kept, MAX_KEPT_MESSAGES),
  gaps: record<SavedGaps>({
    missing: list(pair(wants, milliseconds)),
    next: milliseconds,
    interval: unsigned(MAX_GAP_INTERVAL),
  }),
});

// ——— The whole ———

/** Behind the head of the hash, which has two bytes. */
const HASH_BYTES = KEY_BYTES;
const END_BYTES = 2 + HASH_BYTES;

function beginning(): Uint8Array {
  return labelPrefix("state", 3);
}

/** Encodes a state. The result is as secret as what is in it. */
export function formatState(state: SavedTopic): Uint8Array {
  const writer = new Writer(4096).encoded(beginning()).unsigned(FORMAT);
  try {
    topic.write({ writer, numbers: new Map() }, state);
    const digest = hashEncoded(writer.view);
    return writer.bytes(digest).view.slice();
  } finally {
    writer.view.fill(0);
  }
}

/**
 * Reads a state strictly. All byte arrays in it are copies; those that stood in several places are one.
 *
 * @throws StateError and nothing else
 */
export function parseState(encoded: Uint8Array): SavedTopic {
  const front = beginning();
  if (!equalBytes(encoded.subarray(0, front.length), front))
    throw new StateError("expected what save() gave, got other bytes");
  try {
    const reader = new Reader(encoded);
    reader.skip(front.length);
    const format = reader.unsigned();
    if (format !== FORMAT)
      throw new StateError(`expected a state of format ${FORMAT}, got format ${format}: update this program`);
    const end = encoded.length - END_BYTES;
    if (!equalBytes(encoded.subarray(end + 2), hashEncoded(encoded.subarray(0, Math.max(end, 0))))) {
      fail("all that was written");
    }
    const state = topic.read({ reader, shared: [], known: new Set() });
    if (reader.bytes().length !== HASH_BYTES) fail("a hash");
    reader.end();
    return state;
  } catch (error) {
    throw stateErrorOf(error);
  }
}

/** What a state that cannot be taken is reported as; what else went wrong is no state's fault, and stays what it is. */
export function stateErrorOf(error: unknown): unknown {
  if (error instanceof StateError) return error;
  const isRefusal = isStringphoneError(error) || error instanceof RangeError;
  return isRefusal ? new StateError(`what was saved cannot be loaded: ${error.message}`, { cause: error }) : error;
}

/** Wipes the copies of secrets that were made to be saved, or that were copied again when they were loaded. */
export function wipeSaved({ seed, epochs, wrapKeys }: SavedTopic): void {
  wipe(seed, ...epochs.map(({ keys }) => keys?.key), ...wrapKeys.map(({ secretKey }) => secretKey));
}
