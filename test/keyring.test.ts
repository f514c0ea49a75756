import { beforeAll, expect, it } from "vitest";
import { loadCrypto } from "../src/crypto.js";
import { Keyring, TopicKey } from "../src/keyring.js";
import { bytes } from "./support/topics.js";

beforeAll(() => loadCrypto());

it("finds a key by its id, and nothing by another", () => {
  const ring = new Keyring();
  expect(ring.candidates(0)).toEqual([]);
  ring.replace(bytes(1));
  const { id, idNumber } = new TopicKey(bytes(1));
  expect(idNumber).toBe(Buffer.from(id).readUInt32BE());
  expect(ring.candidates(idNumber).length).toBe(1);
  expect(ring.candidates(0)).toEqual([]);
  expect(ring.current?.bytes).toEqual(bytes(1));
});

it("wipes the key that another one replaces", () => {
  const ring = new Keyring();
  ring.replace(bytes(1));
  const old = ring.current as TopicKey;
  ring.replace(bytes(2));
  expect(old.bytes).toEqual(bytes(0));
  expect(TopicKey.messageKeyOf(old)).toEqual(bytes(0));
  ring.replace(undefined);
  expect(ring.current).toBeUndefined();
});

it("keeps what is derived apart: id, message key and commitment have nothing in common", () => {
  const key = new TopicKey(bytes(1));
  const derived = [key.commitment, TopicKey.messageKeyOf(key)].map((one) => Buffer.from(one).toString("hex"));
  expect(new Set(derived).size).toBe(2);
  for (const one of derived) expect(one.startsWith(Buffer.from(key.id).toString("hex"))).toBe(false);
});
