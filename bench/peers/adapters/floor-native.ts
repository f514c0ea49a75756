/** The floor for native code: one Ed25519 signature and one XChaCha20-Poly1305 by sodium-native, and nothing else. */
import sodium from "sodium-native";
import { sameBytes, serveSync, versionOf } from "../serve.js";
import { textSource } from "./texts.js";

interface Wire {
  readonly text: Uint8Array;
  readonly signature: Uint8Array;
  readonly box: Uint8Array;
}

const publicKey = Buffer.alloc(sodium.crypto_sign_PUBLICKEYBYTES);
const secretKey = Buffer.alloc(sodium.crypto_sign_SECRETKEYBYTES);
sodium.crypto_sign_keypair(publicKey, secretKey);
const key = Buffer.alloc(sodium.crypto_aead_xchacha20poly1305_ietf_KEYBYTES);
const nonce = Buffer.alloc(sodium.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
sodium.randombytes_buf(key);
sodium.randombytes_buf(nonce);
const nextText = textSource() as () => Buffer;
let payload = Buffer.alloc(0);

// Outputs are new for each call, and made by `allocUnsafe`: the cheapest that Node has, since libsodium fills them.
await serveSync<Wire, Buffer>({
  versions: { "sodium-native": versionOf("sodium-native") },
  prepare(bytes) {
    payload = Buffer.from(bytes);
  },
  seal() {
    const text = nextText();
    const signature = Buffer.allocUnsafe(sodium.crypto_sign_BYTES);
    sodium.crypto_sign_detached(signature, text, secretKey);
    const box = Buffer.allocUnsafe(payload.length + sodium.crypto_aead_xchacha20poly1305_ietf_ABYTES);
    sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(box, payload, null, null, nonce, key);
    return { text, signature, box };
  },
  open({ text, signature, box }) {
    if (!sodium.crypto_sign_verify_detached(signature as Buffer, text as Buffer, publicKey)) {
      throw new Error("the signature is not valid");
    }
    const message = Buffer.allocUnsafe(box.length - sodium.crypto_aead_xchacha20poly1305_ietf_ABYTES);
    sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(message, null, box as Buffer, null, nonce, key);
    return message;
  },
  wireBytes: ({ signature, box }) => signature.length + box.length,
  isPayload: (message) => sameBytes(message, payload),
});
