// One line of a gateway: data, settings, signals, the lease, and a session that outlives its
// connection.

import { Connection } from "./connection.js";
import { LineError } from "./error.js";
import { Resend } from "./resend.js";

/** Bytes of one data frame. */
const FRAME = 16 * 1024;

/** Bytes of the longest datagram. */
const DATAGRAM = 65507;

/** @typedef {import("./connection.js").Message} Message */
/**
 * @typedef {{ baud?: number, data?: 5 | 6 | 7 | 8, parity?: "none" | "even" | "odd" | "mark" |
 * "space", stop?: 1 | 1.5 | 2, flow?: "none" | "hardware" | "software" }} Config
 */
/**
 * @typedef {{ dtr?: boolean, rts?: boolean, break?: boolean, ms?: number, at?: number }} Step a
 * change of lines; `ms` is held after it, `at` is when the client made it (performance.now())
 */
/** @typedef {{ cts?: boolean, dsr?: boolean, dcd?: boolean, ri?: boolean }} Inputs */
/**
 * @typedef {object} OpenOptions
 * @property {"writer" | "observer" | "auto"} [role] `writer` (the default) fails with `busy` while
 *   another writes
 * @property {boolean} [take] takes the lease from its holder
 * @property {Config} [config] settings to open with
 * @property {{ dtr?: boolean, rts?: boolean }} [signals] where DTR and RTS go; nothing moves
 *   without
 * @property {{ bytes: number } | { from: number, epoch: string }} [replay] earlier output
 * @property {number} [window] bytes the gateway may send unacknowledged
 * @property {boolean} [times] whether "time" events are wanted
 */
/**
 * @typedef {{ session: string, epoch: string, rx: number, tx: number, live?: number, window:
 * number, role: string, config?: Config, signals?: Inputs }} Opened
 */
/**
 * @typedef {{ reason: string, unsent: number, epoch: string, from: number, want: OpenOptions }}
 * Gone
 */
/**
 * @typedef {{ bytes: Uint8Array, done: () => void, fail: (error: LineError) => void, message?:
 * undefined } | { message: Message }} Item
 */

/**
 * A line over wsbridge.v1. Each byte arrives once and in order, in both directions, over
 * connections that break: what was sent is kept until the gateway has it, and reading continues at
 * the byte where it stopped. What could not be kept is reported ("gap").
 *
 * Events (`event.detail`): "data" { bytes, at, replay }, "gap" { from, to }, "signals" (inputs),
 * "config" (settings, by), "line" { event, at, count }, "time" { at, ms }, "lease" { you, holder,
 * observers, request, reason }, "rights" { rights, why } (held read-only, or let go), "notice"
 * { from, text } (a message for whoever uses the session), "status" { state, error, at, caps, usb } (with each session, and
 * when it changes; `hello.endpoint` has it, too), "error" { code, message, bytes } (data that went
 * nowhere), "lost" { code, reason, retryIn }, "resumed" { gap, downFor }, "gone" { reason, unsent,
 * opened } (the session had expired; a new one is open), "closed" { code, reason, final }.
 */
export class Line extends Connection {
  /** The session, as `opened` described it, kept up to date. @type {Opened | undefined} */
  opened;
  /** @type {OpenOptions} */
  #want = {};
  #autoAck;
  #reopen;
  /** Data, and requests that keep their place between data. @type {Item[]} */
  #queue = [];
  #resend = new Resend();
  /**
   * Offset after the last byte received; how much the application has consumed; what the gateway
   * was told.
   */
  #received = 0;
  #consumed = 0;
  #told = 0;
  #window = 65536;
  /** Each message is a datagram. */
  #whole = false;
  /** The number of the `resume` whose answer is awaited. @type {number | undefined} */
  #resuming;
  /** Holds the "resumed" event back until it is known whether there is a gap. */
  #resumedTo = false;
  /** Answers to `flush` that are awaited: what arrives before them is dropped. */
  #flushing = 0;
  /** An `open` or `close` that ends this session waits to be sent. */
  #replacing = false;
  /** Wants to write as soon as the device is there. */
  #patient = false;
  /** A session that is gone, whose successor waits for a connection. @type {Gone | undefined} */
  #successor;

