// Sessions, for those who watch over them: a button below the lines, a list in a dialog, and what
// can be done to each.

import { openDialog } from "../dialog.js";
import { directory } from "../directory.js";
import { h, say } from "../dom.js";
import { byteCount, moment } from "../format.js";
import { ask } from "../session.js";

/** How often the list is refreshed while it is open, in ms. */
const EVERY = 3000;

/** The longest reason and the longest message that the gateway takes, in characters. */
const REASON_MOST = 80;
const TEXT_MOST = 500;

/** The names of the lines on which this user has one of these rights. */
function linesWith(...wanted) {
  const all = [...(directory.value?.values() ?? [])];
  return all
    .filter(({ rights }) => wanted.some((right) => rights?.includes(right)))
    .map(({ name }) => name);
}

/**
 * The button, shown if somebody has `sessions` or `takeover` on a line: { element, dispose() }.
 * `failed(text)` reports what went wrong.
 */
export function sessionsButton(failed) {
  const element = h(
    "button",
    { type: "button", class: "who-connected", hidden: true, onclick: () => openSessions(failed) },
    "Sessions…",
  );
  const dispose = directory.on((all) => {
    element.hidden = ![...all.values()].some(
      ({ rights }) => rights?.includes("sessions") || rights?.includes("takeover"),
    );
  });
  return { element, dispose };
}

function openSessions(failed) {
  const rows = h("tbody");
  const none = h("p", { class: "note", hidden: true }, "Nobody is connected.");
  const head = h(
    "tr",
    {},
    ...["Line", "Who", "From", "Since", "Now"].map((text) => h("th", { scope: "col" }, text)),
    h("td"),
  );
  const moderated = new Set(linesWith("sessions"));
  const message =
    moderated.size > 0 &&
    h(
      "div",
      { class: "dialog-actions" },
      h(
        "button",
        { type: "button", onclick: () => sendMessage([...moderated], failed) },
        "Message to a line…",
      ),
    );
  const { closed } = openDialog({
    title: "Sessions",
    body: [h("table", { class: "sessions" }, h("thead", {}, head), rows), none, message],
    wide: true,
  });
  const shown = new Map();

  function show({ sessions }) {
    const ids = new Set(sessions.map(({ id }) => id));
    for (const [id, row] of shown) if (!ids.has(id)) (row.element.remove(), shown.delete(id));
    for (const session of sessions) {
      if (!shown.has(session.id))
        shown.set(session.id, row(session, { end, hold: moderated.has(session.endpoint) && hold }));
      shown.get(session.id).update(session);
    }
    // Their elements stay, so that the focus is not lost to an update.
    for (const { id } of sessions) {
      const { element } = shown.get(id);
      if (!element.isConnected) rows.append(element);
    }
    none.hidden = sessions.length > 0;
  }
  const refresh = () =>
    ask("/api/sessions").then(show, (error) => failed(`sessions: ${error.message}`));
  const act = async ({ id, user }, what, body) => {
    await ask(`/api/sessions/${id}/${what}`, body).catch((error) =>
      failed(`the session of ${user}: ${error.message}`),
    );
    await refresh();
  };
  async function end(session) {
    const reason = await askText({
      title: "End this session?",
      text: `${session.user} is disconnected from ${session.endpoint}, and told so.`,
      label: "Why (they see it)",
      most: REASON_MOST,
      ok: "End it",
      danger: true,
      optional: true,
    });
    if (reason !== undefined) await act(session, "end", reason ? { reason } : {});
  }
  const hold = (session, held) => act(session, "hold", { held });
  refresh();
  const timer = setInterval(refresh, EVERY);
  closed.then(() => clearInterval(timer));
}

/** What a session does now, in a word. */
function doing({ held, lease, parked }) {
  const part = held ? "held: reads only" : lease ? "writes" : lease === false ? "reads" : "";
  return parked ? [part, "connection lost"].filter(Boolean).join(", ") : part;
}

/** A session's row: { element, update(session) }. `hold` is false where the user may not. */
function row(session, { end, hold }) {
  const { endpoint, user, client, door, since } = session;
  let latest = session;
  const now = h("td", {});
  const holding =
    hold &&
    h(
      "button",
      {
        type: "button",
        onclick: () => hold(latest, !latest.held),
      },
      "",
    );
  const ending = h(
    "button",
    {
      type: "button",
      class: "danger",
      "aria-label": `End the session of ${user} on ${endpoint}`,
      onclick: () => end(latest),
    },
    "End",
  );
  const element = h(
    "tr",
    {},
    h("td", {}, endpoint),
    h("td", {}, user),
    h("td", { class: "mono" }, door ? `${client} (${door})` : client),
    h("td", {}, moment(Date.parse(since))),
    now,
    h("td", {}, holding, " ", ending),
  );
  function update(next) {
    latest = next;
    say(now, doing(next));
    now.title = `${byteCount(next.to_client)} read, ${byteCount(next.to_target)} written`;
    if (!holding) return;
    say(holding, next.held ? "Let go" : "Hold");
    holding.setAttribute(
      "aria-label",
      next.held
        ? `Let go of the session of ${user} on ${endpoint}: it may write again`
        : `Hold the session of ${user} on ${endpoint}: it reads only`,
    );
  }
  return { element, update };
}

/** Asks for a line and a message, and sends it to everybody there. */
async function sendMessage(lines, failed) {
  const line = h(
    "select",
    { "aria-label": "Line" },
    lines.map((name) => h("option", { value: name }, name)),
  );
  const text = await askText({
    title: "Message to a line",
    text: "Everybody who has the line open in the console sees it.",
    before: line,
    label: "Message",
    most: TEXT_MOST,
    ok: "Send",
  });
  if (!text) return;
  await ask(`/api/endpoints/${encodeURIComponent(line.value)}/say`, { text }).catch((error) =>
    failed(`the message to ${line.value}: ${error.message}`),
  );
}

/**
 * Asks for one line of text; undefined if it was given up.
 * @param {{ title: string, text: string, label: string, most: number, ok: string, before?: any,
 *   danger?: boolean, optional?: boolean }} question
 */
async function askText(question) {
  const { title, text, before, label, most, ok, danger = false, optional = false } = question;
  const input = h("input", { type: "text", size: 40, maxlength: most, required: !optional });
  const dialog = openDialog({
    title,
    body: h(
      "form",
      {
        method: "dialog",
        onsubmit: (event) => (event.preventDefault(), dialog.close(input.value.trim())),
      },
      h("p", {}, text),
      before,
      h("label", { class: "field" }, h("span", {}, label), input),
      h(
        "div",
        { class: "dialog-actions" },
        h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
        h("button", { type: "submit", class: danger ? "danger" : "primary" }, ok),
      ),
    ),
  });
  input.focus();
  return dialog.closed;
}
