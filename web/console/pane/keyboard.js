// What the user types, pastes and breaks in one pane: sent if that is allowed, otherwise the user
// is told why not.

import { encode } from "../terminal/encoding.js";
import { typing as typed } from "../terminal/input.js";
import { paste } from "../terminal/paste.js";

/**
 * Returns { typing, pasted(text), pasteFromClipboard(), sendBreak(), dispose() }. `refused(send)` is
 * called when somebody types without the right to; `send` sends it later.
 */
export function keyboard({ link, screen, settings, notices, flow, refused, sendFile }) {
  const mayType = () => link.mayWrite() && !flow.claimed;
  const typing = typed({
    terminal: screen.terminal,
    settings,
    mayWrite: mayType,
    send,
    refused: (data) => readOnly(() => typing.type(data)),
    echo: screen.echo,
  });

  function send(data) {
    const bytes = typeof data === "string" ? encode(data, screen.get("encoding")) : data;
    link
      .write(bytes)
      .catch((error) =>
        notices.show(`Not sent: ${error.message}`, { kind: "warn", key: "write", for: 8 }),
      );
  }

  function readOnly(later) {
    const { role, phase, device } = link.state.value;
    const tell = (text, kind = "warn") => notices.show(text, { key: "readonly", for: 5, kind });
    if (flow.claimed) tell("A transfer has the line: typing waits until it is over.", "info");
    // Why the device is not there, or the line ended, is shown in the middle of the pane.
    else if (phase === "up" && device === "down") tell("Not sent: the device is not there.");
    else if (phase !== "up") tell("Not sent: there is no connection.");
    else if (role !== "writer") refused(later);
  }

  function pasted(text) {
    if (!mayType()) return readOnly(() => pasted(text));
    const instead = { label: "Send a file", run: sendFile };
    paste({
      text,
      terminal: screen.terminal,
      settings,
      type: typing.type,
      notice: notices.show,
      mayWrite: () => link.mayWrite(),
      instead,
    });
  }

  async function sendBreak() {
    if (!link.mayWrite()) return readOnly(sendBreak);
    const ms = settings.get("break.ms", 250);
    try {
      await link.sendBreak(ms);
      notices.show(`Break of ${ms} ms sent.`, { key: "break-sent", kind: "good", for: 4 });
    } catch (error) {
      notices.show(`No break was sent: ${error.message}`, {
        key: "break-sent",
        kind: "warn",
        for: 8,
      });
    }
  }

  return {
    typing,
    pasted,
    async pasteFromClipboard() {
      try {
        pasted(await navigator.clipboard.readText());
      } catch {
        notices.show(
          "This browser does not give the clipboard to the page: press Ctrl Shift V in the terminal.",
          { for: 8 },
        );
      }
    },
    sendBreak,
    dispose: () => typing.dispose(),
  };
}
