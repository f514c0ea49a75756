// Rooted topics: rekeys, control messages, replies with a roster, and coming back. §6.3, §9.2, §11 and §12.5 of docs/PROTOCOL.md,
// from that page alone. It is a simple peer: it neither keeps messages (§12.3) nor says by itself that something is missing (§11.6, §12.4).
import sodium from "libsodium-wrappers";
import { Chain } from "./independent-generations.js";
import {
  type Claim,
  controlPlaintext,
  type Given,
  type Handover,
  type Introduction,
  introductionHash,
  type OwnWrapKey,
  Peer,
  parse,
  sealPlaintext,
  type Unsealed,
  verifyIntroduction,
} from "./independent-peer.js";
import {
  type Bytes,
  bytesOf,
  commitmentOf,
  H,
  hex,
  hintOf,
  isIdentityKey,
  join,
  KDF,
  MAX_CONTROL,
  MAX_EPOCH,
  MAX_REPLY_EPOCH,
  MAX_STATEMENT,
  MIN_STATEMENT,
  malformed,
  numberOf,
  open,
  PeerError,
  publicKeyOf,
  readCbor,
  refuse,
  same,
  seal,
  sign,
  unhex,
  verify,
  writeCbor,
} from "./independent-primitives.js";
import {
  makeRoleStatement,
  makeWrapAlone,
  nameOf,
  parseStatement,
  type Role,
  type RoleStatement,
  Statements,
  saltOf,
  topicIdOf,
  wrapAlone,
  wrapWithin,
} from "./independent-statements.js";

const none = new Uint8Array();
const zeros = new Uint8Array(24);
const once = (statements: readonly Bytes[]): Bytes[] => [
  ...new Map(statements.map((each) => [hex(each), each])).values(),
];

// §6.3

export const controlPayload = (statements: readonly Bytes[], rekey: Bytes): Bytes => writeCbor([statements, rekey]);

export function readControlPayload(payload: Bytes): { statements: Bytes[]; rekey: Bytes } {
  const [list, rekey, ...more] = readCbor(payload, 65_539, true);
  if (typeof list !== "object" || list instanceof Uint8Array || more.length > 0) return malformed("control payload");
  return {
    statements: list.map((each) => bytesOf(each, MIN_STATEMENT, MAX_STATEMENT)),
    rekey: bytesOf(rekey, 0, MAX_CONTROL),
  };
}

/** Seals a control message, in a session of its own. */
export const sealControl = (topicKey: Bytes, name: string, payload: Bytes, session: Bytes): Bytes =>
  sealPlaintext({ topicKey, session, sequence: 0, context: name }, controlPlaintext(payload));

// §11.1

const REASONS = ["requested", "removal", "repair"] as const;
export type Reason = (typeof REASONS)[number];
type RekeyBytes = Record<
  "issuer" | "parent" | "ephemeralKey" | "recipients" | "digest" | "statementsHash" | "commitment" | "signature",
  Bytes
>;
/** `wraps` of a head is their hash. */
export type Rekey = RekeyBytes & { epoch: number; reason: number; wraps: Bytes };

const wrapsHash = (wraps: Bytes): Bytes => H("wraps", wraps);
const statementsHash = (statements: readonly Bytes[]): Bytes => H("rekey statements", statements);
const bodyHash = (topicId: Bytes, r: Omit<Rekey, "wraps" | "commitment" | "signature">, hash: Bytes): Bytes => {
  const front = [r.issuer, r.parent, r.epoch, r.reason, r.ephemeralKey, r.recipients];
  return H("rekey", topicId, ...front, hash, r.digest, r.statementsHash);
};
const rekeyDigest = (body: Bytes, commitment: Bytes): Bytes => H("rekey signature", body, commitment);
const epochKey = (parentKey: Bytes, secret: Bytes, epoch: number, body: Bytes): Bytes =>
  KDF(parentKey, "epoch key", secret, epoch, body);

type Place = { topicId: Bytes; ephemeralKey: Bytes; issuer: Bytes; parent: Bytes; epoch: number };
type Recipient = { identity: Bytes; wrapKey: Bytes };
const wrapKeyOf = (shared: Bytes, { topicId, ephemeralKey, issuer, parent, epoch }: Place, to: Recipient): Bytes =>
  KDF(shared, "wrap", topicId, ephemeralKey, to.identity, to.wrapKey, issuer, parent, epoch);

/** X25519, or nothing where the result is all zeros. */
function agree(secret: Bytes, publicKey: Bytes): Bytes | undefined {
  try {
    return sodium.crypto_scalarmult(secret, publicKey);
  } catch {
    return undefined;
  }
}

const writeRekey = (r: Rekey): Bytes => {
  const front = [r.issuer, r.parent, r.epoch, r.reason, r.ephemeralKey, r.recipients];
  return writeCbor([...front, r.wraps, r.digest, r.statementsHash, r.commitment, r.signature]);
};

/** Of a rekey, or of a head, which has a hash in the place of the wraps. */
export function parseRekey(bytes: Bytes, isHead = false): Rekey {
  const items = readCbor(bytes, 11, false);
  if (items.length !== 11) malformed("rekey without 11 items");
  const [issuer, parent, epoch] = [bytesOf(items[0], 32), bytesOf(items[1], 32), numberOf(items[2], MAX_EPOCH)];
  const [reason, ephemeralKey] = [numberOf(items[3], REASONS.length - 1), bytesOf(items[4], 32)];
  const recipients = bytesOf(items[5], 0, 8 * 65_536);
  if (recipients.length % 8 !== 0) malformed("part of a hint");
  const size = isHead ? 32 : 6 * recipients.length;
  const [wraps, digest, said] = [bytesOf(items[6], size), bytesOf(items[7], 32), bytesOf(items[8], 32)];
  const [commitment, signature] = [bytesOf(items[9], 32), bytesOf(items[10], 64)];
  const front = { issuer, parent, epoch, reason, ephemeralKey, recipients };
  return { ...front, wraps, digest, statementsHash: said, commitment, signature };
}

export const headOf = (rekey: Rekey): Bytes => writeRekey({ ...rekey, wraps: wrapsHash(rekey.wraps) });

