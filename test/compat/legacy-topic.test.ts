import { inspect } from "node:util";
import { afterEach, describe, expect, it, vi } from "vitest";
import { LegacyIntroductionReplyError, LegacySeed, LegacyTopic, LegacyTopicKey } from "../../src/compat/index.js";
import { agree, agreementKeyPair, LegacyIdentity, sealBox, verifyRaw } from "../../src/compat/legacy-crypto.js";
import { LegacyReceived } from "../../src/compat/received.js";
import { formatReply } from "../../src/compat/wire.js";
import { sign, signingKeyPair } from "../../src/crypto.js";
import { IntroductionReplyError, isStringphoneError, StringphoneError, Topic } from "../../src/index.js";
import { expectCode, thrownBy } from "../support/expect.js";
import { hex, legacyKey, legacySeed, makeLegacyPair, sponsorLegacy } from "../support/legacy.js";
import { bytes, flipBit } from "../support/topics.js";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("a message", () => {
  it("of text or bytes is given as it was sent, with who sent it and nothing more", async () => {
    const { alice, bob } = await makeLegacyPair();
    const received = bob.decode(alice.encode("gruß 🐞"));
    expect(received).toBeInstanceOf(LegacyReceived);
    expect(received?.text()).toBe("gruß 🐞");
    expect(received?.sender.publicKey).toEqual(alice.publicKey);
    expect(bob.decode(alice.encode(bytes(7, 5)))?.payload).toEqual(bytes(7, 5));
    expect(bob.decode(alice.encode('{"on":true}'))?.json()).toEqual({ on: true });
    expect(Object.keys(received ?? {}).sort()).toEqual(["payload", "sender"]);
  });

  it("may be empty", async () => {
    const { alice, bob } = await makeLegacyPair();
    expect(bob.decode(alice.encode(""))?.payload).toEqual(new Uint8Array(0));
  });

  it("never has the bytes of another", async () => {
    const { alice } = await makeLegacyPair();
    expect(alice.encode("x")).not.toEqual(alice.encode("x"));
  });

  it("shares no memory with what the caller gave or got", async () => {
    const { alice, bob } = await makeLegacyPair();
    const payload = bytes(1, 40);
    const wire = alice.encode(payload);
    payload.fill(2);
    const received = bob.decode(wire);
    wire.fill(0);
    expect(received?.payload).toEqual(bytes(1, 40));
  });

  it("needs a topic key on both sides, and says so after who sent it was checked", async () => {
    const { alice, bob } = await makeLegacyPair();
    const wire = alice.encode("x");
    bob.topicKey = undefined;
    expectCode("MISSING_TOPIC_KEY", () => bob.decode(wire));
    expectCode("MISSING_TOPIC_KEY", () => bob.decode(wire, { naive: true }));
    expectCode("MISSING_TOPIC_KEY", () => bob.encode("x"));
    expectCode("BAD_SIGNATURE", () => bob.decode(flipBit(wire, 8)));
    const stranger = await LegacyTopic.create();
    expectCode("UNTRUSTED_KEY", () => stranger.decode(wire));
    bob.topicKey = legacyKey(9);
    expectCode("DECRYPTION_FAILED", () => bob.decode(wire));
    bob.topicKey = alice.topicKey;
    expect(bob.decode(wire)?.text()).toBe("x");
  });

  it("longer than maxPayloadBytes is refused, sent or received", async () => {
    const { alice } = await makeLegacyPair();
    const { bob: small } = await makeLegacyPair({ maxPayloadBytes: 10 });
    expect(small.decode(alice.encode(bytes(1, 10)))?.payload.length).toBe(10);
    const error = expectCode("MESSAGE_TOO_LARGE", () => small.decode(alice.encode(bytes(1, 11))));
    expect([error.length, error.limit]).toEqual([11, 10]);
    expectCode("MESSAGE_TOO_LARGE", () => small.encode(bytes(1, 11)));
  });

  it("of our own gives null, and only if it is: what bears our id is verified", async () => {
    const { alice, bob } = await makeLegacyPair();
    const wire = alice.encode("x");
    expect(alice.decode(wire)).toBeNull();
    const forged = bob.encode("x");
    forged.set(alice.id, 65);
    for (const options of [{}, { ignoreUntrusted: true }]) {
      expect(expectCode("BAD_SIGNATURE", () => alice.decode(forged, options)).claimedSender).toEqual(alice.id);
    }
    expect(alice.decode(wire, { naive: true }).text()).toBe("x");
  });

  it("under naive comes from some holder of the topic key, whatever its signature", async () => {
    const { alice, bob } = await makeLegacyPair();
    const wire = alice.encode("x");
    const unsigned = flipBit(wire, 9);
    expect(bob.decode(unsigned, { naive: true }).text()).toBe("x");
    expect(bob.decode(unsigned, { naive: true })).not.toHaveProperty("sender");
    expectCode("DECRYPTION_FAILED", () => bob.decode(flipBit(wire, 8 * 100), { naive: true }));
  });

  it("of somebody who was removed is a stranger's", async () => {
    const { alice, bob } = await makeLegacyPair();
    const wire = alice.encode("x");
    expect(bob.removeParticipant(alice.id)).toBe(true);
    expect(bob.removeParticipant(alice.publicKey)).toBe(false);
    expect(expectCode("UNTRUSTED_KEY", () => bob.decode(wire)).claimedSender).toEqual(alice.id);
    bob.addParticipant(alice.publicKey);
    expect(bob.participants.map(({ publicKey }) => hex(publicKey))).toEqual([hex(alice.publicKey)]);
    expect(bob.decode(wire)?.text()).toBe("x");
  });

  it("leaves no trace: nothing is printed", async () => {
    const spies = (["log", "info", "warn", "error", "debug"] as const).map((name) =>
      vi.spyOn(console, name).mockImplementation(() => undefined),
    );
    const { alice, bob } = await makeLegacyPair({ replayMemory: 10 });
    bob.decode(alice.encode("x"));
    alice.decode(alice.encode("own"));
    thrownBy(() => bob.decode(bytes(1, 200)));
    thrownBy(() => alice.decode(bob.constructIntro()));
    for (const spy of spies) expect(spy).not.toHaveBeenCalled();
  });
});

