/** What one may come back with, of each epoch whose key became known (PROTOCOL §12.5). */
import { wipe } from "./bytes.js";
import { isTime } from "./clock.js";
import { MAX_REJOIN_SECRETS, REJOIN_LIFETIME } from "./limits.js";

/** A secret of an epoch, and who had it. */
export interface RejoinSecret {
  /** Of the epoch. */
  readonly id: string;
  readonly epoch: number;
  readonly secret: Uint8Array;
  /** First 8 bytes of the ids of those to whom the rekey wrapped it. */
  readonly recipients: Uint8Array;
  readonly issuer: string | undefined;
  /** By the clock when it became known, 0 where there was none. */
  readonly since: number;
}

export class RejoinSecrets {
  /** The newest last. */
  #secrets: RejoinSecret[] = [];

  /** Takes the secret as its own. One of the same epoch stays, unless this one is `proven`: then that was made up, or is the same. */
  add(secret: RejoinSecret, isProven: boolean): void {
    const known = this.of(secret.id);
    if (known === undefined) {
      this.#secrets.push(secret);
      return;
    }
    if (isProven) known.secret.set(secret.secret);
    wipe(secret.secret);
  }

  /** That of an epoch. */
  of(id: string | undefined): RejoinSecret | undefined {
    return this.#secrets.find((one) => one.id === id);
  }

  get newest(): RejoinSecret | undefined {
    return this.#secrets.at(-1);
  }

  /** All of epochs with this number. */
  numbered(epoch: number): readonly RejoinSecret[] {
    return this.#secrets.filter((one) => one.epoch === epoch);
  }

  /**
   * Wipes those that are too old by the clock, or too many, but for that of the epoch that counts: it is handed on, however old it is. One
   * that became known without a clock is as old as the first time that is known after it.
   */
  drop(clock: number, counts: string | undefined): void {
    if (isTime(clock)) this.#secrets = this.#secrets.map((one) => (isTime(one.since) ? one : { ...one, since: clock }));
    const all = this.#secrets;
    const excess = all.length - MAX_REJOIN_SECRETS;
    this.#secrets = all.filter(({ id, since }, i) => id === counts || (i >= excess && clock - since < REJOIN_LIFETIME));
    for (const one of all) if (!this.#secrets.includes(one)) wipe(one.secret);
  }

  wipe(): void {
    wipe(...this.#secrets.map(({ secret }) => secret));
    this.#secrets = [];
  }

  saved(): readonly RejoinSecret[] {
    return this.#secrets;
  }

  restore(saved: readonly RejoinSecret[]): void {
    this.#secrets = [...saved];
  }
}
