/** The core in a real browser, bundled and minified, under a policy that forbids eval and everything foreign. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { type Browser, chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Topic } from "../../src/index.js";
import { requireProgram } from "../support/programs.js";

const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'";
const LAUNCH_ARGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const MAX_CORE_BYTES = 54_000;

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Bundles for a browser as an application would, and gives the JavaScript. */
async function bundle(entry: string, external: string[] = []): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    alias: { stringphone: "./src/index.ts" },
    external,
    bundle: true,
    minify: true,
    platform: "browser",
    format: "esm",
    target: "es2022",
    write: false,
    logLevel: "silent",
  });
  return (outputFiles[0] as { text: string }).text;
}

const html = (script: string) =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>stringphone</title><output></output>` +
  `<script src="/watch.js"></script><script type="module" src="${script}"></script></html>`;

/** Chromium logs a violation only where nothing catches the exception; the event always comes. */
const WATCH = `document.addEventListener("securitypolicyviolation", (event) =>
  console.error("policy forbids", event.violatedDirective, event.blockedURI));`;

/** What the policy must stop; proves that it is in force, and that complaints are seen. */
const EVAL = `const show = (text) => setTimeout(() => (document.querySelector("output").textContent = text));
try { new Function("return 1")(); show("ran"); } catch (error) { show(error.name); }`;

interface PageResult {
  readonly output: string;
  readonly complaints: readonly string[];
}

describe.skipIf(!requireProgram("chromium"))("in Chromium", () => {
  let server: Server;
  let browser: Browser;
  let origin: string;

  beforeAll(async () => {
    const files = new Map([
      ["/", html("/page.js")],
      ["/page.js", await bundle("test/package/fixtures/page.ts")],
      ["/watch.js", WATCH],
      ["/eval", html("/eval.js")],
      ["/eval.js", EVAL],
    ]);
    server = createServer((request, response) => {
      const path = request.url ?? "/";
      const body = files.get(path);
      response.writeHead(body === undefined ? 404 : 200, {
        "content-type": path.endsWith(".js") ? "text/javascript; charset=utf-8" : "text/html; charset=utf-8",
        "content-security-policy": POLICY,
      });
      response.end(body);
    });
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: LAUNCH_ARGS });
  });

  afterAll(async () => {
    await browser?.close();
    server?.closeAllConnections();
    await new Promise((resolve) => {
      if (server === undefined) resolve(undefined);
      else server.close(resolve);
    });
  });

  async function open(path: string): Promise<PageResult> {
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => complaints.push(`page error: ${error.message}`));
    page.on("requestfailed", (request) => complaints.push(`request failed: ${request.url()}`));
    try {
      await page.goto(origin + path);
      const output = page.locator("output:not(:empty)");
      await output.waitFor({ state: "attached" });
      return { output: (await output.textContent()) ?? "", complaints };
    } finally {
      await page.close();
    }
  }

  it("has a policy in force that forbids eval, and sees complaints", async () => {
    const { output, complaints } = await open("/eval");
    expect(output).toBe("EvalError");
    expect(complaints).toContain("error: policy forbids script-src eval");
  });

  it("introduces a newcomer, and both talk, without a complaint", async () => {
    const { output, complaints } = await open("/");
    const { topicKey, publicKey, forNode, ...result } = JSON.parse(output) as Record<string, unknown>;
    expect(result).toEqual({
      introducedAs: "browser",
      fingerprintsMatch: true,
      adopted: true,
      text: "Hi newcomer! 👋",
      replayCode: "REPLAY",
      replayName: "ReplayError",
      isStringphoneError: true,
      json: { light: "on" },
      delivery: "command",
    });
    expect(complaints).toEqual([]);

    const [key, sender, wire] = [topicKey, publicKey, forNode].map((bytes) => Uint8Array.from(bytes as number[]));
    const topic = await Topic.create({ topicKey: key!, name: "home/kitchen", participants: [sender!] });
    expect(topic.decode(wire!)?.text()).toBe("Hi Node!");
  });
});

describe("the bundle for a browser", () => {
  it("contains nothing of native code", async () => {
    const text = await bundle("src/index.ts");
    expect(text).toContain("stringphone/1 ");
    expect(text).not.toMatch(/sodium-native|crypto_generichash_batch|process\.env/);
  });

  it("is small, apart from libsodium", async () => {
    const core = gzipSync(await bundle("src/index.ts", ["libsodium-wrappers"])).length;
    const all = gzipSync(await bundle("src/index.ts")).length;
    console.log(`gzip: ${core} bytes for the core with cbor-x and @noble/hashes, and ${all - core} more for libsodium`);
    expect(core).toBeLessThanOrEqual(MAX_CORE_BYTES);
    expect(all).toBeGreaterThan(core);
  });
});
