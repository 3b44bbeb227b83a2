// The layout of the console's page, and its keys: in Chromium, on the real daemon.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { echoDevice, eventually, processDevice, startGateway, tcpDevice } from "./harness.mjs";
import {
  connected,
  consoleSuite,
  pictures,
  says,
  screen as screenText,
  shows,
} from "./harness/console.mjs";
import { folder, noise } from "./lrzsz.mjs";

const { skip, open } = consoleSuite();
const gatewayAt = ({ address }) =>
  startGateway({
    yaml: `endpoints:\n  far:\n    share: one-writer\n    tcp: { address: "${address}" }\n`,
  });
const box = (page, selector) => page.locator(selector).first().boundingBox();

/** A device that keeps what it receives, and its gateway. */
async function listener(greeting = "") {
  const got = [];
  const device = await tcpDevice((socket) => {
    if (greeting) socket.write(greeting);
    socket.on("data", (bytes) => got.push(bytes));
  });
  return { gateway: await gatewayAt(device), got: () => Buffer.concat(got).toString("latin1") };
}

test(
  "the times stand beside their lines; where earlier output ends is a line of its own",
  { skip, timeout: 60_000 },
  async (t) => {
    const { gateway } = await listener(
      Array.from({ length: 30 }, (_, at) => `line ${at}`).join("\r\n"),
    );
    const first = await open(t, `${gateway.url}#/far`);
    await connected(first);
    await shows(first, /line 29/);
    // Somebody who comes later gets it as earlier output.
    const page = await open(t, `${gateway.url}#/far`);
    await connected(page);
    await shows(page, /line 29/);
    await page.getByRole("tab", { name: "Terminal" }).click();
    await page.getByRole("switch", { name: /^Times/ }).check();
    await eventually(async () => (await page.locator(".gutter > div").count()) > 20, "the times");
    const screen = await box(page, ".xterm-screen");
    const rows = await page.locator(".gutter > div").count();
    const cells = await page
      .locator(".gutter > div")
      .evaluateAll((all) => all.map((one) => one.getBoundingClientRect().y));
    for (const [row, y] of cells.entries()) {
      const wanted = screen.y + (row * screen.height) / rows;
      assert.ok(Math.abs(y - wanted) < 1, `row ${row} at ${y} in place of ${wanted}`);
    }
    await page.screenshot({ path: `${pictures}times.png` });
    // It is above the device's unfinished line, which is whole.
    const lines = (await screenText(page))
      .split("\n")
      .map((line) => line.trim())
      .filter(Boolean);
    assert.match(lines.at(-2), /^── earlier output above · live since \d\d:\d\d:\d\d ──$/);
    assert.deepEqual([lines.at(-3), lines.at(-1)], ["line 28", "line 29"]);
    const times = await page.locator(".gutter > div").allInnerTexts();
    const row = times.findIndex(
      (text, at) => at > 0 && text.trim() === "" && times[at + 1]?.trim(),
    );
    assert.ok(row > 0, `the mark has no time, the lines around it have: ${times.join("|")}`);
  },
);

test(
  "the page's keys work with a keyboard that has other letters",
  { skip, timeout: 60_000 },
  async (t) => {
    const { gateway } = await listener();
    const page = await open(t, `${gateway.url}#/far`);
    await connected(page);
    await page.locator(".terminal-host").click();
    const session = await page.context().newCDPSession(page);
    // Ctrl Shift F on a Russian keyboard.
    for (const type of ["rawKeyDown", "keyUp"])
      await session.send("Input.dispatchKeyEvent", {
        type,
        modifiers: 2 + 8,
        key: "А",
        code: "KeyF",
        windowsVirtualKeyCode: 70,
      });
    await page.getByRole("searchbox", { name: "Search the terminal" }).waitFor();
  },
);

test(
  "the search bar lies within its line, however narrow",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({ demo: true });
    const page = await open(t, `${gateway.url}#/modem+console+echo`, {
      viewport: { width: 900, height: 700 },
    });
    await eventually(
      async () => (await page.locator(".pane:visible").count()) === 3,
      "three lines",
    );
    await connected(page);
    for (const index of [0, 2]) {
      const pane = page.locator(".pane").nth(index);
      await pane.getByRole("button", { name: /^More tools/ }).click();
      await page.getByRole("menuitem", { name: "Search" }).click();
      const bar = await pane.locator(".find").boundingBox();
      const main = await pane.locator(".pane-main").boundingBox();
      assert.ok(
        bar.x >= main.x && bar.x + bar.width <= main.x + main.width,
        `${JSON.stringify(bar)} in ${JSON.stringify(main)}`,
      );
    }
    await page.screenshot({ path: `${pictures}search-narrow.png` });
  },
);

