// The transfer panel: files to and from the device, and the offer when the device starts ZMODEM.

import { h } from "../dom.js";
import { check, chooseFiles, status, whyNot } from "./fields.js";
import { freeName, readableSize, safeName } from "./filename.js";
import { RECEIVE_LIMIT, fileSource, keep } from "./keep.js";
import { watchForZmodem } from "./offer.js";
import { progress } from "./progress.js";
import { RECEIVE, SEND } from "./protocols.js";
import { transfer } from "./session.js";
import { transferForm } from "./transferform.js";

export function transferPanel(ctx) {
  const outcome = status();
  const shown = progress(ctx.announce, () => runner.cancel());
  const form = transferForm(ctx, { send: pickAndSend, receive });
  const runner = transferRunner(ctx, { outcome, shown, form });
  const element = h(
    "div",
    { class: "panel tool-transfer" },
    shown.element,
    outcome.element,
    form.element,
  );

  async function pickAndSend(protocol) {
    const files = await chooseFiles({ multiple: SEND[protocol].many ?? false });
    if (files.length === 0) return;
    let pace;
    try {
      pace = form.pace();
    } catch (error) {
      return outcome.say(`Prompt: ${error.message}`, true);
    }
    await runner.run(sendJob({ protocol, files, pace, shown }));
  }

  async function receive(protocol) {
    await runner.run(receiveJob({ ctx, protocol, trim: form.trim(), shown }));
  }

  const offer = watchForZmodem(ctx, {
    busy: () => runner.busy,
    receive: () => (ctx.reveal?.("transfer"), receive("zmodem")),
    send: () => (ctx.reveal?.("transfer"), pickAndSend("zmodem")),
  });
  return {
    element,
    label: "File transfer",
    dispose() {
      runner.cancel();
      offer();
      form.dispose();
    },
  };
}

/**
 * Runs one transfer at a time; meanwhile the panel shows nothing else. A job is { raw, work(wire),
 * summary() }.
 */
function transferRunner(ctx, { outcome, shown, form }) {
  let running = null;

  async function run({ raw, work, summary }) {
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
    form.element.hidden = true;
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
    form.element.hidden = false;
  }

  function report(text, bad) {
    outcome.say(text, bad);
    ctx.terminal.print(text);
  }

  return {
    run,
    cancel: () => running?.cancel(),
    get busy() {
      return running !== null;
    },
  };
}

/** Files to the device. */
function sendJob({ protocol, files, pace, shown }) {
  const skipped = [];
  const list = files.map((file) => fileSource(file));
  const place = (index) => (list.length > 1 ? ` (${index + 1} of ${list.length})` : "");
  return {
    raw: protocol === "raw",
    work: (wire) =>
      SEND[protocol].run(wire, list, {
        pace,
        onFile: (index) => shown.file(`${list[index].name}${place(index)}`, list[index].size),
        onSkip: (index) => skipped.push(list[index].name),
        onProgress: (done) => shown.at(done),
      }),
    summary() {
      const sent = list
        .filter(({ name }) => !skipped.includes(name))
        .map(({ name, size }) => `${name}, ${readableSize(size)}`);
      const words = sent.length === 0 ? [] : [`Sent: ${sent.join("; ")}.`];
      if (skipped.length > 0) words.push(`Not wanted by the other side: ${skipped.join(", ")}.`);
      return words.join(" ");
    },
  };
}

/** Files from the device. */
function receiveJob({ ctx, protocol, trim, shown }) {
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
  return {
    raw: false,
    work: (wire) =>
      RECEIVE[protocol].run(wire, accept, { trim, onProgress: (done) => shown.at(done) }),
    summary() {
      const words = [got.length > 0 ? `Received: ${got.join("; ")}.` : "Nothing was received."];
      if (skipped.length > 0) words.push(`Left out: ${skipped.join(", ")}.`);
      return words.join(" ");
    },
  };
}

/** Asks whether a file is wanted: nothing is accepted unasked. */
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
