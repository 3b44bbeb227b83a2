// Web Serial's port where a page could not show it: closing, losing and opening at bad moments. In
// Node, against the daemon.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, test } from "node:test";
import { WebSocket } from "ws";
import { createSerial } from "../../web/client/index.js";
import {
  delayProxy,
  echoDevice,
  eventually,
  rfc2217Device,
  startGateway,
  started,
  stopAll,
  tcpDevice,
} from "./harness.mjs";

after(stopAll);

const TOKEN = "a token of the suite";
const sha256 = createHash("sha256").update(TOKEN).digest("hex");
const gatewayWith = (endpoints) =>
  startGateway({
    yaml: `tokens:\n  suite: { sha256: "${sha256}", rights: { "*": [ read, write, signals, settings, takeover ] } }\n${endpoints}`,
  });

function serialAt(url, more = {}) {
  const serial = createSerial({ url, bearer: TOKEN, WebSocket, granted: ["far"], ...more });
  started({ stop: async () => serial.dispose() });
  return serial;
}

async function portAt(url, more) {
  const [port] = await serialAt(url, more).getPorts();
  return port;
}

test("a port on a TCP device is opened without settings", { timeout: 20_000 }, async () => {
  const echo = await echoDevice();
  const gateway = await gatewayWith(`endpoints:\n  far: { tcp: { address: "${echo.address}" } }\n`);
  const port = await portAt(gateway.direct);
  await port.open({ baudRate: 115200 });
  const writer = port.writable.getWriter();
  await writer.write(new TextEncoder().encode("raw"));
  const reader = port.readable.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value), "raw");
  reader.releaseLock();
  writer.releaseLock();
  await port.close();
});

test(
  "a tool that filters by USB numbers finds what is behind another box, as the gateway's configuration states it",
  { timeout: 20_000 },
  async () => {
    const box = await rfc2217Device();
    const device = await echoDevice();
    const gateway = await gatewayWith(
      `endpoints:\n  far:\n    rfc2217: { address: "${box.address}", usb: "10c4:ea60" }\n  raw:\n    tcp: { address: "${device.address}", usb: "303a:1001" }\n  plain:\n    tcp: { address: "${device.address}" }\n`,
    );
    const serial = serialAt(gateway.direct, { endpoints: ["plain", "far", "raw"] });
    const found = async (usbVendorId) => {
      const port = await serial.requestPort({ filters: [{ usbVendorId }] });
      return [port.endpoint, port.getInfo()];
    };
    assert.deepEqual(await found(0x10c4), ["far", { usbVendorId: 0x10c4, usbProductId: 0xea60 }]);
    assert.deepEqual(await found(0x303a), ["raw", { usbVendorId: 0x303a, usbProductId: 0x1001 }]);
    await assert.rejects(found(0x0403), /No port selected/);
    // Open, the numbers are the same.
    const port = await serial.requestPort({ filters: [{ usbVendorId: 0x10c4 }] });
    await port.open({ baudRate: 9600 });
    assert.deepEqual(port.getInfo(), { usbVendorId: 0x10c4, usbProductId: 0xea60 });
    await port.close();
  },
);

test("close() ends a write that the device does not take", { timeout: 20_000 }, async () => {
  const deaf = await tcpDevice((socket) => socket.pause());
  const gateway = await gatewayWith(`endpoints:\n  far: { tcp: { address: "${deaf.address}" } }\n`);
  const port = await portAt(gateway.direct);
  await port.open({ baudRate: 115200, bufferSize: 1 << 24 });
  const writer = port.writable.getWriter();
  // More than all buffers on the way hold.
  const stuck = Promise.allSettled([writer.write(new Uint8Array(12 << 20))]);
  await eventually(() => deaf.sockets.size === 1, "the connection");
  writer.releaseLock();
  await port.close();
  await stuck;
});

test(
  "bytes that came before the device went are read before its loss",
  { timeout: 20_000 },
  async () => {
    const device = await tcpDevice((socket) => socket.end("last words"));
    const gateway = await gatewayWith(
      `endpoints:\n  far: { tcp: { address: "${device.address}" } }\n`,
    );
    const port = await portAt(gateway.direct);
    await port.open({ baudRate: 115200 });
    const reader = port.readable.getReader();
    await new Promise((done) => port.addEventListener("disconnect", done));
    assert.equal(new TextDecoder().decode((await reader.read()).value), "last words");
    await assert.rejects(reader.read(), {
      name: "NetworkError",
      message: "The device has been lost.",
    });
  },
);

test(
  "a port whose device is gone when the connection comes back is lost",
  { timeout: 30_000 },
  async () => {
    const box = await rfc2217Device();
    const gateway = await gatewayWith(
      `endpoints:\n  far:\n    rfc2217: { address: "${box.address}" }\n`,
    );
    const proxy = await delayProxy(gateway.direct);
    const port = await portAt(proxy.url);
    await port.open({ baudRate: 115200 });
    const reader = port.readable.getReader();
    const read = assert.rejects(reader.read(), { name: "NetworkError" });
    proxy.refuse();
    await box.stop();
    await eventually(() => /device not there/.test(gateway.log()), "the device is down");
    proxy.heal();
    await read;
  },
);

test(
  "an open that has no gateway fails in the end, and leaves the line to others",
  { timeout: 40_000 },
  async () => {
    const box = await rfc2217Device();
    const gateway = await gatewayWith(
      `resume: 0s\nendpoints:\n  far:\n    rfc2217: { address: "${box.address}" }\n`,
    );
    const proxy = await delayProxy(gateway.direct);
    const port = await portAt(proxy.url);
    await port.open({ baudRate: 115200 });
    proxy.refuse();
    await port.close();
    await assert.rejects(port.open({ baudRate: 115200 }), {
      name: "NetworkError",
      message: "Failed to open serial port.",
    });
    proxy.heal();
    await port.open({ baudRate: 115200 });
    await port.close();
  },
);

test(
  "a granted port's coming is told to who listens, also without a list, and a handler is no listener",
  { timeout: 20_000 },
  async () => {
    const box = await rfc2217Device();
    const { port: number } = box;
    await box.stop();
    const gateway = await gatewayWith(
      `endpoints:\n  far:\n    rfc2217: { address: "127.0.0.1:${number}" }\n`,
    );
    const serial = serialAt(gateway.direct);
    const calls = [];
    const came = new Promise((done) => {
      const both = ({ target }) => calls.push(target.endpoint) === 2 && done();
      serial.addEventListener("connect", both);
      serial.onconnect = both;
    });
    await eventually(
      () => /device not there/.test(gateway.log()) && /session opened/.test(gateway.log()),
      "the list, without the device",
    );
    await rfc2217Device(number);
    await came;
    assert.deepEqual(calls, ["far", "far"]);
  },
);
