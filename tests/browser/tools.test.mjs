// The console's tools in a browser, on lines of the real daemon: files both ways against lrzsz, hex
// view, send box, macros, logs.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  delayProxy,
  eventually,
  launch,
  missing,
  processDevice,
  stopAll,
  tcpDevice,
} from "./harness.mjs";
import { folder, noise, sha } from "./lrzsz.mjs";
import { serveTools } from "./tools-page/serve.mjs";

const skip = missing("chromium");
let browser;

before(async () => {
  if (!skip) browser = await launch("chromium");
});
after(stopAll);

/** A gateway with one line `x` to a device, and the page of the tools on it. */
async function open(t, address, options) {
  const served = await serveTools(address, options);
  const page = await browser.another({ shared: false });
  t.after(async () => {
    await page.close();
    await served.stop();
  });
  await page.goto(served.url);
  const p = page.playwright;
  await p.waitForFunction(() => globalThis.state?.().phase === "up");
  const seen = (key) => p.evaluate((wanted) => globalThis.seen[wanted], key);
  const saved = (count) =>
    eventually(
      async () => {
        const list = await seen("saved");
        return list.length >= count && list;
      },
      `${count} saved files`,
      60_000,
    );
  const outcome = (pattern) =>
    eventually(
      async () => {
        const text = await p.locator("#transfer .tool-status").first().textContent();
        return pattern.test(text) && text;
      },
      `the outcome ${pattern}`,
      60_000,
    );
  return { p, seen, saved, outcome, terminal: async () => Buffer.from(await seen("terminal")) };
}

/** Gives files to the file chooser that `act` opens. */
async function choose(p, act, files) {
  const [chooser] = await Promise.all([p.waitForEvent("filechooser"), act()]);
  await chooser.setFiles(
    files.map(({ name, bytes }) => ({
      name,
      mimeType: "application/octet-stream",
      buffer: Buffer.from(bytes),
    })),
  );
}

const noViolation = async (seen) =>
  assert.deepEqual(
    (await seen("announced")).filter((text) => text.startsWith("CSP")),
    [],
  );

test(
  "ZMODEM from the device: offered, asked for each file, equal hashes, a clean terminal",
  { skip, timeout: 120_000 },
  async (t) => {
    const cwd = folder(t);
    const sizes = { "empty.bin": 0, "small.txt": 1000, "large.bin": 3_000_000 };
    for (const [name, size] of Object.entries(sizes))
      writeFileSync(join(cwd, name), noise(size, size + 1));
    const device = await processDevice(
      "sh",
      ["-c", `sz -b -q ${Object.keys(sizes).join(" ")}; printf 'prompt# '; cat >/dev/null`],
      { cwd },
    );
    const { p, seen, saved, outcome, terminal } = await open(t, device.address);
    await p.getByRole("button", { name: "Receive…" }).click();
    const list = await saved(3);
    assert.deepEqual(
      list.map(({ name, size }) => [name, size]),
      Object.entries(sizes),
    );
    for (const file of list)
      assert.equal(file.sha, sha(noise(file.size, file.size + 1)), file.name);
    await outcome(/^Received: empty\.bin, 0 B; small\.txt, 1\.0 kB; large\.bin, 3\.0 MB\.$/);
    assert.equal((await seen("asked")).length, 3);
    await eventually(
      async () => (await terminal()).toString("latin1").endsWith("prompt# "),
      "the prompt",
    );
    const shown = (await terminal()).toString("latin1");
    assert.ok(shown.length < 200, "nothing of the files is on the terminal");
    await noViolation(seen);
  },
);

