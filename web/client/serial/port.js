// SerialPort: one endpoint of a gateway in the form of Web Serial.

import { Line } from "../line.js";
import { portError } from "./errors.js";
import { Handlers } from "./handlers.js";
import { openOptions, signalStep } from "./options.js";
import { Steps } from "./steps.js";
import { Inbox, outbox } from "./streams.js";

/**
 * How long the connection stays open after close(), in ms. Programs close and open again to change
 * the speed.
 */
const KEPT = 2000;

/** How long open() waits for a lost connection to come back, in ms. */
const BACK = 15_000;

/** How long close() waits for the gateway to make the last change of DTR and RTS, in ms. */
const SETTLE = 1500;

/** @typedef {{ name: string, usb?: { vid: number, pid: number }, state?: string }} Endpoint */
/**
 * What a port needs from its creator.
 * @typedef {object} Owner
 * @property {(name: string) => import("../dial.js").DialOptions} dial
 * @property {(name: string) => Endpoint | undefined} endpoint what is known of it
 * @property {(port: SerialPort) => Promise<void>} forget
 * @property {(port: SerialPort, type: "connect" | "disconnect") => void} bubble
 */

/** @type {WeakMap<SerialPort, { news: (state: string) => void, end: () => void }>} */
const inner = new WeakMap();

/** For the Serial object: tells its port what becomes of the endpoint. @param {SerialPort} port */
export const ofPort = (port) =>
  /** @type {{ news: (state: string) => void, end: () => void }} */ (inner.get(port));

export class SerialPort extends EventTarget {
  /** @type {"closed" | "opening" | "open" | "lost" | "closing" | "forgotten"} */
  #state = "closed";
  #owner;
  #name;
  /** @type {Line | undefined} */
  #line;
  /** @type {Endpoint | undefined} */
  #endpoint;
  #connected = true;
  #bufferSize = 255;
  /** @type {ReadableStream | null} */
  #readable = null;
  /** @type {ReturnType<typeof outbox> | null} */
  #writable = null;
  /** @type {Inbox | undefined} */
  #inbox;
  /** @type {Steps | undefined} */
  #steps;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #later;
  #handlers = new Handlers(this);

