// The page as it lies on the screen at the sizes people have: nothing outside its pane, no text under another, as many columns as a terminal
// needs; light and dark; and five hundred lines in the list. In Chromium, on the real daemon; the first of it in Firefox and WebKit, too.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { eventually, launch, missing, startGateway, stopAll, tcpDevice } from "./harness.mjs";
import { openPage, shows } from "./harness/console.mjs";

const skip = missing("chromium");
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const pictures = fileURLToPath(new URL("../../target/screenshots/", import.meta.url));
let browser;

before(async () => {
  if (skip) return;
  mkdirSync(pictures, { recursive: true });
  browser = await launch("chromium");
});
after(stopAll);

const open = (t, url, options) => openPage(t, browser, url, options);
const LINES = ["console", "modem", "plc-rtu", "echo"];
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

const connectedLines = (page, count) => page.waitForFunction((wanted) => [...document.querySelectorAll(".status-where")].filter((one) => one.textContent === "connected").length === wanted, count);

/** How many lines are connected, in any engine. */
const up = () => [...document.querySelectorAll(".status-where")].filter((one) => one.textContent === "connected").length;

/**
 * What of the page lies wrong, as sentences; runs in the page. Outside: an element of a pane that is seen beyond it. Under: two texts whose
 * boxes share more than a pixel or two. What lies over others on purpose (menus, cards, the side of a narrow pane) is not compared with
 * what it covers; what is scrolled is compared as far as it is seen.
 */
function wrongs() {
  const seen = (one) => one.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && !one.closest(".unseen, .xterm-accessibility, .xterm-helpers, .skip");
  const name = (one) => `${one.tagName.toLowerCase()}.${one.className?.baseVal ?? one.className} "${one.textContent.trim().slice(0, 30)}"`;
  /** The box of an element, cut by everything around it that hides what is beyond. */
  const shown = (one, text) => {
    let { left, top, right, bottom } = text ?? one.getBoundingClientRect();
    for (let outer = text ? one : one.parentElement; outer; outer = outer.parentElement) {
      if (!/hidden|auto|scroll|clip/.test(getComputedStyle(outer).overflow)) continue;
      const cut = outer.getBoundingClientRect();
      [left, top, right, bottom] = [Math.max(left, cut.left), Math.max(top, cut.top), Math.min(right, cut.right), Math.min(bottom, cut.bottom)];
    }
    return { left, top, right, bottom };
  };
  const found = [];
  for (const pane of document.querySelectorAll(".pane")) {
    if (!seen(pane)) continue;
    const frame = pane.getBoundingClientRect();
    for (const one of pane.querySelectorAll("*")) {
      if (!seen(one) || one.closest(".xterm")) continue;
      const { left, top, right, bottom } = shown(one);
      if (right - left < 1 || bottom - top < 1) continue;
      if (left < frame.left - 1 || top < frame.top - 1 || right > frame.right + 1 || bottom > frame.bottom + 1) found.push(`outside: ${name(one)}`);
    }
  }
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!node.data.trim() || !seen(parent) || parent.closest(".xterm, option, .trouble-place, .menu, .find, .live")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const rect of range.getClientRects()) {
      const box = shown(parent, rect);
      if (box.right - box.left > 1 && box.bottom - box.top > 1) texts.push({ parent, ...box, over: parent.closest(".inspector") && getComputedStyle(parent.closest(".inspector")).position === "absolute" });
    }
  }
  // A picture or a field is in the way of a text, too.
  for (const one of document.querySelectorAll("button > .icon, input, select")) {
    if (seen(one) && !one.closest(".xterm, .menu, .find, .trouble-place")) texts.push({ parent: one, ...shown(one), over: one.closest(".inspector") && getComputedStyle(one.closest(".inspector")).position === "absolute" });
  }
  for (const [at, one] of texts.entries()) {
    for (const other of texts.slice(at + 1)) {
      if (one.over !== other.over || one.parent === other.parent || one.parent.contains(other.parent) || other.parent.contains(one.parent)) continue;
      const wide = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const high = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
      if (wide > 1.5 && high > 3) found.push(`under another: ${name(one.parent)} and ${name(other.parent)}`);
    }
  }
  // A button's words are not cut off.
  for (const one of document.querySelectorAll(".pane-head button, .inspector [role=tab], .segments button")) {
    if (seen(one) && !one.classList.contains("chip") && one.scrollWidth > one.clientWidth + 1) found.push(`cut off: ${name(one)}`);
  }
  return found;
}

