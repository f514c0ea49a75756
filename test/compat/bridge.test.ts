import { beforeEach, describe, expect, it } from "vitest";
import { type Bridge, type BridgeOptions, bridge, LegacyTopic, LegacyTopicKey } from "../../src/compat/index.js";
import { type Delivery, StringphoneError, Topic } from "../../src/index.js";
import { expectCode, thrownBy } from "../support/expect.js";
import { hex, legacyKey, legacySeed } from "../support/legacy.js";
import { bytes, flipBit, NAME, START, TestClock } from "../support/topics.js";

/** A Python device's side, a new device's side, and between them the two identities of the bridge. */
let device: LegacyTopic;
let app: Topic;
let legacy: LegacyTopic;
let topic: Topic;
let clock: TestClock;

beforeEach(async () => {
  clock = new TestClock();
  device = await LegacyTopic.create({ topicKey: legacyKey(1), seed: legacySeed(2) });
  app = await Topic.create({ topicKey: bytes(3), seed: bytes(4), name: NAME, clock: clock.read });
  legacy = await LegacyTopic.create({
    topicKey: legacyKey(1),
    seed: legacySeed(5),
    participants: [device.publicKey],
    replayMemory: 100,
  });
  topic = await Topic.create({
    topicKey: bytes(3),
    seed: bytes(6),
    name: NAME,
    clock: clock.read,
    participants: [app.publicKey],
  });
  device.addParticipant(legacy.publicKey);
  app.addParticipant(topic.publicKey);
});

const make = (options: Partial<BridgeOptions> = {}): Bridge => bridge({ legacy, topic, ...options });

