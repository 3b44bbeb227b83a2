// The controls that tools are made of: labelled, and remembered in the pane's settings if they have
// a key.

import { h } from "../dom.js";

/**
 * @typedef {{ settings?: any, key?: string, otherwise?: any, onchange?: (value: any) => void }}
 * Remembered `key`: under which it is kept
 */

/**
 * A choice: options as [[value, label], ...]. @param {string} label @param {any[]} options @param
 * {Remembered} [how]
 */
export function select(
  label,
  options,
  { settings, key, otherwise = options[0][0], onchange } = {},
) {
  const control = h(
    "select",
    {},
    options.map(([value, text]) => h("option", { value }, text)),
  );
  return remembered(label, control, { settings, key, otherwise, onchange, property: "value" });
}

/**
 * A box for text or a number. @param {string} label @param {object} attributes @param {Remembered}
 * [how]
 */
export function input(label, attributes, { settings, key, otherwise = "", onchange } = {}) {
  return remembered(
    label,
    h("input", {
      type: "text",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      ...attributes,
    }),
    {
      settings,
      key,
      otherwise,
      onchange,
      property: "value",
    },
  );
}

function remembered(label, control, { settings, key, otherwise, onchange, property }) {
  control[property] = key ? settings.get(key, otherwise) : otherwise;
  // A remembered choice that no longer exists.
  if (control.tagName === "SELECT" && control.selectedIndex < 0) control.value = otherwise;
  control.addEventListener("change", () => {
    if (key) settings.set(key, control[property]);
    onchange?.(control[property]);
  });
  return { element: h("label", { class: "field" }, label, control), control };
}

/** A switch. @param {string} label @param {Remembered} [how] */
export function check(label, { settings, key, otherwise = false, onchange } = {}) {
  const control = h("input", {
    type: "checkbox",
    checked: key ? settings.get(key, otherwise) : otherwise,
  });
  control.addEventListener("change", () => {
    if (key) settings.set(key, control.checked);
    onchange?.(control.checked);
  });
  return { element: h("label", { class: "toggle" }, control, h("span", {}, label)), control };
}

export const button = (label, onclick, attributes) =>
  h("button", { type: "button", onclick, ...attributes }, label);

/** A line that reports what happened, also to screen readers. `bad`: an error. */
export function status() {
  const element = h("p", { class: "tool-status", role: "status" });
  return {
    element,
    say(text, bad = false) {
      element.textContent = text;
      element.classList.toggle("bad", bad);
    },
  };
}

/**
 * Lets a person choose files. @param {{ multiple?: boolean, accept?: string }} [how] @returns
 * {Promise<File[]>} none when they change their mind
 */
export function chooseFiles({ multiple = false, accept } = {}) {
  return new Promise((resolve) => {
    const chooser = h("input", { type: "file", multiple, accept, hidden: true });
    const done = () => {
      chooser.remove();
      resolve([...chooser.files]);
    };
    chooser.addEventListener("change", done);
    chooser.addEventListener("cancel", done);
    document.body.append(chooser);
    chooser.click();
  });
}

/** Why this page cannot write now, or "" if it can. */
export function whyNot(ctx) {
  if (ctx.mayWrite()) return "";
  const { phase, device, role, rights, held } = ctx.state();
  if (phase === "lost") return "The connection is lost; it comes back by itself.";
  if (phase !== "up") return "Not connected.";
  if (role === "observer" && held) return `Read only: ${held}.`;
  if (role === "observer")
    return rights?.includes("write")
      ? "Read only: somebody else writes. Ask for the line above."
      : "Read only: you may not write here.";
  if (device !== "up") return "The device is not there.";
  return "Nothing can be sent now.";
}
