/** What happens in the demo, and what must happen: each step waits until a screen shows it. */
import type { Actor } from "./actor.js";

const FINGERPRINT = /^my fingerprint\s+((?:\w{4}-){5}\w{4})/;
const ROUNDS = 2;

export interface Stage {
  /** Starts a participant's process. */
  enter(label: string, ...args: string[]): Actor;
  heading(text: string): void;
  /** Says what the person does, whom the demo plays. */
  person(verb: string, what: string, note: string): void;
}

export async function play(stage: Stage): Promise<void> {
  stage.heading("Pairing");
  const kitchen = stage.enter("kitchen", "--name", "kitchen", "--create", "--pair-seconds", "40", "--newcomers", "2");
  const sponsor = await fingerprintOf(kitchen);
  const garden = await letIn(stage, kitchen, sponsor, "garden");

  // Nobody holds this device in hand, so nobody can read its screen. Its name is another's: names prove nothing.
  const stranger = stage.enter("stranger", "--name", "attic");
  const unknown = await fingerprintOf(stranger);
  await kitchen.shows(startsWith("asked by", unknown), "the stranger's introduction");
  stage.person("says nothing", unknown, "nobody of us holds that device");

  const attic = await letIn(stage, kitchen, sponsor, "attic");
  await kitchen.shows(startsWith("refuses", unknown), "that it refused the stranger");
  // Both trust the kitchen, and it signed who else is in.
  await garden.shows(/^trusts .*"attic"/, "that it trusts the attic");
  await attic.shows(/^trusts .*"garden"/, "that it trusts the garden");

  stage.heading("Readings");
  const members = [kitchen, garden, attic];
  for (let round = 0; round < ROUNDS; round++) {
    for (const sender of members) await exchange(sender, members);
  }
  await stranger.shows(/^cannot read/, "that it cannot read");
}

async function fingerprintOf(actor: Actor): Promise<string> {
  const [, fingerprint = ""] = await actor.shows(FINGERPRINT, "its fingerprint");
  return fingerprint;
}

function startsWith(verb: string, fingerprint: string): RegExp {
  return new RegExp(`^${verb} +${fingerprint}`);
}

/** A newcomer comes, and the person walks to and fro between the two screens. */
async function letIn(stage: Stage, kitchen: Actor, sponsor: string, name: string): Promise<Actor> {
  const newcomer = stage.enter(name, "--name", name);
  // Read from the newcomer's own screen, not from the wire: what the kitchen was sent could be anybody's.
  const own = await fingerprintOf(newcomer);
  await kitchen.shows(startsWith("asked by", own), `an introduction with the fingerprint on the ${name}'s screen`);
  stage.person("compares", own, `${name}'s screen = kitchen's screen`);
  kitchen.type(`read ${own}`);
  await kitchen.shows(startsWith("lets in", own), `that it let the ${name} in`);

  await newcomer.shows(startsWith("answered by", sponsor), "a reply with the fingerprint on the kitchen's screen");
  stage.person("compares", sponsor, `kitchen's screen = ${name}'s screen`);
  newcomer.type(`read ${sponsor}`);
  await newcomer.shows(startsWith("has joined", sponsor), "that it has joined");
  return newcomer;
}

/** One sends a reading, and all others print it. */
async function exchange(sender: Actor, members: readonly Actor[]): Promise<void> {
  for (const member of members) member.clearScreen();
  sender.type("measure");
  const [, celsius] = await sender.shows(/^sends +\{"celsius":([\d.]+)\}/, "a reading of its own");
  const expected = `${sender.label} → ${Number(celsius).toFixed(1)} °C`;
  const others = members.filter((member) => member !== sender);
  await Promise.all(others.map((other) => other.shows(new RegExp(`^reads +${expected}`), `"${expected}"`)));
}
