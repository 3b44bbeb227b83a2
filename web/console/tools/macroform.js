// The form of one macro: what it sends, how, and its key.

import { h } from "../dom.js";
import { button, input, select, status } from "./fields.js";
import { blank, complaint } from "./macros.js";

const MODES = [
  ["text", "text with \\r \\n \\e \\xNN"],
  ["hex", "hex bytes"],
];
const LINE_ENDS = [
  ["cr", "CR"],
  ["lf", "LF"],
  ["crlf", "CR LF"],
  ["none", "nothing"],
];
const KEYS = [
  ["", "none"],
  ...Array.from({ length: 9 }, (_, at) => [String(at + 1), `Alt Shift ${at + 1}`]),
];

/**
 * A form for `macro`, or for a new one: { element, focus() }. `keep(macro)` returns what is wrong
 * with it, if anything; `remove()` and `done()` are called.
 */
export function macroForm({ macro, keep, remove, done }) {
  const fields = macroFields(macro ?? blank());
  const wrong = status();
  const element = h(
    "form",
    { class: "tool-macro-form", "aria-label": macro ? `Edit ${macro.name}` : "New macro" },
    fields.elements,
    wrong.element,
    h(
      "div",
      { class: "tool-row" },
      h("button", { type: "submit", class: "primary" }, "Keep"),
      button("Cancel", done),
      macro && button("Delete", () => (remove(), done()), { class: "danger" }),
    ),
  );
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    const next = fields.read();
    const problem = complaint(next) ?? keep(next);
    if (problem) wrong.say(problem, true);
    else done();
  });
  return { element, focus: fields.focus };
}

function macroFields(macro) {
  const name = input("Name", { maxlength: 40 }, { otherwise: macro.name });
  const mode = select("Sends", MODES, { otherwise: macro.mode });
  const text = h("textarea", { rows: 4, spellcheck: "false", value: macro.text });
  const ending = select("Each line ends with", LINE_ENDS, { otherwise: macro.ending });
  const delay = input(
    "Pause between lines, ms",
    { type: "number", min: 0, max: 60000 },
    { otherwise: String(macro.delay) },
  );
  const key = select("Key", KEYS, { otherwise: macro.key });
  return {
    elements: [
      name.element,
      mode.element,
      h("label", { class: "field" }, "Text, a line each", text),
      ending.element,
      delay.element,
      key.element,
    ],
    focus: () => name.control.focus(),
    read: () => ({
      name: name.control.value.trim(),
      text: text.value.replaceAll("\r", ""),
      mode: mode.control.value,
      ending: ending.control.value,
      delay: Number(delay.control.value),
      key: key.control.value,
    }),
  };
}
