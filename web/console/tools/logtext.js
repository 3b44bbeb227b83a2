// The runs of a Traffic as text: one line each with the time, the direction, and everything that is
// not text escaped.

import { concat, toHex } from "./escapes.js";

/** `2026-11-26 08:21:28.123`, in the time of this browser. */
export function stamp(ms) {
  const date = new Date(ms);
  const two = (number) => String(number).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(ms)}`;
}

/** `08:21:28.123` */
export function clock(ms) {
  const date = new Date(ms);
  const two = (number) => String(number).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

// Control characters except tab, those that reverse the direction of text, and bytes that are not
// text in UTF-8.
const HIDDEN =
  /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\\]/g;
const SHORT = { "\r": "\\r", "\n": "\\n", "\u001b": "\\e", "\\": "\\\\" };

/** Text without anything active: escape sequences, line ends and the like are spelled out. */
export function visible(text) {
  return text.replace(
    HIDDEN,
    (character) =>
      SHORT[character] ??
      `\\x${character.codePointAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}

/** The lines of one direction: a run is cut after each LF, and a line may span several runs. */
export class LineSplitter {
  #rest = [];
  #length = 0;
  #ms = 0;
  #afterReturn = false;

  /**
   * @param {{ limit?: number, returns?: boolean }} [options] limit: longer lines are cut; returns:
   * a CR ends a line too, as Enter does
   */
  constructor({ limit = 4096, returns = false } = {}) {
    this.limit = limit;
    this.returns = returns;
  }

  /**
   * @returns {{ ms: number, bytes: Uint8Array }[]} the lines that are complete, without their end
   */
  push(bytes, ms) {
    const lines = [];
    for (let from = this.#afterReturn && bytes[0] === 0x0a ? 1 : 0; from < bytes.length;) {
      const newline = this.#end(bytes, from);
      const room = this.limit - this.#length;
      const end = Math.min(newline < 0 ? bytes.length : newline, from + room);
      if (this.#length === 0) this.#ms = ms;
      if (end > from) this.#rest.push(bytes.slice(from, end));
      this.#length += end - from;
      const complete = end === newline;
      if (complete || this.#length >= this.limit) lines.push(...this.flush(complete));
      from = complete
        ? end + (this.returns && bytes[end] === 0x0d && bytes[end + 1] === 0x0a ? 2 : 1)
        : end;
    }
    this.#afterReturn = this.returns && bytes.at(-1) === 0x0d;
    return lines;
  }

  #end(bytes, from) {
    const newline = bytes.indexOf(0x0a, from);
    const back = this.returns ? bytes.indexOf(0x0d, from) : -1;
    return back >= 0 && (newline < 0 || back < newline) ? back : newline;
  }

  /** What has no end yet. */
  flush(even = false) {
    if (this.#length === 0 && !even) return [];
    const line = { ms: this.#ms, bytes: concat(this.#rest) };
    this.#rest = [];
    this.#length = 0;
    return [line];
  }
}

const MARK = { in: "<", out: ">" };

/**
 * Writes a log: fed with the bytes of both directions, it returns lines of text. `hex`: bytes as
 * digits instead of text.
 */
export class LogText {
  #splitters = { in: new LineSplitter(), out: new LineSplitter({ returns: true }) };
  #decode;

  /** @param {{ hex?: boolean, decode?: (bytes: Uint8Array) => string }} [options] */
  constructor({ hex = false, decode = (bytes) => new TextDecoder().decode(bytes) } = {}) {
    this.hex = hex;
    this.#decode = decode;
  }

  /** @param {"in"|"out"} direction */
  add(direction, bytes, ms) {
    if (this.hex) return `${stamp(ms)} ${MARK[direction]} ${toHex(bytes)}\n`;
    return this.#print(direction, this.#splitters[direction].push(bytes, ms));
  }

  lost(count, ms) {
    return `${stamp(ms)} ! ${count} bytes were lost\n`;
  }

  /** The lines that have no end yet. */
  flush() {
    return (
      this.#print("out", this.#splitters.out.flush()) +
      this.#print("in", this.#splitters.in.flush())
    );
  }

  #print(direction, lines) {
    return lines
      .map(({ ms, bytes }) => {
        const text = bytes.at(-1) === 0x0d ? bytes.subarray(0, -1) : bytes;
        return `${stamp(ms)} ${MARK[direction]} ${visible(this.#decode(text))}\n`;
      })
      .join("");
  }
}

/**
 * What a page has seen, as parts of a text file. @param {import("./traffic.js").Traffic} traffic
 * @returns {string[]}
 */
export function trafficText(traffic, name, options) {
  const log = new LogText(options);
  const parts = [
    `# ${visible(name)}, what this page has seen until ${stamp(Date.now())}; < received, > sent\n`,
  ];
  if (traffic.dropped > 0)
    parts.push(
      `# ${traffic.dropped} bytes before this were dropped: the page keeps a bounded part\n`,
    );
  for (const run of traffic.runs) {
    if (run.direction === "lost") parts.push(log.lost(run.length, run.ms));
    else parts.push(log.add(run.direction, run.data.subarray(0, run.length), run.ms));
  }
  parts.push(log.flush());
  return parts;
}
