// The rows of the list, each in its group, kept while their lines exist.

import { h, icon, say } from "../dom.js";
import { page } from "../prefs.js";
import { route } from "../route.js";
import { row } from "./row.js";

/** Keeps a row for each line and a section for each group, in the order wanted. */
export function rowKeeper(places, chosen) {
  const rows = new Map();
  const sections = new Map();
  let unfolded = false; // during a search no group is folded

  function section(id) {
    if (!sections.has(id)) sections.set(id, groupSection(id));
    return sections.get(id);
  }

  function put(parent, element, index) {
    if (parent.children[index] === element) return;
    // What has the focus keeps it when it moves to another group.
    const focused = element.contains(document.activeElement)
      ? /** @type {HTMLElement} */ (document.activeElement)
      : null;
    parent.insertBefore(element, parent.children[index] ?? null);
    focused?.focus({ preventScroll: true });
  }

  function mark() {
    const { names } = route.value;
    for (const [name, one] of rows) one.mark(names.includes(name));
  }

  return {
    get count() {
      return rows.size;
    },
    show(list, all) {
      unfolded = all;
      const seen = new Set(list.flatMap(({ members }) => members.map(({ name }) => name)));
      for (const [name, one] of rows)
        if (!seen.has(name)) (one.element.remove(), rows.delete(name));
      list.forEach(({ id, title, members }, at) => {
        const group = section(id);
        group.say(title, members.length, unfolded);
        put(places, group.element, at);
        members.forEach((endpoint, index) => {
          const one = rows.get(endpoint.name) ?? row(endpoint.name, chosen);
          rows.set(endpoint.name, one);
          one.fill(endpoint);
          put(group.items, one.element, index);
        });
      });
      for (const [id, group] of sections)
        if (!list.some((one) => one.id === id)) (group.element.remove(), sections.delete(id));
      mark();
    },
    mark,
    tick: () => rows.forEach((one) => one.tick()),
    links: () => [...places.querySelectorAll(".row-open")].filter((link) => link.offsetParent),
  };
}

/**
 * A group: a heading that folds it, and its rows. The group without a title is the whole list.
 */
function groupSection(id) {
  const items = h("ul", { class: "endpoints" });
  const words = h("span", {});
  const number = h("span", { class: "note" });
  const key = `fold:${id}`;
  let open = !page.get(key, false);
  let forced = false;
  const heading = h(
    "button",
    {
      type: "button",
      class: "group-title",
      onclick: () => ((open = !open), page.set(key, !open), draw()),
    },
    icon("down"),
    words,
    number,
  );
  const top = h("h3", {}, heading);
  const element = h("section", { class: `group ${id === "down" ? "down" : ""}` }, top, items);

  function draw() {
    const shown = open || forced || top.hidden;
    heading.setAttribute("aria-expanded", String(shown));
    items.hidden = !shown;
  }

  return {
    element,
    items,
    say(title, count, all) {
      forced = all;
      top.hidden = title === "";
      say(words, title);
      say(number, String(count));
      items.setAttribute("aria-label", title || "Lines");
      draw();
    },
  };
}
