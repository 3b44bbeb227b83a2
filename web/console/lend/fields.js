// What the views about lending share: lines, rights and times to choose, and a reason.

import { directory } from "../directory.js";
import { h } from "../dom.js";

/** What can be lent, as people are told it. */
export const RIGHTS = [
  ["write", "type and send"],
  ["signals", "move DTR and RTS, break, macros"],
  ["settings", "change speed and frame"],
  ["takeover", "take the line from others"],
  ["recordings", "play recordings"],
];

/** @type {[number, string][]} */
const TIMES = [
  [15 * 60, "15 minutes"],
  [30 * 60, "30 minutes"],
  [3600, "1 hour"],
  [2 * 3600, "2 hours"],
  [4 * 3600, "4 hours"],
  [8 * 3600, "8 hours"],
  [24 * 3600, "1 day"],
  [7 * 24 * 3600, "7 days"],
];

/** A time in words: "2 hours". */
export function lasting(seconds) {
  const known = TIMES.find(([length]) => length === seconds);
  if (known) return known[1];
  if (seconds < 120) return `${seconds} seconds`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} minutes` : `${Math.round(minutes / 6) / 10} hours`;
}

/** Rights in words: "read, type and send". */
export const inWords = (rights) =>
  ["read", ...RIGHTS.filter(([right]) => rights.includes(right)).map(([, words]) => words)].join(
    ", ",
  );

/** The lines for which `fits(endpoint)`. */
export const lines = (fits) => [...directory.value.values()].filter(fits);

/** A line to choose. */
export const lineField = (all, chosen) =>
  h(
    "select",
    { "aria-label": "Line" },
    all.map(({ name, title }) =>
      h(
        "option",
        { value: name, selected: name === chosen },
        title && title !== name ? `${name}: ${title}` : name,
      ),
    ),
  );

/** A time to choose, of at most `most` seconds: { element, seconds() }. */
export function timeField(chosen, most = Infinity) {
  const offered = TIMES.filter(([length]) => length <= most);
  if (Number.isFinite(most) && !offered.some(([length]) => length === most))
    offered.push([most, lasting(most)]);
  const element = h(
    "select",
    { "aria-label": "For how long" },
    offered.map(([length, words]) =>
      h("option", { value: length, selected: length === chosen }, words),
    ),
  );
  return { element, seconds: () => Number(element.value) };
}

/** Rights to choose, of those that `may(right)`: { element, chosen(), offer(may) }. */
export function rightsField() {
  const boxes = RIGHTS.map(([right, words]) => {
    const box = h("input", { type: "checkbox", value: right, checked: right === "write" });
    return { right, box, label: h("label", { class: "check" }, box, words) };
  });
  return {
    element: h(
      "fieldset",
      { class: "lend-rights" },
      h("legend", {}, "Besides reading"),
      boxes.map(({ label }) => label),
    ),
    offer(may) {
      for (const { right, box, label } of boxes) {
        label.hidden = !may(right);
        box.disabled = !may(right);
      }
    },
    chosen: () => [
      "read",
      ...boxes.filter(({ box }) => box.checked && !box.disabled).map(({ right }) => right),
    ],
  };
}

/** A reason to type. */
export const reasonField = () =>
  h("input", { type: "text", required: true, maxlength: 500, size: 40, autocomplete: "off" });

/** A row of a form. */
export const field = (label, control) => h("label", { class: "field lend-field" }, label, control);
