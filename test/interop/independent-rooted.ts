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
  topicIdOf,
  wrapAlone,
  wrapWithin,
} from "./independent-statements.js";

const none = new Uint8Array();
const zeros = new Uint8Array(24);

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
  "issuer" | "parent" | "ephemeralKey" | "recipients" | "digest" | "commitment" | "signature",
  Bytes
>;
/** `wraps` of a head is their hash. */
export type Rekey = RekeyBytes & { epoch: number; reason: number; wraps: Bytes };

const wrapsHash = (wraps: Bytes): Bytes => H("wraps", wraps);
const bodyHash = (topicId: Bytes, r: Omit<Rekey, "wraps" | "commitment" | "signature">, hash: Bytes): Bytes =>
  H("rekey", topicId, r.issuer, r.parent, r.epoch, r.reason, r.ephemeralKey, r.recipients, hash, r.digest);
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
  const { issuer, parent, epoch, reason, ephemeralKey, recipients, wraps, digest, commitment, signature } = r;
  return writeCbor([issuer, parent, epoch, reason, ephemeralKey, recipients, wraps, digest, commitment, signature]);
};

/** Of a rekey, or of a head, which has a hash in the place of the wraps. */
export function parseRekey(bytes: Bytes, isHead = false): Rekey {
  const items = readCbor(bytes, 10, false);
  if (items.length !== 10) malformed("rekey without 10 items");
  const [issuer, parent, epoch] = [bytesOf(items[0], 32), bytesOf(items[1], 32), numberOf(items[2], MAX_EPOCH)];
  const [reason, ephemeralKey] = [numberOf(items[3], REASONS.length - 1), bytesOf(items[4], 32)];
  const recipients = bytesOf(items[5], 0, 8 * 65_536);
  if (recipients.length % 8 !== 0) malformed("part of a hint");
  const size = isHead ? 32 : 6 * recipients.length;
  const [wraps, digest] = [bytesOf(items[6], size), bytesOf(items[7], 32)];
  const [commitment, signature] = [bytesOf(items[8], 32), bytesOf(items[9], 64)];
  return { issuer, parent, epoch, reason, ephemeralKey, recipients, wraps, digest, commitment, signature };
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
  const body = { issuer, parent, epoch, reason, ephemeralKey, recipients, wraps: join(...wraps), digest };
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
  parent: string | undefined;
  chain: Chain | undefined;
  rejoinSecret: Bytes | undefined;
  /** Whether its key was opened, or given in generation 0. */
  isProven: boolean;
  /** Who was on the roster at any time since it counts, and may have been answered by any admin. */
  around: Set<string>;
  digest: string | undefined;
  /** When the grace of its keys began, in running time. */
  ended: number | undefined;
};
/** An epoch is known by its commitment and its issuer. */
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
  /** Epochs that we ceased to send under. */
  readonly #left = new Set<string>();
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
    return [...this.#epochs.values()].filter(({ rejoinSecret }) => rejoinSecret !== undefined).at(-1)?.rejoinSecret;
  }
  get epoch(): number {
    return this.counting()?.number ?? -1;
  }
  get canSend(): boolean {
    return this.#sending !== undefined && this.known.roster.get(this.#me)?.role !== "reader";
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
      return a.commitment < b.commitment;
    };
    return [...this.#epochs.values()]
      .filter(({ issuer, setAside }) => !setAside && (issuer === undefined || known.isAdmin(issuer)))
      .reduce<Epoch | undefined>((best, each) => (best === undefined || wins(each, best) ? each : best), undefined);
  }

  /** The greatest of those whose key is held. */
  #openable(): Epoch | undefined {
    const held = [...this.#epochs.values()].filter(({ chain }) => chain !== undefined);
    return held.sort((a, b) => b.number - a.number || (a.commitment < b.commitment ? -1 : 1))[0];
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

  #mayHave(epoch: Epoch, key: string): boolean {
    return epoch.around.has(key) || this.#wasGiven(epoch, key);
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

  #isHeldByRemoved(epoch: Epoch): boolean {
    const subjects = new Set([...this.known.roles.values()].map(({ subject }) => subject));
    return [...subjects].some((key) => !this.known.isOn(key) && this.#mayHave(epoch, key) && !this.#onlyLeft(key));
  }

  /** Which wrap keys are doubted, after these came: under a key of the epoch that counts, or otherwise (§12.2). */
  #doubt(known: Statements, came: readonly Bytes[], isUnderCounting: boolean): void {
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
      if (isUnderCounting && alone.has(id)) this.#doubted.delete(id);
      if (isNew && !isUnderCounting && !byAdmins.has(id)) this.#doubted.add(id);
    }
  }

  /** What follows whenever a statement or an epoch became known. */
  #conclude(known: Statements): void {
    const wasOn = this.#known?.members ?? [];
    const before = this.#known?.wraps.get(this.#me);
    this.#known = known;
    const announced = known.wraps.get(this.#me);
    if (announced !== undefined && announced.id !== before?.id)
      if (!this.wrapKeys.some(({ wrapKey }) => same(wrapKey, announced.wrapKey))) this.reports.push("seed-stolen");
    for (const key of wasOn.filter((each) => !known.isOn(each))) {
      this.unpin(unhex(key));
    }
    const counting = this.counting();
    if (counting !== undefined) {
      if (hex(known.digest()) === counting.digest) counting.around.clear();
      for (const key of known.members) counting.around.add(key);
    }
    const may =
      counting?.chain !== undefined &&
      known.isOn(this.#me) &&
      !this.#left.has(idOf(counting)) &&
      !this.#isHeldByRemoved(counting);
    const next = may ? counting : undefined;
    if (this.#sending !== undefined && this.#sending !== next) this.#left.add(idOf(this.#sending));
    this.#sending = next;
    for (const epoch of this.#epochs.values()) if (epoch !== next && next !== undefined) epoch.ended ??= this.elapsed();
    if (next !== undefined) next.ended = undefined;
  }

  #remember(epoch: Omit<Epoch, "setAside" | "isProven" | "around" | "ended">): Epoch {
    const isProven = epoch.chain?.oldest === 0;
    const made = { ...epoch, setAside: false, isProven, around: new Set<string>(), ended: undefined };
    this.#epochs.set(idOf(epoch), made);
    const of = [...this.#epochs.values()].filter(({ issuer }) => issuer !== undefined && issuer === epoch.issuer);
    const goes = of.filter((each) => each !== this.#sending).sort((a, b) => a.number - b.number)[0];
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
    const last = [...this.#epochs.values()].filter(({ rejoinSecret }) => rejoinSecret !== undefined).at(-1);
    return last?.rejoinSecret === undefined ? none : makeRejoin(last.number, last.rejoinSecret, claim);
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
  establish({ roots, salt, topicKey, now }: { roots: Bytes[]; salt: Bytes; topicKey: Bytes; now: number }): void {
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
    const nobody = { issuer: undefined, parent: undefined, recipients: [], digest: undefined };
    return this.#remember({ number: 0, commitment: hex(commitment), head: commitment, ...nobody, chain, rejoinSecret });
  }

  #rememberRekey(rekey: Rekey, head: Bytes, chain: Chain | undefined, rejoinSecret: Bytes | undefined): Epoch {
    const [commitment, issuer, parent] = [hex(rekey.commitment), hex(rekey.issuer), hex(rekey.parent)];
    const [recipients, digest] = [hintsOf(rekey.recipients), hex(rekey.digest)];
    return this.#remember({
      number: rekey.epoch,
      commitment,
      issuer,
      parent,
      head,
      recipients,
      digest,
      chain,
      rejoinSecret,
    });
  }

  /** The keys held that a control message may be sealed under (§11.5). */
  #chainForStatements(): Chain {
    const chain = this.#sending?.chain ?? this.counting()?.chain ?? this.#openable()?.chain;
    return chain ?? refuse("MISSING_TOPIC_KEY", "none");
  }

  #seal(chain: Chain, statements: readonly Bytes[], rekey: Bytes, named: Bytes): Control {
    const unique = [...new Map(statements.map((each) => [hex(each), each])).values()];
    const wire = sealControl(chain.key, this.name, controlPayload(unique, rekey), sodium.randombytes_buf(12));
    return { name: hex(named.slice(0, 8)), wire };
  }

  #chain(key: string): Bytes[] {
    return this.known.chainOf(key).map(({ bytes }) => bytes);
  }

  #say(subject: Bytes, said: { role: Role; name: string; head: Bytes; wrap: Bytes }, known = this.known): Bytes {
    const version = known.nextVersion(this.#me, hex(subject), said.role);
    return makeRoleStatement({ seed: this.seed, topicId: this.#id, subject, version, ...said });
  }

  /** Admits who introduced itself, after a person compared fingerprints. */
  admit(introduction: Bytes, role: Role, name: string): Control {
    const parsed = parse(introduction);
    if (parsed.type !== 1) return malformed("not an introduction");
    verifyIntroduction(parsed, this.name);
    const { senderKey, wrap: offered } = parsed;
    const held = this.known.wraps.get(hex(senderKey));
    const isNewest = offered.length > 0 && !(held && held.version >= wrapAlone(senderKey, offered).version);
    const heldWithin = held === undefined ? none : wrapWithin(held);
    const wrap = isNewest ? offered : heldWithin;
    const counting = this.counting() ?? refuse("MISSING_TOPIC_KEY", "no epoch");
    const statement = this.#say(senderKey, { role, name, head: unhex(counting.commitment), wrap });
    const known = this.known.with([statement]);
    if (known.roster.get(hex(senderKey))?.role !== role) refuse("FORBIDDEN", "somebody says otherwise");
    this.#admittedBy.add(hex(introductionHash(introduction)));
    if (role !== "admin" && this.known.isAdmin(hex(senderKey))) {
      const again = this.#signAgain(hex(senderKey), [], known);
      return this.#rekeyWith(known.with(again), [statement, ...again], "removal");
    }
    const statements = [...this.#chain(this.#me), ...this.#chain(hex(senderKey)), statement];
    const control = this.#seal(this.#chainForStatements(), statements, none, nameOf(statement));
    this.#conclude(known);
    return control;
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
    const { roles, roster, wraps, roots } = this.known;
    const isOther = (key: string): boolean => key !== admin && key !== this.#me && !roots.includes(key);
    const said = [...roles.values()].filter(({ issuer, subject }) => issuer === admin && isOther(subject));
    const admissions = said
      .filter(({ subject, id }) => roster.get(subject)?.statement?.id === id && keep.includes(subject))
      .filter(({ subject }) => this.known.isOn(subject))
      .map(({ subject, role, name, head }) => {
        const wrap = wraps.get(subject);
        const carried = wrap === undefined ? none : wrapWithin(wrap);
        return this.#say(unhex(subject), { role, name, head, wrap: carried }, without);
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
    const recipients = known.members
      .filter((key) => key !== this.#me)
      .flatMap((key) => {
        const wrapKey = known.wraps.get(key)?.wrapKey;
        return wrapKey === undefined ? [] : [{ identity: unhex(key), wrapKey }];
      });
    const secrets = { ephemeralSecret: sodium.randombytes_buf(32), secret: sodium.randombytes_buf(32) };
    const place = { seed: this.seed, topicId: this.#id, parentKey: chain.key, epoch: parent.number + 1 };
    const { rekey, topicKey } = makeRekey({ ...place, ...secrets, digest: known.digest(), reason, recipients });
    const control = this.#seal(chain, [...this.#chain(this.#me), ...statements], rekey, commitmentOf(topicKey));
    const parsed = parseRekey(rekey);
    this.#rememberRekey(parsed, headOf(parsed), new Chain(topicKey, 0), rejoinSecretOf(topicKey));
    this.#conclude(known);
    return control;
  }

  /** Makes another wrap key, and what says so. */
  renewWrapKey(now: number): Control {
    const wrap = makeWrapAlone({ seed: this.seed, ...this.makeWrapKey(now), topicName: this.name });
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
    if (parsed !== undefined) this.#checkRekey(parsed, known, control.topicKey, chain);
    this.#doubt(known, statements, isUnderCounting);
    this.#conclude(known); // 8
  }

  #checkRekey(parsed: Rekey, known: Statements, parentKey: Bytes, chain: Chain): void {
    const parent = [...this.#epochs.values()].find((epoch) => epoch.chain === chain);
    if (!same(parsed.parent, commitmentOf(parentKey)) || parsed.epoch !== (parent?.number ?? -1) + 1)
      malformed("a rekey of another parent"); // 3
    const issuer = hex(parsed.issuer);
    if (!known.isIssuer(issuer)) refuse("UNTRUSTED_KEY", "issuer of a rekey"); // 4
    if (!this.#epochs.has(idOf({ commitment: hex(parsed.commitment), issuer }))) this.#learn(parsed, parentKey); // 5
  }

  #learn(rekey: Rekey, parentKey: Bytes): void {
    rekeyIsSigned(this.#id, rekey); // 6
    const [issuer, parent] = [hex(rekey.issuer), hex(rekey.parent)];
    if ([...this.#epochs.values()].filter((each) => each.issuer === issuer && each.parent === parent).length >= 4)
      return; // 7
    const ours = { topicId: this.#id, parentKey, identity: this.publicKey, wrapKeys: this.wrapKeys };
    const opened = openRekey(rekey, ours);
    if (opened === "bad") this.reports.push("bad-rekey");
    const got = typeof opened === "object" ? opened : undefined;
    if (got !== undefined)
      for (const older of this.wrapKeys.slice(0, this.wrapKeys.indexOf(got.by))) older.ended ??= this.elapsed();
    const chain = got && new Chain(got.topicKey, 0);
    this.#rememberRekey(rekey, headOf(rekey), chain, got && rejoinSecretOf(got.topicKey));
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
    const { topicKey, rejoinSecret } =
      reply.topicKey.length === 32
        ? reply
        : unwrapOnceMore(reply.topicKey, this.publicKey, reply.introduction, this.wrapKeys); // 2
    const before = this.#known ?? new Statements(roots.map(hex), id, this.name);
    const known = before.with(statements); // 3
    if (!known.isAdmin(hex(sponsorKey))) refuse("FORBIDDEN", "the sponsor is no admin");
    const rekey = head.length === 32 ? undefined : this.#checkHead(head, number, id, known); // 4
    if (rekey === undefined && number !== 0) malformed("a first key of a later epoch");
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
    epoch.rejoinSecret ??= rejoinSecret;
    epoch.setAside = false;
    epoch.ended = undefined;
    this.#left.delete(idOf(epoch));
    for (let counts = this.counting(known); counts !== undefined && counts.chain === undefined; ) {
      counts.setAside = true; // 6
      counts = this.counting(known);
    }
    const told = new Set(statements.map(hex));
    const why = (key: string): Bytes | undefined => known.roster.get(key)?.revokedBy?.bytes;
    if (this.counting(known) === epoch)
      for (const key of epoch.around) if (told.has(hex(why(key) ?? none))) epoch.around.delete(key);
    this.#doubt(known, statements, false);
    this.#conclude(known);
    this.endIntroductions();
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
      : this.#rememberRekey(rekey, head, undefined, undefined);
  }
}
