import { Session } from "node:inspector";
import sodium from "libsodium-wrappers";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { toHex } from "../src/bytes.js";
import { encode } from "../src/cbor.js";
import { backend, kdf, loadCrypto } from "../src/crypto.js";
import { type Found, Generations, KeyIdIndex } from "../src/generations.js";
import { GENERATION_LIMIT, MAX_READY_KEYS } from "../src/limits.js";
import { keyIdOf, stepInPlace, TopicKey } from "../src/topic-key.js";
import { thrownBy } from "./support/expect.js";
import { bytes } from "./support/topics.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** How far is read beyond the oldest. */
const AHEAD = 4096;

/** Keys of a chain, derived the plain way: 9,000 generations from `bytes(1)` on. */
const chain: Uint8Array[] = [];
const ids: number[] = [];

beforeAll(async () => {
  await loadCrypto();
  for (let key = bytes(1); chain.length < 9000; key = kdf(key, "nextGeneration")) {
    chain.push(key);
    ids.push(new DataView(kdf(key, "keyId").buffer).getUint32(0));
  }
});
afterEach(() => void vi.restoreAllMocks());

const keyOf = (generation: number): Uint8Array => chain[generation] as Uint8Array;
const idOf = (generation: number): number => ids[generation] as number;
const generationsOf = (found: readonly Found[]): number[] => found.map(({ generation }) => generation);

const wiped = bytes(0);

/** Ids of no generation of the chain. */
function* unknownIds(): Generator<number, never> {
  const known = new Set(ids);
  for (let id = 12_345; ; id = (Math.imul(id, 1_664_525) + 1_013_904_223) >>> 0) if (!known.has(id)) yield id;
}

function isWiped(key: TopicKey): boolean {
  return [key.bytes, TopicKey.messageKeyOf(key)].every((secret) => toHex(secret) === toHex(wiped));
}

/** The arrays of bytes that are put into a table from now on. */
function keptArrays(): Set<Uint8Array> {
  const arrays = new Set<Uint8Array>();
  const original: (this: Map<unknown, unknown>, key: unknown, value: unknown) => Map<unknown, unknown> = Reflect.get(
    Map.prototype,
    "set",
  );
  vi.spyOn(Map.prototype, "set").mockImplementation(function (this: Map<unknown, unknown>, key, value: unknown) {
    if (value instanceof Uint8Array) arrays.add(value);
    return original.call(this, key, value);
  });
  return arrays;
}

