import { Decoder, Encoder } from "cbor-x/index-no-eval";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CborItem, decode, encode, Writer } from "../src/cbor.js";
import { MalformedMessageError } from "../src/index.js";
import { thrownBy } from "./support/expect.js";

const BOUNDS = { maxDepth: 4, maxItems: 1000, maxTextBytes: 64 };
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

const item: fc.Arbitrary<CborItem> = fc.letrec((tie) => ({
  leaf: fc.oneof(
    fc.maxSafeNat(),
    fc.nat(300),
    fc.string({ unit: "binary", maxLength: 64 }).filter((text) => Buffer.byteLength(text) <= 64),
    fc.uint8Array({ maxLength: 300 }),
  ),
  array: fc.array(tie("item"), { maxLength: 30, depthIdentifier: "cbor" }),
  item: fc.oneof({ maxDepth: 2, depthIdentifier: "cbor" }, tie("leaf"), tie("array")),
})).item as fc.Arbitrary<CborItem>;

describe("encode", () => {
  it.each<[CborItem, string]>([
    // RFC 8949, appendix A.
    [0, "00"],
    [10, "0a"],
    [23, "17"],
    [24, "1818"],
    [100, "1864"],
    [1000, "1903e8"],
    [1_000_000, "1a000f4240"],
    [1_000_000_000_000, "1b000000e8d4a51000"],
    [new Uint8Array(0), "40"],
    [unhex("01020304"), "4401020304"],
    ["", "60"],
    ["IETF", "6449455446"],
    ["ü", "62c3bc"],
    ["水", "63e6b0b4"],
    ["𐅑", "64f0908591"],
    [[], "80"],
    [[1, [2, 3], [4, 5]], "8301820203820405"],
    // The edges of each length of a head.
    [255, "18ff"],
    [256, "190100"],
    [65_535, "19ffff"],
    [65_536, "1a00010000"],
    [2 ** 32 - 1, "1affffffff"],
    [2 ** 32, "1b0000000100000000"],
    [2 ** 53 - 1, "1b001fffffffffffff"],
  ])("%j", (value, expected) => {
    expect(hex(encode(value))).toBe(expected);
    expect(decode(unhex(expected), BOUNDS)).toEqual(value);
  });

  it.each([-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])("refuses the number %s", (value) => {
    expect(thrownBy(() => encode(value))).toBeInstanceOf(RangeError);
  });

  it("agrees with cbor-x, and reads back what it wrote", () => {
    const encoder = new Encoder({ useRecords: false, tagUint8Array: false });
    const toBig = (one: CborItem): unknown =>
      typeof one === "number" && one > 0xffff_ffff ? BigInt(one) : Array.isArray(one) ? one.map(toBig) : one;
    fc.assert(
      fc.property(item, (value) => {
        const bytes = encode(value);
        expect(hex(bytes)).toBe(hex(encoder.encode(toBig(value))));
        expect(decode(bytes, BOUNDS)).toEqual(value);
      }),
      { numRuns: 500 },
    );
  });

  it("gives an array of its own, as long as it must be", () => {
    expect(encode(["x"]).buffer.byteLength).toBe(3);
  });

  it("writes piece by piece what it writes at once, all but the last bytes too, and begins anew when it is cleared", () => {
    const writer = new Writer(1);
    fc.assert(
      fc.property(fc.array(item, { maxLength: 22 }), fc.uint8Array({ maxLength: 300 }), (items, tail) => {
        writer.clear().array(items.length + 1);
        for (const one of items) writer.encoded(encode(one));
        expect(hex(writer.bytesHead(tail.length).view) + hex(tail)).toBe(hex(encode([...items, tail])));
      }),
    );
  });

  it.each([23, 24, 255, 256, 65_535, 65_536, 1 << 24])("writes the head of a tail of %d bytes", (length) => {
    expect(
      Buffer.compare(
        Buffer.concat([new Writer().array(2).unsigned(1).bytesHead(length).view, new Uint8Array(length)]),
        encode([1, new Uint8Array(length)]),
      ),
    ).toBe(0);
  });
});

describe("decode", () => {
  it("accepts a byte string only in the one form that encode writes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        let value: CborItem;
        try {
          value = decode(bytes, BOUNDS);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedMessageError);
          return;
        }
        expect(hex(encode(value))).toBe(hex(bytes));
      }),
      { numRuns: 5000 },
    );
  });

  it("refuses more items and deeper arrays than it is told", () => {
    expect(thrownBy(() => decode(encode([1, 2, 3]), { ...BOUNDS, maxDepth: 1, maxItems: 3 }))).toBeInstanceOf(
      MalformedMessageError,
    );
    expect(decode(encode([1, 2]), { ...BOUNDS, maxDepth: 1, maxItems: 3 })).toEqual([1, 2]);
    expect(thrownBy(() => decode(encode([[1]]), { ...BOUNDS, maxDepth: 1, maxItems: 9 }))).toBeInstanceOf(
      MalformedMessageError,
    );
    expect(decode(encode([[1]]), { ...BOUNDS, maxDepth: 2, maxItems: 9 })).toEqual([[1]]);
  });

  it("refuses an array that claims four thousand million items without looking for them", () => {
    expect(thrownBy(() => decode(unhex("9affffffff00"), BOUNDS))).toBeInstanceOf(MalformedMessageError);
  });

  it.each([
    "a0",
    "c000",
    "f4",
    "f5",
    "f6",
    "f7",
    "f90000",
    "fb0000000000000000",
    "20",
    "3bffffffffffffffff",
    "5f40ff",
    "7f60ff",
    "9fff",
    "1c",
    "ff",
    "61ff",
    "62c328",
    "63eda080",
  ])("refuses %s, which cbor-x alone may take", (bytes) => {
    expect(thrownBy(() => decode(unhex(bytes), BOUNDS))).toBeInstanceOf(MalformedMessageError);
  });

  it("is needed: cbor-x alone takes what is not deterministic, and makes objects of hostile bytes", () => {
    const decoder = new Decoder({ useRecords: false });
    expect(decoder.decode(unhex("1800"))).toBe(0);
    expect(decoder.decode(unhex("9f01ff"))).toEqual([1]);
    expect(decoder.decode(unhex("d901028101"))).toBeInstanceOf(Set);
    expect(thrownBy(() => decoder.decode(new Uint8Array(100_000).fill(0x81)))).not.toBeInstanceOf(
      MalformedMessageError,
    );
  });
});
