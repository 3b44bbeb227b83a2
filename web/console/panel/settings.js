// Speed and frame of the line, changed in place: each choice takes effect at once, what the line
// cannot do is told and nothing changes.

import { h, say } from "../dom.js";
import { clock, lineSettings, person } from "../format.js";

const BAUDS = [
  300, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1000000,
  2000000, 3000000,
];

/** @type {Record<string, [string, (string | number)[][]]>} */
const FIELDS = {
  data: [
    "Data bits",
    [
      [8, "8"],
      [7, "7"],
      [6, "6"],
      [5, "5"],
    ],
  ],
  parity: [
    "Parity",
    [
      ["none", "none"],
      ["even", "even"],
      ["odd", "odd"],
      ["mark", "mark"],
      ["space", "space"],
    ],
  ],
  stop: [
    "Stop bits",
    [
      [1, "1"],
      [1.5, "1.5"],
      [2, "2"],
    ],
  ],
  flow: [
    "Flow control",
    [
      ["none", "none"],
      ["hardware", "RTS/CTS"],
      ["software", "XON/XOFF"],
    ],
  ],
};

/** The section "Settings". `state` is the link's store, `config(change)` asks the gateway. */
export function settingsSection({ state, config, mayWrite, announce }) {
  const status = h("p", { class: "note", role: "status" });
  const baud = h("select", { name: "baud" });
  const custom = h("input", {
    type: "number",
    name: "custom",
    min: 1,
    max: 4294967295,
    inputmode: "numeric",
    "aria-label": "Other speed in baud",
    placeholder: "baud",
  });
  const customRow = h(
    "div",
    { class: "row", hidden: true },
    custom,
    h("button", { type: "button", onclick: () => useCustom() }, "Set"),
  );
  const selects = Object.fromEntries(
    Object.entries(FIELDS).map(([name, [, options]]) => [
      name,
      h(
        "select",
        { name },
        options.map(([value, label]) => h("option", { value }, label)),
      ),
    ]),
  );
  const fieldset = h(
    "fieldset",
    { class: "plain" },
    h("legend", { class: "unseen" }, "Settings of the line"),
    h("label", { class: "field" }, "Baud", baud),
    customRow,
    h(
      "div",
      { class: "pairs" },
      Object.entries(FIELDS).map(([name, [label]]) =>
        h("label", { class: "field" }, label, selects[name]),
      ),
    ),
  );
  const element = h(
    "section",
    { class: "section", "aria-label": "Settings" },
    h("h3", {}, "Settings"),
    fieldset,
    status,
  );
  let shownBaud;

  async function change(members) {
    try {
      await config(members);
      const text = lineSettings(state.value.config);
      status.className = "note good";
      say(status, `Set: ${text}`);
    } catch (error) {
      status.className = "note bad";
      say(status, `Not set: ${error.message}`);
      show();
    }
  }

  function useCustom() {
    const value = Number(custom.value);
    const right = Number.isInteger(value) && value >= 1 && value <= 4294967295;
    custom.setAttribute("aria-invalid", String(!right));
    if (!right) return announce("A speed is a whole number of baud, 1 or more");
    customRow.hidden = true;
    baud.focus();
    change({ baud: value });
  }

  baud.addEventListener("change", () => {
    customRow.hidden = baud.value !== "other";
    if (baud.value === "other") {
      custom.value = String(state.value.config?.baud ?? "");
      custom.focus();
      custom.select();
    } else change({ baud: Number(baud.value) });
  });
  custom.addEventListener("keydown", (event) => {
    if (event.key === "Enter") useCustom();
    else if (event.key === "Escape") ((customRow.hidden = true), show(), baud.focus());
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  for (const [name, select] of Object.entries(selects)) {
    select.addEventListener("change", () =>
      change({
        [name]: name === "parity" || name === "flow" ? select.value : Number(select.value),
      }),
    );
  }

  function show() {
    const { config: now, endpoint, rights } = state.value;
    element.hidden = !endpoint?.caps?.includes("config") && !now;
    const can = mayWrite() && rights.includes("settings");
    fieldset.disabled = !can;
    if (!now) return;
    if (shownBaud !== now.baud || baud.value === "other") {
      const list = BAUDS.includes(now.baud) ? BAUDS : [...BAUDS, now.baud].sort((a, b) => a - b);
      baud.replaceChildren(
        ...list.map((value) => h("option", { value }, String(value))),
        h("option", { value: "other" }, "other…"),
      );
      shownBaud = now.baud;
    }
    if (customRow.hidden) baud.value = String(now.baud);
    for (const [name, select] of Object.entries(selects))
      if (now[name] !== undefined) select.value = String(now[name]);
  }

  let by = null;
  const off = state.on((value) => {
    show();
    if (value.configBy !== by && value.configBy) {
      status.className = "note";
      say(
        status,
        `${person(value.configBy.user)} set ${lineSettings(value.config)} at ${clock(value.configBy.ms)}`,
      );
    }
    by = value.configBy;
  });
  return { element, dispose: off };
}
