// Which gateway this page is of: its own, or one of a hub's, whose pages are below /g/NAME/ there.

const [, top, name] =
  /^(.*\/)g\/([a-z0-9-]{1,63})\/(?:embed)?$/.exec(globalThis.location?.pathname ?? "") ?? [];

/**
 * The gateway in whose place a hub shows this page, and undefined on a gateway's own page. It is
 * what the address says: whether that is a hub, the session knows.
 * @type {string | undefined}
 */
export const gateway = name;

/** The list of the hub's gateways, seen from this page. */
export const fleetAddress = gateway === undefined ? "#/?fleet" : `${top}#/?fleet`;

/** What names something of this gateway among everything that this browser keeps. */
export const ofThisGateway = (text) => (gateway === undefined ? text : `${gateway}/${text}`);
