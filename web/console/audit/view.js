// The record: who did what and when, the newest first; what is looked for; and whether all of it is
// as it was written.

import "./audit.css";
import { openDialog } from "../dialog.js";
import { directory } from "../directory.js";
import { h, say } from "../dom.js";
import { clock, moment } from "../format.js";
import { ask, here } from "../session.js";
import { KINDS, name, sentence } from "./words.js";

/** How many pages without a line that fits are passed before the next click, of 4 MiB each. */
const EMPTY_PAGES = 5;

/** Opens it. `failed(text)` reports what went wrong. */
export async function openAudit(failed) {
  const state = h("p", { class: "audit-state", role: "status" }, "Looking whether it is whole…");
  const list = h("ul", { class: "audit-lines" });
  const reached = h("p", { class: "note", role: "status" });
  const older = h("button", { type: "button", hidden: true, onclick: () => more() }, "Load older");
  const save = h(
    "a",
    { class: "button", hidden: true, href: here("/api/audit/record.tar").href, download: "" },
    "Save the record",
  );
  const filter = filters(() => show());
  const { closed } = openDialog({
    title: "Who did what",
    body: [
      state,
      filter.element,
      list,
      reached,
      h("div", { class: "dialog-actions" }, save, older),
    ],
    wide: true,
    class: "audit",
  });
  let turn = 0; // what was asked before the last change of the filter is not shown
  let next;

  function show() {
    next = undefined;
    list.replaceChildren();
    void more();
  }

  async function more() {
    const mine = (turn += 1);
    older.hidden = true;
    say(reached, "Reading…");
    try {
      let page;
      let pages = 0;
      do {
        page = await ask(`/api/audit?${filter.query(next)}`);
        if (mine !== turn) return;
        next = page.older;
        pages += 1;
      } while (page.lines.length === 0 && next && pages < EMPTY_PAGES);
      list.append(...page.lines.map(row));
      older.hidden = !next;
      save.hidden = !page.whole;
      say(reached, ending(page, list.childElementCount));
    } catch (error) {
      if (mine !== turn) return;
      if (error.status === 404)
        say(
          reached,
          "No record is kept here. It begins with the key “audit” in the configuration.",
        );
      else (say(reached, ""), failed(`audit: ${error.message}`));
    }
  }

  show();
  const found = await ask("/api/audit/verify").catch(() => undefined);
  tell(state, found);
  await closed;
  turn = -1;
}

function ending({ older, reached }, count) {
  const back = reached ? ` Looked back to ${moment(Date.parse(reached))}.` : "";
  if (older) return count > 0 ? "" : `Nothing that fits.${back}`;
  return count > 0 ? "That is the oldest that is kept." : "Nothing that fits.";
}

/** Says whether the record is whole. */
function tell(state, found) {
  if (!found) return state.remove();
  const { whole, why, end, signed, lost } = found;
  state.classList.add(whole ? "good" : "bad");
  if (!whole) return say(state, `The record was changed: ${why}`);
  const all = `The record is whole: ${end} lines.`;
  const proved =
    signed === 0
      ? "None of them is signed so far."
      : signed >= end
        ? "All of them are signed."
        : `Signed up to line ${signed - 1}; the ${end - signed} after it follow at the next checkpoint.`;
  say(state, [all, proved, lost > 0 ? `${lost} events could not be recorded.` : ""].join(" "));
  state.title = found.checkpoint ?? "";
}

/** What is looked for: { element, query(before) }. `changed()` is called when that is another. */
function filters(changed) {
  const select = (label, options) =>
    h(
      "select",
      { "aria-label": label, onchange: changed },
      options.map(([text, value]) => h("option", { value }, text)),
    );
  const lines = [...(directory.value?.values() ?? [])].filter(({ rights }) =>
    rights?.includes("sessions"),
  );
  const line = select("Line", [["All lines", ""], ...lines.map(({ name }) => [name, name])]);
  const what = select("What", [["Everything", ""], ...KINDS]);
  const who = h("input", {
    type: "search",
    placeholder: "Who",
    "aria-label": "Who",
    onchange: changed,
  });
  const day = (label) => h("input", { type: "date", "aria-label": label, onchange: changed });
  const [from, to] = [day("From this day"), day("To this day")];
  /** A day of this browser begins at its own midnight. */
  const midnight = ({ value }, days) => {
    if (!value) return undefined;
    const date = new Date(`${value}T00:00:00`);
    date.setDate(date.getDate() + days);
    return date.toISOString();
  };
  return {
    element: h(
      "form",
      { class: "audit-filter", onsubmit: (event) => (event.preventDefault(), changed()) },
      line,
      what,
      who,
      h("label", {}, "from ", from),
      h("label", {}, "to ", to),
    ),
    query(before) {
      const wanted = {
        endpoint: line.value,
        ev: what.value,
        who: who.value.trim(),
        from: midnight(from, 0),
        to: midnight(to, 1),
        before,
      };
      return new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
    },
  };
}

/** A line: the sentence, and all that is known when it is opened. */
function row(line) {
  const { n, t, ep, ev } = line;
  const ms = Date.parse(t);
  const at = moment(ms);
  const time = at.length > 5 ? `${at}:${clock(ms).slice(-2)}` : clock(ms);
  const facts = h("dl", { class: "audit-facts" });
  const details = h(
    "details",
    {
      ontoggle: () => facts.childElementCount === 0 && facts.append(...known(line)),
    },
    h(
      "summary",
      {},
      h("span", { class: "mono" }, time),
      ep && h("span", { class: "audit-line" }, ep),
      h(
        "span",
        { class: `audit-told ${ev === "refused" || ev === "lost" ? "bad" : ""}` },
        sentence(line),
      ),
    ),
    facts,
  );
  return h("li", { "data-n": n }, details);
}

/** Everything a line says. */
function known({ n, t, ev, who, peer, ep, sid, detail = {} }) {
  const facts = [
    ["Number", n],
    ["Time (UTC)", t],
    ["Event", ev],
    ["Who", who && `${name(who)} (${who})`],
    ["From", peer],
    ["Line", ep],
    ["Session", sid],
    ...Object.entries(detail),
  ];
  return facts
    .filter(([, value]) => value !== undefined && value !== null && value !== "")
    .flatMap(([key, value]) => [
      h("dt", {}, key.replaceAll("_", " ")),
      h("dd", { class: "mono" }, typeof value === "object" ? JSON.stringify(value) : String(value)),
    ]);
}
