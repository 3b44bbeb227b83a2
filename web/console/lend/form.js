// The form that asking for access and lending it share: a line, rights, a time and a reason.

import { h, say } from "../dom.js";
import { signInAnd } from "../signin/again.js";
import { field, lineField, reasonField, rightsField, timeField } from "./fields.js";

/**
 * A form over the lines `all`, with `chosen` and `seconds` chosen; `offers(right, own)` says which rights can be chosen by whoever has
 * `own` on the line. `send(what)` carries it out, and `sent(answer)` hears that it is done.
 */
export function accessForm({ all, chosen = undefined, seconds, offers, why, verb, send, sent }) {
  const line = lineField(all, chosen);
  const time = timeField(seconds);
  const rights = rightsField();
  const reason = reasonField();
  const problem = h("p", { class: "problem", role: "alert" });
  const offer = () => {
    const own = all.find(({ name }) => name === line.value)?.rights ?? [];
    rights.offer((right) => offers(right, own));
  };
  line.addEventListener("change", offer);
  offer();
  async function submit(event) {
    event?.preventDefault();
    say(problem, "");
    try {
      const answer = await send({
        endpoint: line.value,
        rights: rights.chosen(),
        seconds: time.seconds(),
        reason: reason.value,
      });
      reason.value = "";
      await sent(answer);
    } catch (error) {
      if (!signInAnd(error, submit)) say(problem, error.message);
    }
  }
  return h(
    "form",
    { class: "lend", onsubmit: submit },
    field("Line", line),
    rights.element,
    field("For", time.element),
    field(why, reason),
    problem,
    h("div", { class: "dialog-actions" }, h("button", { type: "submit", class: "primary" }, verb)),
  );
}
