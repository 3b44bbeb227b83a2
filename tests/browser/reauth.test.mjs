// Signing in again to write (`reauth`), in the console: in place, and what was typed goes on.

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, startGateway } from "./harness.mjs";
import {
  PASSWORD,
  broken,
  connected,
  consoleSuite,
  pictures,
  says,
  screen,
  shows,
  signIn,
  users,
} from "./harness/console.mjs";
import { startIssuer } from "./harness/issuer.mjs";

const { skip, open } = consoleSuite();
// The policy of the page would keep axe-core out.
const AXE = { bypassCSP: true };

const guarded = (reauth) => `endpoints:\n  echo: { sim: echo, reauth: ${reauth} }\n`;

const type = async (page, text) => {
  await page.locator(".xterm-helper-textarea").first().focus();
  await page.keyboard.type(text);
};

/** Gives the right to write back, and waits until the sign-in is too old to have it again. */
async function grownOld(page) {
  await page.getByRole("button", { name: /^Who writes: You write/ }).click();
  await page.getByRole("menuitem", { name: /Give back/ }).click();
  await page.getByRole("button", { name: /^Who writes: Sign in again to write/ }).waitFor();
}

test(
  "a password in the pane, and what was typed meanwhile is sent: same session, same terminal",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({ yaml: `${users()}${guarded("2s")}` });
    const page = await open(t, `${gateway.url}#/echo`, AXE);
    await signIn(page, "alice");
    await connected(page);
    await type(page, "before ");
    await shows(page, /before/);
    await grownOld(page);

    await type(page, "one");
    const again = page.getByLabel("Password of alice");
    await again.waitFor();
    assert.deepEqual(await broken(page), []);
    await page.screenshot({ path: `${pictures}sign-in-again.png` });
    // Whoever stops typing finds the password field ready.
    await eventually(
      () => again.evaluate((field) => field === document.activeElement),
      "the focus in the password field",
    );
    await page.keyboard.type("wrong");
    await page.keyboard.press("Enter");
    await says(page, "User or password is wrong.");
    assert.ok(!/one|wrong/.test(await screen(page)), "nothing was sent before");
    await page.keyboard.type(PASSWORD);
    await page.keyboard.press("Enter");
    await shows(page, /before one/);
    assert.ok(!/wrong/.test(await screen(page)));
    await again.waitFor({ state: "detached" });
    assert.equal(gateway.log().match(/session opened endpoint=echo/g).length, 1, gateway.log());
    assert.deepEqual(
      page.complaints.filter((text) => !/status of 401/.test(text)),
      [],
    );
  },
);

test(
  "a provider in a window beside the page, which closes by itself; a line for all needs no lease",
  { skip, timeout: 60_000 },
  async (t) => {
    const issuer = await startIssuer();
    const yaml = `${users()}${issuer.yaml}${guarded("5s").replace("echo,", "echo, share: everyone,")}`;
    const gateway = await startGateway({ yaml });
    issuer.admit(gateway.url);
    const page = await open(t, `${gateway.url}#/echo`, AXE);
    const through = async (where) => {
      await where.locator("input[name=login]").fill("anna");
      await where.locator("input[name=password]").fill("any");
      await where.locator("button[type=submit]").click();
    };
    await page.getByRole("button", { name: "Sign in with Plant account" }).waitFor();
    assert.deepEqual(await broken(page), []);
    await page.screenshot({ path: `${pictures}sign-in-provider.png` });
    await page.getByRole("button", { name: "Sign in with Plant account" }).click();
    await through(page);
    await page.getByRole("button", { name: "Continue" }).click();
    await connected(page);
    await page.getByRole("button", { name: /^Who writes: Sign in again to write/ }).click();
    await type(page, "typed");
    const again = page.getByRole("button", { name: "Sign in again with Plant account" });
    await page.screenshot({ path: `${pictures}sign-in-again-provider.png` });
    const [beside] = await Promise.all([page.waitForEvent("popup"), again.click()]);
    // Signed in there as well, it asks all the same.
    await through(beside);
    await shows(page, /typed/);
    await eventually(() => beside.isClosed(), "the window beside to close");
    await again.waitFor({ state: "detached" });
    assert.equal(gateway.log().match(/session opened endpoint=echo/g).length, 1, gateway.log());
    assert.deepEqual(
      page.complaints.filter((text) => text.includes(gateway.url) && !/status of 401/.test(text)),
      [],
    );
  },
);

test(
  "lending asks for it, too, and goes on; what is not a person's sign-in is told that it only reads",
  { skip, timeout: 60_000 },
  async (t) => {
    const lenders = users().replace("takeover ] }", "takeover, grant ] }");
    const gateway = await startGateway({ yaml: `${lenders}${guarded("2s")}` });
    const page = await open(t, `${gateway.url}#/echo`);
    await signIn(page, "alice");
    await connected(page);
    await grownOld(page);
    await page.getByRole("button", { name: "Lend access…" }).click();
    await page.getByLabel("Why (they see it)").fill("firmware");
    await page.getByRole("button", { name: "Make a link" }).click();
    await page.getByLabel("Password of alice").fill(PASSWORD);
    await page.screenshot({ path: `${pictures}sign-in-again-lend.png` });
    await page.getByRole("button", { name: "Sign in again", exact: true }).click();
    const link = await page.getByLabel("The link").inputValue();

    const vendor = await open(t, link);
    await vendor.getByRole("button", { name: "Use this access" }).click();
    await vendor.getByRole("link", { name: /echo/ }).first().click();
    await connected(vendor);
    await vendor.getByRole("button", { name: /^Who writes: You write/ }).click();
    await vendor.getByRole("menuitem", { name: /Give back/ }).click();
    await says(vendor, /You may only read now: sign in again/);
    await type(vendor, "late");
    await says(vendor, /What you came with cannot do that again/);
    assert.ok(!/late/.test(await screen(vendor)));
  },
);
