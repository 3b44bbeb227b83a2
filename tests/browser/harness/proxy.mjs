// A network between client and gateway that is slow, breaks, or goes silent.

import { connect, createServer } from "node:net";
import { started, stopped } from "./life.mjs";

/**
 * A TCP proxy to `target` (a URL or a port). `delay` is one way, in ms, with up to `jitter` ms
 * more; order is kept.
 *
 * cut() breaks what is connected; refuse() does and refuses the next too; freeze() passes nothing
 * on, silently, as a pulled cable does; heal() ends refuse and freeze. cutAfter({ up, down })
 * breaks when so many more bytes went through: sooner or later in the middle of a frame.
 */
export async function delayProxy(target, { delay = 0, jitter = 0 } = {}) {
  const to =
    typeof target === "number"
      ? { port: target, host: "127.0.0.1" }
      : { port: Number(new URL(target).port), host: new URL(target).hostname };
  const pairs = new Set();
  const limits = { up: Infinity, down: Infinity };
  const state = {
    delay,
    jitter,
    stopped: false,
    frozen: false,
    cuts: 0,
    connections: 0,
    bytes: { up: 0, down: 0 },
  };

  function pump(from, into, way) {
    const queue = [];
    let due = 0;
    let timer;
    const run = () => {
      timer = undefined;
      while (queue.length > 0 && queue[0].at <= performance.now() && !state.frozen) {
        const { bytes } = queue.shift();
        if (bytes === null) into.end();
        else pass(bytes);
        if (queue.length < 64) from.resume();
      }
      if (queue.length > 0 && !state.frozen)
        timer = setTimeout(run, Math.max(0, queue[0].at - performance.now()));
    };
    let dead = false;
    const pass = (bytes) => {
      if (dead) return;
      const most = Math.min(bytes.length, limits[way]);
      limits[way] -= most;
      state.bytes[way] += most;
      if (most > 0 && !into.destroyed) into.write(bytes.subarray(0, most));
      if (limits[way] === 0) {
        limits[way] = Infinity;
        dead = true;
        // What was written should arrive before the end does.
        setImmediate(cut);
      }
    };
    const push = (bytes) => {
      due = Math.max(due, performance.now() + state.delay + Math.random() * state.jitter);
      queue.push({ bytes, at: due });
      if (queue.length >= 256) from.pause();
      if (timer === undefined && !state.frozen) run();
    };
    from.on("data", push);
    from.on("end", () => push(null));
    return run;
  }

  const cut = () => {
    state.cuts += 1;
    for (const pair of pairs) pair.break();
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    if (state.stopped) return near.resetAndDestroy();
    state.connections += 1;
    const far = connect({ ...to, allowHalfOpen: true, noDelay: true });
    const pair = {
      runs: [pump(near, far, "up"), pump(far, near, "down")],
      break() {
        pairs.delete(pair);
        near.destroy();
        far.destroy();
      },
    };
    pairs.add(pair);
    for (const one of [near, far]) {
      one.on("error", () => pair.break());
      one.on("close", () => pair.break());
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  const self = started({
    port,
    origin: `http://127.0.0.1:${port}`,
    url: `http://127.0.0.1:${port}/`,
    ws: `ws://127.0.0.1:${port}`,
    state,
    cut,
    /**
     * Breaks the connections, once, after so many more bytes to the gateway (up) or from it (down).
     */
    cutAfter({ up = Infinity, down = Infinity }) {
      Object.assign(limits, { up, down });
    },
    refuse() {
      state.stopped = true;
      cut();
    },
    freeze() {
      state.frozen = true;
    },
    heal() {
      state.stopped = false;
      state.frozen = false;
      for (const pair of pairs) for (const run of pair.runs) run();
    },
    stop() {
      stopped(self);
      cut();
      return new Promise((done) => server.close(done));
    },
  });
  return self;
}
