// In a pane whose user signed in too long ago to write: the form for it in place, and what is typed
// meanwhile, which is sent afterwards.

import { h } from "../dom.js";
import { session } from "../session.js";
import { signInForm } from "../signin/form.js";
import { asksAgain } from "../signin/stale.js";

/**
 * How long nobody types until the password field has the focus: what is typed in one go goes to one
 * place.
 */
const PAUSE = 700;
/** What is kept, in keys and pastes. */
const KEPT = 1000;
/** Within this time the gateway gives the right to write back. */
const GIVEN = 5000;

/**
 * The part of a pane's card: { element, open, show(on), keep(send), focus() }. `failed(error)` hears
 * why the line was not given. `changed()` is called when it begins or ends.
 */
export function again(link, { failed, changed }) {
  const element = h("div", { class: "again", hidden: true });
  let form;
  let kept = [];
  let asked = false; // for the right to write
  let settle; // the focus, later
  let late;

  function open() {
    form = signInForm({ again: session.value, done: signed });
    element.replaceChildren(form.element);
    element.hidden = false;
  }

  function shut() {
    clearTimeout(settle);
    clearTimeout(late);
    form?.dispose();
    form = undefined;
    [kept, asked] = [[], false];
    element.replaceChildren();
    element.hidden = true;
  }

  function signed() {
    late = setTimeout(
      () => form?.say("The gateway does not let you write by this sign-in."),
      GIVEN,
    );
    follow(link.state.value);
  }

  /** Once the gateway lets this user write again, it goes on by itself. */
  function follow({ phase, held, role, rights, holder }) {
    if (!form || phase !== "up" || asksAgain(held)) return;
    if (role === "writer") {
      const all = kept;
      shut();
      changed();
      for (const send of all) send();
    } else if (held || holder || !rights.includes("write")) {
      // Something else is in the way now, and what was typed for another moment is not sent.
      shut();
      changed();
    } else if (!asked) {
      asked = true;
      link.lease("request").catch((error) => (shut(), changed(), failed(error)));
    }
  }
  const off = link.state.on(follow);

  const focus = () => form?.focus();
  return {
    element,
    get open() {
      return form !== undefined;
    },
    show(on) {
      if (on === Boolean(form)) return;
      if (on) open();
      else shut();
    },
    /** Somebody types into the terminal: `send` sends that. */
    keep(send) {
      if (kept.length < KEPT) kept.push(send);
      clearTimeout(settle);
      settle = setTimeout(focus, PAUSE);
    },
    focus,
    dispose: () => (off(), shut()),
  };
}
