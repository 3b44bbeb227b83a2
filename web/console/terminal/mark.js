// The line that separates earlier output from live output: it is in the terminal, above the line
// that is not finished.

/** A control sequence, or a character of UTF-8, whose end has not arrived. */
const OPEN = /(?:\x1b(?:[ -/]*|\[[ -?]*|[\]P^_X][^\x07\x1b]*)|[\xc0-\xff][\x80-\xbf]{0,2})$/;
const WHOLE = /[\xc0-\xdf][\x80-\xbf]$|[\xe0-\xef][\x80-\xbf]{2}$/;

/**
 * Whether the device's output stops in the middle of something, so that nothing of ours may be
 * inserted. @param {Uint8Array} bytes
 */
export function isOpen(bytes) {
  const tail = String.fromCharCode(...bytes.subarray(-256));
  return OPEN.test(tail) && !WHOLE.test(tail);
}

/** Makes room below the cursor, so that the line pushed down stays on the screen. */
export const ROOM = "\n\x1b[A";

/**
 * The sequence that writes the mark on a line of its own, above the cursor's line if there is
 * something on that (in which case ROOM goes first). `rows` is how many rows the cursor's line has
 * up to the cursor, `column` is the cursor's place in its row, `columns` the width of the terminal.
 */
export function markSequence({ clock, column, rows, columns }) {
  const long = `── earlier output above · live since ${clock} ──`;
  const words = `\x1b[0;90m${long.length <= columns ? long : `── live since ${clock} ──`.slice(0, columns)}\x1b[0m`;
  if (column === 0 && rows === 1) return `${words}\r\n`;
  const [up, down] = rows > 1 ? [`\x1b[${rows - 1}A`, `\x1b[${rows - 1}B`] : ["", ""];
  return `${up}\r\x1b[L${words}\r\x1b[B${down}\x1b[${column + 1}G`;
}
