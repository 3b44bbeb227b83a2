// A page for the tools alone: each is mounted on a line of the real daemon, with the context of the
// contract in panels.js and no shell.

import "../../../web/console/css/base.css";
import { h } from "../../../web/console/dom.js";
import { tools } from "../../../web/console/panels.js";
import { Line } from "../../../web/client/index.js";

const name = new URLSearchParams(location.search).get("line");
const signal = () => {
  const listeners = new Set();
  return {
    on: (listener) => (listeners.add(listener), () => listeners.delete(listener)),
    emit: (value) => listeners.forEach((listener) => listener(value)),
  };
};
const [changed, bytes, sent, gaps, settingsChanged] = Array.from({ length: 5 }, signal);
const line = new Line({
  url: new URL(`/ws/${name}`, location.href.replace(/^http/, "ws")).href,
  probe: "/healthz",
});
let state = {
  phase: "connecting",
  device: "up",
  role: null,
  config: null,
  signals: null,
  rights: [],
};
const change = (members) => {
  state = { ...state, ...members };
  changed.emit(state);
};
window.change = change;
window.state = () => state;
const seen = { terminal: [], printed: [], announced: [], notices: [], saved: [], asked: [] };
window.seen = seen;
window.line = line;
window.answer = true;

let claimed = null;
bytes.on((chunk) => (claimed ?? (({ bytes: shown }) => seen.terminal.push(...shown)))(chunk));

const settings = {
  get: (key, otherwise) => JSON.parse(localStorage.getItem(`${name}.${key}`)) ?? otherwise,
  set(key, value) {
    localStorage.setItem(`${name}.${key}`, JSON.stringify(value));
    settingsChanged.emit({ key, value });
  },
  on: (wanted, listener) =>
    settingsChanged.on(({ key, value }) => key === wanted && listener(value)),
};

const ctx = {
  name,
  endpoint: () => line.hello?.endpoint ?? null,
  state: () => state,
  onState(listener) {
    listener(state);
    return changed.on(listener);
  },
  onBytes: bytes.on,
  onSent: sent.on,
  onGap: gaps.on,
  claim(listener) {
    if (claimed) throw new Error("another tool has the line");
    claimed = listener;
    return (unread) => {
      claimed = null;
      if (unread) seen.terminal.push(...unread);
    };
  },
  async write(data) {
    const part = typeof data === "string" ? new TextEncoder().encode(data) : data;
    await line.write(part);
    sent.emit({ bytes: part, ms: Date.now() });
  },
  mayWrite: () => state.phase === "up" && state.role === "writer",
  line,
  encode: (text) => new TextEncoder().encode(text),
  decode: (part) => new TextDecoder().decode(part),
  newline: () => "\r",
  announce: (text) => seen.announced.push(text),
  notice(text, { actions = [] } = {}) {
    const element = h(
      "div",
      { class: "notice" },
      h("span", {}, text),
      actions.map(({ label, run }) =>
        h("button", { type: "button", onclick: () => (element.remove(), run()) }, label),
      ),
    );
    document.querySelector("#notices").append(element);
    seen.notices.push(text);
    return () => element.remove();
  },
  async confirm({ body, ok }) {
    seen.asked.push(body.textContent);
    return window.answer === "hold"
      ? new Promise((resolve) => (window.decide = resolve))
      : window.answer && Boolean(ok);
  },
  settings,
  terminal: {
    print: (text) => seen.printed.push(text),
    focus() {},
    text: () => new TextDecoder().decode(Uint8Array.from(seen.terminal)),
  },
  async save(file, content) {
    const blob = content instanceof Blob ? content : new Blob([content]);
    const digest = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
    seen.saved.push({
      name: file,
      size: blob.size,
      sha: Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join(
        "",
      ),
      text: blob.size < 20_000 ? await blob.text() : null,
    });
  },
};

document.addEventListener("securitypolicyviolation", (event) =>
  seen.announced.push(`CSP: ${event.violatedDirective}`),
);
document.body.append(
  h(
    "main",
    { class: "pane" },
    h("h1", {}, name),
    h("div", { id: "notices" }),
    tools.map((tool) => {
      const made = tool.mount(ctx);
      made.shown?.(true);
      return h(
        "section",
        { id: tool.id, class: `place-${tool.place}` },
        h("h2", {}, tool.label),
        made.element,
      );
    }),
  ),
);

let clock = null;
line.addEventListener("data", ({ detail }) => bytes.emit({ ...detail, ms: clock ?? Date.now() }));
line.addEventListener("time", ({ detail }) => (clock = detail.ms));
line.addEventListener("gap", ({ detail }) => gaps.emit(detail));
line.addEventListener("lost", () => change({ phase: "lost" }));
line.addEventListener("resumed", () => change({ phase: "up" }));
line.addEventListener("gone", () => change({ phase: "up" }));
line.addEventListener("closed", () => change({ phase: "closed", role: null }));
line.addEventListener("lease", ({ detail }) => change({ role: detail.you }));
await line.connect();
const opened = await line.open({
  role: "writer",
  window: 262144,
  times: line.hello.endpoint.caps?.includes("times"),
});
change({
  phase: "up",
  role: opened.role,
  config: opened.config ?? null,
  rights: line.hello.endpoint.rights ?? [],
});
