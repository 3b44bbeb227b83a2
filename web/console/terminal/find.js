// The search bar above a terminal.

import { h, iconButton, say } from "../dom.js";
import { theme } from "../theme.js";
import { findMarks } from "./look.js";

/**
 * A bar that searches what the terminal shows and what has scrolled away: { element, open(),
 * close(), dispose() }.
 */
export function findBar({ search, terminal }) {
  const input = h("input", {
    type: "search",
    placeholder: "Search",
    "aria-label": "Search the terminal",
    autocomplete: "off",
    spellcheck: "false",
  });
  const found = h("span", { class: "found", role: "status" });
  const caseBox = option("Aa", "Match capital letters");
  const regexBox = option(".*", "Regular expression");
  const way = (name, label, back) =>
    iconButton(name, label, { class: "icon-button turned", onclick: () => find(back) });
  const element = h(
    "form",
    {
      class: "find",
      role: "search",
      hidden: true,
      onsubmit: (event) => (event.preventDefault(), find(false)),
    },
    input,
    caseBox.element,
    regexBox.element,
    found,
    way("back", "Previous match (Shift Enter)", true),
    way("next", "Next match (Enter)", false),
    iconButton("close", "Close the search (Escape)", { onclick: () => close() }),
  );

  function find(back, incremental = false) {
    const text = input.value;
    input.setAttribute("aria-invalid", String(!valid(text, regexBox.checked())));
    if (text === "" || !valid(text, regexBox.checked())) {
      search.clearDecorations();
      say(found, text === "" ? "" : "not a regular expression");
      return;
    }
    const options = {
      caseSensitive: caseBox.checked(),
      regex: regexBox.checked(),
      incremental,
      decorations: findMarks(theme.value),
    };
    // The newest first, which is at the bottom.
    if (back) search.findPrevious(text, options);
    else search.findNext(text, options);
  }

  function close() {
    element.hidden = true;
    search.clearDecorations();
    terminal.focus();
  }

  input.addEventListener("input", () => find(true, true));
  for (const box of [caseBox, regexBox])
    box.element.addEventListener("change", () => find(true, true));
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    else if (event.key === "Enter" && event.shiftKey) find(true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const results = search.onDidChangeResults(({ resultIndex, resultCount }) => {
    if (element.hidden || input.value === "") say(found, "");
    else if (resultCount === 0) say(found, "nothing found");
    else
      say(found, resultIndex < 0 ? `${resultCount} found` : `${resultIndex + 1} of ${resultCount}`);
  });

  return {
    element,
    open() {
      element.hidden = false;
      const selected = terminal.getSelection();
      if (selected && !selected.includes("\n")) input.value = selected;
      input.focus();
      input.select();
      find(true, true);
    },
    close,
    dispose: () => results.dispose(),
  };
}

/** A switch of the search, named by letters. */
function option(letters, label) {
  const box = h("input", { type: "checkbox", "aria-label": label });
  const element = h("label", { class: "check", title: label }, box, letters);
  return { element, checked: () => box.checked };
}

function valid(text, regex) {
  if (!regex) return true;
  try {
    return Boolean(new RegExp(text));
  } catch {
    return false;
  }
}