describe("a bridge", () => {
  it("says on version 1 what was said on 0.1, in its own name", () => {
    const { toTopic } = make();
    const received = app.decode(toTopic(device.encode("21.5 °C")) as Uint8Array);
    expect(received?.text()).toBe("21.5 °C");
    expect(received?.delivery).toBe("event");
    expect(received?.sentAt).toBe(START);
    expect(received?.sender.publicKey).toEqual(topic.publicKey);
  });

  it("says on 0.1 what was said on version 1, in its own name", () => {
    const { toLegacy } = make();
    const [wire, ...more] = toLegacy(app.encode("light on"));
    expect(more).toEqual([]);
    const received = device.decode(wire as Uint8Array);
    expect(received?.text()).toBe("light on");
    expect(received?.sender.publicKey).toEqual(legacy.publicKey);
    const batch = toLegacy(app.encodeBatch(["1", "2", "3"]));
    expect(batch.map((one) => device.decode(one)?.text())).toEqual(["1", "2", "3"]);
  });

  it("sends nothing back that it has sent: no loop", () => {
    const { toTopic, toLegacy } = make();
    const onTopic = toTopic(device.encode("x")) as Uint8Array;
    expect(toLegacy(onTopic)).toEqual([]);
    const [onLegacy] = toLegacy(app.encode("y"));
    expect(toTopic(onLegacy as Uint8Array)).toBeNull();
    expect(toLegacy(app.encodeWill("gone").alive)).toEqual([]);
  });

  it("hears those alone whom its own side trusts, and sends nothing on that is forged", async () => {
    const { toTopic, toLegacy } = make();
    const stranger = await LegacyTopic.create({ topicKey: legacyKey(1) });
    expectCode("UNTRUSTED_KEY", () => toTopic(stranger.encode("x")));
    expectCode("BAD_SIGNATURE", () => toTopic(flipBit(device.encode("x"), 8)));
    expectCode("INTRODUCTION", () => toTopic(stranger.constructIntro()));
    const other = await Topic.create({ topicKey: bytes(3), name: NAME, clock: clock.read });
    expectCode("UNTRUSTED_KEY", () => toLegacy(other.encode("x")));
    expectCode("DECRYPTION_FAILED", () => toLegacy(flipBit(app.encode("x"), 8 * 60)));
    expectCode("MALFORMED_MESSAGE", () => toLegacy(device.encode("x")));
    expectCode("MALFORMED_MESSAGE", () => toTopic(app.encode("x")));
  });

  it("makes no old message new: what is repeated to it is not sent on", () => {
    const { toTopic, toLegacy } = make();
    const onLegacy = device.encode("x");
    toTopic(onLegacy);
    expectCode("REPLAY", () => toTopic(onLegacy));
    const onTopic = app.encode("x");
    toLegacy(onTopic);
    expectCode("REPLAY", () => toLegacy(onTopic));
  });

  it("sends commands on to 0.1 only where its owner said so, and never from it", () => {
    expectCode("UNEXPECTED_DELIVERY", () => make().toLegacy(app.encode("unlock", { delivery: "command" })));
    const { toLegacy } = make({ deliveries: ["event", "command"] });
    expect(toLegacy(app.encode("unlock", { delivery: "command" })).length).toBe(1);
    expectCode("UNEXPECTED_DELIVERY", () => toLegacy(app.encode("21.5", { delivery: "state" })));
    const retained = app.encode("unlock", { delivery: "command" });
    expectCode("RETAINED_COMMAND", () => toLegacy(retained, { retained: true }));
    clock.now += 31_000;
    expectCode("STALE_MESSAGE", () => toLegacy(retained));
    expect(thrownBy(() => make({ delivery: "command" as "event" }))).toBeInstanceOf(RangeError);
    expect(app.decode(make({ delivery: "state" }).toTopic(device.encode("21.5")) as Uint8Array)?.delivery).toBe(
      "state",
    );
  });

  it("binds what it sends to the context of the call, of the bridge, or of the topic", () => {
    const fixed = make({ context: "home/a" });
    const onA = fixed.toTopic(device.encode("x")) as Uint8Array;
    expectCode("DECRYPTION_FAILED", () => app.decode(onA));
    expect(app.decode(onA, { context: "home/a" })?.text()).toBe("x");
    const onB = fixed.toTopic(device.encode("x"), { context: "home/b" }) as Uint8Array;
    expect(app.decode(onB, { context: "home/b" })?.text()).toBe("x");
    expectCode("DECRYPTION_FAILED", () => fixed.toLegacy(app.encode("x")));
    expect(fixed.toLegacy(app.encode("x", { context: "home/a" })).length).toBe(1);
    expect(fixed.toLegacy(app.encode("x", { context: "home/b" }), { context: "home/b" }).length).toBe(1);
    expect(make().toLegacy(app.encode("x")).length).toBe(1);
  });

  it("carries the original sender only in a format of its owner's, and keeps back what its owner keeps back", () => {
    const { toTopic, toLegacy } = make({
      toTopicPayload: ({ sender, payload }) => JSON.stringify({ from: sender.fingerprint, hex: hex(payload) }),
      toLegacyPayload: (message) => (message.text() === "secret" ? null : message.payload),
    });
    const received = app.decode(toTopic(device.encode("x")) as Uint8Array);
    expect(received?.json()).toEqual({ from: legacy.participants[0]?.fingerprint, hex: "78" });
    expect(toLegacy(app.encode("secret"))).toEqual([]);
    expect(toLegacy(app.encodeBatch(["secret", "open"])).length).toBe(1);
    expect(make({ toTopicPayload: () => null }).toTopic(device.encode("x"))).toBeNull();
  });

  it("takes nothing for given that it could not send on for want of a key", () => {
    const { toTopic, toLegacy } = make();
    const onLegacy = device.encode("x");
    topic.topicKey = undefined;
    expectCode("MISSING_TOPIC_KEY", () => toTopic(onLegacy));
    topic.topicKey = bytes(3);
    expect(toTopic(onLegacy)).not.toBeNull();
    const onTopic = app.encode("x");
    legacy.topicKey = undefined;
    expectCode("MISSING_TOPIC_KEY", () => toLegacy(onTopic));
    legacy.topicKey = legacyKey(1);
    expect(toLegacy(onTopic).length).toBe(1);
    legacy.dispose();
    expectCode("DISPOSED", () => toLegacy(app.encode("x")));
  });
});

