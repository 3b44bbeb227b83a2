// The terminal itself: xterm, guarded, with its size, its settings and its own lines for what is
// not the device's.

import "@xterm/xterm/css/xterm.css";
import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { Terminal } from "@xterm/xterm";

import { h } from "../dom.js";
import { clock } from "../format.js";
import { theme } from "../theme.js";
import { undoing } from "../store.js";
import { forScreen } from "./encoding.js";
import { gutter } from "./gutter.js";
import { guard } from "./guard.js";
import { askLink } from "./links.js";
import { FONT, colours } from "./look.js";
import { ROOM, markSequence } from "./mark.js";

/** Colours (SGR) of the console's own lines. */
const COLOURS = { note: 90, warn: 33, bad: 31, good: 32 };

/** Longest piece written at once, so that the gutter keeps up with the lines it makes. */
const PIECE = 4096;

export const FONT_SIZES = [10, 11, 12, 13, 14, 15, 16, 18, 20, 24];
export const SCROLLBACKS = [1000, 5000, 20000];

/** The settings of a terminal and what they are at first. */
export const DEFAULTS = {
  encoding: "utf-8",
  fontSize: 14,
  scrollback: 5000,
  times: false,
  screenReader: false,
  addCr: false,
  answers: false,
  optionMeta: false,
};

/**
 * A terminal in `element`. `settings` are the endpoint's (prefs.js); `answering()` says whether an
 * answer to the device may be sent now.
 */
export function screen({ settings, label, answering }) {
  const undo = undoing();
  const get = (key) => settings.get(`terminal.${key}`, DEFAULTS[key]);
  const terminal = new Terminal({
    allowProposedApi: true, // decorations: the marks of the search
    convertEol: get("addCr"),
    cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    cursorInactiveStyle: "outline",
    fontFamily: FONT,
    fontSize: get("fontSize"),
    linkHandler: { activate: (_, address) => askLink(address), allowNonHttpProtocols: false },
    logLevel: "off",
    macOptionIsMeta: get("optionMeta"),
    minimumContrastRatio: 4.5,
    screenReaderMode: get("screenReader"),
    scrollback: get("scrollback"),
    smoothScrollDuration: 0,
    theme: colours(theme.value),
  });
  const fit = new FitAddon();
  const search = new SearchAddon({ highlightLimit: 500 });
  terminal.loadAddon(fit);
  terminal.loadAddon(search);
  terminal.loadAddon(new WebLinksAddon((_, address) => askLink(address)));
  guard(terminal, () => get("answers") && answering());

  const host = h("div", { class: "terminal-host" });
  const lines = gutter(terminal);
  const element = h("div", { class: "terminal" }, lines.element, host);
  let decode = forScreen(get("encoding"));

  function open() {
    terminal.open(host);
    terminal.textarea.setAttribute("aria-label", label);
    terminal.textarea.setAttribute("autocomplete", "off");
    terminal.textarea.setAttribute("enterkeyhint", "send");
    const watch = new ResizeObserver(() => requestAnimationFrame(refit));
    watch.observe(element);
    undo.add(() => watch.disconnect());
    refit();
  }

  function refit() {
    if (!element.isConnected || element.clientWidth < 40 || element.clientHeight < 20) return;
    const size = fit.proposeDimensions();
    if (
      !size ||
      !Number.isFinite(size.cols) ||
      (size.cols === terminal.cols && size.rows === terminal.rows)
    )
      return;
    lines.reflow(() => terminal.resize(Math.max(2, size.cols), Math.max(1, size.rows)));
  }

  // A line of our own needs to know where the cursor is, so what comes after it waits until it is
  // there.
  const waiting = [];
  let barrier = false;
  const inOrder = (step) => (barrier ? waiting.push(step) : step());

  /**
   * Shows the device's bytes; `done` is called when they are on the screen, which is what
   * back-pressure counts by.
   */
  function write(
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
  }

  /** Runs `step` when all that was written so far is on the screen. */
  function afterWrite(step) {
    inOrder(() => terminal.write("", step));
  }

  /** Local echo: text of the user, not of the device. */
  function echo(text) {
    inOrder(() => terminal.write(text, () => lines.wrote(Date.now(), false)));
  }

  /**
   * A line of the console's own: where a gap is, that the device went. It begins a line, and ends
   * what the device had begun.
   */
  function print(text, kind = "note") {
    inOrder(() => {
      barrier = true;
      // CAN ends a control sequence that the device did not finish.
      terminal.write("\x18", () => {
        const { type, cursorX } = terminal.buffer.active;
        const line = `${cursorX === 0 ? "" : "\r\n"}\x1b[0;${COLOURS[kind] ?? COLOURS.note}m── ${text.replace(/\p{Cc}/gu, " ")} ──\x1b[0m\r\n`;
        // A program that has the whole screen is not disturbed; what happened stands in the
        // notices, too.
        if (type === "normal") terminal.write(line, () => lines.wrote(undefined, false));
        barrier = false;
        while (!barrier && waiting.length) waiting.shift()();
      });
    });
  }

  /**
   * Parts what came before from what comes now, unless a program has the whole screen: then its
   * picture is all there is.
   */
  function markLive(ms) {
    inOrder(() => {
      barrier = true;
      const go = () => {
        barrier = false;
        while (!barrier && waiting.length) waiting.shift()();
      };
      terminal.write("", () => {
        const { active } = terminal.buffer;
        const { cursorX: column, cursorY, baseY } = active;
        if (active.type !== "normal" || column >= terminal.cols) return go();
        let rows = 1;
        while (rows <= cursorY && active.getLine(baseY + cursorY - rows + 1)?.isWrapped) rows += 1;
        const sequence = markSequence({ clock: clock(ms), column, rows, columns: terminal.cols });
        const above = column > 0 || rows > 1;
        terminal.write(above ? ROOM : "", () => {
          if (above) lines.align();
          terminal.write(sequence, () =>
            above ? lines.inserted(rows) : lines.wrote(undefined, false),
          );
          go();
        });
      });
    });
  }

  const applied = {
    addCr: (value) => (terminal.options.convertEol = value),
    encoding: (value) => (decode = forScreen(value)),
    fontSize: (value) => ((terminal.options.fontSize = value), refit()),
    optionMeta: (value) => (terminal.options.macOptionIsMeta = value),
    screenReader: (value) => (terminal.options.screenReaderMode = value),
    scrollback: (value) => (terminal.options.scrollback = value),
    times: (value) => (lines.show(value), refit()),
  };
  for (const [key, apply] of Object.entries(applied))
    undo.add(settings.on(`terminal.${key}`, (value) => apply(value ?? DEFAULTS[key])));
  undo.add(theme.on((value) => (terminal.options.theme = colours(value))));
  lines.show(get("times"));

  return {
    element,
    terminal,
    search,
    open,
    refit,
    write,
    afterWrite,
    print,
    echo,
    get,
    set: (key, value) => settings.set(`terminal.${key}`, value),
    markLive,
    /** Empties the screen and what was scrolled away; the line with the cursor stays. */
    clear() {
      terminal.clear();
      lines.cleared();
    },
    /** What it shows, with what was scrolled away, as text. */
    text() {
      const { active } = terminal.buffer;
      const rows = [];
      for (let row = 0; row < active.length; row += 1) {
        const line = active.getLine(row);
        const text = line.translateToString(true);
        if (line.isWrapped && rows.length) rows[rows.length - 1] += text;
        else rows.push(text);
      }
      return `${rows.join("\n").trimEnd()}\n`;
    },
    dispose() {
      undo.undo();
      lines.dispose();
      terminal.dispose();
    },
  };
}
