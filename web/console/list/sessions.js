// Who is connected, for those who may end sessions: a button below the lines, a list in a dialog,
// and a way to end each.

import { confirm, openDialog } from "../dialog.js";
import { directory } from "../directory.js";
import { h } from "../dom.js";
import { moment } from "../format.js";
import { ask } from "../session.js";

/** How often the list is refreshed while it is open, in ms. */
const EVERY = 3000;

/**
 * The button, shown if somebody has `takeover` on a line: { element, dispose() }. `failed(text)`
 * reports what went wrong.
 */
export function sessionsButton(failed) {
  const element = h(
    "button",
    { type: "button", class: "who-connected", hidden: true, onclick: () => openSessions(failed) },
    "Who is connected…",
  );
  const dispose = directory.on((all) => {
    element.hidden = ![...all.values()].some(({ rights }) => rights?.includes("takeover"));
  });
  return { element, dispose };
}

function openSessions(failed) {
  const rows = h("tbody");
  const none = h("p", { class: "note", hidden: true }, "Nobody is connected.");
  const head = h(
    "tr",
    {},
    ...["Line", "Who", "From", "Since", ""].map((text) => h("th", { scope: "col" }, text)),
  );
  const { closed } = openDialog({
    title: "Who is connected",
    body: [h("table", { class: "sessions" }, h("thead", {}, head), rows), none],
    wide: true,
  });
  const shown = new Map();

  function show({ sessions }) {
    const ids = new Set(sessions.map(({ id }) => id));
    for (const [id, row] of shown) if (!ids.has(id)) (row.remove(), shown.delete(id));
    for (const session of sessions)
      if (!shown.has(session.id)) shown.set(session.id, row(session, end));
    // Their elements stay, so that the focus is not lost to an update.
    for (const { id } of sessions) if (!shown.get(id).isConnected) rows.append(shown.get(id));
    none.hidden = sessions.length > 0;
  }
  const refresh = () =>
    ask("/api/sessions").then(show, (error) => failed(`who is connected: ${error.message}`));
  async function end({ id, user, endpoint }) {
    const sure = await confirm({
      title: "End this session?",
      text: `${user} is disconnected from ${endpoint}, and told so.`,
      ok: "End it",
      danger: true,
    });
    if (!sure) return;
    await ask(`/api/sessions/${id}/end`, {}).catch((error) =>
      failed(`the session of ${user}: ${error.message}`),
    );
    await refresh();
  }
  refresh();
  const timer = setInterval(refresh, EVERY);
  closed.then(() => clearInterval(timer));
}

function row(session, end) {
  const { endpoint, user, client, since, parked } = session;
  const button = h(
    "button",
    {
      type: "button",
      class: "danger",
      "aria-label": `End the session of ${user} on ${endpoint}`,
      onclick: () => end(session),
    },
    "End",
  );
  const from = parked ? `${client}, connection lost` : client;
  return h(
    "tr",
    {},
    h("td", {}, endpoint),
    h("td", {}, user),
    h("td", { class: "mono" }, from),
    h("td", {}, moment(Date.parse(since))),
    h("td", {}, button),
  );
}
