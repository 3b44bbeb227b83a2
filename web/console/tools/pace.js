// Sends a file as it is, no faster than the device can take it: at a byte rate, with a pause after
// each line, or waiting for its prompt.

import { TransferEnded } from "./wire.js";

/** How much is read from the file at a time: a file of any size costs no more memory than this. */
const SLICE = 64 << 10;
/** One write, unless the pace asks for less. */
const PIECE = 4096;
/** How many times a second the given rate is met. */
const TICKS = 20;

/**
 * How fast. `rate`: bytes a second. `line`: milliseconds after each line. `prompt`: bytes to wait
 * for after each line.
 * @typedef {{ rate?: number, line?: number, prompt?: Uint8Array, promptMs?: number }} Pace
 */

/**
 * Sends `file`. Ends early with TransferEnded when `wire` is ended.
 * @param {import("./wire.js").Wire} wire what arrives is only looked at for the prompt
 * @param {{ size: number, read: (at: number, length: number) => Promise<Uint8Array> }} file
 * @param {Pace} pace
 * @param {{ onProgress?: (sent: number) => void, pause?: (ms: number) => Promise<unknown> }}
 *   [options] pause: for tests
 */
export async function sendPaced(
  wire,
  file,
  pace,
  { onProgress, pause = (ms) => wire.pause(ms) } = {},
) {
  const started = performance.now();
  const byLine = pace.line > 0 || pace.prompt?.length > 0;
  const size = pace.rate > 0 ? Math.max(1, Math.min(PIECE, Math.floor(pace.rate / TICKS))) : PIECE;
  let sent = 0;
  let lineDone = false;
  while (sent < file.size) {
    const slice = await file.read(sent, Math.min(SLICE, file.size - sent));
    if (slice.length === 0)
      throw new TransferEnded("the file became shorter while it was read", "user");
    for (let at = 0; at < slice.length;) {
      if (lineDone) await afterLine(wire, pace, pause);
      let end = Math.min(slice.length, at + size);
      const newline = byLine ? slice.subarray(at, end).indexOf(0x0a) : -1;
      if (newline >= 0) end = at + newline + 1;
      lineDone = newline >= 0;
      wire.takeAll();
      await wire.write(slice.subarray(at, end));
      sent += end - at;
      at = end;
      onProgress?.(sent);
      if (pace.rate > 0) {
        const early = (sent / pace.rate) * 1000 - (performance.now() - started);
        if (early > 0) await pause(early);
      }
    }
  }
}

/**
 * @param {import("./wire.js").Wire} wire @param {Pace} pace @param {(ms: number) =>
 * Promise<unknown>} pause
 */
async function afterLine(wire, { line = 0, prompt, promptMs = 10_000 }, pause) {
  if (line > 0) await pause(line);
  if (!prompt?.length) return;
  const recent = [];
  for (;;) {
    const byte = await wire.byte(promptMs);
    if (byte < 0)
      throw new TransferEnded(`the prompt did not come within ${promptMs / 1000} s`, "remote");
    recent.push(byte);
    if (recent.length > prompt.length) recent.shift();
    if (recent.length === prompt.length && recent.every((one, index) => one === prompt[index]))
      return;
  }
}
