// The plot: numbers in the device's lines as curves over time, with pause, zoom and a download.

import { h, iconButton } from "../dom.js";
import { button, select, status } from "./fields.js";
import { NumberReader, WAYS } from "./numbers.js";
import { CURVES, PlotData } from "./plotdata.js";
import { feed } from "./plotfeed.js";
import { plotLegend } from "./plotlegend.js";
import { plotPicture } from "./plotpicture.js";

const SPANS = [
  ["10", "10 s"],
  ["60", "1 min"],
  ["600", "10 min"],
  ["all", "all"],
];

export function plotView(ctx) {
  const data = new PlotData();
  const reader = new NumberReader();
  const source = feed({ ctx, data, reader });
  const tell = status();
  const way = select("Numbers", WAYS, {
    settings: ctx.settings,
    key: "plot.way",
    onchange: reread,
  });
  const span = select("Show", SPANS, {
    settings: ctx.settings,
    key: "plot.span",
    otherwise: "60",
    onchange: () => picture.follow(),
  });
  const pause = iconButton("pause", "Pause the plot", {
    "aria-pressed": "false",
    onclick: () => picture.pause(),
  });
  const whole = button("Follow", () => picture.follow(), { hidden: true });
  const host = h("div", { class: "tool-plot-host", role: "img" });
  const legend = plotLegend(() => picture.remake());
  const empty = h(
    "p",
    { class: "note" },
    "No numbers yet. Lines such as temp:23.5 hum:40, or 1,2,3, become curves; drag over them to zoom.",
  );
  const picture = plotPicture({
    ctx,
    data,
    host,
    legend,
    empty,
    span: () => span.control.value,
    changed: ({ paused, zoomed }) => {
      pause.setAttribute("aria-pressed", String(paused));
      whole.hidden = !paused && !zoomed;
    },
    told: () => data.refused.size > 0 && tell.say(tooMany(data.refused)),
  });
  reader.way = way.control.value;

  const element = h(
    "section",
    { class: "tool-plot", "aria-label": "Plot" },
    h(
      "div",
      { class: "tool-row tool-plot-bar" },
      span.element,
      way.element,
      pause,
      whole,
      iconButton("clear", "Clear the plot", { onclick: clear }),
      button("Download CSV", download),
      tell.element,
    ),
    legend.element,
    empty,
    host,
  );

  function clear() {
    data.clear();
    tell.say("");
    picture.follow();
  }

  function reread(value) {
    reader.way = value;
    clear();
    source.past();
  }

  function download() {
    if (data.times.length === 0) return tell.say("There are no numbers yet.");
    ctx.save(`${ctx.name}-plot.csv`, new Blob([data.csv()], { type: "text/csv" }));
    tell.say(`${data.times.length} rows downloaded.`);
  }

  source.past();
  return {
    element,
    label: "Plot",
    pause: () => picture.pause(),
    clear,
    shown: (visible) => picture.show(visible),
    dispose() {
      source.dispose();
      picture.dispose();
    },
  };
}

const tooMany = (refused) =>
  `${CURVES} curves are shown; ${[...refused].slice(0, 3).join(", ")} and the like are not.`;
