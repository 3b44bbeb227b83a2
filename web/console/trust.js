// The authority of the gateway's own certificate: what it is, and how to make another device trust
// it.

import { openDialog } from "./dialog.js";
import { h } from "./dom.js";
import { here, session } from "./session.js";

/** Systems, and where each lets certificates in. docs/trust.md has the details. */
const SYSTEMS = [
  [
    "Windows",
    "Open the file, Install Certificate, Local Machine, place it in: Trusted Root Certification Authorities.",
  ],
  ["macOS", "Open the file in Keychain Access, System; open its entry, Trust, SSL: Always Trust."],
  [
    "iPhone, iPad",
    "Settings, Profile Downloaded, Install; then General, About, Certificate Trust Settings.",
  ],
  [
    "Android",
    "Settings, Security, Encryption & credentials, Install a certificate, CA certificate.",
  ],
  [
    "Debian, Ubuntu",
    "sudo cp ca.crt /usr/local/share/ca-certificates/wsbridge.crt && sudo update-ca-certificates",
  ],
  [
    "Firefox",
    "Settings, Privacy & Security, View Certificates, Authorities, Import: to identify websites.",
  ],
  ["curl, Python", "curl --cacert ca.crt; ssl.create_default_context(cafile='ca.crt')"],
];

/** A fingerprint in groups that are easy to compare, and that can be wrapped. */
const fingerprint = (sha256) => h("code", { class: "fingerprint" }, sha256.replaceAll(":", " "));

/** What is shown under the sign-in form: { element, show(fingerprint or nothing) }. */
export function authorityNote() {
  const element = h("div", { class: "note trust", hidden: true });
  function show(sha256) {
    element.hidden = !sha256;
    if (!sha256) return;
    const said = "Authority of this gateway's certificate (SHA\u2011256): ";
    element.replaceChildren(h("p", {}, said, fingerprint(sha256)), trustButton(sha256));
  }
  return { element, show };
}

/** What "About this login" says about it. */
export const authorityFacts = ({ sha256, until }) => [
  fingerprint(sha256),
  h("p", { class: "note" }, `SHA-256; good until ${until}`),
  trustButton(sha256),
];

/** A button that shows how to trust the authority with this fingerprint. */
function trustButton(sha256) {
  return h(
    "button",
    { type: "button", class: "small", onclick: () => explain(sha256) },
    "Trust it on this device",
  );
}

/**
 * Shows an administrator, as a notice, what the authority lacks, while it does. Returns a function
 * that ends that.
 */
export function watchAuthority(notices) {
  let told = "";
  return session.on(({ authority }) => {
    const text = remark(authority);
    if (text === told) return;
    told = text;
    if (text) notices.show(text, { kind: "warn", key: "authority" });
    else notices.dismiss("authority");
  });
}

function remark(authority) {
  const { outside = [], ends_soon: soon, until } = authority ?? {};
  const anew =
    "On the gateway: sudo wsbridge ca new --replace. Other devices have to trust the new one.";
  if (outside.length > 0)
    return `The gateway's certificate is not good for ${outside.join(", ")}: its authority was made before. ${anew}`;
  if (soon) return `The authority of the gateway's certificate ends on ${until}. ${anew}`;
  return "";
}

function explain(sha256) {
  openDialog({
    title: "Trust this gateway",
    wide: true,
    body: [
      h(
        "p",
        {},
        "The gateway has an authority of its own. A device that trusts it shows no warning here any more. It may vouch for this gateway's names and for private addresses, and for nothing else.",
      ),
      h(
        "ol",
        {},
        h(
          "li",
          {},
          "Get ",
          h("a", { href: here("/ca.crt").href }, "ca.crt"),
          ", and compare its fingerprint (SHA-256) with what ",
          h("code", {}, "sudo wsbridge ca show"),
          " prints on the gateway. This page alone is no proof of it:",
          h("br", {}),
          fingerprint(sha256),
        ),
        h("li", {}, "Let the device trust it, and open this page again:"),
      ),
      h(
        "dl",
        { class: "facts" },
        SYSTEMS.map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text))),
      ),
    ],
  });
}
