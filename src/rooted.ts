/**
 * A rooted topic as one participant sees it: which epoch counts, what follows from a statement, a rekey or a
 * reply, and what is missing (PROTOCOL §10 to §12). Nothing here knows messages, and nothing is sent from here.
 */
import { equalBytes, equalSecrets, fromHex, toHex, toTableKey, wipe } from "./bytes.js";
import { headLength } from "./cbor.js";
import { hash, kdf } from "./crypto.js";
import { Departures, type SavedDepartures } from "./departures.js";
import {
  DependantsError,
  ForbiddenError,
  ForeignReplyError,
  MalformedMessageError,
  MessageTooLargeError,
  MissingTopicKeyError,
  UntrustedKeyError,
} from "./errors.js";
import type { RekeyWant } from "./events.js";
import { Generations } from "./generations.js";
import { expectIdentityKey, type Identity, Participant } from "./identity.js";
import { commitmentOf, type Epoch, epochIdOf, type FoundKey, type Keyring } from "./keyring.js";
import {
  KEY_BYTES,
  MAX_CHAIN,
  MAX_CONTROL_BYTES,
  MAX_CONTROL_STATEMENTS,
  MAX_EPOCH,
  MAX_KNOWN_PARTICIPANTS,
  MAX_REPUBLISHED,
  MAX_RETAINED_NAMES,
  MAX_SIGNED_AGAIN,
  MAX_STATEMENT_BYTES,
  MAX_STATEMENT_VERSION,
  MAX_STATEMENTS_PER_ISSUER,
  MAX_TOLD_EPOCH,
  SALT_BYTES,
  SENDER_HINT_BYTES,
} from "./limits.js";
import type { ReplyContent } from "./message.js";
import type { Member } from "./participants.js";
import { type RejoinSecret, RejoinSecrets } from "./rejoin.js";
import {
  formatHead,
  formatRekey,
  hashOfStatements,
  headOf,
  makeRekey,
  mostRekeyBytes,
  openRekey,
  parseHead,
  parseRekey,
  type Rekey,
  type RekeyHead,
  type RekeyReason,
  verifyHead,
} from "./rekey.js";
import type { Role, Roster } from "./roster.js";
import { inTurns, NOTHING_STAGED, type SavedStatements, type Staged, StatementSet } from "./statement-set.js";
import {
  formatRenewal,
  isRoleStatement,
  parseStatement,
  type RoleStatement,
  renewalHash,
  signRole,
  statementHash,
  type WrapStatement,
} from "./statements.js";
import { TopicKey } from "./topic-key.js";
import { type SavedUnsettled, type Unsettled, UnsettledStatements } from "./unsettled.js";
import type { WrapKeys } from "./wrap-keys.js";

/** Of those whose role rests on somebody who is an admin no more: who keeps it. `undefined` where nobody said. */
export type Keep = "all" | "none" | ReadonlySet<string> | undefined;