describe("a memory of seen messages", () => {
  it("is off unless it is asked for: a recorded message is then accepted for ever", async () => {
    const { alice, bob } = await makeLegacyPair();
    expect(bob.replayMemory).toBe(0);
    const wire = alice.encode("open the door");
    for (let i = 0; i < 3; i++) expect(bob.decode(wire)?.text()).toBe("open the door");
  });

  it("refuses what was given, and nothing else", async () => {
    const { alice, bob } = await makeLegacyPair({ replayMemory: 100 });
    expect(bob.replayMemory).toBe(100);
    const [first, second] = [alice.encode("x"), alice.encode("x")];
    expect(bob.decode(first)?.text()).toBe("x");
    expect(expectCode("REPLAY", () => bob.decode(first)).reason).toBe("seen");
    expect(bob.decode(second)?.text()).toBe("x");
    expectCode("REPLAY", () => bob.decode(first));
    expectCode("REPLAY", () => bob.decode(second));
    expect(bob.decode(first, { naive: true }).text()).toBe("x");
  });

  it("outlives the removal of a participant", async () => {
    const { alice, bob } = await makeLegacyPair({ replayMemory: 10 });
    const wire = alice.encode("x");
    bob.decode(wire);
    bob.removeParticipant(alice.publicKey);
    expectCode("UNTRUSTED_KEY", () => bob.decode(wire));
    bob.addParticipant(alice.publicKey);
    expectCode("REPLAY", () => bob.decode(wire));
  });

  it("remembers nothing that was refused: nobody makes us refuse what did not come yet", async () => {
    const { alice, bob } = await makeLegacyPair({ replayMemory: 10 });
    const wire = alice.encode("x");
    expectCode("BAD_SIGNATURE", () => bob.decode(flipBit(wire, 8)));
    bob.topicKey = undefined;
    expectCode("MISSING_TOPIC_KEY", () => bob.decode(wire));
    bob.topicKey = legacyKey(9);
    expectCode("DECRYPTION_FAILED", () => bob.decode(wire));
    bob.topicKey = alice.topicKey;
    bob.decode(wire, { naive: true });
    expect(bob.decode(wire)?.text()).toBe("x");
  });

  it("holds the newest of each sender, and nobody pushes out what another sent", async () => {
    const { alice, bob } = await makeLegacyPair({ replayMemory: 3 });
    const carol = await LegacyTopic.create({ topicKey: legacyKey(1) });
    bob.addParticipant(carol.publicKey);
    const wires = ["1", "2", "3"].map((text) => alice.encode(text));
    for (const wire of wires) bob.decode(wire);
    for (let i = 0; i < 20; i++) bob.decode(carol.encode("flood"));
    for (const wire of wires) expectCode("REPLAY", () => bob.decode(wire));
    bob.decode(alice.encode("4"));
    // Its own oldest, and only that, is forgotten: so the bound is the owner's to choose.
    expect(bob.decode(wires[0] as Uint8Array)?.text()).toBe("1");
    expectCode("REPLAY", () => bob.decode(wires[2] as Uint8Array));
  });

  it("goes by what is signed: not even another valid signature makes a message new", async () => {
    const { alice, bob } = await makeLegacyPair({ replayMemory: 10 });
    const wire = alice.encode("x");
    bob.decode(wire);
    // S + L is the other face of a signature to a lax verifier; here it would be refused anyhow.
    const L = 2n ** 252n + 27742317777372353535851937790883648493n;
    const little = (value: bigint) => Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse();
    const S = BigInt(`0x${Buffer.from(wire.slice(33, 65)).reverse().toString("hex")}`);
    const malleated = new Uint8Array(wire);
    malleated.set(little(S + L), 33);
    expectCode("REPLAY", () => bob.decode(malleated));
    const fresh = alice.encode("y");
    const other = new Uint8Array(fresh);
    other.set(little(BigInt(`0x${Buffer.from(fresh.slice(33, 65)).reverse().toString("hex")}`) + L), 33);
    expectCode("BAD_SIGNATURE", () => bob.decode(other));
  });

  it("has a bound", async () => {
    for (const replayMemory of [-1, 1.5, 1_000_001, Number.NaN]) {
      await expect(LegacyTopic.create({ replayMemory })).rejects.toThrow(RangeError);
    }
    await expect(LegacyTopic.create({ replayMemory: "many" as unknown as number })).rejects.toThrow(TypeError);
  });
});

