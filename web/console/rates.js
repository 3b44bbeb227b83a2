// The last minute of each line, one value per second, for the list's sparklines.

import { signal } from "./store.js";

/** Seconds kept. */
export const MINUTE = 60;

const kept = new Map();
const ticks = signal();
let timer;

export const minutes = {
  /** Samples `rates()` ({ NAME: { rx, tx } }, bytes a second) from now on. */
  start(rates) {
    clearInterval(timer);
    timer = setInterval(() => {
      sample(rates());
      ticks.emit();
    }, 1000);
  },
  stop() {
    clearInterval(timer);
    kept.clear();
  },
  /**
   * The values for `name`, the oldest first; undefined if nothing has moved in that minute.
   * @returns {number[] | undefined}
   */
  of: (name) => kept.get(name),
  onTick: ticks.on,
};

/** Records one second for all lines; exported for its test. */
export function sample(rates) {
  for (const [name, values] of kept) {
    const { rx = 0, tx = 0 } = rates[name] ?? {};
    values.push(rx + tx);
    if (values.length > MINUTE) values.shift();
    if (values.every((value) => value === 0)) kept.delete(name);
  }
  for (const [name, { rx = 0, tx = 0 }] of Object.entries(rates)) {
    if (rx + tx > 0 && !kept.has(name)) kept.set(name, [...Array(MINUTE - 1).fill(0), rx + tx]);
  }
}

/**
 * The line of a sparkline over `values`, in a box of `width` by `height`: the `d` attribute of a
 * path.
 */
export function sparkline(values, width, height) {
  const most = Math.max(...values, 1);
  const step = width / (values.length - 1);
  // By its square root: otherwise little would be lost beside much.
  const y = (value) => (height - 1 - Math.sqrt(value / most) * (height - 2)).toFixed(1);
  return values
    .map((value, at) => `${at === 0 ? "M" : "L"}${(at * step).toFixed(1)} ${y(value)}`)
    .join("");
}
