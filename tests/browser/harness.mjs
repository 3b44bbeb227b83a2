// The parts of the browser suite: the real daemon, three engines, devices at the far end, and a
// network that can be bad.
//
//   const gateway = await startGateway({ yaml: "endpoints:\n  echo: { sim: echo }\n" });
//   const page = await launch("chromium");          // or "firefox", "webkit"
//   await page.goto(gateway.url);
//   await page.evaluate((name) => document.title + name, "x");
//
// Everything that is started registers itself; `after(stopAll)` ends whatever is left, even if a
// test failed.

export { startGateway, binary } from "./harness/gateway.mjs";
export { servePages, buildPage, forward } from "./harness/pages.mjs";
export { launch, missing } from "./harness/engines.mjs";
export { delayProxy } from "./harness/proxy.mjs";
export { tcpDevice, echoDevice, processDevice } from "./harness/devices.mjs";
export { rfc2217Device } from "./harness/rfc2217.mjs";
export { started, stopAll, eventually } from "./harness/life.mjs";
