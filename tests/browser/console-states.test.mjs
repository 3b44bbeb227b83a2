// A line that cannot be used says why in the middle of its pane, whatever view is shown; the list
// says it, too: in Chromium, on the real daemon.

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
  complaintsOf,
  connected,
  consoleSuite,
  pictures,
  screen,
  shows,
  signIn,
  users,
} from "./harness/console.mjs";

const { skip, open } = consoleSuite();
const card = (page) => page.locator(".trouble");
const picture = (page, name) => page.screenshot({ path: `${pictures}state-${name}.png` });

/** The card lies in the middle of the stage, and inside it. */
async function inTheMiddle(page) {
  const [one, stage] = [await card(page).boundingBox(), await page.locator(".stage").boundingBox()];
  const centre = (box) => [box.x + box.width / 2, box.y + box.height / 2];
  for (const at of [0, 1])
    assert.ok(
      Math.abs(centre(one)[at] - centre(stage)[at]) < 2,
      `${JSON.stringify(one)} in ${JSON.stringify(stage)}`,
    );
  assert.ok(
    one.x >= stage.x &&
      one.y >= stage.y &&
      one.x + one.width <= stage.x + stage.width &&
      one.y + one.height <= stage.y + stage.height,
  );
}

test(
  "a serial adapter that is not there: what is waited for and since when, in the text and the hex view, and in the list",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({
      yaml: "endpoints:\n  sensor:\n    serial: { port: /dev/ttyUSB77 }\n",
    });
    const page = await open(t, `${gateway.url}#/sensor`);
    await card(page).filter({ hasText: "The device is not there" }).waitFor();
    await inTheMiddle(page);
    const text = await card(page).innerText();
    assert.match(text, /\/dev\/ttyUSB77 is not there/);
    assert.match(text, /since \d\d:\d\d \(/);
    await page.getByRole("button", { name: "Hex" }).click();
    await inTheMiddle(page);
    await picture(page, "not-there-hex");
    // The side does not show it as a TCP connection, and the list has the reason.
    assert.equal(await page.getByText(/is a TCP connection/).count(), 0);
    await page
      .locator(".row.down")
      .filter({ hasText: /\/dev\/ttyUSB77 is not there, since \d\d:\d\d/ })
      .waitFor();
    assert.deepEqual(page.complaints, []);
  },
);

test(
  "a device that goes leaves what it said to be read, and its card goes when it is back",
  { skip, timeout: 60_000 },
  async (t) => {
    const box = await rfc2217Device();
    const gateway = await startGateway({
      yaml: `endpoints:\n  far:\n    rfc2217: { address: "${box.address}" }\n`,
    });
    const page = await open(t, `${gateway.url}#/far`);
    await connected(page);
    box.write("last words\r\n");
    await shows(page, /last words/);
    const { port } = box;
    await box.stop();
    await card(page).filter({ hasText: "Not reachable" }).waitFor();
    await page.getByRole("button", { name: "Show what came before" }).click();
    await card(page).waitFor({ state: "hidden" });
    await shows(page, /last words\s+── device gone/);
    await rfc2217Device(Number(port));
    await shows(page, /device is back/);
    await connected(page);
    assert.ok(await card(page).isHidden());
  },
);

for (const [how, share] of [
  ["with a connection for each session", ""],
  ["shared", "    share: one-writer\n"],
]) {
  test(
    `a TCP target (${how}) that refuses says its reason, tries again, and is used when it is there`,
    { skip, timeout: 90_000 },
    async (t) => {
      const device = await echoDevice();
      const { address, port } = device;
      await device.stop();
      const gateway = await startGateway({
        yaml: `endpoints:\n  far:\n${share}    tcp: { address: "${address}" }\n`,
      });
      const page = await open(t, `${gateway.url}#/far`);
      const tries = [];
      page.on("websocket", (socket) => tries.push(socket.url()));
      await card(page).filter({ hasText: "Not reachable" }).waitFor();
      await card(page)
        .filter({ hasText: /connection refused/ })
        .waitFor();
      if (!share) await eventually(() => tries.length >= 2, "two more tries", 30_000);
      await inTheMiddle(page);
      await picture(page, `refused-${share ? "shared" : "each"}`);
      // The terminal says nothing of it, however often it was tried, and nothing of the gateway.
      assert.doesNotMatch(await screen(page), /gone|session/);
      assert.deepEqual(await page.locator(".notice").allInnerTexts(), []);
      await tcpDevice((socket) => socket.pipe(socket), port);
      await page
        .getByRole("button", { name: "Try again now: far" })
        .click({ timeout: 1000 })
        .catch(() => {});
      await card(page).waitFor({ state: "hidden", timeout: 30_000 });
      await connected(page);
      await eventually(
        async () => /You write/.test(await page.locator(".chip").innerText()),
        "the right to write",
      );
      await page.locator(".terminal-host").click();
      await page.keyboard.type("hello");
      await shows(page, /hello/);
    },
  );
}

