/** Shorter rules that look as if they served, and do not: the simulation must find each of them out. */
import type { Mutation } from "./bundle.js";

export const DEFECTS: Readonly<Record<string, readonly Mutation[]>> = {
  "the higher epoch counts, whoever started it": [
    {
      file: "src/rooted.ts",
      find: "const rank = epoch.issuer === undefined ? -1 : roster.rankOf(epoch.issuer);",
      replace: "const rank: number | undefined = 0;",
    },
  ],
  "a rekey is sealed under the epoch that counted before it": [
    {
      file: "src/rooted.ts",
      find: `    const winner = this.#winnerUnder(roster);
    if (winner?.keys !== undefined) return winner;
    const open = this.#highestOpen();
    if (open === undefined) throw`,
      replace: `    const open = this.#winner;
    if (open?.keys === undefined) throw`,
    },
  ],
  "nobody asks for what is missing": [
    {
      file: "src/gaps.ts",
      find: "  due(now: number): IntroductionWant | undefined {\n",
      replace: "  due(now: number): IntroductionWant | undefined {\n    if (now >= 0) return undefined;\n",
    },
  ],
  "no admin repairs what another left": [
    {
      file: "src/rooted.ts",
      find: "  get rekeyWant(): RekeyWant | undefined {\n",
      replace: "  get rekeyWant(): RekeyWant | undefined {\n    if (this.#self.length > 0) return undefined;\n",
    },
  ],
  "who knows of a removal speaks on under a key that the removed one has": [
    {
      file: "src/rooted.ts",
      find: "if (!this.#onlyLeft(participant)) return true;",
      replace: "if (!this.#onlyLeft(participant) && participant.length === 0) return true;",
    },
  ],
};
