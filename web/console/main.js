// The console: starts the page, and shows the sign-in or the lines, depending on the session.

import "./css/base.css";
import "./css/shell.css";
import "./css/pane.css";
import "./css/fleet.css";
import "./css/phone.css";

import { installAnnouncer } from "./announce.js";
import { startDirectory, stopDirectory } from "./directory.js";
import { h, icon } from "./dom.js";
import { embed, embedded } from "./embed.js";
import { arrival, arrives } from "./lend/arrival.js";
import { refresh, session } from "./session.js";
import { shell as makeShell } from "./shell.js";
import { signInPage } from "./signin.js";
import { cameBack, goOn } from "./signin/elsewhere.js";
import { installTheme } from "./theme.js";

const place = h("div", { class: "place" });
let shell = null; // kept, hidden, while a login that ended is renewed
let owner; // whose it is
let signIn; // the page of that name, while it is shown

function show(now) {
  if (now.phase === "in") showLines(now);
  else if (now.phase === "out") showSignIn(now);
  else if (now.phase === "unreachable") showUnreachable(now);
}

function showLines({ user, kind }) {
  const who = `${kind}:${user}`;
  // What one user saw is not shown to the next.
  if (shell && owner !== who) drop();
  owner = who;
  signIn?.dispose();
  signIn = null;
  if (shell?.element.isConnected && !shell.element.hidden) return;
  if (!shell) {
    shell = makeShell();
    place.replaceChildren(shell.element);
  } else {
    for (const other of [...place.children]) if (other !== shell.element) other.remove();
    shell.element.hidden = false;
    shell.reconnect();
  }
  startDirectory();
  shell.focus();
}

function showSignIn({ ended }) {
  stopDirectory();
  if (shell && !ended) drop();
  if (shell) shell.element.hidden = true;
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  signIn?.dispose();
  const page = signInPage();
  signIn = page;
  place.append(page.element);
  for (const other of [...place.children])
    if (other !== page.element && other !== shell?.element) other.remove();
  page.focus();
}

function drop() {
  shell.dispose();
  shell.element.remove();
  shell = null;
}

function showUnreachable({ reason, status }) {
  const again = h("button", { type: "button", class: "primary", onclick: refresh }, "Try again");
  const text = status
    ? `The gateway refused this page: ${reason}`
    : "The gateway does not answer. Is it running, and is this address still right?";
  place.replaceChildren(
    h(
      "main",
      { class: "signin", id: "main" },
      h(
        "div",
        { class: "signin-card" },
        icon("plug"),
        h("h1", {}, "No gateway"),
        h("p", {}, text),
        again,
      ),
    ),
  );
  again.focus();
}

/**
 * What a soft keyboard leaves of the page, in browsers that do not resize the page but slide it
 * under the keyboard.
 */
function followKeyboard() {
  const { visualViewport: view } = window;
  if (!view) return;
  const apply = () => {
    const zoomed = view.scale > 1.01;
    const { style } = document.documentElement;
    style.setProperty("--visible", zoomed ? "100dvh" : `${view.height}px`);
    style.setProperty("--top", zoomed ? "0" : `${view.offsetTop}px`);
  };
  for (const type of ["resize", "scroll"]) view.addEventListener(type, apply);
  apply();
}

installTheme();
installAnnouncer();
followKeyboard();
document.body.append(place);
if (embedded) embed(place);
else if (cameBack()) place.remove();
else if (arrives()) {
  const page = arrival(begin);
  place.replaceChildren(page.element);
  page.focus();
} else {
  goOn();
  begin();
  refresh();
}

function begin() {
  place.replaceChildren();
  session.on(show);
}
