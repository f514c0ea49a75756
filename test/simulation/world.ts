/**
 * A world in which nothing is left to chance but what its seed says: time, randomness and timers. Import it before anything else, so that
 * nobody took hold of the real ones before.
 */

/** mulberry32: small, fast, and the same everywhere. */
export class Random {
  #state = 0;

  seed(seed: number): void {
    this.#state = seed >>> 0;
  }

  /** An integer of 32 bits. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** From 0 to below `bound`. */
  below(bound: number): number {
    return Math.floor((this.next() / 2 ** 32) * bound);
  }

  chance(probability: number): boolean {
    return this.next() / 2 ** 32 < probability;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  shuffle<T>(list: readonly T[]): T[] {
    const shuffled = [...list];
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [shuffled[i], shuffled[j]] = [shuffled[j] as T, shuffled[i] as T];
    }
    return shuffled;
  }
}

/** What the schedule is drawn from. */
export const random = new Random();
/** What the library draws keys from: another stream, so that its use of randomness does not change the schedule. */
const entropy = new Random();

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

const BEGIN = 1_795_000_000_000;
let time = BEGIN;
let order = 0;
const timers = new Map<number, Timer>();

/** Milliseconds since 1970. */
export function now(): number {
  return time;
}

export function begin(seed: number): void {
  random.seed(seed);
  entropy.seed(seed ^ 0x5bd1e995);
  time = BEGIN;
  order = 0;
  timers.clear();
}

/** Runs something later, in its turn. */
export function later(delay: number, run: () => void): number {
  const id = ++order;
  timers.set(id, { at: time + Math.max(0, delay), order: id, run });
  return id;
}

/** Lets time pass, and everything happen that is due in it. */
export function pass(duration: number): void {
  const end = time + duration;
  for (;;) {
    let next: Timer | undefined;
    for (const timer of timers.values()) {
      if (timer.at > end) continue;
      if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer;
    }
    if (next === undefined) break;
    timers.delete(next.order);
    time = Math.max(time, next.at);
    next.run();
  }
  time = end;
}

function replaceGlobal(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

replaceGlobal("performance", { now: () => time - BEGIN });
replaceGlobal("setTimeout", (run: () => void, delay = 0) => later(delay, run));
replaceGlobal("queueMicrotask", (run: () => void) => later(0, run));
replaceGlobal("clearTimeout", (id: number | undefined) => {
  if (id !== undefined) timers.delete(id);
});
replaceGlobal("crypto", {
  getRandomValues<T extends Uint8Array | Uint32Array>(out: T): T {
    const bytes = new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
    for (let i = 0; i < bytes.length; i += 4) {
      const value = entropy.next();
      for (let j = i; j < Math.min(i + 4, bytes.length); j++) bytes[j] = value >>> (8 * (j - i));
    }
    return out;
  },
});
