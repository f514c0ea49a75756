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
  /** The context as the key of a table, never long: memory would otherwise grow with what others call their topics. */
  readonly key: string;
  /** The context in CBOR. */
  readonly encoded: Uint8Array;
}

const known = new Map<string, KnownContext>();

export function knownContext(context: string): KnownContext {
  const remembered = known.get(context);
  if (remembered !== undefined) return remembered;
  const key = context.length <= LONGEST_PLAIN_KEY ? context : `#${toHex(hash("longContext", context))}`;
  const made = { key, encoded: encode(context) };
  if (context.length <= LONGEST_KNOWN_CONTEXT) {
    if (known.size >= MAX_KNOWN_CONTEXTS) known.delete(known.keys().next().value as string);
    known.set(context, made);
  }
  return made;
}

/** A context as the key of a table. */
export function contextKey(context: string): string {
  return context.length <= LONGEST_PLAIN_KEY ? context : knownContext(context).key;
}
