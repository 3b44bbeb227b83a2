// Sending with ZMODEM: files to the other side's rz, streamed; goes back when the other side asks
// for a part again.

import { crc32 } from "./crc.js";
import { TransferEnded } from "./wire.js";
import { describe } from "./ymodem.js";
import {
  Frame,
  HeaderScanner,
  ZCRCE,
  ZCRCG,
  ZCRCQ,
  ZCRCW,
  header,
  pollHeader,
  readHeader,
  subpacket,
} from "./zheader.js";

const TRIES = 12;
const HEADER_MS = 10_000;
const SETTLE_MS = 150;
const SUBPACKET = 1024;
// An answer is requested for each 16 KiB, and 128 KiB may go unanswered: this keeps 300 kB/s over a
// path of 400 ms full. On a slow line these are a quarter of a second's and two seconds' worth, so
// that the progress is accurate and a damaged byte costs no more than that again.
const ASK_EVERY = 16 * 1024;
const WINDOW = 8 * ASK_EVERY;
const CAN_FULL_DUPLEX = 0x01;
const CAN_CRC32 = 0x20;
const ESCAPE_CONTROL = 0x40;
/** ZMODEM's positions have 32 bits. */
export const ZMODEM_LIMIT = 2 ** 32 - 1;

/**
 * Sends files one after the other.
 * @param {import("./wire.js").Wire} wire
 * @param {{ name: string, size: number, modified?: number, read: (at: number, length: number) =>
 *   Promise<Uint8Array> }[]} files
 * @param {{ onFile?: (index: number) => void, onSkip?: (index: number) => void, onProgress?:
 *   (taken: number) => void }} [options]
 * onProgress: the other side has confirmed this many bytes of the file
 */
export async function sendZmodem(wire, files, { onFile, onSkip, onProgress } = {}) {
  const sending = new Sending(wire, onProgress);
  await sending.start();
  for (const [index, file] of files.entries()) {
    onFile?.(index);
    if (file.size > ZMODEM_LIMIT)
      throw new TransferEnded(`${file.name} is larger than ZMODEM can send (4 GiB)`);
    if (!(await sending.file(file))) onSkip?.(index);
  }
  await sending.finish();
}

class Sending {
  #scanner = new HeaderScanner();
  #wide = true;
  #control = false;
  #duplex = true;
  #bufferSize = 0;
  #failures = 0;
  #confirmed = 0;
  #askedFor = 0;

  constructor(wire, onProgress) {
    this.wire = wire;
    this.onProgress = onProgress;
    this.askEvery = wire.rate ? Math.min(ASK_EVERY, Math.max(SUBPACKET, wire.rate / 4)) : ASK_EVERY;
    this.window = Math.min(WINDOW, 8 * this.askEvery);
    this.headerMs = Math.max(HEADER_MS, wire.rate ? (4000 * this.askEvery) / wire.rate : 0);
  }

