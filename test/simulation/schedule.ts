/**
 * One schedule: 3 to 12 participants of a rooted topic, one of whose admins may be bad, over a channel that drops, duplicates, delays,
 * reorders and partitions. What they do is drawn from a seed. At the end the channel is repaired, and what must then hold is checked.
 */

// Only after the world was made.
import { toHex } from "../../src/bytes.js";
import { Identity } from "../../src/identity.js";
import { type ControlMessage, cryptoBackend, isStringphoneError, Topic, type TopicEvent } from "../../src/index.js";
import { commitmentOf, type Keyring } from "../../src/keyring.js";
import { MAX_KEPT_MESSAGES } from "../../src/limits.js";
import { formatControl } from "../../src/message.js";
import { formatRekey, makeRekey, type Recipient } from "../../src/rekey.js";
import type { Rooted } from "../../src/rooted.js";
import { computeRoster, type Role } from "../../src/roster.js";
import { sealControl } from "../../src/sealing.js";
import { type RoleStatement, signRole } from "../../src/statements.js";
import { begin, later, now, pass, random } from "./world.js";

const NAME = "home";
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Long enough that no key is wiped in a schedule: what a removed participant could have kept, it kept. */
const GRACE = 10_000 * HOUR;

/** What the bundle opens for the simulation: see bundle.ts. */
interface Internals {
  readonly rooted: Rooted | undefined;
  readonly keyring: Keyring;
}
const internals = (topic: Topic): Internals =>
  (Topic as unknown as { internals(topic: Topic): Internals }).internals(topic);

export interface Options {
  /** Prints what happens. */
  readonly trace?: boolean;
}

export interface Outcome {
  readonly failures: readonly string[];
  readonly rekeys: { readonly asked: number; readonly repairs: number; readonly hostile: number };
  readonly rounds: number;
}

interface Sent {
  readonly wire: Uint8Array;
  readonly epoch: number;
  readonly sender: Node;
  readonly text: string;
}

class Node {
  readonly name: string;
  readonly seed: Uint8Array;
  topic: Topic;
  isBad = false;
  isOnline = true;
  /** Which side of a partition it is on. */
  side = 0;
  /** How often it asked to be let in again. */
  introductions = 0;
  /** When the broker has all that it published. */
  publishedAt = 0;
  /** What was given to the application. */
  readonly given = new Set<string>();
  /** What came over the channel. */
  readonly came = new Map<string, Sent>();
  /** Who was revoked here at some time. */
  readonly sawRevoked = new Set<string>();
  /** The last epoch to which somebody was admitted, as far as was known here at any time. */
  readonly admittedAt = new Map<string, number>();
  /** What could not be read when it came. */
  readonly unread = new Set<Uint8Array>();

  constructor(name: string, seed: Uint8Array, topic: Topic) {
    this.name = name;
    this.seed = seed;
    this.topic = topic;
  }

  get key(): string {
    return toHex(this.topic.publicKey);
  }

  get rooted(): Rooted | undefined {
    return internals(this.topic).rooted;
  }

  /** Remembers what the roster says now of everybody. */
  look(): void {
    for (const [participant, { role }] of this.rooted?.roster ?? []) {
      if (role === "revoked") this.sawRevoked.add(participant);
      const before = this.admittedAt.get(participant) ?? 0;
      this.admittedAt.set(participant, Math.max(before, this.rooted?.epochOfAdmission(participant) ?? 0));
    }
  }

  /** Whether it may admit, as far as it knows. */
  get isAdmin(): boolean {
    return this.rooted?.roster.isAdmin(this.key) === true;
  }
}

/** Delivers, drops, delays and repeats. */
class Channel {
  readonly retained = new Map<string, Uint8Array>();
  isRepaired = false;
  readonly #nodes: Node[];
  readonly #receive: (node: Node, wire: Uint8Array) => void;
  drop = 0;
  delay = 0;

  constructor(nodes: Node[], receive: (node: Node, wire: Uint8Array) => void) {
    this.#nodes = nodes;
    this.#receive = receive;
  }

