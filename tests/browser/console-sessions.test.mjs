// Who is connected, in the console: an administrator sees another's session and ends it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, startGateway } from "./harness.mjs";
import { connected, consoleSuite, says, signIn, users } from "./harness/console.mjs";

const { skip, open } = consoleSuite();

test(
  "an administrator ends another's session, whose page says so",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({ yaml: `${users()}endpoints:\n  echo: { sim: echo }\n` });
    const bob = await open(t, `${gateway.url}#/echo`);
    await signIn(bob, "bob");
    await connected(bob);
    const alice = await open(t, gateway.url);
    await signIn(alice, "alice");
    await alice.getByRole("button", { name: "Who is connected" }).click();
    const row = alice.locator(".sessions tbody tr");
    await row.first().waitFor();
    assert.match(await row.first().innerText(), /echo\s+bob\s+127\.0\.0\.1:\d+/);
    // On a phone no word is broken across lines.
    await alice.setViewportSize({ width: 390, height: 844 });
    const heights = await alice
      .locator(".sessions th, .sessions button")
      .evaluateAll((all) => all.map((one) => one.offsetHeight));
    assert.ok(
      heights.every((height) => height < 44),
      `${heights}`,
    );
    await alice.setViewportSize({ width: 1440, height: 900 });
    await alice.getByRole("button", { name: "End the session of bob on echo" }).click();
    await alice.getByRole("button", { name: "End it" }).click();
    await alice.getByText("Nobody is connected.").waitFor();
    await eventually(
      () => /session closed.*code=4412/.test(gateway.log()),
      "the end of bob's session",
    );
    await says(bob, /administrator/);
    assert.deepEqual(
      alice.complaints.filter((text) => !/status of 401/.test(text)),
      [],
    );
  },
);
