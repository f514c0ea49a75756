/**
 * What has been seen already, of every sender in every context (PROTOCOL §7.3). Nothing here changes
 * before `accept`, which is called for verified messages only; so only a sender itself can use up its
 * own memory here, and all of it is bounded.
 */
import { compareBytes, toHex } from "./bytes.js";
import { contextKey } from "./context.js";
import type { AnyDelivery } from "./errors.js";
import { MAX_CONTEXTS_PER_SENDER, MAX_SESSIONS_PER_CONTEXT, REPLAY_WINDOW } from "./limits.js";

/** Where and when a message was sent, and for what. */
export interface Mark {
  readonly session: Uint8Array;
  readonly sequence: number;
  readonly sentAt: number;
  readonly delivery: AnyDelivery;
}

interface Session {
  /** Events and commands of this session up to this time were accepted before the session was forgotten once. */
  readonly floor: number;
  /** Highest sequence accepted. */
  highest: number;
  /** One bit for each of the last sequences, at its remainder. */
  readonly window: Uint32Array;
  /** Greatest time of an event or command accepted in it. */
  greatestSentAt: number;
}

interface Alive {
  readonly sentAt: number;
  readonly session: Uint8Array;
  /** The session of the will that it names, in hex; empty for none. */
  readonly will: string;
  delivered: boolean;
}

interface Context {
  /** Events and commands of sessions that are not live count as seen up to this time. */
  watermark: number;
  readonly sessions: Map<string, Session>;
  newestState: Mark | undefined;
  alive: Alive | undefined;
}

interface Sender {
  /** What the contexts that were forgotten leave behind: the watermark of each new one. */
  watermark: number;
  /** Time of the newest alive in a context that was forgotten. */
  aliveWatermark: number;
  readonly contexts: Map<string, Context>;
}

const NOTHING = -1;
/** Moves an entry to the young end of its map, and makes room by forgetting the oldest. */
function touch<V>(map: Map<string, V>, key: string, value: V, most: number, forget: (oldest: V) => void): void {
  map.delete(key);
  if (map.size >= most) {
    const [oldestKey, oldest] = map.entries().next().value as [string, V];
    map.delete(oldestKey);
    forget(oldest);
  }
  map.set(key, value);
}

function bitOf(sequence: number): { word: number; bit: number } {
  const position = sequence % REPLAY_WINDOW;
  return { word: position >>> 5, bit: 1 << (position & 31) };
}

function isMarked(session: Session, sequence: number): boolean {
  const { word, bit } = bitOf(sequence);
  return ((session.window[word] as number) & bit) !== 0;
}

/** Marks a sequence and says how many before it were skipped. */
function mark(session: Session, sequence: number): number | undefined {
  const { highest, window } = session;
  if (sequence > highest) {
    if (sequence - highest >= REPLAY_WINDOW) {
      window.fill(0);
    } else {
      for (let skipped = highest + 1; skipped < sequence; skipped++) {
        const { word, bit } = bitOf(skipped);
        window[word] = (window[word] as number) & ~bit;
      }
    }
    session.highest = sequence;
  }
  const { word, bit } = bitOf(sequence);
  window[word] = (window[word] as number) | bit;
  if (highest === NOTHING) return undefined;
  return Math.max(sequence - highest - 1, 0);
}

/** Order of states and alives: by time, then session, then sequence. */
function compareMarks(a: Omit<Mark, "delivery">, b: Omit<Mark, "delivery">): number {
  return a.sentAt - b.sentAt || compareBytes(a.session, b.session) || a.sequence - b.sequence;
}

export class ReplayMemory {
  readonly #senders = new Map<string, Sender>();

