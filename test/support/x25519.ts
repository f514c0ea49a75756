/** Public keys of X25519 (RFC 7748) that no honest program sends, and what finds a secret in the limbs of libsodium. */
import { toHex } from "../../src/bytes.js";

const P = 2n ** 255n - 19n;

function encode(value: bigint): string {
  return toHex(Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn)));
}

/** With bit 255, which X25519 ignores, clear and set. */
function bothFaces(values: readonly bigint[]): string[] {
  return values.flatMap((value) => [encode(value), encode(value + 2n ** 255n)]);
}

/** Every encoding of low order: 0, 1, the two of order 8, −1; 0 and 1 with the prime added; and all of it with bit 255 set. */
export const LOW_ORDER_ENCODINGS: readonly string[] = bothFaces([
  0n,
  1n,
  325606250916557431795983626356110631294008115727848805560023387167927233504n,
  39382357235489614581723060781553021112529911719440698176882885853963445705823n,
  P - 1n,
  P,
  P + 1n,
]);

/** The numbers from the prime on, but for the two of low order; with bit 255 set, what is twice the prime, and beside it. */
export const REDUCED_ENCODINGS: readonly string[] = bothFaces(
  Array.from({ length: 17 }, (_, i) => P + 2n + BigInt(i)),
).concat([2n * P - 1n, 2n * P, 2n * P + 1n].map(encode));

/** Whether a number modulo 2^255 − 19 is in this memory as libsodium computes with it: ten limbs of 26 and 25 bits. */
export function hasLimbsOf(memory: Uint8Array, encoding: Uint8Array): boolean {
  const wanted = BigInt(`0x${toHex(encoding.slice().reverse())}`) % P;
  const view = new DataView(memory.buffer, memory.byteOffset, memory.length);
  for (let at = 0; at + 40 <= memory.length; at += 4) {
    let value = 0n;
    for (let i = 9; i >= 0; i--) value = (value << (i & 1 ? 25n : 26n)) + BigInt(view.getInt32(at + 4 * i, true));
    if ((value - wanted) % P === 0n) return true;
  }
  return false;
}
