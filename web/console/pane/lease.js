// Who writes: the chip that says so and its menu, and the question to the holder when somebody
// requests the right.

import { h, icon, say } from "../dom.js";
import { confirm, openMenu } from "../dialog.js";
import { isSelf, moment, person } from "../format.js";
import { asksAgain } from "../signin/stale.js";

/** After this many seconds the gateway itself denies a request (protocol section 7). */
const ANSWER_WITHIN = 30;

/** What the lease is for this page: a word for the style, the text, and what may be done. */
export function standing({ phase, role, holder, rights, held, endpoint, trouble, lost }) {
  if (phase === "closed" && !trouble) return { kind: "none", text: "Not connected", can: [] };
  if (lost?.byTarget) return { kind: "none", text: "Nobody writes", can: [] };
  if (phase !== "up" || role === null)
    return {
      kind: "none",
      text: phase === "lost" ? "Connection lost" : phase === "closed" ? "Closed" : "Connecting",
      can: [],
    };
  if (endpoint?.share === "everyone" && role === "writer")
    return { kind: "mine", text: "Everyone writes", can: [] };
  if (role === "writer") return { kind: "mine", text: "You write", can: ["release"] };
  if (asksAgain(held)) return { kind: "free", text: "Sign in again to write", can: ["again"] };
  if (held)
    return {
      kind: "never",
      text: held.startsWith("locked")
        ? "Locked by the key switch: reading only"
        : "Held: read only",
      can: [],
    };
  if (!rights.includes("write"))
    return {
      kind: "never",
      text: holder ? `Read only · ${person(holder.user)} writes` : "Read only",
      can: [],
    };
  if (!holder) return { kind: "free", text: "Nobody writes", can: ["request"] };
  // One's own other window gives way even without the right to take over.
  if (isSelf(holder.user))
    return { kind: "other", text: "You write in another window", can: ["take"] };
  return {
    kind: "other",
    text: `${person(holder.user)} writes`,
    can: ["request", ...(rights.includes("takeover") ? ["take"] : [])],
  };
}

const ACTIONS = {
  request: (state) =>
    state.holder ? `Ask ${person(state.holder.user)} to let you write` : "Write",
  take: (state) =>
    isSelf(state.holder?.user)
      ? "Write here"
      : `Take over from ${state.holder ? person(state.holder.user) : "the holder"}`,
  release: () => "Give back: let others write",
};

/** The chip in a pane's head. `act(op)` does what was chosen. */
export function leaseChip(state, act) {
  const text = h("span", {});
  const chip = h(
    "button",
    {
      type: "button",
      class: "chip",
      "aria-haspopup": "menu",
      "aria-expanded": "false",
      onclick: () => choose(),
    },
    icon("pen"),
    text,
    icon("down"),
  );

  function choose() {
    const now = standing(state.value);
    if (now.can.length === 1 && now.kind === "free") act(now.can[0]);
    else if (now.can.length)
      openMenu(
        chip,
        "Who writes",
        now.can.map((op) => ({ label: ACTIONS[op](state.value), run: () => act(op) })),
      );
  }

  const off = state.on((value) => {
    const now = standing(value);
    chip.className = `chip ${now.kind}`;
    chip.disabled = now.can.length === 0;
    const since = value.holder?.since ? Date.parse(value.holder.since) : NaN;
    const details = [
      now.text,
      value.holder && !Number.isNaN(since) && `since ${moment(since)}`,
      value.holder?.away && "whose connection is lost",
      value.observers > 0 && `${value.observers} reading along`,
    ].filter(Boolean);
    say(text, value.holder?.away && now.kind === "other" ? `${now.text} · away` : now.text);
    chip.title = details.join(", ");
    chip.setAttribute("aria-label", `Who writes: ${details.join(", ")}`);
  });
  return { element: chip, choose, dispose: off };
}

/** Does what was chosen, after a question if it takes something from somebody. */
export async function actOnLease(link, op, notices) {
  const { holder } = link.state.value;
  if (op === "take" && holder && !isSelf(holder.user)) {
    const since = Date.parse(holder.since);
    const sure = await confirm({
      title: `Take over from ${person(holder.user)}?`,
      text: `${person(holder.user)} has been writing${Number.isNaN(since) ? "" : ` since ${moment(since)}`}${holder.away ? " and is away" : ""}. They keep reading and are told that you took it.`,
      ok: "Take over",
      danger: true,
    });
    if (!sure) return;
  }
  try {
    if (op === "request" && holder) {
      notices.show(
        `${person(holder.user)} was asked to let you write; the answer comes within ${ANSWER_WITHIN} s.`,
        { key: "asked", for: ANSWER_WITHIN },
      );
    }
    await link.lease(op);
  } catch (error) {
    notices.dismiss("asked");
    notices.show(error.message, { kind: "warn", for: 10 });
  }
}

/** Reports a change of the lease, and passes on the question of somebody who requests it. */
export function tellLease({ link, notices, event }) {
  const { you, before, reason, holder, request } = event;
  const who = holder ? person(holder.user) : "nobody";
  if (request) {
    const answer = (op) =>
      link.lease(op).catch((error) => notices.show(error.message, { kind: "warn", for: 10 }));
    const asker = person(request.user);
    notices.show(`${asker} asks to write.`, {
      key: "request",
      kind: "warn",
      urgent: true,
      for: ANSWER_WITHIN,
      actions: [
        { label: `Let ${asker} write`, run: () => answer("grant") },
        { label: "No", run: () => answer("deny") },
      ],
    });
    return;
  }
  if (reason === undefined || reason === "requested") return;
  // Nobody gave it back: whoever holds the session has said so.
  if (reason === "released" && you === "observer" && link.state.value.held) return;
  notices.dismiss("request");
  if (reason === "denied") {
    notices.dismiss("asked");
    if (you === "observer") notices.show(`${who} goes on writing.`, { kind: "warn", for: 10 });
    return;
  }
  if (you === "writer" && before !== "writer") {
    notices.dismiss("asked");
    notices.show("You write now.", { kind: "good", for: 5 });
  } else if (you === "observer" && before === "writer") {
    const why = {
      taken: `${who} took over.`,
      granted: `${who} writes now.`,
      expired: "You sent nothing for so long that the right to write was given back.",
      released: "You gave back the right to write.",
    }[reason];
    notices.show(why ?? `${who} writes now.`, {
      kind: reason === "taken" ? "warn" : "info",
      urgent: reason === "taken",
      for: reason === "taken" ? undefined : 8,
    });
  } else if (you === "observer" && !holder && link.state.value.device !== "down") {
    const may = link.state.value.rights.includes("write");
    notices.show("Nobody writes now.", {
      key: "free",
      for: 15,
      action: may && { label: "Write", run: () => link.lease("request").catch(() => {}) },
    });
  }
}
