// The page in a frame on another site: one line, opened with the ticket that the site's server
// asked the gateway for. No list, no sign-in.

import { access } from "./access.js";
import { h, icon } from "./dom.js";
import { pane as makePane } from "./pane/pane.js";
import { ask, session } from "./session.js";

/** Whether this is that page. */
export const embedded = /\/embed$/.test(location.pathname);

const NEW_LINK = "Ask the page for a new link: reload the page around this frame.";

/** Shows the line that the page's address names, or why there is none. */
export async function embed(place) {
  document.documentElement.classList.add("embed");
  const ticket = takeTicket();
  const said = new URLSearchParams(location.search);
  const [endpoint, ancestor] = ["line", "ancestor"].map((name) => said.get(name) ?? "");
  const wrong = misplaced(ancestor) ?? (ticket ? undefined : "Its link was used before.");
  if (wrong) return place.replaceChildren(card(wrong));
  try {
    const { pass } = await ask("/api/pass", { ticket, endpoint, ancestor });
    access.bearer = () => pass;
  } catch (error) {
    const why = error.status === 401 ? "Its link was used before, or is too old." : error.message;
    return place.replaceChildren(card(why));
  }
  // Whose rights these are is up to the page around the frame.
  session.set({ phase: "in", kind: "frame" });
  const pane = makePane(endpoint, { close: () => {} });
  place.replaceChildren(h("main", { class: "workspace", id: "main" }, pane.element));
  document.title = `${endpoint} · wsbridge`;
  pane.start();
}

/** The ticket after the `#`, which is valid once: nobody else should see it. */
function takeTicket() {
  const ticket = /^#ticket=([\w-]+)$/.exec(location.hash)?.[1];
  history.replaceState(history.state, "", location.pathname + location.search);
  return ticket;
}

/**
 * Why the line may not be shown here. The browser enforces that by the policy the page came with;
 * if it tells who is around the frame, we say so in words.
 */
function misplaced(ancestor) {
  if (globalThis.top === globalThis.self) return "This page is shown in a frame alone.";
  const around = location.ancestorOrigins?.[0];
  return around === undefined || around === ancestor
    ? undefined
    : `Its link is for ${ancestor}, and this page is of ${around}.`;
}

function card(why) {
  return h(
    "main",
    { class: "signin", id: "main" },
    h(
      "div",
      { class: "signin-card", role: "alert" },
      icon("plug"),
      h("h1", {}, "No line here"),
      h("p", {}, why),
      h("p", { class: "note" }, NEW_LINK),
    ),
  );
}
