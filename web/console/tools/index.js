// The tools beside the terminal, in the order in which they are shown; ../panels.js says what a
// tool is.

import "./tools.css";
import { hexView } from "./hex.js";
import { logPanel } from "./log.js";
import { macroPanel } from "./macropanel.js";
import { plotView } from "./plot.js";
import { sendBox } from "./send.js";
import { transferPanel } from "./transfer.js";

export const tools = [
  // Early: people look for what passed before they looked.
  { id: "hex", label: "Hex", icon: "hex", place: "view", mount: hexView, early: true },
  { id: "plot", label: "Plot", icon: "plot", place: "view", mount: plotView },
  { id: "send", label: "Send box", short: "Send", icon: "send", place: "bar", mount: sendBox },
  {
    id: "transfer",
    label: "Files",
    icon: "transfer",
    place: "panel",
    mount: transferPanel,
    early: true,
  },
  { id: "macros", label: "Macros", icon: "macro", place: "panel", mount: macroPanel, early: true },
  { id: "log", label: "Log", icon: "file", place: "panel", mount: logPanel },
];
