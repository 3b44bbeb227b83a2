// The log panel: the gateway's raw log, what this page has seen as text with times, and a recording
// from now on.

import { h } from "../dom.js";
import { button, select, status } from "./fields.js";
import { readableSize, safeName } from "./filename.js";
import { LogText, trafficText } from "./logtext.js";
import { startRecording } from "./recording.js";
import { seen } from "./seen.js";

/** What a recording can be of. */
const RECORDED = [
  ["text", "text with times, both directions"],
  ["hex", "hex with times, both directions"],
  ["raw", "the received bytes as they are"],
];

export function logPanel(ctx) {
  const { traffic, onAdd, leave } = seen(ctx);
  const outcome = status();
  const form = select(
    "Written as",
    [
      ["text", "text with times"],
      ["hex", "hex with times"],
    ],
    { settings: ctx.settings, key: "log.form" },
  );
  const fileName = (extension) =>
    safeName(
      `${ctx.name}-${new Date().toISOString().slice(0, 19).replace(/[-:]/g, "")}Z.${extension}`,
    );
  const recorder = recording(ctx, { onAdd, outcome, fileName });
  const element = h(
    "div",
    { class: "panel tool-log" },
    outcome.element,
    h(
      "section",
      { class: "section", "aria-label": "Log of the gateway" },
      h("p", { class: "note" }, "What the gateway kept of what the device sent, byte for byte."),
      button("Download the raw log", () => rawLog(ctx, { outcome, fileName })),
    ),
    h(
      "section",
      { class: "section", "aria-label": "Log of this page" },
      h(
        "p",
        { class: "note" },
        "What this page has seen, received and sent, as far as it keeps it (4 MB).",
      ),
      form.element,
      button("Download", pageLog),
      button("Download what the terminal shows", screenLog),
    ),
    h(
      "section",
      { class: "section", "aria-label": "Recording" },
      h("p", { class: "note" }, "From now on, until it is stopped."),
      recorder.elements,
    ),
  );

  function pageLog() {
    const options = { hex: form.control.value === "hex", decode: (bytes) => ctx.decode(bytes) };
    ctx.save(
      fileName("log"),
      new Blob(trafficText(traffic, ctx.name, options), { type: "text/plain" }),
    );
    outcome.say(
      traffic.dropped > 0
        ? `Downloaded; ${readableSize(traffic.dropped)} before it were no longer there.`
        : "Downloaded.",
    );
  }

  function screenLog() {
    ctx.save(fileName("txt"), new Blob([ctx.terminal.text()], { type: "text/plain" }));
    outcome.say("Downloaded.");
  }

  return {
    element,
    label: "Log",
    dispose() {
      recorder.stop();
      leave();
    },
  };
}

/** What the gateway kept of the endpoint. */
async function rawLog(ctx, { outcome, fileName }) {
  outcome.say("");
  try {
    const answer = await fetch(`api/endpoints/${encodeURIComponent(ctx.name)}/log`, {
      credentials: "same-origin",
    });
    if (!answer.ok)
      throw new Error(
        (await answer.text()).slice(0, 200).trim() || `the gateway answers ${answer.status}`,
      );
    const blob = await answer.blob();
    ctx.save(fileName("raw"), new Blob([blob], { type: "application/octet-stream" }));
    outcome.say(`${readableSize(blob.size)} downloaded.`);
  } catch (error) {
    outcome.say(`The log did not come: ${error.message}`, true);
  }
}

/** A recording from now on, into a file: { elements, stop() }. */
function recording(ctx, { onAdd, outcome, fileName }) {
  let running = null;
  let timer = 0;
  const what = select("Records", RECORDED, { settings: ctx.settings, key: "log.record" });
  const record = button("Start recording", () => (running ? stop() : start()), {
    "aria-pressed": "false",
  });
  const meter = h("p", { class: "tool-meter" });

  async function start() {
    const kind = what.control.value;
    const target = await startRecording(fileName(kind === "raw" ? "raw" : "log"), {
      save: ctx.save,
      onFull: () => stop("The recording has 256 MB and was ended."),
      onError: (error) => stop(`The recording ended: ${error.message}`),
    });
    if (!target) return;
    running = { target, end: fill(target, { ctx, onAdd, kind }) };
    show(true);
    outcome.say("Recording.");
    timer = setInterval(() => {
      meter.textContent = readableSize(target.bytes);
    }, 500);
  }

  async function stop(reason) {
    const ended = running;
    if (!ended) return;
    running = null;
    clearInterval(timer);
    ended.end();
    await ended.target.stop();
    show(false);
    meter.textContent = "";
    const cut = typeof reason === "string";
    outcome.say(cut ? reason : `${readableSize(ended.target.bytes)} recorded.`, cut);
  }

  function show(value) {
    record.textContent = value ? "Stop recording" : "Start recording";
    record.setAttribute("aria-pressed", String(value));
  }

  return { elements: [what.element, record, meter], stop };
}

/** Writes what comes and goes into `target`; returns a function that ends it. */
function fill(target, { ctx, onAdd, kind }) {
  const text = new LogText({ hex: kind === "hex", decode: (bytes) => ctx.decode(bytes) });
  const off = onAdd((direction, bytes, ms) => {
    if (kind !== "raw") target.write(text.add(direction, bytes, ms));
    else if (direction === "in") target.write(bytes);
  });
  const offGap = ctx.onGap(({ from, to }) => {
    if (kind !== "raw") target.write(text.lost(to - from, Date.now()));
  });
  return () => {
    off();
    offGap();
    if (kind !== "raw") target.write(text.flush());
  };
}
