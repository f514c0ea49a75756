/** What a rooted topic costs: removing one of many, its roster, and what its messages and its junk cost more than those of other topics. */
import { generateSigningKeySeed, IntroductionError, IntroductionReplyError, Topic } from "stringphone";
// Not public: what makes many participants without a topic for each, and what counts the costly operations.
import { backend, diffieHellmanKeyPair } from "../dist/crypto.js";
import { Identity } from "../dist/identity.js";
import { formatControl } from "../dist/message.js";
import { sealControl } from "../dist/sealing.js";
import { StatementSet } from "../dist/statement-set.js";
import { type RoleStatement, signRole, signWrap } from "../dist/statements.js";
import { TopicKey } from "../dist/topic-key.js";
import type { Floor } from "./floor.js";
import { interleave, micros, print, ROUNDS, random, refuse, times } from "./measure.js";

const NAME = "home/kitchen";
const COUNT = 400;
const PARTICIPANTS = 1000;
const LARGE_ROSTER = 10_000;
/** So many are kept at most. */
const KEPT_MESSAGES = 64;

/** What rekeys and rosters may cost. */
const MAX_REVOKE_RATIO = 1.4;
const MAX_REVOKE_BYTES = 80 * 1024;
const MAX_AGREEMENTS = 3;
const MAX_VERIFICATIONS = 2;
const MAX_ROSTER_MS = 50;

const whether = (isMet: boolean): string => (isMet ? "met" : "MISSED");

/** An owner's signed statements about so many participants, each with a wrap key. */
function admissions(owner: Identity, topicId: Uint8Array, head: string, count: number): RoleStatement[] {
  return Array.from({ length: count }, (_, i) => {
    const identity = new Identity(random(32));
    const wrap = signWrap(identity, NAME, diffieHellmanKeyPair().publicKey, 2 ** 40);
    const subjectKey = identity.participant.publicKey;
    identity.wipe();
    return signRole(owner, topicId, { subjectKey, version: 1, role: "publisher", name: `device ${i}`, head, wrap });
  });
}

function expectThrown<E extends Error>(kind: abstract new (...args: never[]) => E, call: () => unknown): E {
  try {
    call();
  } catch (error) {
    if (error instanceof kind) return error;
    throw error;
  }
  throw new Error(`expected ${kind.name}`);
}

/** Somebody joins by introduction and reply. */
async function join(owner: Topic): Promise<Topic> {
  const member = await Topic.create({ name: NAME });
  const intro = member.constructIntro();
  const { introduction } = expectThrown(IntroductionError, () => owner.decode(intro));
  owner.admit(introduction);
  const wire = owner.constructReply(introduction);
  member.parseReply(expectThrown(IntroductionReplyError, () => member.decode(wire)).reply);
  return member;
}

interface RootedTopic {
  readonly owner: Topic;
  readonly member: Topic;
  /** Public keys of those who are on the roster and have no program. */
  readonly others: readonly Uint8Array[];
}

/** A rooted topic of so many: the owner, a member, and others of whom there are only the statements. */
async function makeRooted(participants: number): Promise<RootedTopic> {
  const seed = generateSigningKeySeed();
  const owner = await Topic.establish({ seed, name: NAME });
  const key = new TopicKey(owner.topicKey as Uint8Array);
  const head = Buffer.from(key.commitment).toString("hex");
  const statements = admissions(new Identity(seed), owner.topicId as Uint8Array, head, participants - 2);
  if (statements.length > 0) {
    const content = formatControl(
      statements.map(({ bytes }) => bytes),
      undefined,
    );
    owner.decode(sealControl(key, { session: random(12), sequence: 0, context: NAME }, content));
  }
  const member = await join(owner);
  if (owner.members.length !== participants) throw new Error(`expected ${participants} members`);
  return { owner, member, others: statements.map(({ subjectKey }) => subjectKey) };
}

/** What a call computes of what is dear: how many X25519 and how many signature checks. */
function count(call: () => unknown): { agreements: number; verifications: number } {
  const used = backend();
  const own = { ...used };
  const counted = { agreements: 0, verifications: 0 };
  used.diffieHellman = (...args) => {
    counted.agreements++;
    return own.diffieHellman(...args);
  };
  used.verify = (...args) => {
    counted.verifications++;
    return own.verify(...args);
  };
  try {
    call();
  } finally {
    Object.assign(used, own);
  }
  return counted;
}

