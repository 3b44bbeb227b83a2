// A user's own sign-ins, in the console: a program's is listed, and ends there.

import assert from "node:assert/strict";
import { test } from "node:test";
import { startGateway } from "./harness.mjs";
import { PASSWORD, complaintsOf, consoleSuite, signIn, users } from "./harness/console.mjs";

const { skip, open } = consoleSuite();

test(
  "a user sees the computers that are signed in, and ends one",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({ yaml: `${users()}endpoints:\n  echo: { sim: echo }\n` });
    const page = await open(t, gateway.url);
    await signIn(page, "alice");
    const begun = await fetch(`${gateway.direct}api/logins`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ user: "alice", password: PASSWORD, program: "laptop" }),
    });
    const { token } = await begun.json();
    const session = () =>
      fetch(`${gateway.direct}api/session`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal((await session()).status, 200);

    await page.getByRole("button", { name: "Signed in as alice" }).click();
    await page.getByRole("menuitem", { name: "Your sign-ins" }).click();
    const rows = page.locator(".logins tbody tr");
    await rows.nth(1).waitFor();
    const texts = await rows.allInnerTexts();
    assert.ok(
      texts.some((text) => text.startsWith("laptop")),
      texts,
    );
    assert.ok(
      texts.some((text) => text.startsWith("This browser")),
      texts,
    );
    await page.getByRole("button", { name: "End the sign-in of laptop" }).click();
    await page.getByRole("button", { name: "End it" }).click();
    await page
      .getByRole("button", { name: "End the sign-in of laptop" })
      .waitFor({ state: "detached" });
    assert.equal(await rows.count(), 1);
    assert.equal((await session()).status, 401);
    assert.deepEqual(complaintsOf(page), []);
  },
);
