/** Two backends, one behaviour: every operation of native code against WebAssembly, and how one is chosen. */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sodium from "libsodium-wrappers";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { mixedOrder, ORDER, SMALL_ORDER_KEYS } from "../scripts/edwards.js";
import { agree } from "../src/backends/agreement.js";
import type { Backend, BackendName } from "../src/backends/backend.js";
import { toHex } from "../src/bytes.js";
import { backend, cryptoBackend, loadCrypto, randomBytes, switchBackend } from "../src/crypto.js";
import { Topic } from "../src/index.js";
import { ensureBuilt } from "./support/build.js";
import { hasNative } from "./support/native.js";
import { bytes } from "./support/topics.js";
import { LOW_ORDER_ENCODINGS, REDUCED_ENCODINGS } from "./support/x25519.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const RANDOM_CASES = 10_000;
let started: BackendName;
let wasm: Backend;

beforeAll(async () => {
  await loadCrypto();
  started = cryptoBackend() as BackendName;
  // From here on the file itself says which.
  vi.stubEnv("STRINGPHONE_BACKEND", "auto");
  await switchBackend("wasm");
  wasm = backend();
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await switchBackend(started);
});

/** Everything that a backend answers to one set of inputs. */
function answers(used: Backend, input: Input): unknown {
  const { key, nonce, data, seed, text, otherKey, otherSignature } = input;
  const publicKey = new Uint8Array(32);
  const secretKey = new Uint8Array(64);
  used.signingKeyPair(publicKey, secretKey, seed);
  const signature = new Uint8Array(64);
  used.sign(signature, text, secretKey);
  const hashes = [new Uint8Array(0), key].map((hashKey) => {
    const out = new Uint8Array(32);
    used.blake2b(out, hashKey, data, text);
    return out;
  });
  const sealed = new Uint8Array(text.length + 16);
  sealed.set(text);
  used.encrypt(sealed, data, nonce, key);
  const opened = new Uint8Array(text.length);
  const isAuthentic = used.decrypt(opened, sealed, data, nonce, key);
  const refused = [flipped(sealed, input.position), sealed].map((ciphertext, i) =>
    used.decrypt(new Uint8Array(text.length), ciphertext, i === 0 ? data : flipped(data, 0), nonce, key),
  );
  return {
    publicKey,
    secretKey,
    signature,
    hashes,
    sealed,
    opened,
    isAuthentic,
    refused,
    verified: [
      used.verify(signature, text, publicKey),
      used.verify(flipped(signature, input.position), text, publicKey),
      used.verify(signature, flipped(text, input.position), publicKey),
      used.verify(otherSignature, text, publicKey),
      used.verify(signature, text, otherKey),
      used.verify(otherSignature, text, otherKey),
    ],
    points: [publicKey, otherKey].map((one) => used.isPrimeOrderPoint(one)),
    ...diffieHellmanAnswers(used, key, otherKey),
  };
}

/** Of X25519, with what a backend leaves where it refuses. */
function diffieHellmanAnswers(used: Backend, secretKey: Uint8Array, publicKey: Uint8Array) {
  const ownPublicKey = bytes(7);
  used.diffieHellmanPublicKey(ownPublicKey, secretKey);
  const sharedSecret = bytes(7);
  const isTaken = used.diffieHellman(sharedSecret, secretKey, publicKey);
  return { ownPublicKey, sharedSecret, isTaken };
}

interface Input {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  readonly data: Uint8Array;
  readonly seed: Uint8Array;
  readonly text: Uint8Array;
  readonly otherKey: Uint8Array;
  readonly otherSignature: Uint8Array;
  /** Of the bit that is flipped. */
  readonly position: number;
}

function flipped(of: Uint8Array, position: number): Uint8Array {
  const changed = new Uint8Array(of);
  const at = (position >>> 3) % of.length;
  changed[at] = (changed[at] as number) ^ (1 << (position & 7));
  return changed;
}

function input(length: number, position: number): Input {
  return {
    key: randomBytes(32),
    nonce: randomBytes(24),
    data: randomBytes(1 + (position % 200)),
    seed: randomBytes(32),
    text: length <= 65_536 ? randomBytes(length) : new Uint8Array(length).fill(position),
    otherKey: randomBytes(32),
    otherSignature: randomBytes(64),
    position,
  };
}

