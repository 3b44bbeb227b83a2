// Devices behind a TCP port: an echo, whatever a test writes, or a program's stdin and stdout.

import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { started, stopped } from "./life.mjs";

/**
 * Listens on loopback; `connected(socket)` is called for each connection. `address` goes into the
 * YAML. On a free port, or one that was.
 */
export async function tcpDevice(connected, number = 0) {
  const sockets = new Set();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    connected(socket);
  });
  await new Promise((done) => server.listen(number, "127.0.0.1", done));
  const { port } = server.address();
  const self = started({
    port,
    address: `127.0.0.1:${port}`,
    sockets,
    stop() {
      stopped(self);
      for (const socket of sockets) socket.destroy();
      return new Promise((done) => server.close(done));
    },
  });
  return self;
}

/** Sends back what it receives. */
export const echoDevice = () => tcpDevice((socket) => socket.pipe(socket));

/**
 * Each connection runs a program on its bytes (`rz`, `sz FILE`): its stdin and stdout. `ends` has a
 * promise of each exit code and what it said on stderr.
 */
export async function processDevice(command, args = [], options = {}) {
  const ends = [];
  const device = await tcpDevice((socket) => {
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"], ...options });
    let said = "";
    child.stderr.on("data", (bytes) => (said += bytes));
    ends.push(new Promise((done) => child.once("close", (code) => done({ code, said }))));
    socket.pipe(child.stdin).on("error", () => {});
    child.stdout.pipe(socket);
    socket.once("close", () => child.kill());
  });
  return Object.assign(device, { ends });
}
