// XMODEM by Ward Christensen, with CRC and 1K blocks by Chuck Forsberg: the blocks that YMODEM is
// made of, too, and one file in either direction.
//
// Formats and limits are those of "XMODEM/YMODEM Protocol Reference" (Forsberg, 1988).

import { crcXmodem } from "./crc.js";
import { TransferEnded } from "./wire.js";

export const SOH = 0x01;
export const STX = 0x02;
export const EOT = 0x04;
export const ACK = 0x06;
export const NAK = 0x15;
export const CAN = 0x18;
export const PAD = 0x1a;
export const WANT_CRC = 0x43;
export const WANT_STREAM = 0x47;

const TRIES = 10;
const START_MS = 60_000;
const ANSWER_MS = 15_000;
/** How long an answer may take: first a block has to get across the line. */
const patience = (wire) => Math.max(ANSWER_MS, wire.rate ? 4_000_000 / wire.rate : 0);
const BYTE_MS = 5_000;
const SILENCE_MS = 800;
// How often a receiver asks for CRC before it accepts the old checksum, and how often it asks at
// all.
const CRC_ASKS = 4;
const ASKS = 20;
const ASK_MS = 3_000;

/** One byte, or the end of the transfer if it is the second CAN in a row. */
export async function answer(wire, ms) {
  const byte = await wire.byte(ms);
  if (byte !== CAN) return byte;
  if ((await wire.byte(1_000)) === CAN)
    throw new TransferEnded("the other side cancelled", "remote");
  return -1;
}

/** Waits until the receiver asks for the first block. @returns {Promise<"sum"|"crc"|"stream">} */
export async function awaitStart(wire, ms = START_MS) {
  for (const until = Date.now() + ms; ;) {
    const byte = await answer(wire, ms);
    if (byte === WANT_CRC) return "crc";
    if (byte === NAK) return "sum";
    if (byte === WANT_STREAM) return "stream";
    if (byte < 0 && Date.now() >= until)
      throw new TransferEnded(
        "nobody asked for the file: is the receiver started on the other side?",
      );
  }
}

function check(data, mode) {
  if (mode === "sum") return [data.reduce((sum, byte) => (sum + byte) & 0xff, 0)];
  const crc = crcXmodem(data);
  return [crc >> 8, crc & 0xff];
}

/** A block as it is sent: `data` is padded to 128 or 1024 bytes with `pad`. */
export function block(number, data, mode, pad = PAD) {
  const size = data.length > 128 ? 1024 : 128;
  const filled = new Uint8Array(size).fill(pad);
  filled.set(data);
  return Uint8Array.of(
    size === 1024 ? STX : SOH,
    number & 0xff,
    ~number & 0xff,
    ...filled,
    ...check(filled, mode),
  );
}

/** Sends one block until it is acknowledged; in `stream` mode (YMODEM-g) nobody acknowledges. */
export async function sendBlock(wire, bytes, mode) {
  for (let tries = 0; tries < TRIES; tries += 1) {
    // What is here before the block is sent is not an answer to it: a second ACK mistaken for one
    // would lose a block.
    while (wire.pending) await answer(wire, 0);
    await wire.write(bytes);
    if (mode === "stream") return;
    let got;
    do got = await answer(wire, patience(wire));
    while (got >= 0 && got !== ACK && got !== NAK);
    if (got === ACK) return;
  }
  throw new TransferEnded(`the other side did not take a block in ${TRIES} tries`);
}

/** The data of a file as blocks from number 1 on, then the end of the file. */
export async function sendBody(wire, file, mode, { large = true, onProgress = undefined } = {}) {
  let number = 1;
  for (let at = 0; at < file.size; number += 1) {
    const left = file.size - at;
    // A last block of 1024 bytes that is nearly empty costs more than a few of 128.
    const data = await file.read(at, Math.min(left, large && left > 896 ? 1024 : 128));
    await sendBlock(wire, block(number, data, mode), mode);
    at += data.length;
    onProgress?.(at);
  }
  for (let tries = 0; tries < TRIES; tries += 1) {
    await wire.write(Uint8Array.of(EOT));
    let got;
    do got = await answer(wire, patience(wire));
    while (got >= 0 && got !== ACK && got !== NAK);
    if (got === ACK) return;
  }
  throw new TransferEnded("the other side did not confirm the end of the file");
}

/**
 * Sends one file.
 * @param {import("./wire.js").Wire} wire
 * @param {{ size: number, read: (at: number, length: number) => Promise<Uint8Array> }} file
 * @param {{ large?: boolean, onProgress?: (sent: number) => void, startMs?: number }} [options]
 *   large: blocks of 1024 bytes
 */
