/**
 * The keys of one epoch (PROTOCOL §4.1): a chain in which each follows from the one before, and nothing leads back. Who wipes the
 * older ones cannot read again what was sent under them, and neither can a thief.
 *
 * What is read reaches from the oldest generation held 4,096 further. Only one is sent under, and others follow it there when they
 * have verified a message of it.
 */
import { copyBytes, wipe } from "./bytes.js";
import { CHECKPOINT_INTERVAL, GENERATION_LIMIT, KEY_BYTES, MAX_GENERATIONS_AHEAD, MAX_READY_KEYS } from "./limits.js";
import { keyIdOf, stepInPlace, TopicKey } from "./topic-key.js";

const NO_POSITIONS: readonly number[] = [];

/** Key ids in the order in which they were added, and where each one stands. Several may be the same. */
export class KeyIdIndex {
  readonly #ids: Uint32Array;
  /** Open addressing: one more than a position, or 0. Key ids are hashes already, so their last bits say where to begin. */
  readonly #slots: Uint16Array;
  #size = 0;

  /** For so many ids, at most 65,535. A third of the slots stays free at least, so that what is unknown is found out at once. */
  constructor(capacity: number) {
    this.#ids = new Uint32Array(capacity);
    this.#slots = new Uint16Array(2 ** Math.ceil(Math.log2(1.5 * capacity)));
  }

  /** Adds an id, a number of 32 bits, at the position after the last. */
  add(id: number): void {
    this.#ids[this.#size] = id;
    this.#place(this.#size++);
  }

