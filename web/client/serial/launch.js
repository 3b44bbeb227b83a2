// How a page without a token is let in: with a launch ticket, which it exchanges for a pass. The
// ticket is in the page's address, or comes from the gateway's window, which asks the user.

import { askAtGateway } from "./grant.js";

const KEY = "wsbridge.pass";
const MARK = "wsbridge-ticket=";

/**
 * @typedef {{ pass: string, until: number, endpoints: { name: string, title?: string }[] }} Pass
 */

/**
 * Takes the ticket out of the page's address: it is valid once, and nobody else should see it.
 */
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

/** This tab's pass for a gateway: from a ticket, kept over a reload, or none. */
export class Access {
  #gateway;
  #key;
  /** @type {Promise<Pass> | undefined} */
  #exchanged;

  /** @param {string} gateway its address, where the script came from */
  constructor(gateway) {
    this.#gateway = gateway;
    this.#key = new URL(gateway).origin === location.origin ? KEY : `${KEY} ${gateway}`;
    const ticket = takeTicket();
    if (ticket) this.#exchange(ticket);
  }

  /**
   * Called for each socket; undefined if there is no pass: then the page relies on the login at its
   * own origin, or on none.
   */
  bearer = async () => {
    const kept = this.#exchanged ? await this.#exchanged : undefined;
    return (kept && kept.until > Date.now() ? kept : this.#stored())?.pass;
  };

  /**
   * Has the gateway ask the user, in a window of its own; call it in a click. Returns whether the
   * page was let in.
   * @param {string[]} [endpoints] the lines the page wants; without them the user chooses
   */
  ask = async (endpoints = []) => {
    const ticket = await askAtGateway(this.#gateway, endpoints);
    if (ticket) await this.#exchange(ticket);
    return ticket !== undefined;
  };

  /** @param {string} ticket */
  #exchange(ticket) {
    const exchanged = exchange(this.#gateway, ticket).then((kept) => {
      try {
        sessionStorage.setItem(this.#key, JSON.stringify(kept));
      } catch {
        // Without storage a reload needs another ticket.
      }
      return kept;
    });
    this.#exchanged = exchanged;
    // Whoever needs it is told why there is none.
    exchanged.catch(() => {});
    return exchanged;
  }

  /** @returns {Pass | undefined} */
  #stored() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(this.#key) ?? "null");
      return kept && kept.until > Date.now() ? kept : undefined;
    } catch {
      return undefined;
    }
  }
}

/** @param {string} gateway @param {string} ticket @returns {Promise<Pass>} */
async function exchange(gateway, ticket) {
  const answer = await fetch(new URL("api/pass", gateway), {
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
  const until = typeof seconds === "number" ? Date.now() + seconds * 1000 : Number.MAX_SAFE_INTEGER;
  return { pass, until, endpoints };
}
