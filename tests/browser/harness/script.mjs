// A function of a test as the text that a page runs.

/**
 * An expression that calls `body` (a function, or an expression's text) and gives a promise of its
 * result as JSON.
 */
export function expression(body, args) {
  const call = typeof body === "function" ? `(${body})(...${JSON.stringify(args)})` : `(${body})`;
  return `(async () => { const result = await ${call}; return result === undefined ? "null" : JSON.stringify(result); })()`;
}

/** {Enter}, {Tab} and the like in a text, as WebDriver's key codes. */
export function keyCodes(text) {
  const codes = {
    Enter: "\uE007",
    Tab: "\uE004",
    Escape: "\uE00C",
    Backspace: "\uE003",
    Space: " ",
    Delete: "\uE017",
    Home: "\uE011",
    End: "\uE010",
    ArrowUp: "\uE013",
    ArrowDown: "\uE015",
    ArrowLeft: "\uE012",
    ArrowRight: "\uE014",
  };
  return text.split(/(\{[A-Z][A-Za-z]+\})/).flatMap((part) => {
    const name = /^\{(.+)\}$/.exec(part)?.[1];
    return name ? [codes[name]] : [...part];
  });
}
