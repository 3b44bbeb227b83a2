// Somebody came with a link of lent access: the page says so, and exchanges it when the button is
// pressed. Opening the page uses nothing up, since mail scanners open links, too.

import { h, say } from "../dom.js";
import { ask, refresh } from "../session.js";
import { brand } from "../signin.js";

/** Also one that a mail program has cut: the gateway says that it is wrong. */
const SECRET = /^#grant=(.+)$/;

/** Whether the page was opened by such a link. */
export const arrives = () => SECRET.test(location.hash);

/** The card: { element, focus() }. `done()` is called when the link has been left behind. */
export function arrival(done) {
  const [, secret] = SECRET.exec(location.hash);
  // It is not kept in the history, and what is shown next is another page.
  history.replaceState(null, "", location.pathname + location.search);
  const problem = h("p", { class: "problem", role: "alert" });
  const button = h("button", { type: "submit", class: "primary" }, "Use this access");
  async function use(event) {
    event.preventDefault();
    say(problem, "");
    button.disabled = true;
    try {
      await ask("/api/grant", { grant: secret });
      done();
      await refresh();
    } catch (error) {
      say(problem, error.status === 401 ? "This link is wrong, or over." : error.message);
      button.disabled = false;
    }
  }
  const element = h(
    "main",
    { class: "signin", id: "main" },
    h(
      "form",
      { class: "signin-card", onsubmit: use },
      brand("h1"),
      h("p", {}, `Somebody lends you access at ${location.host}.`),
      h(
        "p",
        { class: "note" },
        "It is for this browser, until its time is over. Whoever is signed in here now is signed out.",
      ),
      problem,
      button,
      h(
        "button",
        { type: "button", class: "quiet", onclick: () => (done(), refresh()) },
        "Not now",
      ),
    ),
  );
  return { element, focus: () => button.focus() };
}
