// The console in Chromium, on the real daemon: sign-in, terminal, settings and signals, who writes,
// resume, a hostile device, a phone.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  delayProxy,
  echoDevice,
  eventually,
  rfc2217Device,
  startGateway,
  tcpDevice,
} from "./harness.mjs";
import {
  broken,
  complaintsOf,
  connected,
  consoleSuite,
  pictures,
  says,
  shows,
  signIn,
  users,
} from "./harness/console.mjs";

const { skip, open, context } = consoleSuite();

test(
  "who is not signed in sees the sign-in; a wrong password is told; signing out closes the lines",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({ yaml: `${users()}endpoints:\n  echo: { sim: echo }\n` });
    const page = await open(t, `${gateway.url}#/echo`);
    await page.getByLabel("User").waitFor();
    await page.screenshot({ path: `${pictures}sign-in.png` });
    await signIn(page, "alice", "wrong");
    await says(page, /User or password is wrong/);
    await signIn(page, "alice");
    await connected(page);
    await page.getByRole("button", { name: "Signed in as alice" }).click();
    await page.getByText("Sign out").click();
    await page.getByLabel("User").waitFor();
    // The refused requests are there in the browser's own words; nothing else may be.
    assert.deepEqual(complaintsOf(page), []);
  },
);

test(
  "what is typed reaches the device, and its answer is shown",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({
      yaml: "endpoints:\n  modem: { sim: modem, title: Modem }\n",
    });
    const page = await open(t, gateway.url);
    await page.getByRole("link", { name: /^modem/ }).click();
    await connected(page);
    await page.keyboard.type("ATI\r");
    await shows(page, /simulated modem[\s\S]*OK/);
    await page.screenshot({ path: `${pictures}line-light.png` });
    assert.deepEqual(page.complaints, []);
  },
);

test("settings, DTR, RTS and break reach the port", { skip, timeout: 60_000 }, async (t) => {
  const port = await rfc2217Device();
  const gateway = await startGateway({
    yaml: `endpoints:\n  far:\n    rfc2217: { address: "${port.address}", baud: 9600 }\n`,
  });
  const page = await open(t, `${gateway.url}#/far`);
  await connected(page);
  const panel = page
    .getByRole("region", { name: "Settings" })
    .or(page.locator("section[aria-label=Settings]"));
  await panel.first().locator("select[name=baud]").selectOption("57600");
  await eventually(() => port.settings.baud === 57600, "the speed");
  await panel.first().locator("select[name=parity]").selectOption("even");
  await eventually(() => port.settings.parity === 3, "the parity");
  for (const [on, key] of [
    ["DTR on", "dtr"],
    ["RTS on", "rts"],
  ]) {
    await page.getByRole("button", { name: on }).click();
    await eventually(() => port.lines[key] === true, on);
  }
  await page.getByRole("button", { name: "DTR off" }).click();
  await eventually(() => port.lines.dtr === false, "DTR off");
  const broke = new Promise((done) =>
    port.on("lines", (lines) => (lines ?? port.lines).break && done()),
  );
  await page.getByRole("button", { name: "Send break" }).click();
  await broke;
  await eventually(() => port.lines.break === false, "the end of the break");
  assert.deepEqual(page.complaints, []);
});

test(
  "two people on one line: one writes, the other asks and is let, then the first takes over",
  { skip, timeout: 90_000 },
  async (t) => {
    const gateway = await startGateway({ yaml: `${users()}endpoints:\n  echo: { sim: echo }\n` });
    const pages = {};
    for (const name of ["alice", "bob"]) {
      pages[name] = await open(t, `${gateway.url}#/echo`);
      await signIn(pages[name], name);
      await connected(pages[name]);
    }
    const { alice, bob } = pages;
    const chip = (page) => page.locator(".pane-head .chip");
    await says(alice, "You write");
    await says(bob, "alice writes");
    await chip(bob).click();
    await bob.getByText("Ask alice to let you write").click();
    await alice.getByRole("button", { name: "Let bob write" }).click();
    await eventually(async () => /You write/.test(await chip(bob).innerText()), "bob writes");
    await bob.locator(".terminal-host").click();
    await bob.keyboard.type("from bob");
    await shows(alice, /from bob/);
    await chip(alice).click();
    await alice.getByText("Take over from bob").click();
    await alice.getByRole("button", { name: "Take over" }).last().click();
    await says(bob, /alice took over/);
    await eventually(
      async () => /You write/.test(await chip(alice).innerText()),
      "alice writes again",
    );
  },
);

test(
  "a connection that breaks is resumed, and the page says that nothing is lost",
  { skip, timeout: 60_000 },
  async (t) => {
    const device = await echoDevice();
    const gateway = await startGateway({
      yaml: `endpoints:\n  far:\n    share: one-writer\n    tcp: { address: "${device.address}" }\n`,
    });
    const proxy = await delayProxy(gateway.direct);
    const page = await open(t, `${proxy.url}#/far`);
    await connected(page);
    await page.locator(".terminal-host").click();
    await page.keyboard.type("before");
    await shows(page, /before/);
    proxy.cut();
    await says(page, /connection to the gateway is lost/);
    proxy.heal();
    await says(page, /resumed, 0 bytes lost/);
    await page.keyboard.type(" and after");
    await shows(page, /before and after/);
  },
);

