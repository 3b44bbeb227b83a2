// Pages over HTTP: the assembled page, pages of other origins, and the way through to a gateway.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { started, stopped } from "./life.mjs";

const types = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
};

let built;

/**
 * Assembles the page once a process (or takes WSBRIDGE_PAGE); gives the folder with manifest.json.
 */
export function buildPage() {
  if (process.env.WSBRIDGE_PAGE) return process.env.WSBRIDGE_PAGE;
  if (!built) {
    built = mkdtempSync(join(tmpdir(), "wsbridge-page-"));
    execFileSync(
      process.execPath,
      [fileURLToPath(new URL("../../../web/build.mjs", import.meta.url)), built],
      { stdio: ["ignore", "inherit", "inherit"] },
    );
    process.once("exit", () => rmSync(built, { recursive: true, force: true }));
  }
  return built;
}

/**
 * A request that goes on to `target`, sockets included; the Host stays, so that the page and the
 * gateway are one origin.
 */
export function forward(target) {
  const { hostname, port } = new URL(target);
  return {
    request(incoming, outgoing) {
      const on = request(
        {
          host: hostname,
          port,
          path: incoming.url,
          method: incoming.method,
          headers: incoming.headers,
        },
        (answer) => {
          outgoing.writeHead(answer.statusCode, answer.rawHeaders);
          answer.pipe(outgoing);
        },
      );
      on.on("error", () => outgoing.destroy());
      incoming.pipe(on);
    },
    upgrade(incoming, socket, head) {
      const on = connect(Number(port), hostname, () => {
        const lines = [`${incoming.method} ${incoming.url} HTTP/1.1`];
        for (let i = 0; i < incoming.rawHeaders.length; i += 2)
          lines.push(`${incoming.rawHeaders[i]}: ${incoming.rawHeaders[i + 1]}`);
        on.write(`${lines.join("\r\n")}\r\n\r\n`);
        on.write(head);
        on.pipe(socket).pipe(on);
      });
      for (const one of [on, socket]) one.on("error", () => (on.destroy(), socket.destroy()));
    },
  };
}

/**
 * Serves pages on a port of its own: `pages` maps a path to text, or to a function of the request
 * that gives it; `folder` is one that build.mjs made; `roots` maps a prefix to a folder;
 * `otherwise` is a forward(). `host` may be another loopback address.
 */
export async function servePages({
  pages = {},
  folder,
  roots = {},
  otherwise,
  host = "127.0.0.1",
} = {}) {
  const made = folder ? JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) : [];
  const find = (incoming) => {
    const path = new URL(incoming.url, "http://x").pathname;
    if (path in pages) {
      const page = pages[path];
      return {
        type: types[extname(path) || ".html"],
        body: typeof page === "function" ? page(incoming) : page,
      };
    }
    const one = made.find((line) => line.path === path);
    if (one) return { type: one.type, body: readFileSync(join(folder, one.file)) };
    for (const [prefix, root] of Object.entries(roots)) {
      const file = join(root, path.slice(prefix.length));
      if (path.startsWith(prefix) && !path.includes("..") && existsSync(file))
        return { type: types[extname(file)], body: readFileSync(file) };
    }
    return undefined;
  };
  const server = createServer((incoming, outgoing) => {
    const found = find(incoming);
    if (found) {
      outgoing.writeHead(200, {
        "content-type": found.type ?? "application/octet-stream",
        "cache-control": "no-store",
        "access-control-allow-origin": "*",
      });
      outgoing.end(found.body);
    } else if (otherwise) {
      otherwise.request(incoming, outgoing);
    } else {
      outgoing.writeHead(404).end("no such page");
    }
  });
  if (otherwise) server.on("upgrade", otherwise.upgrade);
  const sockets = new Set();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise((done) => server.listen(0, host, done));
  const origin = `http://${host}:${server.address().port}`;
  const self = started({
    origin,
    url: `${origin}/`,
    pages,
    stop() {
      stopped(self);
      for (const socket of sockets) socket.destroy();
      return new Promise((done) => server.close(done));
    },
  });
  return self;
}