test(
  "Option types its characters on a Mac, and is Meta when that is wanted",
  { skip, timeout: 60_000 },
  async (t) => {
    const { gateway, got } = await listener();
    const page = await open(t, `${gateway.url}#/far`, {
      prepare: (one) =>
        one.addInitScript(() =>
          Object.defineProperty(Navigator.prototype, "platform", { get: () => "MacIntel" }),
        ),
    });
    await connected(page);
    await page.locator(".terminal-host").click();
    const session = await page.context().newCDPSession(page);
    // Option L on a German keyboard.
    const press = async () => {
      await session.send("Input.dispatchKeyEvent", {
        type: "keyDown",
        modifiers: 1,
        key: "@",
        code: "KeyL",
        text: "@",
        windowsVirtualKeyCode: 76,
      });
      await session.send("Input.dispatchKeyEvent", {
        type: "keyUp",
        modifiers: 1,
        key: "@",
        code: "KeyL",
        windowsVirtualKeyCode: 76,
      });
    };
    await press();
    await eventually(() => got() === "@", "the character");
    await page.getByRole("tab", { name: "Terminal" }).click();
    await page.getByRole("switch", { name: /^Option is Meta/ }).check();
    await page.locator(".terminal-host").click();
    await press();
    await eventually(() => got().startsWith("@\x1b"), "Meta");
  },
);

test(
  "a paste that is too long is refused as a whole, and shown another way",
  { skip, timeout: 60_000 },
  async (t) => {
    const { gateway, got } = await listener();
    const page = await open(t, `${gateway.url}#/far`);
    await connected(page);
    await page.locator(".terminal-host").click();
    const paste = (length) =>
      page.locator(".xterm-helper-textarea").evaluate((area, count) => {
        const clipboardData = new DataTransfer();
        clipboardData.setData("text/plain", `${"x".repeat(count)}\nend\n`);
        area.dispatchEvent(
          new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }),
        );
      }, length);
    await paste((1 << 20) + 1);
    await says(page, /Not pasted/);
    await page.getByRole("button", { name: "Send a file" }).click();
    await page.getByRole("button", { name: /and send…$/ }).waitFor();
    assert.equal(got(), "");
  },
);

test(
  "a transfer that begins by its notice is seen, and can be cancelled",
  { skip, timeout: 60_000 },
  async (t) => {
    const cwd = folder(t);
    writeFileSync(join(cwd, "big.bin"), noise(20_000_000));
    const device = await processDevice("sz", ["-b", "-q", "big.bin"], { cwd });
    const gateway = await gatewayAt(device);
    const page = await open(t, `${gateway.url}#/far`, { viewport: { width: 900, height: 700 } });
    await page.getByRole("button", { name: "Receive…" }).click();
    await page
      .getByRole("dialog", { name: "Receive this file?" })
      .getByRole("button", { name: "Save it" })
      .click();
    await page.getByRole("progressbar", { name: "Progress of the transfer" }).waitFor();
    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    await says(page, /The transfer was cancelled/);
  },
);

test(
  "no panel is wider than the side, and none is scrolled sideways",
  { skip, timeout: 60_000 },
  async (t) => {
    const echo = await echoDevice();
    const gateway = await gatewayAt(echo);
    for (const viewport of [
      { width: 1280, height: 800 },
      { width: 390, height: 844 },
    ]) {
      const page = await open(t, `${gateway.url}#/far`, { viewport });
      await connected(page);
      if (!(await page.getByRole("tab", { name: "Terminal" }).isVisible())) {
        await page.getByRole("button", { name: /^More tools/ }).click();
        await page.getByRole("menuitem", { name: "Settings and tools" }).click();
      }
      for (const name of ["Line", "Terminal", "Files", "Macros", "Log"]) {
        await page.getByRole("tab", { name }).click();
        await page.screenshot({
          path: `${pictures}panel-${name.toLowerCase()}-${viewport.width}.png`,
        });
        const [inner, outer] = await page
          .locator(".inspector")
          .evaluate((side) => [side.scrollWidth, side.clientWidth]);
        assert.ok(inner <= outer, `${name}: ${inner} in ${outer} at ${viewport.width}`);
        const wide = await page
          .locator(".inspector :is(select, input, button):visible")
          .evaluateAll((all) =>
            all
              .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
              .map((one) => one.outerHTML),
          );
        assert.deepEqual(wide, [], name);
      }
    }
  },
);

test(
  "the page ends where a soft keyboard begins, and follows when the browser moves it",
  { skip, timeout: 60_000 },
  async (t) => {
    const echo = await echoDevice();
    const gateway = await gatewayAt(echo);
    const page = await open(t, `${gateway.url}#/far`, {
      viewport: { width: 390, height: 844 },
      hasTouch: true,
      isMobile: true,
    });
    await connected(page);
    await page.evaluate(() => {
      // As Safari does: the page keeps its height, less of it is visible, and the visible part may
      // begin further down.
      Object.defineProperty(visualViewport, "height", { configurable: true, get: () => 500 });
      Object.defineProperty(visualViewport, "offsetTop", { configurable: true, get: () => 120 });
      visualViewport.dispatchEvent(new Event("resize"));
      visualViewport.dispatchEvent(new Event("scroll"));
    });
    await eventually(async () => (await box(page, ".shell")).height === 500, "the height");
    assert.equal((await box(page, ".shell")).y, 120);
    const keys = await box(page, ".keys");
    assert.ok(keys.y + keys.height <= 620, JSON.stringify(keys));
  },
);
