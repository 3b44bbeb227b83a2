// How the terminal shows and types: kept per endpoint in this browser.

import { h } from "../dom.js";
import { ENCODINGS } from "../terminal/encoding.js";
import { ENDINGS, INPUT_DEFAULTS } from "../terminal/input.js";
import { DEFAULTS, FONT_SIZES, SCROLLBACKS } from "../terminal/screen.js";

/** Only there Option types characters, and something has to be chosen. */
const MAC = /^(Mac|iP)/.test(navigator.platform);

const BACKSPACES = [
  ["\x7f", "DEL (7F)"],
  ["\b", "BS (08)"],
];

/** The panel "Terminal". */
export function displayPanel({ settings }) {
  const offs = [];

  function bind(key, otherwise, element, property, parse) {
    const show = (value) =>
      (element[property] = property === "checked" ? Boolean(value) : String(value));
    show(settings.get(`terminal.${key}`, otherwise));
    element.addEventListener("change", () =>
      settings.set(`terminal.${key}`, parse(element[property])),
    );
    offs.push(settings.on(`terminal.${key}`, (value) => show(value ?? otherwise)));
    return element;
  }

  /** @param {(value: string) => string | number} [parse] what is kept of the choice */
  const select = (key, otherwise, options, parse = String) =>
    bind(
      key,
      otherwise,
      h(
        "select",
        {},
        options.map(([value, label]) => h("option", { value }, label)),
      ),
      "value",
      parse,
    );
  const field = (label, control) => h("label", { class: "field" }, label, control);
  const check = (key, otherwise, label, hint) => {
    const box = bind(
      key,
      otherwise,
      h("input", { type: "checkbox", role: "switch" }),
      "checked",
      Boolean,
    );
    return h("label", { class: "toggle" }, box, h("span", {}, label, hint && h("small", {}, hint)));
  };

  const element = h(
    "div",
    { class: "panel" },
    h(
      "section",
      { class: "section" },
      h("h3", {}, "Typing"),
      field(
        "Enter sends",
        select(
          "enter",
          INPUT_DEFAULTS.enter,
          ENDINGS.map(([value, label, use]) => [value, `${label} (${use})`]),
        ),
      ),
      field("Backspace sends", select("backspace", INPUT_DEFAULTS.backspace, BACKSPACES)),
      check(
        "echo",
        INPUT_DEFAULTS.echo,
        "Local echo",
        "Show what you type, for devices that do not",
      ),
      MAC &&
        check(
          "optionMeta",
          DEFAULTS.optionMeta,
          "Option is Meta",
          "For editors and shells; off, Option types characters such as @ and |",
        ),
    ),
    h(
      "section",
      { class: "section" },
      h("h3", {}, "Showing"),
      field("Encoding", select("encoding", DEFAULTS.encoding, ENCODINGS)),
      check("times", DEFAULTS.times, "Times", "When each line came, by the gateway's clock"),
      check(
        "addCr",
        DEFAULTS.addCr,
        "LF begins a line at its left",
        "For devices that send LF without CR",
      ),
      h(
        "div",
        { class: "pairs" },
        field(
          "Font size",
          select(
            "fontSize",
            DEFAULTS.fontSize,
            FONT_SIZES.map((size) => [size, `${size} px`]),
            Number,
          ),
        ),
        field(
          "Lines kept",
          select(
            "scrollback",
            DEFAULTS.scrollback,
            SCROLLBACKS.map((lines) => [lines, lines.toLocaleString("en")]),
            Number,
          ),
        ),
      ),
    ),
    h(
      "section",
      { class: "section" },
      h("h3", {}, "Access and safety"),
      check(
        "screenReader",
        DEFAULTS.screenReader,
        "Screen reader mode",
        "Output as text that a screen reader can walk through",
      ),
      check(
        "answers",
        DEFAULTS.answers,
        "Answer the device's queries",
        "Cursor position, terminal type, mouse: for full-screen programs. Off, nothing is sent that you did not type",
      ),
    ),
  );
  return { element, dispose: () => offs.forEach((off) => off()) };
}
