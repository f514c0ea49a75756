/** What messages are bound to: a text that both sides name, usually the MQTT topic. */
import { describe, toHex, toUtf8 } from "./bytes.js";
import { hash } from "./crypto.js";
import { MAX_CONTEXT_BYTES } from "./limits.js";

const LONGEST_PLAIN_KEY = 64;

/** The argument as a context: well-formed text of at most 65,535 bytes of UTF-8. */
export function expectContext(name: string, value: unknown): string {
  if (typeof value !== "string") throw new TypeError(`"${name}" expected string, got ${describe(value)}`);
  const { length } = toUtf8(name, value);
  if (length > MAX_CONTEXT_BYTES) {
    throw new RangeError(`"${name}" expected at most ${MAX_CONTEXT_BYTES} bytes of UTF-8, got ${length}`);
  }
  return value;
}

/** A context as the key of a table, never long: memory would otherwise grow with what others call their topics. */
export function contextKey(context: string): string {
  return context.length <= LONGEST_PLAIN_KEY ? context : `#${toHex(hash("longContext", context))}`;
}
