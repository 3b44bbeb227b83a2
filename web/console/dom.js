// Makes elements. This page has no other way to make any: text is always text, so nothing that a
// device or a configuration says ever becomes markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * h("button", { class: "quiet", onclick, "aria-label": "Close" }, icon("close")): an element with
 * its attributes and children.
 */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) attribute(element, name, value);
  fill(element, children);
  return element;
}

function attribute(element, name, value) {
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (
    name === "value" ||
    name === "checked" ||
    name === "disabled" ||
    name === "hidden" ||
    name === "indeterminate"
  )
    element[name] = value;
  else if (value === true) element.setAttribute(name, "");
  else if (value !== false && value !== null && value !== undefined)
    element.setAttribute(name, String(value));
}

/**
 * Appends `children` (nodes, texts, arrays of them; null and false are nothing) to `element`.
 */
export function fill(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

/**
 * Sets the text of an element, and leaves it alone if it is the same: screen readers announce only
 * changes.
 */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** An icon by name: decoration, hidden from screen readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name] ?? "");
  svg.append(path);
  return svg;
}

/** A button with just an icon; `label` is its name and its tooltip. */
export function iconButton(name, label, attributes) {
  return h(
    "button",
    { type: "button", class: "icon-button", "aria-label": label, title: label, ...attributes },
    icon(name),
  );
}

// Strokes on a 16 by 16 grid.
const ICONS = {
  add: "M8 3v10M3 8h10",
  apps: "M2.5 2.5h4v4h-4zM9.5 2.5h4v4h-4zM2.5 9.5h4v4h-4zM9.5 9.5h4v4h-4z",
  back: "M10 3L5 8l5 5",
  bolt: "M9 1.5L3.5 9H8l-1 5.5L12.5 7H8z",
  check: "M3 8.500L6.500 12 13 4.500",
  chip: "M4.5 4.5h7v7h-7zM6.5 1.5v3M9.5 1.5v3M6.5 11.5v3M9.5 11.5v3M1.5 6.5h3M1.5 9.5h3M11.5 6.5h3M11.5 9.5h3",
  clear: "M2.5 4.5h11M6 4.5v-2h4v2M4 4.5l.7 9h6.6l.7-9M6.7 7v4M9.3 7v4",
  clock: "M8 2a6 6 0 100 12A6 6 0 008 2zM8 4.5V8l2.5 1.5",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M5.5 5.5h8v8h-8zM10.500 5.5v-3h-8v8h3",
  down: "M4 6l4 4 4-4",
  external: "M9 2.500h4.500V7M13.500 2.500L8 8M11.500 9.500v4h-9v-9h4",
  eye: "M1.500 8S4 3.500 8 3.500 14.500 8 14.500 8 12 12.500 8 12.500 1.500 8 1.500 8zM8 6a2 2 0 100 4 2 2 0 000-4z",
  file: "M4 1.500h5L12.500 5v9.500H4zM9 1.500V5h3.500",
  fleet: "M2.500 2.500h11v4h-11zM2.500 9.500h11v4h-11zM5 4.500h.2M5 11.500h.2",
  help: "M8 2a6 6 0 100 12A6 6 0 008 2zM6.200 6.200a1.900 1.900 0 113 1.700C8.400 8.400 8 8.800 8 9.500M8 11.300v.4",
  hex: "M2 3.500h3.500v3.500H2zM2 9.500h3.500V13H2zM8 3.500h6M8 7h4M8 9.500h6M8 13h4",
  info: "M8 2a6 6 0 100 12A6 6 0 008 2zM8 7.300V11M8 5v.3",
  list: "M5.500 4h8M5.500 8h8M5.500 12h8M2.500 4h.2M2.500 8h.2M2.500 12h.2",
  lock: "M4 7.500h8v6H4zM5.500 7.500v-2a2.500 2.500 0 015 0v2",
  macro: "M2.500 2.500h11v11h-11zM6.500 5.500v5l4-2.500z",
  more: "M2.500 8h1M7.500 8h1M12.500 8h1",
  moon: "M13 9.500A5.500 5.500 0 016.500 3a5.500 5.500 0 106.500 6.500z",
  next: "M6 3l5 5-5 5",
  pause: "M5.500 3.500v9M10.500 3.500v9",
  pen: "M3 13l.7-3L10.500 3.200l2.300 2.300L6 12.300zM9 4.700L11.300 7",
  play: "M5 3l8 5-8 5z",
  plot: "M2.500 2v11.500H14M5 10.500l3-4 2.500 2.500 3.500-5.500",
  plug: "M6 1.500v4M10 1.500v4M4 5.500h8v2a4 4 0 01-8 0zM8 11.500v3",
  search: "M7 2.500a4.500 4.500 0 100 9 4.500 4.500 0 000-9zM10.300 10.300L14 14",
  send: "M14 2L7 9M14 2L9.500 14 7 9 2 6.500z",
  settings:
    "M2.500 4.500h6M12 4.500h1.500M2.500 11.500H4M7.500 11.500h6M8.500 3v3h3.500V3zM4 10v3h3.500v-3z",
  side: "M2.500 3h11v10h-11zM10 3v10",
  signout: "M9.500 2.500h-6v11h6M7 8h7M11.500 5.500L14 8l-2.500 2.500",
  sun: "M8 5.200a2.800 2.800 0 100 5.600 2.800 2.800 0 000-5.600zM8 1.500v1.200M8 13.300v1.200M1.500 8h1.200M13.300 8h1.200M3.400 3.400l.8.8M11.800 11.800l.8.8M12.600 3.400l-.8.8M4.200 11.800l-.8.8",
  system: "M2 3h12v8H2zM6 14h4M8 11v3",
  terminal: "M1.500 2.500h13v11h-13zM4 6l2.500 2L4 10M8.500 10.500h3.500",
  text: "M2.500 13L8 2.500 13.500 13M4.700 9h6.600",
  transfer: "M5 13V3M2.500 5.500L5 3l2.500 2.500M11 3v10M8.500 10.500L11 13l2.500-2.500",
  user: "M8 2.500a2.800 2.800 0 100 5.600 2.800 2.800 0 000-5.600zM2.800 13.500c.6-2.700 2.700-4 5.200-4s4.600 1.300 5.200 4",
  warn: "M8 2L1.500 13.500h13zM8 6.500v3.300M8 11.500v.3",
};
