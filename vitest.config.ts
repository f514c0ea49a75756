import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** Files that test how the package is made, and compute nothing. */
const PACKAGING = ["test/package/**", "test/docs.test.ts", "test/layers.test.ts"];

/** Long searches, and pure code that computes the same on every backend: once is enough. */
const ONCE = ["test/property/**", "test/roster.test.ts", "test/simulation/**"];

/** Whether the tests can run on native code here. In CI they must. */
async function nativeLoads(): Promise<boolean> {
  try {
    await import("sodium-native");
    return true;
  } catch (error) {
    if (process.env["CI"]) throw error;
    console.log(`skipped: all tests on native libsodium, because sodium-native does not load here (${String(error)})`);
    return false;
  }
}

const hasNative = await nativeLoads();

export default defineConfig({
  test: {
    projects: [
      {
        extends: true as const,
        test: {
          name: "wasm",
          env: { STRINGPHONE_BACKEND: "wasm" },
          // Compares the two, so once is enough.
          exclude: hasNative ? ["test/backends.test.ts"] : [],
        },
      },
      ...(hasNative
        ? [
            {
              extends: true as const,
              test: { name: "native", env: { STRINGPHONE_BACKEND: "native" }, exclude: [...PACKAGING, ...ONCE] },
            },
          ]
        : []),
    ],
    include: ["test/**/*.test.ts"],
    execArgv: ["--expose-gc"],
    // One core is kept free otherwise: of two, that is half.
    maxWorkers: "100%",
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ["default"],
    coverage: {
      provider: "v8" as const,
      include: ["src/**"],
      exclude: ["src/index.ts", "src/backends/no-native.ts"],
      thresholds: { lines: 95, branches: 95 },
      reporter: ["text"],
    },
  },
  resolve: {
    alias: { "#native-backend": fileURLToPath(new URL("src/backends/native.ts", import.meta.url)) },
  },
});
