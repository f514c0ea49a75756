/**
 * A rooted topic as one participant sees it: which epoch counts, what follows from a statement, a rekey or a
 * reply, and what is missing (PROTOCOL §10 to §12). Nothing here knows messages, and nothing is sent from here.
 */
import { equalBytes, fromHex, toHex, wipe } from "./bytes.js";
import { hash, kdf, randomBytes } from "./crypto.js";
import {
  DependantsError,
  ForbiddenError,
  ForeignReplyError,
  MalformedMessageError,
  MissingTopicKeyError,
  UntrustedKeyError,
} from "./errors.js";
import type { RekeyWant } from "./events.js";
import { Generations } from "./generations.js";
import { expectIdentityKey, type Identity, Participant } from "./identity.js";
import type { Epoch, FoundKey, Keyring } from "./keyring.js";
import {
  KEY_BYTES,
  MAX_DIGESTS,
  MAX_EPOCH,
  MAX_REJOIN_SECRETS,
  MAX_REPUBLISHED,
  MAX_RETAINED_NAMES,
  MAX_STATEMENT_VERSION,
  REJOIN_LIFETIME,
  SENDER_HINT_BYTES,
} from "./limits.js";
import type { Member } from "./participants.js";
import {
  formatHead,
  formatRekey,
  headOf,
  makeRekey,
  openRekey,
  parseHead,
  parseRekey,
  type Rekey,
  type RekeyHead,
  type RekeyReason,
  verifyHead,
} from "./rekey.js";
import type { Role, Roster } from "./roster.js";
import { NOTHING_STAGED, type SavedStatements, type Staged, StatementSet } from "./statement-set.js";
import {
  formatRenewal,
  isRoleStatement,
  parseStatement,
  type RoleStatement,
  signRole,
  statementHash,
  type WrapStatement,
} from "./statements.js";
import { TopicKey } from "./topic-key.js";
import type { WrapKeys } from "./wrap-keys.js";

/** Of those whose role rests on somebody who is an admin no more: who keeps it. `undefined` where nobody said. */
export type Keep = "all" | "none" | ReadonlySet<string> | undefined;

/** What a control message carries, before it is sealed. */
export interface Control {
  /** The retained message takes the place of one with this name. */
  readonly name: string;
  readonly statements: readonly Uint8Array[];
  readonly rekey: Uint8Array | undefined;
  /** What it is sealed under. */
  readonly under: TopicKey;
}

/** What somebody with our key needs to take part. */
export interface Handover {
  readonly epoch: number;
  readonly generation: number;
  readonly topicKey: Uint8Array;
  readonly salt: Uint8Array;
  readonly roots: readonly Uint8Array[];
  readonly statements: readonly Uint8Array[];
  /** The commitment of a topic's first key, or the head of the rekey that started the epoch. */
  readonly head: Uint8Array;
  readonly rejoinSecret: Uint8Array;
}

/** What happened, for the application. */
export type Change =
  /** A key is known that was not. */
  | { readonly type: "key" }
  | { readonly type: "epoch"; readonly epoch: Epoch; readonly reason: RekeyReason | undefined }
  | {
      readonly type: "standing";
      readonly participant: string;
      readonly role: Role | "revoked";
      readonly statement: RoleStatement | undefined;
      readonly by: Participant | undefined;
    }
  | { readonly type: "bad-rekey"; readonly issuerKey: Uint8Array; readonly epoch: number }
  | { readonly type: "seed-stolen"; readonly wrapKey: Uint8Array }
  /** Nobody needs what is retained under these names any more. */
  | { readonly type: "expired"; readonly names: readonly string[] };

/** What one may come back with: a secret of an epoch, and who had it. */
export interface RejoinSecret {
  readonly id: string;
  readonly epoch: number;
  readonly secret: Uint8Array;
  /** First 8 bytes of the ids of those to whom it was wrapped. */
  readonly recipients: Uint8Array;
  readonly issuer: string | undefined;
  /** By the clock. */
  readonly since: number;
}

export interface SavedRooted {
  readonly salt: Uint8Array;
  readonly roots: readonly Uint8Array[];
  readonly statements: SavedStatements;
  readonly winner: string | undefined;
  readonly rejoinSecrets: readonly RejoinSecret[];
  readonly handed: readonly (readonly [string, readonly string[]])[];
  readonly digests: readonly string[];
  readonly settled: readonly string[];
  readonly unsettled: readonly Readonly<Unsettled>[];
  /** Who was on the roster since the epoch that counts does, and is no more. */
  readonly seen: readonly string[];
  readonly removal: { readonly id: string; readonly digest: number } | undefined;
}

/** A statement that others may not know. */
export interface Unsettled {
  readonly bytes: Uint8Array;
  /** Whether it was published under the epoch that counts, by us or by somebody else. */
  isSpread: boolean;
}

/** A handover that was checked. */
export interface CheckedHandover {
  readonly given: Handover;
  readonly staged: Staged;
  readonly head: RekeyHead | undefined;
}

export function topicIdOf(salt: Uint8Array, roots: readonly Uint8Array[]): Uint8Array {
  return hash("topicId", roots, salt);
}

function hintAt(recipients: Uint8Array, at: number): string {
  return toHex(recipients.subarray(at, at + SENDER_HINT_BYTES));
}

function hintsOf(recipients: Uint8Array): Set<string> {
  const hints = new Set<string>();
  for (let at = 0; at < recipients.length; at += SENDER_HINT_BYTES) hints.add(hintAt(recipients, at));
  return hints;
}

const participants = new Map<string, Participant>();
const MOST_PARTICIPANTS = 65_536;

/** The participant with this public key, in hex. Made once: its id is a hash. */
export function participantOf(hex: string): Participant {
  let participant = participants.get(hex);
  if (participant === undefined) {
    participant = new Participant(fromHex(hex));
    if (participants.size >= MOST_PARTICIPANTS) participants.delete(participants.keys().next().value as string);
    participants.set(hex, participant);
  }
  return participant;
}

