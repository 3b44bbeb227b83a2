// Serial: the ports of a gateway in the form of navigator.serial.

import { Bus } from "../bus.js";
import { httpUrl, socketUrl } from "../dial.js";
import { Line } from "../line.js";
import { portError } from "./errors.js";
import { Grants } from "./grants.js";
import { Handlers } from "./handlers.js";
import { portFilter } from "./options.js";
import { choose } from "./picker.js";
import { SerialPort, ofPort } from "./port.js";

/** How long to wait for the list of ports, in ms. */
const LIST = 5000;

/**
 * @typedef {object} SerialOptions
 * @property {string | URL} [url] the gateway, like `https://gateway.local:8443/` or
 *   `wss://gateway.local:8443/ws/`; the page's own origin
 *   unless said otherwise
 * @property {string[]} [protocols] subprotocols for every socket, in place of `wsbridge.v1` and a
 *   credential
 * @property {string | (() => string | undefined | Promise<string | undefined>)} [bearer] an API
 *   token or a pass, if there is one
 * @property {(endpoint: string) => string | Promise<string>} [ticket] gives a new one-time ticket
 *   for an endpoint; then there is no list,
 *   and `endpoints` must name what there is
 * @property {string[]} [endpoints] only these; requestPort() takes the first that fits without
 *   asking
 * @property {string[]} [granted] what getPorts() gives at first, in place of what the browser
 *   remembers
 * @property {(endpoints?: string[]) => Promise<boolean>} [signIn] lets the user let the page in,
 *   where the gateway wants to know who it is;
 *   then `bearer` gives what came of it
 * @property {{ href?: string, text?: string }} [entrance] what the port picker says where the
 *   gateway does not let the page in
 * @property {typeof globalThis.WebSocket} [WebSocket]
 */

export class Serial extends EventTarget {
  #options;
  #base;
  #grants;
  /** @type {Map<string, SerialPort>} */
  #ports = new Map();
  /** @type {Bus | undefined} */
  #bus;
  /** @type {Promise<unknown> | undefined} */
  #listed;
  /** What was learnt about endpoints without a bus. @type {Map<string, any>} */
  #known = new Map();
  #disposed = false;
  #handlers = new Handlers(this);

