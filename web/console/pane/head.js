// The head of a pane: what it is, who writes, and its buttons.

import { h, iconButton, say } from "../dom.js";

/** Gives { element, side (the button), first (where the focus goes from the terminal), describe(title, kind), dispose }. */
export function head({ name, link, chip, actions, stage, paused }) {
  const lamp = h("span", { class: "state-lamp" });
  const title = h("span", { class: "pane-title" });
  const find = iconButton("search", "Search (Ctrl Shift F)", { onclick: actions.find });
  const pause = iconButton("pause", "Pause scrolling (Ctrl Shift S)", { onclick: actions.pause, "aria-pressed": "false" });
  const side = iconButton("side", "Settings and tools (Ctrl Shift D)", { onclick: actions.side, "aria-expanded": "false" });
  const waiting = h("span", { class: "waiting", hidden: true });
  const element = h(
    "header",
    { class: "pane-head" },
    h("div", { class: "pane-name" }, lamp, h("h2", {}, name), title),
    chip.element,
    h(
      "div",
      { class: "toolbar", role: "group", "aria-label": `Tools of ${name}` },
      stage.switcher,
      waiting,
      find,
      pause,
      iconButton("clear", "Clear (Ctrl Shift L)", { onclick: actions.clear }),
      stage.toggles,
      side,
      iconButton("close", `Close ${name}`, { class: "icon-button pane-close", onclick: actions.close }),
    ),
  );
  const offs = [
    paused.on((value) => {
      pause.setAttribute("aria-pressed", String(value !== null));
      waiting.hidden = !value?.waiting;
      if (value) say(waiting, "paused, more is waiting");
    }),
    link.state.on(({ phase, device }) => {
      const word = phase !== "up" ? phase : device;
      lamp.className = `state-lamp ${{ up: "up", opening: "opening", connecting: "opening", lost: "opening" }[word] ?? "down"}`;
      lamp.title = { up: "connected, device up", opening: "device is being opened", connecting: "connecting", lost: "connection lost", closed: "closed" }[word] ?? "device down";
    }),
  ];
  return {
    element,
    side,
    first: find,
    describe(text, kind) {
      say(title, text || kind || "");
      title.title = [text, kind].filter(Boolean).join(" · ");
    },
    dispose: () => offs.forEach((off) => off()),
  };
}
