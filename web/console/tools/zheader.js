// The wire format of ZMODEM: headers out of a stream, data subpackets in and out. Codes and tables
// come from the package zmodem2.
//
// zmodem2's own Sender and Receiver are not used: they end at the first damaged byte, cannot be
// asked to go back while they send, and cannot skip a file. A serial line needs all three
// (zsend.js, zreceive.js).

import { Encoding, Frame, Header, UNZDLE_TABLE, ZDLE_TABLE, decodeHeader } from "zmodem2";
import { crc32, crcXmodem } from "./crc.js";
import { concat } from "./escapes.js";
import { TransferEnded } from "./wire.js";

export { Encoding, Frame };

const ZPAD = 0x2a;
const ZDLE = 0x18;
/** How a data subpacket ends: what follows, and whether an answer is wanted. */
export const ZCRCE = 0x68;
export const ZCRCG = 0x69;
export const ZCRCQ = 0x6a;
export const ZCRCW = 0x6b;
/** The most a subpacket may hold: ZMODEM says 1024, lrzsz sends up to 8192. */
const SUBPACKET_LIMIT = 8192;
/** This many cancel characters in a row end a session. */
const CANCELS = 5;

/**
 * One header as it is sent: in hex digits, or with `how` as bytes with CRC-16 or, if `wide`,
 * CRC-32.
 * @param {number} frame @param {number|number[]} value the position, or the flag bytes in the order
 *   ZF3, ZF2, ZF1, ZF0
 * @param {{ wide: boolean, control?: boolean }} [how]
 */
export function header(frame, value = 0, how) {
  const plain = new Header(Encoding.ZHEX, frame);
  const full =
    typeof value === "number"
      ? plain.withCount(value)
      : new Header(Encoding.ZHEX, frame, Uint8Array.from(value));
  if (!how) return full.encode();
  const body = Uint8Array.of(frame, ...full.flags);
  const encoding = how.wide ? Encoding.ZBIN32 : Encoding.ZBIN;
  return concat([
    Uint8Array.of(ZPAD, ZDLE, encoding),
    escapeBytes(concat([body, check(body, how.wide)]), how.control),
  ]);
}

function check(bytes, wide) {
  if (!wide) return Uint8Array.of(crcXmodem(bytes) >> 8, crcXmodem(bytes) & 0xff);
  const sum = crc32(bytes);
  return Uint8Array.of(sum & 0xff, (sum >>> 8) & 0xff, (sum >>> 16) & 0xff, sum >>> 24);
}

/**
 * Finds headers in a stream fed byte by byte; damaged ones and everything in between are skipped.
 */
export class HeaderScanner {
  #step = "pad";
  #encoding = 0;
  #body = [];
  #escaped = false;
  #cancels = 0;

