// The side of a pane: tabs with the line's settings and signals, the terminal's settings, and those
// tools that are panels.

import { h, icon, iconButton } from "../dom.js";

let count = 0;

/**
 * `panels`: [{ id, label, icon, mount() -> { element, shown?, dispose } }]. Each is mounted when it
 * is first shown. `changed(id)` is called with the chosen tab, `closed()` when the user closes it.
 */
export function inspector({ label, panels, changed, closed }) {
  const base = `inspector-${(count += 1)}`;
  const mounted = new Map();
  let current = null;
  let open = false;
  const strip = tabStrip({ base, panels, choose, current: () => current });
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
      strip.element,
      iconButton("close", "Close the side (Ctrl Shift D)", { onclick: () => closed() }),
    ),
    body,
  );

  const tell = (id, visible) => mounted.get(id)?.shown?.(visible);

  function choose(id) {
    const panel = panels.find((one) => one.id === id) ?? panels[0];
    mount(panel);
    if (current && current !== panel.id && open) tell(current, false);
    const before = current;
    current = panel.id;
    for (const [one, made] of mounted) made.element.hidden = one !== current;
    body.setAttribute("aria-labelledby", `${base}-${current}`);
    strip.mark(current);
    if (open && before !== current) tell(current, true);
    changed(current);
  }

  /** Mounts one panel, hidden. */
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
    focus: () => strip.focus(current),
    dispose() {
      for (const made of mounted.values()) made.dispose?.();
    },
  };
}

/** The tabs of `panels`: { element, mark(id), focus(id) }. Arrow keys choose, too. */
function tabStrip({ base, panels, choose, current }) {
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
  const element = h("div", { class: "tabs", role: "tablist", "aria-label": "Panels" }, tabs);
  const place = (id) => panels.findIndex((one) => one.id === id);
  element.addEventListener("keydown", (event) => {
    const at = place(current());
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: panels.length - 1 }[
      event.key
    ];
    if (next === undefined) return;
    event.preventDefault();
    const index = (next + panels.length) % panels.length;
    choose(panels[index].id);
    tabs[index].focus();
  });
  return {
    element,
    mark(id) {
      for (const [index, one] of panels.entries()) {
        tabs[index].setAttribute("aria-selected", String(one.id === id));
        tabs[index].tabIndex = one.id === id ? 0 : -1;
      }
      tabs[place(id)].scrollIntoView?.({ block: "nearest", inline: "nearest" });
    },
    focus: (id) => tabs[place(id)]?.focus(),
  };
}
