// The progress of a transfer: a bar, a line of figures, a button that cancels; screen readers hear
// each quarter.

import { h } from "../dom.js";
import { readableSize } from "./filename.js";
import { button } from "./fields.js";

/** What a person wants to know. @param {{ done: number, total: number|null, ms: number }} state */
export function figures({ done, total, ms }) {
  const rate = ms > 500 ? (done / ms) * 1000 : 0;
  const words = [
    total === null ? readableSize(done) : `${readableSize(done)} of ${readableSize(total)}`,
  ];
  if (rate > 0) words.push(`${readableSize(Math.round(rate))}/s`);
  if (rate > 0 && total !== null && total > done)
    words.push(`${remaining((total - done) / rate)} left`);
  return words.join(", ");
}

function remaining(seconds) {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** @param {(text: string) => void} announce @param {() => void} oncancel */
export function progress(announce, oncancel) {
  const bar = h("progress", { "aria-label": "Progress of the transfer", max: 1 });
  const title = h("span", { class: "tool-progress-name" });
  const line = h("span", { class: "tool-progress-figures" });
  const cancel = button("Cancel", oncancel, { class: "danger" });
  const element = h("div", { class: "tool-progress", hidden: true }, title, bar, line, cancel);
  let started = 0;
  let quarter = 0;
  let total = null;
  let drawn = 0;

  return {
    element,
    cancel,
    /** A file begins; `size` null where it is not known. */
    file(name, size) {
      started = performance.now();
      total = size;
      quarter = 0;
      drawn = 0;
      title.textContent = name;
      element.hidden = false;
      this.at(0);
    },
    at(done) {
      const now = performance.now();
      if (done > 0 && done !== total && now - drawn < 100) return;
      drawn = now;
      if (total === null) bar.removeAttribute("value");
      else bar.value = total === 0 ? 1 : done / total;
      line.textContent = figures({ done, total, ms: now - started });
      const part = total ? Math.floor((done / total) * 4) : 0;
      if (part > quarter && part < 4) announce(`${part * 25} percent`);
      quarter = Math.max(quarter, part);
    },
    end() {
      element.hidden = true;
    },
  };
}
