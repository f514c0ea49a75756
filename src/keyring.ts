/** The topic keys that a topic holds, of each epoch those of its generations (PROTOCOL §4.1, §11). */
import { toHex } from "./bytes.js";
import { Generations, type SavedGenerations } from "./generations.js";
import { KEY_BYTES, MAX_EPOCHS_PER_ISSUER, MAX_EPOCHS_PER_PARENT } from "./limits.js";
import type { RekeyHead } from "./rekey.js";
import { TopicKey } from "./topic-key.js";

/** An epoch that is known, with or without its keys. */
export interface Epoch {
  /**
   * Commitment of its first key, and the public key of who issued it, in hex: whoever saw a rekey can make another one with its
   * commitment, and must not thereby take its place.
   */
  readonly id: string;
  readonly number: number;
  /** The rekey that started it; `undefined` for the first of a topic. */
  readonly head: RekeyHead | undefined;
  /** Who issued that, in hex. */
  readonly issuer: string | undefined;
  /** The epoch that it was sealed under, if that was ever known here. */
  readonly parent: string | undefined;
  /** `undefined` where it was not opened, and when it was wiped. */
  keys: Generations | undefined;
  /** Whether its keys are known to lead from the first one, whose commitment its issuer signed. */
  isProven: boolean;
  /** Which of our digests, counted from the first, its issuer knew when it was made; `undefined` where it was none. */
  agreedAt: number | undefined;
  /** Who had left the roster by what came with its rekey, or in a reply that gave it: and since which of our digests. */
  readonly told: Map<string, number>;
  /** Whether we ceased to send under it: that is for ever, unless an admin gives us its key again. */
  isRetired: boolean;
  /** Whether it does not count for us, because it cannot be opened and an admin told us to go on without it. */
  isSetAside: boolean;
  /** How often senders had been forgotten when something was accepted under it first; `undefined` while nothing was. */
  heardSince: number | undefined;
  /** Running time since which it is not what we send under; `undefined` while it is. */
  leftAt: number | undefined;
}

type NewEpoch = Omit<Epoch, "agreedAt" | "told" | "isRetired" | "isSetAside" | "heardSince" | "leftAt">;

/** The id of the epoch that a rekey starts. */
export function epochIdOf({ commitment, issuerKey }: RekeyHead): string {
  return toHex(commitment) + toHex(issuerKey);
}

/** Commitment of an epoch's first key, in hex. */
export function commitmentOf({ id }: Pick<Epoch, "id">): string {
  return id.slice(0, 2 * KEY_BYTES);
}

/** Order in which tables are saved, so that one state has one form. */
export function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

/** A key that a key id may mean. */
export interface FoundKey {
  readonly epoch: Epoch;
  readonly generation: number;
  readonly key: TopicKey;
}

export interface SavedEpoch extends Omit<Epoch, "keys" | "leftAt" | "told"> {
  readonly told: readonly (readonly [participant: string, digest: number])[];
  readonly keys: SavedGenerations | undefined;
  /** Milliseconds since it was left. */
  readonly left: number | undefined;
}

export class Keyring {
  readonly #epochs = new Map<string, Epoch>();
  #sending: Epoch | undefined;
  #current: TopicKey | undefined;

  /** The epoch to send under. */
  get sending(): Epoch | undefined {
    return this.#sending;
  }

  /** The key to send under. */
  get current(): TopicKey | undefined {
    return this.#current;
  }

  /** The same, with where it belongs. */
  get currentFound(): FoundKey | undefined {
    const epoch = this.#sending;
    if (epoch?.keys === undefined) return undefined;
    return { epoch, generation: epoch.keys.sending, key: epoch.keys.sendingKey };
  }

  /** Whether nothing can be read. */
  get isEmpty(): boolean {
    for (const { keys } of this.#epochs.values()) if (keys !== undefined) return false;
    return true;
  }

  get epochs(): Iterable<Epoch> {
    return this.#epochs.values();
  }

  epoch(id: string): Epoch | undefined {
    return this.#epochs.get(id);
  }

  /** Takes a key that belongs to no rooted topic, or none, and forgets all others. */
  replace(key: Uint8Array | undefined, generation = 0): void {
    this.wipe();
    if (key !== undefined) this.use(this.addFirst(key, generation));
  }

  /** Adds the first epoch of a topic. */
  addFirst(key: Uint8Array, generation = 0): Epoch {
    const made = new TopicKey(key);
    const id = toHex(made.commitment);
    made.wipe();
    const keys = new Generations(key, generation);
    return this.#add({ id, number: 0, head: undefined, issuer: undefined, parent: undefined, keys, isProven: true });
  }

  /** Adds an epoch that a rekey started, or that a reply told of. Its keys are the keyring's from now on. */
  add(epoch: NewEpoch, now: number): Epoch {
    const added = this.#add(epoch);
    added.leftAt = now;
    this.#forget(added);
    return added;
  }

  #add(epoch: NewEpoch): Epoch {
    const added: Epoch = {
      ...epoch,
      agreedAt: undefined,
      told: new Map(),
      isRetired: false,
      isSetAside: false,
      heardSince: undefined,
      leftAt: undefined,
    };
    this.#epochs.get(added.id)?.keys?.wipe();
    this.#epochs.set(added.id, added);
    return added;
  }

