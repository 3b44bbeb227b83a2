// The rows of the hex view: drawn only where they are visible, following the newest, chosen with
// pointer and keys.

import { h } from "../dom.js";
import { toAscii, toHex } from "./escapes.js";
import { HexRows } from "./hexrows.js";
import { clock } from "./logtext.js";

const ROW_HEIGHT = 20;
const SPARE = 8;
const MARKS = { in: "<", out: ">", lost: "!" };
const SPOKEN = { in: "received", out: "sent", lost: "lost" };

/**
 * What fits, by the width in px: bytes per row, and the columns that tools.css shows.
 */
const ROOM = [
  { from: 785, bytes: 16, columns: "all" },
  { from: 690, bytes: 16, columns: "no-offset" },
  { from: 530, bytes: 8, columns: "all" },
  { from: 0, bytes: 8, columns: "least" },
];

let lists = 0;

/**
 * The rows over `traffic`. `note(run)` returns what is written after a run, `followed(value)` is
 * told whether the newest is shown.
 */
export class HexList {
  /** @type {import("./traffic.js").Traffic} */
  traffic;
  /** @type {(run: import("./traffic.js").Run) => any} */
  note;
  /** @type {(value: boolean) => void} */
  followed;
  cursor = null; // absolute row numbers, so that dropping rows at the front moves nothing
  anchor = null;
  #follow = true;
  #visible = false;
  #drawn = -1;
  #top = 0;
  #frame = 0;
  #base = `hex-${(lists += 1)}`;

  constructor({ traffic, name, note, followed }) {
    Object.assign(this, { traffic, note, followed });
    this.rows = new HexRows(traffic);
    this.spacer = h("div", { class: "tool-hex-space" });
    this.page = h("div", { class: "tool-hex-page" });
    this.element = h(
      "div",
      {
        class: "tool-hex-rows",
        role: "listbox",
        tabindex: 0,
        "aria-multiselectable": "true",
        "aria-label": `Bytes of ${name}, received and sent`,
      },
      this.spacer,
      this.page,
    );
    this.empty = h(
      "p",
      { class: "note" },
      "Nothing was received or sent since this pane was opened.",
    );
    this.#listen();
    this.watch = new ResizeObserver(
      ([{ contentRect }]) => contentRect.width > 0 && this.#fit(contentRect.width),
    );
    this.watch.observe(this.element);
  }

  get follow() {
    return this.#follow;
  }

  set follow(value) {
    this.#follow = value;
    this.followed(value);
    this.redraw(true);
  }

  show(visible) {
    this.#visible = visible;
    this.redraw(true);
  }

