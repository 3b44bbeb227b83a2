// Web Serial over the network in three engines: a page that knows nothing but navigator.serial, a
// port that is seen from its far end.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  eventually,
  launch,
  missing,
  rfc2217Device,
  servePages,
  startGateway,
  stopAll,
} from "./harness.mjs";

after(stopAll);

/**
 * A tool's page: the classic script first, then a module that looks for navigator.serial at once,
 * as programs do.
 */
const tool = (
  gateway,
  attributes = "",
) => `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A tool</title>
<script src="${gateway}webserial.js" ${attributes}></script>
<script type="module">globalThis.atLoad = typeof navigator.serial?.requestPort;</script></head><body><h1>A tool</h1></body></html>`;

/** What every test in a page begins with. */
const prelude = () => {
  globalThis.until = async (ask, what) => {
    for (let i = 0; i < 500; i++) {
      if (ask()) return;
      await new Promise((done) => setTimeout(done, 10));
    }
    throw new Error(`${what} did not happen`);
  };
  globalThis.failure = (promise) =>
    Promise.resolve(promise).then(
      () => "no error",
      (error) => `${error.name}: ${error.message}`,
    );
  globalThis.text = (bytes) => new TextDecoder().decode(bytes);
};

/** A page with the script, a port whose far end is here, and `run(name, body)`. */
async function setUp(t, engine) {
  const port = await rfc2217Device();
  const page = await launch(engine);
  const pages = await servePages();
  const yaml = `origins: [ "${pages.origin}" ]\nendpoints:\n  far:\n    rfc2217: { address: "${port.address}", baud: 9600 }\n  echo: { sim: echo }\n`;
  const gateway = await startGateway({ yaml });
  pages.pages["/tool.html"] = tool(gateway.direct, 'data-endpoints="far"');
  pages.pages["/picker.html"] = tool(gateway.direct);
  t.after(async () => {
    for (const one of [page, gateway, pages, port]) await one.stop();
  });
  const go = async (name) => {
    await page.goto(`${pages.url}${name}`);
    await page.evaluate(prelude);
  };
  return { port, page, gateway, go };
}

