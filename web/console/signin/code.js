// The second step of a sign-in, for users with a second factor: the code of an app, or a recovery
// code.

import { h, say } from "../dom.js";

const APP = {
  name: "Code of your authenticator app",
  other: "Use a recovery code",
  attributes: { inputmode: "numeric", autocomplete: "one-time-code", maxlength: "7" },
};
const RECOVERY = {
  name: "Recovery code",
  other: "Use the app's code",
  attributes: { inputmode: "text", autocomplete: "off", maxlength: "40" },
};

/**
 * The step, hidden at first: { element, ways, shown, code, show(), hide(), wrong() }, of which `ways`
 * are the buttons to another one. `back` is what the second of them does.
 * @param {{ back: () => void }} does
 */
export function codeStep({ back }) {
  // While it is hidden nobody has to fill it in.
  const input = h("input", {
    name: "code",
    required: true,
    disabled: true,
    autocapitalize: "none",
    spellcheck: "false",
  });
  const name = h("span");
  const other = h("button", { type: "button", onclick: change });
  const element = h("label", { class: "field", hidden: true }, name, input);
  const ways = h(
    "div",
    { class: "ways", hidden: true },
    other,
    h("button", { type: "button", onclick: back }, "Back"),
  );
  let kind;
  become(APP);

  function become(next) {
    kind = next;
    say(name, kind.name);
    say(other, kind.other);
    for (const [key, value] of Object.entries(kind.attributes)) input.setAttribute(key, value);
    input.value = "";
  }

  function change() {
    become(kind === APP ? RECOVERY : APP);
    input.focus();
  }

  return {
    element,
    ways,
    get shown() {
      return !element.hidden;
    },
    get code() {
      return input.value.trim();
    },
    show() {
      become(APP);
      element.hidden = ways.hidden = input.disabled = false;
      input.focus();
    },
    hide: () => (element.hidden = ways.hidden = input.disabled = true),
    wrong: () => input.select(),
  };
}
