// Requests for access, for those who decide: who asks for what and why, Approve and Deny. Made for a
// phone first.

import { openDialog } from "../dialog.js";
import { h, say } from "../dom.js";
import { moment } from "../format.js";
import { ask } from "../session.js";
import { signInAnd } from "../signin/again.js";
import { inWords, timeField } from "./fields.js";

/** Opens the view; `changes` is a signal of news about requests. */
export function openDecide({ failed, changes }) {
  const cards = h("div", { class: "requests" });
  const none = h("p", { class: "note" }, "Nobody asks for anything.");
  const { closed } = openDialog({ title: "Requests for access", body: [none, cards] });
  const shown = new Map();

  function show({ requests }) {
    const open = requests.filter(({ decides }) => decides);
    const ids = new Set(open.map(({ id }) => id));
    for (const [id, card] of shown) if (!ids.has(id)) (card.remove(), shown.delete(id));
    for (const request of open) {
      // A card stays as it is, so that a tap does not hit another one.
      if (!shown.has(request.id)) shown.set(request.id, card(request, refresh));
      const element = shown.get(request.id);
      if (!element.isConnected) cards.append(element);
    }
    none.hidden = open.length > 0;
  }
  const refresh = () =>
    ask("/api/requests").then(show, (error) => failed(`requests: ${error.message}`));
  closed.then(changes(refresh));
  refresh();
}

function card(request, refresh) {
  const { id, by, endpoint, rights, seconds, reason, at, approved } = request;
  const time = timeField(seconds, seconds);
  const problem = h("p", { class: "problem", role: "alert" });
  const decide = async (what, body) => {
    say(problem, "");
    try {
      await ask(`/api/requests/${id}/${what}`, body);
      await refresh();
    } catch (error) {
      if (!signInAnd(error, () => decide(what, body))) say(problem, error.message);
    }
  };
  const yes = approved.length > 0 ? `, and ${approved.join(", ")} approves` : "";
  return h(
    "section",
    { class: "request", "aria-label": `Request of ${by} for ${endpoint}` },
    h("h3", {}, `${by} asks for ${endpoint}`),
    h("p", { class: "request-reason" }, reason),
    h("p", { class: "note" }, `To ${inWords(rights)}; asked ${moment(Date.parse(at))}${yes}`),
    h("label", { class: "field lend-field" }, "For", time.element),
    problem,
    h(
      "div",
      { class: "dialog-actions" },
      h("button", { type: "button", onclick: () => decide("deny", {}) }, "Deny"),
      h(
        "button",
        {
          type: "button",
          class: "primary",
          onclick: () => decide("approve", { seconds: time.seconds() }),
        },
        "Approve",
      ),
    ),
  );
}
