// Debian's Firefox ESR, driven by WebDriver BiDi; no geckodriver is needed.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";
import { eventually, started, stopped } from "./life.mjs";
import { expression, keyCodes } from "./script.mjs";

/** Only what the test asks for goes to the network, and no dialog appears. */
const preferences = {
  "app.update.auto": false,
  "app.update.enabled": false,
  "app.normandy.enabled": false,
  "browser.safebrowsing.downloads.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.homepage_override.mstone": "ignore",
  "browser.startup.page": 0,
  "datareporting.healthreport.uploadEnabled": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "dom.push.connection.enabled": false,
  "extensions.getAddons.cache.enabled": false,
  "extensions.systemAddon.update.enabled": false,
  "extensions.update.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "network.dns.disablePrefetch": true,
  "network.prefetch-next": false,
  "services.settings.server": "data:,",
  "toolkit.telemetry.enabled": false,
  "toolkit.telemetry.server": "data:,",
};

/**
 * `prepare` gets the folder of the profile before it is used; `preferences` are additional ones.
 */
export async function launchFirefox({ prepare = (_) => {}, preferences: more = {} } = {}) {
  const profile = mkdtempSync(join(tmpdir(), "wsbridge-firefox-"));
  prepare(profile);
  const lines = Object.entries({ ...preferences, ...more }).map(
    ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`,
  );
  writeFileSync(join(profile, "user.js"), lines.join("\n"));
  const child = spawn(
    "/usr/bin/firefox-esr",
    [
      "--headless",
      "--no-remote",
      "--profile",
      profile,
      "--remote-debugging-port",
      "0",
      "about:blank",
    ],
    {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, HOME: profile, MOZ_HEADLESS: "1" },
      detached: true,
    },
  );
  const end = async () => {
    await new Promise((done) => {
      if (child.exitCode !== null || child.signalCode !== null) return done();
      child.once("exit", done);
      // Its content processes are in the same group.
      process.kill(-child.pid, "SIGKILL");
    });
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  const address = await new Promise((done, fail) => {
    let log = "";
    child.stderr.on("data", (bytes) => {
      log += bytes;
      const found = /WebDriver BiDi listening on (ws:\/\/\S+)/.exec(log);
      if (found) done(found[1]);
    });
    child.once("exit", (code) => fail(new Error(`Firefox ended with ${code}:\n${log}`)));
  });
  const bidi = await dial(`${address}/session`);
  await bidi.ask("session.new", { capabilities: {} });
  await bidi.ask("session.subscribe", { events: ["log.entryAdded"] });
  const open = async (context) => {
    const said = [];
    bidi.listeners.push((event) => {
      if (event.method === "log.entryAdded" && event.params.source.context === context)
        said.push(`${event.params.level}: ${event.params.text}`);
    });
    const self = {
      engine: "firefox",
      said,
      goto: (url) => bidi.ask("browsingContext.navigate", { context, url, wait: "complete" }),
      async evaluate(body, ...args) {
        const answer = await bidi.ask("script.evaluate", {
          expression: expression(body, args),
          target: { context },
          awaitPromise: true,
          userActivation: true,
        });
        if (answer.type === "exception") throw new Error(`${answer.exceptionDetails.text}`);
        return JSON.parse(answer.result.value);
      },
      async click(selector) {
        const place = await self.evaluate((wanted) => {
          // `host >>> inside` reaches into a shadow tree.
          const parts = wanted.split(" >>> ");
          const root = parts
            .slice(0, -1)
            .reduce((outer, part) => outer.querySelector(part).shadowRoot, document);
          const box = root.querySelector(parts.at(-1)).getBoundingClientRect();
          return { x: Math.round(box.x + box.width / 2), y: Math.round(box.y + box.height / 2) };
        }, selector);
        const actions = [
          { type: "pointerMove", ...place },
          { type: "pointerDown", button: 0 },
          { type: "pointerUp", button: 0 },
        ];
        await bidi.ask("input.performActions", {
          context,
          actions: [{ type: "pointer", id: "mouse", actions }],
        });
      },
      async keys(text) {
        const actions = keyCodes(text).flatMap((value) => [
          { type: "keyDown", value },
          { type: "keyUp", value },
        ]);
        await bidi.ask("input.performActions", {
          context,
          actions: [{ type: "key", id: "keys", actions }],
        });
      },
      /** Types text into an element of the page's only frame. */
      async type(selector, text) {
        const tree = await bidi.ask("browsingContext.getTree", { root: context });
        const frame = await open(tree.contexts[0].children[0].context);
        await frame.evaluate((wanted) => document.querySelector(wanted).focus(), selector);
        await frame.keys(text);
      },
      async another() {
        return open((await bidi.ask("browsingContext.create", { type: "tab" })).context);
      },
      resize: (width, height) =>
        bidi.ask("browsingContext.setViewport", { context, viewport: { width, height } }),
      async screenshot(path) {
        writeFileSync(
          path,
          Buffer.from(
            (await bidi.ask("browsingContext.captureScreenshot", { context })).data,
            "base64",
          ),
        );
      },
      /** The window that `act` opens. */
      async popup(act) {
        const all = async () =>
          (await bidi.ask("browsingContext.getTree", {})).contexts.map((one) => one.context);
        const before = await all();
        await act();
        return open(
          await eventually(
            async () => (await all()).find((one) => !before.includes(one)),
            "the window",
          ),
        );
      },
      close: () => bidi.ask("browsingContext.close", { context }),
      async stop() {
        stopped(self);
        bidi.socket.terminate();
        await end();
      },
    };
    return self;
  };
  const tree = await bidi.ask("browsingContext.getTree", {});
  return started(await open(tree.contexts[0].context));
}

/** Commands and answers over one socket. */
async function dial(url) {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  const waiting = new Map();
  const listeners = [];
  let last = 0;
  await new Promise((done, fail) => socket.once("open", done).once("error", fail));
  socket.on("message", (text) => {
    const message = JSON.parse(text);
    if (message.id === undefined) return listeners.forEach((heard) => heard(message));
    const { done, fail, method } = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.type === "error")
      fail(new Error(`${method}: ${message.error}: ${message.message}`));
    else done(message.result);
  });
  socket.on("close", () => {
    for (const { fail, method } of waiting.values()) fail(new Error(`${method}: Firefox is gone`));
  });
  const ask = (method, params) =>
    new Promise((done, fail) => {
      last += 1;
      waiting.set(last, { done, fail, method });
      socket.send(JSON.stringify({ id: last, method, params }));
    });
  return { socket, ask, listeners };
}
