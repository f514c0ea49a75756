/**
 * Who is who. Trust is local: each program decides for itself whom it reads, and the topic key alone makes nobody trusted.
 * So that not every pair must compare fingerprints, the sponsor signs a list of those whom a person let in, and the
 * newcomers, who trust the sponsor, add them.
 */
import { type Introduction, isStringphoneError, type Participant, type Topic } from "stringphone";
import { reason, say } from "./screen.js";

interface Member {
  readonly name: string;
  /** Ed25519 public key in base64. */
  readonly key: string;
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

/** A trusted sender can still send another shape. */
function parseMembers(value: unknown): Member[] | undefined {
  const list: unknown = typeof value === "object" && value !== null && "members" in value ? value.members : undefined;
  return Array.isArray(list) && list.every(isMember) ? list : undefined;
}

function isMember(value: unknown): value is Member {
  if (typeof value !== "object" || value === null || !("name" in value && "key" in value)) return false;
  return (
    typeof value.name === "string" && typeof value.key === "string" && Buffer.from(value.key, "base64").length === 32
  );
}

export class Members {
  /** By public key in base64, what each is called. Whoever made the list chose the names: no newcomer can take another's. */
  readonly #names = new Map<string, string>();
  readonly #topic: Topic;

  constructor(topic: Topic, ownName: string) {
    this.#topic = topic;
    this.#names.set(toBase64(topic.publicKey), ownName);
  }

  nameOf(participant: Participant): string {
    return this.#names.get(toBase64(participant.publicKey)) ?? participant.fingerprint;
  }

  /** The sponsor's list with one more, as JSON. */
  with(introduction: Introduction): string {
    const { senderKey, name, fingerprint } = introduction;
    const isFree = name !== "" && ![...this.#names.values()].includes(name);
    // Whoever asks again, because a reply was lost, keeps its name.
    if (!this.#names.has(toBase64(senderKey))) this.#names.set(toBase64(senderKey), isFree ? name : fingerprint);
    return JSON.stringify({ members: [...this.#names].map(([key, name]) => ({ name, key })) });
  }

  /** A newcomer takes its sponsor's list. Call it with nobody else's: whoever writes the list decides whom we trust. */
  take(list: unknown): void {
    const members = parseMembers(list);
    if (members === undefined) {
      say("ignores", "a list of members", "of another shape");
      return;
    }
    for (const { name, key } of members) {
      const publicKey = Buffer.from(key, "base64");
      const isNew = !this.#names.has(key);
      this.#names.set(key, name);
      if (!isNew) continue;
      try {
        const participant = this.#topic.addParticipant(publicKey);
        say("trusts", participant.fingerprint, `${JSON.stringify(name)}, as its sponsor says`);
      } catch (error) {
        if (!isStringphoneError(error)) throw error;
        say("ignores", JSON.stringify(name), reason(error));
      }
    }
  }
}
