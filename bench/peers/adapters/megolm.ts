/**
 * Megolm by libolm in WebAssembly: one outbound and one inbound group session. Its interface is of text: the payload is ASCII
 * text made of random bytes beforehand, so that no conversion of ours is timed, and the wire is the base64 text that it gives.
 */
import Olm from "@matrix-org/olm";
import { serveSync, versionOf } from "../serve.js";

await Olm.init();
const outbound = new Olm.OutboundGroupSession();
outbound.create();
const inbound = new Olm.InboundGroupSession();
inbound.create(outbound.session_key());
let payload = "";

await serveSync<string, string>({
  versions: { "@matrix-org/olm": versionOf("@matrix-org/olm") },
  prepare(bytes) {
    payload = Buffer.from(bytes).toString("base64").slice(0, bytes.length);
  },
  seal: () => outbound.encrypt(payload),
  open: (wire) => inbound.decrypt(wire).plaintext,
  wireBytes: (wire) => wire.length,
  isPayload: (message) => message === payload,
});
