// One line about a Modbus RTU frame: who, what, and whether its checksum is right.

import { crcModbus } from "./crc.js";

const FUNCTIONS = {
  1: "read coils",
  2: "read discrete inputs",
  3: "read holding registers",
  4: "read input registers",
  5: "write coil",
  6: "write register",
  7: "read exception status",
  8: "diagnostics",
  11: "event counter",
  15: "write coils",
  16: "write registers",
  17: "server id",
  22: "mask register",
  23: "read and write registers",
  43: "device identification",
};
const EXCEPTIONS = {
  1: "illegal function",
  2: "illegal address",
  3: "illegal value",
  4: "device failure",
  5: "acknowledge",
  6: "busy",
  8: "memory parity error",
  10: "gateway path unavailable",
  11: "gateway target does not answer",
};

/**
 * What `bytes` say, or null if they are hardly a Modbus RTU frame. @param {Uint8Array} bytes
 * @returns {string|null}
 */
export function describeModbus(bytes) {
  const { length } = bytes;
  if (length < 4 || length > 256 || bytes[0] > 247) return null;
  const code = bytes[1] & 0x7f;
  const name = FUNCTIONS[code];
  if (!name) return null;
  const crc = crcModbus(bytes.subarray(0, length - 2));
  const good = bytes[length - 2] === (crc & 0xff) && bytes[length - 1] === crc >> 8;
  const who = bytes[0] === 0 ? "broadcast" : `unit ${bytes[0]}`;
  const what =
    bytes[1] & 0x80 ? `exception: ${EXCEPTIONS[bytes[2]] ?? bytes[2]}` : details(bytes, code);
  const check = good
    ? "CRC ok"
    : `CRC wrong, ${[crc & 0xff, crc >> 8].map((byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" ")} expected`;
  return [who, name, what, check].filter(Boolean).join(" · ");
}

function details(bytes, code) {
  const word = (at) => bytes[at] * 256 + bytes[at + 1];
  const data = bytes.length - 4;
  if (code <= 4 && data >= 1 && bytes[2] === data - 1) return `answer, ${bytes[2]} bytes`;
  if (code <= 4 && data === 4) return `from ${word(2)}, ${word(4)} of them`;
  if ((code === 5 || code === 6) && data === 4)
    return `${word(2)} = ${code === 5 ? (word(4) === 0xff00 ? "on" : "off") : word(4)}`;
  if ((code === 15 || code === 16) && data >= 4)
    return `from ${word(2)}, ${word(4)} of them${data === 4 ? ", answer" : ""}`;
  return null;
}
