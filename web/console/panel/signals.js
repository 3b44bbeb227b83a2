// The modem lines: lamps for those that the device drives, switches for those that we drive, break,
// and the endpoint's macros.

import { h, icon, say } from "../dom.js";

export const INPUTS = [
  ["cts", "CTS", "Clear To Send"],
  ["dsr", "DSR", "Data Set Ready"],
  ["dcd", "DCD", "Data Carrier Detect"],
  ["ri", "RI", "Ring Indicator"],
];

export const OUTPUTS = [
  ["dtr", "DTR", "Data Terminal Ready"],
  ["rts", "RTS", "Request To Send"],
];

const BREAKS = [100, 250, 500, 1000, 3000];

/** A lamp: on and off differ in shape and word, not only in colour. */
export function lamp(label, title) {
  const text = h("span", { class: "unseen" }, "unknown");
  const element = h(
    "span",
    { class: "lamp", title },
    h("i", { "aria-hidden": "true" }),
    label,
    text,
  );
  return {
    element,
    show(on) {
      element.classList.toggle("on", on === true);
      element.classList.toggle("unknown", on === undefined || on === null);
      say(text, on === undefined || on === null ? " unknown" : on ? " on" : " off");
      element.title = `${title}: ${on === undefined || on === null ? "not known" : on ? "on" : "off"}`;
    },
  };
}

/** The section "Signals". */
export function signalsSection({ state, link, mayWrite, sendBreak, notice, breakMs }) {
  /** @type {[string, ReturnType<typeof lamp>][]} */
  const lamps = INPUTS.map(([key, label, title]) => [key, lamp(label, title)]);
  /** @type {[string, ReturnType<typeof outputSwitch>][]} */
  const switches = OUTPUTS.map(([key, label, title]) => [
    key,
    outputSwitch(label, title, (on) => drive(key, on)),
  ]);
  const elements = (list) => list.map(([, one]) => one.element);
  const breakRow = breakControls({ sendBreak, breakMs });
  const macros = macroBox({ link, notice });
  const outputs = h("div", { class: "switches" }, elements(switches));
  const inputs = h(
    "div",
    { class: "lamps", role: "group", "aria-label": "Lines from the device" },
    elements(lamps),
  );
  const fieldset = h(
    "fieldset",
    { class: "plain" },
    h("legend", { class: "unseen" }, "Lines to the device"),
    outputs,
    breakRow,
    macros.element,
  );
  const element = h(
    "section",
    { class: "section", "aria-label": "Signals" },
    h("h3", {}, "Signals"),
    inputs,
    fieldset,
  );

  async function drive(key, on) {
    try {
      await link.signals({ [key]: on });
    } catch (error) {
      notice(`${key.toUpperCase()} was not moved: ${error.message}`, { kind: "warn", for: 10 });
    }
  }

  const off = state.on(({ signals, outputs: driven, endpoint, rights }) => {
    const caps = endpoint?.caps ?? [];
    for (const [list, values] of /** @type {const} */ ([
      [lamps, signals],
      [switches, driven],
    ])) {
      for (const [key, one] of list) {
        one.element.hidden = !caps.includes(key);
        one.show(values?.[key]);
      }
    }
    inputs.hidden = !INPUTS.some(([key]) => caps.includes(key));
    outputs.hidden = !OUTPUTS.some(([key]) => caps.includes(key));
    breakRow.hidden = !caps.includes("break");
    macros.show(endpoint?.macros ?? []);
    element.hidden = inputs.hidden && outputs.hidden && breakRow.hidden && macros.element.hidden;
    fieldset.disabled = !mayWrite() || !rights.includes("signals");
  });
  return { element, dispose: off };
}

function breakControls({ sendBreak, breakMs }) {
  const length = h(
    "select",
    { "aria-label": "Length of the break" },
    BREAKS.map((ms) => h("option", { value: ms }, `${ms} ms`)),
  );
  length.value = String(breakMs.get());
  length.addEventListener("change", () => breakMs.set(Number(length.value)));
  const send = h("button", { type: "button", onclick: sendBreak }, icon("bolt"), "Send break");
  return h("div", { class: "row" }, send, length);
}

/** A button for each sequence of the endpoint's configuration: { element, show(names) }. */
function macroBox({ link, notice }) {
  const buttons = h("div", { class: "row wrap" });
  const title = h("h4", {}, "Sequences of the gateway");
  const element = h("div", { class: "macros", hidden: true }, title, buttons);
  let shown = "";

  async function run(name) {
    try {
      await link.macro(name);
      notice(`Sequence ${name} was run.`, { for: 5, kind: "good" });
    } catch (error) {
      notice(`Sequence ${name} failed: ${error.message}`, { kind: "warn", for: 10 });
    }
  }

  return {
    element,
    show(names) {
      element.hidden = names.length === 0;
      if (names.join() === shown) return;
      shown = names.join();
      buttons.replaceChildren(
        ...names.map((name) =>
          h("button", { type: "button", onclick: () => run(name) }, icon("play"), name),
        ),
      );
    },
  };
}

/** On and off are two buttons, because a line that nobody has driven yet is neither. */
function outputSwitch(label, title, drive) {
  const on = h(
    "button",
    {
      type: "button",
      "aria-pressed": "false",
      "aria-label": `${label} on`,
      onclick: () => drive(true),
    },
    "on",
  );
  const off = h(
    "button",
    {
      type: "button",
      "aria-pressed": "false",
      "aria-label": `${label} off`,
      onclick: () => drive(false),
    },
    "off",
  );
  const element = h(
    "div",
    { class: "switch", role: "group", "aria-label": title, title },
    h("span", {}, label),
    h("div", { class: "segments" }, off, on),
  );
  return {
    element,
    show(value) {
      on.setAttribute("aria-pressed", String(value === true));
      off.setAttribute("aria-pressed", String(value === false));
    },
  };
}
