// The console's layout in Firefox and WebKit, at common screen sizes, light and dark: one, two and
// four lines, a card, the plot.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
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
import { pictures } from "./harness/console.mjs";
import { COLUMNS, columns, up, wrongs } from "./harness/layout.mjs";

mkdirSync(pictures, { recursive: true });
after(stopAll);

const PANES = [["console"], ["console", "modem"], ["console", "modem", "echo", "gone"]];

/** Lines that live, one that is not there, and one of numbers; `more` goes before them. */
async function lines(more = "") {
  const device = await tcpDevice((socket) =>
    setInterval(() => socket.writable && socket.write("a:1 b:2\r\n"), 100).unref(),
  );
  const demo = "  console: { sim: console }\n  modem: { sim: modem }\n  echo: { sim: echo }\n";
  return startGateway({
    yaml: `${more}endpoints:\n${demo}  gone: { serial: { port: /dev/ttyUSB77 } }\n  numbers: { share: one-writer, tcp: { address: "${device.address}" } }\n`,
  });
}

/**
 * An engine with the page's part of its window so large, on a gateway with the lines; `show` opens
 * an address below the gateway's. MiniBrowser's window can be no narrower than 460, which is no
 * phone: there the page is in a frame of that size, in a page of the same site.
 */
async function setUp(t, engine, size) {
  const [width, height] = size.split("x").map(Number);
  const page = await launch(engine);
  const around = width < (page.narrowest ?? 0) ? await servePages() : undefined;
  const gateway = await lines(around && `frame_ancestors: [ "${around.origin}" ]\n`);
  t.after(async () => {
    await page.stop();
    await gateway.stop();
    await around?.stop();
  });
  const show = async (path) => {
    if (!around) return page.goto(`${gateway.url}${path}`);
    around.pages["/"] =
      `<!doctype html><title>A phone</title><body style="margin: 0"><iframe src="${gateway.url}${path}" width=${width} height=${height} style="border: 0"></iframe>`;
    await page.goto(around.url);
    await page.enter();
  };
  if (around) await page.goto(around.url);
  else await show("");
  await page.resize(around ? page.narrowest : width, height);
  await show("");
  return { page, show, width };
}

for (const engine of ["firefox", "webkit"]) {
  for (const size of Object.keys(COLUMNS)) {
    test(
      `${engine}: one, two and four lines lie right at ${size}, light and dark`,
      { skip: missing(engine), timeout: 120_000 },
      async (t) => {
        const { page, show, width } = await setUp(t, engine, size);
        for (const theme of ["light", "dark"]) {
          await page.evaluate(
            (chosen) => localStorage.setItem("wsbridge:page", JSON.stringify({ theme: chosen })),
            theme,
          );
          for (const names of PANES) {
            const what = `${engine}-${size}-${names.length}-${theme}`;
            await show(`?${what}#/${names.join("+")}`);
            const live = names.filter((name) => name !== "gone").length;
            await eventually(async () => (await page.evaluate(up)) === live, what);
            const seen = width < 760 ? 1 : names.length;
            let found = [];
            const fits = (number) => number >= COLUMNS[size][names.length];
            const fitted = async () =>
              (found = await page.evaluate(columns)).length === seen && found.every(fits);
            await eventually(fitted, `${what}: the columns`).catch((error) =>
              assert.fail(`${error.message}: ${found}`),
            );
            assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), theme);
            assert.equal(await page.evaluate(() => innerWidth), width, what);
            await page.screenshot(`${pictures}layout-${what}.png`);
            assert.deepEqual(await page.evaluate(wrongs), [], what);
          }
        }
      },
    );
  }

  test(
    `${engine}: a card and the plot lie right`,
    { skip: missing(engine), timeout: 60_000 },
    async (t) => {
      const { page, show } = await setUp(t, engine, "1280x800");
      await show("?card#/gone");
      await eventually(
        () =>
          page.evaluate(() =>
            /ttyUSB77 is not there/.test(
              document.querySelector(".trouble-place:not([hidden]) .trouble")?.textContent,
            ),
          ),
        "the card",
      );
      assert.deepEqual(await page.evaluate(wrongs), [], "the card");
      await show("?plot#/numbers");
      await eventually(async () => (await page.evaluate(up)) === 1, "numbers");
      await page.evaluate(() =>
        [...document.querySelectorAll(".views button")]
          .find((one) => one.textContent === "Plot")
          .click(),
      );
      await eventually(
        () => page.evaluate(() => document.querySelector(".tool-plot canvas") !== null),
        "the plot",
      );
      await page.screenshot(`${pictures}plot-${engine}.png`);
      assert.deepEqual(await page.evaluate(wrongs), [], "the plot");
    },
  );
}