describe("an introduction", () => {
  it("is verified before it is raised, and carries what 0.1 has", async () => {
    const { alice } = await makeLegacyPair();
    const newcomer = await LegacyTopic.create();
    const intro = newcomer.constructIntro();
    const { introduction } = expectCode("INTRODUCTION", () => alice.decode(intro));
    expect(introduction).toMatchObject({ senderId: newcomer.id, name: "", sentAt: 0, standing: "unknown" });
    expect(introduction.senderKey).toEqual(newcomer.publicKey);
    expect(Object.isFrozen(introduction)).toBe(true);
    expectCode("BAD_SIGNATURE", () => alice.decode(flipBit(intro, 8 * 40)));
    expectCode("BAD_SIGNATURE", () => alice.decode(flipBit(intro, 8 * 100)));
  });

  it("says what we know of its sender, and our own gives null", async () => {
    const { alice, bob } = await makeLegacyPair();
    expect(expectCode("INTRODUCTION", () => alice.decode(bob.constructIntro())).introduction.standing).toBe("pinned");
    const own = alice.constructIntro();
    expect(alice.decode(own)).toBeNull();
    const twin = await LegacyTopic.create({ seed: legacySeed(2) });
    expect(expectCode("INTRODUCTION", () => alice.decode(twin.constructIntro())).introduction.standing).toBe("self");
  });

  it("is answered to nobody whom a person did not confirm, and with no key that we lack", async () => {
    const { alice } = await makeLegacyPair();
    const newcomer = await LegacyTopic.create();
    const intro = newcomer.constructIntro();
    const { introduction } = expectCode("INTRODUCTION", () => alice.decode(intro));
    for (const given of [intro, introduction]) expectCode("UNTRUSTED_KEY", () => alice.constructReply(given));
    alice.addParticipant(introduction.senderKey);
    expect(alice.constructReply(intro).length).toBe(153);
    alice.removeParticipant(introduction.senderKey);
    expectCode("UNTRUSTED_KEY", () => alice.constructReply(introduction));
    alice.addParticipant(introduction.senderKey);
    alice.topicKey = undefined;
    expectCode("MISSING_TOPIC_KEY", () => alice.constructReply(introduction));
    // Who has no key hears of newcomers too: 0.1 hid them.
    const other = await LegacyTopic.create();
    expectCode("INTRODUCTION", () => alice.decode(other.constructIntro()));
  });

  it("that another topic verified is no pass", async () => {
    const { alice, bob } = await makeLegacyPair();
    const newcomer = await LegacyTopic.create();
    const { introduction } = expectCode("INTRODUCTION", () => bob.decode(newcomer.constructIntro()));
    expect(thrownBy(() => alice.constructReply(introduction))).toBeInstanceOf(TypeError);
    expectCode("MALFORMED_MESSAGE", () => alice.constructReply(bob.encode("x")));
  });

  it("is taken at a bounded rate, and messages are not held up by it", async () => {
    vi.spyOn(performance, "now").mockReturnValue(5000);
    const { alice, bob } = await makeLegacyPair();
    const newcomer = await LegacyTopic.create();
    const intros = Array.from({ length: 20 }, () => newcomer.constructIntro());
    const codes = intros.map((intro) => (thrownBy(() => alice.decode(intro)) as StringphoneError).code);
    expect(codes).toEqual([...new Array(16).fill("INTRODUCTION"), ...new Array(4).fill("RATE_LIMIT")]);
    const { retryAfter } = expectCode("RATE_LIMIT", () => alice.decode(intros[0] as Uint8Array));
    expect(retryAfter).toBe(1000);
    expect(alice.decode(bob.encode("still here"))?.text()).toBe("still here");
    vi.spyOn(performance, "now").mockReturnValue(6000);
    expectCode("INTRODUCTION", () => alice.decode(intros[0] as Uint8Array));
    expectCode("RATE_LIMIT", () => alice.decode(intros[0] as Uint8Array));
  });
});

