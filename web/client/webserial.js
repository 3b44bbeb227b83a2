// The classic script: puts Web Serial over the network at navigator.serial before any other script runs.
//
//   <script src="https://gateway.local:8443/webserial.js"></script>
//
// first in the head. The gateway is where the script comes from. Attributes: data-endpoints="a b" (only these, and no question),
// data-entrance (a page to go to where the gateway does not let this one in).

import * as client from "./index.js";
import { pass } from "./serial/launch.js";

const script = /** @type {HTMLScriptElement | null} */ (document.currentScript);
const { origin } = new URL(script?.src || location.href, location.href);
const { endpoints, entrance } = script?.dataset ?? {};
// Only a page of the gateway's own may have a pass: another's fragment is its own affair.
const bearer = origin === location.origin ? pass(origin) : undefined;

const serial = client.createSerial({
  url: origin,
  bearer,
  endpoints: endpoints?.split(/[\s,]+/).filter(Boolean),
  entrance: entrance ? { href: entrance } : undefined,
});
client.install(serial);

/** For pages that want more than Web Serial. */
Object.defineProperty(globalThis, "wsbridge", {
  value: Object.freeze({ ...client, serial }),
  configurable: true,
});
