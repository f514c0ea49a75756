/**
 * Every bound of the library, with its unit and the reason for its value.
 *
 * The sizes are the wire's and never change within version 1 (docs/PROTOCOL.md §2). The rest bounds
 * what a stranger, the broker or a hostile participant can make this program hold or compute.
 */

/** Bytes of a topic key, an identity seed, an identity public key, a hash and a commitment. */
export const KEY_BYTES = 32;
/** Bytes of an Ed25519 secret key as libsodium keeps it: seed, then public key. */
export const SIGNING_KEY_BYTES = 64;
/** Bytes of a participant's id: the first bytes of SHA-256 of its public key. */
export const ID_BYTES = 16;
/** Bytes of an id that travel in a message, inside the encryption. */
export const SENDER_HINT_BYTES = 8;
/** Bytes of a key id: a hint that spares a receiver most trial decryptions. */
export const KEY_ID_BYTES = 4;
/** Bytes of a session: the random part of every nonce. */
export const SESSION_BYTES = 12;
/** Bytes of an Ed25519 signature (RFC 8032). */
export const SIGNATURE_BYTES = 64;
/** Bytes of an XChaCha20-Poly1305 nonce. */
export const NONCE_BYTES = 24;
/** Bytes of a Poly1305 tag. */
export const TAG_BYTES = 16;
/** Bytes of an X-Wing public key: ML-KEM-768 and X25519. */
export const KEM_PUBLIC_KEY_BYTES = 1216;
/** Bytes of an X-Wing ciphertext. */
export const KEM_CIPHERTEXT_BYTES = 1120;
/** Bytes of the randomness that an X-Wing encapsulation consumes. */
export const KEM_ENCAPSULATION_SEED_BYTES = 64;
/** Bytes by which a reply names its introduction: a hash, so nobody else's introduction has it. */
export const INTRODUCTION_ID_BYTES = 16;

/** Greatest sequence: the greatest integer that every JavaScript number and CBOR reader holds exactly. */
export const MAX_SEQUENCE = 2 ** 53 - 1;
/** Greatest `sentAt`, in milliseconds since 1970: six bytes, enough until the year 10889. */
export const MAX_SENT_AT = 2 ** 48 - 1;
/** Below this many milliseconds (November 2004) a reading is an order and not a time: no clock was set. */
export const CLOCK_FLOOR = 2 ** 40;
/** Milliseconds by which two honest clocks may differ before a message counts as sent in the future. */
export const DEFAULT_MAX_CLOCK_SKEW = 5 * 60_000;
/** Milliseconds after which a command is too old to be acted on. */
export const DEFAULT_COMMAND_MAX_AGE = 30_000;

