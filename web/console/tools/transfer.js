// The transfer panel: files to the device and from it, and the offer when the device starts ZMODEM.

import { h } from "../dom.js";
import { parseText } from "./escapes.js";
import { button, check, chooseFiles, input, select, status, whyNot } from "./fields.js";
import { freeName, readableSize, safeName } from "./filename.js";
import { RECEIVE_LIMIT, fileSource, keep } from "./keep.js";
import { watchForZmodem } from "./offer.js";
import { progress } from "./progress.js";
import { RECEIVE, SEND } from "./protocols.js";
import { transfer } from "./session.js";

const choices = (list) => Object.entries(list).map(([id, { label }]) => [id, label]);

export function transferPanel(ctx) {
  const { settings } = ctx;
  let running = null;

  const outcome = status();
  const shown = progress(ctx.announce, () => running?.cancel());
  const sending = select("Send", choices(SEND), {
    settings,
    key: "transfer.send",
    onchange: adapt,
  });
  const rate = input(
    "bytes per second",
    { type: "number", min: 1, placeholder: "as fast as it goes", class: "tool-number" },
    { settings, key: "transfer.rate" },
  );
  const line = input(
    "pause after each line, ms",
    { type: "number", min: 0, class: "tool-number" },
    { settings, key: "transfer.line" },
  );
  const prompt = input(
    "wait after each line for",
    { placeholder: "its prompt, such as # " },
    { settings, key: "transfer.prompt" },
  );
  const pacing = h("div", { class: "tool-pacing" }, rate.element, line.element, prompt.element);
  const sendButton = button("Choose files and send…", () => pickAndSend(sending.control.value), {
    class: "primary",
  });
  const receiving = select("Receive", choices(RECEIVE), {
    settings,
    key: "transfer.receive",
    onchange: adapt,
  });
  const trim = check("take the filling (0x1A) off the end", { settings, key: "transfer.trim" });
  const receiveButton = button("Receive", () => receive(receiving.control.value), {
    class: "primary",
  });
  const hint = h(
    "p",
    { class: "note" },
    "Start the other side's program first (sz, sb or sx gives a file; rz, rb or rx takes one). While a transfer runs the terminal waits.",
  );
  const form = h(
    "div",
    { class: "tool-transfer-forms" },
    h(
      "section",
      { class: "section", "aria-label": "Send files" },
      sending.element,
      pacing,
      sendButton,
    ),
    h(
      "section",
      { class: "section", "aria-label": "Receive files" },
      receiving.element,
      trim.element,
      receiveButton,
    ),
    hint,
  );
  const element = h("div", { class: "panel tool-transfer" }, shown.element, outcome.element, form);

  function adapt() {
    pacing.hidden = sending.control.value !== "raw";
    sendButton.textContent = SEND[sending.control.value].many
      ? "Choose files and send…"
      : "Choose a file and send…";
    trim.element.hidden = !RECEIVE[receiving.control.value].unnamed;
  }

  async function pickAndSend(protocol) {
    const files = await chooseFiles({ multiple: SEND[protocol].many ?? false });
    if (files.length > 0) await send(protocol, files);
  }

  function pace() {
    return {
      rate: Number(rate.control.value) || 0,
      line: Number(line.control.value) || 0,
      prompt: parseText(prompt.control.value),
    };
  }

  async function send(protocol, files) {
    const skipped = [];
    let options;
    try {
      options = { pace: pace() };
    } catch (error) {
      return outcome.say(`Prompt: ${error.message}`, true);
    }
    const list = files.map((file) => fileSource(file));
    await run(
      protocol === "raw",
      (wire) =>
        SEND[protocol].run(wire, list, {
          ...options,
          onFile: (index) =>
            shown.file(
              `${list[index].name}${list.length > 1 ? ` (${index + 1} of ${list.length})` : ""}`,
              list[index].size,
            ),
          onSkip: (index) => skipped.push(list[index].name),
          onProgress: (done) => shown.at(done),
        }),
      () => {
        const sent = list.filter(({ name }) => !skipped.includes(name));
        const words =
          sent.length === 0
            ? []
            : [
                `Sent: ${sent.map(({ name, size }) => `${name}, ${readableSize(size)}`).join("; ")}.`,
              ];
        if (skipped.length > 0) words.push(`Not wanted by the other side: ${skipped.join(", ")}.`);
        return words.join(" ");
      },
    );
  }

  async function receive(protocol) {
    const taken = new Set();
    const got = [];
    const skipped = [];
    const question = { all: false };
    const accept = async (file) => {
      const name = freeName(safeName(file.name), taken);
      if (file.size !== null && file.size > RECEIVE_LIMIT) {
        skipped.push(`${name}, ${readableSize(file.size)}, is too large`);
        return null;
      }
      if (!RECEIVE[protocol].unnamed && !(await wanted(ctx, name, file.size, question))) {
        skipped.push(name);
        return null;
      }
      shown.file(name, file.size);
      return keep(name, (saved, blob) => {
        got.push(`${saved}, ${readableSize(blob.size)}`);
        ctx.save(saved, blob);
      });
    };
    await run(
      false,
      (wire) =>
        RECEIVE[protocol].run(wire, accept, {
          trim: trim.control.checked,
          onProgress: (done) => shown.at(done),
        }),
      () => {
        const words = [got.length > 0 ? `Received: ${got.join("; ")}.` : "Nothing was received."];
        if (skipped.length > 0) words.push(`Left out: ${skipped.join(", ")}.`);
        return words.join(" ");
      },
    );
  }

  /** Runs one transfer; the panel shows nothing else meanwhile. */
  async function run(raw, work, summary) {
    if (running) return outcome.say("A transfer is running.", true);
    const reason = whyNot(ctx);
    if (reason) return outcome.say(reason, true);
    outcome.say("");
    shown.file("Waiting for the other side", null);
    try {
      running = transfer(ctx, work, { raw });
    } catch (error) {
      shown.end();
      return outcome.say(error.message, true);
    }
    form.hidden = true;
    shown.cancel.focus();
    try {
      await running.done;
      report(summary(), false);
    } catch (error) {
      report(
        error.by === "user" && error.message === "cancelled"
          ? "The transfer was cancelled."
          : `The transfer ended: ${error.message}.`,
        error.message !== "cancelled",
      );
    }
    running = null;
    shown.end();
    form.hidden = false;
  }

  function report(text, bad) {
    outcome.say(text, bad);
    ctx.terminal.print(text);
  }

  const offer = watchForZmodem(ctx, {
    busy: () => running !== null,
    receive: () => (ctx.reveal?.("transfer"), receive("zmodem")),
    send: () => (ctx.reveal?.("transfer"), pickAndSend("zmodem")),
  });
  const off = ctx.onState(() => {
    const reason = whyNot(ctx);
    for (const one of [sendButton, receiveButton]) {
      one.disabled = reason !== "";
      one.title = reason;
    }
  });
  adapt();
  return {
    element,
    label: "File transfer",
    dispose() {
      running?.cancel();
      offer();
      off();
    },
  };
}

/** Asks whether a file is wanted: nothing is taken unasked. */
async function wanted(ctx, name, size, question) {
  if (question.all) return true;
  const all = check("and all that follow in this transfer");
  const yes = await ctx.confirm({
    title: "Receive this file?",
    body: h(
      "div",
      {},
      h("p", { class: "tool-file-name" }, name),
      h("p", {}, size === null ? "Its size is not told." : readableSize(size)),
      all.element,
    ),
    ok: "Save it",
    cancel: "Leave it out",
  });
  question.all = yes && all.control.checked;
  return yes;
}
