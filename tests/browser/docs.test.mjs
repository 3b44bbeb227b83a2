// The examples of docs/web.md and docs/guide.md, run as they are written: only what is in capitals
// is filled in, and the addresses.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { eventually, launch, missing, servePages, startGateway, stopAll } from "./harness.mjs";

after(stopAll);

const read = (name) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8");
const blocks = (text, language) =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map(
    ([, block]) => block,
  );
const titles = (examples) => examples.map((example) => /<title>(.*)<\/title>/.exec(example)[1]);
const examples = blocks(read("web.md"), "html");
// It also shows two lines of a page: apps.test.mjs has them.
const recipes = blocks(read("guide.md"), "html").filter((block) =>
  block.startsWith("<!doctype html>"),
);

/** What each page shows when it has done its job. */
const shown = {
  "A modem": /simulated modem[\s\S]*OK/,
  "All lines": /echo: up[\s\S]*modem: up/,
  "A tool for Web Serial": /simulated modem[\s\S]*OK/,
  "With a token": /simulated modem[\s\S]*OK/,
  "With a ticket": /simulated modem[\s\S]*OK/,
};

test("the pages have the examples that are looked for here", () => {
  assert.deepEqual(titles([...examples, ...recipes]), Object.keys(shown));
});

/** Shows each example, at addresses of this test, until it has done its job. */
async function show(page, pages, all, here) {
  for (const [index, example] of all.entries()) {
    const text = here.reduce((text, [there, own]) => text.replaceAll(there, own), example);
    assert.notEqual(text, example);
    pages.pages[`/${index}.html`] = text;
    await page.goto(`${pages.url}${index}.html`);
    const wanted = shown[await page.evaluate(() => document.title)];
    await eventually(
      async () => wanted.test(await page.evaluate(() => document.body.innerText)),
      `${wanted} on the page`,
    );
  }
}

for (const engine of ["chromium", "firefox", "webkit"]) {
  test(
    `the examples do what they say in ${engine}`,
    { skip: missing(engine), timeout: 90_000 },
    async () => {
      const pages = await servePages();
      const gateway = await startGateway({
        yaml: "endpoints:\n  echo: { sim: echo }\n  modem: { sim: modem }\n",
        origins: [pages.origin],
      });
      const page = await launch(engine);
      await show(page, pages, examples, [
        ["https://gateway.local:8443/", gateway.direct],
        ["wss://gateway.local:8443/", gateway.direct.replace("http", "ws")],
      ]);
      for (const one of [page, gateway, pages]) await one.stop();
    },
  );

  test(
    `a page on another server gets in by token and by ticket in ${engine}`,
    { skip: missing(engine), timeout: 90_000 },
    async () => {
      const pages = await servePages();
      const token = "wsb_of_the_other_server";
      const sha256 = createHash("sha256").update(token).digest("hex");
      const tokens = `tokens:\n  tools: { sha256: "${sha256}", rights: { modem1: [ read, write ] } }\n`;
      const gateway = await startGateway({
        yaml: `${tokens}endpoints:\n  modem1: { sim: modem }\n`,
        origins: [pages.origin],
      });
      const here = [
        ["https://GATEWAY:8443/", gateway.direct],
        ["wss://GATEWAY:8443/", gateway.direct.replace("http", "ws")],
        ["https://tools.example", pages.origin],
        ["TOKEN", token],
      ];
      // What that server does, as the guide describes it.
      const [curl] = blocks(read("guide.md"), "sh").filter((block) => block.includes('"origin"'));
      const line = here.reduce((text, [there, own]) => text.replaceAll(there, own), curl);
      pages.pages["/modem1-ticket"] = () =>
        execFileSync("sh", ["-c", line], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
      const page = await launch(engine);
      await show(page, pages, recipes, here);
      for (const one of [page, gateway, pages]) await one.stop();
    },
  );
}