describe("a reply", () => {
  it("brings the topic key to whoever asked, and to nobody else", async () => {
    const { alice, bob } = await makeLegacyPair();
    const [newcomer, other] = [await LegacyTopic.create(), await LegacyTopic.create()];
    const reply = sponsorLegacy(alice, newcomer);
    other.constructIntro();
    expectCode("FOREIGN_REPLY", () => other.decode(reply));
    expectCode("FOREIGN_REPLY", () => other.parseReply(reply));
    expectCode("FOREIGN_REPLY", () => bob.decode(reply));
    expect(alice.decode(reply)).toBeNull();
    const error = expectCode("INTRODUCTION_REPLY", () => newcomer.decode(reply));
    expect(error).toBeInstanceOf(IntroductionReplyError);
    expect(error.name).toBe("IntroductionReplyError");
    expect(newcomer.topicKey).toBeUndefined();
    expect(newcomer.parseReply(error.reply)).toBe(true);
    newcomer.addParticipant(error.reply.senderKey);
    expect(newcomer.decode(alice.encode("welcome"))?.text()).toBe("welcome");
  });

  it("without its sponsor's introduction is anybody's, and the error says so", async () => {
    const { alice } = await makeLegacyPair();
    const newcomer = await LegacyTopic.create();
    const error = thrownBy(() => newcomer.decode(sponsorLegacy(alice, newcomer)));
    if (!(error instanceof LegacyIntroductionReplyError)) throw error;
    expect(error.reply.isAuthenticated).toBe(false);
    expect(error.message).toContain("nothing shows who made it");
    expect(error.stack).toContain("nothing shows who made it");
    expect(isStringphoneError(error)).toBe(true);
  });

  it("of a sponsor who introduced itself is known to be that sponsor's, for as long as the introduction lives", async () => {
    const { alice } = await makeLegacyPair();
    const newcomer = await LegacyTopic.create();
    expectCode("INTRODUCTION", () => newcomer.decode(alice.constructIntro()));
    const error = thrownBy(() => newcomer.decode(sponsorLegacy(alice, newcomer)));
    if (!(error instanceof LegacyIntroductionReplyError)) throw error;
    expect(error.reply).toMatchObject({ isAuthenticated: true, standing: "unknown" });
    expect(error.reply.senderKey).toEqual(alice.publicKey);
    expect(error.message).not.toContain("nothing shows who made it");
    // A setting that is missing does not mean "from anybody".
    const settings: { sponsor?: Uint8Array } = {};
    const { sponsor } = settings;
    expect(thrownBy(() => newcomer.parseReply(error.reply, { sponsor } as { sponsor: Uint8Array }))).toBeInstanceOf(
      TypeError,
    );
    expect(newcomer.parseReply(error.reply, { sponsor: alice.publicKey })).toBe(true);
  });

  it("is taken from the sponsor named alone", async () => {
    const { alice, bob } = await makeLegacyPair();
    const newcomer = await LegacyTopic.create();
    const reply = sponsorLegacy(alice, newcomer);
    const sponsor = alice.publicKey;
    // Nobody introduced himself: the name in the reply is only a name.
    expectCode("UNTRUSTED_KEY", () => newcomer.parseReply(reply, { sponsor }));
    expectCode("INTRODUCTION", () => newcomer.decode(alice.constructIntro()));
    // The reply was made before that introduction, under a key that nobody signed.
    expectCode("UNTRUSTED_KEY", () => newcomer.parseReply(reply, { sponsor }));
    expectCode("UNTRUSTED_KEY", () => newcomer.parseReply(reply, { sponsor: bob.publicKey }));
    expect(newcomer.topicKey).toBeUndefined();

    // Mallory heard both introductions, has no secret, and says that he is Alice.
    const mallory = await LegacyTopic.create({ topicKey: legacyKey(66) });
    const forged = sponsorLegacy(mallory, newcomer);
    forged.set(sponsor, 121);
    expect(expectCode("INTRODUCTION_REPLY", () => newcomer.decode(forged)).reply).toMatchObject({
      senderKey: sponsor,
      isAuthenticated: false,
    });
    expectCode("UNTRUSTED_KEY", () => newcomer.parseReply(forged, { sponsor }));
    // He puts the key that Alice signed in the place of his own: the box does not open.
    const { encryptionKey } = introductionOf(alice.constructIntro());
    expectCode("INTRODUCTION", () => newcomer.decode(alice.constructIntro()));
    forged.set(encryptionKey, 89);
    expect(thrownBy(() => newcomer.parseReply(forged, { sponsor }))).toBeInstanceOf(StringphoneError);
    // He signs Alice's key himself: that counts for his own name only.
    const identity = new LegacyIdentity(bytes(66));
    const { publicKey } = identity.participant;
    expectCode("INTRODUCTION", () =>
      newcomer.decode(Uint8Array.of(0x69, ...publicKey, ...identity.sign(encryptionKey), ...encryptionKey)),
    );
    const renamed = sponsorLegacy(mallory, newcomer);
    renamed.set(publicKey, 121);
    expectCode("UNTRUSTED_KEY", () => newcomer.parseReply(renamed, { sponsor: publicKey }));
    expectCode("UNTRUSTED_KEY", () => newcomer.parseReply(renamed, { sponsor }));
    expect(newcomer.topicKey).toBeUndefined();

    // He puts another name on Alice's own reply: she signed that X25519 key, and nobody else did.
    const honest = sponsorLegacy(alice, newcomer);
    const stolen = new Uint8Array(honest);
    stolen.set(bob.publicKey, 121);
    expect(expectCode("INTRODUCTION_REPLY", () => newcomer.decode(stolen)).reply).toMatchObject({
      isAuthenticated: false,
    });
    expectCode("UNTRUSTED_KEY", () => newcomer.parseReply(stolen, { sponsor: bob.publicKey }));
    expect(newcomer.parseReply(honest, { sponsor })).toBe(true);
    expect(newcomer.topicKey?.bytes).toEqual(alice.topicKey?.bytes);
  });

  it("of a sponsor whose introduction was pushed out by others is nobody's again, until it introduces itself anew", async () => {
    let now = 5000;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    const [newcomer, flood] = [await LegacyTopic.create(), await LegacyTopic.create()];
    // A sponsor as 0.1 has them: one X25519 key for as long as it runs.
    const identity = new LegacyIdentity(bytes(9));
    const { publicKey: sponsor } = identity.participant;
    const box = agreementKeyPair();
    const intro = Uint8Array.of(0x69, ...sponsor, ...identity.sign(box.publicKey), ...box.publicKey);
    const hear = (wire: Uint8Array) => {
      now += 1000;
      expectCode("INTRODUCTION", () => newcomer.decode(wire));
    };
    const authenticated = (): boolean => {
      const key = agree(newcomer.constructIntro().slice(97), box.secretKey);
      const nonce = bytes(1, 24);
      const wire = formatReply({
        recipientId: newcomer.id,
        nonce,
        box: sealBox(key, nonce, bytes(1)),
        encryptionKey: box.publicKey,
        claimedSenderKey: sponsor,
      });
      const error = thrownBy(() => newcomer.decode(wire));
      if (!(error instanceof LegacyIntroductionReplyError)) throw error;
      if (!error.reply.isAuthenticated)
        expectCode("UNTRUSTED_KEY", () => newcomer.parseReply(error.reply, { sponsor }));
      return error.reply.isAuthenticated;
    };
    hear(intro);
    for (let i = 0; i < 1023; i++) hear(flood.constructIntro());
    expect(authenticated()).toBe(true);
    hear(flood.constructIntro());
    expect(authenticated()).toBe(false);
    hear(intro);
    expect(authenticated()).toBe(true);
    for (const topic of [newcomer, flood]) topic.dispose();
  });

  it("never replaces a topic key, and an old one never comes back", async () => {
    const { alice } = await makeLegacyPair();
    const mallory = await LegacyTopic.create({ topicKey: legacyKey(66) });
    const newcomer = await LegacyTopic.create();
    const intro = newcomer.constructIntro();
    const forged = sponsorLegacy(mallory, newcomer, intro);
    const honest = sponsorLegacy(alice, newcomer, intro);
    newcomer.parseReply(honest);
    for (const reply of [forged, honest]) {
      expectCode("FOREIGN_REPLY", () => newcomer.decode(reply));
      expectCode("FOREIGN_REPLY", () => newcomer.parseReply(reply));
    }
    expect(newcomer.topicKey?.bytes).toEqual(alice.topicKey?.bytes);
    // Who has a key and introduces itself only to be trusted takes none either.
    const later = sponsorLegacy(mallory, newcomer);
    expectCode("FOREIGN_REPLY", () => newcomer.parseReply(later));
    newcomer.topicKey = undefined;
    for (const reply of [forged, honest, later]) expectCode("FOREIGN_REPLY", () => newcomer.parseReply(reply));
    newcomer.constructIntro();
    for (const reply of [forged, honest, later]) expectCode("DECRYPTION_FAILED", () => newcomer.parseReply(reply));
  });

  it("ends our introductions: their secrets are wiped, and nothing is sent under them", async () => {
    vi.useFakeTimers();
    const { alice } = await makeLegacyPair();
    const [newcomer, next] = [await LegacyTopic.create(), await LegacyTopic.create()];
    const intro = newcomer.constructIntro();
    expect(vi.getTimerCount()).toBe(1);
    newcomer.parseReply(sponsorLegacy(alice, newcomer, intro));
    expect(vi.getTimerCount()).toBe(0);
    expect(sponsorLegacy(newcomer, next).slice(89, 121)).not.toEqual(introductionOf(intro).encryptionKey);
  });

  it("that was decoded is worth nothing once the introductions ended", async () => {
    const { alice } = await makeLegacyPair();
    const newcomer = await LegacyTopic.create();
    const { reply } = expectCode("INTRODUCTION_REPLY", () => newcomer.decode(sponsorLegacy(alice, newcomer)));
    newcomer.topicKey = legacyKey(5);
    expectCode("FOREIGN_REPLY", () => newcomer.parseReply(reply));
    expect(newcomer.topicKey?.bytes).toEqual(bytes(5));
    const other = await LegacyTopic.create();
    expect(thrownBy(() => other.parseReply(reply))).toBeInstanceOf(TypeError);
    expectCode("MALFORMED_MESSAGE", () => other.parseReply(alice.encode("x")));
  });

  it("answers any of four introductions, for ten minutes", async () => {
    vi.useFakeTimers();
    const { alice } = await makeLegacyPair();
    const newcomer = await LegacyTopic.create();
    const intros = Array.from({ length: 5 }, () => newcomer.constructIntro());
    expectCode("INTRODUCTION", () => alice.decode(intros[0] as Uint8Array));
    alice.addParticipant(newcomer.publicKey);
    const [first, second, , , fifth] = intros.map((intro) => alice.constructReply(intro));
    expectCode("DECRYPTION_FAILED", () => newcomer.decode(first as Uint8Array));
    expectCode("INTRODUCTION_REPLY", () => newcomer.decode(second as Uint8Array));
    expectCode("INTRODUCTION_REPLY", () => newcomer.decode(fifth as Uint8Array));
    vi.advanceTimersByTime(10 * 60_000 + 1);
    expectCode("FOREIGN_REPLY", () => newcomer.decode(second as Uint8Array));
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is too late also where the timer is", async () => {
    const { alice } = await makeLegacyPair();
    const newcomer = await LegacyTopic.create();
    const reply = sponsorLegacy(alice, newcomer);
    const now = performance.now();
    vi.spyOn(performance, "now").mockReturnValue(now + 10 * 60_000 + 1000);
    expectCode("FOREIGN_REPLY", () => newcomer.decode(reply));
    newcomer.dispose();
  });

  it("of those that anybody can make is raised at a bounded rate, which does not keep the true one out", async () => {
    vi.spyOn(performance, "now").mockReturnValue(5000);
    const { alice } = await makeLegacyPair();
    const newcomer = await LegacyTopic.create();
    expectCode("INTRODUCTION", () => newcomer.decode(alice.constructIntro()));
    const intro = newcomer.constructIntro();
    const mallory = await LegacyTopic.create({ topicKey: legacyKey(66), participants: [newcomer.publicKey] });
    const codes = Array.from(
      { length: 20 },
      () => (thrownBy(() => newcomer.decode(mallory.constructReply(intro))) as StringphoneError).code,
    );
    expect(codes).toEqual([...new Array(16).fill("INTRODUCTION_REPLY"), ...new Array(4).fill("RATE_LIMIT")]);
    const honest = sponsorLegacy(alice, newcomer, intro);
    expect(expectCode("INTRODUCTION_REPLY", () => newcomer.decode(honest)).reply).toMatchObject({
      isAuthenticated: true,
    });
  });
});

