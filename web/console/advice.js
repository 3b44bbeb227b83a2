// What somebody reads who is signed in but has no line: what to do about it, or whom to ask.

import { directory, directoryKnown } from "./directory.js";
import { h, icon } from "./dom.js";
import { session } from "./session.js";
import { undoing } from "./store.js";

/** Whether the gateway has said that there is no line for this user. */
export const isEmpty = () => directoryKnown() && directory.value.size === 0;

/**
 * The card that is shown instead of lines: { element, dispose() }. It is hidden while there are
 * any, or while that is not known yet.
 */
export function advice() {
  const undo = undoing();
  const element = h("section", { class: "advice", hidden: true, "aria-label": "No lines" });
  let shown; // for whom

  function show() {
    element.hidden = !isEmpty();
    if (element.hidden) return;
    const { kind, administrator, user } = session.value;
    const setsUp = kind === "open" || administrator === true;
    if (shown === `${setsUp} ${user}`) return;
    shown = `${setsUp} ${user}`;
    element.replaceChildren(...(setsUp ? forWhoSetsUp() : forWhoAsks(user)));
  }

  undo.add(directory.on(show), session.on(show));
  return { element, dispose: () => undo.undo() };
}

const title = (text) => h("div", { class: "advice-title" }, icon("plug"), h("h2", {}, text));

/** A command to type, and what it does. */
const command = (text, what) =>
  h("li", {}, h("code", { class: "command" }, text), h("span", {}, what));

function forWhoSetsUp() {
  return [
    title("This gateway has no line yet"),
    h("p", {}, "Add one on the gateway's own machine; it appears here by itself."),
    h(
      "ul",
      {},
      command(
        "sudo wsbridge add",
        "asks which serial port or TCP address it is, and does the rest",
      ),
      command("sudo wsbridge ports", "shows the serial ports there are"),
      command(
        "wsbridge demo",
        "is a gateway with simulated devices, to try things out; it keeps nothing",
      ),
    ),
    h(
      "p",
      { class: "note" },
      "More: ",
      h("code", {}, "man wsbridge"),
      ", or ",
      h("code", {}, "guide.md"),
      " in the documentation that comes with wsbridge (",
      h("code", {}, "/usr/share/doc/wsbridge"),
      " on Debian).",
    ),
  ];
}

function forWhoAsks(user) {
  return [
    title("There is no line for you"),
    h(
      "p",
      {},
      "You are signed in",
      user ? [" as ", h("b", {}, user)] : null,
      ", but have no right to a line of this gateway.",
    ),
    h(
      "p",
      {},
      "Ask whoever runs it: rights to lines are given by roles. They count at once, without a new sign-in.",
    ),
  ];
}
