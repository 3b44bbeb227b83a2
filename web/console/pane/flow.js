// The way of the device's bytes to the screen: held while the user reads, passed to a tool that
// claims them, marked if they are earlier output.

import { byteCount } from "../format.js";
import { isOpen } from "../terminal/mark.js";

/**
 * Bytes held while scrolling is paused; beyond that it continues by itself, so that nothing is lost
 * and no device is stopped.
 */
const HELD = 1 << 20;

/** Connects `link` and `screen`. Returns pause, claim and onBytes. */
export function flow({ link, screen, paused, onPauseEnd }) {
  let held = [];
  let waiting = 0;
  let claimed = null;
  let earlier = 0; // bytes of scrollback that have yet to come
  let parting = false; // the mark after them has yet to be set

  function show({ bytes, ms, replay }) {
    parting ||= earlier > 0 && bytes.length >= earlier;
    earlier = Math.max(0, earlier - bytes.length);
    screen.write(bytes, { ms, replay });
    if (!parting || isOpen(bytes)) return;
    parting = false;
    screen.markLive(Date.now());
  }

  function take(chunk) {
    const { length } = chunk.bytes;
    if (claimed) {
      claimed(chunk);
      link.consumed(length);
    } else if (paused.value) {
      held.push({ ...chunk, bytes: chunk.bytes.slice() });
      waiting += length;
      link.consumed(length);
      paused.set({ waiting });
      if (waiting > HELD) onPauseEnd(`${byteCount(waiting)} had been waiting: scrolling goes on.`);
    } else {
      // Counted as consumed when drawn: a device that sends faster than this page draws shows up as
      // a gap, and is not kept in memory.
      show(chunk);
      screen.afterWrite(() => link.consumed(length));
    }
  }

  function release() {
    const list = held;
    held = [];
    waiting = 0;
    for (const chunk of list) show(chunk);
  }

  const offs = [link.bytes.on(take), paused.on((value) => value || release())];

  return {
    /** Scrollback of `length` bytes is about to come. */
    expectReplay: (length) => (earlier = length),
    claim(listener) {
      if (claimed) throw new Error("another tool has the line");
      claimed = listener;
      return (unread) => {
        if (claimed !== listener) return;
        claimed = null;
        if (unread?.length) show({ bytes: unread, ms: Date.now(), replay: false });
      };
    },
    get claimed() {
      return claimed !== null;
    },
    dispose: () => offs.forEach((off) => off()),
  };
}
