// Sending again and again, with a pause in between.

import { button, whyNot } from "./fields.js";
import { pause } from "./macros.js";

/** Not faster than this, in ms. */
export const SHORTEST = 10;

/**
 * Sends `content()` again and again, until it is stopped or no longer allowed: { button, runs,
 * stop() }.
 */
export function repeat({ ctx, tell, content, every, began }) {
  let again = null;
  const toggle = button("Repeat", () => (again ? stop() : start()), { "aria-pressed": "false" });

  async function start() {
    const ms = every();
    if (!(ms >= SHORTEST)) return tell.say(`The interval is ${SHORTEST} ms or more.`, true);
    let bytes;
    try {
      bytes = content();
    } catch (error) {
      return tell.say(error.message, true);
    }
    if (bytes.length === 0) return tell.say("Nothing to send.");
    began();
    again = new AbortController();
    const { signal } = again;
    toggle.setAttribute("aria-pressed", "true");
    tell.say("Sending again and again.");
    const { count, ended } = await run(bytes, ms, signal);
    if (again?.signal === signal) again = null;
    toggle.setAttribute("aria-pressed", "false");
    tell.say(`Sent ${count} times. ${ended}`, ended !== "");
  }

  async function run(bytes, ms, signal) {
    let count = 0;
    for (
      let next = performance.now();
      !signal.aborted;
      next = Math.max(next + ms, performance.now())
    ) {
      await pause(next - performance.now(), signal);
      if (signal.aborted) break;
      const reason = whyNot(ctx);
      if (reason) return { count, ended: reason };
      try {
        await ctx.write(bytes);
        count += 1;
      } catch (error) {
        return { count, ended: error.message };
      }
    }
    return { count, ended: "" };
  }

  function stop() {
    again?.abort();
    again = null;
  }

  return {
    button: toggle,
    stop,
    get runs() {
      return again !== null;
    },
  };
}
