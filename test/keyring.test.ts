import { beforeAll, describe, expect, it } from "vitest";
import { toHex } from "../src/bytes.js";
import { loadCrypto } from "../src/crypto.js";
import { Generations } from "../src/generations.js";
import { type Epoch, Keyring } from "../src/keyring.js";
import { stepInPlace, TopicKey } from "../src/topic-key.js";
import { bytes } from "./support/topics.js";

const GRACE = 1000;

beforeAll(() => loadCrypto());

/** The key so many generations after this one. */
function stepped(key: Uint8Array, steps: number): Uint8Array {
  const copy = new Uint8Array(key);
  for (let i = 0; i < steps; i++) stepInPlace(copy);
  return copy;
}

const idOf = (key: Uint8Array): number => new TopicKey(key).idNumber;
const commitmentOf = (key: Uint8Array): string => toHex(new TopicKey(key).commitment);

/** Adds the epoch that a rekey of this issuer started, with the key `bytes(value)`. */
function addEpoch(
  ring: Keyring,
  value: number,
  { number = 1, issuer = "issuer", parent = "parent", now = 0 } = {},
): Epoch {
  const id = commitmentOf(bytes(value));
  const keys = new Generations(bytes(value));
  return ring.add({ id, number, head: undefined, issuer, parent, keys, isProven: true }, now);
}

const found = (ring: Keyring, key: Uint8Array): [string, number, string][] =>
  ring.find(idOf(key)).map((one) => [one.epoch.id, one.generation, toHex(one.key.bytes)]);

describe("the one key of a topic without a roster", () => {
  it("is found by its id, and nothing by another", () => {
    const ring = new Keyring();
    expect(ring.find(0)).toEqual([]);
    expect([ring.isEmpty, ring.current, ring.currentFound, ring.sending]).toEqual([
      true,
      undefined,
      undefined,
      undefined,
    ]);
    ring.replace(bytes(1));
    const { id, idNumber } = new TopicKey(bytes(1));
    expect(idNumber).toBe(Buffer.from(id).readUInt32BE());
    expect(found(ring, bytes(1))).toEqual([[commitmentOf(bytes(1)), 0, toHex(bytes(1))]]);
    expect(ring.find(0)).toEqual([]);
    expect(ring.current?.bytes).toEqual(bytes(1));
    expect(ring.isEmpty).toBe(false);
    expect(ring.currentFound).toEqual({ epoch: ring.sending, generation: 0, key: ring.current });
  });

  it("is copied, and given without the one that was tried already", () => {
    const ring = new Keyring();
    const key = bytes(1);
    ring.replace(key);
    key.fill(0);
    expect(ring.current?.bytes).toEqual(bytes(1));
    expect(ring.find(idOf(bytes(1)), ring.current)).toEqual([]);
    expect(ring.find(idOf(bytes(1)), new TopicKey(bytes(1))).length).toBe(1);
  });

  it("is wiped when another one replaces it, and forgotten with all others", () => {
    const ring = new Keyring();
    ring.replace(bytes(1));
    const old = ring.current as TopicKey;
    const older = addEpoch(ring, 3);
    ring.replace(bytes(2));
    expect(old.bytes).toEqual(bytes(0));
    expect(TopicKey.messageKeyOf(old)).toEqual(bytes(0));
    expect([found(ring, bytes(1)), found(ring, bytes(3)), ring.epoch(older.id)]).toEqual([[], [], undefined]);
    expect([...ring.epochs].map(({ id }) => id)).toEqual([commitmentOf(bytes(2))]);
    ring.replace(undefined);
    expect([ring.current, ring.isEmpty, [...ring.epochs]]).toEqual([undefined, true, []]);
  });

  it("may be of a later generation: it reads from there on, and not what came before", () => {
    const ring = new Keyring();
    ring.replace(stepped(bytes(1), 5), 5);
    expect(ring.currentFound?.generation).toBe(5);
    expect(found(ring, stepped(bytes(1), 5)).map(([, generation]) => generation)).toEqual([5]);
    expect(found(ring, stepped(bytes(1), 7)).map(([, generation]) => generation)).toEqual([7]);
    expect(found(ring, bytes(1))).toEqual([]);
  });

  it("is read 4,096 generations ahead, and no further", () => {
    const ring = new Keyring();
    ring.replace(bytes(1));
    const last = stepped(bytes(1), 4096);
    expect(found(ring, last)).toEqual([[commitmentOf(bytes(1)), 4096, toHex(last)]]);
    expect(found(ring, stepped(last, 1))).toEqual([]);
  });

  it("keeps what is derived apart: id, message key and commitment have nothing in common", () => {
    const key = new TopicKey(bytes(1));
    const derived = [key.commitment, TopicKey.messageKeyOf(key)].map((one) => Buffer.from(one).toString("hex"));
    expect(new Set(derived).size).toBe(2);
    for (const one of derived) expect(one.startsWith(Buffer.from(key.id).toString("hex"))).toBe(false);
  });
});

