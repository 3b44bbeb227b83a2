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

after(stopAll);

/** Everything a page can do to a port that speaks no HTTP; what came of it does not matter here. */
const attack = async (port, engine) => {
  const body = "\r\nAT+CFUN=0\r\n";
  const soon = (promise) =>
    Promise.race([promise.catch(() => {}), new Promise((done) => setTimeout(done, 1500))]);
  const url = `http://127.0.0.1:${port}/`;
  for (const kind of ["preconnect", "dns-prefetch"]) {
    const link = document.createElement("link");
    link.rel = kind;
    link.href = url;
    document.head.append(link);
  }
  await soon(fetch(url, { method: "POST", mode: "no-cors", body }));
  await soon(fetch(url, { method: "PUT", body }));
  const frame = document.createElement("iframe");
  frame.name = "there";
  const form = document.createElement("form");
  Object.assign(form, { action: url, method: "post", enctype: "text/plain", target: "there" });
  const field = document.createElement("input");
  Object.assign(field, { name: "AT", value: body });
  form.append(field);
  document.body.append(frame, form);
  form.submit();
  const image = new Image();
  image.src = `${url}x.png`;
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
  await soon(new Promise((done) => (socket.onclose = done)));
  await soon(fetch(`https://127.0.0.1:${port}/`, { mode: "no-cors" }));
  if (typeof RTCPeerConnection !== "undefined" && engine !== "webkit") {
    const peer = new RTCPeerConnection({
      iceServers: [
        {
          urls: `turn:127.0.0.1:${port}?transport=tcp`,
          username: body.repeat(4),
          credential: "x",
        },
      ],
    });
    peer.createDataChannel("x");
    await soon(peer.createOffer().then((offer) => peer.setLocalDescription(offer)));
    await new Promise((done) => setTimeout(done, 1500));
    peer.close();
  }
  return "done";
};

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
      const off = "LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets";
      const browser = await launch(engine, { args: [`--disable-features=${off}`] });
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
