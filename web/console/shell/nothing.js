// The middle of the page while no line is open: at a hub its gateways, elsewhere what to do.

import { advice, isEmpty } from "../advice.js";
import { directory } from "../directory.js";
import { h, icon } from "../dom.js";
import { fleetShown } from "../fleet/way.js";
import { undoing } from "../store.js";

/** { element, focus() (false where there is nothing to focus), dispose() }. */
export function nothingOpen() {
  const undo = undoing();
  const none = advice();
  const choose = h(
    "div",
    { class: "choose" },
    icon("plug"),
    h("p", {}, "Choose a line to open its terminal."),
    h(
      "p",
      { class: "note" },
      "The + beside a line opens it next to the others. Ctrl Shift H shows all keys.",
    ),
  );
  const plain = h("div", { class: "empty" }, choose, none.element);
  const element = h("div", { class: "nothing" }, plain);
  let view;

  /** The view is loaded when it is first shown: most gateways are no hub. */
  async function show(shown) {
    view?.dispose();
    view?.element.remove();
    view = undefined;
    plain.hidden = shown;
    if (!shown) return;
    document.title = "Fleet · wsbridge";
    const { fleetView } = await import("../fleet/view.js");
    if (!fleetShown.value || view) return;
    view = fleetView();
    element.append(view.element);
    // Nobody has gone elsewhere meanwhile.
    if (document.activeElement === document.body) view.focus();
  }

  undo.add(
    directory.on(() => (choose.hidden = isEmpty())),
    fleetShown.on(show),
    none.dispose,
    () => view?.dispose(),
  );
  return {
    element,
    focus: () => (view ? (view.focus(), true) : fleetShown.value),
    dispose: () => undo.undo(),
  };
}
