// The gateways of a hub: searched, filtered, live, each with its lines.

import { h, icon, say } from "../dom.js";
import { clock } from "../format.js";
import { session } from "../session.js";
import { undoing } from "../store.js";
import { followFleet } from "./follow.js";
import { gatewayItem } from "./gateway.js";
import { kept } from "./kept.js";

/** How long after the last key a search begins, in ms. */
const PAUSE = 200;

const FILTERS = [
  ["", "All"],
  ["online", "Connected"],
  ["offline", "Away"],
];

/** The view: { element, focus(), dispose() }. It asks the hub until it is disposed of. */
export function fleetView() {
  const undo = undoing();
  const parts = elements();
  const { element, input, items, count, more, stale, none } = parts;
  let wanted = inAddress();
  let heard; // when the hub answered last, in ms since 1970
  let pause;

  const words = () => wanted.q.toLowerCase().split(/\s+/).filter(Boolean);
  const show = kept(items, (name) => gatewayItem(name, { words, search: searchAlso }));
  const fleet = followFleet({ told, failed });

  function told({ gateways, more: goesOn }) {
    heard = Date.now();
    stale.hidden = true;
    say(stale, "");
    element.classList.remove("stale");
    show(gateways);
    const number = gateways.length;
    say(
      count,
      goesOn ? `the first ${number}` : `${number} ${number === 1 ? "gateway" : "gateways"}`,
    );
    more.hidden = !goesOn;
    say(none.fits, number === 0 && isSearch() ? "No gateway fits." : "");
    none.all.hidden = number > 0 || isSearch();
    if (!none.all.hidden && none.all.childElementCount === 0) none.all.append(...howToBegin());
  }

  /** What was heard last stays, and says how old it is. */
  function failed({ message }) {
    const since = heard ? ` since ${clock(heard)}. What stands here was so then` : "";
    stale.hidden = false;
    say(stale, `No answer from the hub${since}: ${message}`);
    element.classList.toggle("stale", heard !== undefined);
  }

  const isSearch = () => words().length > 0 || wanted.state !== "";

  function want(next) {
    wanted = { ...wanted, ...next };
    for (const { button, value } of parts.filters)
      button.setAttribute("aria-pressed", String(value === wanted.state));
    toAddress(wanted);
    fleet.want(wanted);
  }

  function search() {
    clearTimeout(pause);
    pause = setTimeout(want, PAUSE, { q: input.value.trim() });
  }

  function searchAlso(text) {
    if (!words().includes(text.toLowerCase())) input.value = `${input.value} ${text}`.trim();
    input.focus();
    search();
  }

  input.value = wanted.q;
  undo.listen(input, "input", search);
  undo.listen(more, "click", () => fleet.more());
  undo.listen(element, "keydown", (event) => keys(event, { input, items, search }));
  for (const { button, value } of parts.filters)
    undo.listen(button, "click", () => want({ state: value }));
  undo.add(fleet.dispose, () => clearTimeout(pause));
  want({});
  return { element, focus: () => input.focus(), dispose: () => undo.undo() };
}

function elements() {
  const input = h("input", {
    type: "search",
    placeholder: "Name, label or line",
    "aria-label": "Search the gateways",
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: "false",
  });
  const filters = FILTERS.map(([value, text]) => ({
    value,
    button: h("button", { type: "button" }, text),
  }));
  const count = h("span", { class: "note", role: "status" });
  const stale = h("p", { class: "bus", role: "status", hidden: true });
  const items = h("ul", { class: "gateways", "aria-label": "Gateways" });
  const more = h("button", { type: "button", hidden: true }, "Show more");
  const none = {
    fits: h("p", { class: "note", role: "status" }),
    all: h("section", { class: "advice", hidden: true, "aria-label": "No gateways" }),
  };
  const element = h(
    "section",
    { class: "fleet", "aria-label": "Fleet" },
    h(
      "div",
      { class: "fleet-head" },
      h("h2", {}, "Fleet"),
      count,
      input,
      h(
        "div",
        { class: "segments", role: "group", "aria-label": "Which gateways" },
        filters.map(({ button }) => button),
      ),
    ),
    stale,
    items,
    none.fits,
    none.all,
    more,
  );
  return { element, input, filters, count, stale, items, more, none };
}

/** What is searched for is in the address: who comes back from a gateway finds it again. */
function inAddress() {
  const said = new URLSearchParams(location.hash.split("?")[1]);
  const state = said.get("state") ?? "";
  return { q: said.get("q") ?? "", state: FILTERS.some(([one]) => one === state) ? state : "" };
}

function toAddress(wanted) {
  const said = Object.entries(wanted).filter(([, value]) => value !== "");
  const query = said.length > 0 ? `&${new URLSearchParams(said)}` : "";
  history.replaceState(history.state, "", `#/?fleet${query}`);
}

/** Up and down go through the links, from the search and back to it; Escape empties it. */
function keys(event, { input, items, search }) {
  const links = [...items.querySelectorAll("a")].filter((link) => link.offsetParent);
  const at = links.indexOf(document.activeElement);
  const inSearch = document.activeElement === input;
  if (!inSearch && at < 0) return;
  if (inSearch && event.key === "Escape" && input.value !== "") ((input.value = ""), search());
  else if (inSearch && event.key === "Enter") links[0]?.click();
  else {
    const next = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (next === undefined) return;
    (next < 0 ? input : links[Math.min(next, links.length - 1)])?.focus();
  }
  event.preventDefault();
}

/** What somebody reads who has no gateway here. */
function howToBegin() {
  const { kind, administrator } = session.value;
  const setsUp = kind === "open" || administrator === true;
  return [
    h("div", { class: "advice-title" }, icon("fleet"), h("h2", {}, "There is no gateway yet")),
    h("p", {}, "Type this on the hub's own machine. It prints the line to type at a gateway:"),
    h("ul", {}, h("li", {}, h("code", { class: "command" }, "sudo wsbridge hub token new"))),
    h(
      "p",
      { class: "note" },
      setsUp
        ? "The gateway appears here by itself once it calls in."
        : "If there are gateways, you have no right on any of their lines: ask whoever runs this hub.",
    ),
  ];
}
