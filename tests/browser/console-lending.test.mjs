// Lending, in the console: asked for on one page, approved on a phone, used, over; and a link.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { binary, eventually, startGateway } from "./harness.mjs";
import {
  broken,
  complaintsOf,
  connected,
  consoleSuite,
  pictures,
  says,
  screen,
  shows,
  signIn,
  users,
} from "./harness/console.mjs";

const { skip, open } = consoleSuite();
// The policy of the page would keep axe-core out.
const AXE = { bypassCSP: true };
const PHONE = { width: 390, height: 844 };

/** How long access is lent: less than the last warning, a minute, which then comes at once. */
const LENT = 15;

/** Alice lends and approves, bob only reads. */
const lenders = () =>
  users()
    .replace(/(bob: .*)roles: \[ all \]/, "$1roles: [ reader ]")
    .replace(
      "takeover ] }",
      'takeover, grant, approve, recordings ] }\n  reader: { "*": [ read ] }',
    );

const gatewayOf = () =>
  startGateway({
    yaml: `audit: {}\n${lenders()}endpoints:\n  echo: { sim: echo, record: { format: cast } }\n`,
  });

/** The exit code of `wsbridge audit verify`, and what it says. */
function verified(gateway) {
  const { status, stdout, stderr } = spawnSync(
    binary,
    ["audit", "verify", "--config", gateway.file],
    { encoding: "utf8" },
  );
  return [status, stdout + stderr];
}

test(
  "somebody asks, another approves on a phone, it goes on until its second, is played and proved",
  { skip, timeout: 120_000 },
  async (t) => {
    const gateway = await gatewayOf();
    const bob = await open(t, `${gateway.url}#/echo`, AXE);
    await signIn(bob, "bob");
    await connected(bob);
    const alice = await open(t, gateway.url, AXE);
    await signIn(alice, "alice");
    await alice.setViewportSize(PHONE);

    await bob.getByRole("button", { name: "Ask for access…" }).click();
    // The list offers no time that a test has.
    await bob
      .getByLabel("For how long")
      .evaluate((list, value) => (list.options[0].value = value), String(LENT));
    await bob.getByLabel("For how long").selectOption(String(LENT));
    await bob.getByLabel("Why").fill("replace the pump");
    assert.deepEqual(await broken(bob), []);
    await bob.screenshot({ path: `${pictures}lend-ask.png` });
    await bob.getByRole("button", { name: "Ask", exact: true }).click();
    await bob.getByText("is being decided").waitFor();

    // The list is a drawer on a phone.
    await alice.getByRole("button", { name: /Requests \(1\)/ }).waitFor({ state: "attached" });
    if (!(await alice.getByRole("button", { name: /Requests \(1\)/ }).isVisible()))
      await alice.getByRole("button", { name: /list/i }).first().click();
    await alice.getByRole("button", { name: /Requests \(1\)/ }).click();
    const card = alice.getByRole("region", { name: "Request of bob for echo" });
    await card.getByText("replace the pump").waitFor();
    assert.deepEqual(await broken(alice), []);
    await alice.screenshot({ path: `${pictures}lend-decide.png` });
    await card.getByRole("button", { name: "Approve" }).click();
    await alice.getByText("Nobody asks for anything.").waitFor();
    await bob.getByText("approved", { exact: false }).first().waitFor();
    await bob.keyboard.press("Escape");
    // His page has opened the line again, with the right to write.
    await eventually(
      () => /access lent.*echo/.test(gateway.log()) && /lent.*by="?alice/.test(gateway.log()),
      "the grant in the log",
    );
    await connected(bob);
    await says(bob, /the access that was lent to you ends in \d+ s/);
    await bob.locator(".xterm-helper-textarea").first().focus();
    await bob.keyboard.type("pump replaced");
    await shows(bob, /pump replaced/);
    await bob.screenshot({ path: `${pictures}lend-warned.png` });

    // At its second it is over, which his page says, and goes on reading.
    await says(bob, /The access that was lent to you is over/);
    await bob
      .getByRole("button", { name: /^Who writes: Nobody writes|^Who writes: Read only/ })
      .waitFor();
    await bob.screenshot({ path: `${pictures}lend-over.png` });
    await connected(bob);
    await bob.keyboard.type("too late");
    await says(bob, /You have no right to write here/);

    // The line is free.
    await alice.keyboard.press("Escape");
    await alice.setViewportSize({ width: 1440, height: 900 });
    await alice.getByRole("link", { name: /echo/ }).first().click();
    await connected(alice);
    await alice.getByRole("button", { name: /^Who writes: You write/ }).waitFor();
    assert.ok(!/too late/.test(await screen(alice)));

    // What he did is played.
    await alice.getByRole("button", { name: "Recordings…" }).click();
    await alice.getByRole("button", { name: /^Play .* of echo$/ }).click();
    const player = alice.locator("dialog.player");
    await player.getByLabel("Moment").fill(await player.getByLabel("Moment").getAttribute("max"));
    const rows = player.locator(".xterm-rows");
    await eventually(
      async () => /pump replaced/.test((await rows.innerText()).replaceAll("\u00a0", " ")),
      "what he typed",
    );
    await alice.screenshot({ path: `${pictures}lend-played.png` });
    assert.deepEqual(complaintsOf(alice), []);

    // And proved: one byte of the record is another, and it is found.
    await gateway.end();
    const [whole, said] = verified(gateway);
    assert.equal(whole, 0, said);
    const folder = join(dirname(gateway.file), "audit");
    const [name] = readdirSync(folder).filter((one) => one.endsWith(".jsonl"));
    const bytes = readFileSync(join(folder, name));
    const events = bytes
      .toString()
      .trim()
      .split("\n")
      .slice(1)
      .map((line) => JSON.parse(line));
    const { detail } = events.find(({ ev }) => ev === "grant_given");
    const over = events.find((event) => event.ev === "close" && event.detail.code === 4403);
    const late = Date.parse(over.t) / 1000 - detail.until;
    assert.ok(late >= 0 && late < 5, `${late} s after its second`);
    const at = bytes.indexOf("replace the pump");
    assert.ok(at > 0, bytes.toString());
    bytes[at] = "p".charCodeAt(0);
    writeFileSync(join(folder, name), bytes);
    const [changed, told] = verified(gateway);
    assert.equal(changed, 1, told);
    assert.match(told, new RegExp(`${name}.*line \\d+`, "s"));
  },
);

