// The gateway's window that a page of another origin opens: it says who asks, for which lines, and
// whether the user lets that page in. Its answer goes to exactly the origin that asked, and to
// nobody else.

import "../css/base.css";
import "../css/shell.css";
import "./grant.css";

import { h } from "../dom.js";
import { ask, refresh, session } from "../session.js";
import { brand, signInPage } from "../signin.js";
import { installTheme } from "../theme.js";
import { question } from "./question.js";

const place = h("div", { class: "place" });
/** The window that opened this one; we listen to no other. */
const asker = window.opener;
let asked; // { origin, endpoints }, the first by the browser's word, the second by the page's
let signIn;

addEventListener("message", ({ source, origin, data }) => {
  if (!asker || source !== asker || asked || data?.type !== "wsbridge.ask") return;
  const endpoints = Array.isArray(data.endpoints) ? data.endpoints.map(String) : [];
  asked = { origin, endpoints };
  show();
});

/** To the page that asked, if it is still there. */
const answer = (message) => asker?.postMessage(message, asked.origin);

function show() {
  signIn?.dispose();
  signIn = undefined;
  if (!asker)
    say(
      "Nothing to decide",
      "This window is for tools that ask for lines of this gateway, and none has opened it.",
    );
  else if (!asked) say("Let a page in", "Waiting for the page that opened this window…");
  else if (asked.origin === "null")
    say(
      "Not possible",
      "The page that opened this window has no origin, so nobody could tell which one it is.",
    );
  else if (session.value.phase === "in") void decide();
  else if (session.value.phase === "out") showSignIn();
  else if (session.value.phase === "unreachable") say("No gateway", session.value.reason);
}

function showSignIn() {
  const page = signInPage();
  signIn = page;
  const who = h(
    "div",
    { class: "asks" },
    h("span", { class: "asker" }, asked.origin),
    h(
      "p",
      { class: "note" },
      "asks for lines of this gateway. It sees no password; you decide after the sign-in.",
    ),
  );
  page.element.querySelector("h1").after(who);
  place.replaceChildren(page.element);
  page.focus();
}

async function decide() {
  let lines;
  try {
    const { endpoints } = await ask("/api/endpoints");
    lines = endpoints.filter(({ rights }) => rights.includes("read"));
  } catch (error) {
    return say("Not possible", error.message);
  }
  const { user, kind } = session.value;
  const who = kind === "open" ? undefined : user;
  const view = question({ ...asked, lines, who, allow, deny });
  place.replaceChildren(frame(view.element));
  view.focus();
}

async function allow(endpoints) {
  const { ticket } = await ask("/api/ticket", { origin: asked.origin, endpoints });
  answer({ type: "wsbridge.granted", ticket });
  close();
}

function deny() {
  answer({ type: "wsbridge.denied" });
  close();
}

const frame = (...content) =>
  h(
    "main",
    { class: "signin", id: "main" },
    h("div", { class: "signin-card grant" }, brand("h1"), ...content),
  );

function say(title, text) {
  place.replaceChildren(frame(h("h2", {}, title), h("p", {}, text)));
}

installTheme();
document.body.append(place);
session.on(show);
refresh();
// This says only that the window is listening, so whoever opened it may hear it.
asker?.postMessage({ type: "wsbridge.ready" }, "*");
