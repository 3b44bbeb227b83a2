// The list of lines, live: in groups if there are many, with a filter; and the apps that work with
// them.

import { advice, isEmpty } from "./advice.js";
import { announce } from "./announce.js";
import { busState, directory } from "./directory.js";
import { h, say } from "./dom.js";
import { kindName } from "./format.js";
import { appList } from "./list/apps.js";
import { fits, groups } from "./list/groups.js";
import { rowKeeper } from "./list/rows.js";
import { auditButton } from "./audit/button.js";
import { recordingsButton } from "./recordings/list.js";
import { sessionsButton } from "./list/sessions.js";
import { lendButtons } from "./lend/buttons.js";
import { minutes } from "./rates.js";
import { beside, go, route } from "./route.js";
import { session } from "./session.js";
import { undoing } from "./store.js";

/** From this many lines on, a row is a single line of text. */
const COMPACT = 21;

/**
 * The list: { element, focus(), dispose() }. `chosen()` is called when the user opens something;
 * `failed(text)` reports what went wrong.
 */
export function endpointList({ chosen, failed }) {
  const undo = undoing();
  const filter = h("input", {
    type: "search",
    placeholder: "Filter",
    "aria-label": "Filter the lines",
    autocomplete: "off",
    spellcheck: "false",
  });
  const count = h("span", { class: "note" });
  const places = h("div", { class: "groups" });
  const none = h("p", { class: "note no-lines", hidden: true });
  const empty = advice(); // on a phone, where the list is a page
  const bus = h("p", { class: "bus", role: "status", hidden: true });
  const apps = appList(failed);
  const connected = sessionsButton(failed);
  const lend = lendButtons(failed);
  const recordings = recordingsButton(failed);
  const audit = auditButton(failed);
  const head = h(
    "div",
    { class: "list-head" },
    h("h2", { class: "side-title" }, "Lines ", count),
    filter,
  );
  const element = h(
    "nav",
    { class: "list", "aria-label": "Lines and apps", id: "list" },
    head,
    bus,
    places,
    none,
    empty.element,
    apps.element,
    connected.element,
    lend.element,
    recordings.element,
    audit.element,
  );
  const rows = rowKeeper(places, chosen);

  function show() {
    const all = [...directory.value.values()];
    const words = filter.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const wanted =
      words.length > 0
        ? all.filter((endpoint) => fits(endpoint, words, kindName(endpoint.kind)))
        : all;
    element.classList.toggle("compact", all.length >= COMPACT);
    rows.show(groups(wanted), words.length > 0);
    const some = words.length > 0 ? `${wanted.length} of ${all.length}` : String(all.length);
    say(count, all.length >= COMPACT ? some : "");
    none.hidden = wanted.length > 0;
    say(none, whyNone(all.length));
  }

  filter.addEventListener("input", () => {
    show();
    announce(`${rows.count} of ${directory.value.size} lines`);
  });
  undo.listen(element, "keydown", (event) => keys(event, { filter, links: rows.links(), chosen }));
  undo.add(
    connected.dispose,
    lend.dispose,
    recordings.dispose,
    audit.dispose,
    empty.dispose,
    directory.on(show),
    route.on(() => rows.mark()),
    session.on((value) => apps.show(value)),
    minutes.onTick(() => document.visibilityState === "visible" && rows.tick()),
    busState.on(({ phase, reason }) => {
      element.classList.toggle("stale", phase === "lost");
      bus.hidden = phase !== "lost";
      const why = reason ? `: ${reason}` : "";
      const lost = `No connection to the gateway${why}. How the lines are is not known now.`;
      say(bus, bus.hidden ? "" : lost);
      if (phase === "up") show();
    }),
  );
  return { element, focus: () => filter.focus(), dispose: () => undo.undo() };
}

/** Why no row is shown, given that there are `count` lines. */
function whyNone(count) {
  if (isEmpty()) return "No lines.";
  return count === 0 ? "Asking the gateway…" : "No line fits the filter.";
}

/**
 * Up and down go through the rows, starting from the filter; Enter in the filter opens the first;
 * typing on a row continues in the filter.
 */
function keys(event, { filter, links, chosen }) {
  const at = links.indexOf(document.activeElement);
  const inFilter = document.activeElement === filter;
  if (!inFilter && at < 0) return;
  const open = (link) => {
    const name = link.getAttribute("href").slice(2);
    (event.ctrlKey || event.metaKey ? beside : (one) => go([one]))(name);
    chosen();
  };
  if (inFilter && event.key === "Enter" && links.length > 0) open(links[0]);
  else if (inFilter && event.key === "Escape" && filter.value !== "")
    ((filter.value = ""), filter.dispatchEvent(new Event("input")));
  else if (
    at >= 0 &&
    event.key.length === 1 &&
    event.key !== " " &&
    !event.ctrlKey &&
    !event.altKey &&
    !event.metaKey
  ) {
    filter.focus();
    filter.value += event.key;
    filter.dispatchEvent(new Event("input"));
  } else {
    const next = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      Home: at < 0 ? NaN : 0,
      End: at < 0 ? NaN : links.length - 1,
    }[event.key];
    if (next === undefined || Number.isNaN(next)) return;
    if (next < 0) filter.focus();
    else links[Math.min(next, links.length - 1)]?.focus();
  }
  event.preventDefault();
}
