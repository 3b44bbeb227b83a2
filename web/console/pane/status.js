// The line at the foot of a pane: settings, lamps, counters, and the state of the connection.

import { h, say } from "../dom.js";
import { lineSettings, size, span } from "../format.js";
import { INPUTS, OUTPUTS, lamp } from "../panel/signals.js";

/** `openSettings()` is called when the settings are clicked. */
export function statusLine({ state, openSettings }) {
  const settings = h("button", {
    type: "button",
    class: "status-settings mono",
    title: "Settings of the line",
    onclick: openSettings,
  });
  /** @type {[string, ReturnType<typeof lamp>][]} */
  const lamps = [...OUTPUTS, ...INPUTS].map(([key, label, title]) => [key, lamp(label, title)]);
  const lampBox = h(
    "div",
    { class: "status-lamps", role: "group", "aria-label": "Modem lines" },
    lamps.map(([, one]) => one.element),
  );
  const received = h("span", { title: "Received by this page" });
  const sent = h("span", { title: "Sent by this page" });
  const where = h("span", { class: "status-where", role: "status" });
  const element = h(
    "footer",
    { class: "status" },
    settings,
    lampBox,
    h("span", { class: "status-count mono" }, received, sent),
    where,
  );
  let timer;

  function tell(value) {
    const { phase, device, lost } = value;
    if (phase === "lost") {
      if (lost?.byTarget) return ["bad", "not reachable"];
      const left = lost?.retryAt ? Math.max(0, lost.retryAt - Date.now()) : 0;
      return [
        "warn",
        left > 500 ? `connection lost, again in ${span(left)}` : "connection lost, trying again",
      ];
    }
    if (phase === "connecting") return ["", "connecting"];
    if (phase === "closed") return ["bad", "closed"];
    if (device === "down") return ["bad", "the device is not there"];
    if (device === "opening") return ["warn", "device is being opened"];
    return ["good", "connected"];
  }

  function show(value) {
    const text = lineSettings(value.config);
    settings.hidden = text === "";
    say(settings, text);
    settings.setAttribute("aria-label", `Settings: ${text}`);
    const caps = value.endpoint?.caps ?? [];
    for (const [key, one] of lamps) {
      one.element.hidden = !caps.includes(key);
      one.show(key === "dtr" || key === "rts" ? value.outputs[key] : value.signals?.[key]);
    }
    lampBox.hidden = !lamps.some(([key]) => caps.includes(key));
    say(received, `↓ ${size(value.rx)}`);
    say(sent, `↑ ${size(value.tx)}`);
    const [kind, words] = tell(value);
    where.title = words;
    where.className = `status-where ${kind}`;
    say(where, words);
    clearTimeout(timer);
    // Seconds that count down are shown, but not read out each time.
    where.setAttribute("aria-live", value.phase === "lost" ? "off" : "polite");
    if (value.phase === "lost" && value.lost?.retryAt > Date.now())
      timer = setTimeout(() => show(state.value), 500);
  }

  const off = state.on(show);
  return { element, dispose: () => (clearTimeout(timer), off()) };
}
