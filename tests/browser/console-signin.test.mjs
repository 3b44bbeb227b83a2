// The console's sign-in in Chromium: too many wrong passwords, and a login that ends while a line
// is open.

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, startGateway } from "./harness.mjs";
import {
  complaintsOf,
  connected,
  consoleSuite,
  says,
  shows,
  signIn,
  users,
} from "./harness/console.mjs";

const { skip, open } = consoleSuite();

test(
  "after too many wrong passwords the page says how long to wait, counts down, and then takes a password again",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({ yaml: `${users()}endpoints:\n  echo: { sim: echo }\n` });
    // The test controls the page's clock, so that nobody waits for the minute.
    const page = await open(t, gateway.url, { prepare: (one) => one.clock.install() });
    await page.getByLabel("User").waitFor();
    const headers = { "content-type": "application/json", origin: new URL(gateway.url).origin };
    const body = JSON.stringify({ user: "alice", password: "wrong" });
    const answers = [];
    for (let n = 0; n < 21; n += 1)
      answers.push(await fetch(`${gateway.url}api/login`, { method: "POST", headers, body }));
    assert.deepEqual([answers[0].status, answers[20].status], [401, 429]);
    assert.ok(Number(answers[20].headers.get("retry-after")) > 0);

    await signIn(page, "alice");
    const button = page.locator("form button[type=submit]");
    const waits = async () => {
      await says(page, /Too many wrong passwords from here\. Try again in \d+ s/);
      await eventually(
        async () => /^Wait \d+ s$/.test(await button.innerText()),
        "the button that waits",
      );
      assert.ok(await button.isDisabled());
    };
    await waits();
    // Somebody who opens the page now is told the same.
    await page.reload();
    await waits();
    const before = Number(/\d+/.exec(await button.innerText())[0]);
    await page.clock.runFor(5_000);
    const later = Number(/\d+/.exec(await button.innerText())[0]);
    assert.ok(later < before, `${before} s, then ${later} s`);
    await page.clock.runFor((later + 2) * 1000);
    assert.equal(await button.innerText(), "Sign in");
    assert.ok(await button.isEnabled());
  },
);

test(
  "a login that ends closes its lines and asks again; with the password the page goes on where it was",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({
      yaml: `login: { lifetime: 4s }\n${users()}endpoints:\n  echo: { sim: echo }\n`,
    });
    const page = await open(t, `${gateway.url}#/echo`);
    await signIn(page, "alice");
    await connected(page);
    await page.keyboard.type("once");
    await shows(page, /once/);
    await says(page, /The login of alice has ended/);
    await eventually(
      () => /session closed.*code=4401/.test(gateway.log()),
      "the end of the socket",
    );
    assert.equal(await page.getByLabel("User").inputValue(), "alice");
    assert.equal(new URL(page.url()).hash, "#/echo");
    assert.equal(
      await page.locator(".xterm-rows:visible").count(),
      0,
      "what was on the screen is not for the next person",
    );
    await signIn(page, "alice");
    await connected(page);
    await page.locator(".terminal-host").click();
    await page.keyboard.type("twice");
    await shows(page, /twice/);
    const wrong = complaintsOf(page);
    assert.deepEqual(wrong, []);
  },
);
