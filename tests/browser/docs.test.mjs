// The examples of docs/web.md, run as they stand there: only the gateway's address is another.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { eventually, launch, missing, servePages, startGateway, stopAll } from "./harness.mjs";

after(stopAll);

const text = readFileSync(new URL("../../docs/web.md", import.meta.url), "utf8");
const examples = [...text.matchAll(/^```html\n([\s\S]*?)^```$/gm)].map(([, example]) => example);

/** What each page shows when it has done what it is for. */
const shown = {
  "A modem": /simulated modem[\s\S]*OK/,
  "All lines": /echo: up[\s\S]*modem: up/,
  "A tool for Web Serial": /simulated modem[\s\S]*OK/,
};

test("the page has the examples that are looked for here", () => {
  assert.deepEqual(examples.map((example) => /<title>(.*)<\/title>/.exec(example)[1]), Object.keys(shown));
});

for (const engine of ["chromium", "firefox", "webkit"]) {
  test(`the examples do what they say in ${engine}`, { skip: missing(engine), timeout: 90_000 }, async () => {
    const pages = await servePages();
    const gateway = await startGateway({ yaml: "endpoints:\n  echo: { sim: echo }\n  modem: { sim: modem }\n", origins: [pages.origin] });
    const page = await launch(engine);
    for (const [index, example] of examples.entries()) {
      const here = example.replaceAll("https://gateway.local:8443/", gateway.direct).replaceAll("wss://gateway.local:8443/", gateway.direct.replace("http", "ws"));
      assert.notEqual(here, example);
      pages.pages[`/${index}.html`] = here;
      await page.goto(`${pages.url}${index}.html`);
      const wanted = shown[await page.evaluate(() => document.title)];
      await eventually(async () => wanted.test(await page.evaluate(() => document.body.innerText)), `${wanted} on the page`);
    }
    for (const one of [page, gateway, pages]) await one.stop();
  });
}
