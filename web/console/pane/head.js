// The head of a pane, one row: what the line is, who writes, and its buttons; those that do not fit
// are in a menu.

import { openMenu } from "../dialog.js";
import { h, iconButton, say } from "../dom.js";

const PHASES = { up: "up", opening: "opening", connecting: "opening", lost: "opening" };
const WORDS = {
  up: "connected, device up",
  opening: "device is being opened",
  connecting: "connecting",
  lost: "connection lost",
  closed: "closed",
};

/**
 * Returns { element, side (the button), first (where the focus goes from the terminal),
 * describe(title, kind), dispose }.
 */
export function head({ name, link, chip, actions, stage, paused }) {
  const lamp = h("span", { class: "state-lamp" });
  const title = h("span", { class: "pane-title" });
  const buttons = toolButtons({ name, actions, stage });
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
      buttons.all,
    ),
  );
  const offs = [
    paused.on((value) => {
      buttons.pause.setAttribute("aria-pressed", String(value !== null));
      waiting.hidden = !value?.waiting;
      if (value) say(waiting, "paused, more is waiting");
    }),
    link.state.on(({ phase, device }) => {
      const word = phase !== "up" ? phase : device;
      lamp.className = `state-lamp ${PHASES[word] ?? "down"}`;
      lamp.title = WORDS[word] ?? "device down";
    }),
  ];
  return {
    element,
    side: buttons.side,
    // In a narrow pane the search is folded away; the first view never is.
    get first() {
      return buttons.find.offsetParent ? buttons.find : element.querySelector(".toolbar button");
    },
    describe(text, kind) {
      say(title, text || kind || "");
      title.title = [text, kind].filter(Boolean).join(" · ");
    },
    dispose: () => offs.forEach((off) => off()),
  };
}

/**
 * The buttons after the views. Those of class `fold` go into the menu in a narrow pane, those of
 * `fold-late` in a very narrow one.
 */
function toolButtons({ name, actions, stage }) {
  const find = iconButton("search", "Search (Ctrl Shift F)", {
    class: "icon-button fold of-terminal",
    onclick: actions.find,
  });
  const pause = iconButton("pause", "Pause scrolling (Ctrl Shift S)", {
    class: "icon-button fold of-terminal",
    onclick: actions.pause,
    "aria-pressed": "false",
  });
  const clear = iconButton("clear", "Clear (Ctrl Shift L)", {
    class: "icon-button fold",
    onclick: actions.clear,
  });
  const side = iconButton("side", "Settings and tools (Ctrl Shift D)", {
    class: "icon-button fold-late",
    onclick: actions.side,
    "aria-expanded": "false",
  });
  const folding = [
    [find, "Search"],
    [pause, "Pause scrolling"],
    [clear, "Clear"],
    ...stage.toggles.map(({ button, label }) => [button, label]),
    [side, "Settings and tools"],
  ];
  const more = iconButton("more", `More tools of ${name}`, {
    class: "icon-button pane-more",
    "aria-haspopup": "menu",
    "aria-expanded": "false",
    onclick: openMore,
  });

  function openMore() {
    const folded = folding.filter(([button]) => getComputedStyle(button).display === "none");
    const item = ([button, label]) => {
      const pressed = button.getAttribute("aria-pressed");
      return { label, run: () => button.click(), checked: pressed === "true" || undefined };
    };
    openMenu(more, `More tools of ${name}`, folded.map(item));
  }

  const close = iconButton("close", `Close ${name}`, {
    class: "icon-button pane-close",
    onclick: actions.close,
  });
  return {
    find,
    pause,
    side,
    all: [find, pause, clear, stage.toggles.map(({ button }) => button), side, more, close],
  };
}
