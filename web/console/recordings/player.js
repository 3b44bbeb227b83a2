// Plays a recording in a terminal of the console: pause, speed, any moment, and what was noted
// (signals, settings, who wrote) below.

import "@xterm/xterm/css/xterm.css";
import { Terminal } from "@xterm/xterm";

import { openDialog } from "../dialog.js";
import { h, say } from "../dom.js";
import { FONT, colours } from "../terminal/look.js";
import { guard } from "../terminal/guard.js";
import { theme } from "../theme.js";
import { before, between, readCast } from "./cast.js";
import { clockwork } from "./clockwork.js";

const SPEEDS = [1, 2, 4, 8, 16];
/** Pauses are shortened to this, in ms, unless they are wanted. */
const IDLE = 2000;

const clock = (ms) => {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
};

/** Opens the player for a cast's text. */
export function openPlayer(title, text) {
  let cast = readCast(text, IDLE);
  let shown = 0; // events that are on the screen
  const terminal = replay(cast);
  const parts = controls();
  const { play, slider, where, speed, pauses, note } = parts;
  const time = clockwork({ moved, ended: () => say(play, "Play again") });

  /** Shows what has happened until then; returns when the next thing does. */
  function moved(at) {
    const count = before(cast.events, at);
    if (count < shown) {
      terminal.reset();
      shown = 0;
    }
    const news = between(cast.events, shown, count);
    shown = count;
    if (news.output) terminal.write(news.output);
    if (news.note) say(note, news.note);
    slider.value = String(Math.round(at));
    say(where, `${clock(at)} / ${clock(cast.length)}`);
    return cast.events[count]?.at ?? cast.length;
  }

  /** Reads it, with all its pauses or without; it goes on at the same event. */
  function load() {
    const done = shown;
    cast = readCast(text, pauses.checked ? Infinity : IDLE);
    slider.max = String(Math.ceil(cast.length));
    time.load(cast.length, done > 0 ? cast.events[done - 1].at : 0);
  }

  function toggle() {
    if (time.runs()) (time.stop(), say(play, "Play"));
    else (time.run(), say(play, "Pause"));
  }

  play.addEventListener("click", toggle);
  slider.addEventListener("input", () => {
    time.seek(Number(slider.value));
    if (!time.runs()) say(play, "Play");
  });
  speed.addEventListener("change", () => time.speed(Number(speed.value)));
  pauses.addEventListener("change", load);
  const dialog = openDialog({ title, body: parts.body, wide: true, class: "player" });
  terminal.open(parts.place);
  terminal.textarea?.setAttribute("aria-label", "What the device said");
  dialog.closed.then(() => (time.stop(), terminal.dispose()));
  load();
  play.focus();
  toggle();
}

/** A terminal that only shows: what a device once said is trusted no more than what it says now. */
function replay({ cols, rows }) {
  const terminal = new Terminal({
    cols,
    rows,
    disableStdin: true,
    convertEol: true,
    scrollback: 5000,
    fontFamily: FONT,
    fontSize: 13,
    theme: colours(theme.value),
    minimumContrastRatio: 4.5,
  });
  guard(terminal, () => false);
  return terminal;
}

function controls() {
  const place = h("div", { class: "player-screen" });
  const note = h("p", { class: "note player-note", role: "status" });
  const where = h("span", { class: "mono" });
  const slider = h("input", { type: "range", min: 0, step: 1, value: 0, "aria-label": "Moment" });
  const play = h("button", { type: "button", class: "primary" }, "Play");
  const speed = h(
    "select",
    { "aria-label": "Speed" },
    SPEEDS.map((times) => h("option", { value: times }, `${times}×`)),
  );
  const pauses = h("input", { type: "checkbox" });
  const all = h("label", { class: "check" }, pauses, "All pauses");
  const bar = h("div", { class: "player-bar" }, play, slider, where, speed, all);
  return { place, note, where, slider, play, speed, pauses, body: [place, note, bar] };
}
