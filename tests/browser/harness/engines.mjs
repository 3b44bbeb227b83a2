// Three engines behind one small driver: Chromium by Playwright, Firefox by WebDriver BiDi, WebKit
// by WebDriver.
//
// A page has goto(url), evaluate(function, ...arguments) (awaits what it gives; arguments and
// result are JSON), click(selector), keys(text) with {Enter}, {Tab} and the like, resize(width,
// height), screenshot(path), popup(act) (the window that it opens), type(selector, text) into an element
// of the page's only frame, close(). Chromium's also has `playwright`, Playwright's own page.

import { existsSync } from "node:fs";
import { launchChromium } from "./chromium.mjs";
import { launchFirefox } from "./firefox.mjs";
import { launchWebKit, miniBrowser } from "./webkit.mjs";

const engines = {
  chromium: { launch: launchChromium, needs: ["/usr/bin/chromium"] },
  firefox: { launch: launchFirefox, needs: ["/usr/bin/firefox-esr"] },
  webkit: {
    launch: launchWebKit,
    needs: ["/usr/bin/WebKitWebDriver", "/usr/bin/Xvfb", miniBrowser],
  },
};

/**
 * What of an engine is not on this machine, as the reason to skip it; undefined when all is there.
 */
export function missing(engine) {
  const lacks = engines[engine].needs.filter((path) => !path || !existsSync(path));
  return lacks.length > 0
    ? `no ${engine}: ${lacks.map((path) => path || "MiniBrowser").join(", ")} is not there`
    : undefined;
}

/** Starts an engine with an empty profile and returns its page. */
export function launch(engine = "chromium", options = {}) {
  return engines[engine].launch(options);
}