for (const engine of ["chromium", "firefox", "webkit"]) {
  test(`Web Serial in ${engine}`, { skip: missing(engine), timeout: 120_000 }, async (t) => {
    const { port, page, go } = await setUp(t, engine);
    await go("tool.html");

    await t.test("navigator.serial is there before the page's modules run", async () => {
      assert.equal(await page.evaluate(() => globalThis.atLoad), "function");
    });

    await t.test(
      "requestPort takes filters as Chromium does, and getPorts gives the same object",
      async () => {
        const seen = await page.evaluate(async () => {
          const { serial } = navigator;
          const none = await failure(serial.requestPort({ filters: [{ usbVendorId: 0x303a }] }));
          const empty = await failure(serial.requestPort({ filters: [{}] }));
          const before = (await serial.getPorts()).length;
          globalThis.port = await serial.requestPort({ filters: [] });
          const ports = await serial.getPorts();
          return {
            none,
            empty: empty.split(":")[0],
            before,
            same: ports.length === 1 && ports[0] === port,
            info: port.getInfo(),
            endpoint: port.endpoint,
            streams: [port.readable, port.writable],
          };
        });
        assert.deepEqual(seen, {
          none: "NotFoundError: No port selected by the user.",
          empty: "TypeError",
          before: 0,
          same: true,
          info: {},
          endpoint: "far",
          streams: [null, null],
        });
      },
    );

    await t.test("open checks its options, sets the line and is refused twice", async () => {
      const seen = await page.evaluate(async () => ({
        bits: (await failure(port.open({ baudRate: 115200, dataBits: 9 }))).split(":")[0],
        speed: (await failure(port.open({ baudRate: 0 }))).split(":")[0],
        right: await failure(
          port.open({ baudRate: 115200, parity: "even", dataBits: undefined, stopBits: 2 }),
        ),
        twice: (await failure(port.open({ baudRate: 9600 }))).split(":")[0],
      }));
      assert.deepEqual(seen, {
        bits: "TypeError",
        speed: "TypeError",
        right: "no error",
        twice: "InvalidStateError",
      });
      await eventually(
        () =>
          port.settings.baud === 115200 && port.settings.parity === 3 && port.settings.stop === 2,
        "the settings",
      );
    });

    await t.test("bytes go both ways; a chunk is a whole buffer of its own", async () => {
      const heard = [];
      port.on("data", (bytes) => heard.push(bytes));
      await page.evaluate(async () => {
        const writer = port.writable.getWriter();
        await writer.write(new TextEncoder().encode("abc").buffer);
        await writer.write(new DataView(new TextEncoder().encode("xdefx").buffer, 1, 3));
        writer.releaseLock();
      });
      await eventually(() => Buffer.concat(heard).toString() === "abcdef", "the bytes at the port");
      port.write("hello");
      const got = await page.evaluate(async () => {
        const reader = port.readable.getReader();
        let all = "";
        let whole = true;
        while (all.length < 5) {
          const { value } = await reader.read();
          whole &&= value.byteOffset === 0 && value.buffer.byteLength === value.byteLength;
          all += text(value);
        }
        reader.releaseLock();
        return { all, whole };
      });
      assert.deepEqual(got, { all: "hello", whole: true });
    });

    await t.test(
      "a read that is given up loses no byte; a BYOB reader fills the caller's buffer where there are byte streams",
      async () => {
        const gaveUp = await page.evaluate(async () => {
          const reader = port.readable.getReader();
          const pending = failure(reader.read());
          reader.releaseLock();
          return (await pending).split(":")[0];
        });
        assert.match(gaveUp, /^TypeError|AbortError$/);
        port.write("kept");
        const got = await page.evaluate(async () => {
          let reader;
          try {
            reader = port.readable.getReader({ mode: "byob" });
          } catch {
            reader = port.readable.getReader();
          }
          let all = "";
          while (all.length < 4)
            all += text(
              (
                await (reader.read.length > 0 ||
                reader instanceof (globalThis.ReadableStreamBYOBReader ?? Object)
                  ? reader.read(new Uint8Array(2))
                  : reader.read())
              ).value,
            );
          reader.releaseLock();
          return all;
        });
        assert.equal(got, "kept");
      },
    );

    await t.test(
      "break, parity, framing and overrun end the stream with Chromium's words, behind the bytes before, and a new one follows",
      async () => {
        for (const [kind, words] of [
          ["break", "BreakError: Break received"],
          ["parity", "ParityError: Parity error"],
          ["framing", "FramingError: Framing error"],
          ["overrun", "BufferOverrunError: Buffer overrun"],
        ]) {
          const told = page.evaluate(async () => {
            const stream = port.readable;
            const reader = stream.getReader();
            let all = "";
            try {
              for (;;) all += text((await reader.read()).value);
            } catch (error) {
              return {
                all,
                error: `${error.name}: ${error.message}`,
                fresh: port.readable !== null && port.readable !== stream,
              };
            }
          });
          port.write("x");
          port.error(kind);
          const { all, error, fresh } = await told;
          assert.deepEqual({ error, fresh }, { error: words, fresh: true });
          assert.match(all, /^x?/, kind);
        }
      },
    );

    await t.test(
      "what is no buffer is a TypeError; writable closes when all is sent, and another one follows",
      async () => {
        const heard = [];
        port.on("data", (bytes) => heard.push(bytes));
        const seen = await page.evaluate(async () => {
          const wrong = port.writable.getWriter();
          const error = (await failure(wrong.write("text"))).split(":")[0];
          wrong.releaseLock();
          const first = port.writable;
          const writer = first.getWriter();
          await writer.write(new Uint8Array(3000).fill(65));
          await writer.close();
          return { error, another: port.writable !== null && port.writable !== first };
        });
        assert.deepEqual(seen, { error: "TypeError", another: true });
        assert.equal(
          Buffer.concat(heard).length,
          3000,
          "they are at the port when close() is done",
        );
      },
    );

    await t.test(
      "setSignals moves what it names together, and getSignals gives four booleans",
      async () => {
        port.history.length = 0;
        const seen = await page.evaluate(async () => {
          const nothing = (await failure(port.setSignals({}))).split(":")[0];
          // The gateway keeps the distances, so the far end sees each change by itself.
          const pause = () => new Promise((done) => setTimeout(done, 60));
          await port.setSignals({ dataTerminalReady: true, requestToSend: true, break: undefined });
          await pause();
          await port.setSignals({ dataTerminalReady: false, requestToSend: true });
          await pause();
          await port.setSignals({ requestToSend: false });
          return { nothing, signals: await port.getSignals() };
        });
        assert.equal(seen.nothing, "TypeError");
        assert.deepEqual(seen.signals, {
          dataCarrierDetect: true,
          clearToSend: true,
          ringIndicator: false,
          dataSetReady: true,
        });
        await eventually(() => port.history.length === 3, "three changes");
        assert.deepEqual(
          port.history.map(({ dtr, rts }) => [dtr, rts]),
          [
            [true, true],
            [false, true],
            [false, false],
          ],
        );
      },
    );

    await t.test(
      "close and open again move no line; setBaudRate changes the speed of an open port",
      async () => {
        port.history.length = 0;
        const locked = await page.evaluate(async () => {
          const reader = port.readable.getReader();
          const error = (await failure(port.close())).split(":")[0];
          reader.releaseLock();
          await port.close();
          const closed = [port.readable, port.writable];
          await port.open({ baudRate: 57600 });
          await port.setBaudRate(230400);
          return { error, closed };
        });
        assert.deepEqual(locked, { error: "TypeError", closed: [null, null] });
        await eventually(() => port.settings.baud === 230400, "the speed");
        assert.deepEqual(port.history, [], "DTR and RTS stayed where they were");
      },
    );

    await t.test(
      "a device that goes is lost with Chromium's words and a disconnect; when it is back it connects",
      async () => {
        const told = page.evaluate(async () => {
          const events = [];
          for (const type of ["connect", "disconnect"]) {
            port.addEventListener(type, () => events.push(`port ${type}`));
            navigator.serial.addEventListener(type, (event) =>
              events.push(`serial ${type} ${event.target === port}`),
            );
          }
          const reader = port.readable.getReader();
          globalThis.waiting = true;
          const error = await failure(reader.read());
          await until(
            () => events.filter((one) => /disconnect/.test(one)).length === 2,
            "disconnect",
          );
          const streams = [port.readable, port.writable];
          await until(() => events.filter((one) => / connect/.test(one)).length === 2, "connect");
          return { error, events, streams };
        });
        await eventually(() => page.evaluate(() => globalThis.waiting === true), "the read");
        port.unplug();
        assert.deepEqual(await told, {
          error: "NetworkError: The device has been lost.",
          events: [
            "port disconnect",
            "serial disconnect true",
            "port connect",
            "serial connect true",
          ],
          streams: [null, null],
        });
      },
    );

    await t.test("forget takes the port away; the next one is another object", async () => {
      const seen = await page.evaluate(async () => {
        await port.close().catch(() => {});
        const old = port;
        await old.forget();
        const left = (await navigator.serial.getPorts()).length;
        const again = await navigator.serial.requestPort();
        return {
          left,
          other: again !== old,
          dead: (await failure(old.open({ baudRate: 9600 }))).split(":")[0],
        };
      });
      assert.deepEqual(seen, { left: 0, other: true, dead: "InvalidStateError" });
    });
  });
}

