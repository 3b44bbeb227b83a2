// The record of who did what: a button below the lines, for those who may see it.

import { directory } from "../directory.js";
import { h } from "../dom.js";

/**
 * The button, shown if somebody has `sessions` on a line: { element, dispose() }. `failed(text)`
 * reports what went wrong.
 */
export function auditButton(failed) {
  const open = () =>
    import("./view.js").then(
      ({ openAudit }) => openAudit(failed),
      (error) => failed(`audit: ${error.message}`),
    );
  const element = h(
    "button",
    { type: "button", class: "who-connected", hidden: true, onclick: open },
    "Audit…",
  );
  const dispose = directory.on((all) => {
    element.hidden = ![...all.values()].some(({ rights }) => rights?.includes("sessions"));
  });
  return { element, dispose };
}
