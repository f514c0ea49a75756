/** The demo: a broker, three participants and a stranger, then three of another topic, each a process of its own. `story.ts` is what happens. */
import { randomBytes } from "node:crypto";
import { styleText } from "node:util";
import { Actor } from "./actor.js";
import { brokerUrl, integer, parseCommand, run, topicBase } from "./arguments.js";
import { eavesdrop, type Observed, startBroker } from "./broker.js";
import { glimpse, line, printable, reason } from "./screen.js";
import { play } from "./story.js";

const HELP = `
npm run demo -- [options]

Three participants meet over an MQTT broker, let each other in by fingerprint, and exchange readings. Beside each
message stands what the broker saw of it. Then a device of another topic, which has a roster, is stolen and removed.

  --url      use this broker (mqtt://, mqtts://, ws:// or wss://) instead of one inside the demo
  --topic    the start of all MQTT topics (a random one)
  --timeout  seconds after which the demo gives up (45)`;

/** What no broker may see: a part of each reading. */
const PLAINTEXT = "celsius";
const isTerminal = process.stdout.isTTY && process.env["NO_COLOR"] === undefined;

function style(format: "bold" | "dim", text: string): string {
  return isTerminal ? styleText(format, text) : text;
}

function show(label: string, text: string, format?: "dim"): void {
  const whole = `  ${label.padEnd(9)}${text}`;
  console.log(format === undefined ? whole : style(format, whole));
}

async function main(): Promise<void> {
  const values = parseCommand(
    { url: { type: "string" }, topic: { type: "string" }, timeout: { type: "string", default: "45" } },
    HELP,
  );
  if (values === undefined) return;
  const url = values["url"] === undefined ? undefined : brokerUrl(values["url"]);
  // Random, so that two runs on a shared broker do not meet.
  const base = topicBase(values["topic"] ?? `stringphone-demo-${randomBytes(4).toString("hex")}`);
  const deadline = AbortSignal.timeout(integer("--timeout", values["timeout"], 1, 3600) * 1000);

  const actors: Actor[] = [];
  let observed: Observed | undefined;
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= Promise.all(actors.map((actor) => actor.end())).then(() => observed?.close());
    return stopping;
  };
  const interrupted = new Promise<number>((resolve) => {
    const end = (code: number) => {
      void stop();
      resolve(code);
    };
    process.on("SIGINT", () => end(130));
    process.on("SIGTERM", () => end(143));
    // Nobody reads what we print any more.
    process.stdout.on("error", () => end(1));
  });

  let messages = 0;
  let bytes = 0;
  let leaks = 0;
  const observer = url === undefined ? "broker" : "listener";
  const seen = (mqttTopic: string, payload: Uint8Array) => {
    if (stopping !== undefined) return;
    messages += 1;
    bytes += payload.length;
    if (Buffer.from(payload).includes(PLAINTEXT)) leaks += 1;
    show(observer, line("saw", glimpse(payload), `${payload.length} bytes on …${mqttTopic.slice(base.length)}`), "dim");
  };

  const perform = async (): Promise<number> => {
    observed = url === undefined ? await startBroker(seen) : await eavesdrop(url, base, seen);
    const address = observed.url;
    console.log(style("bold", "stringphone over MQTT: the participants read each other, the broker sees bytes\n"));
    show("broker", `${printable(address)}${url === undefined ? ", inside this demo" : ""}`);
    if (url !== undefined) show("listener", "an eavesdropper: subscribes to everything there, and has no key");
    show("topic", base);
    show("person", "nobody sits here, so the demo plays the person who compares the fingerprints");
    await play({
      base,
      heading: (text) => console.log(style("bold", `\n${text}`)),
      person: (verb, what, note) => stopping === undefined && show("person", line(verb, what, note)),
      enter: (label, ...args) => {
        const all = ["--url", address, "--topic", base, "--every", "0", ...args];
        const actor = new Actor(label, all, deadline, (from, text) => stopping === undefined && show(from, text));
        actors.push(actor);
        return actor;
      },
    });
    if (leaks > 0) throw new Error(`the ${observer} saw "${PLAINTEXT}" in ${leaks} of ${messages} messages`);
    await stop();
    console.log("\nNewcomers were let in, the stranger was not, and the thief was shut out by one message.");
    console.log(
      `The ${observer} saw ${messages} messages, ${bytes} bytes, and in none of them the word "${PLAINTEXT}".`,
    );
    return 0;
  };

  const code = await Promise.race([
    interrupted,
    perform().catch((error: unknown) => {
      // What is missing because we stop is no failure.
      if (stopping === undefined) console.error(`\nThe demo failed: ${reason(error)}`);
      return 1;
    }),
  ]);
  await stop();
  process.exit(code);
}

run(main);