/** Columns of each terminal that is seen, as the device would be told: the width of a row over that of a letter. */
function columns() {
  return [...document.querySelectorAll(".terminal-host")].filter((one) => one.checkVisibility()).map((host) => {
    const screen = host.querySelector(".xterm-screen");
    const probe = document.createElement("span");
    probe.textContent = "W".repeat(100);
    probe.style.cssText = "position:absolute;visibility:hidden;white-space:pre";
    host.querySelector(".xterm-rows").append(probe);
    const letter = probe.getBoundingClientRect().width / 100;
    probe.remove();
    return Math.round(screen.getBoundingClientRect().width / letter);
  });
}

/** Columns that a terminal has at least, at that size with so many lines. */
const COLUMNS = { "1280x800": { 1: 80, 2: 80, 4: 58 }, "1920x1080": { 1: 80, 2: 80, 4: 80 }, "390x844": { 1: 42, 2: 42, 4: 42 } };
const SIZES = { "1280x800": { viewport: { width: 1280, height: 800 } }, "1920x1080": { viewport: { width: 1920, height: 1080 } }, "390x844": PHONE };

for (const [size, context] of Object.entries(SIZES)) {
  test(`one, two and four lines at ${size}: nothing outside, nothing under another, columns, heads of one height`, { skip, timeout: 120_000 }, async (t) => {
    const gateway = await startGateway({ demo: true });
    for (const colorScheme of ["light", "dark"]) {
      for (const count of [1, 2, 4]) {
        const what = `${size}-${count}-${colorScheme}`;
        const page = await open(t, `${gateway.url}#/${LINES.slice(0, count).join("+")}`, { ...context, colorScheme, reducedMotion: "reduce" });
        await connectedLines(page, count);
        await shows(page, /router>|^\s*$/);
        await page.screenshot({ path: `${pictures}layout-${what}.png` });
        assert.deepEqual(await page.evaluate(wrongs), [], what);
        const found = await page.evaluate(columns);
        assert.equal(found.length, size === "390x844" ? 1 : count, what);
        assert.ok(found.every((number) => number >= COLUMNS[size][count]), `${what}: ${found} columns`);
        const heads = await page.locator(".pane-head:visible").evaluateAll((all) => all.map((one) => one.offsetHeight));
        assert.deepEqual([...new Set(heads)].length, 1, `${what}: heads of ${heads}`);
        // All views, the send box and the side, of the first pane that is seen.
        const pane = page.locator(".pane:visible").first();
        for (const view of ["Hex", "Plot", "Text"]) {
          await pane.locator(".views button").filter({ hasText: view }).click();
          assert.deepEqual(await page.evaluate(wrongs), [], `${what}, ${view}`);
          if (count === 1) await page.screenshot({ path: `${pictures}layout-${what}-${view.toLowerCase()}.png` });
        }
        await tool(page, pane, "Send box");
        assert.deepEqual(await page.evaluate(wrongs), [], `${what}, send box`);
        if (count !== 2) await page.screenshot({ path: `${pictures}layout-${what}-send.png` });
        if (!(await pane.locator(".inspector").isVisible())) await tool(page, pane, "Settings and tools");
        for (const tab of ["Line", "Terminal", "Files", "Macros", "Log"]) {
          await pane.getByRole("tab", { name: tab }).click();
          assert.deepEqual(await page.evaluate(wrongs), [], `${what}, ${tab}`);
        }
        const tabs = await pane.getByRole("tab").evaluateAll((all) => all.map((one) => one.offsetTop));
        assert.equal(new Set(tabs).size, 1, `${what}: the tabs stand in one row`);
        assert.deepEqual(page.complaints, [], what);
        await page.context().close();
      }
    }
  });
}

