// One file transfer on a pane's line: takes the line over, ends when told or when the line goes,
// and gives it back clean.

import { concat } from "./escapes.js";
import { TransferEnded, Wire } from "./wire.js";

/**
 * What X-, Y- and ZMODEM treat as an end, and the backspaces that remove it from a screen if nobody
 * was listening.
 */
export const CANCEL = Uint8Array.of(...Array(8).fill(0x18), ...Array(8).fill(0x08));
const SILENCE_MS = 400;
const SWALLOW_MS = 8_000;
const TAIL = 512;

/**
 * Runs `work(wire)` on the line.
 * @param {any} ctx the pane's context
 * @param {(wire: Wire) => Promise<void>} work
 * @param {{ raw?: boolean }} [options] raw: no protocol, so the terminal shows what comes and
 *   nothing is cancelled on the other side
 * @returns {{ done: Promise<void>, cancel: () => void }} done rejects with TransferEnded
 */
export function transfer(ctx, work, { raw = false } = {}) {
  const baud = ctx.state().config?.baud ?? 0;
  const wire = new Wire((bytes) => ctx.write(bytes), {
    rate: baud / 10,
    discard: () => discard(ctx),
  });
  const late = { bytes: [], length: 0, ms: 0 };
  let over = false;
  const take = ({ bytes, replay }) => {
    if (replay) return;
    if (over) swallow(late, bytes);
    else wire.push(bytes.slice());
  };
  const release = raw ? ctx.onBytes(take) : ctx.claim(take);
  const line = ctx.line;
  const off = endsWithLine(ctx, wire);
  return { done: run(), cancel: () => wire.end(new TransferEnded("cancelled", "user")) };

  async function run() {
    try {
      await work(wire);
      // Nobody on the other side says that it has arrived, so this is not over before it is on the
      // wire.
      if (raw)
        await wire.sent(
          line?.drain?.().catch((error) => {
            if (error.code !== "unsupported") throw error; // this line can only say that it was passed on
          }),
        );
      over = true;
      give(raw ? null : afterHeader(wire.takeAll()));
    } catch (error) {
      over = true;
      const ended =
        error instanceof TransferEnded
          ? error
          : new TransferEnded(error.message || String(error), "line");
      wire.end(ended);
      if (raw && ended.by === "user") await discard(ctx);
      else if (!raw) await clean(ended);
      give(raw ? null : tail(concat(late.bytes)));
      throw ended;
    }
  }

  /** Tells the other side, and waits until it falls silent. */
  async function clean(ended) {
    if (ctx.mayWrite()) {
      await discard(ctx);
      if (ended.by !== "remote") await ctx.write(CANCEL).catch(() => {});
    }
    late.ms = performance.now();
    const until = late.ms + SWALLOW_MS;
    for (
      let wait = SILENCE_MS;
      wait > 0 && performance.now() < until;
      wait = late.ms + SILENCE_MS - performance.now()
    ) {
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  function give(unread) {
    off();
    release(unread ?? undefined);
  }
}

/** Ends `wire` when the line goes, or the right to it. Returns a function that ends the watch. */
function endsWithLine(ctx, wire) {
  const end = (why) => wire.end(new TransferEnded(why, "line"));
  const session = () => ctx.line?.opened?.session;
  const mine = session();
  const { line } = ctx;
  const undelivered = ({ detail }) => end(detail.message);
  line?.addEventListener?.("error", undelivered);
  const off = ctx.onState(({ phase, device, role }) => {
    wire.stopClock(phase !== "up");
    if (phase === "closed") end("the connection was closed");
    if (phase !== "up") return;
    if (device === "down") end("the device is gone");
    else if (role === "observer") end("somebody else took over the line");
    else if (mine !== undefined && session() !== undefined && session() !== mine)
      end(
        "the connection was lost for so long that the gateway gave up this session: bytes may be missing",
      );
  });
  return () => {
    off();
    line?.removeEventListener?.("error", undelivered);
  };
}

/** The line end after the last header is not output of the device. */
function afterHeader(bytes) {
  const from = bytes.findIndex((byte) => ![0x0d, 0x8d, 0x8a, 0x11].includes(byte));
  return from < 0 ? new Uint8Array(0) : bytes.subarray(from);
}

/** Discards what waits at the gateway to be sent; if the endpoint cannot do that, nothing changes. */
async function discard(ctx) {
  await ctx.line?.flush?.({ tx: true }).catch(() => {});
}

function swallow(late, bytes) {
  late.ms = performance.now();
  late.bytes.push(bytes.slice(-4 * TAIL));
  late.length += Math.min(bytes.length, 4 * TAIL);
  while (late.length > 16 * TAIL && late.bytes.length > 1) late.length -= late.bytes.shift().length;
}

/**
 * Which of the last bytes of an ended transfer are for the reader: the text after the last byte
 * that belongs to a protocol, such as the prompt of the shell that ran it.
 */
export function tail(bytes) {
  let from = bytes.length;
  while (from > 0 && bytes.length - from < TAIL && isText(bytes[from - 1])) from -= 1;
  const text = bytes.subarray(from);
  return text.some((byte) => byte > 0x20) ? text : new Uint8Array(0);
}

function isText(byte) {
  return (
    (byte >= 0x20 && byte < 0x7f) ||
    byte >= 0xa0 ||
    byte === 0x0a ||
    byte === 0x0d ||
    byte === 0x1b ||
    byte === 0x09
  );
}
