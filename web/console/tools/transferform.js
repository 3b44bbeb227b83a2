// The form of the transfer panel: which protocol, how plain text is paced, and the two buttons.

import { h } from "../dom.js";
import { parseText } from "./escapes.js";
import { button, check, input, select, whyNot } from "./fields.js";
import { RECEIVE, SEND } from "./protocols.js";

const choices = (list) => Object.entries(list).map(([id, { label }]) => [id, label]);

/**
 * { element, pace(), trim(), dispose() }. `send(protocol)` and `receive(protocol)` are what its
 * buttons do.
 */
export function transferForm(ctx, { send, receive }) {
  const { settings } = ctx;
  const pacing = pacingFields(settings);
  const sending = select("Send", choices(SEND), {
    settings,
    key: "transfer.send",
    onchange: adapt,
  });
  const sendButton = button("", () => send(sending.control.value), { class: "primary" });
  const receiving = select("Receive", choices(RECEIVE), {
    settings,
    key: "transfer.receive",
    onchange: adapt,
  });
  const trim = check("Take the filling (0x1A) off the end", { settings, key: "transfer.trim" });
  const receiveButton = button("Receive", () => receive(receiving.control.value), {
    class: "primary",
  });
  const section = (label, ...children) =>
    h("section", { class: "section", "aria-label": label }, children);
  const element = h(
    "div",
    { class: "tool-transfer-forms" },
    section("Send files", sending.element, pacing.element, sendButton),
    section("Receive files", receiving.element, trim.element, receiveButton),
    h(
      "p",
      { class: "note" },
      "Start the other side's program first (sz, sb or sx gives a file; rz, rb or rx takes one). While a transfer runs the terminal waits.",
    ),
  );

  function adapt() {
    pacing.element.hidden = sending.control.value !== "raw";
    sendButton.textContent = SEND[sending.control.value].many
      ? "Choose files and send…"
      : "Choose a file and send…";
    trim.element.hidden = !RECEIVE[receiving.control.value].unnamed;
  }

  const off = ctx.onState(() => {
    const reason = whyNot(ctx);
    for (const one of [sendButton, receiveButton]) {
      one.disabled = reason !== "";
      one.title = reason;
    }
  });
  adapt();
  return { element, pace: pacing.read, trim: () => trim.control.checked, dispose: off };
}

/** How fast a text is sent without a protocol. */
function pacingFields(settings) {
  const rate = input(
    "Bytes per second",
    { type: "number", min: 1, placeholder: "no limit", class: "tool-number" },
    { settings, key: "transfer.rate" },
  );
  const line = input(
    "Pause after each line, ms",
    { type: "number", min: 0, class: "tool-number" },
    { settings, key: "transfer.line" },
  );
  const prompt = input(
    "Wait after each line for",
    { placeholder: "such as #" },
    { settings, key: "transfer.prompt" },
  );
  return {
    element: h("div", { class: "tool-pacing" }, rate.element, line.element, prompt.element),
    /** Throws an error if the prompt is wrong. */
    read: () => ({
      rate: Number(rate.control.value) || 0,
      line: Number(line.control.value) || 0,
      prompt: parseText(prompt.control.value),
    }),
  };
}
