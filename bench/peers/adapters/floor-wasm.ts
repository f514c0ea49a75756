/** The floor for WebAssembly: one Ed25519 signature and one XChaCha20-Poly1305 by libsodium-wrappers, and nothing else. */
import sodium from "libsodium-wrappers";
import { sameBytes, serveSync, versionOf } from "../serve.js";
import { textSource } from "./texts.js";

interface Wire {
  readonly text: Uint8Array;
  readonly signature: Uint8Array;
  readonly box: Uint8Array;
}

await sodium.ready;
const { publicKey, privateKey } = sodium.crypto_sign_keypair();
const key = sodium.crypto_aead_xchacha20poly1305_ietf_keygen();
const nonce = sodium.randombytes_buf(sodium.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
const nextText = textSource();
let payload = new Uint8Array(0);

await serveSync<Wire, Uint8Array>({
  versions: { "libsodium-wrappers": versionOf("libsodium-wrappers"), libsodium: sodium.SODIUM_VERSION_STRING },
  prepare(bytes) {
    payload = new Uint8Array(bytes);
  },
  seal() {
    const text = nextText();
    const signature = sodium.crypto_sign_detached(text, privateKey);
    const box = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(payload, null, null, nonce, key);
    return { text, signature, box };
  },
  open({ text, signature, box }) {
    if (!sodium.crypto_sign_verify_detached(signature, text, publicKey)) throw new Error("the signature is not valid");
    return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(null, box, null, nonce, key);
  },
  wireBytes: ({ signature, box }) => signature.length + box.length,
  isPayload: (message) => sameBytes(message, payload),
});
