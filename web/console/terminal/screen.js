// The terminal itself: xterm, guarded, with its size, its settings, and its own lines for what does
// not come from the device.

import "@xterm/xterm/css/xterm.css";
import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { Terminal } from "@xterm/xterm";

import { h } from "../dom.js";
import { theme } from "../theme.js";
import { undoing } from "../store.js";
import { forScreen } from "./encoding.js";
import { gutter } from "./gutter.js";
import { guard } from "./guard.js";
import { askLink } from "./links.js";
import { FONT, colours } from "./look.js";
import { writing } from "./writing.js";

export const FONT_SIZES = [10, 11, 12, 13, 14, 15, 16, 18, 20, 24];
export const SCROLLBACKS = [1000, 5000, 20000];

/** The settings of a terminal, with their defaults. */
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
 * answer may be sent to the device now.
 */
export function screen({ settings, label, answering }) {
  const undo = undoing();
  const get = (key) => settings.get(`terminal.${key}`, DEFAULTS[key]);
  const terminal = new Terminal(options(get));
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
  const written = writing({ terminal, lines, decode: (bytes) => decode(bytes) });

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
    ...written,
    get,
    set: (key, value) => settings.set(`terminal.${key}`, value),
    /** Clears the screen and the scrollback; the line with the cursor stays. */
    clear() {
      terminal.clear();
      lines.cleared();
    },
    text: () => textOf(terminal.buffer.active),
    dispose() {
      undo.undo();
      lines.dispose();
      terminal.dispose();
    },
  };
}

/** What the terminal begins with. @returns {import("@xterm/xterm").ITerminalOptions} */
const options = (get) => ({
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

/** The contents of a buffer, scrollback included, as text. */
function textOf(active) {
  const rows = [];
  for (let row = 0; row < active.length; row += 1) {
    const line = active.getLine(row);
    const text = line.translateToString(true);
    if (line.isWrapped && rows.length) rows[rows.length - 1] += text;
    else rows.push(text);
  }
  return `${rows.join("\n").trimEnd()}\n`;
}
