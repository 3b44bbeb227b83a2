// The controls of the send box: text or hex digits, what ends them, and the bytes they stand for.

import { withModbusCrc } from "./crc.js";
import { concat, parseHex, parseText } from "./escapes.js";
import { check, input, select } from "./fields.js";
import { ENDINGS } from "./macros.js";
import { SHORTEST } from "./repeat.js";

const ENDING_NAMES = { "\r": "CR", "\n": "LF", "\r\n": "CR LF" };

const MODES = [
  ["text", "text"],
  ["hex", "hex"],
];

const LINE_ENDS = [
  ["pane", ""], // what Enter sends in this pane, as its label says
  ["none", "none"],
  ["cr", "CR"],
  ["lf", "LF"],
  ["crlf", "CR LF"],
];

/** The send box's kind that suits a view of the line. */
export const kindOf = (view) => (view === "hex" ? "hex" : "text");

/**
 * What is sent and how: the controls, `bytes()` (which throws what is wrong with the text), and
 * `adapt()` to text or hex.
 */
export function sendFields(ctx, { adapt: changed }) {
  const { settings } = ctx;
  const view = settings.get("view", "terminal");
  const text = input("Send", { class: "tool-send-text", enterkeyhint: "send" });
  const mode = select("as", MODES, { otherwise: kindOf(view), onchange: changed });
  const ending = select("line ending", LINE_ENDS, { settings, key: "send.ending" });
  const crc = check("append CRC-16/Modbus", { settings, key: "send.crc" });
  const every = input(
    "every",
    { type: "number", min: SHORTEST, step: 10, class: "tool-number" },
    { settings, key: "send.every", otherwise: "1000" },
  );
  const nameEnding = () =>
    (ending.control.options[0].textContent = `as Enter (${ENDING_NAMES[ctx.newline()] ?? "CR"})`);
  nameEnding();

  function adapt() {
    const hex = mode.control.value === "hex";
    ending.element.hidden = hex;
    crc.element.hidden = !hex;
    text.control.placeholder = hex ? "01 03 00 00 00 0A" : "text, \\r \\n \\e \\x1B";
  }

  function bytes() {
    const { value } = text.control;
    if (mode.control.value === "hex") {
      const digits = parseHex(value);
      return crc.control.checked && digits.length > 0 ? withModbusCrc(digits) : digits;
    }
    const end = ending.control.value === "pane" ? ctx.newline() : ENDINGS[ending.control.value];
    // Text goes in the pane's encoding; what escapes stand for goes as it is.
    const content = value.includes("\\") ? parseText(value) : ctx.encode(value);
    return concat([content, new TextEncoder().encode(end)]);
  }

  return { text, mode, ending, crc, every, nameEnding, adapt, bytes };
}
