// Opens somebody's tool that the gateway serves from an origin of its own, with a ticket instead of
// our cookie.

import { ask } from "./session.js";

/** Opens `app` in a window of its own. Throws an error with a text for people. */
export async function openApp(app) {
  // The window opens with the click, before the ticket is there: later it would count as a pop-up.
  const opened = window.open("about:blank", "_blank");
  try {
    const { ticket } = await ask("/api/ticket", { app: app.name });
    const url = new URL("api/launch", new URL(app.url, location.href));
    url.searchParams.set("ticket", ticket);
    if (opened) {
      opened.opener = null;
      opened.location.replace(url.href);
    } else if (!window.open(url.href, "_blank", "noopener")) {
      throw new Error("the browser blocked the window: allow pop-ups for this page");
    }
  } catch (error) {
    opened?.close();
    throw error;
  }
}