  /**
   * @param {number} byte @returns {{ frame: number, count: number, flags: Uint8Array, encoding:
   * number }|undefined}
   */
  push(byte) {
    this.#cancels = byte === ZDLE ? this.#cancels + 1 : 0;
    if (this.#cancels >= CANCELS) throw new TransferEnded("the other side cancelled", "remote");
    switch (this.#step) {
      case "pad":
        if (byte === ZPAD) this.#step = "zdle";
        break;
      case "zdle":
        if (byte !== ZPAD) this.#step = byte === ZDLE ? "encoding" : "pad";
        break;
      case "encoding":
        this.#encoding = byte;
        this.#body = [];
        this.#escaped = false;
        this.#step =
          byte === Encoding.ZBIN || byte === Encoding.ZHEX || byte === Encoding.ZBIN32
            ? "body"
            : "pad";
        break;
      default:
        return this.#collect(byte);
    }
  }

  #collect(byte) {
    // Equipment in between may insert flow control characters anywhere.
    if ((byte & 0x7d) === 0x11) return;
    if (byte === ZDLE && !this.#escaped) {
      this.#escaped = true;
      return;
    }
    const hex = this.#encoding === Encoding.ZHEX;
    this.#body.push(this.#escaped ? UNZDLE_TABLE[byte] : hex ? byte & 0x7f : byte);
    this.#escaped = false;
    if (this.#body.length < Header.readSize(this.#encoding)) return;
    this.#step = "pad";
    try {
      const { frame, count, flags, encoding } = decodeHeader(
        this.#encoding,
        Uint8Array.from(this.#body),
      );
      return { frame, count, flags, encoding };
    } catch {
      // The next one will be good: both sides repeat themselves.
    }
  }
}

/** The next good header, or null after `ms`. */
export async function readHeader(wire, scanner, ms) {
  for (const until = Date.now() + ms; ;) {
    let byte = wire.take();
    if (byte < 0) byte = await wire.byte(ms);
    if (byte < 0) return null;
    const found = scanner.push(byte);
    if (found) return found;
    // A device that keeps talking without ever sending a header must not hold up the transfer for
    // ever.
    if (wire.pending === 0 && Date.now() > until) return null;
  }
}

/** A header, if one has already arrived; does not wait. */
export function pollHeader(wire, scanner) {
  for (let byte = wire.take(); byte >= 0; byte = wire.take()) {
    const found = scanner.push(byte);
    if (found) return found;
  }
  return null;
}

/**
 * One data subpacket.
 * @returns {Promise<{ data: Uint8Array, end: number }|null>} null: damaged, too long, or nothing
 *   came for `ms`
 */
export async function readSubpacket(wire, encoding, ms) {
  const reader = new SubpacketReader(encoding === Encoding.ZBIN32);
  // A header in hex digits ends with CR and LF (some programs set bit 7), which are not data.
  let lineEnd = encoding === Encoding.ZHEX ? [0x0a, 0x0d] : [];
  for (;;) {
    let byte = wire.take();
    if (byte < 0) byte = await wire.byte(ms);
    if (lineEnd.length) {
      if ((byte & 0x7f) === lineEnd.pop()) continue;
      lineEnd = [];
    }
    const state = byte < 0 ? "bad" : reader.push(byte);
    if (state === "good") return { data: reader.data.slice(0, reader.length), end: reader.end };
    if (state === "bad") return null;
  }
}

/** A subpacket fed byte by byte. */
class SubpacketReader {
  data = new Uint8Array(SUBPACKET_LIMIT);
  length = 0;
  end = 0;
  #escapes = 0;
  #check = null;
  #checked = 0;

  constructor(wide) {
    this.wide = wide;
  }

  /** @returns {"more"|"good"|"bad"} */
  push(byte) {
    // Equipment in between may insert flow control characters anywhere.
    if ((byte & 0x7d) === 0x11) return "more";
    if (byte === ZDLE) {
      this.#escapes += 1;
      if (this.#escapes >= CANCELS) throw new TransferEnded("the other side cancelled", "remote");
      return "more";
    }
    if (this.#escapes === 0) return this.#plain(byte);
    this.#escapes = 0;
    if (byte < ZCRCE || byte > ZCRCW) return this.#plain(UNZDLE_TABLE[byte]);
    if (this.#check) return "bad";
    this.end = byte;
    this.#check = check(
      concat([this.data.subarray(0, this.length), Uint8Array.of(byte)]),
      this.wide,
    );
    return "more";
  }

  #plain(byte) {
    if (this.#check) {
      if (byte !== this.#check[this.#checked]) return "bad";
      this.#checked += 1;
      return this.#checked === this.#check.length ? "good" : "more";
    }
    if (this.length === SUBPACKET_LIMIT) return "bad";
    this.data[this.length++] = byte;
    return "more";
  }
}

/**
 * Escapes what must not be on the wire as it is; `control`: every control character, if the
 * receiver asks for that.
 */
export function escapeBytes(bytes, control = false) {
  const escaped = new Uint8Array(bytes.length * 2);
  let length = 0;
  for (const byte of bytes) {
    const code = control && (byte & 0x60) === 0 ? byte ^ 0x40 : ZDLE_TABLE[byte];
    if (code !== byte) escaped[length++] = ZDLE;
    escaped[length++] = code;
  }
  return escaped.subarray(0, length);
}

/** A data subpacket as it is sent; `wide`: with CRC-32. */
export function subpacket(data, end, { wide, control = false }) {
  const sum = check(concat([data, Uint8Array.of(end)]), wide);
  return concat([escapeBytes(data, control), Uint8Array.of(ZDLE, end), escapeBytes(sum, control)]);
}
