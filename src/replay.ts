/**
 * What has been seen already, of every sender in every context (PROTOCOL §7.3). Nothing here changes
 * before `accept`, which is called for verified messages only; so only a sender itself can use up its
 * own memory here, and all of it is bounded.
 */
import { toTableKey } from "./bytes.js";
import { knownContext } from "./context.js";
import type { AnyDelivery } from "./errors.js";
import { MAX_CONTEXTS_PER_SENDER, MAX_SESSIONS_PER_CONTEXT, REPLAY_WINDOW } from "./limits.js";

/** Where and when a message was sent, and for what. */
export interface Mark {
  /** As the key of a table: one character a byte, so that sessions compare as byte strings do. */
  readonly session: string;
  readonly sequence: number;
  readonly sentAt: number;
  readonly delivery: AnyDelivery;
  /** How many sequences it takes, from `sequence` on: one for each payload. */
  readonly count: number;
}

interface Session {
  /** Events and commands of this session up to this time were accepted before the session was forgotten once. */
  readonly floor: number;
  /** Highest sequence accepted. */
  highest: number;
  readonly window: Window;
  /** Greatest time of an event or command accepted in it. */
  greatestSentAt: number;
}

interface Alive {
  readonly sentAt: number;
  readonly session: string;
  /** The session of the will that it names, as the key of a table; empty for none. */
  readonly will: string;
  delivered: boolean;
}

interface Context {
  /** Events and commands of sessions that are not live count as seen up to this time. */
  watermark: number;
  readonly sessions: Recent<Session>;
  newestState: Mark | undefined;
  alive: Alive | undefined;
}

interface Sender {
  /** What the contexts that were forgotten leave behind: the watermark of each new one. */
  watermark: number;
  /** Time of the newest alive in a context that was forgotten. */
  aliveWatermark: number;
  /** How often senders had been forgotten when this one was heard first. */
  readonly since: number;
  readonly contexts: Recent<Context>;
}

/** Of as many sequences as a block has: how many of the first are marked, and no others; or one bit each, up to the last one marked. */
export type SavedBlock = number | Uint8Array;

export interface SavedSession extends Pick<Session, "floor" | "highest" | "greatestSentAt"> {
  readonly session: string;
  /** From the one with the highest sequence back. */
  readonly blocks: readonly SavedBlock[];
}

export type SavedState = Pick<Mark, "session" | "sequence" | "sentAt">;
export type SavedAlive = Readonly<Alive>;

export interface SavedContext {
  /** As the key of a table. */
  readonly context: string;
  readonly watermark: number;
  /** The one used last at the end. */
  readonly sessions: readonly SavedSession[];
  readonly newestState: SavedState | undefined;
  readonly alive: SavedAlive | undefined;
}

export interface SavedSender extends Pick<Sender, "watermark" | "aliveWatermark" | "since"> {
  readonly sender: string;
  /** The one used last at the end. */
  readonly contexts: readonly SavedContext[];
}

/** All of a `ReplayMemory`. Where there is no time, it is −1. */
export interface SavedReplays {
  readonly floor: number;
  /** How often senders were forgotten. */
  readonly forgotten: number;
  readonly senders: readonly SavedSender[];
}

const NOTHING = -1;

/** A table of bounded size that forgets what was used least recently. */
class Recent<V> {
  readonly #entries = new Map<string, V>();
  readonly #most: number;
  #newest: string | undefined;

  constructor(most: number) {
    this.#most = most;
  }

  get(key: string): V | undefined {
    return this.#entries.get(key);
  }

  values(): Iterable<V> {
    return this.#entries.values();
  }

  /** The one used last at the end: whoever uses them in this order has the same table. */
  entries(): Iterable<[string, V]> {
    return this.#entries.entries();
  }

  /** Makes an entry the one used last, and room for it where it is new. */
  use(key: string, value: V, forget: (oldest: V) => void): void {
    // Most messages come where the one before came.
    if (key === this.#newest) return;
    this.#newest = key;
    this.#entries.delete(key);
    if (this.#entries.size >= this.#most) {
      const [oldestKey, oldest] = this.#entries.entries().next().value as [string, V];
      this.#entries.delete(oldestKey);
      forget(oldest);
    }
    this.#entries.set(key, value);
  }
}

/** Which of the last sequences were accepted, in blocks that are made when they are needed. */
class Window {
  readonly #blocks = new Array<Block | undefined>(WINDOW_BLOCKS);