/** Presses a tool of the head, or chooses it in the menu of those there is no room for. */
async function tool(page, pane, name) {
  const button = pane.locator(".toolbar").getByRole("button", { name: new RegExp(`^${name}`) });
  if (await button.isVisible()) return button.click();
  await pane.getByRole("button", { name: /^More tools/ }).click();
  await page.getByRole("menuitem", { name }).click();
}

test("a phone's bars leave the terminal its room, and a hex row has eight bytes", { skip, timeout: 60_000 }, async (t) => {
  const gateway = await startGateway({ demo: true });
  const page = await open(t, `${gateway.url}#/console+modem`, PHONE);
  await connectedLines(page, 2);
  const heights = await page.evaluate(() => [...document.querySelectorAll(".bar, .pane-head, .keys, .status, .bars")].filter((one) => one.checkVisibility()).map((one) => one.offsetHeight));
  assert.ok(heights.reduce((sum, height) => sum + height) <= 130, heights.join(" + "));
  assert.deepEqual(await page.getByRole("tab").evaluateAll((all) => all.filter((one) => one.checkVisibility()).map((one) => one.textContent)), ["console", "modem"]);
  await page.getByRole("tab", { name: "console" }).click();
  await page.locator(".pane.current .views button").nth(1).click();
  await page.locator(".pane.current .tool-hex-bytes").first().waitFor();
  const rows = await page.locator(".pane.current .tool-hex-row").evaluateAll((all) => all.map((one) => [one.querySelector(".tool-hex-bytes").textContent.split(" ").length, one.scrollWidth <= one.clientWidth + 1]));
  assert.ok(rows.length > 5 && rows.every(([bytes, whole]) => bytes <= 8 && whole), JSON.stringify(rows));
});

test("the side closes when its pane becomes narrow, comes back with the room, and lies over the terminal when asked for", { skip, timeout: 60_000 }, async (t) => {
  const gateway = await startGateway({ demo: true });
  const page = await open(t, `${gateway.url}#/console`, { viewport: { width: 1280, height: 800 } });
  await connectedLines(page, 1);
  const side = page.locator(".inspector").first();
  await side.waitFor();
  await page.setViewportSize({ width: 900, height: 800 });
  await side.waitFor({ state: "hidden" });
  const [before] = await page.evaluate(columns);
  await page.keyboard.press("Control+Shift+D");
  await side.waitFor();
  assert.deepEqual(await page.evaluate(columns), [before], "it takes no column away");
  await page.keyboard.press("Control+Shift+D");
  await side.waitFor({ state: "hidden" });
});

test("the icons of views and panels are told apart, and the chosen colours are marked", { skip, timeout: 60_000 }, async (t) => {
  const gateway = await startGateway({ demo: true });
  const page = await open(t, `${gateway.url}#/console`, { viewport: { width: 1280, height: 800 } });
  await connectedLines(page, 1);
  const paths = await page.locator(".views .icon path, .inspector [role=tab] .icon path, .toolbar > .icon-button .icon path, .toolbar > button .icon path").evaluateAll((all) => [...new Set(all)].map((one) => one.getAttribute("d")));
  assert.equal(new Set(paths).size, paths.length, "no picture means two things");
  await page.getByRole("button", { name: "Colours" }).click();
  const chosen = page.getByRole("menuitemradio", { checked: true });
  assert.equal(await chosen.innerText(), "As the system");
  await page.getByRole("menuitemradio", { name: "Dark" }).click();
  await page.getByRole("button", { name: "Colours" }).click();
  assert.equal(await chosen.innerText(), "Dark");
});