describe("a later generation", () => {
  it("is adopted: it is sent under, and those before it are still read", () => {
    const ring = new Keyring();
    ring.replace(bytes(1));
    ring.adopt(ring.sending as Epoch, 3, 0);
    expect(ring.current?.bytes).toEqual(stepped(bytes(1), 3));
    expect(ring.currentFound?.generation).toBe(3);
    for (const generation of [0, 2, 3, 4]) {
      expect(found(ring, stepped(bytes(1), generation)).map((one) => one[1])).toEqual([generation]);
    }
  });

  it("of another epoch than the one in use changes nothing of what is sent under", () => {
    const ring = new Keyring();
    ring.replace(bytes(1));
    const other = addEpoch(ring, 2);
    ring.adopt(other, 2, 0);
    expect(ring.current?.bytes).toEqual(bytes(1));
    ring.use(other);
    expect(ring.current?.bytes).toEqual(stepped(bytes(2), 2));
  });

  it("leaves those before it a grace, and then wipes them", () => {
    const ring = new Keyring();
    ring.replace(bytes(1));
    const old = ring.current as TopicKey;
    expect(ring.nextExpiry(GRACE)).toBeUndefined();
    ring.adopt(ring.sending as Epoch, 1, 50);
    expect(ring.nextExpiry(GRACE)).toBe(50 + GRACE);
    ring.expire(50 + GRACE - 1, GRACE);
    expect(found(ring, bytes(1)).length).toBe(1);
    ring.expire(50 + GRACE, GRACE);
    expect(found(ring, bytes(1))).toEqual([]);
    expect([old.bytes, TopicKey.messageKeyOf(old)]).toEqual([bytes(0), bytes(0)]);
    expect(ring.current?.bytes).toEqual(stepped(bytes(1), 1));
    expect(ring.nextExpiry(GRACE)).toBeUndefined();
  });

  it("may have the key id of another: both are given when all were looked up", () => {
    // Generations 1,605 and 4,707 after this key, as generations.test.ts found.
    const start = bytes(0);
    start.set([374 >> 8, 374 & 0xff], 30);
    const [first, second] = [stepped(start, 1605), stepped(start, 4707)];
    expect(idOf(first)).toBe(idOf(second));
    const ring = new Keyring();
    ring.replace(first);
    expect(found(ring, second).map((one) => one[1])).toEqual([0]);
    expect(ring.complete()).toBe(true);
    expect(found(ring, second).map((one) => one[1])).toEqual([0, 3102]);
    expect(ring.complete()).toBe(false);
  });
});

