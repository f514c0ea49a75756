/**
 * Deterministic CBOR (RFC 8949 §4.2.1), of the few kinds that the protocol uses: unsigned integers
 * up to 2^53 − 1, byte strings, text strings and arrays. The only importer of cbor-x.
 *
 * cbor-x alone accepts non-minimal, indefinite and duplicate items, makes Set, RegExp and Date
 * objects of hostile bytes and overflows the stack on deep nesting; so a strict walker goes over
 * the bytes before it does. Its decoder without `eval` is used: that also never loads the native
 * accelerator, and runs under a strict content security policy.
 *
 * Encoding is done here: cbor-x writes integers above 32 bits as floats, keeps what it wrote in a
 * pool of its own (it may be a payload), and takes four times as long, three times a message.
 */
import { Decoder } from "cbor-x/decode-no-eval";
import { Front } from "./bytes.js";
import { MalformedMessageError } from "./errors.js";

/** What the protocol can encode. */
export type CborItem = number | string | Uint8Array | readonly CborItem[];

/** Bounds of one decoding. */
export interface CborBounds {
  /** Arrays inside arrays; the outermost counts as one. */
  readonly maxDepth: number;
  /** Items in all, arrays included. */
  readonly maxItems: number;
  /** Bytes of UTF-8 of one text: checking them takes longer than decrypting as many. */
  readonly maxTextBytes: number;
}

const UNSIGNED = 0;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;

const decoder = new Decoder({ useRecords: false });
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const toUtf8 = new TextEncoder();

/** The most bytes that a head takes, and that a UTF-16 unit of text does. */
export const MAX_HEAD_BYTES = 9;
const MAX_UNIT_BYTES = 3;

/** Bytes of a head (RFC 8949 §3) in its shortest form, the only one. */
export function headLength(argument: number): number {
  if (argument < 24) return 1;
  return argument < 0x100 ? 2 : argument < 0x1_0000 ? 3 : argument < 0x1_0000_0000 ? 5 : 9;
}

/** Writes a number big endian, so that it ends before `end`. */
export function writeBigEndian(out: Uint8Array, start: number, end: number, value: number): void {
  let rest = value;
  for (let i = end - 1; i >= start; i--) {
    out[i] = rest;
    rest = Math.floor(rest / 0x100);
  }
}

/** The number that these bytes are, big endian: at most seven, or eight below 2^53. */
export function readBigEndian(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let i = start; i < end; i++) value = value * 0x100 + (bytes[i] as number);
  return value;
}

/**
 * Writes deterministic CBOR piece by piece. It can be used again and again: what is written often
 * needs no array of its own, and what was encoded once is copied.
 */
export class Writer {
  #bytes: Uint8Array;
  #front: Front;
  #length = 0;

  /** `capacity` is where it begins; it grows as it must. */
  constructor(capacity = 512) {
    this.#bytes = new Uint8Array(capacity);
    this.#front = new Front(this.#bytes);
  }

  /** Begins anew. */
  clear(): this {
    this.#length = 0;
    return this;
  }

  /** What was written since, as a view: to be used before anything else is written. */
  get view(): Uint8Array {
    return this.#front.of(this.#length);
  }

  array(length: number): this {
    return this.#head(ARRAY, length);
  }

  unsigned(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`a CBOR integer must be between 0 and 2^53 − 1, got ${value}`);
    }
    return this.#head(UNSIGNED, value);
  }

  bytes(bytes: Uint8Array): this {
    return this.bytesHead(bytes.length).encoded(bytes);
  }

  /** All of a byte string but the bytes themselves. */
  bytesHead(length: number): this {
    return this.#head(BYTES, length);
  }

  /** Names are ASCII most of the time, and then need no encoder. */
  text(text: string): this {
    const { length } = text;
    this.#reserve(MAX_HEAD_BYTES + MAX_UNIT_BYTES * length);
    const before = this.#length;
    this.#head(TEXT, length);
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit >= 0x80) {
        this.#length = before;
        const encoded = toUtf8.encode(text);
        return this.#head(TEXT, encoded.length).encoded(encoded);
      }
      this.#bytes[this.#length + i] = unit;
    }
    this.#length += length;
    return this;
  }

  /** What is CBOR already. */
  encoded(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  item(item: CborItem): this {
    if (typeof item === "number") return this.unsigned(item);
    if (typeof item === "string") return this.text(item);
    if (item instanceof Uint8Array) return this.bytes(item);
    this.array(item.length);
    for (const one of item) this.item(one);
    return this;
  }

  #head(major: number, argument: number): this {
    this.#reserve(MAX_HEAD_BYTES);
    this.#length = writeHead(this.#bytes, this.#length, major, argument);
    return this;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.view);
    this.#bytes.fill(0);
    this.#bytes = larger;
    this.#front = new Front(larger);
  }
}

function writeHead(out: Uint8Array, at: number, major: number, argument: number): number {
  if (argument < 24) {
    out[at] = (major << 5) | argument;
    return at + 1;
  }
  const end = at + headLength(argument);
  out[at] = (major << 5) | (24 + Math.log2(end - at - 1));
  writeBigEndian(out, at + 1, end, argument);
  return end;
}

