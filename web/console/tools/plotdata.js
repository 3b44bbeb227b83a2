// The curves of a plot: one column of times, and one of values for each name, bounded; the oldest
// go first.

/** Points kept; at one line per tenth of a second, half an hour. */
const POINTS = 20_000;

/** Curves: more could not be told apart by colour. */
export const CURVES = 12;

export class PlotData {
  /** Seconds since 1970, never falling. @type {number[]} */
  times = [];
  /**
   * Values by name, as long as `times`; null where a line had none. @type {Map<string,
   * (number|null)[]>}
   */
  curves = new Map();
  /** Changes with every change, and when a curve is added. */
  version = 0;
  /** Names beyond the limit. */
  refused = new Set();

  constructor(limit = POINTS) {
    this.limit = limit;
  }

  /** @param {number} ms @param {[string, number][]} numbers of one line */
  add(ms, numbers) {
    const known = numbers.filter(([name]) => this.#has(name));
    if (known.length === 0) return;
    this.times.push(Math.max(this.times.at(-1) ?? 0, ms / 1000));
    for (const values of this.curves.values()) values.push(null);
    for (const [name, value] of known) this.curves.get(name)[this.times.length - 1] = value;
    // In blocks: moving all of them for each point would cost more than the point.
    if (this.times.length > this.limit * 1.25) this.#drop(this.times.length - this.limit);
    this.version += 1;
  }

  clear() {
    this.times = [];
    this.curves.clear();
    this.refused.clear();
    this.version += 1;
  }

  /** What the chart draws. */
  columns() {
    return [this.times, ...this.curves.values()];
  }

  /** The last value of a curve. */
  last(name) {
    return this.curves.get(name)?.findLast((value) => value !== null);
  }

  /** All of it as CSV: time as ISO 8601, a column for each curve. */
  csv() {
    const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const names = [...this.curves.keys()];
    const rows = this.times.map((seconds, at) =>
      [
        new Date(Math.round(seconds * 1000)).toISOString(),
        ...names.map((name) => this.curves.get(name)[at] ?? ""),
      ].join(","),
    );
    return `${["time", ...names].map(quoted).join(",")}\n${rows.map((row) => `${row}\n`).join("")}`;
  }

  #has(name) {
    if (this.curves.has(name)) return true;
    if (this.curves.size >= CURVES) {
      this.refused.add(name);
      return false;
    }
    this.curves.set(name, Array(this.times.length).fill(null));
    return true;
  }

  #drop(count) {
    this.times.splice(0, count);
    for (const values of this.curves.values()) values.splice(0, count);
  }
}
