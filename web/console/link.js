// One endpoint's connection: opens the line, keeps what is known of it in a store, and tells panes what comes and goes.

import { Line } from "../client/index.js";
import { socketUrl } from "./directory.js";
import { ended } from "./session.js";
import { signal, store } from "./store.js";

/** Scrollback asked for at the first opening. */
const REPLAY = 64 * 1024;

/** Bytes that may be on their way to the screen: more than the default, because the screen is quick and the way may be long. */
const WINDOW = 256 * 1024;

const START = {
  phase: "connecting", // "connecting" | "up" | "lost" | "closed"
  device: "opening", // of the line: "up" | "down" | "opening" | "closed"
  error: null, // why the device is down
  role: null, // "writer" | "observer"
  holder: null, // who holds the lease: { user, since, away? }
  observers: 0,
  request: null, // who asks this page for the lease
  endpoint: null, // hello.endpoint
  rights: [],
  config: null,
  configBy: null, // who set it, when it was not this page: { user, ms }
  signals: null,
  outputs: {}, // what DTR and RTS were last driven to
  counters: {},
  rx: 0, // bytes this page got and sent
  tx: 0,
  lost: null, // while phase is "lost": { reason, code, retryAt }
  trouble: null, // why there is no line, and what helps: { code, reason, ... }
};

