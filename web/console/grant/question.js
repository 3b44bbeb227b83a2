// The question: may this page use these lines?

import { h, say } from "../dom.js";

/**
 * How long the window must have been visible before it accepts a click, in ms: a page may open it
 * under a finger that is about to press.
 */
const SEEN = 600;

/**
 * { element, focus() }. `lines` are those that the user may read, `endpoints` the names that the
 * page asks for (none: the user chooses).
 */
export function question({ origin, endpoints, lines, who, allow, deny }) {
  const boxes = lines
    .filter(({ name }) => endpoints.length === 0 || endpoints.includes(name))
    .map((line) => box(line, endpoints.includes(line.name) || lines.length === 1));
  const missing = endpoints.filter((name) => !lines.some((line) => line.name === name));
  const problem = h("p", { class: "problem", role: "alert" });
  const yes = h("button", { type: "submit", class: "primary", disabled: true }, "Allow");
  const no = h("button", { type: "button", onclick: deny }, "Deny");
  let seen = false;

  const chosen = () => boxes.filter(({ input }) => input.checked).map(({ name }) => name);
  const show = () => (yes.disabled = !seen || chosen().length === 0);

  async function submit(event) {
    event.preventDefault();
    yes.disabled = true;
    try {
      await allow(chosen());
    } catch (error) {
      say(problem, `The gateway refused: ${error.message}`);
    }
  }

  const element = h(
    "form",
    { class: "grant", onsubmit: submit, onchange: show },
    h("h2", {}, "Let this page use lines?"),
    h("p", { class: "asker" }, origin),
    h(
      "p",
      {},
      `It asks for lines of ${location.host}. It may do with them what you may`,
      who ? [" (", h("b", {}, who), ")"] : null,
      ", until you sign out, 12 hours at most.",
    ),
    boxes.length > 0
      ? h(
          "fieldset",
          {},
          h("legend", {}, endpoints.length > 0 ? "It wants" : "Which"),
          boxes.map(({ element: one }) => one),
        )
      : h("p", {}, "None of the lines it wants is yours to use."),
    missing.length > 0 &&
      boxes.length > 0 &&
      h("p", { class: "note" }, `Not yours to use: ${missing.join(", ")}`),
    h("p", { class: "note" }, "Allow it only if you opened that page yourself and know it."),
    problem,
    h("div", { class: "grant-actions" }, no, yes),
  );
  const ready = () => setTimeout(() => ((seen = true), show()), SEEN);
  if (document.visibilityState === "visible") ready();
  else document.addEventListener("visibilitychange", ready, { once: true });
  return { element, focus: () => no.focus() };
}

function box({ name, title, kind }, checked) {
  const input = h("input", { type: "checkbox", checked });
  const about = [title ? name : null, kind].filter(Boolean).join(" · ");
  return {
    name,
    input,
    element: h(
      "label",
      { class: "check" },
      input,
      h("span", {}, title ?? name, " ", h("small", {}, about)),
    ),
  };
}
