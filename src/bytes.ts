/** Small helpers for byte arrays, and the checks of arguments that public calls share. */
import { KEY_BYTES } from "./limits.js";

const utf8 = new TextEncoder();
const ascii = new TextDecoder();
const HEX_DIGITS = utf8.encode("0123456789abcdef");
/** Digits of what has up to 64 bytes, as keys, hashes and signatures. */
const hexDigits = new Uint8Array(128);

/** Lower-case hex, decoded at once: a string that is put together piece by piece is slow as the key of a table. */
export function toHex(bytes: Uint8Array): string {
  const length = 2 * bytes.length;
  const digits = length <= hexDigits.length ? hexDigits.subarray(0, length) : new Uint8Array(length);
  let at = 0;
  for (const byte of bytes) {
    digits[at++] = HEX_DIGITS[byte >> 4] as number;
    digits[at++] = HEX_DIGITS[byte & 15] as number;
  }
  return ascii.decode(digits);
}

/** The bytes of lower-case hex. */
export function fromHex(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (digit(hex, 2 * i) << 4) | digit(hex, 2 * i + 1);
  return bytes;
}

/** The value of a lower-case hex digit. */
function digit(hex: string, at: number): number {
  const code = hex.charCodeAt(at);
  return code < 0x3a ? code - 0x30 : code - 0x57;
}

/**
 * A few bytes, or the first ones, as the key of a table: one character a byte, which is much faster than hex. `length` is a
 * multiple of four.
 */
export function toTableKey(bytes: Uint8Array, length = bytes.length): string {
  let key = "";
  for (let i = 0; i < length; i += 4) {
    key += String.fromCharCode(
      bytes[i] as number,
      bytes[i + 1] as number,
      bytes[i + 2] as number,
      bytes[i + 3] as number,
    );
  }
  return key;
}

/** The bytes that such a key was made of. */
export function fromTableKey(key: string): Uint8Array {
  return Uint8Array.from(key, (character) => character.charCodeAt(0));
}

/** Whether two public values are the same. Not for secrets: it stops at the first difference. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return false;
  }
  return true;
}

/** Whether two secrets are the same, in a time that does not tell where they differ. */
export function equalSecrets(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] ?? 0);
  return difference === 0;
}

/** Overwrites secrets. Best effort: the JavaScript engine and the WebAssembly heap may hold copies. */
export function wipe(...secrets: (Uint8Array | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0);
}

/** What came instead of what was expected, for a message; never the value itself. */
export function describe(value: unknown): string {
  if (value === null) return "null";
  if (typeof value !== "object") return typeof value;
  return Object.prototype.toString.call(value).slice("[object ".length, -1);
}

/** Views on the front of an array, the last one kept: messages often have one length, and a view costs more than it looks. */
export class Front {
  readonly #bytes: Uint8Array;
  #view: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = bytes;
  }

  of(length: number): Uint8Array {
    if (this.#view.length !== length) this.#view = this.#bytes.subarray(0, length);
    return this.#view;
  }
}

const typedArrays: object = Object.getPrototypeOf(Uint8Array.prototype);

/** Reads what something really is and has, whatever a subclass says of itself; throws for what is of another kind. */
function trueGetter(of: object, name: string | symbol): (value: unknown) => unknown {
  const found = Object.getOwnPropertyDescriptor(of, name) as { get: () => unknown } | undefined;
  // What this engine does not know yet, nothing has.
  return found === undefined ? () => undefined : (value) => found.get.call(value);
}
const trueName = trueGetter(typedArrays, Symbol.toStringTag);
const trueBuffer = trueGetter(typedArrays, "buffer") as (value: unknown) => ArrayBuffer;
const trueOffset = trueGetter(typedArrays, "byteOffset") as (value: unknown) => number;
const trueLength = trueGetter(typedArrays, "byteLength") as (value: unknown) => number;

/**
 * A plain view on the argument, a Uint8Array of any realm (Node's Buffer is one): nothing that its
 * owner attached to it, or that we do to it, passes from one to the other. A copy where the bytes
 * could move or change meanwhile, because the buffer is shared, resizable, or of another realm.
 */
export function expectBytes(name: string, value: unknown): Uint8Array {
  if (trueName(value) !== "Uint8Array") throw new TypeError(`"${name}" expected Uint8Array, got ${describe(value)}`);
  const buffer = trueBuffer(value);
  const view = new Uint8Array(buffer, trueOffset(value), trueLength(value));
  return isFixed(buffer) ? view : new Uint8Array(view);
}

const bufferLength = trueGetter(ArrayBuffer.prototype, "byteLength");
const bufferResizable = trueGetter(ArrayBuffer.prototype, "resizable");

/** Whether this is a buffer of this realm's own kind that neither moves nor is shared, whatever it says of itself. */
function isFixed(buffer: ArrayBuffer): boolean {
  if (!(buffer instanceof ArrayBuffer)) return false;
  try {
    bufferLength(buffer);
    return bufferResizable(buffer) !== true;
  } catch {
    return false;
  }
}

/** Refuses options that nobody reads: a misspelt one would leave a check off without a word. */
export function expectOptions(options: object, known: readonly string[], name = "options"): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`"${name}" expected an object, got ${describe(options)}`);
  }
  for (const one of Object.keys(options)) {
    if (!known.includes(one)) {
      throw new TypeError(`unknown option "${one}": expected ${known.map((each) => `"${each}"`).join(", ")}`);
    }
  }
}

/** A list of what a caller gives any iterable of. A string is one too, and never what is meant. */
export function expectList(name: string, value: unknown): unknown[] {
  if (typeof value !== "object" || value === null || !(Symbol.iterator in value) || ArrayBuffer.isView(value)) {
    throw new TypeError(`"${name}" expected a list of public keys, got ${describe(value)}`);
  }
  return [...(value as Iterable<unknown>)];
}

/** Copies of the public keys (32 bytes each) that a caller gives any iterable of. */
export function copyKeys(name: string, value: unknown): Uint8Array[] {
  return expectList(name, value).map((key) => copyBytes(name, key, KEY_BYTES));
}

/** The argument as a switch that is off unless it is `true`: a 1 or a "yes" must not turn a check off, or leave it off. */
export function expectSwitch(name: string, value: unknown): boolean {
  if (value !== undefined && typeof value !== "boolean") {
    throw new TypeError(`"${name}" expected boolean, got ${describe(value)}`);
  }
  return value === true;
}

/** A copy of the argument, of exactly this length. */
export function copyBytes(name: string, value: unknown, length: number): Uint8Array {
  const bytes = expectBytes(name, value);
  if (bytes.length !== length) {
    throw new RangeError(`"${name}" expected Uint8Array of length ${length}, got length=${bytes.length}`);
  }
  return new Uint8Array(bytes);
}

/** UTF-8 of text. A lone surrogate has none, and would be replaced in silence. */
export function toUtf8(name: string, text: string): Uint8Array {
  if (/\p{Surrogate}/u.test(text)) {
    throw new TypeError(`"${name}" expected well-formed text, got a lone surrogate`);
  }
  return utf8.encode(text);
}
