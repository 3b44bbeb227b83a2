// The send box: text with escapes or hex digits, once or again and again, with a history.

import { h } from "../dom.js";
import { withModbusCrc } from "./crc.js";
import { concat, parseHex, parseText } from "./escapes.js";
import { button, check, input, select, status, whyNot } from "./fields.js";
import { History } from "./history.js";
import { ENDINGS, pause } from "./macros.js";

/** Sending again: not faster than this. */
const SHORTEST = 10;

export function sendBox(ctx) {
  const { settings } = ctx;
  const history = new History(settings.get("send.history", []), (entries) => settings.set("send.history", entries));
  let again = null;

  const tell = status();
  const text = input("Send", { class: "tool-send-text", enterkeyhint: "send" });
  const mode = select("as", [["text", "text"], ["hex", "hex"]], { settings, key: "send.mode", onchange: adapt });
  const ending = select("ending", [["pane", "as Enter"], ["none", "none"], ["cr", "CR"], ["lf", "LF"], ["crlf", "CR LF"]], { settings, key: "send.ending" });
  const crc = check("append CRC-16/Modbus", { settings, key: "send.crc" });
  const every = input("every", { type: "number", min: SHORTEST, step: 10, class: "tool-number" }, { settings, key: "send.every", otherwise: "1000" });
  const send = button("Send", () => once(), { class: "primary" });
  const repeat = button("Repeat", () => (again ? stop() : start()), { "aria-pressed": "false" });
  const element = h("form", { class: "tool-send", "aria-label": "Send box" },
    h("div", { class: "tool-row" }, text.element, send),
    h("div", { class: "tool-row" }, mode.element, ending.element, crc.element, every.element, h("span", {}, "ms"), repeat, tell.element));

  element.addEventListener("submit", (event) => {
    event.preventDefault();
    once();
  });
  text.control.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      once();
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      const entry = history.step(event.key === "ArrowUp" ? -1 : 1, text.control.value);
      if (entry === null) return;
      event.preventDefault();
      text.control.value = entry;
    }
  });

  function adapt() {
    const hex = mode.control.value === "hex";
    ending.element.hidden = hex;
    crc.element.hidden = !hex;
    text.control.placeholder = hex ? "01 03 00 00 00 0A" : "text, \\r \\n \\e \\x1B";
  }

  function bytes() {
    if (mode.control.value === "hex") {
      const digits = parseHex(text.control.value);
      return crc.control.checked && digits.length > 0 ? withModbusCrc(digits) : digits;
    }
    const end = ending.control.value === "pane" ? ctx.newline() : ENDINGS[ending.control.value];
    return concat([typed(text.control.value), new TextEncoder().encode(end)]);
  }

  // Text goes in the encoding of the pane; what escapes stand for goes as it is.
  function typed(value) {
    return value.includes("\\") ? parseText(value) : ctx.encode(value);
  }

  async function once() {
    const reason = whyNot(ctx);
    if (reason) return tell.say(reason, true);
    try {
      const content = bytes();
      if (content.length === 0) return tell.say("Nothing to send.");
      await ctx.write(content);
      history.add(text.control.value);
      tell.say(`${content.length} ${content.length === 1 ? "byte" : "bytes"} sent.`);
      text.control.select();
    } catch (error) {
      tell.say(error.message, true);
    }
  }

  async function start() {
    const ms = Number(every.control.value);
    if (!(ms >= SHORTEST)) return tell.say(`The interval is ${SHORTEST} ms or more.`, true);
    let content;
    try {
      content = bytes();
    } catch (error) {
      return tell.say(error.message, true);
    }
    if (content.length === 0) return tell.say("Nothing to send.");
    history.add(text.control.value);
    again = new AbortController();
    const { signal } = again;
    repeat.setAttribute("aria-pressed", "true");
    tell.say("Sending again and again.");
    let count = 0;
    let ended = "";
    for (let next = performance.now(); !signal.aborted; next = Math.max(next + ms, performance.now())) {
      await pause(next - performance.now(), signal);
      if (signal.aborted) break;
      ended = whyNot(ctx);
      if (ended) break;
      try {
        await ctx.write(content);
        count += 1;
      } catch (error) {
        ended = error.message;
        break;
      }
    }
    if (again?.signal === signal) again = null;
    repeat.setAttribute("aria-pressed", "false");
    tell.say(`Sent ${count} times. ${ended}`, ended !== "");
  }

  function stop() {
    again?.abort();
    again = null;
  }

  const off = ctx.onState(() => {
    const reason = whyNot(ctx);
    send.disabled = reason !== "";
    repeat.disabled = reason !== "" && !again;
    if (reason) tell.say(reason, true);
    else if (tell.element.classList.contains("bad")) tell.say("");
  });
  adapt();
  return {
    element,
    label: "Send box",
    shown(value) {
      if (value) text.control.focus();
    },
    dispose() {
      off();
      stop();
    },
  };
}