/** Revokes one after the other, of about 1,000, and applies each. */
async function benchRevocation(floor: Floor): Promise<void> {
  const runs = ROUNDS + 3;
  const { owner, member, others } = await makeRooted(PARTICIPANTS + Math.ceil(runs / 2));
  const points = Array.from({ length: PARTICIPANTS }, () => diffieHellmanKeyPair().publicKey);
  const text = random(46);
  const signature = floor.sign(text);
  let revoked = 0;
  let wire: Uint8Array = new Uint8Array(0);
  const make = (): void => {
    wire = owner.revoke(others[revoked++] as Uint8Array).wire;
  };
  const apply = (): void => {
    member.decode(wire);
    if (member.epoch !== revoked || member.topicKey?.join() !== owner.topicKey?.join()) throw new Error("not applied");
  };
  const measured = interleave(1, {
    makeFloor: () => {
      for (const point of points) floor.diffieHellman(point);
    },
    make,
    applyFloor: () => {
      for (let i = 0; i < MAX_AGREEMENTS; i++) floor.diffieHellman(points[i] as Uint8Array);
      for (let i = 0; i < MAX_VERIFICATIONS; i++) floor.verify(signature, text);
    },
    apply,
  });
  make();
  const { length } = wire;
  const { agreements, verifications } = count(apply);
  const ratio = measured.ratio("make", "makeFloor");
  const ms = (name: "make" | "makeFloor" | "apply" | "applyFloor"): string =>
    `${(measured.of(name) / 1000).toFixed(2)} ms`;
  print(
    `Removing one of ${PARTICIPANTS.toLocaleString("en")} participants`,
    ["what", "floor", "measured", "", "bar", ""],
    [
      [
        "making it, of as many X25519",
        ms("makeFloor"),
        ms("make"),
        times(ratio),
        `${MAX_REVOKE_RATIO} ×`,
        whether(ratio <= MAX_REVOKE_RATIO),
      ],
      ["bytes on the wire", "", "", `${length} B`, `${MAX_REVOKE_BYTES} B`, whether(length <= MAX_REVOKE_BYTES)],
      ["X25519 to apply it", "", "", String(agreements), String(MAX_AGREEMENTS), whether(agreements <= MAX_AGREEMENTS)],
      [
        "signature checks to apply it",
        "",
        "",
        String(verifications),
        String(MAX_VERIFICATIONS),
        whether(verifications <= MAX_VERIFICATIONS),
      ],
      [
        "applying it, of 3 X25519 and 2 checks",
        ms("applyFloor"),
        ms("apply"),
        times(measured.ratio("apply", "applyFloor")),
        "",
        "",
      ],
    ],
  );
}

/** The roster of many, computed anew as for each statement that comes. */
function benchRoster(): void {
  const owner = new Identity(random(32));
  const scope = { topicId: random(32), name: NAME };
  const statements = admissions(owner, scope.topicId, "", LARGE_ROSTER + 1);
  const [last] = statements.splice(-1);
  const encoded = statements.map(({ bytes }) => bytes);
  const set = new StatementSet(scope, [owner.participant.hex]);
  set.add(set.stage(encoded));
  const staged = set.stage([(last as RoleStatement).bytes]);
  if (set.rosterWith(staged).size !== LARGE_ROSTER + 2) throw new Error("expected everybody");
  // As often as it is asked about other statements: about the same again, the set remembers.
  const roster = (): unknown => set.rosterWith({ ...staged });
  const measured = interleave(1, { roster, again: () => set.stage(encoded) });
  const { verifications } = count(() => [roster(), set.stage(encoded)]);
  const took = measured.of("roster") / 1000;
  print(
    `A roster of ${LARGE_ROSTER.toLocaleString("en")} participants`,
    ["what", "measured", "bar", ""],
    [
      [
        "computing it from verified statements",
        `${took.toFixed(1)} ms`,
        `${MAX_ROSTER_MS} ms`,
        whether(took <= MAX_ROSTER_MS),
      ],
      ["signatures checked in it, and when all came again", String(verifications), "0", whether(verifications === 0)],
      ["taking all statements again", `${(measured.of("again") / 1000).toFixed(1)} ms`, "", ""],
    ],
  );
}

