// Lending access, below the list of lines: a button for each view that this user has something to do
// in, and word of new requests.

import { announce } from "../announce.js";
import { directory, lending } from "../directory.js";
import { h, say } from "../dom.js";
import { route } from "../route.js";
import { session } from "../session.js";
import { undoing } from "../store.js";
import { lacks, openAsk } from "./ask.js";
import { openDecide } from "./decide.js";
import { openLend } from "./give.js";

/** { element, dispose() }. `failed(text)` reports what went wrong. */
export function lendButtons(failed) {
  const undo = undoing();
  const changes = (run) => lending.on(run);
  const button = (text, run) => {
    const element = h(
      "button",
      { type: "button", class: "who-connected", hidden: true, onclick: run },
      text,
    );
    return element;
  };
  const give = button("Lend access…", () => openLend(failed));
  const decide = button("Requests…", () => {
    permit();
    openDecide({ failed, changes });
  });
  const want = button("Ask for access…", () => openAsk(route.value.names[0], { failed, changes }));
  let pending = 0;
  undo.add(
    directory.on((all) => {
      const has = (right) => [...all.values()].some(({ rights }) => rights?.includes(right));
      give.hidden = !has("grant");
      decide.hidden = !has("approve");
      want.hidden = session.value.kind === "open" || ![...all.values()].some(lacks);
    }),
    lending.on(({ pending: now = 0 }) => {
      say(decide, now > 0 ? `Requests (${now})…` : "Requests…");
      decide.classList.toggle("primary", now > 0);
      if (now > pending) notify(now);
      pending = now;
    }),
  );
  return {
    element: h("div", { class: "lend-buttons" }, decide, give, want),
    dispose: () => undo.undo(),
  };
}

/** Browsers ask only after a click. */
function permit() {
  if (globalThis.Notification?.permission === "default") void Notification.requestPermission();
}

function notify(count) {
  const text = count === 1 ? "Somebody asks for access" : `${count} people ask for access`;
  announce(text);
  if (globalThis.Notification?.permission !== "granted" || !document.hidden) return;
  try {
    const note = new Notification("wsbridge", { body: text, tag: "wsbridge-requests" });
    note.onclick = () => (focus(), note.close());
  } catch {
    // Android's browsers show them only from a service worker.
  }
}