test(
  "ZMODEM to the device: offered, several files, equal hashes",
  { skip, timeout: 120_000 },
  async (t) => {
    const cwd = folder(t);
    const device = await processDevice("sh", ["-c", "rz -b -q; printf 'done# '; cat >/dev/null"], {
      cwd,
    });
    const { p, outcome, terminal, seen } = await open(t, device.address);
    const files = [
      { name: "a b.bin", bytes: noise(2_000_001) },
      { name: "empty", bytes: new Uint8Array(0) },
      { name: "c.txt", bytes: noise(77) },
    ];
    await choose(p, () => p.getByRole("button", { name: "Choose files…" }).click(), files);
    await outcome(/^Sent: a b\.bin, 2\.0 MB; empty, 0 B; c\.txt, 77 B\.$/);
    for (const { name, bytes } of files)
      assert.equal(sha(readFileSync(join(cwd, name))), sha(bytes), name);
    await eventually(
      async () => (await terminal()).toString("latin1").endsWith("done# "),
      "the prompt",
    );
    await noViolation(seen);
  },
);

test(
  "the connection breaks in the middle of ZMODEM, both ways: the transfer goes on, equal hashes",
  { skip, timeout: 120_000 },
  async (t) => {
    for (const direction of ["receive", "send"]) {
      const cwd = folder(t);
      const bytes = noise(4_000_000);
      if (direction === "receive") writeFileSync(join(cwd, "f"), bytes);
      const device = await processDevice(
        direction === "receive" ? "sz" : "rz",
        ["-b", "-q", ...(direction === "receive" ? ["f"] : [])],
        { cwd },
      );
      let proxy;
      const { p, outcome, saved } = await open(t, device.address, {
        network: async (gateway) => {
          proxy = await delayProxy(gateway.direct, { delay: 5 });
          return proxy.url;
        },
      });
      proxy.cutAfter(direction === "receive" ? { down: 1_500_001 } : { up: 1_500_001 });
      if (direction === "receive") await p.getByRole("button", { name: "Receive…" }).click();
      else
        await choose(p, () => p.getByRole("button", { name: "Choose files…" }).click(), [
          { name: "f", bytes },
        ]);
      await outcome(/^(Sent|Received): f, 4\.0 MB\.$/);
      assert.equal(proxy.state.cuts, 1, "the connection was broken");
      assert.equal(
        direction === "receive" ? (await saved(1))[0].sha : sha(readFileSync(join(cwd, "f"))),
        sha(bytes),
      );
    }
  },
);

test(
  "a file that is left out is skipped; a name that is a path is none here",
  { skip, timeout: 60_000 },
  async (t) => {
    const cwd = folder(t);
    writeFileSync(join(cwd, "x"), noise(5000));
    const device = await processDevice("sz", ["-b", "-q", "-f", join(cwd, "x")]);
    const { p, outcome, saved } = await open(t, device.address);
    await p.evaluate(() => {
      globalThis.answer = "hold";
    });
    await p.getByRole("button", { name: "Receive…" }).click();
    await p.waitForFunction(() => globalThis.seen.asked.length === 1);
    assert.deepEqual(await saved(0), []);
    assert.match((await p.evaluate(() => globalThis.seen.asked))[0], /^x5\.0 kB/);
    await p.evaluate(() => globalThis.decide(false));
    await outcome(/^Nothing was received\. Left out: x\.$/);
  },
);

