/**
 * What nobody can do without: libsodium's Ed25519 of a 46-byte text (what stringphone signs) and XChaCha20-Poly1305 of
 * the payload, with keys and nonce ready, a fresh array for each result, and no framing, hashing or checks. For rekeys,
 * X25519.
 *
 * The floor signs, verifies and decrypts as many different inputs as stringphone does, new ones in each round: with the
 * same few again and again the processor learns the branches of a verification and is up to a tenth faster.
 */
import sodium from "libsodium-wrappers";
import { random } from "./measure.js";

export interface Floor {
  sign(text: Uint8Array): Uint8Array;
  verify(signature: Uint8Array, text: Uint8Array): boolean;
  seal(payload: Uint8Array): Uint8Array;
  open(ciphertext: Uint8Array): Uint8Array;
  hash(payload: Uint8Array): Uint8Array;
  /** One X25519 with a secret key that stays the same. */
  diffieHellman(publicKey: Uint8Array): Uint8Array;
}

const key = random(32);
const nonce = random(24);

async function wasmFloor(): Promise<Floor> {
  await sodium.ready;
  const { publicKey, privateKey } = sodium.crypto_sign_keypair();
  return {
    sign: (text) => sodium.crypto_sign_detached(text, privateKey),
    verify: (signature, text) => sodium.crypto_sign_verify_detached(signature, text, publicKey),
    seal: (payload) => sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(payload, null, null, nonce, key),
    open: (ciphertext) => sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(null, ciphertext, null, nonce, key),
    hash: (payload) => sodium.crypto_generichash(32, payload, null),
    diffieHellman: (other) => sodium.crypto_scalarmult(key, other),
  };
}

async function nativeFloor(): Promise<Floor> {
  const { default: native } = await import("sodium-native");
  await sodium.ready;
  const { publicKey, privateKey } = sodium.crypto_sign_keypair();
  return {
    sign: (text) => {
      const signature = new Uint8Array(64);
      native.crypto_sign_detached(signature, text, privateKey);
      return signature;
    },
    verify: (signature, text) => native.crypto_sign_verify_detached(signature, text, publicKey),
    seal: (payload) => {
      const ciphertext = new Uint8Array(payload.length + 16);
      native.crypto_aead_xchacha20poly1305_ietf_encrypt(ciphertext, payload, null, null, nonce, key);
      return ciphertext;
    },
    open: (ciphertext) => {
      const payload = new Uint8Array(ciphertext.length - 16);
      native.crypto_aead_xchacha20poly1305_ietf_decrypt(payload, null, ciphertext, null, nonce, key);
      return payload;
    },
    hash: (payload) => {
      const hash = new Uint8Array(32);
      native.crypto_generichash(hash, payload);
      return hash;
    },
    diffieHellman: (other) => {
      const shared = new Uint8Array(32);
      native.crypto_scalarmult(shared, key, other);
      return shared;
    },
  };
}

/** The floor of the backend that the library runs on. */
export function floorOf(backend: "native" | "wasm"): Promise<Floor> {
  return backend === "native" ? nativeFloor() : wasmFloor();
}