/** Payloads in one batch: a sixteenth of a replay window, so that batches may overtake each other. */
export const MAX_BATCH_PAYLOADS = 1024;
/** Payloads that a collector gathers: at 64 a payload costs 4 bytes and a fortieth of a signature check; more gain little. */
export const DEFAULT_BATCH_PAYLOADS = 64;
/** Bytes that a collector gathers: below what brokers and constrained receivers take at once. */
export const DEFAULT_BATCH_BYTES = 64 * 1024;
/** Milliseconds that a payload waits for others: less than a network adds. */
export const DEFAULT_LINGER = 5;
/** Greatest linger: who waits longer than a minute wants a timer of its own. */
export const MAX_LINGER = 60_000;
/** Bytes of a payload unless the topic is created with another `maxPayloadBytes`. */
export const DEFAULT_MAX_PAYLOAD_BYTES = 16 * 1024 * 1024;
/** Greatest `maxPayloadBytes`: the WebAssembly heap must hold a message and its plaintext several times. */
export const MAX_PAYLOAD_BYTES = 256 * 1024 * 1024;
/** Least `maxWireBytes`: with room for an introduction, and for statements with their chains. */
export const MIN_WIRE_BYTES = 16 * 1024;
/** Bytes of UTF-8 of a context: the longest MQTT topic name. */
export const MAX_CONTEXT_BYTES = 65_535;
/** Contexts of which the encoding is remembered: what is forgotten is encoded again. */
export const MAX_KNOWN_CONTEXTS = 1024;
/** UTF-16 units of a context that is remembered. */
export const LONGEST_KNOWN_CONTEXT = 1024;
/** Bytes of UTF-8 of the display name in an introduction: what fits a line of a pairing screen. */
export const MAX_DISPLAY_NAME_BYTES = 64;
/** Bytes of the wrap statement in an introduction. */
export const MAX_WRAP_STATEMENT_BYTES = 256;
/** Bytes of the rejoin proof in an introduction. */
export const MAX_REJOIN_BYTES = 64;
/** Greatest version of a statement: that of a wrap key is a time. */
export const MAX_STATEMENT_VERSION = 2 ** 48 - 1;
/** Bytes of one statement: an admission with the longest name and a wrap statement has 358. */
export const MAX_STATEMENT_BYTES = 512;
/** Subjects of one issuer that are kept: the greatest by version, then hash. */
export const MAX_STATEMENTS_PER_ISSUER = 16_384;
/** Participants whose statements are taken in, because they are or were admins. */
export const MAX_ISSUERS = 256;
/** Admissions from a root down to an admin: each admin below another widens what a stolen one can do. */
export const MAX_CHAIN = 8;
/** Roots of one topic: two or three, kept offline, are enough. */
export const MAX_ROOTS = 16;
/** Greatest epoch: nobody makes a rekey every millisecond for longer than a year. */
export const MAX_EPOCH = 2 ** 35;
/** Participants to whom one rekey is wrapped. */
export const MAX_RECIPIENTS = 65_536;
/** Wraps of one rekey that bear our hint and are tried: it has 8 bytes, so a second one is malice already. */
export const MAX_WRAPS_TRIED = 2;
/** Wrap keys of our own that are kept: the newest, and those that a rekey underway may still be wrapped to. */
export const MAX_WRAP_KEYS = 3;
/** Bytes of a control message or of a reply: the statements of ten thousand participants. */
export const MAX_CONTROL_BYTES = 8 * 1024 * 1024;
/** Statements in one control message or reply: with all of the largest roster. */
export const MAX_CONTROL_STATEMENTS = 65_536;
/** Participants whose ids are remembered in this process, over all topics: each is a hash. */
export const MAX_KNOWN_PARTICIPANTS = 65_536;
/** Statements that are kept in all: of more, those go first whose issuers are no admins now. */
export const MAX_STATEMENTS = 65_536;
/** Revocations by an admin that is removed which are signed again without need, in case an admission of theirs is still underway. */
export const MAX_SIGNED_AGAIN = 256;
/** Least bytes of a statement: with two keys and a signature. */
export const MIN_STATEMENT_BYTES = 128;
/** Bytes of what makes the id of a topic its own. */
export const SALT_BYTES = 16;
/** Bytes of a topic key and a rejoin secret that are wrapped once more, for somebody who comes back: behind an X25519 key, and with a tag. */
export const RETURN_WRAP_BYTES = 112;
/** Greatest epoch that a reply may tell of: from there on, nobody who is told it comes to the end of all epochs by rekeys. */
export const MAX_TOLD_EPOCH = 2 ** 34;
/** Epochs of one issuer that are remembered: the latest. */
export const MAX_EPOCHS_PER_ISSUER = 16;
/** Epochs of one issuer that are remembered under one parent: honest ones need one, or two that crossed. */
export const MAX_EPOCHS_PER_PARENT = 4;
/**
 * Repairs that are asked of an admin for the same reason while the same epoch counts. Each has a greater number than the one before, where
 * others can open that; of one parent they take no more than four.
 */
export const MAX_REPAIRS = 4;
/** Milliseconds of running time for which a key is kept after its successor was adopted, unless the owner sets another. */
export const DEFAULT_GRACE = 24 * 3_600_000;
/** Milliseconds between two steps of a policy: shorter ones would outrun what is granted to each participant. */
export const MIN_RATCHET_INTERVAL = 3_600_000;
/** Milliseconds for which a participant may come back with what it knew of an epoch. */
export const REJOIN_LIFETIME = 90 * 24 * 3_600_000;
/** Epochs with which one may come back. */
export const MAX_REJOIN_SECRETS = 256;
/** Milliseconds for which something may be missing before it counts as a gap. */
export const GAP_DELAY = 30_000;
/** Milliseconds before a gap is told again; doubled each time, up to a day. */
export const GAP_INTERVAL = 10 * 60_000;
/** Greatest interval between two tellings of a gap. */
export const MAX_GAP_INTERVAL = 24 * 3_600_000;
/** Milliseconds by which an answer to everybody is spread, for each rank once more: so that not all answer at once. */
export const ANSWER_SPREAD = 20_000;
/** Messages that could not be read yet and are kept. */
export const MAX_KEPT_MESSAGES = 64;
/** Bytes of them. */
export const MAX_KEPT_BYTES = 256 * 1024;
/** Digests of our own statements that are remembered: what an issuer knew when it made a rekey is one of them, mostly. */
export const MAX_DIGESTS = 1024;
/** Greatest count of digests, or of anything else that is counted one by one, in what was saved: nobody counts from here to where integers end. */
export const MAX_COUNTED = 2 ** 52;
/** Retained statements of which it is remembered under which epoch they were sealed, so that they can be cleared. */
export const MAX_RETAINED_NAMES = 16_384;
/** Statements that are published again after a change of key, and grounds that a repair carries. */
export const MAX_REPUBLISHED = 256;
/** Pinned participants of one topic, each a few hundred bytes. */
export const MAX_PARTICIPANTS = 1_000_000;

