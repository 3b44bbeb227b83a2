// The page as it lies on the screen at the sizes people have: nothing outside its pane, no text
// under another, as many columns as a terminal needs; light and dark; and five hundred lines in the
// list. In Chromium, on the real daemon; console-engines.test.mjs has the other two.

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, startGateway, tcpDevice } from "./harness.mjs";
import { broken, consoleSuite, pictures, shows } from "./harness/console.mjs";
import { COLUMNS, columns, small, wrongs } from "./harness/layout.mjs";

const { skip, open, context } = consoleSuite();
const LINES = ["console", "modem", "plc-rtu", "echo"];
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

const connectedLines = (page, count) =>
  page.waitForFunction(
    (wanted) =>
      [...document.querySelectorAll(".status-where")].filter(
        (one) => one.textContent === "connected",
      ).length === wanted,
    count,
  );

const SIZES = {
  "1280x800": { viewport: { width: 1280, height: 800 } },
  "1920x1080": { viewport: { width: 1920, height: 1080 } },
  "390x844": PHONE,
};

for (const [size, context] of Object.entries(SIZES)) {
  test(
    `one, two and four lines at ${size}: nothing outside, nothing under another, columns, heads of one height`,
    { skip, timeout: 120_000 },
    async (t) => {
      const gateway = await startGateway({ demo: true });
      for (const colorScheme of ["light", "dark"]) {
        for (const count of [1, 2, 4]) {
          const what = `${size}-${count}-${colorScheme}`;
          const page = await open(t, `${gateway.url}#/${LINES.slice(0, count).join("+")}`, {
            ...context,
            colorScheme,
            reducedMotion: "reduce",
          });
          await connectedLines(page, count);
          await shows(page, /router>|^\s*$/);
          await page.screenshot({ path: `${pictures}layout-${what}.png` });
          assert.deepEqual(await page.evaluate(wrongs), [], what);
          const found = await page.evaluate(columns);
          assert.equal(found.length, size === "390x844" ? 1 : count, what);
          assert.ok(
            found.every((number) => number >= COLUMNS[size][count]),
            `${what}: ${found} columns`,
          );
          const heads = await page
            .locator(".pane-head:visible")
            .evaluateAll((all) => all.map((one) => one.offsetHeight));
          assert.deepEqual([...new Set(heads)].length, 1, `${what}: heads of ${heads}`);
          // All views, the send box and the side, of the first pane that is seen.
          const pane = page.locator(".pane:visible").first();
          for (const view of ["Hex", "Plot", "Text"]) {
            await pane.locator(".views button").filter({ hasText: view }).click();
            assert.deepEqual(await page.evaluate(wrongs), [], `${what}, ${view}`);
            if (count === 1)
              await page.screenshot({
                path: `${pictures}layout-${what}-${view.toLowerCase()}.png`,
              });
          }
          await tool(page, pane, "Send box");
          assert.deepEqual(await page.evaluate(wrongs), [], `${what}, send box`);
          if (count !== 2) await page.screenshot({ path: `${pictures}layout-${what}-send.png` });
          if (!(await pane.locator(".inspector").isVisible()))
            await tool(page, pane, "Settings and tools");
          for (const tab of ["Line", "Terminal", "Files", "Macros", "Log"]) {
            await pane.getByRole("tab", { name: tab }).click();
            assert.deepEqual(await page.evaluate(wrongs), [], `${what}, ${tab}`);
          }
          const tabs = await pane
            .getByRole("tab")
            .evaluateAll((all) => all.map((one) => one.offsetTop));
          assert.equal(new Set(tabs).size, 1, `${what}: the tabs stand in one row`);
          assert.deepEqual(page.complaints, [], what);
          await page.context().close();
        }
      }
    },
  );
}

/** Presses a tool in the head, or chooses it in the menu of those that do not fit. */
async function tool(page, pane, name) {
  const button = pane.locator(".toolbar").getByRole("button", { name: new RegExp(`^${name}`) });
  if (await button.isVisible()) return button.click();
  await pane.getByRole("button", { name: /^More tools/ }).click();
  await page.getByRole("menuitem", { name }).click();
}