/** Refuses a rekey, or a head, that its issuer did not sign. */
export function rekeyIsSigned(topicId: Bytes, rekey: Rekey, hash = wrapsHash(rekey.wraps)): void {
  if (!verify(rekey.signature, rekeyDigest(bodyHash(topicId, rekey, hash), rekey.commitment), rekey.issuer))
    refuse("BAD_SIGNATURE", "rekey");
}

export type RekeyInput = Record<"seed" | "topicId" | "parentKey" | "ephemeralSecret" | "secret" | "digest", Bytes> & {
  epoch: number;
  reason: Reason;
  recipients: readonly Recipient[];
  /** In the same control message. */
  statements: readonly Bytes[];
};
export function makeRekey(input: RekeyInput): { rekey: Bytes; topicKey: Bytes } {
  const { seed, topicId, parentKey, ephemeralSecret, secret, digest, epoch } = input;
  const [issuer, parent, reason] = [publicKeyOf(seed), commitmentOf(parentKey), REASONS.indexOf(input.reason)];
  const ephemeralKey = sodium.crypto_scalarmult_base(ephemeralSecret);
  const place = { topicId, ephemeralKey, issuer, parent, epoch };
  const wraps = input.recipients.map((to) => {
    const shared = agree(ephemeralSecret, to.wrapKey) ?? refuse("INVALID_KEY", "wrap key");
    return seal(wrapKeyOf(shared, place, to), zeros, none, secret);
  });
  const recipients = join(...input.recipients.map(({ identity }) => hintOf(identity)));
  const front = { issuer, parent, epoch, reason, ephemeralKey, recipients };
  const body = { ...front, wraps: join(...wraps), digest, statementsHash: statementsHash(input.statements) };
  const hash = bodyHash(topicId, body, wrapsHash(body.wraps));
  const topicKey = epochKey(parentKey, secret, epoch, hash);
  const commitment = commitmentOf(topicKey);
  const signature = sign(seed, rekeyDigest(hash, commitment));
  return { rekey: writeRekey({ ...body, commitment, signature }), topicKey };
}

const hintsOf = (recipients: Bytes): string[] => hex(recipients).match(/.{16}/g) ?? [];

/** The new topic key and the wrap key that opened it; "bad" if it was wrapped to us and does not open, nothing if it was not. */
export function openRekey(
  rekey: Rekey,
  {
    topicId,
    parentKey,
    identity,
    wrapKeys,
  }: { topicId: Bytes; parentKey: Bytes; identity: Bytes; wrapKeys: readonly OwnWrapKey[] },
): { topicKey: Bytes; by: OwnWrapKey } | "bad" | undefined {
  const hash = bodyHash(topicId, rekey, wrapsHash(rekey.wraps));
  const ours = hintsOf(rekey.recipients).flatMap((hint, i) => (hint === hex(hintOf(identity)) ? [i] : []));
  for (const i of ours.slice(0, 2))
    for (const by of [...wrapKeys].reverse()) {
      const shared = agree(by.secret, rekey.ephemeralKey);
      if (shared === undefined) continue;
      const key = wrapKeyOf(shared, { ...rekey, topicId }, { identity, wrapKey: by.wrapKey });
      const secret = tryOpen(key, rekey.wraps.slice(48 * i, 48 * i + 48));
      const topicKey = secret && epochKey(parentKey, secret, rekey.epoch, hash);
      if (topicKey !== undefined && same(commitmentOf(topicKey), rekey.commitment)) return { topicKey, by };
    }
  return ours.length > 0 ? "bad" : undefined;
}

function tryOpen(key: Bytes, sealed: Bytes): Bytes | undefined {
  try {
    return open(key, zeros, none, sealed);
  } catch (error) {
    if (error instanceof PeerError) return undefined;
    throw error;
  }
}

// §9.1, §9.2, §12.5: coming back

export const rejoinSecretOf = (firstKey: Bytes): Bytes => KDF(firstKey, "rejoin secret");
const proofOf = (secret: Bytes, { senderKey, kemKey, wrap, sentAt, name, context }: Claim): Bytes =>
  KDF(secret, "rejoin proof", H("rejoin introduction", senderKey, kemKey, wrap, sentAt, name, context));

export const makeRejoin = (epoch: number, secret: Bytes, claim: Claim): Bytes =>
  writeCbor([epoch, proofOf(secret, claim)]);
export function parseRejoin(bytes: Bytes): { epoch: number; proof: Bytes } {
  const items = readCbor(bytes, 2, false);
  if (items.length !== 2) malformed("rejoin without 2 items");
  return { epoch: numberOf(items[0], MAX_EPOCH), proof: bytesOf(items[1], 32) };
}

type ReturnTo = Recipient & { introduction: Bytes };
const returnKey = (shared: Bytes, ephemeralKey: Bytes, { identity, wrapKey, introduction }: ReturnTo): Bytes =>
  KDF(shared, "return wrap", ephemeralKey, identity, wrapKey, introductionHash(introduction));

/** What is wrapped once more. */
type Returned = Record<"topicKey" | "rejoinSecret", Bytes>;
export function wrapOnceMore(given: Returned, ephemeralSecret: Bytes, to: ReturnTo): Bytes {
  const ephemeralKey = sodium.crypto_scalarmult_base(ephemeralSecret);
  const shared = agree(ephemeralSecret, to.wrapKey) ?? refuse("INVALID_KEY", "wrap key");
  const plaintext = join(given.topicKey, given.rejoinSecret);
  return join(ephemeralKey, seal(returnKey(shared, ephemeralKey, to), zeros, none, plaintext));
}

export function unwrapOnceMore(
  wrapped: Bytes,
  identity: Bytes,
  introduction: Bytes,
  wrapKeys: readonly OwnWrapKey[],
): Returned {
  const [ephemeralKey, sealed] = [wrapped.slice(0, 32), wrapped.slice(32)];
  for (const { secret, wrapKey } of [...wrapKeys].reverse()) {
    const shared = agree(secret, ephemeralKey);
    const plaintext = shared && tryOpen(returnKey(shared, ephemeralKey, { identity, wrapKey, introduction }), sealed);
    if (plaintext !== undefined) return { topicKey: plaintext.slice(0, 32), rejoinSecret: plaintext.slice(32) };
  }
  return refuse("DECRYPTION_FAILED", "not to our wrap keys");
}