describe("WebAssembly", () => {
  it.each([1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 4000, 4095, 4096, 4097, 100_000])(
    "gives what the wrapper of libsodium gives, %d bytes",
    (length) => {
      const { key, nonce, data, seed, text } = input(length, length);
      const given = answers(wasm, input(length, 1)) as { isAuthentic: boolean; refused: boolean[] };
      expect(given).toMatchObject({ isAuthentic: true, refused: [false, false] });
      const pair = sodium.crypto_sign_seed_keypair(seed);
      const signature = new Uint8Array(64);
      wasm.sign(signature, text, pair.privateKey);
      expect(signature).toEqual(sodium.crypto_sign_detached(text, pair.privateKey));
      expect(wasm.verify(signature, text, pair.publicKey)).toBe(true);
      const sealed = new Uint8Array(length + 16);
      sealed.set(text);
      wasm.encrypt(sealed, data, nonce, key);
      expect(sealed).toEqual(sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(text, data, null, nonce, key));
    },
  );
});

describe.runIf(hasNative())("native code", () => {
  let native: Backend;
  beforeAll(async () => {
    await switchBackend("native");
    native = backend();
    expect(native.name).toBe("native");
  });

  it(`gives what WebAssembly gives, ${RANDOM_CASES} times at random`, () => {
    for (let i = 0; i < RANDOM_CASES; i++) {
      // All small lengths, and some that are larger than what either backend keeps room for.
      const one = input(1 + (i % 100 === 0 ? 3000 + (i % 7000) : i % 700), i * 7919);
      const expected = answers(wasm, one);
      expect(answers(native, one), `case ${i}`).toEqual(expected);
    }
  });

  it.each([1, 16, 63, 64, 65, 128, 4000, 4090, 4095, 4096, 4097, 8192, 65_536, 1_000_001])(
    "gives what WebAssembly gives, %d bytes",
    (length) => {
      const one = input(length, length);
      expect(answers(native, one)).toEqual(answers(wasm, one));
    },
  );

  it("judges every special point as WebAssembly does, as key and as R of a signature", () => {
    const honest = new Uint8Array(32);
    wasm.signingKeyPair(honest, new Uint8Array(64), bytes(1));
    const special = [
      ...SMALL_ORDER_KEYS.map((hex) => new Uint8Array(Buffer.from(hex, "hex"))),
      mixedOrder(honest),
      honest,
      bytes(2),
      bytes(0xff),
    ];
    let held = 0;
    for (const key of special) {
      expect(native.isPrimeOrderPoint(key), toHex(key)).toBe(wasm.isPrimeOrderPoint(key));
      for (const r of special) {
        for (const s of [0, 1]) {
          const signature = new Uint8Array(64);
          signature.set(r);
          signature[32] = s;
          for (const text of [bytes(1, 46), bytes(2, 46), new Uint8Array(46)]) {
            const holds = wasm.verify(signature, text, key);
            expect(native.verify(signature, text, key), `${toHex(key)} ${toHex(r)} ${s}`).toBe(holds);
            if (holds) held++;
          }
        }
      }
    }
    // libsodium refuses keys and R of small order, so none of these holds.
    expect(held).toBe(0);
  });

  it("judges the 38 encodings that are not canonical as WebAssembly does", () => {
    for (let y = 2n ** 255n - 19n; y < 2n ** 255n; y++) {
      for (const sign of [0n, 2n ** 255n]) {
        const encoding = new Uint8Array(Buffer.from((y + sign).toString(16).padStart(64, "0"), "hex").reverse());
        expect(native.isPrimeOrderPoint(encoding)).toBe(wasm.isPrimeOrderPoint(encoding));
        expect(native.verify(bytes(0, 64), bytes(1, 46), encoding)).toBe(
          wasm.verify(bytes(0, 64), bytes(1, 46), encoding),
        );
      }
    }
  });

  it("refuses a signature whose S has the group order added, as WebAssembly does", () => {
    const [publicKey, secretKey, signature, text] = [bytes(0), bytes(0, 64), bytes(0, 64), bytes(3, 46)];
    native.signingKeyPair(publicKey, secretKey, bytes(4));
    native.sign(signature, text, secretKey);
    const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString("hex")}`) + ORDER;
    signature.set(Buffer.from(s.toString(16).padStart(64, "0"), "hex").reverse(), 32);
    for (const one of [native, wasm]) expect(one.verify(signature, text, publicKey)).toBe(false);
  });

  it("agrees on X25519 with every public key that is special, and leaves zeros where it refuses", () => {
    for (const encoding of [...LOW_ORDER_ENCODINGS, ...REDUCED_ENCODINGS]) {
      const publicKey = new Uint8Array(Buffer.from(encoding, "hex"));
      for (const secretKey of [bytes(0), bytes(1), bytes(0xff), randomBytes(32), randomBytes(32)]) {
        const given = diffieHellmanAnswers(native, secretKey, publicKey);
        expect(given, encoding).toEqual(diffieHellmanAnswers(wasm, secretKey, publicKey));
        expect(given.isTaken, encoding).toBe(!LOW_ORDER_ENCODINGS.includes(encoding));
        expect(given.sharedSecret.every((byte) => byte === 0)).toBe(!given.isTaken);
      }
    }
  });

  it("a ciphertext of nothing but a tag", () => {
    for (const used of [native, wasm]) {
      const sealed = new Uint8Array(16);
      used.encrypt(sealed, bytes(1), bytes(2, 24), bytes(3));
      expect(used.decrypt(new Uint8Array(0), sealed, bytes(1), bytes(2, 24), bytes(3))).toBe(true);
      expect(Buffer.from(sealed).toString("hex")).toBe(Buffer.from(sealedEmpty()).toString("hex"));
    }
    function sealedEmpty(): Uint8Array {
      return sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
        new Uint8Array(0),
        bytes(1),
        null,
        bytes(2, 24),
        bytes(3),
      );
    }
  });

  it("leaves nothing readable where a ciphertext was forged", () => {
    const [key, nonce, data] = [bytes(1), bytes(2, 24), bytes(3)];
    for (const used of [native, wasm]) {
      const sealed = new Uint8Array(116).fill(7);
      used.encrypt(sealed, data, nonce, key);
      const room = new Uint8Array(100);
      expect(used.decrypt(room, flipped(sealed, 300), data, nonce, key)).toBe(false);
      expect(room.every((byte) => byte === 0)).toBe(true);
    }
  });

  it("and WebAssembly understand each other, and a flood of junk between changes nothing", async () => {
    const topicKey = bytes(9);
    const alice = await Topic.create({ topicKey, name: "x" });
    const bob = await Topic.create({ topicKey, name: "x", participants: [alice.publicKey] });
    for (const [one, other] of [
      ["native", "wasm"],
      ["wasm", "native"],
      ["native", "native"],
    ] as const) {
      await switchBackend(one);
      const wires = [alice.encode("single"), alice.encodeBatch(["a", "b"])];
      await switchBackend(other);
      for (let i = 0; i < 3; i++) expect(() => bob.decode(flipped(wires[0] as Uint8Array, 800 + i))).toThrow();
      expect(bob.decode(wires[0] as Uint8Array)?.text()).toBe("single");
      expect(bob.decodeBatch(wires[1] as Uint8Array).map((message) => message.text())).toEqual(["a", "b"]);
    }
  });

  /** Native code that always takes, or refuses, the public keys of X25519 that begin so. */
  function lacking(start: string, answer: boolean): Partial<Backend> {
    return {
      diffieHellman: (secret, secretKey, publicKey) => {
        const isTaken = native.diffieHellman(secret, secretKey, publicKey);
        if (!toHex(publicKey).startsWith(start)) return isTaken;
        if (!answer) secret.fill(0);
        return answer;
      },
    };
  }

  it("is not taken where it answers otherwise", () => {
    expect(agree(native, wasm)).toBe(true);
    const lax: Partial<Backend>[] = [
      { verify: () => true },
      { verify: () => false },
      { decrypt: () => true },
      { isPrimeOrderPoint: () => true },
      { blake2b: (out) => out.fill(1) },
      { sign: (signature) => signature.fill(1) },
      { encrypt: () => undefined },
      { isPrimeOrderPoint: () => false },
      {
        blake2b: (out, key, front, tail) => {
          if (tail.length < 4096) native.blake2b(out, key, front, tail);
        },
      },
      { decrypt: (plaintext, ...rest) => plaintext.length > 0 && native.decrypt(plaintext, ...rest) },
      { diffieHellmanPublicKey: (publicKey) => publicKey.fill(1) },
      { diffieHellman: () => false },
      {
        diffieHellman: (...all) => {
          native.diffieHellman(...all);
          return true;
        },
      },
      // Leaves something where it refuses.
      { diffieHellman: (secret, ...rest) => native.diffieHellman(secret, ...rest) || !secret.fill(1) },
      ...["0000", "5f9c", "eeff"].map((refused) => lacking(refused, true)),
      ...["f6ff", "0900"].map((taken) => lacking(taken, false)),
    ];
    for (const one of lax) expect(agree({ ...native, ...one }, wasm), Object.keys(one).join()).toBe(false);
  });
});

describe("the choice of a backend", () => {
  /** What is installed beside the library, as the source of a module, or the real package. */
  type Installed = "real" | "nothing" | { readonly source: string };
  let home: string;
  beforeAll(async () => {
    await ensureBuilt();
    home = mkdtempSync(join(tmpdir(), "stringphone-backends-"));
  });
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  /** A folder with the library and its dependencies, and of native code what the test wants. */
  function install(name: string, installed: Installed): string {
    const folder = join(home, name);
    if (existsSync(folder)) return folder;
    const modules = join(folder, "node_modules");
    cpSync(join(ROOT, "dist"), join(modules, "stringphone", "dist"), { recursive: true });
    cpSync(join(ROOT, "package.json"), join(modules, "stringphone", "package.json"));
    for (const one of readdirSync(join(ROOT, "node_modules"))) {
      if (one !== "sodium-native") symlinkSync(join(ROOT, "node_modules", one), join(modules, one));
    }
    const native = join(modules, "sodium-native");
    if (installed === "real") symlinkSync(join(ROOT, "node_modules", "sodium-native"), native);
    else if (installed !== "nothing") {
      mkdirSync(native);
      writeFileSync(join(native, "index.js"), installed.source);
    }
    return folder;
  }

  /** What a program of its own prints: the choice is made once for a process. */
  function run(folder: string, code: string, environment: Record<string, string> = {}): string {
    const { STRINGPHONE_BACKEND: _, ...inherited } = process.env;
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ["--input-type=module", "--eval", `import { cryptoBackend, Topic } from "stringphone"; ${code}`],
      { cwd: folder, env: { ...inherited, ...environment }, encoding: "utf8" },
    );
    return stdout.trim() || stderr;
  }
  const create = (backend?: string): string =>
    `await Topic.create(${backend ? `{ backend: "${backend}" }` : ""}).then(
      () => console.log(cryptoBackend()),
      (error) => console.log(error.code ?? error.name, error.backend ?? "", cryptoBackend()));`;
  const usual = hasNative() ? "native" : "wasm";
  const here = (): string => install("here", hasNative() ? "real" : "nothing");

  it("is none before the first topic, and then the best that is there", () => {
    expect(run(here(), `console.log(cryptoBackend()); ${create()}`)).toBe(`undefined\n${usual}`);
  });

  it("follows the option, and the environment", () => {
    expect(run(here(), create("wasm"))).toBe("wasm");
    expect(run(here(), create("auto"))).toBe(usual);
    expect(run(here(), create(), { STRINGPHONE_BACKEND: "wasm" })).toBe("wasm");
    expect(run(here(), create(), { STRINGPHONE_BACKEND: "auto" })).toBe(usual);
    expect(run(here(), create(), { STRINGPHONE_BACKEND: "" })).toBe(usual);
    expect(run(here(), create("wasm"), { STRINGPHONE_BACKEND: "auto" })).toBe("wasm");
  });

  it.runIf(hasNative())("can be forced to native code", () => {
    expect(run(here(), create("native"))).toBe("native");
    expect(run(here(), create(), { STRINGPHONE_BACKEND: "native" })).toBe("native");
    expect(run(here(), `${create("native")} ${create()}`)).toBe("native\nnative");
  });

  it("needs no native code: WebAssembly is taken where there is none, and forcing it is an error", () => {
    const bare = install("bare", "nothing");
    expect(run(bare, create())).toBe("wasm");
    expect(run(bare, `${create("native")} ${create()}`)).toBe("BACKEND_UNAVAILABLE native undefined\nwasm");
    expect(run(bare, create(), { STRINGPHONE_BACKEND: "native" })).toBe("BACKEND_UNAVAILABLE native undefined");
  });

  it.runIf(hasNative())("does not trust native code that fails to load, or that answers otherwise", () => {
    const broken = install("broken", { source: "throw new Error('built for another machine')" });
    const real = JSON.stringify(createRequire(import.meta.url).resolve("sodium-native"));
    const lax = install("lax", {
      source: `module.exports = { ...require(${real}), crypto_sign_verify_detached: () => true };`,
    });
    const same = install("same", { source: `module.exports = { ...require(${real}) };` });
    expect(run(same, create())).toBe("native");
    for (const folder of [broken, lax]) {
      expect(run(folder, create())).toBe("wasm");
      expect(run(folder, create("native"))).toBe("BACKEND_UNAVAILABLE native undefined");
    }
  });

  it("is refused where option and environment differ, and where another is in use", () => {
    expect(run(here(), create("native"), { STRINGPHONE_BACKEND: "wasm" })).toBe("BACKEND_UNAVAILABLE native undefined");
    expect(run(here(), `${create("wasm")} ${create("native")} ${create()}`)).toBe(
      "wasm\nBACKEND_UNAVAILABLE native wasm\nwasm",
    );
    const both = `const all = [Topic.create({ backend: "wasm" }), Topic.create({ backend: "native" })];
      console.log((await Promise.allSettled(all)).map((one) => one.status).join(), cryptoBackend());`;
    expect(run(here(), both)).toBe("fulfilled,rejected wasm");
  });

  it("is not made by a call that fails otherwise", () => {
    const failing = `await Topic.create({ backend: "wasm", nmae: 1 }).catch(() => undefined); ${create()}`;
    expect(run(here(), failing)).toBe(usual);
  });

  it("must be one that there is", () => {
    expect(run(here(), create("gpu"))).toBe("RangeError  undefined");
    expect(run(here(), create(), { STRINGPHONE_BACKEND: "fast" })).toBe("RangeError  undefined");
  });
});