test(
  "a phone's bars leave the terminal its room, and a hex row has eight bytes",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({ demo: true });
    const page = await open(t, `${gateway.url}#/console+modem`, PHONE);
    await connectedLines(page, 2);
    const heights = await page.evaluate(() =>
      [...document.querySelectorAll(".bar, .pane-head, .keys, .status, .bars")]
        .filter((one) => one.checkVisibility())
        .map((one) => one.offsetHeight),
    );
    assert.ok(heights.reduce((sum, height) => sum + height) <= 130, heights.join(" + "));
    assert.deepEqual(
      await page
        .getByRole("tab")
        .evaluateAll((all) =>
          all.filter((one) => one.checkVisibility()).map((one) => one.textContent),
        ),
      ["console", "modem"],
    );
    const bar = await page.evaluate(() => {
      const { top, bottom } = document.querySelector(".bar").getBoundingClientRect();
      return [...document.querySelectorAll(".pane-tabs button")].map((one) => {
        const tab = one.getBoundingClientRect();
        return [tab.top - top, bottom - tab.bottom, one.scrollWidth <= one.clientWidth];
      });
    });
    for (const [above, below, whole] of bar)
      assert.ok(above <= 0 && below <= 1 && whole, `a tab fills the bar: ${bar}`);
    await page.getByRole("tab", { name: "console" }).click();
    assert.deepEqual(await page.evaluate(small), []);
    await tool(page, page.locator(".pane.current"), "Settings and tools");
    assert.deepEqual(await page.evaluate(small), [], "in the side");
    await page
      .locator(".pane.current")
      .getByRole("button", { name: /^Close the side/ })
      .click();
    await page.locator(".pane.current .views button").nth(1).click();
    await page.locator(".pane.current .tool-hex-bytes").first().waitFor();
    const rows = await page
      .locator(".pane.current .tool-hex-row")
      .evaluateAll((all) =>
        all.map((one) => [
          one.querySelector(".tool-hex-bytes").textContent.split(" ").length,
          one.scrollWidth <= one.clientWidth + 1,
        ]),
      );
    assert.ok(
      rows.length > 5 && rows.every(([bytes, whole]) => bytes <= 8 && whole),
      JSON.stringify(rows),
    );
  },
);

test(
  "on a phone four lines' tabs have their whole names, and the numbers beside a plot theirs",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({ demo: true });
    const page = await open(t, `${gateway.url}#/console+modem+plc-rtu+echo`, PHONE);
    await connectedLines(page, 4);
    const cut = () =>
      [...document.querySelectorAll(".pane-tabs button")]
        .filter((one) => one.scrollWidth > one.clientWidth)
        .map((one) => one.textContent);
    assert.deepEqual(await page.evaluate(cut), []);
    await page.goto(`${gateway.url}#/echo`);
    const pane = page.locator(".pane:visible");
    await tool(page, pane, "Send box");
    await page.locator(".tool-send-text").fill("speed:123456789.5 other:1");
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await pane.locator(".views button").filter({ hasText: "Plot" }).click();
    await eventually(
      () => page.evaluate(() => document.querySelectorAll(".u-axis")[1]?.clientWidth > 80),
      "an axis as wide as its numbers",
    );
    await page.screenshot({ path: `${pictures}plot-phone.png` });
  },
);

test(
  "the side closes when its pane becomes narrow, comes back with the room, and lies over the terminal when asked for",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({ demo: true });
    const page = await open(t, `${gateway.url}#/console`, {
      viewport: { width: 1280, height: 800 },
    });
    await connectedLines(page, 1);
    const side = page.locator(".inspector").first();
    await side.waitFor();
    await page.setViewportSize({ width: 900, height: 800 });
    await side.waitFor({ state: "hidden" });
    // The terminal makes room for itself in steps: the list, the side, then what is left.
    const seen = [];
    await eventually(
      async () => (
        seen.push((await page.evaluate(columns))[0]),
        seen.slice(-15).length === 15 && new Set(seen.slice(-15)).size === 1
      ),
      "columns that stay",
    );
    const before = seen.at(-1);
    await page.keyboard.press("Control+Shift+D");
    await side.waitFor();
    assert.deepEqual(await page.evaluate(columns), [before], "it takes no column away");
    await page.keyboard.press("Control+Shift+D");
    await side.waitFor({ state: "hidden" });
  },
);

