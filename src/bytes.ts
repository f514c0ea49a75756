/** Small helpers for byte arrays, and the checks of arguments that every public call shares. */
import { MAX_CONTEXT_BYTES } from "./limits.js";

const utf8 = new TextEncoder();
const hexPairs = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Lower-case hex. */
export function toHex(bytes: Uint8Array): string {
  let hex = "";
  for (const byte of bytes) hex += hexPairs[byte];
  return hex;
}

/** Whether two public values are the same. Not for secrets: it stops at the first difference. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Negative, zero or positive, as `a` sorts before, with or after `b`. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
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

/** Whether this is a Uint8Array of any realm: Node's Buffer is one. */
function isBytes(value: unknown): value is Uint8Array {
  return ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === "[object Uint8Array]";
}

/** The argument itself, or a copy where it is of another realm, or another thread could change it meanwhile. */
export function expectBytes(name: string, value: unknown): Uint8Array {
  if (!isBytes(value)) throw new TypeError(`"${name}" expected Uint8Array, got ${describe(value)}`);
  return value.buffer instanceof ArrayBuffer && value instanceof Uint8Array ? value : new Uint8Array(value);
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

/** A context, as what every message is bound to: well-formed text of at most 65,535 bytes of UTF-8. */
export function expectContext(name: string, value: unknown): string {
  if (typeof value !== "string") throw new TypeError(`"${name}" expected string, got ${describe(value)}`);
  const { length } = toUtf8(name, value);
  if (length > MAX_CONTEXT_BYTES) {
    throw new RangeError(`"${name}" expected at most ${MAX_CONTEXT_BYTES} bytes of UTF-8, got ${length}`);
  }
  return value;
}