/** Messages of 200 B in a rooted topic. */
function benchMessages(floor: Floor, { owner, member }: RootedTopic): void {
  const payload = random(200);
  const texts = Array.from({ length: COUNT }, () => new Uint8Array(46));
  let signatures: Uint8Array[] = [];
  let ciphertexts: Uint8Array[] = [];
  let wires: Uint8Array[] = [];
  const measured = interleave(
    COUNT,
    {
      sealFloor: (i) => {
        signatures[i] = floor.sign(texts[i] as Uint8Array);
        ciphertexts[i] = floor.seal(payload);
      },
      encode: (i) => {
        wires[i] = owner.encode(payload);
      },
      openFloor: (i) => {
        if (!floor.verify(signatures[i] as Uint8Array, texts[i] as Uint8Array)) throw new Error("not verified");
        return floor.open(ciphertexts[i] as Uint8Array);
      },
      decode: (i) => member.decode(wires[i] as Uint8Array),
    },
    () => {
      for (const text of texts) crypto.getRandomValues(text);
      [signatures, ciphertexts, wires] = [[], [], []];
    },
  );
  const row = (name: "encode" | "decode", below: "sealFloor" | "openFloor"): string[] => [
    name,
    micros(measured.of(below)),
    micros(measured.of(name)),
    times(measured.ratio(name, below)),
  ];
  print(
    `Messages of 200 B in a rooted topic of ${PARTICIPANTS.toLocaleString("en")} participants, µs`,
    ["", "floor", "measured", "ratio"],
    [row("encode", "sealFloor"), row("decode", "openFloor")],
  );
}

/** What comes under a key that is not known, which a rooted topic keeps for a while, and other junk. */
async function benchFloods({ owner, member }: RootedTopic): Promise<void> {
  const plain = await Topic.create({ name: NAME, topicKey: owner.topicKey as Uint8Array });
  const elsewhere = await Topic.create({ name: NAME, topicKey: random(32) });
  const payload = random(200);
  const noise = Array.from({ length: COUNT }, () => random(324));
  let unknown: Uint8Array[] = [];
  let forged: Uint8Array[] = [];
  const measured = interleave(
    COUNT,
    {
      unknown: (i) => refuse(member, unknown[i] as Uint8Array),
      few: (i) => refuse(member, unknown[i % KEPT_MESSAGES] as Uint8Array),
      plain: (i) => refuse(plain, unknown[i] as Uint8Array),
      forged: (i) => refuse(member, forged[i] as Uint8Array),
      noise: (i) => refuse(member, noise[i] as Uint8Array),
    },
    () => {
      unknown = Array.from({ length: COUNT }, () => elsewhere.encode(payload));
      forged = Array.from({ length: COUNT }, () => {
        const wire = new Uint8Array(owner.encode(payload));
        crypto.getRandomValues(wire.subarray(60));
        return wire;
      });
    },
  );
  const row = (label: string, name: "unknown" | "few" | "plain" | "forged" | "noise"): string[] => [
    label,
    micros(measured.of(name)),
    times(measured.ratio("unknown", name)),
  ];
  print(
    "Floods of a rooted topic, which keeps what comes under an unknown key for a while, µs",
    ["what comes", "refused in", "unknown ÷ this"],
    [
      row("under an unknown key, always another", "unknown"),
      row(`under an unknown key, the same ${KEPT_MESSAGES}`, "few"),
      row("under an unknown key, in a topic without a roster", "plain"),
      row("forged under our key id", "forged"),
      row("noise", "noise"),
    ],
  );
}

export async function benchRooted(floor: Floor): Promise<void> {
  await benchRevocation(floor);
  benchRoster();
  const rooted = await makeRooted(PARTICIPANTS);
  benchMessages(floor, rooted);
  await benchFloods(rooted);
}
