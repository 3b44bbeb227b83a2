// Lines above a terminal that report what happened and may offer something to do about it.

import { h, icon, iconButton, say } from "./dom.js";
import { announce } from "./announce.js";

const ICONS = { info: "info", good: "info", warn: "warn", bad: "warn" };

/** The most at a time; the oldest goes. */
const MOST = 4;

/**
 * A place for notices: { element, show(text, options) -> remove }. A notice replaces the one that
 * had the same `key`.
 */
export function notices() {
  const element = h("div", { class: "notices" });
  const keyed = new Map();

  /**
   * @param {string} text
   * @param {{ kind?: string, action?: any, actions?: any[], for?: number, key?: string, urgent?:
   *   boolean, body?: any }} [options]
   */
  function show(
    text,
    {
      kind = "info",
      action,
      actions = action ? [action] : [],
      for: seconds,
      key,
      urgent = kind === "bad",
      body,
    } = {},
  ) {
    keyed.get(key)?.();
    const words = h("span", { class: "notice-text" }, text);
    const remove = () => {
      clearTimeout(timer);
      if (key !== undefined && keyed.get(key) === remove) keyed.delete(key);
      item.remove();
    };
    const item = h(
      "div",
      { class: `notice ${kind}` },
      icon(ICONS[kind] ?? "info"),
      h("div", { class: "notice-body" }, words, body),
      actions.map(({ label, run, stay }) =>
        h(
          "button",
          { type: "button", class: "small", onclick: () => (stay || remove(), run()) },
          label,
        ),
      ),
      iconButton("close", "Dismiss", { onclick: remove }),
    );
    const timer = seconds ? setTimeout(remove, seconds * 1000) : undefined;
    if (key !== undefined) keyed.set(key, remove);
    element.append(item);
    while (element.children.length > MOST) element.firstElementChild.remove();
    announce(text, urgent);
    remove.text = (next) => say(words, next);
    return remove;
  }

  return { element, show, dismiss: (key) => keyed.get(key)?.() };
}
