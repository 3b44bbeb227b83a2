// The sign-in page.

import { h, icon, iconButton, say } from "./dom.js";
import { elsewhere } from "./elsewhere.js";
import { Refused, session, signIn } from "./session.js";
import { authorityNote } from "./trust.js";

/** Whether this page came over a connection that others can read. */
export const plain = () =>
  location.protocol === "http:" && !["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);

/** The form: { element, focus(), dispose() }. The session's store reports success. */
export function signInPage() {
  const user = h("input", {
    name: "username",
    autocomplete: "username",
    autocapitalize: "none",
    spellcheck: "false",
    required: true,
  });
  const { password, reveal } = passwordField();
  const problem = h("p", { class: "problem", role: "alert" });
  const button = h("button", { type: "submit", class: "primary" }, "Sign in");
  const intro = h("p", { class: "note" });
  const trust = authorityNote();
  const element = h(
    "main",
    { class: "signin", id: "main" },
    h(
      "form",
      { class: "signin-card", method: "post", action: "api/login", onsubmit: submit },
      brand("h1"),
      intro,
      plain() && plainWarning(),
      h("label", { class: "field" }, "User", user),
      h(
        "label",
        { class: "field" },
        "Password",
        h("span", { class: "with-button" }, password, reveal),
      ),
      problem,
      button,
      elsewhere(failed).element,
      trust.element,
    ),
  );
  const pause = countdown({
    tick: (left) => say(button, `Wait ${left} s`),
    over: () => (say(problem, ""), ready()),
  });

  const off = session.on(({ ended, before, wait: seconds, authority }) => {
    trust.show(authority);
    say(
      intro,
      ended
        ? `The login${before ? ` of ${before}` : ""} has ended. Sign in to go on where you were.`
        : `Sign in to ${location.host}`,
    );
    if (before && !user.value) user.value = before;
    if (seconds) wait(seconds);
  });

  async function submit(event) {
    event.preventDefault();
    say(problem, "");
    button.disabled = true;
    say(button, "Signing in…");
    try {
      await signIn(user.value.trim(), password.value);
      password.value = "";
    } catch (error) {
      failed(error);
    } finally {
      if (!pause.runs) ready();
    }
  }

  function ready() {
    button.disabled = false;
    say(button, "Sign in");
  }

  function failed(error) {
    const { status } = error instanceof Refused ? error : {};
    if (status === 429) return wait(Math.max(1, error.wait));
    if (status === 401) password.select();
    say(problem, whyNot(error));
  }

  /**
   * After too many wrong passwords the gateway demands a pause: it counts down here, and then the
   * button works again.
   */
  function wait(seconds) {
    button.disabled = true;
    say(problem, `Too many wrong passwords from here. Try again in ${seconds} s.`);
    pause.start(seconds);
  }

  return {
    element,
    focus: () => (user.value ? password : user).focus(),
    dispose() {
      pause.stop();
      off();
    },
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

function whyNot(error) {
  if (!(error instanceof Refused))
    return "The gateway does not answer. Is it running, and is this page's address still right?";
  return error.status === 401
    ? "User or password is wrong."
    : `The gateway refused: ${error.message}`;
}

/** A password field, and the button that shows what is in it. */
function passwordField() {
  const password = h("input", {
    name: "password",
    type: "password",
    autocomplete: "current-password",
    required: true,
  });
  const reveal = iconButton("eye", "Show the password", {
    class: "icon-button reveal",
    "aria-pressed": "false",
    onclick() {
      const visible = password.type === "password";
      password.type = visible ? "text" : "password";
      reveal.setAttribute("aria-pressed", String(visible));
    },
  });
  return { password, reveal };
}

/** Seconds that count down: { runs, start(seconds), stop() }. */
function countdown({ tick, over }) {
  let timer;
  const step = (left) => {
    tick(left);
    timer = left > 0 ? setTimeout(step, 1000, left - 1) : undefined;
    if (left <= 0) over();
  };
  const stop = () => clearTimeout(timer);
  return {
    stop,
    start: (seconds) => (stop(), step(seconds)),
    get runs() {
      return timer !== undefined;
    },
  };
}

/** The name of the program, as a heading or a plain mark. */
export function brand(tag = "span") {
  return h(tag, { class: "brand" }, icon("plug"), "wsbridge");
}
