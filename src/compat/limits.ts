/** The bounds of compat, each with its unit and the reason for its value. What it shares with the core is in ../limits.ts. */

/** Greatest `replayMemory`, in messages of one sender: some hundred megabytes, and days of a message a second. */
export const MAX_REPLAY_MEMORY = 1_000_000;
/** Bytes of a hash by which a message is remembered: only its sender could find two messages that share one. */
export const SEEN_BYTES = 16;
/** X25519 keys that are remembered with whoever signed them: more than a topic has participants, on a wire for small ones. */
export const MAX_ATTESTED_KEYS = 1024;