  #context(sender: string, context: string): Context | undefined {
    return this.#senders.get(sender)?.contexts.get(contextKey(context));
  }

  /** Why an event, command or will counts as seen; `undefined` for a new one, and for every state and alive. */
  seen(sender: string, context: string, message: Mark): "seen" | "too-old" | undefined {
    const known = this.#context(sender, context);
    if (message.delivery === "will") {
      return known?.alive?.delivered === true && known.alive.will === toHex(message.session) ? "seen" : undefined;
    }
    if (message.delivery !== "event" && message.delivery !== "command") return undefined;
    const session = known?.sessions.get(toHex(message.session));
    if (session === undefined) {
      const watermark = known?.watermark ?? this.#senders.get(sender)?.watermark ?? NOTHING;
      return message.sentAt <= watermark ? "too-old" : undefined;
    }
    if (message.sentAt <= session.floor || message.sequence <= session.highest - REPLAY_WINDOW) return "too-old";
    return message.sequence <= session.highest && isMarked(session, message.sequence) ? "seen" : undefined;
  }

  /** Milliseconds by which a state is older than the newest of its sender here; `undefined` where it is not. */
  stateAge(sender: string, context: string, message: Mark): number | undefined {
    const newest = this.#context(sender, context)?.newestState;
    if (newest === undefined || compareMarks(message, newest) >= 0) return undefined;
    return newest.sentAt - message.sentAt;
  }

  /** Why a will is not to be believed; `undefined` where its sender's newest alive names it. */
  willRefusal(sender: string, context: string, message: Mark): "unannounced" | "withdrawn" | undefined {
    const alive = this.#context(sender, context)?.alive;
    if (alive === undefined) return "unannounced";
    return alive.will === toHex(message.session) ? undefined : "withdrawn";
  }

  /**
   * Remembers a verified data message that none of the checks above refused.
   *
   * @returns sequences skipped since the highest of this session; `undefined` for its first message
   */
  accept(sender: string, context: string, message: Mark): number | undefined {
    const known = this.#remember(sender, context);
    const { delivery, sentAt, sequence } = message;
    if (delivery === "will") {
      if (known.alive !== undefined) known.alive.delivered = true;
      return undefined;
    }
    if (delivery === "state") known.newestState = message;
    const key = toHex(message.session);
    const session = known.sessions.get(key) ?? {
      floor: known.watermark,
      highest: NOTHING,
      window: new Uint32Array(REPLAY_WINDOW / 32),
      greatestSentAt: NOTHING,
    };
    touch(known.sessions, key, session, MAX_SESSIONS_PER_CONTEXT, (oldest) => {
      known.watermark = Math.max(known.watermark, oldest.greatestSentAt);
    });
    if (delivery !== "state") session.greatestSentAt = Math.max(session.greatestSentAt, sentAt);
    return mark(session, sequence);
  }

  /** Takes a verified alive that names the session `will`, or none. An older one than the newest changes nothing. */
  acceptAlive(sender: string, context: string, message: Mark, will: Uint8Array): void {
    const newest = this.#context(sender, context)?.alive;
    if (newest !== undefined && compareMarks(message, { ...newest, sequence: 0 }) <= 0) return;
    if (newest === undefined && message.sentAt <= (this.#senders.get(sender)?.aliveWatermark ?? NOTHING)) return;
    const { sentAt, session } = message;
    this.#remember(sender, context).alive = { sentAt, session, will: toHex(will), delivered: false };
  }

  #remember(sender: string, context: string): Context {
    let known = this.#senders.get(sender);
    if (known === undefined) {
      known = { watermark: NOTHING, aliveWatermark: NOTHING, contexts: new Map() };
      this.#senders.set(sender, known);
    }
    const { contexts } = known;
    const key = contextKey(context);
    const entry = contexts.get(key) ?? {
      watermark: known.watermark,
      sessions: new Map<string, Session>(),
      newestState: undefined,
      alive: undefined,
    };
    touch(contexts, key, entry, MAX_CONTEXTS_PER_SENDER, (oldest) => fold(oldest, known));
    return entry;
  }
}

/** What must outlive a forgotten context, so that nothing accepted in it is accepted again. */
function fold(oldest: Context, sender: Sender): void {
  const times = [...oldest.sessions.values()].map((session) => session.greatestSentAt);
  sender.watermark = Math.max(sender.watermark, oldest.watermark, ...times);
  sender.aliveWatermark = Math.max(sender.aliveWatermark, oldest.alive?.sentAt ?? NOTHING);
}