  dispose() {
    this.#visible = false;
    cancelAnimationFrame(this.#frame);
    this.watch.disconnect();
  }

  unpick() {
    this.cursor = this.anchor = null;
    this.redraw(true);
  }

  pick(number, extend) {
    if (this.rows.count === 0) return;
    this.cursor = number;
    if (!extend || this.anchor === null) this.anchor = number;
    if (this.#follow) this.follow = false;
    this.redraw(true);
  }

  reveal(number) {
    const { element } = this;
    const y = (number - this.rows.top) * ROW_HEIGHT;
    if (y < element.scrollTop) element.scrollTop = y;
    else if (y + ROW_HEIGHT > element.scrollTop + element.clientHeight)
      element.scrollTop = y + ROW_HEIGHT - element.clientHeight;
    this.redraw(true);
  }

  /** The chosen rows, at most `most`, first one first; and how many were chosen. */
  chosen(most) {
    if (this.cursor === null) return { list: [], count: 0 };
    const [from, to] = [Math.min(this.cursor, this.anchor), Math.max(this.cursor, this.anchor)].map(
      (number) => number - this.rows.top,
    );
    const list = [];
    for (let index = Math.max(0, from); index <= to && list.length < most; index += 1) {
      const row = this.rows.row(index);
      if (row) list.push(row);
    }
    return { list, count: to - from + 1 };
  }

  /** Draws at the next frame, just once, however much has come. */
  redraw(force = false) {
    if (force) this.#drawn = -1;
    if (!this.#visible || this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      if (!this.#visible) return;
      if (this.#drawn !== this.traffic.version) this.#draw();
      this.redraw();
    });
  }

  #fit(room) {
    const { bytes: width, columns } = ROOM.find(({ from }) => room >= from);
    this.element.dataset.columns = columns;
    if (this.rows.width === width) return;
    // Rows of another length have other numbers, so the selection is no longer valid.
    this.rows = new HexRows(this.traffic, width);
    this.element.dataset.width = String(width);
    this.#top = this.rows.top;
    this.unpick();
  }

  #listen() {
    const { element } = this;
    element.addEventListener("scroll", () => {
      const bottom =
        element.scrollTop + element.clientHeight >= this.spacer.offsetHeight - ROW_HEIGHT;
      if (!bottom && this.#follow && this.#visible && this.#drawn === this.traffic.version)
        this.follow = false;
      this.redraw(true);
    });
    element.addEventListener("pointerdown", (event) => {
      const number = event.target.closest?.("[data-row]")?.dataset.row;
      if (number !== undefined) this.pick(Number(number), event.shiftKey);
    });
    element.addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    const by = {
      ArrowUp: -1,
      ArrowDown: 1,
      PageUp: -20,
      PageDown: 20,
      Home: -Infinity,
      End: Infinity,
    }[event.key];
    if (by !== undefined) {
      event.preventDefault();
      const { top, count } = this.rows;
      const last = top + count - 1;
      const from =
        this.cursor ??
        (by < 0 ? last + 1 : Math.floor(this.element.scrollTop / ROW_HEIGHT) + top - 1);
      this.pick(Math.max(top, Math.min(last, from + by)), event.shiftKey);
      this.reveal(this.cursor);
    } else if (event.key === "Escape" && this.cursor !== null) this.unpick();
  }

  #draw() {
    const { element, rows, page } = this;
    this.#drawn = this.traffic.version;
    const { count } = rows;
    this.empty.hidden = count > 0;
    this.spacer.style.height = `${count * ROW_HEIGHT}px`;
    // Rows dropped at the front must not move what is being read.
    if (!this.#follow && rows.top > this.#top)
      element.scrollTop -= (rows.top - this.#top) * ROW_HEIGHT;
    this.#top = rows.top;
    if (this.#follow) element.scrollTop = count * ROW_HEIGHT;
    const first = Math.max(0, Math.floor(element.scrollTop / ROW_HEIGHT) - SPARE);
    const last = Math.min(
      count,
      Math.ceil((element.scrollTop + element.clientHeight) / ROW_HEIGHT) + SPARE,
    );
    const list = [];
    for (let index = first; index < last; index += 1)
      list.push(this.#row(rows.row(index), index, count));
    page.style.transform = `translateY(${first * ROW_HEIGHT}px)`;
    page.replaceChildren(...list);
    const active = this.cursor !== null && page.querySelector(`[data-row="${this.cursor}"]`);
    if (active) element.setAttribute("aria-activedescendant", active.id);
    else element.removeAttribute("aria-activedescendant");
  }

  #row({ run, offset, bytes, head }, index, count) {
    const number = this.#top + index;
    const { cursor, anchor } = this;
    const chosen =
      cursor !== null && number >= Math.min(cursor, anchor) && number <= Math.max(cursor, anchor);
    const lost = run.direction === "lost";
    const note = head && !lost && this.note(run);
    const time = head && (run.replay ? "earlier" : clock(run.ms));
    const attributes = {
      class: `tool-hex-row ${run.direction}${head ? " head" : ""}${number === cursor ? " cursor" : ""}`,
      role: "option",
      id: `${this.#base}-${number}`,
      "data-row": number,
      "aria-selected": String(chosen),
      "aria-posinset": index + 1,
      "aria-setsize": count,
    };
    return h(
      "div",
      attributes,
      h("span", { class: "tool-hex-time" }, time || ""),
      h(
        "span",
        { class: "tool-hex-delta" },
        head && run.delta !== null && !run.replay ? `+${run.delta}` : "",
      ),
      h(
        "span",
        { class: "tool-hex-mark" },
        h("span", { "aria-hidden": "true" }, MARKS[run.direction]),
        h("span", { class: "unseen" }, SPOKEN[run.direction]),
      ),
      h(
        "span",
        { class: "tool-hex-offset" },
        (run.at + offset).toString(16).toUpperCase().padStart(8, "0"),
      ),
      lost
        ? h("span", { class: "tool-hex-lost" }, `${run.length} bytes were lost`)
        : [
            h("span", { class: "tool-hex-bytes" }, toHex(bytes)),
            h("span", { class: "tool-hex-ascii" }, toAscii(bytes)),
          ],
      note && h("span", { class: "tool-hex-note" }, note),
    );
  }
}
