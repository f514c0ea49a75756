/**
 * Signal's sender keys by libsignal-client: a group with one sender and one receiver. Each side's store keeps the record object
 * itself and knows one sender, so a look-up costs next to nothing and nothing is serialised but the message.
 */
import { randomUUID } from "node:crypto";
import {
  groupDecrypt,
  groupEncrypt,
  ProtocolAddress,
  processSenderKeyDistributionMessage,
  SenderKeyDistributionMessage,
  type SenderKeyRecord,
  SenderKeyStore,
  type Uuid,
} from "@signalapp/libsignal-client";
import { sameBytes, serveAsync, versionOf } from "../serve.js";

class OneSender extends SenderKeyStore {
  readonly #records = new Map<Uuid, SenderKeyRecord>();

  override async saveSenderKey(_sender: ProtocolAddress, distributionId: Uuid, record: SenderKeyRecord): Promise<void> {
    this.#records.set(distributionId, record);
  }

  override async getSenderKey(_sender: ProtocolAddress, distributionId: Uuid): Promise<SenderKeyRecord | null> {
    return this.#records.get(distributionId) ?? null;
  }
}

const sender = ProtocolAddress.new(randomUUID(), 1);
const distributionId = randomUUID();
const aliceStore = new OneSender();
const bobStore = new OneSender();
const distribution = await SenderKeyDistributionMessage.create(sender, distributionId, aliceStore);
await processSenderKeyDistributionMessage(
  sender,
  SenderKeyDistributionMessage.deserialize(distribution.serialize()),
  bobStore,
);
let payload = new Uint8Array(0);

await serveAsync<Uint8Array<ArrayBuffer>, Uint8Array>({
  versions: { "@signalapp/libsignal-client": versionOf("@signalapp/libsignal-client") },
  prepare(bytes) {
    payload = new Uint8Array(bytes);
  },
  async seal() {
    return (await groupEncrypt(sender, distributionId, aliceStore, payload)).serialize();
  },
  open: (wire) => groupDecrypt(sender, bobStore, wire),
  wireBytes: (wire) => wire.length,
  isPayload: (message) => sameBytes(message, payload),
});