  /**
   * @param {string} name the endpoint's @param {Owner} owner @param {boolean} [there] whether the
   * device is
   */
  constructor(name, owner, there = true) {
    super();
    this.#name = name;
    this.#owner = owner;
    this.#endpoint = owner.endpoint(name);
    this.#connected = there && this.#endpoint?.state !== "down";
    inner.set(this, { news: (state) => this.#news(state), end: () => this.#end() });
  }

  /** The endpoint's name. Not of the standard. */
  get endpoint() {
    return this.#name;
  }

  /** Whether the device is there. */
  get connected() {
    return this.#connected && this.#state !== "forgotten";
  }

  get onconnect() {
    return this.#handlers.get("connect");
  }

  set onconnect(handler) {
    this.#handlers.set("connect", handler);
  }

  get ondisconnect() {
    return this.#handlers.get("disconnect");
  }

  set ondisconnect(handler) {
    this.#handlers.set("disconnect", handler);
  }

  get readable() {
    if (this.#state !== "open" || !this.#inbox) return null;
    this.#readable ??= this.#inbox.stream();
    return this.#readable;
  }

  get writable() {
    const line = this.#line;
    if (this.#state !== "open" || !line) return null;
    if (!this.#writable) {
      const own = outbox(line, this.#bufferSize, {
        before: () => this.#steps?.send(),
        ended: () => (this.#writable === own ? (this.#writable = null) : undefined),
        closing: () => this.#state !== "open",
      });
      this.#writable = own;
    }
    return this.#writable.stream;
  }

  getInfo() {
    const usb = this.#owner.endpoint(this.#name)?.usb ?? this.#endpoint?.usb;
    return usb ? { usbVendorId: usb.vid, usbProductId: usb.pid } : {};
  }

  /** @param {any} options */
  async open(options) {
    if (this.#state === "forgotten") throw portError("forgotten");
    if (this.#state === "opening") throw portError("opening");
    if (this.#state === "open" || this.#state === "closing") throw portError("alreadyOpen");
    const { bufferSize, config } = openOptions(options);
    this.#state = "opening";
    clearTimeout(this.#later);
    try {
      const line = await this.#dialled();
      if (/** @type {string} */ (this.#state) !== "opening") throw portError("forgotten");
      this.#fresh(line);
      await this.#begin(line, /** @type {import("../line.js").Config} */ (config));
      if (/** @type {string} */ (this.#state) !== "opening") throw portError("forgotten");
      this.#bufferSize = bufferSize;
      this.#state = "open";
      this.#connected = true;
    } catch (error) {
      if (this.#state === "opening") this.#state = "closed";
      this.#leave();
      const why = error instanceof Error ? error.message : String(error);
      console.warn(`wsbridge: ${this.#name} could not be opened: ${why}`);
      throw portError("openFailed", error);
    }
  }

  async close() {
    if (this.#state === "closing") throw portError("closing");
    if (this.#state === "lost") {
      this.#state = "closed";
      return;
    }
    if (this.#state !== "open") throw portError("alreadyClosed");
    // Both reject if a reader or writer still holds them, and then nothing has changed.
    if (this.#readable?.locked) throw new TypeError("Cannot cancel a locked stream");
    if (this.#writable?.stream.locked) throw new TypeError("Cannot abort a locked stream");
    const [readable, writable] = [this.#readable, this.#writable];
    this.#state = "closing";
    try {
      // Closing discards what waits in the gateway, and a chip must not be left in reset.
      if (this.#line?.state === "up") await this.#steps?.settled(SETTLE);
      // A write that waits for the line ends with the session, and then the abort does.
      const streams = Promise.all([
        readable?.cancel().catch(() => {}),
        writable?.stream.abort().catch(() => {}),
      ]);
      const line = this.#line;
      // A lost connection tells the gateway once it is back; nobody need wait for that.
      if (line?.state === "up") await line.close().catch(() => {});
      else void line?.close().catch(() => {});
      await streams;
    } finally {
      this.#reset();
      if (/** @type {string} */ (this.#state) === "closing") this.#state = "closed";
      this.#leave();
    }
  }

  /** @param {any} signals */
  async setSignals(signals) {
    if (this.#state !== "open") throw portError("closed");
    const step = signalStep(signals);
    try {
      this.#steps?.note(step);
    } catch (error) {
      throw portError("setSignals", error);
    }
  }

  async getSignals() {
    const line = this.#line;
    if (this.#state !== "open" || !line) throw portError("closed");
    this.#steps?.send();
    try {
      const { signals = {} } = await line.get();
      const { dcd = false, cts = false, ri = false, dsr = false } = signals;
      return { dataCarrierDetect: dcd, clearToSend: cts, ringIndicator: ri, dataSetReady: dsr };
    } catch (error) {
      throw portError("getSignals", error);
    }
  }

  /**
   * Changes the speed of an open port; no line moves. Not of the standard; esptool-js uses it.
   * @param {number} baudRate
   */
  async setBaudRate(baudRate) {
    const line = this.#line;
    if (this.#state !== "open" || !line) throw portError("closed");
    const { config } = openOptions({ baudRate });
    this.#steps?.send();
    try {
      await line.config({ baud: config.baud });
    } catch (error) {
      throw portError("openFailed", error);
    }
  }

  async forget() {
    if (this.#state === "forgotten") return;
    this.#end();
    this.#state = "forgotten";
    await this.#owner.forget(this);
  }

  get [Symbol.toStringTag]() {
    return "SerialPort";
  }

  // The line.

  /** A line that is connected: the one of a while ago, or a new one. */
  async #dialled() {
    if (this.#line && this.#line.state !== "closed" && this.#line.state !== "idle")
      return this.#line;
    const line = new Line({ ...this.#owner.dial(this.#name), autoAck: false, reopen: false });
    this.#line = line;
    const mine = (/** @type {(detail: any) => void} */ act) => (/** @type {Event} */ event) => {
      if (this.#line === line && this.#state === "open")
        act(/** @type {CustomEvent} */ (event).detail);
    };
    // What the line says may come before its open() is reported as done: Node delivers several
    // messages in one task.
    const heard = (/** @type {(detail: any) => void} */ act) => (/** @type {Event} */ event) => {
      if (this.#line === line && (this.#state === "open" || this.#state === "opening"))
        act(/** @type {CustomEvent} */ (event).detail);
    };
    line.addEventListener(
      "data",
      heard(({ bytes }) => this.#inbox?.data(bytes)),
    );
    line.addEventListener(
      "line",
      heard(({ event }) => this.#inbox?.error(event)),
    );
    line.addEventListener(
      "gap",
      heard(() => this.#inbox?.error("overrun")),
    );
    line.addEventListener(
      "status",
      mine(({ state }) => state === "down" && this.#lost("down")),
    );
    line.addEventListener(
      "lease",
      mine(({ you }) => you !== "writer" && this.#lost("lease")),
    );
    line.addEventListener(
      "gone",
      mine(() => this.#lost("gone")),
    );
    line.addEventListener(
      "closed",
      mine(() => this.#lost("closed")),
    );
    const hello = await line.connect();
    this.#endpoint = hello.endpoint;
    return line;
  }

  /** Begins the session. @param {Line} line @param {import("../line.js").Config} config */
  async #begin(line, config) {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const late = new Promise((_, fail) => {
      if (line.state !== "up")
        timer = setTimeout(() => fail(new Error("the gateway does not answer")), BACK);
    });
    // A device without settings, like one on a TCP port, is opened without them.
    const opened = line.open({ role: "writer", config }).catch((error) => {
      if (error.code !== "unsupported") throw error;
      return line.open({ role: "writer" });
    });
    try {
      await Promise.race([opened, late]);
    } catch (error) {
      // A connection that comes too late must not take the line.
      if (line.state !== "up") this.#drop(line);
      throw error;
    } finally {
      clearTimeout(timer);
      opened.catch(() => {});
      late.catch(() => {});
    }
  }

  /** @param {Line | undefined} line */
  #drop(line) {
    if (this.#line === line) this.#line = undefined;
    line?.end();
  }

  /** Clears whatever is left from before. @param {Line} line */
  #fresh(line) {
    this.#reset();
    this.#steps = new Steps(line);
    const inbox = new Inbox(
      line,
      () => (this.#inbox === inbox ? (this.#readable = null) : undefined),
      async () => {
        if (this.#state === "open" && this.#inbox === inbox)
          await line.flush({ rx: true }).catch(() => {});
      },
    );
    this.#inbox = inbox;
  }

  #reset() {
    this.#steps?.dispose();
    [this.#steps, this.#inbox, this.#readable, this.#writable] = [undefined, undefined, null, null];
  }

  /** The connection ends in a while, unless the port is opened again. */
  #leave() {
    clearTimeout(this.#later);
    const line = this.#line;
    this.#later = setTimeout(() => {
      if (this.#state !== "closed" && this.#state !== "lost") return;
      this.#drop(line);
    }, KEPT);
    /** @type {any} */ (this.#later).unref?.();
  }

  /** The device, the lease, the session or the connection is gone for good. @param {string} how */
  #lost(how) {
    const [line, inbox, writable] = [this.#line, this.#inbox, this.#writable];
    this.#state = "lost";
    this.#reset();
    const reason = portError("lost", how);
    inbox?.fail(reason);
    writable?.fail(reason);
    // The right to write is given back: nobody uses this session any more.
    line?.close().catch(() => {});
    this.#leave();
    this.#appear(false);
    // The device itself is still there, and may be opened again.
    if (how === "lease" || how === "gone") this.#appear(true);
  }

  /**
   * Takes news of the endpoint. @param {string} state as in the protocol; `gone` if it no longer
   * exists
   */
  #news(state) {
    if (state === "up" || state === "closed" || state === "opening") {
      if (state === "up" || !this.#connected) this.#appear(state !== "opening");
    } else if (this.#state !== "open") {
      // An open port hears it on its own line, after the last bytes.
      this.#appear(false);
    }
  }

  /** @param {boolean} there */
  #appear(there) {
    if (this.#connected === there || this.#state === "forgotten") return;
    this.#connected = there;
    const type = there ? "connect" : "disconnect";
    const event = new Event(type, { bubbles: true });
    this.dispatchEvent(event);
    if (!event.cancelBubble) this.#owner.bubble(this, type);
  }

  #end() {
    if (this.#state === "open") {
      const reason = portError("lost", "ended by this side");
      this.#inbox?.fail(reason);
      this.#writable?.fail(reason);
    }
    this.#reset();
    clearTimeout(this.#later);
    this.#state = "closed";
    this.#drop(this.#line);
  }
}
