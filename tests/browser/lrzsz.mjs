// The other side of file transfers: lrzsz on two pipes, and a line that damages or loses what one
// names.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Wire } from "../../web/console/tools/wire.js";

export const sha = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** Bytes without a pattern, the same in each run. */
export function noise(length, seed = 1) {
  const bytes = new Uint8Array(length);
  for (let at = 0, state = seed; at < length; at += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** A folder of its own, gone after the test. @param {import("node:test").TestContext} t */
export function folder(t) {
  const path = mkdtempSync(join(tmpdir(), "wsbridge-transfer-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A file in memory as the protocols read it. */
export function memoryFile(name, bytes) {
  return {
    name,
    size: bytes.length,
    modified: 1_700_000_000_000,
    read: async (at, length) => bytes.slice(at, at + length),
  };
}

/**
 * Starts one of lrzsz's programs with a Wire to it.
 * @param {import("node:test").TestContext} t
 * @param {string[]} command
 * @param {{ cwd: string, toPeer?: (bytes: Uint8Array) => Uint8Array, fromPeer?: (bytes: Uint8Array)
 *   => Uint8Array }} options
 *   toPeer, fromPeer: what the line makes of the bytes
 */
export function peer(
  t,
  [program, ...args],
  { cwd, toPeer = (bytes) => bytes, fromPeer = (bytes) => bytes },
) {
  const child = spawn(program, args, { cwd, stdio: ["pipe", "pipe", "pipe"] });
  let errors = "";
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  child.stdin.on("error", () => {});
  const sent = [];
  const wire = new Wire(
    (bytes) =>
      new Promise((resolve) => {
        sent.push(bytes.slice());
        const made = toPeer(bytes.slice());
        if (made.length === 0 || child.stdin.destroyed || child.stdin.writableEnded) resolve();
        else child.stdin.write(made, () => resolve());
      }),
  );
  child.stdout.on("data", (chunk) => wire.push(fromPeer(new Uint8Array(chunk))));
  const exit = new Promise((resolve) => child.on("close", (code) => resolve(code)));
  t.after(() => child.kill("SIGKILL"));
  return { wire, exit, child, sent, errors: () => errors };
}
