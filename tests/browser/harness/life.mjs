// What was started and has to be stopped, and waiting for a condition.

const running = new Set();

/** Remembers something with an async `stop()`; returns it. */
export function started(thing) {
  running.add(thing);
  return thing;
}

/** Notes that it has been stopped. */
export function stopped(thing) {
  running.delete(thing);
}

/** Stops everything that still runs, the youngest first. */
export async function stopAll() {
  for (const thing of [...running].reverse()) {
    running.delete(thing);
    await thing.stop();
  }
}

/**
 * Asks until the answer is truthy, and gives it; after `ms` the last answer or error is in the
 * failure.
 */
export async function eventually(ask, what = "it", ms = 15000) {
  const end = performance.now() + ms;
  let last;
  for (;;) {
    try {
      last = await ask();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end)
      throw new Error(
        `${what} did not happen in ${ms} ms; last: ${last?.stack ?? JSON.stringify(last)}`,
      );
    await new Promise((done) => setTimeout(done, 20));
  }
}