/**
 * Sequences below the highest that a session still tells apart: fifteen of the largest batches, 255 of a collector's, and more
 * single messages than any broker reorders. A session that lost none of them needs 128 bytes for it, and at most 2.2 KB.
 */
export const REPLAY_WINDOW = 16_384;
/** Live sessions of one sender in one context: a device restarts, it does not do so sixteen times at once. */
export const MAX_SESSIONS_PER_CONTEXT = 16;
/** Contexts of one sender that are told apart. */
export const MAX_CONTEXTS_PER_SENDER = 256;
/**
 * Senders of a rooted topic that are remembered, and neither on the roster nor pinned: until another epoch counts, four times as many as
 * statements are kept, and from then on no more than those. Honest ones are fewer by far; an admin that turned bad makes up any number.
 */
export const MAX_SENDERS_GONE = 4 * MAX_STATEMENTS;
/** Contexts in which this topic itself keeps a sending session. */
export const MAX_SENDING_CONTEXTS = 4096;
/** Own sessions that are remembered, so that `hearOwn` never hands over our own echo. */
export const MAX_OWN_SESSIONS = 8192;

/** Milliseconds for which an introduction may be answered, and its KEM secret lives. */
export const INTRODUCTION_LIFETIME = 10 * 60_000;
/** Introductions of our own that wait for a reply; a further one wipes the oldest. */
export const MAX_OUTSTANDING_INTRODUCTIONS = 4;
/** Replies that are opened for one introduction: whoever saw it can make them. */
export const MAX_REPLIES_PER_INTRODUCTION = 8;
/**
 * Bytes of replies that were opened and are kept until a person decides: two of the largest. What an honest sponsor sends is much
 * smaller mostly, so of more the largest is dropped.
 */
export const MAX_OPENED_REPLY_BYTES = 16 * 1024 * 1024;
/** Introductions that are verified at once before the rate below holds. */
export const INTRODUCTION_BURST = 16;
/** Milliseconds after which one more introduction may be verified. */
export const INTRODUCTION_INTERVAL = 1000;
/**
 * Introductions remembered as raised or answered: more than the rate above lets through within the
 * 15 minutes in which an introduction is valid (916), so none is forgotten while it could still be replayed.
 */
export const MAX_REMEMBERED_INTRODUCTIONS = 1024;
/** Replies of our own that are remembered, so that their echo is known. */
export const MAX_REMEMBERED_REPLIES = 1024;

/**
 * Generations that are read beyond the oldest of an epoch: twice what can be saved up of steps, so that a device that was away for
 * weeks still reads those who spent all at once. The table of their key ids has 33 KB.
 */
export const MAX_GENERATIONS_AHEAD = 4096;
/** Greatest generation: at a step an hour, 125 million years. Integers of the table and of CBOR hold it and what follows. */
export const GENERATION_LIMIT = 2 ** 40;
/** Generations between two keys of a chain that are kept: any key is then at most 63 steps away, and they have 2 KB in all. */
export const CHECKPOINT_INTERVAL = 64;
/**
 * Topic keys kept ready besides the one for sending, about 1 KB each. More than a day has hours: otherwise junk under the key ids
 * of one grace, all of which the broker has seen, would cost a derivation each.
 */
export const MAX_READY_KEYS = 32;
/** Milliseconds that earn one step. */
export const STEP_INTERVAL = 60 * 60_000;
/**
 * Steps that can be saved up: half of what is read ahead. A hostile publisher may spend them all at once, and then one an hour:
 * for 85 days nobody who sleeps is locked out.
 */
export const MAX_STEP_BUDGET = 2048;
/** Steps that a new topic may take at once. */
export const FIRST_STEPS = 24;
