// Lend access: a form that makes a link, and what is lent now.

import { openDialog } from "../dialog.js";
import { h, say } from "../dom.js";
import { moment } from "../format.js";
import { ask } from "../session.js";
import { inWords, lines } from "./fields.js";
import { accessForm } from "./form.js";

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
  const made = h("div", { class: "lend-made", role: "status" });
  const rows = h("tbody");
  const form = accessForm({
    all: lines(({ rights }) => rights?.includes("grant")),
    seconds: 2 * 3600,
    offers: (right, own) => own.includes(right),
    why: "Why (they see it)",
    verb: "Make a link",
    send: (what) => ask("/api/grants", what),
    sent(grant) {
      made.replaceChildren(link(grant));
      return refresh();
    },
  });
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
