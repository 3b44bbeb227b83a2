// The hex view: both directions with times, a row for each 16 bytes, drawn only where it is seen.

import { h, iconButton } from "../dom.js";
import { InputError, parseHex, parseText, toAscii, toHex } from "./escapes.js";
import { check, input, select, status } from "./fields.js";
import { HexRows } from "./hexrows.js";
import { clock } from "./logtext.js";
import { describeModbus } from "./modbus.js";
import { seen } from "./seen.js";

const ROW_HEIGHT = 20;
const SPARE = 8;
const MARKS = { in: "<", out: ">", lost: "!" };
const SPOKEN = { in: "received", out: "sent", lost: "lost" };
/** Rows copied at once: the clipboard is no place for more. */
const COPY_LIMIT = 4096;

let views = 0;

export function hexView(ctx) {
  const { traffic, leave } = seen(ctx);
  const rows = new HexRows(traffic);
  const base = `hex-${(views += 1)}`;
  let visible = false;
  let follow = true;
  let drawn = -1;
  let top = 0;
  let cursor = null; // absolute row numbers, so that what is dropped at the front moves nothing
  let anchor = null;
  let frame = 0;

  const tell = status();
  const modbus = check("Modbus RTU", { settings: ctx.settings, key: "hex.modbus", onchange: () => redraw(true) });
  const gap = select("New line after", [[5, "5 ms"], [10, "10 ms"], [20, "20 ms"], [50, "50 ms"], [100, "100 ms"], [500, "0.5 s"]], {
    otherwise: ctx.settings.get("hex.gap", 20), onchange: (value) => ctx.settings.set("hex.gap", Number(value)),
  });
  const mode = select("Search for", [["hex", "hex"], ["text", "text"]], { settings: ctx.settings, key: "hex.search" });
  const wanted = input("", { type: "search", placeholder: "0D 0A", "aria-label": "Bytes to search for" });
  const pause = iconButton("pause", "Pause scrolling", { "aria-pressed": "false", onclick: () => setFollow(!follow) });
  const spacer = h("div", { class: "tool-hex-space" });
  const page = h("div", { class: "tool-hex-page" });
  const scroller = h("div", {
    class: "tool-hex-rows", role: "listbox", tabindex: 0, "aria-multiselectable": "true", "aria-label": `Bytes of ${ctx.name}, received and sent`,
  }, spacer, page);
  const empty = h("p", { class: "note" }, "Nothing was received or sent since this pane was opened.");
  const element = h("section", { class: "tool-hex", "aria-label": "Hex view" },
    h("div", { class: "tool-row" },
      gap.element, modbus.element, mode.element, wanted.element,
      iconButton("down", "Search forwards", { onclick: () => search(false) }),
      iconButton("search", "Search backwards", { onclick: () => search(true) }),
      pause,
      h("button", { type: "button", onclick: () => copy("hex") }, "Copy hex"),
      h("button", { type: "button", onclick: () => copy("text") }, "Copy text"),
      iconButton("clear", "Clear", { onclick: clear }),
      tell.element),
    empty, scroller);

  wanted.control.addEventListener("keydown", (event) => {
    if (event.key === "Enter") search(event.shiftKey);
  });
  scroller.addEventListener("scroll", () => {
    const bottom = scroller.scrollTop + scroller.clientHeight >= spacer.offsetHeight - ROW_HEIGHT;
    if (!bottom && follow && visible && drawn === traffic.version) setFollow(false);
    redraw(true);
  });
  scroller.addEventListener("pointerdown", (event) => {
    const number = event.target.closest?.("[data-row]")?.dataset.row;
    if (number !== undefined) pick(Number(number), event.shiftKey);
  });
  scroller.addEventListener("keydown", (event) => {
    const by = { ArrowUp: -1, ArrowDown: 1, PageUp: -20, PageDown: 20, Home: -Infinity, End: Infinity }[event.key];
    if (by !== undefined) {
      event.preventDefault();
      const last = rows.top + rows.count - 1;
      const from = cursor ?? (by < 0 ? last + 1 : Math.floor(scroller.scrollTop / ROW_HEIGHT) + rows.top - 1);
      pick(Math.max(rows.top, Math.min(last, from + by)), event.shiftKey);
      reveal(cursor);
    } else if (event.key === "Escape" && cursor !== null) {
      cursor = anchor = null;
      redraw(true);
    }
  });
  scroller.addEventListener("copy", (event) => {
    if (cursor === null || !getSelection().isCollapsed) return;
    event.clipboardData.setData("text/plain", selected("hex").text);
    event.preventDefault();
  });

  function setFollow(value) {
    follow = value;
    pause.setAttribute("aria-pressed", String(!follow));
    redraw(true);
  }

  function clear() {
    traffic.clear();
    cursor = anchor = null;
    tell.say("");
    redraw(true);
  }

  function pick(number, extend) {
    if (rows.count === 0) return;
    cursor = number;
    if (!extend || anchor === null) anchor = number;
    if (follow) setFollow(false);
    redraw(true);
  }

  function reveal(number) {
    const y = (number - rows.top) * ROW_HEIGHT;
    if (y < scroller.scrollTop) scroller.scrollTop = y;
    else if (y + ROW_HEIGHT > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = y + ROW_HEIGHT - scroller.clientHeight;
    redraw(true);
  }

  function search(backwards) {
    let pattern;
    try {
      pattern = (mode.control.value === "hex" ? parseHex : parseText)(wanted.control.value);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      tell.say(error.message, true);
      return;
    }
    if (pattern.length === 0) return tell.say("Type what to search for.");
    const count = rows.count;
    const from = cursor === null ? (backwards ? count : 0) : cursor - rows.top + (backwards ? 0 : 1);
    let found = rows.find(pattern, from, backwards);
    const around = found < 0;
    if (around) found = rows.find(pattern, backwards ? count : 0, backwards);
    if (found < 0) return tell.say("Not found.");
    pick(rows.top + found, false);
    reveal(cursor);
    tell.say(`Found in row ${found + 1} of ${count}${around ? ", from the other end" : ""}.`);
  }

  function selected(kind) {
    if (cursor === null) return { text: "", count: 0 };
    const [from, to] = [Math.min(cursor, anchor), Math.max(cursor, anchor)].map((number) => number - rows.top);
    const lines = [];
    for (let index = Math.max(0, from); index <= to && lines.length < COPY_LIMIT; index += 1) {
      const row = rows.row(index);
      if (row) lines.push(kind === "hex" ? toHex(row.bytes) : ctx.decode(row.bytes));
    }
    return { text: lines.join(kind === "hex" ? "\n" : ""), count: lines.length, cut: to - from + 1 > lines.length };
  }

  async function copy(kind) {
    const { text, count, cut } = selected(kind);
    if (count === 0) return tell.say("Choose rows first: click one, and another with Shift.");
    try {
      await navigator.clipboard.writeText(text);
      tell.say(`${count} ${count === 1 ? "row" : "rows"} copied${cut ? `, the first of them: ${COPY_LIMIT} at most` : ""}.`);
    } catch {
      tell.say("The browser does not let this page copy; press Ctrl C in the rows.", true);
    }
  }

  /** Draws at the next frame, once however much came. */
  function redraw(force = false) {
    if (force) drawn = -1;
    if (!visible || frame) return;
    frame = requestAnimationFrame(() => {
      frame = 0;
      if (!visible) return;
      if (drawn !== traffic.version) draw();
      redraw();
    });
  }

  function draw() {
    drawn = traffic.version;
    const count = rows.count;
    empty.hidden = count > 0;
    spacer.style.height = `${count * ROW_HEIGHT}px`;
    // What was dropped at the front must not move what is read.
    if (!follow && rows.top > top) scroller.scrollTop -= (rows.top - top) * ROW_HEIGHT;
    top = rows.top;
    if (follow) scroller.scrollTop = count * ROW_HEIGHT;
    const first = Math.max(0, Math.floor(scroller.scrollTop / ROW_HEIGHT) - SPARE);
    const last = Math.min(count, Math.ceil((scroller.scrollTop + scroller.clientHeight) / ROW_HEIGHT) + SPARE);
    const list = [];
    for (let index = first; index < last; index += 1) list.push(drawRow(rows.row(index), index, count));
    page.style.transform = `translateY(${first * ROW_HEIGHT}px)`;
    page.replaceChildren(...list);
    const active = cursor !== null && page.querySelector(`[data-row="${cursor}"]`);
    if (active) scroller.setAttribute("aria-activedescendant", active.id);
    else scroller.removeAttribute("aria-activedescendant");
  }

  function drawRow({ run, offset, bytes, head }, index, count) {
    const number = top + index;
    const chosen = cursor !== null && number >= Math.min(cursor, anchor) && number <= Math.max(cursor, anchor);
    const lost = run.direction === "lost";
    const note = head && !lost && modbus.control.checked && describeModbus(run.data.subarray(0, run.length));
    const time = head && (run.replay ? "earlier" : clock(run.ms));
    return h("div", {
      class: `tool-hex-row ${run.direction}${head ? " head" : ""}${number === cursor ? " cursor" : ""}`, role: "option", id: `${base}-${number}`,
      "data-row": number, "aria-selected": String(chosen), "aria-posinset": index + 1, "aria-setsize": count,
    },
    h("span", { class: "tool-hex-time" }, time || ""),
    h("span", { class: "tool-hex-delta" }, head && run.delta !== null && !run.replay ? `+${run.delta}` : ""),
    h("span", { class: "tool-hex-mark" }, h("span", { "aria-hidden": "true" }, MARKS[run.direction]), h("span", { class: "unseen" }, SPOKEN[run.direction])),
    h("span", { class: "tool-hex-offset" }, (run.at + offset).toString(16).toUpperCase().padStart(8, "0")),
    lost ? h("span", { class: "tool-hex-lost" }, `${run.length} bytes were lost`) : [
      h("span", { class: "tool-hex-bytes" }, toHex(bytes)), h("span", { class: "tool-hex-ascii" }, toAscii(bytes)),
    ],
    note && h("span", { class: "tool-hex-note" }, note));
  }

  return {
    element,
    label: "Hex view",
    shown(value) {
      visible = value;
      redraw(true);
    },
    dispose() {
      visible = false;
      cancelAnimationFrame(frame);
      leave();
    },
  };
}
