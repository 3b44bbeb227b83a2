// The side of a pane: tabs with the line's settings and signals, the terminal's settings, and the
// tools that are panels.

import { h, icon, iconButton } from "../dom.js";

let count = 0;

/**
 * `panels`: [{ id, label, icon, mount() -> { element, shown?, dispose } }]. Each is mounted when it
 * is first shown. `changed(id)` is told which tab is chosen, `closed()` when the user closes it.
 */
export function inspector({ label, panels, changed, closed }) {
  const base = `inspector-${(count += 1)}`;
  const mounted = new Map();
  let current = null;
  let open = false;
  const tabs = panels.map((panel) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `${base}-${panel.id}`,
        "aria-selected": "false",
        "aria-controls": `${base}-body`,
        tabindex: -1,
        onclick: () => choose(panel.id),
      },
      icon(panel.icon),
      h("span", {}, panel.label),
    ),
  );
  const tablist = h("div", { class: "tabs", role: "tablist", "aria-label": "Panels" }, tabs);
  const body = h("div", {
    class: "inspector-body",
    role: "tabpanel",
    id: `${base}-body`,
    tabindex: 0,
  });
  const element = h(
    "aside",
    { class: "inspector", "aria-label": label, hidden: true },
    h(
      "div",
      { class: "inspector-head" },
      tablist,
      iconButton("close", "Close the side (Ctrl Shift D)", { onclick: () => closed() }),
    ),
    body,
  );

  tablist.addEventListener("keydown", (event) => {
    const at = panels.findIndex(({ id }) => id === current);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: panels.length - 1 }[
      event.key
    ];
    if (next === undefined) return;
    event.preventDefault();
    const index = (next + panels.length) % panels.length;
    choose(panels[index].id);
    tabs[index].focus();
  });

  const tell = (id, visible) => mounted.get(id)?.shown?.(visible);

  function choose(id) {
    const panel = panels.find((one) => one.id === id) ?? panels[0];
    mount(panel);
    if (current && current !== panel.id && open) tell(current, false);
    const before = current;
    current = panel.id;
    for (const [index, one] of panels.entries()) {
      const on = one.id === current;
      tabs[index].setAttribute("aria-selected", String(on));
      tabs[index].tabIndex = on ? 0 : -1;
      const made = mounted.get(one.id);
      if (made) made.element.hidden = !on;
    }
    body.setAttribute("aria-labelledby", `${base}-${current}`);
    tabs[panels.indexOf(panel)].scrollIntoView?.({ block: "nearest", inline: "nearest" });
    if (open && before !== current) tell(current, true);
    changed(current);
  }

  /** Mounts one panel, unseen. */
  function mount(panel) {
    if (mounted.has(panel.id)) return;
    const made = panel.mount();
    made.element.hidden = true;
    mounted.set(panel.id, made);
    body.append(made.element);
  }

  for (const panel of panels) if (panel.early) mount(panel);

  return {
    element,
    choose,
    get open() {
      return open;
    },
    show(value, id = current) {
      if (value) choose(id ?? panels[0].id);
      if (value !== open) {
        open = value;
        element.hidden = !open;
        if (current) tell(current, open);
      }
    },
    focus: () => tabs[panels.findIndex(({ id }) => id === current)]?.focus(),
    dispose() {
      for (const made of mounted.values()) made.dispose?.();
    },
  };
}