test(
  "a target that resets the connection is told once, and the connection is made again",
  { skip, timeout: 60_000 },
  async (t) => {
    let socket;
    const device = await tcpDevice((one) => {
      socket = one;
      one.pipe(one);
    });
    const gateway = await startGateway({
      yaml: `endpoints:\n  far:\n    tcp: { address: "${device.address}" }\n`,
    });
    const page = await open(t, `${gateway.url}#/far`);
    await connected(page);
    await page.keyboard.type("one");
    await shows(page, /one/);
    const first = socket;
    socket.resetAndDestroy();
    await eventually(() => socket !== first, "another connection");
    await shows(page, /device is back/);
    await connected(page);
    assert.equal((await screen(page)).match(/device gone/g)?.length, 1);
    assert.equal(await page.getByText(/connection to the gateway is lost/).count(), 0);
  },
);

test(
  "a session that has ended, and a line that nobody knows",
  { skip, timeout: 60_000 },
  async (t) => {
    let socket;
    const device = await tcpDevice((one) => (socket = one));
    const gateway = await startGateway({
      yaml: `endpoints:\n  far:\n    tcp: { address: "${device.address}" }\n`,
    });
    const page = await open(t, `${gateway.url}#/far`);
    await connected(page);
    await eventually(() => socket, "the device's connection");
    socket.end();
    await card(page).filter({ hasText: "Ended" }).waitFor();
    await inTheMiddle(page);
    await picture(page, "ended");
    await page.goto(`${gateway.url}#/nowhere`);
    await card(page).filter({ hasText: "Unknown line" }).waitFor();
    await picture(page, "unknown");
  },
);

