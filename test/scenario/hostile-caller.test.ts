/** What a transport, a clock or a careless caller can hand in: nothing of it may open a hole. Each was one once, or nearly. */
import { describe, expect, it } from "vitest";
import { open } from "../../src/crypto.js";
import { generateTopicKey, Topic } from "../../src/index.js";
import { expectCode, thrownBy } from "../support/expect.js";
import { encode } from "../support/forge.js";
import { bytes, makePair, NAME, START, sponsorNewcomer, TestClock } from "../support/topics.js";

describe("bytes", () => {
  it("may come in one resizable buffer, used again and again", async () => {
    const { alice, bob } = await makePair();
    // Newer than the library's lib.
    type Resizable = ArrayBuffer & { resize(length: number): void };
    const ResizableBuffer = ArrayBuffer as unknown as new (
      length: number,
      options: { maxByteLength: number },
    ) => Resizable;
    const buffer = new ResizableBuffer(1, { maxByteLength: 4096 });
    const shared = new Uint8Array(buffer);
    expectCode("MALFORMED_MESSAGE", () => bob.decode(shared));
    for (const text of ["short", "x".repeat(400), ""]) {
      const wire = alice.encode(text);
      buffer.resize(wire.length);
      shared.set(wire);
      expect(bob.decode(shared)?.text()).toBe(text);
    }
  });

  it("may be frozen against additions, and get none", async () => {
    const { alice, bob } = await makePair();
    const wire = Object.preventExtensions(alice.encode("hardened"));
    expect(bob.decode(wire)?.text()).toBe("hardened");
    const plain = alice.encode("plain");
    bob.decode(plain);
    expect(Object.keys(plain)).toEqual(Object.keys(new Uint8Array(plain.length)));
    expect(plain).not.toHaveProperty("dataView");
  });

  it("may bear a view on other bytes: it is not looked at", async () => {
    const { alice, bob } = await makePair();
    const wire = alice.encode("mine");
    Object.assign(wire, { dataView: new DataView(new ArrayBuffer(1)) });
    expect(bob.decode(wire)?.text()).toBe("mine");
  });

  it("may lie about their length: what is there is what counts", async () => {
    const { alice, bob } = await makePair();
    class Liar extends Uint8Array {
      override get length(): number {
        return 2000;
      }
    }
    const received = bob.decode(alice.encode(new Liar([1, 2, 3])));
    expect([...(received?.payload ?? [])]).toEqual([1, 2, 3]);
    const wire = alice.encode("x");
    expect(bob.decode(new Liar(wire))?.text()).toBe("x");
  });
});

describe("an introduction", () => {
  it("is raised once, whatever a reader may drop of its text: a byte order mark makes it malformed", async () => {
    const { alice, clock } = await makePair();
    const bob = await Topic.create({ name: NAME, clock: clock.read });
    const name = "n".repeat(64);
    const intro = bob.constructIntro({ name });
    const at = Buffer.from(intro).indexOf(name) - 2;
    const longer = [0x78, 67, 0xef, 0xbb, 0xbf];
    const marked = Buffer.concat([intro.subarray(0, at), Buffer.from(longer), intro.subarray(at + 2)]);
    expectCode("MALFORMED_MESSAGE", () => alice.decode(marked));
    const short = encode([
      1,
      1,
      bytes(1),
      new Uint8Array(1216),
      bytes(1, 0),
      bytes(1, 0),
      1,
      "\ufeffBob",
      bytes(1, 64),
    ]);
    expectCode("MALFORMED_MESSAGE", () => alice.decode(short));
    expectCode("INTRODUCTION", () => alice.decode(intro));
  });

  it("cannot bring 16 MiB of text that would have to be checked", async () => {
    const { bob } = await makePair();
    const error = expectCode("MALFORMED_MESSAGE", () => bob.decode(encode([1, "x".repeat(65)])));
    expect(error.message).toContain("64 bytes");
  });
});

