// Where the plot's numbers come from: the device's lines, both stored ones and new ones.

import { seen } from "./seen.js";

/**
 * Passes the numbers in the device's lines to `data`: those of the past that is stored, and all
 * that come.
 */
export function feed({ ctx, data, reader }) {
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
