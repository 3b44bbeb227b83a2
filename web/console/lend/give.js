// Lend access: a form that makes a link, and what is lent now.

import { openDialog } from "../dialog.js";
import { h, say } from "../dom.js";
import { moment } from "../format.js";
import { ask } from "../session.js";
import { signInAnd } from "../signin/again.js";
import { field, inWords, lineField, lines, reasonField, rightsField, timeField } from "./fields.js";

const STATES = {
  open: "can be used",
  waiting: "begins later",
  used: "in use",
  ended: "ended",
  revoked: "taken back",
  giver_lost_right: "ended: who lent it may not any more",
};

/** Opens the view; `failed(text)` reports what went wrong. */
export function openLend(failed) {
  const mine = lines(({ rights }) => rights?.includes("grant"));
  const line = lineField(mine);
  const time = timeField(2 * 3600);
  const rights = rightsField();
  const reason = reasonField();
  const problem = h("p", { class: "problem", role: "alert" });
  const made = h("div", { class: "lend-made", role: "status" });
  const rows = h("tbody");
  const offer = () => {
    const own = mine.find(({ name }) => name === line.value)?.rights ?? [];
    rights.offer((right) => own.includes(right));
  };
  line.addEventListener("change", offer);
  offer();
  const form = h(
    "form",
    { class: "lend", onsubmit: submit },
    field("Line", line),
    rights.element,
    field("For", time.element),
    field("Why (they see it)", reason),
    problem,
    h(
      "div",
      { class: "dialog-actions" },
      h("button", { type: "submit", class: "primary" }, "Make a link"),
    ),
  );
  openDialog({
    title: "Lend access",
    body: [
      h(
        "p",
        { class: "note" },
        "Whoever has the link has the access, until its time is over or you take it back. Send it by a way that you trust.",
      ),
      form,
      made,
      h(
        "table",
        { class: "sessions lent" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ...["Line", "What", "To", "Until", "Now"].map((text) =>
              h("th", { scope: "col" }, text),
            ),
            h("td"),
          ),
        ),
        rows,
      ),
    ],
    wide: true,
  });

  async function submit(event) {
    event?.preventDefault();
    say(problem, "");
    try {
      const grant = await ask("/api/grants", {
        endpoint: line.value,
        rights: rights.chosen(),
        seconds: time.seconds(),
        reason: reason.value,
      });
      made.replaceChildren(link(grant));
      reason.value = "";
      await refresh();
    } catch (error) {
      if (!signInAnd(error, submit)) say(problem, error.message);
    }
  }

  const refresh = () =>
    ask("/api/grants").then(
      ({ grants }) => rows.replaceChildren(...grants.map((grant) => row(grant, end))),
      (error) => failed(`lent access: ${error.message}`),
    );
  async function end(grant) {
    await ask(`/api/grants/${grant.id}/revoke`, {}).catch((error) =>
      failed(`${grant.id}: ${error.message}`),
    );
    await refresh();
  }
  refresh();
}

function link({ link: text, id }) {
  const shown = h("input", { type: "text", readonly: true, value: text, "aria-label": "The link" });
  const copy = h(
    "button",
    {
      type: "button",
      onclick: async () => {
        shown.select();
        try {
          await navigator.clipboard.writeText(text);
        } catch {
          document.execCommand("copy");
        }
        say(copy, "Copied");
      },
    },
    "Copy",
  );
  return h(
    "div",
    {},
    h("p", {}, `The link of ${id}. It is shown this once.`),
    h("div", { class: "with-button" }, shown, copy),
  );
}

function row(grant, end) {
  const { endpoint, rights, until, to, state, uses_left: left, reason } = grant;
  const over = ["ended", "revoked", "giver_lost_right"].includes(state);
  const button = h(
    "button",
    {
      type: "button",
      class: "danger",
      "aria-label": `Take back ${grant.id} on ${endpoint}`,
      onclick: () => end(grant),
    },
    "Take back",
  );
  return h(
    "tr",
    { title: reason },
    h("td", {}, endpoint),
    h("td", {}, inWords(rights)),
    h("td", {}, to ?? (left ? "whoever has the link" : "who used the link")),
    h("td", {}, moment(Date.parse(until))),
    h("td", {}, STATES[state] ?? state),
    h("td", {}, over ? "" : button),
  );
}