// §11.2 to §11.5

/** What is known of one epoch; the first has no issuer. */
type Epoch = { number: number; commitment: string; head: Bytes; recipients: string[]; setAside: boolean } & {
  issuer: string | undefined;
  /** The epoch that its rekey was sealed under, as far as one came. */
  parent: string | undefined;
  chain: Chain | undefined;
  rejoinSecret: Bytes | undefined;
  /** Whether that follows from a key that was opened, or given in generation 0. */
  isRejoinProven: boolean;
  /** Whether its key was opened, or given in generation 0. */
  isProven: boolean;
  /** Who had left, and when, by the statements that came with its rekey, or with a reply that gave it. */
  told: Map<string, number>;
  digest: string | undefined;
  statementsHash: Bytes | undefined;
  /** When the grace of its keys began, in running time. */
  ended: number | undefined;
};
/** An epoch is known by its commitment and its issuer, and in this order the smaller of two counts. */
const idOf = ({ commitment, issuer = "" }: Pick<Epoch, "commitment" | "issuer">): string => commitment + issuer;
export type Beginning = { roots: Bytes[]; salt: Bytes; topicKey: Bytes; statements: Bytes[]; wrapSecret?: Bytes };
type Topic = { roots: Bytes[]; salt: Bytes; id: Bytes };

/** Something to be published under a name (§12.1). */
export type Control = { name: string; wire: Bytes };
type Reply = Extract<Given, { kind: "INTRODUCTION_REPLY" }>;

export class RootedPeer extends Peer {
  #topic: Topic | undefined;
  #known: Statements | undefined;
  readonly #epochs = new Map<string, Epoch>();
  #sending: Epoch | undefined;
  /** Epochs whose issuers knew nothing that we do not, as far as can be told (§11.6). */
  readonly #settled = new Set<string>();
  /** Epochs that we ceased to send under. */
  readonly #left = new Set<string>();
  /** What our statements were called, one after the other: the times by which it is known who left when (§11.5). */
  readonly #digests: string[] = [];
  #present: string[] = [];
  readonly #departed = new Map<string, number>();
  /** Of who is not on the roster: the heads that admins name, when that was looked at last. */
  readonly #headsOfAbsent = new Map<string, string[]>();
  /** Wrap statements of which it is not known that their participant made them. */
  readonly #doubted = new Set<string>();
  /** Introductions by which a person let somebody in. */
  readonly #admittedBy = new Set<string>();
  /** What the application is to be told: a rekey that was wrapped to us and does not open, a wrap key that we did not make. */
  readonly reports: ("bad-rekey" | "seed-stolen")[] = [];

  // What it knows

  get known(): Statements {
    return this.#known ?? refuse("FORBIDDEN", "a topic without a roster");
  }
  get topicId(): Bytes | undefined {
    return this.#topic?.id;
  }
  /** Hex keys of who is on the roster, with role and rank. */
  get members(): { key: string; role: Role; rank: number; name: string }[] {
    return this.known.members.map((key) => {
      const { role, rank, statement } = this.known.roster.get(key) ?? refuse("FORBIDDEN", key);
      return { key, role, rank, name: statement?.name ?? "" };
    });
  }
  /** What the epoch that counts is called. */
  get commitment(): string | undefined {
    return this.counting()?.commitment;
  }
  /** The rejoin secret that the next introduction is proven with. */
  override get rejoinSecret(): Bytes | undefined {
    return (this.#topic && this.#proving)?.rejoinSecret;
  }
  get epoch(): number {
    return this.counting()?.number ?? -1;
  }
  get canSend(): boolean {
    return this.#sending !== undefined && this.known.roster.get(this.#me)?.role !== "reader";
  }
  /** The epoch whose rejoin secret proves that we come back (§9.1). */
  get #proving(): Epoch | undefined {
    const known = [...this.#epochs.values()].filter(({ rejoinSecret }) => rejoinSecret !== undefined);
    const last =
      known.filter(({ issuer }) => issuer === undefined || this.known.isAdmin(issuer)).at(-1) ?? known.at(-1);
    return [this.#sending, this.counting(), last].find((epoch) => epoch?.rejoinSecret !== undefined);
  }
  get #me(): string {
    return hex(this.publicKey);
  }
  get #id(): Bytes {
    return this.#topic?.id ?? refuse("FORBIDDEN", "a topic without a roster");
  }

  /** The epoch that counts (§11.4). */
  counting(known = this.known): Epoch | undefined {
    const rankOf = ({ issuer }: Epoch): number => (issuer === undefined ? -1 : (known.roster.get(issuer)?.rank ?? 0));
    const wins = (a: Epoch, b: Epoch): boolean => {
      if (a.number !== b.number) return a.number > b.number;
      if (rankOf(a) !== rankOf(b)) return rankOf(a) < rankOf(b);
      return idOf(a) < idOf(b);
    };
    return [...this.#epochs.values()]
      .filter(({ issuer, setAside }) => !setAside && (issuer === undefined || known.isAdmin(issuer)))
      .reduce<Epoch | undefined>((best, each) => (best === undefined || wins(each, best) ? each : best), undefined);
  }

  /** The greatest of those whose key is held. */
  #openable(): Epoch | undefined {
    const held = [...this.#epochs.values()].filter(({ chain }) => chain !== undefined);
    return held.sort((a, b) => b.number - a.number || (idOf(a) < idOf(b) ? -1 : 1))[0];
  }

  /** By its rekey, or by what an admin says of somebody (§11.5). */
  #wasGiven({ issuer, recipients, commitment }: Epoch, key: string): boolean {
    if (issuer === undefined ? this.known.roots.includes(key) : issuer === key) return true;
    if (recipients.includes(hex(hintOf(unhex(key))))) return true;
    return [...this.known.roles.values()].some(
      (each) =>
        each.subject === key && each.issuer !== key && hex(each.head) === commitment && this.known.isAdmin(each.issuer),
    );
  }

