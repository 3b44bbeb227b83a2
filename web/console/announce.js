// Tells screen readers what happened elsewhere on the page.

import { h } from "./dom.js";

const polite = h("div", { class: "unseen", role: "status", "aria-live": "polite" });
const urgent = h("div", { class: "unseen", role: "alert", "aria-live": "assertive" });

/** Puts the live regions into the page; they must be there before they speak. */
export function installAnnouncer() {
  document.body.append(polite, urgent);
}

/** Says `text`; `now` interrupts whatever is being read. */
export function announce(text, now = false) {
  const region = now ? urgent : polite;
  // The same words twice are two events: a new element makes them heard again.
  region.replaceChildren(h("p", {}, text));
}
