// A hub, and gateways of it that listen nowhere, made by the commands that people type.

import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { users } from "./console.mjs";
import { binary, startGateway } from "./gateway.mjs";

/** A port of an address of this machine that is free now. */
async function freePort(host) {
  const server = createServer();
  await new Promise((done) => server.listen(0, host, done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

function folder(t) {
  const path = mkdtempSync(join(tmpdir(), "wsbridge-fleet-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Runs a command of ours; gives what it prints. */
function run(...args) {
  const env = { ...process.env };
  for (const name of ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]) delete env[name];
  return execFileSync(binary, args, { encoding: "utf8", env });
}

/**
 * Starts a hub: people reach it at `url`, over plain loopback, gateways by TLS. `yaml` is more of
 * its configuration, `people` who may sign in.
 */
export async function startHub(t, { yaml = "", people = users() } = {}) {
  const state = folder(t);
  const [ports, socket] = [
    await Promise.all(["127.0.0.1", "127.0.0.1"].map(freePort)),
    join(state, "admin.sock"),
  ];
  const listen = [
    `  - { address: "127.0.0.1:${ports[0]}", tls: none }\n`,
    `  - { address: "127.0.0.1:${ports[1]}", tls: self-signed }\n`,
  ];
  const own = `state_directory: ${state}\nadmin: { socket: ${socket} }\nlisten:\n${listen.join("")}`;
  // As systemd does: sign-ins outlive the process.
  const env = { RUNTIME_DIRECTORY: folder(t) };
  let daemon = await startGateway({ yaml: `${own}${people}${yaml}`, env });
  const configuration = () => readFileSync(daemon.file, "utf8");
  const place = ["--public", `https://localhost:${ports[1]}`, "--config", daemon.file];
  run("hub", "--socket", socket, "init", ...place);
  await daemon.reload(configuration);
  const hub = {
    url: daemon.url,
    log: () => daemon.log(),
    /** Runs `wsbridge hub` with these arguments. */
    run: (...args) => run("hub", "--socket", socket, ...args),
    /** Kills it as a power cut does. */
    kill: () => daemon.kill(),
    /** Starts it again, with the same files, on the same ports. */
    async again() {
      daemon = await startGateway({ yaml: configuration(), env });
    },
    /**
     * Starts a gateway that listens on a unix socket alone, and enrols it under this name; `token`
     * are more arguments of `wsbridge hub token new`.
     */
    async gateway(name, { yaml, token = [] }) {
      const gateway = await startMember(t, yaml);
      const made = JSON.parse(hub.run("token", "new", "--json", ...token));
      const by = ["--token", made.token, "--fingerprint", made.fingerprint, "--name", name];
      gateway.said = run("enrol", made.public, ...by, "--config", gateway.file, ...gateway.admin);
      return gateway;
    },
  };
  return hub;
}

/** A gateway of a hub; `like` is another one, whose enrolment it copies. */
export async function startMember(t, yaml, like) {
  const state = folder(t);
  if (like) cpSync(join(like.state, "home"), join(state, "home"), { recursive: true });
  const socket = join(state, "admin.sock");
  const own = `state_directory: ${state}\nadmin: { socket: ${socket} }\nlisten: [ { address: "unix:${state}/own.sock" } ]\n`;
  const daemon = await startGateway({ yaml: `${own}${yaml}` });
  return Object.assign(daemon, { state, admin: ["--socket", socket], said: "" });
}