  /** @param {SerialOptions} [options] use createSerial() */
  constructor(options = {}) {
    super();
    this.#options = options;
    const base = socketUrl(options.url ?? globalThis.location?.origin);
    base.pathname = base.pathname.replace(/\/ws\/[^/]*$/, "/").replace(/\/?$/, "/ws/");
    base.search = "";
    this.#base = base;
    this.#grants = new Grants(new URL(httpUrl(base, "/")).origin, options.granted);
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

  /**
   * Listeners for ports that come and go are told about the granted ones, even if the list was
   * never asked for.
   * @override @type {EventTarget["addEventListener"]}
   */
  addEventListener(type, ...rest) {
    super.addEventListener(type, ...rest);
    if ((type === "connect" || type === "disconnect") && this.#grants.names.length > 0)
      void this.getPorts();
  }

  /** The granted ports that are there. */
  async getPorts() {
    const names = this.#grants.names;
    if (names.length === 0 || this.#disposed) return [];
    await this.#list().catch(() => {});
    // Each one gets an object, so that those that are not there are reported when they come.
    return names.map((name) => this.#port(name)).filter((port) => this.#there(port.endpoint));
  }

  /** @param {{ filters?: Iterable<any> }} [options] */
  async requestPort(options) {
    const passes = portFilter(options);
    const failure = await this.#list().then(
      () => undefined,
      (error) => error,
    );
    const { endpoints } = this.#options;
    const again = this.#signIn(failure);
    let name;
    if (endpoints && again) {
      // Until the user has let the page in, nobody knows what fits.
      await choose({ ...this.#shown(failure), signIn: again, once: true });
    }
    if (endpoints) {
      const fits = endpoints.filter((one) => this.#there(one));
      for (const one of fits) if (passes && !this.#endpoint(one)?.usb) await this.#learn(one);
      name = fits.find((one) => !passes || passes(infoOf(this.#endpoint(one))));
    } else {
      const fits = passes && ((/** @type {any} */ endpoint) => passes(infoOf(endpoint)));
      name = await choose({ ...this.#shown(failure), passes: fits, signIn: again });
    }
    if (name === undefined || this.#disposed) throw portError("noPort", failure);
    if (!this.#endpoint(name)) await this.#learn(name);
    this.#grants.add(name);
    return this.#port(name);
  }

  /** What the dialog shows. @param {unknown} failure */
  #shown(failure) {
    const { entrance } = this.#options;
    return { bus: this.#bus, gateway: httpUrl(this.#base, "/"), failure, entrance };
  }

  /**
   * If it is a sign-in that is missing: has the user asked, and returns the list as it is then.
   * @param {any} failure
   */
  #signIn(failure) {
    const { signIn, endpoints } = this.#options;
    if (!signIn || !failure || !(failure.code === 4401 || /\b401\b/.test(failure.message)))
      return undefined;
    return async () => {
      if (!(await signIn(endpoints))) return undefined;
      await this.#list();
      return this.#bus;
    };
  }

  /** Ends all connections and lets go of the page. Not of the standard. */
  dispose() {
    this.#disposed = true;
    for (const port of this.#ports.values()) ofPort(port).end();
    this.#ports.clear();
    this.#bus?.close();
    uninstall(this);
  }

  get [Symbol.toStringTag]() {
    return "Serial";
  }

  /** @param {string} name */
  #endpoint(name) {
    return this.#bus?.endpoints.get(name) ?? this.#known.get(name);
  }

  /** Whether a port is there to be opened. @param {string} name */
  #there(name) {
    if (this.#options.endpoints && !this.#options.endpoints.includes(name)) return false;
    // Without a list, only opening it can tell.
    if (!this.#bus || this.#bus.endpoints.size === 0) return this.#options.ticket !== undefined;
    const endpoint = this.#bus.endpoints.get(name);
    return endpoint !== undefined && endpoint.state !== "down";
  }

  /** @param {string} name @returns {import("../dial.js").DialOptions} */
  #dial(name) {
    const { protocols, bearer, ticket, WebSocket } = this.#options;
    return {
      url: new URL(encodeURIComponent(name), this.#base),
      protocols,
      bearer,
      ticket: ticket && (() => ticket(name)),
      WebSocket,
    };
  }

  /** The list of endpoints, once it is there; it stays up to date. */
  async #list() {
    if (this.#options.ticket) return;
    if (!this.#bus || this.#bus.state === "closed") {
      const { protocols, bearer, WebSocket } = this.#options;
      const bus = new Bus({ url: this.#base, protocols, bearer, WebSocket });
      this.#bus = bus;
      bus.addEventListener("change", (event) =>
        this.#changed(/** @type {CustomEvent} */ (event).detail.name),
      );
      this.#listed = bus.connect();
    }
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const late = new Promise(
      (_, fail) => (timer = setTimeout(() => fail(new Error("the gateway does not answer")), LIST)),
    );
    await Promise.race([this.#bus.state === "up" ? undefined : this.#listed, late]).finally(() =>
      clearTimeout(timer),
    );
  }

  /** @param {string | undefined} name */
  #changed(name) {
    for (const [one, port] of this.#ports) {
      if (name === undefined || name === one)
        ofPort(port).news(this.#bus?.endpoints.get(one)?.state ?? "gone");
    }
  }

  /** Asks the endpoint itself what it is. @param {string} name */
  async #learn(name) {
    if (this.#known.has(name) || this.#bus?.endpoints.has(name)) return;
    const line = new Line(this.#dial(name));
    try {
      this.#known.set(name, (await line.connect()).endpoint);
    } catch {
      this.#known.set(name, { name });
    } finally {
      line.end();
    }
  }

  /** @param {string} name */
  #port(name) {
    const known = this.#ports.get(name);
    if (known) return known;
    const owner = {
      dial: (/** @type {string} */ one) => this.#dial(one),
      endpoint: (/** @type {string} */ one) => this.#endpoint(one),
      forget: async () => {
        this.#ports.delete(name);
        this.#grants.remove(name);
      },
      bubble: (/** @type {SerialPort} */ from, /** @type {string} */ type) =>
        this.#bubble(from, type),
    };
    // Without a list nothing says that it is not there.
    const port = new SerialPort(name, owner, !this.#bus?.endpoints.size || this.#there(name));
    this.#ports.set(name, port);
    return port;
  }

  /**
   * Fires an event of a port, which bubbles: seen here its target is the port. @param {SerialPort}
   * port @param {string} type
   */
  #bubble(port, type) {
    const event = new Event(type, { bubbles: true });
    Object.defineProperty(event, "target", { value: port, configurable: true });
    this.dispatchEvent(event);
  }
}

/** @param {any} endpoint @returns {{ usbVendorId?: number, usbProductId?: number }} */
function infoOf(endpoint) {
  return endpoint?.usb ? { usbVendorId: endpoint.usb.vid, usbProductId: endpoint.usb.pid } : {};
}

/** The ports of a gateway, as a Serial object. @param {SerialOptions} [options] */
export function createSerial(options) {
  return new Serial(options);
}

/** How to restore what was there before, for each that is installed. @type {Map<Serial, () => void>} */
const installed = new Map();

/**
 * Puts it at navigator.serial, in place of the browser's own; dispose() removes it again. @param
 * {Serial} serial
 */
export function install(serial) {
  if (installed.has(serial)) return serial;
  const places = /** @type {[object, string, unknown][]} */ ([
    [navigator, "serial", serial],
    [globalThis, "Serial", Serial],
    [globalThis, "SerialPort", SerialPort],
  ]);
  const back = places.map(([where, name, value]) => {
    const old = Object.getOwnPropertyDescriptor(where, name);
    Object.defineProperty(where, name, {
      value,
      configurable: true,
      enumerable: name === "serial",
      writable: false,
    });
    return () =>
      old ? Object.defineProperty(where, name, old) : Reflect.deleteProperty(where, name);
  });
  installed.set(serial, () => back.forEach((undo) => undo()));
  return serial;
}

/** @param {Serial} serial */
function uninstall(serial) {
  installed.get(serial)?.();
  installed.delete(serial);
}
