/** Gathers what is sent within a few milliseconds into batches (PROTOCOL §6.2). */
import { describe, expectBytes, expectOptions, toUtf8 } from "./bytes.js";
import { expectContext } from "./context.js";
import { DisposedError, MessageTooLargeError } from "./errors.js";
import {
  DEFAULT_BATCH_BYTES,
  DEFAULT_BATCH_PAYLOADS,
  DEFAULT_LINGER,
  MAX_BATCH_PAYLOADS,
  MAX_LINGER,
  MAX_PAYLOAD_BYTES,
} from "./limits.js";
import { type EncodeOptions, expectMilliseconds, expectSentDelivery } from "./options.js";
import type { Topic } from "./topic.js";

/** How a collector gathers and sends. */
export interface CollectorOptions extends EncodeOptions {
  /**
   * Publishes one wire message; may give a promise that settles when the transport has it. Called one batch after the other, in
   * the order in which payloads came, without waiting for the promise of the one before: who sends faster than the transport takes
   * should await what `send` returns.
   */
  readonly publish: (wire: Uint8Array) => unknown;
  /** Milliseconds that the first payload of a batch waits for others, up to 60,000. Default: 5. 0: what is sent in one turn. */
  readonly linger?: number;
  /** Payloads at which a batch is sent at once, up to 1,024. Default: 64: more gain little. */
  readonly maxPayloads?: number;
  /** Bytes of payload at which a batch is sent at once. A larger payload is sent alone. Default: 64 KiB. */
  readonly maxBytes?: number;
}

const COLLECTOR_OPTIONS = ["publish", "linger", "maxPayloads", "maxBytes", "delivery", "context"];

/** No less than what a batch adds to its payloads, and to each of them. */
const BATCH_HEAD = 3;
const MAX_PAYLOAD_HEAD = 5;

interface Waiting {
  readonly payload: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

function expectCount(name: string, value: number, most: number): number {
  if (!Number.isInteger(value) || value < 1 || value > most) {
    throw new RangeError(
      `"${name}" expected an integer from 1 to ${most}, got ${typeof value === "number" ? value : describe(value)}`,
    );
  }
  return value;
}

/**
 * Gathers payloads for one context and delivery, and publishes them in batches: when the first has waited for `linger`
 * milliseconds, or when there are enough. One alone is sent as `encode` makes it. Receivers need `decodeBatch`.
 *
 * @example
 * ```ts
 * import { Collector, generateTopicKey, Topic } from "stringphone";
 *
 * const topic = await Topic.create({ topicKey: generateTopicKey(), name: "home/kitchen" });
 * const wires: Uint8Array[] = [];
 * const collector = new Collector(topic, { publish: (wire) => wires.push(wire) });
 * await Promise.all([collector.send("21.5 °C"), collector.send("21.6 °C")]);
 * await collector.close();
 * console.log(wires.length); // 1
 * ```
 */
export class Collector {
  readonly #topic: Topic;
  readonly #publish: CollectorOptions["publish"];
  readonly #encodeOptions: EncodeOptions;
  readonly #linger: number;
  readonly #maxPayloads: number;
  readonly #maxBytes: number;
  readonly #underway = new Set<Promise<void>>();
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /**
   * @param topic what seals; it stays the caller's, and is not disposed with the collector
   * @throws TypeError, RangeError for options of a wrong type or out of bounds
   */
  constructor(topic: Topic, options: CollectorOptions) {
    expectOptions(options, COLLECTOR_OPTIONS);
    const {
      publish,
      linger = DEFAULT_LINGER,
      maxPayloads = DEFAULT_BATCH_PAYLOADS,
      maxBytes = DEFAULT_BATCH_BYTES,
    } = options;
    if (typeof publish !== "function") throw new TypeError(`"publish" expected a function, got ${describe(publish)}`);
    if (expectMilliseconds("linger", linger) > MAX_LINGER) {
      throw new RangeError(`"linger" expected at most ${MAX_LINGER} milliseconds, got ${linger}`);
    }
    const { delivery = "event", context = topic.name } = options;
    this.#encodeOptions = { delivery: expectSentDelivery(delivery), context: expectContext("context", context) };
    this.#topic = topic;
    this.#publish = publish;
    this.#linger = linger;
    this.#maxPayloads = expectCount("maxPayloads", maxPayloads, MAX_BATCH_PAYLOADS);
    this.#maxBytes = Math.min(expectCount("maxBytes", maxBytes, MAX_PAYLOAD_BYTES), topic.maxPayloadBytes);
  }

