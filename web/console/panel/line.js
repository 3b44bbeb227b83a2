// The panel "Line": settings, signals and counters of the endpoint, and why they cannot be changed
// when they cannot.

import { h, say } from "../dom.js";
import { person } from "../format.js";
import { countersSection } from "./counters.js";
import { settingsSection } from "./settings.js";
import { signalsSection } from "./signals.js";

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
  const off = state.on(({ phase, role, holder, device, endpoint, rights }) => {
    const controls = ["config", "dtr", "rts", "break"].some((cap) => endpoint?.caps?.includes(cap));
    const reason =
      phase !== "up" || !endpoint
        ? ""
        : device === "down"
          ? "The device is not there: its settings and modem lines come with it."
          : !controls && endpoint.kind === "tcp"
            ? "This endpoint is a TCP connection: it has no settings and no modem lines."
            : !controls
              ? "The port has no settings and no modem lines, or is not open yet."
              : role === "observer" && holder
                ? `${person(holder.user)} writes: settings and signals are theirs.`
                : role === "observer"
                  ? "Take the right to write to change settings and signals."
                  : !rights.includes("settings") && !rights.includes("signals")
                    ? "You have no right to change settings or signals."
                    : "";
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
