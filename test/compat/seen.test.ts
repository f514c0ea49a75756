import { describe, expect, it } from "vitest";
import { nameOf, Remembered, SeenMessages } from "../../src/compat/seen.js";
import { bytes } from "../support/topics.js";

describe("what is remembered", () => {
  it("is as many as was said, and the newest of them", () => {
    const remembered = new Remembered(3);
    for (const member of ["a", "b", "c", "a", "d"]) remembered.add(member);
    expect(["a", "b", "c", "d"].map((member) => remembered.has(member))).toEqual([true, false, true, true]);
  });

  it("is of each sender apart", () => {
    const seen = new SeenMessages(2);
    seen.add("alice", "1");
    for (const message of ["1", "2", "3", "4"]) seen.add("mallory", message);
    expect(seen.has("alice", "1")).toBe(true);
    expect(seen.has("alice", "2")).toBe(false);
    expect(seen.has("mallory", "2")).toBe(false);
    expect(seen.has("mallory", "4")).toBe(true);
    expect(seen.has("nobody", "1")).toBe(false);
  });

  it("has one size, whatever it is of", () => {
    expect(nameOf(new Uint8Array(0)).length).toBe(16);
    expect(nameOf(bytes(1, 100_000)).length).toBe(16);
    expect(nameOf(bytes(1, 10))).not.toBe(nameOf(bytes(1, 11)));
  });
});
