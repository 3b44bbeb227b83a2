// The tools where they belong, in the console the gateway serves: a file by ZMODEM, hex view, send
// box, a macro by its key, a log.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  eventually,
  launch,
  missing,
  processDevice,
  startGateway,
  stopAll,
  tcpDevice,
} from "./harness.mjs";
import { folder, noise, sha } from "./lrzsz.mjs";

const skip = missing("chromium");
let browser;

before(async () => {
  if (!skip) browser = await launch("chromium");
});
after(stopAll);

/** The console with line `x` open; `tab(name)` opens its side at a tool. */
async function open(t, address) {
  const gateway = await startGateway({
    yaml: `endpoints:\n  x: { tcp: { address: "${address}" }, share: one-writer }\n`,
  });
  const page = await browser.another({ shared: false });
  t.after(async () => {
    await page.close();
    await gateway.stop();
  });
  const p = page.playwright;
  await p.addInitScript(() =>
    document.addEventListener("securitypolicyviolation", (event) => {
      (globalThis.violations ??= []).push(event.violatedDirective);
    }),
  );
  await p.goto(`${gateway.url}#/x`);
  await p.getByRole("button", { name: /^Who writes: You write/ }).waitFor();
  return {
    p,
    said: page.said,
    async tab(name) {
      const tab = p.getByRole("tab", { name });
      if (!(await tab.isVisible()))
        await p.getByRole("button", { name: /^Settings and tools/ }).click();
      await tab.click();
    },
    calm: async () =>
      assert.deepEqual(
        [
          await p.evaluate(() => globalThis.violations ?? []),
          page.said.filter((line) => line.startsWith("uncaught")),
        ],
        [[], []],
      ),
  };
}

test(
  "ZMODEM in the console: the notice, the question, the download, and the prompt afterwards",
  { skip, timeout: 120_000 },
  async (t) => {
    const cwd = folder(t);
    const bytes = noise(1_000_003);
    writeFileSync(join(cwd, "firmware.bin"), bytes);
    const device = await processDevice(
      "sh",
      ["-c", "sz -b -q firmware.bin; printf 'prompt# '; cat"],
      { cwd },
    );
    const { p, calm } = await open(t, device.address);
    await p.getByRole("button", { name: "Receive…" }).click();
    const dialog = p.getByRole("dialog", { name: "Receive this file?" });
    await dialog.getByText("firmware.bin").waitFor();
    const [download] = await Promise.all([
      p.waitForEvent("download"),
      dialog.getByRole("button", { name: "Save it" }).click(),
    ]);
    assert.equal(download.suggestedFilename(), "firmware.bin");
    assert.equal(sha(readFileSync(await download.path())), sha(bytes));
    await p.getByText("Received: firmware.bin, 1.0 MB.").first().waitFor();
    await eventually(
      async () => /prompt#/.test(await p.locator(".xterm-rows").innerText()),
      "the prompt",
    );
    await calm();
  },
);

test(
  "files are sent, the hex view and the send box work, a macro runs by its key, the raw log comes",
  { skip, timeout: 120_000 },
  async (t) => {
    const got = [];
    let device;
    const far = await tcpDevice((socket) => {
      device = socket;
      socket.on("data", (part) => got.push(...part));
    });
    const { p, tab, calm } = await open(t, far.address);
    device.write("hello from the device\r\n");
    await tab("Files");
    await p.getByRole("combobox", { name: "Send", exact: true }).selectOption("raw");
    const [chooser] = await Promise.all([
      p.waitForEvent("filechooser"),
      p.getByRole("button", { name: "Choose a file and send…" }).click(),
    ]);
    await chooser.setFiles([
      { name: "f.txt", mimeType: "text/plain", buffer: Buffer.from("conf t\n") },
    ]);
    await p.getByText("Sent: f.txt, 7 B.").first().waitFor();
    // The gateway has sent it; the device's end is another socket of this process.
    await eventually(() => Buffer.from(got).toString() === "conf t\n", "the file");

    await tab("Macros");
    await p.getByRole("button", { name: "Add…" }).click();
    await p.getByLabel("Name").fill("Version");
    await p.getByLabel("Text, a line each").fill("show version");
    await p.getByRole("combobox", { name: "Key" }).selectOption("1");
    await p.getByRole("button", { name: "Keep" }).click();
    await p.locator(".terminal-host").click();
    await p.keyboard.press("Alt+Shift+Digit1");
    await eventually(() => Buffer.from(got).toString() === "conf t\nshow version\r", "the macro");

    await p.getByRole("button", { name: "Hex", exact: true }).click();
    const rows = () => p.locator(".tool-hex-row").allInnerTexts();
    await eventually(async () => {
      const text = (await rows()).join("\n").replace(/\s+/g, " ");
      return /< received .*hello from the d/.test(text) && /> sent .*conf t\./.test(text);
    }, "both directions, seen before the view was opened");

    await p.getByRole("button", { name: "Send box" }).click();
    // It opens in the kind of the view, and shows the bytes before they go.
    const kind = p.getByRole("combobox", { name: "as", exact: true });
    assert.equal(await kind.inputValue(), "hex");
    await p.locator(".tool-send-text").fill("70 69 6e 67");
    assert.equal(await p.locator(".tool-send-preview").innerText(), "70 69 6E 67 · ping · 4 bytes");
    await kind.selectOption("text");
    await p.locator(".tool-send-text").fill("ping");
    assert.equal(await p.locator(".tool-send-preview").innerText(), "70 69 6E 67 0D · 5 bytes");
    await p.getByRole("combobox", { name: "line ending" }).selectOption("crlf");
    assert.equal(await p.locator(".tool-send-preview").innerText(), "70 69 6E 67 0D 0A · 6 bytes");
    await p.getByRole("combobox", { name: "line ending" }).selectOption("pane");
    await p.locator(".tool-send-text").press("Enter");
    await eventually(() => Buffer.from(got).toString().endsWith("ping\r"), "the text");

    await tab("Log");
    const [log] = await Promise.all([
      p.waitForEvent("download"),
      p.getByRole("button", { name: "Download", exact: true }).click(),
    ]);
    assert.match(
      readFileSync(await log.path(), "utf8"),
      /< hello from the device\n[^]*> show version\n[^]*> ping\n/,
    );

    const session = await p.context().newCDPSession(p);
    const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
    for (const theme of ["light", "dark"]) {
      await p.evaluate((wanted) => {
        document.documentElement.dataset.theme = wanted;
      }, theme);
      for (const name of ["Files", "Macros", "Log"]) {
        await tab(name);
        await session.send("Runtime.evaluate", { expression: axe });
        const { violations } = await p.evaluate(() =>
          globalThis.axe.run(".pane", { resultTypes: ["violations"] }),
        );
        assert.deepEqual(
          violations.map(
            ({ id, nodes }) =>
              `${theme} ${name} ${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`,
          ),
          [],
        );
      }
    }
    // To be looked at: SHOTS is a folder.
    if (process.env.SHOTS) await p.screenshot({ path: join(process.env.SHOTS, "tools.png") });
    await calm();
  },
);
