/** The secrets, the time and the place that all test vectors share. */
import { createHash } from "node:crypto";

/** 2026-11-14: the time at which the receiver of every case decodes, unless it says otherwise. */
export const NOW = 1_794_700_000_000;
export const CONTEXT = "home/kitchen";

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
export const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
/** A secret that everybody may know: SHA-256 of what it is called. */
export const named = (name: string): Uint8Array =>
  new Uint8Array(createHash("sha256").update(`stringphone vectors: ${name}`).digest());
export const utf8 = (text: string): string => hex(new TextEncoder().encode(text));

export const ALICE = named("alice");
export const BOB = named("bob");
export const MALLORY = named("mallory");
export const TOPIC_KEY = named("topic key");
export const OTHER_TOPIC_KEY = named("other topic key");
export const SESSION = named("session").slice(0, 12);
