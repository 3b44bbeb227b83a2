// The page's bar: the list's button, where this is, the open lines (on a phone), colours, help and
// the login.

import { h, icon, iconButton, say } from "../dom.js";
import { fleetLink, hubsGateway } from "../fleet/way.js";
import { openHelp } from "../help/help.js";
import { session } from "../session.js";
import { brand } from "../signin.js";
import { undoing } from "../store.js";
import { choice } from "../theme.js";
import { lookMenu, userMenu } from "./menus.js";

/** { element, dispose() }. `toggle` opens the list, `tabs` are those of the open lines. */
export function bar({ toggle, tabs, narrow, failed }) {
  const undo = undoing();
  const fleet = fleetLink();
  const host = h("span", { class: "bar-host" });
  const menu = { "aria-haspopup": "menu", "aria-expanded": "false" };
  const label = h("span", { class: "bar-label" });
  const user = h(
    "button",
    {
      type: "button",
      class: "bar-button",
      ...menu,
      onclick: () => userMenu(user, { narrow: narrow.matches, failed }),
    },
    icon("user"),
    label,
  );
  const look = iconButton("system", "Colours", {
    class: "icon-button bar-wide",
    ...menu,
    onclick: () => lookMenu(look),
  });
  undo.add(
    session.on(({ user: name, kind, host: machine }) => {
      const open = kind === "open";
      say(label, open ? "no login" : (name ?? ""));
      user.setAttribute("aria-label", open ? "No login needed" : `Signed in as ${name ?? ""}`);
      host.classList.toggle("of-hub", hubsGateway() !== undefined);
      say(host, hubsGateway() ?? machine ?? location.host);
    }),
    choice.on((value) =>
      look.replaceChildren(icon({ system: "system", light: "sun", dark: "moon" }[value])),
    ),
  );
  const element = h(
    "header",
    { class: "bar" },
    toggle,
    h("a", { class: "home", href: "#/", title: "Close all lines" }, brand("h1")),
    fleet.element,
    host,
    tabs,
    h("span", { class: "bar-space" }),
    look,
    iconButton("help", "Help (Ctrl Shift H)", { class: "icon-button bar-wide", onclick: openHelp }),
    user,
  );
  undo.add(fleet.dispose);
  return { element, dispose: () => undo.undo() };
}
