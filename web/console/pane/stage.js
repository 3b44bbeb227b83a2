// The middle of a pane: the terminal, other views of the same bytes in its place, and bars below it, as the tools give them.

import { h, icon, iconButton } from "../dom.js";

/** Gives { element, switcher, toggles, bars, clear(), dispose() }. */
export function stage({ name, screen, ctx, tools, settings }) {
  const views = tools.filter(({ place }) => place === "view");
  const barTools = tools.filter(({ place }) => place === "bar");
  const mounted = new Map();
  const mount = (tool) => {
    if (!mounted.has(tool.id)) mounted.set(tool.id, tool.mount(ctx));
    return mounted.get(tool.id);
  };
  const element = h("div", { class: "stage" }, screen.element);
  const bars = h("div", { class: "bars" });

  const choices = [{ id: "terminal", label: "Text", icon: "macro" }, ...views];
  const buttons = choices.map(({ id, label, icon: picture }) =>
    h("button", { type: "button", "aria-pressed": "false", title: `Show as ${label.toLowerCase()}`, onclick: () => choose(id) }, icon(picture), h("span", {}, label)),
  );
  const switcher = views.length > 0 && h("div", { class: "segments", role: "group", "aria-label": `View of ${name}` }, buttons);
  let view = "terminal";

  function choose(id) {
    const tool = views.find((one) => one.id === id);
    if (tool) {
      const made = mount(tool);
      if (!made.element.isConnected) element.append(made.element);
    }
    mounted.get(view)?.shown?.(false);
    view = tool ? id : "terminal";
    screen.element.hidden = view !== "terminal";
    for (const one of views) if (mounted.has(one.id)) mounted.get(one.id).element.hidden = one.id !== view;
    for (const [index, one] of choices.entries()) buttons[index].setAttribute("aria-pressed", String(one.id === view));
    mounted.get(view)?.shown?.(true);
    settings.set("view", view);
    if (view === "terminal") screen.refit();
  }

  const toggles = barTools.map((tool) => {
    const button = iconButton(tool.icon ?? "send", tool.label, { "aria-pressed": "false", onclick: () => toggle(!settings.get(`bar.${tool.id}`, false)) });
    const toggle = (value) => {
      if (value && !mounted.has(tool.id)) bars.append(mount(tool).element);
      const made = mounted.get(tool.id);
      if (made) made.element.hidden = !value;
      made?.shown?.(value);
      button.setAttribute("aria-pressed", String(value));
      settings.set(`bar.${tool.id}`, value);
    };
    return { button, tool, toggle };
  });

  // What must see the bytes from the start is made now, and what was open last time is opened.
  for (const tool of tools) if (tool.early && tool.place !== "panel") mount(tool);
  choose(settings.get("view", "terminal"));
  for (const { tool, toggle } of toggles) if (settings.get(`bar.${tool.id}`, false)) toggle(true);

  return {
    element,
    switcher,
    bars,
    toggles: toggles.map(({ button }) => button),
    clear() {
      for (const made of mounted.values()) made.clear?.();
    },
    dispose() {
      for (const made of mounted.values()) made.dispose?.();
    },
  };
}
