// The card in the middle of a pane: why the line cannot be used, in front of whichever view is
// shown.

import { access } from "../access.js";
import { announce } from "../announce.js";
import { directory, directoryKnown } from "../directory.js";
import { h, icon, say } from "../dom.js";
import { moment, span } from "../format.js";
import { explain } from "../help/explain.js";
import { session } from "../session.js";
import { canAgain } from "../signin/stale.js";
import { undoing } from "../store.js";
import { again as signingAgain } from "./again.js";
import { condition } from "./condition.js";

/** How often the times in it are updated. */
const EVERY = 1000;

/**
 * The card of `link`'s pane: { element, typed(send), signIn(), dispose() }. `act(op)` asks for the
 * right to write, or takes it; `failed(error)` hears why that was refused.
 */
export function card(link, { act, failed }) {
  const undo = undoing();
  const again = signingAgain(link, { failed, changed: () => show() });
  const parts = cardParts(again.element);
  const { element } = parts;
  let now = null; // the condition shown
  let hidden = ""; // what the user has put away
  let typed = false; // somebody who may not write tried to
  let explained; // the trouble that has been looked into
  let timer;

  parts.retry.addEventListener("click", () => link.start());
  parts.hide.addEventListener("click", () => {
    if (now?.kind === "held") typed = false;
    else hidden = identity(now);
    show();
  });
  for (const op of ["request", "take"]) parts[op].addEventListener("click", () => act(op));
  parts.retry.setAttribute("aria-label", `Try again now: ${link.name}`);

  function show() {
    const known = directoryKnown();
    now = condition(link.state.value, {
      listed: !known || directory.value.has(link.name),
      typed,
      once: access.bearer !== undefined,
      again: canAgain(session.value),
      signing: again.open,
    });
    if (!now) hidden = "";
    if (now?.kind !== "held") typed = false;
    const seen = now !== null && identity(now) !== hidden;
    const fresh = seen && element.hidden;
    element.hidden = !seen;
    again.show(seen && now.again === true);
    clearTimeout(timer);
    if (!seen) return;
    fillCard(parts, now);
    // Only the title is read out: figures that keep counting would never end.
    if (fresh) announce([now.title, now.reason].filter(Boolean).join(": "), true);
    if (now.since || now.retryAt) timer = setTimeout(show, EVERY);
    lookInto(link.state.value.trouble);
  }

  /** It takes a question or two to find out why a page cannot reach its gateway. */
  async function lookInto(trouble) {
    if (
      now.kind !== "closed" ||
      trouble === explained ||
      typeof trouble.code === "number" ||
      trouble.help
    )
      return;
    if (trouble.code !== undefined && trouble.code !== "unreachable") return;
    explained = trouble;
    const help = await explain(link.name);
    if (help && link.state.value.trouble === trouble)
      link.state.patch({ trouble: { ...trouble, help } });
  }

  undo.add(link.state.on(show), directory.on(show), again.dispose, () => clearTimeout(timer));
  return {
    element,
    /** Somebody who may not write types: they are told where they look. `send` does it later. */
    typed(send) {
      typed = true;
      show();
      if (again.open) again.keep(send);
    },
    /** Somebody wants to sign in again. */
    signIn() {
      typed = true;
      show();
      again.focus();
    },
    dispose: () => undo.undo(),
  };
}

/** What a user who dismisses a card does not want to see again: this kind of card, not the next. */
const identity = ({ kind, title }) => `${kind} ${title}`;

function cardParts(again) {
  const title = h("h3", {});
  const text = h("p", {});
  const steps = h("ol", {});
  const reason = h("p", { class: "mono reason" });
  const when = h("p", { class: "note when" });
  const retry = h("button", { type: "button", class: "primary" }, "Try again now");
  const request = h("button", { type: "button", class: "primary" });
  const take = h("button", { type: "button" }, "Take over");
  const hide = h("button", { type: "button" });
  const actions = h("div", { class: "trouble-actions" }, retry, request, take, hide);
  const picture = h("span", { class: "trouble-icon" }, icon("plug"));
  const box = h(
    "div",
    { class: "trouble" },
    h("div", { class: "trouble-title" }, picture, title),
    reason,
    text,
    steps,
    again,
    when,
    actions,
  );
  return {
    element: h("div", { class: "trouble-place", hidden: true }, box),
    box,
    picture,
    title,
    text,
    steps,
    reason,
    when,
    retry,
    request,
    take,
    hide,
  };
}

function fillCard(parts, { kind, title, text, steps = [], reason, since, retryAt, can }) {
  const held = kind === "held";
  if (parts.box.classList.toggle("held", held) !== (parts.picture.dataset.icon === "pen")) {
    parts.picture.dataset.icon = held ? "pen" : "plug";
    parts.picture.replaceChildren(icon(parts.picture.dataset.icon));
  }
  say(parts.title, title);
  say(parts.text, text);
  say(parts.reason, reason);
  parts.reason.hidden = !reason;
  parts.steps.hidden = steps.length === 0;
  if (steps.join() !== [...parts.steps.children].map((one) => one.textContent).join())
    parts.steps.replaceChildren(...steps.map((step) => h("li", {}, step)));
  const left = retryAt ? Math.max(0, retryAt - Date.now()) : 0;
  const times = [
    since && `since ${moment(since)} (${span(Math.max(0, Date.now() - since))})`,
    retryAt && (left > 0 ? `next try in ${span(left)}` : "trying now"),
  ];
  say(parts.when, times.filter(Boolean).join(" · "));
  parts.when.hidden = parts.when.textContent === "";
  for (const action of ["retry", "request", "take", "hide"])
    parts[action].hidden = !can.includes(action);
  say(parts.hide, held ? "Go on reading" : "Show what came before");
  say(parts.take, can.includes("request") ? "Take over" : "Write here");
  say(parts.request, since ? "Ask to write" : "Write");
}