  /**
   * @param {import("./dial.js").DialOptions & { autoAck?: boolean, reopen?: boolean }} options
   *   `autoAck: false`: call consumed() when
   *   bytes are dealt with, and the gateway waits when they are not. `reopen: false`: an expired session stays closed
   */
  constructor(options) {
    super(options);
    this.#autoAck = options.autoAck ?? true;
    this.#reopen = options.reopen ?? true;
  }

  /**
   * Begins a session; one that is open ends with it. @param {OpenOptions} [options] @returns
   * {Promise<Opened>}
   */
  async open(options = {}) {
    this.#want = { ...options };
    this.#patient = false;
    this.#successor = undefined;
    this.#replace(new LineError("closed", "another session was opened"));
    return /** @type {Opened} */ (
      /** @type {unknown} */ (await this.ask({ type: "open", role: "writer", ...defined(options) }))
    );
  }

  /**
   * Sends bytes. Done when the last of them is on its way, within the gateway's window. If
   * `hello.endpoint.caps` has `datagrams`, each call is one datagram. @param {Uint8Array | string}
   * data
   */
  write(data) {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data.slice();
    return /** @type {Promise<void>} */ (
      new Promise((done, fail) => {
        if (!this.opened || this.state === "closed")
          return fail(new LineError("not_open", "no session is open: call open() first"));
        if (this.#whole && bytes.length > DATAGRAM)
          return fail(new LineError("limit", `a datagram has at most ${DATAGRAM} bytes`));
        if (bytes.length === 0 && !this.#whole) return done();
        this.#queue.push({ bytes, done, fail });
        this.#pump();
      })
    );
  }

  /** Bytes that write() took and the gateway has not acknowledged. */
  get unacknowledged() {
    return (
      this.#resend.unacknowledged +
      this.#queue.reduce((sum, item) => sum + ("bytes" in item ? item.bytes.length : 0), 0)
    );
  }

  /**
   * Changes settings, after the data before it. @param {Config} change @param {{ when?: "drain" |
   * "now", now?: boolean }} [how]
   */
  async config(change, { when, now } = {}) {
    await this.#inLine(
      { type: "config", ...defined({ ...change, when, now: now || undefined }) },
      now,
    );
    if (this.opened) this.opened.config = { ...this.opened.config, ...defined(change) };
  }

  /**
   * Moves DTR and RTS, and break, after the data before it. @param {Step | Step[]} steps @param {{
   * now?: boolean }} [how]
   */
  async signals(steps, { now } = {}) {
    const list = (Array.isArray(steps) ? steps : [steps]).map(defined);
    // The gateway keeps the time between steps of two calls, whatever the network does to them.
    if (list[0] && list[0].at === undefined) list[0].at = performance.now();
    await this.#inLine(
      { type: "signals", steps: list, ...defined({ now: now || undefined }) },
      now,
    );
  }

  /** Sends a break. @param {number} [ms] */
  sendBreak(ms = 250) {
    return this.signals([{ break: true, ms }, { break: false }]);
  }

  /** Runs a signal sequence of the endpoint's configuration. @param {string} name */
  async macro(name) {
    await this.#inLine({ type: "macro", name });
  }

  /** Asks for settings, inputs, outputs, counters. */
  async get() {
    const { type, re, ...state } = await this.ask({ type: "get" });
    return /** @type {{ rx: number, tx: number, config?: Config, signals?: Inputs, outputs?: { dtr?: boolean, rts?: boolean }, counters?: Record<string, number> }} */ (
      state
    );
  }