describe("a clock that calls back", () => {
  it("cannot make a message that is sealed under a wiped key", async () => {
    for (const change of [generateTopicKey(), undefined]) {
      let armed = false;
      const topic: Topic = await Topic.create({
        topicKey: bytes(1),
        name: NAME,
        clock: () => {
          if (armed) topic.topicKey = change;
          return START;
        },
      });
      armed = true;
      for (const call of [() => topic.encode("secret"), () => topic.encode("secret", { delivery: "state" })]) {
        topic.topicKey = bytes(1);
        let wire: Uint8Array;
        try {
          wire = call();
        } catch (error) {
          expect(error).toMatchObject({ code: "MISSING_TOPIC_KEY" });
          continue;
        }
        const nonce = new Uint8Array(24);
        nonce.set(wire.slice(9, 21));
        const data = encode(["stringphone/1 message", wire.slice(4, 8), wire.slice(9, 21), 0, NAME]);
        expect(open(new Uint8Array(32), nonce, data, wire.slice(24))).toBeUndefined();
      }
    }
  });

  it("cannot have one command given twice by decoding it meanwhile", async () => {
    const { alice } = await makePair();
    const wire = alice.encode("unlock", { delivery: "command" });
    let inside: (() => void) | undefined;
    const bob: Topic = await Topic.create({
      topicKey: alice.topicKey as Uint8Array,
      name: NAME,
      participants: [alice.publicKey],
      clock: () => {
        const call = inside;
        inside = undefined;
        call?.();
        return START;
      },
    });
    const given: (string | undefined)[] = [];
    inside = () => {
      given.push(bob.decode(wire)?.text());
    };
    expectCode("REPLAY", () => bob.decode(wire));
    expect(given).toEqual(["unlock"]);
  });
});

describe("options", () => {
  it("that are switches take nothing but true and false", async () => {
    const { alice, bob } = await makePair();
    const wire = alice.encode("unlock", { delivery: "command" });
    for (const name of ["naive", "ignoreUntrusted", "allowReplay", "hearOwn", "retained"]) {
      for (const value of [1, "yes", null]) {
        expect(thrownBy(() => bob.decode(wire, { [name]: value }))).toBeInstanceOf(TypeError);
      }
    }
    expect(bob.decode(wire, { naive: false, retained: false })?.text()).toBe("unlock");
  });
});

describe("options that nobody reads", () => {
  it("are refused by every call: a misspelt `retained` would let a retained command pass", async () => {
    const { alice, bob } = await makePair();
    const wire = alice.encode("unlock", { delivery: "command" });
    const wrong = { retain: true } as object;
    await expect(Topic.create({ ...wrong, topickey: bytes(1) } as object)).rejects.toBeInstanceOf(TypeError);
    for (const call of [
      () => bob.decode(wire, wrong),
      () => bob.encode("x", wrong),
      () => bob.encodeWill("x", wrong),
      () => bob.constructIntro(wrong),
      () => bob.constructReply(wire, wrong),
      () => bob.parseReply(wire, wrong),
    ]) {
      expect(String(thrownBy(call))).toMatch(/TypeError: unknown option "retain"/);
    }
    expect(bob.decode(wire)?.text()).toBe("unlock");
  });
});

describe("a reply", () => {
  it("that was first decoded in the wrong context is not lost", async () => {
    const { alice, clock } = await makePair();
    const bob = await Topic.create({ name: NAME, clock: clock.read });
    const reply = sponsorNewcomer(alice, bob);
    expectCode("DECRYPTION_FAILED", () => bob.decode(reply, { context: "elsewhere" }));
    expectCode("INTRODUCTION_REPLY", () => bob.decode(reply));
  });

  it("that was opened brings no older key back once a newer one was set", async () => {
    const { alice, clock } = await makePair();
    const bob = await Topic.create({ name: NAME, clock: clock.read });
    const { reply } = expectCode("INTRODUCTION_REPLY", () => bob.decode(sponsorNewcomer(alice, bob)));
    const newer = generateTopicKey();
    bob.topicKey = newer;
    expectCode("FOREIGN_REPLY", () => bob.parseReply(reply));
    expect(bob.topicKey).toEqual(newer);
  });
});

describe("a device without a clock", () => {
  it("that counts on over its restarts is heard after every one of them", async () => {
    const seed = bytes(1);
    const topicKey = bytes(2);
    const { publicKey } = await Topic.create({ seed });
    const clock = new TestClock();
    const bob = await Topic.create({ topicKey, name: NAME, participants: [publicKey], clock: clock.read });
    for (let starts = 1; starts <= 40; starts++) {
      const device = await Topic.create({
        seed,
        topicKey,
        name: NAME,
        clock: () => starts * 1000,
      });
      for (const text of ["a", "b"]) expect(bob.decode(device.encode(text))?.text()).toBe(text);
    }
  });
});

