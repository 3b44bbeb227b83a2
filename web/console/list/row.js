// One line in the list: its lamp, its name, who writes, why it is down, its last minute and its
// errors.

import { h, icon, iconButton, say } from "../dom.js";
import { STATES, kindName, moment, person, rate } from "../format.js";
import { MINUTE, minutes, sparkline } from "../rates.js";
import { beside, go, leave, route } from "../route.js";

const WIDTH = 56;
const HEIGHT = 14;
const SVG = "http://www.w3.org/2000/svg";

/**
 * A row; its elements stay while their texts change, so the focus is never lost to an update. {
 * element, open, fill(endpoint), mark(open), tick() }.
 */
export function row(name, chosen) {
  const parts = elements(name, chosen);
  let shown;
  return {
    element: parts.element,
    open: parts.open,
    fill(endpoint) {
      if (!shown || differs(shown, endpoint)) fill(parts, endpoint);
      shown = endpoint;
    },
    mark: (open) => mark(parts, name, open),
    tick() {
      const values = minutes.of(name);
      parts.spark.classList.toggle("still", !values);
      if (values) parts.path.setAttribute("d", sparkline(values, WIDTH, HEIGHT));
    },
  };
}

function elements(name, chosen) {
  /** @type {any} */
  const parts = {
    lamp: h("span", { class: "state-lamp", "aria-hidden": "true" }),
    title: h("span", { class: "row-title" }),
    who: h("span", { class: "row-who" }),
    rates: h("span", { class: "row-rates mono" }),
    errors: h("span", { class: "row-errors", hidden: true }),
    spoken: h("span", { class: "unseen" }), // the lamp, for those who cannot see it
    ...sparkElement(),
  };
  const onclick = (event) => {
    if (event.shiftKey || event.altKey) return;
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) beside(name);
    else go([name]);
    chosen();
  };
  const top = h(
    "span",
    { class: "row-top" },
    parts.lamp,
    h("span", { class: "row-name" }, name),
    parts.spoken,
    parts.errors,
    parts.spark,
  );
  parts.open = h(
    "a",
    { class: "row-open", href: `#/${name}`, onclick },
    top,
    h("span", { class: "row-middle" }, parts.title, parts.rates),
    parts.who,
  );
  parts.add = iconButton("add", `Open ${name} beside`, {
    class: "icon-button row-add",
    onclick: () => (route.value.names.includes(name) ? leave(name) : beside(name), chosen()),
  });
  parts.element = h("li", { class: "row" }, parts.open, parts.add);
  return parts;
}

function sparkElement() {
  const spark = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({
    class: "spark still",
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    width: WIDTH,
    height: HEIGHT,
    "aria-hidden": "true",
  }))
    spark.setAttribute(key, String(value));
  const path = document.createElementNS(SVG, "path");
  spark.append(path);
  const title = document.createElementNS(SVG, "title");
  title.textContent = `Bytes a second in the last ${MINUTE} s`;
  spark.append(title);
  return { spark, path };
}

/** Whether a row has to be rewritten: this is asked for five hundred of them each second. */
function differs(before, now) {
  return (
    ["state", "error", "since", "title", "kind", "observers", "rx", "tx", "errors"].some(
      (key) => before[key] !== now[key],
    ) ||
    before.writer?.user !== now.writer?.user ||
    before.writer?.away !== now.writer?.away ||
    before.writer?.since !== now.writer?.since
  );
}

function fill(
  parts,
  { state = "closed", error, since, title, kind, writer, observers, rx, tx, errors },
) {
  const word = state ?? "closed";
  const down = word === "down";
  parts.lamp.className = `state-lamp ${word}`;
  parts.lamp.title = STATES[word] ?? word;
  say(parts.title, title || kindName(kind));
  const watching =
    observers > 0 ? `${observers} ${observers === 1 ? "observer" : "observers"}` : "";
  const holder = writer ? `${person(writer.user)} writes${writer.away ? " (away)" : ""}` : "";
  const why = down
    ? [error || "not there", since && `since ${moment(Date.parse(since))}`]
        .filter(Boolean)
        .join(", ")
    : "";
  const texts = [why, title && !down ? kindName(kind) : "", holder, watching].filter(Boolean);
  say(parts.who, texts.join(" · "));
  const details = [
    title,
    ...texts,
    writer?.since && `writes since ${moment(Date.parse(writer.since))}`,
  ];
  parts.open.title = details.filter(Boolean).join("\n");
  parts.element.classList.toggle("down", down);
  say(
    parts.rates,
    rx || tx ? [rx ? `↓${rate(rx)}` : "", tx ? `↑${rate(tx)}` : ""].filter(Boolean).join(" ") : "",
  );
  parts.errors.hidden = !errors;
  say(
    parts.errors,
    errors ? `${errors > 999 ? "999+" : errors} ${errors === 1 ? "error" : "errors"}` : "",
  );
  parts.errors.title = "Parity and framing errors and overruns since the gateway began the line";
  say(parts.spoken, `, ${STATES[word] ?? word}, `);
}

function mark({ element, open: link, add }, name, open) {
  element.classList.toggle("open", open);
  if (open) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
  const label = open ? `Close ${name}` : `Open ${name} beside`;
  if (add.getAttribute("aria-label") === label) return;
  add.setAttribute("aria-label", label);
  add.title = label;
  add.replaceChildren(icon(open ? "close" : "add"));
}
