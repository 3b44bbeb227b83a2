// The macros panel: a button for each text macro of this endpoint, editing, import and export.

import { h, iconButton } from "../dom.js";
import { button, chooseFiles, input, select, status, whyNot } from "./fields.js";
import { MACRO_LIMIT, blank, complaint, parseMacros, printMacros, runMacro } from "./macros.js";

/** A file of macros is text of some kilobytes. */
const FILE_LIMIT = 1 << 20;

export function macroPanel(ctx) {
  let list = load();
  let running = null;
  const outcome = status();
  const buttons = h("ul", { class: "tool-macros" });
  const place = h("div", {});
  const cancel = button("Stop the macro", () => running?.abort(), {
    class: "danger",
    hidden: true,
  });
  const element = h(
    "div",
    { class: "panel tool-macro-panel" },
    buttons,
    cancel,
    outcome.element,
    h(
      "div",
      { class: "tool-row" },
      button("Add…", () => edit(null)),
      button("Import…", importFile),
      button("Export", exportFile),
    ),
    place,
  );

  function load() {
    try {
      return parseMacros(JSON.stringify(ctx.settings.get("macros.list", [])));
    } catch {
      return []; // Kept by another version: better none than wrong ones.
    }
  }

  function keep(next) {
    list = next;
    ctx.settings.set("macros.list", list);
    draw();
  }

  function draw() {
    buttons.replaceChildren(
      ...list.map((macro, index) =>
        h(
          "li",
          {},
          button(macro.name, () => run(macro), {
            class: "tool-macro",
            title: macro.key ? `Alt Shift ${macro.key}` : undefined,
            disabled: whyNot(ctx) !== "",
          }),
          macro.key && h("kbd", {}, `Alt⇧${macro.key}`),
          iconButton("pen", `Edit ${macro.name}`, { onclick: () => edit(index) }),
          iconButton("down", `Move ${macro.name} down`, {
            onclick: () => move(index),
            disabled: index === list.length - 1,
          }),
        ),
      ),
    );
    if (list.length === 0)
      buttons.append(
        h(
          "li",
          { class: "note" },
          "No macros yet. A macro sends text or hex bytes with one click.",
        ),
      );
  }

  function move(index) {
    const next = [...list];
    next.splice(index + 1, 0, ...next.splice(index, 1));
    keep(next);
    buttons.children[index + 1]
      ?.querySelector(".icon-button:last-child:not(:disabled), .icon-button")
      ?.focus();
  }

  async function run(macro) {
    if (running) return outcome.say("A macro is running.", true);
    const reason = whyNot(ctx);
    if (reason) return outcome.say(reason, true);
    running = new AbortController();
    const { signal } = running;
    cancel.hidden = false;
    outcome.say(`${macro.name} runs.`);
    try {
      await runMacro(macro, (bytes) => ctx.write(bytes), signal);
      outcome.say(signal.aborted ? `${macro.name} was stopped.` : `${macro.name} was sent.`);
    } catch (error) {
      outcome.say(`${macro.name}: ${error.message}`, true);
    }
    running = null;
    cancel.hidden = true;
  }

  function edit(index) {
    const macro = index === null ? blank() : list[index];
    const name = input("Name", { maxlength: 40 }, { otherwise: macro.name });
    const mode = select(
      "Sends",
      [
        ["text", "text with \\r \\n \\e \\xNN"],
        ["hex", "hex bytes"],
      ],
      { otherwise: macro.mode },
    );
    const text = h("textarea", { rows: 4, spellcheck: "false", value: macro.text });
    const ending = select(
      "Each line ends with",
      [
        ["cr", "CR"],
        ["lf", "LF"],
        ["crlf", "CR LF"],
        ["none", "nothing"],
      ],
      { otherwise: macro.ending },
    );
    const delay = input(
      "Pause between lines, ms",
      { type: "number", min: 0, max: 60000 },
      { otherwise: String(macro.delay) },
    );
    const key = select(
      "Key",
      [
        ["", "none"],
        ...Array.from({ length: 9 }, (_, at) => [String(at + 1), `Alt Shift ${at + 1}`]),
      ],
      { otherwise: macro.key },
    );
    const wrong = status();
    const done = () => place.replaceChildren();
    const form = h(
      "form",
      {
        class: "tool-macro-form",
        "aria-label": index === null ? "New macro" : `Edit ${macro.name}`,
      },
      name.element,
      mode.element,
      h("label", { class: "field" }, "Text, a line each", text),
      ending.element,
      delay.element,
      key.element,
      wrong.element,
      h(
        "div",
        { class: "tool-row" },
        h("button", { type: "submit", class: "primary" }, "Keep"),
        button("Cancel", done),
        index !== null &&
          button(
            "Delete",
            () => {
              keep(list.filter((_, at) => at !== index));
              done();
            },
            { class: "danger" },
          ),
      ),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const next = {
        name: name.control.value.trim(),
        text: text.value.replaceAll("\r", ""),
        mode: mode.control.value,
        ending: ending.control.value,
        delay: Number(delay.control.value),
        key: key.control.value,
      };
      const problem =
        complaint(next) ??
        (index === null && list.length >= MACRO_LIMIT
          ? `there are ${MACRO_LIMIT} macros, which is the most`
          : null);
      if (problem) return wrong.say(problem, true);
      // A key does one thing.
      const others = list.map((one, at) =>
        at !== index && one.key === next.key ? { ...one, key: "" } : one,
      );
      keep(
        index === null ? [...others, next] : others.map((one, at) => (at === index ? next : one)),
      );
      done();
    });
    place.replaceChildren(form);
    name.control.focus();
  }

  async function importFile() {
    const [file] = await chooseFiles({ accept: ".json,application/json" });
    if (!file) return;
    try {
      if (file.size > FILE_LIMIT) throw new Error("the file is larger than 1 MB");
      const more = parseMacros(await file.text());
      const names = new Set(more.map(({ name }) => name));
      const next = [...list.filter(({ name }) => !names.has(name)), ...more];
      if (next.length > MACRO_LIMIT)
        throw new Error(
          `with those there are, these are ${next.length} macros, and at most ${MACRO_LIMIT} are kept`,
        );
      keep(next);
      outcome.say(`${more.length} ${more.length === 1 ? "macro" : "macros"} imported.`);
    } catch (error) {
      outcome.say(`${file.name}: ${error.message}`, true);
    }
  }

  function exportFile() {
    ctx.save(
      `${ctx.name}-macros.json`,
      new Blob([printMacros(list)], { type: "application/json" }),
    );
  }

  // In the capturing phase, before the terminal takes the key for itself; only in the pane the
  // macros belong to.
  const onkey = (event) => {
    if (!event.altKey || !event.shiftKey || event.ctrlKey || event.metaKey) return;
    const digit = /^Digit([1-9])$/.exec(event.code)?.[1];
    const macro = digit && list.find(({ key }) => key === digit);
    if (!macro || !element.closest(".pane")?.contains(event.target)) return;
    event.preventDefault();
    event.stopPropagation();
    run(macro);
  };
  document.addEventListener("keydown", onkey, true);
  const offs = [
    ctx.onState(draw),
    ctx.settings.on("macros.list", () => {
      list = load();
      draw();
    }),
  ];
  draw();
  return {
    element,
    label: "Macros",
    dispose() {
      running?.abort();
      document.removeEventListener("keydown", onkey, true);
      for (const off of offs) off();
    },
  };
}
