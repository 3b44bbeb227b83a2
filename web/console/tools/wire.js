// One line as a file transfer sees it: bytes in, with a time limit; bytes out, with back-pressure;
// cancelled from outside.

import { concat } from "./escapes.js";

/** Bytes that may wait for a protocol that does not read; if there are more, it hangs. */
const QUEUE_LIMIT = 32 << 20;

/**
 * The transfer was ended by a person, by the other side, or because the line went away; `by` says
 * which.
 */
export class TransferEnded extends Error {
  /** @param {string} message @param {"user"|"remote"|"line"|"protocol"} by */
  constructor(message, by = "protocol") {
    super(message);
    this.name = "TransferEnded";
    this.by = by;
  }
}

export class Wire {
  #chunks = [];
  #at = 0;
  #pending = 0;
  #ended = null;
  #waiting = null;
  #stopped = false;
  #over = resolvable();

  /**
   * @param {(bytes: Uint8Array) => Promise<void>|void} write resolves when more may be written
   * @param {{ discard?: () => Promise<void>|void, rate?: number }} [options] discard: forgets what
   *   is written and not yet sent;
   *   rate: bytes per second of the line, 0 where it is not known
   */
  constructor(write, { discard, rate = 0 } = {}) {
    this.rawWrite = write;
    this.rate = rate;
    this.discard = async () => discard?.();
  }

  /** Bytes that have arrived and were not taken. */
  get pending() {
    return this.#pending;
  }

  /** Bytes from the line. */
  push(bytes) {
    if (this.#ended || bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.#pending += bytes.length;
    if (this.#pending > QUEUE_LIMIT)
      this.end(new TransferEnded("more data arrived than could be stored in time", "line"));
    this.#wake();
  }

  /** The next byte if there is one, otherwise -1. */
  take() {
    if (this.#ended) throw this.#ended;
    if (this.#pending === 0) return -1;
    const chunk = this.#chunks[0];
    const byte = chunk[this.#at++];
    this.#pending -= 1;
    if (this.#at === chunk.length) {
      this.#chunks.shift();
      this.#at = 0;
    }
    return byte;
  }

  /**
   * The next byte, or -1 after `ms` without one. Time during which the connection is lost does not
   * count.
   */
  async byte(ms) {
    const byte = this.take();
    if (byte >= 0) return byte;
    await this.#arrival(ms);
    return this.take();
  }

  /** Takes everything that has arrived. */
  takeAll() {
    const all = concat([
      this.#chunks[0]?.subarray(this.#at) ?? new Uint8Array(0),
      ...this.#chunks.slice(1),
    ]);
    this.#chunks = [];
    this.#at = 0;
    this.#pending = 0;
    return all;
  }

  /** Discards what arrives until the line has been silent for `ms`; at most `limit` bytes. */
  async silence(ms, limit = 1 << 20) {
    for (let left = limit; left > 0;) {
      left -= this.takeAll().length;
      if (!(await this.#arrival(ms))) return;
    }
  }

  /** Waits `ms`, or until the transfer is ended. */
  async pause(ms) {
    let timer;
    await Promise.race([
      new Promise((resolve) => {
        timer = setTimeout(resolve, ms);
      }),
      this.#over.promise,
    ]);
    clearTimeout(timer);
    if (this.#ended) throw this.#ended;
  }

  async write(bytes) {
    if (this.#ended) throw this.#ended;
    await this.sent(this.rawWrite(bytes));
  }

  /**
   * Waits for a write that is on its way, or until the transfer is ended. @param
   * {Promise<unknown>|void} way
   */
  async sent(way) {
    if (!way) return;
    // A line that takes nothing must not keep a cancelled transfer waiting.
    await Promise.race([way, this.#over.promise]);
    if (this.#ended) throw this.#ended;
  }

  /**
   * Ends the transfer: every read and write fails with `error` from now on. @param {TransferEnded}
   * error
   */
  end(error) {
    if (this.#ended) return;
    this.#ended = error;
    this.#over.resolve();
    this.#wake();
  }

  /** While the connection is lost no time limit runs: the client resumes without losing a byte. */
  stopClock(stopped) {
    this.#stopped = stopped;
    if (!stopped) this.#waiting?.restart();
  }

  #wake() {
    this.#waiting?.done(true);
  }

  /** Whether something arrived (or the transfer ended) within `ms`. */
  #arrival(ms) {
    if (this.#ended || this.#pending > 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      let timer;
      const done = (arrived) => {
        clearTimeout(timer);
        this.#waiting = null;
        resolve(arrived);
      };
      const restart = () => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          if (!this.#stopped) done(false);
        }, ms);
      };
      this.#waiting = { done, restart };
      restart();
    });
  }
}

function resolvable() {
  let resolve;
  const promise = new Promise((keep) => {
    resolve = keep;
  });
  return { promise, resolve };
}
