// WebKitGTK, the engine of Safari, driven by WebKitWebDriver on a screen of its own.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually, started, stopped } from "./life.mjs";
import { expression, keyCodes } from "./script.mjs";

const triple = { x64: "x86_64", arm64: "aarch64" }[process.arch] ?? process.arch;

/** The small browser that comes with the engine. */
export const miniBrowser = ["4.1", "4.0"]
  .map((api) => `/usr/lib/${triple}-linux-gnu/webkit2gtk-${api}/MiniBrowser`)
  .find((path) => existsSync(path));

/** The name of an element in WebDriver's JSON. */
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";

export async function launchWebKit() {
  const home = mkdtempSync(join(tmpdir(), "wsbridge-webkit-"));
  const screen = spawn(
    "/usr/bin/Xvfb",
    ["-displayfd", "3", "-screen", "0", "2048x1280x24", "-nolisten", "tcp"],
    {
      stdio: ["ignore", "ignore", "ignore", "pipe"],
      detached: true,
    },
  );
  const display = await new Promise((done, fail) => {
    screen.stdio[3].once("data", (bytes) => done(String(bytes).trim()));
    screen.once("exit", (code) => fail(new Error(`Xvfb ended with ${code}`)));
  });
  const port = await freePort();
  const child = spawn("/usr/bin/WebKitWebDriver", [`--port=${port}`, "--host=127.0.0.1"], {
    stdio: ["ignore", "ignore", "ignore"],
    detached: true,
    env: {
      ...process.env,
      DISPLAY: `:${display}`,
      HOME: home,
      XDG_RUNTIME_DIR: home,
      WEBKIT_DISABLE_COMPOSITING_MODE: "1",
      LIBGL_ALWAYS_SOFTWARE: "1",
      GDK_BACKEND: "x11",
      NO_AT_BRIDGE: "1",
    },
  });
  const ask = async (method, path, body) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      body: body && JSON.stringify(body),
    });
    const { value } = await answer.json();
    if (!answer.ok) throw new Error(`${method} ${path}: ${value?.error}: ${value?.message}`);
    return value;
  };
  await eventually(() => ask("GET", "/status").then((value) => value.ready), "WebKitWebDriver");
  const options = { binary: miniBrowser, args: ["--automation", "--private"] };
  const { sessionId } = await ask("POST", "/session", {
    capabilities: {
      alwaysMatch: { browserName: "MiniBrowser", "webkitgtk:browserOptions": options },
    },
  });
  const session = `/session/${sessionId}`;
  await ask("POST", `${session}/timeouts`, { script: 120000, pageLoad: 30000 });
  const kill = (process_) =>
    new Promise((done) => {
      if (process_.exitCode !== null || process_.signalCode !== null) return done();
      process_.once("exit", done);
      process.kill(-process_.pid, "SIGKILL");
    });
  let current = await ask("GET", `${session}/window`);
  /** A command goes to one window at a time. */
  const driven = (handle) => {
    const on = async (method, path, body) => {
      if (current !== handle) await ask("POST", `${session}/window`, { handle });
      current = handle;
      return ask(method, `${session}${path}`, body);
    };
    return {
      engine: "webkit",
      /** The bars of MiniBrowser let its window be no narrower. */
      narrowest: 460,
      said: [],
      goto: (url) => on("POST", "/url", { url }),
      /** Until the next page, what is asked is asked in this page's only frame. */
      async enter() {
        const frame = await on("POST", "/element", { using: "css selector", value: "iframe" });
        await on("POST", "/frame", { id: frame });
      },
      async evaluate(body, ...args) {
        const script = `const done = arguments[arguments.length - 1]; ${expression(body, args)}.then((result) => done({ result }), (error) => done({ error: String(error && error.stack ? error + "\\n" + error.stack : error) }));`;
        const { result, error } = await on("POST", "/execute/async", { script, args: [] });
        if (error !== undefined) throw new Error(error);
        return JSON.parse(result);
      },
      async click(selector) {
        const element = await on("POST", "/element", { using: "css selector", value: selector });
        await on("POST", `/element/${element[ELEMENT]}/click`, {});
      },
      async keys(text) {
        const actions = keyCodes(text).flatMap((value) => [
          { type: "keyDown", value },
          { type: "keyUp", value },
        ]);
        await on("POST", "/actions", { actions: [{ type: "key", id: "keys", actions }] });
      },
      /**
       * Text into an element of the page's only frame. The driver's keys reach the page alone, so
       * that it comes as from a soft keyboard.
       */
      async type(selector, text) {
        await this.enter();
        await this.evaluate(
          (wanted, typed) => {
            const element = document.querySelector(wanted);
            element.focus();
            const how = { data: typed, inputType: "insertText", bubbles: true };
            element.dispatchEvent(new InputEvent("input", how));
          },
          selector,
          text,
        );
        await on("POST", "/frame", { id: null });
      },
      /** The page's own part of the window, which has bars around it. */
      async resize(width, height) {
        const [wide, high] = await this.evaluate(() => [innerWidth, innerHeight]);
        const window = await on("GET", "/window/rect");
        await on("POST", "/window/rect", {
          x: 0,
          y: 0,
          width: window.width + width - wide,
          height: window.height + height - high,
        });
        await eventually(
          async () =>
            String(await this.evaluate(() => [innerWidth, innerHeight])) === `${width},${height}`,
          `a page of ${width} by ${height}`,
        );
      },
      async screenshot(path) {
        writeFileSync(path, Buffer.from(await on("GET", "/screenshot"), "base64"));
      },
      /** The window that `act` opens. */
      async popup(act) {
        const all = () => on("GET", "/window/handles");
        const before = await all();
        await act();
        return driven(
          await eventually(
            async () => (await all()).find((one) => !before.includes(one)),
            "the window",
          ),
        );
      },
      close: () => on("DELETE", "/window"),
    };
  };
  const self = started({
    ...driven(current),
    async stop() {
      stopped(self);
      await ask("DELETE", session).catch(() => {});
      await kill(child);
      await kill(screen);
      rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  });
  return self;
}

/** A port that is free now. WebKitWebDriver does not print the one it would choose. */
async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}
