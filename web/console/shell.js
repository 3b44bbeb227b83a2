// The frame of the page: bar, list, workspace; and the page's own actions.

import { advice, isEmpty } from "./advice.js";
import { announce } from "./announce.js";
import { openDialog, openMenu } from "./dialog.js";
import { directory } from "./directory.js";
import { h, icon, iconButton, say } from "./dom.js";
import { openHelp } from "./help/help.js";
import { endpointList } from "./list.js";
import { notices as noticePlace } from "./notices.js";
import { page } from "./prefs.js";
import { go, route } from "./route.js";
import { session, signOut } from "./session.js";
import { installShortcuts } from "./shortcuts.js";
import { brand, plain } from "./signin.js";
import { undoing } from "./store.js";
import { choice } from "./theme.js";
import { workspace as makeWorkspace } from "./workspace.js";

const THEMES = [
  ["system", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
];

/** The page of somebody who is signed in: { element, focus(), reconnect(), dispose() }. */
export function shell() {
  const undo = undoing();
  const notices = noticePlace();
  const list = endpointList({
    chosen: () => openDrawer(false),
    failed: (text) => notices.show(text, { kind: "bad" }),
  });
  const none = advice();
  const choose = h(
    "div",
    { class: "choose" },
    icon("plug"),
    h("p", {}, "Choose a line to open its terminal."),
    h(
      "p",
      { class: "note" },
      "The + beside a line opens it next to the others. Ctrl Shift H shows all keys.",
    ),
  );
  const empty = h("div", { class: "empty" }, choose, none.element);
  const workspace = makeWorkspace({ empty });
  const host = h("span", { class: "bar-host" });
  const user = h(
    "button",
    {
      type: "button",
      class: "bar-button",
      "aria-haspopup": "menu",
      "aria-expanded": "false",
      onclick: () => userMenu(),
    },
    icon("user"),
    h("span", { class: "bar-label" }),
  );
  const look = iconButton("system", "Colours", {
    class: "icon-button bar-wide",
    "aria-haspopup": "menu",
    "aria-expanded": "false",
    onclick: () => lookMenu(),
  });
  const toggle = iconButton("list", "List of lines", {
    class: "icon-button list-toggle",
    "aria-controls": "list",
    "aria-expanded": "true",
    onclick: () => toggleList(),
  });
  const bar = h(
    "header",
    { class: "bar" },
    toggle,
    h("a", { class: "home", href: "#/", title: "Close all lines" }, brand("h1")),
    host,
    workspace.tabs,
    h("span", { class: "bar-space" }),
    look,
    iconButton("help", "Help (Ctrl Shift H)", { class: "icon-button bar-wide", onclick: openHelp }),
    user,
  );
  const element = h(
    "div",
    { class: "shell" },
    h("a", { class: "skip", href: "#main", onclick: skip }, "To the terminal"),
    bar,
    list.element,
    h("div", { class: "center" }, notices.element, workspace.element),
    h("div", { class: "scrim", onclick: () => openDrawer(false) }),
  );

  function skip(event) {
    event.preventDefault();
    const pane = workspace.current();
    if (pane) pane.focus();
    else workspace.element.focus();
  }

  /** On a phone the list is a page of its own, elsewhere a side that can be folded away. */
  const narrow = matchMedia("(max-width: 759px)");
  function openDrawer(value) {
    element.classList.toggle("drawer", value && narrow.matches);
    showToggle();
  }

  function toggleList() {
    if (narrow.matches) openDrawer(!element.classList.contains("drawer"));
    else page.set("list", !page.get("list", true));
    applyList();
    if (toggle.getAttribute("aria-expanded") === "true") list.focus();
  }

  function applyList() {
    element.classList.toggle("folded", !page.get("list", true));
    showToggle();
  }

  function showToggle() {
    const open = narrow.matches
      ? element.classList.contains("drawer") || route.value.names.length === 0
      : page.get("list", true);
    toggle.setAttribute("aria-expanded", String(open));
  }

  const themes = () =>
    THEMES.map(([value, label]) => ({
      label,
      checked: choice.value === value,
      run: () => (choice.set(value), announce(`Colours: ${label}`)),
    }));

  function lookMenu() {
    openMenu(look, "Colours", themes());
  }

  function userMenu() {
    const { user: name, kind, version, tls } = session.value;
    const items = [{ label: "About this login", run: () => about({ name, kind, version, tls }) }];
    // A phone's bar is for the lines that are open.
    if (narrow.matches)
      items.push(
        { label: "Help", run: openHelp },
        ...themes().map((item) => ({ ...item, label: `Colours: ${item.label.toLowerCase()}` })),
      );
    if (kind !== "open" && kind !== "certificate")
      items.push({
        label: "Sign out",
        run: () =>
          signOut().catch((error) =>
            notices.show(`Not signed out: ${error.message}`, { kind: "bad" }),
          ),
      });
    openMenu(user, "Login", items);
  }

  function about({ name, kind, version, tls }) {
    const { administrator, host: machine, expires_in: left } = session.value;
    const row = (label, value) => value && h("div", {}, h("dt", {}, label), h("dd", {}, value));
    openDialog({
      title: "About this login",
      body: h(
        "dl",
        { class: "facts" },
        row("User", kind === "open" ? "nobody: this gateway asks for no login" : name),
        row(
          "Signed in by",
          { user: "password", token: "token", certificate: "client certificate" }[kind],
        ),
        row("Administrator", administrator ? "yes" : ""),
        row("Ends", left ? `${Math.round(left / 60)} min after the last use` : ""),
        row("Gateway", [machine, version && `wsbridge ${version}`].filter(Boolean).join(", ")),
        row("Encrypted", tls === false ? "no: plain HTTP" : "yes, by TLS"),
      ),
    });
  }

  const actions = {
    help: openHelp,
    list: () => {
      if (narrow.matches) openDrawer(true);
      else if (!page.get("list", true)) toggleList();
      list.focus();
    },
    next: () => workspace.step(1),
    previous: () => workspace.step(-1),
  };

  undo.add(
    installShortcuts((action) => {
      const run = actions[action] ?? workspace.current()?.actions[action];
      return run ? (run(), true) : false;
    }),
    session.on(({ user: name, kind, host: machine }) => {
      say(user.querySelector(".bar-label"), kind === "open" ? "no login" : (name ?? ""));
      user.setAttribute(
        "aria-label",
        kind === "open" ? "No login needed" : `Signed in as ${name ?? ""}`,
      );
      say(host, machine ?? location.host);
    }),
    none.dispose,
    directory.on(() => (choose.hidden = isEmpty())),
    choice.on((value) =>
      look.replaceChildren(icon({ system: "system", light: "sun", dark: "moon" }[value])),
    ),
    route.on(({ names, bare }) => {
      element.classList.toggle("bare", bare);
      element.classList.toggle("none-open", names.length === 0);
      if (names.length === 0) openDrawer(false);
      showToggle();
    }),
  );
  undo.listen(narrow, "change", () => (openDrawer(false), applyList()));
  applyList();
  if (plain())
    notices.show(
      "This page came over plain HTTP: whoever is on the way can read and change what passes.",
      { kind: "warn", key: "plain" },
    );

  return {
    element,
    focus: () => (workspace.current() ?? list).focus(),
    reconnect: () => workspace.reconnect(),
    home: () => go([]),
    dispose() {
      undo.undo();
      list.dispose();
      workspace.dispose();
    },
  };
}
