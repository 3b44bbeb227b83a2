// Signing in at an identity provider: where one can, the way there, and going on where one was.

import { h, say } from "../dom.js";
import { ask, refresh } from "../session.js";

/** Where the place to go on is kept while the browser is elsewhere. */
const BACK = "wsbridge-back";
/** The mark of a window that was opened to sign in again, and how it tells that it has come back. */
const APART = "wsbridge-apart";

/** Goes on where the page was when somebody left it to sign in. */
export function goOn() {
  try {
    const back = sessionStorage.getItem(BACK);
    sessionStorage.removeItem(BACK);
    if (back && !location.hash) location.replace(back);
  } catch {
    // A browser that keeps nothing begins at the list of lines.
  }
}

/** Leaves for a provider's sign-in. @param {string} issuer */
async function leave(issuer) {
  const { url } = await ask("/api/oidc", { issuer });
  try {
    sessionStorage.setItem(BACK, location.href);
  } catch {
    // As above.
  }
  location.assign(url);
}

/** Has a provider ask anew in a window beside this page, which stays as it is. */
async function leaveApart(issuer) {
  // The new window gets a copy. It is opened at once, since browsers allow it only upon a click.
  sessionStorage.setItem(APART, "1");
  const beside = open("about:blank", "_blank", "popup,width=520,height=720");
  sessionStorage.removeItem(APART);
  if (!beside)
    throw Object.assign(new Error("The browser opened no window. Allow it for this page."), {
      plain: true,
    });
  try {
    const { url } = await ask("/api/oidc", { issuer, fresh: true });
    beside.location.replace(url);
  } catch (error) {
    beside.close();
    throw error;
  }
}

/** Whether this page is such a window that has come back: it says so, and closes. */
export function cameBack() {
  try {
    if (!sessionStorage.getItem(APART)) return false;
  } catch {
    return false;
  }
  new BroadcastChannel(APART).postMessage("");
  close();
  document.body.append(h("p", {}, "You can close this window."));
  return true;
}

/**
 * The buttons of the providers: { element, dispose() }. `failed` hears why one cannot be reached.
 * With `again`, that of the session's own provider, in a window beside the page; then `done()`.
 */
export function elsewhere(failed, { again, done } = /** @type {any} */ ({})) {
  const element = h("div", { class: "elsewhere" });
  const own = again?.user.split("/", 1)[0];
  const button = ({ name, title }) => {
    const label = `Sign in ${again ? "again " : ""}with ${title}`;
    const one = h(
      "button",
      {
        type: "button",
        onclick: async () => {
          one.disabled = true;
          if (!again) say(one, "Going there…");
          await (again ? leaveApart : leave)(name).catch(failed);
          one.disabled = false;
          say(one, label);
        },
      },
      label,
    );
    return one;
  };
  ask("/api/oidc").then(
    ({ issuers }) =>
      element.replaceChildren(...issuers.filter(({ name }) => !again || name === own).map(button)),
    () => {}, // The form is there in any case.
  );
  const channel = again && new BroadcastChannel(APART);
  // Who that was, the gateway knows.
  channel?.addEventListener("message", () => refresh().then(done));
  return { element, dispose: () => channel?.close() };
}