describe("the chain", () => {
  it("goes from key to key by one KDF", () => {
    const expected = sodium.crypto_generichash(32, encode(["stringphone/1 next generation"]), bytes(1));
    expect(keyOf(1)).toEqual(expected);
    const key = bytes(1);
    stepInPlace(key);
    expect(key).toEqual(expected);
    expect(keyIdOf(key)).toBe(new TopicKey(key).idNumber);
  });

  it("gives the key of every generation that is read, in any order, and of no other", () => {
    const generations = new Generations(bytes(1));
    for (const at of [4096, 0, 1, 63, 64, 65, 4095, 2000, 127, 128]) {
      expect(generations.keyAt(at).bytes, `${at}`).toEqual(keyOf(at));
    }
    const later = new Generations(keyOf(100), 100);
    for (const at of [100, 101, 128, 127, 4196, 3000]) expect(later.keyAt(at).bytes, `${at}`).toEqual(keyOf(at));
    for (const at of [99, 4197, -1, 100.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(
        thrownBy(() => later.keyAt(at)),
        `${at}`,
      ).toBeInstanceOf(RangeError);
    }
  });

  it("copies the key that it begins with", () => {
    const key = bytes(1);
    const generations = new Generations(key);
    key.fill(9);
    expect(generations.sendingKey.bytes).toEqual(bytes(1));
    expect(generations.keyAt(1).bytes).toEqual(keyOf(1));
  });

  it("ends at a limit", () => {
    const generations = new Generations(bytes(1), GENERATION_LIMIT - 2);
    expect(generations.last).toBe(GENERATION_LIMIT);
    expect(generationsOf(generations.find(idOf(2)))).toEqual([GENERATION_LIMIT]);
    expect(generations.find(idOf(3))).toEqual([]);
    generations.adopt(GENERATION_LIMIT, 0);
    expect(generations.expire(0, 0)).toBe(true);
    expect(generationsOf(generations.find(idOf(2)))).toEqual([GENERATION_LIMIT]);
    expect(generations.find(idOf(3))).toEqual([]);
    expect(thrownBy(() => generations.adopt(GENERATION_LIMIT + 1, 0))).toBeInstanceOf(RangeError);
  });

  it.each([-1, 0.5, Number.NaN, GENERATION_LIMIT + 1])("begins with no generation %d", (generation) => {
    expect(thrownBy(() => new Generations(bytes(1), generation))).toBeInstanceOf(RangeError);
  });

  it.each([0, 31, 33])("begins with no key of %d bytes", (length) => {
    expect(thrownBy(() => new Generations(bytes(1, length)))).toBeInstanceOf(RangeError);
  });
});

describe("finding by key id", () => {
  it("reads 4,096 generations ahead and not one more", () => {
    const generations = new Generations(bytes(1));
    for (const at of [0, 1, 2, 64, 2047, 4095, 4096]) {
      const found = generations.find(idOf(at));
      expect(generationsOf(found), `${at}`).toEqual([at]);
      expect(found[0]?.key.bytes, `${at}`).toEqual(keyOf(at));
      expect(generations.find(idOf(at)), "again").toBe(found);
    }
    expect(generations.find(idOf(4097))).toEqual([]);
    expect(generations.sending).toBe(0);
  });

  it("hashes nothing for the key in use, 4,097 ids and 4,096 steps for the first unknown id, and nothing for any other", () => {
    const generations = new Generations(bytes(1));
    const hashes = vi.spyOn(backend(), "blake2b");
    const unknown = unknownIds();
    for (let i = 0; i < 10; i++) expect(generationsOf(generations.find(idOf(0)))).toEqual([0]);
    expect(hashes).toHaveBeenCalledTimes(0);
    expect(generations.find(unknown.next().value)).toEqual([]);
    expect(hashes).toHaveBeenCalledTimes(AHEAD + AHEAD + 1);
    hashes.mockClear();
    for (let i = 0; i < 100_000; i++) expect(generations.find(unknown.next().value).length).toBe(0);
    expect(hashes).toHaveBeenCalledTimes(0);
  });

  it("derives a key once, at most 63 steps from one that is kept, while others do not need its place", () => {
    const generations = new Generations(bytes(1));
    generations.complete();
    const hashes = vi.spyOn(backend(), "blake2b");
    generations.find(idOf(4031));
    expect(hashes).toHaveBeenCalledTimes(63 + 3);
    hashes.mockClear();
    // All that a broker saw in a day with a step an hour, again and again.
    for (let round = 0; round < 10; round++) {
      for (let at = 0; at <= 24; at++) expect(generationsOf(generations.find(idOf(at)))).toEqual([at]);
    }
    expect(hashes.mock.calls.length).toBeLessThanOrEqual((24 * 25) / 2 + 24 * 3);
  });

  it("keeps few keys ready, wipes the one used least recently, and never gives a wiped one", () => {
    const generations = new Generations(bytes(1));
    const [first] = generations.find(idOf(1)) as [Found];
    for (let at = 2; at <= MAX_READY_KEYS; at++) generations.find(idOf(at));
    expect(isWiped(first.key)).toBe(false);
    expect(generations.find(idOf(1))[0]).toBe(first);
    const [second] = generations.find(idOf(2)) as [Found];
    const [third] = generations.find(idOf(3)) as [Found];
    generations.find(idOf(1));
    generations.find(idOf(2));
    // One more than there is room for: the fourth goes.
    const [fourth] = generations.find(idOf(4)) as [Found];
    for (let at = 5; at <= MAX_READY_KEYS; at++) generations.find(idOf(at));
    generations.find(idOf(1000));
    expect([first, second, third, fourth].map(({ key }) => isWiped(key))).toEqual([false, false, true, false]);
    for (let at = 0; at < 3 * MAX_READY_KEYS; at++) {
      expect(generations.find(idOf(at))[0]?.key.bytes).toEqual(keyOf(at));
      generations.keyAt(2000 + at);
      expect(generations.find(idOf(at))[0]?.key.bytes).toEqual(keyOf(at));
    }
    expect(isWiped(generations.sendingKey)).toBe(false);
  });

  it("never gives a wiped key for the id that it found last", () => {
    const generations = new Generations(bytes(1));
    const [found] = generations.find(idOf(1)) as [Found];
    for (let at = 0; at < MAX_READY_KEYS; at++) generations.keyAt(100 + at);
    expect(isWiped(found.key)).toBe(true);
    expect(generations.find(idOf(1))[0]?.key.bytes).toEqual(keyOf(1));
  });
});

describe("key ids that collide", () => {
  it("all have their positions in the index, also after some were dropped", () => {
    const index = new KeyIdIndex(8);
    for (const id of [5, 7, 5, 0, 0xffffffff, 5, 13, 21]) index.add(id);
    expect(index.positions(5)).toEqual([0, 2, 5]);
    expect(index.positions(0)).toEqual([3]);
    expect(index.positions(0xffffffff)).toEqual([4]);
    // In one chain of places with others.
    expect(index.positions(13)).toEqual([6]);
    expect(index.positions(21)).toEqual([7]);
    expect(index.positions(29)).toEqual([]);
    index.drop(2);
    expect(index.positions(5)).toEqual([0, 3]);
    expect(index.positions(7)).toEqual([]);
    index.add(7);
    index.add(5);
    expect(index.positions(7)).toEqual([6]);
    expect(index.positions(5)).toEqual([0, 3, 7]);
    index.drop(100);
    for (const id of [0, 5, 7, 13]) expect(index.positions(id)).toEqual([]);
    index.add(9);
    expect(index.positions(9)).toEqual([0]);
  });

  it("may be all one", () => {
    const index = new KeyIdIndex(AHEAD + 1);
    for (let i = 0; i <= AHEAD; i++) index.add(3);
    expect(index.positions(3)).toEqual(Array.from({ length: AHEAD + 1 }, (_, i) => i));
    expect(index.positions(4)).toEqual([]);
  });

  /** Found by trying 375 keys: generations 1,605 and 4,707 after this one have the same key id. */
  const start = bytes(0);
  start.set([374 >> 8, 374 & 0xff], 30);
  const [FIRST, SECOND, ID] = [1605, 4707, 2_189_556_906];
  const from = (generation: number): Generations =>
    new Generations(new Generations(start).keyAt(generation).bytes, generation);

  it("give all their keys", () => {
    const generations = from(1000);
    const found = generations.find(ID);
    expect(generationsOf(found)).toEqual([FIRST, SECOND]);
    expect(found.map(({ key }) => key.idNumber)).toEqual([ID, ID]);
    expect(toHex(found[0]?.key.commitment as Uint8Array)).not.toBe(toHex(found[1]?.key.commitment as Uint8Array));
    generations.adopt(SECOND, 0);
    expect(generationsOf(generations.find(ID))).toEqual([FIRST, SECOND]);
    generations.expire(0, 0);
    expect(generationsOf(generations.find(ID))).toEqual([SECOND]);
  });

  it("give a later key once the table is made, where the key in use has that id", () => {
    const generations = from(FIRST);
    expect(generationsOf(generations.find(ID))).toEqual([FIRST]);
    expect(generations.complete()).toBe(true);
    expect(generationsOf(generations.find(ID))).toEqual([FIRST, SECOND]);
    expect(generations.complete()).toBe(false);
  });

  it("give a later key once it comes into reach, also where the id is the one found last", () => {
    const generations = new Generations(start);
    generations.complete();
    generations.adopt(FIRST, 0);
    // Nothing below is ready any more when it is wiped.
    for (let at = 0; at < MAX_READY_KEYS; at++) generations.keyAt(2000 + at);
    expect(generationsOf(generations.find(ID))).toEqual([FIRST]);
    generations.expire(0, 0);
    expect(generationsOf(generations.find(ID))).toEqual([FIRST, SECOND]);
  });

  it("give keys that are ready in the order of their generations, before the table is made", () => {
    const generations = from(1000);
    generations.adopt(SECOND, 0);
    generations.keyAt(FIRST);
    expect(generationsOf(generations.find(ID))).toEqual([FIRST, SECOND]);
  });
});

describe("adopting and expiring", () => {
  it("sends under the later one, and reads the earlier ones for a grace", () => {
    const generations = new Generations(bytes(1));
    expect(generations.nextExpiry(DAY)).toBeUndefined();
    expect(generations.expire(1e12, 0)).toBe(false);
    const old = generations.sendingKey;
    const [found] = generations.find(idOf(5)) as [Found];
    generations.adopt(5, 1000);
    expect([generations.oldest, generations.sending]).toEqual([0, 5]);
    expect(generations.sendingKey).toBe(found.key);
    expect(generations.nextExpiry(DAY)).toBe(1000 + DAY);
    expect(generations.expire(999 + DAY, DAY)).toBe(false);
    for (const at of [0, 1, 4, 5, 4096]) expect(generationsOf(generations.find(idOf(at)))).toEqual([at]);
    expect(isWiped(old)).toBe(false);
    expect(generations.expire(1000 + DAY, DAY)).toBe(true);
    expect([generations.oldest, generations.sending]).toEqual([5, 5]);
    expect(generations.nextExpiry(DAY)).toBeUndefined();
    expect(isWiped(old)).toBe(true);
    expect(isWiped(found.key)).toBe(false);
    for (let at = 0; at < 5; at++) {
      expect(generations.find(idOf(at))).toEqual([]);
      expect(thrownBy(() => generations.keyAt(at))).toBeInstanceOf(RangeError);
    }
    expect(generations.expire(1000 + DAY, DAY)).toBe(false);
  });

  it("takes what is over in one go, each by its own time", () => {
    const generations = new Generations(bytes(1));
    generations.adopt(1, 0);
    generations.adopt(70, HOUR);
    generations.adopt(71, 2 * HOUR);
    expect(generations.nextExpiry(DAY)).toBe(DAY);
    expect(generations.expire(DAY + HOUR, DAY)).toBe(true);
    expect([generations.oldest, generations.sending]).toEqual([70, 71]);
    expect(generations.nextExpiry(DAY)).toBe(DAY + 2 * HOUR);
    expect(generations.keyAt(70).bytes).toEqual(keyOf(70));
    expect(generations.expire(DAY + 2 * HOUR, DAY)).toBe(true);
    expect(generations.oldest).toBe(71);
  });

  it("extends what is read by what was wiped, and derives no more than that for it", () => {
    const generations = new Generations(bytes(1));
    expect(generations.find(idOf(4097))).toEqual([]);
    generations.adopt(10, 0);
    const hashes = vi.spyOn(backend(), "blake2b");
    generations.expire(DAY, DAY);
    // To generation 10, the ten new ids, and the way to them from generation 4,096, which is a 64th.
    expect(hashes).toHaveBeenCalledTimes(10 + 10 + 10);
    hashes.mockRestore();
    for (const at of [10, 11, 4096, 4097, 4106]) {
      expect(generations.find(idOf(at))[0]?.key.bytes, `${at}`).toEqual(keyOf(at));
    }
    for (const at of [9, 4107]) expect(generations.find(idOf(at)), `${at}`).toEqual([]);
    generations.adopt(4106, 0);
    generations.expire(0, 0);
    for (const at of [4106, 8202]) expect(generationsOf(generations.find(idOf(at))), `${at}`).toEqual([at]);
    for (const at of [4105, 8203]) expect(generations.find(idOf(at)), `${at}`).toEqual([]);
  });

  it.each([4, 3, 0, -1, 4.5, Number.NaN, 4097])("does not adopt %d after 4", (generation) => {
    const generations = new Generations(bytes(1));
    generations.adopt(4, 0);
    expect(thrownBy(() => generations.adopt(generation, 0))).toBeInstanceOf(RangeError);
    expect(generations.sending).toBe(4);
    expect(generations.sendingKey.bytes).toEqual(keyOf(4));
  });

  it("does the same as a plain list of keys, whatever happens in whatever order", () => {
    let state = 7;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    let generations = new Generations(bytes(1));
    let [oldest, sending, now] = [0, 0, 0];
    let graces: { generation: number; since: number }[] = [];
    for (let i = 0; i < 3000; i++) {
      now += random(100);
      const action = random(10);
      if (action === 0 && sending < 4500) {
        sending += 1 + random(20);
        generations.adopt(sending, now);
        graces.push({ generation: sending, since: now });
      } else if (action === 1) {
        const over = graces.filter(({ since }) => now - since >= 500);
        expect(generations.expire(now, 500)).toBe(over.length > 0);
        oldest = over.at(-1)?.generation ?? oldest;
        graces = graces.slice(over.length);
      } else if (action === 2 && random(20) === 0) {
        const elsewhere = random(1e6);
        generations = Generations.restore(generations.saved(now), elsewhere);
        graces = graces.map(({ generation, since }) => ({ generation, since: since - now + elsewhere }));
        now = elsewhere;
      } else if (action < 6) {
        const at = oldest + random(AHEAD + 1);
        expect(generations.keyAt(at).bytes).toEqual(keyOf(at));
      } else {
        // Mostly near the edges, where mistakes are.
        const at = Math.max(0, [oldest - 3, oldest + AHEAD - 3, sending - 3, oldest][action - 6] as number) + random(7);
        const isRead = at >= oldest && at <= oldest + AHEAD;
        const found = generations.find(idOf(at));
        expect(generationsOf(found)).toEqual(isRead ? [at] : []);
        if (isRead) expect(found[0]?.key.bytes).toEqual(keyOf(at));
      }
      expect([generations.oldest, generations.sending, generations.last]).toEqual([oldest, sending, oldest + AHEAD]);
      expect(generations.sendingKey.bytes).toEqual(keyOf(sending));
      expect(generations.nextExpiry(500)).toBe(graces[0] === undefined ? undefined : graces[0].since + 500);
    }
    expect(oldest).toBeGreaterThan(3000);
  });
});

describe("what is saved", () => {
  it("goes on: keys, what is sent under, and each grace by the running time it had", () => {
    const generations = new Generations(bytes(1));
    generations.adopt(3, 1000);
    generations.adopt(9, 1000 + HOUR);
    const saved = generations.saved(1000 + 2 * HOUR);
    expect(saved).toEqual({
      oldest: 0,
      key: bytes(1),
      sending: 9,
      graces: [
        { generation: 3, elapsed: 2 * HOUR },
        { generation: 9, elapsed: HOUR },
      ],
    });
    // However long the program was away: running time begins anew.
    const restored = Generations.restore(saved, 50);
    saved.key.fill(0);
    expect([restored.oldest, restored.sending]).toEqual([0, 9]);
    expect(restored.sendingKey.bytes).toEqual(keyOf(9));
    expect(generationsOf(restored.find(idOf(0)))).toEqual([0]);
    expect(restored.nextExpiry(DAY)).toBe(50 + 22 * HOUR);
    expect(restored.expire(49 + 22 * HOUR, DAY)).toBe(false);
    expect(restored.expire(50 + 22 * HOUR, DAY)).toBe(true);
    expect(restored.oldest).toBe(3);
    expect(restored.expire(50 + 23 * HOUR, DAY)).toBe(true);
    expect(restored.saved(50 + 23 * HOUR)).toEqual({ oldest: 9, key: keyOf(9), sending: 9, graces: [] });
  });

  it("has no grace that is negative", () => {
    const generations = new Generations(bytes(1));
    generations.adopt(1, 1000);
    expect(generations.saved(999).graces).toEqual([{ generation: 1, elapsed: 0 }]);
  });

  it("is a copy", () => {
    const generations = new Generations(bytes(1));
    generations.saved(0).key.fill(0);
    expect(generations.saved(0).key).toEqual(bytes(1));
    expect(generations.keyAt(1).bytes).toEqual(keyOf(1));
  });

  const good = { oldest: 2, key: bytes(1), sending: 4, graces: [{ generation: 4, elapsed: 5 }] };
  it.each([
    ["a short key", { ...good, key: bytes(1, 31) }],
    ["a negative generation", { ...good, oldest: -1 }],
    ["another generation for sending than the last adopted", { ...good, sending: 3 }],
    ["a generation for sending that was never adopted", { ...good, graces: [] }],
    ["graces that do not rise", { ...good, graces: [good.graces[0], good.graces[0]] as typeof good.graces }],
    ["a grace below the oldest", { ...good, graces: [{ generation: 2, elapsed: 5 }] }],
    ["a grace that is negative", { ...good, graces: [{ generation: 4, elapsed: -1 }] }],
    ["a grace that is no number", { ...good, graces: [{ generation: 4, elapsed: Number.NaN }] }],
    ["a generation out of reach", { ...good, sending: 4099, graces: [{ generation: 4099, elapsed: 5 }] }],
  ])("is refused with %s", (_, saved) => {
    expect(Generations.restore(good, 0).sending).toBe(4);
    const kept = keptArrays();
    expect(thrownBy(() => Generations.restore(saved, 0))).toBeInstanceOf(RangeError);
    for (const array of kept) expect(array).toEqual(wiped);
  });
});

/** What the debugger sees of an object: every array of bytes that can be reached from it, private fields and entries of maps included. */
function reachableBytes(root: object): string[] {
  interface Remote {
    readonly type: string;
    readonly subtype?: string;
    readonly objectId?: string;
    readonly value?: unknown;
  }
  interface Property {
    readonly name: string;
    readonly value?: Remote;
  }
  interface Answer {
    readonly result: Property[] & Remote;
    readonly internalProperties?: Property[];
    readonly privateProperties?: Property[];
  }
  const session = new Session();
  session.connect();
  const found: string[] = [];
  const probe = globalThis as { probe?: object };
  const call = (method: string, parameters: object): Answer => {
    let answer: unknown;
    session.post(method, parameters, (error, result) => {
      if (error !== null) throw error;
      answer = result;
    });
    return answer as Answer;
  };
  const visit = (objectId: string): void => {
    const parameters = { objectId, ownProperties: true };
    const { result, internalProperties = [], privateProperties = [] } = call("Runtime.getProperties", parameters);
    const entries = internalProperties.filter(({ name }) => name === "[[Entries]]");
    for (const { name, value } of [...result, ...entries, ...privateProperties]) {
      if (value?.objectId === undefined || name === "__proto__" || value.type === "function") continue;
      if (value.subtype !== "typedarray") visit(value.objectId);
      else {
        const text = "function () { return Array.from(this, (byte) => byte.toString(16).padStart(2, '0')).join(''); }";
        const of = { functionDeclaration: text, objectId: value.objectId };
        found.push(call("Runtime.callFunctionOn", of).result.value as string);
      }
    }
  };
  try {
    probe.probe = root;
    const { result } = call("Runtime.evaluate", { expression: "globalThis.probe" });
    visit(result.objectId as string);
    return found;
  } finally {
    delete probe.probe;
    session.disconnect();
  }
}

describe("a thief", () => {
  /** A life of steps, with every key on the way used for something; the oldest at its end is generation 300. */
  function life(): Generations {
    const generations = new Generations(bytes(1));
    generations.keyAt(200);
    for (let at = 0; at <= 330; at += 3) generations.find(idOf(at));
    generations.complete();
    for (const [i, at] of [1, 2, 64, 65, 128, 300, 320].entries()) {
      generations.adopt(at, i * HOUR);
      generations.find(idOf(Math.max(at - 2, 0)));
      generations.keyAt(at + 500);
      if (i === 3) generations.expire(0, 0);
    }
    return generations;
  }
  const secretsOf = (generation: number): string[] =>
    [keyOf(generation), kdf(keyOf(generation), "messageKey")].map(toHex);
  const below = (generation: number): string[] => Array.from({ length: generation }, (_, at) => secretsOf(at)).flat();

  it("finds nothing, in all that can be reached, of a generation whose grace is over", () => {
    const generations = life();
    const before = new Set(reachableBytes(generations));
    // The search finds what is there: the oldest, one sent under, one that is kept of the chain, one that was read.
    for (const at of [1, 320, 128, 126]) expect([...before], `${at}`).toContain(toHex(keyOf(at)));
    expect([...before]).toContain(secretsOf(320)[1]);
    expect(generations.expire(5 * HOUR, 0)).toBe(true);
    expect(generations.oldest).toBe(300);
    const after = reachableBytes(generations);
    expect(after.length).toBeGreaterThan(60);
    expect(after).toContain(toHex(keyOf(300)));
    const gone = new Set(below(300));
    expect(after.filter((secret) => gone.has(secret))).toEqual([]);
    expect(toHex(generations.saved(0).key)).toBe(toHex(keyOf(300)));
  });

  it("finds nothing in any array that was hashed, or kept in a table, on the way", () => {
    const arrays = keptArrays();
    const used = backend();
    const blake2b = used.blake2b.bind(used);
    vi.spyOn(used, "blake2b").mockImplementation((out, key, front, tail) => {
      arrays.add(out).add(key);
      blake2b(out, key, front, tail);
    });
    const generations = life();
    generations.expire(5 * HOUR, 0);
    vi.restoreAllMocks();
    const gone = new Set(below(300));
    expect(arrays.size).toBeGreaterThan(100);
    const left = [...arrays].map(toHex).filter((secret) => gone.has(secret));
    expect(left).toEqual([]);
  });

  it("finds few secrets at any time: the keys that are ready, and one of 64 of the chain", () => {
    const generations = new Generations(bytes(1));
    generations.complete();
    for (let at = 10; at < 3000; at += 10) {
      generations.adopt(at, 0);
      generations.expire(0, 0);
    }
    for (let at = 3000; at < 3100; at++) generations.keyAt(at);
    const secrets = new Set(Array.from({ length: chain.length }, (_, at) => secretsOf(at)).flat());
    const found = reachableBytes(generations).filter((bytes) => secrets.has(bytes) || bytes === toHex(wiped));
    expect(found.length).toBeLessThanOrEqual(66 + 2 * (MAX_READY_KEYS + 1));
  });

  it("finds nothing at all after it was wiped, and nothing is sealed or opened with a wiped key", () => {
    const kept = keptArrays();
    const generations = life();
    const key = generations.sendingKey;
    const all = new Set(Array.from({ length: 5000 }, (_, at) => secretsOf(at)).flat());
    const has = (): number => reachableBytes(generations).filter((secret) => all.has(secret)).length;
    expect(has()).toBeGreaterThan(60);
    generations.wipe();
    expect(has()).toBe(0);
    expect(isWiped(key)).toBe(true);
    expect(kept.size).toBeGreaterThan(60);
    for (const array of kept) expect(array).toEqual(wiped);
    for (const call of [
      () => generations.sendingKey,
      () => generations.find(idOf(320)),
      () => generations.find(idOf(1)),
      () => generations.complete(),
      () => generations.keyAt(320),
      () => generations.adopt(400, 0),
      () => generations.expire(1e12, 0),
      () => generations.saved(0),
    ]) {
      expect(thrownBy(call)).toBeInstanceOf(Error);
    }
    generations.wipe();
  });
});

it("prints what it takes", () => {
  const times = (count: number, call: () => unknown): string => {
    const start = performance.now();
    for (let i = 0; i < count; i++) call();
    return `${(((performance.now() - start) * 1000) / count).toFixed(3)} µs`;
  };
  const unknown = unknownIds();
  const junk = Array.from({ length: 4096 }, () => unknown.next().value);
  let next = 0;
  for (let round = 0; round < 2; round++) {
    const generations = new Generations(bytes(1));
    console.log(`${backend().name}, round ${round}:`, {
      table: times(1, () => generations.find(junk[0] as number)),
      "4,000 ahead, first": times(1, () => generations.find(idOf(4000))),
      "again, the same": times(1_000_000, () => generations.find(idOf(4000))),
      "again, in turn with another": times(500_000, () => {
        generations.find(idOf(4001));
        generations.find(idOf(4000));
      }),
      unknown: times(1_000_000, () => generations.find(junk[next++ & 4095] as number)),
      "key for sending": times(1_000_000, () => generations.sendingKey),
      "adopt 2,048 and expire": times(1, () => {
        generations.adopt(2048, 0);
        generations.expire(0, 0);
      }),
    });
  }
});