/** The X25519 key of an introduction. */
function introductionOf(intro: Uint8Array): { encryptionKey: Uint8Array } {
  return { encryptionKey: intro.slice(97) };
}

describe("keys that no honest program makes", () => {
  /** Points of order 1, 2, 4 and 8 of Curve25519, and other faces of good ones. */
  const LOW_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "cdeb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
    "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0900000000000000000000000000000000000000000000000000000000000080",
  ];

  it.each(LOW_ORDER)("X25519 %s, in an introduction or a reply", async (key) => {
    const low = new Uint8Array(Buffer.from(key, "hex"));
    const { alice } = await makeLegacyPair();
    // Its owner signs it, as only a hostile one would.
    const identity = new LegacyIdentity(bytes(9));
    const intro = Uint8Array.of(0x69, ...identity.participant.publicKey, ...identity.sign(low), ...low);
    alice.addParticipant(identity.participant.publicKey);
    expectCode("INVALID_KEY", () => alice.decode(intro));
    expectCode("INVALID_KEY", () => alice.constructReply(intro));
    const newcomer = await LegacyTopic.create();
    const reply = sponsorLegacy(alice, newcomer);
    reply.set(low, 89);
    expectCode("INVALID_KEY", () => newcomer.decode(reply));
    expectCode("INVALID_KEY", () => newcomer.parseReply(reply));
    expect(newcomer.topicKey).toBeUndefined();
  });

  it("Ed25519, as participant, in an introduction or a reply", async () => {
    const neutral = Uint8Array.of(1, ...new Uint8Array(31));
    const { alice } = await makeLegacyPair();
    expectCode("INVALID_KEY", () => alice.addParticipant(neutral));
    await expect(LegacyTopic.create({ participants: [neutral] })).rejects.toThrow(StringphoneError);
    const newcomer = await LegacyTopic.create();
    const intro = newcomer.constructIntro();
    const reply = sponsorLegacy(alice, newcomer, intro);
    intro.set(neutral, 1);
    expectCode("INVALID_KEY", () => alice.decode(intro));
    reply.set(neutral, 121);
    expectCode("INVALID_KEY", () => newcomer.decode(reply));
    expectCode("INVALID_KEY", () => newcomer.parseReply(reply));
  });
});

