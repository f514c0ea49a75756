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
   * the order in which payloads came, without waiting for the promise of the one before.
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
  #batchBytes = BATCH_HEAD;
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
    const length = MAX_PAYLOAD_HEAD + bytes.length;
    if (this.#batchBytes + length > this.#maxBytes) this.#sendWaiting();
    this.#batchBytes += length;
    const sent = new Promise<void>((resolve, reject) => {
      this.#waiting.push({ payload: bytes, resolve, reject });
    });
    if (this.#waiting.length >= this.#maxPayloads) this.#sendWaiting();
    else this.#timer ??= setTimeout(() => this.#sendWaiting(), this.#linger);
    return sent;
  }

  /** Sends what waits now. Resolves when everything taken so far was published, or failed: each `send` tells which. */
  async flush(): Promise<void> {
    this.#sendWaiting();
    await Promise.all(this.#underway);
  }

  /** Sends what waits, waits for it as `flush` does, and takes nothing more. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
  }

  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #sendWaiting(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#batchBytes = BATCH_HEAD;
    if (waiting.length === 0) return;
    const sending = this.#sendBatch(waiting.map(({ payload }) => payload)).then(
      () => {
        for (const { resolve } of waiting) resolve();
      },
      (error: unknown) => {
        for (const { reject } of waiting) reject(error);
      },
    );
    this.#underway.add(sending);
    void sending.then(() => this.#underway.delete(sending));
  }

  /** Up to the promise of `publish` it runs at once, so that batches are published in their order. */
  async #sendBatch(payloads: readonly Uint8Array[]): Promise<void> {
    const [first] = payloads;
    const wire =
      payloads.length === 1
        ? this.#topic.encode(first as Uint8Array, this.#encodeOptions)
        : this.#topic.encodeBatch(payloads, this.#encodeOptions);
    await this.#publish(wire);
  }
}
