import { describe, expect, it } from "vitest";
import { expectCode } from "./support/expect.js";
import { makePair } from "./support/topics.js";

describe("the payload of a message", () => {
  it("is read as text and JSON, or says that it is none", async () => {
    const { alice, bob } = await makePair();
    const decode = (payload: string | Uint8Array) => {
      const received = bob.decode(alice.encode(payload));
      if (received === null) throw new Error("nothing came");
      return received;
    };
    expect(decode('{"celsius":21.4}').json()).toEqual({ celsius: 21.4 });
    expectCode("PAYLOAD_FORMAT", () => decode("{").json());
    expectCode("PAYLOAD_FORMAT", () => decode(new Uint8Array([0xff])).text());
    expectCode("PAYLOAD_FORMAT", () => decode(new Uint8Array([0xff])).json());
    const own = decode("mine");
    own.payload.fill(0);
    expect(own.text()).toBe("\0\0\0\0");
  });
});
