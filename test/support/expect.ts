import { expect } from "vitest";
import { type AnyStringphoneError, StringphoneError } from "../../src/index.js";

/** What a call throws; fails the test when it returns. */
export function thrownBy(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return expect.fail("expected the call to throw, and it returned");
}

/** The error of this code that a call throws; fails the test for any other outcome. */
export function expectCode<C extends AnyStringphoneError["code"]>(
  code: C,
  call: () => unknown,
): Extract<AnyStringphoneError, { code: C }> {
  const error = thrownBy(call);
  if (!(error instanceof StringphoneError)) throw error;
  expect(error.code).toBe(code);
  return error as Extract<AnyStringphoneError, { code: C }>;
}
