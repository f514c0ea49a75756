/** Whom this program reads: the pins, and who is on the roster (PROTOCOL §8). Keyed by the whole public key, never by an id alone. */
import { copyBytes, expectBytes, toHex } from "./bytes.js";
import { expectIdentityKey, Participant } from "./identity.js";
import { ID_BYTES, KEY_BYTES, MAX_PARTICIPANTS } from "./limits.js";
import type { Role } from "./roster.js";

/** Somebody on the roster of a rooted topic. */
export interface Member {
  readonly participant: Participant;
  readonly role: Role;
  /** What the admin who admitted it called it; for people. */
  readonly name: string;
  /** 0 for a root; otherwise one more than that of whoever decided. The smaller, the more it may decide. */
  readonly rank: number;
}

/** Who is on the roster, by the hint that a message bears. */
export class Members {
  #byHint = new Map<string, Participant[]>();
  #list: readonly Member[] = [];
  #roster: object | undefined;

  /** Takes the members of a roster, unless it is the one that they were taken of before. */
  follow(roster: object, list: () => readonly Member[]): void {
    if (roster === this.#roster) return;
    this.#roster = roster;
    this.#set(list());
  }

  #set(members: readonly Member[]): void {
    this.#list = Object.freeze(members);
    this.#byHint = new Map();
    for (const { participant } of members) {
      this.#byHint.set(participant.hint, [...(this.#byHint.get(participant.hint) ?? []), participant]);
    }
  }

  get list(): readonly Member[] {
    return this.#list;
  }

  withHint(hint: string): readonly Participant[] {
    return this.#byHint.get(hint) ?? NOBODY;
  }
}

const NOBODY: readonly Participant[] = [];

/** A public key (32 bytes) or an id (16 bytes), as a caller names a participant. */
export function expectKeyOrId(name: string, value: unknown): Uint8Array {
  const bytes = expectBytes(name, value);
  if (bytes.length !== KEY_BYTES && bytes.length !== ID_BYTES) {
    throw new RangeError(
      `"${name}" expected a public key of ${KEY_BYTES} bytes or an id of ${ID_BYTES}, got length=${bytes.length}`,
    );
  }
  return bytes;
}

export class Pins {
  readonly #byKey = new Map<string, Participant>();
  /** By the hint that a message bears. Several may share one, by chance or malice: all are tried. */
  readonly #byHint = new Map<string, readonly Participant[]>();

  /** Pins a public key. A second time changes nothing. */
  add(publicKey: Uint8Array): Participant {
    const key = copyBytes("publicKey", publicKey, KEY_BYTES);
    const known = this.#byKey.get(toHex(key));
    if (known !== undefined) return known;
    expectIdentityKey(key);
    if (this.#byKey.size >= MAX_PARTICIPANTS) {
      throw new RangeError(`expected at most ${MAX_PARTICIPANTS} participants: remove some first`);
    }
    return this.#add(key);
  }

  /** Pins those again whose keys were checked when they were pinned first. */
  restore(publicKeys: readonly Uint8Array[]): void {
    for (const key of publicKeys) this.#add(new Uint8Array(key));
  }

  #add(key: Uint8Array): Participant {
    const participant = new Participant(key);
    this.#byKey.set(participant.hex, participant);
    this.#byHint.set(participant.hint, [...this.withHint(participant.hint), participant]);
    return participant;
  }

  /** Removes whoever has this public key (32 bytes) or this id (16 bytes). Says whether somebody did. */
  remove(keyOrId: Uint8Array): boolean {
    const hex = toHex(expectKeyOrId("participant", keyOrId));
    const matches = this.list().filter((one) => one.hex === hex || toHex(one.id) === hex);
    for (const match of matches) {
      this.#byKey.delete(match.hex);
      const others = this.withHint(match.hint).filter((one) => one !== match);
      if (others.length > 0) this.#byHint.set(match.hint, others);
      else this.#byHint.delete(match.hint);
    }
    return matches.length > 0;
  }

  has(publicKey: Uint8Array): boolean {
    return this.#byKey.has(toHex(publicKey));
  }

  withHint(hint: string): readonly Participant[] {
    return this.#byHint.get(hint) ?? NOBODY;
  }

  /** All of them, in the order in which they were pinned; the list is the caller's. */
  list(): Participant[] {
    return [...this.#byKey.values()];
  }
}
