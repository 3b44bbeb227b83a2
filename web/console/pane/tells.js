// Reports in the pane what happens to a line: as a notice, and in the terminal if bytes are
// concerned.

import { tellLease } from "./lease.js";
import { WITHDRAWN } from "../lend/follow.js";
import { byteCount, lineSettings, person, span } from "../format.js";

/** Listens to `link.events` and reports. Returns a function that ends it. */
export function tells(parts) {
  const tell = { ...connectionTells(parts), ...lineTells(parts), ...byteTells(parts) };
  return parts.link.events.on((event) => tell[event.type]?.(event));
}

/** The state of the way to the gateway. */
function connectionTells({ screen, notices, flow }) {
  let lostAt = 0;
  let away = false;
  return {
    opened({ opened }) {
      const length = Math.max(0, (opened.live ?? opened.rx) - opened.rx);
      flow.expectReplay(length);
    },
    lost() {
      // Sent before each attempt; only the first is news.
      if (away) return;
      away = true;
      lostAt = Date.now();
      notices.dismiss("resumed");
      notices.show("The connection to the gateway is lost; trying again.", {
        kind: "warn",
        key: "lost",
      });
    },
    resumed({ gap, downFor }) {
      away = false;
      notices.dismiss("lost");
      const time = span(downFor ?? Date.now() - lostAt);
      const lost = typeof gap === "number" ? gap : gap ? gap.to - gap.from : 0;
      if (lost > 0) {
        notices.show(`Connected again after ${time}: resumed with a gap of ${byteCount(lost)}.`, {
          kind: "warn",
          key: "resumed",
        });
      } else {
        notices.show(`Connected again after ${time}: resumed, 0 bytes lost.`, {
          kind: "good",
          key: "resumed",
          for: 15,
        });
      }
    },
    gone({ error }) {
      away = false;
      notices.dismiss("lost");
      if (error) return;
      screen.print("new session: what came in between is not known", "bad");
      notices.show(
        "The session was gone (the gateway was restarted, or too much time passed). A new one is open; what was on its way may be lost.",
        {
          kind: "warn",
          key: "resumed",
        },
      );
    },
    closed({ code, reason }) {
      away = false;
      notices.dismiss("lost");
      // A page that may still read opens the line again, and would not say why it did.
      if (code === WITHDRAWN && reason)
        notices.show(`${reason[0].toUpperCase()}${reason.slice(1)}.`, {
          kind: "warn",
          key: "withdrawn",
          urgent: true,
        });
    },
  };
}

/** What happened to the line, and who did it. */
function lineTells({ link, screen, notices }) {
  return {
    device({ device, error, before }) {
      // Why it is not there is shown in the middle of the pane; this marks the end of what it said
      // before it went.
      if (device === "down" && before === "up")
        screen.print(`device gone${error ? `: ${error}` : ""}`, "bad");
      else if (device === "up") {
        if (before === "down") {
          screen.print("device is back", "good");
          notices.show("The device is back.", { kind: "good", key: "device", for: 8 });
        }
      }
    },
    config({ by }) {
      const text = lineSettings(link.state.value.config);
      notices.show(
        by
          ? `${person(by)} set the line to ${text}.`
          : `The line is at ${text} again, as configured.`,
        { key: "config", for: 12 },
      );
    },
    lease: (event) => tellLease({ link, notices, event }),
    held({ why }) {
      if (why)
        notices.show(`You may only read now: ${why}.`, { kind: "warn", key: "held", urgent: true });
      else
        notices.show("You may write again.", {
          kind: "good",
          key: "held",
          for: 15,
          action: { label: "Write", run: () => link.lease("request").catch(() => {}) },
        });
    },
    notice: ({ from, text }) =>
      notices.show(`${person(from)}: ${text}`, { kind: "warn", urgent: true }),
  };
}

/** Bytes that are missing, spoilt, or did not go. */
function byteTells({ screen, notices }) {
  let lastError = 0;
  let missed = { bytes: 0, at: 0 };
  return {
    gap({ from, to }) {
      const text = `gap of ${byteCount(to - from)}`;
      screen.print(text, "bad");
      notices.show(`A ${text}: the device sent them faster than they could be passed on.`, {
        kind: "warn",
        key: "gap",
      });
    },
    line({ event, count }) {
      if (event === "break") notices.show("The device sent a break.", { key: "break", for: 6 });
      else if (Date.now() - lastError > 5000) {
        lastError = Date.now();
        const what =
          { parity: "parity error", framing: "framing error", overrun: "overrun" }[event] ?? event;
        notices.show(
          `${count > 1 ? `${count} times ` : ""}${what} on the line: do speed and frame fit?`,
          { kind: "warn", key: "errors", for: 10 },
        );
      }
    },
    undelivered({ code, message, bytes }) {
      const down = code === "line_down";
      if (down) screen.print(message, "bad");
      const now = Date.now();
      missed = { bytes: bytes + (now - missed.at < 10_000 ? missed.bytes : 0), at: now };
      const why = {
        line_down: "the device is gone",
        not_writer: "somebody else writes",
        denied: "the right to it was taken away",
      }[code];
      notices.show(
        why && missed.bytes > 0 ? `${byteCount(missed.bytes)} not sent: ${why}.` : message,
        { kind: down ? "bad" : "warn", key: "undelivered", for: 30 },
      );
    },
  };
}
