// Open lines follow what their user may do: one that was approved goes on with the new rights, and
// one whose access is over goes on with what is left.

import { directory } from "../directory.js";

/** The close code of a session whose right was taken away, or was only lent. */
export const WITHDRAWN = 4403;

/**
 * Follows the rights on the open panes, a Map of name to { link }; returns how to stop. A session
 * has the rights with which it was opened, so it is opened again.
 */
export function followRights(panes) {
  const known = new Map(); // name -> rights, as last seen
  const tried = new Map(); // name -> rights with which a session that ended was begun again
  const timer = setInterval(settle, 1000);
  const off = directory.on(settle);

  function settle() {
    for (const [name, { link }] of panes) {
      const rights = directory.value.get(name)?.rights;
      if (!rights) continue;
      const before = known.get(name);
      known.set(name, rights);
      const { phase, trouble } = link.state.value;
      const gained = before && rights.some((right) => !before.includes(right));
      if (gained && phase === "up") {
        link.stop();
        link.start();
      } else if (phase === "closed" && trouble?.code === WITHDRAWN) {
        const now = rights.join();
        if (!rights.includes("read") || tried.get(name) === now) continue;
        tried.set(name, now);
        link.start();
      } else if (phase === "up") {
        tried.delete(name);
      }
    }
  }
  return () => (clearInterval(timer), off());
}