/** The connection to endpoint `name`. Nothing happens before `start()`. */
export function link(name) {
  const state = store({ ...START });
  const bytes = signal();
  const sent = signal();
  const gaps = signal();
  const events = signal(); // { type, ... }: what a pane tells its user about
  let line = null;
  let clock = null; // the gateway's time of the run of bytes that is coming
  let asked = null; // settings this page asked for, to tell them from others'
  let waiting = false; // wants to write as soon as the device is there

  /** Connects and opens. Called again after the end of a session or a new login. */
  async function start() {
    stop();
    const mine = new Line({ url: socketUrl(`/ws/${name}`), probe: "/healthz", autoAck: false });
    line = mine;
    state.patch({ phase: "connecting", trouble: null, lost: null });
    hear(mine);
    try {
      const hello = await mine.connect();
      if (mine !== line) return;
      learn(hello);
      await open(mine);
    } catch (error) {
      if (mine === line) failed(error);
    }
  }

  function learn(hello) {
    const { endpoint } = hello;
    state.patch({
      endpoint,
      rights: endpoint.rights ?? [],
      device: endpoint.state ?? "up",
      error: endpoint.error ?? null,
      holder: endpoint.writer ?? null,
      observers: endpoint.observers ?? 0,
    });
  }

  async function open(mine) {
    const times = state.value.endpoint.caps?.includes("times") ?? false;
    const want = { replay: { bytes: REPLAY }, window: WINDOW, times };
    waiting = false;
    let opened;
    try {
      opened = await mine.open({ role: "auto", ...want });
    } catch (error) {
      if (error.code !== "line_down") throw error;
      // The device is not there. An observer may wait for it, and asks to write when it comes.
      opened = await mine.open({ role: "observer", ...want });
      waiting = state.value.rights.includes("write");
      state.patch({ device: "down", error: error.message });
    }
    if (mine !== line) return;
    state.patch({ phase: "up", role: opened.role, config: opened.config ?? null, signals: opened.signals ?? null, trouble: null, lost: null });
    events.emit({ type: "opened", opened });
    refresh();
  }

  function failed(error) {
    const code = error.code ?? error.detail?.code;
    if (code === 4401) ended();
    state.patch({ phase: "closed", role: null, trouble: { code, reason: error.message, error } });
    // What cannot be opened is not dialled again unasked, and what becomes of its connection is no news.
    const bad = line;
    line = null;
    bad?.end();
  }

  const handlers = {
    data({ bytes: chunk, at, replay }) {
      const ms = clock ?? Date.now();
      state.patch({ rx: state.value.rx + chunk.length });
      bytes.emit({ bytes: chunk, at, ms, replay: replay === true });
    },
    time: ({ ms }) => (clock = ms),
    gap(gap) {
      gaps.emit(gap);
      events.emit({ type: "gap", ...gap });
    },
    signals: ({ cts, dsr, dcd, ri }) => state.patch({ signals: { ...state.value.signals, ...defined({ cts, dsr, dcd, ri }) } }),
    config(config) {
      const { by, type, ...settings } = config;
      const mine = asked && Object.entries(asked).every(([key, value]) => settings[key] === value);
      asked = null;
      state.patch({ config: { ...state.value.config, ...settings }, configBy: by ? { user: by, ms: Date.now() } : null });
      if (!mine) events.emit({ type: "config", by });
    },
    line(detail) {
      const counters = { ...state.value.counters };
      counters[detail.event] = (counters[detail.event] ?? 0) + (detail.count ?? 1);
      state.patch({ counters });
      events.emit({ type: "line", ...detail });
    },
    lease(detail) {
      const before = state.value.role;
      state.patch({
        role: detail.you ?? before,
        holder: detail.holder ?? null,
        observers: detail.observers ?? 0,
        request: detail.request ?? null,
      });
      events.emit({ type: "lease", before, ...detail });
    },
    status({ state: device, error, endpoint: other, caps, usb }) {
      if (other || !device) return;
      const before = state.value.device;
      const endpoint = caps || usb ? { ...state.value.endpoint, ...defined({ caps, usb }) } : state.value.endpoint;
      state.patch({ device, error: error ?? null, endpoint });
      if (before !== device) events.emit({ type: "device", device, error, before });
      if (device === "up" && waiting) {
        waiting = false;
        lease("request").catch(() => {});
      }
      if (device === "up" && before !== "up") refresh();
    },
    error({ code, message, bytes: count }) {
      events.emit({ type: "undelivered", code, message, bytes: count ?? 0 });
    },
    lost({ code, reason, retryIn }) {
      clock = null;
      state.patch({ phase: "lost", request: null, lost: { code, reason, retryAt: Date.now() + (retryIn ?? 0) } });
      events.emit({ type: "lost", code, reason });
    },
    resumed(detail) {
      const { role, config, signals } = line.opened ?? {};
      state.patch({ phase: "up", lost: null, ...defined({ role, config, signals }) });
      events.emit({ type: "resumed", ...detail });
      refresh();
    },
    gone(detail) {
      // Without a successor it is the end, which is told by itself.
      if (detail.error) return events.emit({ type: "gone", ...detail });
      const { role, config, signals } = line.opened ?? {};
      state.patch({ phase: "up", lost: null, ...defined({ role, config, signals }) });
      events.emit({ type: "gone", ...detail });
      refresh();
    },
    closed({ code, reason, final }) {
      if (code === 4401) ended();
      state.patch({ phase: "closed", role: null, request: null, trouble: { code, reason, final } });
      events.emit({ type: "closed", code, reason });
    },
  };

  function hear(mine) {
    for (const [type, run] of Object.entries(handlers)) {
      mine.addEventListener(type, (event) => mine === line && run(event.detail ?? {}));
    }
  }

  /** Asks for what no message tells by itself: outputs and counters. */
  async function refresh() {
    const mine = line;
    if (!mine || state.value.phase !== "up") return;
    try {
      const answer = await mine.get();
      if (mine !== line) return;
      state.patch({
        ...defined({ config: answer.config, signals: answer.signals }),
        outputs: answer.outputs ?? {},
        counters: { ...state.value.counters, ...answer.counters },
      });
    } catch {
      // The connection went, or the endpoint has none of it.
    }
  }

  async function write(data) {
    const chunk = typeof data === "string" ? new TextEncoder().encode(data) : data;
    state.patch({ tx: state.value.tx + chunk.length });
    sent.emit({ bytes: chunk, ms: Date.now() });
    await line.write(chunk);
  }

  async function config(change) {
    asked = change;
    try {
      await line.config(change, { when: "drain" });
      state.patch({ config: { ...state.value.config, ...change }, configBy: null });
    } catch (error) {
      asked = null;
      throw error;
    }
  }

  async function signals(step) {
    await line.signals(step);
    const { dtr, rts } = step;
    state.patch({ outputs: { ...state.value.outputs, ...defined({ dtr, rts }) } });
  }

  async function macro(macroName) {
    await line.macro(macroName);
    refresh();
  }

  const lease = (op) => line.lease(op);
  const mayWrite = () => state.value.phase === "up" && state.value.role === "writer" && state.value.device !== "down";

  function stop() {
    const old = line;
    line = null;
    clock = null;
    old?.close?.({})?.catch?.(() => {});
    old?.end?.();
  }

  return {
    name,
    state,
    bytes,
    sent,
    gaps,
    events,
    start,
    stop,
    refresh,
    write,
    config,
    signals,
    sendBreak: (ms) => line.sendBreak(ms),
    macro,
    lease,
    mayWrite,
    consumed: (count) => line?.consumed(count),
    get line() {
      return line;
    },
  };
}

/** The members that are there. */
function defined(members) {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined && value !== null));
}
