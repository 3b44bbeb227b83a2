// A browser that is killed leaves a session whose client is gone: the same person can write again
// immediately, in another browser.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { chromium } from "playwright-core";
import { echoDevice, eventually, missing, startGateway, stopAll } from "./harness.mjs";
import { connected, screen, signIn, users } from "./harness/console.mjs";

const skip = missing("chromium");
after(stopAll);

/** A Chromium of its own, whose process can be killed. */
async function browser(t) {
  const server = await chromium.launchServer({
    executablePath: "/usr/bin/chromium",
    headless: true,
    args: ["--no-sandbox", "--disable-gpu"],
  });
  t.after(() => server.kill());
  const page = await (await chromium.connect(server.wsEndpoint())).newPage();
  page.setDefaultTimeout(15_000);
  return { page, kill: () => server.kill() };
}

/** Types a word, and waits until the device has sent it back. */
async function writes(page, word) {
  await page.locator(".xterm-helper-textarea").first().focus();
  await page.keyboard.type(word);
  await eventually(async () => (await screen(page)).includes(word), `${word} on the terminal`);
}

test(
  "who was writing when the browser was killed writes in the next one within a second, and nobody else does",
  { skip, timeout: 90_000 },
  async (t) => {
    const device = await echoDevice();
    const yaml = `${users()}resume: 60s\nendpoints:\n  far:\n    share: one-writer\n    tcp: { address: "${device.address}" }\n`;
    const gateway = await startGateway({ yaml });
    const [first, second, third] = await Promise.all([browser(t), browser(t), browser(t)]);
    for (const [{ page }, user] of [
      [first, "alice"],
      [second, "alice"],
      [third, "bob"],
    ]) {
      await page.goto(`${gateway.url}#/`);
      await signIn(page, user);
      await page.locator(".row").filter({ hasText: "far" }).first().waitFor();
    }
    await first.page.goto(`${gateway.url}#/far`);
    await connected(first.page);
    await writes(first.page, "before");

    await first.kill();
    const killed = performance.now();
    await second.page.goto(`${gateway.url}#/far`);
    await connected(second.page);
    // A key press finds the line held by the user's own other window, which is one click away.
    await second.page.locator(".xterm-helper-textarea").first().focus();
    await second.page.keyboard.type("x");
    await second.page
      .locator(".trouble")
      .filter({ hasText: "You write in another window" })
      .waitFor();
    await second.page.getByRole("button", { name: "Write here" }).click();
    await writes(second.page, "again");
    const ms = Math.round(performance.now() - killed);
    t.diagnostic(`killed, and written again after ${ms} ms`);
    assert.ok(ms < 10_000, `${ms} ms`);
    // Somebody else is not offered that.
    await third.page.goto(`${gateway.url}#/far`);
    await third.page.locator(".chip").filter({ hasText: "alice" }).waitFor();
  },
);
