// What a pane has seen, in both directions, in runs without an idle gap: bounded; the oldest goes
// first and is counted.

/** Bytes kept; at 3 Mbaud about twelve seconds, at 115200 six minutes. */
const BYTE_LIMIT = 4 << 20;
/** Runs kept: each costs some memory, however short it is. */
const RUN_LIMIT = 50_000;
/**
 * A run without a pause continues in another one, so that the oldest part of a flood can be
 * dropped. A multiple of every row width.
 */
const RUN_SIZE = 48 << 10;

/**
 * Bytes of one direction that came without a pause.
 * @typedef {object} Run
 * @property {"in"|"out"|"lost"} direction lost: no bytes, `length` of them did not arrive
 * @property {number} ms when the first byte came, milliseconds since 1970
 * @property {number|null} delta milliseconds since the previous byte
 * @property {boolean} continued continues where the run before it ended
 * @property {boolean} replay earlier output, according to the gateway
 * @property {number} at offset of its first byte within its direction
 * @property {number} length
 * @property {Uint8Array} data the first `length` bytes of it
 */

export class Traffic {
  /** @type {Run[]} */
  runs = [];
  /** Bytes that were dropped because the bounds were reached. */
  dropped = 0;
  /** Runs that were dropped or cleared, which is the number of the first one kept. */
  first = 0;
  /** Changes with every change. */
  version = 0;
  #kept = 0;
  #last = null;
  #at = { in: 0, out: 0 };

  constructor({ gap = 20, byteLimit = BYTE_LIMIT, runLimit = RUN_LIMIT } = {}) {
    this.gap = gap;
    this.byteLimit = byteLimit;
    this.runLimit = runLimit;
  }

  /** @param {"in"|"out"} direction @param {Uint8Array} bytes they are copied */
  add(direction, bytes, ms, replay = false) {
    let from = 0;
    while (from < bytes.length) {
      const run = this.#runFor(direction, ms, replay, from > 0);
      const take = Math.min(bytes.length - from, RUN_SIZE - run.length);
      store(run, bytes.subarray(from, from + take));
      from += take;
      this.#kept += take;
      this.#at[direction] += take;
    }
    this.#last = ms;
    this.version += 1;
    this.#bound();
  }

  /** `count` bytes that did not arrive. */
  lost(count, ms) {
    this.#push({ direction: "lost", ms, replay: false, continued: false }).length = count;
    this.#at.in += count;
    this.#last = ms;
  }

  clear() {
    this.first += this.runs.length;
    this.runs = [];
    this.#kept = 0;
    this.dropped = 0;
    this.version += 1;
  }

  #runFor(direction, ms, replay, continued) {
    const run = this.runs.at(-1);
    const same =
      run &&
      run.direction === direction &&
      run.replay === replay &&
      (continued || ms - this.#last < this.gap);
    if (same && run.length < RUN_SIZE) return run;
    return this.#push({ direction, ms, replay, continued: Boolean(same) });
  }

  #push({ direction, ms, replay, continued }) {
    const delta = this.#last === null ? null : Math.max(0, ms - this.#last);
    const at = direction === "out" ? this.#at.out : this.#at.in;
    const run = { direction, ms, delta, continued, replay, at, length: 0, data: new Uint8Array(0) };
    this.runs.push(run);
    this.version += 1;
    return run;
  }

  #bound() {
    let drop = 0;
    for (
      ;
      drop < this.runs.length - 1 &&
      (this.#kept > this.byteLimit || this.runs.length - drop > this.runLimit);
      drop += 1
    ) {
      const { direction, length } = this.runs[drop];
      if (direction === "lost") continue;
      this.#kept -= length;
      this.dropped += length;
    }
    // Runs are dropped in groups: moving fifty thousand of them for each byte in a flood of single
    // bytes would freeze the page.
    if (drop === 0) return;
    for (
      const slack = Math.min(this.runs.length - 1, drop + (this.runs.length >> 4));
      drop < slack;
      drop += 1
    ) {
      if (this.runs[drop].direction === "lost") continue;
      this.#kept -= this.runs[drop].length;
      this.dropped += this.runs[drop].length;
    }
    this.runs.splice(0, drop);
    this.first += drop;
  }
}

function store(run, bytes) {
  if (run.length + bytes.length > run.data.length) {
    const larger = new Uint8Array(
      Math.min(RUN_SIZE, Math.max(64, run.length + bytes.length, run.data.length * 2)),
    );
    larger.set(run.data.subarray(0, run.length));
    run.data = larger;
  }
  run.data.set(bytes, run.length);
  run.length += bytes.length;
}
