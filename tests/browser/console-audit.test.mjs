// The record of who did what, in the console: for those who watch over sessions, on a desk and on a
// phone.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { eventually, startGateway } from "./harness.mjs";
import { broken, connected, consoleSuite, pictures, signIn, users } from "./harness/console.mjs";
import { binary } from "./harness/gateway.mjs";

const { skip, open } = consoleSuite();

test(
  "who did what is found, opened, taken away, and a change of it is told",
  { skip, timeout: 120_000 },
  async (t) => {
    const folder = join(mkdtempSync(join(tmpdir(), "wsbridge-audit-")), "audit");
    const rights = users()
      .replace(/(bob: .*)roles: \[ all \]/, "$1roles: [ reader ]")
      .replace("takeover ] }", 'takeover, sessions ] }\n  reader: { "*": [ read ] }');
    const gateway = await startGateway({
      yaml: `audit: { directory: ${folder}, checkpoint: 10s }\n${rights}endpoints:\n  pump: { sim: echo }\n  valve: { sim: modem }\n`,
    });
    const bob = await open(t, `${gateway.url}#/pump`);
    await signIn(bob, "bob");
    await connected(bob);
    assert.equal(await bob.getByRole("button", { name: "Audit…" }).isVisible(), false);

    const alice = await open(t, `${gateway.url}#/valve`, { bypassCSP: true });
    await signIn(alice, "alice");
    await connected(alice);
    await alice.getByRole("button", { name: "Audit…" }).click();
    const view = alice.locator("dialog.audit");
    await view.getByText("alice opened the line").waitFor();
    await view.getByText("bob opened the line").waitFor();
    await view.getByText(/^The gateway started/).waitFor();
    await view.getByText(/^The record is whole: \d+ lines\./).waitFor();
    const count = () => view.locator(".audit-lines > li").count();

    // One of them, with everything that is known.
    await view.getByText("bob opened the line").click();
    await view.getByText("bob (user:bob)").waitFor();
    assert.deepEqual(await broken(alice), []);
    await alice.screenshot({ path: `${pictures}audit.png` });

    await view.getByLabel("Line", { exact: true }).selectOption("pump");
    await eventually(
      async () =>
        (await count()) > 0 && !(await view.getByText("alice opened the line").isVisible()),
      "only pump",
    );
    await view.getByLabel("Line", { exact: true }).selectOption("");
    await view.getByLabel("What").selectOption("The gateway");
    await eventually(async () => (await count()) === 1, "the start alone");
    await view.getByLabel("What").selectOption("Everything");
    await view.getByLabel("Who").fill("bob");
    await view.getByLabel("Who").press("Enter");
    await eventually(
      async () =>
        (await count()) >= 2 && !(await view.getByText(/^The gateway started/).isVisible()),
      "bob's",
    );
    await view.getByLabel("From this day").fill("2099-01-01");
    await view.getByText("Nothing that fits.").waitFor();
    await view.getByLabel("From this day").fill("");
    await view.getByLabel("Who").fill("");
    await view.getByLabel("Who").press("Enter");

    // More than a page of it: the older ones come on a click.
    for (let n = 0; n < 60; n += 1)
      await alice.evaluate(
        (url) =>
          new Promise((resolve) => {
            const socket = new globalThis.WebSocket(url);
            socket.onopen = () => socket.close();
            socket.onclose = resolve;
          }),
        `${gateway.url.replace(/^http/, "ws")}ws/pump`,
      );
    await view.getByLabel("What").selectOption("Who was connected");
    await eventually(async () => (await count()) === 100, "a page");
    await view.getByRole("button", { name: "Load older" }).click();
    await eventually(async () => (await count()) === 200, "a second page");
    await view.getByRole("button", { name: "Load older" }).click();
    await view.getByText("That is the oldest that is kept.").waitFor();
    const numbers = await view
      .locator(".audit-lines > li")
      .evaluateAll((all) => all.map((it) => Number(it.dataset.n)));
    assert.deepEqual(
      numbers,
      [...new Set(numbers)].sort((a, b) => b - a),
    );

    const [saved] = await Promise.all([
      alice.waitForEvent("download"),
      view.getByRole("link", { name: "Save the record" }).click(),
    ]);
    const place = mkdtempSync(join(tmpdir(), "wsbridge-audit-"));
    execFileSync("tar", ["xf", await saved.path(), "-C", place]);
    const told = execFileSync(binary, ["audit", "verify", join(place, "wsbridge-audit")], {
      encoding: "utf8",
    });
    assert.match(told, /^whole: /);

    // Somebody changes a byte of it.
    const file = join(folder, "000000000000.jsonl");
    writeFileSync(file, readFileSync(file, "utf8").replace("user:bob", "user:rob"));
    const phone = await open(t, gateway.url, {
      viewport: { width: 390, height: 844 },
      bypassCSP: true,
    });
    await signIn(phone, "alice");
    await phone.getByRole("button", { name: "Audit…" }).click();
    await phone.getByText(/^The record was changed: 000000000000\.jsonl, line /).waitFor();
    await phone.locator("dialog.audit summary").first().click();
    await phone.getByText("Time (UTC)").first().waitFor();
    assert.equal(
      await phone.evaluate(
        () => globalThis.document.documentElement.scrollWidth > globalThis.innerWidth,
      ),
      false,
    );
    assert.deepEqual(await broken(phone), []);
    await phone.screenshot({ path: `${pictures}audit-phone.png` });
    assert.deepEqual(
      alice.complaints.filter((complaint) => !/status of 401/.test(complaint)),
      [],
    );
  },
);
