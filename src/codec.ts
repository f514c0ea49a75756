/**
 * How plain values are written to a saved state and read from it: each kind once, for both ways. There is one way to write a value,
 * and what is written otherwise is refused.
 */
import { toHex } from "./bytes.js";
import type { Reader, Writer } from "./cbor.js";
import { StateError } from "./errors.js";
import { MAX_SENT_AT } from "./limits.js";

interface Out {
  readonly writer: Writer;
  /** By what they are, in hex: the numbers of the byte strings that were written already, and may stand more than once. */
  readonly numbers: Map<string, number>;
}

interface In {
  readonly reader: Reader;
  /** What was read already, and may stand more than once. */
  readonly shared: Uint8Array[];
  readonly known: Set<string>;
}

/** How a kind of value is written and read. */
export interface Codec<T> {
  readonly write: (out: Out, value: T) => void;
  readonly read: (from: In) => T;
}

export function fail(what: string): never {
  throw new StateError(`expected ${what} in what was saved: it is damaged`);
}

export function unsigned(most: number): Codec<number> {
  return {
    write: ({ writer }, value) => void writer.unsigned(value),
    read: ({ reader }) => {
      const value = reader.unsigned();
      return value <= most ? value : fail(`a number of at most ${most}`);
    },
  };
}

export const integer = unsigned(Number.MAX_SAFE_INTEGER);
export const time = unsigned(MAX_SENT_AT);

/** Running time that passed, in whole milliseconds. What is read is no more than lies between two times: it runs on, and is written again. */
export const milliseconds: Codec<number> = {
  write: ({ writer }, value) => void writer.unsigned(Math.round(Math.max(value, 0))),
  read: time.read,
};

/** A time, or −1: one more than that. */
export const timeOrNothing = mapped(
  unsigned(MAX_SENT_AT + 1),
  (value: number) => value + 1,
  (value) => value - 1,
);

/** As many milliseconds as may be between two times. No two of them differ by more than the greatest, or by a part of one. */
export const age: Codec<number> = {
  write: ({ writer }, value) => void writer.unsigned(Math.min(Math.floor(value), MAX_SENT_AT)),
  read: time.read,
};

export const flag = mapped(
  unsigned(1),
  (value: boolean) => (value ? 1 : 0),
  (value) => value === 1,
);

/** One of a few words, by its number. */
export function oneOf<T extends string>(words: readonly T[]): Codec<T> {
  const number = unsigned(words.length - 1);
  return {
    write: (out, word) => number.write(out, words.indexOf(word)),
    read: (from) => words[number.read(from)] as T,
  };
}

export function text(maxBytes: number): Codec<string> {
  return { write: ({ writer }, value) => void writer.text(value), read: ({ reader }) => reader.text(maxBytes) };
}

function expectLength(bytes: Uint8Array, least: number, most: number): Uint8Array {
  if (bytes.length < least || bytes.length > most) fail(`${least} to ${most} bytes`);
  // What is read from is wiped.
  return new Uint8Array(bytes);
}

/** Bytes that stand once: all that is secret. */
export function bytes(least: number, most = least): Codec<Uint8Array> {
  return {
    write: ({ writer }, value) => void writer.bytes(value),
    read: ({ reader }) => expectLength(reader.bytes(), least, most),
  };
}

/** Bytes that stand in several places: from the second on by their number. What is the same is then one and the same array. */
export function shared(least: number, most = least): Codec<Uint8Array> {
  return {
    write: ({ writer, numbers }, value) => {
      const name = toHex(value);
      const number = numbers.get(name);
      if (number === undefined) {
        numbers.set(name, numbers.size);
        writer.bytes(value);
      } else {
        writer.unsigned(number);
      }
    },
    read: ({ reader, shared: table, known }) => {
      if (reader.isUnsigned) {
        const found = table[reader.unsigned()] ?? fail("the number of bytes that stand before it");
        return found.length >= least && found.length <= most ? found : fail(`${least} to ${most} bytes`);
      }
      const value = expectLength(reader.bytes(), least, most);
      const name = toHex(value);
      if (known.has(name)) fail("the number of bytes that stand before it");
      known.add(name);
      table.push(value);
      return value;
    },
  };
}

/** What is bytes where it is written, and something else elsewhere. */
export function mapped<T, U>(codec: Codec<U>, to: (value: T) => U, from: (value: U) => T): Codec<T> {
  return { write: (out, value) => codec.write(out, to(value)), read: (source) => from(codec.read(source)) };
}

/** None or one. */
export function optional<T>(codec: Codec<T>): Codec<T | undefined> {
  return {
    write: (out, value) => {
      out.writer.array(value === undefined ? 0 : 1);
      if (value !== undefined) codec.write(out, value);
    },
    read: (from) => {
      const count = from.reader.array();
      if (count > 1) fail("none or one");
      return count === 0 ? undefined : codec.read(from);
    },
  };
}

export function list<T>(codec: Codec<T>, most = Number.POSITIVE_INFINITY): Codec<readonly T[]> {
  return {
    write: (out, values) => {
      out.writer.array(values.length);
      for (const value of values) codec.write(out, value);
    },
    read: (from) => {
      const count = from.reader.array();
      if (count > most) fail(`at most ${most} items`);
      const values: T[] = [];
      // However many there are said to be: each takes a byte at least.
      for (let i = 0; i < count; i++) values.push(codec.read(from));
      return values;
    },
  };
}

/** An array of these items, in the order in which they are named. */
export function record<T extends object>(items: { readonly [K in keyof T]-?: Codec<T[K]> }): Codec<T> {
  const codecs = Object.entries(items) as [keyof T, Codec<unknown>][];
  return {
    write: (out, value) => {
      out.writer.array(codecs.length);
      for (const [key, codec] of codecs) codec.write(out, value[key]);
    },
    read: (from) => {
      if (from.reader.array() !== codecs.length) fail(`${codecs.length} items`);
      return Object.fromEntries(codecs.map(([key, codec]) => [key, codec.read(from)])) as T;
    },
  };
}

/** Two items. */
export function pair<A, B>(first: Codec<A>, second: Codec<B>): Codec<readonly [A, B]> {
  const items = record<{ first: A; second: B }>({ first, second });
  return mapped(
    items,
    ([a, b]) => ({ first: a, second: b }),
    (value) => [value.first, value.second] as const,
  );
}
