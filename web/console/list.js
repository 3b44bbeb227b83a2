// The list of endpoints, live, with a filter; and the apps that work with them.

import { announce } from "./announce.js";
import { openApp } from "./apps.js";
import { busState, directory } from "./directory.js";
import { h, icon, iconButton, say } from "./dom.js";
import { kindName, moment, rate } from "./format.js";
import { beside, go, leave, route } from "./route.js";
import { session } from "./session.js";
import { undoing } from "./store.js";

const STATES = { up: "up", down: "down", opening: "being opened", closed: "at rest" };

/** The list: { element, focus(), dispose() }. `chosen()` is called when the user opens something; `failed(text)` tells what went wrong. */
export function endpointList({ chosen, failed }) {
  const undo = undoing();
  const rows = new Map();
  const filter = h("input", { type: "search", placeholder: "Filter", "aria-label": "Filter the lines", autocomplete: "off", spellcheck: "false" });
  const items = h("ul", { class: "endpoints", "aria-label": "Lines" });
  const none = h("p", { class: "note", hidden: true });
  const apps = h("ul", { class: "apps", "aria-label": "Apps" });
  const appBox = h("div", { class: "app-box", hidden: true }, h("h2", { class: "side-title" }, "Apps"), apps);
  const bus = h("p", { class: "bus", role: "status", hidden: true });
  const element = h(
    "nav",
    { class: "list", "aria-label": "Lines and apps", id: "list" },
    h("div", { class: "list-head" }, h("h2", { class: "side-title" }, "Lines"), filter),
    bus,
    items,
    none,
    appBox,
  );

  /** One row. Its elements stay, their texts change: the focus is never lost to an update. */
  function row(name) {
    const lamp = h("span", { class: "state-lamp", "aria-hidden": "true" });
    const label = h("span", { class: "row-name" }, name);
    const title = h("span", { class: "row-title" });
    const who = h("span", { class: "row-who" });
    const rates = h("span", { class: "row-rates mono" });
    const spoken = h("span", { class: "unseen" }); // the lamp, for those who do not see it
    const open = h(
      "a",
      {
        class: "row-open",
        href: `#/${name}`,
        onclick: (event) => {
          if (event.shiftKey || event.altKey) return;
          event.preventDefault();
          if (event.ctrlKey || event.metaKey) beside(name);
          else go([name]);
          chosen();
        },
      },
      h("span", { class: "row-top" }, lamp, label, spoken, rates),
      title,
      who,
    );
    const add = iconButton("add", `Open ${name} beside`, { class: "icon-button row-add", onclick: () => (route.value.names.includes(name) ? leave(name) : beside(name), chosen()) });
    return { element: h("li", { class: "row" }, open, add), open, lamp, spoken, title, who, rates, add };
  }

  function fillRow(parts, endpoint) {
    const { state, error, title, kind, writer, observers, rx, tx, name } = endpoint;
    const word = state ?? "closed";
    parts.lamp.className = `state-lamp ${word}`;
    parts.lamp.title = STATES[word] ?? word;
    say(parts.title, title || kindName(kind));
    const watching = observers > 0 ? `${observers} ${observers === 1 ? "observer" : "observers"}` : "";
    const holder = writer ? `${writer.user} writes${writer.away ? " (away)" : ""}` : "";
    const texts = [word === "down" ? error || "down" : "", title ? kindName(kind) : "", holder, watching].filter(Boolean);
    say(parts.who, texts.join(" · "));
    parts.who.title = writer?.since ? `${texts.join(" · ")}, since ${moment(Date.parse(writer.since))}` : texts.join(" · ");
    parts.element.classList.toggle("down", word === "down");
    say(parts.rates, rx || tx ? [rx ? `↓${rate(rx)}` : "", tx ? `↑${rate(tx)}` : ""].filter(Boolean).join(" ") : "");
    say(parts.spoken, `, ${STATES[word] ?? word}, `);
  }

  function show() {
    const words = filter.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = [...directory.value.values()].filter((endpoint) => {
      const text = [endpoint.name, endpoint.title, kindName(endpoint.kind), endpoint.state, endpoint.writer?.user].join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    });
    for (const [name, parts] of rows) {
      if (wanted.some((endpoint) => endpoint.name === name)) continue;
      parts.element.remove();
      rows.delete(name);
    }
    wanted.forEach((endpoint, index) => {
      const parts = rows.get(endpoint.name) ?? row(endpoint.name);
      rows.set(endpoint.name, parts);
      fillRow(parts, endpoint);
      if (items.children[index] !== parts.element) items.insertBefore(parts.element, items.children[index] ?? null);
    });
    none.hidden = wanted.length > 0;
    say(none, directory.value.size === 0 ? "There is no line you may see." : "No line fits the filter.");
    mark();
  }

  function mark() {
    const { names } = route.value;
    for (const [name, parts] of rows) {
      const open = names.includes(name);
      parts.element.classList.toggle("open", open);
      if (open) parts.open.setAttribute("aria-current", "true");
      else parts.open.removeAttribute("aria-current");
      const label = open ? `Close ${name}` : `Open ${name} beside`;
      if (parts.add.getAttribute("aria-label") !== label) {
        parts.add.setAttribute("aria-label", label);
        parts.add.title = label;
        parts.add.replaceChildren(icon(open ? "close" : "add"));
      }
    }
  }

  function showApps({ apps: list = [] }) {
    appBox.hidden = list.length === 0;
    apps.replaceChildren(
      ...list.map((app) =>
        h(
          "li",
          {},
          h(
            "button",
            { type: "button", class: "app", onclick: () => openApp(app).catch((error) => failed(`${app.title ?? app.name}: ${error.message}`)) },
            icon("apps"),
            h("span", {}, app.title ?? app.name, h("small", {}, (app.endpoints ?? []).join(", "))),
            icon("external"),
          ),
        ),
      ),
    );
  }

  filter.addEventListener("input", () => {
    show();
    announce(`${rows.size} of ${directory.value.size} lines`);
  });
  // Up and down go through the rows, from the filter on.
  element.addEventListener("keydown", (event) => {
    const links = [...items.querySelectorAll(".row-open")];
    const at = links.indexOf(document.activeElement);
    if (document.activeElement !== filter && at < 0) return;
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: at < 0 ? NaN : 0, End: at < 0 ? NaN : links.length - 1 }[event.key];
    if (next === undefined || Number.isNaN(next)) return;
    event.preventDefault();
    if (next < 0) filter.focus();
    else links[Math.min(next, links.length - 1)]?.focus();
  });

  undo.add(
    directory.on(show),
    route.on(mark),
    session.on(showApps),
    busState.on(({ phase, reason }) => {
      bus.hidden = phase !== "lost";
      say(bus, phase === "lost" ? `No connection to the gateway${reason ? `: ${reason}` : ""}. What is shown may be old.` : "");
    }),
  );
  return { element, focus: () => filter.focus(), dispose: () => undo.undo() };
}