describe("arguments", () => {
  it("of unknown names, or of a wrong type, are refused", async () => {
    const { alice, bob } = await makeLegacyPair();
    const wire = alice.encode("x");
    for (const call of [
      () => bob.decode(wire, { context: "home" } as object),
      () => bob.decode(wire, { naive: 1 } as unknown as object),
      () => bob.decode(wire, { ignoreUntrusted: "yes" } as unknown as object),
      () => bob.decode("s".repeat(200) as unknown as Uint8Array),
      () => bob.parseReply(bytes(1, 153), { sponser: bytes(1) } as object),
      () => bob.parseReply(bytes(1, 153), { sponsor: "alice" as unknown as Uint8Array }),
      () => bob.encode(5 as unknown as string),
      () => bob.encode("\ud800"),
    ]) {
      expect(thrownBy(call)).toBeInstanceOf(TypeError);
    }
    expect(thrownBy(() => bob.parseReply(bytes(1, 153), { sponsor: bytes(1, 31) }))).toBeInstanceOf(RangeError);
    await expect(LegacyTopic.create({ name: "x" } as object)).rejects.toThrow(TypeError);
    await expect(LegacyTopic.create({ maxPayloadBytes: 2 ** 40 })).rejects.toThrow(RangeError);
    expect(bob.decode(wire)?.text()).toBe("x");
  });
});

