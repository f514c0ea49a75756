/** What stands in for native.ts wherever `#native-backend` is not resolved by Node: there is no native code. */
import type { Backend } from "./backend.js";

export function environmentBackend(): string | undefined {
  return undefined;
}

export function loadNative(_reference: Backend): Promise<Backend> {
  return Promise.reject(new Error("there is no native code outside Node"));
}
