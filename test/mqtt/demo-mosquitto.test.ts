/** The demo against a broker that is not ours: what an eavesdropper on it sees is bytes, too. */
import { randomBytes } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt } from "../support/build.js";
import { requireProgram } from "../support/programs.js";
import { Mosquitto } from "./mosquitto.js";
import { Program, processesWith } from "./program.js";
import { expectStory } from "./story.js";

describe.skipIf(!requireProgram("mosquitto"))("the demo over Mosquitto", () => {
  beforeAll(ensureBuilt);

  it("tells the same story, also twice at a time on one broker", async () => {
    await using mosquitto = await Mosquitto.start();
    const topic = `demo-test-${randomBytes(8).toString("hex")}`;
    const demos = ["a", "b"].map(
      (run) => new Program("demo.ts", ["--url", mosquitto.url, "--topic", `${topic}/${run}`]),
    );
    try {
      for (const demo of demos) {
        const ended = await demo.ended;
        expect(demo.errors).toBe("");
        expect(ended).toEqual({ code: 0, signal: null });
        expectStory(demo.lines, "listener");
      }
      expect(processesWith(topic)).toEqual([]);
    } finally {
      for (const demo of demos) demo.kill("SIGKILL");
    }
  });
});
