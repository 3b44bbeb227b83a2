// The rows of a hex dump over the runs of a Traffic: which bytes are in which row, and where bytes
// are found.

const rowsOf = (run, width) =>
  run.direction === "lost" ? 1 : Math.max(1, Math.ceil(run.length / width));

/**
 * One row. @typedef {{ run: import("./traffic.js").Run, offset: number, bytes: Uint8Array, head:
 * boolean, number: number }} Row
 */

export class HexRows {
  #starts = [];
  #first = 0;
  #base = 0;

  /** @param {import("./traffic.js").Traffic} traffic @param {number} width bytes a row */
  constructor(traffic, width = 16) {
    this.traffic = traffic;
    this.width = width;
    this.#first = traffic.first;
  }

  /** How many rows there are now; after a change, call it before `row`. */
  get count() {
    const { runs, first } = this.traffic;
    const gone = first - this.#first;
    if (gone > 0) {
      // Starts are absolute, so that dropping the oldest renumbers nothing.
      this.#base =
        this.#starts[gone] ??
        (this.#starts.length ? this.#end(this.#starts.length - 1) : this.#base);
      this.#starts.splice(0, gone);
      this.#first = first;
    }
    while (this.#starts.length < runs.length) {
      const at = this.#starts.length;
      this.#starts.push(
        at === 0 ? this.#base : this.#starts[at - 1] + rowsOf(runs[at - 1], this.width),
      );
    }
    return runs.length === 0 ? 0 : this.#end(runs.length - 1) - this.#starts[0];
  }

  /** The absolute number of the first row kept, to tell an old top from the new one. */
  get top() {
    return this.#starts[0] ?? this.#base;
  }

  #end(index) {
    const run = this.traffic.runs[index];
    return run ? this.#starts[index] + rowsOf(run, this.width) : this.#starts[index] + 1;
  }

  /** @param {number} index counted from the first row kept @returns {Row|null} */
  row(index) {
    const wanted = this.top + index;
    let low = 0;
    let high = this.#starts.length - 1;
    if (index < 0 || high < 0) return null;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle] <= wanted) low = middle;
      else high = middle - 1;
    }
    const run = this.traffic.runs[low];
    const number = wanted - this.#starts[low];
    if (number >= rowsOf(run, this.width)) return null;
    const offset = number * this.width;
    const bytes = run.data.subarray(offset, Math.min(run.length, offset + this.width));
    return { run, offset, bytes, head: number === 0 && !run.continued, number: index };
  }

  /** The row in which `pattern` begins, from row `from` on; `backwards`: before it. -1: nowhere. */
  find(pattern, from, backwards = false) {
    if (pattern.length === 0) return -1;
    const { runs } = this.traffic;
    const hits = (index) => {
      const list = [];
      const bytes = joined(runs, index, pattern.length - 1);
      for (
        let at = indexOf(bytes, pattern, 0);
        at >= 0 && at < runs[index].length;
        at = indexOf(bytes, pattern, at + 1)
      ) {
        list.push(this.#starts[index] - this.top + Math.floor(at / this.width));
      }
      return list;
    };
    const order = backwards ? [...runs.keys()].reverse() : [...runs.keys()];
    for (const index of order) {
      if (runs[index].direction === "lost") continue;
      const start = this.#starts[index] - this.top;
      if (backwards ? start >= from : start + rowsOf(runs[index], this.width) <= from) continue;
      const found = hits(index).filter((row) => (backwards ? row < from : row >= from));
      if (found.length) return backwards ? found.at(-1) : found[0];
    }
    return -1;
  }
}

/** The bytes of a run, and the first `more` bytes of the run that continues it. */
function joined(runs, index, more) {
  const run = runs[index];
  const next = runs[index + 1];
  const own = run.data.subarray(0, run.length);
  if (!next?.continued || more <= 0) return own;
  const all = new Uint8Array(run.length + Math.min(more, next.length));
  all.set(own);
  all.set(next.data.subarray(0, all.length - run.length), run.length);
  return all;
}

function indexOf(bytes, pattern, from) {
  for (let at = bytes.indexOf(pattern[0], from); at >= 0; at = bytes.indexOf(pattern[0], at + 1)) {
    if (pattern.every((byte, index) => bytes[at + index] === byte)) return at;
  }
  return -1;
}
