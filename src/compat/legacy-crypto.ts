/**
 * The primitives of stringphone 0.1: Ed25519 over raw bytes, XSalsa20-Poly1305 and X25519. They go to libsodium's
 * WebAssembly through the one accessor of crypto.ts, on every backend, and are in no bundle that does not import compat.
 */
import { randomBytes, signingKeyPair, wasmModule } from "../crypto.js";
import { InvalidKeyError } from "../errors.js";
import { Participant } from "../identity.js";
import { KEY_BYTES, SIGNATURE_BYTES, TAG_BYTES } from "../limits.js";

type Address = number;
/** Lengths of 64 bits are two arguments; ours fit the first. */
type High = 0;
type Null = 0;

interface Module {
  /** The heap; another object after it grew, so read it after `_malloc`. */
  readonly HEAPU8: Uint8Array;
  readonly _malloc: (length: number) => Address;
  readonly _free: (address: Address) => void;
  readonly _crypto_sign_detached: (
    out: Address,
    outLength: Null,
    text: Address,
    textLength: number,
    textHigh: High,
    secretKey: Address,
  ) => number;
  readonly _crypto_sign_verify_detached: (
    signature: Address,
    text: Address,
    textLength: number,
    textHigh: High,
    publicKey: Address,
  ) => number;
  readonly _crypto_secretbox_easy: SecretBox;
  readonly _crypto_secretbox_open_easy: SecretBox;
  readonly _crypto_scalarmult_base: (out: Address, secretKey: Address) => number;
  readonly _crypto_box_beforenm: (out: Address, publicKey: Address, secretKey: Address) => number;
}

type SecretBox = (
  out: Address,
  input: Address,
  inputLength: number,
  inputHigh: High,
  nonce: Address,
  key: Address,
) => number;

/**
 * Puts the inputs on the heap, one after the other behind room for the result, and wipes all of it after the call: the heap
 * keeps nothing of a key or a plaintext.
 *
 * @returns the result, or `undefined` where libsodium refuses the inputs
 */
function run<const Inputs extends readonly Uint8Array[]>(
  resultBytes: number,
  inputs: Inputs,
  call: (module: Module, result: Address, ...inputs: { readonly [I in keyof Inputs]: Address }) => number,
): Uint8Array | undefined {
  const module = wasmModule() as Module;
  const length = inputs.reduce((sum, input) => sum + input.length, resultBytes);
  const at = module._malloc(length);
  if (at === 0) throw new RangeError(`no memory for ${length} bytes`);
  const heap = module.HEAPU8;
  try {
    let next = at + resultBytes;
    const addresses = inputs.map((input) => {
      heap.set(input, next);
      next += input.length;
      return next - input.length;
    }) as unknown as { readonly [I in keyof Inputs]: Address };
    return call(module, at, ...addresses) === 0 ? heap.slice(at, at + resultBytes) : undefined;
  } finally {
    heap.fill(0, at, at + length);
    module._free(at);
  }
}

/** The result of a call that libsodium has no reason to refuse. */
function always(result: Uint8Array | undefined): Uint8Array {
  if (result === undefined) throw new Error("libsodium refused what it always does");
  return result;
}

/** Whether this is a signature (64 bytes) over the raw text, by libsodium's strict rules. */
export function verifyRaw(signature: Uint8Array, text: Uint8Array, publicKey: Uint8Array): boolean {
  const verified = run(0, [signature, text, publicKey], (module, _, signatureAt, textAt, keyAt) =>
    module._crypto_sign_verify_detached(signatureAt, textAt, text.length, 0, keyAt),
  );
  return verified !== undefined;
}

/** XSalsa20-Poly1305, the tag first. */
export function sealBox(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array): Uint8Array {
  return always(
    run(plaintext.length + TAG_BYTES, [plaintext, nonce, key], (module, result, plaintextAt, nonceAt, keyAt) =>
      module._crypto_secretbox_easy(result, plaintextAt, plaintext.length, 0, nonceAt, keyAt),
    ),
  );
}

/** The plaintext of a box of at least 16 bytes, or `undefined` where it is not authentic. */
export function openBox(key: Uint8Array, nonce: Uint8Array, box: Uint8Array): Uint8Array | undefined {
  return run(box.length - TAG_BYTES, [box, nonce, key], (module, result, boxAt, nonceAt, keyAt) =>
    module._crypto_secretbox_open_easy(result, boxAt, box.length, 0, nonceAt, keyAt),
  );
}

/** An X25519 key pair. */
export interface AgreementKeyPair {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

/** A fresh X25519 key pair, to be wiped by whoever asked for it. */
export function agreementKeyPair(): AgreementKeyPair {
  const secretKey = randomBytes(KEY_BYTES);
  const publicKey = run(KEY_BYTES, [secretKey], (module, result, secretAt) =>
    module._crypto_scalarmult_base(result, secretAt),
  );
  return { publicKey: always(publicKey), secretKey };
}

/** Whether the number is below 2^255 − 19: X25519 reduces any other in silence, so that one key would have several faces. */
function isCanonical(publicKey: Uint8Array): boolean {
  const last = publicKey[KEY_BYTES - 1] as number;
  if (last !== 0x7f) return last < 0x7f;
  return (publicKey[0] as number) < 0xed || publicKey.subarray(1, KEY_BYTES - 1).some((byte) => byte !== 0xff);
}

/**
 * The key of `crypto_box` between two X25519 keys, 32 bytes.
 *
 * @throws InvalidKeyError when the public key is of low order, or not canonical
 */
export function agree(publicKey: Uint8Array, secretKey: Uint8Array): Uint8Array {
  const key = run(KEY_BYTES, [publicKey, secretKey], (module, result, publicAt, secretAt) =>
    module._crypto_box_beforenm(result, publicAt, secretAt),
  );
  if (key === undefined || !isCanonical(publicKey)) {
    throw new InvalidKeyError("expected an X25519 public key, canonical and not of low order, got another 32 bytes");
  }
  return key;
}

/** No secret: any scalar tells a key of low order, since X25519 makes each a multiple of eight. */
const probe = new Uint8Array(KEY_BYTES).fill(1);

/** Throws unless `agree` accepts this public key. */
export function expectAgreementKey(publicKey: Uint8Array): void {
  agree(publicKey, probe);
}

/** Our own identity on the wire of 0.1, which signs raw bytes. Nothing of it can be printed. */
export class LegacyIdentity {
  readonly #secretKey: Uint8Array;
  readonly participant: Participant;

  /** `seed` has 32 bytes and is not kept. */
  constructor(seed: Uint8Array) {
    const { publicKey, secretKey } = signingKeyPair(seed);
    this.#secretKey = secretKey;
    this.participant = new Participant(publicKey);
  }

  /** Ed25519 over the bytes as they are. */
  sign(text: Uint8Array): Uint8Array {
    return always(
      run(SIGNATURE_BYTES, [text, this.#secretKey], (module, result, textAt, keyAt) =>
        module._crypto_sign_detached(result, 0, textAt, text.length, 0, keyAt),
      ),
    );
  }

  /** Wipes the secret key; the identity cannot sign any more. */
  wipe(): void {
    this.#secretKey.fill(0);
  }
}
