/**
 * How a newcomer gets the topic key. Both sides wait for a person: the sponsor before it gives the key away, the newcomer
 * before it takes one, since anybody who sees an introduction can answer it with a key of his own.
 */
import {
  type ControlMessage,
  type Introduction,
  isStringphoneError,
  type Participant,
  type Reply,
  type Topic,
} from "stringphone";
import type { Person } from "./person.js";
import { reason, say } from "./screen.js";

/** A person who is asked again and again says yes at last: at most so many devices are shown in one window. */
const MAX_SHOWN = 8;
/** How often one confirmation answers: the reply may be lost on its way. */
const MAX_ANSWERS = 3;
/** How often a newcomer introduces itself: nobody may have listened, and an introduction ends after ten minutes. */
const INTRODUCE_EVERY = 15_000;

/** Publishes what lets somebody in; in a rooted topic, its admission first. */
type LetIn = (introduction: Introduction, reply: Uint8Array, admission: ControlMessage | undefined) => void;

/** The sponsor's side: for some seconds, and for some newcomers, introductions are shown to a person. */
export class PairingWindow {
  /** By fingerprint, the newest introduction of each device that was shown. */
  readonly #shown = new Map<string, Introduction>();
  /** By fingerprint, how often each device was answered that a person confirmed in this window. */
  readonly #answers = new Map<string, number>();
  readonly #closing = new AbortController();
  #until: number;
  readonly #topic: Topic;
  readonly #person: Person;
  readonly #letIn: LetIn;
  #left: number;

  constructor(topic: Topic, person: Person, bounds: { seconds: number; newcomers: number }, letIn: LetIn) {
    this.#topic = topic;
    this.#person = person;
    this.#letIn = letIn;
    this.#left = bounds.newcomers;
    this.#until = performance.now() + bounds.seconds * 1000;
    say("pairing window", `open for ${bounds.seconds} s`, `for at most ${bounds.newcomers} newcomers`);
    const timer = setTimeout(() => this.close(), bounds.seconds * 1000);
    this.#closing.signal.addEventListener("abort", () => clearTimeout(timer));
  }

  get isOpen(): boolean {
    return !this.#closing.signal.aborted;
  }

  /** Refuses everybody who waits, and everybody who comes later. */
  close(): void {
    this.#until = 0;
    this.#stop();
  }

  /** Shows nobody else to the person; who was confirmed may still ask again. */
  #stop(): void {
    if (!this.isOpen) return;
    this.#closing.abort();
    say("pairing window", "closed");
  }

  /** Takes an introduction that `decode` threw. */
  async consider(introduction: Introduction): Promise<void> {
    const { fingerprint, name, standing } = introduction;
    const called = JSON.stringify(name);
    if (standing === "self") return say("refuses", fingerprint, "it has our own identity: was our seed stolen?");
    // Being known is not enough: whoever stole a known device's seed would get the key, unasked. Only a confirmation
    // of these very seconds answers again.
    const answers = this.#answers.get(fingerprint) ?? MAX_ANSWERS;
    if (answers < MAX_ANSWERS && performance.now() < this.#until) return this.#answer(introduction);
    if (!this.isOpen) return say("refuses", fingerprint, `${called}: no pairing window is open`);
    const isNew = !this.#shown.has(fingerprint);
    if (isNew && this.#shown.size >= MAX_SHOWN) return say("refuses", fingerprint, "too many asked in this window");
    this.#shown.set(fingerprint, introduction);
    if (!isNew) return;
    say("asked by", fingerprint, `calls itself ${called}`);
    const question = `Somebody wants the topic key and calls itself ${called}; anybody can choose any name.`;
    const confirmed = await this.#person.confirms(fingerprint, question, this.#closing.signal);
    if (!confirmed || !this.isOpen) return say("refuses", fingerprint, `${called}: nobody confirmed it`);
    this.#answer(this.#shown.get(fingerprint) ?? introduction);
    this.#left -= 1;
    if (this.#left === 0) this.#stop();
  }

  #answer(introduction: Introduction): void {
    try {
      // In a rooted topic everybody learns it from the roster; in others we alone trust it.
      const isRooted = this.#topic.topicId !== undefined;
      const admission = isRooted ? this.#topic.admit(introduction) : undefined;
      if (!isRooted) this.#topic.addParticipant(introduction.senderKey);
      const reply = this.#topic.constructReply(introduction);
      this.#answers.set(introduction.fingerprint, (this.#answers.get(introduction.fingerprint) ?? 0) + 1);
      say("lets in", introduction.fingerprint, `${JSON.stringify(introduction.name)}: a person confirmed it`);
      this.#letIn(introduction, reply, admission);
    } catch (error) {
      // Too old, answered already: the newcomer introduces itself again.
      if (!isStringphoneError(error)) throw error;
      say("no reply", introduction.fingerprint, reason(error));
    }
  }
}

/** What answered our introductions: its key is used when a person confirmed who answers. */
export class Answers {
  /** By fingerprint, the newest reply of each that answered. */
  readonly #newest = new Map<string, Reply>();
  readonly #ending = new AbortController();
  readonly #topic: Topic;
  readonly #person: Person;
  readonly #taken: (reply: Reply) => void;

  constructor(topic: Topic, person: Person, taken: (reply: Reply) => void) {
    this.#topic = topic;
    this.#person = person;
    this.#taken = taken;
  }

  /** Takes a reply that `decode` threw. */
  async consider(reply: Reply): Promise<void> {
    const { fingerprint } = reply;
    const isNew = !this.#newest.has(fingerprint);
    if (isNew && this.#newest.size >= MAX_SHOWN) return;
    this.#newest.set(fingerprint, reply);
    if (!isNew) return;
    say("answered by", fingerprint, "until a person confirms it, its key is not used");
    const question = "Somebody offers a topic key: whoever made it reads all that we send.";
    if (!(await this.#person.confirms(fingerprint, question, this.#ending.signal))) {
      if (!this.#ending.signal.aborted) say("refuses", fingerprint, "nobody confirmed it: its key is not used");
      return;
    }
    try {
      // Ends all introductions of ours, and with it everybody else's chance to answer one.
      this.#topic.parseReply(this.#newest.get(fingerprint) ?? reply);
    } catch (error) {
      // The person took so long that the introduction ended: the next one is answered, and asked about, anew.
      if (!isStringphoneError(error)) throw error;
      this.#newest.delete(fingerprint);
      return say("no key", fingerprint, reason(error));
    }
    this.#taken(reply);
  }

  /** Withdraws what a person is asked. */
  end(): void {
    this.#ending.abort();
  }
}

/** The newcomer's side: introduces itself until a person confirmed who answers. */
export class Joining {
  readonly #answers: Answers;
  readonly #timer: ReturnType<typeof setInterval>;

  /** `joined` gets the sponsor, where there is no roster and it is the only one trusted yet. */
  constructor(topic: Topic, person: Person, introduce: () => void, joined: (sponsor: Participant | undefined) => void) {
    this.#answers = new Answers(topic, person, ({ fingerprint, senderKey }) => {
      // A roster came with the key, or this is the first whom we trust.
      const sponsor = topic.topicId === undefined ? topic.addParticipant(senderKey) : undefined;
      this.end();
      say("has joined", fingerprint, "has the topic key of this sponsor");
      joined(sponsor);
    });
    introduce();
    this.#timer = setInterval(introduce, INTRODUCE_EVERY);
  }

  /** Takes a reply that `decode` threw. */
  consider(reply: Reply): Promise<void> {
    return this.#answers.consider(reply);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#answers.end();
  }
}
