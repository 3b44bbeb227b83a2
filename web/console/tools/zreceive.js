// Receiving with ZMODEM: files from the other side's sz, with recovery at the damaged byte;
// unwanted files are skipped.

import { parseDescription } from "./ymodem.js";
import { TransferEnded } from "./wire.js";
import {
  Frame,
  HeaderScanner,
  ZCRCE,
  ZCRCG,
  ZCRCQ,
  ZCRCW,
  header,
  readHeader,
  readSubpacket,
} from "./zheader.js";

const TRIES = 12;
const HEADER_MS = 10_000;
const DATA_MS = 10_000;
// ZF0: full duplex, receives while it stores, CRC-32. No buffer size: the sender need not wait.
const CAN_DO = 0x01 | 0x02 | 0x20;
const READY = [0, 0, 0, CAN_DO];

/** @typedef {{ write: (bytes: Uint8Array) => Promise<void>, close: () => Promise<void> }} Sink */

/**
 * Receives files until the sender has no more.
 * @param {import("./wire.js").Wire} wire
 * @param {(file: { name: string, size: number|null, modified: number|null }) => Promise<Sink|null>}
 *   accept null skips the file
 * @param {{ onProgress?: (received: number) => void }} [options]
 */
export async function receiveZmodem(wire, accept, { onProgress } = {}) {
  await new Receiving(wire, accept, onProgress).run();
}

class Receiving {
  /** @type {Sink|null} */
  #sink = null;
  #at = 0;
  #failures = 0;
  #scanner = new HeaderScanner();

  constructor(wire, accept, onProgress) {
    this.wire = wire;
    this.accept = accept;
    this.onProgress = onProgress;
  }

  async run() {
    await this.wire.write(header(Frame.ZRINIT, READY));
    for (;;) {
      const got = await readHeader(this.wire, this.#scanner, HEADER_MS);
      if (!got) await this.#again();
      else if (got.frame === Frame.ZFIN) return this.#finish();
      else await this.#handle(got);
    }
  }

  async #handle({ frame, count, encoding }) {
    switch (frame) {
      case Frame.ZRQINIT:
        if (!this.#sink) await this.wire.write(header(Frame.ZRINIT, READY));
        break;
      case Frame.ZSINIT:
        if (await readSubpacket(this.wire, encoding, DATA_MS))
          await this.wire.write(header(Frame.ZACK, 1));
        else await this.wire.write(header(Frame.ZNAK));
        break;
      case Frame.ZFREECNT:
        await this.wire.write(header(Frame.ZACK, 0xffffffff));
        break;
      case Frame.ZFILE:
        await this.#file(encoding);
        break;
      case Frame.ZDATA:
        if (this.#sink && count === this.#at) await this.#data(encoding);
        else if (this.#sink) await this.#again();
        break;
      case Frame.ZEOF:
        // If the position is not ours, it was sent before we asked for a part again.
        if (this.#sink && count === this.#at) await this.#close();
        else if (!this.#sink) await this.wire.write(header(Frame.ZRINIT, READY));
        break;
      case Frame.ZCOMMAND:
        throw new TransferEnded("the other side asked to run a command here, which is never done");
      case Frame.ZABORT:
      case Frame.ZFERR:
        throw new TransferEnded("the other side gave up", "remote");
    }
  }

  async #file(encoding) {
    const packet = await readSubpacket(this.wire, encoding, DATA_MS);
    if (!packet) {
      this.#fail();
      return this.wire.write(header(Frame.ZNAK));
    }
    // Named again: our answer was lost.
    if (this.#sink) return this.wire.write(header(Frame.ZRPOS, this.#at));
    const sink = await this.accept(parseDescription(packet.data));
    if (!sink) return this.wire.write(header(Frame.ZSKIP));
    this.#sink = sink;
    this.#at = 0;
    this.#failures = 0;
    await this.wire.write(header(Frame.ZRPOS, 0));
  }

  async #data(encoding) {
    for (;;) {
      const packet = await readSubpacket(this.wire, encoding, DATA_MS);
      if (!packet) return this.#again();
      if (packet.data.length) await this.#sink.write(packet.data);
      this.#at += packet.data.length;
      this.#failures = 0;
      this.onProgress?.(this.#at);
      if (packet.end === ZCRCQ || packet.end === ZCRCW)
        await this.wire.write(header(Frame.ZACK, this.#at));
      if (packet.end === ZCRCE || packet.end === ZCRCW) return;
      if (packet.end !== ZCRCG && packet.end !== ZCRCQ) return this.#again();
    }
  }

  async #close() {
    const sink = this.#sink;
    this.#sink = null;
    await sink.close();
    await this.wire.write(header(Frame.ZRINIT, READY));
  }

  /** Something was damaged, or nothing came: says once more where we are. */
  async #again() {
    this.#fail();
    await this.wire.write(this.#sink ? header(Frame.ZRPOS, this.#at) : header(Frame.ZRINIT, READY));
  }

  #fail() {
    this.#failures += 1;
    if (this.#failures > TRIES) throw new TransferEnded(`nothing good came in ${TRIES} tries`);
  }

  /** Answers the end, and takes the sender's "OO" off the line. */
  async #finish() {
    if (this.#sink)
      throw new TransferEnded("the other side ended in the middle of a file", "remote");
    await this.wire.write(header(Frame.ZFIN));
    for (let over = 0; over < 2;) {
      const byte = await this.wire.byte(1_000);
      if (byte < 0) return;
      if (byte === 0x4f) over += 1;
    }
  }
}