test(
  "a link is used by its button, works as it says, and is over when it is taken back",
  { skip, timeout: 90_000 },
  async (t) => {
    const gateway = await gatewayOf();
    const alice = await open(t, gateway.url, AXE);
    await signIn(alice, "alice");
    await alice.getByRole("button", { name: "Lend access…" }).click();
    await alice.getByLabel("Why (they see it)").fill("firmware");
    await alice.getByRole("button", { name: "Make a link" }).click();
    const link = await alice.getByLabel("The link").inputValue();
    assert.match(link, /#grant=wsg_[A-Za-z0-9_-]{43}$/);
    assert.deepEqual(await broken(alice), []);
    await alice.screenshot({ path: `${pictures}lend-give.png` });

    const vendor = await open(t, link, AXE);
    await vendor.getByRole("button", { name: "Use this access" }).waitFor();
    assert.ok(!vendor.url().includes("wsg_"), "it is not kept in the address");
    assert.deepEqual(await broken(vendor), []);
    await vendor.screenshot({ path: `${pictures}lend-arrival.png` });
    await vendor.getByRole("button", { name: "Use this access" }).click();
    await vendor.getByRole("link", { name: /echo/ }).first().click();
    await connected(vendor);
    await vendor.locator(".xterm-helper-textarea").first().focus();
    await vendor.keyboard.type("hello");
    await says(vendor, /hello/);

    await alice.getByRole("button", { name: /^Take back g_/ }).click();
    await alice.getByText("taken back").waitFor();
    await eventually(() => /code=4403/.test(gateway.log()), "the end of the vendor's session");
    await vendor.getByRole("button", { name: "Sign in" }).waitFor();
    assert.ok(!gateway.log().includes("wsg_"), "no log has the secret");
    // A second browser finds the link used.
    const late = await open(t, link, AXE);
    await late.getByRole("button", { name: "Use this access" }).click();
    await says(late, /wrong, or over/);
  },
);
