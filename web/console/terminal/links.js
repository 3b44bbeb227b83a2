// A link written by a device: it is shown in full, and the user is asked before it is opened.

import { confirm } from "../dialog.js";
import { h } from "../dom.js";

/**
 * Asks, then opens `address` in a new tab without telling where it came from. Only http and https
 * are links.
 */
export async function askLink(address) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return;
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") return;
  const sure = await confirm({
    title: "Open this link?",
    text: "The device wrote it. It opens in a new tab:",
    body: h("p", { class: "mono breakable" }, url.href),
    ok: "Open",
  });
  if (sure) window.open(url.href, "_blank", "noopener,noreferrer");
}
