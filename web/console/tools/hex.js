// The hex view: both directions with times, a row for each 16 bytes (8 where there is less room),
// with search and copying.

import { h, iconButton } from "../dom.js";
import { InputError, parseHex, parseText, toHex } from "./escapes.js";
import { check, input, select, status } from "./fields.js";
import { HexList } from "./hexlist.js";
import { describeModbus } from "./modbus.js";
import { seen } from "./seen.js";

/** Rows copied at once: the clipboard is no place for more. */
const COPY_LIMIT = 4096;

export function hexView(ctx) {
  const { traffic, leave } = seen(ctx);
  const { settings } = ctx;
  const tell = status();
  const modbus = check("Modbus RTU", {
    settings,
    key: "hex.modbus",
    onchange: () => list.redraw(true),
  });
  const pause = iconButton("pause", "Pause scrolling", {
    "aria-pressed": "false",
    onclick: () => (list.follow = !list.follow),
  });
  const list = new HexList({
    traffic,
    name: ctx.name,
    note: (run) => modbus.control.checked && describeModbus(run.data.subarray(0, run.length)),
    followed: (value) => pause.setAttribute("aria-pressed", String(!value)),
  });
  const search = searchFields({ settings, list, tell });
  const copied = (kind) => () => copy({ list, tell, decode: ctx.decode, kind });
  const gap = select(
    "New line after",
    [
      [5, "5 ms"],
      [10, "10 ms"],
      [20, "20 ms"],
      [50, "50 ms"],
      [100, "100 ms"],
      [500, "0.5 s"],
    ],
    {
      otherwise: settings.get("hex.gap", 20),
      onchange: (value) => settings.set("hex.gap", Number(value)),
    },
  );
  const options = h(
    "div",
    { class: "tool-row tool-hex-options" },
    gap.element,
    modbus.element,
    h("button", { type: "button", onclick: copied("hex") }, "Copy hex"),
    h("button", { type: "button", onclick: copied("text") }, "Copy text"),
  );
  const more = iconButton("settings", "Options of the hex view", {
    class: "icon-button tool-hex-more",
    "aria-expanded": "false",
    onclick: () => unfold(!element.classList.contains("unfolded")),
  });
  const element = h(
    "section",
    { class: "tool-hex", "aria-label": "Hex view" },
    h(
      "div",
      { class: "tool-hex-bar" },
      h(
        "div",
        { class: "tool-row tool-hex-search" },
        search.elements,
        pause,
        iconButton("clear", "Clear", { onclick: clear }),
        more,
      ),
      options,
      tell.element,
    ),
    list.empty,
    list.element,
  );

  /** In a narrow pane what is seldom needed is a row that is asked for. */
  function unfold(value) {
    element.classList.toggle("unfolded", value);
    more.setAttribute("aria-expanded", String(value));
  }

  function clear() {
    traffic.clear();
    list.unpick();
    tell.say("");
  }

  list.element.addEventListener("copy", (event) => {
    if (list.cursor === null || !getSelection().isCollapsed) return;
    event.clipboardData.setData(
      "text/plain",
      asText(list.chosen(COPY_LIMIT).list, "hex", ctx.decode),
    );
    event.preventDefault();
  });

  return {
    element,
    label: "Hex view",
    find: search.focus,
    pause: () => pause.click(),
    clear,
    shown: (value) => list.show(value),
    dispose() {
      list.dispose();
      leave();
    },
  };
}

/** What is searched for and in which form, and the two ways to go: { elements, focus() }. */
function searchFields({ settings, list, tell }) {
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

const asText = (list, kind, decode) =>
  list
    .map(({ bytes }) => (kind === "hex" ? toHex(bytes) : decode(bytes)))
    .join(kind === "hex" ? "\n" : "");

async function copy({ list, tell, decode, kind }) {
  const { list: chosen, count } = list.chosen(COPY_LIMIT);
  if (chosen.length === 0) return tell.say("Choose rows first: click one, and another with Shift.");
  try {
    await navigator.clipboard.writeText(asText(chosen, kind, decode));
    const cut = count > chosen.length ? `, the first of them: ${COPY_LIMIT} at most` : "";
    tell.say(`${chosen.length} ${chosen.length === 1 ? "row" : "rows"} copied${cut}.`);
  } catch {
    tell.say("The browser does not let this page copy; press Ctrl C in the rows.", true);
  }
}
