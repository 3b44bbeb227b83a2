// A user's own sign-ins, of browsers and of programs (`wsbridge login`): a list in a dialog, and a way
// to end each.

import { confirm, openDialog } from "./dialog.js";
import { h } from "./dom.js";
import { moment, span } from "./format.js";
import { ask } from "./session.js";

/** Shows them; `failed(text)` reports what went wrong. */
export function openLogins(failed) {
  const rows = h("tbody");
  const head = h(
    "tr",
    {},
    ...["Where", "Since", "Ends unused in", ""].map((text) => h("th", { scope: "col" }, text)),
  );
  openDialog({
    title: "Your sign-ins",
    body: [
      h("table", { class: "sessions logins" }, h("thead", {}, head), rows),
      h(
        "p",
        { class: "note" },
        "Computers are signed in by “wsbridge login”. One that you do not know: end it, and change your password.",
      ),
    ],
    wide: true,
  });

  const show = ({ logins }) => rows.replaceChildren(...logins.map((login) => row(login, end)));
  const refresh = () =>
    ask("/api/logins").then(show, (error) => failed(`your sign-ins: ${error.message}`));
  async function end(login) {
    const sure = await confirm({
      title: "End this sign-in?",
      text: `${place(login)} has to sign in again; what it has open is closed.`,
      ok: "End it",
      danger: true,
    });
    if (!sure) return;
    await ask(`/api/logins/${login.id}/end`, {}).catch((error) =>
      failed(`${place(login)}: ${error.message}`),
    );
    await refresh();
  }
  refresh();
}

const place = ({ program, current }) => program ?? (current ? "This browser" : "A browser");

function row(login, end) {
  const button = h(
    "button",
    {
      type: "button",
      class: "danger",
      "aria-label": `End the sign-in of ${place(login)}`,
      onclick: () => end(login),
    },
    "End",
  );
  return h(
    "tr",
    {},
    h("td", { class: login.program ? "mono" : "" }, place(login)),
    h("td", {}, moment(Date.parse(login.since))),
    h("td", {}, span(login.expires_in * 1000)),
    // This browser's own ends by "Sign out", which also clears the page.
    h("td", {}, login.current ? "" : button),
  );
}