test(
  "the icons of views and panels are told apart, and the chosen colours are marked",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({ demo: true });
    const page = await open(t, `${gateway.url}#/console`, {
      viewport: { width: 1280, height: 800 },
    });
    await connectedLines(page, 1);
    const paths = await page
      .locator(
        ".views .icon path, .inspector [role=tab] .icon path, .toolbar > .icon-button .icon path, .toolbar > button .icon path",
      )
      .evaluateAll((all) => [...new Set(all)].map((one) => one.getAttribute("d")));
    assert.equal(new Set(paths).size, paths.length, "no picture means two things");
    await page.getByRole("button", { name: "Colours" }).click();
    const chosen = page.getByRole("menuitemradio", { checked: true });
    assert.equal(await chosen.innerText(), "As the system");
    await page.getByRole("menuitemradio", { name: "Dark" }).click();
    await page.getByRole("button", { name: "Colours" }).click();
    assert.equal(await chosen.innerText(), "Dark");
  },
);

test("the password's field is as wide as the user's", { skip, timeout: 60_000 }, async (t) => {
  const gateway = await startGateway({
    yaml: 'tokens: {}\nusers:\n  alice: { password: "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21l$wW6rQ6m2GdW4bYB0UwIgSX0nYl7sQm1N2yT2c1Q0Y9M", roles: [] }\nendpoints: {}\n',
  });
  const page = await open(t, gateway.url);
  await page.getByLabel("User").waitFor();
  const [user, password] = await page
    .locator("form input")
    .evaluateAll((all) =>
      all.map((one) => [one.getBoundingClientRect().left, one.getBoundingClientRect().width]),
    );
  assert.deepEqual(password, user);
});

test(
  "five hundred lines: groups, those that are down first, compact rows, found by keys, live",
  { skip, timeout: 120_000 },
  async (t) => {
    const device = await tcpDevice((socket) => socket.pipe(socket));
    const names = Array.from({ length: 25 }, (_, rack) =>
      Array.from({ length: 20 }, (_, at) => `rack${rack + 1}-sw${at + 1}`),
    ).flat();
    const yaml = `endpoints:\n${names.map((name, at) => `  ${name}: { ${at % 100 === 7 ? "serial: { port: /dev/ttyUSB77 }" : `share: one-writer, tcp: { address: "${device.address}" }`} }\n`).join("")}`;
    const gateway = await startGateway({ yaml });
    const page = await open(t, gateway.url, { viewport: { width: 1280, height: 800 } });
    await eventually(
      async () => (await page.locator(".endpoints .row").count()) === 500,
      "five hundred rows",
      30_000,
    );
    const groups = await page
      .locator(".group")
      .evaluateAll((all) =>
        all.map((one) => [
          one.querySelector(".group-title").innerText.replace(/\s+/g, " "),
          one.querySelectorAll(".row").length,
        ]),
      );
    assert.deepEqual(groups[0], ["Not there 5", 5]);
    assert.deepEqual(groups[1], ["rack1 19", 19]);
    assert.equal(groups.length, 26);
    await page
      .locator(".group.down .row")
      .first()
      .filter({ hasText: /ttyUSB77 is not there/ })
      .waitFor();
    const heights = await page
      .locator(".row:not(.down)")
      .evaluateAll((all) => [...new Set(all.slice(0, 10).map((one) => one.offsetHeight))]);
    assert.ok(
      heights.every((height) => height <= 34),
      `rows of ${heights}`,
    );
    await page.screenshot({ path: `${pictures}list-500.png` });

    // With keys: to the list, a word, Enter.
    await page.keyboard.press("Control+Shift+E");
    await page.keyboard.type("rack7-sw12");
    await eventually(async () => (await page.locator(".endpoints .row").count()) === 1, "one row");
    await page.keyboard.press("Enter");
    await connectedLines(page, 1);
    assert.equal(new URL(page.url()).hash, "#/rack7-sw12");
    // What is typed on a row continues in the filter.
    await page.keyboard.press("Control+Shift+E");
    await page.keyboard.press("Escape");
    await eventually(
      async () => (await page.locator(".endpoints .row").count()) === 500,
      "all rows again",
    );
    await page.keyboard.press("ArrowDown");
    await page.keyboard.type("rack9-sw1");
    await eventually(
      async () => (await page.locator(".endpoints .row").count()) === 11,
      "rack9-sw1 and sw10 to sw19",
    );
    await page.locator(".list input[type=search]").fill("");

    // A line that is active shows its last minute, and a row that is rewritten every second keeps
    // the focus.
    const row = page.locator('.row:has(a[href="#/rack7-sw12"])');
    await row.locator(".row-open").focus();
    const socket = await page.evaluate(() => document.activeElement.getAttribute("href"));
    await page.evaluate(() => {
      const socket = new WebSocket(
        location.href.replace(/^http/, "ws").replace(/#.*/, "ws/rack3-sw3"),
        ["binary"],
      );
      socket.onopen = () => setInterval(() => socket.send("x".repeat(100)), 100);
    });
    await eventually(
      async () =>
        (await page.locator('.row:has(a[href="#/rack3-sw3"]) .spark:not(.still)').count()) === 1,
      "a sparkline",
    );
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute("href")), socket);
    // A folded group stays folded.
    await page.getByRole("button", { name: /^rack2 / }).click();
    assert.equal(
      await page.getByRole("button", { name: /^rack2 / }).getAttribute("aria-expanded"),
      "false",
    );
    assert.deepEqual(
      page.complaints.filter((text) => !/CSP|Content Security|TrustedScript/.test(text)),
      [],
    );
  },
);