  static restore(highest: number, saved: readonly SavedBlock[]): Window {
    const newest = Math.floor(highest / BLOCK);
    if (saved.length > Math.min(newest + 1, WINDOW_BLOCKS)) throw new RangeError("more blocks than a window has");
    const window = new Window();
    for (const [i, block] of saved.entries()) window.#blocks[(newest - i) % WINDOW_BLOCKS] = restoreBlock(block);
    if (saved.at(-1) === 0 || !window.isMarked(highest)) throw new RangeError("a window is written otherwise");
    return window;
  }

  saved(highest: number): SavedBlock[] {
    const newest = Math.floor(highest / BLOCK);
    const blocks: SavedBlock[] = [];
    for (let at = newest; at >= 0 && at > newest - WINDOW_BLOCKS; at--) {
      blocks.push(savedBlock(this.#blocks[at % WINDOW_BLOCKS]));
    }
    while (blocks.at(-1) === 0) blocks.pop();
    return blocks;
  }

  isMarked(sequence: number): boolean {
    const block = this.#blocks[Math.floor(sequence / BLOCK) % WINDOW_BLOCKS];
    const { word, bit } = bitOf(sequence);
    return block === FULL || (block !== undefined && ((block.words[word] as number) & bit) !== 0);
  }

  mark(sequence: number): void {
    const at = Math.floor(sequence / BLOCK) % WINDOW_BLOCKS;
    const block = this.#blocks[at] ?? { words: new Uint32Array(BLOCK / 32), marked: 0 };
    if (block === FULL || this.isMarked(sequence)) return;
    this.#blocks[at] = block;
    const { word, bit } = bitOf(sequence);
    block.words[word] = (block.words[word] as number) | bit;
    // Nearly all blocks behind the newest are full; they share one.
    if (++block.marked === BLOCK) this.#blocks[at] = FULL;
  }

  /** Forgets what had the places of the blocks that are entered on the way from one sequence up to another. */
  advance(from: number, to: number): void {
    const last = Math.floor(to / BLOCK);
    const first = Math.max(Math.floor(from / BLOCK) + 1, last - WINDOW_BLOCKS + 1);
    for (let block = first; block <= last; block++) this.#blocks[block % WINDOW_BLOCKS] = undefined;
  }
}

interface Block {
  readonly words: Uint32Array;
  marked: number;
}

const BLOCK = 1024;
/** One more than the window has, because its ends may lie in the middle of a block. */
const WINDOW_BLOCKS = REPLAY_WINDOW / BLOCK + 1;
const FULL: Block = { words: new Uint32Array(0), marked: BLOCK };

/** As many marks as most blocks have: those of a session that lost nothing. */
function blockOf(first: number): Block | undefined {
  if (first === 0) return undefined;
  if (first === BLOCK) return FULL;
  const words = new Uint32Array(BLOCK / 32).fill(0xffffffff, 0, first >>> 5);
  words[first >>> 5] = 2 ** (first & 31) - 1;
  return { words, marked: first };
}

function savedBlock(block: Block | undefined): SavedBlock {
  if (block === undefined || block.marked === 0) return 0;
  const { words, marked } = block;
  if (block === FULL || blockOf(marked)?.words.every((word, i) => word === words[i]) === true) return marked;
  const bytes = Uint8Array.from({ length: BLOCK / 8 }, (_, i) => (words[i >>> 2] as number) >>> (8 * (i & 3)));
  let end = bytes.length;
  while (bytes[end - 1] === 0) end--;
  return bytes.slice(0, end);
}

function restoreBlock(saved: SavedBlock): Block | undefined {
  if (typeof saved === "number") {
    if (saved > BLOCK) throw new RangeError(`a block has ${BLOCK} sequences, got ${saved}`);
    return blockOf(saved);
  }
  const words = new Uint32Array(BLOCK / 32);
  let marked = 0;
  for (const [i, byte] of saved.entries()) {
    words[i >>> 2] = ((words[i >>> 2] ?? 0) | (byte << (8 * (i & 3)))) >>> 0;
    for (let bits = byte; bits !== 0; bits &= bits - 1) marked++;
  }
  const block = { words, marked };
  const again = savedBlock(block);
  if (typeof again === "number" || again.length !== saved.length) throw new RangeError("a block is written otherwise");
  return block;
}

function bitOf(sequence: number): { word: number; bit: number } {
  const position = sequence % BLOCK;
  return { word: position >>> 5, bit: 1 << (position & 31) };
}

/** Marks a sequence and says how many before it were skipped. */
function mark(session: Session, sequence: number): number | undefined {
  const { highest, window } = session;
  // A state that came once more, long after: its place in the window is another's by now.
  if (sequence <= highest - REPLAY_WINDOW) return 0;
  if (sequence > highest) {
    window.advance(highest, sequence);
    session.highest = sequence;
  }
  window.mark(sequence);
  if (highest === NOTHING) return undefined;
  return Math.max(sequence - highest - 1, 0);
}

/** Order of states and alives: by time, then session, then sequence. */
function compareMarks(a: Omit<Mark, "delivery" | "count">, b: Omit<Mark, "delivery" | "count">): number {
  if (a.sentAt !== b.sentAt) return a.sentAt - b.sentAt;
  if (a.session !== b.session) return a.session < b.session ? -1 : 1;
  return a.sequence - b.sequence;
}

export class ReplayMemory {
  readonly #senders = new Map<string, Sender>();
  /** Events and commands of everybody up to this time count as seen. */
  #floor = NOTHING;
  /** How often senders were forgotten. */
  #forgotten = 0;
  /** Where the last message was accepted; most come where the one before came. Being the newest, it is not forgotten meanwhile. */
  #last: { readonly sender: string; readonly context: string; readonly entry: Context } | undefined;

  #context(sender: string, context: string): Context | undefined {
    const last = this.#last;
    if (last !== undefined && last.sender === sender && last.context === context) return last.entry;
    return this.#senders.get(sender)?.contexts.get(knownContext(context).key);
  }

  /** Why an event, command or will counts as seen; `undefined` for a new one, and for every state and alive. */
  seen(sender: string, context: string, message: Mark): "seen" | "too-old" | undefined {
    const known = this.#context(sender, context);
    if (message.delivery === "will") {
      return known?.alive?.delivered === true && known.alive.will === message.session ? "seen" : undefined;
    }
    if (message.delivery !== "event" && message.delivery !== "command") return undefined;
    if (message.sentAt <= this.#floor) return "too-old";
    const session = known?.sessions.get(message.session);
    if (session === undefined) {
      const watermark = known?.watermark ?? this.#senders.get(sender)?.watermark ?? NOTHING;
      return message.sentAt <= watermark ? "too-old" : undefined;
    }
    if (message.sentAt <= session.floor || message.sequence <= session.highest - REPLAY_WINDOW) return "too-old";
    const end = Math.min(message.sequence + message.count, session.highest + 1);
    for (let sequence = message.sequence; sequence < end; sequence++) {
      if (session.window.isMarked(sequence)) return "seen";
    }
    return undefined;
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
    return alive.will === message.session ? undefined : "withdrawn";
  }

  /**
   * Remembers a verified data message that none of the checks above refused.
   *
   * @returns sequences skipped since the highest of this session, before its first payload; `undefined` for the session's first
   */
  accept(sender: string, context: string, message: Mark): number | undefined {
    const known = this.#remember(sender, context);
    const { delivery, sentAt, sequence, count } = message;
    if (delivery === "will") {
      if (known.alive !== undefined) known.alive.delivered = true;
      return undefined;
    }
    if (delivery === "state") known.newestState = message;
    const key = message.session;
    const session = known.sessions.get(key) ?? {
      floor: known.watermark,
      highest: NOTHING,
      window: new Window(),
      greatestSentAt: NOTHING,
    };
    known.sessions.use(key, session, (oldest) => {
      known.watermark = Math.max(known.watermark, oldest.greatestSentAt);
    });
    if (delivery !== "state") session.greatestSentAt = Math.max(session.greatestSentAt, sentAt);
    const missed = mark(session, sequence);
    for (let i = 1; i < count; i++) mark(session, sequence + i);
    return missed;
  }

  /** Takes a verified alive that names the session `will`, or none. An older one than the newest changes nothing. */
  acceptAlive(sender: string, context: string, message: Mark, will: Uint8Array): void {
    const newest = this.#context(sender, context)?.alive;
    if (newest !== undefined && compareMarks(message, { ...newest, sequence: 0 }) <= 0) return;
    if (newest === undefined && message.sentAt <= (this.#senders.get(sender)?.aliveWatermark ?? NOTHING)) return;
    const { sentAt, session } = message;
    this.#remember(sender, context).alive = { sentAt, session, will: toTableKey(will), delivered: false };
  }

  /** Takes events and commands of everybody up to this time as seen, because it is not known here which were. */
  refuseUntil(time: number): void {
    this.#floor = Math.max(this.#floor, time);
  }

  /** Ends that for what is later than a time that now is known to be right. */
  refuseNoLongerThanUntil(time: number): void {
    this.#floor = Math.min(this.#floor, time);
  }

  get forgotten(): number {
    return this.#forgotten;
  }

  /** How often senders had been forgotten when this one was heard first; or now, where it is not remembered. */
  heardSince(sender: string): number {
    return this.#forgotten === 0 ? 0 : (this.#senders.get(sender)?.since ?? this.#forgotten);
  }

  /** Forgets all senders but those to be kept, if there are more than so many others. What they sent is to be told by its epoch from then on. */
  forget(most: number, toKeep: () => (sender: string) => boolean): void {
    if (this.#senders.size <= most) return;
    const isKept = toKeep();
    const others = [...this.#senders.keys()].filter((sender) => !isKept(sender));
    if (others.length <= most) return;
    for (const sender of others) this.#senders.delete(sender);
    this.#last = undefined;
    this.#forgotten++;
  }

  saved(): SavedReplays {
    return { floor: this.#floor, forgotten: this.#forgotten, senders: [...this.#senders].map(savedSender) };
  }

  /** Goes on with what was saved. */
  restore({ floor, forgotten, senders }: SavedReplays): void {
    this.#floor = floor;
    this.#forgotten = forgotten;
    for (const saved of senders) this.#senders.set(saved.sender, restoreSender(saved));
  }

  #remember(sender: string, context: string): Context {
    const last = this.#last;
    if (last !== undefined && last.sender === sender && last.context === context) return last.entry;
    let known = this.#senders.get(sender);
    if (known === undefined) {
      const contexts = new Recent<Context>(MAX_CONTEXTS_PER_SENDER);
      known = { watermark: NOTHING, aliveWatermark: NOTHING, since: this.#forgotten, contexts };
      this.#senders.set(sender, known);
    }
    const { contexts } = known;
    const { key, text } = knownContext(context);
    const entry = contexts.get(key) ?? {
      watermark: known.watermark,
      sessions: new Recent<Session>(MAX_SESSIONS_PER_CONTEXT),
      newestState: undefined,
      alive: undefined,
    };
    contexts.use(key, entry, (oldest) => fold(oldest, known));
    this.#last = { sender, context: text, entry };
    return entry;
  }
}

/** What must outlive a forgotten context, so that nothing accepted in it is accepted again. */
function fold(oldest: Context, sender: Sender): void {
  const times = [...oldest.sessions.values()].map((session) => session.greatestSentAt);
  sender.watermark = Math.max(sender.watermark, oldest.watermark, ...times);
  sender.aliveWatermark = Math.max(sender.aliveWatermark, oldest.alive?.sentAt ?? NOTHING);
}

function savedSender([sender, { contexts, ...facts }]: readonly [string, Sender]): SavedSender {
  return { sender, ...facts, contexts: [...contexts.entries()].map(savedContext) };
}

function savedContext([context, known]: readonly [string, Context]): SavedContext {
  const { watermark, newestState, alive } = known;
  const sessions = [...known.sessions.entries()].map(([session, { window, floor, highest, greatestSentAt }]) => {
    return { session, floor, highest, greatestSentAt, blocks: window.saved(highest) };
  });
  const state = newestState && pickState(newestState);
  return { context, watermark, sessions, newestState: state, alive: alive && { ...alive } };
}

function pickState({ session, sequence, sentAt }: Mark): SavedState {
  return { session, sequence, sentAt };
}

function restoreSender({ watermark, aliveWatermark, since, contexts }: SavedSender): Sender {
  const sender: Sender = { watermark, aliveWatermark, since, contexts: new Recent(MAX_CONTEXTS_PER_SENDER) };
  for (const { context, sessions, newestState, alive, ...times } of contexts) {
    const known: Context = {
      ...times,
      sessions: new Recent(MAX_SESSIONS_PER_CONTEXT),
      newestState: newestState && { ...newestState, delivery: "state", count: 1 },
      alive: alive && { ...alive },
    };
    for (const { session, blocks, ...facts } of sessions) {
      known.sessions.use(session, { ...facts, window: Window.restore(facts.highest, blocks) }, expectRoom);
    }
    sender.contexts.use(context, known, expectRoom);
  }
  return sender;
}

function expectRoom(): never {
  throw new RangeError("more was saved than is remembered");
}
