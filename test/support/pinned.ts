import { expect, vi } from "vitest";

/** What a call gives that draws just this randomness, in this order; fails where it draws more, less or other lengths. */
export function withRandom<T>(drawn: readonly Uint8Array[], call: () => T): T {
  const left = [...drawn];
  const spy = vi.spyOn(globalThis.crypto, "getRandomValues").mockImplementation((out) => {
    const next = left.shift();
    if (!(out instanceof Uint8Array) || next?.length !== out.length) {
      throw new Error(`${out?.byteLength} random bytes were drawn where ${next?.length ?? "none"} are said`);
    }
    out.set(next);
    return out;
  });
  try {
    const result = call();
    expect(left, "randomness that was not drawn").toEqual([]);
    return result;
  } finally {
    spy.mockRestore();
  }
}
