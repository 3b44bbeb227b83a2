// The file transfer in Firefox and WebKit: ZMODEM both ways with equal hashes, where the page
// cannot be driven as well as Chromium's.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { eventually, launch, missing, processDevice, stopAll } from "./harness.mjs";
import { folder, noise, sha } from "./lrzsz.mjs";
import { serveTools } from "./tools-page/serve.mjs";

after(stopAll);

/** Clicks the button with this text. */
const click = (page, text) =>
  eventually(
    () =>
      page.evaluate((wanted) => {
        const button = [...document.querySelectorAll("button")].find(
          (one) => one.textContent === wanted,
        );
        button?.click();
        return Boolean(button);
      }, text),
    `the button ${text}`,
  );

for (const engine of ["firefox", "webkit"]) {
  test(`ZMODEM both ways in ${engine}`, { skip: missing(engine), timeout: 120_000 }, async (t) => {
    const cwd = folder(t);
    const bytes = noise(500_001);
    writeFileSync(join(cwd, "down.bin"), bytes);
    const page = await launch(engine);
    const source = await processDevice("sz", ["-b", "-q", "down.bin"], { cwd });
    await page.goto((await serveTools(source.address)).url);
    await click(page, "Receive…");
    const [file] = await eventually(
      async () => {
        const saved = await page.evaluate(() => globalThis.seen.saved);
        return saved.length === 1 && saved;
      },
      "the file",
      60_000,
    );
    assert.deepEqual([file.name, file.sha], ["down.bin", sha(bytes)]);

    const sink = await processDevice("rz", ["-b", "-q"], { cwd });
    await page.goto((await serveTools(sink.address)).url);
    await page.evaluate(() => {
      // The file a person would choose.
      HTMLInputElement.prototype.click = function choose() {
        const list = new DataTransfer();
        list.items.add(
          new File(
            [Uint8Array.from({ length: 300_001 }, (_, index) => (index * 7) & 0xff)],
            "up.bin",
          ),
        );
        this.files = list.files;
        this.dispatchEvent(new Event("change"));
      };
    });
    await click(page, "Choose files…");
    await sink.ends[0];
    assert.equal(
      sha(readFileSync(join(cwd, "up.bin"))),
      sha(Uint8Array.from({ length: 300_001 }, (_, index) => (index * 7) & 0xff)),
    );
    assert.deepEqual(
      (await page.evaluate(() => globalThis.seen.announced)).filter((text) =>
        text.startsWith("CSP"),
      ),
      [],
    );
    await page.stop();
  });
}
