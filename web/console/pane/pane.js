// One endpoint on the screen: head, notices, terminal, side, foot, and how they work together.

import { announce } from "../announce.js";
import { directory } from "../directory.js";
import { h } from "../dom.js";
import { kindName } from "../format.js";
import { link as connect } from "../link.js";
import { notices as noticePlace } from "../notices.js";
import { tools } from "../panels.js";
import { displayPanel } from "../panel/display.js";
import { linePanel } from "../panel/line.js";
import { ofEndpoint } from "../prefs.js";
import { store, undoing } from "../store.js";
import { findBar } from "../terminal/find.js";
import { keyRow } from "../terminal/keys.js";
import { catchPaste, copy } from "../terminal/paste.js";
import { screen as makeScreen } from "../terminal/screen.js";
import { card } from "./card.js";
import { context } from "./context.js";
import { flow as makeFlow } from "./flow.js";
import { head } from "./head.js";
import { keyboard } from "./keyboard.js";
import { actOnLease, leaseChip } from "./lease.js";
import { side as makeSide } from "./side.js";
import { stage as makeStage } from "./stage.js";
import { statusLine } from "./status.js";
import { tells } from "./tells.js";

/**
 * The pane of endpoint `name`: { element, name, link, actions, focus(), start(), refit(), dispose()
 * }. `close()` is called when the user wants to close it.
 */
export function pane(name, { close }) {
  const parts = innerParts(name);
  const { link, screen, keys, notices, settings, stage } = parts;
  const side = paneSide(parts, {
    pane: () => element,
    shown: (open) => bar.side.setAttribute("aria-expanded", String(open)),
  });
  parts.reveal = (id) => side.toggle(true, id);
  const actions = paneActions(parts, { side, close, leave: () => bar.first.focus() });
  const bar = head({ name, link, chip: parts.chip, actions, stage, paused: parts.paused });
  const status = statusLine({ state: link.state, openSettings: () => side.toggle(true, "line") });
  const element = frame(parts, { bar, status, side });
  const undo = undoing();
  undo.add(
    catchPaste(screen.element, keys.pasted),
    tells({ link, screen, notices, flow: parts.flow }),
    followState({ element, link, screen }),
    followDirectory({ name, link, bar }),
    settings.on("view", (view) => (element.dataset.view = view)),
  );
  element.dataset.view = stage.view();

  return {
    element,
    name,
    link,
    actions,
    /** Called when the element is in the page. */
    start() {
      screen.open();
      side.start();
      link.start();
    },
    focus: () => screen.terminal.focus(),
    refit: () => screen.refit(),
    dispose() {
      undo.undo();
      link.stop();
      const { find, chip, trouble, flow } = parts;
      for (const part of [keys, find, chip, trouble, bar, status, stage, side, flow, screen])
        part.dispose();
    },
  };
}

/** The layout of a pane: the head above everything, the side beside the rest. */
function frame({ name, notices, find, stage, screen, keys }, { bar, status, side }) {
  const main = h(
    "div",
    { class: "pane-main" },
    notices.element,
    find.element,
    stage.element,
    stage.bars,
    keyRow({ terminal: screen.terminal, typing: keys.typing }).element,
    status.element,
  );
  return h(
    "section",
    { class: "pane", "aria-label": name, tabindex: -1 },
    bar.element,
    h("div", { class: "pane-body" }, main, side.element),
  );
}

/** The contents of a pane, which know nothing about its frame. @returns {any} */
function innerParts(name) {
  const settings = ofEndpoint(name);
  const link = connect(name);
  const notices = noticePlace();
  const paused = store(null); // or { waiting }: scrolling is paused
  const screen = makeScreen({
    settings,
    label: `Terminal of ${name}`,
    answering: () => link.mayWrite(),
  });
  const flow = makeFlow({
    link,
    screen,
    paused,
    onPauseEnd: (text) => (paused.set(null), notices.show(text, { key: "paused", for: 8 })),
  });
  /** @type {any} */
  const parts = { name, settings, link, notices, paused, screen, flow };
  const act = (op) => (op === "again" ? parts.trouble.signIn() : actOnLease(link, op, notices));
  parts.chip = leaseChip(link.state, act);
  const failed = (error) => notices.show(error.message, { kind: "warn", for: 10 });
  parts.trouble = card(link, { act, failed });
  parts.find = findBar({ search: screen.search, terminal: screen.terminal });
  parts.ctx = context({ link, screen, settings, notices, flow, reveal: (id) => parts.reveal(id) });
  parts.keys = keyboard({
    link,
    screen,
    settings,
    notices,
    flow,
    refused: parts.trouble.typed,
    sendFile: () => parts.reveal("transfer"),
  });
  parts.stage = makeStage({ name, screen, ctx: parts.ctx, tools, settings });
  parts.stage.element.append(parts.trouble.element);
  return parts;
}

function paneSide({ name, link, notices, settings, keys, ctx, screen }, { pane: element, shown }) {
  const line = () => linePanel({ link, notices, settings, sendBreak: keys.sendBreak, announce });
  return makeSide({
    label: `Settings and tools of ${name}`,
    panels: [
      { id: "line", label: "Line", icon: "settings", mount: line },
      {
        id: "terminal",
        label: "Terminal",
        icon: "terminal",
        mount: () => displayPanel({ settings }),
      },
      ...tools
        .filter(({ place }) => place === "panel")
        .map((tool) => ({ ...tool, mount: () => tool.mount(ctx) })),
    ],
    settings,
    pane: element,
    shown,
    leave: () => screen.terminal.focus(),
  });
}

/**
 * What the pane's buttons and keys do. Search, pause and clear belong to the view that is shown.
 */
function paneActions({ screen, stage, find, paused, keys, chip }, { side, close, leave }) {
  return {
    find: () => (stage.shown()?.find ?? find.open)(),
    pause: () =>
      (stage.shown()?.pause ?? (() => paused.set(paused.value ? null : { waiting: 0 })))(),
    clear: () => (screen.clear(), stage.clear(), announce("Cleared")),
    side: () => side.toggle(),
    // By a key: into the side, past the terminal, which keeps Tab; from there the key closes it.
    toSide: () =>
      side.isOpen && !side.element.contains(document.activeElement) ? side.focus() : side.toggle(),
    copy: () =>
      copy(screen.terminal).then((done) => announce(done ? "Copied" : "Nothing is selected")),
    paste: () => keys.pasteFromClipboard(),
    break: keys.sendBreak,
    lease: () => chip.choose(),
    leave,
    close,
  };
}

function followState({ element, link, screen }) {
  return link.state.on(({ phase, role }) => {
    element.dataset.phase = phase;
    element.classList.toggle("read-only", phase === "up" && role === "observer");
    screen.terminal.options.cursorStyle = role === "writer" ? "block" : "underline";
  });
}

/**
 * What the list knows and the line's own connection does not say: its title, and how it is shared.
 */
function followDirectory({ name, link, bar }) {
  return directory.on((endpoints) => {
    const entry = endpoints.get(name);
    bar.describe(entry?.title, kindName(entry?.kind));
    const { endpoint } = link.state.value;
    if (entry?.share && endpoint && endpoint.share !== entry.share)
      link.state.patch({ endpoint: { ...endpoint, share: entry.share } });
  });
}
