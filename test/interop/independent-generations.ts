// Generations of a topic key, and the budget of steps: §4.1 to §4.3 of docs/PROTOCOL.md, from that page alone.
import { type Bytes, hex, KDF, keyIdOf, MAX_GENERATION, refuse } from "./independent-primitives.js";

const AHEAD = 4096;
const HOUR = 3_600_000;

/** The keys that follow from one, as far as they were asked for, and their key ids. */
class Keys {
  /** Many peers of one test have the same keys: each is derived once. */
  static readonly #all = new Map<string, Keys>();
  static from(key: Bytes): Keys {
    const known = Keys.#all.get(hex(key)) ?? new Keys(key);
    Keys.#all.set(hex(key), known);
    return known;
  }

  readonly #keys: Bytes[];
  readonly #ids: string[] = [];
  private constructor(key: Bytes) {
    this.#keys = [key];
  }

  at(steps: number): Bytes {
    while (this.#keys.length <= steps) this.#keys.push(KDF(this.#keys.at(-1) as Bytes, "next generation"));
    return this.#keys[steps] as Bytes;
  }

  /** How many steps lead to the keys that have this key id, of so many at most. */
  with(keyId: string, most: number): number[] {
    while (this.#ids.length <= most) this.#ids.push(hex(keyIdOf(this.at(this.#ids.length))));
    return this.#ids.slice(0, most + 1).flatMap((id, steps) => (id === keyId ? [steps] : []));
  }
}

/** The keys of one epoch that are read, from the oldest on. */
export class Chain {
  oldest: number;
  /** The generation that is sent under. */
  sending: number;
  #keys: Keys;
  /** When which generation was adopted, in running time. */
  #adopted: { generation: number; at: number }[] = [];

  constructor(key: Bytes, generation: number) {
    [this.oldest, this.sending, this.#keys] = [generation, generation, Keys.from(key)];
  }

  get key(): Bytes {
    return this.keyOf(this.sending);
  }

  /** The last that is read. */
  get end(): number {
    return Math.min(this.oldest + AHEAD, MAX_GENERATION);
  }

  keyOf(generation: number): Bytes {
    if (generation < this.oldest || generation > this.end) throw new RangeError(`generation ${generation} is not read`);
    return this.#keys.at(generation - this.oldest);
  }

  /** The generations that have this key id. */
  with(keyId: Bytes): number[] {
    return this.#keys.with(hex(keyId), this.end - this.oldest).map((steps) => this.oldest + steps);
  }

  adopt(generation: number, at: number): void {
    this.sending = generation;
    this.#adopted.push({ generation, at });
  }

  /** Wipes what is past its grace. */
  wipe(now: number, grace: number): void {
    const over = this.#adopted.filter(({ at }) => now - at >= grace).at(-1);
    if (over === undefined) return;
    this.#keys = Keys.from(this.keyOf(over.generation));
    this.oldest = over.generation;
    this.#adopted = this.#adopted.filter(({ generation }) => generation > over.generation);
  }
}

/** §4.2 */
export class StepBudget {
  #hours = 24;
  #clock = 0;
  #elapsed: number;

  constructor(elapsed: number) {
    this.#elapsed = elapsed;
  }

  look(clock: number, elapsed: number): void {
    const byClock = this.#clock === 0 ? 0 : clock - this.#clock;
    this.#hours = Math.min(2048, this.#hours + Math.max(0, byClock, elapsed - this.#elapsed) / HOUR);
    this.#clock = Math.max(this.#clock, clock);
    this.#elapsed = elapsed;
  }

  spend(steps: number): boolean {
    if (this.#hours < steps) return false;
    this.#hours -= steps;
    return true;
  }
}

/** An own step. */
export function step(chain: Chain, budget: StepBudget, elapsed: number): void {
  if (chain.sending >= chain.end) refuse("RATE_LIMIT", "beyond what is read");
  if (!budget.spend(1)) refuse("RATE_LIMIT", "no budget");
  chain.adopt(chain.sending + 1, elapsed);
}

/** Follows somebody to a later generation, where the budget is enough. */
export function follow(chain: Chain, generation: number, budget: StepBudget, elapsed: number): void {
  if (generation > chain.sending && budget.spend(generation - chain.sending)) chain.adopt(generation, elapsed);
}
