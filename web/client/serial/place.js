// Where the script runs. In a worker, or in a frame on somebody else's page, it cannot ask the
// user, and says so where a program looks.

/** Why Web Serial cannot be provided here, for people; undefined if it can. */
export function whyNot() {
  if (typeof document === "undefined")
    return "webserial.js puts Web Serial into a page and was loaded by a worker, which cannot ask the user for a line. Load it in the page and send the bytes by postMessage, or use `Line` of client.mjs in the worker.";
  if (isForeignFrame())
    return `${location.host} was put into a frame by a page of another origin, and Web Serial over the network is not for such frames: the user would not see who asks. Open the tool in a window of its own.`;
  return undefined;
}

/** Whether any page around this one is of another origin. */
function isForeignFrame() {
  try {
    for (let outer = /** @type {Window} */ (window); outer !== outer.parent; outer = outer.parent)
      if (outer.parent.location.origin !== location.origin) return true;
    return false;
  } catch {
    return true; // Its location may not even be read.
  }
}

/**
 * What navigator.serial is where it cannot work: every call says why, with the error name that
 * Chromium uses. @param {string} why
 */
export class NoSerial extends EventTarget {
  #why;

  /** @param {string} why */
  constructor(why) {
    super();
    this.#why = why;
  }

  async getPorts() {
    throw new DOMException(this.#why, "SecurityError");
  }

  async requestPort() {
    throw new DOMException(this.#why, "SecurityError");
  }
}
