// What Line and Bus have in common: one WebSocket after the other, requests and their answers, and
// signs of life.

import { answers, dial, greeting, isFinal, pause } from "./dial.js";
import { LineError } from "./error.js";

/**
 * Silence beyond the gateway's heartbeat after which we ask, and the time it then has to answer, in
 * ms.
 */
const PATIENCE = 5000;

/**
 * How long a connection that the gateway ends must have been up for the next one to be dialled
 * immediately, in ms: a target may reset every one.
 */
const STANDS = 10_000;

/** Requests that may be waiting for their answers; the gateway has the same limit. */
const REQUESTS = 64;

/** @typedef {"idle" | "connecting" | "up" | "lost" | "closed"} State */
/** @typedef {{ type: string, [member: string]: any }} Message */
/**
 * @typedef {{ done: (answer: Message) => void, fail: (error: LineError) => void, sent: boolean,
 * type: string }} Waiting
 */

/**
 * A connection that comes back. Events: "lost" { code, reason, retryIn } (ms until it is dialled
 * again; sent before each attempt), "closed" { code, reason, final }.
 */
export class Connection extends EventTarget {
  /** @type {State} */
  state = "idle";
  /** The gateway's last `hello`. @type {Message | undefined} */
  hello;
  /** @type {import("./dial.js").DialOptions} */
  options;
  /** @type {WebSocket | undefined} */
  socket;
  /** Requests that take effect on receipt, and wait to be sent. @type {Message[]} */
  #urgent = [];
  /** @type {Map<number, Waiting>} */
  #waiting = new Map();
  #lastId = 0;
  #heard = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pulse;
  /** Ends a pause between two attempts. @type {(() => void) | undefined} */
  #hurry;
  #lostAt = 0;
  /** How often it was dialled since the last connection was up, and since when this one is. */
  #tries = 0;
  #since = 0;
  /** A WebSocket that has not answered yet. @type {WebSocket | undefined} */
  #dialling;
  /** Whether even the first attempt is repeated. */
  #insist;

  /** @param {import("./dial.js").DialOptions} options @param {{ insist?: boolean }} [how] */
  constructor(options, { insist = false } = {}) {
    super();
    if (!options?.url)
      throw new TypeError('`url` is missing: new Line({ url: "wss://gateway/ws/NAME" })');
    this.options = options;
    this.#insist = insist;
  }

