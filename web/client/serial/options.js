// What programs pass to open(), requestPort() and setSignals(), checked as Chromium checks it.

const OPEN = "Failed to execute 'open' on 'SerialPort': ";
const REQUEST = "Failed to execute 'requestPort' on 'Serial': ";

/** The largest buffer that Chromium allows: 16 MiB. */
const BUFFER_MAX = 16 * 1024 * 1024;

/**
 * A number as WebIDL's [EnforceRange] accepts it. @param {unknown} value @param {string} name
 * @param {string} where @param {number} most
 */
function whole(value, name, where, most) {
  const number = Math.trunc(Number(value));
  if (!Number.isFinite(number))
    throw new TypeError(
      `${where}Failed to read the '${name}' property: Value is not of a finite number.`,
    );
  if (number < 0 || number > most)
    throw new TypeError(
      `${where}Failed to read the '${name}' property: Value is outside the range.`,
    );
  return number;
}

/** @param {unknown} value @param {string[]} words @param {string} type */
function word(value, words, type) {
  const text = String(value);
  if (!words.includes(text))
    throw new TypeError(
      `${OPEN}The provided value '${text}' is not a valid enum value of type ${type}.`,
    );
  return text;
}

/** Members that are `undefined` count as absent. @param {Record<string, any>} given */
export function openOptions(given) {
  if (given === undefined || given === null || typeof given !== "object")
    throw new TypeError(`${OPEN}1 argument required, but only 0 present.`);
  if (given.baudRate === undefined)
    throw new TypeError(
      `${OPEN}Failed to read the 'baudRate' property from 'SerialOptions': Required member is undefined.`,
    );
  const baudRate = whole(given.baudRate, "baudRate", OPEN, 0xffffffff);
  const dataBits = given.dataBits === undefined ? 8 : whole(given.dataBits, "dataBits", OPEN, 255);
  const stopBits = given.stopBits === undefined ? 1 : whole(given.stopBits, "stopBits", OPEN, 255);
  const parity =
    given.parity === undefined ? "none" : word(given.parity, ["none", "even", "odd"], "ParityType");
  const flowControl =
    given.flowControl === undefined
      ? "none"
      : word(given.flowControl, ["none", "hardware"], "FlowControlType");
  const bufferSize =
    given.bufferSize === undefined ? 255 : whole(given.bufferSize, "bufferSize", OPEN, 0xffffffff);
  if (baudRate === 0) throw new TypeError(`${OPEN}Requested baud rate must be greater than zero.`);
  if (dataBits !== 7 && dataBits !== 8)
    throw new TypeError(`${OPEN}Requested number of data bits must be 7 or 8.`);
  if (stopBits !== 1 && stopBits !== 2)
    throw new TypeError(`${OPEN}Requested number of stop bits must be 1 or 2.`);
  if (bufferSize === 0)
    throw new TypeError(
      `${OPEN}Requested buffer size (${bufferSize} bytes) must be greater than zero.`,
    );
  if (bufferSize > BUFFER_MAX)
    throw new TypeError(
      `${OPEN}Requested buffer size (${bufferSize} bytes) is greater than the maximum allowed (${BUFFER_MAX} bytes).`,
    );
  return {
    bufferSize,
    config: {
      baud: baudRate,
      data: /** @type {7 | 8} */ (dataBits),
      parity,
      stop: /** @type {1 | 2} */ (stopBits),
      flow: flowControl,
    },
  };
}

/** @typedef {{ usbVendorId?: number, usbProductId?: number }} PortInfo */

/**
 * A filter for ports; undefined if programs ask for any port. @param {{ filters?: Iterable<any> } |
 * undefined | null} options
 */
export function portFilter(options) {
  const given = options?.filters;
  if (given === undefined || given === null) return undefined;
  const filters = [...given].map((filter) => {
    const { usbVendorId, usbProductId, bluetoothServiceClassId } = filter ?? {};
    if (bluetoothServiceClassId !== undefined) {
      if (usbVendorId !== undefined || usbProductId !== undefined)
        throw new TypeError(
          `${REQUEST}A filter cannot specify both bluetoothServiceClassId and usbVendorId or usbProductId.`,
        );
      return () => false;
    }
    if (usbVendorId === undefined) {
      throw new TypeError(
        `${REQUEST}${usbProductId === undefined ? "A filter must provide a property to filter by." : "A filter containing a usbProductId must also specify a usbVendorId."}`,
      );
    }
    const vendor = whole(usbVendorId, "usbVendorId", REQUEST, 0xffff);
    const product =
      usbProductId === undefined ? undefined : whole(usbProductId, "usbProductId", REQUEST, 0xffff);
    return (/** @type {PortInfo} */ info) =>
      info.usbVendorId === vendor && (product === undefined || info.usbProductId === product);
  });
  if (filters.length === 0) return undefined;
  return (/** @type {PortInfo} */ info) => filters.some((passes) => passes(info));
}

/** What setSignals() is given, as a step of the protocol. @param {any} given */
export function signalStep(given) {
  const { dataTerminalReady, requestToSend, break: sending } = given ?? {};
  /** @type {import("../line.js").Step} */
  const step = {};
  if (dataTerminalReady !== undefined) step.dtr = Boolean(dataTerminalReady);
  if (requestToSend !== undefined) step.rts = Boolean(requestToSend);
  if (sending !== undefined) step.break = Boolean(sending);
  if (Object.keys(step).length === 0)
    throw new TypeError(
      "Failed to execute 'setSignals' on 'SerialPort': Signals dictionary must contain at least one member.",
    );
  return step;
}
