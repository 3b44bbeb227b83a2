// When the side of a pane is open: beside the terminal if there is room for both, otherwise over
// it, and then only when asked for.

import { inspector } from "./inspector.js";

/** In a pane narrower than this (px) the side lies over the terminal; css/pane.css has the same number. */
const BESIDE = 700;

/** From this width on it is initially open, in a pane that is alone. */
const ROOMY = 1000;

/**
 * The side of `pane`: { element, toggle(open, id), isOpen, focus(), start(), dispose() }.
 * `shown(open)` is called on each change.
 */
export function side({ label, panels, settings, pane, shown, leave }) {
  const view = inspector({
    label,
    panels,
    changed: (id) => settings.set("side.tab", id),
    closed: () => toggle(false),
  });
  let decided = null; // what the available room decided last
  const watch = new ResizeObserver(() => fit());

  function show(open, id = settings.get("side.tab", "line")) {
    view.show(open, open ? id : undefined);
    shown(open);
  }

  /** Does what the user wants, and remembers it. */
  function toggle(open = !view.open, id) {
    show(open, id);
    settings.set("side.open", open);
    if (open) view.focus();
    else leave();
  }

  /**
   * Without room it closes; with room it is as the user left it; by default it is open in a roomy
   * pane that is alone.
   */
  function fit() {
    const width = pane().clientWidth;
    if (width === 0) return;
    const alone = (pane().parentElement?.childElementCount ?? 1) === 1;
    const now = width >= BESIDE && settings.get("side.open", alone && width >= ROOMY);
    if (now === decided) return;
    decided = now;
    show(now);
  }

  return {
    element: view.element,
    toggle,
    get isOpen() {
      return view.open;
    },
    focus: () => view.focus(),
    start() {
      fit();
      watch.observe(pane());
    },
    dispose() {
      watch.disconnect();
      view.dispose();
    },
  };
}
