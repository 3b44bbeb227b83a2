// The engines themselves: each one can be driven, and shows the page of a running gateway.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { eventually, launch, missing, servePages, startGateway, stopAll } from "./harness.mjs";

after(stopAll);

for (const engine of ["chromium", "firefox", "webkit"]) {
  test(
    `${engine} shows the gateway's page and talks to it`,
    { skip: missing(engine), timeout: 60000 },
    async () => {
      const gateway = await startGateway({ demo: true });
      const page = await launch(engine);
      await page.goto(gateway.url);
      assert.equal(await page.evaluate(() => document.title), "wsbridge");
      const heard = await page.evaluate(
        (word) =>
          new Promise((done, fail) => {
            const socket = new WebSocket(new URL("ws/echo", location.href.replace("http", "ws")), [
              "binary",
            ]);
            socket.binaryType = "arraybuffer";
            let all = "";
            socket.onopen = () => socket.send(word);
            socket.onclose = (event) => fail(new Error(`closed with ${event.code}`));
            socket.onmessage = ({ data }) => {
              all += new TextDecoder().decode(data);
              if (all.length >= word.length) done(all);
            };
          }),
        "hello",
      );
      assert.equal(heard, "hello");
      await assert.rejects(
        page.evaluate(() => {
          throw new TypeError("so it is told");
        }),
        /so it is told/,
      );
      await page.stop();
      await gateway.stop();
    },
  );
}

for (const engine of ["chromium", "firefox", "webkit"]) {
  test(
    `a page that is loaded again in ${engine} writes again: it left nobody behind who holds the line`,
    { skip: missing(engine), timeout: 60000 },
    async () => {
      const pages = await servePages();
      const gateway = await startGateway({
        yaml: "endpoints:\n  modem: { sim: modem }\n",
        origins: [pages.origin],
      });
      const script = `import { Line } from "${gateway.direct}client.mjs";
      const line = new Line({ url: "${gateway.direct.replace("http", "ws")}ws/modem" });
      await line.connect();
      document.title = (await line.open({ role: "auto" })).role;`;
      pages.pages["/line.html"] =
        `<!doctype html><title>waits</title><script type="module">${script}</script>`;
      const page = await launch(engine);
      for (let i = 0; i < 3; i++) {
        await page.goto(`${pages.url}line.html?${i}`);
        assert.equal(
          await eventually(
            async () => (await page.evaluate(() => document.title)).replace("waits", ""),
            "the role",
          ),
          "writer",
        );
      }
      for (const one of [page, gateway, pages]) await one.stop();
    },
  );
}
