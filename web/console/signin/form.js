// The one form by which people sign in: on the page for it, and where somebody who is signed in has
// to prove again who he is.

import { h, iconButton, say } from "../dom.js";
import { Refused, signIn } from "../session.js";
import { codeStep } from "./code.js";
import { elsewhere } from "./elsewhere.js";

/**
 * The form: { element, known(user), wait(seconds), say(text), focus(), dispose() }. `above` and `below` are
 * shown over the fields and under the buttons. `again` is the session of whoever signs in once more
 * and stays where he is; then `done()` is called. Otherwise the session's store reports success.
 * @param {{ class?: string, above?: any, below?: any, again?: any, done?: () => void }} options
 */
export function signInForm({ class: look, above, below, again, done = () => {} }) {
  const problem = h("p", { class: "problem", role: "alert" });
  const label = again ? "Sign in again" : "Sign in";
  const button = h("button", { type: "submit", class: "primary" }, label);
  const { user, password, element: fields } = passwordFields(again);
  const first = h("div", { class: "step" }, fields);
  const second = codeStep({ back: () => turn(false) });
  let enter; // goes on, once it has been read how many recovery codes are left
  const byPassword = again?.kind !== "identity";
  const others = (!again || !byPassword) && elsewhere(failed, again && { again, done });
  const element = h(
    "form",
    { class: look, method: "post", action: "api/login", onsubmit: submit },
    above,
    byPassword && [first, second.element],
    problem,
    byPassword && [button, second.ways],
    others && others.element,
    below,
  );
  const pause = countdown({
    tick: (left) => say(button, `Wait ${left} s`),
    over: () => (say(problem, ""), ready()),
  });

  async function submit(event) {
    event.preventDefault();
    if (enter) return enter();
    say(problem, "");
    button.disabled = true;
    say(button, "Signing in…");
    try {
      const code = second.shown ? second.code : undefined;
      const answer = await signIn(user.value.trim(), password.value, code);
      if (answer.next) return turn(true);
      password.value = "";
      const go = () => (answer.enter(), done());
      if (answer.left === undefined) return go();
      enter = go;
      spent(answer.left);
    } catch (error) {
      failed(error);
    } finally {
      if (!pause.runs) ready();
    }
  }

  /** To the code, or back to the password. */
  function turn(on) {
    say(problem, "");
    first.hidden = on;
    if (others) others.element.hidden = on;
    if (on) return second.show();
    second.hide();
    password.select();
  }

  /** A recovery code was used: so many are left, which is not to pass unread. */
  function spent(left) {
    second.hide();
    // Nothing is left to fill in.
    element.noValidate = true;
    problem.className = "";
    const more = left > 3 ? "" : " Have new ones made soon.";
    say(problem, `Signed in. Recovery codes left: ${left}.${more}`);
  }

  function ready() {
    button.disabled = false;
    say(button, enter ? "Go on" : label);
  }

  function failed(error) {
    const { status } = error instanceof Refused ? error : {};
    if (status === 429) return wait(Math.max(1, error.wait));
    if (status === 401 && second.shown) {
      second.wrong();
      return say(problem, sentence(error.message));
    }
    if (status === 401) password.select();
    say(problem, whyNot(error));
  }

  /**
   * After too many wrong passwords the gateway demands a pause: it counts down here, and then the
   * button works again.
   */
  function wait(seconds) {
    button.disabled = true;
    const what = second.shown ? "codes" : "passwords";
    say(problem, `Too many wrong ${what} from here. Try again in ${seconds} s.`);
    pause.start(seconds);
  }

  return {
    element,
    /** The user who was signed in before. */
    known: (name) => (user.value ||= name),
    wait,
    say: (text) => say(problem, text),
    focus: () => (byPassword ? (user.value ? password : user) : others.element.firstChild)?.focus(),
    dispose: () => (pause.stop(), others && others.dispose()),
  };
}

/** User and password; of whoever signs in again, the password alone. */
function passwordFields(again) {
  const user = h("input", {
    name: "username",
    autocomplete: "username",
    autocapitalize: "none",
    spellcheck: "false",
    required: true,
    value: again?.user ?? "",
    hidden: Boolean(again),
  });
  const { password, reveal } = passwordField();
  const field = h(
    "label",
    { class: "field" },
    again ? `Password of ${again.user}` : "Password",
    h("span", { class: "with-button" }, password, reveal),
  );
  return {
    user,
    password,
    element: [again ? user : h("label", { class: "field" }, "User", user), field],
  };
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

function whyNot(error) {
  if (!(error instanceof Refused))
    return error.plain
      ? error.message
      : "The gateway does not answer. Is it running, and is this page's address still right?";
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
