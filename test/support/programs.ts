import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Debian keeps daemons where only root's PATH leads. */
const FURTHER_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** The path of an installed program; `undefined` where there is none. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), ...FURTHER_FOLDERS];
  return folders
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/**
 * Whether an external program is there, for `describe.skipIf(!requireProgram("chromium"))`. Where it is missing a
 * laptop skips the tests and is told why; CI fails, because there a skipped test would go unnoticed.
 */
export function requireProgram(name: string): boolean {
  if (findProgram(name) !== undefined) return true;
  if (process.env["CI"]) throw new Error(`${name} is not installed, and these tests must not be skipped in CI`);
  console.log(`skipped: ${name} is not installed; on Debian, "apt-get install ${name}" brings it`);
  return false;
}

/**
 * The path of a Python that can import a module, Debian's before any other; `undefined` where there is none, with the same
 * manners as `requireProgram`.
 */
export function requirePython(module: string, debianPackage: string): string | undefined {
  const found = ["/usr/bin/python3", "python3"].find(
    (python) => spawnSync(python, ["-c", `import ${module}`], { stdio: "ignore" }).status === 0,
  );
  if (found !== undefined) return found;
  if (process.env["CI"]) throw new Error(`no Python can import ${module}, and these tests must not be skipped in CI`);
  console.log(`skipped: no Python can import ${module}; on Debian, "apt-get install ${debianPackage}" brings it`);
  return undefined;
}
