// What is known about one line: the state that panes and tools watch, as it begins and as `hello`
// fills it.

/** The state of a line that nobody has dialled yet. */
export const START = {
  phase: "connecting", // "connecting" | "up" | "lost" | "closed"
  device: "opening", // the line's: "up" | "down" | "opening" | "closed"
  error: null, // why the device is down
  since: null, // since when it is, in ms since 1970
  role: null, // "writer" | "observer"
  holder: null, // who holds the lease: { user, since, away? }
  observers: 0,
  request: null, // who requests the lease from this page
  endpoint: null, // hello.endpoint
  rights: [],
  held: null, // why the session may only read for now
  config: null,
  configBy: null, // who set it, if not this page: { user, ms }
  signals: null,
  outputs: {}, // what DTR and RTS were last driven to
  counters: {},
  rx: 0, // bytes that this page received and sent
  tx: 0,
  lost: null, // while phase is "lost": { reason, code, retryAt, byTarget }
  trouble: null, // why there is no line, and what helps: { code, reason, ... }
};

/** What `hello` says about the endpoint. @param {Record<string, any>} hello */
export function greeted({ endpoint }) {
  return {
    endpoint,
    rights: endpoint.rights ?? [],
    held: null,
    device: endpoint.state ?? "up",
    error: endpoint.error ?? null,
    since: moment(endpoint.since),
    holder: endpoint.writer ?? null,
    observers: endpoint.observers ?? 0,
  };
}

/** A time of the protocol in ms since 1970; null if there is none. */
export const moment = (text) => (text ? Date.parse(text) || null : null);

/** The members that are present. */
export function defined(members) {
  return Object.fromEntries(
    Object.entries(members).filter(([, value]) => value !== undefined && value !== null),
  );
}
