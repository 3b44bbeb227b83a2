// Time in a recording: it runs at a speed, stands still, and goes to any moment.

/** How often the moment is told in a long pause, in ms. */
const EVERY = 250;

/**
 * A clock over { events, length }: `moved(ms)` is called with each new moment and says when the next
 * event comes; `ended()` at the end. Returns { run(), stop(), seek(ms), speed(times), load(cast),
 * dispose() }.
 */
export function clockwork({ moved, ended }) {
  let length = 0;
  let at = 0;
  let rate = 1;
  let began; // when it began to run from `at`
  let timer;

  function now() {
    if (began === undefined) return at;
    return Math.min(length, at + (performance.now() - began) * rate);
  }

  /** From now on it runs from where it is. */
  function settle() {
    at = now();
    if (began !== undefined) began = performance.now();
  }

  function tick() {
    settle();
    const next = moved(at);
    if (at >= length) {
      stop();
      ended();
      return;
    }
    timer = setTimeout(tick, Math.min(EVERY, Math.max(10, (next - at) / rate)));
  }

  function run() {
    if (began !== undefined) return;
    if (at >= length) at = 0;
    began = performance.now();
    tick();
  }

  function stop() {
    at = now();
    began = undefined;
    clearTimeout(timer);
  }

  /** Does something while it stands still. */
  function held(change) {
    const runs = began !== undefined;
    stop();
    change();
    moved(at);
    if (runs) run();
  }

  return {
    run,
    stop,
    runs: () => began !== undefined,
    seek: (ms) => held(() => (at = Math.min(length, ms))),
    speed: (times) => held(() => (rate = times)),
    load: (newLength, moment) => held(() => ((length = newLength), (at = moment))),
  };
}