  /** Whether who left may have it, as somebody who did not know that may have answered it (§11.5). */
  #mayHave(epoch: Epoch, key: string): boolean {
    const departed = this.#departed.get(key);
    if (departed === undefined) return false;
    for (let at: Epoch | undefined = epoch; at !== undefined; at = this.#epochs.get(at.parent ?? "")) {
      const known = at.digest === undefined ? -1 : this.#digests.lastIndexOf(at.digest);
      if (known >= departed || at.told.get(key) === departed) return false;
    }
    return true;
  }

  /** The statements that say why somebody is not on the roster (§11.7). */
  #why(key: string, seen = new Set<string>()): RoleStatement[] {
    if (seen.has(key)) return [];
    seen.add(key);
    const { statement, revokedBy } = this.known.roster.get(key) ?? {};
    const decisive = revokedBy ?? statement;
    if (decisive !== undefined) return [decisive];
    const about = [...this.known.roles.values()].filter(({ subject }) => subject === key);
    return about.flatMap(({ issuer }) => this.#why(issuer, seen));
  }

  /** Who left, and when (§11.5). */
  #noteDepartures(): void {
    const digest = hex(this.known.digest());
    if (this.#digests.at(-1) !== digest) this.#digests.push(digest);
    const now = this.#digests.length - 1;
    for (const key of this.#present) if (!this.known.isOn(key)) this.#departed.set(key, now);
    this.#present = this.known.members;
    for (const key of this.#present) this.#departed.delete(key);
    const heads = new Map<string, string[]>();
    for (const { issuer, subject, head } of this.known.roles.values()) {
      if (issuer === subject || !this.known.isAdmin(issuer) || this.known.isOn(subject)) continue;
      heads.set(subject, [...(heads.get(subject) ?? []), hex(head)]);
    }
    for (const [key, named] of heads) {
      const before = this.#headsOfAbsent.get(key);
      if (named.some((head) => before?.includes(head) !== true)) this.#departed.set(key, now);
      this.#headsOfAbsent.set(key, named);
    }
  }

  #noteTold(epoch: Epoch, statements: readonly Bytes[]): void {
    const came = new Set(statements.map((each) => hex(nameOf(each))));
    for (const [key, departed] of this.#departed)
      if (this.#why(key).some(({ id }) => came.has(id))) epoch.told.set(key, departed);
  }

  #onlyLeft(key: string): boolean {
    if (this.known.roots.includes(key)) return true;
    const { statement, revokedBy } = this.known.roster.get(key) ?? {};
    if (statement === undefined || statement.role === "revoked" || revokedBy?.issuer !== key) return false;
    return ![...this.known.roles.values()].some(
      ({ issuer, subject, role, version }) =>
        subject === key &&
        issuer !== key &&
        role === "revoked" &&
        version >= statement.version &&
        this.known.isAdmin(issuer),
    );
  }

  /** Who has or may have its key, and is not on the roster. */
  #formerHolders(epoch: Epoch): string[] {
    const subjects = new Set([...this.known.roles.values()].map(({ subject }) => subject));
    const had = (key: string): boolean => this.#mayHave(epoch, key) || this.#wasGiven(epoch, key);
    return [...subjects].filter((key) => !this.known.isOn(key) && had(key));
  }

  #isHeldByRemoved(epoch: Epoch): boolean {
    return this.#formerHolders(epoch).some((key) => !this.#onlyLeft(key));
  }

  /** Why an admin wants a rekey (§11.6), but for a removal of its own that was lost. */
  get wanted(): "unusable" | "held-by-removed" | "participant-missing" | undefined {
    if (!this.known.isAdmin(this.#me) || this.#openable() === undefined) return undefined;
    const counting = this.counting();
    if (counting?.chain === undefined) return "unusable";
    if (this.#formerHolders(counting).length > 0) return "held-by-removed";
    if (this.#left.has(idOf(counting))) return "unusable";
    const missing = this.known.members.filter(
      (key) => key !== this.#me && this.known.wraps.has(key) && !this.#wasGiven(counting, key),
    );
    const agrees = counting.issuer === undefined || this.#settled.has(idOf(counting));
    const isOurs = (key: string): boolean => this.known.roster.get(key)?.statement?.issuer === this.#me;
    return missing.some((key) => agrees || isOurs(key)) ? "participant-missing" : undefined;
  }

  /** Which wrap keys are doubted, after these came: not those that this says are their participants' own (§12.2). */
  #doubt(known: Statements, came: readonly Bytes[], isOwn: (key: string) => boolean): void {
    const told = came.map(parseStatement);
    const alone = new Set(told.flatMap((each) => (each.kind === "wrap" ? [each.id] : [])));
    const byAdmins = new Set(
      told.flatMap((each) => {
        if (each.kind === "wrap" || each.wrap.length === 0 || !known.isAdmin(each.issuer)) return [];
        const taken = [known.roles.get(each.issuer + each.subject)?.id, known.links.get(each.subject)?.id];
        return taken.includes(each.id) ? [wrapAlone(unhex(each.subject), each.wrap).id] : [];
      }),
    );
    for (const [key, { id }] of known.wraps) {
      const isNew = this.#known?.wraps.get(key)?.id !== id;
      if (isOwn(key) && alone.has(id)) this.#doubted.delete(id);
      if (isNew && !isOwn(key) && !byAdmins.has(id)) this.#doubted.add(id);
    }
  }

  /** What follows whenever a statement or an epoch became known; `note` is what else is to be noted before. */
  #conclude(known: Statements, note: () => void = () => undefined): void {
    const wasOn = this.#known?.members ?? [];
    const before = this.#known?.wraps.get(this.#me);
    this.#known = known;
    const announced = known.wraps.get(this.#me);
    if (announced !== undefined && announced.id !== before?.id)
      if (!this.wrapKeys.some(({ wrapKey }) => same(wrapKey, announced.wrapKey))) this.reports.push("seed-stolen");
    for (const key of wasOn.filter((each) => !known.isOn(each))) {
      this.unpin(unhex(key));
    }
    this.#noteDepartures();
    note();
    const counting = this.counting();
    if (counting !== undefined) counting.ended = undefined;
    if (counting?.digest !== undefined && this.#digests.includes(counting.digest)) this.#settled.add(idOf(counting));
    const may =
      counting?.chain !== undefined &&
      known.isOn(this.#me) &&
      !this.#left.has(idOf(counting)) &&
      !this.#isHeldByRemoved(counting);
    const next = may ? counting : undefined;
    if (this.#sending !== undefined && this.#sending !== next) this.#left.add(idOf(this.#sending));
    this.#sending = next;
    for (const epoch of this.#epochs.values()) if (epoch !== next && next !== undefined) epoch.ended ??= this.elapsed();
  }

  #remember(epoch: Omit<Epoch, "setAside" | "isProven" | "isRejoinProven" | "told" | "ended">): Epoch {
    const isProven = epoch.chain?.oldest === 0;
    const isRejoinProven = epoch.rejoinSecret !== undefined;
    const begun = { setAside: false, told: new Map<string, number>(), ended: this.elapsed() };
    const made = { ...epoch, ...begun, isProven, isRejoinProven };
    this.#epochs.set(idOf(epoch), made);
    const of = [...this.#epochs.values()].filter(({ issuer }) => issuer !== undefined && issuer === epoch.issuer);
    const others = of.filter((each) => each !== this.#sending && each !== made);
    const goes = others.sort((a, b) => a.number - b.number)[0];
    if (of.length > 16 && goes !== undefined) this.#epochs.delete(idOf(goes));
    return made;
  }

  // What Peer asks

  protected override isRooted(): boolean {
    return this.#topic !== undefined;
  }
  protected override sendingChain(): Chain | undefined {
    return this.#topic === undefined ? super.sendingChain() : this.#sending?.chain;
  }
  protected override readingChains(): Chain[] {
    if (this.#topic === undefined) return super.readingChains();
    const over = (since: number | undefined): boolean => since !== undefined && this.elapsed() - since >= this.grace;
    for (const epoch of this.#epochs.values()) if (over(epoch.ended)) epoch.chain = undefined;
    const kept = this.wrapKeys.filter(({ ended }) => !over(ended));
    this.wrapKeys.splice(0, this.wrapKeys.length, ...kept);
    return [...this.#epochs.values()].flatMap(({ chain }) => chain ?? []);
  }
  protected override participants(): Bytes[] {
    if (this.#topic === undefined) return super.participants();
    const both = new Set([...super.participants().map(hex), ...this.known.members]);
    return [...both].map(unhex);
  }
  protected override checkRole(sender: Bytes): void {
    if (this.#topic !== undefined && this.known.roster.get(hex(sender))?.role === "reader")
      refuse("FORBIDDEN", "a reader");
  }
  protected override keyToSend(): Bytes {
    if (this.#topic === undefined) return super.keyToSend();
    const { role } = this.known.roster.get(this.#me) ?? { role: "revoked" };
    if (role === "reader" || role === "revoked") refuse("FORBIDDEN", role);
    return this.#sending?.chain?.key ?? refuse("MISSING_TOPIC_KEY", "silent");
  }
  protected override checkRejoin({ rejoin }: Introduction): void {
    if (this.#topic !== undefined && rejoin.length > 0) parseRejoin(rejoin);
  }
  protected override rejoin(claim: Claim): Bytes {
    const epoch = this.#topic && this.#proving;
    return epoch?.rejoinSecret === undefined ? none : makeRejoin(epoch.number, epoch.rejoinSecret, claim);
  }

  /** §12.5, the sponsor's side. */
  protected override handover(introduction: Introduction, wire: Bytes, context: string): Handover {
    if (this.#topic === undefined) return super.handover(introduction, wire, context);
    const { senderKey } = introduction;
    const isAdmitted = this.#admittedBy.has(hex(introductionHash(wire)));
    if (!isAdmitted && !this.comesBack(introduction, context)) refuse("UNTRUSTED_KEY", "neither admitted nor back");
    const epoch = this.#sending;
    if (!this.known.isAdmin(this.#me)) refuse("FORBIDDEN", "we are no admin");
    if (epoch?.chain === undefined) return refuse("MISSING_TOPIC_KEY", "silent");
    if (!this.#wasGiven(epoch, hex(senderKey))) refuse("UNTRUSTED_KEY", "was not given this key");
    const { wrapKey, id } = this.known.wraps.get(hex(senderKey)) ?? refuse("UNTRUSTED_KEY", "no wrap key");
    if (!isAdmitted && this.#doubted.has(id)) refuse("UNTRUSTED_KEY", "a doubted wrap key");
    const to = { identity: senderKey, wrapKey, introduction: wire };
    const { key, sending: generation } = epoch.chain;
    const plain = {
      topicKey: key,
      rejoinSecret: epoch.rejoinSecret ?? refuse("MISSING_TOPIC_KEY", "no rejoin secret"),
    };
    const wrapped = () => wrapOnceMore(plain, sodium.randombytes_buf(32), to);
    return {
      epoch: epoch.number,
      generation,
      ...(isAdmitted ? plain : { topicKey: wrapped(), rejoinSecret: none }),
      salt: this.#topic.salt,
      roots: this.#topic.roots,
      statements: this.known.all(),
      head: epoch.head,
    };
  }

  /** The epochs of the number that a proof names, and with whose rejoin secret it was made. */
  #provenEpochs(introduction: Introduction, context: string): Epoch[] {
    if (introduction.rejoin.length === 0) return [];
    const { epoch: number, proof } = parseRejoin(introduction.rejoin);
    return [...this.#epochs.values()].filter((epoch) => {
      if (epoch.number !== number || epoch.rejoinSecret === undefined) return false;
      return same(proofOf(epoch.rejoinSecret, { ...introduction, context }), proof);
    });
  }
  protected override provenBy(introduction: Introduction, context: string): Bytes | undefined {
    return this.#topic && this.#provenEpochs(introduction, context)[0]?.rejoinSecret;
  }

  /** Whether a member shows that it had a key that it was given. */
  protected comesBack(introduction: Introduction, context: string): boolean {
    const key = hex(introduction.senderKey);
    if (!this.known.isOn(key) || !this.known.wraps.has(key)) return false;
    return this.#provenEpochs(introduction, context).some((epoch) => this.#wasGiven(epoch, key));
  }

  // What it does

  /** Establishes a topic; `now` is the version of its wrap key. */
  establish({ roots, topicKey, now }: { roots: Bytes[]; topicKey: Bytes; now: number }): void {
    const salt = saltOf(commitmentOf(topicKey));
    const wrap = makeWrapAlone({ seed: this.seed, ...this.makeWrapKey(now), topicName: this.name });
    this.begin({ roots, salt, topicKey, statements: [wrap] });
  }

  /** Takes part in the first epoch of a topic of which this is known. */
  begin({ roots, salt, topicKey, statements, wrapSecret }: Beginning): void {
    this.#enter(roots, salt);
    this.#rememberFirst(commitmentOf(topicKey), new Chain(topicKey, 0), rejoinSecretOf(topicKey));
    const known = this.known.with(statements);
    if (wrapSecret !== undefined) this.holds(wrapSecret, known.wraps.get(this.#me)?.version ?? 0);
    this.#conclude(known);
    this.#departed.clear();
  }

  /** Has this wrap key, as one that it made. */
  holds(secret: Bytes, version: number): void {
    this.wrapKeys.push({ secret, wrapKey: sodium.crypto_scalarmult_base(secret), version });
  }

  /** Whether this introduction shows that its sender comes back. */
  isReturning(introduction: Bytes, context: string): boolean {
    const parsed = parse(introduction);
    return parsed.type === 1 && this.comesBack(parsed, context);
  }

  #enter(roots: Bytes[], salt: Bytes): void {
    if (roots.some((root) => !isIdentityKey(root))) refuse("INVALID_KEY", "root");
    this.#topic = { roots, salt, id: topicIdOf(roots, salt) };
    this.#known = new Statements(roots.map(hex), this.#topic.id, this.name);
  }

  #rememberFirst(commitment: Bytes, chain: Chain | undefined, rejoinSecret: Bytes | undefined): Epoch {
    const nobody = {
      issuer: undefined,
      parent: undefined,
      recipients: [],
      digest: undefined,
      statementsHash: undefined,
    };
    return this.#remember({ number: 0, commitment: hex(commitment), head: commitment, ...nobody, chain, rejoinSecret });
  }

  #rememberRekey(rekey: Rekey, head: Bytes, opened: Pick<Epoch, "parent" | "chain" | "rejoinSecret">): Epoch {
    const { epoch: number, statementsHash } = rekey;
    const [commitment, issuer] = [hex(rekey.commitment), hex(rekey.issuer)];
    const [recipients, digest] = [hintsOf(rekey.recipients), hex(rekey.digest)];
    return this.#remember({ number, commitment, issuer, head, recipients, digest, statementsHash, ...opened });
  }

  /** The keys held that a control message may be sealed under (§11.5). */
  #chainForStatements(): Chain {
    const chain = this.#sending?.chain ?? this.counting()?.chain ?? this.#openable()?.chain;
    return chain ?? refuse("MISSING_TOPIC_KEY", "none");
  }

  #seal(chain: Chain, statements: readonly Bytes[], rekey: Bytes, named: Bytes): Control {
    const wire = sealControl(chain.key, this.name, controlPayload(once(statements), rekey), sodium.randombytes_buf(12));
    return { name: hex(named.slice(0, 8)), wire };
  }

  #chain(key: string): Bytes[] {
    return this.known.chainOf(key).map(({ bytes }) => bytes);
  }

  #say(subject: Bytes, said: { role: Role; name: string; head: Bytes; wrap: Bytes }, known = this.known): Bytes {
    const version = known.nextVersion(this.#me, hex(subject), said.role);
    return makeRoleStatement({ seed: this.seed, topicId: this.#id, subject, version, ...said });
  }

  /** The wrap statement of an admission without an introduction. */
  #wrapToCarry(subject: string): Bytes {
    const newest = this.known.wraps.get(subject);
    if (newest !== undefined && !this.#doubted.has(newest.id)) return wrapWithin(newest);
    return this.known.roster.get(subject)?.statement?.wrap ?? none;
  }

  /** Admits who introduced itself, after a person compared fingerprints. */
  admit(introduction: Bytes, role: Role, name: string): Control {
    const parsed = parse(introduction);
    if (parsed.type !== 1) return malformed("not an introduction");
    verifyIntroduction(parsed, this.name);
    const { senderKey, wrap } = parsed;
    const { control } = this.admitKnown(senderKey, role, name, wrap.length > 0 ? wrap : undefined);
    this.#admittedBy.add(hex(introductionHash(introduction)));
    return control;
  }

  /** Admits somebody without an introduction. */
  admitKnown(
    key: Bytes,
    role: Role,
    name: string,
    wrap = this.#wrapToCarry(hex(key)),
  ): { control: Control; statement: Bytes } {
    const subject = hex(key);
    if (!this.known.isAdmin(this.#me)) refuse("FORBIDDEN", "we are no admin");
    if (role !== "admin" && this.known.roots.includes(subject)) refuse("FORBIDDEN", "a root is given no other role");
    if (role === "admin" && this.known.roster.get(this.#me)?.rank === 8) refuse("FORBIDDEN", "rank 8");
    const counting = this.counting() ?? refuse("MISSING_TOPIC_KEY", "no epoch");
    const statement = this.#say(key, { role, name, head: unhex(counting.commitment), wrap });
    const known = this.known.with([statement]);
    if (known.roster.get(subject)?.role !== role) refuse("FORBIDDEN", "somebody says otherwise");
    if (role !== "admin" && this.known.isAdmin(subject)) {
      const again = this.#signAgain(subject, [], known);
      return { control: this.#rekeyWith(known.with(again), [statement, ...again], "removal"), statement };
    }
    const statements = [...this.#chain(this.#me), ...this.#chain(subject), statement];
    const control = this.#seal(this.#chainForStatements(), statements, none, nameOf(statement));
    this.#conclude(known);
    return { control, statement };
  }

  /** Revokes somebody; of an admin, what it had said that is to stay is signed again. */
  revoke(key: Bytes, keep: readonly Bytes[] = []): Control {
    const subject = hex(key);
    if (this.known.roots.includes(subject)) refuse("FORBIDDEN", "a root");
    const head = this.known.roster.get(subject)?.statement?.head ?? none;
    const said = this.#say(key, { role: "revoked", name: "", head, wrap: none });
    const without = this.known.with([said]);
    if (without.isOn(subject)) refuse("FORBIDDEN", "it would stay");
    const again = this.known.isAdmin(subject) ? this.#signAgain(subject, keep.map(hex), without) : [];
    return this.#rekeyWith(without.with(again), [said, ...again], "removal");
  }

  /** What is to stay though this admin is none any more; `without` is what is known with that. */
  #signAgain(admin: string, keep: readonly string[], without: Statements): Bytes[] {
    const { roles, roster, roots } = this.known;
    const isOther = (key: string): boolean => key !== admin && key !== this.#me && !roots.includes(key);
    const said = [...roles.values()].filter(({ issuer, subject }) => issuer === admin && isOther(subject));
    const admissions = said
      .filter(({ subject, id }) => roster.get(subject)?.statement?.id === id && keep.includes(subject))
      .filter(({ subject }) => this.known.isOn(subject))
      .map(({ subject, role, name, head }) => {
        const wrap = this.#wrapToCarry(subject);
        return this.#say(unhex(subject), { role, name, head, wrap }, without);
      });
    const after = without.with(admissions);
    const isGone = (key: string): boolean => roster.get(key)?.role === "revoked";
    const back = after.members.filter((key) => isOther(key) && isGone(key));
    const wasAdmitted = ({ subject }: RoleStatement): boolean =>
      [...roles.values()].some((each) => each.subject === subject && each.role !== "revoked");
    const others = said
      .filter(({ subject, role }) => role === "revoked" && isGone(subject) && !back.includes(subject))
      .sort((a, b) => Number(wasAdmitted(b)) - Number(wasAdmitted(a)))
      .map(({ subject }) => subject);
    const revocations = [...back, ...others.slice(0, 256)].map((key) => {
      const head = roster.get(key)?.statement?.head ?? none;
      return this.#say(unhex(key), { role: "revoked", name: "", head, wrap: none }, after);
    });
    return [...admissions, ...revocations];
  }

  rekey(reason: Reason = "requested"): Control {
    return this.#rekeyWith(this.known, [], reason);
  }

  #rekeyWith(known: Statements, statements: readonly Bytes[], reason: Reason): Control {
    if (!known.isAdmin(this.#me)) refuse("FORBIDDEN", "we are no admin");
    const counting = this.counting(known);
    const parent = counting?.chain === undefined ? this.#openable() : counting;
    const chain = parent?.chain;
    if (parent === undefined || chain === undefined) return refuse("MISSING_TOPIC_KEY", "no parent");
    const recipients = known.members.flatMap((key) => {
      const wrapKey = known.wraps.get(key)?.wrapKey;
      return wrapKey === undefined ? [] : [{ identity: unhex(key), wrapKey }];
    });
    const said = once([...this.#chain(this.#me), ...statements]);
    const secrets = { ephemeralSecret: sodium.randombytes_buf(32), secret: sodium.randombytes_buf(32) };
    const place = { seed: this.seed, topicId: this.#id, parentKey: chain.key, epoch: parent.number + 1 };
    const content = { digest: known.digest(), reason, recipients, statements: said };
    const { rekey, topicKey } = makeRekey({ ...place, ...secrets, ...content });
    const control = this.#seal(chain, said, rekey, commitmentOf(topicKey));
    const parsed = parseRekey(rekey);
    const keys = { chain: new Chain(topicKey, 0), rejoinSecret: rejoinSecretOf(topicKey) };
    const epoch = this.#rememberRekey(parsed, headOf(parsed), { parent: idOf(parent), ...keys });
    for (const older of this.wrapKeys.slice(0, -1)) older.ended ??= this.elapsed(); // §10.3
    this.#conclude(known, () => this.#noteTold(epoch, said));
    return control;
  }

  /** Makes another wrap key, and what says so. */
  renewWrapKey(now: number): Control {
    const known = this.known.wraps.get(this.#me)?.version ?? 0;
    const made = this.makeWrapKey(Math.max(now, known + 1));
    const wrap = makeWrapAlone({ seed: this.seed, ...made, topicName: this.name });
    const decided = this.known.roster.get(this.#me)?.statement;
    const chain = decided === undefined ? [] : [...this.#chain(decided.issuer), decided.bytes];
    const control = this.#seal(this.#chainForStatements(), [...chain, wrap], none, nameOf(wrap));
    this.#conclude(this.known.with([wrap]));
    return control;
  }

  /** Leaves, as who is no admin may. */
  leave(): Control {
    const decided = this.known.roster.get(this.#me)?.statement ?? refuse("FORBIDDEN", "a root");
    const said = this.#say(this.publicKey, { role: "revoked", name: "", head: decided.head, wrap: none });
    const statements = [...this.#chain(decided.issuer), decided.bytes, said];
    const control = this.#seal(this.#chainForStatements(), statements, none, nameOf(said));
    this.#conclude(this.known.with([said]));
    return control;
  }

  /** §11.3 */
  protected override applyControl(control: Unsealed, chain: Chain): void {
    if (this.#topic === undefined) {
      super.applyControl(control, chain);
      return;
    }
    if (control.context !== this.name) malformed("a control message in another context");
    const { statements, rekey } = readControlPayload(control.payload);
    const parsed = rekey.length === 0 ? undefined : parseRekey(rekey); // 1
    const known = this.known.with(statements); // 2
    const isUnderCounting = this.counting()?.chain === chain;
    const isNew = parsed !== undefined && this.#epochOf(parsed) === undefined;
    if (parsed !== undefined) this.#checkRekey(parsed, statements, known, control.topicKey, chain);
    this.#doubt(known, statements, () => isUnderCounting);
    this.#conclude(known, () => {
      const epoch = parsed && this.#epochOf(parsed);
      if (epoch !== undefined && isNew) this.#noteTold(epoch, statements);
    }); // 8
  }

  #epochOf({ commitment, issuer }: Rekey): Epoch | undefined {
    return this.#epochs.get(idOf({ commitment: hex(commitment), issuer: hex(issuer) }));
  }

  #checkRekey(parsed: Rekey, statements: readonly Bytes[], known: Statements, parentKey: Bytes, chain: Chain): void {
    const parent = [...this.#epochs.values()].find((epoch) => epoch.chain === chain) ?? refuse("UNKNOWN_TOPIC_KEY", "");
    if (!same(parsed.parent, commitmentOf(parentKey)) || parsed.epoch !== parent.number + 1)
      malformed("a rekey of another parent"); // 3
    if (!same(parsed.statementsHash, statementsHash(statements))) malformed("a rekey of other statements");
    if (!known.isIssuer(hex(parsed.issuer))) refuse("UNTRUSTED_KEY", "issuer of a rekey"); // 4
    const already = this.#epochOf(parsed);
    if (already === undefined || (already.chain !== undefined && !already.isProven)) {
      this.#learn(parsed, parentKey, idOf(parent), already);
      return;
    }
    const first = already.statementsHash ?? none;
    if (!same(parsed.statementsHash, first)) malformed("a known rekey of other statements"); // 5
  }

  /** `already` is what a reply told of this epoch. */
  #learn(rekey: Rekey, parentKey: Bytes, parent: string, already: Epoch | undefined): void {
    rekeyIsSigned(this.#id, rekey); // 6
    const issuer = hex(rekey.issuer);
    if ([...this.#epochs.values()].filter((each) => each.issuer === issuer && each.parent === parent).length >= 4)
      return; // 7
    const ours = { topicId: this.#id, parentKey, identity: this.publicKey, wrapKeys: this.wrapKeys };
    const opened = openRekey(rekey, ours);
    if (opened === "bad") this.reports.push("bad-rekey");
    const got = typeof opened === "object" ? opened : undefined;
    if (got !== undefined)
      for (const older of this.wrapKeys.slice(0, this.wrapKeys.indexOf(got.by))) older.ended ??= this.elapsed();
    const chain = got && new Chain(got.topicKey, 0);
    const epoch = already ?? this.#rememberRekey(rekey, headOf(rekey), { parent, chain, rejoinSecret: undefined });
    if (got === undefined) return;
    [epoch.rejoinSecret, epoch.isRejoinProven] = [rejoinSecretOf(got.topicKey), true];
    [epoch.chain, epoch.isProven] = [chain, true];
  }

  /** §12.5, the newcomer's side, once a person confirmed the sponsor's fingerprint. */
  adoptReply(reply: Reply): void {
    const { sponsorKey, epoch: number, generation, salt, roots, statements, head } = reply;
    if (roots.length === 0) {
      if (this.#topic !== undefined) refuse("FOREIGN_REPLY", "a topic without a roster");
      this.adopt(reply.topicKey, generation);
      return;
    }
    const id = topicIdOf(roots, salt);
    if (this.#topic !== undefined && !same(id, this.#topic.id)) refuse("FOREIGN_REPLY", "another topic"); // 1
    if (roots.some((root) => !isIdentityKey(root))) refuse("INVALID_KEY", "root");
    if (new Set(roots.map(hex)).size !== roots.length) malformed("a root that is there twice");
    const { topicKey, rejoinSecret } =
      reply.topicKey.length === 32
        ? reply
        : unwrapOnceMore(reply.topicKey, this.publicKey, reply.introduction, this.wrapKeys); // 2
    const needsNoPerson = reply.returns && this.#known?.isOn(hex(sponsorKey)) === true;
    const before = this.#known ?? new Statements(roots.map(hex), id, this.name);
    const known = before.with(statements); // 3
    if (!known.isAdmin(hex(sponsorKey))) refuse("FORBIDDEN", "the sponsor is no admin");
    const rekey = head.length === 32 ? undefined : this.#checkHead(head, number, id, known); // 4
    if (rekey === undefined && (number !== 0 || !same(saltOf(head), salt))) malformed("not this topic's first key");
    const commitment = rekey?.commitment ?? head;
    if (generation === 0 && !same(commitmentOf(topicKey), commitment)) malformed("another key than the head says");
    const [issuer, called] = [rekey && hex(rekey.issuer), hex(commitment)];
    const already = this.#epochs.get(idOf({ commitment: called, issuer }));
    const held = already?.chain;
    const leads =
      held !== undefined && generation >= held.oldest && generation <= held.end
        ? same(held.keyOf(generation), topicKey)
        : undefined;
    if (already?.isProven && leads === false) malformed("another key than ours lead to");
    if (this.#topic === undefined) this.#enter(roots, salt);
    const epoch = already ?? this.#rememberGiven(rekey, head); // 5
    const isWiped = epoch.isProven && held !== undefined && generation < held.oldest;
    if (held === undefined || (!leads && !isWiped)) {
      epoch.chain = new Chain(topicKey, generation);
      epoch.isProven = generation === 0;
    } else if (generation > held.sending) held.adopt(generation, this.elapsed());
    if (generation === 0) [epoch.rejoinSecret, epoch.isRejoinProven] = [rejoinSecretOf(topicKey), true];
    else if (!epoch.isRejoinProven) epoch.rejoinSecret = rejoinSecret;
    epoch.setAside = false;
    this.#left.delete(idOf(epoch));
    for (let counts = this.counting(known); counts !== undefined && counts.chain === undefined; ) {
      counts.setAside = true; // 6
      counts = this.counting(known);
    }
    this.#doubt(known, statements, (key) => key === hex(sponsorKey));
    this.#conclude(known, () => {
      if (this.counting() === epoch) this.#noteTold(epoch, statements);
    });
    for (const each of [epoch, this.counting()]) if (each !== undefined) this.#settled.add(idOf(each));
    if (needsNoPerson) this.leaveOpen(reply.introduction);
    else this.endIntroductions();
  }

  #checkHead(head: Bytes, number: number, id: Bytes, known: Statements): Rekey {
    const rekey = parseRekey(head, true);
    if (!known.isIssuer(hex(rekey.issuer))) refuse("UNTRUSTED_KEY", "issuer of a head");
    rekeyIsSigned(id, rekey, rekey.wraps);
    if (rekey.epoch !== number || number > MAX_REPLY_EPOCH) malformed("head of another epoch");
    return rekey;
  }

  #rememberGiven(rekey: Rekey | undefined, head: Bytes): Epoch {
    return rekey === undefined
      ? this.#rememberFirst(head, undefined, undefined)
      : this.#rememberRekey(rekey, head, { parent: undefined, chain: undefined, rejoinSecret: undefined });
  }
}
