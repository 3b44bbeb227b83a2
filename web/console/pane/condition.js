// Why a line cannot be used now, in words: what is the matter, since when, and what can be done.
// Pure, so that a test can ask it anything.

import { isSelf, person } from "../format.js";
import { asksAgain } from "../signin/stale.js";

/** Endings of a session, by Close code or error code: a title, and what it means. */
const ENDS = {
  busy: ["In use", "This line serves one session at a time, and somebody has it."],
  denied: [
    "Not allowed",
    "You have no right to open this line. Whoever runs the gateway can give it.",
  ],
  4400: [
    "Protocol error",
    "Page and gateway did not understand each other. Reload the page: it may be older than the gateway.",
  ],
  4401: ["Signed out", "The login has ended. Sign in again to go on."],
  4403: ["Not allowed", "You have no right to this line, or it was taken away."],
  4404: ["Unknown line", "There is no such line, or it was removed from the configuration."],
  4409: ["In use", "This line serves one session at a time, and somebody has it."],
  4410: ["Continued elsewhere", "This session was resumed on another connection."],
  4412: ["Ended by an administrator", "Somebody who runs the gateway ended this session."],
  4429: [
    "Too many connections",
    "The gateway or this line has as many sessions as it may. Close one, or wait a while.",
  ],
  4440: ["Idle", "Nothing came or went for as long as the line allows, so the session ended."],
  4450: ["Device not reachable", "The gateway could not open the device."],
  4451: ["Ended", "Not everything that was sent has arrived."],
  4452: ["Ended", "The carrier was lost: the other side has hung up."],
  1000: ["Ended", "The device's side ended the connection."],
  1013: ["The gateway is away", "Its hub has no connection to it. The line opens once it is back."],
  1011: ["Broken", "The device's side or the gateway had an error."],
};

/** In a frame on another site, whose link is valid for one session. */
const NEW_LINK = "Ask the page for a new link: reload the page around this frame.";

/** What the gateway does about a device that is not there, by the kind of its endpoint. */
const WAITS = {
  serial: "The gateway waits for the port and opens it as soon as it is there.",
  rfc2217: "The gateway dials again by itself.",
  tcp: "The gateway dials again by itself.",
  udp: "The gateway tries again by itself. Whether somebody is there shows when something is sent.",
  sim: "The gateway tries again by itself (simulated).",
};

/**
 * The condition of a line according to the link's state, or null while it can be used. `listed` is
 * false if the list of lines is known and this one is not in it; `typed` says that somebody who may
 * not write tried to; `once` that a session which has ended cannot be followed by another; `again`
 * that its user can sign in again, and `signing` that he is about to. Returns { kind, title, text,
 * steps, reason, since, retryAt, can, again }: `can` are the actions that help, out of "retry",
 * "request", "take" and "hide"; `again`: so does signing in.
 */
export function condition(
  state,
  { listed = true, typed = false, once = false, again = false, signing = false } = {},
) {
  if (state.phase === "closed" && state.trouble) {
    const end = ended(state, listed);
    return once ? { ...end, text: NEW_LINK, steps: [], can: [] } : end;
  }
  if (state.device !== "down")
    return state.phase === "up" && state.role === "observer" && typed
      ? asksAgain(state.held) || signing
        ? stale(again)
        : held(state)
      : null;
  if (state.phase === "up" || (state.phase === "lost" && state.lost?.byTarget)) return away(state);
  return null;
}

function ended({ trouble, endpoint, holder }, listed) {
  const { code, reason = "", help } = trouble;
  // A page is not told why a line is refused before it opens: an unknown name and a missing right
  // look the same.
  if (code === "unreachable" || code === undefined) {
    if (!listed && !endpoint)
      return {
        kind: "unknown",
        title: "Unknown line",
        text: "This gateway has no line of that name, or you have no right to it.",
        reason: "",
        can: ["retry"],
      };
    const [title, text] = help
      ? [help.title, help.text]
      : ["No connection", "The line could not be opened."];
    return {
      kind: "closed",
      title,
      text,
      steps: help?.steps,
      reason: help ? "" : reason,
      can: ["retry"],
    };
  }
  const [title, text] = ENDS[code] ?? ["No connection", "The line could not be opened."];
  const inUse = (code === "busy" || code === 4409) && holder;
  return {
    kind: "closed",
    title: inUse ? `In use by ${person(holder.user)}` : title,
    text,
    reason: text.startsWith(reason) ? "" : reason,
    since: inUse ? Date.parse(holder.since) || null : null,
    can: ["retry"],
  };
}

function away({ endpoint, error, since, lost, rx }) {
  const kind = endpoint?.kind;
  // A kind that is newer than this page is treated like TCP.
  const far = kind !== undefined && kind !== "serial" && kind !== "sim";
  return {
    kind: "away",
    title: far ? "Not reachable" : "The device is not there",
    text: kind ? (WAITS[kind] ?? WAITS.tcp) : "The gateway tries again by itself.",
    reason: error ?? "",
    since,
    retryAt: lost?.byTarget ? lost.retryAt : null,
    can: [...(lost?.byTarget ? ["retry"] : []), ...(rx > 0 ? ["hide"] : [])],
  };
}

/** The sign-in is too old to write by. */
const stale = (again) => ({
  kind: "held",
  title: again ? "Sign in again to write" : "Read only",
  text: again
    ? "Your last sign-in is too long ago for this line. What you type until then is sent afterwards."
    : "Only those write here who signed in a short while ago. What you came with cannot do that again: what you typed was not sent.",
  reason: "",
  again,
  can: ["hide"],
});

/** Somebody else writes, or nobody does, or this user may not write at all. */
function held({ holder, rights, endpoint }) {
  const may = rights.includes("write");
  const text = `You read along: what you typed was not sent.${may ? "" : " You have no right to write here."}`;
  const own = isSelf(holder?.user);
  const take =
    may && holder && (own || rights.includes("takeover")) && endpoint?.share !== "everyone";
  return {
    kind: "held",
    title: own
      ? "You write in another window"
      : holder
        ? `${person(holder.user)} writes${holder.away ? ", but is away" : ""}`
        : may
          ? "Nobody writes"
          : "Read only",
    text,
    reason: "",
    since: holder ? Date.parse(holder.since) || null : null,
    can: [...(may && !own ? ["request"] : []), ...(take ? ["take"] : []), "hide"],
  };
}
