// Lines of the record as sentences.

/** What can be looked for, and the events that it means. */
export const KINDS = [
  ["Who was connected", "open,close,kick,hold,say,lease"],
  ["Sign-ins and refusals", "sign_in,sign_out,let_in,refused"],
  ["Lent access", "grant_given,grant_used,grant_over,request"],
  ["The device's port", "settings,signals,dead_man,switch"],
  [
    "The gateway",
    "start,stop,reload,clock_step,clock_accepted,record_started,record_rotated,record_failed,recovered,lost,witness,key",
  ],
];

/** `user:anna` is anna, `token:ci` is token ci. */
export function name(who) {
  if (!who) return "nobody";
  const [kind, ...rest] = who.split(":");
  if (rest.length === 0) return who === "local" ? "somebody on the gateway itself" : who;
  return kind === "user"
    ? rest.join(":")
    : `${kind === "grant" ? "lent access" : kind} ${rest.join(":")}`;
}

const names = (all) => [all ?? []].flat().map(name).join(", ");
const because = (reason) => (reason ? `: ${reason}` : "");
const short = (seconds) => `${Math.round(seconds * 10) / 10} s`;

const STATES = {
  pending: "asks for access",
  approved: "has access now",
  denied: "was not given access",
  withdrawn: "wants no access any more",
  expired: "was not answered",
};

/** @type {Record<string, (d: any, who: string, line?: string) => string>} */
const SENTENCES = {
  start: ({ version }) => `The gateway started (version ${version})`,
  stop: () => "The gateway stopped",
  sign_in: (_, who) => `${who} signed in`,
  sign_out: (_, who) => `${who} signed out`,
  let_in: ({ origin }, who) => `${who} let in a page of ${origin}`,
  refused: ({ request, status, reason }) =>
    `Refused: ${request || "a connection"} (${status} ${reason})`,
  // A console follows all lines at once, on a connection without a line.
  open: (_, who, line) => `${who} opened ${line ? "the line" : "the list of lines"}`,
  close: ({ reason, lasted }, who) => `${who} left after ${short(lasted)}${because(reason)}`,
  kick: ({ by, reason }, who) => `${name(by)} ended the session of ${who}${because(reason)}`,
  hold: ({ by, held }, who) =>
    held ? `${name(by)} holds ${who}: reads only` : `${name(by)} lets ${who} write again`,
  say: ({ text }, who) => `${who} told everybody: ${text}`,
  lease: (_, who) => (who === "nobody" ? "Nobody writes now" : `${who} writes now`),
  grant_given: ({ by, rights, reason }) =>
    `${names(by)} lent access (${(rights ?? []).join(", ")})${because(reason)}`,
  grant_used: (_, who) => `Lent access was used${who === "nobody" ? "" : ` by ${who}`}`,
  grant_over: ({ why }) => `Lent access is over (${why})`,
  request: ({ of, state, reason }) => `${name(of)} ${STATES[state] ?? state}${because(reason)}`,
  clock_step: ({ seconds }) => `The gateway's clock was set, by ${seconds} s`,
  clock_accepted: (_, who) => `${who} said that the clock is right`,
  settings: ({ settings }, who) => `${who} set the port to ${settings}`,
  signals: ({ macro, steps }, who) =>
    `${who} ${macro ? `ran ${macro}` : "moved signals"}: ${steps}`,
  dead_man: ({ why, done, of }, who) =>
    `The line lost ${who} (${why}): ${done} of ${of} steps were done`,
  switch: ({ on, why }) => `Key switch ${on ? "on" : "off"}${because(why)}`,
  record_started: ({ file }) => `A recording began (${file})`,
  record_rotated: ({ file }) => `The recording goes on in ${file}`,
  record_failed: ({ why }) => `Nothing could be recorded${because(why)}`,
  reload: ({ changed, refused }) =>
    refused ? `A configuration was refused: ${refused}` : `Configuration read again: ${changed}`,
  recovered: ({ missing }) =>
    missing
      ? `After a power loss ${missing} signed lines are missing`
      : "Went on after a power loss",
  lost: ({ events }) => `${events} events could not be recorded`,
  witness: ({ why }) =>
    why ? `The witness cannot be reached: ${why}` : "The witness has all again",
  key: () => "The record is signed with a new key from here on",
};

/**
 * A line of the record in a sentence.
 * @param {{ ev: string, who?: string, ep?: string, detail?: any }} line
 */
export function sentence({ ev, who, ep, detail = {} }) {
  const text = SENTENCES[ev]?.(detail, name(who), ep) ?? `${ev} ${who ? name(who) : ""}`;
  return detail.more ? `${text}, and ${detail.more} more` : text;
}