describe("code of the caller that runs in the middle", () => {
  it("may use one buffer for all payloads of a batch, or wipe each", async () => {
    const { alice, bob } = await makePair();
    const buffer = new Uint8Array(1);
    function* payloads(): Generator<Uint8Array> {
      for (let i = 1; i <= 5; i++) {
        buffer[0] = i;
        yield buffer;
        buffer[0] = 0;
      }
    }
    const received = bob.decodeBatch(alice.encodeBatch(payloads()));
    expect(received.map(({ payload }) => payload[0])).toEqual([1, 2, 3, 4, 5]);
  });

  it("may take the payload away by its clock: it is read afterwards, and nothing is sent of what was not there", async () => {
    const { alice, bob, clock } = await makePair();
    const payload = new TextEncoder().encode("before");
    let change = (): void => undefined;
    const careless = await Topic.create({
      topicKey: alice.topicKey as Uint8Array,
      name: NAME,
      clock: () => {
        change();
        return clock.now;
      },
    });
    bob.addParticipant(careless.publicKey);
    change = () => payload.set(new TextEncoder().encode("behind"));
    expect(bob.decode(careless.encode(payload))?.text()).toBe("behind");
    expect(bob.decode(careless.encode(payload))?.sequence).toBe(1);
  });

  it("may dispose the topic: every call says so, and nothing is made with wiped keys", async () => {
    const { bob } = await makePair();
    const calls: ((topic: Topic) => unknown)[] = [
      (topic) => topic.encode("x"),
      (topic) => topic.encodeBatch(["x"]),
      (topic) => topic.encodeWill("x"),
      (topic) => topic.constructIntro(),
      (topic) => topic.decode(bob.encode("x")),
      (topic) => topic.constructReply(bob.constructIntro()),
    ];
    for (const call of calls) {
      let isReady = false;
      const topic: Topic = await Topic.create({
        topicKey: bob.topicKey as Uint8Array,
        name: NAME,
        clock: () => {
          if (isReady) topic.dispose();
          return START;
        },
      });
      isReady = true;
      expectCode("DISPOSED", () => call(topic));
    }
  });

  it("may dispose a topic that looks at what it kept, or that is to step its key", async () => {
    let isReady = false;
    const clock = (topic: () => Topic) => () => {
      if (isReady) topic().dispose();
      return START;
    };
    const rooted: Topic = await Topic.establish({ name: NAME, clock: clock(() => rooted) });
    const stepping: Topic = await Topic.create({
      topicKey: bytes(1),
      ratchet: { every: 3_600_000 },
      clock: clock(() => stepping),
    });
    isReady = true;
    expectCode("DISPOSED", () => rooted.decodeKept());
    expectCode("DISPOSED", () => stepping.encode("x"));
  });

  it("may send large strings many times: a batch that cannot fit is refused before it is all there", async () => {
    const { alice } = await makePair({ maxPayloadBytes: 1000 });
    let taken = 0;
    function* payloads(): Generator<string> {
      for (; taken < 1000; taken++) yield "x".repeat(600);
    }
    expectCode("MESSAGE_TOO_LARGE", () => alice.encodeBatch(payloads()));
    expect(taken).toBe(1);
  });

  it("may make the limit of stack traces a property with code: it does not run between the parts of a message", async () => {
    const { alice, bob } = await makePair();
    const [junk, good] = [alice.encode("junk"), alice.encode("good")];
    junk[60] = (junk[60] as number) ^ 1;
    expectCode("DECRYPTION_FAILED", () => bob.decode(junk));
    const original = Object.getOwnPropertyDescriptor(Error, "stackTraceLimit") as PropertyDescriptor;
    let isInside = false;
    Object.defineProperty(Error, "stackTraceLimit", {
      configurable: true,
      get: () => {
        if (!isInside) {
          isInside = true;
          alice.encode("another");
          isInside = false;
        }
        return 10;
      },
      set: () => {},
    });
    try {
      expect(bob.decode(good)?.text()).toBe("good");
    } finally {
      Object.defineProperty(Error, "stackTraceLimit", original);
    }
  });

  it("may cut contexts out of large texts: none of them is kept alive", async () => {
    const { alice } = await makePair();
    const { gc } = globalThis as { gc?: () => void };
    const heap = (): number => {
      gc?.();
      return process.memoryUsage().heapUsed;
    };
    const before = heap();
    for (let i = 0; i < 100; i++) {
      const frame = `home/device/number/${i}/temperature `.padEnd(1 << 20, String.fromCharCode(97 + (i % 26)));
      alice.encode("x", { context: frame.slice(0, 30) });
    }
    expect(gc).toBeDefined();
    expect(heap() - before).toBeLessThan(20_000_000);
  });
});
