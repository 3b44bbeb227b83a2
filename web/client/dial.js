// The way to a gateway: its addresses, credentials, one WebSocket, and when to try again.

import { LineError } from "./error.js";
import { towards } from "./network.js";

/** How long a probe, a handshake and the first message may take, in ms. */
const PROBE = 5000;
const HANDSHAKE = 15000;

/** Pauses before each attempt to reconnect, in seconds; the last one repeats. */
const PAUSES = [0, 1, 2, 4, 8, 15];

/**
 * The endings after which dialling again may help (protocol section 10). 1005 and 1006 stand for a
 * connection that broke.
 */
const AGAIN = new Set([1001, 1005, 1006, 1011, 1012, 1013, 4408, 4409, 4413, 4420, 4429, 4450]);

/**
 * @typedef {object} DialOptions
 * @property {string | URL} url `wss://gateway/ws/NAME`; a relative one counts from the page
 * @property {string[]} [protocols] the subprotocols to offer, in place of `wsbridge.v1` and a
 *   credential
 * @property {string | (() => string | undefined | Promise<string | undefined>)} [bearer] an API
 *   token or a pass, if there is one
 * @property {() => string | Promise<string>} [ticket] gives a new one-time ticket for each attempt
 * @property {string | false} [probe] what is asked over HTTP before dialling again; `/healthz` of
 *   the gateway unless said otherwise
 * @property {typeof globalThis.WebSocket} [WebSocket] where the platform has none (Node 20: that of
 *   `ws`)
 * @property {(input: string, init?: RequestInit) => Promise<Response>} [fetch] likewise
 */

/** Whether an ending is final. @param {number} code */
export const isFinal = (code) => !AGAIN.has(code);

/** The gateway's WebSocket address. @param {string | URL} url */
export function socketUrl(url) {
  const absolute = new URL(url, globalThis.location?.href);
  absolute.protocol = absolute.protocol.replace(/^http/, "ws");
  absolute.hash = "";
  return absolute;
}

/**
 * An address of the same gateway over HTTP; the gateway may be below a path of a proxy.
 * @param {string | URL} url @param {string} path
 */
export function httpUrl(url, path) {
  const base = socketUrl(url);
  base.protocol = base.protocol.replace(/^ws/, "http");
  base.search = "";
  base.pathname = base.pathname.replace(/\/(ws\/[^/]*|websockify)$/, "/");
  return new URL(path.replace(/^\//, ""), new URL(".", base)).href;
}

/**
 * How long to wait before the attempt with this number (0, 1, 2, ...), in ms: a quarter more or
 * less, so that clients do not all come back together.
 */
export function pause(/** @type {number} */ attempt) {
  return PAUSES[Math.min(attempt, PAUSES.length - 1)] * (750 + Math.random() * 500);
}

/**
 * Whether the gateway answers over HTTP. A browser that has failed to open WebSockets delays the
 * next ones, Firefox for up to a minute, so nothing is dialled until this says yes.
 * @param {DialOptions} options
 */
export async function answers({ url, probe, fetch = globalThis.fetch }) {
  if (probe === false) return true;
  try {
    const address = httpUrl(url, probe ?? "/healthz");
    await fetch(address, {
      mode: "no-cors",
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(PROBE),
      ...towards(address),
    });
    return true;
  } catch {
    return false;
  }
}

/**
 * Opens a WebSocket. The caller sets its handlers; nothing is lost until then, because no event
 * fires before this returns.
 * @param {DialOptions} options
 * @returns {Promise<WebSocket>}
 */
export async function dial({ url, protocols, bearer, ticket, WebSocket = globalThis.WebSocket }) {
  const offer = protocols ?? ["wsbridge.v1"];
  const credential = [];
  if (ticket) credential.push(`wsbridge.ticket.${await ticket()}`);
  else if (bearer) {
    const token = typeof bearer === "function" ? await bearer() : bearer;
    if (token) credential.push(`wsbridge.bearer.${base64url(token)}`);
  }
  if (!WebSocket)
    throw new LineError(
      "unreachable",
      "this JavaScript has no WebSocket: pass one, as in `new Line({ url, WebSocket })`",
    );
  let socket;
  try {
    socket = new WebSocket(socketUrl(url), [...offer, ...credential]);
  } catch (error) {
    // http pages may dial anything; from an https page `ws://` to a name that is not the machine's
    // own network is a SecurityError.
    throw new LineError(
      "unreachable",
      `the browser will not dial ${socketUrl(url)}: ${/** @type {Error} */ (error).message}`,
    );
  }
  socket.binaryType = "arraybuffer";
  return socket;
}

/**
 * The first message of a WebSocket, or why there is none. @param {WebSocket} socket @returns
 * {Promise<string>}
 */
export function greeting(socket) {
  return new Promise((done, fail) => {
    const end = (/** @type {() => void} */ act) => {
      clearTimeout(late);
      socket.onmessage = socket.onclose = null;
      act();
    };
    let reason = "";
    const late = setTimeout(() => {
      end(() => fail(new LineError("unreachable", `no answer in ${HANDSHAKE / 1000} s`)));
      socket.close();
    }, HANDSHAKE);
    socket.onerror = (event) => (reason = /** @type {ErrorEvent} */ (event).message ?? "");
    socket.onclose = (event) =>
      end(() => {
        const { code } = event;
        // Browsers do not say why a handshake failed; Node's WebSockets do.
        const status = /\b(4\d\d|5\d\d)\b/.exec(reason)?.[1];
        const refused = status && `the gateway answered ${status}`;
        if (code !== 1006 && code !== 1005)
          fail(new LineError(code, event.reason || `closed with ${code}`));
        else
          fail(
            new LineError(
              "unreachable",
              refused ||
                reason ||
                "no connection: the gateway is not there, or does not let this page in",
            ),
          );
      });
    socket.onmessage = (event) =>
      end(() => {
        if (typeof event.data === "string") return done(event.data);
        socket.close();
        fail(new LineError("foreign", "what answers there does not speak wsbridge.v1"));
      });
  });
}

/** base64url without padding, of a text's UTF-8. @param {string} text */
function base64url(text) {
  const binary = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
