/** The sponsor's side of the example, with a person who is asked in the test. */
import { generateSigningKeySeed, generateTopicKey, IntroductionError, Topic } from "stringphone";
import { afterEach, expect, it, vi } from "vitest";
import { PairingWindow } from "../../examples/mqtt/pairing.js";
import { thrownBy } from "../support/expect.js";

afterEach(() => {
  vi.restoreAllMocks();
});

async function meet(seconds: number, answer: () => boolean) {
  vi.spyOn(console, "log").mockReturnValue(undefined);
  const sponsor = await Topic.create({ topicKey: generateTopicKey() });
  const confirms = vi.fn(() => Promise.resolve(answer()));
  const replies: Uint8Array[] = [];
  const open = () =>
    new PairingWindow(sponsor, { confirms }, { seconds, newcomers: 2 }, (_, reply) => replies.push(reply));
  const introductionOf = (newcomer: Topic) => {
    const error = thrownBy(() => sponsor.decode(newcomer.constructIntro()));
    if (!(error instanceof IntroductionError)) throw error;
    return error.introduction;
  };
  return { sponsor, confirms, replies, open, introductionOf };
}

it("gives the thief of a known device's seed nothing unasked: not when closed, and not in another window", async () => {
  let says = true;
  const { sponsor, confirms, replies, open, introductionOf } = await meet(60, () => says);
  const seed = generateSigningKeySeed();
  const first = open();
  await first.consider(introductionOf(await Topic.create({ seed })));
  expect(replies.length).toBe(1);
  first.close();

  sponsor.topicKey = generateTopicKey();
  says = false;
  const thief = await Topic.create({ seed });
  await first.consider(introductionOf(thief));
  const second = open();
  await second.consider(introductionOf(thief));
  expect(replies.length).toBe(1);
  expect(confirms).toHaveBeenCalledTimes(2);
  second.close();
});

it("answers again within the same seconds, because a reply may be lost, but not for ever", async () => {
  const { confirms, replies, open, introductionOf } = await meet(60, () => true);
  const window = open();
  const newcomer = await Topic.create();
  for (let i = 0; i < 6; i++) await window.consider(introductionOf(newcomer));
  expect(replies.length).toBe(3);
  expect(confirms).toHaveBeenCalledTimes(1);
  window.close();
});