describe("epochs", () => {
  it("are found by the commitment of their first key, also of a later generation", () => {
    const ring = new Keyring();
    const first = ring.addFirst(bytes(1));
    expect(first).toMatchObject({ id: commitmentOf(bytes(1)), number: 0, issuer: undefined, parent: undefined });
    expect(ring.epoch(first.id)).toBe(first);
    expect(ring.epoch("another")).toBeUndefined();
    // Added is not in use.
    expect([ring.sending, ring.current, ring.isEmpty]).toEqual([undefined, undefined, false]);
    ring.use(first);
    expect([ring.sending, ring.current?.bytes]).toEqual([first, bytes(1)]);
    ring.use(undefined);
    expect([ring.sending, ring.current, ring.currentFound]).toEqual([undefined, undefined, undefined]);
    expect(found(ring, bytes(1)).length).toBe(1);
  });

  it("are all read, each with its own generations", () => {
    const ring = new Keyring();
    ring.use(ring.addFirst(bytes(1)));
    const second = addEpoch(ring, 2);
    expect(found(ring, bytes(1))).toEqual([[commitmentOf(bytes(1)), 0, toHex(bytes(1))]]);
    expect(found(ring, stepped(bytes(2), 9))).toEqual([[second.id, 9, toHex(stepped(bytes(2), 9))]]);
  });

  it("may have no keys: of a rekey that could not be opened", () => {
    const ring = new Keyring();
    const unopened = { id: "x", number: 1, head: undefined, issuer: "issuer", parent: "parent", keys: undefined };
    const epoch = ring.add({ ...unopened, isProven: false }, 0);
    expect([ring.isEmpty, ring.find(0), ring.nextExpiry(GRACE)]).toEqual([true, [], undefined]);
    ring.use(epoch);
    expect([ring.current, ring.currentFound, ring.sending]).toEqual([undefined, undefined, epoch]);
    ring.adopt(epoch, 1, 0);
    ring.expire(0, 0);
    expect([ring.complete(), ring.saved(0)[0]?.keys]).toEqual([false, undefined]);
  });

  it("that are not in use have a grace, and are remembered without their keys after it", () => {
    const ring = new Keyring();
    ring.use(ring.addFirst(bytes(1)));
    const left = addEpoch(ring, 2, { now: 100 });
    const { keys } = left;
    expect(left.leftAt).toBe(100);
    expect(ring.nextExpiry(GRACE)).toBe(100 + GRACE);
    ring.expire(100 + GRACE - 1, GRACE);
    expect(found(ring, bytes(2)).length).toBe(1);
    ring.expire(100 + GRACE, GRACE);
    expect([left.keys, found(ring, bytes(2)), ring.nextExpiry(GRACE)]).toEqual([undefined, [], undefined]);
    expect(() => keys?.sendingKey).toThrow(Error);
    expect(ring.epoch(left.id)).toBe(left);
    expect(found(ring, bytes(1)).length).toBe(1);
  });

  it("expire one by one: the next is the soonest of epochs and generations", () => {
    const ring = new Keyring();
    ring.use(ring.addFirst(bytes(1)));
    addEpoch(ring, 2, { now: 300 });
    expect(ring.nextExpiry(GRACE)).toBe(300 + GRACE);
    ring.adopt(ring.sending as Epoch, 1, 200);
    expect(ring.nextExpiry(GRACE)).toBe(200 + GRACE);
    addEpoch(ring, 3, { now: 100 });
    expect(ring.nextExpiry(GRACE)).toBe(100 + GRACE);
  });
});

