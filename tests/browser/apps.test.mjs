// Tools from npm, unmodified, that open plain WebSockets and know nothing of wsbridge: served as
// apps to users who are signed in.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, test } from "node:test";
import { eventually, launch, missing, startGateway, stopAll } from "./harness.mjs";
import { PASSWORD, signIn, users } from "./harness/console.mjs";
import { vncDevice } from "./harness/vnc.mjs";

after(stopAll);

const modules = (name) => fileURLToPath(new URL(`./node_modules/${name}/`, import.meta.url));

/**
 * A port that was free a moment ago: browsers are told an app's address, so it must be known
 * before.
 */
const freePort = () =>
  new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

/** The tools' pages: each connects as soon as it has loaded, as it would with any other server. */
const PAGES = {
  "index.html": "<title>Tools</title><h1>Tools</h1>",
  "vnc.html": `<title>noVNC</title><main style="width: 200px; height: 200px"></main><script type="module">
import RFB from "./novnc/core/rfb.js";
globalThis.rfb = new RFB(document.querySelector("main"), location.origin.replace("http", "ws") + "/websockify?token=screen");
rfb.addEventListener("connect", () => (globalThis.state = "connected"));
rfb.addEventListener("disconnect", () => (globalThis.state = "disconnected"));
</script>`,
  "terminal.html": `<title>xterm</title><main></main><script src="xterm/lib/xterm.js"></script><script src="attach/lib/addon-attach.js"></script><script>
const socket = new WebSocket(location.origin.replace("http", "ws") + "/ws/modem", ["binary"]);
socket.onclose = ({ code }) => (globalThis.ended = code);
globalThis.terminal = new Terminal();
terminal.loadAddon(new AttachAddon.AttachAddon(socket));
terminal.open(document.querySelector("main"));
globalThis.socket = socket;
</script>`,
  // Connects as Betaflight's configurator does (its WebsocketSerial): an address beside the page, one
  // subprotocol of its own, and messages as the Blobs that a browser makes of them.
  "configurator.html": `<title>Configurator</title><script>
globalThis.heard = [];
const socket = new WebSocket(new URL("ws/fc", location.href).href.replace(/^http/, "ws"), "wsSerial");
socket.onopen = () => socket.send(new Uint8Array([0x24, 0x4d, 0x3c, 0, 1, 1]));
socket.onmessage = async ({ data }) => heard.push(...new Uint8Array(await new Response(data).arrayBuffer()));
socket.onclose = ({ code }) => (globalThis.ended = code);
globalThis.socket = socket;
</script>`,
};

/** A gateway with a screen, a modem, a line that the app may not use, and the app. */
async function setUp(t, tls) {
  const screen = await vncDevice([200, 30, 60]);
  const folder = mkdtempSync(join(tmpdir(), "wsbridge-app-"));
  for (const [name, text] of Object.entries(PAGES))
    writeFileSync(
      join(folder, name),
      `<!doctype html><html lang="en"><head><meta charset="utf-8">${text}`,
    );
  for (const [name, from] of [
    ["novnc", "@novnc/novnc"],
    ["xterm", "@xterm/xterm"],
    ["attach", "@xterm/addon-attach"],
  ])
    cpSync(modules(from), join(folder, name), { recursive: true });
  const port = await freePort();
  const how = tls ? "self-signed" : "none";
  const gateway = await startGateway({
    yaml:
      `listen:\n  - { address: "127.0.0.1:0", tls: ${how} }\n${users()}endpoints:\n  screen:\n    tcp: { address: "${screen.address}" }\n  modem: { sim: modem }\n  other: { sim: echo }\n  fc: { sim: echo, subprotocols: [ wsSerial ] }\n` +
      `apps:\n  tools:\n    title: Tools\n    directory: ${folder}\n    listen: { address: "127.0.0.1:${port}", tls: ${how} }\n    endpoints: [ screen, modem, fc ]\n`,
  });
  t.after(async () => {
    await gateway.stop();
    await screen.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return { screen, gateway, app: `${tls ? "https" : "http"}://127.0.0.1:${port}/` };
}

/** What a tool's page shows, and what it may not have; the same in every engine. */
async function works(page, { screen, app }) {
  await page.goto(`${app}vnc.html`);
  await eventually(
    () => page.evaluate(() => globalThis.state === "connected"),
    "noVNC's connection",
  );
  await eventually(async () => {
    const pixel = await page.evaluate(() => [
      ...document.querySelector("main canvas").getContext("2d").getImageData(3, 3, 1, 1).data,
    ]);
    return String(pixel) === "200,30,60,255";
  }, "the screen's colour");
  await page.evaluate(() => globalThis.rfb.sendKey(0x61, "KeyA"));
  await eventually(() => screen.keys.includes(0x61), "the key");

  await page.goto(`${app}terminal.html`);
  await eventually(
    () => page.evaluate(() => globalThis.socket.readyState === 1),
    "the terminal's connection",
  );
  await page.evaluate(() => globalThis.terminal.input("ATI\r"));
  const text = () =>
    page.evaluate(() =>
      Array.from({ length: 8 }, (_, at) =>
        globalThis.terminal.buffer.active.getLine(at)?.translateToString(true),
      ).join("\n"),
    );
  await eventually(async () => /simulated modem/.test(await text()), "the modem's answer");

  await page.goto(`${app}configurator.html`);
  await eventually(
    () => page.evaluate(() => String(globalThis.heard) === "36,77,60,0,1,1"),
    "the flight controller's answer",
  );
  assert.equal(await page.evaluate(() => globalThis.socket.protocol), "wsSerial");
  const beside = await page.evaluate(
    () =>
      new Promise((done) => {
        const socket = new WebSocket(`${location.origin.replace("http", "ws")}/ws/other`);
        socket.onopen = () => done("opened");
        socket.onclose = ({ code }) => done(code);
      }),
  );
  assert.equal(beside, 1006, "a line that the app does not name");
  assert.equal(await page.evaluate(() => document.cookie), "");
  assert.equal(
    await page.evaluate(async () => (await fetch("/api/endpoints")).status),
    401,
    "never for the API",
  );
}

/** Calls the gateway as its own page does. */
const call = (path, body) =>
  fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  }).then((answer) => (answer.status === 204 ? null : answer.json()));