  /**
   * Discards what the line has received and this side has not seen, or what it has not sent. @param
   * {{ rx?: boolean, tx?: boolean }} what
   */
  async flush({ rx = false, tx = false }) {
    if (tx) this.#discard(new LineError("closed", "discarded by flush"));
    if (rx) this.#flushing += 1;
    try {
      await this.ask({ type: "flush", ...defined({ rx: rx || undefined, tx: tx || undefined }) });
    } catch (error) {
      if (rx) this.#flushing = Math.max(0, this.#flushing - 1);
      throw error;
    }
  }

  /**
   * Done when everything written is out and the wire is idle. `unsupported` when all of it has left
   * the gateway and nobody can tell whether it has left the device (a CDC-ACM device, a port on
   * another box).
   */
  async drain() {
    await this.#inLine({ type: "drain" });
  }

  /** The right to write. @param {"request" | "claim" | "take" | "release" | "grant" | "deny"} op */
  async lease(op) {
    await this.ask({ type: "lease", op });
  }

  /**
   * Ends the session and keeps the connection. `drain` first sends what is queued. @param {{
   * drain?: boolean }} [how]
   */
  async close({ drain = false } = {}) {
    this.#successor = undefined;
    if (!this.opened || this.state === "closed") return;
    const over = new LineError("closed", "the session was closed");
    if (!drain) {
      this.#replace(over);
      await this.ask({ type: "close" });
      return;
    }
    const closed = this.#inLine({ type: "close", drain }).finally(() => this.#forget(over));
    await closed.catch((error) => {
      if (error.code !== "unsupported") throw error; // all that can be known of was sent
    });
  }

  /** This many bytes of "data" events have been dealt with (for `autoAck: false`). @param {number} count */
  consumed(count) {
    this.#consumed = Math.min(this.#received, this.#consumed + count);
    this.#acknowledge();
  }

  // Sending.

