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
  /** Whether it follows from a key that was opened or given in generation 0: otherwise the admin that told it may have made it up. */
  readonly isProven: boolean;
  /** By the clock when it became known, 0 where there was none. */
  readonly since: number;
}

export class RejoinSecrets {
  /** The newest last. */
  #secrets: RejoinSecret[] = [];

  /** Takes the secret as its own. It takes the place of one of the same epoch, unless that is proven. */
  add(secret: RejoinSecret): void {
    const i = this.#secrets.findIndex(({ id }) => id === secret.id);
    const known = this.#secrets[i];
    if (known === undefined) this.#secrets.push(secret);
    else if (known.isProven) wipe(secret.secret);
    else {
      this.#secrets[i] = { ...known, secret: secret.secret, isProven: secret.isProven };
      wipe(known.secret);
    }
  }

  /** That of an epoch. */
  of(id: string | undefined): RejoinSecret | undefined {
    return this.#secrets.find((one) => one.id === id);
  }

  /** Of an issuer that counts, if there is one. */
  newest(counts: (issuer: string | undefined) => boolean): RejoinSecret | undefined {
    return this.#secrets.filter(({ issuer }) => counts(issuer)).at(-1) ?? this.#secrets.at(-1);
  }

  /** All of epochs with this number. */
  numbered(epoch: number): readonly RejoinSecret[] {
    return this.#secrets.filter((one) => one.epoch === epoch);
  }

  /**
   * Wipes those that are too old by the clock, but for that of the epoch `winner`: it is handed on, however old it is. One that became
   * known without a clock is as old as the first time that is known after it.
   */
  expire(clock: number, winner: string | undefined): void {
    if (isTime(clock)) this.#secrets = this.#secrets.map((one) => (isTime(one.since) ? one : { ...one, since: clock }));
    const all = this.#secrets;
    this.#secrets = all.filter(({ id, since }) => id === winner || clock - since < REJOIN_LIFETIME);
    for (const one of all) if (!this.#secrets.includes(one)) wipe(one.secret);
  }

  /**
   * Wipes those that are too many, but for that of the epoch `winner`: the oldest of issuers that do not count, then of the issuer that has
   * the most. Otherwise one admin could push out what others come back by.
   */
  trim(winner: string | undefined, counts: (issuer: string | undefined) => boolean): void {
    for (;;) {
      const others = this.#secrets.filter(({ id }) => id !== winner);
      if (others.length <= MAX_REJOIN_SECRETS) return;
      const sizes = new Map<string | undefined, number>();
      for (const { issuer } of others) sizes.set(issuer, (sizes.get(issuer) ?? 0) + 1);
      const most = Math.max(...sizes.values());
      const weakest =
        others.find(({ issuer }) => !counts(issuer)) ?? others.find(({ issuer }) => sizes.get(issuer) === most);
      this.#secrets = this.#secrets.filter((one) => one !== weakest);
      wipe(weakest?.secret);
    }
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