function hintOf(hex: string): string {
  return toHex(Participant.hintOf(participantOf(hex)));
}

export class Rooted {
  readonly topicId: Uint8Array;
  readonly salt: Uint8Array;
  readonly roots: readonly Uint8Array[];
  readonly statements: StatementSet;
  readonly #identity: Identity;
  readonly #self: string;
  readonly #keyring: Keyring;
  readonly #wrapKeys: WrapKeys;
  #winner: Epoch | undefined;
  #rejoinSecrets: RejoinSecret[] = [];
  /** Whom we gave the key of an epoch in a reply. */
  readonly #handed = new Map<string, Set<string>>();
  /** What our statements were called, the newest last. */
  #digests: string[] = [];
  /** Epochs of which an admin told us all that it knew. */
  readonly #settled = new Set<string>();
  /** What others may not know: since the last time that the issuer of the epoch that counts knew just what we did. */
  readonly #unsettled = new Map<string, Unsettled>();
  /** Who was on the roster at any time since the epoch that counts does: each of them may have been given its key, by whomever. */
  readonly #seen = new Set<string>();
  /** Under which epoch the statements that are retained were sealed last, by the names that they are retained under. */
  readonly #sealedUnder = new Map<string, string>();
  /** Our last rekey with a removal in it, and how many digests there were before it. */
  #removal: { id: string; digest: number } | undefined;

  constructor(
    place: { identity: Identity; name: string; keyring: Keyring; wrapKeys: WrapKeys },
    topic: { salt: Uint8Array; roots: readonly Uint8Array[] },
  ) {
    this.salt = topic.salt;
    this.roots = topic.roots;
    this.topicId = topicIdOf(topic.salt, topic.roots);
    this.#identity = place.identity;
    this.#self = place.identity.participant.hex;
    this.#keyring = place.keyring;
    this.#wrapKeys = place.wrapKeys;
    this.statements = new StatementSet({ topicId: this.topicId, name: place.name }, topic.roots.map(toHex));
  }

  get roster(): Roster<RoleStatement> {
    return this.statements.roster;
  }

  /** The epoch that counts, whether it can be opened or not. */
  get winner(): Epoch | undefined {
    return this.#winner;
  }

  /** Everybody on the roster, by rank. */
  members(): Member[] {
    const members: Member[] = [];
    for (const [hex, { role, rank, statement }] of this.roster) {
      if (role !== "revoked")
        members.push({ participant: participantOf(hex), role, name: statement?.name ?? "", rank });
    }
    return members;
  }

  /** Whether anything is said of somebody with this hint, the key of a table. */
  knowsHint(hint: string): boolean {
    for (const subject of this.statements.subjects()) if (participantOf(subject).hint === hint) return true;
    return false;
  }

