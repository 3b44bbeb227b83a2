// What a pane's tools are given: the contract is in panels.js.

import { confirm } from "../dialog.js";
import { announce } from "../announce.js";
import { decode, encode } from "../terminal/encoding.js";
import { INPUT_DEFAULTS } from "../terminal/input.js";

/** Offers `content` as a download named `name`. It is never shown as a page. */
export function save(name, content) {
  const blob =
    content instanceof Blob ? content : new Blob([content], { type: "application/octet-stream" });
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name.replace(/[^\w.+-]/g, "_");
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** The context of the pane of `link`. */
export function context({ link, screen, settings, notices, flow, reveal }) {
  const encoding = () => screen.get("encoding");
  const shape = ({ phase, device, role, config, signals, rights, held }) => ({
    phase,
    device,
    role,
    config,
    signals,
    rights,
    held,
  });
  return {
    name: link.name,
    endpoint: () => link.state.value.endpoint,
    state: () => shape(link.state.value),
    onState: (listener) => link.state.on((value) => listener(shape(value))),
    onBytes: (listener) => link.bytes.on(listener),
    onSent: (listener) => link.sent.on(listener),
    onGap: (listener) => link.gaps.on(listener),
    claim: (listener) => flow.claim(listener),
    write: (data) => link.write(typeof data === "string" ? encode(data, encoding()) : data),
    mayWrite: () => link.mayWrite(),
    get line() {
      return link.line;
    },
    encode: (text) => encode(text, encoding()),
    decode: (bytes) => decode(bytes, encoding()),
    newline: () => settings.get("terminal.enter", INPUT_DEFAULTS.enter),
    announce,
    notice: (text, options) => notices.show(text, options),
    confirm,
    reveal,
    settings,
    terminal: {
      print: screen.print,
      focus: () => screen.terminal.focus(),
      text: screen.text,
    },
    save,
  };
}
