/** What a process prints: one line for each thing that happened, in columns. */
const WHAT_WIDTH = 31;
const VERB_WIDTH = 16;

/** One line of a participant's screen. `what` is mostly a fingerprint, a reading, or bytes in hex. */
export function line(verb: string, what: string, note = ""): string {
  return `${verb.padEnd(VERB_WIDTH)}${what.padEnd(note === "" ? 0 : WHAT_WIDTH)}${note}`.trimEnd();
}

let held: string[] | undefined;

/** Prints such a line on this process's own screen. */
export function say(verb: string, what: string, note = ""): void {
  if (held === undefined) console.log(line(verb, what, note));
  else held.push(line(verb, what, note));
}

/** Keeps back all lines while a person reads a question, so that none scrolls it away. */
export async function withoutLines<T>(question: () => Promise<T>): Promise<T> {
  held = [];
  try {
    return await question();
  } finally {
    const lines = held;
    held = undefined;
    for (const one of lines) console.log(one);
  }
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/** The first and last bytes in hex: enough to see that nothing can be seen. */
export function glimpse(bytes: Uint8Array): string {
  if (bytes.length === 0) return "nothing";
  if (bytes.length <= 9) return hex(bytes);
  return `${hex(bytes.subarray(0, 5))} … ${hex(bytes.subarray(-4))}`;
}

/** A broker's address without the password that it may contain. */
export function printable(url: string): string {
  const shown = new URL(url);
  shown.username = "";
  shown.password = "";
  return shown.href;
}

/** What an error says, on one line. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