test("the password's field is as wide as the user's", { skip, timeout: 60_000 }, async (t) => {
  const gateway = await startGateway({ yaml: 'tokens: {}\nusers:\n  alice: { password: "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21l$wW6rQ6m2GdW4bYB0UwIgSX0nYl7sQm1N2yT2c1Q0Y9M", roles: [] }\nendpoints: {}\n' });
  const page = await open(t, gateway.url);
  await page.getByLabel("User").waitFor();
  const [user, password] = await page.locator("form input").evaluateAll((all) => all.map((one) => [one.getBoundingClientRect().left, one.getBoundingClientRect().width]));
  assert.deepEqual(password, user);
});

test("five hundred lines: groups, those that are down first, compact rows, found by keys, live", { skip, timeout: 120_000 }, async (t) => {
  const device = await tcpDevice((socket) => socket.pipe(socket));
  const names = Array.from({ length: 25 }, (_, rack) => Array.from({ length: 20 }, (_, at) => `rack${rack + 1}-sw${at + 1}`)).flat();
  const yaml = `endpoints:\n${names.map((name, at) => `  ${name}: { ${at % 100 === 7 ? "serial: { port: /dev/ttyUSB77 }" : `share: one-writer, tcp: { address: "${device.address}" }`} }\n`).join("")}`;
  const gateway = await startGateway({ yaml });
  const page = await open(t, gateway.url, { viewport: { width: 1280, height: 800 } });
  await eventually(async () => (await page.locator(".endpoints .row").count()) === 500, "five hundred rows", 30_000);
  const groups = await page.locator(".group").evaluateAll((all) => all.map((one) => [one.querySelector(".group-title").innerText.replace(/\s+/g, " "), one.querySelectorAll(".row").length]));
  assert.deepEqual(groups[0], ["Not there 5", 5]);
  assert.deepEqual(groups[1], ["rack1 19", 19]);
  assert.equal(groups.length, 26);
  await page.locator(".group.down .row").first().filter({ hasText: /ttyUSB77 is not there/ }).waitFor();
  const heights = await page.locator(".row:not(.down)").evaluateAll((all) => [...new Set(all.slice(0, 10).map((one) => one.offsetHeight))]);
  assert.ok(heights.every((height) => height <= 34), `rows of ${heights}`);
  await page.screenshot({ path: `${pictures}list-500.png` });

  // By keys: to the list, a word, Enter.
  await page.keyboard.press("Control+Shift+E");
  await page.keyboard.type("rack7-sw12");
  await eventually(async () => (await page.locator(".endpoints .row").count()) === 1, "one row");
  await page.keyboard.press("Enter");
  await connectedLines(page, 1);
  assert.equal(new URL(page.url()).hash, "#/rack7-sw12");
  // What is typed on a row goes on in the filter.
  await page.keyboard.press("Control+Shift+E");
  await page.keyboard.press("Escape");
  await eventually(async () => (await page.locator(".endpoints .row").count()) === 500, "all rows again");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.type("rack9-sw1");
  await eventually(async () => (await page.locator(".endpoints .row").count()) === 11, "rack9-sw1 and sw10 to sw19");
  await page.locator(".list input[type=search]").fill("");

  // A line that moves shows its last minute, and a row that is written anew each second keeps the focus.
  const row = page.locator('.row:has(a[href="#/rack7-sw12"])');
  await row.locator(".row-open").focus();
  const socket = await page.evaluate(() => document.activeElement.getAttribute("href"));
  await page.evaluate(() => {
    const socket = new WebSocket(location.href.replace(/^http/, "ws").replace(/#.*/, "ws/rack3-sw3"), ["binary"]);
    socket.onopen = () => setInterval(() => socket.send("x".repeat(100)), 100);
  });
  await eventually(async () => (await page.locator('.row:has(a[href="#/rack3-sw3"]) .spark:not(.still)').count()) === 1, "a sparkline");
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("href")), socket);
  // Folded, a group stays so.
  await page.getByRole("button", { name: /^rack2 / }).click();
  assert.equal(await page.getByRole("button", { name: /^rack2 / }).getAttribute("aria-expanded"), "false");
  await page.addScriptTag({ path: axe }).catch(() => {});
  assert.deepEqual(page.complaints.filter((text) => !/CSP|Content Security|TrustedScript/.test(text)), []);
});

