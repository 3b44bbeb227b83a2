// The address: /#/plc1 opens an endpoint, /#/plc1+modem1 opens several side by side, ?bare hides
// the list and the bars. At a hub, /#/?fleet is the list of its gateways.

import { store } from "./store.js";

/** The most panes at a time: each is a connection, and the screen is only so large. */
export const MOST = 9;

/** What "#/plc1+modem1?bare" means. Names that no endpoint can have are left out. */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const said = new URLSearchParams(query);
  const names = path
    .split("+")
    .map(decode)
    .filter((name) => /^[a-z0-9][a-z0-9._-]{0,63}$/.test(name));
  return {
    names: [...new Set(names)].slice(0, MOST),
    bare: said.has("bare"),
    fleet: said.has("fleet"),
  };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/** The reverse: the address of `names`. */
export function address(names, bare = false) {
  return `#/${names.join("+")}${bare ? "?bare" : ""}`;
}

/** Where the page is. */
export const route = store(parse(location.hash));

addEventListener("hashchange", () => route.set(parse(location.hash)));

/** Opens these endpoints, and no others. */
export function go(names) {
  const next = address(names.slice(0, MOST), route.value.bare);
  if (location.hash !== next) location.hash = next;
}

/** Opens another one beside those that are open. */
export function beside(name) {
  go([...route.value.names.filter((other) => other !== name), name]);
}

/** Closes one. */
export function leave(name) {
  go(route.value.names.filter((other) => other !== name));
}
