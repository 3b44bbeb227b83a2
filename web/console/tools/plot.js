// The plot: numbers in the device's lines as curves over time, with pause, zoom and a download.

import "uplot/dist/uPlot.min.css";
import { h, iconButton } from "../dom.js";
import { theme } from "../theme.js";
import { chart } from "./chart.js";
import { button, select, status } from "./fields.js";
import { NumberReader, WAYS } from "./numbers.js";
import { CURVES, PlotData } from "./plotdata.js";
import { plotLegend } from "./plotlegend.js";
import { seen } from "./seen.js";

const SPANS = [
  ["10", "10 s"],
  ["60", "1 min"],
  ["600", "10 min"],
  ["all", "all"],
];

/** Drawn at most so often, in ms: more is not seen, and costs. */
const EVERY = 100;

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
  const picture = drawing({
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
    told: () =>
      data.refused.size > 0 &&
      tell.say(
        `${CURVES} curves are shown; ${[...data.refused].slice(0, 3).join(", ")} and the like are not.`,
      ),
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

/**
 * Gives the numbers of the device's lines to `data`: those of the past that is kept, and all that
 * come.
 */
function feed({ ctx, data, reader }) {
  const { traffic, leave } = seen(ctx);
  const take = (bytes, ms) => {
    for (const numbers of reader.push(ctx.decode(bytes))) data.add(ms, numbers);
  };
  const off = ctx.onBytes(({ bytes, ms, replay }) => replay || take(bytes, ms));
  return {
    past() {
      for (const run of traffic.runs)
        if (run.direction === "in" && !run.replay) take(run.data.subarray(0, run.length), run.ms);
    },
    dispose() {
      off();
      leave();
    },
  };
}

/** The picture of the curves, and what part of the time it shows. */
function drawing({ ctx, data, host, legend, empty, span, changed, told }) {
  let made = null; // the chart, or the promise of one
  let madeOf = "";
  let paused = null; // the range that stands still: [from, to]
  let visible = false;
  let timer;
  let drawn = -1;
  const names = () => [...data.curves.keys()];
  const watch = new ResizeObserver(() => made?.resize?.());
  const offTheme = theme.on(() => remake());

  /** From and to, in seconds, of what is shown now. */
  function range() {
    if (paused) return paused;
    const to = data.times.at(-1) ?? 0;
    const first = data.times[0] ?? 0;
    const from = span() === "all" ? first : Math.max(first, to - Number(span()));
    return to > from ? [from, to] : [to - 1, to + 1];
  }

  async function draw() {
    drawn = data.version;
    const list = names();
    empty.hidden = list.length > 0;
    host.hidden = list.length === 0;
    if (list.length === 0) return remake();
    if (madeOf !== list.join("\n")) await make(list);
    if (!made?.show || madeOf !== names().join("\n")) return;
    made.show(data.columns(), range());
    say(list);
  }

  async function make(list) {
    remake();
    madeOf = list.join("\n");
    legend.draw(list, theme.value);
    const wanted = madeOf;
    try {
      const one = await chart({
        host,
        names: list,
        theme: theme.value,
        hidden: legend.isHidden,
        zoomed: (from, to) => stand([from, to], true),
      });
      // Another curve came meanwhile, or the view is gone.
      if (madeOf !== wanted) return one.dispose();
      made = one;
      made.resize();
    } catch (error) {
      ctx.notice(`The plot did not come: ${error.message}`, { kind: "warn", key: "plot" });
    }
  }

  function remake() {
    made?.dispose?.();
    made = null;
    madeOf = "";
    drawn = -1;
    legend.draw([], theme.value);
  }

  function say(list) {
    const values = list.map((name) => `${name} ${data.last(name) ?? ""}`);
    host.setAttribute("aria-label", `Curves of ${ctx.name}: ${values.join(", ")}`);
    legend.say((name) => data.last(name));
    told();
  }

  /** From now on this range is shown, of what has come by now: later numbers do not move it. */
  function stand(at, zoomed) {
    paused = at;
    changed({ paused: true, zoomed });
    draw();
  }

  function run() {
    clearInterval(timer);
    if (!visible) return;
    timer = setInterval(
      () => drawn !== data.version && (paused === null || drawn === -1) && draw(),
      EVERY,
    );
    draw();
  }

  return {
    remake,
    show(value) {
      visible = value;
      if (visible) watch.observe(host);
      else watch.disconnect();
      run();
    },
    pause() {
      if (paused) return this.follow();
      stand(range(), false);
    },
    follow() {
      paused = null;
      drawn = -1;
      changed({ paused: false, zoomed: false });
      if (visible) draw();
    },
    dispose() {
      visible = false;
      clearInterval(timer);
      watch.disconnect();
      offTheme();
      remake();
    },
  };
}
