// The help dialog: keys, and how to get out of the terminal without a mouse.

import { openDialog } from "../dialog.js";
import { h } from "../dom.js";
import { SHORTCUTS, keyName } from "../shortcuts.js";

export function openHelp() {
  const keys = SHORTCUTS.map(([key, text]) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, kbd("Ctrl"), kbd("Shift"), kbd(keyName(key))),
      h("td", {}, text),
    ),
  );
  openDialog({
    title: "Help",
    wide: true,
    body: [
      h(
        "p",
        {},
        "In the terminal every key goes to the device, Tab and Escape too. ",
        kbd("Ctrl"),
        kbd("Shift"),
        kbd("X"),
        " gets you out of it: from there Tab walks through the page as usual.",
      ),
      h(
        "table",
        { class: "keys-table" },
        h("caption", {}, "Keys, on every system"),
        h("tbody", {}, keys),
      ),
      h("h3", {}, "Several lines"),
      h(
        "p",
        {},
        "The + beside a line in the list (or Ctrl and a click) opens it beside the others. The address keeps what is open: #/plc1+modem1 can be bookmarked, with ?bare behind it without list and bars.",
      ),
      h("h3", {}, "Who writes"),
      h(
        "p",
        {},
        "One writes, all read. Who wants to write asks; the holder answers within half a minute. Some may take over without asking. The mark beside the line's name says how it is and is the way to change it.",
      ),
      h("h3", {}, "Lost connections"),
      h(
        "p",
        {},
        "The page connects again by itself and goes on at the byte where it was. When bytes were lost it says how many, and where.",
      ),
    ],
  });
}

const kbd = (text) => h("kbd", {}, text);