  async start() {
    await this.wire.write(header(Frame.ZRQINIT));
    for (;;) {
      const got = await this.#next(
        "nobody answers: is the receiver (rz) started on the other side?",
      );
      if (got?.frame === Frame.ZRINIT) return this.#able(got.flags);
      if (got?.frame === Frame.ZCHALLENGE) await this.wire.write(header(Frame.ZACK, got.count));
      else if (!got) await this.wire.write(header(Frame.ZRQINIT));
    }
  }

  #able(flags) {
    this.#wide = (flags[3] & CAN_CRC32) !== 0;
    this.#control = (flags[3] & ESCAPE_CONTROL) !== 0;
    this.#duplex = (flags[3] & CAN_FULL_DUPLEX) !== 0;
    this.#bufferSize = flags[0] + flags[1] * 256;
  }

  /** @returns {Promise<boolean>} false: the other side skipped it */
  async file(file) {
    this.#failures = 0;
    this.#askedFor = 0;
    const opening = [
      header(Frame.ZFILE, 0, this.#how),
      subpacket(describe(file), ZCRCW, this.#how),
    ];
    let heard = false;
    await this.#writeAll(opening);
    for (;;) {
      const got = await this.#next("the file was offered and nobody answers");
      switch (got?.frame) {
        case Frame.ZRPOS:
          return this.#body(file, got.count);
        case Frame.ZSKIP:
          return false;
        case Frame.ZCRC:
          await this.wire.write(header(Frame.ZCRC, await checksum(file, got.count || file.size)));
          break;
        case Frame.ZRINIT:
          // The first may be the late answer to ZRQINIT; another one says that the file was not
          // noticed.
          if (heard) await this.#writeAll(opening);
          heard = true;
          this.#fail("the other side does not take the file");
          break;
        case undefined:
        case Frame.ZNAK:
          await this.#writeAll(opening);
          break;
      }
    }
  }

  /** The data from `at` on, and the end of the file. */
  async #body(file, at) {
    let from = at;
    for (;;) {
      const news = await this.#stream(file, from);
      if (news === "skipped") return false;
      const position = typeof news === "number" ? news : await this.#end(file.size);
      if (position === "taken") return true;
      if (position === "skipped") return false;
      from = Math.min(position, file.size);
    }
  }

  /**
   * Sends from `from` on until everything is sent, or the other side wants another part (returns
   * its position) or nothing more.
   */
  async #stream(file, from) {
    await this.wire.write(header(Frame.ZDATA, from, this.#how));
    let at = from;
    let asked = from;
    this.#confirmed = from;
    let unanswered = from;
    do {
      const data = await file.read(at, Math.min(SUBPACKET, file.size - at));
      at += data.length;
      const last = at >= file.size;
      const full = this.#bufferSize > 0 && at + SUBPACKET - unanswered > this.#bufferSize;
      const ask = this.#duplex && at - asked >= this.askEvery;
      await this.wire.write(
        subpacket(data, last ? ZCRCE : full ? ZCRCW : ask ? ZCRCQ : ZCRCG, this.#how),
      );
      if (last) return "sent";
      if (full || ask) asked = at;
      const turn = await this.#listen(full ? at : at - this.window, at, full || this.#duplex);
      if (turn !== undefined) return turn;
      if (full) {
        unanswered = at;
        await this.wire.write(header(Frame.ZDATA, at, this.#how));
      }
    } while (at < file.size);
    return "sent";
  }

  /**
   * Handles what the other side says; waits until it has confirmed `until`, if waiting is possible.
   */
  async #listen(until, at, waits) {
    for (;;) {
      const wait = waits && this.#confirmed < until;
      const got = wait
        ? await this.#next("the other side confirms nothing")
        : pollHeader(this.wire, this.#scanner);
      if (got?.frame === Frame.ZACK && got.count <= at) {
        this.#confirmed = Math.max(this.#confirmed, got.count);
        this.#failures = 0;
        this.onProgress?.(this.#confirmed);
      } else if (got) {
        const turn = await this.#turn(got);
        if (turn !== undefined) return turn;
      } else if (!wait) return undefined;
      // Nothing came in time: it is up to the receiver to ask again if something is missing.
    }
  }

  /**
   * Says that the file is over until the other side agrees. @returns
   * {Promise<number|"taken"|"skipped">}
   */
  async #end(size) {
    await this.wire.write(header(Frame.ZEOF, size, this.#how));
    for (;;) {
      const got = await this.#next("the other side does not confirm the end of the file");
      if (!got) await this.wire.write(header(Frame.ZEOF, size, this.#how));
      else if (got.frame === Frame.ZRINIT) {
        this.onProgress?.(size);
        return "taken";
      } else if (got.frame === Frame.ZACK) this.onProgress?.(Math.min(got.count, size));
      else {
        const turn = await this.#turn(got);
        if (turn !== undefined) return turn;
      }
    }
  }

  /**
   * What a header changes while data is on its way: a position to go to, "skipped", or nothing.
   */
  async #turn(got) {
    if (got.frame === Frame.ZRPOS) {
      // What is still on its way is void: the other side skips it until the next header.
      await this.wire.discard();
      return this.#settle(got.count);
    }
    if (got.frame === Frame.ZSKIP) {
      await this.wire.discard();
      return "skipped";
    }
  }

  /**
   * The last of several positions in a row: a receiver repeats itself while it reads what was on
   * its way.
   */
  async #settle(position) {
    let last = position;
    for (let got; (got = await readHeader(this.wire, this.#scanner, SETTLE_MS));)
      if (got.frame === Frame.ZRPOS) last = got.count;
    if (last > this.#askedFor) this.#failures = 0;
    this.#askedFor = last;
    this.#fail("the other side asks for the same part again and again");
    return last;
  }

  async finish() {
    for (let tries = 0; tries < 3; tries += 1) {
      await this.wire.write(header(Frame.ZFIN));
      const got = await readHeader(this.wire, this.#scanner, this.headerMs);
      if (got?.frame === Frame.ZFIN) break;
    }
    await this.wire.write(Uint8Array.of(0x4f, 0x4f));
  }

  get #how() {
    return { wide: this.#wide, control: this.#control };
  }

  /** The next header, or null if none came; ends the transfer after too many such rounds. */
  async #next(complaint) {
    const got = await readHeader(this.wire, this.#scanner, this.headerMs);
    if (!got) this.#fail(complaint);
    else if (got.frame === Frame.ZABORT || got.frame === Frame.ZFERR || got.frame === Frame.ZCAN) {
      throw new TransferEnded(
        got.frame === Frame.ZFERR
          ? "the other side cannot store the file"
          : "the other side gave up",
        "remote",
      );
    }
    return got;
  }

  #fail(complaint) {
    this.#failures += 1;
    if (this.#failures > TRIES) throw new TransferEnded(complaint);
  }

  async #writeAll(parts) {
    for (const part of parts) await this.wire.write(part);
  }
}

/** CRC-32 of the first `length` bytes, for the receiver to compare with what it has. */
async function checksum(file, length) {
  let crc = 0;
  for (let at = 0; at < Math.min(length, file.size);) {
    const part = await file.read(at, Math.min(65536, length - at, file.size - at));
    crc = crc32(part, crc);
    at += part.length;
  }
  return crc;
}
