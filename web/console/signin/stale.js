// When a sign-in is too old to write by (`reauth`). Pure, so that a test can ask it anything.

/** Whether that is the gateway's reason. */
export const asksAgain = (why) => /\bsign in again to\b/.test(why ?? "");

/** Whether somebody of this kind can sign in again: what others show is not theirs to renew. */
export const canAgain = ({ kind }) => kind === "user" || kind === "identity";