test(
  "a hostile device reaches neither clipboard, title nor page, and gets no answer",
  { skip, timeout: 90_000 },
  async (t) => {
    const got = [];
    let socket;
    const device = await tcpDevice((one) => {
      socket = one;
      one.on("data", (bytes) => got.push(bytes));
    });
    const gateway = await startGateway({
      yaml: `endpoints:\n  evil:\n    share: one-writer\n    tcp: { address: "${device.address}" }\n`,
    });
    const page = await open(t, `${gateway.url}#/evil`, {
      permissions: ["clipboard-read", "clipboard-write"],
    });
    await connected(page);
    await eventually(() => socket, "the device's connection");
    await page.evaluate(() => navigator.clipboard.writeText("mine"));
    const title = await page.title();
    const esc = "\x1b";
    socket.write(
      `${esc}]52;c;${Buffer.from("stolen").toString("base64")}\x07${esc}]0;owned\x07${esc}]2;owned${esc}\\`,
    );
    socket.write(
      `${esc}[c${esc}[>c${esc}[5n${esc}[6n${esc}[?6n${esc}P$qm${esc}\\${esc}[18t${esc}[21t${esc}]10;?\x07${esc}[?1000h${esc}[?1004h${esc}Z${esc}[x`,
    );
    socket.write('<img src=x onerror="document.title=1"><script>document.title=2</script>');
    socket.write(Buffer.alloc(10_000_000, "0123456789abcdef\r\n"));
    socket.write(`\r\n${esc}[2J${esc}[Hthe end`);
    await shows(page, /the end/);
    await page.mouse.move(500, 400);
    await page.locator(".terminal-host").click();
    await page.keyboard.type("!");
    await eventually(() => got.length > 0, "the key");
    assert.equal(Buffer.concat(got).toString("latin1"), "!", "the device has what was typed alone");
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "mine");
    assert.equal(await page.title(), title);
    assert.equal(await page.locator("body img, body script").count(), 0);
    assert.deepEqual(page.complaints, []);
  },
);

test(
  "several lines stand side by side by a deep link, and one alone without the frame of the page",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({ demo: true });
    const page = await open(t, `${gateway.url}#/modem+console`, { colorScheme: "dark" });
    await eventually(async () => (await page.locator(".pane:visible").count()) === 2, "two lines");
    await shows(page, /./);
    await page.screenshot({ path: `${pictures}two-lines-dark.png` });
    await page.goto(`${gateway.url}#/modem?bare`);
    await eventually(
      async () =>
        (await page.locator(".pane:visible").count()) === 1 &&
        !(await page.locator(".bar").isVisible()),
      "one line alone",
    );
    assert.deepEqual(page.complaints, []);
  },
);

test(
  "a phone has the list as a page, then the line with a row of keys",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({ demo: true });
    const page = await open(t, gateway.url, {
      viewport: { width: 390, height: 844 },
      hasTouch: true,
      isMobile: true,
      colorScheme: "dark",
    });
    await page.getByRole("link", { name: /^modem/ }).waitFor();
    await page.screenshot({ path: `${pictures}phone-list-dark.png` });
    await page.getByRole("link", { name: /^modem/ }).tap();
    await connected(page);
    await page.getByRole("button", { name: /Esc/ }).first().waitFor();
    // A finger on the terminal brings up the keyboard; nothing else does.
    await page.locator(".terminal-host").tap();
    await page.keyboard.type("AT\r");
    await shows(page, /OK/);
    await page.screenshot({ path: `${pictures}phone-line-dark.png` });
    assert.equal(
      await page.evaluate(() => document.documentElement.scrollWidth),
      390,
      "nothing is wider than the screen",
    );
    assert.deepEqual(page.complaints, []);
  },
);

test(
  "no rule of axe-core is broken: sign-in, list, line, hex, phone; light and dark",
  { skip, timeout: 120_000 },
  async (t) => {
    const gateway = await startGateway({
      yaml: `${users()}endpoints:\n  modem: { sim: modem, title: Modem }\n`,
    });
    for (const colorScheme of ["light", "dark"]) {
      for (const viewport of [
        { width: 1440, height: 900 },
        { width: 390, height: 844 },
      ]) {
        const tab = await context(t, {
          viewport,
          colorScheme,
          bypassCSP: true,
          reducedMotion: "reduce",
        });
        const page = await tab.newPage();
        const check = async (what) => {
          assert.deepEqual(
            await broken(page),
            [],
            `${what}, ${colorScheme}, ${viewport.width} wide`,
          );
        };
        await page.goto(gateway.url);
        await page.getByLabel("User").waitFor();
        await check("sign-in");
        await signIn(page, "alice");
        await page.getByRole("link", { name: /^modem/ }).waitFor();
        await check("list");
        await page.getByRole("link", { name: /^modem/ }).click();
        await connected(page);
        await check("line");
        await page.getByRole("button", { name: "Hex" }).click();
        await check("hex");
        await page.screenshot({ path: `${pictures}hex-${colorScheme}-${viewport.width}.png` });
      }
    }
  },
);
