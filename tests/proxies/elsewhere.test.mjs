// Pages that are not the gateway's own: of another origin in three engines, and in a frame.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, test } from "node:test";
import {
  delayProxy,
  eventually,
  launch,
  missing,
  servePages,
  startGateway,
  stopAll,
} from "../browser/harness.mjs";
import { connected, openPage, signIn, users } from "../browser/harness/console.mjs";

after(stopAll);

const TOKEN = "a token of the suite";
const sha256 = createHash("sha256").update(TOKEN).digest("hex");

for (const engine of ["chromium", "firefox", "webkit"]) {
  test(
    `in ${engine} a page of another origin is cut off, goes on at the same byte, and diagnose() says that all is well`,
    { skip: missing(engine), timeout: 90_000 },
    async () => {
      const pages = await servePages();
      const yaml = `tokens:\n  suite: { sha256: "${sha256}", rights: { "*": [ read, write ] } }\nendpoints:\n  echo: { sim: echo }\n`;
      const gateway = await startGateway({ yaml, origins: [pages.origin] });
      const way = await delayProxy(gateway.direct);
      const script = `import { Line, diagnose } from "${way.url}client.mjs";
      const text = new TextDecoder();
      const wsbridge = (window.suite = { heard: "", resumed: 0, gone: 0 });
      const url = "${way.url.replace("http", "ws")}ws/echo", bearer = ${JSON.stringify(TOKEN)};
      const line = (wsbridge.line = new Line({ url, bearer }));
      line.addEventListener("data", ({ detail }) => (wsbridge.heard += text.decode(detail.bytes)));
      line.addEventListener("resumed", () => (wsbridge.resumed += 1));
      line.addEventListener("gone", () => (wsbridge.gone += 1));
      await line.connect();
      await line.open();
      await line.write("before");
      wsbridge.diagnose = async () => (await diagnose(url, { bearer })).reason;
      document.title = "open";`;
      pages.pages["/"] =
        `<!doctype html><title>waits</title><script type="module">${script}</script>`;
      const page = await launch(engine);
      await page.goto(pages.url);
      const heard = (wanted) =>
        eventually(async () => (await page.evaluate(() => window.suite.heard)) === wanted, wanted);
      await heard("before");
      way.cut();
      await eventually(
        async () => (await page.evaluate(() => window.suite.resumed)) === 1,
        "the session resumed",
      );
      await page.evaluate(() => window.suite.line.write(" and after"));
      await heard("before and after");
      assert.deepEqual(
        await page.evaluate(async () => [window.suite.gone, await window.suite.diagnose()]),
        [0, "ok"],
      );
      for (const one of [page, way, gateway, pages]) await one.stop();
    },
  );
}

test(
  "a listed page of the same site shows the console in a frame, without the right to take over; another page does not",
  { skip: missing("chromium"), timeout: 90_000 },
  async (t) => {
    const names = ["gateway.example", "portal.gateway.example", "elsewhere.example"];
    const browser = await launch("chromium", {
      args: [`--host-resolver-rules=${names.map((name) => `MAP ${name} 127.0.0.1`).join(", ")}`],
    });
    const pages = await servePages();
    const at = (name) => pages.url.replace("127.0.0.1", name);
    const listed = [names[1], names[2]].map((name) => at(name).replace(/\/$/, ""));
    const gateway = await startGateway({
      yaml: `hosts: [ ${names[0]} ]\nframe_ancestors: ${JSON.stringify(listed)}\n${users()}endpoints:\n  echo: { sim: echo }\n`,
    });
    const shown = gateway.direct.replace("127.0.0.1", names[0]);
    pages.pages["/"] =
      `<!doctype html><iframe src="${shown}#/echo" width=1200 height=800></iframe>`;
    const inside = async (page) =>
      eventually(() => page.frames().find((frame) => frame.url().startsWith(shown)), "the frame");

    const same = await openPage(t, browser, at(names[1]));
    const frame = await inside(same);
    await signIn(frame, "alice");
    await connected(frame);
    const rights = await frame.evaluate(
      async () => (await (await fetch("api/endpoints?framed")).json()).endpoints[0].rights,
    );
    assert.ok(rights.includes("write") && !rights.includes("takeover"), `${rights}`);
    await frame.goto(`${shown}#/echo`);
    await connected(frame);

    // Of another site, in the same browser: the cookie is not sent there, so that nobody is signed
    // in.
    const other = await same.context().newPage();
    await other.goto(at(names[2]));
    await (await inside(other)).getByLabel("User").waitFor();

    // Not listed.
    const third = await openPage(t, browser, at("127.0.0.1"));
    await eventually(
      () => third.complaints.some((text) => /frame-ancestors/.test(text)),
      "the policy",
    );
    for (const one of [browser, gateway, pages]) await one.stop();
  },
);
