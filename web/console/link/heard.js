// Handles the events of a line's connection: each becomes a change of the state, or news for the
// pane.

import { ended } from "../session.js";
import { defined, moment } from "./state.js";

/** The endings that the device's side caused: the gateway is fine, and says why. */
const BY_TARGET = new Set([1011, 4450]);

/**
 * The handlers for the library's events. `memory` is what the link keeps between them: { line,
 * clock, asked, waiting, byTarget }; `refresh()` asks for what no message reports; `events`,
 * `bytes` and `gaps` are signals.
 */
export function handlers(link) {
  return { ...dataHandlers(link), ...lineHandlers(link), ...lifeHandlers(link) };
}

/** Bytes, and what belongs to a byte. */
function dataHandlers({ state, memory, bytes, gaps, events }) {
  return {
    data({ bytes: chunk, at, replay }) {
      const ms = memory.clock ?? Date.now();
      state.patch({ rx: state.value.rx + chunk.length });
      bytes.emit({ bytes: chunk, at, ms, replay: replay === true });
    },
    time: ({ ms }) => (memory.clock = ms),
    gap(gap) {
      gaps.emit(gap);
      events.emit({ type: "gap", ...gap });
    },
    line(detail) {
      const counters = { ...state.value.counters };
      counters[detail.event] = (counters[detail.event] ?? 0) + (detail.count ?? 1);
      state.patch({ counters });
      events.emit({ type: "line", ...detail });
    },
    error({ code, message, bytes: count }) {
      events.emit({ type: "undelivered", code, message, bytes: count ?? 0 });
    },
  };
}

/** The state of the line: settings, signals, the lease, the device. */
function lineHandlers({ state, memory, events, refresh }) {
  return {
    signals: ({ cts, dsr, dcd, ri }) =>
      state.patch({ signals: { ...state.value.signals, ...defined({ cts, dsr, dcd, ri }) } }),
    config(config) {
      const { by, type, ...settings } = config;
      const mine =
        memory.asked &&
        Object.entries(memory.asked).every(([key, value]) => settings[key] === value);
      memory.asked = null;
      state.patch({
        config: { ...state.value.config, ...settings },
        configBy: by ? { user: by, ms: Date.now() } : null,
      });
      if (!mine) events.emit({ type: "config", by });
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
    rights({ rights, why = null }) {
      const before = state.value.held;
      state.patch({ rights, held: why });
      if (before !== why) events.emit({ type: "held", why });
    },
    notice: ({ from, text }) => events.emit({ type: "notice", from, text }),
    status({ state: device, error, since, endpoint: other, caps, usb }) {
      if (other || !device) return;
      const before = state.value.device;
      const endpoint =
        caps || usb ? { ...state.value.endpoint, ...defined({ caps, usb }) } : state.value.endpoint;
      // A target that cannot be reached has been unreachable since the first try, however many
      // there were.
      const from =
        device === "down" ? (memory.byTarget?.since ?? moment(since) ?? Date.now()) : null;
      state.patch({ device, error: error ?? null, since: from, endpoint });
      if (before !== device) events.emit({ type: "device", device, error, before });
      if (device !== "up") return;
      memory.byTarget = null;
      if (memory.waiting) {
        memory.waiting = false;
        memory.line.lease("request").catch(() => {});
      }
      if (before !== "up") refresh();
    },
  };
}

/** The state of the connection. */
function lifeHandlers({ state, memory, events, refresh }) {
  const back = () => {
    const { role, config, signals } = memory.line.opened ?? {};
    state.patch({ phase: "up", lost: null, ...defined({ role, config, signals }) });
  };
  return {
    lost({ code, reason, retryIn }) {
      memory.clock = null;
      const retryAt = Date.now() + (retryIn ?? 0);
      if (BY_TARGET.has(code))
        return targetLost({ state, memory, events }, { code, reason, retryAt });
      state.patch({
        phase: "lost",
        request: null,
        lost: { code, reason, retryAt, byTarget: false },
      });
      events.emit({ type: "lost", code, reason });
    },
    resumed(detail) {
      back();
      if (!memory.byTarget) events.emit({ type: "resumed", ...detail });
      refresh();
    },
    gone(detail) {
      // Without a successor this is the end, which is reported separately.
      if (detail.error) return events.emit({ type: "gone", ...detail });
      back();
      // After a target's end a new session is expected; whether the target is there again, `status`
      // tells.
      if (!memory.byTarget) events.emit({ type: "gone", ...detail });
      refresh();
    },
    closed({ code, reason, final }) {
      memory.wrote = code === 4401 && state.value.role === "writer";
      if (code === 4401) ended();
      state.patch({ phase: "closed", role: null, request: null, trouble: { code, reason, final } });
      events.emit({ type: "closed", code, reason });
    },
  };
}

/**
 * The device's side ended the connection, or refuses it: that is a state of the device, and not a
 * fault on the way to the gateway.
 */
function targetLost({ state, memory, events }, { code, reason, retryAt }) {
  const before = state.value.device;
  memory.byTarget ??= { since: state.value.since ?? Date.now() };
  memory.waiting = state.value.rights.includes("write");
  const { since } = memory.byTarget;
  state.patch({
    phase: "lost",
    device: "down",
    error: reason,
    since,
    request: null,
    lost: { code, reason, retryAt, byTarget: true },
  });
  if (before !== "down") events.emit({ type: "device", device: "down", error: reason, before });
}
