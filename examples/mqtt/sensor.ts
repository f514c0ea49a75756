/** A made-up thermometer. */
export class Sensor {
  #celsius: number;

  constructor(name: string) {
    // Each name has another temperature, so that the lines on the screen can be told apart.
    this.#celsius = 5 + (Buffer.from(name).reduce((sum, byte) => sum * 7 + byte, 0) % 200) / 10;
  }

  /** The next reading: a little warmer than the one before. */
  measure(): string {
    this.#celsius += 0.1 + Math.floor(Math.random() * 5) / 10;
    return JSON.stringify({ celsius: Number(this.#celsius.toFixed(1)) });
  }
}

/** The temperature in a reading; `undefined` for anything else, because a trusted sender can still send another shape. */
export function celsiusOf(reading: unknown): number | undefined {
  if (typeof reading !== "object" || reading === null || !("celsius" in reading)) return undefined;
  return typeof reading.celsius === "number" ? reading.celsius : undefined;
}
