// The hex view: both directions with times, one row for each 16 bytes (8 if there is less room),
// with search and copying.

import { h, iconButton } from "../dom.js";
import { toHex } from "./escapes.js";
import { button, check, select, status } from "./fields.js";
import { HexList } from "./hexlist.js";
import { searchFields } from "./hexsearch.js";
import { describeModbus } from "./modbus.js";
import { seen } from "./seen.js";

/** The most rows copied in one go: the clipboard is no place for more. */
const COPY_LIMIT = 4096;

/** Silence after which a new line begins, in ms. */
const GAPS = [
  [5, "5 ms"],
  [10, "10 ms"],
  [20, "20 ms"],
  [50, "50 ms"],
  [100, "100 ms"],
  [500, "0.5 s"],
];

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
  const options = optionRow({
    settings,
    modbus,
    copied: (kind) => copy({ list, tell, ctx, kind }),
  });
  const bar = h("div", { class: "tool-row tool-hex-search" }, search.elements, pause);
  const element = h(
    "section",
    { class: "tool-hex", "aria-label": "Hex view" },
    h("div", { class: "tool-hex-bar" }, bar, options, tell.element),
    list.empty,
    list.element,
  );
  bar.append(iconButton("clear", "Clear", { onclick: clear }), unfolder(element));
  list.element.addEventListener("copy", (event) => copyRows(event, { list, ctx }));

  function clear() {
    traffic.clear();
    list.unpick();
    tell.say("");
  }

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

/** Rarely needed options: when a line begins, how it is interpreted, and copying. */
function optionRow({ settings, modbus, copied }) {
  const gap = select("New line after", GAPS, {
    otherwise: settings.get("hex.gap", 20),
    onchange: (value) => settings.set("hex.gap", Number(value)),
  });
  return h(
    "div",
    { class: "tool-row tool-hex-options" },
    gap.element,
    modbus.element,
    button("Copy hex", () => copied("hex")),
    button("Copy text", () => copied("text")),
  );
}

/** In a narrow pane the options are a row that has to be opened. */
function unfolder(element) {
  const more = iconButton("settings", "Options of the hex view", {
    class: "icon-button tool-hex-more",
    "aria-expanded": "false",
    onclick() {
      const shown = element.classList.toggle("unfolded");
      more.setAttribute("aria-expanded", String(shown));
    },
  });
  return more;
}

const asText = (list, kind, decode) =>
  list
    .map(({ bytes }) => (kind === "hex" ? toHex(bytes) : decode(bytes)))
    .join(kind === "hex" ? "\n" : "");

/** The browser's own copying: copies rows if no text is selected. */
function copyRows(event, { list, ctx }) {
  if (list.cursor === null || !getSelection().isCollapsed) return;
  const text = asText(list.chosen(COPY_LIMIT).list, "hex", ctx.decode);
  event.clipboardData.setData("text/plain", text);
  event.preventDefault();
}

async function copy({ list, tell, ctx, kind }) {
  const { list: chosen, count } = list.chosen(COPY_LIMIT);
  if (chosen.length === 0) return tell.say("Choose rows first: click one, and another with Shift.");
  try {
    await navigator.clipboard.writeText(asText(chosen, kind, ctx.decode));
    const cut = count > chosen.length ? `, the first of them: ${COPY_LIMIT} at most` : "";
    tell.say(`${chosen.length} ${chosen.length === 1 ? "row" : "rows"} copied${cut}.`);
  } catch {
    tell.say("The browser does not let this page copy; press Ctrl C in the rows.", true);
  }
}