describe("one secret, one wire", () => {
  it("a LegacyTopic takes secrets of 0.1 and refuses bytes, and says what to do", async () => {
    const raw = bytes(1) as unknown;
    await expect(LegacyTopic.create({ seed: raw as LegacySeed })).rejects.toThrow(/LegacySeed\.from\(\)/);
    await expect(LegacyTopic.create({ topicKey: raw as LegacyTopicKey })).rejects.toThrow(/LegacyTopicKey\.from\(\)/);
    const swapped = legacySeed(1) as unknown;
    await expect(LegacyTopic.create({ topicKey: swapped as LegacyTopicKey })).rejects.toThrow(TypeError);
    const topic = await LegacyTopic.create({ topicKey: legacyKey(1) });
    expect(
      thrownBy(() => {
        topic.topicKey = raw as LegacyTopicKey;
      }),
    ).toBeInstanceOf(TypeError);
    expect(topic.topicKey?.bytes).toEqual(bytes(1));
  });

  it("a version-1 topic refuses secrets of 0.1, by type and when it runs", async () => {
    // @ts-expect-error a seed of 0.1 is no bytes
    await expect(Topic.create({ seed: legacySeed(1) })).rejects.toThrow(/expected Uint8Array, got LegacySeed/);
    // @ts-expect-error nor is a topic key of 0.1
    await expect(Topic.create({ topicKey: legacyKey(1) })).rejects.toThrow(/expected Uint8Array, got LegacyTopicKey/);
    const topic = await Topic.create();
    const legacy = await LegacyTopic.create({ topicKey: legacyKey(1) });
    expect(
      thrownBy(() => {
        // @ts-expect-error the key of a 0.1 topic
        topic.topicKey = legacy.topicKey;
      }),
    ).toBeInstanceOf(TypeError);
    // @ts-expect-error a topic key is no seed
    await expect(LegacyTopic.create({ seed: legacyKey(1) })).rejects.toThrow(TypeError);
  });

  it("neither decodes the other's bytes, and both say who does", async () => {
    const { alice, bob } = await makeLegacyPair();
    const topic = await Topic.create({ topicKey: bytes(8) });
    const newcomer = await LegacyTopic.create();
    const legacyIntro = newcomer.constructIntro();
    const legacyReply = sponsorLegacy(alice, newcomer, legacyIntro);
    for (const wire of [alice.encode(""), alice.encode("x"), legacyIntro, legacyReply]) {
      for (const call of [() => topic.decode(wire), () => topic.constructReply(wire), () => topic.parseReply(wire)]) {
        const error = expectCode("MALFORMED_MESSAGE", call);
        expect(error.message).toContain("LegacyTopic of stringphone/compat");
      }
    }
    for (const wire of [topic.encode("x"), topic.constructIntro(), topic.encodeWill("x").alive]) {
      for (const call of [() => bob.decode(wire), () => bob.constructReply(wire), () => bob.parseReply(wire)]) {
        const error = expectCode("MALFORMED_MESSAGE", call);
        expect(error.message).toContain("Topic of stringphone reads");
      }
    }
  });

  it("no signature of one wire holds on the other, should somebody share a seed in spite of all", async () => {
    const seed = bytes(4);
    const topic = await Topic.create({ seed, topicKey: bytes(8) });
    const legacy = await LegacyTopic.create({ seed: LegacySeed.from(seed), topicKey: legacyKey(8) });
    expect(hex(topic.publicKey)).toBe(hex(legacy.publicKey));
    const { secretKey, publicKey } = signingKeyPair(seed);
    // Version 1 signs 46 bytes; an introduction of 0.1 wants 32, and a message at least 56.
    const digest = bytes(3);
    expect(verifyRaw(sign(digest, secretKey), digest, publicKey)).toBe(false);
  });
});

