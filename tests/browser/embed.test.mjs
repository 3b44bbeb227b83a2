// A line in a frame of another site's page, by a ticket that the page's server asked for: in three
// engines; and what such a ticket cannot do.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { after, test } from "node:test";
import {
  delayProxy,
  eventually,
  launch,
  missing,
  servePages,
  startGateway,
  stopAll,
} from "./harness.mjs";
import { connected, openPage, pictures, shows } from "./harness/console.mjs";
import { tcpDevice } from "./harness/devices.mjs";

mkdirSync(pictures, { recursive: true });
after(stopAll);

const TOKEN = "a token of the suite";
const sha256 = createHash("sha256").update(TOKEN).digest("hex");

/** A gateway, a portal of another site that it lists, and a device that greets. */
async function setUp() {
  const portal = await servePages({ host: "127.0.0.2" });
  const got = [];
  const device = await tcpDevice((socket) => {
    socket.write("hello from the device\r\n");
    socket.on("data", (part) => got.push(...part));
  });
  const gateway = await startGateway({
    yaml: `frame_ancestors: [ "${portal.origin}" ]
tokens:
  portal: { sha256: "${sha256}", rights: { "*": [ read, write, takeover ] } }
endpoints:
  far: { share: one-writer, tcp: { address: "${device.address}" } }
  other: { sim: echo }
`,
  });
  const way = await delayProxy(gateway.direct);
  const ask = (path, body) =>
    fetch(`${gateway.direct}${path}`, {
      method: body ? "POST" : "GET",
      headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
      body: body && JSON.stringify(body),
    });
  const ticket = async (endpoint = "far") =>
    (await (await ask("api/ticket", { endpoint, ancestor: portal.origin })).json()).ticket;
  const address = (text, line = "far") =>
    `${way.url}embed?line=${line}&ancestor=${portal.origin}#ticket=${text}`;
  const page = (text, line) =>
    `<!doctype html><title>A portal</title><body style="margin:0"><h1>A portal</h1>
    <iframe src="${address(text, line)}" width=900 height=500 style="border:0"></iframe>`;
  portal.pages["/"] = () => page(portal.ticket, portal.line);
  portal.pages["/text"] = "<!doctype html><title>A page</title>";
  const sessions = async () => (await (await ask("api/sessions")).json()).sessions;
  return { portal, gateway, way, got, ticket, page, sessions };
}

const received = (got) => Buffer.from(got).toString("latin1");

for (const engine of ["chromium", "firefox", "webkit"]) {
  test(
    `a page of another site shows one line, and bytes pass both ways: ${engine}`,
    { skip: missing(engine), timeout: 120_000 },
    async () => {
      const { portal, gateway, got, ticket, sessions } = await setUp();
      const page = await launch(engine);
      await page.resize(1000, 640);
      // A ticket is valid for 15 s, and an engine may take longer to start.
      portal.ticket = await ticket();
      await page.goto(`${portal.url}`);
      const one = await eventually(
        async () => (await sessions()).find(({ to_client: bytes }) => bytes > 0),
        "a session that got the greeting",
        30_000,
      );
      assert.deepEqual([one.endpoint, one.user, one.kind], ["far", "portal", "token"]);
      await page.type(".xterm-helper-textarea", "typed");
      await eventually(() => received(got).includes("typed"), "what was typed", 30_000);
      assert.ok(!gateway.log().includes(portal.ticket), "the ticket is in no log");
      await page.stop();
    },
  );

  test(
    `a page that is not the ticket's ancestor shows nothing: ${engine}`,
    { skip: missing(engine), timeout: 120_000 },
    async () => {
      const { ticket, page: written, sessions } = await setUp();
      const stranger = await servePages({ host: "127.0.0.3" });
      const page = await launch(engine);
      stranger.pages["/"] = written(await ticket());
      await page.goto(stranger.url);
      // The frame has loaded, with what the browser shows instead of the page.
      await page.evaluate(
        () =>
          new Promise((done) => {
            const frame = document.querySelector("iframe");
            frame.addEventListener("load", done);
            // eslint-disable-next-line no-self-assign
            frame.src = frame.src;
            setTimeout(done, 3000);
          }),
      );
      assert.deepEqual(await sessions(), []);
      await page.stop();
    },
  );
}

test(
  "in a frame: no list, no sign-in, no close; a ticket is used up, and for its line; a lost connection is resumed, an end is told",
  { skip: missing("chromium"), timeout: 120_000 },
  async (t) => {
    const { portal, gateway, way, got, ticket, sessions } = await setUp();
    const browser = await launch("chromium");
    portal.ticket = await ticket();
    const page = await openPage(t, browser, portal.url);
    const inside = () =>
      eventually(() => page.frames().find((one) => one.url().startsWith(way.url)), "the frame");
    const frame = await inside();
    await connected(frame);
    await shows(frame, /hello from the device/);
    assert.equal(new URL(frame.url()).hash, "", "the ticket does not stay in the address");
    for (const selector of [".list", ".bar", ".pane-close", "input[name=username]"])
      assert.equal(await frame.locator(selector).locator("visible=true").count(), 0, selector);
    await frame.locator(".xterm-helper-textarea").focus();
    await page.keyboard.type("both ways");
    await eventually(() => received(got).includes("both ways"), "what was typed");
    await page.screenshot({ path: `${pictures}embed.png` });
    way.cut();
    await frame
      .getByText(/resumed, 0 bytes lost/)
      .first()
      .waitFor();

    // Reloaded by itself, the frame has no ticket; with the used ticket, it gets nowhere either.
    await frame.evaluate(() => location.reload());
    await frame.getByText("Ask the page for a new link").waitFor();
    await page.reload();
    await (await inside()).getByText("was used before, or is too old").waitFor();
    await page.screenshot({ path: `${pictures}embed-used.png` });

    // A ticket for a line other than its own.
    portal.ticket = await ticket("other");
    await page.reload();
    await (await inside()).getByText("was used before, or is too old").waitFor();
    assert.deepEqual(
      (await sessions()).filter(({ parked }) => !parked),
      [],
    );

    // With a new ticket; then an administrator ends the session.
    portal.ticket = await ticket();
    await page.reload();
    await connected(await inside());
    const [one] = (await sessions()).filter(({ parked }) => !parked);
    await fetch(`${gateway.direct}api/sessions/${one.id}/end`, {
      method: "POST",
      headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
      body: "{}",
    });
    const card = (await inside()).locator(".trouble");
    await card.getByText("Ask the page for a new link").waitFor();
    assert.equal(await card.getByRole("button").locator("visible=true").count(), 0);
    await page.screenshot({ path: `${pictures}embed-ended.png` });
    // Nobody may frame it by itself.
    const alone = await openPage(
      t,
      browser,
      `${way.url}embed?line=far&ancestor=${portal.origin}#ticket=${await ticket()}`,
    );
    await alone.getByText("shown in a frame alone").waitFor();
    for (const one of [browser, way, gateway, portal]) await one.stop();
  },
);
