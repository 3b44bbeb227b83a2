// Speed and frame of the line, changed in place: each choice takes effect immediately; what the
// line cannot do is reported, and nothing changes.

import { h, say } from "../dom.js";
import { clock, lineSettings, person } from "../format.js";
import { baudField } from "./baud.js";

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
  const tell = (text, kind = "") => {
    status.className = `note ${kind}`.trim();
    say(status, text);
  };
  const baud = baudField({
    now: () => state.value.config?.baud,
    chosen: (value) => change({ baud: value }),
    announce,
  });
  const frame = frameFields(change);
  const fieldset = h(
    "fieldset",
    { class: "plain" },
    h("legend", { class: "unseen" }, "Settings of the line"),
    baud.elements,
    h("div", { class: "pairs" }, frame.elements),
  );
  const element = h(
    "section",
    { class: "section", "aria-label": "Settings" },
    h("h3", {}, "Settings"),
    fieldset,
    status,
  );

  async function change(members) {
    try {
      await config(members);
      tell(`Set: ${lineSettings(state.value.config)}`, "good");
    } catch (error) {
      tell(`Not set: ${error.message}`, "bad");
      show();
    }
  }

  function show() {
    const { config: now, endpoint, rights } = state.value;
    element.hidden = !endpoint?.caps?.includes("config") && !now;
    fieldset.disabled = !(mayWrite() && rights.includes("settings"));
    if (!now) return;
    baud.show(now.baud);
    frame.show(now);
  }

  let by = null;
  const off = state.on((value) => {
    show();
    if (value.configBy !== by && value.configBy) {
      const { user, ms } = value.configBy;
      tell(`${person(user)} set ${lineSettings(value.config)} at ${clock(ms)}`);
    }
    by = value.configBy;
  });
  return { element, dispose: off };
}

/** A choice for each of FIELDS: { elements, show(config) }. */
function frameFields(change) {
  const selects = Object.entries(FIELDS).map(([name, [label, options]]) => {
    const list = options.map(([value, text]) => h("option", { value }, text));
    const select = h("select", { name }, list);
    select.addEventListener("change", () =>
      change({
        [name]: name === "parity" || name === "flow" ? select.value : Number(select.value),
      }),
    );
    return { name, label, select };
  });
  return {
    elements: selects.map(({ label, select }) => h("label", { class: "field" }, label, select)),
    show(config) {
      for (const { name, select } of selects)
        if (config[name] !== undefined) select.value = String(config[name]);
    },
  };
}
