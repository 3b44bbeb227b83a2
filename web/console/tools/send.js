// The send box: text with escapes, or hex digits, sent once or repeatedly, with a history; it shows
// the bytes before they go.

import { openMenu } from "../dialog.js";
import { h, iconButton } from "../dom.js";
import { toAscii, toHex } from "./escapes.js";
import { button, status, whyNot } from "./fields.js";
import { History } from "./history.js";
import { repeat } from "./repeat.js";
import { kindOf, sendFields } from "./sendfields.js";

/** Bytes in the preview; beyond that their number is enough. */
const PREVIEWED = 32;

/** Entries of the history in its menu. */
const LISTED = 15;

export function sendBox(ctx) {
  const { settings } = ctx;
  const history = new History(settings.get("send.history", []), (entries) =>
    settings.set("send.history", entries),
  );
  const tell = status();
  const fields = sendFields(ctx, { adapt });
  const { text, mode, ending, crc, every } = fields;
  const preview = previewOf(fields);
  const send = button("Send", once, { class: "primary" });
  const earlier = sentBefore({ history, tell, put: (entry) => (put(entry), text.control.focus()) });
  const repeater = repeat({
    ctx,
    tell,
    content: fields.bytes,
    every: () => Number(every.control.value),
    began: () => history.add(text.control.value),
  });
  const options = [mode, ending, crc].map(({ element: one }) => one);
  const again = h("span", { class: "tool-group" }, every.element, "ms", repeater.button);
  const element = h(
    "form",
    { class: "tool-send", "aria-label": "Send box" },
    h("div", { class: "tool-row" }, text.element, earlier, send),
    preview.element,
    h("div", { class: "tool-row" }, options, again, tell.element),
  );
  element.addEventListener("submit", (event) => (event.preventDefault(), once()));
  for (const type of ["input", "change"]) element.addEventListener(type, preview.show);
  text.control.addEventListener("keydown", (event) => typed(event, { history, put, once }));

  function put(entry) {
    text.control.value = entry;
    preview.show();
  }

  function adapt() {
    fields.adapt();
    preview.show();
  }

  async function once() {
    const reason = whyNot(ctx);
    if (reason) return tell.say(reason, true);
    try {
      const content = fields.bytes();
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
    // In the kind of what is being looked at, unless something is being written in another.
    settings.on("view", (view) => {
      if (text.control.value !== "") return;
      mode.control.value = kindOf(view);
      adapt();
    }),
    settings.on("terminal.enter", () => (fields.nameEnding(), preview.show())),
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

/** Enter sends; up and down go through what was sent before. */
function typed(event, { history, put, once }) {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (event.key === "Enter" && !event.isComposing) {
    event.preventDefault();
    once();
  } else if (step) {
    const entry = history.step(step, event.target.value);
    if (entry === null) return;
    event.preventDefault();
    put(entry);
  }
}

/** The button for the menu of what was sent before, the newest first. */
function sentBefore({ history, tell, put }) {
  const earlier = iconButton("clock", "Sent before", {
    "aria-haspopup": "menu",
    "aria-expanded": "false",
    onclick() {
      const entries = history.entries.slice(-LISTED).reverse();
      if (entries.length === 0) return tell.say("Nothing was sent from here yet.");
      openMenu(
        earlier,
        "Sent before",
        entries.map((entry) => ({ label: entry, run: () => put(entry) })),
      );
    },
  });
  return earlier;
}

/** What would be sent now, or why nothing can be: { element, show() }. */
function previewOf({ text, mode, bytes }) {
  const element = h("output", {
    class: "tool-send-preview mono",
    "aria-label": "What will be sent",
  });
  return {
    element,
    show() {
      try {
        element.textContent = described(bytes(), mode.control.value);
        text.control.removeAttribute("aria-invalid");
      } catch (error) {
        element.textContent = error.message;
        text.control.setAttribute("aria-invalid", "true");
      }
    },
  };
}

/** `41 54 0D · 3 bytes`; for hex digits, also what they are as text. */
function described(content, mode) {
  if (content.length === 0) return "nothing to send";
  const some = content.subarray(0, PREVIEWED);
  const cut = content.length > PREVIEWED ? " …" : "";
  const count = `${content.length} ${content.length === 1 ? "byte" : "bytes"}`;
  return `${toHex(some)}${cut}${mode === "hex" ? ` · ${toAscii(some)}` : ""} · ${count}`;
}
