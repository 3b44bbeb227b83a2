// The endpoints and their live state: titles and rights come from the API's list, the rest from the
// bus.

import { Bus } from "../client/index.js";
import { order } from "./format.js";
import { minutes } from "./rates.js";
import { ask, ended, here, session } from "./session.js";
import { store } from "./store.js";

/**
 * Endpoints by name, in the order of their names: { name, title, kind, state, error, since, writer,
 * observers, rights, share, caps, rx, tx, errors }.
 */
export const directory = store(new Map());

/** The state of the bus: "connecting", "up", "lost"; and why. */
export const busState = store({ phase: "connecting" });

/** News of lent access: { pending } is how many requests this user can decide. */
export const lending = store({});

/** Where a socket of this gateway is. */
export function socketUrl(path) {
  const url = here(path);
  url.protocol = url.protocol.replace(/^http/, "ws");
  return url.href;
}

const NO_RATE = { rx: 0, tx: 0, errors: 0 };

let bus;
let titles; // from the API; undefined before it has answered
let rates = {};
let known;

/** Follows the gateway until `stopDirectory`. */
export function startDirectory() {
  if (bus) return;
  const mine = new Bus({ url: socketUrl("/ws/"), probe: "/healthz", rates: true });
  bus = mine;
  const on = (type, listener) =>
    mine.addEventListener(
      type,
      (/** @type {CustomEvent} */ event) => mine === bus && listener(event.detail ?? {}),
    );
  on("change", () => {
    busState.set({ phase: "up" });
    // Different names: the configuration was changed, and titles may have been, too.
    const names = [...mine.endpoints.keys()].join();
    if (names !== known) load();
    known = names;
    show();
  });
  on("rates", (detail) => {
    rates = { ...rates, ...(detail.rates ?? detail) };
    show();
  });
  on("lending", (detail) => lending.set({ ...detail }));
  on("lost", (detail) => busState.set({ phase: "lost", ...detail }));
  on("closed", (detail) => {
    if (detail.code === 4401) ended();
    else busState.set({ phase: "lost", final: true, ...detail });
  });
  busState.set({ phase: "connecting" });
  mine.connect().then(
    () => mine === bus && (busState.set({ phase: "up" }), show()),
    (error) => mine === bus && busState.set({ phase: "lost", reason: error.message }),
  );
  minutes.start(() => (busState.value.phase === "up" ? rates : {}));
  load();
}

export function stopDirectory() {
  const old = bus;
  bus = undefined;
  old?.close();
  minutes.stop();
  titles = undefined;
  rates = {};
  known = undefined;
  directory.set(new Map());
  lending.set({});
}

/** Whether the list is complete: before that, an endpoint missing from it may well exist. */
export const directoryKnown = () => titles !== undefined && busState.value.phase === "up";

async function load() {
  try {
    const { endpoints } = await ask("/api/endpoints");
    titles = new Map(endpoints.map((endpoint) => [endpoint.name, endpoint]));
  } catch {
    // session.js has noticed a login that ended; anything else shows on the bus, too.
  }
  show();
}

function show() {
  const live = bus?.endpoints ?? new Map();
  const names = [...new Set([...(titles?.keys() ?? []), ...live.keys()])].sort(order);
  directory.set(
    new Map(
      // What the bus no longer has is gone, whatever the API said a while ago.
      names
        .filter((name) => live.size === 0 || live.has(name))
        .map((name) => [
          name,
          { ...titles?.get(name), ...live.get(name), name, ...NO_RATE, ...rates[name] },
        ]),
    ),
  );
}

/** The apps of the session that work with `name`. */
export const appsFor = (name) =>
  (session.value.apps ?? []).filter((app) => app.endpoints?.includes(name));
