/**
 * libsodium as native code: sodium-native, where the user has installed it. Only Node resolves
 * `#native-backend` to this file; a bundle for browsers gets no-native.ts in its place.
 */
import type sodiumNative from "sodium-native";
import { Front } from "../bytes.js";
import { withoutStack } from "../errors.js";
import { KEY_BYTES, TAG_BYTES } from "../limits.js";
import { agree } from "./agreement.js";
import type { Backend } from "./backend.js";

type SodiumNative = typeof sodiumNative;

/** Up to here it is faster to put the two parts of an input together than to hand over two. */
const JOINED_BYTES = 4096;

/** What the environment asks for: `STRINGPHONE_BACKEND`, as it is written there. */
export function environmentBackend(): string | undefined {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  // Set to nothing is what a compose file makes of a variable that nobody set.
  return process?.env?.["STRINGPHONE_BACKEND"] || undefined;
}

/** Loads sodium-native; rejects where it is not installed, does not fit this machine, or answers otherwise than `reference`. */
export async function loadNative(reference: Backend): Promise<Backend> {
  // Not written as a literal, so that a bundler for Node leaves it to be found at run time, or not found.
  const name: string = "sodium-native";
  const { default: sodium } = (await import(name).catch((cause: unknown) => {
    throw new Error(`${name} does not load: install it for this machine, or ask for "wasm"`, { cause });
  })) as { default: SodiumNative };
  const backend = backendOf(sodium);
  if (!agree(backend, reference)) throw new Error(`${name} gives other answers than WebAssembly: report this`);
  return backend;
}

function backendOf(sodium: SodiumNative): Backend {
  const joined = new Uint8Array(JOINED_BYTES);
  const joinedFront = new Front(joined);
  let isJunkLikely = false;

  const attempt: Backend["decrypt"] = (plaintext, ciphertext, data, nonce, key) => {
    try {
      sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(plaintext, null, ciphertext, data, nonce, key);
      return true;
    } catch {
      return false;
    }
  };
  return {
    name: "native",

    blake2b(out, key, front, tail) {
      const length = front.length + tail.length;
      const usedKey = key.length > 0 ? key : null;
      if (length > JOINED_BYTES) {
        sodium.crypto_generichash_batch(out, [front, tail], usedKey);
        return;
      }
      joined.set(front);
      joined.set(tail, front.length);
      try {
        sodium.crypto_generichash(out, joinedFront.of(length), usedKey);
      } finally {
        joined.fill(0, 0, length);
      }
    },

    encrypt(bytes, data, nonce, key) {
      const plaintext = bytes.subarray(0, bytes.length - TAG_BYTES);
      sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(bytes, plaintext, data, null, nonce, key);
    },

    decrypt(plaintext, ciphertext, data, nonce, key) {
      // Junk comes in floods: after the first, its errors capture no stack, which takes longer than to refuse it.
      const isAuthentic = isJunkLikely
        ? withoutStack(() => attempt(plaintext, ciphertext, data, nonce, key))
        : attempt(plaintext, ciphertext, data, nonce, key);
      isJunkLikely = !isAuthentic;
      return isAuthentic;
    },

    sign(signature, text, secretKey) {
      sodium.crypto_sign_detached(signature, text, secretKey);
    },

    verify(signature, text, publicKey) {
      return sodium.crypto_sign_verify_detached(signature, text, publicKey);
    },

    signingKeyPair(publicKey, secretKey, seed) {
      sodium.crypto_sign_seed_keypair(publicKey, secretKey, seed);
    },

    isPrimeOrderPoint(publicKey) {
      try {
        sodium.crypto_sign_ed25519_pk_to_curve25519(new Uint8Array(KEY_BYTES), publicKey);
        return true;
      } catch {
        return false;
      }
    },

    diffieHellmanPublicKey(publicKey, secretKey) {
      sodium.crypto_scalarmult_base(publicKey, secretKey);
    },

    diffieHellman(sharedSecret, secretKey, publicKey) {
      try {
        sodium.crypto_scalarmult(sharedSecret, secretKey, publicKey);
        return true;
      } catch {
        // What libsodium leaves there differs from build to build.
        sharedSecret.fill(0);
        return false;
      }
    },
  };
}
