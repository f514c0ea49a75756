/** Just enough of edwards25519 to make keys that no honest program makes. Slow, and for vectors only. */

/** The order of the prime-order subgroup. */
export const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const P = 2n ** 255n - 19n;
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;
const ROOT_OF_MINUS_ONE = power(2n, (P - 1n) / 4n);

function modulo(value: bigint): bigint {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = modulo(base);
  for (let e = exponent; e > 0n; e >>= 1n) {
    if (e & 1n) result = modulo(result * square);
    square = modulo(square * square);
  }
  return result;
}

interface Point {
  readonly x: bigint;
  readonly y: bigint;
}

function decodePoint(bytes: Uint8Array): Point {
  const value = BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
  const y = value & (2n ** 255n - 1n);
  const xx = modulo((y * y - 1n) * power(D * y * y + 1n, P - 2n));
  let x = power(xx, (P + 3n) / 8n);
  if (modulo(x * x - xx) !== 0n) x = modulo(x * ROOT_OF_MINUS_ONE);
  if (modulo(x * x - xx) !== 0n) throw new Error("not a point");
  return { x: (x & 1n) === value >> 255n ? x : P - x, y };
}

function encodePoint({ x, y }: Point): Uint8Array {
  const value = y | ((x & 1n) << 255n);
  return new Uint8Array(Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse());
}

function add(a: Point, b: Point): Point {
  const product = modulo(D * a.x * b.x * a.y * b.y);
  return {
    x: modulo((a.x * b.y + a.y * b.x) * power(1n + product, P - 2n)),
    y: modulo((a.y * b.y + a.x * b.x) * power(1n - product, P - 2n)),
  };
}

/** The points whose order divides 8, and their encodings that are not canonical. */
export const SMALL_ORDER_KEYS: readonly string[] = [
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0000000000000000000000000000000000000000000000000000000000000080",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
  "0100000000000000000000000000000000000000000000000000000000000080",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

/** The key with a point of order 8 added: outside the subgroup of prime order. */
export function mixedOrder(publicKey: Uint8Array): Uint8Array {
  const torsion = decodePoint(Buffer.from(SMALL_ORDER_KEYS[4] as string, "hex"));
  return encodePoint(add(decodePoint(publicKey), torsion));
}

/** The signature with its S raised by the group order: the same to a verifier that does not insist on the smallest. */
export function nonCanonical(signature: Uint8Array): Uint8Array {
  let s = 0n;
  for (let i = 63; i >= 32; i--) s = s * 256n + BigInt(signature[i] as number);
  s += ORDER;
  const raised = new Uint8Array(signature);
  for (let i = 32; i < 64; i++) {
    raised[i] = Number(s & 0xffn);
    s >>= 8n;
  }
  return raised;
}
