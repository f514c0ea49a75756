/**
 * Who left the roster, and which epochs' issuers knew of it (PROTOCOL §11.5): to whom an admin who did not know may have given a key. What is
 * known at a time is named by the digest of the statements then, in a row of all digests that there were.
 */
import { toHex } from "./bytes.js";
import { byName, type Epoch, type Keyring } from "./keyring.js";
import { MAX_DIGESTS } from "./limits.js";
import type { StatementSet } from "./statement-set.js";

/** Our last rekey with a removal in it. */
export interface Removal {
  readonly id: string;
  /** How many digests there were before it. */
  digest: number;
  /** The epoch that counted last whose issuer knew of it. */
  knownIn: string | undefined;
}

export interface SavedDepartures {
  readonly digests: readonly string[];
  readonly digestsBefore: number;
  /** Who left the roster: since which digest. */
  readonly departed: readonly (readonly [participant: string, digest: number])[];
  readonly removal: Readonly<Removal> | undefined;
}

export class Departures {
  readonly #statements: StatementSet;
  readonly #keyring: Keyring;
  /** What our statements were called, the newest last. */
  #digests: string[] = [];
  /** How many digests were forgotten. */
  #digestsBefore = 0;
  /** Who is on the roster, as far as conclusions were drawn. */
  #present = new Set<string>();
  /**
   * Who is not on the roster any more, or never was as far as is known here, though an admin says that it was removed: since which of our
   * digests, counted from the first. An epoch whose issuer knew less may be one that it was given the key of.
   */
  readonly #departed = new Map<string, number>();
  /** Of who is not on the roster, the heads that admins named when that was last looked at. */
  readonly #headsNoted = new Map<string, ReadonlySet<string>>();
  /** Whether that was done since what admins say changed. */
  #isNoted = false;
  #removal: Removal | undefined;

  constructor(statements: StatementSet, keyring: Keyring) {
    this.#statements = statements;
    this.#keyring = keyring;
  }

  /** Remembers what our statements are called now, and says it. */
  noteDigest(): string {
    const digest = toHex(this.#statements.digest);
    if (this.#digests.at(-1) !== digest) {
      this.#digests.push(digest);
      this.#isNoted = false;
    }
    const excess = this.#digests.length - MAX_DIGESTS;
    if (excess > 0) {
      this.#digests.splice(0, excess);
      this.#digestsBefore += excess;
      if (this.#removal !== undefined) this.#removal.digest = Math.max(0, this.#removal.digest - excess);
    }
    return digest;
  }

  /**
   * What the issuer of the epoch that counts knew is one of the last things that we knew ourselves: that is so for ever, and the digests are
   * forgotten. The same of those before it, which may never have counted here: who goes on from them knows no less. Says whether it is so of
   * that issuer itself.
   */
  noteAgreement(winner: Epoch): boolean {
    let isAgreed = false;
    for (const epoch of this.#keyring.withAncestors(winner)) {
      if (epoch.head === undefined) continue;
      const at = this.#digests.lastIndexOf(toHex(epoch.head.digest));
      if (at < 0) continue;
      epoch.agreedAt = this.#digestsBefore + at;
      if (epoch !== winner) continue;
      isAgreed = true;
      if (this.#removal !== undefined && at >= this.#removal.digest) this.#removal.knownIn = epoch.id;
    }
    return isAgreed;
  }

  /** Notes who is not on the roster any more, since our latest digest; and who is again. */
  note(): void {
    this.noteDigest();
    const present = new Set(this.#statements.roster.members());
    const at = this.#digestsBefore + this.#digests.length - 1;
    for (const participant of this.#present) {
      if (!present.has(participant)) this.#departed.set(participant, at);
    }
    // Who never was here as far as we know may have been given keys all the same: what admins say of it names others than before.
    for (const participant of this.#isNoted ? [] : this.#statements.subjects()) {
      if (present.has(participant)) continue;
      const [heads, known] = [this.#headsOf(participant), this.#headsNoted.get(participant)];
      if (heads.some((head) => known?.has(head) !== true)) this.#departed.set(participant, at);
      this.#headsNoted.set(participant, new Set(heads));
    }
    this.#isNoted = true;
    for (const participant of present) this.#departed.delete(participant);
    for (const table of [this.#departed, this.#headsNoted]) {
      for (const participant of table.keys()) if (!this.#statements.knows(participant)) table.delete(participant);
    }
    this.#present = present;
  }

  /** The epochs of which admins say that somebody was given the key, by their commitments; empty where one knows of none. */
  #headsOf(participant: string): string[] {
    return this.#statements
      .about(participant)
      .filter(({ issuer }) => issuer !== participant && this.#statements.roster.isAdmin(issuer))
      .map(({ head }) => head);
  }

  /**
   * Statements with these names came with an epoch when it became known: whoever sends under it knows who left by them. When they come again,
   * they may count again for somebody who was back in between, of which those who send under it know nothing.
   */
  noteTold(epoch: Epoch, names: ReadonlySet<string>): void {
    this.note();
    for (const participant of this.#statements.outBy(names)) {
      const departed = this.#departed.get(participant);
      if (departed !== undefined) epoch.told.set(participant, departed);
    }
  }

  /**
   * Says of each whether it left the roster, and may have been given the key of an epoch by an admin who did not know that: the issuer of
   * the epoch, and of those before it, did not know of it, as far as can be told.
   */
  whoMayHaveBeenGiven(epoch: Epoch): (participant: string) => boolean {
    let known = -1;
    const told: ReadonlyMap<string, number>[] = [];
    for (const at of this.#keyring.withAncestors(epoch)) {
      known = Math.max(known, at.agreedAt ?? -1);
      if (at.told.size > 0) told.push(at.told);
    }
    return (participant) => {
      const departed = this.#departed.get(participant);
      if (departed === undefined || departed <= known) return false;
      return !told.some((one) => one.get(participant) === departed);
    };
  }

  /** Notes a rekey of ours, before its digest: with a removal in it, or after one, which it then stands for. */
  noteOwnRekey({ id }: Epoch, isRemoval: boolean): void {
    if (!isRemoval && this.#removal === undefined) return;
    this.#removal = { id, digest: this.#digests.length, knownIn: undefined };
  }

  /** Whether the epoch that counts is none that our last removal led to, and its issuer may not know of it. */
  isRemovalLost(winner: Epoch): boolean {
    const removal = this.#removal;
    if (removal === undefined) return false;
    for (const { id } of this.#keyring.withAncestors(winner)) if (id === removal.id) return false;
    return removal.knownIn !== winner.id;
  }

  saved(): SavedDepartures {
    return {
      digests: this.#digests,
      digestsBefore: this.#digestsBefore,
      departed: [...this.#departed].sort(byName),
      removal: this.#removal,
    };
  }

  /** Takes back what was saved, after the statements. */
  restore(saved: SavedDepartures): void {
    this.#digests = [...saved.digests];
    this.#digestsBefore = saved.digestsBefore;
    for (const [participant, digest] of saved.departed) this.#departed.set(participant, digest);
    this.#present = new Set(this.#statements.roster.members());
    for (const participant of this.#statements.subjects()) {
      if (!this.#present.has(participant)) this.#headsNoted.set(participant, new Set(this.#headsOf(participant)));
    }
    this.#removal = saved.removal && { ...saved.removal };
  }
}
