// The apps below the lines: tools that the gateway serves, each with the lines it works with.

import { openApp } from "../apps.js";
import { h, icon } from "../dom.js";

/** { element, show(apps) }; `failed(text)` reports what went wrong. */
export function appList(failed) {
  const items = h("ul", { class: "apps", "aria-label": "Apps" });
  const element = h(
    "div",
    { class: "app-box", hidden: true },
    h("h2", { class: "side-title" }, "Apps"),
    items,
  );
  const item = (app) => {
    const name = app.title ?? app.name;
    const open = () => openApp(app).catch((error) => failed(`${name}: ${error.message}`));
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: "app", onclick: open },
        icon("apps"),
        h("span", {}, name, h("small", {}, (app.endpoints ?? []).join(", "))),
        icon("external"),
      ),
    );
  };
  return {
    element,
    show({ apps = [] }) {
      element.hidden = apps.length === 0;
      items.replaceChildren(...apps.map(item));
    },
  };
}