  /**
   * Connects; returns the gateway's `hello`. Fails with a LineError; a connection that is lost
   * later comes back by itself.
   */
  async connect() {
    if (this.state !== "idle" && this.state !== "closed")
      throw new LineError("closed", "connect() was called before");
    this.state = "connecting";
    globalThis.addEventListener?.("pagehide", this.#leave);
    globalThis.addEventListener?.("online", this.#online);
    try {
      return await this.#attempt();
    } catch (error) {
      const failure = asLineError(error);
      if (/** @type {State} */ (this.state) === "closed")
        throw new LineError("closed", "ended by this side");
      if (this.#insist && !endsFor(failure)) this.#lost(undefined, failure.message);
      else this.finish(Number(failure.code) || undefined, failure.message);
      throw failure;
    }
  }

  /** Ends the connection. What was not sent is dropped. */
  end() {
    if (this.state === "closed" || this.state === "idle") return;
    const { socket } = this;
    this.finish(1000, "ended by this side", true);
    if (socket && socket.readyState <= 1) socket.close(1000);
  }

  /** How long the connection was away, in ms. */
  get downFor() {
    return Math.round(performance.now() - this.#lostAt);
  }

  // For Line and Bus.

  /** A connection is up. Overridden. @param {boolean} again */
  greeted(again) {
    void again;
  }

  /** A message without a waiting request. Overridden. @param {Message} message */
  told(message) {
    void message;
  }

  /** Line bytes. Overridden. @param {Uint8Array} bytes */
  data(bytes) {
    void bytes;
  }

  /** Nothing more will come of it. Overridden. @param {LineError} error */
  over(error) {
    void error;
  }

  /** Whether requests must wait, as during a resume. Overridden. */
  get held() {
    return false;
  }

  /** @param {string} type @param {object} [detail] */
  say(type, detail = {}) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /**
   * A request that is sent as soon as there is a connection; returns its answer.
   * @param {Message} message @param {(message: Message) => void} [queue] takes the message with its
   *   id, in place of sending
   * @returns {Promise<Message>}
   */
  ask(message, queue) {
    return new Promise((done, fail) => {
      if (this.state === "closed" || this.state === "idle") {
        fail(
          new LineError(
            "closed",
            this.state === "idle"
              ? "not connected: call connect() first"
              : "the connection has ended",
          ),
        );
        return;
      }
      if (this.#waiting.size >= REQUESTS) {
        fail(new LineError("limit", `${REQUESTS} requests wait for their answer`));
        return;
      }
      const id = (this.#lastId += 1);
      this.#waiting.set(id, { done, fail, sent: false, type: message.type });
      const numbered = { ...message, id };
      if (queue) queue(numbered);
      else this.#urgent.push(numbered);
      this.flushRequests();
    });
  }

  /** Sends the requests that wait. */
  flushRequests() {
    while (this.state === "up" && !this.held && this.#urgent.length > 0) {
      const message = this.#urgent.shift();
      if (message) this.send(message);
    }
  }

  /** A message, now. @param {Message} message */
  send(message) {
    const waiting = this.#waiting.get(message.id);
    if (waiting) waiting.sent = true;
    this.socket?.send(JSON.stringify(message));
  }

  /** A numbered message whose answer nobody waits for. @param {Message} message */
  sendNumbered(message) {
    const id = (this.#lastId += 1);
    this.send({ ...message, id });
    return id;
  }

  /** @param {number} id @param {LineError} error */
  fail(id, error) {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.fail(error);
  }

  /** The other side broke the protocol. @param {string} reason */
  broken(reason) {
    const { socket } = this;
    this.finish(1002, reason);
    socket?.close();
  }

  /** The end. @param {number | undefined} code @param {string} reason @param {boolean} [asked] */
  finish(code, reason, asked = false) {
    if (this.state === "closed") return;
    this.#detach();
    this.state = "closed";
    globalThis.removeEventListener?.("pagehide", this.#leave);
    globalThis.removeEventListener?.("online", this.#online);
    this.#hurry?.();
    this.#dialling?.close();
    const error = new LineError(asked ? "closed" : (code ?? "unreachable"), reason);
    this.#urgent = [];
    for (const { fail } of this.#waiting.values()) fail(error);
    this.#waiting.clear();
    this.over(error);
    this.say("closed", { code, reason, final: true });
  }

  // One socket.

  async #attempt() {
    const socket = await dial(this.options);
    if (/** @type {State} */ (this.state) === "closed") socket.close();
    this.#dialling = socket;
    let first;
    try {
      first = JSON.parse(await greeting(socket));
    } catch (error) {
      if (error instanceof SyntaxError) socket.close();
      throw error instanceof SyntaxError
        ? new LineError("foreign", "what answers there does not speak wsbridge.v1")
        : error;
    } finally {
      this.#dialling = undefined;
    }
    if (/** @type {State} */ (this.state) === "closed") {
      socket.close(1000);
      throw new LineError("closed", "ended by this side");
    }
    if (first.type !== "hello" || first.v !== 1) {
      socket.close();
      throw new LineError("foreign", "what answers there does not speak wsbridge.v1");
    }
    const again = this.state === "lost";
    this.socket = socket;
    this.hello = first;
    this.state = "up";
    socket.onmessage = (event) => this.#message(event.data);
    socket.onclose = (event) => this.#closed(event.code, event.reason);
    socket.onerror = () => {};
    this.#heard = this.#since = performance.now();
    this.#listen();
    this.greeted(again);
    this.flushRequests();
    return /** @type {Message} */ (this.hello);
  }

  /** @param {string | ArrayBuffer} data */
  #message(data) {
    this.#heard = performance.now();
    if (typeof data !== "string") {
      this.data(new Uint8Array(data));
      return;
    }
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      this.broken("a message that is no JSON");
      return;
    }
    if (message.re !== undefined && this.#waiting.has(message.re)) {
      this.#answered(message);
      return;
    }
    this.told(message);
  }

  /** @param {Message} message */
  #answered(message) {
    const waiting = this.#waiting.get(message.re);
    if (!waiting) return;
    this.#waiting.delete(message.re);
    if (message.type === "error") {
      this.answer(waiting.type, message, false);
      waiting.fail(new LineError(message.code, message.message));
    } else {
      this.answer(waiting.type, message, true);
      waiting.done(message);
    }
  }

  /**
   * An answer, before the requester sees it. Overridden. @param {string} type @param {Message}
   * message @param {boolean} ok
   */
  answer(type, message, ok) {
    void [type, message, ok];
  }

  /** @param {number} code @param {string} reason */
  #closed(code, reason) {
    if (isFinal(code)) this.finish(code, reason || `closed with ${code}`);
    else this.#lost(code, reason);
  }

  #detach() {
    clearTimeout(this.#pulse);
    const { socket } = this;
    // Its errors say nothing that its end does not; but in Node an unhandled error ends the
    // process.
    if (socket) [socket.onmessage, socket.onclose, socket.onerror] = [null, null, () => {}];
    this.socket = undefined;
  }

  /**
   * The connection is gone: what was asked on it will not be answered. @param {number | undefined}
   * code @param {string} reason
   */
  #lost(code, reason) {
    this.#detach();
    this.state = "lost";
    this.#lostAt = performance.now();
    const told = code !== undefined && code !== 1005 && code !== 1006;
    if (told ? this.#since > 0 && this.#lostAt - this.#since >= STANDS : this.#heard > this.#since)
      this.#tries = 0;
    for (const [id, { sent }] of this.#waiting)
      if (sent) this.fail(id, new LineError("lost", "the connection was lost before the answer"));
    this.disconnected();
    void this.#redial(code, reason);
  }

  /** The connection is lost. Overridden. */
  disconnected() {}

  /** @param {number | undefined} code @param {string} reason */
  async #redial(code, reason) {
    let asked = secondsAsked(code, reason);
    while (this.state === "lost") {
      const retryIn = Math.round(Math.max(pause(this.#tries++), asked * 1000));
      asked = 0;
      this.say("lost", { code, reason, retryIn });
      if (/** @type {State} */ (this.state) !== "lost") return;
      await this.#wait(retryIn);
      if (
        this.state !== "lost" ||
        !(await answers(this.options)) ||
        /** @type {State} */ (this.state) !== "lost"
      )
        continue;
      try {
        await this.#attempt();
      } catch (error) {
        const failure = asLineError(error);
        if (endsFor(failure))
          return this.finish(Number(failure.code) || undefined, failure.message);
        [code, reason] = [Number(failure.code) || undefined, failure.message];
        asked = secondsAsked(code, reason);
      }
    }
  }

  /** @param {number} ms */
  async #wait(ms) {
    await new Promise((done) => {
      const timer = setTimeout(done, ms);
      this.#hurry = () => {
        clearTimeout(timer);
        done(undefined);
      };
    });
    this.#hurry = undefined;
  }

  /**
   * Asks a gateway that gives no sign of life, and gives up the connection if it does not answer.
   */
  #listen() {
    const most = (this.hello?.heartbeat ?? 10) * 1000 + PATIENCE;
    const look = () => {
      const silent = performance.now() - this.#heard;
      if (silent < most) {
        this.#pulse = setTimeout(look, most - silent);
        return;
      }
      const heard = this.#heard;
      this.sendNumbered({ type: "ping" });
      this.#pulse = setTimeout(() => {
        if (this.#heard !== heard) return look();
        const { socket } = this;
        this.#lost(undefined, "no sign of life");
        socket?.close();
      }, PATIENCE);
    };
    this.#pulse = setTimeout(look, most);
  }

  /**
   * A page that is left for good says so: otherwise its session would hold the line until it
   * expires.
   */
  #leave = (/** @type {Event} */ event) => {
    if (!(/** @type {PageTransitionEvent} */ (event).persisted)) this.end();
  };

  #online = () => this.#hurry?.();
}

/** Whether dialling again cannot help. @param {LineError} error */
function endsFor(error) {
  return error.code === "foreign" || (typeof error.code === "number" && isFinal(error.code));
}

/** The pause the gateway asks for. @param {number | undefined} code @param {string} reason */
function secondsAsked(code, reason) {
  return code === 4429 ? Number(/\d+/.exec(reason)?.[0] ?? 0) : 0;
}

/** @param {unknown} error */
function asLineError(error) {
  if (error instanceof LineError) return error;
  const code = /** @type {{ code?: unknown }} */ (error)?.code;
  return new LineError(
    typeof code === "number" ? code : "unreachable",
    error instanceof Error ? error.message : String(error),
  );
}
