/**
 * What the runner and a peer say to each other: one JSON object a line, one answer to each request. Messages
 * themselves never cross the pipe: a peer keeps what it sealed until it is asked to open it.
 */

export type Request =
  /** Make a random payload of this many bytes and get ready for it. */
  | { readonly op: "size"; readonly bytes: number }
  /** Seal the payload in this many calls, and keep the wires. */
  | { readonly op: "seal"; readonly calls: number }
  /** Open every wire kept, in order, each once. */
  | { readonly op: "open" };

/** What a peer says by itself, once it can work. */
export interface Hello {
  /** Payloads in one call: 1, or the size of a batch. */
  readonly batch: number;
  /** Libraries, and the runtime where it is not this Node. */
  readonly versions: Readonly<Record<string, string>>;
}

/** To `size`: nothing. */
export type Ready = Readonly<Record<string, never>>;

export interface Sealed {
  /** Microseconds of the loop alone, by the peer's own monotonic clock. */
  readonly micros: number;
  /** Mean length of a wire, for each payload that it carries. */
  readonly wireBytes: number;
}

/** Answered only after the last message opened was found to be the payload. */
export interface Opened {
  readonly micros: number;
}

/** Instead of any other answer. */
export interface Failure {
  readonly error: string;
}