  /** Every position at which this id stands, rising. */
  positions(id: number): readonly number[] {
    let found = NO_POSITIONS;
    const last = this.#slots.length - 1;
    for (let slot = id & last; ; slot = (slot + 1) & last) {
      const position = (this.#slots[slot] as number) - 1;
      if (position < 0) return found;
      if (this.#ids[position] === id) found = [...found, position];
    }
  }

  /** Forgets the first ids, so that position `count` becomes 0. */
  drop(count: number): void {
    const size = Math.max(this.#size - count, 0);
    this.#ids.copyWithin(0, count, this.#size);
    this.#slots.fill(0);
    for (this.#size = 0; this.#size < size; this.#size++) this.#place(this.#size);
  }

  #place(position: number): void {
    const last = this.#slots.length - 1;
    let slot = (this.#ids[position] as number) & last;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & last;
    this.#slots[slot] = position + 1;
  }
}

/** A key that a key id may mean. */
export interface Found {
  readonly generation: number;
  readonly key: TopicKey;
}

/** All of a `Generations` that must outlive the program. It is secret. */
export interface SavedGenerations {
  /** The oldest generation that is held. */
  readonly oldest: number;
  /** Its key, 32 bytes. */
  readonly key: Uint8Array;
  /** The generation that is sent under. */
  readonly sending: number;
  /** For each adopted generation, rising, the milliseconds for which those below it have had their grace. */
  readonly graces: readonly { readonly generation: number; readonly elapsed: number }[];
}

/** Below this generation all is in its grace, since this running time. */
interface Adopted {
  readonly generation: number;
  readonly since: number;
}

const NONE: readonly Found[] = [];

/** In place of what was wiped: a key of zeros must not seal or open anything. */
const WIPED: Found = {
  generation: -1,
  get key(): TopicKey {
    throw wipedError();
  },
};

function wipedError(): Error {
  return new Error("these generations were wiped");
}

/** The keys of one epoch. Times are milliseconds of running time, which no clock changes. */
export class Generations {
  #oldest: number;
  #sending: Found;
  #adopted: Adopted[] = [];
  /** Keys of the chain: of the oldest generation, and of each 64th after it as far as the chain was walked. */
  readonly #chain = new Map<number, Uint8Array>();
  /** Other keys than the one for sending, the one used last at the end. */
  readonly #ready = new Map<number, Found>();
  /** Of all generations that are read; the position is how many generations after the oldest. */
  #index: KeyIdIndex | undefined;
  #lastId = -1;
  #lastFound = NONE;

  /** Copies `key`, 32 bytes: of the oldest generation held, which is also the one for sending. */
  constructor(key: Uint8Array, generation = 0) {
    const copy = copyBytes("key", key, KEY_BYTES);
    expectGeneration("generation", generation, 0, GENERATION_LIMIT);
    this.#oldest = generation;
    this.#chain.set(generation, copy);
    this.#sending = { generation, key: new TopicKey(copy) };
  }

  /** Goes on with what was saved, at this running time. Copies the key. */
  static restore(saved: SavedGenerations, now: number): Generations {
    const { oldest, key, sending, graces } = saved;
    const generations = new Generations(key, oldest);
    try {
      for (const { generation, elapsed } of graces) {
        if (!(elapsed >= 0)) throw new RangeError(`"elapsed" expected milliseconds, got ${elapsed}`);
        generations.adopt(generation, now - elapsed);
      }
      expectGeneration("sending", sending, generations.sending, generations.sending);
    } catch (error) {
      generations.wipe();
      throw error;
    }
    return generations;
  }

  /** The oldest generation that is held. */
  get oldest(): number {
    return this.#oldest;
  }

  /** The generation that is sent under. */
  get sending(): number {
    return this.#sending.generation;
  }

  /** The key to send under. It is wiped some time after the next one is adopted: read it anew for each message. */
  get sendingKey(): TopicKey {
    return this.#sending.key;
  }

  /** The last generation that is read. */
  get last(): number {
    return Math.min(this.#oldest + MAX_GENERATIONS_AHEAD, GENERATION_LIMIT);
  }

  /**
   * Every generation that a key id may mean, rising. Use the keys at once: they are wiped when others need their place.
   *
   * The first id that is none of a key that is ready makes the table of all ids, which takes milliseconds once. From then on an
   * unknown one costs next to nothing. Before, an id may mean more than is given here: where none of the keys given opens a
   * message, call `complete`.
   */
  find(keyId: number): readonly Found[] {
    if (keyId === this.#lastId) return this.#lastFound;
    let found = this.#index === undefined ? this.#findReady(keyId) : NONE;
    if (found.length === 0) {
      this.complete();
      found = this.#findIndexed(keyId);
    }
    if (found.length > 0) {
      this.#lastId = keyId;
      this.#lastFound = found;
    }
    return found;
  }

  /** Makes the table of all key ids, unless it is there. Says whether it was not: then `find` may now give more than it gave. */
  complete(): boolean {
    if (this.#index !== undefined) return false;
    const index = new KeyIdIndex(MAX_GENERATIONS_AHEAD + 1);
    this.#walk(this.#oldest, this.last, (key) => index.add(keyIdOf(key)));
    this.#index = index;
    this.#forgetLast();
    return true;
  }

  /** The key of a generation from the oldest to the last. Use it at once, as those that `find` gives. */
  keyAt(generation: number): TopicKey {
    expectGeneration("generation", generation, this.#oldest, this.last);
    return this.#at(generation).key;
  }

  /** Sends under a later generation from now on. What is below it begins its grace. */
  adopt(generation: number, now: number): void {
    expectGeneration("generation", generation, this.sending + 1, this.last);
    const before = this.#sending;
    this.#sending = this.#at(generation);
    this.#ready.delete(generation);
    this.#keepReady(before);
    this.#adopted.push({ generation, since: now });
  }

  /** The running time at which there is something to expire; `undefined` where nothing is in its grace. */
  nextExpiry(grace: number): number | undefined {
    const [first] = this.#adopted;
    return first === undefined ? undefined : first.since + grace;
  }

  /** Wipes what had its grace: nothing that is left leads back to it. Says whether there was anything. */
  expire(now: number, grace: number): boolean {
    const over = this.#adopted.filter(({ since }) => now - since >= grace).at(-1);
    if (over === undefined) return false;
    const { generation } = over;
    const { last, oldest } = this;
    this.#walk(generation, generation, (key) => this.#checkpoint(generation, key));
    this.#oldest = generation;
    this.#adopted = this.#adopted.filter((one) => one.generation > generation);
    for (const [at, key] of this.#chain) {
      if (at >= generation) continue;
      wipe(key);
      this.#chain.delete(at);
    }
    for (const found of this.#ready.values()) {
      if (found.generation < generation) this.#drop(found);
    }
    this.#extendIndex(oldest, last);
    this.#forgetLast();
    return true;
  }

  /** What to save, as it is at this running time. The key is a copy, and the caller's to wipe. */
  saved(now: number): SavedGenerations {
    return {
      oldest: this.#oldest,
      key: new Uint8Array(this.#keyOfChain(this.#oldest)),
      sending: this.sending,
      graces: this.#adopted.map(({ generation, since }) => ({ generation, elapsed: Math.max(now - since, 0) })),
    };
  }

  /** Wipes all keys. What needs one throws from now on. */
  wipe(): void {
    wipe(...this.#chain.values());
    this.#chain.clear();
    for (const found of this.#ready.values()) this.#drop(found);
    if (this.#sending !== WIPED) this.#sending.key.wipe();
    this.#sending = WIPED;
    this.#index = undefined;
    this.#forgetLast();
  }

  #findReady(keyId: number): readonly Found[] {
    return [this.#sending, ...this.#ready.values()]
      .filter(({ key }) => key.idNumber === keyId)
      .sort((a, b) => a.generation - b.generation);
  }

  #findIndexed(keyId: number): readonly Found[] {
    const positions = this.#index?.positions(keyId) ?? NO_POSITIONS;
    return positions.length === 0 ? NONE : positions.map((position) => this.#at(this.#oldest + position));
  }

  /** A generation with its key, which is derived where it is not ready. */
  #at(generation: number): Found {
    if (generation === this.sending) return this.#sending;
    let found = this.#ready.get(generation);
    if (found === undefined) {
      this.#walk(generation, generation, (key) => {
        found = { generation, key: new TopicKey(key) };
      });
    }
    this.#keepReady(found as Found);
    return found as Found;
  }

  /** Makes a key the one used last, and room for it. */
  #keepReady(found: Found): void {
    this.#ready.delete(found.generation);
    this.#ready.set(found.generation, found);
    if (this.#ready.size > MAX_READY_KEYS) this.#drop(this.#ready.values().next().value as Found);
  }

  #drop(found: Found): void {
    found.key.wipe();
    this.#ready.delete(found.generation);
    this.#forgetLast();
  }

  /** What `find` gave last may be incomplete now, or wiped. */
  #forgetLast(): void {
    this.#lastId = -1;
    this.#lastFound = NONE;
  }

  /** After the oldest moved up: the table keeps what it has, and goes on behind it. */
  #extendIndex(oldestBefore: number, lastBefore: number): void {
    const index = this.#index;
    if (index === undefined) return;
    index.drop(this.#oldest - oldestBefore);
    if (this.last > lastBefore) this.#walk(lastBefore + 1, this.last, (key) => index.add(keyIdOf(key)));
  }

  /** Goes along the chain, and shows the key of each of these generations. It is wiped afterwards. */
  #walk(from: number, to: number, visit: (key: Uint8Array) => void): void {
    let generation = this.#nearest(from);
    const key = new Uint8Array(this.#keyOfChain(generation));
    try {
      for (; generation < from; generation++) this.#step(key, generation + 1);
      visit(key);
      for (; generation < to; generation++) {
        this.#step(key, generation + 1);
        visit(key);
      }
    } finally {
      wipe(key);
    }
  }

  #step(key: Uint8Array, to: number): void {
    stepInPlace(key);
    if (to % CHECKPOINT_INTERVAL === 0) this.#checkpoint(to, key);
  }

  #checkpoint(generation: number, key: Uint8Array): void {
    if (!this.#chain.has(generation)) this.#chain.set(generation, new Uint8Array(key));
  }

  /** The generation nearest to this one, not after it, of which the key is kept. */
  #nearest(generation: number): number {
    let nearest = generation - (generation % CHECKPOINT_INTERVAL);
    while (nearest > this.#oldest && !this.#chain.has(nearest)) nearest -= CHECKPOINT_INTERVAL;
    return Math.max(nearest, this.#oldest);
  }

  #keyOfChain(generation: number): Uint8Array {
    const key = this.#chain.get(generation);
    if (key === undefined) throw wipedError();
    return key;
  }
}

function expectGeneration(name: string, value: number, least: number, greatest: number): void {
  if (!Number.isSafeInteger(value) || value < least || value > greatest) {
    throw new RangeError(`"${name}" expected an integer from ${least} to ${greatest}, got ${value}`);
  }
}
