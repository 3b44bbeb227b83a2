// A hub's gateways, in the console: found, their lines opened, and what goes wrong on the way.

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, startGateway } from "./harness.mjs";
import {
  broken,
  connected,
  consoleSuite,
  pictures,
  says,
  shows,
  signIn,
  users,
} from "./harness/console.mjs";
import { startHub, startMember } from "./harness/fleet.mjs";

const { skip, open } = consoleSuite();
// The policy of the page would keep axe-core out.
const AXE = { bypassCSP: true };
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const EVIL = "<img src=x onerror=alert(1)>";

const names = (page) => page.locator(".gateway-open").allInnerTexts();
const item = (page, name) =>
  page.locator(".gateway").filter({ has: page.getByRole("link", { name, exact: true }) });
const unwanted = (page) => page.complaints.filter((text) => !/status of 401/.test(text));

test(
  "a line of a gateway that listens nowhere is found, opened, and goes on after the hub was killed",
  { skip, timeout: 120_000 },
  async (t) => {
    const hub = await startHub(t);
    const alice = await open(t, hub.url, AXE);
    await signIn(alice, "alice");
    // Nothing is here yet: it says what to type.
    await alice.getByText("sudo wsbridge hub token new").waitFor();
    assert.deepEqual(await broken(alice), []);
    await alice.screenshot({ path: `${pictures}fleet-empty.png` });

    const sim = (line, more = "") => `auth: none\n${more}endpoints:\n  ${line}: { sim: echo }\n`;
    const first = await hub.gateway("gw-1", {
      yaml: sim("boiler", "call_home: { labels: { site: north } }\n"),
      token: ["--label", "rack=7"],
    });
    assert.match(first.said, /It is connected: .*\/g\/gw-1\//);
    const second = await hub.gateway("gw-2", { yaml: sim("pump") });
    await eventually(async () => String(await names(alice)) === "gw-1,gw-2", "both, by themselves");
    await item(alice, "gw-1")
      .getByText(/^connected since \d\d:\d\d$/)
      .waitFor();

    // Searched as one types: a line, a label by its chip, nothing.
    const search = alice.getByRole("searchbox", { name: "Search the gateways" });
    await search.fill("PUMP");
    await eventually(async () => String(await names(alice)) === "gw-2", "the one with that line");
    assert.match(alice.url(), /#\/\?fleet&q=PUMP$/);
    await search.fill("");
    await eventually(async () => (await names(alice)).length === 2, "both again");
    await alice.getByRole("button", { name: "site=north" }).click();
    await eventually(async () => String(await names(alice)) === "gw-1", "the one with that label");
    await search.fill("nonsense");
    await says(alice, "No gateway fits.");
    await search.fill("");

    await second.kill();
    await item(alice, "gw-2").getByText(/^away/).waitFor();
    await alice.getByRole("button", { name: "Connected", exact: true }).click();
    await eventually(async () => String(await names(alice)) === "gw-1", "who is connected");
    await alice.getByRole("button", { name: "Away", exact: true }).click();
    await eventually(async () => String(await names(alice)) === "gw-2", "who is away");
    await alice.getByRole("button", { name: "All", exact: true }).click();
    await eventually(async () => (await names(alice)).length === 2, "all");
    assert.deepEqual(await broken(alice), []);
    await alice.screenshot({ path: `${pictures}fleet.png` });

    // By the keyboard: down to the line, and in.
    await search.focus();
    await alice.keyboard.press("ArrowDown");
    await alice.keyboard.press("ArrowDown");
    assert.match(await alice.evaluate(() => document.activeElement.href), /\/g\/gw-1\/#\/boiler$/);
    await alice.keyboard.press("Enter");
    await connected(alice);
    assert.equal(await alice.title(), "boiler · gw-1 · wsbridge");
    assert.equal(await alice.locator(".bar-host").innerText(), "gw-1");
    await alice.locator(".xterm-helper-textarea").first().focus();
    await alice.keyboard.type("before");
    await shows(alice, /before/);
    assert.deepEqual(await broken(alice), []);

    // Somebody else sees who writes.
    const bob = await open(t, hub.url);
    await signIn(bob, "bob");
    await item(bob, "gw-1").getByText("alice writes").waitFor();

    await hub.kill();
    await says(alice, /connection to the gateway is lost/);
    await says(bob, /^No answer from the hub since \d\d:\d\d:\d\d/);
    await hub.again();
    await says(alice, /resumed, 0 bytes lost/);
    await alice.keyboard.type(" and after");
    await shows(alice, /before and after/);
    await alice.screenshot({ path: `${pictures}fleet-line.png` });

    await alice.getByRole("link", { name: "Fleet" }).click();
    await eventually(async () => (await names(alice)).length === 2, "back at the fleet");

    // A line of a gateway that is away opens when it is back: another run of the same machine.
    await item(alice, "gw-2").getByRole("link", { name: "gw-2" }).click();
    await alice.evaluate(() => (location.hash = "#/pump"));
    await says(alice, "The gateway is away");
    assert.deepEqual(await broken(alice), []);
    await alice.screenshot({ path: `${pictures}fleet-away.png` });
    await startMember(t, sim("pump"), second);
    await connected(alice);
  },
);

test(
  "what a gateway says of itself is text; two machines are told apart; all of it on a phone",
  { skip, timeout: 120_000 },
  async (t) => {
    const hub = await startHub(t, { yaml: "endpoints:\n  own: { sim: echo }\n" });
    const lines = Array.from({ length: 14 }, (_, at) => `  line-${at + 1}: { sim: echo }\n`);
    const yaml = `auth: none
call_home: { labels: { site: "${EVIL}" } }
endpoints:
  evil: { sim: echo, title: "${EVIL}" }
${lines.join("")}`;
    const first = await hub.gateway("gw-1", { yaml });
    const page = await open(t, `${hub.url}#/?fleet`, { ...AXE, ...PHONE });
    await signIn(page, "alice");
    const one = item(page, "gw-1");
    await one.getByText(EVIL, { exact: true }).waitFor();
    await one.getByRole("button", { name: `site=${EVIL}` }).waitFor();
    assert.equal(await page.locator("img").count(), 0);
    await one.getByText("and 9 more lines").waitFor();
    // The one that is searched for is seen, whatever else there is.
    assert.equal(await one.getByRole("link", { name: /^line-14/ }).count(), 0);
    const search = page.getByRole("searchbox", { name: "Search the gateways" });
    await search.fill("line-14");
    await one.getByRole("link", { name: /^line-14/ }).waitFor();
    await search.fill("");
    await eventually(
      async () => (await one.getByRole("link", { name: /^line-14/ }).count()) === 0,
      "the lines as before",
    );
    assert.deepEqual(await broken(page), []);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 390, `${wide} pixels`);
    await page.screenshot({ path: `${pictures}fleet-phone.png` });

    // The list of the hub's own lines is where it always is.
    await page.getByRole("button", { name: "List of lines" }).click();
    await page.getByRole("link", { name: /own/ }).first().click();
    await connected(page);
    await page.getByRole("link", { name: "Fleet" }).click();

    // A copy of its disk in another machine.
    await startMember(t, yaml, first);
    await one.getByText("sudo wsbridge hub clear gw-1").waitFor();
    await one.getByText("sudo wsbridge hub revoke gw-1").waitFor();
    assert.deepEqual(await broken(page), []);
    await page.screenshot({ path: `${pictures}fleet-clone-phone.png` });
    assert.deepEqual(unwanted(page), []);
  },
);

test(
  "hundreds of gateways come in pieces, and news of them takes neither focus nor place",
  { skip, timeout: 60_000 },
  async (t) => {
    const hub = await startHub(t);
    const asked = [];
    let online = true;
    const page = await open(t, hub.url, {
      // The hub's own list, with more gateways than a test can start.
      prepare: (one) =>
        one.route("**/api/fleet?*", (route) => {
          const said = new URL(route.request().url()).searchParams;
          asked.push(said);
          const all = Array.from({ length: 230 }, (_, at) => ({
            name: `gw-${String(at).padStart(3, "0")}`,
            online,
            since: "2026-11-23T05:00:00Z",
            cloned: false,
            labels: {},
            lines: [{ name: "plc", kind: "serial", state: "up" }],
          })).filter(({ name }) => name > said.get("after"));
          const gateways = all.slice(0, Number(said.get("limit")));
          const next = all.length > gateways.length ? gateways.at(-1).name : null;
          return route.fulfill({ json: { gateways, next } });
        }),
    });
    await signIn(page, "alice");
    const count = async () => (await names(page)).length;
    await eventually(async () => (await count()) === 100, "the first hundred");
    const more = page.getByRole("button", { name: "Show more" });
    await more.click();
    await eventually(async () => (await count()) === 200, "the second");
    await more.click();
    await eventually(async () => (await count()) === 230, "all of them");
    assert.equal(await more.isVisible(), false);
    await says(page, "230 gateways");

    const link = page.getByRole("link", { name: "gw-120", exact: true });
    await link.focus();
    const place = () =>
      link.evaluate((one) => [
        document.activeElement === one,
        one.getBoundingClientRect().top,
        one.dataset.mark ?? "",
      ]);
    await link.evaluate((one) => (one.dataset.mark = "the same"));
    const before = await place();
    online = false;
    await item(page, "gw-120").getByText(/^away/).waitFor();
    const after = await place();
    assert.deepEqual([after[0], after[2]], [true, "the same"]);
    // What is above it may have become lower: the browser keeps the place.
    assert.ok(Math.abs(after[1] - before[1]) < 60, `${before} ${after}`);
    assert.deepEqual(unwanted(page), []);

    // A page in the background asks nothing.
    await page.evaluate(() => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
      document.dispatchEvent(new Event("visibilitychange"));
    });
    const seen = asked.length;
    await new Promise((done) => setTimeout(done, 4000));
    assert.ok(asked.length <= seen + 1, `${asked.length - seen} questions`);
    await page.evaluate(() => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => false });
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await eventually(() => asked.length > seen + 1, "questions again");
  },
);

