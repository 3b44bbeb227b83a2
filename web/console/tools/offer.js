// The offer when a device starts ZMODEM: a notice with buttons. Nothing is started, accepted or
// refused unasked.

import { CANCEL } from "./session.js";
import { ZmodemDetector } from "./zdetect.js";

/** A device that keeps sending headers must not fill the page with questions. */
const QUIET_MS = 15_000;

/** What the offer starts is the panel's. @returns {() => void} ends it */
export function watchForZmodem(ctx, { busy, receive, send }) {
  const detector = new ZmodemDetector();
  let last = -QUIET_MS;
  let remove = null;

  function offer(kind) {
    remove?.();
    const wants =
      kind === "receive"
        ? "The device offers files (ZMODEM)."
        : "The device waits for files (ZMODEM).";
    const started = (run) => () => {
      remove = null;
      run();
    };
    remove = ctx.notice(wants, {
      kind: "info",
      key: "zmodem",
      for: 60,
      actions: [
        {
          label: kind === "receive" ? "Receive…" : "Choose files…",
          run: started(kind === "receive" ? receive : send),
        },
        {
          label: "Refuse",
          run: started(() => {
            ctx.write(CANCEL).catch(() => {});
          }),
        },
      ],
    });
  }

  const off = ctx.onBytes(({ bytes, replay }) => {
    if (replay || busy() || !ctx.mayWrite()) return;
    const kind = detector.push(bytes);
    if (!kind || performance.now() - last < QUIET_MS) return;
    last = performance.now();
    offer(kind);
  });
  return () => {
    off();
    remove?.();
  };
}
