/** The peer's side of the protocol: what an adapter provides, and the loops that are timed. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Failure, Hello, Opened, Ready, Request, Sealed } from "./protocol.js";

interface Common<Wire, Message> {
  readonly versions: Readonly<Record<string, string>>;
  /** Payloads in one call; 1 unless given. */
  readonly batch?: number;
  /** Puts the payload into the shape that this library takes. Not timed. */
  prepare(payload: Uint8Array): void;
  /** Bytes that would be published. Not timed. */
  wireBytes(wire: Wire): number;
  /** Whether all that one call opened is the payload. Not timed. */
  isPayload(message: Message): boolean;
}

/** A library whose calls return at once: it must not pay for an `await` that its users do not need. */
export interface SyncPeer<Wire, Message> extends Common<Wire, Message> {
  seal(): Wire;
  open(wire: Wire): Message;
}

/** A library whose own interface is asynchronous: awaiting it is part of its price. */
export interface AsyncPeer<Wire, Message> extends Common<Wire, Message> {
  seal(): Promise<Wire>;
  open(wire: Wire): Promise<Message>;
}

/** The installed version of a dependency of this package, read as a file: not every library exports its package.json. */
export function versionOf(dependency: string): string {
  const manifest = readFileSync(new URL(`../node_modules/${dependency}/package.json`, import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

/** What is timed: one loop over the wires, filled by `seal` and read by `open`. */
interface Loops<Wire, Message> {
  seal(wires: Wire[]): void | Promise<void>;
  open(wires: readonly Wire[]): (Message | undefined) | Promise<Message | undefined>;
}

function monotonicMicros(): number {
  return performance.now() * 1000;
}

async function serve<Wire, Message>(peer: Common<Wire, Message>, loops: Loops<Wire, Message>): Promise<void> {
  const { batch = 1, versions } = peer;
  let wires: Wire[] = [];

  async function answer(request: Request): Promise<Ready | Sealed | Opened> {
    if (request.op === "size") {
      peer.prepare(randomBytes(request.bytes));
      return {};
    }
    if (request.op === "seal") {
      wires = new Array<Wire>(request.calls); // those of the round before are garbage now, as if published
      const start = monotonicMicros();
      await loops.seal(wires);
      const micros = monotonicMicros() - start;
      const total = wires.reduce((sum, wire) => sum + peer.wireBytes(wire), 0);
      return { micros, wireBytes: total / (request.calls * batch) };
    }
    const start = monotonicMicros();
    const last = await loops.open(wires);
    const micros = monotonicMicros() - start;
    if (last === undefined || !peer.isPayload(last)) throw new Error("what was opened is not the payload");
    return { micros };
  }

  const say = (line: Hello | Ready | Sealed | Opened | Failure) => process.stdout.write(`${JSON.stringify(line)}\n`);
  say({ batch, versions });
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      say(await answer(JSON.parse(line) as Request));
    } catch (error) {
      say({ error: String(error) });
    }
  }
}

export function serveSync<Wire, Message>(peer: SyncPeer<Wire, Message>): Promise<void> {
  return serve(peer, {
    seal(wires) {
      for (let i = 0; i < wires.length; i++) wires[i] = peer.seal();
    },
    open(wires) {
      let last: Message | undefined;
      for (const wire of wires) last = peer.open(wire);
      return last;
    },
  });
}

export function serveAsync<Wire, Message>(peer: AsyncPeer<Wire, Message>): Promise<void> {
  return serve(peer, {
    async seal(wires) {
      for (let i = 0; i < wires.length; i++) wires[i] = await peer.seal();
    },
    async open(wires) {
      let last: Message | undefined;
      for (const wire of wires) last = await peer.open(wire);
      return last;
    },
  });
}
