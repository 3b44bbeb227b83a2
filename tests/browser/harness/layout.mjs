// What is wrong with the layout of the console's page, asked in the page itself, in any engine.

/** How many lines are connected, in any engine. */
export const up = () =>
  [...document.querySelectorAll(".status-where")].filter((one) => one.textContent === "connected")
    .length;

/**
 * What of the page lies wrong, as sentences; runs in the page. Outside: an element of a pane that
 * is seen beyond it. Under: two texts whose boxes share more than a pixel or two. What lies over
 * others on purpose (menus, cards, the side of a narrow pane) is not compared with what it covers;
 * what is scrolled is compared as far as it is seen.
 */
export function wrongs() {
  const seen = (one) =>
    one.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) &&
    !one.closest(".unseen, .xterm-accessibility, .xterm-helpers, .skip");
  const name = (one) =>
    `${one.tagName.toLowerCase()}.${one.className?.baseVal ?? one.className} "${one.textContent.trim().slice(0, 30)}"`;
  /** The box of an element, cut by everything around it that hides what is beyond. */
  const shown = (one, text) => {
    let { left, top, right, bottom } = text ?? one.getBoundingClientRect();
    for (let outer = text ? one : one.parentElement; outer; outer = outer.parentElement) {
      if (!/hidden|auto|scroll|clip/.test(getComputedStyle(outer).overflow)) continue;
      const cut = outer.getBoundingClientRect();
      [left, top, right, bottom] = [
        Math.max(left, cut.left),
        Math.max(top, cut.top),
        Math.min(right, cut.right),
        Math.min(bottom, cut.bottom),
      ];
    }
    return { left, top, right, bottom };
  };
  const found = [];
  for (const pane of document.querySelectorAll(".pane")) {
    if (!seen(pane)) continue;
    const frame = pane.getBoundingClientRect();
    for (const one of pane.querySelectorAll("*")) {
      if (!seen(one) || one.closest(".xterm")) continue;
      const { left, top, right, bottom } = shown(one);
      if (right - left < 1 || bottom - top < 1) continue;
      if (
        left < frame.left - 1 ||
        top < frame.top - 1 ||
        right > frame.right + 1 ||
        bottom > frame.bottom + 1
      )
        found.push(`outside: ${name(one)}`);
    }
  }
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (
      !node.data.trim() ||
      !seen(parent) ||
      parent.closest(".xterm, option, .trouble-place, .menu, .find, .live")
    )
      continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const rect of range.getClientRects()) {
      const box = shown(parent, rect);
      if (box.right - box.left > 1 && box.bottom - box.top > 1)
        texts.push({
          parent,
          ...box,
          over:
            parent.closest(".inspector") &&
            getComputedStyle(parent.closest(".inspector")).position === "absolute",
        });
    }
  }
  // Text must not lie under a picture or a field, either.
  for (const one of document.querySelectorAll("button > .icon, input, select")) {
    if (seen(one) && !one.closest(".xterm, .menu, .find, .trouble-place"))
      texts.push({
        parent: one,
        ...shown(one),
        over:
          one.closest(".inspector") &&
          getComputedStyle(one.closest(".inspector")).position === "absolute",
      });
  }
  for (const [at, one] of texts.entries()) {
    for (const other of texts.slice(at + 1)) {
      if (
        one.over !== other.over ||
        one.parent === other.parent ||
        one.parent.contains(other.parent) ||
        other.parent.contains(one.parent)
      )
        continue;
      const wide = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const high = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
      if (wide > 1.5 && high > 3)
        found.push(`under another: ${name(one.parent)} and ${name(other.parent)}`);
    }
  }
  // A button's words are not cut off.
  for (const one of document.querySelectorAll(
    ".pane-head button, .inspector [role=tab], .segments button",
  )) {
    if (seen(one) && !one.classList.contains("chip") && one.scrollWidth > one.clientWidth + 1)
      found.push(`cut off: ${name(one)}`);
  }
  return found;
}

/** What a finger has to hit and is smaller than 40 pixels, as sentences; runs in the page. */
export function small() {
  return [...document.querySelectorAll("button, select, input:not([type=checkbox]), [role=tab]")]
    .filter((one) => one.checkVisibility() && !one.closest(".unseen, .xterm"))
    .map((one) => [one, one.getBoundingClientRect()])
    .filter(([, { width, height }]) => width < 40 || height < 40)
    .map(
      ([one, { width, height }]) =>
        `${one.className} "${one.ariaLabel ?? one.textContent.slice(0, 20)}": ${width} x ${height}`,
    );
}

/**
 * Columns of each terminal that is seen, as the device would be told: the width of a row over that
 * of a letter.
 */
export function columns() {
  return [...document.querySelectorAll(".terminal-host")]
    .filter((one) => one.checkVisibility())
    .map((host) => {
      const screen = host.querySelector(".xterm-screen");
      const probe = document.createElement("span");
      probe.textContent = "W".repeat(100);
      probe.style.cssText = "position:absolute;visibility:hidden;white-space:pre;letter-spacing:0";
      host.querySelector(".xterm-rows").append(probe);
      const letter = probe.getBoundingClientRect().width / 100;
      probe.remove();
      return Math.round(screen.getBoundingClientRect().width / letter);
    });
}

/** The least number of columns of a terminal, at that size with this many lines. */
export const COLUMNS = {
  "1280x800": { 1: 80, 2: 80, 4: 58 },
  "1920x1080": { 1: 80, 2: 80, 4: 80 },
  "390x844": { 1: 42, 2: 42, 4: 42 },
};
