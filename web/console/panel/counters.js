// What was counted: this page's bytes, and the endpoint's line errors.

import { h, say } from "../dom.js";
import { byteCount } from "../format.js";

const ERRORS = [
  ["break", "Breaks received"],
  ["parity", "Parity errors"],
  ["framing", "Framing errors"],
  ["overrun", "Overruns of the port"],
  ["buffer_overrun", "Overruns of the driver"],
];

/** How often the endpoint's counters are fetched while they are visible, in ms. */
const EVERY = 2000;

/** The section "Counters". */
export function countersSection({ state, link }) {
  const values = new Map();
  const row = (key, label) => {
    const value = h("dd", {}, "0");
    values.set(key, value);
    return h("div", {}, h("dt", {}, label), value);
  };
  const errors = ERRORS.map(([key, label]) => row(key, label));
  const element = h(
    "section",
    { class: "section", "aria-label": "Counters" },
    h("h3", {}, "Counters"),
    h("dl", { class: "counters" }, row("rx", "Received here"), row("tx", "Sent here"), errors),
  );
  let timer;

  const off = state.on(({ rx, tx, counters, endpoint }) => {
    say(values.get("rx"), byteCount(rx));
    say(values.get("tx"), byteCount(tx));
    const has = endpoint?.caps?.includes("errors") ?? false;
    for (const [index, [key]] of ERRORS.entries()) {
      errors[index].hidden = !has;
      errors[index].classList.toggle("some", (counters[key] ?? 0) > 0);
      say(values.get(key), String(counters[key] ?? 0));
    }
  });

  return {
    element,
    shown(visible) {
      clearInterval(timer);
      if (visible)
        timer = setInterval(() => document.visibilityState === "visible" && link.refresh(), EVERY);
    },
    dispose() {
      clearInterval(timer);
      off();
    },
  };
}
