// The column beside the terminal: when each line came, by the gateway's clock, and which lines are
// earlier output.
//
// The device's text stays as it is: nothing is inserted into it, columns keep their numbers, copied
// text contains no times. Lines are numbered from the very first one; `base` is the number of the
// oldest that the terminal still has.

import { h, say } from "../dom.js";
import { fineClock } from "../format.js";

export function gutter(terminal) {
  const element = h("div", { class: "gutter", "aria-hidden": "true" });
  const times = lineTimes(terminal);
  let shown = false;
  let frame = 0;

  function draw() {
    if (!frame) frame = requestAnimationFrame(paint);
  }

  function paint() {
    frame = 0;
    const screen = terminal.element?.querySelector(".xterm-screen");
    if (!screen || !shown) return;
    paintRows(element, times.seen(), {
      height: screen.clientHeight,
      fontSize: terminal.options.fontSize,
    });
  }

  const drawing = (change) => (value, more) => (change(value, more), draw());
  const listening = [terminal.onRender(draw), terminal.onScroll(draw), terminal.onResize(draw)];
  return {
    element,
    wrote: drawing(times.wrote),
    reflow: drawing(times.reflow),
    align: times.align,
    inserted: drawing(times.inserted),
    cleared: drawing(times.cleared),
    show(value) {
      shown = value;
      element.hidden = !value;
      draw();
    },
    dispose() {
      cancelAnimationFrame(frame);
      for (const one of listening) one.dispose();
    },
  };
}

/** When each line of the normal buffer came. */
function lineTimes(terminal) {
  // Index as in the buffer: { ms, replay }.
  let lines = [];
  let anchor;
  const buffer = () => terminal.buffer.normal;
  const cursor = () => buffer().baseY + buffer().cursorY;

  /**
   * Drops from our list the lines that were trimmed since the last call. The anchor is where the
   * cursor was then.
   */
  function align() {
    if (!anchor) return;
    const gone = anchor.was - anchor.marker.line;
    if (anchor.marker.isDisposed || anchor.marker.line < 0) lines = [];
    else if (gone > 0) lines.splice(0, gone);
    anchor.was = anchor.marker.line;
  }

  function drop() {
    anchor?.marker.dispose();
    const marker =
      terminal.buffer.active.type === "normal" ? terminal.registerMarker(0) : undefined;
    anchor = marker && { marker, was: marker.line };
  }

  /**
   * The buffer's lines that begin a line of output, up to the cursor: those that continue another
   * are left out.
   */
  function firsts() {
    const list = [];
    for (let line = 0; line <= cursor(); line += 1)
      if (!buffer().getLine(line)?.isWrapped) list.push(line);
    return list;
  }

  return {
    align,
    /** A piece was written: the lines from the cursor's old place to its new one came at `ms`. */
    wrote(ms, replay) {
      if (terminal.buffer.active.type !== "normal") return;
      align();
      const from = anchor && !anchor.marker.isDisposed ? Math.max(0, anchor.marker.line) : 0;
      for (let line = from; line <= cursor(); line += 1) {
        // The line with the cursor has the time of its first byte.
        if (line === from && lines[line] !== undefined) continue;
        lines[line] = ms === undefined ? undefined : { ms, replay };
      }
      lines.length = Math.max(0, Math.min(lines.length, buffer().length));
      drop();
    },
    /**
     * Runs `resize`, which may rewrap lines, and gives each line its time again, counted from the
     * last one.
     */
    reflow(resize) {
      align();
      const before = firsts().map((line) => lines[line]);
      resize();
      const after = firsts();
      lines = [];
      for (let back = 1; back <= Math.min(before.length, after.length); back += 1)
        lines[after[after.length - back]] = before[before.length - back];
      drop();
    },
    /** A line of our own was put above the cursor's line, which has this many rows. */
    inserted(rows) {
      lines.splice(Math.max(0, cursor() - rows), 0, undefined);
      drop();
    },
    cleared() {
      const last = lines[lines.length - 1];
      lines = [];
      lines[cursor()] = last;
      drop();
    },
    /** For each visible row { text, replay }, or undefined if nothing is known. */
    seen() {
      const normal = terminal.buffer.active.type === "normal";
      const top = buffer().viewportY;
      return Array.from({ length: terminal.rows }, (_, row) => {
        const entry = normal ? lines[top + row] : undefined;
        return entry && { ...entry, text: top + row <= cursor() ? fineClock(entry.ms) : "" };
      });
    },
  };
}

/** Draws a row for each of `entries`: { text, replay }, or undefined if nothing is known. */
function paintRows(element, entries, { height, fontSize }) {
  element.style.setProperty("--row", `${height / entries.length}px`);
  element.style.fontSize = `${Math.max(9, fontSize - 3)}px`;
  while (element.children.length < entries.length) element.append(h("div", {}));
  while (element.children.length > entries.length) element.lastElementChild.remove();
  for (const [row, entry] of entries.entries()) {
    const cell = element.children[row];
    say(cell, entry?.text ?? "");
    cell.classList.toggle("earlier", entry?.replay === true);
  }
}
