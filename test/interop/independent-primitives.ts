// What all parts of the independent peer are made of: bytes, hashes and keys (§1 to §4 of docs/PROTOCOL.md, from that page alone).
import { createHash } from "node:crypto";
import sodium from "libsodium-wrappers";

export type Bytes = Uint8Array;
export const ready: Promise<void> = sodium.ready;

/** A refusal, with one of the codes of §13. */
export class PeerError extends Error {
  readonly code: string;
  constructor(code: string, why: string) {
    super(`${code}: ${why}`);
    this.code = code;
  }
}
export const refuse = (code: string, why: string): never => {
  throw new PeerError(code, why);
};
export const malformed = (why: string): never => refuse("MALFORMED_MESSAGE", why);

export const hex = (bytes: Bytes): string => Buffer.from(bytes).toString("hex");
export const unhex = (text: string): Bytes => new Uint8Array(Buffer.from(text, "hex"));
export const join = (...parts: Bytes[]): Bytes => new Uint8Array(Buffer.concat(parts));
export const same = (a: Bytes, b: Bytes): boolean => Buffer.compare(a, b) === 0;

// §2
export const CLOCK_FLOOR = 2 ** 40;
export const MAX_TIME = 2 ** 48 - 1;
export const MAX_PAYLOAD = 16 * 2 ** 20;
/** Of a control message, or of the ciphertext of a reply. */
export const MAX_CONTROL = 8 * 2 ** 20;
export const MAX_GENERATION = 2 ** 40;
export const MAX_EPOCH = 2 ** 35;
/** That a reply tells of. */
export const MAX_REPLY_EPOCH = 2 ** 34;
export const MIN_STATEMENT = 128;
export const MAX_STATEMENT = 512;
export const SKEW = 300_000;
export const MAX_AGE = 30_000;
export const TEN_MINUTES = 600_000;

// §3: CBOR of four kinds, in its shortest form

export type Item = number | string | Bytes | readonly Item[];

const head = (major: number, n: number): Bytes => {
  if (!Number.isSafeInteger(n) || n < 0) throw new RangeError(`no CBOR argument: ${n}`);
  const [info, size] = n < 24 ? [n, 0] : n < 2 ** 8 ? [24, 1] : n < 2 ** 16 ? [25, 2] : n < 2 ** 32 ? [26, 4] : [27, 8];
  const eight = Buffer.alloc(8);
  eight.writeBigUInt64BE(BigInt(n));
  return join(Uint8Array.of((major << 5) | info), eight.subarray(8 - size));
};

export function writeCbor(item: Item): Bytes {
  if (typeof item === "number") return head(0, item);
  if (item instanceof Uint8Array) return join(head(2, item.length), item);
  if (typeof item !== "string") return join(head(4, item.length), ...item.map(writeCbor));
  if (/\p{Cs}/u.test(item)) throw new RangeError("text with a lone surrogate");
  const text = new TextEncoder().encode(item);
  return join(head(3, text.length), text);
}

/** Reads exactly one array; it may hold arrays only where `nested` says so, and then `most` counts all items, arrays too. */
export function readCbor(bytes: Bytes, most: number, nested: boolean): Item[] {
  let at = 0;
  let count = 0;
  const take = (n: number): Bytes => {
    if (n > bytes.length - at) malformed("shorter than it says");
    at += n;
    return bytes.subarray(at - n, at);
  };
  const item = (depth: number): Item => {
    const first = take(1)[0] as number;
    const [major, info] = [first >> 5, first & 31];
    if (info > 27) malformed("indefinite length or reserved head");
    const size = info < 24 ? 0 : 2 ** (info - 24);
    const wide = size === 0 ? BigInt(info) : BigInt(`0x${hex(take(size))}`);
    if (wide > BigInt(Number.MAX_SAFE_INTEGER)) malformed("argument above 2^53 - 1");
    const n = Number(wide);
    if (size > 0 && n < (size === 1 ? 24 : 2 ** (4 * size))) malformed("head not in its shortest form");
    if (major === 0) return n;
    if (major === 2) return take(n).slice();
    if (major === 3) {
      try {
        if (n > 64) malformed("text of more than 64 bytes");
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(take(n));
      } catch (error) {
        if (error instanceof PeerError) throw error;
        return malformed("text that is not UTF-8");
      }
    }
    if (major !== 4) return malformed(`major type ${major}`);
    if (depth > (nested ? 1 : 0)) return malformed("array too deep");
    count += n + (nested && depth === 0 ? 1 : 0);
    if (count > most) return malformed("too many items");
    return Array.from({ length: n }, () => item(depth + 1));
  };
  const whole = item(0);
  if (at !== bytes.length) malformed("bytes after the end");
  return typeof whole === "object" && !(whole instanceof Uint8Array) ? [...whole] : malformed("not an array");
}

