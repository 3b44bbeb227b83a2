// How the terminal displays and types: kept per endpoint in this browser.

import { h } from "../dom.js";
import { ENCODINGS } from "../terminal/encoding.js";
import { ENDINGS, INPUT_DEFAULTS } from "../terminal/input.js";
import { DEFAULTS, FONT_SIZES, SCROLLBACKS } from "../terminal/screen.js";

/** Only there does Option type characters, so that there is something to choose. */
const MAC = /^(Mac|iP)/.test(navigator.platform);

const BACKSPACES = [
  ["\x7f", "DEL (7F)"],
  ["\b", "BS (08)"],
];

/** The panel "Terminal". */
export function displayPanel({ settings }) {
  const { controls, dispose } = kept(settings);
  const element = h(
    "div",
    { class: "panel" },
    section("Typing", typing(controls)),
    section("Showing", showing(controls)),
    section("Access and safety", safety(controls)),
  );
  return { element, dispose };
}

const section = (title, controls) =>
  h("section", { class: "section" }, h("h3", {}, title), controls);
const field = (label, control) => h("label", { class: "field" }, label, control);

function typing({ select, check }) {
  const endings = ENDINGS.map(([value, label, use]) => [value, `${label} (${use})`]);
  return [
    field("Enter sends", select("enter", INPUT_DEFAULTS.enter, endings)),
    field("Backspace sends", select("backspace", INPUT_DEFAULTS.backspace, BACKSPACES)),
    check("echo", INPUT_DEFAULTS.echo, "Local echo", "Show what you type, for devices that do not"),
    MAC &&
      check(
        "optionMeta",
        DEFAULTS.optionMeta,
        "Option is Meta",
        "For editors and shells; off, Option types characters such as @ and |",
      ),
  ];
}

function showing({ select, check }) {
  const sizes = FONT_SIZES.map((size) => [size, `${size} px`]);
  const lines = SCROLLBACKS.map((count) => [count, count.toLocaleString("en")]);
  return [
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
      field("Font size", select("fontSize", DEFAULTS.fontSize, sizes, Number)),
      field("Lines kept", select("scrollback", DEFAULTS.scrollback, lines, Number)),
    ),
  ];
}

function safety({ check }) {
  return [
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
  ];
}

/** Controls that show and change what is stored under `terminal.KEY`: { controls, dispose() }. */
function kept(settings) {
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

  /** @param {(value: string) => string | number} [parse] what to store for the choice */
  function select(key, otherwise, options, parse = String) {
    const list = options.map(([value, label]) => h("option", { value }, label));
    return bind(key, otherwise, h("select", {}, list), "value", parse);
  }

  function check(key, otherwise, label, hint) {
    const box = h("input", { type: "checkbox", role: "switch" });
    bind(key, otherwise, box, "checked", Boolean);
    return h("label", { class: "toggle" }, box, h("span", {}, label, hint && h("small", {}, hint)));
  }

  return { controls: { select, check }, dispose: () => offs.forEach((off) => off()) };
}
