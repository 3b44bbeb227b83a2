// Recordings, in the console: listed for who may see them, played with pause and any moment, saved.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { eventually, servePages, startGateway } from "./harness.mjs";
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

/**
 * A page with asciinema's own player (npm asciinema-player, which has asciinema's terminal), that
 * has read this recording to its end.
 */
async function asciinema(t, text) {
  const folder = new URL("node_modules/asciinema-player/dist/bundle/", import.meta.url);
  const reader = await servePages({
    pages: {
      "/": '<!doctype html><link rel="icon" href="data:,"><div id="player"></div><script src="/player/asciinema-player.js"></script>',
      "/saved.cast": text,
    },
    roots: { "/player/": fileURLToPath(folder) },
  });
  const page = await open(t, reader.url);
  page.length = await page.evaluate(async () => {
    const player = globalThis.AsciinemaPlayer.create(
      "/saved.cast",
      document.getElementById("player"),
      { preload: true },
    );
    await player.seek("100%");
    return player.getDuration();
  });
  return page;
}

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
    const reader = await asciinema(t, text);
    const shown = reader.locator(".ap-term-text");
    // A carriage return is all that Enter sent: the second word is written over the first.
    await eventually(
      async () => /^lastt\s/.test(await shown.innerText()),
      "what was said, as asciinema reads it",
    );
    const times = text
      .trim()
      .split("\n")
      .slice(1)
      .filter((line) => line.startsWith("["));
    const seconds = times.reduce((sum, line) => sum + JSON.parse(line)[0], 0);
    assert.ok(Math.abs(reader.length - seconds) < 0.001, `${reader.length} s, and not ${seconds}`);
    assert.deepEqual(reader.complaints, []);
    assert.deepEqual(complaintsOf(alice), []);
  },
);
