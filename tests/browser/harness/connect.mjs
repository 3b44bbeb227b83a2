// `wsbridge connect` on the technician's computer; under wine where WSBRIDGE_WINE says where the program for Windows is.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binary } from "./gateway.mjs";
import { started, stopped } from "./life.mjs";

const wine = process.env.WSBRIDGE_WINE;

/** What runs it, and on what system. */
const [program, ...before] = wine ? ["wine", join(wine, "wsbridge.exe")] : [binary];
export const system = wine ? "Windows" : "Linux";

/** Runs it with these arguments, one of them `--tcp` or `--rfc2217` at port 0; `port` is where it listens. */
export async function startConnect(url, ...args) {
  const home = mkdtempSync(join(tmpdir(), "wsbridge-home-"));
  const prefix = wine ? { WINEPREFIX: join(wine, "prefix"), WINEDEBUG: "-all" } : {};
  const env = { ...process.env, ...prefix, XDG_CONFIG_HOME: home, WSBRIDGE_TOKEN: "" };
  const words = [...before, "connect", url, ...args];
  const child = spawn(program, words, { env, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  const ended = new Promise((done) => child.once("close", done));
  const port = await new Promise((done, fail) => {
    child.once("error", fail);
    child.stderr.on("data", (bytes) => {
      said += bytes;
      const found = / is at 127\.0\.0\.1:(\d+)/.exec(said);
      if (found) done(Number(found[1]));
    });
    ended.then((code) => fail(new Error(`connect ended (${code}):\n${said}`)));
  });
  const connect = {
    port,
    said: () => said,
    async stop() {
      stopped(connect);
      child.kill();
      await ended;
      rmSync(home, { recursive: true, force: true });
    },
  };
  return started(connect);
}
