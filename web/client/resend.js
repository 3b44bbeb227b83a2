// Bytes that were sent and not acknowledged, kept for a resume. Offsets count from the session's
// first byte.

import { LineError } from "./error.js";

export class Resend {
  /** @type {Uint8Array[]} */
  #kept = [];
  #base = 0;
  #end = 0;
  #next = 0;
  #window;

  /** @param {number} window the most of our bytes that the gateway holds unacknowledged */
  constructor(window = 0) {
    this.#window = window;
  }

  /** How many new bytes may be sent now. */
  get room() {
    return this.#next === this.#end ? Math.max(0, this.#base + this.#window - this.#end) : 0;
  }

  /** How many bytes are not acknowledged. */
  get unacknowledged() {
    return this.#end - this.#base;
  }

  /**
   * New bytes are about to be sent. @param {Uint8Array} bytes they are kept, so they must not
   * change
   */
  sent(bytes) {
    // An empty piece does not end what is being sent again.
    if (bytes.length === 0) return;
    this.#kept.push(bytes);
    this.#end += bytes.length;
    this.#next = this.#end;
  }

  /**
   * The next bytes to send again after a resume, at most `most`; undefined if there are none.
   * @param {number} most
   */
  again(most) {
    if (this.#next === this.#end) return undefined;
    let at = this.#base;
    for (const chunk of this.#kept) {
      if (this.#next < at + chunk.length) {
        const from = this.#next - at;
        const bytes = chunk.subarray(from, from + most);
        this.#next += bytes.length;
        return bytes;
      }
      at += chunk.length;
    }
    return undefined;
  }

  /**
   * The gateway no longer needs bytes below `tx`. A late acknowledgement changes nothing. @param
   * {number} tx
   */
  ack(tx) {
    if (!Number.isSafeInteger(tx) || tx > this.#next)
      throw new LineError("foreign", `${tx} bytes acknowledged that were not sent`);
    while (this.#kept.length > 0 && this.#base < tx) {
      const [first] = this.#kept;
      const done = Math.min(first.length, tx - this.#base);
      this.#base += done;
      if (done === first.length) this.#kept.shift();
      else this.#kept[0] = first.subarray(done);
    }
  }

  /**
   * The session continues: the gateway has taken what is below `tx`, and gets the rest again. It
   * acknowledges later. @param {number} tx
   */
  resumed(tx) {
    if (!Number.isSafeInteger(tx) || tx < this.#base || tx > this.#end)
      throw new LineError("foreign", `resumed at byte ${tx}, which was not sent`);
    this.#next = tx;
  }
}
