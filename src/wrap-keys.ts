/** Our own wrap keys (PROTOCOL §10.3): the newest, and those before it that a rekey may still be wrapped to. */
import { equalBytes, wipe } from "./bytes.js";
import { diffieHellmanKeyPair } from "./crypto.js";
import type { Identity } from "./identity.js";
import { MAX_STATEMENT_VERSION, MAX_WRAP_KEYS } from "./limits.js";
import type { WrapKeyPair } from "./rekey.js";
import { signWrap, type WrapStatement } from "./statements.js";

interface OwnWrapKey extends WrapKeyPair {
  readonly version: number;
  /** Running time since which a newer one is in use. */
  replacedAt: number | undefined;
}

export interface SavedWrapKey {
  readonly secretKey: Uint8Array;
  readonly version: number;
  /** Milliseconds since a newer one is in use. */
  readonly replaced: number | undefined;
}

export class WrapKeys {
  /** The newest first. */
  #keys: OwnWrapKey[] = [];

  /** All that a wrap for us may need, the newest first. */
  get pairs(): readonly WrapKeyPair[] {
    return this.#keys;
  }

  /** The statement of the newest, which is made where there is none. A later one has a greater version. */
  statement(identity: Identity, name: string, atLeast: number): WrapStatement {
    const key = this.#keys[0] ?? this.#make(atLeast);
    return signWrap(identity, name, key.publicKey, key.version);
  }

  /** Makes another wrap key the newest. */
  renew(atLeast: number): void {
    this.#make(atLeast);
    for (const dropped of this.#keys.splice(MAX_WRAP_KEYS)) wipe(dropped.secretKey);
  }

  #make(atLeast: number): OwnWrapKey {
    const version = Math.min(Math.max(atLeast, (this.#keys[0]?.version ?? 0) + 1), MAX_STATEMENT_VERSION);
    const made = { ...diffieHellmanKeyPair(), version, replacedAt: undefined };
    this.#keys.unshift(made);
    return made;
  }

  /** Whether a statement in our name is of a key that we made. */
  made({ wrapKey }: WrapStatement): boolean {
    return this.#keys.some(({ publicKey }) => equalBytes(publicKey, wrapKey));
  }

  /** A rekey to this one of ours was opened or made: those before it begin their grace. */
  used(publicKey: Uint8Array | undefined, now: number): void {
    const at = this.#keys.findIndex((own) => publicKey !== undefined && equalBytes(own.publicKey, publicKey));
    if (at >= 0) for (const older of this.#keys.slice(at + 1)) older.replacedAt ??= now;
  }

  expire(now: number, grace: number): void {
    this.#keys = this.#keys.filter((key) => {
      if (key.replacedAt === undefined || now - key.replacedAt < grace) return true;
      wipe(key.secretKey);
      return false;
    });
  }

  nextExpiry(grace: number): number | undefined {
    const times = this.#keys.flatMap(({ replacedAt }) => (replacedAt === undefined ? [] : [replacedAt + grace]));
    return times.length === 0 ? undefined : Math.min(...times);
  }

  wipe(): void {
    for (const { secretKey } of this.#keys) wipe(secretKey);
    this.#keys = [];
  }

  saved(now: number): SavedWrapKey[] {
    return this.#keys.map(({ secretKey, version, replacedAt }) => ({
      secretKey: new Uint8Array(secretKey),
      version,
      replaced: replacedAt === undefined ? undefined : now - replacedAt,
    }));
  }

  restore(saved: readonly SavedWrapKey[], now: number): void {
    this.#keys = saved.map(({ secretKey, version, replaced }) => ({
      ...diffieHellmanKeyPair(new Uint8Array(secretKey)),
      version,
      replacedAt: replaced === undefined ? undefined : now - replaced,
    }));
  }
}
