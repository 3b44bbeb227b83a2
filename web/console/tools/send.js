// The send box: text with escapes or hex digits, once or again and again, with a history; it shows
// the bytes before they go.

import { openMenu } from "../dialog.js";
import { h, iconButton } from "../dom.js";
import { withModbusCrc } from "./crc.js";
import { concat, parseHex, parseText, toAscii, toHex } from "./escapes.js";
import { button, check, input, select, status, whyNot } from "./fields.js";
import { History } from "./history.js";
import { ENDINGS, pause } from "./macros.js";

/** Sending again: not faster than this. */
const SHORTEST = 10;

/** Bytes of the preview; of more, how many there are is enough. */
const PREVIEWED = 32;

/** Entries of the history in its menu. */
const LISTED = 15;

const ENDING_NAMES = { "\r": "CR", "\n": "LF", "\r\n": "CR LF" };

export function sendBox(ctx) {
  const { settings } = ctx;
  const history = new History(settings.get("send.history", []), (entries) =>
    settings.set("send.history", entries),
  );
  const fields = sendFields(ctx, { adapt });
  const { text, mode, ending, crc, every } = fields;
  const tell = status();
  const preview = h("output", {
    class: "tool-send-preview mono",
    "aria-label": "What will be sent",
  });
  const send = button("Send", () => once(), { class: "primary" });
  const earlier = iconButton("clock", "Sent before", {
    "aria-haspopup": "menu",
    "aria-expanded": "false",
    onclick: showHistory,
  });
  const repeater = repeat({
    ctx,
    tell,
    content: () => bytes(),
    every: () => Number(every.control.value),
    began: () => history.add(text.control.value),
  });
  const element = h(
    "form",
    { class: "tool-send", "aria-label": "Send box" },
    h("div", { class: "tool-row" }, text.element, earlier, send),
    preview,
    h(
      "div",
      { class: "tool-row" },
      mode.element,
      ending.element,
      crc.element,
      every.element,
      h("span", {}, "ms"),
      repeater.button,
      tell.element,
    ),
  );

  element.addEventListener("submit", (event) => {
    event.preventDefault();
    once();
  });
  element.addEventListener("input", showPreview);
  element.addEventListener("change", showPreview);
  text.control.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      once();
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      const entry = history.step(event.key === "ArrowUp" ? -1 : 1, text.control.value);
      if (entry === null) return;
      event.preventDefault();
      put(entry);
    }
  });

  function put(entry) {
    text.control.value = entry;
    showPreview();
  }

  function showHistory() {
    const entries = history.entries.slice(-LISTED).reverse();
    if (entries.length === 0) return tell.say("Nothing was sent from here yet.");
    openMenu(
      earlier,
      "Sent before",
      entries.map((entry) => ({ label: entry, run: () => (put(entry), text.control.focus()) })),
    );
  }

  function adapt() {
    const hex = mode.control.value === "hex";
    ending.element.hidden = hex;
    crc.element.hidden = !hex;
    text.control.placeholder = hex ? "01 03 00 00 00 0A" : "text, \\r \\n \\e \\x1B";
    showPreview();
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

  function showPreview() {
    try {
      preview.textContent = described(bytes(), mode.control.value);
      text.control.removeAttribute("aria-invalid");
    } catch (error) {
      preview.textContent = error.message;
      text.control.setAttribute("aria-invalid", "true");
    }
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

  const offs = [
    ctx.onState(() => {
      const reason = whyNot(ctx);
      send.disabled = reason !== "";
      repeater.button.disabled = reason !== "" && !repeater.runs;
      if (reason) tell.say(reason, true);
      else if (tell.element.classList.contains("bad")) tell.say("");
    }),
    // In the kind of what is looked at, as long as nothing is being written in another.
    settings.on("view", (view) => {
      if (text.control.value !== "") return;
      mode.control.value = kindOf(view);
      adapt();
    }),
    settings.on("terminal.enter", () => (fields.nameEnding(), showPreview())),
  ];
  adapt();
  return {
    element,
    label: "Send box",
    shown(value) {
      if (value) text.control.focus();
    },
    dispose() {
      for (const off of offs) off();
      repeater.stop();
    },
  };
}

/** The send box's kind for a view of the line. */
const kindOf = (view) => (view === "hex" ? "hex" : "text");

function sendFields(ctx, { adapt }) {
  const { settings } = ctx;
  const ending = select(
    "line ending",
    [
      ["pane", ""],
      ["none", "none"],
      ["cr", "CR"],
      ["lf", "LF"],
      ["crlf", "CR LF"],
    ],
    { settings, key: "send.ending" },
  );
  const nameEnding = () =>
    (ending.control.options[0].textContent = `as Enter (${ENDING_NAMES[ctx.newline()] ?? "CR"})`);
  nameEnding();
  return {
    text: input("Send", { class: "tool-send-text", enterkeyhint: "send" }),
    mode: select(
      "as",
      [
        ["text", "text"],
        ["hex", "hex"],
      ],
      { otherwise: kindOf(settings.get("view", "terminal")), onchange: adapt },
    ),
    ending,
    nameEnding,
    crc: check("append CRC-16/Modbus", { settings, key: "send.crc" }),
    every: input(
      "every",
      { type: "number", min: SHORTEST, step: 10, class: "tool-number" },
      { settings, key: "send.every", otherwise: "1000" },
    ),
  };
}

/** `41 54 0D · 3 bytes`; of hex digits what they are as text, too. */
function described(content, mode) {
  if (content.length === 0) return "nothing to send";
  const some = content.subarray(0, PREVIEWED);
  const cut = content.length > PREVIEWED ? " …" : "";
  const count = `${content.length} ${content.length === 1 ? "byte" : "bytes"}`;
  return `${toHex(some)}${cut}${mode === "hex" ? ` · ${toAscii(some)}` : ""} · ${count}`;
}

/**
 * Sends `content()` again and again, until it is stopped or may no longer be: { button, runs,
 * stop() }.
 */
function repeat({ ctx, tell, content, every, began }) {
  let again = null;
  const toggle = button("Repeat", () => (again ? stop() : start()), { "aria-pressed": "false" });

  async function start() {
    const ms = every();
    if (!(ms >= SHORTEST)) return tell.say(`The interval is ${SHORTEST} ms or more.`, true);
    let bytes;
    try {
      bytes = content();
    } catch (error) {
      return tell.say(error.message, true);
    }
    if (bytes.length === 0) return tell.say("Nothing to send.");
    began();
    again = new AbortController();
    const { signal } = again;
    toggle.setAttribute("aria-pressed", "true");
    tell.say("Sending again and again.");
    const { count, ended } = await run(bytes, ms, signal);
    if (again?.signal === signal) again = null;
    toggle.setAttribute("aria-pressed", "false");
    tell.say(`Sent ${count} times. ${ended}`, ended !== "");
  }

  async function run(bytes, ms, signal) {
    let count = 0;
    for (
      let next = performance.now();
      !signal.aborted;
      next = Math.max(next + ms, performance.now())
    ) {
      await pause(next - performance.now(), signal);
      if (signal.aborted) break;
      const reason = whyNot(ctx);
      if (reason) return { count, ended: reason };
      try {
        await ctx.write(bytes);
        count += 1;
      } catch (error) {
        return { count, ended: error.message };
      }
    }
    return { count, ended: "" };
  }

  function stop() {
    again?.abort();
    again = null;
  }

  return {
    button: toggle,
    stop,
    get runs() {
      return again !== null;
    },
  };
}
