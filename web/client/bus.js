// The bus: which endpoints there are, and their state.

import { Connection } from "./connection.js";

/**
 * The list and live state of a gateway's endpoints, over one WebSocket to `/ws/`. It is dialled
 * until it is up; only a final ending (a login that ended) ends it.
 *
 * Events: "change" { name } (without a name: the list as a whole), "rates" { rates: { NAME: { rx,
 * tx } } } in bytes a second, "lending" { pending } (access was asked for or lent; requests that
 * this user can decide), "lost", "closed".
 */
export class Bus extends Connection {
  /**
   * What is known about each endpoint: `hello`'s members, and `error` while it is down. @type
   * {Map<string, Record<string, any>>}
   */
  endpoints = new Map();
  #rates;

  /**
   * @param {import("./dial.js").DialOptions & { rates?: boolean }} options `rates`: whether the
   * bytes per second are wanted
   */
  constructor(options) {
    super(options, { insist: true });
    this.#rates = options.rates ?? false;
  }

  /** Sets whether the bytes per second are reported. @param {boolean} rates */
  async watch(rates) {
    this.#rates = rates;
    if (this.state === "up") await this.ask({ type: "watch", rates });
  }

  /** Ends it. */
  close() {
    this.end();
  }

  /** @override */
  greeted() {
    this.#list(/** @type {import("./connection.js").Message} */ (this.hello));
    // A gateway that knows no rates says so; then there are none.
    if (this.#rates) this.ask({ type: "watch", rates: true }).catch(() => {});
  }

  /** @override @param {import("./connection.js").Message} message */
  told(message) {
    if (message.type === "hello") {
      this.hello = message;
      this.#list(message);
    } else if (message.type === "status") {
      const { type, endpoint: name, ...news } = message;
      const known = this.endpoints.get(name);
      if (!known) return;
      // Members that are absent here no longer apply.
      this.endpoints.set(name, {
        ...known,
        error: undefined,
        since: undefined,
        writer: null,
        ...news,
      });
      this.say("change", { name });
    } else if (message.type === "rates") {
      this.say("rates", { rates: message.rates });
    } else if (message.type === "lending") {
      this.say("lending", { pending: message.pending });
    }
  }

  /** @param {import("./connection.js").Message} hello */
  #list(hello) {
    this.endpoints = new Map(
      (hello.endpoints ?? []).map((/** @type {{ name: string }} */ one) => [one.name, { ...one }]),
    );
    this.say("change");
  }
}
