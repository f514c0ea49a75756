/** What happens in the demo, and what must happen: each step waits until a screen shows it. */
import type { Actor } from "./actor.js";

const FINGERPRINT = /^my fingerprint\s+((?:\w{4}-){5}\w{4})/;
const ROUNDS = 2;

export interface Stage {
  /** The start of all MQTT topics. */
  readonly base: string;
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
  await loseDevice(stage);
}

/** Another topic, with a roster: a device is stolen, and one message shuts it out. */
async function loseDevice(stage: Stage): Promise<void> {
  stage.heading("A stolen device, in a topic with a roster");
  const where = ["--topic", `${stage.base}/house`, "--rooted"];
  const owner = stage.enter("owner", "--name", "owner", ...where, "--create", "--newcomers", "2");
  const root = await fingerprintOf(owner);
  const cellar = await letIn(stage, owner, root, "cellar", where);
  const porch = await letIn(stage, owner, root, "porch", where);
  const print = await fingerprintOf(porch);
  // Nobody compared the two: the roster, which the owner signs, says it to everybody.
  await cellar.shows(/^on the roster .*"porch"/, "that the porch is on the roster");
  await exchange(porch, [owner, cellar, porch]);

  porch.type("steal");
  await porch.shows(/^was stolen/, "that it was stolen");
  stage.person("misses", print, "the porch's device is gone, with all that it knew");
  for (const actor of [owner, cellar, porch]) actor.clearScreen();
  owner.type(`revoke ${print}`);
  await owner.shows(startsWith("removes", print), "that it removes the porch");
  await cellar.shows(/^has a new key/, "that it has a new key");
  await porch.shows(/^is removed/, "that it was removed");

  await exchange(owner, [owner, cellar]);
  await porch.shows(/^cannot read/, "that it cannot read");
  porch.type("measure");
  await porch.shows(/^cannot send/, "that it cannot send");
  await porch.shows(/^sends anyway/, "that the thief sends under the old key");
  const refusal = /^ignores +\d+ bytes +of somebody whom we do not trust/;
  await Promise.all([owner, cellar].map((one) => one.shows(refusal, "that it refuses what the thief sends")));
}

async function fingerprintOf(actor: Actor): Promise<string> {
  const [, fingerprint = ""] = await actor.shows(FINGERPRINT, "its fingerprint");
  return fingerprint;
}

function startsWith(verb: string, fingerprint: string): RegExp {
  return new RegExp(`^${verb} +${fingerprint}`);
}

/** A newcomer comes, and the person walks to and fro between the two screens. */
async function letIn(
  stage: Stage,
  host: Actor,
  sponsor: string,
  name: string,
  where: readonly string[] = [],
): Promise<Actor> {
  const newcomer = stage.enter(name, "--name", name, ...where);
  const screen = `${host.label}'s screen`;
  // Read from the newcomer's own screen, not from the wire: what the host was sent could be anybody's.
  const own = await fingerprintOf(newcomer);
  await host.shows(startsWith("asked by", own), `an introduction with the fingerprint on the ${name}'s screen`);
  stage.person("compares", own, `${name}'s screen = ${screen}`);
  host.type(`read ${own}`);
  await host.shows(startsWith("lets in", own), `that it let the ${name} in`);

  await newcomer.shows(startsWith("answered by", sponsor), `a reply with the fingerprint on the ${screen}`);
  stage.person("compares", sponsor, `${screen} = ${name}'s screen`);
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
