// The panel "Line": the endpoint's settings, signals and counters, and why they cannot be changed
// if they cannot.

import { h, say } from "../dom.js";
import { isSelf, person } from "../format.js";
import { countersSection } from "./counters.js";
import { settingsSection } from "./settings.js";
import { signalsSection } from "./signals.js";

/** Kinds of endpoints that are ports, or may be; an unknown kind is treated like TCP. */
const PORTS = ["serial", "rfc2217", "sim"];

export function linePanel({ link, notices, settings, sendBreak, announce }) {
  const { state, mayWrite } = link;
  const why = h("p", { class: "note why", hidden: true });
  const breakMs = {
    get: () => settings.get("break.ms", 250),
    set: (ms) => settings.set("break.ms", ms),
  };
  const sections = [
    settingsSection({ state, config: link.config, mayWrite, announce }),
    signalsSection({ state, link, mayWrite, sendBreak, notice: notices.show, breakMs }),
    countersSection({ state, link }),
  ];
  const off = state.on((value) => {
    const reason = whyNot(value);
    why.hidden = reason === "";
    say(why, reason);
  });
  return {
    element: h(
      "div",
      { class: "panel" },
      why,
      sections.map(({ element }) => element),
    ),
    shown: (visible) => sections.forEach((section) => section.shown?.(visible)),
    dispose() {
      off();
      sections.forEach((section) => section.dispose());
    },
  };
}

/** Why settings and signals cannot be changed, or "". */
function whyNot({ phase, role, holder, device, endpoint, rights }) {
  if (phase !== "up" || !endpoint) return "";
  if (device === "down")
    return "The device is not there: its settings and modem lines come with it.";
  if (!["config", "dtr", "rts", "break"].some((cap) => endpoint.caps?.includes(cap)))
    return withoutControls(endpoint.kind);
  if (role === "observer") {
    if (!holder) return "Take the right to write to change settings and signals.";
    return isSelf(holder.user)
      ? "You write in another window: settings and signals are changed there."
      : `${person(holder.user)} writes: settings and signals are theirs.`;
  }
  return rights.includes("settings") || rights.includes("signals")
    ? ""
    : "You have no right to change settings or signals.";
}

/** @param {string} kind */
function withoutControls(kind) {
  if (PORTS.includes(kind))
    return "The port has no settings and no modem lines, or is not open yet.";
  return kind === "udp"
    ? "This endpoint is UDP: a message is a datagram. It has no settings and no modem lines."
    : "This endpoint is a TCP connection: it has no settings and no modem lines.";
}
