// Writes to a terminal in order: the device's bytes, and the console's own lines in between.

import { clock } from "../format.js";
import { ROOM, markSequence } from "./mark.js";

/** Colours (SGR) of the console's own lines. */
const COLOURS = { note: 90, warn: 33, bad: 31, good: 32 };

/** The longest piece written in one go, so that the gutter keeps up with the lines. */
const PIECE = 4096;

/**
 * { write, afterWrite, echo, print, markLive } for a terminal. `lines` is its gutter,
 * `decode(bytes)` turns the device's bytes into what the terminal takes.
 */
export function writing({ terminal, lines, decode }) {
  const { inOrder, alone } = ordered();
  return {
    /**
     * Shows the device's bytes; `done` is called when they are on the screen, which is what
     * back-pressure counts.
     */
    write(
      bytes,
      { ms, replay = false } = /** @type {{ ms?: number, replay?: boolean }} */ ({}),
      done = undefined,
    ) {
      inOrder(() => {
        if (bytes.length === 0) done?.();
        for (let from = 0; from < bytes.length; from += PIECE) {
          const last = from + PIECE >= bytes.length;
          terminal.write(decode(bytes.subarray(from, from + PIECE)), () => {
            lines.wrote(ms, replay);
            if (last) done?.();
          });
        }
      });
    },

    /** Runs `step` when everything written so far is on the screen. */
    afterWrite: (step) => inOrder(() => terminal.write("", step)),

    /** Local echo: the user's text, not the device's. */
    echo: (text) => inOrder(() => terminal.write(text, () => lines.wrote(Date.now(), false))),

    /**
     * A line of the console's own: that there is a gap, or that the device went. It starts on a new
     * line, and ends whatever the device had begun.
     */
    print: (text, kind = "note") =>
      alone((go) => {
        // CAN ends a control sequence that the device did not finish.
        terminal.write("\x18", () => {
          const { type, cursorX } = terminal.buffer.active;
          const start = cursorX === 0 ? "" : "\r\n";
          const line = `${start}\x1b[0;${COLOURS[kind] ?? COLOURS.note}m── ${text.replace(/\p{Cc}/gu, " ")} ──\x1b[0m\r\n`;
          // A program that uses the whole screen is not disturbed; the notices report what
          // happened, too.
          if (type === "normal") terminal.write(line, () => lines.wrote(undefined, false));
          go();
        });
      }),

    /**
     * Separates what came before from what comes now, unless a program uses the whole screen: then
     * there is nothing but its picture.
     */
    markLive: (ms) =>
      alone((go) => terminal.write("", () => drawMark({ terminal, lines, ms, done: go }))),
  };
}

/**
 * A line of our own needs to know where the cursor is, so what comes after it waits until the line
 * is there: `inOrder(step)` runs a step in its turn, `alone(step)` holds all others until it calls
 * what it is given.
 */
function ordered() {
  const waiting = [];
  let barrier = false;
  const inOrder = (step) => (barrier ? waiting.push(step) : step());
  const alone = (step) =>
    inOrder(() => {
      barrier = true;
      step(() => {
        barrier = false;
        while (!barrier && waiting.length) waiting.shift()();
      });
    });
  return { inOrder, alone };
}

/** Draws the mark above the cursor's line, which may have several rows. */
function drawMark({ terminal, lines, ms, done }) {
  const { active } = terminal.buffer;
  const { cursorX: column, cursorY, baseY } = active;
  if (active.type !== "normal" || column >= terminal.cols) return done();
  let rows = 1;
  while (rows <= cursorY && active.getLine(baseY + cursorY - rows + 1)?.isWrapped) rows += 1;
  const sequence = markSequence({ clock: clock(ms), column, rows, columns: terminal.cols });
  const above = column > 0 || rows > 1;
  terminal.write(above ? ROOM : "", () => {
    if (above) lines.align();
    terminal.write(sequence, () => (above ? lines.inserted(rows) : lines.wrote(undefined, false)));
    done();
  });
}
