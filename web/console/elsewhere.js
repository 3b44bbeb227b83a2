// Signing in at an identity provider: where one can, the way there, and going on where one was.

import { h, say } from "./dom.js";
import { ask } from "./session.js";

/** Where the place to go on is kept while the browser is elsewhere. */
const BACK = "wsbridge-back";

/** Goes on where the page was when somebody left it to sign in. */
export function goOn() {
  try {
    const back = sessionStorage.getItem(BACK);
    sessionStorage.removeItem(BACK);
    if (back && !location.hash) history.replaceState(null, "", back);
  } catch {
    // A browser that keeps nothing begins at the list of lines.
  }
}

/**
 * Leaves for a provider's sign-in; `fresh`: one that asks anew.
 * @param {string} issuer
 * @param {boolean} [fresh]
 */
export async function leave(issuer, fresh = false) {
  const { url } = await ask("/api/oidc", { issuer, fresh });
  try {
    sessionStorage.setItem(BACK, location.hash);
  } catch {
    // As above.
  }
  location.assign(url);
}

/** The buttons of the providers: { element }. `failed` hears why one cannot be reached. */
export function elsewhere(failed) {
  const element = h("div", { class: "elsewhere" });
  const button = ({ name, title }) => {
    const one = h(
      "button",
      {
        type: "button",
        onclick: async () => {
          one.disabled = true;
          say(one, "Going there…");
          await leave(name).catch(failed);
          one.disabled = false;
          say(one, `Sign in with ${title}`);
        },
      },
      `Sign in with ${title}`,
    );
    return one;
  };
  ask("/api/oidc").then(
    ({ issuers }) => element.replaceChildren(...issuers.map(button)),
    () => {}, // The form is there in any case.
  );
  return { element };
}
