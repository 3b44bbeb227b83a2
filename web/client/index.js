// The client library: lines of a gateway, and Web Serial over them.

export { Bus } from "./bus.js";
export { diagnose } from "./diagnose.js";
export { LineError } from "./error.js";
export { Line } from "./line.js";
export { createSerial, install } from "./serial/serial.js";
