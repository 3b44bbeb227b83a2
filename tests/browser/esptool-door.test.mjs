// esptool from PyPI, unmodified, flashes a chip at a door of RFC 2217, also over a network that takes its time.
// WSBRIDGE_ROUNDS says how often for each delay.

import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { esp32 } from "./esp/rom.mjs";
import { delayProxy, rfc2217Device, startGateway, stopAll } from "./harness.mjs";

const rounds = Number(process.env.WSBRIDGE_ROUNDS ?? 2);
const skip = (() => {
  try {
    execFileSync("esptool", ["version"], { stdio: "ignore" });
    return false;
  } catch {
    return "esptool is not here";
  }
})();

after(stopAll);

/** A port that was free a moment ago. */
const freePort = () =>
  new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

/** Bytes that compress a little, as programs do. */
const image = Buffer.alloc(16_000).map((_, i) =>
  i % 7 === 0 ? (i * 2654435761) >>> 24 : i & 0x3f,
);
const sum = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** esptool waits 0.1 s for an answer to its first words and 0.2 s for its stub; over a longer way it has to be told to wait. */
const patient = "[esptool]\nsync_timeout = 0.5\nmem_end_rom_timeout = 1\n";

function flash(port, file, env) {
  const options = ["--chip", "esp32", "--port", `rfc2217://127.0.0.1:${port}`, "--baud", "460800"];
  const write = ["write-flash", "--flash-size", "keep", "0x10000", file];
  return new Promise((done) => {
    execFile("esptool", [...options, ...write], { timeout: 240_000, env }, (error, out, err) =>
      done({ error, said: out + err }),
    );
  });
}

for (const delay of [0, 20, 50]) {
  test(
    `esptool resets and flashes over ${delay} ms one way, ${rounds} times of ${rounds}`,
    { skip, timeout: 250_000 * rounds },
    async (t) => {
      const device = await rfc2217Device();
      const chip = esp32(device);
      const door = await freePort();
      const gateway = await startGateway({
        yaml: `endpoints:
  esp32:
    rfc2217: { address: "${device.address}", baud: 115200 }
    doors:
      - { rfc2217: "127.0.0.1:${door}", rights: [ read, write, signals, settings ], resets: esp }
`,
      });
      const proxy = await delayProxy(door, { delay, jitter: delay / 4 });
      const folder = mkdtempSync(join(tmpdir(), "wsbridge-esptool-"));
      t.after(async () => {
        for (const one of [proxy, gateway, device]) await one.stop();
        rmSync(folder, { recursive: true, force: true });
      });
      const file = join(folder, "app.bin");
      writeFileSync(file, image);
      const settings = join(folder, "esptool.cfg");
      writeFileSync(settings, patient);
      const env = delay < 50 ? process.env : { ...process.env, ESPTOOL_CFGFILE: settings };
      for (let round = 0; round < rounds; round++) {
        chip.flash.fill(0xff);
        chip.resets.length = 0;
        const { error, said } = await flash(proxy.port, file, env);
        assert.equal(error, null, said);
        assert.equal(sum(chip.flash.subarray(0x10000, 0x10000 + image.length)), sum(image), said);
        // Once was enough to get into the loader, and behind it the program runs.
        assert.deepEqual(chip.resets, ["loader", "app"], said);
      }
    },
  );
}
