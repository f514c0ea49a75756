/**
 * What both floors sign: as many bytes as stringphone signs, and a different text for each message, because verifying one
 * signature again and again is up to a tenth faster: the processor learns its branches.
 */
import { randomBytes } from "node:crypto";

const TEXT_BYTES = 46;
const TEXTS = 4096;

/** Gives the next of the texts, which were made beforehand. */
export function textSource(): () => Uint8Array {
  const texts = Array.from({ length: TEXTS }, () => new Uint8Array(randomBytes(TEXT_BYTES)));
  let next = 0;
  return () => texts[next++ % TEXTS] as Uint8Array;
}
