/** Participants of rooted topics as the vectors describe them. */
import type { MemberState } from "../../scripts/control-cases.js";
import { NOW, unhex } from "../../scripts/vector-secrets.js";
import { toHex } from "../../src/bytes.js";
import { kdf } from "../../src/crypto.js";
import { Topic, type TopicEvent } from "../../src/index.js";
import { commitmentOf } from "../../src/keyring.js";
import { type SavedRooted, topicIdOf } from "../../src/rooted.js";
import { formatState, parseState } from "../../src/state.js";
import { StatementSet } from "../../src/statement-set.js";
import { TopicKey } from "../../src/topic-key.js";

/** Somebody in the first epoch of a topic, who knows these statements. */
export async function memberOf(state: MemberState, listener: (event: TopicEvent) => void = () => {}): Promise<Topic> {
  const { salt, roots, name } = state.topic;
  const topicKey = unhex(state.topicKey);
  const clock = (): number => NOW;
  const saved = parseState((await Topic.create({ seed: unhex(state.seed), topicKey, name, clock })).save());
  const statements = new StatementSet({ topicId: topicIdOf(unhex(salt), roots.map(unhex)), name }, roots);
  statements.add(statements.stage(state.statements.map(unhex)));
  const id = toHex(new TopicKey(topicKey).commitment);
  const secret = kdf(topicKey, "rejoinSecret");
  const rooted: SavedRooted = {
    salt: unhex(salt),
    roots: roots.map(unhex),
    statements: statements.saved(),
    winner: id,
    rejoinSecrets: [
      { id, epoch: 0, secret, recipients: new Uint8Array(0), issuer: undefined, isProven: true, since: NOW },
    ],
    digests: [toHex(statements.digest)],
    settled: [],
    answeredIn: undefined,
    unsettled: [],
    digestsBefore: 0,
    departed: [],
    removal: undefined,
    doubted: [],
    sealedUnder: [],
  };
  const wrapKeys = [{ secretKey: unhex(state.wrapSecret), version: NOW, replaced: undefined }];
  return Topic.load(formatState({ ...saved, wrapKeys, rooted }), { clock, listener });
}

export interface ShownMember {
  readonly roster: readonly { readonly participant: string; readonly role: string; readonly rank: number }[];
  readonly digest: string;
  /** That counts. */
  readonly epoch: { readonly number: number; readonly commitment: string };
  /** That is sent under. */
  readonly topicKey: string | null;
  readonly rejoinSecret: string | null;
}

/** What a participant of a rooted topic knows, as the vectors say it. */
export function shownMember(topic: Topic): ShownMember {
  const { rooted, epochs, name } = parseState(topic.save());
  const winner = epochs.find(({ id }) => id === rooted?.winner);
  if (rooted === undefined || winner === undefined) throw new Error("no epoch counts");
  const scope = { topicId: topicIdOf(rooted.salt, rooted.roots), name };
  const statements = new StatementSet(scope, rooted.roots.map(toHex));
  statements.restoreWithoutVerifying(rooted.statements);
  const secret = rooted.rejoinSecrets.find(({ id }) => id === winner.id)?.secret;
  const { topicKey } = topic;
  return {
    roster: [...statements.roster].map(([participant, { role, rank }]) => ({ participant, role, rank })),
    digest: toHex(statements.digest),
    epoch: { number: winner.number, commitment: commitmentOf(winner) },
    topicKey: topicKey === undefined ? null : toHex(topicKey),
    rejoinSecret: secret === undefined ? null : toHex(secret),
  };
}
