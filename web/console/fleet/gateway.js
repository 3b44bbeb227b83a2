// A gateway in the hub's list: whether it is connected, its labels, its lines. What it says of
// itself is text, whatever is in it.

import { h, say } from "../dom.js";
import { STATES, moment, order } from "../format.js";
import { here } from "../session.js";
import { kept } from "./kept.js";

const narrow = matchMedia("(max-width: 759px)");

/** The most lines that are shown of one gateway. */
const most = () => (narrow.matches ? 6 : 12);

const addressOf = (gateway, line = "") =>
  `${here(`/g/${encodeURIComponent(gateway)}/`).pathname}#/${encodeURIComponent(line)}`;

/**
 * One gateway: { element, fill(gateway) }. `words()` are those that are searched for; `search(text)`
 * searches for one more.
 */
export function gatewayItem(name, { words, search }) {
  const lamp = h("span", { class: "state-lamp", "aria-hidden": "true" });
  const state = h("span", { class: "gateway-state" });
  const version = h("span", { class: "note" });
  const tags = h("span", { class: "tags" });
  const warning = h("div", { class: "gateway-warning", hidden: true });
  const lines = h("ul", { class: "gateway-lines", "aria-label": `Lines of ${name}` });
  const rest = h("a", { class: "note", href: addressOf(name), hidden: true });
  const element = h(
    "li",
    { class: "gateway" },
    h(
      "div",
      { class: "gateway-head" },
      lamp,
      h("h3", {}, h("a", { class: "gateway-open", href: addressOf(name) }, name)),
      state,
      version,
      tags,
    ),
    warning,
    lines,
    rest,
  );
  const showLines = kept(lines, (line) => lineItem(name, line));
  let shown;
  let labelled;
  let warned = "";

  function fill(gateway) {
    const now = JSON.stringify([gateway, words()]);
    if (now === shown) return;
    shown = now;
    const { online, cloned, labels, lines: all = [] } = gateway;
    lamp.classList.toggle("up", online);
    lamp.classList.toggle("error", cloned);
    element.classList.toggle("away", !online);
    say(state, stateOf(gateway));
    state.title = gateway.client ? `from ${gateway.client}` : "";
    say(version, (gateway.version ?? "").replace("/", " "));
    if (labelled !== JSON.stringify(labels)) tags.replaceChildren(...tagsOf(labels, search));
    labelled = JSON.stringify(labels);
    warn(cloned ? "cloned" : "");
    const first = matching(all, words()).slice(0, most());
    showLines(first);
    lines.hidden = first.length === 0;
    rest.hidden = all.length <= first.length;
    say(rest, rest.hidden ? "" : `and ${all.length - first.length} more lines`);
  }

  function warn(what) {
    if (what === warned) return;
    warned = what;
    warning.hidden = what === "";
    warning.replaceChildren(...(what ? twoMachines(name) : []));
  }

  return { element, fill };
}

function stateOf({ online, cloned, since, certificate_until: until }) {
  if (cloned) return "two machines";
  if (online) return `connected since ${moment(Date.parse(since))}`;
  if (until && Date.parse(until) < Date.now())
    return `away; its certificate has ended (${moment(Date.parse(until))}): enrol it anew`;
  return "away; its lines are known once it is back";
}

function tagsOf(labels, search) {
  return Object.entries(labels ?? {}).map(([key, value]) => {
    const text = `${key}=${value}`;
    const attributes = { type: "button", class: "tag", title: `Search for ${text}` };
    return h("button", { ...attributes, onclick: () => search(text) }, text);
  });
}

const command = (text) => h("code", { class: "command" }, text);

function twoMachines(name) {
  return [
    h(
      "p",
      {},
      h("b", {}, "Two machines have the certificate of this gateway; neither is let in. "),
      "Find out why: a copied disk or backup, or a key in the wrong hands. Then type at the hub:",
    ),
    h(
      "ul",
      {},
      h(
        "li",
        {},
        command(`sudo wsbridge hub clear ${name}`),
        " lets it in again, once one of them is gone",
      ),
      h(
        "li",
        {},
        command(`sudo wsbridge hub revoke ${name}`),
        " forgets it: neither gets in until it is enrolled anew",
      ),
    ),
  ];
}

/** The lines by their names, those first that have one of the words. */
function matching(told, words) {
  const lines = told.toSorted((one, other) => order(one.name, other.name));
  if (words.length === 0) return lines;
  const fits = ({ name, title = "" }) => {
    const text = `${name} ${title}`.toLowerCase();
    return words.some((word) => text.includes(word));
  };
  return [...lines.filter(fits), ...lines.filter((line) => !fits(line))];
}

function lineItem(gateway, name) {
  const lamp = h("span", { class: "state-lamp", "aria-hidden": "true" });
  const title = h("span", { class: "line-title" });
  const now = h("span", { class: "line-now" });
  const spoken = h("span", { class: "unseen" });
  const link = h(
    "a",
    { class: "line-open", href: addressOf(gateway, name) },
    lamp,
    h("span", { class: "line-name" }, name),
    title,
    now,
    spoken,
  );
  return {
    element: h("li", {}, link),
    fill({ state = "", title: said = "", kind = "", writer }) {
      lamp.className = `state-lamp ${state}`;
      say(title, said);
      const down = state === "down" ? STATES.down : "";
      say(now, [down, writer && `${writer} writes`].filter(Boolean).join(", "));
      now.classList.toggle("problem", state === "down");
      say(spoken, state && state !== "down" ? `, ${STATES[state] ?? state}` : "");
      link.title = [kind, said].filter(Boolean).join(": ");
    },
  };
}
