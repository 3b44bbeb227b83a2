// The panes that are open: side by side where there is room, else one at a time with tabs.

import { announce } from "./announce.js";
import { h } from "./dom.js";
import { pane as makePane } from "./pane/pane.js";
import { leave, route } from "./route.js";
import { undoing } from "./store.js";

/** Narrower than this, panes are tabs. */
const NARROW = matchMedia("(max-width: 759px)");

/**
 * Gives { element, tabs (for the bar of a narrow page), current(), step(by), reconnect(), dispose()
 * }. `empty` is shown while nothing is open.
 */
export function workspace({ empty }) {
  const undo = undoing();
  const panes = new Map();
  let current = null;
  const tabs = h("div", { class: "pane-tabs", role: "tablist", "aria-label": "Open lines" });
  const grid = h("div", { class: "panes" });
  const element = h(
    "main",
    { class: "workspace", id: "main", tabindex: -1, "aria-label": "Lines" },
    empty,
    grid,
  );

  function show(names) {
    for (const [name, one] of panes) {
      if (names.includes(name)) continue;
      panes.delete(name);
      one.dispose();
      one.element.remove();
    }
    const fresh = names.filter((name) => !panes.has(name));
    for (const name of fresh) {
      const one = makePane(name, { close: () => leave(name) });
      one.element.addEventListener("focusin", () => select(name));
      panes.set(name, one);
    }
    // Each in its place. Moving an element that stays put would cost it its focus and its scroll
    // position.
    names.forEach((name, index) => {
      const { element: wanted } = panes.get(name);
      if (grid.children[index] !== wanted) grid.insertBefore(wanted, grid.children[index] ?? null);
    });
    const chosen =
      fresh[fresh.length - 1] ?? (panes.has(current) ? current : names[names.length - 1]) ?? null;
    empty.hidden = names.length > 0;
    grid.hidden = names.length === 0;
    grid.dataset.count = String(Math.min(names.length, 9));
    select(chosen);
    for (const name of fresh) panes.get(name).start();
    if (fresh.length) {
      panes.get(chosen)?.focus();
      announce(`${fresh.join(", ")} opened`);
    }
    document.title = names.length ? `${names.join(", ")} · wsbridge` : "wsbridge";
  }

  function select(name) {
    current = name;
    const several = panes.size > 1;
    tabs.hidden = !several || !NARROW.matches;
    tabs.replaceChildren(
      ...[...panes.keys()].map((other) =>
        h(
          "button",
          {
            type: "button",
            role: "tab",
            id: `tab-${other}`,
            "aria-selected": String(other === name),
            tabindex: other === name ? 0 : -1,
            onclick: () => activate(other),
          },
          other,
        ),
      ),
    );
    for (const [other, { element: one }] of panes) {
      one.classList.toggle("current", other === name && several);
      one.classList.toggle("away", NARROW.matches && other !== name);
    }
    tabs
      .querySelector('[aria-selected="true"]')
      ?.scrollIntoView?.({ block: "nearest", inline: "nearest" });
    panes.get(name)?.refit();
  }

  function activate(name) {
    select(name);
    panes.get(name)?.focus();
  }

  /** The next pane, or the one before, gets the focus. */
  function step(by) {
    const names = [...panes.keys()];
    if (names.length < 2) return;
    activate(names[(names.indexOf(current) + by + names.length) % names.length]);
    announce(current);
  }

  tabs.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const names = [...panes.keys()];
    select(names[(names.indexOf(current) + by + names.length) % names.length]);
    tabs.querySelector('[aria-selected="true"]')?.focus();
  });

  undo.listen(NARROW, "change", () => select(current));
  undo.add(route.on(({ names }) => show(names)));

  return {
    element,
    tabs,
    current: () => panes.get(current),
    step,
    /** After a new login: the lines that were closed by its end are opened again. */
    reconnect() {
      for (const { link } of panes.values()) if (link.state.value.phase === "closed") link.start();
    },
    dispose() {
      undo.undo();
      for (const one of panes.values()) one.dispose();
      panes.clear();
    },
  };
}