describe("rekeys of one issuer", () => {
  it("have room for four under one parent, counted for each issuer and parent", () => {
    const ring = new Keyring();
    for (let i = 1; i <= 4; i++) {
      expect(ring.hasRoom("issuer", "parent")).toBe(true);
      addEpoch(ring, i);
    }
    expect(ring.hasRoom("issuer", "parent")).toBe(false);
    expect([ring.hasRoom("issuer", "another"), ring.hasRoom("another", "parent")]).toEqual([true, true]);
    // One that is added once more takes the place of itself.
    addEpoch(ring, 4);
    expect([...ring.epochs].length).toBe(4);
  });

  it("are forgotten from the lowest when there are more than sixteen, and wiped", () => {
    const ring = new Keyring();
    ring.use(ring.addFirst(bytes(200)));
    const others = addEpoch(ring, 201, { number: 0, issuer: "another" });
    const epochs = Array.from({ length: 16 }, (_, i) => addEpoch(ring, i + 1, { number: 20 - i, parent: `${i}` }));
    const lowest = epochs[15] as Epoch;
    expect(ring.epoch(lowest.id)).toBe(lowest);
    const { keys } = lowest;
    const added = addEpoch(ring, 17, { number: 1, parent: "x" });
    // The one that was just added stays, however low it is.
    expect([ring.epoch(added.id), ring.epoch(lowest.id)]).toEqual([added, undefined]);
    expect(() => keys?.sendingKey).toThrow(Error);
    expect(found(ring, bytes(16))).toEqual([]);
    expect(ring.epoch(others.id)).toBe(others);
    expect([...ring.epochs].filter(({ issuer }) => issuer === "issuer").length).toBe(16);
    addEpoch(ring, 18, { number: 30, parent: "y" });
    expect(ring.epoch(added.id)).toBeUndefined();
  });

  it("are never forgotten while they are in use", () => {
    const ring = new Keyring();
    const used = addEpoch(ring, 100, { number: 0, parent: "first" });
    ring.use(used);
    for (let i = 1; i <= 40; i++) addEpoch(ring, i, { number: i, parent: `${i}` });
    expect([ring.epoch(used.id), ring.current?.bytes]).toEqual([used, bytes(100)]);
    expect([...ring.epochs].length).toBe(16);
  });
});

describe("what is wiped and saved", () => {
  it("wipe ends all of it", () => {
    const ring = new Keyring();
    ring.use(ring.addFirst(bytes(1)));
    const old = ring.current as TopicKey;
    const { keys } = addEpoch(ring, 2);
    ring.wipe();
    expect([ring.isEmpty, ring.sending, ring.current, [...ring.epochs]]).toEqual([true, undefined, undefined, []]);
    expect([old.bytes, TopicKey.messageKeyOf(old)]).toEqual([bytes(0), bytes(0)]);
    expect(() => keys?.sendingKey).toThrow(Error);
    expect(ring.find(idOf(bytes(1)))).toEqual([]);
    ring.wipe();
  });

  it("goes on where it was saved, in another running time", () => {
    const ring = new Keyring();
    ring.use(ring.addFirst(bytes(1)));
    ring.adopt(ring.sending as Epoch, 2, 5000);
    const left = addEpoch(ring, 2, { number: 7, now: 5100 });
    left.isRetired = true;
    const saved = ring.saved(5500);
    const sending = ring.sending?.id;
    const again = new Keyring();
    again.restore(saved, sending, 10);
    // What was saved is a copy.
    ring.wipe();
    expect(again.sending?.id).toBe(commitmentOf(bytes(1)));
    expect(again.current?.bytes).toEqual(stepped(bytes(1), 2));
    expect(again.currentFound?.generation).toBe(2);
    expect(found(again, bytes(1)).map((one) => one[1])).toEqual([0]);
    const restored = again.epoch(left.id);
    expect(restored).toMatchObject({ number: 7, issuer: "issuer", parent: "parent", isRetired: true });
    expect(found(again, bytes(2)).length).toBe(1);
    // The graces go on: 500 and 400 of them were over.
    expect(again.nextExpiry(GRACE)).toBe(10 + GRACE - 500);
    again.expire(10 + GRACE - 500, GRACE);
    expect([found(again, bytes(1)).length, found(again, bytes(2)).length]).toEqual([0, 1]);
    again.expire(10 + GRACE - 400, GRACE);
    expect(found(again, bytes(2))).toEqual([]);
    expect(again.epoch(left.id)?.keys).toBeUndefined();
    expect(again.epoch(commitmentOf(bytes(1)))?.leftAt).toBeUndefined();
  });

  it("is restored without a key to send under where there was none, and epochs without keys stay so", () => {
    const ring = new Keyring();
    const epoch = addEpoch(ring, 1, { now: 0 });
    ring.expire(GRACE, GRACE);
    expect(epoch.keys).toBeUndefined();
    const again = new Keyring();
    again.restore(ring.saved(GRACE), undefined, 0);
    expect([again.sending, again.current, again.isEmpty]).toEqual([undefined, undefined, true]);
    expect(again.epoch(epoch.id)).toMatchObject({ keys: undefined, number: 1 });
  });
});
