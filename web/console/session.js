// Who is signed in: asks the gateway, signs in and out, and notices when the login has ended.

import { gateway } from "./place.js";
import { store } from "./store.js";

/**
 * { phase: "asking" } at first; { phase: "in", user, kind, ... } as GET /api/session says; { phase:
 * "out", ended } when a sign-in is needed (`ended`: there was one before; `wait`: not for this many
 * seconds; `authority`: see `ended`); { phase: "unreachable", reason } when the gateway does not
 * answer.
 */
export const session = store({ phase: "asking" });

/**
 * An answer from the gateway other than what was asked for: its status, its text, and for 429 the
 * seconds to wait.
 */
export class Refused extends Error {
  constructor(status, text, wait) {
    super(text);
    this.status = status;
    this.wait = wait;
  }
}

/** Whether another page shows this one in a frame, where nothing can be taken over. */
const framed = globalThis.top !== globalThis.self;

/** An address of the gateway, whose page may be below a path of a proxy: `/api/session`. */
export function here(path) {
  const url = new URL(path.replace(/^\//, ""), new URL(".", location.href));
  if (framed) url.searchParams.set("framed", "");
  return url;
}

/**
 * Over plain HTTP a browser says nothing about itself: without this header a 401 would make it ask
 * for a password in a window of its own.
 */
const OURS = { "X-Requested-With": "XMLHttpRequest" };

/**
 * Asks the gateway. Returns the JSON of the answer, or null if there is none. A 401 ends the
 * session on this page.
 */
export async function ask(path, body) {
  const post = {
    method: "POST",
    headers: { ...OURS, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const answer = await fetch(here(path), {
    credentials: "same-origin",
    cache: "no-store",
    headers: OURS,
    ...(body === undefined ? {} : post),
  });
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const text = (await answer.text()).split("\n", 1)[0].slice(0, 300);
  if (answer.status === 401 && path !== "/api/login")
    ended(answer.headers.get("Wsbridge-Authority"));
  throw new Refused(
    answer.status,
    text || `the gateway answered ${answer.status}`,
    Number(answer.headers.get("Retry-After")) || 0,
  );
}

/**
 * The login is over: it expired, was signed out elsewhere, or never existed. `authority` is the
 * fingerprint of whoever vouches for the gateway's own certificate.
 * @param {string | null} [authority]
 */
export function ended(authority = session.value.authority?.sha256) {
  const { phase, user: before } = session.value;
  if (phase === "out") return;
  session.set({ phase: "out", ended: phase === "in", before, authority });
  clearTimeout(expiry);
}

let expiry;

function signedIn(who) {
  // Below /g/NAME/ it is the hub that answers: its apps are for lines of its own.
  session.set({ phase: "in", ...who, apps: gateway === undefined ? who.apps : [] });
  clearTimeout(expiry);
  // Each request moves an idle expiry on, so ask again when it would be over, and believe the
  // answer.
  if (who.expires_in)
    expiry = setTimeout(refresh, Math.min(who.expires_in * 1000 + 500, 2 ** 31 - 1));
}

/** Asks who is signed in. Never throws: the outcome is in the store. */
export async function refresh() {
  try {
    signedIn(await ask("/api/session"));
  } catch (error) {
    if (error instanceof Refused && error.status === 401) ended();
    // After too many wrong passwords from here, the gateway answers only with how long to wait.
    else if (error instanceof Refused && error.status === 429 && session.value.phase !== "in")
      session.set({ phase: "out", wait: Math.max(1, error.wait) });
    else if (session.value.phase !== "in")
      session.set({ phase: "unreachable", reason: error.message, status: error.status });
  }
}

/**
 * Signs in, with a code where one is needed. `next` is what is needed besides; without it `enter()`
 * begins the session on this page, and after a recovery code `left` is how many there are. Throws
 * Refused: 401 wrong, 429 with the seconds to wait.
 */
export async function signIn(user, password, code) {
  const who = await ask("/api/login", { user, password, code });
  const { next, recovery_codes: left } = who;
  return { next, left, enter: () => signedIn(who) };
}

/** Signs out, here and in every other tab with this login. */
export async function signOut() {
  try {
    await ask("/api/logout", {});
  } finally {
    ended();
  }
}
