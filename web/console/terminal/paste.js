// Copying and pasting: several lines are first shown in a question, since each of them is a command
// to the device.

import { confirm } from "../dialog.js";
import { h } from "../dom.js";
import { byteCount } from "../format.js";

/** The longest text that is pasted, in characters; anything longer should be sent as a file. */
const MOST = 1 << 20;

/** How many lines of the text the question shows. */
const SHOWN = 12;

const PAUSES = [0, 20, 50, 100, 250, 500, 1000];

/**
 * Pastes `text` with `type(text)`, line by line. Control characters other than tab and line ends
 * are removed. Nothing is sent if the user declines or the text is too long: `instead` is the
 * action offered then.
 */
export async function paste({ text, terminal, settings, type, notice, mayWrite, instead }) {
  if (text.length > MOST) {
    notice(
      `Not pasted: ${text.length.toLocaleString("en")} characters are too many. Send them as a file.`,
      { kind: "warn", key: "paste", action: instead },
    );
    return;
  }
  const clean = text.replace(/\r\n?/g, "\n").replace(/[^\P{Cc}\n\t]/gu, "");
  if (clean === "") return;
  if (!clean.includes("\n")) {
    type(bracketed(terminal, clean));
    return;
  }
  const lines = clean.split("\n");
  const count = lines[lines.length - 1] === "" ? lines.length - 1 : lines.length;
  const pause = h(
    "select",
    { class: "pause" },
    PAUSES.map((ms) => h("option", { value: ms }, ms === 0 ? "none" : `${ms} ms`)),
  );
  pause.value = String(settings.get("terminal.pastePause", 0));
  const sure = await confirm({
    title: `Paste ${count} ${count === 1 ? "line" : "lines"}?`,
    text: `Each line goes to the device with its line end. ${byteCount(new TextEncoder().encode(clean).length)} in all.`,
    body: [
      h(
        "pre",
        { class: "preview", tabindex: 0, "aria-label": "The text" },
        lines.slice(0, SHOWN).join("\n"),
        lines.length > SHOWN && `\n… ${lines.length - SHOWN} more`,
      ),
      h("label", { class: "field row" }, "Pause after each line", pause),
    ],
    ok: "Paste",
  });
  terminal.focus();
  if (!sure) return;
  const ms = Number(pause.value);
  settings.set("terminal.pastePause", ms);
  if (ms === 0 && terminal.modes.bracketedPasteMode) {
    type(bracketed(terminal, clean.replaceAll("\n", "\r")));
    return;
  }
  await byLines({ lines, ms, type, notice, mayWrite });
}

async function byLines({ lines, ms, type, notice, mayWrite }) {
  let on = true;
  const done =
    ms > 0 &&
    notice("Pasting…", { action: { label: "Stop", run: () => (on = false) }, key: "paste" });
  for (const [index, line] of lines.entries()) {
    if (!on || !mayWrite()) break;
    if (line) type(line);
    if (index < lines.length - 1) type("\r");
    if (done) done.text(`Pasting: line ${index + 1} of ${lines.length}`);
    if (ms) await new Promise((resolve) => setTimeout(resolve, ms));
  }
  if (done) done();
}

function bracketed(terminal, text) {
  return terminal.modes.bracketedPasteMode ? `\x1b[200~${text}\x1b[201~` : text;
}

/** Listens for pastes into `element` before xterm does. */
export function catchPaste(element, run) {
  const listener = (event) => {
    event.preventDefault();
    event.stopPropagation();
    run(event.clipboardData?.getData("text/plain") ?? "");
  };
  element.addEventListener("paste", listener, true);
  return () => element.removeEventListener("paste", listener, true);
}

/** Puts the selection into the clipboard; returns whether there was one. */
export async function copy(terminal) {
  const text = terminal.getSelection();
  if (text === "") return false;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // No secure context (plain http): the old way, which needs the focus to be where the selection
    // is.
    terminal.focus();
    terminal.textarea.value = text;
    terminal.textarea.select();
    document.execCommand("copy");
    terminal.textarea.value = "";
  }
  return true;
}
