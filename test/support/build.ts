import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../../", import.meta.url));
const lock = `${root}.tmp/build.lock`;
const POLL = 50;

/** Whether the process that made the lock lives. It may have made it a moment ago, and not written its id yet. */
async function isHeld(): Promise<boolean> {
  const pid = Number(await readFile(`${lock}/pid`, "utf8").catch(() => ""));
  if (pid === 0) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/**
 * Builds dist/ where it is missing, for tests that import the library by its package name from another process.
 * Test files run at once: making a folder succeeds for one of them, and the others wait.
 */
export async function ensureBuilt(): Promise<void> {
  await mkdir(`${root}.tmp`, { recursive: true });
  for (;;) {
    try {
      await mkdir(lock);
      break;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
      if (!(await isHeld())) await rm(lock, { recursive: true, force: true });
      await delay(POLL);
    }
  }
  try {
    await writeFile(`${lock}/pid`, String(process.pid));
    const built = ["index.js", "compat/index.js"];
    if (!built.every((file) => existsSync(`${root}dist/${file}`)))
      await promisify(execFile)("npm", ["run", "-s", "build"], { cwd: root });
  } finally {
    await rm(lock, { recursive: true, force: true });
  }
}