test(
  "who holds the line, and who may not write, is said when somebody types",
  { skip, timeout: 90_000 },
  async (t) => {
    const reader = users()
      .replace(/(bob: \{ [^}]*roles: \[ )all/, "$1reader")
      .replace("roles:\n", "roles:\n  reader: { far: [ read ], echo: [ read, write ] }\n");
    const gateway = await startGateway({
      yaml: `${reader}endpoints:\n  far: { sim: echo }\n  echo: { sim: echo }\n`,
    });
    const alice = await open(t, `${gateway.url}#/echo`);
    await signIn(alice, "alice");
    await connected(alice);
    const bob = await open(t, `${gateway.url}#/echo`);
    await signIn(bob, "bob");
    await connected(bob);
    assert.ok(await card(bob).isHidden(), "who reads along is not disturbed");
    await bob.locator(".terminal-host").click();
    await bob.keyboard.type("x");
    await card(bob).filter({ hasText: "alice writes" }).waitFor();
    await inTheMiddle(bob);
    await picture(bob, "held");
    await bob.getByRole("button", { name: "Ask to write" }).click();
    await alice.getByRole("button", { name: "Let bob write" }).click();
    await card(bob).waitFor({ state: "hidden" });
    await bob.goto(`${gateway.url}#/far`);
    await connected(bob);
    await bob.locator(".terminal-host").click();
    await bob.keyboard.type("x");
    await card(bob)
      .filter({ hasText: /You have no right to write here/ })
      .waitFor();
    await bob.getByRole("button", { name: "Go on reading" }).click();
    await card(bob).waitFor({ state: "hidden" });
  },
);

test(
  "who writes in another window is offered to write here, without the right to take over",
  { skip, timeout: 60_000 },
  async (t) => {
    const narrow = users().replace(", takeover", "");
    const gateway = await startGateway({ yaml: `${narrow}endpoints:\n  echo: { sim: echo }\n` });
    const first = await open(t, `${gateway.url}#/echo`);
    await signIn(first, "alice");
    await connected(first);
    const second = await open(t, `${gateway.url}#/echo`);
    await signIn(second, "alice");
    await connected(second);
    await eventually(
      async () => /You write in another window/.test(await second.locator(".chip").innerText()),
      "the chip",
    );
    await second.locator(".terminal-host").click();
    await second.keyboard.type("x");
    await card(second).filter({ hasText: "You write in another window" }).waitFor();
    await second.getByRole("button", { name: "Write here" }).click();
    await card(second).waitFor({ state: "hidden" });
    await eventually(
      async () => /You write$/.test((await second.locator(".chip").innerText()).trim()),
      "the right to write",
    );
  },
);

test(
  "without the gateway the list's lamps are grey, and it says that nothing is known",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({ demo: true });
    const proxy = await delayProxy(gateway.direct);
    const page = await open(t, `${proxy.url}#/modem`);
    await connected(page);
    const colour = () =>
      page
        .locator('.row:has(a[href="#/modem"]) .state-lamp')
        .evaluate((one) => getComputedStyle(one).backgroundColor);
    await eventually(async () => (await colour()) !== "rgba(0, 0, 0, 0)", "the green lamp");
    proxy.refuse();
    await page
      .locator(".bus")
      .filter({ hasText: /No connection to the gateway/ })
      .waitFor();
    assert.equal(await colour(), "rgba(0, 0, 0, 0)");
    await picture(page, "no-gateway");
    proxy.heal();
    await page.locator(".bus").waitFor({ state: "hidden" });
    await eventually(async () => (await colour()) !== "rgba(0, 0, 0, 0)", "the green lamp again");
  },
);

test(
  "a gateway without a line says what to do, and a line that is added takes the words' place",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({ yaml: "endpoints: {}\n" });
    const page = await open(t, gateway.url);
    const advice = page.locator(".workspace .advice");
    await advice.getByRole("heading", { name: "This gateway has no line yet" }).waitFor();
    for (const command of ["sudo wsbridge add", "wsbridge ports", "wsbridge demo", "man wsbridge"])
      await advice.getByText(command).first().waitFor();
    assert.ok(await page.getByText("Choose a line to open").isHidden());
    await picture(page, "empty");
    await page.setViewportSize({ width: 390, height: 844 });
    await page.locator(".list .advice").getByText("sudo wsbridge add").waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
    await picture(page, "empty-phone");
    await page.setViewportSize({ width: 1440, height: 900 });
    await gateway.reload((text) =>
      text.replace("endpoints: {}", "endpoints: { echo: { sim: echo } }"),
    );
    await page.getByRole("link", { name: /^echo/ }).waitFor();
    await advice.waitFor({ state: "hidden" });
    await page.getByText("Choose a line to open").waitFor();
    assert.deepEqual(page.complaints, []);
  },
);

test(
  "who may see no line is told whom to ask, and no command that is not theirs to type",
  { skip, timeout: 60_000 },
  async (t) => {
    const none = users()
      .replace(/(bob: \{ [^}]*roles: \[ )all/, "$1none")
      .replace("roles:\n", "roles:\n  none: {}\n");
    const gateway = await startGateway({ yaml: `${none}endpoints: { echo: { sim: echo } }\n` });
    const page = await open(t, gateway.url);
    await signIn(page, "bob");
    const advice = page.locator(".workspace .advice");
    await advice.getByRole("heading", { name: "There is no line for you" }).waitFor();
    assert.match(await advice.innerText(), /signed in as bob[\s\S]*Ask whoever runs it/);
    assert.doesNotMatch(await page.locator("body").innerText(), /wsbridge add/);
    await picture(page, "no-rights");
    // Refused before the sign-in, in the browser's own words.
    assert.deepEqual(complaintsOf(page), []);
  },
);
