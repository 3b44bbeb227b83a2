// The open panes: side by side if there is room, otherwise one at a time with tabs.

import { announce } from "./announce.js";
import { h } from "./dom.js";
import { followGateway } from "./fleet/back.js";
import { hubsGateway } from "./fleet/way.js";
import { followRights } from "./lend/follow.js";
import { pane as makePane } from "./pane/pane.js";
import { leave, route } from "./route.js";
import { undoing } from "./store.js";

/** On a narrower page, panes are tabs. */
const NARROW = matchMedia("(max-width: 759px)");

/**
 * Returns { element, tabs (for the bar of a narrow page), current(), step(by), reconnect(),
 * dispose() }. `empty` is shown while nothing is open.
 */
export function workspace({ empty }) {
  const undo = undoing();
  const panes = new Map();
  let current = null;
  const tabs = openTabs({ choose: (name) => activate(name), step: (by) => select(beside(by)) });
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
    // Puts each one in its place. Moving an element that stays put would cost it its focus and its
    // scroll position.
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
    const parts = [names.join(", "), hubsGateway(), "wsbridge"];
    document.title = parts.filter(Boolean).join(" · ");
  }

  function select(name) {
    current = name;
    const several = panes.size > 1;
    tabs.element.hidden = !several || !NARROW.matches;
    tabs.show([...panes.keys()], name);
    for (const [other, { element: one }] of panes) {
      one.classList.toggle("current", other === name && several);
      one.classList.toggle("away", NARROW.matches && other !== name);
    }
    panes.get(name)?.refit();
  }

  function activate(name) {
    select(name);
    panes.get(name)?.focus();
  }

  const beside = (by) => {
    const names = [...panes.keys()];
    return names[(names.indexOf(current) + by + names.length) % names.length];
  };

  /** The next pane, or the one before, gets the focus. */
  function step(by) {
    if (panes.size < 2) return;
    activate(beside(by));
    announce(current);
  }

  undo.listen(NARROW, "change", () => select(current));
  undo.add(
    route.on(({ names }) => show(names)),
    followRights(panes),
    followGateway(panes),
  );

  return {
    element,
    tabs: tabs.element,
    current: () => panes.get(current),
    step,
    /** After a new login: opens the lines again that the end of the last one closed. */
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

/**
 * The tabs of the open lines, where one is seen at a time: { element, show(names, chosen) }.
 */
function openTabs({ choose, step }) {
  const element = h("div", { class: "pane-tabs", role: "tablist", "aria-label": "Open lines" });
  const chosen = () => element.querySelector('[aria-selected="true"]');
  element.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    step(by);
    /** @type {HTMLElement | null} */ (chosen())?.focus();
  });
  return {
    element,
    show(names, current) {
      element.replaceChildren(
        ...names.map((name) =>
          h(
            "button",
            {
              type: "button",
              role: "tab",
              id: `tab-${name}`,
              "aria-selected": String(name === current),
              tabindex: name === current ? 0 : -1,
              onclick: () => choose(name),
            },
            name,
          ),
        ),
      );
      chosen()?.scrollIntoView?.({ block: "nearest", inline: "nearest" });
    },
  };
}
