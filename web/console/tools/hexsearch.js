// The hex view's search: for bytes or text, from the chosen row on, and once around.

import { iconButton } from "../dom.js";
import { InputError, parseHex, parseText } from "./escapes.js";
import { input, select } from "./fields.js";

/** What to search for, in which form, and in which of the two directions: { elements, focus() }. */
export function searchFields({ settings, list, tell }) {
  const mode = select(
    "Search for",
    [
      ["hex", "hex"],
      ["text", "text"],
    ],
    { settings, key: "hex.search" },
  );
  const wanted = input("", {
    type: "search",
    placeholder: "0D 0A",
    "aria-label": "Bytes to search for",
  });
  const go = (backwards) =>
    find({
      list,
      tell,
      backwards,
      parse: mode.control.value === "hex" ? parseHex : parseText,
      text: wanted.control.value,
    });
  wanted.control.addEventListener("keydown", (event) => {
    if (event.key === "Enter") go(event.shiftKey);
  });
  return {
    elements: [
      mode.element,
      wanted.element,
      iconButton("down", "Search forwards", { onclick: () => go(false) }),
      iconButton("down", "Search backwards", {
        class: "icon-button upward",
        onclick: () => go(true),
      }),
    ],
    focus: () => wanted.control.focus(),
  };
}

function find({ list, tell, backwards, parse, text }) {
  const { rows, cursor } = list;
  let pattern;
  try {
    pattern = parse(text);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return tell.say(error.message, true);
  }
  if (pattern.length === 0) return tell.say("Type what to search for.");
  const { count } = rows;
  const from = cursor === null ? (backwards ? count : 0) : cursor - rows.top + (backwards ? 0 : 1);
  let found = rows.find(pattern, from, backwards);
  const around = found < 0;
  if (around) found = rows.find(pattern, backwards ? count : 0, backwards);
  if (found < 0) return tell.say("Not found.");
  list.pick(rows.top + found, false);
  list.reveal(list.cursor);
  tell.say(`Found in row ${found + 1} of ${count}${around ? ", from the other end" : ""}.`);
}
