// Modal questions, in the browser's own <dialog>: it keeps the focus inside and returns it.

import { h, icon, iconButton } from "./dom.js";

let count = 0;

/**
 * Opens a dialog with `title` and `body`; returns { element, close(), closed: Promise<value> }.
 * Escape closes it with undefined.
 */
export function openDialog({ title, body, wide = false, class: extra = "" }) {
  const id = `dialog-${(count += 1)}`;
  let value;
  const element = h(
    "dialog",
    { class: `dialog ${wide ? "wide" : ""} ${extra}`, "aria-labelledby": id },
    h(
      "header",
      { class: "dialog-head" },
      h("h2", { id }, title),
      iconButton("close", "Close", { onclick: () => close() }),
    ),
    h("div", { class: "dialog-body" }, body),
  );
  const close = (result) => {
    value = result;
    element.close();
  };
  const closed = new Promise((resolve) => {
    element.addEventListener("close", () => {
      element.remove();
      resolve(value);
    });
  });
  // A click on the backdrop hits the dialog itself, outside its box.
  element.addEventListener("pointerdown", (event) => {
    if (event.target !== element) return;
    const box = element.getBoundingClientRect();
    const inside =
      event.clientX >= box.left &&
      event.clientX <= box.right &&
      event.clientY >= box.top &&
      event.clientY <= box.bottom;
    if (!inside) close();
  });
  document.body.append(element);
  element.showModal();
  return { element, close, closed };
}

/**
 * Asks yes or no. The safe answer has the focus if the other cannot be undone.
 * @param {{ title: string, text?: string, body?: any, ok?: string, cancel?: string, danger?:
 *   boolean }} question
 */
export async function confirm({ title, text, body, ok = "OK", cancel = "Cancel", danger = false }) {
  const yes = h(
    "button",
    { type: "button", class: danger ? "danger" : "primary", onclick: () => dialog.close(true) },
    ok,
  );
  const no = h("button", { type: "button", onclick: () => dialog.close(false) }, cancel);
  const dialog = openDialog({
    title,
    body: [text && h("p", {}, text), body, h("div", { class: "dialog-actions" }, no, yes)],
  });
  (danger ? no : yes).focus();
  return (await dialog.closed) === true;
}

/**
 * A menu under `anchor`: a list of { label, run, checked?, disabled? }. Arrow keys move, Escape
 * closes.
 */
export function openMenu(anchor, label, items) {
  const close = () => {
    menu.remove();
    anchor.setAttribute("aria-expanded", "false");
    removeEventListener("pointerdown", outside, true);
    removeEventListener("resize", close);
  };
  const outside = (event) => {
    if (!menu.contains(event.target) && !anchor.contains(event.target)) close();
  };
  const buttons = items.map((item) =>
    h(
      "button",
      {
        type: "button",
        role: item.checked === undefined ? "menuitem" : "menuitemradio",
        "aria-checked": item.checked === undefined ? undefined : String(item.checked),
        disabled: item.disabled ?? false,
        tabindex: -1,
        onclick: () => {
          close();
          anchor.focus();
          item.run();
        },
      },
      h("span", { class: "menu-label" }, item.label),
      item.checked && icon("check"),
    ),
  );
  // In the part of the page that it belongs to, and above everything there.
  const menu = h(
    "div",
    { class: "menu", role: "menu", "aria-label": label, popover: "manual" },
    buttons,
  );
  menu.addEventListener("keydown", (event) => {
    const usable = buttons.filter((button) => !button.disabled);
    const at = usable.indexOf(document.activeElement);
    const step = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: usable.length - 1 }[event.key];
    if (step !== undefined) usable[(step + usable.length) % usable.length]?.focus();
    else if (event.key === "Escape" || event.key === "Tab") (close(), anchor.focus());
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const box = anchor.getBoundingClientRect();
  (anchor.closest(".pane, header, nav, main") ?? document.body).append(menu);
  menu.showPopover?.();
  const left = Math.min(box.left, innerWidth - menu.offsetWidth - 8);
  const below = box.bottom + menu.offsetHeight + 8 < innerHeight;
  menu.style.left = `${Math.max(8, left)}px`;
  menu.style.top = `${below ? box.bottom + 4 : box.top - menu.offsetHeight - 4}px`;
  anchor.setAttribute("aria-expanded", "true");
  addEventListener("pointerdown", outside, true);
  addEventListener("resize", close);
  (
    buttons.find((button) => button.getAttribute("aria-checked") === "true") ??
    buttons.find((button) => !button.disabled)
  )?.focus();
}