/** Writes the head of an unsigned integer, which is all of it, and gives the position after it. */
export function writeUnsigned(out: Uint8Array, at: number, value: number): number {
  return writeHead(out, at, UNSIGNED, value);
}

/** Writes the head of a byte string, and gives the position after it. */
export function writeBytesHead(out: Uint8Array, at: number, length: number): number {
  return writeHead(out, at, BYTES, length);
}

/** Encodes one item deterministically, into an array of its own. */
export function encode(item: CborItem): Uint8Array {
  const { view } = new Writer().item(item);
  const bytes = view.slice();
  view.fill(0);
  return bytes;
}

function fail(what: string): never {
  throw new MalformedMessageError(`expected deterministic CBOR, got ${what}`);
}

function textOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return fail("text that is not UTF-8");
  }
}

/** Reads strictly encoded items of a known shape, one after the other. */
export class Reader {
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The kind of the next item. */
  get major(): number {
    if (this.#position >= this.#bytes.length) fail("bytes that end too early");
    return (this.#bytes[this.#position] as number) >>> 5;
  }

  /** Whether the next item is an integer. */
  get isUnsigned(): boolean {
    return this.major === UNSIGNED;
  }

  /** The argument of the next head, whatever its kind; it must have its shortest form. */
  argument(): number {
    const head = this.#take(1);
    const additional = (this.#bytes[head] as number) & 0x1f;
    if (additional < 24) return additional;
    if (additional > 27) fail("an indefinite or reserved length");
    const size = 1 << (additional - 24);
    const start = this.#take(size);
    const value = readBigEndian(this.#bytes, start, start + size);
    if (value > Number.MAX_SAFE_INTEGER) fail("a number above 2^53 − 1");
    if (headLength(value) !== 1 + size) fail("a number that is not in its shortest form");
    return value;
  }

  /** The number of items of the array that begins here. */
  array(): number {
    return this.#expect(ARRAY, "an array");
  }

  unsigned(): number {
    return this.#expect(UNSIGNED, "an integer");
  }

  /** A byte string, as a view. */
  bytes(): Uint8Array {
    return this.skip(this.#expect(BYTES, "bytes"));
  }

  /** A text of at most so many bytes of UTF-8. */
  text(maxBytes: number): string {
    const length = this.#expect(TEXT, "text");
    if (length > maxBytes) fail(`text above ${maxBytes} bytes`);
    return textOf(this.skip(length));
  }

  /** A byte string of `length` bytes as a number, big endian; `undefined` where it has another length. */
  number(length: number): number | undefined {
    const found = this.#expect(BYTES, "bytes");
    const start = this.#take(found);
    return found === length ? readBigEndian(this.#bytes, start, start + length) : undefined;
  }

  /** The next bytes, whatever they are, as a view. */
  skip(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** Throws unless everything was read. */
  end(): void {
    if (this.#position !== this.#bytes.length) fail("bytes after its end");
  }

  #expect(major: number, kind: string): number {
    if (this.major !== major) fail(`something other than ${kind}`);
    return this.argument();
  }

  #take(count: number): number {
    const start = this.#position;
    if (count > this.#bytes.length - start) fail("bytes that end too early");
    this.#position = start + count;
    return start;
  }
}

/** Goes over the bytes once and throws unless they are one strictly encoded item within the bounds. */
class Walker {
  readonly #reader: Reader;
  readonly #bounds: CborBounds;
  #items = 0;

  constructor(bytes: Uint8Array, bounds: CborBounds) {
    this.#reader = new Reader(bytes);
    this.#bounds = bounds;
  }

  walk(): void {
    this.#item(1);
    this.#reader.end();
  }

  #item(depth: number): void {
    if (++this.#items > this.#bounds.maxItems) fail(`more than ${this.#bounds.maxItems} items`);
    const { major } = this.#reader;
    const argument = this.#reader.argument();
    if (major === UNSIGNED) return;
    if (major === BYTES) {
      this.#reader.skip(argument);
    } else if (major === TEXT) {
      if (argument > this.#bounds.maxTextBytes) fail(`text above ${this.#bounds.maxTextBytes} bytes`);
      textOf(this.#reader.skip(argument));
    } else if (major === ARRAY) {
      if (depth > this.#bounds.maxDepth) fail(`arrays deeper than ${this.#bounds.maxDepth}`);
      for (let i = 0; i < argument; i++) this.#item(depth + 1);
    } else {
      fail("something other than an integer, bytes, text or array");
    }
  }
}

/**
 * Decodes one item that must fill `bytes` exactly. Byte strings in the result are views on
 * `bytes`: copy what is kept.
 *
 * @throws MalformedMessageError for anything but deterministic CBOR within the bounds.
 */
export function decode(bytes: Uint8Array, bounds: CborBounds): CborItem {
  new Walker(bytes, bounds).walk();
  return fromCborX(decoder.decode(bytes) as CborItem);
}

/** cbor-x gives a bigint for what took 64 bits; the walker saw that each is at most 2^53 − 1. */
function fromCborX(item: CborItem | bigint): CborItem {
  if (typeof item === "bigint") return Number(item);
  return Array.isArray(item) ? item.map(fromCborX) : item;
}
