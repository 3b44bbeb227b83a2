// The console in Chromium without a mouse: signing in, choosing a line, leaving the terminal,
// panels, search, and what is downloaded.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { delayProxy, eventually, rfc2217Device, startGateway, tcpDevice } from "./harness.mjs";
import {
  PASSWORD,
  complaintsOf,
  connected,
  consoleSuite,
  says,
  screen,
  shows,
  users,
} from "./harness/console.mjs";

const { skip, open } = consoleSuite();

/**
 * What has the focus: its name for screen readers as far as this needs it, and whether one sees
 * that it has it.
 */
const focus = (page) =>
  page.evaluate(() => {
    const one = document.activeElement;
    const style = getComputedStyle(one);
    return {
      name: one.getAttribute("aria-label") ?? one.closest("label")?.textContent ?? one.textContent,
      seen:
        (style.outlineStyle !== "none" && Number.parseFloat(style.outlineWidth) > 0) ||
        style.boxShadow !== "none",
    };
  });

/** Presses Tab until `pattern` has the focus; everything on the way shows that it has it. */
async function tabTo(page, pattern, key = "Tab") {
  const passed = [];
  for (let n = 0; n < 80; n += 1) {
    await page.keyboard.press(key);
    const { name, seen } = await focus(page);
    passed.push(name.trim().slice(0, 40));
    assert.ok(seen, `the focus is not to be seen on ${name}`);
    if (pattern.test(name.trim())) return;
  }
  assert.fail(`${pattern} is not reached by ${key}: ${passed.join(" | ")}`);
}

test("the keyboard alone is enough", { skip, timeout: 90_000 }, async (t) => {
  const port = await rfc2217Device();
  const gateway = await startGateway({
    yaml: `${users()}endpoints:\n  far:\n    rfc2217: { address: "${port.address}" }\n  modem: { sim: modem }\n`,
  });
  const page = await open(t, gateway.url);
  await page.getByLabel("User").waitFor();
  await page.keyboard.type("alice");
  await page.keyboard.press("Tab");
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: /^modem/ }).waitFor();

  // A line is chosen, and its terminal has the keys: Tab goes to the device.
  await tabTo(page, /^modem/);
  await page.keyboard.press("Enter");
  await connected(page);
  await page.keyboard.type("ATI\r");
  await shows(page, /simulated modem[\s\S]*OK/);

  // Search finds it, Escape goes back to the terminal, and clearing removes it.
  await page.keyboard.press("Control+Shift+F");
  await page.keyboard.type("simulated");
  await page.locator(".find .found").filter({ hasText: /1/ }).waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.type("AT\r");
  await shows(page, /AT\s+OK\s*$/);
  await page.keyboard.press("Control+Shift+L");
  await eventually(async () => !/simulated/.test(await screen(page)), "a clear terminal");

  // Opens the help, and leaves it.
  await page.keyboard.press("Control+Shift+H");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });

  // The other line, from the list; then its switches and the break.
  await page.keyboard.press("Control+Shift+E");
  await tabTo(page, /^far/);
  await page.keyboard.press("Enter");
  await connected(page);
  await page.keyboard.press("Control+Shift+D");
  await tabTo(page, /^DTR on/);
  await page.keyboard.press("Enter");
  await eventually(() => port.lines.dtr === true, "DTR on");
  const broke = new Promise((done) => port.on("lines", (lines) => lines.break && done()));
  await page.keyboard.press("Control+Shift+B");
  await broke;

  // Back to the terminal by the same key, which closes the side, and then out of the account.
  await page.keyboard.press("Control+Shift+D");
  await eventually(async () => /^Terminal/.test((await focus(page)).name), "the terminal");
  await page.keyboard.press("Control+Shift+X");
  await tabTo(page, /Signed in as alice/, "Shift+Tab");
  await page.keyboard.press("Enter");
  await page.getByText("Sign out").waitFor();
  for (let n = 0; n < 10 && !/Sign out/.test((await focus(page)).name); n += 1)
    await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.getByLabel("User").waitFor();
  assert.deepEqual(complaintsOf(page), []);
});

test("what a lost connection cost is told in bytes", { skip, timeout: 60_000 }, async (t) => {
  let socket;
  const device = await tcpDevice((one) => (socket = one));
  const gateway = await startGateway({
    yaml: `endpoints:\n  far:\n    share: one-writer\n    history: 4KiB\n    tcp: { address: "${device.address}" }\n`,
  });
  const proxy = await delayProxy(gateway.direct);
  const page = await open(t, `${proxy.url}#/far`);
  await connected(page);
  await eventually(() => socket, "the device's connection");
  socket.write("before\r\n");
  await shows(page, /before/);
  proxy.cut();
  await says(page, /connection to the gateway is lost/);
  const sent = 50_000;
  socket.write(
    Buffer.concat([Buffer.alloc(sent - 5, "0123456789abcdef\r\n"), Buffer.from("after")]),
  );
  // All of it has been sent before the page is back.
  const kept = async () => (await fetch(`${gateway.direct}api/endpoints/far/log`)).text();
  await eventually(
    async () => (await kept()).endsWith("after"),
    "the device's bytes at the gateway",
  );
  proxy.heal();
  await says(page, /resumed with a gap of/);
  const told = await page
    .getByText(/resumed with a gap of/)
    .first()
    .innerText();
  const lost = Number(/gap of ([\d\s,.\u202f]+) bytes/.exec(told)[1].replaceAll(/\D/g, ""));
  assert.ok(lost >= sent - 4096 - 1024 && lost <= sent, told);
});

test(
  "the logs that are downloaded have every byte, and nothing in them acts",
  { skip, timeout: 60_000 },
  async (t) => {
    const said = Buffer.concat([
      Buffer.from("\x1b[31mred\x1b[0m \x07 end\r\n"),
      Buffer.from(Array.from({ length: 256 }, (_, n) => n)),
    ]);
    const device = await tcpDevice((one) => one.on("data", () => one.write(said)));
    const gateway = await startGateway({
      yaml: `endpoints:\n  far:\n    share: one-writer\n    tcp: { address: "${device.address}" }\n`,
    });
    const page = await open(t, `${gateway.url}#/far`);
    await connected(page);
    await page.keyboard.type("x");
    await shows(page, /red/);
    await page.getByRole("tab", { name: "Log" }).click();
    const download = async (name) => {
      const [one] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("button", { name, exact: true }).click(),
      ]);
      return { name: one.suggestedFilename(), bytes: readFileSync(await one.path()) };
    };
    const raw = await download("Download the raw log");
    assert.match(raw.name, /^far-\d{8}T\d{6}Z\.raw$/);
    assert.deepEqual(raw.bytes, said);
    const text = (await download("Download")).bytes.toString("utf8");
    assert.match(text, /> x/);
    assert.match(text, /\\e\[31mred/);

    assert.doesNotMatch(text, /[\x00-\x08\x0b-\x1f\x7f]/, "no control byte but line ends");
    assert.deepEqual(page.complaints, []);
  },
);
