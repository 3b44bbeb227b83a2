// How a hosted tool gets in: the ticket that the gateway's page put into its address, exchanged for a pass.

const KEY = "wsbridge.pass";
const MARK = "wsbridge-ticket=";

/** @typedef {{ pass: string, until: number, endpoints: { name: string, title?: string, usb?: { vid: number, pid: number } }[] }} Pass */

/** Takes the ticket out of the page's address: it is good for one use, and nobody else shall see it. */
export function takeTicket() {
  const parts = location.hash.slice(1).split("&");
  const ticket = parts.find((part) => part.startsWith(MARK))?.slice(MARK.length);
  if (!ticket) return undefined;
  const rest = parts.filter((part) => !part.startsWith(MARK)).join("&");
  history.replaceState(
    history.state,
    "",
    `${location.pathname}${location.search}${rest ? `#${rest}` : ""}`,
  );
  return decodeURIComponent(ticket);
}

/**
 * The pass of this tab: from the ticket, or of before a reload. Gives a function that gives it to each socket, or undefined where
 * there is neither: then the page stands on its own origin's login, or on none.
 * @param {string} origin the gateway's
 * @returns {(() => Promise<string>) | undefined}
 */
export function pass(origin) {
  const ticket = takeTicket();
  /** @type {Promise<Pass> | undefined} */
  let exchanged;
  if (ticket) exchanged = exchange(origin, ticket);
  // Whoever needs it hears why there is none.
  exchanged?.catch(() => {});
  if (!exchanged && !stored()) return undefined;
  return async () => {
    const kept = exchanged ? await exchanged : stored();
    if (!kept)
      throw new Error(
        "The pass of this tab has ended. Open the tool from the gateway's page again.",
      );
    return kept.pass;
  };
}

/** @param {string} origin @param {string} ticket @returns {Promise<Pass>} */
async function exchange(origin, ticket) {
  const answer = await fetch(new URL("/api/pass", origin), {
    method: "POST",
    credentials: "omit",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ticket }),
  });
  if (!answer.ok) {
    const why = (await answer.text()).trim();
    throw new Error(
      `The gateway did not take this page's ticket (${why || answer.status}). Open the tool from the gateway's page again.`,
    );
  }
  const { pass, expires_in: seconds, endpoints = [] } = await answer.json();
  const kept = {
    pass,
    until: typeof seconds === "number" ? Date.now() + seconds * 1000 : Number.MAX_SAFE_INTEGER,
    endpoints,
  };
  try {
    sessionStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // Without storage a reload needs another ticket.
  }
  return kept;
}

/** @returns {Pass | undefined} */
function stored() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
    return kept && kept.until > Date.now() ? kept : undefined;
  } catch {
    return undefined;
  }
}