  /** Whether one more rekey of this issuer under this parent is taken in: a hostile admin can make any number. */
  hasRoom(issuer: string, parent: string): boolean {
    let count = 0;
    for (const epoch of this.#epochs.values()) if (epoch.issuer === issuer && epoch.parent === parent) count++;
    return count < MAX_EPOCHS_PER_PARENT;
  }

  /** Of one issuer's epochs the lowest goes when there are too many; not the newest, and not the one that is sent under. */
  #forget({ issuer, id }: Epoch): void {
    const same = [...this.#epochs.values()].filter((one) => one.issuer === issuer);
    if (same.length <= MAX_EPOCHS_PER_ISSUER) return;
    const others = same.filter((one) => one !== this.#sending && one.id !== id);
    const lowest = others.reduce((a, b) => (b.number < a.number ? b : a));
    lowest.keys?.wipe();
    this.#epochs.delete(lowest.id);
  }

  /** Sends under this epoch from now on, or under none. */
  use(epoch: Epoch | undefined): void {
    this.#sending = epoch;
    this.#current = epoch?.keys?.sendingKey;
  }

  /** Every key but `tried` that a key id may mean. Where none of them opens a message, call `complete`. */
  find(keyId: number, tried?: TopicKey): FoundKey[] {
    const found: FoundKey[] = [];
    for (const epoch of this.#epochs.values()) {
      if (epoch.keys === undefined) continue;
      for (const { generation, key } of epoch.keys.find(keyId)) {
        if (key !== tried) found.push({ epoch, generation, key });
      }
    }
    return found;
  }

  /** Looks up all that is read: says whether `find` may now give more than it gave. */
  complete(): boolean {
    let isMore = false;
    for (const { keys } of this.#epochs.values()) if (keys?.complete() === true) isMore = true;
    return isMore;
  }

  /** Makes a later generation the one to send under. */
  adopt(epoch: Epoch, generation: number, now: number): void {
    epoch.keys?.adopt(generation, now);
    if (epoch === this.#sending) this.use(epoch);
  }

  /** Wipes what is past its grace. Gives the epochs that are left without a key. */
  expire(now: number, grace: number): string[] {
    const wiped: string[] = [];
    for (const epoch of this.#epochs.values()) {
      if (epoch.keys === undefined) continue;
      if (epoch.leftAt !== undefined && now - epoch.leftAt >= grace) {
        epoch.keys.wipe();
        epoch.keys = undefined;
        wiped.push(epoch.id);
      } else {
        epoch.keys.expire(now, grace);
      }
    }
    return wiped;
  }

  /** Running time at which the next key is to be wiped. */
  nextExpiry(grace: number): number | undefined {
    let next: number | undefined;
    for (const { keys, leftAt } of this.#epochs.values()) {
      if (keys === undefined) continue;
      for (const at of [leftAt === undefined ? undefined : leftAt + grace, keys.nextExpiry(grace)]) {
        if (at !== undefined && (next === undefined || at < next)) next = at;
      }
    }
    return next;
  }

  wipe(): void {
    for (const { keys } of this.#epochs.values()) keys?.wipe();
    this.#epochs.clear();
    this.use(undefined);
  }

  /** An epoch and those before it, as far as parents are known. */
  *withAncestors(epoch: Epoch): Iterable<Epoch> {
    for (let at: Epoch | undefined = epoch; at !== undefined; at = this.#parentOf(at)) yield at;
  }

  /** One that was forgotten may come again with another number, by a rekey that nobody can open: then it is the parent of nothing. */
  #parentOf({ parent, number }: Epoch): Epoch | undefined {
    const before = parent === undefined ? undefined : this.#epochs.get(parent);
    return before?.number === number - 1 ? before : undefined;
  }

  /** All of it, with secrets. */
  saved(now: number): SavedEpoch[] {
    return [...this.#epochs.values()].map(({ keys, leftAt, told, ...epoch }) => ({
      ...epoch,
      told: [...told].sort(byName),
      keys: keys?.saved(now),
      left: leftAt === undefined ? undefined : now - leftAt,
    }));
  }

  restore(saved: readonly SavedEpoch[], sending: string | undefined, now: number): void {
    for (const { keys, left, told, ...epoch } of saved) {
      this.#epochs.set(epoch.id, {
        ...epoch,
        told: new Map(told),
        keys: keys && Generations.restore(keys, now),
        leftAt: left === undefined ? undefined : now - left,
      });
    }
    const used = sending === undefined ? undefined : this.#epochs.get(sending);
    if (sending !== undefined && used?.keys === undefined) throw new RangeError("the key to send under is missing");
    this.use(used);
  }
}
