// The sign-in page.

import { h, icon, say } from "./dom.js";
import { Refused, session, signIn } from "./session.js";

/** Whether this page came over a way that others can read. */
export const plain = () =>
  location.protocol === "http:" && !["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);

/** The form: { element, focus(), dispose() }. The store of the session tells of success. */
export function signInPage() {
  const user = h("input", {
    name: "username",
    autocomplete: "username",
    autocapitalize: "none",
    spellcheck: "false",
    required: true,
  });
  const password = h("input", {
    name: "password",
    type: "password",
    autocomplete: "current-password",
    required: true,
  });
  const problem = h("p", { class: "problem", role: "alert" });
  const reveal = h(
    "button",
    {
      type: "button",
      class: "icon-button reveal",
      "aria-label": "Show the password",
      title: "Show the password",
      "aria-pressed": "false",
      onclick: show,
    },
    icon("eye"),
  );
  const button = h("button", { type: "submit", class: "primary" }, "Sign in");
  const intro = h("p", { class: "note" });
  const element = h(
    "main",
    { class: "signin", id: "main" },
    h(
      "form",
      { class: "signin-card", method: "post", action: "api/login", onsubmit: submit },
      brand("h1"),
      intro,
      plain() &&
        h(
          "p",
          { class: "notice warn" },
          icon("warn"),
          h(
            "span",
            {},
            "This page came over plain HTTP: whoever is on the way can read the password. Use https:// if the gateway has it.",
          ),
        ),
      h("label", { class: "field" }, "User", user),
      h(
        "label",
        { class: "field" },
        "Password",
        h("span", { class: "with-button" }, password, reveal),
      ),
      problem,
      button,
    ),
  );
  let timer;

  const off = session.on(({ ended, before, wait: seconds }) => {
    say(
      intro,
      ended
        ? `The login${before ? ` of ${before}` : ""} has ended. Sign in to go on where you were.`
        : `Sign in to ${location.host}`,
    );
    if (before && !user.value) user.value = before;
    if (seconds) wait(seconds);
  });

  function show() {
    const visible = password.type === "password";
    password.type = visible ? "text" : "password";
    reveal.setAttribute("aria-pressed", String(visible));
  }

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
      if (!timer) ready();
    }
  }

  function ready() {
    button.disabled = false;
    say(button, "Sign in");
  }

  function failed(error) {
    if (error instanceof Refused && error.status === 429) return wait(Math.max(1, error.wait));
    if (error instanceof Refused && error.status === 401) {
      say(problem, "User or password is wrong.");
      password.select();
    } else if (error instanceof Refused) say(problem, `The gateway refused: ${error.message}`);
    else
      say(
        problem,
        "The gateway does not answer. Is it running, and is this page's address still right?",
      );
  }

  /**
   * After too many wrong passwords the gateway wants a pause: it runs down here, and then the
   * button works again.
   */
  function wait(seconds) {
    clearTimeout(timer);
    button.disabled = true;
    say(problem, `Too many wrong passwords from here. Try again in ${seconds} s.`);
    let left = seconds;
    const tick = () => {
      say(button, `Wait ${left} s`);
      if (left <= 0) {
        timer = undefined;
        say(problem, "");
        ready();
        return;
      }
      left -= 1;
      timer = setTimeout(tick, 1000);
    };
    tick();
  }

  return {
    element,
    focus: () => (user.value ? password : user).focus(),
    dispose() {
      clearTimeout(timer);
      off();
    },
  };
}

/** The name of the program, as a heading or a plain mark. */
export function brand(tag = "span") {
  return h(tag, { class: "brand" }, icon("plug"), "wsbridge");
}
