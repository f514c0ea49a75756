/** The public names, and the two classes that the package exports as types only. */
export * from "../../src/index.js";
export { Received, UnverifiedMessage } from "../../src/received.js";
