// What a pane has seen, shared by its tools: one Traffic per pane, fed while at least one tool uses
// it.

import { Traffic } from "./traffic.js";

const kept = new WeakMap();

/**
 * The Traffic of a pane's context. @returns {{ traffic: Traffic, onAdd: (listener: (direction:
 * "in"|"out", bytes: Uint8Array, ms: number) => void) => () => void, leave: () => void }}
 */
export function seen(ctx) {
  let own = kept.get(ctx);
  if (!own) {
    own = record(ctx);
    kept.set(ctx, own);
  }
  own.users += 1;
  return {
    traffic: own.traffic,
    onAdd(listener) {
      own.listeners.add(listener);
      return () => own.listeners.delete(listener);
    },
    leave() {
      own.users -= 1;
      if (own.users > 0) return;
      kept.delete(ctx);
      for (const off of own.offs) off();
    },
  };
}

function record(ctx) {
  const traffic = new Traffic({ gap: ctx.settings.get("hex.gap", 20) });
  const listeners = new Set();
  // What is received may have the gateway's time, what is sent has this browser's. The smallest
  // difference seen is the error of the clocks plus the shortest way; with that subtracted, the two
  // directions are in order.
  let skew = Number.POSITIVE_INFINITY;
  let last = null;
  const add = (direction, bytes, ms, replay) => {
    traffic.add(direction, bytes, ms, replay);
    if (!replay) for (const listener of listeners) listener(direction, bytes, ms);
  };
  const offs = [
    ctx.onBytes(({ bytes, ms, replay }) => {
      if (!replay && ms !== last) skew = Math.min(skew, Date.now() - ms);
      last = ms;
      add("in", bytes, ms, replay);
    }),
    ctx.onSent(({ bytes, ms }) =>
      add("out", bytes, Math.round(ms - (Number.isFinite(skew) ? skew : 0)), false),
    ),
    ctx.onGap(({ from, to }) => traffic.lost(to - from, last ?? Date.now())),
    ctx.settings.on("hex.gap", (gap) => {
      traffic.gap = gap;
    }),
  ];
  return { traffic, listeners, offs, users: 0 };
}
