/**
 * MLS (RFC 9420) by ts-mls: application messages of a group of two, as its README sends and receives them, in the suite of
 * Ed25519 that needs no further package. Keys that a message used up are wiped, as its documentation asks.
 */
import {
  type Credential,
  createApplicationMessage,
  createCommit,
  createGroup,
  decodeMlsMessage,
  defaultCapabilities,
  defaultLifetime,
  emptyPskIndex,
  encodeMlsMessage,
  generateKeyPackage,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroup,
  processPrivateMessage,
  zeroOutUint8Array,
} from "ts-mls";
import { sameBytes, serveAsync, versionOf } from "../serve.js";

const suite = await getCiphersuiteImpl(getCiphersuiteFromName("MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519"));

function member(name: string) {
  const credential: Credential = { credentialType: "basic", identity: new TextEncoder().encode(name) };
  return generateKeyPackage(credential, defaultCapabilities(), defaultLifetime, [], suite);
}

const alice = await member("alice");
const bob = await member("bob");
const groupId = new TextEncoder().encode("home/kitchen/temperature");
const founded = await createGroup(groupId, alice.publicPackage, alice.privatePackage, [], suite);
const commit = await createCommit(
  { state: founded, cipherSuite: suite },
  { extraProposals: [{ proposalType: "add", add: { keyPackage: bob.publicPackage } }] },
);
if (commit.welcome === undefined) throw new Error("the commit brought no welcome");
let aliceGroup = commit.newState;
let bobGroup = await joinGroup(
  commit.welcome,
  bob.publicPackage,
  bob.privatePackage,
  emptyPskIndex,
  suite,
  aliceGroup.ratchetTree,
);
let payload = new Uint8Array(0);

await serveAsync<Uint8Array, Uint8Array>({
  versions: { "ts-mls": versionOf("ts-mls") },
  prepare(bytes) {
    payload = new Uint8Array(bytes);
  },
  async seal() {
    const { newState, privateMessage, consumed } = await createApplicationMessage(aliceGroup, payload, suite);
    aliceGroup = newState;
    consumed.forEach(zeroOutUint8Array);
    return encodeMlsMessage({ privateMessage, wireformat: "mls_private_message", version: "mls10" });
  },
  async open(wire) {
    const message = decodeMlsMessage(wire, 0)?.[0];
    if (message?.wireformat !== "mls_private_message") throw new Error("expected a private message");
    const result = await processPrivateMessage(bobGroup, message.privateMessage, emptyPskIndex, suite);
    if (result.kind !== "applicationMessage") throw new Error("expected an application message");
    bobGroup = result.newState;
    result.consumed.forEach(zeroOutUint8Array);
    return result.message;
  },
  wireBytes: (wire) => wire.length,
  isPayload: (message) => sameBytes(message, payload),
});
