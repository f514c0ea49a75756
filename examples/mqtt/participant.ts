/** One participant, a process of its own: its command line, its keyboard and its end. `device.ts` and `rooted-device.ts` are what it does. */
import { createInterface } from "node:readline/promises";
import { brokerUrl, displayName, integer, parseCommand, run, topicBase } from "./arguments.js";
import { Device } from "./device.js";
import { PersonElsewhere, personAtKeyboard } from "./person.js";
import { RootedDevice } from "./rooted-device.js";

const HELP = `
One participant that sends a reading from time to time and prints those of the others. In the first terminal:

  npx tsx examples/mqtt/participant.ts --url mqtt://… --topic house/cellar --name kitchen --create

and in others the same with another --name, and without --create.

  --url           the broker: mqtt://, mqtts://, ws:// or wss://
  --topic         the start of all MQTT topics, the same for all participants
  --name          what this participant calls itself; everybody on the broker can read it
  --create        make the topic key, and open a pairing window; type "pair" to open another
  --rooted        with a roster: type "revoke <fingerprint>" where it was created to remove a device. All or none
  --pair-seconds  how long a window stays open (60)
  --newcomers     how many it lets in at most (2)
  --every         seconds between readings (5); 0: one for each line "measure" on standard input

Whom to let in is asked on the terminal. Without one, the line "read <fingerprint>" on standard input says what a
person read from another device's screen. Nobody is trusted whom no person confirmed.`;

async function main(): Promise<void> {
  const values = parseCommand(
    {
      url: { type: "string" },
      topic: { type: "string" },
      name: { type: "string" },
      create: { type: "boolean" },
      rooted: { type: "boolean" },
      "pair-seconds": { type: "string", default: "60" },
      newcomers: { type: "string", default: "2" },
      every: { type: "string", default: "5" },
    },
    HELP,
  );
  if (values === undefined) return;
  const seconds = integer("--pair-seconds", values["pair-seconds"], 1, 3600);
  const newcomers = integer("--newcomers", values["newcomers"], 1, 1000);
  const every = integer("--every", values["every"], 0, 86_400);
  const options = {
    url: brokerUrl(values["url"]),
    base: topicBase(values["topic"]),
    name: displayName(values["name"]),
    window: values["create"] === true ? { seconds, newcomers } : undefined,
  };

  let device: Device | RootedDevice | undefined;
  let isEnding = false;
  const end = async (code: number) => {
    if (isEnding) return;
    isEnding = true;
    await device?.end();
    process.exit(code);
  };
  process.on("SIGINT", () => void end(130));
  process.on("SIGTERM", () => void end(143));
  // Nobody reads what we print any more.
  process.stdout.on("error", () => process.exit(1));

  const isTerminal = process.stdin.isTTY;
  const keyboard = createInterface({ input: process.stdin, ...(isTerminal ? { output: process.stdout } : {}) });
  const elsewhere = new PersonElsewhere();
  // A terminal gives Ctrl-C to readline, instead of sending a signal.
  keyboard.on("SIGINT", () => void end(130));
  // Ctrl-D, or whoever started this process is gone.
  keyboard.on("close", () => void end(0));
  keyboard.on("line", (line) => {
    const [word, fingerprint] = line.trim().split(/\s+/);
    if (word === "pair") device?.openWindow();
    else if (word === "measure") device?.measure();
    else if (word === "revoke" && device instanceof RootedDevice) device.revoke(fingerprint ?? "");
    else if (word === "steal" && device instanceof RootedDevice) void device.steal();
    else if (word === "read" && fingerprint !== undefined) elsewhere.didRead(fingerprint);
  });

  const person = isTerminal ? personAtKeyboard(keyboard) : elsewhere;
  device = await (values["rooted"] === true ? RootedDevice : Device).create(options, person);
  await device.start();
  if (every > 0) setInterval(() => device.measure(), every * 1000);
}

run(main);
