// Debian's Chromium, driven by Playwright.

import { chromium } from "playwright-core";
import { started, stopped } from "./life.mjs";
import { expression } from "./script.mjs";

const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * `args` are further flags, `env` more of the environment; `context` are Playwright's options of a
 * context (viewport, colorScheme, hasTouch).
 */
export async function launchChromium({ args = [], env = {}, context: options = {} } = {}) {
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    headless: true,
    args: [...flags, ...args],
    env: { ...process.env, ...env },
  });
  const open = async (context) =>
    driven(await (context ?? (await browser.newContext(options))).newPage());
  const driven = (page) => {
    page.setDefaultTimeout(15000);
    const said = [];
    page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => said.push(`uncaught: ${error.stack ?? error}`));
    const self = {
      engine: "chromium",
      playwright: page,
      browser,
      /** What the page wrote to its console, including uncaught errors. */
      said,
      goto: (url) => page.goto(url),
      async evaluate(body, ...args) {
        return JSON.parse(await page.evaluate(expression(body, args)));
      },
      click: (selector) => page.click(selector),
      async keys(text) {
        for (const part of text.split(/(\{[A-Z][A-Za-z]+\})/).filter(Boolean)) {
          const name = /^\{(.+)\}$/.exec(part)?.[1];
          await (name ? page.keyboard.press(name) : page.keyboard.type(part));
        }
      },
      /** Types text into an element of the page's only frame. */
      async type(selector, text) {
        await page.frameLocator("iframe").locator(selector).focus();
        await page.keyboard.type(text);
      },
      /** Another page: in the same profile, or in one that shares nothing with it. */
      another: ({ shared = true } = {}) => open(shared ? page.context() : undefined),
      resize: (width, height) => page.setViewportSize({ width, height }),
      screenshot: (path) => page.screenshot({ path }),
      /** The window that `act` opens. */
      async popup(act) {
        const opened = page.waitForEvent("popup");
        await act();
        return driven(await opened);
      },
      close: () => page.close(),
      async stop() {
        stopped(self);
        await browser.close();
      },
    };
    return self;
  };
  return started(await open());
}
