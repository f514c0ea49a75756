/** examples/mqtt/demo.ts: what a newcomer runs first, here against its embedded broker. */
import { randomBytes } from "node:crypto";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { ensureBuilt } from "../support/build.js";
import { MaliciousBroker } from "./malicious-broker.js";
import { isAlive, Program, processesWith } from "./program.js";
import { expectStory } from "./story.js";

beforeAll(ensureBuilt);

const programs: Program[] = [];
afterEach(() => {
  for (const program of programs.splice(0)) program.kill("SIGKILL");
});

function start(file: string, ...args: string[]): Program {
  const program = new Program(file, args);
  programs.push(program);
  return program;
}

/** The ids of the participants that have shown theirs. */
function participantsOf(demo: Program): number[] {
  return demo.lines.flatMap((line) => / process (\d+)$/.exec(line)?.[1] ?? []).map(Number);
}

describe("the demo", () => {
  it("lets newcomers in by fingerprint, refuses a stranger, removes a stolen device, and shows the broker nothing", async () => {
    const topic = `demo-test-${randomBytes(8).toString("hex")}`;
    const demo = start("demo.ts", "--topic", topic);
    const ended = await demo.ended;
    expect(demo.errors).toBe("");
    expect(ended).toEqual({ code: 0, signal: null });
    expectStory(demo.lines, "broker");
    const pids = participantsOf(demo);
    expect(new Set(pids).size).toBe(7);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(processesWith(topic)).toEqual([]);
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("ends on %s in the middle with code %i, and leaves no process", async (signal, code) => {
    const topic = `demo-test-${randomBytes(8).toString("hex")}`;
    const demo = start("demo.ts", "--topic", topic);
    await demo.shows(/lets in/);
    const pids = participantsOf(demo);
    expect(pids.filter(isAlive)).toEqual(pids);
    expect(pids).toHaveLength(2);
    demo.kill(signal);
    expect(await demo.ended).toEqual({ code, signal: null });
    expect(demo.errors).toBe("");
    expect(demo.lines.join("\n")).not.toMatch(/\bat .*:\d+:\d+|failed/);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(processesWith(topic)).toEqual([]);
  });

  it("takes its participants along when it is killed", async () => {
    const demo = start("demo.ts");
    await demo.shows(/has joined/);
    const pids = participantsOf(demo);
    expect(pids.filter(isAlive)).toEqual(pids);
    demo.kill("SIGKILL");
    await demo.ended;
    await vi.waitFor(() => expect(pids.filter(isAlive)).toEqual([]), { timeout: 60_000 });
  });
});

describe("the demo, when something goes wrong", () => {
  it("fails with a message when a newcomer is not let in in time", async () => {
    await using broker = await MaliciousBroker.start();
    broker.meddle = (message) => (message.topic.endsWith("/discovery") ? [] : [message]);
    const topic = `demo-test-${randomBytes(8).toString("hex")}`;
    const demo = start("demo.ts", "--url", broker.url, "--topic", topic, "--timeout", "5");
    expect(await demo.ended).toEqual({ code: 1, signal: null });
    expect(demo.errors).toMatch(/^\nThe demo failed: \w+ did not show .*: not in time\n$/);
    expect(demo.lines.join("\n")).not.toContain("lets in");
    expect(processesWith(topic)).toEqual([]);
  });

  it("says that there is no broker", async () => {
    const demo = start("demo.ts", "--url", "mqtt://someone:secret@127.0.0.1:1");
    expect(await demo.ended).toEqual({ code: 1, signal: null });
    expect(demo.errors).toMatch(/The demo failed: no MQTT connection to mqtt:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/);
    expect(demo.errors + demo.lines.join("\n")).not.toContain("secret");
  });

  it.each([
    ["demo.ts", ["--url", "http://localhost"], "--url expected"],
    ["demo.ts", ["--url", "mqtt://"], "--url expected"],
    ["demo.ts", ["--topic", "home/#"], "--topic expected"],
    ["demo.ts", ["--topic", "/home"], "--topic expected"],
    ["demo.ts", ["--timeout", "soon"], "--timeout expected"],
    ["demo.ts", ["--trust-everybody"], "--trust-everybody"],
    ["participant.ts", ["--topic", "home", "--name", "garden"], "--url expected"],
    ["participant.ts", ["--url", "mqtt://localhost", "--topic", "home"], "--name expected"],
    ["participant.ts", ["--url", "mqtt://localhost", "--topic", "home", "--name", "\u001b[2J"], "--name expected"],
  ])("refuses %s %j with code 2", async (file, args, message) => {
    const program = start(file, ...args);
    expect(await program.ended).toEqual({ code: 2, signal: null });
    expect(program.errors).toContain(message);
    expect(program.errors).not.toMatch(/\bat .*:\d+:\d+/);
  });

  it.each(["demo.ts", "participant.ts"])("explains %s", async (file) => {
    const program = start(file, "--help");
    expect(await program.ended).toEqual({ code: 0, signal: null });
    expect(program.lines.join("\n")).toContain("--url");
  });
});
