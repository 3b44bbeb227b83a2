// The macros panel: a button for each of this endpoint's text macros, with editing, import and
// export.

import { h, iconButton } from "../dom.js";
import { button, chooseFiles, status, whyNot } from "./fields.js";
import { macroForm } from "./macroform.js";
import { MACRO_LIMIT, parseMacros, printMacros, runMacro } from "./macros.js";

/** A file of macros is a few kilobytes of text. */
const FILE_LIMIT = 1 << 20;

export function macroPanel(ctx) {
  const kept = keeper(ctx.settings);
  const outcome = status();
  const buttons = h("ul", { class: "tool-macros" });
  const place = h("div", {});
  const runner = macroRunner(ctx, outcome);
  const element = h(
    "div",
    { class: "panel tool-macro-panel" },
    buttons,
    runner.cancel,
    outcome.element,
    h(
      "div",
      { class: "tool-row" },
      button("Add…", () => edit(null)),
      button("Import…", () => importFile(kept, outcome)),
      button("Export", exportFile),
    ),
    place,
  );

  function draw() {
    const rows = kept.list.map((macro, index) =>
      macroRow(macro, {
        disabled: whyNot(ctx) !== "",
        last: index === kept.list.length - 1,
        run: () => runner.run(macro),
        edit: () => edit(index),
        move: () => move(index),
      }),
    );
    const none = "No macros yet. A macro sends text or hex bytes with one click.";
    buttons.replaceChildren(...(rows.length > 0 ? rows : [h("li", { class: "note" }, none)]));
  }

  function move(index) {
    const next = [...kept.list];
    next.splice(index + 1, 0, ...next.splice(index, 1));
    kept.set(next);
    buttons.children[index + 1]
      ?.querySelector(".icon-button:last-child:not(:disabled), .icon-button")
      ?.focus();
  }

  function edit(index) {
    const form = macroForm({
      macro: index === null ? null : kept.list[index],
      keep: (macro) => kept.put(index, macro),
      remove: () => kept.set(kept.list.filter((_, at) => at !== index)),
      done: () => place.replaceChildren(),
    });
    place.replaceChildren(form.element);
    form.focus();
  }

  function exportFile() {
    const text = new Blob([printMacros(kept.list)], { type: "application/json" });
    ctx.save(`${ctx.name}-macros.json`, text);
  }

  const offs = [
    macroKeys(element, { list: () => kept.list, run: runner.run }),
    ctx.onState(draw),
    kept.on(draw),
  ];
  return {
    element,
    label: "Macros",
    dispose() {
      runner.stop();
      for (const off of offs) off();
    },
  };
}

/** The macros as this browser keeps them: { list, set(list), put(index or null, macro), on() }. */
function keeper(settings) {
  const load = () => {
    try {
      return parseMacros(JSON.stringify(settings.get("macros.list", [])));
    } catch {
      return []; // Kept by another version: better none than wrong ones.
    }
  };
  let list = load();
  const set = (next) => settings.set("macros.list", next);
  return {
    get list() {
      return list;
    },
    set,
    /** Stores one in its place, or a new one; returns what is wrong, if anything. */
    put(index, macro) {
      if (index === null && list.length >= MACRO_LIMIT)
        return `there are ${MACRO_LIMIT} macros, which is the most`;
      // A key has only one meaning.
      const others = list.map((one, at) =>
        at !== index && one.key === macro.key ? { ...one, key: "" } : one,
      );
      set(
        index === null ? [...others, macro] : others.map((one, at) => (at === index ? macro : one)),
      );
    },
    on(draw) {
      draw();
      return settings.on("macros.list", () => ((list = load()), draw()));
    },
  };
}

function macroRow(macro, { disabled, last, run, edit, move }) {
  return h(
    "li",
    {},
    button(macro.name, run, {
      class: "tool-macro",
      title: macro.key ? `Alt Shift ${macro.key}` : undefined,
      disabled,
    }),
    macro.key && h("kbd", {}, `Alt⇧${macro.key}`),
    iconButton("pen", `Edit ${macro.name}`, { onclick: edit }),
    iconButton("down", `Move ${macro.name} down`, { onclick: move, disabled: last }),
  );
}

/** Runs one macro at a time: { run(macro), stop(), cancel (the button) }. */
function macroRunner(ctx, outcome) {
  let running = null;
  const stop = () => running?.abort();
  const cancel = button("Stop the macro", stop, { class: "danger", hidden: true });

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

  return { run, stop, cancel };
}

/** Adds a file's macros; those with the same name are replaced. */
async function importFile(kept, outcome) {
  const [file] = await chooseFiles({ accept: ".json,application/json" });
  if (!file) return;
  try {
    if (file.size > FILE_LIMIT) throw new Error("the file is larger than 1 MB");
    const more = parseMacros(await file.text());
    const names = new Set(more.map(({ name }) => name));
    const next = [...kept.list.filter(({ name }) => !names.has(name)), ...more];
    if (next.length > MACRO_LIMIT)
      throw new Error(
        `with those there are, these are ${next.length} macros, and at most ${MACRO_LIMIT} are kept`,
      );
    kept.set(next);
    outcome.say(`${more.length} ${more.length === 1 ? "macro" : "macros"} imported.`);
  } catch (error) {
    outcome.say(`${file.name}: ${error.message}`, true);
  }
}

/** Alt Shift and a digit run a macro, in the pane it belongs to. Returns a function that ends this. */
function macroKeys(element, { list, run }) {
  const onkey = (event) => {
    if (!event.altKey || !event.shiftKey || event.ctrlKey || event.metaKey) return;
    const digit = /^Digit([1-9])$/.exec(event.code)?.[1];
    const macro = digit && list().find(({ key }) => key === digit);
    if (!macro || !element.closest(".pane")?.contains(event.target)) return;
    event.preventDefault();
    event.stopPropagation();
    run(macro);
  };
  // In the capturing phase, before the terminal takes the key for itself.
  document.addEventListener("keydown", onkey, true);
  return () => document.removeEventListener("keydown", onkey, true);
}