describe("secrets", () => {
  it("are not printed, and an id is", async () => {
    const topic = await LegacyTopic.create({ seed: legacySeed(0xab), topicKey: legacyKey(0xcd) });
    for (const secret of [legacySeed(0xab), legacyKey(0xcd), topic]) {
      const shown = `${inspect(secret, { depth: 9, showHidden: true })}${JSON.stringify(secret)}`;
      expect(shown).not.toMatch(/171|205|abab|cdcd/);
    }
    expect(JSON.stringify(topic)).toBe(JSON.stringify({ id: hex(topic.id) }));
  });

  it("are copied in and out", async () => {
    const raw = bytes(1);
    const key = LegacyTopicKey.from(raw);
    raw.fill(2);
    expect(key.bytes).toEqual(bytes(1));
    key.bytes.fill(3);
    expect(key.bytes).toEqual(bytes(1));
    const topic = await LegacyTopic.create({ topicKey: key });
    topic.topicKey?.dispose();
    key.dispose();
    expect(topic.topicKey?.bytes).toEqual(bytes(1));
  });

  it("have 32 bytes, are random where they are made, and cannot be used once disposed", async () => {
    expect(LegacySeed.generate().bytes).not.toEqual(LegacySeed.generate().bytes);
    expect(LegacyTopicKey.generate().bytes.length).toBe(32);
    expect(thrownBy(() => LegacySeed.from(bytes(1, 31)))).toBeInstanceOf(RangeError);
    expect(thrownBy(() => LegacyTopicKey.from("k".repeat(32) as unknown as Uint8Array))).toBeInstanceOf(TypeError);
    const seed = LegacySeed.generate();
    {
      using scoped = seed;
      expect(scoped.bytes.length).toBe(32);
    }
    expect(thrownBy(() => seed.bytes)).toBeInstanceOf(RangeError);
    await expect(LegacyTopic.create({ seed })).rejects.toThrow(/disposed/);
  });

  it("are gone with the topic", async () => {
    const { alice, bob } = await makeLegacyPair();
    const wire = bob.encode("x");
    const intro = bob.constructIntro();
    {
      using scoped = alice;
      expect(scoped.decode(wire)?.text()).toBe("x");
    }
    alice.dispose();
    for (const call of [
      () => alice.encode("x"),
      () => alice.decode(wire),
      () => alice.topicKey,
      () => alice.addParticipant(bob.publicKey),
      () => alice.removeParticipant(bob.publicKey),
      () => alice.constructIntro(),
      () => alice.constructReply(intro),
      () => alice.parseReply(wire),
      () => {
        alice.topicKey = undefined;
      },
    ]) {
      expectCode("DISPOSED", call);
    }
    expect(hex(alice.publicKey)).toHaveLength(64);
  });
});
