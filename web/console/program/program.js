// The gateway's page that `wsbridge login --browser` opens: which computer asks, and whether the user
// signs it in. The answer goes to a port of this very computer, by script: no form and no redirect
// of ours leads off the gateway.

import "../css/base.css";
import "../css/shell.css";
import "./program.css";

import { h, say } from "../dom.js";
import { ask, refresh, session } from "../session.js";
import { brand, signInPage } from "../signin.js";
import { installTheme } from "../theme.js";

/** How long the page must have been seen before it takes a click, in ms. */
const SEEN = 600;

const place = h("div", { class: "place" });
const wish = read(location.hash);
let signIn;

/** What the program's link says; undefined where it is none. */
function read(hash) {
  const said = new URLSearchParams(hash.slice(1));
  const port = Number(said.get("port"));
  const [state, challenge, program] = ["state", "challenge", "program"].map((name) =>
    said.get(name),
  );
  const fits = Number.isInteger(port) && port > 0 && port < 65536 && state && challenge && program;
  return fits ? { port, state, challenge, program } : undefined;
}

/** Where the program listens, with what it is told. */
const back = (answer) =>
  `http://127.0.0.1:${wish.port}/?state=${encodeURIComponent(wish.state)}&${answer}`;

function show() {
  signIn?.dispose();
  signIn = undefined;
  if (!wish)
    tell("Nothing to decide", "This page is for “wsbridge login --browser”, which opens it.");
  else if (session.value.phase === "out") showSignIn();
  else if (session.value.phase === "unreachable") tell("No gateway", session.value.reason);
  else if (session.value.phase !== "in") return;
  else if (["user", "identity"].includes(session.value.kind) && session.value.expires_in) decide();
  // Its word is for browsers: a program's sign-in would outlive whatever the proxy does about a user.
  else if (["user", "identity"].includes(session.value.kind))
    tell(
      "Not possible here",
      "The proxy in front of the gateway has signed you in, and no program can ask it. Type “wsbridge login” without --browser, or take an API token.",
    );
  else
    tell(
      "Not possible",
      "Only users sign programs in, and this browser is signed in in another way. A program takes an API token.",
    );
}

function showSignIn() {
  const page = signInPage();
  signIn = page;
  const who = h(
    "div",
    { class: "asks" },
    h("span", { class: "asker" }, wish.program),
    h("p", { class: "note" }, "asks to be signed in. You decide after your own sign-in."),
  );
  page.element.querySelector("h1").after(who);
  place.replaceChildren(page.element);
  page.focus();
}

function decide() {
  const problem = h("p", { class: "problem", role: "alert" });
  const yes = h("button", { type: "submit", class: "primary", disabled: true }, "Sign it in");
  const no = h(
    "button",
    { type: "button", onclick: () => location.replace(back("denied")) },
    "Deny",
  );
  const form = h(
    "form",
    { class: "grant", onsubmit: allow },
    h("h2", {}, "Sign this computer in?"),
    h("p", { class: "asker" }, wish.program),
    h(
      "p",
      {},
      "The program wsbridge there asks to use the lines of ",
      h("b", {}, location.host),
      " as you do (",
      h("b", {}, session.value.user),
      "), until it signs out, is not used for long, or you end it.",
    ),
    h(
      "p",
      { class: "note" },
      "Allow it only if you typed “wsbridge login” on this computer just now.",
    ),
    problem,
    h("div", { class: "grant-actions" }, no, yes),
  );

  async function allow(event) {
    event.preventDefault();
    yes.disabled = true;
    try {
      const { program, challenge } = wish;
      const { code } = await ask("/api/logins/code", { program, challenge });
      location.replace(back(`code=${encodeURIComponent(code)}`));
    } catch (error) {
      say(problem, `The gateway refused: ${error.message}`);
      yes.disabled = false;
    }
  }

  place.replaceChildren(frame(form));
  no.focus();
  const ready = () => setTimeout(() => (yes.disabled = false), SEEN);
  if (document.visibilityState === "visible") ready();
  else document.addEventListener("visibilitychange", ready, { once: true });
}

const frame = (...content) =>
  h(
    "main",
    { class: "signin", id: "main" },
    h("div", { class: "signin-card grant" }, brand("h1"), ...content),
  );

function tell(title, text) {
  place.replaceChildren(frame(h("h2", {}, title), h("p", {}, text)));
}

installTheme();
document.body.append(place);
session.on(show);
refresh();
