// Signing in again on the spot, for what the gateway refuses somebody who did so too long ago
// (`reauth`).

import { openDialog } from "../dialog.js";
import { h } from "../dom.js";
import { session } from "../session.js";
import { signInForm } from "./form.js";
import { asksAgain, canAgain } from "./stale.js";

/**
 * Asks for it, if that is why something was refused, and then does it once more. Returns whether it
 * asks.
 */
export function signInAnd(error, retry) {
  if (!asksAgain(error.message) || !canAgain(session.value)) return false;
  const form = signInForm({
    class: "again",
    above: h("p", {}, "Your last sign-in is too long ago for this line."),
    again: session.value,
    done: () => dialog.close(true),
  });
  const dialog = openDialog({ title: "Sign in again", body: form.element });
  form.focus();
  dialog.closed.then((signed) => (form.dispose(), signed && retry()));
  return true;
}