/** What a control message carries, before it is sealed. */
export interface Control {
  /** The retained message takes the place of one with this name. */
  readonly name: string;
  readonly statements: readonly Uint8Array[];
  readonly rekey: Uint8Array | undefined;
  /** The id of the epoch that it starts. */
  readonly epoch: string | undefined;
  /** What it is sealed under. */
  readonly under: TopicKey;
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

export interface SavedRooted extends SavedDepartures {
  readonly salt: Uint8Array;
  readonly roots: readonly Uint8Array[];
  readonly statements: SavedStatements;
  readonly winner: string | undefined;
  readonly rejoinSecrets: readonly RejoinSecret[];
  readonly settled: readonly string[];
  /** The epoch under which somebody was answered by us who may not have known all. */
  readonly answeredIn: string | undefined;
  readonly unsettled: readonly SavedUnsettled[];
  /** Whose newest wrap key is doubted. */
  readonly doubted: readonly string[];
  readonly sealedUnder: readonly (readonly [name: string, epoch: string])[];
}

/** A reply that was checked. */
export interface CheckedReply {
  readonly given: ReplyContent;
  readonly staged: Staged;
  readonly head: RekeyHead | undefined;
  readonly sponsor: string;
}

export function topicIdOf(salt: Uint8Array, roots: readonly Uint8Array[]): Uint8Array {
  return hash("topicId", roots, salt);
}

/** The most bytes of a wire message with statements but for those, and for its rekey; and what a reply has besides. */
const ENVELOPE_BYTES = 256;
const REPLY_ENVELOPE_BYTES = 2048;
/** The most bytes of a revocation, which has no name and no wrap statement. */
const REVOCATION_BYTES = 256;

const noRecipients = new Uint8Array(0);

function recipientsOf({ head }: Epoch): Uint8Array {
  return head?.recipients ?? noRecipients;
}

/** The hints of one rekey's recipients, as keys of a table. The latest are kept: the same epoch is asked about again and again. */
let latestHints: { readonly recipients: Uint8Array; readonly hints: ReadonlySet<string> } | undefined;

function hintsOf(recipients: Uint8Array): ReadonlySet<string> {
  if (latestHints?.recipients === recipients) return latestHints.hints;
  const hints = new Set<string>();
  for (let at = 0; at < recipients.length; at += SENDER_HINT_BYTES) {
    hints.add(toTableKey(recipients.subarray(at, at + SENDER_HINT_BYTES)));
  }
  latestHints = { recipients, hints };
  return hints;
}

const participants = new Map<string, Participant>();

/** The participant with this public key, in hex. Made once: its id is a hash. */
export function participantOf(hex: string): Participant {
  let participant = participants.get(hex);
  if (participant === undefined) {
    participant = new Participant(fromHex(hex));
    if (participants.size >= MAX_KNOWN_PARTICIPANTS) participants.delete(participants.keys().next().value as string);
    participants.set(hex, participant);
  }
  return participant;
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
  readonly #maxWireBytes: number;
  #winner: Epoch | undefined;
  readonly #rejoinSecrets = new RejoinSecrets();
  readonly #departures: Departures;
  /** Epochs of whose issuer we know, or knew, just what it did; or of which an admin told us all. */
  readonly #settled = new Set<string>();
  /** The epoch that counted when we answered somebody last, and may not have known all that its issuer did. */
  #answeredIn: string | undefined;
  /** What others may not know: since the last time that the issuer of the epoch that counts knew just what we did. */
  readonly #unsettled = new UnsettledStatements();
  /** Under which epoch the statements that are retained were sealed last, by the names that they are retained under. */
  readonly #sealedUnder = new Map<string, string>();
  /**
   * Whose newest wrap key is known by its own word alone, under an epoch that did not count any more or from a reply: everybody who was
   * removed since may have said it, with a stolen seed. To such a one no key is given without a person.
   */
  readonly #doubted = new Set<string>();

  constructor(
    place: { identity: Identity; name: string; keyring: Keyring; wrapKeys: WrapKeys; maxWireBytes: number },
    topic: { salt: Uint8Array; roots: readonly Uint8Array[] },
  ) {
    this.salt = topic.salt;
    this.roots = topic.roots;
    this.topicId = topicIdOf(topic.salt, topic.roots);
    this.#identity = place.identity;
    this.#self = place.identity.participant.hex;
    this.#keyring = place.keyring;
    this.#wrapKeys = place.wrapKeys;
    this.#maxWireBytes = Math.min(place.maxWireBytes, MAX_CONTROL_BYTES);
    this.statements = new StatementSet({ topicId: this.topicId, name: place.name }, topic.roots.map(toHex));
    this.#departures = new Departures(this.statements, place.keyring);
  }

  get roster(): Roster<RoleStatement> {
    return this.statements.roster;
  }

  /** The epoch that counts, whether it can be opened or not. */
  get winner(): Epoch | undefined {
    return this.#winner;
  }

  /** The number of the epoch to which somebody was admitted last, if that is known. */
  epochOfAdmission(participant: string): number | undefined {
    const head = this.roster.get(participant)?.statement?.head;
    if (head === undefined || head === "") return undefined;
    for (const epoch of this.#keyring.epochs) if (commitmentOf(epoch) === head) return epoch.number;
    return undefined;
  }

  /** Everybody on the roster, by rank. */
  members(): Member[] {
    const members: Member[] = [];
    for (const [hex, { role, rank, statement }] of this.roster) {
      if (role !== "revoked")
        members.push(Object.freeze({ participant: participantOf(hex), role, name: statement?.name ?? "", rank }));
    }
    return members;
  }

  /** Those with this hint, the key of a table, of whom anything is said. */
  withHint(hint: string): string[] {
    return [...this.statements.subjects()].filter((subject) => participantOf(subject).hint === hint);
  }

  /** Whether somebody else could answer an introduction of ours. */
  get hasOtherAdmin(): boolean {
    return this.roster.admins.some((admin) => admin !== this.#self);
  }

  /** Whether we were on the roster, and are no more. */
  get isRevoked(): boolean {
    return this.roster.isRevoked(this.#self);
  }

  /** Whether somebody is on the roster. */
  isMember(participant: string): boolean {
    return this.roster.isOn(participant);
  }

  /** Begins the topic's first epoch. */
  begin(key: Uint8Array, wrap: WrapStatement, clock: number): void {
    const epoch = this.#keyring.addFirst(key);
    this.statements.add(this.statements.stage([formatRenewal(wrap)]));
    this.#addRejoin(epoch, rejoinSecretOf(key), clock);
    this.#settle(0);
  }

  // ——— What we say ———

  /**
   * Says what somebody may do. Who is made less than an admin was one: what it said is to be said again, and an epoch starts.
   *
   * @param content.keep of those whose role rests on such a one: who keeps it
   * @param content.isIntroduced whether it is to be told all by a reply
   * @throws ForbiddenError when that is not ours to say
   * @throws MessageTooLargeError when the reply would not fit
   */
  admit(
    subjectKey: Uint8Array,
    content: { role: Role; name: string; wrap: WrapStatement | undefined; keep: Keep; isIntroduced: boolean },
    clock: number,
    now: number,
  ): { control: Control; changes: Change[] } {
    const subject = toHex(subjectKey);
    this.#expectAdmin("give anybody a role");
    const { role, name, wrap = this.#wrapToVouchFor(subject) } = content;
    if (role !== "admin" && this.statements.roots.includes(subject)) {
      throw new ForbiddenError("a root is an admin for life: nobody gives it another role");
    }
    if (role === "admin" && (this.roster.rankOf(this.#self) ?? 0) >= MAX_CHAIN) {
      throw new ForbiddenError(`an admin of rank ${MAX_CHAIN} makes no admins: ask one of a smaller rank`);
    }
    const under = this.#usableEpoch();
    const head = this.#winner === undefined ? "" : commitmentOf(this.#winner);
    const known = this.roster.get(subject);
    // It may have this role by somebody whom ours could not outdo. That it is given this key is to be said all the same.
    const isSaid = known !== undefined && known.role === role && this.#isBeyondUs(known.rank);
    if (this.statements.get(this.#self, subject) === undefined) this.#expectRoom(1);
    const version = this.#nextVersion(subject, role);
    const signed = signRole(this.#identity, this.topicId, { subjectKey, version, role, name, head, wrap });
    if (content.isIntroduced)
      this.#expectFits(this.#replyBytes([...this.statements.encodedByNeed().needed, signed.bytes]));
    const staged = this.statements.stage([signed.bytes]);
    const after = this.statements.rosterWith(staged);
    if (!isSaid && after.get(subject)?.statement?.hash !== signed.hash && !this.statements.roots.includes(subject)) {
      throw new ForbiddenError(
        `somebody of a smaller rank than ours, or the participant itself, says otherwise: ask an admin of a smaller rank`,
      );
    }
    if (role !== "admin" && this.roster.isAdmin(subject)) {
      return this.#issueWithout(subject, staged, after, content.keep, clock, now);
    }
    const changes = this.#add(staged, now);
    return { control: this.#statementControl(signed.bytes, under), changes };
  }

  /**
   * Says that somebody else has no role any more, and starts an epoch without it.
   *
   * @param keep of those whose role rests on an admin that is revoked: who keeps it
   */
  revoke(subjectKey: Uint8Array, keep: Keep, clock: number, now: number): { control: Control; changes: Change[] } {
    const subject = toHex(subjectKey);
    this.#expectAdmin("revoke anybody");
    if (this.statements.roots.includes(subject)) {
      throw new ForbiddenError("a root is one for life: nobody revokes it");
    }
    if (this.statements.get(this.#self, subject) === undefined) this.#expectRoom(1);
    const signed = this.#sign(subjectKey, this.#nextVersion(subject, "revoked"), "revoked", undefined);
    // Before a person is asked who stays.
    const staged = this.#stageSigned([signed]);
    const after = this.statements.rosterWith(staged);
    if (after.isOn(subject)) {
      throw new ForbiddenError(
        "this admin was admitted by somebody of a smaller rank than ours: ask that one, or a root",
      );
    }
    return this.#issueWithout(subject, staged, after, keep, clock, now);
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

  /**
   * Starts an epoch by what takes away somebody's role, and says with it all that has to be said so that nobody else comes or goes by it.
   *
   * @param staged that alone, verified
   * @param without the roster with it. Only what those say is to be outdone who stay admins: the others may have chosen the greatest version
   *   there is.
   */
  #issueWithout(
    subject: string,
    staged: Staged,
    without: Roster<RoleStatement>,
    keep: Keep,
    clock: number,
    now: number,
  ): { control: Control; changes: Change[] } {
    if (!this.roster.isAdmin(subject)) return this.#issue(staged, "removal", clock, now);
    const dependants = this.dependantsOf(subject);
    if (keep === undefined && dependants.length > 0) throw new DependantsError(dependants.map(fromHex));
    const kept = dependants
      .filter((one) => one !== this.#self && (keep === "all" || (keep instanceof Set && keep.has(one))))
      .flatMap((one) => this.roster.get(one)?.statement ?? [])
      .flatMap((one) => {
        // Where somebody who comes back by this took the greatest version there is, it falls with its admin: a removal must be possible.
        const version = this.#freeVersion(one.subject, one.role, without);
        return version === undefined ? [] : [this.#sign(one.subjectKey, version, one.role, one)];
      });
    const said = [...staged.roles, ...kept];
    this.#expectRoom(said.length);
    const roster = this.statements.rosterWith(this.#stageSigned(said));
    const room = MAX_STATEMENTS_PER_ISSUER - this.statements.countBy(this.#self) - said.length;
    const rekeyBytes = mostRekeyBytes([...roster.members()].length);
    const bytesLeft =
      this.#maxWireBytes - ENVELOPE_BYTES - rekeyBytes - (said.length + MAX_CHAIN) * MAX_STATEMENT_BYTES;
    const again = this.#whoseRevocationsFall(subject, roster, Math.max(0, Math.floor(bytesLeft / REVOCATION_BYTES)))
      .slice(0, room)
      .map((one) => this.#sign(fromHex(one), this.#nextVersion(one, "revoked", roster), "revoked", undefined));
    // Whoever was revoked by a bad admin may be too many for one message, and must not be what keeps it from being removed.
    const mayWait = new Set(again.map(({ hash: name }) => name));
    return this.#issue(this.#stageSigned([...said, ...again]), "removal", clock, now, mayWait);
  }

  /**
   * Who was revoked by an admin that is removed, or by those whose own role rested on it. First those who would be back. Of the others,
   * whom somebody may still have admitted in a statement that is underway, some, as far as they fit: a bad admin can revoke thousands that
   * never were.
   */
  #whoseRevocationsFall(admin: string, after: Roster<RoleStatement>, most: number): string[] {
    const back = inTurns(
      [...after.members()].filter((one) => this.roster.isRevoked(one)),
      (one) => after.get(one)?.statement?.issuer ?? "",
    );
    const isAdmitted = (one: string): boolean => this.statements.about(one).some(({ role }) => role !== "revoked");
    const others = this.statements
      .by(admin)
      .filter(({ role, subject }) => role === "revoked" && this.roster.isRevoked(subject))
      .map(({ subject }) => subject)
      .filter((one) => one !== admin && !after.isOn(one) && !this.statements.roots.includes(one))
      .sort((a, b) => Number(isAdmitted(b)) - Number(isAdmitted(a)));
    return [...back, ...others.slice(0, Math.min(MAX_SIGNED_AGAIN, Math.max(0, most - back.length)))];
  }

  /** What is said beyond the bound would push out what was said before. */
  #expectRoom(count: number): void {
    if (this.statements.countBy(this.#self) + count <= MAX_STATEMENTS_PER_ISSUER) return;
    throw new ForbiddenError(
      `one admin may speak of ${MAX_STATEMENTS_PER_ISSUER} participants at most: keep fewer, or let another admin do it`,
    );
  }

  #sign(
    subjectKey: Uint8Array,
    version: number,
    role: Role | "revoked",
    like: RoleStatement | undefined,
  ): RoleStatement {
    const subject = toHex(subjectKey);
    const head = like?.head ?? this.roster.get(subject)?.statement?.head ?? "";
    const wrap = role === "revoked" ? undefined : this.#wrapToVouchFor(subject);
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
      throw new ForbiddenError(
        "an admin cannot leave by itself, and a root not at all: another admin revokes it, and keeps whom it admitted",
      );
    }
    const under = this.#usableEpoch();
    const signed = this.#sign(
      Participant.keyOf(this.#identity.participant),
      this.#nextVersion(this.#self, "revoked"),
      "revoked",
      undefined,
    );
    const admission = this.#admissionOf(this.#self);
    const changes = this.#add(this.#stageSigned([signed]), now);
    const control = this.#statementControl(signed.bytes, under);
    // With it, who hears of us by this first knows whom it is about.
    return { control: { ...control, statements: distinct([...admission, ...control.statements]) }, changes };
  }

  /** Starts an epoch with the roster as it is. */
  rekey(reason: RekeyReason, clock: number, now: number): { control: Control; changes: Change[] } {
    return this.#issue(NOTHING_STAGED, reason, clock, now);
  }

  /** @param mayWait names of statements that are published later where there is no room for them beside the rekey */
  #issue(
    staged: Staged,
    reason: RekeyReason,
    clock: number,
    now: number,
    mayWait: ReadonlySet<string> = new Set(),
  ): { control: Control; changes: Change[] } {
    const roster = this.statements.rosterWith(staged);
    if (!roster.isAdmin(this.#self)) throw new ForbiddenError("only an admin makes a rekey");
    const parent = this.#parentUnder(roster);
    if (parent.number >= MAX_EPOCH) throw new ForbiddenError(`epoch ${MAX_EPOCH} is the last one`);
    const under = (parent.keys as Generations).sendingKey;
    const recipients = [...roster.members()].flatMap((member) => {
      const wrap = this.statements.wrapWith(staged, member);
      if (wrap === undefined) return [];
      const hint = Participant.hintOf(participantOf(member));
      return [{ identityKey: wrap.identityKey, wrapKey: wrap.wrapKey, hint }];
    });
    const waiting = staged.roles.filter((one) => mayWait.has(one.hash));
    const urgent = staged.roles.filter((one) => !mayWait.has(one.hash));
    const said = distinct([...this.#chain(this.#self), ...urgent.map(({ bytes }) => bytes)]);
    let length = lengthOf(said) + mostRekeyBytes(recipients.length);
    this.#expectFits(length);
    const grounds = reason === "repair" ? this.#grounds() : this.#whyOut();
    for (const bytes of distinct([...said, ...waiting.map(({ bytes }) => bytes), ...grounds]).slice(said.length)) {
      const more = lengthOf([bytes]);
      if (!this.#fits(length + more)) continue;
      length += more;
      said.push(bytes);
    }
    const changes = this.#add(staged, now, false);
    const { rekey, key } = makeRekey(this.#identity, this.topicId, under, {
      epoch: parent.number + 1,
      reason,
      recipients,
      digest: this.statements.digest,
      statements: said,
    });
    const epoch = this.#addEpoch(headOf(rekey), parent, new Generations(key), now);
    this.#addRejoin(epoch, rejoinSecretOf(key), clock);
    wipe(key);
    this.#departures.noteOwnRekey(epoch, reason === "removal");
    this.#wrapKeys.used(this.statements.wrapOf(this.#self)?.wrapKey, now);
    changes.push(...this.#settle(now));
    for (const { hash: name, bytes } of waiting) if (!said.includes(bytes)) this.#unsettled.add(name, bytes, false);
    const name = toHex(rekey.commitment.subarray(0, SENDER_HINT_BYTES));
    return { control: { name, statements: said, rekey: formatRekey(rekey), epoch: epoch.id, under }, changes };
  }

  /** Before anything changes: what nobody would get must not be held to be said. */
  #expectFits(bytes: number): void {
    if (this.#fits(bytes)) return;
    throw new MessageTooLargeError(bytes + ENVELOPE_BYTES, this.#maxWireBytes, "wire message");
  }

  #fits(bytes: number): boolean {
    return bytes + ENVELOPE_BYTES <= this.#maxWireBytes;
  }

  /**
   * What a repair rests on: why those who had the key are out, and those who did not have it are in, and whatever else others may not know.
   * Without it two admins who know different things would each undo what the other does.
   */
  #grounds(): Uint8Array[] {
    const winner = this.#winner;
    const missing = winner === undefined ? [] : [...this.#missing(winner)];
    const seen = new Set<string>();
    const whyIn = missing.flatMap((one) => this.#whyIn(one, seen)).slice(0, MAX_REPUBLISHED);
    const doubtful = [...this.#unsettled].flatMap(({ bytes }) => this.#withGrounds(bytes));
    return [...this.#whyOut(), ...this.#withChains(whyIn), ...doubtful];
  }

  /** Why somebody is on the roster: also why those are no admins who say that it is not. */
  #whyIn(participant: string, seen: Set<string>): RoleStatement[] {
    const { statement } = this.roster.get(participant) ?? {};
    const others = this.statements.about(participant).map(({ issuer }) => issuer);
    const whyNot = others
      .filter((issuer) => !this.roster.isAdmin(issuer))
      .flatMap((issuer) => this.statements.whyNot(issuer, seen));
    return statement === undefined ? whyNot : [statement, ...whyNot];
  }

  /** Why those are out who had the key that counts, or may have it: an admin who does not know of it could admit them again. */
  #whyOut(): Uint8Array[] {
    const winner = this.#winner;
    if (winner === undefined) return [];
    const seen = new Set<string>();
    const why = [...this.#formerHolders(winner)].flatMap((holder) => this.statements.whyNot(holder, seen));
    return this.#withChains(why.slice(0, MAX_REPUBLISHED));
  }

  #withChains(statements: readonly RoleStatement[]): Uint8Array[] {
    return statements.flatMap(({ issuer, bytes }) => [...this.#chain(issuer), bytes]);
  }

  /** Announces a wrap key of ours, which is new to others. */
  announceWrapKey(wrap: WrapStatement, now: number): { control: Control; changes: Change[] } {
    const under = this.#usableEpoch();
    const bytes = formatRenewal(wrap);
    const changes = this.#add(this.statements.stage([bytes]), now);
    return { control: this.#statementControl(bytes, under), changes };
  }

  #statementControl(bytes: Uint8Array, under: Epoch): Control {
    const name = nameOf(statementHash(bytes));
    this.#noteSealed(name, under);
    return {
      name,
      statements: this.#withGrounds(bytes),
      rekey: undefined,
      epoch: undefined,
      under: (under.keys as Generations).sendingKey,
    };
  }

  /** A statement after those by which it is believed. */
  #withGrounds(bytes: Uint8Array): Uint8Array[] {
    const statement = parseStatement(bytes);
    const before = isRoleStatement(statement)
      ? [...this.#chain(statement.issuer), ...this.#chain(statement.subject)]
      : this.#admissionOf(statement.identity);
    return distinct([...before, bytes]);
  }

  /** The statement that decides somebody's role, with the chain of its issuer. */
  #admissionOf(participant: string): Uint8Array[] {
    const statement = this.roster.get(participant)?.statement;
    return statement === undefined ? [] : [...this.#chain(statement.issuer), statement.bytes];
  }

  #chain(issuer: string): Uint8Array[] {
    return (this.statements.chainOf(issuer) ?? []).map(({ bytes }) => bytes);
  }

  #expectAdmin(what: string): void {
    if (!this.roster.isAdmin(this.#self)) throw new ForbiddenError(`only an admin may ${what}`);
  }

  /**
   * A version above all that ours has to outdo about a subject: of our own rank and smaller ones, and of all revocations, unless it is to be
   * an admin, whom no larger rank revokes; about ourselves, of everybody. What others of a larger rank say gives way to ours anyway; a bad
   * one of them may have taken the greatest version there is. A revocation needs no greater one than that: of equal versions, the lesser
   * privilege counts.
   */
  #nextVersion(subject: string, role: Role | "revoked", roster = this.roster): number {
    const version = this.#freeVersion(subject, role, roster);
    if (version !== undefined) return version;
    throw new ForbiddenError(
      "somebody took the greatest version there is for what it says of this participant: revoke that admin first, or pair with another identity",
    );
  }

  /** The same, or nothing. */
  #freeVersion(subject: string, role: Role | "revoked", roster: Roster<RoleStatement>): number | undefined {
    const ownRank = roster.rankOf(this.#self) ?? 0;
    let version = this.statements.get(this.#self, subject)?.version ?? 0;
    for (const { issuer, role: saidRole, version: said } of this.statements.about(subject)) {
      const rank = issuer === subject ? 0 : roster.rankOf(issuer);
      if (rank === undefined) continue;
      const isOutdone = rank <= ownRank || subject === this.#self || (saidRole === "revoked" && role !== "admin");
      if (isOutdone) version = Math.max(version, said);
    }
    if (version < MAX_STATEMENT_VERSION) return version + 1;
    return role === "revoked" ? MAX_STATEMENT_VERSION : undefined;
  }

  // ——— What others say ———

  /**
   * Applies a control message that opened under `under`. Gives `undefined` where all of it was known.
   *
   * @throws MalformedMessageError, BadSignatureError, UntrustedKeyError, InvalidKeyError; then nothing changed
   */
  apply(
    content: { statements: readonly Uint8Array[]; rekey: Uint8Array | undefined },
    under: FoundKey,
    clock: number,
    now: number,
  ): Change[] | undefined {
    const rekey = content.rekey === undefined ? undefined : parseRekey(content.rekey);
    const staged = this.statements.stage(content.statements);
    const said = content.statements.at(-1);
    const opened = rekey === undefined ? undefined : this.#openRekey(rekey, content.statements, staged, under);
    const changes = this.#add(staged, now, false, under.epoch === this.#winner);
    const known = rekey && this.#keyring.epoch(epochIdOf(rekey));
    if (rekey === undefined && said !== undefined) this.#noteSealed(nameOf(statementHash(said)), under.epoch);
    // A copy, which anybody can send at any rate: there is nothing to conclude.
    if (opened === undefined && staged.roles.length === 0 && staged.wraps.size === 0) return undefined;
    if (rekey !== undefined && opened !== undefined) {
      const key = opened.result === "opened" ? opened.key : undefined;
      if (known !== undefined && key !== undefined) this.#prove(known, new Generations(key), now);
      const epoch = known ?? this.#addEpoch(headOf(rekey), under.epoch, key && new Generations(key), now);
      if (known === undefined) this.#departures.noteTold(epoch, staged.names);
      if (opened.result === "opened") {
        this.#wrapKeys.used(opened.wrapKey.publicKey, now);
        this.#addRejoin(epoch, rejoinSecretOf(opened.key), clock);
        wipe(opened.key);
        changes.push({ type: "key" });
      }
      if (opened.result === "unfit") {
        changes.push({ type: "bad-rekey", issuerKey: rekey.issuerKey, epoch: rekey.epoch });
      }
    }
    return [...changes, ...this.#settle(now)];
  }

  #openRekey(
    rekey: Rekey,
    statements: readonly Uint8Array[],
    staged: Staged,
    { epoch, key }: FoundKey,
  ): ReturnType<typeof openRekey> | undefined {
    if (!equalBytes(rekey.parent, key.commitment) || rekey.epoch !== epoch.number + 1) {
      throw new MalformedMessageError("expected a rekey of the key that it is sealed under, and of the epoch after it");
    }
    if (!equalBytes(rekey.statementsHash, hashOfStatements(statements))) {
      throw new MalformedMessageError("expected the statements that this rekey went out with, and no others");
    }
    const issuer = toHex(rekey.issuerKey);
    this.#expectIssuer(issuer, staged);
    const known = this.#keyring.epoch(epochIdOf(rekey));
    // What opens proves the key; one that a reply told of may be made up.
    if (known !== undefined && (known.isProven || known.keys === undefined)) {
      if (known.head !== undefined && equalBytes(known.head.statementsHash, rekey.statementsHash)) return undefined;
      throw new MalformedMessageError("expected the statements that this rekey went out with first");
    }
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

  #addEpoch(
    head: RekeyHead,
    parent: Epoch | undefined,
    keys: Generations | undefined,
    now: number,
    isProven = keys !== undefined,
  ): Epoch {
    const epoch = {
      id: epochIdOf(head),
      number: head.epoch,
      head,
      issuer: toHex(head.issuerKey),
      parent: parent?.id,
      keys,
      isProven,
    };
    return this.#keyring.add(epoch, now);
  }

  /** Makes statements part of what we know; `settle` says whether to draw the conclusions now. */
  #add(staged: Staged, now: number, settle = true, isSpread = true): Change[] {
    const before = this.roster;
    const replaced = staged.roles.flatMap(({ issuer, subject }) => this.statements.get(issuer, subject) ?? []);
    const renewed = new Map(
      [...staged.wraps.keys()].flatMap((one) => {
        const wrap = this.statements.wrapOf(one);
        return wrap === undefined ? [] : [[one, renewalHash(wrap)] as const];
      }),
    );
    if (isSpread) {
      this.#unsettled.noteSpread(staged.names);
      for (const one of this.#doubted) if (staged.names.has(this.#renewalOf(one))) this.#doubted.delete(one);
    }
    if (!this.statements.add(staged)) return settle ? this.#settle(now) : [];
    for (const { bytes, hash: name, issuer } of staged.roles) {
      this.#unsettled.add(name, bytes, isSpread, this.roster.isAdmin(issuer));
    }
    const vouchedFor = this.#vouchedFor(staged);
    for (const [participant, wrap] of staged.wraps) {
      const isVouchedFor = vouchedFor.has(renewalHash(wrap));
      if (participant === this.#self) {
        // Only the newest is to be said again.
        const older = renewed.get(participant);
        if (older !== undefined) this.#unsettled.delete(older);
        const bytes = formatRenewal(wrap);
        if (!isVouchedFor && this.isMember(participant) && this.#isToHandOn(bytes)) {
          this.#unsettled.add(renewalHash(wrap), bytes, isSpread);
        }
      }
      if (isVouchedFor || isSpread) this.#doubted.delete(participant);
      else this.#doubted.add(participant);
    }
    // Of whom all is forgotten: who was removed could make up any number.
    for (const one of this.#doubted) if (this.statements.wrapOf(one) === undefined) this.#doubted.delete(one);
    const changes = this.#standings(before, staged);
    const expired = replaced.filter((one) => !this.statements.has(one)).map(({ hash: name }) => name);
    const names = [...expired, ...renewed.values()].map(nameOf);
    if (names.length > 0) changes.push({ type: "expired", names });
    const own = this.statements.wrapOf(this.#self);
    if (own !== undefined && staged.wraps.get(this.#self) === own && !this.#wrapKeys.made(own)) {
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

  /** Names of the wrap statements that came in what an admin said. */
  #vouchedFor({ roles }: Staged): Set<string> {
    const said = roles.filter(({ issuer }) => this.roster.isAdmin(issuer));
    return new Set(said.flatMap(({ wrap }) => (wrap === undefined ? [] : renewalHash(wrap))));
  }

  #renewalOf(participant: string): string {
    const wrap = this.statements.wrapOf(participant);
    return wrap === undefined ? "" : renewalHash(wrap);
  }

  #standings(before: Roster<RoleStatement>, { roles }: Staged): Change[] {
    if (roles.length === 0) return [];
    const after = this.roster;
    const changes: Change[] = [];
    for (const participant of new Set([...before.members(), ...after.members()])) {
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
  get #controlEpoch(): Epoch | undefined {
    return this.#keyring.sending ?? (this.#winner?.keys === undefined ? this.#highestOpen() : this.#winner);
  }

  #usableEpoch(): Epoch {
    const epoch = this.#controlEpoch;
    if (epoch === undefined) throw new MissingTopicKeyError("unusable");
    return epoch;
  }

  /** Draws the conclusions from what is known now. */
  #settle(now: number): Change[] {
    const { roster } = this;
    const changes: Change[] = [];
    const digest = this.#departures.noteDigest();
    const winner = this.#winnerUnder(roster);
    const isNew = winner !== this.#winner;
    this.#winner = winner;
    // Also where it cannot be sent under: what will be sealed under it is to be read, however long that takes.
    if (winner !== undefined) winner.leftAt = undefined;
    const isAgreed = winner !== undefined && this.#issuerKnew(winner, digest);
    if (winner !== undefined && this.#departures.noteAgreement(winner)) this.#settled.add(winner.id);
    this.#departures.note();
    if (isNew) this.#unsettled.unspread();
    if (isAgreed) this.#unsettled.clear();
    for (const id of this.#settled) if (this.#keyring.epoch(id) === undefined) this.#settled.delete(id);
    const sending = winner !== undefined && this.#mayUse(winner) ? winner : undefined;
    this.#send(sending, now);
    if (isNew && winner !== undefined) changes.push({ type: "epoch", epoch: winner, reason: winner.head?.reason });
    return changes;
  }

  /** Sends under an epoch from now on, and never again under the one before; or under none for the time being. */
  #send(sending: Epoch | undefined, now: number): void {
    const before = this.#keyring.sending;
    if (before !== undefined && before !== sending) before.isRetired = true;
    // Also while we are silent: the key before is still known to whoever was removed. Not where it is the last that we have.
    if (this.#winner?.keys !== undefined) {
      for (const epoch of this.#keyring.epochs) if (epoch !== this.#winner) epoch.leftAt ??= now;
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
    return head === undefined || this.#settled.has(id);
  }

  /** Who has or may have the key of the epoch that counts, and is not on the roster. */
  *#formerHolders(epoch: Epoch): Iterable<string> {
    const hints = hintsOf(recipientsOf(epoch));
    const mayHaveBeenGiven = this.#departures.whoMayHaveBeenGiven(epoch);
    for (const participant of this.statements.subjects()) {
      if (this.isMember(participant)) continue;
      if (mayHaveBeenGiven(participant) || this.#wasGiven(participant, epoch, hints)) yield participant;
    }
  }

  /** Who is on the roster, can be given the key of an epoch, and was not. */
  *#missing(epoch: Epoch): Iterable<string> {
    const hints = hintsOf(recipientsOf(epoch));
    for (const participant of this.roster.members()) {
      if (participant === this.#self) continue;
      if (this.statements.wrapOf(participant) === undefined) continue;
      if (!this.#wasGiven(participant, epoch, hints)) yield participant;
    }
  }

  /** Whether somebody made or was given the key of an epoch, as far as is known here; `hints` are those of the rekey's recipients. */
  #wasGiven(participant: string, { id, issuer }: Pick<Epoch, "id" | "issuer">, hints: ReadonlySet<string>): boolean {
    return (
      hints.has(participantOf(participant).hint) ||
      // A topic's first key: one of its roots made it, and no statement says which.
      (issuer === undefined ? this.statements.roots.includes(participant) : issuer === participant) ||
      // Not by what others say: who was removed could name any epoch, and silence all who send under it.
      this.statements
        .about(participant)
        .some(({ issuer: by, head }) => head === commitmentOf({ id }) && by !== participant && this.roster.isAdmin(by))
    );
  }

  /** Whether somebody has the key of an epoch who was removed: not only left by itself, which is no reason to fall silent. */
  #isHeldByRemoved(epoch: Epoch): boolean {
    for (const participant of this.#formerHolders(epoch)) if (!this.#onlyLeft(participant)) return true;
    return false;
  }

  /** Whether somebody is not on the roster because it said so itself, and no admin did: also then it may say so, to be let read on. */
  #onlyLeft(participant: string): boolean {
    const { revokedBy, statement } = this.roster.get(participant) ?? {};
    if (revokedBy?.issuer !== participant || statement?.role === "revoked") return false;
    if (this.statements.roots.includes(participant)) return true;
    return !this.statements
      .about(participant)
      .some(
        ({ issuer, role, version }) =>
          role === "revoked" &&
          issuer !== participant &&
          this.roster.isAdmin(issuer) &&
          version >= (statement?.version ?? 0),
      );
  }

  /** Why a rekey is wanted from us, if it is. */
  get rekeyWant(): RekeyWant | undefined {
    if (!this.roster.isAdmin(this.#self) || this.#highestOpen() === undefined) return undefined;
    const winner = this.#winner;
    if (winner?.keys === undefined) return "unusable";
    if (isAny(this.#formerHolders(winner))) return "held-by-removed";
    if (winner.isRetired) return "unusable";
    if (this.#departures.isRemovalLost(winner)) return "removal-lost";
    for (const missing of this.#missing(winner)) {
      if (this.#agrees(winner) || this.roster.get(missing)?.statement?.issuer === this.#self)
        return "participant-missing";
    }
    return undefined;
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
    return !this.isRevoked && this.#controlEpoch !== undefined && isAny(this.#unspread());
  }

  /**
   * What came alone about a wrap key is for its participant to say again: whoever was removed may have said it, to us before we heard of
   * that, and under another key it would look as if it had that one.
   */
  #isToHandOn(bytes: Uint8Array): boolean {
    const statement = parseStatement(bytes);
    return isRoleStatement(statement) || (statement.identity === this.#self && this.#wrapKeys.made(statement));
  }

  *#unspread(): Iterable<Unsettled> {
    for (const one of this.#unsettled) if (!one.isSpread) yield one;
  }

  /** So many of that, to be published under the key that counts now. */
  spread(most: number): Control[] {
    const under = this.#controlEpoch;
    if (under === undefined) return [];
    const unspread = [...this.#unspread()].slice(0, most);
    for (const unsettled of unspread) unsettled.isSpread = true;
    return unspread.map(({ bytes }) => this.#statementControl(bytes, under));
  }

  // ——— Newcomers, and who comes back ———

  /** The wrap key of somebody who comes back, if it can be given a key by it without a person. */
  wrapToReturn(participant: string): WrapStatement | undefined {
    return this.#doubted.has(participant) ? undefined : this.statements.wrapOf(participant);
  }

  /** The wrap key that we may say somebody has: the newest, or while that is doubted, the one that it was admitted with. */
  #wrapToVouchFor(participant: string): WrapStatement | undefined {
    return this.wrapToReturn(participant) ?? this.roster.get(participant)?.statement?.wrap;
  }

  /**
   * Whether the rekey of the epoch that counts, or a role statement, says that somebody is given its key. Nobody else is: others could not
   * know that it has it, and would send on under it when it is removed.
   */
  isGivenKey(participant: string): boolean {
    const winner = this.#winner;
    return winner !== undefined && this.#wasGiven(participant, winner, hintsOf(recipientsOf(winner)));
  }

  /** What somebody needs to take part. */
  handover(): ReplyContent {
    if (!this.roster.isAdmin(this.#self)) throw new ForbiddenError("only an admin answers introductions");
    const winner = this.#winner;
    const key = this.#keyring.current;
    if (winner === undefined || key === undefined) throw new MissingTopicKeyError("unusable");
    const statements = this.#statementsOfReply();
    if (winner.head !== undefined && winner.agreedAt === undefined) this.#answeredIn = winner.id;
    const secret = this.#rejoinSecrets.of(winner.id);
    return {
      epoch: winner.number,
      generation: (winner.keys as Generations).sending,
      topicKey: key.bytes,
      salt: this.salt,
      roots: this.roots,
      statements,
      head: tellingOf(winner),
      rejoinSecret: secret === undefined ? new Uint8Array(0) : secret.secret,
    };
  }

  /** The most bytes of a reply with these statements. */
  #replyBytes(statements: readonly Uint8Array[]): number {
    const head = this.#winner === undefined ? 0 : tellingOf(this.#winner).length;
    return REPLY_ENVELOPE_BYTES + KEY_BYTES * this.roots.length + head + lengthOf(statements);
  }

  /** All statements that the roster rests on, and of the others as many as a reply takes. */
  #statementsOfReply(): Uint8Array[] {
    const { needed, rest } = this.statements.encodedByNeed();
    let length = this.#replyBytes(needed);
    this.#expectFits(length);
    const statements = [...needed];
    for (const bytes of rest) {
      length += lengthOf([bytes]);
      if (!this.#fits(length) || statements.length === MAX_CONTROL_STATEMENTS) break;
      statements.push(bytes);
    }
    return statements;
  }

  /**
   * With which secret of ours somebody on the roster made a proof, if with any; and whether the roster had it in that epoch: it comes back.
   * The secret is ours to wipe.
   */
  provesReturn(
    participant: string,
    epoch: number,
    clock: number | undefined,
    isProof: (secret: Uint8Array) => boolean,
  ): { readonly secret: Uint8Array; readonly isReturning: boolean } | undefined {
    if (!this.isMember(participant)) return undefined;
    this.expireRejoin(clock);
    const proven = this.#rejoinSecrets.numbered(epoch).filter(({ secret }) => isProof(secret));
    const [first] = proven;
    if (first === undefined) return undefined;
    // Two epochs of one key have one secret.
    const isReturning = proven.some((one) => this.#wasGiven(participant, one, hintsOf(one.recipients)));
    return { secret: first.secret, isReturning };
  }

  /** What to come back with: of the epoch that we send under, or that counts, or that nobody made who was removed. */
  get rejoinSecret(): RejoinSecret | undefined {
    const of = this.#keyring.sending ?? this.#winner;
    return this.#rejoinSecrets.of(of?.id) ?? this.#rejoinSecrets.newest(this.#isIssuer);
  }

  #addRejoin(epoch: Epoch, secret: Uint8Array, clock: number, isProven = true): void {
    const { id, number, issuer } = epoch;
    this.#rejoinSecrets.add({
      id,
      epoch: number,
      secret,
      recipients: recipientsOf(epoch),
      issuer,
      isProven,
      since: clock,
    });
    this.expireRejoin(clock);
    this.#rejoinSecrets.trim(this.#winner?.id, this.#isIssuer);
  }

  /** Whether what somebody issued is worth more than what others did: the first epoch has no issuer. */
  readonly #isIssuer = (issuer: string | undefined): boolean => issuer === undefined || this.roster.isAdmin(issuer);

  /** Wipes what is too old to come back with, where there is a clock. */
  expireRejoin(clock: number | undefined): void {
    if (clock !== undefined) this.#rejoinSecrets.expire(clock, this.#winner?.id);
  }

  /** @throws ForeignReplyError for a reply of another topic; InvalidKeyError, MalformedMessageError for bad roots */
  expectTopic({ salt, roots }: ReplyContent): void {
    if (!equalBytes(topicIdOf(salt, roots), this.topicId)) {
      throw new ForeignReplyError(
        "the reply is of another topic than ours, which has other roots: a newcomer is what Topic.create() gives, not establish()",
      );
    }
    for (const root of roots) expectIdentityKey(root);
    if (new Set(this.statements.roots).size !== roots.length)
      throw new MalformedMessageError("expected each root once");
  }

  /**
   * Checks what a reply says, together with what we know.
   *
   * @throws ForbiddenError where its sponsor is no admin by what both know together
   */
  check(given: ReplyContent, sponsor: string): CheckedReply {
    const staged = this.statements.stage(given.statements);
    if (!this.statements.rosterWith(staged).isAdmin(sponsor)) {
      throw new ForbiddenError("the sponsor of this reply is no admin: only an admin answers introductions");
    }
    const head = given.head.length === KEY_BYTES ? undefined : parseHead(given.head);
    if (head !== undefined) {
      this.#expectIssuer(toHex(head.issuerKey), staged);
      verifyHead(this.topicId, head);
      if (head.epoch > MAX_TOLD_EPOCH)
        throw new MalformedMessageError(`expected an epoch of at most ${MAX_TOLD_EPOCH}`);
      if (head.epoch !== given.epoch) throw new MalformedMessageError("expected the head of the reply's epoch");
    } else if (given.epoch !== 0 || !equalBytes(saltOf(given.head), this.salt)) {
      throw new MalformedMessageError("expected a head, or the topic's first key");
    }
    const key = new TopicKey(given.topicKey);
    const named = head?.commitment ?? given.head;
    const isFit = given.generation !== 0 || equalBytes(key.commitment, named);
    key.wipe();
    if (!isFit) throw new MalformedMessageError("expected the topic key that the head names");
    const known = this.#keyring.epoch(epochIdIn(given, head));
    if (known?.keys !== undefined) this.#leadsTo(known.keys, known.isProven, given);
    return { given, staged, head, sponsor };
  }

  /** Unites what a reply says with what we know, and takes its key. Says whether its epoch counts now. */
  adopt(
    { given, staged, head, sponsor }: CheckedReply,
    clock: number,
    now: number,
    isFirst: boolean,
  ): { adopted: boolean; changes: Change[] } {
    const changes: Change[] = [...this.#add(staged, now, false, false), { type: "key" }];
    // Signed by the same identity as the reply, whose fingerprint was compared.
    if (staged.names.has(this.#renewalOf(sponsor))) this.#doubted.delete(sponsor);
    const epoch = this.#adoptEpoch(given, head, now);
    // What follows from the key is not to be believed of others, who may have made it up.
    if (given.generation === 0) this.#addRejoin(epoch, rejoinSecretOf(given.topicKey), clock);
    else if (given.rejoinSecret.length === KEY_BYTES) {
      this.#addRejoin(epoch, new Uint8Array(given.rejoinSecret), clock, false);
    }
    epoch.isRetired = false;
    epoch.isSetAside = false;
    // It may be needed for a while, whatever counts.
    epoch.leftAt = now;
    this.#setAsideUnopened();
    const told = staged.names;
    // Whose removal the admin knew, and sends under this key: it was not given that one, as far as the admin knows.
    if (epoch === this.#winnerUnder(this.roster)) this.#departures.noteTold(epoch, told);
    changes.push(...this.#settle(now));
    // Whatever the issuer of the epoch that counts knew: more than what an admin knows is not to be had.
    this.#settled.add(epoch.id);
    if (this.#winner !== undefined) this.#settled.add(this.#winner.id);
    // What an admin did not tell, it may not know. Another one that answered before is to hear of what it did not tell, too.
    if (isFirst) this.#unsettled.clear();
    const untold = this.statements
      .encoded()
      .filter((bytes) => !told.has(statementHash(bytes)) && this.#isToHandOn(bytes));
    for (const bytes of untold.slice(0, MAX_REPUBLISHED)) this.#unsettled.add(statementHash(bytes), bytes, false);
    // What we learn only now, those whom we answered before do not know, and take themselves for told all.
    if (this.#answeredIn !== undefined && this.#answeredIn === this.#winner?.id) {
      for (const { hash: name, bytes } of staged.roles) this.#unsettled.add(name, bytes, false);
    }
    return { adopted: this.#winner === epoch, changes };
  }

  /** What cannot be opened counts no more when an admin says to go on without it. Otherwise one admin could shut us out by rekeys that leave us out. */
  #setAsideUnopened(): void {
    for (;;) {
      const winner = this.#winnerUnder(this.roster);
      if (winner === undefined || winner.keys !== undefined) return;
      winner.isSetAside = true;
    }
  }

  #adoptEpoch(given: ReplyContent, head: RekeyHead | undefined, now: number): Epoch {
    const id = epochIdIn(given, head);
    const known = this.#keyring.epoch(id);
    const isProven = given.generation === 0;
    if (known?.keys !== undefined && this.#leadsTo(known.keys, known.isProven, given)) {
      if (given.generation > known.keys.sending) this.#keyring.adopt(known, given.generation, now);
      return known;
    }
    const keys = new Generations(given.topicKey, given.generation);
    if (known !== undefined) {
      this.#replaceKeys(known, keys, isProven);
      return known;
    }
    if (head !== undefined) return this.#addEpoch(head, undefined, keys, now, isProven);
    const first = { id, number: 0, head: undefined, issuer: undefined, parent: undefined };
    return this.#keyring.add({ ...first, keys, isProven }, now);
  }

  /** The first key of an epoch came, of which a reply had told: where it leads to what that gave, it stays with that generation. */
  #prove(epoch: Epoch, keys: Generations, now: number): void {
    const told = epoch.keys;
    if (told !== undefined && told.sending > 0) {
      const given = { generation: told.sending, topicKey: told.sendingKey.bytes };
      if (this.#leadsTo(keys, false, given)) keys.adopt(told.sending, now);
    }
    this.#replaceKeys(epoch, keys, true);
  }

  #replaceKeys(epoch: Epoch, keys: Generations, isProven: boolean): void {
    epoch.keys?.wipe();
    epoch.keys = keys;
    epoch.isProven = isProven;
    if (epoch === this.#keyring.sending) this.#keyring.use(epoch);
  }

  /**
   * Whether keys that we have lead to one that we are given, or led there: then they stay. Those that nothing proves give way to it; so
   * do those that cannot be followed so far.
   *
   * @throws MalformedMessageError where they are proven, and lead elsewhere
   */
  #leadsTo(
    keys: Generations,
    isProven: boolean,
    { generation, topicKey }: Pick<ReplyContent, "generation" | "topicKey">,
  ): boolean {
    if (generation > keys.last) return false;
    if (generation < keys.oldest) return isProven;
    const own = keys.keyAt(generation).bytes;
    const isSame = equalSecrets(own, topicKey);
    wipe(own);
    if (isProven && !isSame) throw new MalformedMessageError("expected a topic key of this epoch");
    return isSame;
  }

  /** Wipes what is past its grace. What was sealed under it has no use any more. */
  expire(now: number, grace: number): Change[] {
    const wiped = new Set(this.#keyring.expire(now, grace));
    const isOver = ({ parent }: Epoch): boolean => parent !== undefined && wiped.has(parent);
    const epochs = [...this.#keyring.epochs];
    // Others may have the same name: whoever sees one can make another.
    const inUse = new Set(epochs.filter((epoch) => !isOver(epoch)).map(({ id }) => nameOf(id)));
    const names = epochs
      .filter(isOver)
      .map(({ id }) => nameOf(id))
      .filter((name) => !inUse.has(name));
    for (const [name, epoch] of this.#sealedUnder) {
      if (!wiped.has(epoch)) continue;
      names.push(name);
      this.#sealedUnder.delete(name);
    }
    return names.length === 0 ? [] : [{ type: "expired", names }];
  }

  wipe(): void {
    this.#rejoinSecrets.wipe();
  }

  // ——— Keeping it ———

  saved(): SavedRooted {
    return {
      salt: this.salt,
      roots: this.roots,
      statements: this.statements.saved(),
      winner: this.#winner?.id,
      rejoinSecrets: this.#rejoinSecrets.saved(),
      ...this.#departures.saved(),
      settled: [...this.#settled],
      answeredIn: this.#answeredIn,
      unsettled: [...this.#unsettled],
      doubted: [...this.#doubted],
      sealedUnder: [...this.#sealedUnder],
    };
  }

  restore(saved: SavedRooted): void {
    this.statements.restoreWithoutVerifying(saved.statements);
    this.#winner = saved.winner === undefined ? undefined : this.#keyring.epoch(saved.winner);
    this.#rejoinSecrets.restore(saved.rejoinSecrets);
    this.#departures.restore(saved);
    for (const id of saved.settled) this.#settled.add(id);
    this.#answeredIn = saved.answeredIn;
    this.#unsettled.restore(saved.unsettled);
    for (const participant of saved.doubted) this.#doubted.add(participant);
    for (const [name, epoch] of saved.sealedUnder) this.#sealedUnder.set(name, epoch);
  }
}

/** What a reply tells of an epoch: its head, or the commitment of a topic's first key. */
function tellingOf({ head, id }: Epoch): Uint8Array {
  return head === undefined ? fromHex(id) : formatHead(head);
}

/** The id of the epoch that a reply tells of. */
function epochIdIn(given: ReplyContent, head: RekeyHead | undefined): string {
  return head === undefined ? toHex(given.head) : epochIdOf(head);
}

/** What one may come back with: of the first key of an epoch. */
function rejoinSecretOf(key: Uint8Array): Uint8Array {
  return kdf(key, "rejoinSecret");
}

/** Bytes of statements, as they stand in a message. */
function lengthOf(statements: readonly Uint8Array[]): number {
  return statements.reduce((sum, { length }) => sum + headLength(length) + length, 0);
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

/** What makes the id of a topic its own: it follows from its first key, so that nobody can tell newcomers of another one. */
export function saltOf(commitment: Uint8Array): Uint8Array {
  return hash("salt", commitment).subarray(0, SALT_BYTES);
}
