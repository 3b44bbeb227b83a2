// Lending, in the console: asked for on one page, approved on a phone, used, over; and a link.

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
// The policy of the page would keep axe-core out.
const AXE = { bypassCSP: true };
const PHONE = { width: 390, height: 844 };

/** Alice lends and approves, bob only reads. */
const lenders = () =>
  users()
    .replace(/(bob: .*)roles: \[ all \]/, "$1roles: [ reader ]")
    .replace("takeover ] }", 'takeover, grant, approve ] }\n  reader: { "*": [ read ] }');

const gatewayOf = () =>
  startGateway({ yaml: `audit: {}\n${lenders()}endpoints:\n  echo: { sim: echo }\n` });

test(
  "somebody asks, another approves on a phone, and the page goes on until the time is over",
  { skip, timeout: 90_000 },
  async (t) => {
    const gateway = await gatewayOf();
    const bob = await open(t, `${gateway.url}#/echo`, AXE);
    await signIn(bob, "bob");
    await connected(bob);
    const alice = await open(t, gateway.url, AXE);
    await signIn(alice, "alice");
    await alice.setViewportSize(PHONE);

    await bob.getByRole("button", { name: "Ask for access…" }).click();
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
    await bob.locator(".xterm-helper-textarea").first().focus();
    await eventually(async () => {
      await bob.keyboard.type("x");
      return /x/.test(await bob.locator(".xterm-rows").first().innerText());
    }, "what bob types");
    assert.deepEqual(complaintsOf(alice), []);
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
