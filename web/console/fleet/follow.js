// The hub's gateways as the hub tells them, asked for again and again while somebody looks.

import { ask } from "../session.js";
import { undoing } from "../store.js";

/** How long after an answer the next one is asked for, in ms. */
const EVERY = 3000;
/** How long an answer may take, in ms. */
const LATE = 10_000;
/** How many gateways are shown, and how many more each time. */
const PAGE = 100;
/** The most that a hub tells at once. */
const MOST = 500;

/**
 * Follows the list from now on: { want({ q, state }), more(), dispose() }. `told({ gateways, more })`
 * hears each answer, `failed(error)` each time that there is none.
 */
export function followFleet({ told, failed }) {
  const undo = undoing();
  let wanted = { q: "", state: "" };
  let count = PAGE;
  let newest = 0; // the number of the last question: answers to earlier ones come too late
  let timers = [];

  async function list() {
    const gateways = [];
    let after = "";
    do {
      const limit = String(Math.min(MOST, count - gateways.length));
      const page = await ask(`/api/fleet?${new URLSearchParams({ ...wanted, after, limit })}`);
      gateways.push(...page.gateways);
      after = page.next ?? "";
    } while (after && gateways.length < count);
    return { gateways, more: after !== "" };
  }

  function rest() {
    for (const timer of timers) clearTimeout(timer);
    timers = [];
  }

  async function look() {
    rest();
    const mine = (newest += 1);
    const late = () => (failed(new Error("the hub does not answer")), look());
    timers.push(setTimeout(late, LATE));
    const answer = await list().then(
      (found) => () => told(found),
      (error) => () => failed(error),
    );
    if (mine !== newest) return;
    rest();
    answer();
    if (!document.hidden) timers.push(setTimeout(look, EVERY));
  }

  undo.listen(document, "visibilitychange", () => !document.hidden && look());
  undo.add(rest, () => (newest += 1));
  return {
    want(next) {
      wanted = next;
      count = PAGE;
      look();
    },
    more() {
      count += PAGE;
      look();
    },
    dispose: () => undo.undo(),
  };
}
