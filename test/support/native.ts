import { createRequire } from "node:module";

/** Whether sodium-native loads here. In CI it must: vitest.config.ts fails otherwise. */
export function hasNative(): boolean {
  try {
    createRequire(import.meta.url)("sodium-native");
    return true;
  } catch {
    return false;
  }
}
