// The middle of a pane: the terminal, other views of the same bytes in its place, and bars below
// it, as the tools provide them.

import { h, icon } from "../dom.js";

/** Returns { element, switcher, toggles, bars, view(), shown(), clear(), dispose() }. */
export function stage({ name, screen, ctx, tools, settings }) {
  const mounted = new Map();
  const mount = (tool) => {
    if (!mounted.has(tool.id)) mounted.set(tool.id, tool.mount(ctx));
    return mounted.get(tool.id);
  };
  const bars = h("div", { class: "bars" });
  const views = viewSwitch({
    name,
    screen,
    views: tools.filter(({ place }) => place === "view"),
    mounted,
    mount,
    settings,
  });
  const toggles = tools
    .filter(({ place }) => place === "bar")
    .map((tool) => barToggle({ tool, bars, mounted, mount, settings }));

  // Tools that must see the bytes from the start are mounted now, and what was open last time is
  // opened.
  for (const tool of tools) if (tool.early && tool.place !== "panel") mount(tool);
  views.choose(settings.get("view", "terminal"));
  for (const { tool, toggle } of toggles) if (settings.get(`bar.${tool.id}`, false)) toggle(true);

  return {
    element: views.element,
    switcher: views.switcher,
    bars,
    toggles,
    view: views.current,
    /** The tool that is shown instead of the terminal; undefined while the terminal is. */
    shown: () => mounted.get(views.current()),
    clear() {
      for (const made of mounted.values()) made.clear?.();
    },
    dispose() {
      for (const made of mounted.values()) made.dispose?.();
    },
  };
}

/** The terminal and the views, of which one is shown, and the buttons to choose. */
function viewSwitch({ name, screen, views, mounted, mount, settings }) {
  const element = h("div", { class: "stage" }, screen.element);
  const choices = [{ id: "terminal", label: "Text", icon: "text" }, ...views];
  const buttons = choices.map(({ id, label, icon: picture }) =>
    h(
      "button",
      {
        type: "button",
        "aria-pressed": "false",
        title: `Show as ${label.toLowerCase()}`,
        onclick: () => choose(id),
      },
      icon(picture),
      h("span", {}, label),
    ),
  );
  let view = "terminal";

  function choose(id) {
    const tool = views.find((one) => one.id === id);
    if (tool) {
      const made = mount(tool);
      if (!made.element.isConnected) screen.element.after(made.element);
    }
    mounted.get(view)?.shown?.(false);
    view = tool ? id : "terminal";
    screen.element.hidden = view !== "terminal";
    for (const one of views)
      if (mounted.has(one.id)) mounted.get(one.id).element.hidden = one.id !== view;
    for (const [index, one] of choices.entries())
      buttons[index].setAttribute("aria-pressed", String(one.id === view));
    mounted.get(view)?.shown?.(true);
    settings.set("view", view);
    if (view === "terminal") screen.refit();
  }

  const switcher =
    views.length > 0 &&
    h("div", { class: "segments views", role: "group", "aria-label": `View of ${name}` }, buttons);
  return { element, switcher, choose, current: () => view };
}

/** The button that shows and hides a bar. */
function barToggle({ tool, bars, mounted, mount, settings }) {
  const label = tool.short ?? tool.label;
  const attributes = {
    type: "button",
    class: "fold-late",
    title: tool.label,
    "aria-label": tool.label,
    "aria-pressed": "false",
    onclick: () => toggle(!settings.get(`bar.${tool.id}`, false)),
  };
  const button = h("button", attributes, icon(tool.icon ?? "send"), h("span", {}, label));
  function toggle(value) {
    if (value && !mounted.has(tool.id)) bars.append(mount(tool).element);
    const made = mounted.get(tool.id);
    if (made) made.element.hidden = !value;
    made?.shown?.(value);
    button.setAttribute("aria-pressed", String(value));
    settings.set(`bar.${tool.id}`, value);
  }
  return { button, label: tool.label, tool, toggle };
}
