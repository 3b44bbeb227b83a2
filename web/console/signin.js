// The sign-in page.

import { h, icon, say } from "./dom.js";
import { session } from "./session.js";
import { signInForm } from "./signin/form.js";
import { authorityNote } from "./trust.js";

/** Whether this page came over a connection that others can read. */
export const plain = () =>
  location.protocol === "http:" && !["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);

/** The page: { element, focus(), dispose() }. The session's store reports success. */
export function signInPage() {
  const intro = h("p", { class: "note" });
  const trust = authorityNote();
  const form = signInForm({
    class: "signin-card",
    above: [brand("h1"), intro, plain() && plainWarning()],
    below: trust.element,
  });
  const element = h("main", { class: "signin", id: "main" }, form.element);

  const off = session.on(({ ended, before, wait: seconds, authority }) => {
    trust.show(authority);
    say(
      intro,
      ended
        ? `The login${before ? ` of ${before}` : ""} has ended. Sign in to go on where you were.`
        : `Sign in to ${location.host}`,
    );
    if (before) form.known(before);
    if (seconds) form.wait(seconds);
  });

  return {
    element,
    focus: form.focus,
    dispose: () => (form.dispose(), off()),
  };
}

const plainWarning = () =>
  h(
    "p",
    { class: "notice warn" },
    icon("warn"),
    h(
      "span",
      {},
      "This page came over plain HTTP: whoever is on the way can read the password. Use https:// if the gateway has it.",
    ),
  );

/** The name of the program, as a heading or a plain mark. */
export function brand(tag = "span") {
  return h(tag, { class: "brand" }, icon("plug"), "wsbridge");
}
