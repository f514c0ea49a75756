/**
 * The person who compares fingerprints. No program can do that part: whoever controls the broker can put any key on the wire
 * and call it any name, but not change what stands on the other device's screen.
 */
import type { Interface } from "node:readline/promises";
import { withoutLines } from "./screen.js";

export interface Person {
  /** Whether a person saw this very fingerprint on the other device's own screen. `false` when `signal` aborts first. */
  confirms(fingerprint: string, question: string, signal: AbortSignal): Promise<boolean>;
}

/** Asks whoever sits at the terminal, one question at a time. Anything but "y" means no. */
export function personAtKeyboard(terminal: Interface): Person {
  let previous: Promise<unknown> = Promise.resolve();
  return {
    confirms(fingerprint, question, signal) {
      const text = `\n${question}\nDoes its own screen show exactly  ${fingerprint} ? [y/N] `;
      const ask = async () => {
        try {
          return (await terminal.question(text, { signal })).trim().toLowerCase() === "y";
        } catch (error) {
          if (!signal.aborted) throw error;
          console.log("\nToo late, the question is withdrawn.");
          return false;
        }
      };
      const answer = previous.then(() => (signal.aborted ? false : withoutLines(ask)));
      previous = answer.catch(() => undefined);
      return answer;
    },
  };
}

/**
 * Without a terminal (in the demo) it comes as a line on standard input which fingerprint a person read from the other
 * screen. It must be the very same; a fingerprint that nobody read is never confirmed.
 */
export class PersonElsewhere implements Person {
  readonly #read = new Set<string>();
  readonly #waiting = new Map<string, () => void>();

  /** The person read this fingerprint from another device's screen. */
  didRead(fingerprint: string): void {
    this.#read.add(fingerprint);
    this.#waiting.get(fingerprint)?.();
  }

  confirms(fingerprint: string, _question: string, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = () => {
        this.#waiting.delete(fingerprint);
        resolve(this.#read.has(fingerprint));
      };
      if (this.#read.has(fingerprint) || signal.aborted) return settle();
      this.#waiting.set(fingerprint, settle);
      signal.addEventListener("abort", settle, { once: true });
    });
  }
}
