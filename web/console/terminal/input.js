// From keys to bytes: line ending on Enter, Backspace, the sticky Ctrl of the key row, local echo,
// and who may type at all.

/** Line endings that Enter may send. */
export const ENDINGS = [
  ["\r", "CR", "most consoles"],
  ["\n", "LF", "some sensors"],
  ["\r\n", "CR LF", "modems, Modbus ASCII, Windows"],
];

export const INPUT_DEFAULTS = { enter: "\r", backspace: "\x7f", echo: false };

/**
 * Takes what the user types into `terminal`. `send(text)` is called with what goes to the device,
 * `refused(text)` if this page may not write; `mayWrite()` says whether it may. Returns { type(text),
 * ctrl: { on(listener), toggle() }, dispose() }.
 */
export function typing({ terminal, settings, mayWrite, send, refused, echo }) {
  const get = (key) => settings.get(`terminal.${key}`, INPUT_DEFAULTS[key]);
  let ctrl = false;
  /** @type {(on: boolean) => void} */
  let heard = () => {};

  function setCtrl(value) {
    ctrl = value;
    heard(ctrl);
  }

  /** Handles one or more keys, as xterm reports them. */
  function type(data) {
    if (!mayWrite()) {
      refused(data);
      return;
    }
    let text = data;
    if (ctrl) {
      text = controlled(text);
      setCtrl(false);
    }
    if (text === "\r") text = get("enter");
    else if (text === "\x7f") text = get("backspace");
    if (get("echo")) echo(echoed(text));
    send(text);
  }

  const listening = [
    terminal.onData(type),
    // Mouse reports for old programs, if the user allows answers: bytes, not text.
    terminal.onBinary(
      (bytes) => mayWrite() && send(Uint8Array.from(bytes, (character) => character.charCodeAt(0))),
    ),
  ];

  return {
    type,
    ctrl: {
      toggle: () => setCtrl(!ctrl),
      on: (listener) => (heard = listener),
    },
    dispose: () => listening.forEach((one) => one.dispose()),
  };
}

/** The control character of a key: Ctrl-C for "c"; text without one stays. */
export function controlled(text) {
  if (text.length !== 1) return text;
  const code = text.toUpperCase().charCodeAt(0);
  if (code === 0x20 || code === 0x40) return "\0";
  if (code === 0x3f) return "\x7f";
  return code >= 0x41 && code <= 0x5f ? String.fromCharCode(code - 0x40) : text;
}

/** What a terminal shows of what was typed: text and line ends, no control sequences. */
function echoed(text) {
  if (text.startsWith("\x1b")) return "";
  return text
    .replace(/\r\n?|\n/g, "\r\n")
    .replace(/\x7f|\x08/g, "\b \b")
    .replace(/[^\P{Cc}\r\n\b\t]/gu, "");
}
