// Pages against the ports of `wsbridge connect` on a technician's computer, in three engines: whatever a page makes the browser
// send there, nothing reaches the device and no tool is kept out.

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
import { startConnect } from "./harness/connect.mjs";

after(stopAll);

for (const engine of ["chromium", "firefox", "webkit"]) {
  test(
    `${engine}: a page writes nothing through connect's ports and keeps no tool out`,
    { skip: missing(engine), timeout: 180_000 },
    async (t) => {
      const pages = await servePages({
        pages: { "/": "<!doctype html><html><head></head><body></body></html>" },
      });
      const browser = await launch(engine, { args: open });
      for (const way of ["--tcp", "--rfc2217"]) {
        let heard = Buffer.alloc(0);
        const device = await tcpDevice((socket) =>
          socket.on("data", (bytes) => (heard = Buffer.concat([heard, bytes]))),
        );
        const gateway = await startGateway({
          yaml: `endpoints:
  plc:
    tcp: { address: "${device.address}" }
    share: one-writer
    open: always
`,
        });
        const local = await startConnect(`${gateway.direct}plc`, way, "127.0.0.1:0");
        await browser.goto(`${pages.origin}/`);
        assert.equal(await browser.evaluate(attack, local.port, engine), "done");
        await eventually(
          () => /nothing of it passed on/.test(local.said()),
          "a refusal: else the page has sent nothing and shows nothing",
        );
        const tool = connect(local.port, "127.0.0.1");
        tool.write("a tool's own words");
        await eventually(() => heard.length > 0, "the tool's bytes");
        assert.equal(heard.toString(), "a tool's own words", way);
        t.diagnostic(
          `${way}: ${local
            .said()
            .match(/began like [^,]*/g)
            ?.join("; ")}`,
        );
        tool.destroy();
        for (const one of [local, gateway]) await one.stop();
      }
    },
  );
}
