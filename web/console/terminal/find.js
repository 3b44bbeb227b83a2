// The search bar above a terminal.

import { h, iconButton, say } from "../dom.js";
import { theme } from "../theme.js";
import { findMarks } from "./look.js";

/**
 * A bar that searches what the terminal shows and what was scrolled away: { element, open(),
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
  const caseBox = h("input", { type: "checkbox" });
  const regexBox = h("input", { type: "checkbox" });
  const element = h(
    "form",
    {
      class: "find",
      role: "search",
      hidden: true,
      onsubmit: (event) => (event.preventDefault(), find(false)),
    },
    input,
    h("label", { class: "check" }, caseBox, "Aa"),
    h("label", { class: "check" }, regexBox, ".*"),
    found,
    iconButton("back", "Previous match (Shift Enter)", {
      class: "icon-button turned",
      onclick: () => find(true),
    }),
    iconButton("next", "Next match (Enter)", {
      class: "icon-button turned",
      onclick: () => find(false),
    }),
    iconButton("close", "Close the search (Escape)", { onclick: () => close() }),
  );
  caseBox.setAttribute("aria-label", "Match capital letters");
  regexBox.setAttribute("aria-label", "Regular expression");
  caseBox.closest("label").title = "Match capital letters";
  regexBox.closest("label").title = "Regular expression";

  function valid(text) {
    if (!regexBox.checked) return true;
    try {
      return Boolean(new RegExp(text));
    } catch {
      return false;
    }
  }

  function find(back, incremental = false) {
    const text = input.value;
    input.setAttribute("aria-invalid", String(!valid(text)));
    if (text === "" || !valid(text)) {
      search.clearDecorations();
      say(found, text === "" ? "" : "not a regular expression");
      return;
    }
    const options = {
      caseSensitive: caseBox.checked,
      regex: regexBox.checked,
      incremental,
      decorations: findMarks(theme.value),
    };
    // The newest first: it is at the bottom.
    if (back) search.findPrevious(text, options);
    else search.findNext(text, options);
  }

  function close() {
    element.hidden = true;
    search.clearDecorations();
    terminal.focus();
  }

  input.addEventListener("input", () => find(true, true));
  for (const box of [caseBox, regexBox]) box.addEventListener("change", () => find(true, true));
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
