// Pages against a raw door, in three engines: whatever a page makes the browser send to it, nothing
// reaches the device and no tool is kept out.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, test } from "node:test";
import {
  eventually,
  launch,
  missing,
  servePages,
  startGateway,
  stopAll,
  tcpDevice,
} from "./harness.mjs";
import { attack, open } from "./harness/attack.mjs";

after(stopAll);

for (const engine of ["chromium", "firefox", "webkit"]) {
  test(
    `${engine}: a page writes nothing through a raw door and keeps no tool out`,
    { skip: missing(engine), timeout: 120_000 },
    async () => {
      let heard = Buffer.alloc(0);
      const device = await tcpDevice((socket) =>
        socket.on("data", (bytes) => (heard = Buffer.concat([heard, bytes]))),
      );
      const gateway = await startGateway({
        yaml: `endpoints:
  plc:
    tcp: { address: "${device.address}" }
    share: exclusive
    open: always
    doors: [ { tcp: "127.0.0.1:0" } ]
`,
      });
      const [, port] = /door open on 127\.0\.0\.1:(\d+)/.exec(gateway.log());
      const pages = await servePages({
        pages: { "/": "<!doctype html><html><head></head><body></body></html>" },
      });
      const browser = await launch(engine, { args: open });
      await browser.goto(`${pages.origin}/`);
      assert.equal(await browser.evaluate(attack, Number(port), engine), "done");
      await eventually(
        () => /reason=opening/.test(gateway.log()),
        "a refusal: else the page has sent nothing and shows nothing",
      );
      const tool = connect(Number(port), "127.0.0.1");
      tool.write("a tool's own words");
      await eventually(() => heard.length > 0, "the tool's bytes");
      assert.equal(heard.toString(), "a tool's own words");
      tool.destroy();
      assert.equal((gateway.log().match(/session opened/g) ?? []).length, 1, gateway.log());
    },
  );
}
