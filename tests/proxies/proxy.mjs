// Real proxies of Debian, each with a block of the guide: what is wrapped around it is what the
// distribution's own file has.

import { execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { eventually, started, stopped } from "../browser/harness/life.mjs";

export const NAME = "gateway.example";

/** A port that is free now; the proxies do not print one that the system chose. */
export async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

const modules =
  "mpm_event authn_core authn_file authz_core authz_user auth_basic ssl socache_shmcb headers alias dir proxy proxy_http rewrite";

const kinds = {
  nginx: {
    command: "/usr/sbin/nginx",
    wrap: (text, folder) =>
      `daemon off;\nuser root;\npid ${folder}/pid;\nerror_log ${folder}/log;\nevents {}\n` +
      `http {\naccess_log off;\nclient_body_temp_path ${folder}/body;\nproxy_temp_path ${folder}/proxy;\n` +
      `fastcgi_temp_path ${folder}/f;\nuwsgi_temp_path ${folder}/u;\nscgi_temp_path ${folder}/s;\n${text}}\n`,
    args: (file) => ["-c", file, "-e", "stderr"],
  },
  haproxy: {
    command: "/usr/sbin/haproxy",
    wrap: (text) =>
      `global\n    log stderr format raw local0 notice\ndefaults\n    log global\n    timeout connect 5s\n    timeout client 50s\n    timeout server 50s\n${text}`,
    args: (file) => ["-db", "-f", file],
  },
  caddy: {
    command: "/usr/bin/caddy",
    wrap: (text, folder) =>
      `{\n admin off\n storage file_system ${folder}/store\n auto_https disable_redirects\n}\n${text}`,
    args: (file) => ["run", "--adapter", "caddyfile", "--config", file],
  },
  apache: {
    command: "/usr/sbin/apache2",
    wrap: (text, folder, port) =>
      `ServerRoot ${folder}\nPidFile ${folder}/pid\nErrorLog ${folder}/log\nUser www-data\nGroup www-data\nServerName localhost\n` +
      `DefaultRuntimeDir ${folder}\nMutex file:${folder}\nListen 127.0.0.1:${port}\n` +
      modules
        .split(" ")
        .map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so\n`)
        .join("") +
      text,
    args: (file) => ["-D", "FOREGROUND", "-f", file],
  },
};

/** What is not on this machine of a proxy, as the reason to skip it. */
export const lacks = (kind) =>
  existsSync(kinds[kind].command) ? undefined : `no ${kind}: ${kinds[kind].command} is not there`;

let certificate;

/**
 * A certificate for the guide's name: `pem` has the chain and its key in one file, as HAProxy wants
 * it.
 */
export function identity() {
  if (certificate) return certificate;
  const folder = mkdtempSync(join(tmpdir(), "wsbridge-proxy-tls-"));
  chmodSync(folder, 0o755);
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const [pem, key, both] = ["gateway.pem", "gateway.key", "both.pem"].map((name) =>
    join(folder, name),
  );
  const subject = ["-subj", `/CN=${NAME}`, "-addext", `subjectAltName=DNS:${NAME}`];
  execFileSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-days",
      "2",
      "-keyout",
      key,
      "-out",
      pem,
      ...subject,
    ],
    { stdio: "ignore" },
  );
  writeFileSync(both, execFileSync("cat", [pem, key]));
  chmodSync(key, 0o644);
  return (certificate = { pem, key, both });
}

/** A file of one user whose password is `of the proxy`. */
export function htpasswd(user = "carol") {
  const file = join(dirname(identity().pem), `${user}.htpasswd`);
  writeFileSync(
    file,
    `${user}:${execFileSync("openssl", ["passwd", "-apr1", "of the proxy"], { encoding: "utf8" })}`,
  );
  return file;
}

/** What stands for alice and her password `of the proxy` in the guide's block, and what it is here. */
export function people(kind) {
  const hash = (command, ...args) =>
    execFileSync(command, [...args, "of the proxy"], { encoding: "utf8" }).trim();
  switch (kind) {
    case "haproxy":
      return [["'...'", `'${hash("openssl", "passwd", "-5")}'`]];
    case "caddy":
      return [['"..."', `"${hash(kinds.caddy.command, "hash-password", "--plaintext")}"`]];
    default:
      return [[`/etc/${kind === "apache" ? "apache2" : kind}/gateway.htpasswd`, htpasswd("alice")]];
  }
}

/**
 * Starts a proxy with a text of the guide. `replace` are pairs of what stands in the guide and what
 * is meant here: ports, mostly. The text's own port 443 becomes a free one; gives that port.
 */
export async function startProxy(kind, text, replace = [], wanted = undefined) {
  const folder = mkdtempSync(join(tmpdir(), `wsbridge-${kind}-`));
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, "store"));
  const { pem, key, both } = identity();
  const port = wanted ?? (await freePort());
  // Of a listening port only: `443` may stand in a text as well.
  const fixed = [
    ["listen 443 ", `listen 127.0.0.1:${port} `],
    ["listen 8081;", `listen 127.0.0.1:${port};`],
    ["bind :443", `bind 127.0.0.1:${port}`],
    ["<VirtualHost *:443>", `<VirtualHost 127.0.0.1:${port}>`],
    [`\n${NAME} {`, `\nhttps://${NAME}:${port} {\n bind 127.0.0.1`],
    ["crt /etc/ssl/private/gateway.pem", `crt ${both}`],
    ["/etc/ssl/private/gateway.key", key],
    ["/etc/ssl/certs/gateway.pem", pem],
  ];
  let body = `\n${text}`;
  for (const [from, to] of replace) {
    if (!body.includes(from)) throw new Error(`"${from}" is not in the guide's block:\n${text}`);
    body = body.replaceAll(from, to);
  }
  for (const [from, to] of fixed) body = body.replaceAll(from, to);
  const { command, wrap, args } = kinds[kind];
  const file = join(folder, "config");
  writeFileSync(file, wrap(body, folder, port));
  const child = spawn(command, args(file), {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
    env: { ...process.env, HOME: folder },
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => (said += bytes));
  let over = false;
  const ended = new Promise((done) => child.once("close", done)).then(() => (over = true));
  const proxy = {
    kind,
    port,
    url: `https://${NAME}:${port}/`,
    folder,
    said: () => said,
    async stop() {
      stopped(proxy);
      // With its workers, which would wait for their WebSockets.
      if (!over) process.kill(-child.pid, "SIGKILL");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
  started(proxy);
  await eventually(async () => {
    if (over) throw new Error(`${kind} ended:\n${said}`);
    return reachable(port);
  }, `${kind}: ${said}`);
  return proxy;
}

const reachable = (port) =>
  new Promise((done) => {
    const socket = connect(port, "127.0.0.1", () => (socket.destroy(), done(true)));
    socket.once("error", () => done(false));
  });