for (const engine of ["chromium", "firefox", "webkit"]) {
  test(
    `noVNC, xterm's attach and a configurator work as apps in ${engine}, until the sign-out`,
    { skip: missing(engine), timeout: 120_000 },
    async (t) => {
      const all = await setUp(t, false);
      const page = await launch(engine);
      t.after(() => page.stop());
      // Unless it was opened from the console, the tool gets nowhere.
      await page.goto(`${all.app}terminal.html`);
      await eventually(() => page.evaluate(() => globalThis.ended === 1006), "the refusal");
      await page.goto(all.gateway.direct);
      await page.evaluate(call, "/api/login", { user: "alice", password: PASSWORD });
      const { ticket } = await page.evaluate(call, "/api/ticket", { app: "tools" });
      await page.goto(`${all.app}api/launch?ticket=${ticket}`);
      await eventually(
        () =>
          page.evaluate(
            () => document.title === "Tools" && location.pathname === "/" && location.hash === "",
          ),
        "the app's page",
      );
      await works(page, all);
      await page.goto(all.gateway.direct);
      await page.evaluate(call, "/api/logout", {});
      for (const name of ["terminal.html", "configurator.html"]) {
        await page.goto(`${all.app}${name}`);
        await eventually(
          () => page.evaluate(() => globalThis.ended === 1006),
          "the end with the sign-in",
        );
      }
    },
  );
}

test(
  "opened from the console over TLS the tools work by a cookie that no script reads and no other host is sent",
  { skip: missing("chromium"), timeout: 120_000 },
  async (t) => {
    const all = await setUp(t, true);
    const browser = await launch("chromium", { args: ["--ignore-certificate-errors"] });
    t.after(() => browser.stop());
    const page = browser.playwright;
    await page.goto(all.gateway.direct);
    await signIn(page, "alice");
    const opened = page.context().waitForEvent("page");
    await page.getByRole("button", { name: /^Tools/ }).click();
    const app = await opened;
    await app.waitForURL(all.app);
    const cookies = (await page.context().cookies()).map(
      ({ name, httpOnly, secure, sameSite, path }) => ({ name, httpOnly, secure, sameSite, path }),
    );
    const { port } = new URL(all.app);
    const terms = { httpOnly: true, secure: true, sameSite: "Strict", path: "/" };
    assert.deepEqual(
      cookies.find(({ name }) => name.includes("app")),
      { name: `__Host-app-tools-${port}`, ...terms },
    );
    await works(
      { goto: (url) => app.goto(url), evaluate: (body, ...args) => app.evaluate(body, ...args) },
      all,
    );
  },
);
