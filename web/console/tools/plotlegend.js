// The names of a plot's curves: their colours, their last values, and which of them are drawn.

import { h } from "../dom.js";
import { colour } from "./chart.js";

/**
 * Returns { element, isHidden(name), draw(names, theme), say(last) }; `toggled()` is called when a
 * curve is shown or hidden.
 */
export function plotLegend(toggled) {
  const hidden = new Set();
  const element = h("ul", { class: "tool-plot-legend", "aria-label": "Curves" });

  function item(name, stroke) {
    const box = h("input", { type: "checkbox", checked: !hidden.has(name) });
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(name);
      else hidden.add(name);
      toggled();
    });
    const swatch = h("i", { "aria-hidden": "true" });
    swatch.style.background = stroke;
    const value = h("span", { class: "mono", "data-value": name });
    return h(
      "li",
      {},
      h("label", { class: "toggle" }, box, h("span", {}, swatch, name, " ", value)),
    );
  }

  return {
    element,
    isHidden: (name) => hidden.has(name),
    draw: (names, theme) =>
      element.replaceChildren(...names.map((name, at) => item(name, colour(theme, at)))),
    /** Writes the last values, which `last(name)` returns. */
    say(last) {
      for (const value of element.querySelectorAll("[data-value]"))
        value.textContent = String(last(value.dataset.value) ?? "");
    },
  };
}
