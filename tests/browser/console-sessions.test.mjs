// Sessions, in the console: who watches over them sees another's session, ends it, holds it, and
// says something to a line.

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, startGateway } from "./harness.mjs";
import {
  broken,
  complaintsOf,
  connected,
  consoleSuite,
  pictures,
  says,
  signIn,
  users,
} from "./harness/console.mjs";

const { skip, open } = consoleSuite();

test(
  "an administrator ends another's session, whose page says so",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({
      yaml: `${users()}endpoints:\n  echo: { sim: echo }\n`,
    });
    const bob = await open(t, `${gateway.url}#/echo`);
    await signIn(bob, "bob");
    await connected(bob);
    const alice = await open(t, gateway.url);
    await signIn(alice, "alice");
    await alice.getByRole("button", { name: "Sessions…" }).click();
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
    await alice.getByLabel("Why (they see it)").fill("the line is needed");
    await alice.getByRole("button", { name: "End it" }).click();
    await alice.getByText("Nobody is connected.").waitFor();
    await eventually(
      () => /session closed.*code=4412/.test(gateway.log()),
      "the end of bob's session",
    );
    await says(bob, /disconnected by an administrator: the line is needed/);
    assert.deepEqual(complaintsOf(alice), []);
  },
);

test(
  "a moderator holds a session read-only, lets it go, and says something to the line",
  { skip, timeout: 60_000 },
  async (t) => {
    const rights = users().replace("takeover ]", "takeover, sessions ]");
    const gateway = await startGateway({
      yaml: `${rights}endpoints:\n  echo: { sim: echo }\n`,
    });
    const bob = await open(t, `${gateway.url}#/echo`);
    await signIn(bob, "bob");
    await connected(bob);
    const chip = bob.locator(".chip").first();
    await eventually(async () => /You write/.test(await chip.innerText()), "bob writes");
    const alice = await open(t, gateway.url, { bypassCSP: true });
    await signIn(alice, "alice");
    await alice.getByRole("button", { name: "Sessions…" }).click();
    const row = alice.locator(".sessions tbody tr");
    await row.first().waitFor();
    await eventually(async () => /writes/.test(await row.first().innerText()), "that he writes");
    await alice.getByRole("button", { name: "Hold the session of bob on echo" }).click();
    await eventually(async () => /held/.test(await row.first().innerText()), "that he is held");
    await says(bob, /You may only read now: held read-only by a moderator/);
    assert.match(await chip.innerText(), /Held: read only/);
    assert.equal(await bob.getByText("You gave back the right to write.").count(), 0);
    await alice.getByRole("button", { name: "Message to a line…" }).click();
    await alice.getByLabel("Message", { exact: true }).fill("Five minutes, please");
    await alice.screenshot({ path: `${pictures}sessions-message.png` });
    await alice.getByRole("button", { name: "Send" }).click();
    await says(bob, /alice: Five minutes, please/);
    await bob.screenshot({ path: `${pictures}sessions-held.png` });
    await alice.screenshot({ path: `${pictures}sessions.png` });
    assert.deepEqual(await broken(alice), []);
    await alice.getByRole("button", { name: "Let go of the session of bob on echo" }).click();
    await says(bob, /You may write again/);
    await bob.getByRole("button", { name: "Write", exact: true }).click();
    await eventually(async () => /You write/.test(await chip.innerText()), "bob writes again");
    await alice.setViewportSize({ width: 390, height: 844 });
    await alice.screenshot({ path: `${pictures}sessions-phone.png` });
    assert.deepEqual(complaintsOf(alice, bob), []);
  },
);
