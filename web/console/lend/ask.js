// Ask for access: a form, and what became of it.

import { openDialog } from "../dialog.js";
import { h } from "../dom.js";
import { ask } from "../session.js";
import { RIGHTS, inWords, lasting, lines } from "./fields.js";
import { accessForm } from "./form.js";

const STATES = {
  pending: "is being decided",
  approved: "approved",
  denied: "denied",
  expired: "nobody decided in time",
  withdrawn: "taken back",
};

/** Whether there is anything on a line that somebody could ask for. */
export const lacks = ({ rights }) =>
  rights?.includes("read") && RIGHTS.slice(0, 3).some(([right]) => !rights.includes(right));

/** Opens the view, with this line chosen; `changes` is a signal of news about requests. */
export function openAsk(chosen, { failed, changes }) {
  const asked = h("div", { role: "status" });
  const form = accessForm({
    all: lines(lacks),
    chosen,
    seconds: 3600,
    offers: (right, own) => !own.includes(right),
    why: "Why",
    verb: "Ask",
    send: (what) => ask("/api/requests", what),
    sent: () => refresh(),
  });
  const { closed } = openDialog({
    title: "Ask for access",
    body: [
      h("p", { class: "note" }, "Whoever may decide sees it at once. This page goes on by itself."),
      form,
      asked,
    ],
  });

  const refresh = () =>
    ask("/api/requests").then(
      ({ requests }) =>
        asked.replaceChildren(
          ...requests
            .filter(({ own }) => own)
            .slice(0, 5)
            .map((request) => h("p", {}, told(request))),
        ),
      (error) => failed(`your requests: ${error.message}`),
    );
  closed.then(changes(refresh));
  refresh();
}

function told({ endpoint, rights, seconds, state, answer }) {
  const what = `${endpoint}: ${inWords(rights)}, ${lasting(seconds)}`;
  return `${what}: ${STATES[state] ?? state}${answer ? ` (${answer})` : ""}`;
}
