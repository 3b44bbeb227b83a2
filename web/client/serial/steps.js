// Signal changes on their way: all those of one task in one message, each with the time it was
// made.

/** The most steps in one message; the gateway has the same limit. */
const STEPS = 32;

/**
 * setSignals() must not wait for an answer: with one line moved at a time, (DTR, RTS) = (1, 1)
 * would last a round trip, and an ESP32 would start its application instead of the loader. So a
 * change counts as done when it is noted, the changes of one task are sent together, and the
 * gateway keeps their distances in time. A failure is reported by the next call.
 */
export class Steps {
  /** @type {import("../line.js").Step[]} */
  #noted = [];
  /** @type {unknown} */
  #failure;
  /** The last message's answer. @type {Promise<unknown> | undefined} */
  #done;
  #line;
  #channel = new MessageChannel();

  /** @param {import("../line.js").Line} line */
  constructor(line) {
    this.#line = line;
    this.#channel.port1.onmessage = () => this.send();
    // In Node it would keep the process alive.
    /** @type {any} */ (this.#channel.port1).unref?.();
  }

  /** @param {import("../line.js").Step} step @throws what became of the steps before */
  note(step) {
    const failure = this.#failure;
    if (failure !== undefined) {
      this.#failure = undefined;
      throw failure;
    }
    // A message arrives as a task of its own: after the promises of this task, and not delayed in
    // the background as timers are.
    if (this.#noted.length === 0) this.#channel.port2.postMessage(null);
    this.#noted.push({ at: performance.now(), ...step });
    if (this.#noted.length === STEPS) this.send();
  }

  /** Sends what is noted, ahead of data, settings and questions that come after it. */
  send() {
    if (this.#noted.length === 0) return;
    const steps = this.#noted;
    this.#noted = [];
    this.#done = this.#line.signals(steps).catch((error) => (this.#failure = error));
  }

  /** Done when the gateway has made the last change, or after `ms`. @param {number} ms */
  async settled(ms) {
    this.send();
    if (!this.#done) return;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    await Promise.race([this.#done, new Promise((done) => (timer = setTimeout(done, ms)))]);
    clearTimeout(timer);
  }

  dispose() {
    this.#noted = [];
    this.#channel.port1.close();
  }
}