  publish(from: Node, wire: Uint8Array, retain?: string): void {
    if (retain !== undefined) {
      // The broker takes it when it is reached: a client publishes until it is acknowledged, one after the other.
      from.publishedAt = Math.max(from.publishedAt, now() + this.#wait(from));
      later(from.publishedAt - now(), () => this.retained.set(retain, wire));
    }
    for (const node of this.#nodes) this.#send(from, node, wire);
  }

  #wait(from: Node): number {
    return this.isRepaired || (from.isOnline && from.side === 0) ? 0 : random.below(2 * HOUR);
  }

  #send(from: Node, to: Node, wire: Uint8Array): void {
    if (this.isRepaired) {
      later(random.below(50), () => this.#receive(to, wire));
      return;
    }
    const copies = random.chance(this.drop) ? 0 : random.chance(0.1) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const delay = random.chance(0.3) ? random.below(this.delay) : random.below(200);
      later(delay, () => {
        if (to.isOnline && to.side === from.side) this.#receive(to, wire);
      });
    }
  }

  /** What somebody gets who subscribes: in any order. */
  giveRetained(to: Node): void {
    for (const wire of random.shuffle([...this.retained.values()])) {
      later(random.below(100), () => this.#receive(to, wire));
    }
  }
}

export async function run(seed: number, options: Options = {}): Promise<Outcome> {
  // Loading the primitives draws randomness, once.
  if (cryptoBackend() === undefined) await Topic.create();
  begin(seed);
  const nodes: Node[] = [];
  const failures: string[] = [];
  const data: Sent[] = [];
  let rounds = 0;
  const rekeys = { asked: 0, repairs: 0, hostile: 0 };
  const log = (text: string): void => {
    if (options.trace === true) console.log(`${String((now() % 1e9) / 1000).padStart(10)} ${text}`);
  };

  const channel = new Channel(nodes, receive);
  channel.drop = random.pick([0, 0.1, 0.3, 0.6]);
  channel.delay = random.pick([1000, 10 * MINUTE, 5 * HOUR]);

  function publish(node: Node, message: ControlMessage): void {
    channel.publish(node, message.wire, message.name);
  }

  function attempt(node: Node, what: string, act: () => void): void {
    try {
      act();
      log(`${node.name} ${what}`);
    } catch (error) {
      if (!isStringphoneError(error)) throw error;
      log(`${node.name} ${what}: ${error.code} ${error.message}`);
    }
  }

  function listen(node: Node): (event: TopicEvent) => void {
    return (event) => {
      log(
        `${node.name} event ${event.type} ${"reason" in event ? event.reason : ""} ${"epoch" in event ? event.epoch : ""}`,
      );
      node.look();
      if (node.isBad && !channel.isRepaired && random.chance(0.5)) return;
      if (event.type === "rekey-wanted") {
        later(event.delay, () => {
          if (node.topic.rekeyWanted === undefined || (node.isBad && node.rooted?.isRevoked === true)) return;
          attempt(node, "repairs", () => {
            publish(node, node.topic.rekey());
            if (!node.isBad) rekeys.repairs++;
          });
        });
      } else if (event.type === "introduction-wanted") {
        later(event.delay, () => attempt(node, "comes back", () => introduce(node)));
      } else if (event.type === "publish") {
        for (const message of event.messages) publish(node, message);
      } else if (event.type === "expired") {
        for (const name of event.names) channel.retained.delete(name);
      } else if (event.type === "answered") {
        channel.publish(node, event.wire);
      } else if (event.type === "readable") {
        take(node);
      }
    };
  }

  function introduce(node: Node): void {
    node.introductions++;
    channel.publish(node, node.topic.constructIntro());
  }

  function take(node: Node): void {
    for (const { message } of node.topic.decodeKept()) {
      node.given.add(message.text());
      log(`${node.name} reads "${message.text()}" at last`);
    }
  }

  function receive(node: Node, wire: Uint8Array): void {
    const sent = data.find((one) => one.wire === wire);
    if (sent !== undefined && node.rooted !== undefined) node.came.set(sent.text, sent);
    try {
      const received = node.topic.decode(wire);
      if (received !== null) node.given.add(received.text());
      if (sent !== undefined) log(`${node.name} reads "${sent.text}"`);
    } catch (error) {
      if (!isStringphoneError(error)) throw error;
      if ("UNKNOWN_TOPIC_KEY UNTRUSTED_KEY FORBIDDEN".includes(error.code)) node.unread.add(wire);
      if (error.code === "INTRODUCTION") meet(node, error.introduction);
      else if (error.code === "INTRODUCTION_REPLY") {
        const { reply } = error;
        // A device without a screen: it takes the key from an admin whom it knows, and otherwise a person compares.
        const isConfirmed =
          (reply.standing === "member" && reply.isReturning) ||
          nodes.some((one) => one.key === toHex(reply.senderKey) && !one.isBad);
        if (isConfirmed) attempt(node, "takes a reply", () => void node.topic.parseReply(reply));
      } else if (error.code !== "REPLAY") log(`${node.name} got ${error.code} ${sent?.text ?? ""}`);
    }
    checkSending(node);
  }

  /** A person, at the screen of an admin, lets back in who is on the roster as far as the person knows. */
  function meet(
    node: Node,
    introduction: Parameters<Topic["constructReply"]>[0] & { senderKey: Uint8Array; standing: string },
  ): void {
    const newcomer = nodes.find((one) => one.key === toHex(introduction.senderKey));
    if (newcomer === undefined || newcomer === node || !node.isAdmin || !node.isOnline) return;
    if (introduction.standing !== "member") return;
    // Only one of those who take themselves for admins is at hand: another one for the next introduction.
    const atHand = nodes.filter((one) => one !== newcomer && !one.isBad && one.isOnline && one.isAdmin);
    if (atHand[newcomer.introductions % atHand.length] !== node) return;
    const known = node.topic.members.find(({ participant }) => participant.hex === newcomer.key);
    attempt(node, `lets ${newcomer.name} back in`, () => {
      const message = node.topic.admit(introduction, { role: known?.role ?? "publisher" });
      publish(node, message);
      channel.publish(node, node.topic.constructReply(introduction));
    });
  }

  async function make(name: string, answerReturning: boolean): Promise<Node> {
    const seed = new Uint8Array(32);
    globalThis.crypto.getRandomValues(seed);
    const node = { current: undefined as Node | undefined };
    const listener = (event: TopicEvent): void => {
      if (node.current !== undefined) listen(node.current)(event);
    };
    const topic = await Topic.create({ seed, name: NAME, clock: now, grace: GRACE, answerReturning, listener });
    node.current = new Node(name, seed, topic);
    return node.current;
  }

  /** Of each time a person let somebody in again at an honest admin: that admin, and the version above which it says so. */
  const again: { readonly whom: Node; readonly admin: Node; readonly above: number }[] = [];

  function noteAgain(admin: Node, whom: Node): void {
    const { revokedBy } = admin.rooted?.roster.get(whom.key) ?? {};
    if (revokedBy !== undefined && !admin.isBad) again.push({ whom, admin, above: revokedBy.version });
  }

  /** Whether somebody was let in again, and this one has not heard of it. */
  function wasLetInUnheard(whom: Node, { rooted }: Node): boolean {
    const said = (rooted as Rooted).statements.about(whom.key);
    const hasHeard = ({ admin, above }: (typeof again)[number]): boolean =>
      said.some(({ issuer, version }) => issuer === admin.key && version > above);
    return again.some((one) => one.whom === whom && !hasHeard(one));
  }

  /** Introduces a newcomer to an admin, face to face; the answer goes over the channel. */
  function admit(admin: Node, newcomer: Node, role: Role): void {
    const introduction = newcomer.topic.constructIntro();
    attempt(admin, `admits ${newcomer.name} as ${role}`, () => {
      noteAgain(admin, newcomer);
      publish(admin, admin.topic.admit(introduction, { role }));
      const reply = admin.topic.constructReply(introduction);
      if (!nodes.includes(newcomer)) nodes.push(newcomer);
      later(random.chance(0.8) ? 100 : random.below(HOUR), () => receive(newcomer, reply));
    });
  }

  // ——— Who takes part ———

  const count = 3 + random.below(10);
  const adminCount = 1 + random.below(3);
  const rootSeed = new Uint8Array(32);
  globalThis.crypto.getRandomValues(rootSeed);
  const rootHolder = { current: undefined as Node | undefined };
  const rootTopic = await Topic.establish({
    seed: rootSeed,
    name: NAME,
    clock: now,
    grace: GRACE,
    answerReturning: random.chance(0.7),
    listener: (event) => {
      if (rootHolder.current !== undefined) listen(rootHolder.current)(event);
    },
  });
  const root = new Node("root", rootSeed, rootTopic);
  rootHolder.current = root;
  nodes.push(root);
  for (let i = 1; i < count; i++) {
    const isAdmin = i < adminCount;
    const node = await make(isAdmin ? `admin${i}` : `device${i}`, random.chance(0.7));
    admit(root, node, isAdmin ? "admin" : random.chance(0.2) ? "reader" : "publisher");
    pass(1000);
  }
  const admins = nodes.slice(0, adminCount);
  const bad = adminCount > 1 && random.chance(0.7) ? random.pick(admins.slice(1)) : undefined;
  if (bad !== undefined) bad.isBad = true;
  const badIdentity = bad && new Identity(bad.seed);

  // ——— What they do ———

  function honest(): Node[] {
    return nodes.filter((node) => !node.isBad);
  }

  function isOn(roster: { get(key: string): { readonly role: string } | undefined }, key: string): boolean {
    const role = roster.get(key)?.role;
    return role !== undefined && role !== "revoked";
  }

  function speak(node: Node): void {
    const text = `${node.name} ${data.length}`;
    try {
      const wire = node.topic.encode(text);
      const sent = { wire, epoch: node.topic.epoch, sender: node, text };
      data.push(sent);
      if (!node.isBad) checkRemoved(node, text, (whom) => canRead(whom, wire));
      channel.publish(node, wire);
    } catch (error) {
      if (!isStringphoneError(error)) throw error;
      log(`${node.name} cannot speak: ${error.code}`);
    }
  }

  /** Who knows of a removal says nothing any more that the removed one can read. */
  function checkRemoved(node: Node, what: string, isRead: (whom: Node) => boolean): void {
    const roster = node.rooted?.roster;
    if (roster === undefined) return;
    for (const whom of nodes) {
      const { role, revokedBy } = roster.get(whom.key) ?? {};
      // Who only left is not kept out at any price.
      if (role !== "revoked" || revokedBy === undefined || revokedBy.issuer === whom.key) continue;
      if (wasLetInUnheard(whom, node)) continue;
      if (isRead(whom) && unionRoster().get(whom.key)?.revokedBy?.hash === revokedBy.hash) {
        leaks.push(`${whom.name} reads ${what}`);
      }
    }
  }

  /** Nor would it, whenever it spoke. */
  function checkSending(node: Node): void {
    const { sending } = internals(node.topic).keyring;
    if (node.isBad || sending === undefined) return;
    const holds = ({ topic }: Node): boolean => internals(topic).keyring.epoch(sending.id)?.keys !== undefined;
    checkRemoved(node, `what ${node.name} would say in epoch ${sending.number}`, holds);
  }

  function canRead(node: Node, wire: Uint8Array): boolean {
    try {
      node.topic.decode(wire, { naive: true });
      return true;
    } catch (error) {
      if (!isStringphoneError(error)) throw error;
      return false;
    }
  }
  const leaks: string[] = [];

  function honestAct(admin: Node): void {
    const others = nodes.filter((node) => node !== admin);
    switch (random.below(8)) {
      case 0:
        attempt(admin, "rekeys", () => {
          publish(admin, admin.topic.rekey());
          rekeys.asked++;
        });
        break;
      case 1:
      case 2: {
        const whom = random.chance(0.4) && bad !== undefined ? bad : random.pick(others);
        revoke(admin, whom);
        break;
      }
      case 3: {
        const removed = others.filter((node) => admin.rooted?.roster.get(node.key)?.role === "revoked" && !node.isBad);
        if (removed.length > 0) admit(admin, random.pick(removed), "publisher");
        break;
      }
      case 4: {
        const whom = random.pick(others);
        const role = random.pick(["publisher", "reader", "admin"] as const);
        if (admin.rooted?.isMember(whom.key) === true && !whom.isBad) {
          attempt(admin, `makes ${whom.name} a ${role}`, () =>
            publish(admin, admin.topic.admit(whom.topic.publicKey, { role, keep: random.pick(["all", "none"]) })),
          );
        }
        break;
      }
      default:
        speak(admin);
    }
  }

  function revoke(admin: Node, whom: Node): void {
    attempt(admin, `revokes ${whom.name}`, () => {
      publish(admin, admin.topic.revoke(whom.topic.publicKey, { keep: random.pick(["all", "all", "none"]) }));
      rekeys.asked++;
    });
  }

  /** What a bad admin can make: rekeys of any key that it has, to anybody, and statements of any version about anybody. */
  function badAct(node: Node, identity: Identity): void {
    const { rooted, keyring } = internals(node.topic);
    if (rooted === undefined) return;
    const epochs = [...keyring.epochs].filter(({ keys }) => keys !== undefined);
    if (epochs.length === 0) return;
    const chain = (rooted.statements.chainOf(node.key) ?? []).map(({ bytes }) => bytes);
    const statements: Uint8Array[] = [...chain];
    const about = (subject: Node): Uint8Array => {
      const role = random.pick(["revoked", "revoked", "publisher", "admin", "reader"] as const);
      const version = random.chance(0.2) ? 2 ** 48 - 1 : 1 + random.below(8);
      const content = {
        subjectKey: subject.topic.publicKey,
        version,
        role,
        name: "",
        // Whom it names it says that it gave the key of this epoch.
        head: random.chance(0.4) ? commitmentOf(random.pick([...keyring.epochs])) : "",
        wrap: rooted.statements.wrapOf(subject.key),
      };
      return signRole(identity, rooted.topicId, content).bytes;
    };
    const wrapped = (whom: Iterable<string>): Recipient[] =>
      [...whom].flatMap((participant) => {
        const wrap = rooted.statements.wrapOf(participant);
        return wrap === undefined ? [] : [{ identityKey: wrap.identityKey, wrapKey: wrap.wrapKey }];
      });
    const parent = random.chance(0.7) ? epochs.reduce((a, b) => (b.number > a.number ? b : a)) : random.pick(epochs);
    const under = parent.keys?.sendingKey;
    if (under === undefined) return;
    for (let i = random.below(3); i > 0; i--) statements.push(about(random.pick(nodes)));
    let rekey: Uint8Array | undefined;
    let name = toHex(globalThis.crypto.getRandomValues(new Uint8Array(8)));
    if (random.chance(0.8)) {
      const members = [...rooted.roster.members()];
      const whom = random.pick([
        wrapped([node.key]),
        wrapped(members),
        wrapped(members.filter(() => random.chance(0.5))),
        wrapped([...rooted.statements.subjects()]),
        wrapped(members).map(({ identityKey, wrapKey }) => ({
          identityKey,
          wrapKey: random.chance(0.5) ? wrapKey : identityKey,
        })),
      ]);
      const digest = random.chance(0.5) ? rooted.statements.digest : new Uint8Array(32);
      const made = makeRekey(identity, rooted.topicId, under, {
        epoch: parent.number + 1,
        reason: "requested",
        recipients: whom,
        digest,
        statements,
      });
      rekey = formatRekey(made.rekey);
      name = toHex(made.rekey.commitment.subarray(0, 8));
      rekeys.hostile++;
    }
    const session = globalThis.crypto.getRandomValues(new Uint8Array(12));
    const wire = sealControl(under, { session, sequence: 0, context: NAME }, formatControl(statements, rekey));
    log(
      `${node.name} does harm: ${statements.length - chain.length} statements${rekey === undefined ? "" : `, epoch ${parent.number + 1}`}`,
    );
    // It hears itself at once, and others as it likes.
    receive(node, wire);
    if (random.chance(0.7)) channel.publish(node, wire, random.chance(0.8) ? name : undefined);
    else later(100, () => receive(random.pick(nodes), wire));
  }

  let serial = count;
  const steps = 20 + random.below(40);
  for (let step = 0; step < steps; step++) {
    const node = random.pick(nodes);
    const draw = random.below(20);
    if (draw < 7) {
      const able = nodes.filter((one) => one.isAdmin && !one.isBad);
      if (able.length > 0) honestAct(random.pick(able));
    } else if (draw < 10) {
      if (bad !== undefined && badIdentity !== undefined) badAct(bad, badIdentity);
      else speak(node);
    } else if (draw < 14) {
      speak(node);
    } else if (draw === 14) {
      node.isOnline = false;
      log(`${node.name} goes away`);
    } else if (draw === 15) {
      const away = nodes.filter((one) => !one.isOnline);
      if (away.length > 0) {
        const back = random.pick(away);
        back.isOnline = true;
        log(`${back.name} is there again`);
        channel.giveRetained(back);
      }
    } else if (draw === 16) {
      const side = random.chance(0.5) ? 1 : 0;
      for (const one of nodes) one.side = random.chance(0.4) ? side : 0;
      log("the channel is cut in two");
    } else if (draw === 17) {
      attempt(node, "renews its wrap key", () => publish(node, node.topic.renewWrapKey()));
    } else if (draw === 18) {
      attempt(node, "steps its key", () => node.topic.ratchet());
    } else if (nodes.length < 12) {
      const able = nodes.filter((one) => one.isAdmin && !one.isBad && one.isOnline);
      if (able.length > 0) {
        const newcomer = await make(`device${serial++}`, false);
        admit(random.pick(able), newcomer, random.pick(["publisher", "publisher", "reader", "admin"] as const));
      }
    }
    pass(random.pick([0, 100, 5000, MINUTE, 20 * MINUTE, 3 * HOUR]));
  }

  // ——— Repair ———

  log("——— repair ———");
  channel.isRepaired = true;
  for (const node of nodes) {
    node.isOnline = true;
    node.side = 0;
  }
  // Until it is revoked, a bad admin can split the topic, or shut somebody out, again and again. So in the end a root revokes it, if nobody did.
  if (bad !== undefined) revoke(root, bad);
  for (; rounds < MAX_ROUNDS; rounds++) {
    // All are there, so what is published from now on reaches them. Now and then one connects anew.
    if (rounds % 4 === 0) for (const node of nodes) channel.giveRetained(node);
    for (const node of honest()) pairAgain(node);
    pass(rounds < 6 ? 2 * MINUTE : 3 * HOUR);
    if (rounds > 0 && isSettled()) break;
  }
  for (const node of nodes) if (node.rooted !== undefined) take(node);
  check();
  if (rekeys.repairs > 2 * (rekeys.asked + rekeys.hostile) + MOST_REPAIRS) failures.push(`${rekeys.repairs} repairs`);
  return { failures, rekeys, rounds };

  /** Whose pairing failed, because the reply came too late, is paired again by a person: it knows itself only as removed, or not at all. */
  function pairAgain(node: Node): void {
    if (node.rooted?.isRevoked === false) return;
    const isWanted = nodes.some((one) => one.isAdmin && !one.isBad && one.rooted?.isMember(node.key) === true);
    if (isWanted) attempt(node, "pairs again", () => introduce(node));
  }

  /**
   * The roster that follows from all that its members know. Not from what only the removed know: nobody has to hear them. A root is always
   * on it, so what it knows is the beginning.
   */
  function unionRoster(): ReturnType<typeof computeRoster<RoleStatement>> {
    const rootNames = (root.rooted as Rooted).statements.roots;
    let roster = (root.rooted as Rooted).roster;
    const known = new Map<string, RoleStatement>();
    for (;;) {
      for (const { key, rooted } of honest()) {
        if (rooted !== undefined && isOn(roster, key)) for (const one of rooted.statements) known.set(one.hash, one);
      }
      const next = computeRoster(rootNames, known.values(), (a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0));
      if (nodes.every(({ key }) => roster.get(key)?.role === next.get(key)?.role)) return next;
      roster = next;
    }
  }

  function expected(): Node[] {
    const roster = unionRoster();
    return honest().filter(({ key, rooted }) => rooted !== undefined && isOn(roster, key));
  }

  function isSettled(): boolean {
    const members = expected();
    const keys = new Set(members.map(({ topic }) => key(topic)));
    const digests = new Set(members.map(({ rooted }) => toHex((rooted as Rooted).statements.digest)));
    return (
      keys.size === 1 &&
      !keys.has("none") &&
      digests.size === 1 &&
      members.every(({ topic }) => topic.rekeyWanted === undefined)
    );
  }

  /** The epoch that somebody sends under. Generations may differ: all of them are read. */
  function key(topic: Topic): string {
    return internals(topic).keyring.sending?.id ?? "none";
  }

  function check(): void {
    const members = expected();
    const roster = unionRoster();
    if (members.length === 0) failures.push("nobody is left");
    const keys = new Set(members.map(({ topic }) => `${key(topic).slice(0, 8)}@${topic.epoch}`));
    if (keys.size > 1)
      failures.push(
        `split: ${members.map((one) => `${one.name}=${key(one.topic).slice(0, 8)}@${one.topic.epoch}`).join(" ")}`,
      );
    if (members.some(({ topic }) => key(topic) === "none")) failures.push("somebody has no key to send under");
    const digests = new Set(members.map(({ rooted }) => toHex((rooted as Rooted).statements.digest)));
    if (digests.size > 1)
      failures.push(
        `rosters differ: ${members.map((one) => `${one.name}=${toHex((one.rooted as Rooted).statements.digest).slice(0, 8)}`).join(" ")}`,
      );
    for (const member of members) {
      if (member.topic.rekeyWanted !== undefined)
        failures.push(`${member.name} still wants a rekey: ${member.topic.rekeyWanted}`);
    }
    // A first word by everybody, so that all are at the latest generation: who was let in by somebody ahead reads nobody behind.
    for (const speaker of members) {
      if (roster.get(speaker.key)?.role === "reader") continue;
      attempt(speaker, "speaks first", () => {
        const wire = speaker.topic.encode("first word");
        for (const member of members) if (member !== speaker) receive(member, wire);
      });
    }
    for (const speaker of members) {
      const role = roster.get(speaker.key)?.role;
      if (role === "reader") continue;
      let wire: Uint8Array;
      try {
        wire = speaker.topic.encode(`last words of ${speaker.name}`);
      } catch (error) {
        if (!isStringphoneError(error)) throw error;
        failures.push(`${speaker.name} cannot speak: ${error.code}`);
        continue;
      }
      for (const removed of nodes) {
        const standing = roster.get(removed.key)?.role;
        if ((standing === undefined || standing === "revoked") && canRead(removed, wire))
          failures.push(`${removed.name} was removed, and reads ${speaker.name}`);
      }
      for (const member of members) {
        if (member === speaker) continue;
        try {
          if (member.topic.decode(wire) === null) failures.push(`${member.name} ignores ${speaker.name}`);
        } catch (error) {
          if (!isStringphoneError(error)) throw error;
          failures.push(`${member.name} cannot read ${speaker.name}: ${error.code}`);
        }
      }
    }
    for (const member of members) {
      // More is not kept.
      if (member.unread.size > MAX_KEPT_MESSAGES) continue;
      for (const { text, wire, epoch, sender } of member.came.values()) {
        const mayRead = sender !== member && ["admin", "publisher"].includes(roster.get(sender.key)?.role ?? "");
        if (!mayRead || member.given.has(text) || !canRead(member, wire)) continue;
        // What was kept while its sender was revoked is refused for good, unless it was sent in the epoch of its new admission or later.
        if (member.sawRevoked.has(sender.key) && epoch < (member.admittedAt.get(sender.key) ?? 0)) continue;
        failures.push(`${member.name} never got "${text}", and could read it`);
      }
    }
    failures.push(...leaks);
  }
}

const MAX_ROUNDS = 40;
/** Repairs beyond two for each rekey that was asked for or made by the bad one: PROTOCOL §11.6 names this bound. */
const MOST_REPAIRS = 24;
