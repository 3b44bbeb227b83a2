// Recordings, for those who may see them: a button below the lines, a list, and for each file Play
// and Save.

import { openDialog } from "../dialog.js";
import { directory } from "../directory.js";
import { h } from "../dom.js";
import { moment, size } from "../format.js";
import { ask, here } from "../session.js";
import { openPlayer } from "./player.js";

/**
 * The button, shown if somebody has `recordings` on a line: { element, dispose() }. `failed(text)`
 * reports what went wrong.
 */
export function recordingsButton(failed) {
  const element = h(
    "button",
    { type: "button", class: "who-connected", hidden: true, onclick: () => open(failed) },
    "Recordings…",
  );
  const dispose = directory.on((all) => {
    element.hidden = ![...all.values()].some(({ rights }) => rights?.includes("recordings"));
  });
  return { element, dispose };
}

const address = ({ endpoint, name }) =>
  `/api/recordings/${encodeURIComponent(endpoint)}/${encodeURIComponent(name)}`;

async function open(failed) {
  const rows = h("tbody");
  const none = h("p", { class: "note", hidden: true }, "Nothing is recorded here.");
  openDialog({
    title: "Recordings",
    body: [
      h(
        "table",
        { class: "sessions" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ...["Line", "Until", "Size"].map((text) => h("th", { scope: "col" }, text)),
            h("td"),
          ),
        ),
        rows,
      ),
      none,
    ],
    wide: true,
  });
  try {
    const { recordings } = await ask("/api/recordings");
    rows.replaceChildren(...recordings.reverse().map((one) => row(one, failed)));
    none.hidden = recordings.length > 0;
  } catch (error) {
    failed(`recordings: ${error.message}`);
  }
}

function row(one, failed) {
  const { endpoint, name, format, bytes, changed, open: runs } = one;
  const play = h(
    "button",
    {
      type: "button",
      "aria-label": `Play ${name} of ${endpoint}`,
      onclick: () => start(one, failed),
    },
    "Play",
  );
  const save = h(
    "a",
    {
      class: "button",
      href: here(address(one)).href,
      download: `${endpoint}-${name}`,
      "aria-label": `Save ${name} of ${endpoint}`,
    },
    "Save",
  );
  return h(
    "tr",
    { title: name },
    h("td", {}, endpoint),
    h("td", {}, runs ? "now" : moment(Date.parse(changed))),
    h("td", {}, size(bytes)),
    h("td", {}, format === "raw" ? "" : play, " ", save),
  );
}

async function start(one, failed) {
  try {
    const url = here(address(one));
    if (one.format !== "cast") url.searchParams.set("format", "cast");
    const answer = await fetch(url, { credentials: "same-origin", cache: "no-store" });
    const text = await answer.text();
    if (!answer.ok) throw new Error(text.split("\n", 1)[0] || `HTTP ${answer.status}`);
    openPlayer(`${one.endpoint}, ${one.name}`, text);
  } catch (error) {
    failed(`${one.name}: ${error.message}`);
  }
}
