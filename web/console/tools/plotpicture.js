// The plot's picture: the curves, and which part of the time is shown.

import "uplot/dist/uPlot.min.css";
import { theme } from "../theme.js";
import { chart } from "./chart.js";

/** The shortest time between two drawings, in ms: more would not be noticed, but cost. */
const EVERY = 100;

/**
 * { remake(), show(visible), pause(), follow(), dispose() }. `span()` is the chosen length;
 * `changed({ paused, zoomed })` and `told()` are told what was drawn.
 */
export function plotPicture({ ctx, data, host, legend, empty, span, changed, told }) {
  let paused = null; // the range that is frozen: [from, to]
  let visible = false;
  let timer;
  let drawn = -1;
  const names = () => [...data.curves.keys()];
  const charts = chartKeeper({ ctx, host, legend, zoomed: (from, to) => stand([from, to], true) });
  const watch = new ResizeObserver(charts.resize);
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
    if (!charts.isOf(list)) {
      remake();
      await charts.make(list);
    }
    if (!charts.isOf(names())) return;
    if (charts.show(data.columns(), range())) say(list);
  }

  function remake() {
    charts.drop();
    drawn = -1;
    legend.draw([], theme.value);
  }

  function say(list) {
    const values = list.map((name) => `${name} ${data.last(name) ?? ""}`);
    host.setAttribute("aria-label", `Curves of ${ctx.name}: ${values.join(", ")}`);
    legend.say((name) => data.last(name));
    told();
  }

  /** From now on this range of what has come so far is shown: later numbers do not move it. */
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

/**
 * Keeps the chart for the current curves: { isOf(names), make(names), show(), resize(), drop() }.
 */
function chartKeeper({ ctx, host, legend, zoomed }) {
  let made = null;
  let madeOf = "";
  return {
    isOf: (names) => madeOf === names.join("\n"),
    async make(names) {
      const wanted = names.join("\n");
      madeOf = wanted;
      legend.draw(names, theme.value);
      try {
        const one = await chart({
          host,
          names,
          theme: theme.value,
          hidden: legend.isHidden,
          zoomed,
        });
        // Another curve came meanwhile, or the view is gone.
        if (madeOf !== wanted) return one.dispose();
        made = one;
        made.resize();
      } catch (error) {
        ctx.notice(`The plot did not come: ${error.message}`, { kind: "warn", key: "plot" });
      }
    },
    /** Whether there is a chart; if so, it now shows `columns`. */
    show(columns, range) {
      made?.show(columns, range);
      return made !== null;
    },
    resize: () => made?.resize(),
    drop() {
      made?.dispose();
      made = null;
      madeOf = "";
    },
  };
}
