// One endpoint's connection: opens the line, keeps what is known about it in a store, and tells
// panes what comes and goes.

import { Line } from "../client/index.js";
import { access } from "./access.js";
import { socketUrl } from "./directory.js";
import { handlers } from "./link/heard.js";
import { START, defined, greeted } from "./link/state.js";
import { ended } from "./session.js";
import { signal, store } from "./store.js";

/** Scrollback requested at the first opening. */
const REPLAY = 64 * 1024;

/**
 * Bytes that may be on their way to the screen: more than the default, because the screen is fast
 * and the way may be long.
 */
const WINDOW = 256 * 1024;

/** The connection to endpoint `name`. Nothing happens before `start()`. */
export function link(name) {
  const parts = {
    name,
    state: store({ ...START }),
    bytes: signal(),
    sent: signal(),
    gaps: signal(),
    events: signal(), // { type, ... }: what a pane tells its user about
    memory: {
      line: null,
      clock: null, // the gateway's time of the run of bytes that is coming
      asked: null, // settings that this page asked for, to tell them from others'
      wrote: false, // wrote when the login ended
      waiting: false, // wants to write as soon as the device is there
      byTarget: null, // { since } from a target's end or refusal until it is there again
    },
    refresh: () => refresh(parts),
  };
  const { state, memory } = parts;
  return {
    ...parts,
    ...commands(parts),
    start: () => start(parts),
    stop: () => stop(parts),
    mayWrite: () =>
      state.value.phase === "up" && state.value.role === "writer" && state.value.device !== "down",
    consumed: (count) => memory.line?.consumed(count),
    get line() {
      return memory.line;
    },
  };
}

/** Connects and opens. Called again after a session has ended, or after a new login. */
async function start(parts) {
  const { name, state, memory } = parts;
  stop(parts);
  const mine = new Line({
    url: socketUrl(`/ws/${name}`),
    probe: "/healthz",
    autoAck: false,
    bearer: access.bearer,
  });
  memory.line = mine;
  state.patch({ phase: "connecting", trouble: null, lost: null });
  for (const [type, run] of Object.entries(handlers(parts))) {
    mine.addEventListener(
      type,
      (/** @type {CustomEvent} */ event) => mine === memory.line && run(event.detail ?? {}),
    );
  }
  try {
    const hello = await mine.connect();
    if (mine !== memory.line) return;
    state.patch(greeted(hello));
    await open(parts, mine);
  } catch (error) {
    if (mine === memory.line) failed(parts, error);
  }
}

async function open(parts, mine) {
  const { state, memory, events } = parts;
  const times = state.value.endpoint.caps?.includes("times") ?? false;
  const want = { replay: { bytes: REPLAY }, window: WINDOW, times };
  memory.waiting = false;
  let opened;
  try {
    opened = await mine.open({ role: "auto", ...want });
  } catch (error) {
    if (error.code !== "line_down") throw error;
    // The device is not there. An observer may wait for it, and asks to write when it comes.
    opened = await mine.open({ role: "observer", ...want });
    memory.waiting = state.value.rights.includes("write");
    state.patch({ device: "down", error: error.message, since: state.value.since ?? Date.now() });
  }
  if (mine !== memory.line) return;
  const { role, config = null, signals = null } = opened;
  state.patch({ phase: "up", role, config, signals, trouble: null, lost: null });
  events.emit({ type: "opened", opened });
  // The session that a lost login ended may still hold the line, where a hub stands between.
  if (memory.wrote && role === "observer") mine.lease("claim").catch(() => {});
  memory.wrote = false;
  refresh(parts);
}

function failed({ state, memory }, error) {
  const code = error.code ?? error.detail?.code;
  if (code === 4401) ended();
  state.patch({ phase: "closed", role: null, trouble: { code, reason: error.message, error } });
  // What cannot be opened is not dialled again unless asked for, and what becomes of its connection
  // is not news.
  const bad = memory.line;
  memory.line = null;
  bad?.end();
}

/** Asks for what no message reports by itself: outputs and counters. */
async function refresh({ state, memory }) {
  const mine = memory.line;
  if (!mine || state.value.phase !== "up") return;
  try {
    const answer = await mine.get();
    if (mine !== memory.line) return;
    state.patch({
      ...defined({ config: answer.config, signals: answer.signals }),
      outputs: answer.outputs ?? {},
      counters: { ...state.value.counters, ...answer.counters },
    });
  } catch {
    // The connection went, or the endpoint has neither.
  }
}

/** What a user can do to the line. */
function commands(parts) {
  const { state, memory, sent } = parts;
  return {
    async write(data) {
      const chunk = typeof data === "string" ? new TextEncoder().encode(data) : data;
      state.patch({ tx: state.value.tx + chunk.length });
      sent.emit({ bytes: chunk, ms: Date.now() });
      await memory.line.write(chunk);
    },
    async config(change) {
      memory.asked = change;
      try {
        await memory.line.config(change, { when: "drain" });
        state.patch({ config: { ...state.value.config, ...change }, configBy: null });
      } catch (error) {
        memory.asked = null;
        throw error;
      }
    },
    async signals(step) {
      await memory.line.signals(step);
      const { dtr, rts } = step;
      state.patch({ outputs: { ...state.value.outputs, ...defined({ dtr, rts }) } });
    },
    async macro(macroName) {
      await memory.line.macro(macroName);
      refresh(parts);
    },
    sendBreak: (ms) => memory.line.sendBreak(ms),
    lease: (op) => memory.line.lease(op),
  };
}

function stop({ memory }) {
  const old = memory.line;
  memory.line = null;
  memory.clock = null;
  memory.byTarget = null;
  old?.close?.({})?.catch?.(() => {});
  old?.end?.();
}
