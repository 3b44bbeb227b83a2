// The page's keys. All are Ctrl Shift with a letter or an arrow, which no terminal program uses;
// everything else is the device's.

/** Key, name, what it does, and the action that it runs, of the current pane or of the page. */
export const SHORTCUTS = [
  ["X", "Leave the terminal: the focus goes to the pane's buttons", "leave"],
  ["F", "Search the terminal", "find"],
  ["S", "Pause scrolling, go on", "pause"],
  ["L", "Clear the terminal", "clear"],
  ["C", "Copy what is selected", "copy"],
  ["V", "Paste", null],
  ["B", "Send a break", "break"],
  ["Y", "Who writes: ask, take over, give back", "lease"],
  ["D", "Go to settings and tools; there: close them", "toSide"],
  ["ArrowRight", "Next line", "next"],
  ["ArrowLeft", "Line before", "previous"],
  ["E", "Go to the list of lines", "list"],
  ["H", "This help", "help"],
];

/** What a key is called on a keyboard. */
export const keyName = (key) => ({ ArrowRight: "→", ArrowLeft: "←" })[key] ?? key;

/**
 * The key's letter; on a keyboard with other letters than ours, the one that is there on a Latin
 * keyboard.
 */
function named({ key, code }) {
  if (/^[A-Za-z]$/.test(key)) return key.toUpperCase();
  return /^Key[A-Z]$/.test(code) ? code.slice(3) : key;
}

/** Listens for the page. `run(action)` returns whether there was something to do. */
export function installShortcuts(run) {
  const listener = (event) => {
    if (!event.ctrlKey || !event.shiftKey || event.altKey || event.metaKey) return;
    if (document.querySelector("dialog[open]")) return;
    const key = named(event);
    const found = SHORTCUTS.find(([one, , action]) => one === key && action);
    if (!found) return;
    // In a text field these keys select words and copy text, as they do everywhere.
    const field = event.target.closest?.("input, textarea:not(.xterm-helper-textarea), select");
    if (field && (key.startsWith("Arrow") || key === "C")) return;
    if (run(found[2]) === false) return;
    event.preventDefault();
    event.stopPropagation();
  };
  addEventListener("keydown", listener, true);
  return () => removeEventListener("keydown", listener, true);
}