// The kind and length of an item (§5, step 5).
export const bytesOf = (item: Item | undefined, least: number, most = least): Bytes =>
  item instanceof Uint8Array && item.length >= least && item.length <= most ? item : malformed("not such bytes");
export const numberOf = (item: Item | undefined, most: number): number =>
  typeof item === "number" && item <= most ? item : malformed("not such a number");

// §3: hashes, signatures, keys

export const label = (name: string): string => `stringphone/1 ${name}`;
export const H = (name: string, ...items: Item[]): Bytes =>
  sodium.crypto_generichash(32, writeCbor([label(name), ...items]), null);
export const KDF = (key: Bytes, name: string, ...items: Item[]): Bytes =>
  sodium.crypto_generichash(32, writeCbor([label(name), ...items]), key);

const signed = (digest: Bytes): Bytes => join(new TextEncoder().encode("stringphone/1 "), digest);
export const sign = (seed: Bytes, digest: Bytes): Bytes =>
  sodium.crypto_sign_detached(signed(digest), sodium.crypto_sign_seed_keypair(seed).privateKey);
export const verify = (signature: Bytes, digest: Bytes, publicKey: Bytes): boolean =>
  sodium.crypto_sign_verify_detached(signature, signed(digest), publicKey);

export const seal = (key: Bytes, nonce: Bytes, data: Bytes, plaintext: Bytes): Bytes =>
  sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, data, null, nonce, key);
export const open = (key: Bytes, nonce: Bytes, data: Bytes, sealed: Bytes): Bytes => {
  try {
    return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(null, sealed, data, nonce, key);
  } catch {
    return refuse("DECRYPTION_FAILED", "AEAD");
  }
};

export const publicKeyOf = (seed: Bytes): Bytes => sodium.crypto_sign_seed_keypair(seed).publicKey;

export function isIdentityKey(key: Bytes): boolean {
  if (key.length !== 32) return false;
  const y = BigInt(`0x${hex(key.slice().reverse())}`) & (2n ** 255n - 1n);
  if (y >= 2n ** 255n - 19n) return false;
  try {
    return sodium.crypto_sign_ed25519_pk_to_curve25519(key).length === 32;
  } catch {
    return false;
  }
}

// §1, §4

export const participantId = (publicKey: Bytes): Bytes =>
  new Uint8Array(createHash("sha256").update(publicKey).digest().subarray(0, 16));
export const hintOf = (publicKey: Bytes): Bytes => participantId(publicKey).slice(0, 8);
export const keyIdOf = (topicKey: Bytes): Bytes => KDF(topicKey, "key id").slice(0, 4);
export const messageKeyOf = (topicKey: Bytes): Bytes => KDF(topicKey, "message key");
export const commitmentOf = (topicKey: Bytes): Bytes => KDF(topicKey, "commitment");

export function fingerprint(publicKey: Bytes): string {
  const bits = [...participantId(publicKey).subarray(0, 15)].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const letter = (five: string): string => "0123456789ABCDEFGHJKMNPQRSTVWXYZ".charAt(Number.parseInt(five, 2));
  const text = (bits.match(/.{5}/g) ?? []).map(letter).join("");
  return (text.match(/.{4}/g) ?? []).join("-");
}

export const safetyNumber = (a: Bytes, b: Bytes): string => [fingerprint(a), fingerprint(b)].sort().join(" ");
