// The console as a person uses it: a page that must not complain, people with a password, what is
// on the screen.

import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { after, before } from "node:test";
import { launch, missing } from "./engines.mjs";
import { binary } from "./gateway.mjs";
import { eventually, stopAll } from "./life.mjs";

/** Where pictures of the console are put. */
export const pictures = fileURLToPath(new URL("../../../target/screenshots/", import.meta.url));
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/**
 * What a file of tests of the console begins with: one Chromium for all of them, which is not there
 * where `skip` says why. open(t, url, options) gives a page of it, context(t, options) a context
 * without a watch over its console.
 */
export function consoleSuite() {
  const skip = missing("chromium");
  let browser;
  before(async () => {
    mkdirSync(pictures, { recursive: true });
    if (!skip) browser = await launch("chromium");
  });
  after(stopAll);
  return {
    skip,
    open: (t, url, options) => openPage(t, browser, url, options),
    async context(t, options) {
      const context = await browser.browser.newContext(options);
      t.after(() => context.close());
      return context;
    },
  };
}

/** What pages have complained of, but for the 401 that has them ask for a sign-in. */
export const complaintsOf = (...pages) =>
  pages.flatMap(({ complaints }) => complaints.filter((text) => !/status of 401/.test(text)));

/** The rules of axe-core that a page breaks, each with its elements. */
export async function broken(page) {
  await page.addScriptTag({ path: axe });
  return page.evaluate(async () =>
    (await globalThis.axe.run()).violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(", ")}`,
    ),
  );
}

export const PASSWORD = "a long password of the suite";
let hash;

/**
 * The configuration of two people, `alice` and `bob`, with the same password, who may do
 * everything.
 */
export function users() {
  hash ??= /"(\$argon2id[^"]+)"/.exec(
    execFileSync(binary, ["passwd", "alice"], { input: `${PASSWORD}\n`, encoding: "utf8" }),
  )[1];
  const each = ["alice", "bob"]
    .map((name) => `  ${name}: { password: "${hash}", roles: [ all ] }\n`)
    .join("");
  return `users:\n${each}roles:\n  all: { "*": [ read, write, signals, settings, takeover ] }\n`;
}

/**
 * A page of Chromium on `url`; `complaints` has its uncaught errors, what it wrote to its console,
 * and violations of the policy.
 */
export async function openPage(
  t,
  browser,
  url,
  { viewport = { width: 1440, height: 900 }, prepare = async () => {}, ...context } = {},
) {
  const page = await (await browser.browser.newContext({ viewport, ...context })).newPage();
  page.setDefaultTimeout(15_000);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error.stack ?? error)));
  page.on(
    "console",
    (message) =>
      ["error", "warning"].includes(message.type()) &&
      complaints.push(`${message.text()} ${message.location().url}`),
  );
  await page.addInitScript(() =>
    addEventListener("securitypolicyviolation", (event) =>
      console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`),
    ),
  );
  t.after(() => page.context().close());
  await prepare(page);
  await page.goto(url);
  return Object.assign(page, { complaints });
}

export const connected = (page) =>
  page.waitForFunction(() => document.querySelector(".status-where")?.textContent === "connected");
export const screen = async (page) =>
  (await page.locator(".xterm-rows").first().innerText()).replaceAll("\u00a0", " ");
export const shows = (page, pattern) =>
  eventually(async () => pattern.test(await screen(page)), `${pattern} on the terminal`);
export const says = (page, pattern) => page.getByText(pattern).first().waitFor();

export async function signIn(page, user, password = PASSWORD) {
  await page.getByLabel("User").fill(user);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}