  /**
   * The session is about to end. While the connection is lost this is kept until there is another:
   * otherwise the gateway would keep the session, and the lease, until it expires. @param
   * {LineError} error
   */
  #replace(error) {
    this.#discard(error);
    this.#replacing = this.opened !== undefined;
  }

  /** @override @param {Message} message */
  send(message) {
    super.send(message);
    if (message.type === "open" || (message.type === "close" && !message.drain)) {
      this.#replacing = false;
      this.#forget(
        new LineError(
          "closed",
          message.type === "open" ? "another session was opened" : "the session was closed",
        ),
      );
    }
  }

  /** @param {Message} message @param {boolean} [now] @returns {Promise<Message>} */
  #inLine(message, now = false) {
    if (!this.opened)
      return Promise.reject(new LineError("not_open", "no session is open: call open() first"));
    if (now) return this.ask(message);
    return this.ask(message, (numbered) => {
      this.#queue.push({ message: numbered });
      this.#pump();
    });
  }

  #pump() {
    while (this.state === "up" && this.opened && this.#resuming === undefined) {
      const again = this.#resend.again(this.#whole ? DATAGRAM : FRAME);
      if (again) {
        this.socket?.send(/** @type {Uint8Array<ArrayBuffer>} */ (again));
        continue;
      }
      const [item] = this.#queue;
      if (!item) return;
      if ("message" in item && item.message) {
        this.#queue.shift();
        this.send(item.message);
      } else if ("bytes" in item) {
        const { room } = this.#resend;
        const most = this.#whole ? item.bytes.length : Math.min(FRAME, room);
        if (most > room || (most === 0 && !this.#whole)) return;
        const bytes = item.bytes.subarray(0, most);
        item.bytes = item.bytes.subarray(most);
        this.#resend.sent(bytes);
        this.socket?.send(/** @type {Uint8Array<ArrayBuffer>} */ (bytes));
        if (item.bytes.length > 0) continue;
        this.#queue.shift();
        item.done();
      }
    }
  }

  /** Drops data that is still here. @param {LineError} error */
  #discard(error) {
    const queue = this.#queue;
    this.#queue = queue.filter((item) => "message" in item && item.message);
    for (const item of queue) if ("bytes" in item) item.fail(error);
  }

  /** The session is over on this side. @param {LineError} error */
  #forget(error) {
    this.opened = undefined;
    this.#resuming = undefined;
    const queue = this.#queue;
    this.#queue = [];
    for (const item of queue) {
      if ("bytes" in item) item.fail(error);
      else this.fail(item.message.id, error);
    }
    this.#resend = new Resend();
    this.#flushing = 0;
  }

  // Receiving.

  /** @override @param {Uint8Array} bytes */
  data(bytes) {
    // Whatever an old session still sends is dropped.
    const nothing = bytes.length === 0 && !this.#whole;
    if (!this.opened || this.#resuming !== undefined || nothing) return;
    this.#tellResumed(null);
    const at = this.#received;
    this.#received += bytes.length;
    const dropped = this.#flushing > 0;
    if (this.#autoAck || dropped) this.#consumed += bytes.length;
    if (!dropped) {
      const early = Math.min(bytes.length, Math.max(0, (this.opened.live ?? 0) - at));
      if (early > 0)
        this.say("data", {
          bytes: early < bytes.length ? bytes.slice(0, early) : bytes,
          at,
          replay: true,
        });
      if (early < bytes.length || bytes.length === 0)
        this.say("data", {
          bytes: early > 0 ? bytes.slice(early) : bytes,
          at: at + early,
          replay: false,
        });
    }
    this.#acknowledge();
  }

  #acknowledge() {
    if (this.state !== "up" || !this.opened || this.#resuming !== undefined) return;
    if (this.#consumed - this.#told < Math.max(1, this.#window / 4)) return;
    this.#told = this.#consumed;
    this.send({ type: "ack", rx: this.#told });
  }

  /** @override @param {Message} message */
  told(message) {
    const { type, re, ...detail } = message;
    if (re !== undefined && re === this.#resuming) return this.#resumed(message);
    switch (type) {
      case "ack":
        if (!this.opened) return;
        try {
          this.#resend.ack(message.tx);
        } catch (error) {
          return this.broken(/** @type {Error} */ (error).message);
        }
        this.#pump();
        return;
      case "gap":
        if (!this.opened) return;
        this.#received = message.to;
        this.#consumed += message.to - message.from;
        this.#tellResumed({ from: message.from, to: message.to });
        break;
      case "signals":
        if (this.opened) this.opened.signals = { ...this.opened.signals, ...detail };
        break;
      case "config":
        if (this.opened) {
          const { by, ...settings } = detail;
          this.opened.config = { ...this.opened.config, ...settings };
        }
        break;
      case "lease":
        if (this.opened) this.opened.role = message.you;
        if (message.you === "writer") this.#patient = false;
        break;
      case "rights":
        if (this.hello?.endpoint) this.hello.endpoint.rights = message.rights;
        break;
      case "status":
        // What the device can do, and which adapter it is, is known once it is open.
        if (this.hello?.endpoint)
          Object.assign(this.hello.endpoint, { error: undefined, since: undefined }, detail);
        if (this.#patient && message.state === "up") {
          this.#patient = false;
          this.lease("request").catch(() => {});
        }
        break;
      case "pong":
        this.#tellResumed(null);
        return;
      case "line":
      case "time":
      case "notice":
        break;
      case "error":
        if (re !== undefined) return;
        break;
      default:
        // A message from a newer gateway.
        return;
    }
    this.say(type, detail);
  }

  /** @override @param {string} type @param {Message} message @param {boolean} ok */
  answer(type, message, ok) {
    if (type === "open" && ok) this.#begin(/** @type {any} */ (message));
    if (type === "flush" && ok && message.rx !== undefined) {
      this.#flushing = Math.max(0, this.#flushing - 1);
      this.#received = this.#consumed = this.#told = message.rx;
    }
  }

  /** @param {Opened & Message} answer */
  #begin(answer) {
    const { type, re, ...opened } = answer;
    this.opened = opened;
    this.#resend = new Resend(opened.window);
    this.#whole = this.hello?.endpoint?.caps?.includes("datagrams") ?? false;
    this.#window = Math.min(1 << 20, Math.max(4096, this.#want.window ?? 65536));
    this.#received = this.#consumed = this.#told = opened.rx;
    this.#pump();
  }

  // Coming back.

  /** @override */
  get held() {
    return this.#resuming !== undefined;
  }

  /** @override @param {boolean} again */
  greeted(again) {
    if (again && this.#successor) void this.#succeed(this.#successor);
    if (!again || !this.opened) return;
    const { session, epoch } = this.opened;
    this.#resuming = this.sendNumbered({ type: "resume", session, epoch, rx: this.#received });
  }

  /** @override */
  disconnected() {
    this.#resuming = undefined;
    this.#resumedTo = false;
  }

  /** @param {Message} message the answer to `resume` */
  #resumed(message) {
    this.#resuming = undefined;
    if (message.type === "error") {
      void this.#gone(message.message);
      return;
    }
    const opened = /** @type {Opened} */ (this.opened);
    try {
      if (message.rx !== this.#received)
        throw new LineError(
          "foreign",
          `resumed at byte ${message.rx} in place of ${this.#received}`,
        );
      this.#resend.resumed(message.tx);
    } catch (error) {
      return this.broken(/** @type {Error} */ (error).message);
    }
    this.#told = Math.max(this.#told, this.#consumed);
    const { type, re, tx, rx, ...news } = message;
    Object.assign(opened, news);
    this.#resumedTo = true;
    // Whatever the gateway has to say about a gap comes before its answer to this.
    this.sendNumbered({ type: "ping" });
    this.flushRequests();
    this.#pump();
  }

  /** @param {{ from: number, to: number } | null} gap */
  #tellResumed(gap) {
    if (!this.#resumedTo) return;
    this.#resumedTo = false;
    this.say("resumed", { gap, downFor: this.downFor });
  }

  /** The session has expired, or the gateway was restarted. @param {string} reason */
  async #gone(reason) {
    const { epoch } = /** @type {Opened} */ (this.opened);
    const gone = {
      reason,
      unsent: this.unacknowledged,
      epoch,
      from: this.#received,
      want: this.#want,
    };
    this.#forget(new LineError("session_gone", reason));
    if (this.#replacing) {
      this.#replacing = false;
      return this.flushRequests();
    }
    if (!this.#reopen) return this.say("gone", { reason, unsent: gone.unsent });
    await this.#succeed(gone);
  }

  /** Opens the successor of a session that is gone. @param {Gone} gone */
  async #succeed(gone) {
    const { reason, unsent, epoch, from, want } = gone;
    // Output since then is replayed, as far as the gateway has it; settings and modem lines stay as
    // they are unless the application chose them.
    const again = { ...want, take: undefined, signals: undefined, replay: { from, epoch } };
    try {
      let waits = false;
      await this.open(again)
        .catch((error) =>
          error.code === "busy"
            ? this.open({ ...again, role: "auto", config: undefined })
            : Promise.reject(error),
        )
        .catch((error) => {
          waits = error.code === "line_down";
          if (waits) return this.open({ ...again, role: "observer", config: undefined });
          throw error;
        });
      this.#want = want;
      this.#patient = waits && want.role !== "observer";
      this.say("gone", { reason, unsent, opened: this.opened });
    } catch (error) {
      const failure = /** @type {LineError} */ (error);
      if (failure.code === "lost" && this.state !== "closed") {
        // With the next connection.
        this.#want = want;
        this.#successor = gone;
        return;
      }
      this.say("gone", { reason, unsent, error: failure });
      if (this.state !== "closed")
        this.finish(
          undefined,
          `the session is gone (${reason}), and no new one could be opened: ${failure.message}`,
        );
    }
  }

  /** @override @param {LineError} error */
  over(error) {
    this.#forget(error);
  }
}

/** Without the members that are undefined. @template {object} T @param {T} members @returns {T} */
function defined(members) {
  return /** @type {T} */ (
    Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
  );
}
