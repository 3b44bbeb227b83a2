// One endpoint on the screen: head, notices, terminal, side, foot, and how they act together.

import { announce } from "../announce.js";
import { directory } from "../directory.js";
import { h } from "../dom.js";
import { kindName } from "../format.js";
import { link as connect } from "../link.js";
import { notices as noticePlace } from "../notices.js";
import { tools } from "../panels.js";
import { displayPanel } from "../panel/display.js";
import { linePanel } from "../panel/line.js";
import { ofEndpoint } from "../prefs.js";
import { store, undoing } from "../store.js";
import { findBar } from "../terminal/find.js";
import { typing as typed } from "../terminal/input.js";
import { keyRow } from "../terminal/keys.js";
import { catchPaste, copy, paste } from "../terminal/paste.js";
import { screen as makeScreen } from "../terminal/screen.js";
import { encode } from "../terminal/encoding.js";
import { context } from "./context.js";
import { flow as makeFlow } from "./flow.js";
import { head } from "./head.js";
import { inspector as makeInspector } from "./inspector.js";
import { actOnLease, leaseChip } from "./lease.js";
import { stage as makeStage } from "./stage.js";
import { statusLine } from "./status.js";
import { tells } from "./tells.js";
import { troubleCard } from "./trouble.js";
import { explain } from "../help/explain.js";

