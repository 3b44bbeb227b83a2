// The classic script: puts Web Serial over the network at navigator.serial before any other script
// runs.
//
//   <script src="https://gateway.local:8443/webserial.js"></script>
//
// first in the head. The gateway is the place where the script comes from. Attributes:
// data-endpoints="a b" (only these, without asking), data-entrance (a page to go to if the gateway
// does not let this one in). There is no token in the markup: if the gateway has users, it asks
// them in a window of its own, or the page comes with a launch ticket.

import * as client from "./index.js";
import { Access } from "./serial/launch.js";
import { NoSerial, whyNot } from "./serial/place.js";

const why = whyNot();
if (why) refuse(why);
else start();

function start() {
  const script = /** @type {HTMLScriptElement | null} */ (document.currentScript);
  const gateway = new URL(".", script?.src || location.href).href;
  const { endpoints, entrance } = script?.dataset ?? {};
  const access = new Access(gateway);
  const serial = client.createSerial({
    url: gateway,
    bearer: access.bearer,
    endpoints: endpoints?.split(/[\s,]+/).filter(Boolean),
    entrance: entrance ? { href: entrance } : undefined,
    // The gateway's own pages have its sign-in, or come from there.
    signIn: new URL(gateway).origin === location.origin ? undefined : access.ask,
  });
  client.install(serial);
  expose(serial);
}

/** @param {string} reason */
function refuse(reason) {
  console.error(`wsbridge: ${reason}`);
  const serial = new NoSerial(reason);
  Object.defineProperty(navigator, "serial", {
    value: serial,
    configurable: true,
    enumerable: true,
  });
  expose(serial);
}

/** For pages that want more than Web Serial. @param {EventTarget} serial */
function expose(serial) {
  Object.defineProperty(globalThis, "wsbridge", {
    value: Object.freeze({ ...client, serial }),
    configurable: true,
  });
}
