// Why there is no line, and what helps: shown in the place of a terminal that could not be opened.

import { h, icon } from "../dom.js";

const WORDS = {
  busy: ["In use", "This endpoint serves one session at a time, and somebody has it."],
  denied: ["Not allowed", "You have no right to open this endpoint. Whoever runs the gateway can give it."],
  4400: ["Protocol error", "Page and gateway did not understand each other. Reload the page: it may be older than the gateway."],
  4401: ["Signed out", "The login has ended. Sign in again to go on."],
  4403: ["Not allowed", "You have no right to this endpoint, or it was taken away."],
  4404: ["Not there", "There is no such endpoint, or it was removed from the configuration."],
  4409: ["In use", "This endpoint serves one session at a time, and somebody has it."],
  4410: ["Gone on elsewhere", "This session was resumed on another connection."],
  4412: ["Ended by an administrator", "Somebody who runs the gateway ended this session."],
  4429: ["Too many connections", "The gateway or this endpoint has as many sessions as it may. Close one, or wait a while."],
  4440: ["Idle", "Nothing came or went for as long as the endpoint allows, so the session ended."],
  4450: ["Device not reachable", "The gateway could not open the device. It says why below."],
  1000: ["Ended", "The device's side ended the connection."],
  1011: ["Broken", "The device's side or the gateway had an error."],
};

/** The card for `trouble` { code, reason, help? }; `again()` tries once more. */
export function troubleCard({ name, trouble, again }) {
  const [title, text] = WORDS[trouble.code] ?? ["No connection", "The line could not be opened."];
  const reason = trouble.reason && !text.startsWith(trouble.reason) ? trouble.reason : "";
  const help = trouble.help;
  return h(
    "div",
    { class: "trouble", role: "alert" },
    icon("plug"),
    h("h3", {}, help?.title ?? title),
    h("p", {}, help?.text ?? text),
    help?.steps?.length && h("ol", {}, help.steps.map((step) => h("li", {}, step))),
    reason && h("p", { class: "mono breakable reason" }, reason),
    h("button", { type: "button", class: "primary", onclick: again, "aria-label": `Try ${name} again` }, "Try again"),
  );
}
