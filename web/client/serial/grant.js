// The gateway's own window, which asks the user whether this page may use lines. Passwords are
// typed only there; this page gets a ticket that is valid once, for this page, and for a few
// seconds.

const LOOK = "popup,width=480,height=720";

/** How often we check whether the window was closed, in ms. */
const CLOSED = 300;

/**
 * Opens the window; call it in a click, or the browser blocks it. Returns the ticket, or undefined
 * if the user said no or closed the window.
 * @param {string} gateway its address @param {string[]} endpoints @returns {Promise<string |
 *   undefined>}
 */
export function askAtGateway(gateway, endpoints) {
  const { origin } = new URL(gateway);
  const opened = window.open(new URL("grant", gateway), "wsbridge-grant", LOOK);
  if (!opened)
    throw new Error("The browser blocked the gateway's window: allow pop-ups for this page.");
  return new Promise((done) => {
    const end = (/** @type {string | undefined} */ ticket) => {
      removeEventListener("message", heard);
      clearInterval(watch);
      done(ticket);
    };
    const heard = (/** @type {MessageEvent} */ event) => {
      // Only from that window, and only while it shows the gateway.
      if (event.source !== opened || event.origin !== origin) return;
      const { type, ticket } = event.data ?? {};
      if (type === "wsbridge.ready")
        opened.postMessage({ type: "wsbridge.ask", endpoints }, origin);
      else if (type === "wsbridge.granted") end(String(ticket));
      else if (type === "wsbridge.denied") end(undefined);
    };
    addEventListener("message", heard);
    const watch = setInterval(() => opened.closed && end(undefined), CLOSED);
  });
}
