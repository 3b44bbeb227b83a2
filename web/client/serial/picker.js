// The port picker: a dialog of the page's own, in a shadow tree, that asks the user which line a
// program may use.

import { diagnose } from "../diagnose.js";

const STYLE = `
:host { all: initial }
dialog { box-sizing: border-box; width: min(34rem, calc(100vw - 2rem)); max-height: calc(100vh - 2rem); padding: 0; border: 1px solid #8886;
  border-radius: 10px; font: 15px/1.45 system-ui, sans-serif; color: CanvasText; background: Canvas; box-shadow: 0 8px 40px #0006; color-scheme: light dark }
dialog::backdrop { background: #0007 }
form { display: flex; flex-direction: column; max-height: inherit; margin: 0; padding: 1.1rem 1.2rem; gap: .8rem; box-sizing: border-box }
h2 { margin: 0; font-size: 1.1rem }
p { margin: 0 }
p.said { color: GrayText }
fieldset { margin: 0; padding: 0; border: 0; overflow: auto; min-height: 4rem; max-height: 50vh }
label.port { display: grid; grid-template-columns: auto 1fr auto; gap: .1rem .7rem; align-items: center; padding: .5rem .6rem; border-radius: 6px; cursor: pointer }
label.port:hover { background: #8882 }
label.port:has(:checked) { background: #2a6fdb2e }
label.port:has(:focus-visible) { outline: 2px solid #2a6fdb; outline-offset: -2px }
label.port small { grid-column: 2 / 4; color: color-mix(in srgb, CanvasText 75%, Canvas) }
label.port .state { font-size: .85rem; color: color-mix(in srgb, CanvasText 75%, Canvas) }
label.all { display: flex; gap: .5rem; align-items: center }
.enter { display: grid; gap: .8rem; justify-items: start }
[hidden] { display: none !important }
footer { display: flex; justify-content: flex-end; gap: .6rem }
button { font: inherit; padding: .45rem 1.1rem; min-height: 2.5rem; border-radius: 6px; border: 1px solid #8888; background: Canvas; color: CanvasText; cursor: pointer }
button.go { background: #1f5fc4; border-color: #1f5fc4; color: #fff }
button:disabled { opacity: .5; cursor: default }
button:focus-visible, a:focus-visible { outline: 2px solid #2a6fdb; outline-offset: 2px }
a { color: LinkText }
ol { margin: 0; padding-left: 1.3rem }
`;

const STATES = { up: "ready", down: "device absent", opening: "opening", closed: "ready" };

/** Ends the dialog that is open. @type {(() => void) | undefined} */
let dismiss;

/**
 * Asks; returns the name of the endpoint, or undefined if none was chosen.
 * @param {{ bus: import("../bus.js").Bus | undefined, gateway: string, passes?: (endpoint: any) =>
 *   boolean, failure?: unknown,
 *   entrance?: { href?: string, text?: string }, signIn?: () => Promise<import("../bus.js").Bus | undefined>, once?: boolean }} what
 * `signIn`: lets the user in and then returns the list; `once`: nothing else is asked
 * @returns {Promise<string | undefined>}
 */
export function choose({ bus, gateway, passes, failure, entrance, signIn, once = false }) {
  if (typeof document === "undefined") return Promise.resolve(undefined);
  dismiss?.();
  const { host, dialog, ports, help } = frame(gateway);
  const draw = () => ports.draw([...(bus?.endpoints.values() ?? [])], { passes, failure });
  ports.redraw = draw;
  bus?.addEventListener("change", draw);
  const enter =
    signIn &&
    signInBox(new URL(gateway).host, async () => {
      const found = await signIn();
      if (!found) return false;
      if (once) dialog.close("");
      bus?.removeEventListener("change", draw);
      bus = found;
      failure = undefined;
      bus.addEventListener("change", draw);
      ports.show(true);
      help.replaceChildren();
      draw();
      ports.focus();
      return true;
    });
  if (enter) {
    ports.show(false);
    help.append(enter.element);
  } else if (failure) void explain({ help, gateway, failure, entrance });

  return new Promise((done) => {
    dismiss = () => dialog.close("");
    dialog.addEventListener("close", () => {
      bus?.removeEventListener("change", draw);
      host.remove();
      dismiss = undefined;
      done(dialog.returnValue || undefined);
    });
    (document.body ?? document.documentElement).append(host);
    draw();
    dialog.showModal();
    if (enter) enter.button.focus();
    else ports.focus();
  });
}

/** The dialog: what it says, the list, and the two buttons. @param {string} gateway */
function frame(gateway) {
  const host = document.createElement("wsbridge-port-picker");
  const root = host.attachShadow({ mode: "open" });
  // A sheet made by script is not an inline style: pages with a strict policy allow it.
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];
  const help = el("div", {});
  const go = /** @type {HTMLButtonElement} */ (
    el("button", { class: "go", value: "go" }, "Connect")
  );
  const cancel = el("button", { value: "", type: "button" }, "Cancel");
  /** @param {string} name */
  const close = (name) => dialog.close(name);
  const ports = portList({ root, go, cancel, close });
  const title = `${globalThis.location?.host ?? "This page"} wants to use a serial line`;
  const form = el(
    "form",
    { method: "dialog" },
    el("h2", { id: "title" }, title),
    el("p", {}, "Lines of the gateway ", el("b", {}, new URL(gateway).host), "."),
    ports.list,
    ports.said,
    help,
    ports.all,
    el("footer", {}, cancel, go),
  );
  const dialog = /** @type {HTMLDialogElement} */ (
    el("dialog", { "aria-labelledby": "title" }, form)
  );
  cancel.addEventListener("click", () => close(""));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (ports.chosen) close(ports.chosen);
  });
  root.append(dialog);
  return { host, dialog, ports, help };
}

