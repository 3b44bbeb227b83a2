// A line that could not be opened because its gateway was away from the hub opens once it is back.

import { busState } from "../directory.js";

/** The close code for a gateway that is not connected to its hub. */
const AWAY = 1013;

/** Follows the bus for the open panes, a Map of name to { link }; returns how to stop. */
export function followGateway(panes) {
  return busState.on(({ phase }) => {
    if (phase !== "up") return;
    for (const { link } of panes.values()) {
      const { phase: now, trouble } = link.state.value;
      if (now === "closed" && trouble?.code === AWAY) link.start();
    }
  });
}
