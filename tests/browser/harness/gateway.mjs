// The real daemon with a configuration from the test, on a port of its own.

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { started, stopped } from "./life.mjs";
import { buildPage, forward, servePages } from "./pages.mjs";

/** The daemon: WSBRIDGE, or what `cargo build` made. */
export const binary =
  process.env.WSBRIDGE ?? fileURLToPath(new URL("../../../target/debug/wsbridge", import.meta.url));

/**
 * Starts the daemon and waits until it is ready.
 *
 * `yaml` is its configuration; `listen:` (127.0.0.1, port 0, no TLS) is added where it has none,
 * `auth: none` where it names no user, token or certificate. `demo: true` takes the demo's
 * endpoints. `origins` are pages of other origins to allow, `env` is more of the environment.
 *
 * `url` is where the page is. A daemon without a page gets one from a server in front of it, which
 * passes everything else on, so that the page finds API and sockets at its own origin. `direct` is
 * the daemon itself.
 */
export async function startGateway({ yaml = "", demo = false, origins = [], env = {} } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "wsbridge-suite-"));
  const file = join(folder, "wsbridge.yaml");
  let text = demo ? demoEndpoints() : yaml;
  if (!/^listen:/m.test(text)) text = `listen:\n  - { address: "127.0.0.1:0", tls: none }\n${text}`;
  if (!/^(auth|users|tokens|certificates):/m.test(text)) text = `auth: none\n${text}`;
  if (!/^state_directory:/m.test(text)) text = `state_directory: ${folder}\n${text}`;
  if (origins.length > 0) text = `origins: ${JSON.stringify(origins)}\n${text}`;
  writeFileSync(file, text);

  const child = spawn(binary, ["serve", "--config", file], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let log = "";
  const ended = new Promise((done) => child.once("close", (code, signal) => done(signal ?? code)));
  const ready = new Promise((done, fail) => {
    const heard = (bytes) => {
      log += bytes;
      if (/ready: /.test(log)) done();
    };
    child.stdout.on("data", heard);
    child.stderr.on("data", heard);
    child.once("error", fail);
    ended.then((how) => fail(new Error(`the daemon ended (${how}) before it was ready:\n${log}`)));
  });
  const gateway = {
    direct: "",
    url: "",
    /** Where it listens, in the order of the file. */
    addresses: /** @type {string[]} */ ([]),
    file,
    pid: child.pid,
    log: () => log,
    /** Writes another configuration and has it read; waits until the log says so. */
    async reload(next) {
      writeFileSync(file, next(text));
      const from = log.length;
      child.kill("SIGHUP");
      while (!/reload/.test(log.slice(from)))
        await new Promise(
          (done) => child.stderr.once("data", done) && child.stdout.once("data", done),
        );
    },
    /** Ends it abruptly, as a crash or a power failure does. */
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
    /** Ends it in order, and leaves its files until `stop`. */
    async end() {
      child.kill("SIGTERM");
      await ended;
    },
    async stop() {
      stopped(gateway);
      await front?.stop();
      child.kill("SIGTERM");
      const hurry = setTimeout(() => child.kill("SIGKILL"), 8000);
      await ended;
      clearTimeout(hurry);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  let front;
  started(gateway);
  await ready;
  gateway.addresses = [...log.matchAll(/listening on (\S+)/g)].map(([, address]) => address);
  const tls = /tls=true/.test(log.match(/listening on .*/)?.[0] ?? "");
  gateway.direct = `${tls ? "https" : "http"}://${gateway.addresses[0]}/`;
  gateway.url = gateway.direct;
  // What listens on a socket of the file system alone has no page that a browser could open.
  const reached = !/^unix:|^\//.test(gateway.addresses[0] ?? "unix:");
  if (!tls && reached && !(await hasPage(gateway.direct))) {
    front = await servePages({ folder: buildPage(), otherwise: forward(gateway.direct) });
    gateway.url = front.url;
  }
  return gateway;
}

/** Whether the daemon contains the console: a page that runs scripts. */
async function hasPage(url) {
  const answer = await fetch(url);
  return answer.ok && (await answer.text()).includes("<script");
}

/** The endpoints of `wsbridge demo`. */
function demoEndpoints() {
  const all = execFileSync(binary, ["demo", "--print-config"], { encoding: "utf8" });
  return all.slice(all.search(/^endpoints:/m));
}
