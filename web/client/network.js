// Where a gateway is, as seen from a page: the address spaces of Local Network Access, for which
// browsers ask the user.

/** The browsers' own words for the question, so that users recognise it. */
const QUESTIONS = {
  local: "look for and connect to any device on your local network",
  loopback: "access other apps and services on this device",
};

/** The names of the permissions; older Chromium has one for both. */
const PERMISSIONS = {
  local: ["local-network", "local-network-access"],
  loopback: ["loopback-network", "local-network-access"],
};

/** @typedef {"local" | "loopback"} Space */

/**
 * The space of a host, as far as its name tells; undefined for a name that may be anywhere. @param
 * {string} hostname @returns {Space | undefined}
 */
export function spaceOf(hostname) {
  const name = hostname.replace(/^\[|\]$/g, "").toLowerCase();
  if (/(^|\.)localhost$|^127\.\d+\.\d+\.\d+$|^::1$/.test(name)) return "loopback";
  const isPrivate =
    /^(10|192\.168|169\.254|172\.(1[6-9]|2\d|3[01]))\.[\d.]+$|^f[cd][0-9a-f]{2}:|^fe[89ab][0-9a-f]:/;
  return isPrivate.test(name) || name.endsWith(".local") ? "local" : undefined;
}

/**
 * What `fetch` is told about where it goes. Browsers that know this ask the user on such a request,
 * and only then let an https page talk to an http gateway on the local network.
 * @param {string | URL} url @returns {{ targetAddressSpace?: Space }}
 */
export function towards(url) {
  const knows = typeof Request === "function" && "targetAddressSpace" in Request.prototype;
  const targetAddressSpace = knows ? spaceOf(new URL(url).hostname) : undefined;
  return targetAddressSpace ? { targetAddressSpace } : {};
}

/** How the browser's question for access to that host is worded. @param {string} hostname */
export const question = (hostname) => QUESTIONS[spaceOf(hostname) ?? "local"];

/**
 * Whether the page may reach it: "granted", "prompt", "denied"; undefined in browsers that do not
 * ask. @param {string} hostname
 */
export async function permission(hostname) {
  for (const name of PERMISSIONS[spaceOf(hostname) ?? "local"]) {
    try {
      const asked = { name: /** @type {PermissionName} */ (name) };
      return (await navigator.permissions.query(asked)).state;
    } catch {
      // A browser without it, or one that uses the other name.
    }
  }
  return undefined;
}
