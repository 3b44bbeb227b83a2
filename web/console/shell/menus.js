// The menus in the page's bar: colours, and the login with what is known about it.

import { announce } from "../announce.js";
import { openDialog, openMenu } from "../dialog.js";
import { h } from "../dom.js";
import { hubsGateway } from "../fleet/way.js";
import { openHelp } from "../help/help.js";
import { openLogins } from "../logins.js";
import { session, signOut } from "../session.js";
import { choice } from "../theme.js";
import { authorityFacts } from "../trust.js";

const THEMES = [
  ["system", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
];

const themes = () =>
  THEMES.map(([value, label]) => ({
    label,
    checked: choice.value === value,
    run: () => (choice.set(value), announce(`Colours: ${label}`)),
  }));

export function lookMenu(button) {
  openMenu(button, "Colours", themes());
}

/**
 * The login's menu. `narrow`: on a phone it has everything else that would be in the bar;
 * `failed(text)` reports what went wrong.
 */
export function userMenu(button, { narrow, failed }) {
  const { kind } = session.value;
  const items = [{ label: "About this login", run: about }];
  // Tokens and certificates have none.
  if (kind === "user" || kind === "identity")
    items.push({ label: "Your sign-ins…", run: () => openLogins(failed) });
  // A phone's bar is for the open lines.
  if (narrow)
    items.push(
      { label: "Help", run: openHelp },
      ...themes().map((item) => ({ ...item, label: `Colours: ${item.label.toLowerCase()}` })),
    );
  if (kind !== "open" && kind !== "certificate")
    items.push({
      label: "Sign out",
      run: () => signOut().catch((error) => failed(`Not signed out: ${error.message}`)),
    });
  openMenu(button, "Login", items);
}

function about() {
  const {
    user: name,
    kind,
    version,
    tls,
    administrator,
    authority,
    host: machine,
    expires_in: left,
  } = session.value;
  const row = (label, value) => value && h("div", {}, h("dt", {}, label), h("dd", {}, value));
  openDialog({
    title: "About this login",
    body: h(
      "dl",
      { class: "facts" },
      row("User", kind === "open" ? "nobody: this gateway asks for no login" : name),
      row(
        "Signed in by",
        {
          user: "password",
          token: "token",
          certificate: "client certificate",
          grant: "a link of lent access",
        }[kind],
      ),
      row("Administrator", administrator ? "yes" : ""),
      row(
        "Ends",
        left
          ? `${kind === "grant" ? "in" : ""} ${Math.round(left / 60)} min ${kind === "grant" ? "" : "after the last use"}`.trim()
          : "",
      ),
      row("Gateway", hubsGateway()),
      row(
        hubsGateway() ? "Hub" : "Gateway",
        [machine, version && `wsbridge ${version}`].filter(Boolean).join(", "),
      ),
      row("Encrypted", tls === false ? "no: plain HTTP" : "yes, by TLS"),
      authority && row("Authority", authorityFacts(authority)),
    ),
  });
}
