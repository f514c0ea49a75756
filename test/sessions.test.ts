import { beforeAll, describe, expect, it, vi } from "vitest";
import { toTableKey } from "../src/bytes.js";
import { loadCrypto } from "../src/crypto.js";
import { Identity } from "../src/identity.js";
import { SendingSessions } from "../src/sessions.js";
import { bytes } from "./support/topics.js";

beforeAll(() => loadCrypto());

const make = (maxSequence?: number) => new SendingSessions(new Identity(bytes(1)), maxSequence);
const hex = (bytes_: Uint8Array): string => Buffer.from(bytes_).toString("hex");

describe("positions", () => {
  it("are never given twice, over contexts, renewals and singles", () => {
    const sessions = make();
    const seen = new Set<string>();
    for (let i = 0; i < 3000; i++) {
      if (i % 500 === 499) sessions.renew();
      const { session, sequence } = i % 7 === 0 ? sessions.single("a", i) : sessions.next(`${i % 5}`, i);
      seen.add(`${hex(session)} ${sequence}`);
    }
    expect(seen.size).toBe(3000);
  });

  it("begin anew in a context that 4,096 others pushed out", () => {
    const sessions = make();
    const first = sessions.next("first", 1).session;
    for (let i = 0; i < 4096; i++) sessions.next(`${i}`, 2);
    const again = sessions.next("first", 3);
    expect(hex(again.session)).not.toBe(hex(first));
    expect(again.sequence).toBe(0);
  });

  it("are drawn anew for a batch that would count beyond the last sequence", () => {
    const sessions = new SendingSessions(new Identity(bytes(1)), 10);
    const first = sessions.next("a", 1, 8);
    const fits = sessions.next("a", 2, 3);
    expect([first.sequence, fits.sequence, hex(fits.session)]).toEqual([0, 8, hex(first.session)]);
    const other = new SendingSessions(new Identity(bytes(1)), 10);
    const before = other.next("a", 1, 8);
    const over = other.next("a", 2, 4);
    expect(over.sequence).toBe(0);
    expect(hex(over.session)).not.toBe(hex(before.session));
  });

  it("are known as our own, also after their sessions were forgotten", () => {
    const sessions = make();
    const first = sessions.single("a", 10).session;
    expect(sessions.isOwn(toTableKey(first), 10)).toBe(true);
    expect(sessions.isOwn(toTableKey(bytes(1, 12)), 10)).toBe(false);
    for (let i = 0; i < 8192; i++) sessions.single("a", 11);
    expect(sessions.isOwn(toTableKey(first), 10)).toBe(true);
    expect(sessions.isOwn(toTableKey(bytes(1, 12)), 11)).toBe(false);
  });

  it("are never sent under a session that was forgotten as our own", () => {
    const sessions = make();
    const used = sessions.next("a", 1).session;
    for (let i = 0; i < 8192; i++) sessions.single("b", i + 2);
    const next = sessions.next("a", 9000);
    expect(hex(next.session)).not.toBe(hex(used));
    expect(sessions.isOwn(toTableKey(next.session), 9000)).toBe(true);
    expect(sessions.isOwn(toTableKey(used), 1)).toBe(true);
  });

  it("of one program differ also where the generator always gives the same", () => {
    const constant = vi.spyOn(globalThis.crypto, "getRandomValues").mockImplementation((array) => array);
    const sessions = make();
    const drawn = [1, 2, 3].map((sentAt) => hex(sessions.single("a", sentAt).session));
    constant.mockRestore();
    expect(new Set(drawn).size).toBe(3);
  });

  it("go on in a new session after the last sequence", () => {
    const sessions = make(3);
    const drawn = Array.from({ length: 9 }, () => sessions.next("a", 1));
    expect(drawn.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3, 0, 1, 2, 3, 0]);
    expect(new Set(drawn.map(({ session }) => hex(session))).size).toBe(3);
  });
});
