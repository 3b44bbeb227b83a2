// YMODEM by Chuck Forsberg: XMODEM-1K with a block that gives each file's name and size, many files
// in one go; YMODEM-g without answers.

import { concat } from "./escapes.js";
import { TransferEnded } from "./wire.js";
import {
  ACK,
  WANT_CRC,
  WANT_STREAM,
  answer,
  awaitStart,
  block,
  firstBlock,
  receiveBody,
  sendBlock,
  sendBody,
} from "./xmodem.js";

const utf8 = new TextEncoder();

/**
 * Name, NUL, "size mtime", NUL: what YMODEM's block 0 and ZMODEM's ZFILE carry.
 * @param {{ name: string, size: number, modified?: number }} file
 */
export function describe({ name, size, modified }) {
  const seconds = modified ? ` ${Math.floor(modified / 1000).toString(8)}` : "";
  return concat([
    utf8.encode(name.replaceAll("\0", "")),
    Uint8Array.of(0),
    utf8.encode(`${size}${seconds}`),
    Uint8Array.of(0),
  ]);
}

/**
 * The reverse: `size` is null if the sender does not tell. @returns {{ name: string, size:
 * number|null, modified: number|null }}
 */
export function parseDescription(bytes) {
  const end = bytes.indexOf(0);
  const name = new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
  const rest = end < 0 ? bytes.subarray(0, 0) : bytes.subarray(end + 1);
  const stop = rest.indexOf(0);
  const [size, modified] = new TextDecoder()
    .decode(stop < 0 ? rest : rest.subarray(0, stop))
    .trim()
    .split(/\s+/);
  return {
    name,
    size: /^\d{1,15}$/.test(size ?? "") ? Number(size) : null,
    modified:
      /^[0-7]{1,13}$/.test(modified ?? "") && Number.parseInt(modified, 8) > 0
        ? Number.parseInt(modified, 8) * 1000
        : null,
  };
}

/**
 * Sends files one after the other. The receiver chooses YMODEM or YMODEM-g.
 * @param {import("./wire.js").Wire} wire
 * @param {{ name: string, size: number, modified?: number, read: (at: number, length: number) =>
 *   Promise<Uint8Array> }[]} files
 * @param {{ onFile?: (index: number) => void, onProgress?: (sent: number) => void, startMs?: number
 *   }} [options]
 */
export async function sendYmodem(wire, files, { onFile, onProgress, startMs } = {}) {
  for (const [index, file] of files.entries()) {
    onFile?.(index);
    const header = describe(file);
    if (header.length > 1024)
      throw new TransferEnded(`the name of ${file.name.slice(0, 40)}... is too long for YMODEM`);
    const mode = await awaitStart(wire, startMs);
    await sendBlock(wire, block(0, header, mode, 0), mode);
    await sendBody(wire, file, await awaitStart(wire), { onProgress });
  }
  const mode = await awaitStart(wire, startMs);
  // The receiver may be gone once it has seen the empty name: its answer is welcome, but not
  // needed.
  await wire.write(block(0, new Uint8Array(0), mode, 0));
  if (mode !== "stream") await answer(wire, 3_000);
}

/**
 * Receives files until the sender has no more.
 * @param {import("./wire.js").Wire} wire
 * @param {(file: { name: string, size: number|null, modified: number|null }) => Promise<{ write:
 *   (bytes: Uint8Array) => Promise<void>, close: () => Promise<void> }|null>} accept
 *   the place for a file; null ends the transfer, since YMODEM cannot skip one
 * @param {{ stream?: boolean, onProgress?: (received: number) => void }} [options] stream: YMODEM-g
 */
export async function receiveYmodem(wire, accept, { stream = false, onProgress } = {}) {
  const mode = stream ? "stream" : "crc";
  const want = stream ? WANT_STREAM : WANT_CRC;
  for (;;) {
    let head = await firstBlock(
      wire,
      () => want,
      () => mode,
    );
    // The sender did not hear that its last file was accepted: it says once more that the file is
    // over.
    while (head.kind === "end") {
      await wire.write(Uint8Array.of(ACK));
      head = await firstBlock(
        wire,
        () => want,
        () => mode,
      );
    }
    if (head.kind === "bad")
      throw new TransferEnded(
        "the block with the file's name was damaged, and YMODEM-g cannot ask for it again",
      );
    if (head.number !== 0)
      throw new TransferEnded("the sender gives no file name: it speaks XMODEM, not YMODEM");
    if (head.data[0] === 0) {
      await wire.write(Uint8Array.of(ACK));
      return;
    }
    const file = parseDescription(head.data);
    const sink = await accept(file);
    if (!sink) throw new TransferEnded(`${file.name.slice(0, 80)} was not accepted`, "user");
    if (!stream) await wire.write(Uint8Array.of(ACK));
    let left = file.size ?? Number.POSITIVE_INFINITY;
    let received = 0;
    const first = await firstBlock(
      wire,
      () => want,
      () => mode,
    );
    await receiveBody(wire, first, mode, async (data) => {
      const real = data.subarray(0, Math.min(data.length, left));
      left -= real.length;
      received += real.length;
      if (real.length) await sink.write(real);
      onProgress?.(received);
    });
    if (left > 0 && left !== Number.POSITIVE_INFINITY)
      throw new TransferEnded(`${left} bytes of the file are missing`);
    await sink.close();
  }
}
