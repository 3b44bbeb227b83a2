// The way to the hub's list of gateways, and whether that is what the page shows.

import { isEmpty } from "../advice.js";
import { directory } from "../directory.js";
import { h, icon } from "../dom.js";
import { fleetAddress, gateway } from "../place.js";
import { route } from "../route.js";
import { session } from "../session.js";
import { store, undoing } from "../store.js";

/** Whether a hub has answered, to somebody who may have gateways there. */
export const atHub = () => Boolean(session.value.hub) && session.value.kind !== "grant";

/** The gateway of a hub that this page is of, if it is. */
export const hubsGateway = () => (atHub() ? gateway : undefined);

/** Whether the list is shown: where it is asked for, and at a hub that has no lines of its own. */
export const fleetShown = store(false);

function look() {
  const { names, fleet } = route.value;
  fleetShown.set(gateway === undefined && atHub() && names.length === 0 && (fleet || isEmpty()));
}

for (const one of [session, route, directory]) one.on(look);

/** The link in the page's bar: { element, dispose() }. It is not seen where there is no hub. */
export function fleetLink() {
  const undo = undoing();
  const element = h(
    "a",
    { class: "to-fleet", hidden: true, href: fleetAddress, title: "The gateways of this hub" },
    icon(gateway === undefined ? "fleet" : "back"),
    h("span", {}, "Fleet"),
  );
  undo.add(
    session.on(() => (element.hidden = !atHub())),
    fleetShown.on((shown) =>
      shown
        ? element.setAttribute("aria-current", "page")
        : element.removeAttribute("aria-current"),
    ),
  );
  return { element, dispose: () => undo.undo() };
}
