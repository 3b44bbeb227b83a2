// The checksums of serial protocols: CRC-16/Modbus, CRC-16/XMODEM (polynomial 0x1021) and CRC-32
// (ISO-HDLC), each with a table.

/**
 * @param {number} polynomial reflected (`right`) or not (`left`, 16 bit) @param {"left"|"right"}
 * shift
 */
function table(polynomial, shift) {
  return Uint32Array.from({ length: 256 }, (_, index) => {
    let value = shift === "left" ? index << 8 : index;
    for (let bit = 0; bit < 8; bit += 1) {
      if (shift === "left") value = ((value << 1) ^ (value & 0x8000 ? polynomial : 0)) & 0xffff;
      else value = (value >>> 1) ^ (value & 1 ? polynomial : 0);
    }
    return value >>> 0;
  });
}

const MODBUS = table(0xa001, "right");
const XMODEM = table(0x1021, "left");
const CRC32 = table(0xedb88320, "right");

/** CRC-16/Modbus of `bytes`; on the wire its low byte comes first. */
export function crcModbus(bytes) {
  let crc = 0xffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ MODBUS[(crc ^ byte) & 0xff];
  return crc;
}

/** CRC-16/XMODEM of `bytes`, going on from `crc`; on the wire its high byte comes first. */
export function crcXmodem(bytes, crc = 0) {
  for (const byte of bytes) crc = ((crc << 8) & 0xffff) ^ XMODEM[(crc >>> 8) ^ byte];
  return crc;
}

/** CRC-32 of `bytes`, going on from an earlier result. */
export function crc32(bytes, before = 0) {
  let crc = ~before;
  for (const byte of bytes) crc = (crc >>> 8) ^ CRC32[(crc ^ byte) & 0xff];
  return ~crc >>> 0;
}

/** `bytes` and their CRC-16/Modbus, as sent. */
export function withModbusCrc(bytes) {
  const crc = crcModbus(bytes);
  return Uint8Array.of(...bytes, crc & 0xff, crc >>> 8);
}
