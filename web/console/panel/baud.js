// The speed of a line: a list, and a number field for other speeds.

import { h } from "../dom.js";

const BAUDS = [
  300, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1000000,
  2000000, 3000000,
];

/** { elements, show(baud) }. `chosen(baud)` is called on a choice, `now()` returns the line's speed. */
export function baudField({ now, chosen, announce }) {
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
  const row = h(
    "div",
    { class: "row", hidden: true },
    custom,
    h("button", { type: "button", onclick: useCustom }, "Set"),
  );
  let shown;

  function useCustom() {
    const value = Number(custom.value);
    const right = Number.isInteger(value) && value >= 1 && value <= 4294967295;
    custom.setAttribute("aria-invalid", String(!right));
    if (!right) return announce("A speed is a whole number of baud, 1 or more");
    row.hidden = true;
    baud.focus();
    chosen(value);
  }

  function show(value) {
    if (shown !== value || baud.value === "other") {
      const list = BAUDS.includes(value) ? BAUDS : [...BAUDS, value].sort((a, b) => a - b);
      baud.replaceChildren(
        ...list.map((one) => h("option", { value: one }, String(one))),
        h("option", { value: "other" }, "other…"),
      );
      shown = value;
    }
    if (row.hidden) baud.value = String(value);
  }

  baud.addEventListener("change", () => {
    row.hidden = baud.value !== "other";
    if (!row.hidden) {
      custom.value = String(now() ?? "");
      custom.focus();
      custom.select();
    } else chosen(Number(baud.value));
  });
  custom.addEventListener("keydown", (event) => {
    if (event.key === "Enter") useCustom();
    else if (event.key === "Escape") ((row.hidden = true), show(now()), baud.focus());
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return { elements: [h("label", { class: "field" }, "Baud", baud), row], show };
}
