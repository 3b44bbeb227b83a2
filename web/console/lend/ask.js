// Ask for access: a form, and what became of it.

import { openDialog } from "../dialog.js";
import { h, say } from "../dom.js";
import { ask } from "../session.js";
import {
  RIGHTS,
  field,
  inWords,
  lasting,
  lineField,
  lines,
  reasonField,
  rightsField,
  timeField,
} from "./fields.js";

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
  const all = lines(lacks);
  const line = lineField(all, chosen);
  const time = timeField(3600);
  const rights = rightsField();
  const reason = reasonField();
  const problem = h("p", { class: "problem", role: "alert" });
  const asked = h("div", { role: "status" });
  const offer = () => {
    const own = all.find(({ name }) => name === line.value)?.rights ?? [];
    rights.offer((right) => !own.includes(right));
  };
  line.addEventListener("change", offer);
  offer();
  const { closed } = openDialog({
    title: "Ask for access",
    body: [
      h("p", { class: "note" }, "Whoever may decide sees it at once. This page goes on by itself."),
      h(
        "form",
        { class: "lend", onsubmit: submit },
        field("Line", line),
        rights.element,
        field("For", time.element),
        field("Why", reason),
        problem,
        h(
          "div",
          { class: "dialog-actions" },
          h("button", { type: "submit", class: "primary" }, "Ask"),
        ),
      ),
      asked,
    ],
  });

  async function submit(event) {
    event.preventDefault();
    say(problem, "");
    try {
      await ask("/api/requests", {
        endpoint: line.value,
        rights: rights.chosen(),
        seconds: time.seconds(),
        reason: reason.value,
      });
      reason.value = "";
      await refresh();
    } catch (error) {
      say(problem, error.message);
    }
  }
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
