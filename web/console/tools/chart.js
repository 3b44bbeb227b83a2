// The picture of the curves, drawn by uPlot, which is loaded with the first plot and not with the
// page.

const COLOURS = {
  light: ["#0b5cad", "#b3261e", "#1d7a3e", "#8a5a00", "#7b3fa0", "#0b6b73", "#a33a6d", "#4d5966"],
  dark: ["#6db3ff", "#ff8a80", "#5fd08a", "#f0b95a", "#d79bf2", "#5fd3d8", "#ff9ecb", "#a9b5c1"],
};

/** The colour of the curve with that index. */
export const colour = (theme, at) => COLOURS[theme][at % COLOURS[theme].length];

/**
 * When it is loaded, uPlot formats numbers in the browser's language; WebKit on a Linux without a
 * locale reports one that does not exist, "C".
 */
async function load() {
  try {
    Intl.getCanonicalLocales(navigator.language);
  } catch {
    Object.defineProperty(navigator, "language", { value: "en" });
  }
  return (await import("uplot")).default;
}

const two = (value) => String(value).padStart(2, "0");

/** 14:03:22, with parts of a second if the marks are that close. */
function timeLabels(_, marks, axis, space, step) {
  const digits = Math.min(3, Math.max(0, Math.ceil(-Math.log10(step))));
  return marks.map((seconds) => {
    const date = new Date(seconds * 1000);
    const parts = String(date.getMilliseconds()).padStart(3, "0").slice(0, digits);
    const fine = digits > 0 ? `.${parts}` : "";
    return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}${fine}`;
  });
}

/** An axis is as wide as its longest number, and at least 60 pixels: so most curves stay in place. */
function axisWidth(self, labels) {
  if (!labels) return 60;
  const longest = labels.reduce((most, one) => (one.length > most.length ? one : most), "");
  self.ctx.font = self.axes[1].font[0];
  return Math.max(60, Math.ceil(self.ctx.measureText(longest).width / devicePixelRatio) + 22);
}

/**
 * Draws in `host`: { show(columns, range), resize(), dispose() }. `names` are those of the curves,
 * `hidden(name)` says which are not drawn, `zoomed(from, to)` is called with what the user chose
 * with the pointer, in seconds.
 */
export async function chart({ host, names, theme, hidden, zoomed }) {
  const UPlot = await load();
  const style = getComputedStyle(host);
  const [ink, rule] = ["--soft", "--line"].map((name) => style.getPropertyValue(name).trim());
  const axis = { stroke: ink, grid: { stroke: rule, width: 1 }, ticks: { stroke: rule, width: 1 } };
  let ours = false; // the range is set by us, not by the pointer
  const size = () => ({
    width: Math.max(80, host.clientWidth),
    height: Math.max(60, host.clientHeight),
  });
  const plot = new UPlot(
    {
      ...size(),
      legend: { show: false },
      scales: { x: { time: false } },
      padding: [null, 36, null, null], // half of a time label is beyond the last mark
      axes: [
        { ...axis, values: timeLabels, space: 80 },
        { ...axis, size: axisWidth },
      ],
      series: [
        {},
        ...names.map((name, at) => ({
          label: name,
          stroke: colour(theme, at),
          width: 1.5,
          spanGaps: true,
          show: !hidden(name),
        })),
      ],
      cursor: { drag: { x: true, y: false } },
      hooks: {
        setScale: [
          // Called once uPlot has drawn, since the callee may draw again.
          (self, key) => {
            const { min, max } = self.scales.x;
            if (key === "x" && !ours) queueMicrotask(() => zoomed(min, max));
          },
        ],
      },
    },
    [[], ...names.map(() => [])],
    host,
  );
  return {
    /** `range` is [from, to] in seconds. */
    show(columns, [min, max]) {
      ours = true;
      plot.batch(() => {
        plot.setData(columns, false);
        plot.setScale("x", { min, max });
      });
      // uPlot reports a scale only after it has drawn.
      queueMicrotask(() => (ours = false));
    },
    resize: () => plot.setSize(size()),
    dispose: () => plot.destroy(),
  };
}
