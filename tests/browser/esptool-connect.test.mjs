// esptool from PyPI, unmodified, flashes a chip at `wsbridge connect --rfc2217`, over a network that breaks meanwhile.
// WSBRIDGE_CUTS says how often; WSBRIDGE_WINE has the program for Windows do it.

import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { esp32 } from "./esp/rom.mjs";
import { delayProxy, rfc2217Device, startGateway, stopAll } from "./harness.mjs";
import { startConnect, system } from "./harness/connect.mjs";

const cuts = Number(process.env.WSBRIDGE_CUTS ?? 5);
const skip = (() => {
  try {
    execFileSync("esptool", ["version"], { stdio: "ignore" });
    return false;
  } catch {
    return "esptool is not here";
  }
})();

after(stopAll);

/** Bytes that do not compress: all of them go over the network. */
const image = Buffer.alloc(48_000);
for (let i = 0, word = 1; i < image.length; i++) {
  word = (Math.imul(word, 1664525) + 1013904223) >>> 0;
  image[i] = word >>> 24;
}
const sum = (bytes) => createHash("sha256").update(bytes).digest("hex");

function flash(port, file) {
  const options = ["--chip", "esp32", "--port", `rfc2217://127.0.0.1:${port}`, "--baud", "460800"];
  const write = ["write-flash", "--flash-size", "keep", "0x10000", file];
  return new Promise((done) => {
    execFile("esptool", [...options, ...write], { timeout: 240_000 }, (error, out, err) =>
      done({ error, said: out + err }),
    );
  });
}

test(
  `esptool flashes at connect's port on ${system} over a network that is cut ${cuts} times`,
  { skip, timeout: 300_000 },
  async (t) => {
    const device = await rfc2217Device();
    const chip = esp32(device);
    const gateway = await startGateway({
      yaml: `endpoints:
  esp32:
    rfc2217: { address: "${device.address}", baud: 115200 }
`,
    });
    const proxy = await delayProxy(gateway.direct);
    const connect = await startConnect(
      `http://127.0.0.1:${proxy.port}/esp32`,
      ...["--rfc2217", "127.0.0.1:0", "--resets", "esp"],
    );
    const folder = mkdtempSync(join(tmpdir(), "wsbridge-esptool-"));
    t.after(async () => {
      for (const one of [connect, proxy, gateway, device]) await one.stop();
      rmSync(folder, { recursive: true, force: true });
    });
    const file = join(folder, "app.bin");
    writeFileSync(file, image);
    chip.flash.fill(0xff);
    chip.resets.length = 0;
    const before = proxy.state.cuts;
    // Each cut is in the middle of what is written, and the next one comes as much later.
    let left = cuts;
    const next = () => {
      if (left-- > 0) proxy.cutAfter({ up: Math.floor((image.length * 0.9) / cuts) });
    };
    const watch = setInterval(() => {
      if (proxy.state.cuts - before === cuts - left) next();
    }, 5);
    next();
    const { error, said } = await flash(connect.port, file);
    clearInterval(watch);
    assert.equal(error, null, `${said}\n${connect.said()}`);
    assert.equal(sum(chip.flash.subarray(0x10000, 0x10000 + image.length)), sum(image), said);
    assert.deepEqual(chip.resets, ["loader", "app"], said);
    assert.equal(proxy.state.cuts - before, cuts, `${proxy.state.cuts - before} cuts`);
  },
);