/** The pane of endpoint `name`: { element, name, link, actions, focus(), start(), dispose() }. `close()` is the user's wish to close it. */
export function pane(name, { close }) {
  const undo = undoing();
  const settings = ofEndpoint(name);
  const link = connect(name);
  const notices = noticePlace();
  const paused = store(null); // or { waiting }: scrolling is paused
  const screen = makeScreen({ settings, label: `Terminal of ${name}`, answering: () => link.mayWrite() });
  const flow = makeFlow({ link, screen, paused, onPauseEnd: (text) => (paused.set(null), notices.show(text, { key: "paused", for: 8 })) });
  const ctx = context({ link, screen, settings, notices, flow, reveal: (id) => side(true, id) });
  const find = findBar({ search: screen.search, terminal: screen.terminal });
  const chip = leaseChip(link.state, (op) => actOnLease(link, op, notices));

  const typing = typed({
    terminal: screen.terminal,
    settings,
    mayWrite: () => link.mayWrite() && !flow.claimed,
    send,
    refused: readOnly,
    echo: screen.echo,
  });

  function send(data) {
    const bytes = typeof data === "string" ? encode(data, screen.get("encoding")) : data;
    link.write(bytes).catch((error) => notices.show(`Not sent: ${error.message}`, { kind: "warn", key: "write", for: 8 }));
  }

  function readOnly() {
    const { role, phase, rights, holder, device } = link.state.value;
    if (flow.claimed) return notices.show("A transfer has the line: typing waits until it is over.", { key: "readonly", for: 5 });
    if (phase !== "up") return notices.show("Not sent: there is no connection.", { key: "readonly", for: 5, kind: "warn" });
    if (device === "down") return notices.show("Not sent: the device is not there.", { key: "readonly", for: 5, kind: "warn" });
    if (role === "writer") return;
    const right = rights.includes("write");
    const action = right && { label: holder ? "Ask to write" : "Write", run: () => actOnLease(link, "request", notices) };
    const who = holder ? `${holder.user} writes` : right ? "you have not taken the right to write" : "you have no right to write here";
    notices.show(`Read only: ${who}.`, { key: "readonly", for: 8, kind: "warn", action: action || undefined });
  }

  async function sendBreak() {
    if (!link.mayWrite()) return readOnly();
    const ms = settings.get("break.ms", 250);
    try {
      await link.sendBreak(ms);
      notices.show(`Break of ${ms} ms sent.`, { key: "break-sent", kind: "good", for: 4 });
    } catch (error) {
      notices.show(`No break was sent: ${error.message}`, { key: "break-sent", kind: "warn", for: 8 });
    }
  }

  const stage = makeStage({ name, screen, ctx, tools, settings });
  const inspector = makeInspector({
    label: `Settings and tools of ${name}`,
    panels: [
      { id: "line", label: "Line", icon: "settings", mount: () => linePanel({ link, notices, settings, sendBreak, announce }) },
      { id: "terminal", label: "Terminal", icon: "macro", mount: () => displayPanel({ settings }) },
      ...tools.filter(({ place }) => place === "panel").map((tool) => ({ ...tool, mount: () => tool.mount(ctx) })),
    ],
    changed: (id) => settings.set("side.tab", id),
    closed: () => side(false),
  });

  function side(value = !inspector.open, id = inspector.open ? undefined : settings.get("side.tab", "line")) {
    inspector.show(value, id);
    settings.set("side.open", value);
    bar.side.setAttribute("aria-expanded", String(value));
    if (value) inspector.focus();
    else screen.terminal.focus();
  }

  const actions = {
    find: () => find.open(),
    pause: () => paused.set(paused.value ? null : { waiting: 0 }),
    clear: () => (screen.clear(), stage.clear?.(), announce("Cleared")),
    side: () => side(),
    // By a key: into the side, past the terminal, which keeps Tab; from there it closes.
    toSide: () => (inspector.open && !inspector.element.contains(document.activeElement) ? inspector.focus() : side()),
    copy: () => copy(screen.terminal).then((done) => announce(done ? "Copied" : "Nothing is selected")),
    paste: () => pasteFromClipboard(),
    break: sendBreak,
    lease: () => chip.choose(),
    leave: () => bar.first.focus(),
    close,
  };

  async function pasteFromClipboard() {
    try {
      pasted(await navigator.clipboard.readText());
    } catch {
      notices.show("This browser does not give the clipboard to the page: press Ctrl Shift V in the terminal.", { for: 8 });
    }
  }

  function pasted(text) {
    if (!link.mayWrite() || flow.claimed) return readOnly();
    const instead = { label: "Send a file", run: () => side(true, "transfer") };
    paste({ text, terminal: screen.terminal, settings, type: typing.type, notice: notices.show, mayWrite: () => link.mayWrite(), instead });
  }

  const bar = head({ name, link, chip, actions, stage, paused });
  const status = statusLine({ state: link.state, openSettings: () => side(true, "line") });
  const trouble = h("div", { class: "trouble-place", hidden: true });
  const keys = keyRow({ terminal: screen.terminal, typing });
  stage.element.append(trouble);
  const element = h(
    "section",
    { class: "pane", "aria-label": name, tabindex: -1 },
    bar.element,
    h("div", { class: "pane-main" }, notices.element, find.element, stage.element, stage.bars, keys.element, status.element),
    inspector.element,
  );

  undo.add(
    catchPaste(screen.element, pasted),
    tells({ link, screen, notices, flow }),
    link.state.on((value) => {
      element.dataset.phase = value.phase;
      element.classList.toggle("read-only", value.phase === "up" && value.role === "observer");
      screen.terminal.options.cursorStyle = value.role === "writer" ? "block" : "underline";
      showTrouble(value);
    }),
    directory.on((endpoints) => {
      const entry = endpoints.get(name);
      bar.describe(entry?.title, kindName(entry?.kind));
      if (entry?.share && link.state.value.endpoint && link.state.value.endpoint.share !== entry.share) {
        link.state.patch({ endpoint: { ...link.state.value.endpoint, share: entry.share } });
      }
    }),
  );

  let told;
  async function showTrouble({ phase, trouble: cause }) {
    trouble.hidden = phase !== "closed" || !cause;
    if (trouble.hidden || cause === told) return;
    told = cause;
    const card = (help) => trouble.replaceChildren(troubleCard({ name, trouble: { ...cause, help }, again: () => link.start() }));
    card();
    // Why a page cannot reach its gateway takes a question or two to find out.
    if (cause.code === undefined) {
      const help = await explain(name);
      if (cause === told && help) card(help);
    }
  }

  return {
    element,
    name,
    link,
    actions,
    /** Called when the element is in the page. */
    start() {
      screen.open();
      if (settings.get("side.open", innerWidth >= 1200 * (element.parentElement?.childElementCount ?? 1))) {
        inspector.show(true, settings.get("side.tab", "line"));
        bar.side.setAttribute("aria-expanded", "true");
      }
      link.start();
    },
    focus: () => screen.terminal.focus(),
    refit: () => screen.refit(),
    dispose() {
      undo.undo();
      link.stop();
      for (const part of [typing, find, chip, bar, status, stage, inspector, flow, screen]) part.dispose();
    },
  };
}
