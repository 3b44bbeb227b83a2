// The frame of the page: bar, list, workspace; and the page's own actions.

import { isEmpty } from "./advice.js";
import { directory } from "./directory.js";
import { h } from "./dom.js";
import { fleetShown } from "./fleet/way.js";
import { openHelp } from "./help/help.js";
import { endpointList } from "./list.js";
import { notices as noticePlace } from "./notices.js";
import { go, route } from "./route.js";
import { bar as makeBar } from "./shell/bar.js";
import { NARROW, drawer as makeDrawer } from "./shell/drawer.js";
import { nothingOpen } from "./shell/nothing.js";
import { session } from "./session.js";
import { installShortcuts } from "./shortcuts.js";
import { plain } from "./signin.js";
import { undoing } from "./store.js";
import { watchAuthority } from "./trust.js";
import { workspace as makeWorkspace } from "./workspace.js";

/** The page of somebody who is signed in: { element, focus(), reconnect(), dispose() }. */
export function shell() {
  const undo = undoing();
  const notices = noticePlace();
  const failed = (text) => notices.show(text, { kind: "bad" });
  const list = endpointList({ chosen: () => drawer.close(), failed });
  const drawer = makeDrawer({ shell: () => element, focus: list.focus });
  const empty = nothingOpen();
  const workspace = makeWorkspace({ empty: empty.element });
  const bar = makeBar({ toggle: drawer.toggle, tabs: workspace.tabs, narrow: NARROW, failed });
  const element = h(
    "div",
    { class: "shell" },
    h("a", { class: "skip", href: "#main", onclick: skip }, "To the terminal"),
    bar.element,
    list.element,
    h("div", { class: "center" }, notices.element, workspace.element),
    h("div", { class: "scrim", onclick: drawer.close }),
  );

  function skip(event) {
    event.preventDefault();
    if (workspace.current()) workspace.current().focus();
    else if (!empty.focus()) workspace.element.focus();
  }

  /** A hub that has no lines of its own needs no list of them. */
  function showFleet(shown) {
    element.classList.toggle("in-fleet", shown);
    element.classList.toggle("only-fleet", shown && isEmpty() && !session.value.apps?.length);
  }

  const actions = {
    help: openHelp,
    list: drawer.open,
    next: () => workspace.step(1),
    previous: () => workspace.step(-1),
  };
  undo.add(
    installShortcuts((action) => {
      const run = actions[action] ?? workspace.current()?.actions[action];
      return run ? (run(), true) : false;
    }),
    watchAuthority(notices),
    route.on(({ names, bare }) => {
      element.classList.toggle("bare", bare);
      element.classList.toggle("none-open", names.length === 0);
    }),
    fleetShown.on(showFleet),
    directory.on(() => showFleet(fleetShown.value)),
  );
  drawer.start();
  if (plain())
    notices.show(
      "This page came over plain HTTP: whoever is on the way can read and change what passes.",
      { kind: "warn", key: "plain" },
    );

  return {
    element,
    focus: () => {
      if (workspace.current()) workspace.current().focus();
      else if (!empty.focus()) list.focus();
    },
    reconnect: () => workspace.reconnect(),
    home: () => go([]),
    dispose() {
      undo.undo();
      for (const part of [drawer, bar, empty, list, workspace]) part.dispose();
    },
  };
}
