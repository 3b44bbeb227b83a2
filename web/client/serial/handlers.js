// Event handler attributes (`onconnect`): each is a listener of its own, besides those that are
// added.

/** @typedef {"connect" | "disconnect"} Type */
/** @typedef {((event: Event) => void) | null} Handler */

export class Handlers {
  #target;
  /** @type {Map<Type, { handler: Handler, listener: (event: Event) => void }>} */
  #set = new Map();

  /** @param {EventTarget} target */
  constructor(target) {
    this.#target = target;
  }

  /** @param {Type} type @returns {Handler} */
  get(type) {
    return this.#set.get(type)?.handler ?? null;
  }

  /** @param {Type} type @param {any} handler anything but a function takes it away */
  set(type, handler) {
    const old = this.#set.get(type);
    if (old) this.#target.removeEventListener(type, old.listener);
    this.#set.delete(type);
    if (typeof handler !== "function") return;
    // A listener of its own: the same function may also be added as one, and is then called twice.
    const listener = (/** @type {Event} */ event) => handler.call(this.#target, event);
    this.#set.set(type, { handler, listener });
    this.#target.addEventListener(type, listener);
  }
}
