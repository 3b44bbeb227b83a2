// The names and texts of Web Serial's errors. Programs compare them, so they are exactly
// Chromium's.

const TEXTS = {
  noPort: ["NotFoundError", "No port selected by the user."],
  alreadyOpen: ["InvalidStateError", "The port is already open."],
  opening: ["InvalidStateError", "A call to open() is already in progress."],
  closing: ["InvalidStateError", "A call to close() is already in progress."],
  alreadyClosed: ["InvalidStateError", "The port is already closed."],
  closed: ["InvalidStateError", "The port is closed."],
  forgotten: ["InvalidStateError", "The port has been forgotten."],
  openFailed: ["NetworkError", "Failed to open serial port."],
  lost: ["NetworkError", "The device has been lost."],
  setSignals: ["NetworkError", "Failed to set control signals."],
  getSignals: ["NetworkError", "Failed to get control signals."],
  break: ["BreakError", "Break received"],
  parity: ["ParityError", "Parity error"],
  framing: ["FramingError", "Framing error"],
  overrun: ["BufferOverrunError", "Buffer overrun"],
};

/**
 * @param {keyof typeof TEXTS} kind @param {unknown} [cause] the underlying error, for people who
 * look
 */
export function portError(kind, cause) {
  const [name, text] = TEXTS[kind];
  const error = new DOMException(text, name);
  if (cause !== undefined)
    Object.defineProperty(error, "cause", { value: cause, configurable: true, writable: true });
  return error;
}

/**
 * The error that stands for an event of the line. @param {string} event `break`, `parity`,
 * `framing` or `overrun`
 */
export function lineError(event) {
  return portError(
    event === "break" || event === "parity" || event === "framing" ? event : "overrun",
  );
}
