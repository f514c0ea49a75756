import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import * as api from "../src/index.js";
import { type AnyStringphoneError, DecryptionError, isStringphoneError, StringphoneError } from "../src/index.js";
import { bytes } from "./support/topics.js";

/** One of each; the type makes a missing one a compile error. */
const samples: { [C in AnyStringphoneError["code"]]: Extract<AnyStringphoneError, { code: C }> } = {
  MALFORMED_MESSAGE: new api.MalformedMessageError("x"),
  UNSUPPORTED_VERSION: new api.UnsupportedVersionError(2),
  MESSAGE_TOO_LARGE: new api.MessageTooLargeError(2, 1),
  MISSING_TOPIC_KEY: new api.MissingTopicKeyError(),
  UNKNOWN_TOPIC_KEY: new api.UnknownTopicKeyError(bytes(1, 4)),
  DECRYPTION_FAILED: DecryptionError.withoutStack(),
  UNTRUSTED_KEY: new api.UntrustedKeyError(bytes(1, 8), "x"),
  BAD_SIGNATURE: new api.BadSignatureError(bytes(1, 8)),
  FORBIDDEN: new api.ForbiddenError("x"),
  DEPENDANTS: new api.DependantsError([bytes(1)]),
  STATE: new api.StateError("x"),
  INVALID_KEY: new api.InvalidKeyError("x"),
  REPLAY: new api.ReplayError("seen", "x"),
  STALE_MESSAGE: new api.StaleMessageError(1, "x"),
  CLOCK: new api.ClockError("ours", undefined, "x"),
  UNEXPECTED_DELIVERY: new api.UnexpectedDeliveryError("alive", ["event"], "x"),
  RETAINED_COMMAND: new api.RetainedCommandError(),
  WILL_NOT_CURRENT: new api.WillError("withdrawn"),
  INTRODUCTION: new api.IntroductionError({
    senderKey: bytes(1),
    senderId: bytes(1, 16),
    fingerprint: "x",
    name: "x",
    sentAt: 1,
    standing: "unknown",
    isReturning: false,
  }),
  INTRODUCTION_REPLY: new api.IntroductionReplyError({
    senderKey: bytes(1),
    senderId: bytes(1, 16),
    fingerprint: "x",
    standing: "unknown",
    isReturning: false,
  }),
  FOREIGN_REPLY: new api.ForeignReplyError(),
  RATE_LIMIT: new api.RateLimitError(1, "x"),
  BATCH: new api.BatchError(2),
  BACKEND_UNAVAILABLE: new api.BackendError("native", "x"),
  PAYLOAD_FORMAT: new api.PayloadFormatError("x"),
  DISPOSED: new api.DisposedError(),
};

describe("errors", () => {
  it.each(Object.entries(samples))(
    "%s has its code, a name that survives minification, and a message",
    (code, error) => {
      expect(error).toBeInstanceOf(StringphoneError);
      expect(error).toBeInstanceOf(Error);
      expect(error.code).toBe(code);
      expect(error.message.length).toBeGreaterThan(0);
      expect(error.name).toMatch(/^[A-Z][A-Za-z]+Error$/);
      expect(Object.hasOwn(error, "name")).toBe(false);
      expect(inspect(error)).toContain(error.name);
      expect((api as unknown as Record<string, unknown>)[error.name]).toBe(error.constructor);
    },
  );

  it("are all of those that the package exports", () => {
    const exported = Object.entries(api).filter(
      ([name, value]) => /^[A-Z].*Error$/.test(name) && value !== StringphoneError,
    );
    expect(exported.map(([name]) => name).sort()).toEqual(
      Object.values(samples)
        .map((error) => error.name)
        .sort(),
    );
  });

  it("are told from other errors, for an exhaustive switch", () => {
    expect(isStringphoneError(samples.REPLAY)).toBe(true);
    expect(isStringphoneError(new Error("x"))).toBe(false);
    expect(isStringphoneError(undefined)).toBe(false);
  });

  it("of a key that is missing or unknown say what there is to do", () => {
    expect(samples.MISSING_TOPIC_KEY.reason).toBe("none");
    expect(new api.MissingTopicKeyError("unusable").reason).toBe("unusable");
    expect(new api.MissingTopicKeyError("unusable").message).not.toBe(samples.MISSING_TOPIC_KEY.message);
    expect(samples.UNKNOWN_TOPIC_KEY).toMatchObject({ keyId: bytes(1, 4), isKept: false });
    expect(new api.UnknownTopicKeyError(bytes(1, 4), true)).toMatchObject({ isKept: true });
    expect(new api.UnknownTopicKeyError(bytes(1, 4), true).message).not.toBe(samples.UNKNOWN_TOPIC_KEY.message);
    expect(samples.DEPENDANTS.dependants).toEqual([bytes(1)]);
  });

  it("of an unknown key id, which anybody can send, walk no stack either", () => {
    const error = api.UnknownTopicKeyError.withoutStack(bytes(1, 4), true, false);
    expect(error).toMatchObject({ code: "UNKNOWN_TOPIC_KEY", keyId: bytes(1, 4), isKept: true });
    expect(error.stack).not.toContain("errors.test");
  });

  it("of a failed decryption say no reason, and walk no stack where V8 would", () => {
    const limit = Error.stackTraceLimit;
    const error = DecryptionError.withoutStack();
    expect(error.cause).toBeUndefined();
    expect(error.stack).not.toContain("errors.test");
    expect(Error.stackTraceLimit).toBe(limit);
    expect(new Error("after").stack).toContain("errors.test");
    try {
      Reflect.deleteProperty(Error, "stackTraceLimit");
      expect(DecryptionError.withoutStack().code).toBe("DECRYPTION_FAILED");
      expect("stackTraceLimit" in Error).toBe(false);
    } finally {
      Error.stackTraceLimit = limit;
    }
  });
});
