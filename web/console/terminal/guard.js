// What a device may not do with the terminal that shows it: its bytes come from a stranger.
//
// No clipboard (OSC 52), no window title (OSC 0, 1, 2), no colours of the page's own (OSC 4, 10 to
// 19, 104, 110 to 119), no window operations (CSI t). And no answers: sequences that make a
// terminal write back (device attributes, status and mode reports, mouse and focus reports) turn a
// device's bytes into input for the same device, or for whatever is connected next. They are off
// unless the user switches `answers` on for this endpoint; then only answers of a fixed form are
// given, and only to a writer. Answers that quote the device's own bytes (DECRQSS, titles, colours)
// are never given.

const SWALLOWED_OSC = [
  0, 1, 2, 4, 5, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 22, 50, 52, 104, 105, 110, 111, 112,
  113, 114, 115, 116, 117, 118, 119, 777, 1337,
];

/**
 * Private modes that make the terminal send by itself: mouse, focus, colour-scheme and resize
 * reports, Win32 input.
 */
const REPORTING_MODES = new Set([
  9, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1015, 1016, 2031, 2048, 9001,
]);

/**
 * Puts the guard in front of xterm's own handlers. `answers()` says whether the user now allows
 * answers of a fixed form.
 */
export function guard(terminal, answers) {
  const { parser } = terminal;
  const never = () => true;
  for (const code of SWALLOWED_OSC) parser.registerOscHandler(code, never);
  parser.registerDcsHandler({ intermediates: "$", final: "q" }, never); // DECRQSS
  parser.registerDcsHandler({ intermediates: "+", final: "q" }, never); // XTGETTCAP
  parser.registerCsiHandler({ final: "t" }, never); // window operations
  parser.registerCsiHandler({ intermediates: "$", final: "p" }, never); // DECRQM
  parser.registerCsiHandler({ prefix: "?", intermediates: "$", final: "p" }, never);
  parser.registerCsiHandler({ prefix: ">", final: "q" }, never); // XTVERSION
  parser.registerCsiHandler({ prefix: "=", final: "c" }, never); // DA3
  for (const prefix of ["?", ">", "<", "="])
    parser.registerCsiHandler({ prefix, final: "u" }, never); // kitty keyboard
  parser.registerCsiHandler({ prefix: ">", final: "m" }, never); // modifyOtherKeys
  parser.registerCsiHandler({ final: "x" }, never); // DECREQTPARM

  // Answers of a fixed form: device attributes, status, cursor position. A handler that returns
  // false leaves it to xterm.
  const unless = () => !answers();
  parser.registerCsiHandler({ final: "c" }, unless);
  parser.registerCsiHandler({ prefix: ">", final: "c" }, unless);
  parser.registerCsiHandler({ final: "n" }, unless);
  parser.registerCsiHandler({ prefix: "?", final: "n" }, unless);
  parser.registerCsiHandler({ prefix: "?", final: "h" }, (modes) => {
    if (answers()) return false;
    // A list with one of these in it is refused as a whole: programs set them with sequences of
    // their own.
    return modes.flat().some((mode) => REPORTING_MODES.has(mode));
  });
}
