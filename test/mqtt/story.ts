/** What the demo must have shown, whatever broker carried it. */
import { expect } from "vitest";

const FINGERPRINT = "(?:[0-9A-HJKMNP-TV-Z]{4}-){5}[0-9A-HJKMNP-TV-Z]{4}";

/** The text after a label, for each line that bears it. */
function screenOf(lines: readonly string[], label: string): string[] {
  const prefix = `  ${label.padEnd(9)}`;
  return lines.filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length));
}

function hasLine(screen: readonly string[], start: string): boolean {
  const words = start.split(" ").join("\\s+");
  return screen.some((line) => new RegExp(`^${words}`).test(line));
}

/** @param observer `broker` for the embedded one, `listener` for the eavesdropper on another */
export function expectStory(lines: readonly string[], observer: "broker" | "listener"): void {
  const labels = ["kitchen", "garden", "attic", "stranger"] as const;
  const screens = Object.fromEntries(labels.map((label) => [label, screenOf(lines, label)]));
  const screen = (label: string) => screens[label] ?? [];
  const print = (label: string) => {
    const found = new RegExp(`my fingerprint\\s+(${FINGERPRINT})`).exec(screen(label).join("\n"));
    return found?.[1] ?? expect.fail(`${label} shows no fingerprint`);
  };
  expect(new Set(labels.map(print)).size).toBe(4);

  for (const newcomer of ["garden", "attic"]) {
    expect(hasLine(screen("kitchen"), `asked by ${print(newcomer)}`)).toBe(true);
    expect(hasLine(screen("kitchen"), `lets in ${print(newcomer)}`)).toBe(true);
    expect(hasLine(screen(newcomer), `answered by ${print("kitchen")}`)).toBe(true);
    expect(hasLine(screen(newcomer), `has joined ${print("kitchen")}`)).toBe(true);
  }
  expect(hasLine(screen("garden"), `trusts ${print("attic")}`)).toBe(true);
  expect(hasLine(screen("attic"), `trusts ${print("garden")}`)).toBe(true);

  expect(hasLine(screen("kitchen"), `asked by ${print("stranger")} calls itself "attic"`)).toBe(true);
  expect(hasLine(screen("kitchen"), `refuses ${print("stranger")} "attic": nobody confirmed it`)).toBe(true);
  expect(hasLine(screen("kitchen"), `lets in ${print("stranger")}`)).toBe(false);
  expect(hasLine(screen("stranger"), "cannot read")).toBe(true);
  expect(screen("stranger").join("\n")).not.toMatch(/^(has joined|trusts|reads|sends)/m);

  const members = ["kitchen", "garden", "attic"];
  for (const sender of members) {
    const sent = screen(sender).flatMap((line) => /^sends\s+\{"celsius":([\d.]+)\}/.exec(line)?.[1] ?? []);
    expect(sent.length).toBeGreaterThan(0);
    for (const celsius of sent) {
      for (const reader of members.filter((member) => member !== sender)) {
        expect(hasLine(screen(reader), `reads ${sender} → ${Number(celsius).toFixed(1)} °C`)).toBe(true);
      }
    }
  }
  expectRemoval((label) => screenOf(lines, label));
  expectOpaque(screenOf(lines, observer).filter((line) => line.startsWith("saw")));
}

/** A stolen device was shut out by one message, and nobody else. */
function expectRemoval(screen: (label: string) => string[]): void {
  const print = new RegExp(`my fingerprint\\s+(${FINGERPRINT})`).exec(screen("porch").join("\n"))?.[1] ?? "";
  expect(screen("owner").filter((line) => line.startsWith("removes")).length).toBe(1);
  expect(hasLine(screen("owner"), `removes ${print} one message of`)).toBe(true);
  for (const label of ["owner", "cellar"]) {
    expect(hasLine(screen(label), `on the roster ${print} "porch", publisher`)).toBe(true);
    expect(hasLine(screen(label), `off the roster ${print} removed by owner`)).toBe(true);
    expect(hasLine(screen(label), "has a new key epoch 1 without")).toBe(true);
  }
  const [thief, cellar] = [screen("porch"), screen("cellar")];
  const after = (lines: readonly string[], word: string) => {
    const from = lines.findIndex((line) => line.startsWith(word));
    expect(from).toBeGreaterThan(-1);
    return lines.slice(from);
  };
  expect(thief.findIndex((line) => line.startsWith("was stolen"))).toBeGreaterThan(-1);
  const told = after(thief, "is removed");
  expect(hasLine(told, "cannot read")).toBe(true);
  expect(hasLine(told, "cannot send FORBIDDEN")).toBe(true);
  expect(hasLine(told, "sends anyway")).toBe(true);
  expect(told.join("\n")).not.toMatch(/^(?:reads|sends {2,}|has a new key|on the roster)/m);
  expect(hasLine(after(cellar, "has a new key"), "reads owner →")).toBe(true);
  for (const label of ["owner", "cellar"]) {
    const lines = after(screen(label), "has a new key");
    expect(lines.some((line) => /^ignores\s+\d+ bytes\s+of somebody whom we do not trust$/.test(line))).toBe(true);
    expect(lines.join("\n")).not.toMatch(/^reads\s+porch/m);
  }
}

/** No reading is in what the broker saw, neither as text nor in the bytes that are shown in hex. */
function expectOpaque(seen: readonly string[]): void {
  // Five introductions, four replies, two lists of members, three control messages and some readings.
  expect(seen.length).toBeGreaterThan(14);
  expect(seen.filter((line) => /\/house\/control\/[0-9a-f]{16}$/.test(line)).length).toBeGreaterThan(2);
  expect(seen.filter((line) => line.includes("/readings")).length).toBeGreaterThan(2);
  for (const line of seen) {
    // Of a retained message that is not needed any more, nothing is left.
    expect(line).toMatch(
      /^saw {13}(?:(?:[0-9a-f]{2} ){5}…(?: [0-9a-f]{2}){4}|nothing) +\d+ bytes on …(?:\/[a-z]+)+(?:\/[0-9a-f]{16})?$/,
    );
    expect(line).not.toMatch(/celsius|°C|kitchen|garden|attic|owner|cellar|porch/);
    const [bytes = ""] = line.split(" bytes on ");
    const shown = [...bytes.matchAll(/\b[0-9a-f]{2}\b/g)].map(([pair]) => Number.parseInt(pair, 16));
    expect(String.fromCharCode(...shown)).not.toMatch(/\{"|"\}|\d\.\d/);
  }
}
