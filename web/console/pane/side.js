// When the side of a pane is open: beside the terminal where there is room for both, over it where
// there is not, and then only when asked.

import { inspector } from "./inspector.js";

/** Narrower than this (px), the side lies over the terminal; css/pane.css knows the same number. */
const BESIDE = 700;

/** From this width on it is open at first, in a pane that is alone. */
const ROOMY = 1000;

/**
 * The side of `pane`: { element, toggle(open, id), isOpen, focus(), start(), dispose() }.
 * `shown(open)` is told.
 */
export function side({ label, panels, settings, pane, shown, leave }) {
  const view = inspector({
    label,
    panels,
    changed: (id) => settings.set("side.tab", id),
    closed: () => toggle(false),
  });
  let decided = null; // what the room decided last
  const watch = new ResizeObserver(() => fit());

  function show(open, id = settings.get("side.tab", "line")) {
    view.show(open, open ? id : undefined);
    shown(open);
  }

  /** What the user wants, which is remembered. */
  function toggle(open = !view.open, id) {
    show(open, id);
    settings.set("side.open", open);
    if (open) view.focus();
    else leave();
  }

  /**
   * Where there is no room it closes, where there is it is as the user left it; unasked it is open
   * in a roomy pane that is alone.
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
