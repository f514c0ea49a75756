/** The test vectors of generations and of rooted topics: what test/vectors/rooted holds. Deterministic, as those of vector-cases.ts. */
import { loadCrypto } from "../src/crypto.js";
import { type Admins, type AdmissionCase, admins, admissionCases } from "./admission-cases.js";
import { type ControlCase, controlCases, type MemberState, memberState } from "./control-cases.js";
import {
  type FollowCase,
  followCases,
  type GenerationCase,
  generationCases,
  type TopicIdCase,
  topicIdCases,
} from "./generation-cases.js";
import { type RekeyCase, rekeyCases } from "./rekey-cases.js";
import {
  type Newcomer,
  newcomerOf,
  type RootedIntroductionCase,
  type RootedReplyCase,
  rootedIntroductionCases,
  rootedReplyCases,
} from "./rooted-discovery-cases.js";
import { type RosterCase, rosterCases } from "./roster-cases.js";
import { type StatementCase, statementCases } from "./statement-cases.js";

interface File<C> {
  readonly about: string;
  readonly cases: readonly C[];
}

export interface RootedVectors {
  readonly generations: File<GenerationCase>;
  readonly following: File<FollowCase>;
  readonly "topic-ids": File<TopicIdCase>;
  readonly statements: File<StatementCase>;
  readonly rosters: File<RosterCase>;
  readonly rekeys: File<RekeyCase>;
  readonly controls: File<ControlCase> & { readonly receiver: MemberState };
  readonly admissions: File<AdmissionCase> & { readonly admins: Admins };
  readonly introductions: File<RootedIntroductionCase> & { readonly receiver: MemberState };
  readonly replies: File<RootedReplyCase> & { readonly newcomer: Newcomer; readonly member: MemberState & Newcomer };
}

/** Makes all of them. */
export async function makeRootedVectors(): Promise<RootedVectors> {
  await loadCrypto();
  return {
    generations: { about: "Topic keys and what follows from them. See ../README.md.", cases: generationCases() },
    following: { about: "Messages under later generations, to Bob. See ../README.md.", cases: followCases() },
    "topic-ids": { about: "Ids of topics. See ../README.md.", cases: topicIdCases() },
    statements: { about: "Single statements: form and signatures. See ../README.md.", cases: statementCases() },
    rosters: { about: "Sets of statements and the roster they give. See ../README.md.", cases: rosterCases() },
    rekeys: { about: "Rekeys, and what one recipient gets out of them. See ../README.md.", cases: rekeyCases() },
    controls: {
      about: "Control messages to Bob, a publisher of a rooted topic. See ../README.md.",
      receiver: memberState("bob"),
      cases: controlCases(),
    },
    admissions: {
      about: "What an admin of a rooted topic says of somebody whom it admits. See ../README.md.",
      admins: admins(),
      cases: admissionCases(),
    },
    introductions: {
      about: "Introductions to Alice, the root of a rooted topic. See ../README.md.",
      receiver: memberState("alice"),
      cases: rootedIntroductionCases(),
    },
    replies: {
      about: "Replies of rooted topics to Bob, who is new or comes back. See ../README.md.",
      newcomer: newcomerOf("newcomer"),
      member: { ...memberState("bob"), ...newcomerOf("member") },
      cases: rootedReplyCases(),
    },
  };
}
