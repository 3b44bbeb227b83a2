// A client at an address of its own (127.0.0.x), by the guide's name.

import { request } from "node:https";
import { createRequire } from "node:module";
import { NAME } from "./proxy.mjs";

const { WebSocket } = createRequire(new URL("../browser/package.json", import.meta.url))("ws");

const way = (from) => ({
  localAddress: from,
  rejectUnauthorized: false,
  lookup: (_, options, done) =>
    options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4),
});

/** Asks; gives status, headers and text. */
export function ask(url, { from = "127.0.0.1", method = "GET", headers = {}, body } = {}) {
  return new Promise((done, fail) => {
    const asked = request(url, { method, headers, ...way(from) }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (piece) => (text += piece));
      answer.on("end", () => done({ status: answer.statusCode, headers: answer.headers, text }));
      answer.on("error", fail);
    });
    asked.on("error", fail);
    asked.end(body);
  });
}

/** Tries a password as the gateway's page does. */
export function login(url, password, { headers = {}, ...more } = {}) {
  const body = JSON.stringify({ user: "alice", password });
  const own = {
    origin: new URL(url).origin,
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
  };
  return ask(new URL("api/login", url), {
    method: "POST",
    headers: { ...own, ...headers },
    body,
    ...more,
  });
}

/** The cookie of an answer, to be sent back. */
export const cookie = ({ headers }) => headers["set-cookie"][0].split(";")[0];

/** Opens a WebSocket; gives it open, or throws with the status it was refused with. */
export function socket(url, { from = "127.0.0.1", headers = {}, protocols = [] } = {}) {
  const one = new WebSocket(url.replace(/^http/, "ws"), protocols, {
    headers,
    perMessageDeflate: false,
    ...way(from),
  });
  return new Promise((done, fail) => {
    one.once("open", () => done(one));
    one.once(
      "unexpected-response",
      (_, answer) => (
        fail(
          Object.assign(new Error(`status ${answer.statusCode}`), { status: answer.statusCode }),
        ),
        one.terminate()
      ),
    );
    one.once("error", fail);
  });
}

/** What comes back of a text. */
export function echoed(one, text) {
  return new Promise((done, fail) => {
    let heard = "";
    one.on("message", (bytes) => {
      heard += bytes;
      if (heard.length >= text.length) done(heard);
    });
    one.once("close", (code) => fail(new Error(`closed with ${code}`)));
    one.send(Buffer.from(text));
  });
}

export { NAME };
