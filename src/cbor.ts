/**
 * Deterministic CBOR (RFC 8949 §4.2.1), of the few kinds that the protocol uses: unsigned integers
 * up to 2^53 − 1, byte strings, text strings and arrays. The only importer of cbor-x.
 *
 * cbor-x alone accepts non-minimal, indefinite and duplicate items, makes Set, RegExp and Date
 * objects of hostile bytes and overflows the stack on deep nesting; so a strict walker goes over
 * the bytes before it does. Its build without `eval` is used: that also never loads the native
 * accelerator, and runs under a strict content security policy.
 *
 * Encoding is done here: cbor-x writes integers above 32 bits as floats, keeps what it wrote in a
 * pool of its own (it may be a payload), and takes four times as long, three times a message.
 */
import { Decoder } from "cbor-x/index-no-eval";
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
const MAX_HEAD_BYTES = 9;
const MAX_UNIT_BYTES = 3;

/** No less than the bytes that an item will take. */
function boundOf(item: CborItem): number {
  if (typeof item === "number") return MAX_HEAD_BYTES;
  if (typeof item === "string") return MAX_HEAD_BYTES + MAX_UNIT_BYTES * item.length;
  if (item instanceof Uint8Array) return MAX_HEAD_BYTES + item.length;
  let bound = MAX_HEAD_BYTES;
  for (const one of item) bound += boundOf(one);
  return bound;
}

/** Writes a head (RFC 8949 §3) in its shortest form, and gives the position after it. */
function writeHead(out: Uint8Array, at: number, major: number, argument: number): number {
  if (argument < 24) {
    out[at] = (major << 5) | argument;
    return at + 1;
  }
  const exponent = argument < 0x100 ? 0 : argument < 0x1_0000 ? 1 : argument < 0x1_0000_0000 ? 2 : 3;
  const end = at + 1 + (1 << exponent);
  out[at] = (major << 5) | (24 + exponent);
  let rest = argument;
  for (let i = end - 1; i > at; i--) {
    out[i] = rest;
    rest = Math.floor(rest / 0x100);
  }
  return end;
}

/** Names are ASCII most of the time, and then need no encoder. */
function writeText(out: Uint8Array, at: number, text: string): number {
  const start = writeHead(out, at, TEXT, text.length);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x80) return writeString(out, at, TEXT, toUtf8.encode(text));
    out[start + i] = unit;
  }
  return start + text.length;
}

function writeString(out: Uint8Array, at: number, major: number, bytes: Uint8Array): number {
  const start = writeHead(out, at, major, bytes.length);
  out.set(bytes, start);
  return start + bytes.length;
}

function write(out: Uint8Array, at: number, item: CborItem): number {
  if (typeof item === "number") {
    if (!Number.isSafeInteger(item) || item < 0) {
      throw new RangeError(`a CBOR integer must be between 0 and 2^53 − 1, got ${item}`);
    }
    return writeHead(out, at, UNSIGNED, item);
  }
  if (typeof item === "string") return writeText(out, at, item);
  if (item instanceof Uint8Array) return writeString(out, at, BYTES, item);
  let end = writeHead(out, at, ARRAY, item.length);
  for (const one of item) end = write(out, end, one);
  return end;
}

/** Encodes one item deterministically, into an array of its own. */
export function encode(item: CborItem): Uint8Array {
  const view = encodeView(item);
  const bytes = view.slice();
  view.fill(0);
  return bytes;
}

/** The same as a view on a larger array: for what is copied at once, as all that is hashed. */
export function encodeView(item: CborItem): Uint8Array {
  const out = new Uint8Array(boundOf(item));
  return out.subarray(0, write(out, 0, item));
}

/**
 * The encoding of the array `[...items, tail]`, all but the bytes of `tail` itself, which may be
 * large: whoever concatenates the two copies them once.
 */
export function encodeFront(items: readonly CborItem[], tailLength: number): Uint8Array {
  const out = new Uint8Array(boundOf(items) + MAX_HEAD_BYTES);
  let end = writeHead(out, 0, ARRAY, items.length + 1);
  for (const one of items) end = write(out, end, one);
  return out.subarray(0, writeHead(out, end, BYTES, tailLength));
}

/** Goes over the bytes once and throws unless they are one strictly encoded item within the bounds. */
class Walker {
  readonly #bytes: Uint8Array;
  readonly #bounds: CborBounds;
  #position: number;
  #items = 0;

  constructor(bytes: Uint8Array, bounds: CborBounds) {
    this.#bytes = bytes;
    this.#bounds = bounds;
    this.#position = 0;
  }

  static fail(what: string): never {
    throw new MalformedMessageError(`expected deterministic CBOR, got ${what}`);
  }

  walk(): void {
    this.#item(1);
    if (this.#position !== this.#bytes.length) Walker.fail("bytes after its end");
  }

  #take(count: number): number {
    const start = this.#position;
    if (count > this.#bytes.length - start) Walker.fail("bytes that end too early");
    this.#position = start + count;
    return start;
  }

  /** Reads the argument of a head and insists on its shortest form. */
  #argument(additional: number): number {
    if (additional < 24) return additional;
    if (additional > 27) Walker.fail("an indefinite or reserved length");
    const size = 1 << (additional - 24);
    const start = this.#take(size);
    let value = 0;
    for (let i = 0; i < size; i++) value = value * 256 + (this.#bytes[start + i] as number);
    const least = size === 1 ? 24 : 2 ** (size * 4);
    if (value < least) Walker.fail("a number that is not in its shortest form");
    if (value > Number.MAX_SAFE_INTEGER) Walker.fail("a number above 2^53 − 1");
    return value;
  }

  #item(depth: number): void {
    if (++this.#items > this.#bounds.maxItems) Walker.fail(`more than ${this.#bounds.maxItems} items`);
    const head = this.#bytes[this.#take(1)] as number;
    const major = head >>> 5;
    const argument = this.#argument(head & 0x1f);
    if (major === UNSIGNED) return;
    if (major === BYTES) {
      this.#take(argument);
    } else if (major === TEXT) {
      if (argument > this.#bounds.maxTextBytes) Walker.fail(`text above ${this.#bounds.maxTextBytes} bytes`);
      const start = this.#take(argument);
      try {
        utf8.decode(this.#bytes.subarray(start, start + argument));
      } catch {
        Walker.fail("text that is not UTF-8");
      }
    } else if (major === ARRAY) {
      if (depth > this.#bounds.maxDepth) Walker.fail(`arrays deeper than ${this.#bounds.maxDepth}`);
      for (let i = 0; i < argument; i++) this.#item(depth + 1);
    } else {
      Walker.fail("something other than an integer, bytes, text or array");
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
  return fromCborX(decoder.decode(bytes));
}

/** cbor-x gives a bigint for what took 64 bits; the walker saw that each is at most 2^53 − 1. */
function fromCborX(item: CborItem | bigint): CborItem {
  if (typeof item === "bigint") return Number(item);
  return Array.isArray(item) ? item.map(fromCborX) : item;
}
