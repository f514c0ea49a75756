/** What messages are bound to: a text that both sides name, usually the MQTT topic. */
import { describe, toHex, toUtf8 } from "./bytes.js";
import { encode } from "./cbor.js";
import { hash } from "./crypto.js";
import { LONGEST_KNOWN_CONTEXT, MAX_CONTEXT_BYTES, MAX_KNOWN_CONTEXTS } from "./limits.js";

const LONGEST_PLAIN_KEY = 64;

/** The argument as a context: well-formed text of at most 65,535 bytes of UTF-8. */
export function expectContext(name: string, value: unknown): string {
  if (typeof value !== "string") throw new TypeError(`"${name}" expected string, got ${describe(value)}`);
  if (known.has(value)) return value;
  const { length } = toUtf8(name, value);
  if (length > MAX_CONTEXT_BYTES) {
    throw new RangeError(`"${name}" expected at most ${MAX_CONTEXT_BYTES} bytes of UTF-8, got ${length}`);
  }
  return value;
}

/** What is made of a context for each message: remembered, because a program names the same few again and again. */
export interface KnownContext {
  /** The context, in a string of its own: the caller's may be a slice of something large, which it would keep alive. */
  readonly text: string;
  /** The context as the key of a table, never long: memory would otherwise grow with what others call their topics. */
  readonly key: string;
  /** The context in CBOR. */
  readonly encoded: Uint8Array;
}

const known = new Map<string, KnownContext>();
const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

export function knownContext(context: string): KnownContext {
  const remembered = known.get(context);
  if (remembered !== undefined) return remembered;
  const text = fromUtf8.decode(toUtf8("context", context));
  const key = text.length <= LONGEST_PLAIN_KEY ? text : `#${toHex(hash("longContext", text))}`;
  const made = { text, key, encoded: encode(text) };
  if (text.length <= LONGEST_KNOWN_CONTEXT) {
    if (known.size >= MAX_KNOWN_CONTEXTS) known.delete(known.keys().next().value as string);
    known.set(text, made);
  }
  return made;
}