describe("a bridge is refused", () => {
  it("without a memory against replays", async () => {
    const forgetful = await LegacyTopic.create({ topicKey: legacyKey(1) });
    expect((thrownBy(() => make({ legacy: forgetful })) as Error).message).toContain("replayMemory");
  });

  it("where one seed or one topic key serves both wires, also later", async () => {
    const twin = await Topic.create({ seed: bytes(5), topicKey: bytes(3), name: NAME });
    expect((thrownBy(() => make({ topic: twin })) as Error).message).toContain("one seed never serves both wires");
    const { toTopic, toLegacy } = make();
    topic.topicKey = bytes(1);
    for (const call of [() => toTopic(device.encode("x")), () => toLegacy(app.encode("x"))]) {
      const error = thrownBy(call);
      expect(error).toBeInstanceOf(RangeError);
      expect(error).not.toBeInstanceOf(StringphoneError);
    }
    topic.topicKey = bytes(3);
    legacy.topicKey = LegacyTopicKey.from(bytes(3));
    expect(thrownBy(() => toTopic(device.encode("x")))).toBeInstanceOf(RangeError);
  });

  it("with anything but two topics and known options", () => {
    for (const options of [
      { legacy: topic },
      { topic: legacy },
      { legacy: undefined },
      { topik: topic },
    ] as unknown as Partial<BridgeOptions>[]) {
      expect(thrownBy(() => make(options))).toBeInstanceOf(TypeError);
    }
    const { toTopic, toLegacy } = make();
    expect(thrownBy(() => toTopic(device.encode("x"), { contekst: "x" } as object))).toBeInstanceOf(TypeError);
    expect(thrownBy(() => toLegacy(app.encode("x"), { naive: true } as object))).toBeInstanceOf(TypeError);
  });

  it("with callbacks, contexts or deliveries that are none, before any message is used up", () => {
    for (const options of [{ toTopicPayload: "no" }, { toLegacyPayload: 5 }, { context: 42 }, { context: "\ud800" }]) {
      expect(thrownBy(() => make(options as unknown as Partial<BridgeOptions>))).toBeInstanceOf(TypeError);
    }
    for (const deliveries of [["evnt"], [], "event", 5]) {
      expect(thrownBy(() => make({ deliveries } as unknown as Partial<BridgeOptions>))).toBeInstanceOf(RangeError);
    }
    const wire = device.encode("x");
    const { toTopic } = make();
    expect(thrownBy(() => toTopic(wire, { context: 5 } as object))).toBeInstanceOf(TypeError);
    expect(app.decode(toTopic(wire) as Uint8Array)?.text()).toBe("x");
  });

  it("with deliveries that are added to its list later, or more than one argument for a callback", () => {
    const deliveries: Delivery[] = ["event"];
    const given: unknown[][] = [];
    const { toLegacy } = make({
      deliveries,
      toLegacyPayload: (...all: unknown[]) => {
        given.push(all);
        return "x";
      },
    });
    deliveries.push("command");
    expectCode("UNEXPECTED_DELIVERY", () => toLegacy(app.encode("open", { delivery: "command" })));
    toLegacy(app.encodeBatch(["1", "2"]));
    expect(given.map((all) => all.length)).toEqual([1, 1]);
  });

  it("where a callback gives both sides one key", () => {
    const { toTopic } = make({
      toTopicPayload: () => {
        topic.topicKey = bytes(1);
        return "x";
      },
    });
    expect(thrownBy(() => toTopic(device.encode("x")))).toBeInstanceOf(RangeError);
  });
});