  /**
   * Takes a payload, which is copied, to be sent with others. The batch is sealed when it is sent: then its `sentAt` is taken, and
   * what `encode` throws rejects every payload of the batch.
   *
   * @param payload text, sent as UTF-8, or bytes
   * @returns settles as `publish` does for the batch with this payload
   * @throws (rejects with) TypeError, MessageTooLargeError for a payload that cannot be sent, DisposedError after `close`
   */
  async send(payload: string | Uint8Array): Promise<void> {
    if (this.#closed) throw new DisposedError("collector");
    const bytes =
      typeof payload === "string" ? toUtf8("payload", payload) : expectBytes("payload (or a string)", payload).slice();
    const { maxPayloadBytes } = this.#topic;
    if (bytes.length > maxPayloadBytes) throw new MessageTooLargeError(bytes.length, maxPayloadBytes);
    const sent = new Promise<void>((resolve, reject) => {
      this.#waiting.push({ payload: bytes, resolve, reject });
    });
    this.#waitingBytes += MAX_PAYLOAD_HEAD + bytes.length;
    while (this.#waiting.length >= this.#maxPayloads || BATCH_HEAD + this.#waitingBytes > this.#maxBytes) {
      if (!this.#sendFirst(false)) break;
    }
    if (this.#waiting.length > 0) this.#timer ??= setTimeout(() => this.#sendAll(), this.#linger);
    return sent;
  }

  /**
   * Sends what waits now. Resolves when everything taken so far was published, or failed: each `send` tells which. `publish` must
   * not wait for it: it would wait for itself.
   */
  async flush(): Promise<void> {
    this.#sendAll();
    await Promise.all(this.#underway);
  }

  /** Takes nothing more, and sends and waits as `flush` does. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
  }

  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #sendAll(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#sendFirst(true)) {
      // Until nothing waits.
    }
  }

  /**
   * Sends the first of what waits: as many as one batch holds, or, unless `all` are to go, as many as fill one. Says whether there
   * were any. `publish` is called later, in a turn of its own, so that no code of the caller runs while this table changes.
   */
  #sendFirst(all: boolean): boolean {
    let count = 0;
    let bytes = BATCH_HEAD;
    for (const { payload } of this.#waiting.slice(0, this.#maxPayloads)) {
      bytes += MAX_PAYLOAD_HEAD + payload.length;
      if (count > 0 && bytes > this.#maxBytes) break;
      count++;
    }
    const isFull = count === this.#maxPayloads || bytes > this.#maxBytes;
    if (count === 0 || !(all || isFull)) return false;
    const batch = this.#waiting.splice(0, count);
    for (const { payload } of batch) this.#waitingBytes -= MAX_PAYLOAD_HEAD + payload.length;
    if (this.#waiting.length === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    const sending = Promise.resolve()
      .then(() => this.#publish(this.#encode(batch.map(({ payload }) => payload))))
      .then(
        () => {
          for (const { resolve } of batch) resolve();
        },
        (error: unknown) => {
          for (const { reject } of batch) reject(error);
        },
      );
    this.#underway.add(sending);
    void sending.then(() => this.#underway.delete(sending));
    return true;
  }

  #encode(payloads: readonly Uint8Array[]): Uint8Array {
    const [first] = payloads;
    return payloads.length === 1
      ? this.#topic.encode(first as Uint8Array, this.#encodeOptions)
      : this.#topic.encodeBatch(payloads, this.#encodeOptions);
  }
}