test(
  "no rule of axe-core is broken: four lines, a card, the plot, the menus, five hundred lines; light and dark",
  { skip, timeout: 180_000 },
  async (t) => {
    const many = Array.from(
      { length: 500 },
      (_, at) => `  dev${at % 25}-${at}: { serial: { port: /dev/ttyUSB77 } }\n`,
    ).join("");
    const gateway = await startGateway({
      yaml: `endpoints:\n  console: { sim: console }\n  modem: { sim: modem }\n  echo: { sim: echo }\n  gone: { serial: { port: /dev/ttyUSB77 } }\n`,
    });
    const crowd = await startGateway({ yaml: `endpoints:\n${many}` });
    for (const colorScheme of ["light", "dark"]) {
      const tab = await context(t, {
        viewport: { width: 1280, height: 800 },
        colorScheme,
        bypassCSP: true,
        reducedMotion: "reduce",
      });
      const page = await tab.newPage();
      const check = async (what) => {
        assert.deepEqual(await broken(page), [], `${what}, ${colorScheme}`);
      };
      await page.goto(`${gateway.url}#/console+modem+echo+gone`);
      await connectedLines(page, 3);
      await page.locator(".trouble").filter({ hasText: "not there" }).waitFor();
      await check("four lines and a card");
      await page.getByRole("button", { name: /^More tools of console/ }).click();
      await check("a menu");
      await page.keyboard.press("Escape");
      await page.goto(`${gateway.url}#/echo`);
      await connectedLines(page, 1);
      await page.getByRole("button", { name: "Send box" }).click();
      await page.locator(".tool-send-text").fill("a:1 b:2");
      await page.getByRole("button", { name: "Send", exact: true }).click();
      await page.getByRole("button", { name: "Plot", exact: true }).click();
      await page.locator(".tool-plot canvas").waitFor();
      await check("the plot and the send box");
      await page.goto(`${crowd.url}#/`);
      await eventually(
        async () => (await page.locator(".endpoints .row").count()) === 500,
        "five hundred rows",
        30_000,
      );
      await check("five hundred lines");
    }
  },
);
