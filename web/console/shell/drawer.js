// Whether the list is shown: on a phone it is a page of its own, elsewhere a side that can be
// folded away.

import { iconButton } from "../dom.js";
import { fleetShown } from "../fleet/way.js";
import { page } from "../prefs.js";
import { route } from "../route.js";
import { undoing } from "../store.js";

/** On a phone the list is a page of its own. */
export const NARROW = matchMedia("(max-width: 759px)");

/**
 * The drawer of the list in `shell()`, the page's element: { toggle (its button), open(), close(),
 * dispose() }. `focus()` moves the focus to the list.
 */
export function drawer({ shell, focus }) {
  const undo = undoing();
  const toggle = iconButton("list", "List of lines", {
    class: "icon-button list-toggle",
    "aria-controls": "list",
    "aria-expanded": "true",
    onclick: flip,
  });

  const drawn = () => shell().classList.contains("drawer");
  const folded = () => !page.get("list", true);

  function draw(value) {
    shell().classList.toggle("drawer", value && NARROW.matches);
    tell();
  }

  function flip() {
    if (NARROW.matches) draw(!drawn());
    else page.set("list", folded());
    apply();
    if (toggle.getAttribute("aria-expanded") === "true") focus();
  }

  function apply() {
    shell().classList.toggle("folded", folded());
    tell();
  }

  function tell() {
    const open = NARROW.matches
      ? drawn() || (route.value.names.length === 0 && !fleetShown.value)
      : !folded();
    toggle.setAttribute("aria-expanded", String(open));
  }

  return {
    toggle,
    start() {
      undo.add(
        route.on(({ names }) => (names.length === 0 ? draw(false) : tell())),
        fleetShown.on(tell),
      );
      undo.listen(NARROW, "change", () => (draw(false), apply()));
      apply();
    },
    /** Shows the list, and moves the focus to it. */
    open() {
      if (NARROW.matches) draw(true);
      else if (folded()) flip();
      focus();
    },
    close: () => draw(false),
    dispose: () => undo.undo(),
  };
}