for (const share of ["dedicated", "one-writer"])
  test(
    `cancel in the middle, both ways, ${share}: the other side ends, nothing of it is on the terminal, the line works`,
    { skip, timeout: 120_000 },
    async (t) => {
      for (const direction of ["receive", "send"]) {
        const cwd = folder(t);
        if (direction === "receive") writeFileSync(join(cwd, "big"), noise(60_000_000));
        const program = direction === "receive" ? "sz -b -q big" : "rz -b -q";
        const device = await processDevice(
          "sh",
          ["-c", `${program} 2>/dev/null; printf 'prompt# '; cat`],
          { cwd },
        );
        const line = `{ tcp: { address: "${device.address}" }${share === "dedicated" ? "" : `, share: ${share}`} }`;
        const { p, outcome, terminal, saved } = await open(t, device.address, { line });
        if (direction === "receive") await p.getByRole("button", { name: "Receive…" }).click();
        else
          await choose(p, () => p.getByRole("button", { name: "Choose files…" }).click(), [
            { name: "big", bytes: noise(30_000_000) },
          ]);
        await p.waitForFunction(() => document.querySelector(".tool-progress progress")?.value > 0);
        await p.getByRole("button", { name: "Cancel", exact: true }).click();
        await outcome(/^The transfer was cancelled\.$/);
        assert.deepEqual(await saved(0), []);
        await p.locator("#send .tool-send-text").fill("hello");
        await p.locator("#send .tool-send-text").press("Enter");
        await eventually(
          async () => (await terminal()).toString("latin1").includes("hello"),
          "the echo",
        );
        const shown = (await terminal()).toString("latin1");
        assert.match(shown, /prompt# hello/, direction);
        assert.doesNotMatch(shown.slice(30), /[\x18\x08]/, direction);
      }
    },
  );

test("XMODEM and YMODEM through the daemon, both ways", { skip, timeout: 120_000 }, async (t) => {
  const bytes = noise(50_000);
  for (const [id, args, take] of [
    ["xmodem", ["rx", "-b", "-q", "-c", "f.bin"], 49_999],
    ["xmodem1k", ["rx", "-b", "-q", "-c", "f.bin"], 49_999],
    ["ymodem", ["rb", "-b", "-q"], 50_000],
  ]) {
    const cwd = folder(t);
    const device = await processDevice(args[0], args.slice(1), { cwd });
    const { p, outcome } = await open(t, device.address);
    await p.getByRole("combobox", { name: "Send", exact: true }).selectOption(id);
    await choose(p, () => p.getByRole("button", { name: /^Choose .* and send…$/ }).click(), [
      { name: "f.bin", bytes: bytes.subarray(0, take) },
    ]);
    await outcome(/^Sent: f\.bin, 50\.0 kB\.$/);
    await device.ends[0];
    const got = readFileSync(join(cwd, "f.bin"));
    assert.equal(sha(got.subarray(0, take)), sha(bytes.subarray(0, take)), id);
    assert.ok(
      id === "ymodem" ? got.length === take : got.subarray(take).every((byte) => byte === 0x1a),
      id,
    );
  }
  for (const [id, program] of [
    ["xmodem", "sx"],
    ["xmodemsum", "sx"],
    ["ymodem", "sb"],
    ["ymodemg", "sb"],
  ]) {
    const cwd = folder(t);
    writeFileSync(join(cwd, "f.bin"), bytes);
    const device = await processDevice(program, ["-b", "-q", "f.bin"], { cwd });
    const { p, saved } = await open(t, device.address);
    await p.getByRole("combobox", { name: "Receive", exact: true }).selectOption(id);
    const trim = p.getByLabel("take the filling");
    if (await trim.isVisible()) await trim.check();
    await p.getByRole("button", { name: "Receive", exact: true }).click();
    const [file] = await saved(1);
    assert.equal(file.sha, sha(bytes), id);
    assert.equal(file.name, program === "sb" ? "f.bin" : "received.bin");
  }
});

test(
  "a file as it is, paced, with progress; cancel stops it",
  { skip, timeout: 60_000 },
  async (t) => {
    let got = 0;
    const parts = [];
    const device = await tcpDevice((socket) =>
      socket.on("data", (part) => {
        got += part.length;
        parts.push(part);
      }),
    );
    const { p, outcome } = await open(t, device.address);
    await p.getByRole("combobox", { name: "Send", exact: true }).selectOption("raw");
    await p.getByLabel("bytes per second").fill("20000");
    const started = Date.now();
    await choose(p, () => p.getByRole("button", { name: "Choose a file and send…" }).click(), [
      { name: "f", bytes: noise(20_000) },
    ]);
    await p.waitForFunction(() => {
      const bar = document.querySelector(".tool-progress progress");
      return bar.value > 0 && bar.value < 1;
    });
    assert.match(await p.locator(".tool-progress-figures").textContent(), / of 20\.0 kB/);
    await outcome(/^Sent: f, 20\.0 kB\.$/);
    assert.ok(Date.now() - started > 800, "no faster than asked");
    await eventually(() => got === 20_000, "all bytes");
    assert.equal(sha(Buffer.concat(parts)), sha(noise(20_000)));
    await choose(p, () => p.getByRole("button", { name: "Choose a file and send…" }).click(), [
      { name: "f", bytes: noise(2_000_000) },
    ]);
    await p.waitForFunction(() => document.querySelector(".tool-progress progress").value > 0);
    await p.getByRole("button", { name: "Cancel", exact: true }).click();
    await outcome(/^The transfer was cancelled\.$/);
    assert.ok(got < 200_000);
  },
);

test(
  "the hex view has both directions, a new row after a pause, search, Modbus, and copies",
  { skip, timeout: 60_000 },
  async (t) => {
    let device;
    const far = await tcpDevice((socket) => {
      device = socket;
    });
    const { p, seen } = await open(t, far.address);
    const rows = () => p.locator("#hex [role=option]").allInnerTexts();
    device.write(Buffer.from("010304000100022a32", "hex"));
    await eventually(async () => (await rows()).length === 1, "a row");
    await p.getByRole("combobox", { name: "as", exact: true }).first().selectOption("hex");
    await p.getByLabel("append CRC-16/Modbus").check();
    await p.locator("#send .tool-send-text").fill("01 03 00 00 00 0A");
    await p.locator("#send").getByRole("button", { name: "Send", exact: true }).click();
    await eventually(async () => (await rows()).length === 2, "a sent row");
    await p.evaluate(() => new Promise((done) => setTimeout(done, 60)));
    device.write("abcdefghijklmnopqrstuvwxyz");
    await eventually(async () => (await rows()).length === 4, "rows after the pause");
    await p.getByLabel("Modbus RTU").check();
    await eventually(
      async () => /from 0, 10 of them · CRC ok/.test((await rows())[1]),
      "the decoded frame",
    );
    const flat = (await rows()).map((text) => text.replace(/\s+/g, " "));
    assert.match(
      flat[0],
      /^\d\d:\d\d:\d\d\.\d{3} < received 00000000 01 03 04 00 01 00 02 2A 32 \.{7}\*2/,
    );
    assert.match(flat[1], /\+\d+ > sent 00000000 01 03 00 00 00 0A C5 CD/);
    assert.match(flat[2], /\+\d+ < received 00000009 61 62 .* abcdefghijklmnop$/);
    assert.match(flat[3], /^ ?< received 00000019 71 72/);
    await p.getByLabel("Bytes to search for").fill("79 7A");
    await p.getByRole("button", { name: "Search forwards" }).click();
    await eventually(
      async () =>
        (await p.locator("#hex [role=option][aria-selected=true]").innerText()).includes(
          "qrstuvwxyz",
        ),
      "the row found",
    );
    await p.getByRole("listbox", { name: /Bytes of x/ }).focus();
    await p.keyboard.press("Shift+ArrowUp");
    await eventually(
      async () => (await p.locator("#hex [role=option][aria-selected=true]").count()) === 2,
      "two rows chosen",
    );
    await p.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await p.getByRole("button", { name: "Copy text" }).click();
    await eventually(
      async () =>
        (await p.evaluate(() => navigator.clipboard.readText())) === "abcdefghijklmnopqrstuvwxyz",
      "the copied text",
    );
    await noViolation(seen);
  },
);

test(
  "a flood does not freeze the page, and the hex view draws what is seen only",
  { skip, timeout: 60_000 },
  async (t) => {
    const device = await tcpDevice((socket) => socket.write(noise(24_000_000)));
    const { p } = await open(t, device.address);
    await p.evaluate(() => {
      globalThis.longest = 0;
      let last = performance.now();
      setInterval(() => {
        globalThis.longest = Math.max(globalThis.longest, performance.now() - last);
        last = performance.now();
      }, 10);
    });
    await eventually(
      () =>
        p.evaluate(() => document.querySelector("#hex .tool-hex-space").offsetHeight > 4_000_000),
      "the rows",
      40_000,
    );
    assert.ok((await p.locator("#hex [role=option]").count()) < 100);
    t.diagnostic(
      `longest pause of the page: ${await p.evaluate(() => Math.round(globalThis.longest))} ms`,
    );
  },
);

test(
  "the send box: escapes, errors with their place, history, sending again",
  { skip, timeout: 60_000 },
  async (t) => {
    const got = [];
    const device = await tcpDevice((socket) => socket.on("data", (part) => got.push(...part)));
    const { p } = await open(t, device.address);
    const box = p.locator("#send .tool-send-text");
    const said = p.locator("#send .tool-status");
    await box.fill("a\\x1b[0m");
    await box.press("Enter");
    await eventually(() => Buffer.from(got).toString("latin1") === "a\x1b[0m\r", "the bytes");
    await box.fill("bad \\q");
    await box.press("Enter");
    await eventually(async () => /character 5/.test(await said.textContent()), "the complaint");
    await box.fill("second");
    await box.press("Enter");
    await box.press("ArrowUp");
    await box.press("ArrowUp");
    assert.equal(await box.inputValue(), "a\\x1b[0m");
    await p.locator("#send").getByLabel("every").fill("20");
    await p.locator("#send").getByRole("button", { name: "Repeat" }).click();
    const before = got.length;
    await eventually(() => got.length > before + 20, "several more");
    await p.locator("#send").getByRole("button", { name: "Repeat" }).click();
    await eventually(async () => /^Sent \d+ times/.test(await said.textContent()), "the count");
  },
);

test(
  "the menu of what was sent before: the newest first, by pointer and keys, into the box and not to the device",
  { skip, timeout: 60_000 },
  async (t) => {
    const got = [];
    const device = await tcpDevice((socket) => socket.on("data", (part) => got.push(...part)));
    const { p } = await open(t, device.address);
    const box = p.locator("#send .tool-send-text");
    const clock = p.locator("#send").getByRole("button", { name: "Sent before" });
    await clock.click();
    assert.equal(
      await p.locator("#send .tool-status").textContent(),
      "Nothing was sent from here yet.",
    );
    for (const text of ["first", "second \\x41", "third"]) {
      await box.fill(text);
      await box.press("Enter");
    }
    const sent = "first\rsecond A\rthird\r";
    await eventually(() => Buffer.from(got).toString() === sent, "three lines");
    await clock.click();
    assert.equal(await clock.getAttribute("aria-expanded"), "true");
    const menu = p.getByRole("menu", { name: "Sent before" });
    assert.deepEqual(await menu.getByRole("menuitem").allInnerTexts(), [
      "third",
      "second \\x41",
      "first",
    ]);
    await menu.getByRole("menuitem", { name: "second" }).click();
    assert.equal(await menu.count(), 0);
    assert.equal(await box.inputValue(), "second \\x41");
    assert.ok(await box.evaluate((one) => one === document.activeElement));
    assert.match(await p.locator("#send output").textContent(), /^73 65 .* 41 0D/);
    // By keys: down twice from the newest; Escape leaves all as it is.
    await clock.press("Enter");
    await p.keyboard.press("ArrowDown");
    await p.keyboard.press("ArrowDown");
    await p.keyboard.press("Enter");
    assert.equal(await box.inputValue(), "first");
    await clock.press("Enter");
    await p.keyboard.press("Escape");
    assert.equal(await menu.count(), 0);
    assert.equal(await box.inputValue(), "first");
    assert.equal(Buffer.from(got).toString(), sent, "nothing went by choosing");
  },
);

test("an observer is told why it cannot send", { skip, timeout: 60_000 }, async (t) => {
  const device = await tcpDevice(() => {});
  const { p } = await open(t, device.address);
  await p.evaluate(() => {
    globalThis.change({ role: "observer" });
  });
  assert.match(
    await p.locator("#send .tool-status").textContent(),
    /Read only: somebody else writes/,
  );
  assert.ok(
    await p.locator("#send").getByRole("button", { name: "Send", exact: true }).isDisabled(),
  );
  assert.ok(await p.getByRole("button", { name: /and send…$/ }).isDisabled());
});

test(
  "macros: made, run by key, kept, exported, imported, wrong files told",
  { skip, timeout: 60_000 },
  async (t) => {
    const got = [];
    const device = await tcpDevice((socket) => socket.on("data", (part) => got.push(...part)));
    const { p, saved } = await open(t, device.address);
    const panel = p.locator("#macros");
    await panel.getByRole("button", { name: "Add…" }).click();
    await panel.getByLabel("Name").fill("Version");
    await panel.getByLabel("Text, a line each").fill("show\nversion");
    await panel.getByLabel("Key").selectOption("1");
    await panel.getByRole("button", { name: "Keep" }).click();
    await panel.getByRole("button", { name: "Version", exact: true }).click();
    await eventually(() => Buffer.from(got).toString() === "show\rversion\r", "the macro");
    await p.keyboard.press("Alt+Shift+Digit1");
    await eventually(
      () => Buffer.from(got).toString() === "show\rversion\rshow\rversion\r",
      "the macro by its key",
    );
    await panel.getByRole("button", { name: "Export" }).click();
    const [file] = await saved(1);
    assert.equal(file.name, "x-macros.json");
    assert.equal(JSON.parse(file.text).macros[0].text, "show\nversion");
    await choose(p, () => panel.getByRole("button", { name: "Import…" }).click(), [
      { name: "bad.json", bytes: Buffer.from('{"macros":[{"name":"q","text":"\\\\q"}]}') },
    ]);
    await eventually(
      async () =>
        /bad\.json: macro 1 \(q\): text, line 1/.test(
          await panel.locator(".tool-status").first().textContent(),
        ),
      "the complaint",
    );
    await choose(p, () => panel.getByRole("button", { name: "Import…" }).click(), [
      {
        name: "good.json",
        bytes: Buffer.from('{"macros":[{"name":"Second","text":"a\\nb","delay":60000}]}'),
      },
    ]);
    await panel.getByRole("button", { name: "Second", exact: true }).click();
    await panel.getByRole("button", { name: "Stop the macro" }).click();
    await eventually(
      async () =>
        /Second was stopped/.test(await panel.locator(".tool-status").first().textContent()),
      "the stop",
    );
    await p.reload();
    await panel.getByRole("button", { name: "Version", exact: true }).waitFor();
  },
);

test(
  "logs: this page's as text with times, a recording, and the gateway's answer is told",
  { skip, timeout: 60_000 },
  async (t) => {
    let device;
    const far = await tcpDevice((socket) => {
      device = socket;
    });
    const { p, saved } = await open(t, far.address);
    await p.evaluate(() => {
      delete globalThis.showSaveFilePicker;
      globalThis.showSaveFilePicker = undefined;
    });
    const panel = p.locator("#log");
    device.write("login: \x1b[31mroot\r\n");
    await p.waitForFunction(() => globalThis.seen.terminal.length > 10);
    await panel.getByRole("button", { name: "Download", exact: true }).click();
    const [log] = await saved(1);
    assert.match(log.text, /\n\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} < login: \\e\[31mroot\n$/);
    await panel.getByRole("button", { name: "Start recording" }).click();
    await panel.getByRole("button", { name: "Stop recording" }).waitFor();
    device.write("second line\n");
    await p.waitForFunction(() => globalThis.seen.terminal.length > 25);
    await panel.getByRole("button", { name: "Stop recording" }).click();
    const recorded = (await saved(2))[1];
    assert.match(recorded.text, /^\S+ \S+ < second line\n$/);
  },
);

test("no accessibility rule of axe-core is broken", { skip, timeout: 60_000 }, async (t) => {
  const device = await tcpDevice((socket) =>
    socket.write("hello, world: more than sixteen bytes\n"),
  );
  const { p } = await open(t, device.address);
  await p.locator("#macros").getByRole("button", { name: "Add…" }).click();
  await eventually(async () => (await p.locator("#hex [role=option]").count()) > 0, "rows");
  await p.locator("#hex [role=option]").first().click();
  const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  const session = await p.context().newCDPSession(p);
  await session.send("Runtime.evaluate", { expression: axe });
  const { violations } = await p.evaluate(() =>
    globalThis.axe.run(document, { resultTypes: ["violations"] }),
  );
  assert.deepEqual(
    violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`,
    ),
    [],
  );
});