export async function sendXmodem(wire, file, { large = false, onProgress, startMs } = {}) {
  const mode = await awaitStart(wire, startMs);
  await sendBody(wire, file, mode === "stream" ? "crc" : mode, { large, onProgress });
}

/**
 * The result of one attempt to read a block. @typedef {{ kind: "data"|"end"|"bad"|"none", number?:
 * number, data?: Uint8Array }} Block
 */

/** Reads one block. @returns {Promise<Block>} */
export async function readBlock(wire, mode, ms) {
  let first;
  do first = await answer(wire, ms);
  while (first >= 0 && first !== SOH && first !== STX && first !== EOT);
  if (first < 0) return { kind: "none" };
  if (first === EOT) return { kind: "end" };
  const size = first === STX ? 1024 : 128;
  const body = new Uint8Array(2 + size + (mode === "sum" ? 1 : 2));
  for (let at = 0; at < body.length; at += 1) {
    const byte = await wire.byte(BYTE_MS);
    if (byte < 0) return { kind: "bad" };
    body[at] = byte;
  }
  const data = body.slice(2, 2 + size);
  const good =
    (body[0] ^ body[1]) === 0xff &&
    check(data, mode).every((byte, index) => byte === body[2 + size + index]);
  return good ? { kind: "data", number: body[0], data } : { kind: "bad" };
}

/**
 * Asks for a block until one comes. @param {(round: number) => number} ask the byte of this round
 * @param {(round: number) => string} mode how it is checked
 */
export async function firstBlock(wire, ask, mode) {
  for (let round = 0; round < ASKS; round += 1) {
    await wire.write(Uint8Array.of(ask(round)));
    const got = await readBlock(wire, mode(round), ASK_MS);
    if (got.kind === "data" || got.kind === "end") return got;
    if (got.kind === "bad" && mode(round) === "stream") return got;
    if (got.kind === "bad") await wire.silence(SILENCE_MS);
  }
  throw new TransferEnded("no file came: is the sender started on the other side?");
}

/**
 * The blocks from number 1 on until the end of the file; each is passed to `take`.
 * @param {Block} got the first block, which has been read already
 */
export async function receiveBody(wire, got, mode, take) {
  let expected = 1;
  let ended = false;
  for (let failures = 0; failures < TRIES;) {
    if (got.kind === "data" && got.number === (expected & 0xff)) {
      await take(got.data);
      expected += 1;
      failures = 0;
      if (mode !== "stream") await wire.write(Uint8Array.of(ACK));
    } else if (got.kind === "data" && got.number === ((expected - 1) & 0xff) && mode !== "stream") {
      failures += 1;
      await wire.write(Uint8Array.of(ACK));
    } else if (got.kind === "data") {
      throw new TransferEnded(
        `block ${expected & 0xff} was expected and ${got.number} came: blocks are lost`,
      );
    } else if (got.kind === "end") {
      // A single EOT may be a damaged byte: it is refused once, as Forsberg recommends.
      if (ended || mode === "stream") {
        await wire.write(Uint8Array.of(ACK));
        return;
      }
      ended = true;
      await wire.write(Uint8Array.of(NAK));
    } else {
      if (mode === "stream")
        throw new TransferEnded("a block was damaged, and YMODEM-g cannot ask for it again");
      failures += 1;
      if (got.kind === "bad") await wire.silence(SILENCE_MS);
      await wire.write(Uint8Array.of(NAK));
    }
    if (got.kind !== "end") ended = false;
    got = await readBlock(wire, mode, patience(wire));
  }
  throw new TransferEnded(`no good block came in ${TRIES} tries`);
}

/**
 * Receives one file. Its size is not transmitted, so the last block keeps its padding unless `trim`
 * is set.
 * @param {import("./wire.js").Wire} wire
 * @param {{ write: (bytes: Uint8Array) => Promise<void> }} sink
 * @param {{ mode?: "crc"|"sum", trim?: boolean, onProgress?: (received: number) => void }}
 *   [options]
 */
export async function receiveXmodem(wire, sink, { mode = "crc", trim = false, onProgress } = {}) {
  let used = mode;
  const choose = (round) => {
    used = mode === "crc" && round < CRC_ASKS ? "crc" : "sum";
    return used;
  };
  const first = await firstBlock(
    wire,
    (round) => (choose(round) === "crc" ? WANT_CRC : NAK),
    () => used,
  );
  let last = null;
  let received = 0;
  await receiveBody(wire, first, used, async (data) => {
    if (last) await sink.write(last);
    last = data;
    received += data.length;
    onProgress?.(received);
  });
  if (last && trim) {
    let end = last.length;
    while (end > 0 && last[end - 1] === PAD) end -= 1;
    last = last.subarray(0, end);
  }
  if (last) await sink.write(last);
}