/**
 * The lines to choose from: those that fit, or all.
 * @param {{ root: ShadowRoot, go: HTMLButtonElement, cancel: HTMLElement,
 *   close: (name: string) => void }} about
 */
function portList({ root, go, cancel, close }) {
  const list = el("fieldset", { "aria-labelledby": "title" });
  const said = el("p", { class: "said", role: "status" });
  const everything = /** @type {HTMLInputElement} */ (el("input", { type: "checkbox" }));
  const all = el("label", { class: "all" }, everything, "Show all lines");
  let chosen = "";
  list.addEventListener("change", (event) => {
    chosen = /** @type {HTMLInputElement} */ (event.target).value;
    go.disabled = false;
  });
  list.addEventListener("dblclick", () => chosen && close(chosen));
  // Not every engine submits by itself on Enter in a list of radio buttons.
  list.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (chosen) close(chosen);
  });
  const ports = {
    list,
    said,
    all,
    redraw: () => {},
    get chosen() {
      return chosen;
    },
    /**
     * @param {any[]} endpoints
     * @param {{ passes?: (endpoint: any) => boolean, failure?: unknown }} how
     */
    draw(endpoints, { passes, failure }) {
      endpoints.sort((a, b) => (a.name < b.name ? -1 : 1));
      const fitting = endpoints.filter((endpoint) => !passes || passes(endpoint));
      all.hidden = fitting.length === endpoints.length;
      const shown = everything.checked ? endpoints : fitting;
      const focused =
        root.activeElement instanceof HTMLInputElement && root.activeElement.name === "port";
      list.replaceChildren(...shown.map((endpoint) => row(endpoint, endpoint.name === chosen)));
      if (!shown.some(({ name }) => name === chosen)) chosen = "";
      go.disabled = chosen === "";
      if (focused) /** @type {HTMLElement | null} */ (list.querySelector("input:checked"))?.focus();
      const none =
        endpoints.length > 0
          ? "No line has the USB numbers this program asks for."
          : "There is no line you may use.";
      said.textContent = shown.length > 0 || failure ? "" : none;
      said.hidden = said.textContent === "";
    },
    /** @param {boolean} value */
    show(value) {
      list.hidden = go.hidden = !value;
    },
    focus: () => (list.querySelector("input") ?? cancel).focus(),
  };
  everything.addEventListener("change", () => ports.redraw());
  return ports;
}

/**
 * The offer to sign in. @param {string} host the gateway's @param {() => Promise<boolean>} act in a
 * click
 */
function signInBox(host, act) {
  const said = el("p", { role: "alert" });
  const button = /** @type {HTMLButtonElement} */ (
    el("button", { type: "button", class: "go" }, "Sign in at the gateway…")
  );
  button.addEventListener("click", async () => {
    button.disabled = true;
    said.textContent = "The gateway asks in a window of its own.";
    try {
      if (await act()) return;
      said.textContent =
        "The gateway did not let this page in: its window was closed, or the answer was no.";
    } catch (error) {
      said.textContent = /** @type {Error} */ (error).message;
    }
    button.disabled = false;
    button.focus();
  });
  const text = `The gateway wants to know who you are. A window of ${host} opens and asks you; this page sees no password.`;
  return { button, element: el("div", { class: "enter" }, el("p", {}, text), button, said) };
}

/** One line of the list. @param {any} endpoint @param {boolean} checked */
function row(endpoint, checked) {
  const { name, title, kind, usb, state, writer } = endpoint;
  const radio = /** @type {HTMLInputElement} */ (
    el("input", { type: "radio", name: "port", value: name })
  );
  radio.checked = checked;
  const numbers = usb && `USB ${hex(usb.vid)}:${hex(usb.pid)}`;
  const facts = [title ? name : undefined, kind, numbers].filter(Boolean).join(" · ");
  const word = writer
    ? `in use by ${writer.user}`
    : (STATES[/** @type {keyof typeof STATES} */ (state)] ?? state ?? "");
  return el(
    "label",
    { class: "port" },
    radio,
    el("span", {}, title ?? name),
    el("span", { class: "state" }, word),
    el("small", {}, facts),
  );
}

/**
 * Why there is no list, and what helps. @param {{ help: HTMLElement, gateway: string, failure: any,
 * entrance?: { href?: string, text?: string } }} what
 */
async function explain({ help, gateway, failure, entrance }) {
  help.replaceChildren(
    el("p", { role: "status" }, "The gateway does not answer this page. Looking for the reason …"),
  );
  const found = await diagnose(new URL("ws/", gateway));
  const href =
    entrance?.href ??
    (found.reason === "login" || found.reason === "refused" ? gateway : undefined);
  const link = href
    ? [
        el(
          "p",
          {},
          el(
            "a",
            { href, target: "_blank", rel: "noopener" },
            entrance?.text ?? "Open the gateway's page",
          ),
        ),
      ]
    : [];
  const text = found.ok ? String(failure?.message ?? failure) : found.text;
  help.replaceChildren(
    el("p", { role: "alert" }, text),
    el("ol", {}, ...found.steps.map((step) => el("li", {}, step))),
    ...link,
  );
}

const hex = (/** @type {number} */ number) => number.toString(16).padStart(4, "0");

/**
 * An element with attributes and children; text is text. @param {string} name @param
 * {Record<string, string>} attributes @param {(Node | string)[]} children
 */
function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