test(
  "a hub that has forgotten who signed in asks again, on the page of a gateway, too",
  { skip, timeout: 90_000 },
  async (t) => {
    const hub = await startHub(t, { yaml: "login: { keep: false }\n" });
    await hub.gateway("gw-1", { yaml: "auth: none\nendpoints:\n  boiler: { sim: echo }\n" });
    const page = await open(t, `${hub.url}g/gw-1/#/boiler`);
    await signIn(page, "alice");
    await connected(page);
    await hub.kill();
    await says(page, /connection to the gateway is lost/);
    await hub.again();
    await says(page, "The login of alice has ended. Sign in to go on where you were.");
    await signIn(page, "alice");
    await connected(page);
    await page.locator(".xterm-helper-textarea").first().focus();
    await page.keyboard.type("again");
    await shows(page, /again/);
  },
);

test("where there is no hub there is no fleet", { skip, timeout: 60_000 }, async (t) => {
  const gateway = await startGateway({ yaml: `${users()}endpoints:\n  echo: { sim: echo }\n` });
  const page = await open(t, `${gateway.url}#/?fleet`);
  await signIn(page, "alice");
  await says(page, "Choose a line to open its terminal.");
  assert.equal(await page.getByRole("link", { name: "Fleet" }).count(), 0);
  assert.deepEqual(unwanted(page), []);
});
