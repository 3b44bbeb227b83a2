// esptool-js from npm, unmodified, flashes a chip behind the gateway: in a page that knows only
// navigator.serial.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { esp32 } from "./esp/rom.mjs";
import {
  binary,
  delayProxy,
  launch,
  missing,
  rfc2217Device,
  servePages,
  startGateway,
  stopAll,
} from "./harness.mjs";

const skip = missing("chromium");
const modules = (name) => fileURLToPath(new URL(`./node_modules/${name}/`, import.meta.url));
let browser;

before(async () => {
  if (!skip) browser = await launch("chromium");
});
after(stopAll);

const page = (
  gateway,
) => `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Flasher</title>
<script src="${gateway}webserial.js" data-endpoints="esp32"></script></head><body><h1>Flasher</h1></body></html>`;

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

/** Bytes that compress a little, as programs do. */
const image = Buffer.alloc(48_000).map((_, i) =>
  i % 7 === 0 ? (i * 2654435761) >>> 24 : i & 0x3f,
);

for (const [version, folder, asText] of [
  ["0.7", "esptool-js", false],
  ["0.5.7", "esptool-js-0.5.7", true],
]) {
  for (const delay of [0, 20, 40]) {
    test(
      `esptool-js ${version} resets, syncs, changes the speed and flashes over ${delay} ms one way`,
      { skip, timeout: 120_000 },
      async (t) => {
        const port = await rfc2217Device();
        const chip = esp32(port);
        const pages = await servePages({ roots: { "/tool/": modules(folder) } });
        const gateway = await startGateway({
          yaml: `origins: [ "${pages.origin}" ]\nendpoints:\n  esp32:\n    rfc2217: { address: "${port.address}", baud: 115200 }\n`,
        });
        const proxy = await delayProxy(gateway.direct, { delay, jitter: delay / 4 });
        pages.pages["/flash.html"] = page(proxy.url);
        const tab = await browser.another({ shared: false });
        t.after(async () => {
          for (const one of [proxy, gateway, pages, port]) await one.stop();
          await tab.close();
        });
        await tab.goto(`${pages.url}flash.html`);
        const told = await tab.evaluate(
          async (bytes, text) => {
            const { ESPLoader, Transport } = await import("/tool/bundle.js");
            const log = [];
            const terminal = {
              clean() {},
              writeLine: (line) => log.push(line),
              write: (line) => log.push(line),
            };
            const transport = new Transport(await navigator.serial.requestPort(), false);
            const loader = new ESPLoader({
              transport,
              baudrate: 460800,
              romBaudrate: 115200,
              terminal,
            });
            try {
              const name = await loader.main();
              const data = Uint8Array.from(atob(bytes), (character) => character.charCodeAt(0));
              const image = text
                ? Array.from(data, (byte) => String.fromCharCode(byte)).join("")
                : data;
              await loader.writeFlash({
                fileArray: [{ data: image, address: 0x10000 }],
                flashSize: "keep",
                flashMode: "keep",
                flashFreq: "keep",
                eraseAll: false,
                compress: true,
              });
              await loader.after?.("hard_reset");
              await transport.disconnect();
              return { name, log };
            } catch (error) {
              return { error: String(error.stack ?? error), log };
            }
          },
          image.toString("base64"),
          asText,
        );
        const said = JSON.stringify(told.log?.slice(-12));
        assert.equal(told.error, undefined, said);
        assert.match(told.name, /ESP32/);
        const sum = (bytes) => createHash("sha256").update(bytes).digest("hex");
        assert.equal(
          sum(chip.flash.subarray(0x10000, 0x10000 + image.length)),
          sum(image),
          "every byte is in the flash",
        );
        assert.equal(
          chip.resets[0],
          "loader",
          `the first reset reached the loader; ${chip.resets}`,
        );
        assert.equal(
          chip.resets.filter((mode) => mode === "loader").length,
          1,
          `once was enough, and the change of speed reset nothing: ${chip.resets}`,
        );
        assert.ok(chip.syncs > 0 && chip.stub !== undefined);
      },
    );
  }
}

test(
  "served as an app and opened from the console by who is signed in, it flashes as well",
  { skip, timeout: 120_000 },
  async (t) => {
    const port = await rfc2217Device();
    const chip = esp32(port);
    const folder = mkdtempSync(join(tmpdir(), "wsbridge-app-"));
    cpSync(modules("esptool-js"), join(folder, "tool"), { recursive: true });
    writeFileSync(
      join(folder, "index.html"),
      "<!doctype html><html lang=en><head><title>Flasher</title></head><body><h1>Flasher</h1></body></html>",
    );
    const hash = /"(\$argon2id[^"]+)"/.exec(
      execFileSync(binary, ["passwd", "alice"], { input: "a password\n", encoding: "utf8" }),
    )[1];
    const listen = await freePort();
    const gateway = await startGateway({
      yaml: `users:\n  alice: { password: "${hash}", rights: { "*": [ read, write, signals, settings ] } }\nendpoints:\n  esp32:\n    rfc2217: { address: "${port.address}", baud: 115200 }\n  other: { sim: echo }\napps:\n  flasher:\n    title: Flash it\n    directory: ${folder}\n    listen: { address: "127.0.0.1:${listen}", tls: none }\n    endpoints: [ esp32 ]\n`,
    });
    const tab = await browser.another({ shared: false });
    t.after(async () => {
      rmSync(folder, { recursive: true, force: true });
      await tab.playwright.context().close();
      for (const one of [gateway, port]) await one.stop();
    });
    await tab.goto(gateway.direct);
    const console_ = tab.playwright;
    await console_.getByLabel("User").fill("alice");
    await console_.getByLabel("Password", { exact: true }).fill("a password");
    await console_.getByRole("button", { name: "Sign in" }).click();
    const opened = console_.context().waitForEvent("page");
    await console_.getByText("Flash it").first().click();
    const app = await opened;
    await app.waitForURL(`http://127.0.0.1:${listen}/**`);
    const told = await app.evaluate(async (bytes) => {
      const { ESPLoader, Transport } = await import("/tool/bundle.js");
      const terminal = { clean() {}, writeLine() {}, write() {} };
      const port = await navigator.serial.requestPort();
      const loader = new ESPLoader({
        transport: new Transport(port, false),
        baudrate: 460800,
        romBaudrate: 115200,
        terminal,
      });
      await loader.main();
      const data = Uint8Array.from(atob(bytes), (character) => character.charCodeAt(0));
      await loader.writeFlash({
        fileArray: [{ data, address: 0 }],
        flashSize: "keep",
        flashMode: "keep",
        flashFreq: "keep",
        eraseAll: false,
        compress: true,
      });
      return { endpoint: port.endpoint, hash: location.hash, cookie: document.cookie };
    }, image.toString("base64"));
    assert.deepEqual(told, { endpoint: "esp32", hash: "", cookie: "" });
    assert.ok(chip.flash.subarray(0, image.length).equals(image), "every byte is in the flash");
  },
);
