// The row of keys that a phone's keyboard lacks. It never takes the focus, so the keyboard stays
// open.

import { h } from "../dom.js";

// Label, name, and what xterm sends for the key in normal and in application cursor mode.
const KEYS = [
  ["Esc", "Escape", "\x1b"],
  ["Tab", "Tab", "\t"],
  ["Ctrl", "Control for the next key", null],
  ["|", "Pipe", "|"],
  ["←", "Arrow left", "\x1b[D", "\x1bOD"],
  ["↓", "Arrow down", "\x1b[B", "\x1bOB"],
  ["↑", "Arrow up", "\x1b[A", "\x1bOA"],
  ["→", "Arrow right", "\x1b[C", "\x1bOC"],
  ["^C", "Control C", "\x03"],
  ["/", "Slash", "/"],
  ["-", "Minus", "-"],
  ["~", "Tilde", "~"],
  ["Home", "Home", "\x1b[H", "\x1bOH"],
  ["End", "End", "\x1b[F", "\x1bOF"],
  ["PgUp", "Page up", "\x1b[5~"],
  ["PgDn", "Page down", "\x1b[6~"],
  ["Del", "Delete", "\x1b[3~"],
];

/** The row: { element }. `typing` is that of input.js. */
export function keyRow({ terminal, typing }) {
  const element = h("div", { class: "keys", role: "toolbar", "aria-label": "Keys" });
  for (const [label, name, normal, application] of KEYS) {
    const press = () => {
      if (normal === null) typing.ctrl.toggle();
      else
        typing.type(terminal.modes.applicationCursorKeysMode && application ? application : normal);
    };
    const key = h(
      "button",
      {
        type: "button",
        class: "key",
        "aria-label": name,
        tabindex: element.children.length ? -1 : 0,
      },
      label,
    );
    // The focus stays where it is: a press comes from a pointer, or is a click without one
    // (keyboard, screen reader).
    key.addEventListener("pointerdown", (event) => event.preventDefault());
    key.addEventListener("mousedown", (event) => event.preventDefault());
    key.addEventListener("click", press);
    if (normal === null) {
      key.setAttribute("aria-pressed", "false");
      typing.ctrl.on((on) => key.setAttribute("aria-pressed", String(on)));
    }
    element.append(key);
  }
  element.addEventListener("keydown", (event) => {
    const keys = [...element.children];
    const at = keys.indexOf(document.activeElement);
    const step = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: keys.length - 1 }[
      event.key
    ];
    if (at < 0 || step === undefined) return;
    const next = keys[(step + keys.length) % keys.length];
    for (const key of keys) key.tabIndex = key === next ? 0 : -1;
    next.focus();
    event.preventDefault();
  });
  return { element };
}
