// Recordings, in the console: listed for who may see them, played with pause and any moment, saved.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { eventually, startGateway } from "./harness.mjs";
import {
  broken,
  complaintsOf,
  connected,
  consoleSuite,
  pictures,
  signIn,
  users,
} from "./harness/console.mjs";

const { skip, open } = consoleSuite();

test(
  "what was said on a line is played again, to any moment, and saved",
  { skip, timeout: 90_000 },
  async (t) => {
    const rights = users()
      .replace(/(bob: .*)roles: \[ all \]/, "$1roles: [ reader ]")
      .replace("takeover ] }", 'takeover, recordings ] }\n  reader: { "*": [ read ] }');
    const gateway = await startGateway({
      yaml: `${rights}endpoints:\n  echo: { sim: echo, record: { format: cast } }\n`,
    });
    const bob = await open(t, gateway.url);
    await signIn(bob, "bob");
    await bob.getByRole("link", { name: /echo/ }).first().waitFor();
    assert.equal(await bob.getByRole("button", { name: "Recordings…" }).isVisible(), false);

    const alice = await open(t, `${gateway.url}#/echo`, { bypassCSP: true });
    await signIn(alice, "alice");
    await connected(alice);
    await alice.locator(".xterm-helper-textarea").first().focus();
    await alice.keyboard.type("first");
    await alice.keyboard.press("Enter");
    await alice.keyboard.type("last");
    const said = () =>
      alice.evaluate(async () => {
        const { recordings } = await (await fetch("/api/recordings")).json();
        const [{ endpoint, name }] = recordings;
        return (await fetch(`/api/recordings/${endpoint}/${name}`)).text();
      });
    await eventually(async () => /l.*a.*s.*t/s.test(await said()), "it on the disk", 20_000);
    await alice.getByRole("button", { name: "Recordings…" }).click();
    await alice.getByRole("button", { name: /^Play .* of echo$/ }).click();
    const player = alice.locator("dialog.player");
    const rows = player.locator(".xterm-rows");
    await player.getByLabel("Speed").selectOption("16");
    await eventually(async () => /last/.test(await rows.innerText()), "the end of it");
    await player.getByRole("button", { name: "Play again" }).waitFor();
    assert.deepEqual(await broken(alice), []);
    await alice.screenshot({ path: `${pictures}recordings-player.png` });
    // Back to the beginning, and to the end.
    await player.getByLabel("Moment").fill("0");
    await eventually(async () => !/last/.test(await rows.innerText()), "its beginning");
    await player.getByLabel("Moment").fill(await player.getByLabel("Moment").getAttribute("max"));
    await eventually(async () => /last/.test(await rows.innerText()), "the end again");
    await alice.keyboard.press("Escape");

    const [saved] = await Promise.all([
      alice.waitForEvent("download"),
      alice.getByRole("link", { name: /^Save .* of echo$/ }).click(),
    ]);
    const text = await readFile(await saved.path(), "utf8");
    assert.equal(JSON.parse(text.split("\n", 1)[0]).version, 3);
    assert.deepEqual(complaintsOf(alice), []);
  },
);