  /** Whether we were on the roster, and are no more. */
  get isRevoked(): boolean {
    return this.roster.get(this.#self)?.role === "revoked";
  }

  /** Whether somebody is on the roster. */
  isMember(participant: string): boolean {
    return isOn(this.roster, participant);
  }

  /** Begins the topic's first epoch. */
  begin(key: Uint8Array, wrap: WrapStatement, clock: number): void {
    const epoch = this.#keyring.addFirst(key);
    this.statements.add(this.statements.stage([formatRenewal(wrap)]));
    this.#rememberRejoin(epoch, key, clock);
    this.#settle(0);
  }

  // ——— What we say ———

  /**
   * Says what somebody may do. Who is made less than an admin was one: what it said is to be said again, and an epoch starts.
   *
   * @param content.keep of those whose role rests on such a one: who keeps it
   * @throws ForbiddenError when that is not ours to say
   */
  admit(
    subjectKey: Uint8Array,
    content: { role: Role; name: string; wrap: WrapStatement | undefined; keep: Keep },
    clock: number,
    now: number,
  ): { control: Control; changes: Change[] } {
    const subject = toHex(subjectKey);
    this.#expectMaySpeak(subject, `give anybody a role`);
    const under = this.#usableKey();
    const { role, name, wrap = this.statements.wrapOf(subject) } = content;
    const head = this.#winner?.id ?? "";
    const known = this.roster.get(subject);
    if (known !== undefined && known.role === role && this.#isBeyondUs(known.rank)) {
      // It has this role by somebody whom ours could not outdo. Only its wrap key is news, where it has a new one.
      if (wrap !== undefined) return this.announceWrapKey(wrap, now);
    }
    const version = this.#nextVersion(subject);
    const signed = signRole(this.#identity, this.topicId, { subjectKey, version, role, name, head, wrap });
    const staged = this.statements.stage([signed.bytes]);
    const after = this.statements.rosterWith(staged).get(subject);
    if (after?.statement?.hash !== signed.hash && !this.statements.roots.includes(subject)) {
      throw new ForbiddenError(
        `somebody of a smaller rank than ours, or the participant itself, says otherwise: ask an admin of a smaller rank`,
      );
    }
    if (role !== "admin" && this.roster.isAdmin(subject) && !this.statements.roots.includes(subject)) {
      return this.#issue(this.#stageWithout(subject, signed, content.keep), "removal", clock, now);
    }
    const changes = this.#add(staged, now);
    return { control: this.#statementControl(signed, under), changes };
  }

  /**
   * Says that somebody has no role any more, and starts an epoch without it.
   *
   * @param keep of those whose role rests on an admin that is revoked: who keeps it
   */
  revoke(subjectKey: Uint8Array, keep: Keep, clock: number, now: number): { control: Control; changes: Change[] } {
    const subject = toHex(subjectKey);
    this.#expectMaySpeak(subject, `revoke anybody`);
    if (subject === this.#self) {
      throw new ForbiddenError("an admin cannot leave by itself: another admin revokes it, and keeps whom it admitted");
    }
    const signed = this.#sign(subjectKey, this.#nextVersion(subject), "revoked", undefined);
    const staged = this.#stageWithout(subject, signed, keep);
    const standing = this.statements.rosterWith(staged).get(subject);
    if (standing !== undefined && standing.role !== "revoked") {
      throw new ForbiddenError(
        "this admin was admitted by somebody of a smaller rank than ours: ask that one, or a root",
      );
    }
    return this.#issue(staged, "removal", clock, now);
  }

  /** The participants whose role rests on somebody being an admin. */
  dependantsOf(admin: string): string[] {
    const { roster } = this;
    const dependants: string[] = [];
    for (const statement of this.statements.by(admin)) {
      const standing = roster.get(statement.subject);
      if (standing?.statement === statement && standing.role !== "revoked") dependants.push(statement.subject);
    }
    return dependants;
  }

  /** Verifies what takes away somebody's role, and all that has to be said with it so that nobody else comes or goes by it. */
  #stageWithout(subject: string, signed: RoleStatement, keep: Keep): Staged {
    if (!this.roster.isAdmin(subject)) return this.#stageSigned([signed]);
    const said = [signed, ...this.#signAgain(subject, keep)];
    const staged = this.#stageSigned(said);
    // Admins whose own role rested on this one are none any more either, and whom they revoked must not come back.
    const roster = this.statements.rosterWith(staged);
    const back = [...membersOf(roster)].filter((one) => this.roster.get(one)?.role === "revoked");
    const again = back.map((one) => this.#sign(fromHex(one), this.#nextVersion(one, roster), "revoked", undefined));
    return again.length === 0 ? staged : this.#stageSigned([...said, ...again]);
  }

  /** Signs again what an admin said that is none any more: its revocations, and the admissions that are kept. */
  #signAgain(admin: string, keep: Keep): RoleStatement[] {
    const dependants = this.dependantsOf(admin);
    if (keep === undefined && dependants.length > 0) {
      throw new DependantsError(dependants.map(fromHex));
    }
    const kept = new Set(keep === "all" ? dependants : dependants.filter((one) => keep !== "none" && keep?.has(one)));
    const again: RoleStatement[] = [];
    for (const statement of this.statements.by(admin)) {
      const { subject, subjectKey, role } = statement;
      if (subject === this.#self || subject === admin || this.statements.roots.includes(subject)) continue;
      const isRevocation = role === "revoked" && this.roster.get(subject)?.role === "revoked";
      if (!isRevocation && !kept.has(subject)) continue;
      // Only what admins say that stay is to be outdone: a version that the other one chose may be the greatest there is.
      const version = this.#nextVersion(subject, this.roster, admin);
      again.push(this.#sign(subjectKey, version, role, statement));
    }
    return again;
  }

  #sign(
    subjectKey: Uint8Array,
    version: number,
    role: Role | "revoked",
    like: RoleStatement | undefined,
  ): RoleStatement {
    const subject = toHex(subjectKey);
    const head = like?.head ?? this.roster.get(subject)?.statement?.head ?? "";
    const wrap = role === "revoked" ? undefined : this.statements.wrapOf(subject);
    const content = { subjectKey, version, role, name: role === "revoked" ? "" : (like?.name ?? ""), head, wrap };
    return signRole(this.#identity, this.topicId, content);
  }

  /** Whether what we say of somebody of this rank does not count, because a smaller rank than ours has spoken; or it is a root. */
  #isBeyondUs(rank: number): boolean {
    return rank <= (this.roster.rankOf(this.#self) ?? 0);
  }

  #stageSigned(signed: readonly RoleStatement[]): Staged {
    return this.statements.stage(signed.map(({ bytes }) => bytes));
  }

  /** Says that we take part no more. */
  leave(now: number): { control: Control; changes: Change[] } {
    if (this.roster.isAdmin(this.#self)) {
      throw new ForbiddenError("an admin cannot leave by itself: another admin revokes it, and keeps whom it admitted");
    }
    const under = this.#usableKey();
    const signed = this.#sign(
      Participant.keyOf(this.#identity.participant),
      this.#nextVersion(this.#self),
      "revoked",
      undefined,
    );
    const changes = this.#add(this.#stageSigned([signed]), now);
    return { control: this.#statementControl(signed, under), changes };
  }

  /** Starts an epoch with the roster as it is. */
  rekey(reason: RekeyReason, clock: number, now: number): { control: Control; changes: Change[] } {
    return this.#issue(NOTHING_STAGED, reason, clock, now);
  }

  #issue(staged: Staged, reason: RekeyReason, clock: number, now: number): { control: Control; changes: Change[] } {
    const roster = this.statements.rosterWith(staged);
    if (!roster.isAdmin(this.#self)) throw new ForbiddenError("only an admin makes a rekey");
    const parent = this.#parentUnder(roster);
    if (parent.number >= MAX_EPOCH) throw new ForbiddenError(`epoch ${MAX_EPOCH} is the last one`);
    const under = (parent.keys as Generations).sendingKey;
    const recipients = [...membersOf(roster)].flatMap((member) => {
      const wrap = this.statements.wrapWith(staged, member);
      if (member === this.#self || wrap === undefined) return [];
      const hint = Participant.hintOf(participantOf(member));
      return [{ identityKey: wrap.identityKey, wrapKey: wrap.wrapKey, hint }];
    });
    const before = this.#digests.length;
    const changes = this.#add(staged, now, false);
    const { rekey, key } = makeRekey(this.#identity, this.topicId, under, {
      epoch: parent.number + 1,
      reason,
      recipients,
      digest: this.statements.digest,
    });
    const epoch = this.#addEpoch(headOf(rekey), parent, new Generations(key), now);
    this.#rememberRejoin(epoch, key, clock);
    wipe(key);
    if (staged.roles.some(({ role }) => role === "revoked") || this.#removal !== undefined) {
      this.#removal = { id: epoch.id, digest: before };
    }
    const grounds = reason === "repair" ? this.#grounds(under) : [];
    const said = [...this.#chain(this.#self), ...staged.roles.map(({ bytes }) => bytes), ...grounds];
    changes.push(...this.#settle(now));
    const name = toHex(rekey.commitment.subarray(0, SENDER_HINT_BYTES));
    return { control: { name, statements: distinct(said), rekey: formatRekey(rekey), under }, changes };
  }

  /**
   * What a repair rests on: why those who had the key are out, and those who did not have it are in, and whatever else others may not know.
   * Without it two admins who know different things would each undo what the other does.
   */
  #grounds(under: TopicKey): Uint8Array[] {
    const winner = this.#winner;
    const grounds: RoleStatement[] = [];
    if (winner !== undefined) {
      for (const holder of this.#formerHolders(winner)) grounds.push(...this.#whyNot(holder));
      for (const missing of this.#missing(winner)) {
        const { statement } = this.roster.get(missing) ?? {};
        if (statement !== undefined) grounds.push(statement);
      }
    }
    const bytes = grounds.slice(0, MAX_REPUBLISHED).flatMap((one) => [...this.#chain(one.issuer), one.bytes]);
    const doubtful = [...this.#unsettled.values()].flatMap((one) => this.#control(one.bytes, under).statements);
    return [...bytes, ...doubtful];
  }

  /** The statements by which somebody is not on the roster: about itself, or about those who had admitted it. */
  #whyNot(participant: string): RoleStatement[] {
    const revokedBy = this.roster.get(participant)?.revokedBy;
    if (revokedBy !== undefined) return [revokedBy];
    return this.statements.about(participant).flatMap(({ issuer }) => this.roster.get(issuer)?.revokedBy ?? []);
  }

  /** Announces a wrap key, which is new to others: our own, or that of somebody whom a person has let in again. */
  announceWrapKey(wrap: WrapStatement, now: number): { control: Control; changes: Change[] } {
    const under = this.#usableKey();
    const bytes = formatRenewal(wrap);
    const changes = this.#add(this.statements.stage([bytes]), now);
    return { control: this.#renewalControl(bytes, wrap.identity, under), changes };
  }

  #statementControl(statement: RoleStatement, under: TopicKey): Control {
    if (this.#winner !== undefined) this.#noteSealed(nameOf(statement.hash), this.#winner);
    const statements = distinct([...this.#chain(statement.issuer), ...this.#chain(statement.subject), statement.bytes]);
    return { name: nameOf(statement.hash), statements, rekey: undefined, under };
  }

  #renewalControl(bytes: Uint8Array, participant: string, under: TopicKey): Control {
    const standing = this.roster.get(participant)?.statement;
    const admission = standing === undefined ? [] : [...this.#chain(standing.issuer), standing.bytes];
    const name = nameOf(statementHash(bytes));
    return { name, statements: distinct([...admission, bytes]), rekey: undefined, under };
  }

  #chain(issuer: string): Uint8Array[] {
    return (this.statements.chainOf(issuer) ?? []).map(({ bytes }) => bytes);
  }

  #expectMaySpeak(subject: string, what: string): void {
    if (!this.roster.isAdmin(this.#self)) throw new ForbiddenError(`only an admin may ${what}`);
    if (this.statements.roots.includes(subject) && what === "revoke anybody") {
      throw new ForbiddenError("a root is one for life: nobody revokes it");
    }
  }

  /**
   * A version above all that ours has to outdo about a subject: of our own rank and smaller ones, and of all revocations. Not of what
   * `but` says, who is an admin no more. What others of a larger rank say gives way to ours anyway; a bad one of them may have taken the
   * greatest version there is.
   */
  #nextVersion(subject: string, roster = this.roster, but?: string): number {
    const ownRank = roster.rankOf(this.#self) ?? 0;
    let version = this.statements.get(this.#self, subject)?.version ?? 0;
    for (const { issuer, role, version: said } of this.statements.about(subject)) {
      const rank = issuer === subject ? 0 : roster.rankOf(issuer);
      if (rank === undefined || issuer === but) continue;
      if (rank <= ownRank || role === "revoked") version = Math.max(version, said);
    }
    if (version >= MAX_STATEMENT_VERSION) {
      throw new ForbiddenError(
        "somebody took the greatest version there is for what it says of this participant: revoke that admin first",
      );
    }
    return version + 1;
  }

  // ——— What others say ———

  /**
   * Applies a control message that opened under `under`.
   *
   * @throws MalformedMessageError, BadSignatureError, UntrustedKeyError, InvalidKeyError; then nothing changed
   */
  apply(
    content: { statements: readonly Uint8Array[]; rekey: Uint8Array | undefined },
    under: FoundKey,
    clock: number,
    now: number,
  ): Change[] {
    const rekey = content.rekey === undefined ? undefined : parseRekey(content.rekey);
    const staged = this.statements.stage(content.statements);
    const said = content.statements.at(-1);
    const opened = rekey === undefined ? undefined : this.#openRekey(rekey, staged, under);
    const changes = this.#add(staged, now, false, under.epoch === this.#winner);
    if (rekey === undefined && said !== undefined) this.#noteSealed(nameOf(statementHash(said)), under.epoch);
    if (rekey !== undefined && opened !== undefined) {
      const key = opened.result === "opened" ? opened.key : undefined;
      const epoch = this.#addEpoch(headOf(rekey), under.epoch, key && new Generations(key), now);
      if (opened.result === "opened") {
        this.#wrapKeys.opened(opened.wrapKey, now);
        this.#rememberRejoin(epoch, opened.key, clock);
        wipe(opened.key);
        changes.push({ type: "key" });
      }
      if (opened.result === "unfit") {
        changes.push({ type: "bad-rekey", issuerKey: rekey.issuerKey, epoch: rekey.epoch });
      }
    }
    return [...changes, ...this.#settle(now)];
  }

  #openRekey(rekey: Rekey, staged: Staged, { epoch, key }: FoundKey): ReturnType<typeof openRekey> | undefined {
    if (!equalBytes(rekey.parent, key.commitment) || rekey.epoch !== epoch.number + 1) {
      throw new MalformedMessageError("expected a rekey of the key that it is sealed under, and of the epoch after it");
    }
    const issuer = toHex(rekey.issuerKey);
    this.#expectIssuer(issuer, staged);
    if (this.#keyring.epoch(toHex(rekey.commitment)) !== undefined) return undefined;
    verifyHead(this.topicId, rekey);
    if (!this.#keyring.hasRoom(issuer, epoch.id)) return undefined;
    return openRekey(this.topicId, key, rekey, this.#identity.participant, this.#wrapKeys.pairs);
  }

  #expectIssuer(issuer: string, staged: Staged): void {
    if (this.statements.chainOf(issuer, staged.links) !== undefined) return;
    throw new UntrustedKeyError(
      participantOf(issuer).id,
      "the issuer of this rekey never was an admin, as far as is known here",
    );
  }

  #addEpoch(head: RekeyHead, parent: Epoch | undefined, keys: Generations | undefined, now: number): Epoch {
    const epoch = {
      id: toHex(head.commitment),
      number: head.epoch,
      head,
      issuer: toHex(head.issuerKey),
      parent: parent?.id,
      keys,
    };
    return this.#keyring.add(epoch, now);
  }

  /** Makes statements part of what we know; `settle` says whether to draw the conclusions now. */
  #add(staged: Staged, now: number, settle = true, isSpread = true): Change[] {
    const before = this.roster;
    const replaced = staged.roles.flatMap(({ issuer, subject }) => this.statements.get(issuer, subject)?.hash ?? []);
    if (isSpread) this.#noteSpread(staged.names);
    if (!this.statements.add(staged)) return settle ? this.#settle(now) : [];
    for (const { bytes, hash: name } of staged.roles) this.#unsettled.set(name, { bytes, isSpread });
    for (const wrap of staged.wraps) {
      const bytes = formatRenewal(wrap);
      const name = statementHash(bytes);
      if (staged.names.has(name)) this.#unsettled.set(name, { bytes, isSpread });
    }
    for (const name of this.#unsettled.keys()) {
      if (this.#unsettled.size <= MAX_REPUBLISHED) break;
      this.#unsettled.delete(name);
    }
    const changes = this.#standings(before, staged);
    const names = replaced.filter((name) => !this.statements.has(name)).map(nameOf);
    if (names.length > 0) changes.push({ type: "expired", names });
    const own = this.statements.wrapOf(this.#self);
    if (staged.wraps.some((wrap) => wrap === own) && own !== undefined && !this.#wrapKeys.made(own)) {
      changes.push({ type: "seed-stolen", wrapKey: new Uint8Array(own.wrapKey) });
    }
    return settle ? [...changes, ...this.#settle(now)] : changes;
  }

  /** A control message is named by the last of its statements. */
  #noteSealed(name: string, epoch: Epoch): void {
    const before = this.#keyring.epoch(this.#sealedUnder.get(name) ?? "");
    if (before !== undefined && before.number > epoch.number) return;
    this.#sealedUnder.delete(name);
    this.#sealedUnder.set(name, epoch.id);
    if (this.#sealedUnder.size > MAX_RETAINED_NAMES) {
      this.#sealedUnder.delete(this.#sealedUnder.keys().next().value as string);
    }
  }

  #noteSpread(names: Iterable<string>): void {
    for (const name of names) {
      const unsettled = this.#unsettled.get(name);
      if (unsettled !== undefined) unsettled.isSpread = true;
    }
  }

  #standings(before: Roster<RoleStatement>, { roles }: Staged): Change[] {
    if (roles.length === 0) return [];
    const after = this.roster;
    const changes: Change[] = [];
    for (const participant of new Set([...membersOf(before), ...membersOf(after)])) {
      const [was, is] = [before.get(participant), after.get(participant)];
      if ((was?.role ?? "revoked") === (is?.role ?? "revoked")) continue;
      const decisive = is?.revokedBy ?? is?.statement;
      changes.push({
        type: "standing",
        participant,
        role: is?.role ?? "revoked",
        statement: is?.statement,
        by: decisive && participantOf(decisive.issuer),
      });
    }
    return changes;
  }

  // ——— Which epoch counts ———

  /** Of the epochs that admins started who still are admins: the highest, then the smaller rank, then the smaller commitment. */
  #winnerUnder(roster: Roster<RoleStatement>): Epoch | undefined {
    let best: Epoch | undefined;
    let bestRank = Number.POSITIVE_INFINITY;
    for (const epoch of this.#keyring.epochs) {
      if (epoch.isSetAside) continue;
      const rank = epoch.issuer === undefined ? -1 : roster.rankOf(epoch.issuer);
      if (rank === undefined) continue;
      const isBetter =
        best === undefined ||
        epoch.number > best.number ||
        (epoch.number === best.number && (rank < bestRank || (rank === bestRank && epoch.id < best.id)));
      if (isBetter) [best, bestRank] = [epoch, rank];
    }
    return best;
  }

  /** What a rekey is sealed under: the epoch that counts, or if that cannot be opened here, the highest that can. */
  #parentUnder(roster: Roster<RoleStatement>): Epoch {
    const winner = this.#winnerUnder(roster);
    if (winner?.keys !== undefined) return winner;
    const open = this.#highestOpen();
    if (open === undefined) throw new MissingTopicKeyError("unusable");
    return open;
  }

  #highestOpen(): Epoch | undefined {
    let highest: Epoch | undefined;
    for (const epoch of this.#keyring.epochs) {
      if (epoch.keys === undefined) continue;
      const isHigher =
        highest === undefined ||
        epoch.number > highest.number ||
        (epoch.number === highest.number && epoch.id < highest.id);
      if (isHigher) highest = epoch;
    }
    return highest;
  }

  /** What statements are sealed under: what we send under, or where we may not send, what others are most likely to have. */
  #usableKey(): TopicKey {
    const key = this.#keyring.current ?? (this.#winner?.keys ?? this.#highestOpen()?.keys)?.sendingKey;
    if (key === undefined) throw new MissingTopicKeyError("unusable");
    return key;
  }

  /** Draws the conclusions from what is known now. */
  #settle(now: number): Change[] {
    const { roster } = this;
    const changes: Change[] = [];
    const digest = toHex(this.statements.digest);
    if (this.#digests.at(-1) !== digest) this.#digests.push(digest);
    if (this.#digests.length > MAX_DIGESTS) {
      const dropped = this.#digests.splice(0, this.#digests.length - MAX_DIGESTS).length;
      if (this.#removal !== undefined) this.#removal.digest = Math.max(0, this.#removal.digest - dropped);
    }
    const winner = this.#winnerUnder(roster);
    const isNew = winner !== this.#winner;
    this.#winner = winner;
    if (isNew) this.#seen.clear();
    for (const member of membersOf(roster)) this.#seen.add(member);
    if (isNew) for (const unsettled of this.#unsettled.values()) unsettled.isSpread = false;
    if (winner !== undefined && this.#issuerKnew(winner, digest)) this.#unsettled.clear();
    for (const id of this.#settled) if (this.#keyring.epoch(id) === undefined) this.#settled.delete(id);
    for (const id of this.#handed.keys()) if (this.#keyring.epoch(id) === undefined) this.#handed.delete(id);
    const sending = winner !== undefined && this.#mayUse(winner) ? winner : undefined;
    this.#send(sending, now);
    if (isNew && winner !== undefined) changes.push({ type: "epoch", epoch: winner, reason: winner.head?.reason });
    return changes;
  }

  /** Sends under an epoch from now on, and never again under the one before; or under none for the time being. */
  #send(sending: Epoch | undefined, now: number): void {
    const before = this.#keyring.sending;
    if (before !== undefined && before !== sending) before.isRetired = true;
    if (sending !== undefined) {
      for (const epoch of this.#keyring.epochs) if (epoch !== sending) epoch.leftAt ??= now;
      sending.leftAt = undefined;
    }
    this.#keyring.use(sending);
  }

  #mayUse(winner: Epoch): boolean {
    return (
      this.isMember(this.#self) && winner.keys !== undefined && !winner.isRetired && !this.#isHeldByRemoved(winner)
    );
  }

  /** Whether an epoch's issuer knew the very statements that we know. */
  #issuerKnew({ head }: Epoch, digest: string): boolean {
    return head !== undefined && toHex(head.digest) === digest;
  }

  /** Whether there is nothing that an epoch's issuer knew and we do not, as far as can be told. */
  #agrees({ id, head }: Epoch): boolean {
    return head === undefined || this.#settled.has(id) || this.#digests.includes(toHex(head.digest));
  }

  /** Who has or may have the key of the epoch that counts, and is not on the roster. */
  *#formerHolders(epoch: Epoch): Iterable<string> {
    const hints = hintsOf(epoch.head?.recipients ?? new Uint8Array(0));
    for (const participant of this.statements.subjects()) {
      if (this.isMember(participant)) continue;
      if (this.#seen.has(participant) || this.#wasGiven(participant, epoch, hints)) yield participant;
    }
  }

  /** Who is on the roster, can be given the key of an epoch, and was not. */
  *#missing(epoch: Epoch): Iterable<string> {
    const hints = hintsOf(epoch.head?.recipients ?? new Uint8Array(0));
    for (const participant of membersOf(this.roster)) {
      if (participant === epoch.issuer || participant === this.#self) continue;
      // The first key is a root's.
      if (epoch.issuer === undefined && this.statements.roots.includes(participant)) continue;
      if (this.statements.wrapOf(participant) === undefined) continue;
      if (!this.#wasGiven(participant, epoch, hints)) yield participant;
    }
  }

  #wasGiven(participant: string, epoch: Epoch, hints: ReadonlySet<string>): boolean {
    return (
      hints.has(hintOf(participant)) ||
      // A topic's first key: one of its roots made it, and no statement says which.
      (epoch.head === undefined && this.statements.roots.includes(participant)) ||
      this.#handed.get(epoch.id)?.has(participant) === true ||
      this.statements.about(participant).some(({ head }) => head === epoch.id)
    );
  }

  /** Whether somebody has the key of an epoch who was removed: not only left by itself, which is no reason to fall silent. */
  #isHeldByRemoved(epoch: Epoch): boolean {
    for (const participant of this.#formerHolders(epoch)) {
      const standing = this.roster.get(participant);
      if (standing?.revokedBy === undefined || standing.revokedBy.issuer !== participant) return true;
    }
    return false;
  }

  /** Why a rekey is wanted from us, if it is. */
  get rekeyWant(): RekeyWant | undefined {
    if (!this.roster.isAdmin(this.#self) || this.#highestOpen() === undefined) return undefined;
    const winner = this.#winner;
    if (winner?.keys === undefined) return "unusable";
    if (isAny(this.#formerHolders(winner))) return "held-by-removed";
    if (winner.isRetired) return "unusable";
    if (this.#isRemovalLost(winner)) return "removal-lost";
    return this.#agrees(winner) && isAny(this.#missing(winner)) ? "participant-missing" : undefined;
  }

  #isRemovalLost(winner: Epoch): boolean {
    const removal = this.#removal;
    if (removal === undefined) return false;
    for (
      let at: Epoch | undefined = winner;
      at !== undefined;
      at = at.parent === undefined ? undefined : this.#keyring.epoch(at.parent)
    ) {
      if (at.id === removal.id) return false;
    }
    const known = winner.head && this.#digests.indexOf(toHex(winner.head.digest), removal.digest);
    return known === undefined || known < 0;
  }

  /** Why an introduction is wanted from us, if it is: what is missing cannot be had otherwise. */
  get introductionWant(): "no-key" | "statements-differ" | undefined {
    const winner = this.#winner;
    const canRekey = this.roster.isAdmin(this.#self) && this.#highestOpen() !== undefined;
    if (this.#keyring.current === undefined && !canRekey) return "no-key";
    return winner !== undefined && !this.#agrees(winner) ? "statements-differ" : undefined;
  }

  /** Whether we know something that was not published under the key that counts, and may not be known to all who have it. */
  get hasToSpread(): boolean {
    if (this.#keyring.current === undefined) return false;
    for (const { isSpread } of this.#unsettled.values()) if (!isSpread) return true;
    return false;
  }

  /** Each of that, to be published under the key that counts now. */
  spread(): Control[] {
    const under = this.#keyring.current;
    if (under === undefined) return [];
    const unspread = [...this.#unsettled.values()].filter(({ isSpread }) => !isSpread);
    for (const unsettled of unspread) unsettled.isSpread = true;
    return unspread.map(({ bytes }) => this.#control(bytes, under));
  }

  #control(bytes: Uint8Array, under: TopicKey): Control {
    const statement = parseStatement(bytes);
    return isRoleStatement(statement)
      ? this.#statementControl(statement, under)
      : this.#renewalControl(bytes, statement.identity, under);
  }

  // ——— Newcomers, and who comes back ———

  /** What somebody needs to take part. */
  handover(recipient: string): Handover {
    if (!this.roster.isAdmin(this.#self)) throw new ForbiddenError("only an admin answers introductions");
    const winner = this.#winner;
    const key = this.#keyring.current;
    if (winner === undefined || key === undefined) throw new MissingTopicKeyError("unusable");
    const secret = this.#rejoinSecrets.find(({ id }) => id === winner.id);
    const handed = this.#handed.get(winner.id) ?? new Set();
    this.#handed.set(winner.id, handed.add(recipient));
    return {
      epoch: winner.number,
      generation: (winner.keys as Generations).sending,
      topicKey: key.bytes,
      salt: this.salt,
      roots: this.roots,
      statements: this.statements.encoded(),
      head: winner.head === undefined ? fromHex(winner.id) : formatHead(winner.head),
      rejoinSecret: secret === undefined ? new Uint8Array(0) : secret.secret,
    };
  }

  /** Whether a proof shows that somebody had the secret of an epoch in which the roster had it. */
  provesReturn(participant: string, epoch: number, isProof: (secret: Uint8Array) => boolean): boolean {
    if (!this.isMember(participant)) return false;
    return this.#rejoinSecrets.some((one) => {
      if (one.epoch !== epoch) return false;
      const had =
        one.issuer === participant ||
        (one.issuer === undefined && this.statements.roots.includes(participant)) ||
        hintsOf(one.recipients).has(hintOf(participant)) ||
        this.#handed.get(one.id)?.has(participant) === true ||
        this.statements.about(participant).some(({ head }) => head === one.id);
      return had && isProof(one.secret);
    });
  }

  /** What to come back with: of the epoch that we send under, or that counts. */
  get rejoinSecret(): RejoinSecret | undefined {
    const of = this.#keyring.sending ?? this.#winner;
    return this.#rejoinSecrets.find(({ id }) => id === of?.id) ?? this.#rejoinSecrets.at(-1);
  }

  #rememberRejoin(epoch: Epoch, key: Uint8Array, clock: number): void {
    this.#addRejoin(epoch, rejoinSecretOf(key), clock);
  }

  #addRejoin(epoch: Epoch, secret: Uint8Array, clock: number): void {
    const entry = {
      id: epoch.id,
      epoch: epoch.number,
      secret,
      recipients: epoch.head?.recipients ?? new Uint8Array(0),
      issuer: epoch.issuer,
      since: clock,
    };
    // That of the epoch that counts is handed on to newcomers, however old it is.
    const others = this.#rejoinSecrets.filter(
      ({ id, since }) => id !== epoch.id && (id === this.#winner?.id || clock - since < REJOIN_LIFETIME),
    );
    this.#rejoinSecrets = [...others, entry].slice(-MAX_REJOIN_SECRETS);
  }

  /**
   * Checks what a reply says, together with what we know.
   *
   * @throws ForbiddenError where its sponsor is no admin by what both know together
   */
  check(given: Handover, sponsor: string): CheckedHandover {
    if (!equalBytes(topicIdOf(given.salt, given.roots), this.topicId)) throw new ForeignReplyError();
    for (const root of given.roots) expectIdentityKey(root);
    if (new Set(this.statements.roots).size !== given.roots.length)
      throw new MalformedMessageError("expected each root once");
    const staged = this.statements.stage(given.statements);
    if (!this.statements.rosterWith(staged).isAdmin(sponsor)) {
      throw new ForbiddenError("the sponsor of this reply is no admin: only an admin answers introductions");
    }
    const head = given.head.length === KEY_BYTES ? undefined : parseHead(given.head);
    if (head !== undefined) {
      this.#expectIssuer(toHex(head.issuerKey), staged);
      verifyHead(this.topicId, head);
      if (head.epoch !== given.epoch) throw new MalformedMessageError("expected the head of the reply's epoch");
    } else if (given.epoch !== 0) {
      throw new MalformedMessageError("expected a head");
    }
    const key = new TopicKey(given.topicKey);
    const named = head?.commitment ?? given.head;
    const isFit = given.generation !== 0 || equalBytes(key.commitment, named);
    key.wipe();
    if (!isFit) throw new MalformedMessageError("expected the topic key that the head names");
    return { given, staged, head };
  }

  /** Unites what a reply says with what we know, and takes its key. Says whether its epoch counts now. */
  adopt({ given, staged, head }: CheckedHandover, clock: number, now: number): { adopted: boolean; changes: Change[] } {
    const changes: Change[] = [...this.#add(staged, now, false), { type: "key" }];
    const epoch = this.#adoptEpoch(given, head, now);
    if (given.rejoinSecret.length === KEY_BYTES && !this.#rejoinSecrets.some(({ id }) => id === epoch.id)) {
      this.#addRejoin(epoch, new Uint8Array(given.rejoinSecret), clock);
    }
    epoch.isRetired = false;
    const told = new Set(given.statements.map(statementHash));
    epoch.isSetAside = false;
    changes.push(...this.#settle(now));
    // What counts cannot be opened, and an admin says to go on without it. Otherwise one admin could shut us out by rekeys that leave us out.
    while (this.#winner !== undefined && this.#winner.keys === undefined) {
      this.#winner.isSetAside = true;
      changes.push(...this.#settle(now));
    }
    // Whatever the issuer of the epoch that counts knew: more than what an admin knows is not to be had.
    this.#settled.add(epoch.id);
    if (this.#winner !== undefined) this.#settled.add(this.#winner.id);
    // What the admin did not tell, it may not know.
    this.#unsettled.clear();
    for (const bytes of this.statements.encoded()) {
      const name = statementHash(bytes);
      if (this.#unsettled.size < MAX_REPUBLISHED && !told.has(name))
        this.#unsettled.set(name, { bytes, isSpread: false });
    }
    return { adopted: this.#winner === epoch, changes };
  }

  #adoptEpoch(given: Handover, head: RekeyHead | undefined, now: number): Epoch {
    const id = toHex(head?.commitment ?? given.head);
    const known = this.#keyring.epoch(id);
    if (known?.keys !== undefined) {
      if (given.generation > known.keys.sending && this.#reaches(known.keys, given)) {
        this.#keyring.adopt(known, given.generation, now);
      }
      return known;
    }
    const keys = new Generations(given.topicKey, given.generation);
    if (known !== undefined) {
      known.keys = keys;
      return known;
    }
    if (head !== undefined) return this.#addEpoch(head, undefined, keys, now);
    return this.#keyring.add({ id, number: 0, head: undefined, issuer: undefined, parent: undefined, keys }, now);
  }

  /** Whether the key of a later generation is the one that ours leads to. */
  #reaches(keys: Generations, { generation, topicKey }: Handover): boolean {
    if (generation > keys.last) return false;
    const own = keys.keyAt(generation).bytes;
    const same = equalBytes(own, topicKey);
    wipe(own);
    return same;
  }

  /** Wipes what is past its grace. What was sealed under it has no use any more. */
  expire(now: number, grace: number): Change[] {
    const wiped = new Set(this.#keyring.expire(now, grace));
    const names = [...this.#keyring.epochs]
      .filter(({ parent }) => parent !== undefined && wiped.has(parent))
      .map(({ id }) => nameOf(id));
    for (const [name, epoch] of this.#sealedUnder) {
      if (!wiped.has(epoch)) continue;
      names.push(name);
      this.#sealedUnder.delete(name);
    }
    return names.length === 0 ? [] : [{ type: "expired", names }];
  }

  wipe(): void {
    wipe(...this.#rejoinSecrets.map(({ secret }) => secret));
    this.#rejoinSecrets = [];
  }

  // ——— Keeping it ———

  saved(): SavedRooted {
    return {
      salt: this.salt,
      roots: this.roots,
      statements: this.statements.saved(),
      winner: this.#winner?.id,
      rejoinSecrets: this.#rejoinSecrets,
      handed: [...this.#handed].map(([id, whom]) => [id, [...whom]]),
      digests: this.#digests,
      settled: [...this.#settled],
      unsettled: [...this.#unsettled.values()],
      seen: [...this.#seen].filter((participant) => !this.isMember(participant)),
      removal: this.#removal,
    };
  }

  restore(saved: SavedRooted): void {
    this.statements.restoreWithoutVerifying(saved.statements);
    this.#winner = saved.winner === undefined ? undefined : this.#keyring.epoch(saved.winner);
    this.#rejoinSecrets = [...saved.rejoinSecrets];
    for (const [id, whom] of saved.handed) this.#handed.set(id, new Set(whom));
    this.#digests = [...saved.digests];
    for (const id of saved.settled) this.#settled.add(id);
    for (const one of saved.unsettled) this.#unsettled.set(statementHash(one.bytes), { ...one });
    for (const participant of [...membersOf(this.roster), ...saved.seen]) this.#seen.add(participant);
    this.#removal = saved.removal;
  }
}

/** What one may come back with: of the first key of an epoch. */
function rejoinSecretOf(key: Uint8Array): Uint8Array {
  return kdf(key, "rejoinSecret");
}

/** What a statement is retained under. */
function nameOf(statement: string): string {
  return statement.slice(0, 2 * SENDER_HINT_BYTES);
}

function distinct(statements: readonly Uint8Array[]): Uint8Array[] {
  return [...new Map(statements.map((bytes) => [toHex(bytes), bytes])).values()];
}

function isAny(iterable: Iterable<unknown>): boolean {
  for (const _ of iterable) return true;
  return false;
}

function isOn(roster: Roster<RoleStatement>, participant: string): boolean {
  const standing = roster.get(participant);
  return standing !== undefined && standing.role !== "revoked";
}

/** Everybody on a roster. */
export function* membersOf(roster: Roster<RoleStatement>): Iterable<string> {
  for (const [participant, { role }] of roster) if (role !== "revoked") yield participant;
}

/** Draws what makes the id of a topic its own. */
export function drawSalt(): Uint8Array {
  return randomBytes(16);
}
