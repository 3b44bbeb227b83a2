// An ESP32 behind a serial port, as far as flashing tools see it: reset by DTR and RTS, the ROM
// loader, a stub, flash memory.
//
// The facts about the chip and its serial protocol come from Espressif's documentation; nothing
// here is Espressif's code.

import { createHash } from "node:crypto";
import { inflateSync } from "node:zlib";

const [END, ESC, ESC_END, ESC_ESC] = [0xc0, 0xdb, 0xdc, 0xdd];

const OP = {
  FLASH_BEGIN: 0x02,
  FLASH_DATA: 0x03,
  FLASH_END: 0x04,
  MEM_BEGIN: 0x05,
  MEM_END: 0x06,
  MEM_DATA: 0x07,
  SYNC: 0x08,
  WRITE_REG: 0x09,
  READ_REG: 0x0a,
  SPI_SET_PARAMS: 0x0b,
  SPI_ATTACH: 0x0d,
  CHANGE_BAUDRATE: 0x0f,
  FLASH_DEFL_BEGIN: 0x10,
  FLASH_DEFL_DATA: 0x11,
  FLASH_DEFL_END: 0x12,
  FLASH_MD5: 0x13,
};

/**
 * What the few registers hold that tools look at: the chip's magic number, and the flash chip's
 * answer to "who are you".
 */
const REGISTERS = new Map([
  [0x40001000, 0x00f01d83],
  [0x3ff42080, 0x001640ef],
]);

/** How long the reset pin needs to rise: the capacitor next to it. */
const CAPACITOR = 3;

/** Puts a chip behind `port` (rfc2217Device). `chip` shows what has happened to it. */
export function esp32(port) {
  const chip = {
    mode: "app",
    resets: [],
    baud: 115200,
    stub: false,
    flash: Buffer.alloc(1 << 20, 0xff),
    syncs: 0,
  };
  let held = false;
  let rising;
  let slip = new Slip();
  let writing;

  port.on("lines", ({ dtr, rts }) => {
    // The two transistors of the usual board: equal lines leave both pins alone.
    const reset = rts && !dtr;
    const boot = dtr && !rts;
    chip.boot = boot;
    if (reset) {
      clearTimeout(rising);
      [held, chip.mode] = [true, "reset"];
    } else if (held) {
      held = false;
      rising = setTimeout(() => {
        // The level of the boot pin when the reset pin has risen decides.
        chip.mode = chip.boot ? "loader" : "app";
        chip.resets.push(chip.mode);
        [chip.baud, chip.stub, slip, writing] = [115200, false, new Slip(), undefined];
        port.write(
          chip.mode === "loader"
            ? "rst:0x1 (POWERON_RESET),boot:0x3 (DOWNLOAD_BOOT)\r\nwaiting for download\r\n"
            : "rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n",
        );
      }, CAPACITOR);
    }
  });

  port.on("data", (bytes) => {
    // At a speed other than the chip's, nothing is understood.
    if (chip.mode !== "loader" || port.settings.baud !== chip.baud) return;
    for (const packet of slip.take(bytes)) command(packet);
  });

  function answer(op, value = 0, data = Buffer.alloc(0), failed = 0) {
    const status = Buffer.alloc(chip.stub ? 2 : 4);
    if (failed) [status[0], status[1]] = [1, failed];
    const head = Buffer.from([1, op, 0, 0, 0, 0, 0, 0]);
    head.writeUInt16LE(data.length + status.length, 2);
    head.writeUInt32LE(value >>> 0, 4);
    port.write(framed(Buffer.concat([head, data, status])));
  }

  function command(packet) {
    if (packet.length < 8 || packet[0] !== 0) return;
    const op = packet[1];
    const body = packet.subarray(8);
    const word = (at) => body.readUInt32LE(at * 4);
    switch (op) {
      case OP.SYNC:
        chip.syncs += 1;
        for (let i = 0; i < (chip.stub ? 1 : 8); i++) answer(op, 0x20120707);
        return;
      case OP.READ_REG:
        return answer(op, REGISTERS.get(word(0)) ?? 0);
      case OP.MEM_END:
        answer(op);
        chip.stub = true;
        port.write(framed(Buffer.from("OHAI")));
        return;
      case OP.CHANGE_BAUDRATE: {
        const baud = word(0);
        answer(op);
        chip.baud = baud;
        return;
      }
      case OP.FLASH_BEGIN:
      case OP.FLASH_DEFL_BEGIN:
        writing = { at: word(3), pieces: [], packed: op === OP.FLASH_DEFL_BEGIN, size: word(0) };
        return answer(op);
      case OP.FLASH_DATA:
      case OP.FLASH_DEFL_DATA:
        return data(op, packet.readUInt32LE(4), body.subarray(16, 16 + word(0)));
      case OP.FLASH_MD5: {
        const sum = createHash("md5")
          .update(chip.flash.subarray(word(0), word(0) + word(1)))
          .digest();
        return answer(op, 0, chip.stub ? sum : Buffer.from(sum.toString("hex")));
      }
      case OP.MEM_BEGIN:
      case OP.MEM_DATA:
      case OP.WRITE_REG:
      case OP.SPI_SET_PARAMS:
      case OP.SPI_ATTACH:
      case OP.FLASH_END:
      case OP.FLASH_DEFL_END:
        return answer(op);
      default:
        // A command that this ROM does not have: the tool reads "invalid" and does without.
        for (let i = 0; i < 8; i++) answer(0, 0, Buffer.alloc(0), 5);
    }
  }

  function data(op, checksum, bytes) {
    const sum = bytes.reduce((all, byte) => all ^ byte, 0xef);
    if (!writing || sum !== checksum) return answer(op, 0, Buffer.alloc(0), 7);
    writing.pieces.push(Buffer.from(bytes));
    let all = Buffer.concat(writing.pieces);
    if (writing.packed) {
      try {
        all = inflateSync(all, { finishFlush: 2 });
      } catch {
        return answer(op, 0, Buffer.alloc(0), 7);
      }
    }
    all.copy(chip.flash, writing.at);
    answer(op);
  }

  return chip;
}

/** Takes SLIP packets from a stream (RFC 1055). */
class Slip {
  #packet = [];
  #inside = false;
  #escaped = false;

  take(bytes) {
    const whole = [];
    for (const byte of bytes) {
      if (byte === END) {
        if (this.#inside && this.#packet.length > 0) whole.push(Buffer.from(this.#packet));
        this.#inside = this.#packet.length === 0 || !this.#inside;
        this.#packet = [];
      } else if (this.#escaped) {
        this.#packet.push(byte === ESC_END ? END : ESC);
        this.#escaped = false;
      } else if (byte === ESC) this.#escaped = true;
      else if (this.#inside) this.#packet.push(byte);
    }
    return whole;
  }
}

function framed(packet) {
  const bytes = [...packet].flatMap((byte) =>
    byte === END ? [ESC, ESC_END] : byte === ESC ? [ESC, ESC_ESC] : [byte],
  );
  return Buffer.from([END, ...bytes, END]);
}