test("no rule of axe-core is broken: four lines, a card, the plot, the menus, five hundred lines; light and dark", { skip, timeout: 180_000 }, async (t) => {
  const many = Array.from({ length: 500 }, (_, at) => `  dev${at % 25}-${at}: { serial: { port: /dev/ttyUSB77 } }\n`).join("");
  const gateway = await startGateway({ yaml: `endpoints:\n  console: { sim: console }\n  modem: { sim: modem }\n  echo: { sim: echo }\n  gone: { serial: { port: /dev/ttyUSB77 } }\n` });
  const crowd = await startGateway({ yaml: `endpoints:\n${many}` });
  for (const colorScheme of ["light", "dark"]) {
    const context = await browser.browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme, bypassCSP: true, reducedMotion: "reduce" });
    const page = await context.newPage();
    t.after(() => context.close());
    const check = async (what) => {
      await page.addScriptTag({ path: axe });
      const broken = await page.evaluate(async () => (await globalThis.axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(", ")}`));
      assert.deepEqual(broken, [], `${what}, ${colorScheme}`);
    };
    await page.goto(`${gateway.url}#/console+modem+echo+gone`);
    await connectedLines(page, 3);
    await page.locator(".trouble").filter({ hasText: "not there" }).waitFor();
    await check("four lines and a card");
    await page.getByRole("button", { name: /^More tools of console/ }).click();
    await check("a menu");
    await page.keyboard.press("Escape");
    await page.goto(`${gateway.url}#/echo`);
    await connectedLines(page, 1);
    await page.getByRole("button", { name: "Send box" }).click();
    await page.locator(".tool-send-text").fill("a:1 b:2");
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await page.getByRole("button", { name: "Plot", exact: true }).click();
    await page.locator(".tool-plot canvas").waitFor();
    await check("the plot and the send box");
    await page.goto(`${crowd.url}#/`);
    await eventually(async () => (await page.locator(".endpoints .row").count()) === 500, "five hundred rows", 30_000);
    await check("five hundred lines");
  }
});

for (const engine of ["firefox", "webkit"]) {
  test(`${engine}: one, two and four lines lie right, cards and plot too`, { skip: missing(engine), timeout: 120_000 }, async () => {
    const device = await tcpDevice((socket) => setInterval(() => socket.writable && socket.write("a:1 b:2\r\n"), 100).unref());
    const demo = "  console: { sim: console }\n  modem: { sim: modem }\n  echo: { sim: echo }\n";
    const gateway = await startGateway({ yaml: `endpoints:\n${demo}  gone: { serial: { port: /dev/ttyUSB77 } }\n  numbers: { share: one-writer, tcp: { address: "${device.address}" } }\n` });
    const page = await launch(engine);
    for (const names of [["console"], ["console", "modem"], ["console", "modem", "echo", "gone"]]) {
      await page.goto(`${gateway.url}?${names.length}#/${names.join("+")}`);
      const live = names.filter((name) => name !== "gone").length;
      await eventually(async () => (await page.evaluate(up)) === live, `${names}`);
      await eventually(async () => (await page.evaluate(columns)).length === names.length, "the terminals");
      assert.deepEqual(await page.evaluate(wrongs), [], `${names}`);
    }
    await eventually(() => page.evaluate(() => /ttyUSB77 is not there/.test(document.querySelector(".trouble:not(.trouble-place[hidden] *)")?.textContent)), "the card");
    await page.goto(`${gateway.url}?plot#/numbers`);
    await eventually(async () => (await page.evaluate(up)) === 1, "numbers");
    await page.evaluate(() => [...document.querySelectorAll(".views button")].find((one) => one.textContent === "Plot").click());
    await eventually(() => page.evaluate(() => document.querySelector(".tool-plot canvas") !== null), "the plot");
    assert.deepEqual(await page.evaluate(wrongs), [], "the plot");
    await page.stop();
    await gateway.stop();
  });
}