test(
  "without a given list a dialog asks; keys alone choose, and the choice is remembered",
  { skip: missing("chromium"), timeout: 60_000 },
  async (t) => {
    const { page, go } = await setUp(t, "chromium");
    await go("picker.html");
    const asked = page.evaluate(async () => failure(navigator.serial.requestPort()));
    await eventually(
      () =>
        page.evaluate(
          () =>
            document
              .querySelector("wsbridge-port-picker")
              ?.shadowRoot.querySelectorAll("input[type=radio]").length === 2,
        ),
      "the dialog",
    );
    await page.keys("{Escape}");
    assert.equal(await asked, "NotFoundError: No port selected by the user.");
    const chosen = page.evaluate(async () => (await navigator.serial.requestPort()).endpoint);
    await eventually(
      () =>
        page.evaluate(
          () =>
            document
              .querySelector("wsbridge-port-picker")
              ?.shadowRoot.querySelectorAll("input[type=radio]").length === 2,
        ),
      "the dialog again",
    );
    await page.keys("{ArrowDown}{Enter}");
    const name = await chosen;
    assert.ok(["far", "echo"].includes(name), name);
    await go("picker.html");
    assert.deepEqual(
      await page.evaluate(async () =>
        (await navigator.serial.getPorts()).map(({ endpoint }) => endpoint),
      ),
      [name],
    );
  },
);
