// Why a page cannot reach a gateway, as far as a browser tells the page, and what helps.

import { dial, greeting, httpUrl, socketUrl } from "./dial.js";
import { LineError } from "./error.js";
import { permission as permissionFor, question, towards } from "./network.js";

/**
 * @typedef {object} Diagnosis
 * @property {boolean} ok whether the gateway answers and lets this page in
 * @property {"ok" | "address" | "mixed-content" | "local-network" | "certificate" | "unreachable" |
 *   "origin" | "login" | "refused" | "foreign"} reason
 * @property {string} title
 * @property {string} text
 * @property {string[]} steps what to do, in order
 * @property {string} help text and steps as one text
 */

/**
 * Tries to reach `url` and says what is in the way. Browsers deliberately tell pages little, so it
 * tries several ways and draws conclusions; "unreachable" and "certificate" cannot always be told
 * apart, and then the text says so.
 * @param {string | URL} url @param {Partial<import("./dial.js").DialOptions>} [options] @returns
 *   {Promise<Diagnosis>}
 */
export async function diagnose(url, options = {}) {
  let target;
  try {
    target = socketUrl(url);
    if (!/^wss?:$/.test(target.protocol)) throw new Error(target.protocol);
  } catch {
    return say("address", "This is no address", `\`${url}\` is not the address of a gateway.`, [
      "Write it like wss://gateway.local:8443/ws/NAME.",
    ]);
  }
  const page = globalThis.location;
  const foreign = page !== undefined && page.host !== target.host;
  const http = httpUrl(target, "/");
  const answered = await reachable(httpUrl(target, "/healthz"), options.fetch ?? globalThis.fetch);
  if (!answered) return notReached({ target, page, foreign, http });

  let failure;
  try {
    const socket = await dial({ ...options, url: target });
    const text = await greeting(socket);
    socket.close(1000);
    const hello = JSON.parse(text);
    if (hello.type === "hello")
      return say("ok", "The gateway answers", "It is there and lets this page in.", []);
    failure = new LineError("foreign", "the first message is no hello");
  } catch (error) {
    failure = error instanceof LineError ? error : new LineError("foreign", String(error));
  }
  return notLetIn(failure, { page, foreign, http, target });
}

/**
 * @param {string} url @param {DialFetch} fetch @typedef {(input: string, init?: RequestInit) =>
 * Promise<Response>} DialFetch
 */
async function reachable(url, fetch) {
  try {
    await fetch(url, {
      mode: "no-cors",
      cache: "no-store",
      credentials: "omit",
      // As long as a user may take to answer the browser's question.
      signal: AbortSignal.timeout(8000),
      ...towards(url),
    });
    return true;
  } catch {
    return false;
  }
}

/** @typedef {{ target: URL, page: Location | undefined, foreign: boolean, http: string }} Facts */

/** Not even HTTP is answered. @param {Facts} facts @returns {Promise<Diagnosis>} */
async function notReached({ target, page, foreign, http }) {
  const permission = foreign ? await permissionFor(target.hostname) : undefined;
  const allow =
    permission === "prompt"
      ? [
          `The browser may ask whether ${page?.host} may "${question(target.hostname)}": choose Allow, then try again.`,
        ]
      : [];
  if (permission === "denied") {
    return say(
      "local-network",
      "The browser keeps this page off the local network",
      `When the browser asked whether ${page?.host} may "${question(target.hostname)}", the answer was no, or it did not ask; and ${target.hostname} is one of these.`,
      [
        'Click the icon left of the address, allow "Local network access" (or "Apps on device") for this page, and reload it.',
        `Or open the gateway's own page: ${http}`,
      ],
    );
  }
  if (
    page?.protocol === "https:" &&
    target.protocol === "ws:" &&
    !/^(localhost|127\.|\[::1\])/.test(target.hostname)
  ) {
    return say(
      "mixed-content",
      "An https page cannot use an unencrypted gateway",
      `This page came over https, and ${target.host} is addressed without TLS.`,
      [
        `Use wss://${target.host} with a certificate the browser trusts (\`tls:\` in the gateway's configuration).`,
        `Or open the gateway's own page: ${http}`,
      ],
    );
  }
  if (target.protocol === "wss:" && foreign) {
    return say(
      "certificate",
      "No answer, perhaps because of its certificate",
      `${target.host} does not answer this page. A certificate the browser does not know (a self-signed one) looks the same to a page as a gateway that is switched off.`,
      [
        `Open ${http} in a new tab. If the browser warns of the certificate, compare its fingerprint with the one in the gateway's log, and go on; then come back and try again.`,
        "If that page does not open either, the gateway is not running, or this is not its address.",
        "For good: give the gateway a certificate that browsers trust (guide, section TLS).",
        ...allow,
      ],
    );
  }
  return say("unreachable", "The gateway does not answer", `Nothing answers at ${target.host}.`, [
    "Check that the gateway is running and that this device is on its network.",
    `Open ${http} in a new tab: what the browser says there is more than a page may know.`,
    ...allow,
  ]);
}

/**
 * HTTP is answered, the WebSocket is not. @param {LineError} failure @param {Facts} facts @returns
 * {Diagnosis}
 */
function notLetIn(failure, { page, foreign, http, target }) {
  if (failure.code === 4401 || /\b401\b/.test(failure.message)) {
    return say("login", "Not signed in", "The gateway is there, and wants to know who you are.", [
      foreign
        ? "Sign in at the gateway where this page offers it, or give the page a token or a one-time ticket; one that was used or has expired is a wrong one."
        : `Sign in at ${http}.`,
    ]);
  }
  if (typeof failure.code === "number") {
    return say(
      "refused",
      "The gateway refuses",
      `It is there and closed the connection with ${failure.code}: ${failure.message}.`,
      [],
    );
  }
  if (failure.code === "foreign") {
    return say(
      "foreign",
      "This is no gateway",
      `Something answers at ${target.host}, but it does not speak wsbridge.v1.`,
      ["Check address and port. Is there a reverse proxy that does not pass WebSockets on?"],
    );
  }
  if (foreign) {
    return say(
      "origin",
      "The gateway does not let this page in",
      `It answers, but refuses WebSockets of ${page?.origin}: pages of other origins have to be named in its configuration.`,
      [
        `Add it to the gateway's configuration and reload it:  origins: [ "${page?.origin}" ]`,
        "If it is there: is the endpoint's name right, and does this login have a right to it?",
      ],
    );
  }
  return say(
    "refused",
    "The gateway does not open this line",
    `It answers, but not at ${target.pathname}.`,
    [
      "Is the endpoint's name right, and does this login have a right to it?",
      "If a reverse proxy is in front of the gateway: does it pass WebSockets on (guide, section Behind a reverse proxy)?",
    ],
  );
}

/**
 * @param {Diagnosis["reason"]} reason @param {string} title @param {string} text @param {string[]}
 * steps @returns {Diagnosis}
 */
function say(reason, title, text, steps) {
  return { ok: reason === "ok", reason, title, text, steps, help: [text, ...steps].join(" ") };
}
