// The parts of LuCI that the views use, as far as it takes to show what they make: plain DOM, a
// router's answers from `ROUTER`.
"use strict";

const _ = (text) => text;

function build(tag, attributes, content) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes ?? {}))
    typeof value === "function" ? node.addEventListener(key, value) : node.setAttribute(key, value);
  for (const child of [content].flat(9))
    if (child !== undefined && child !== null) node.append(child);
  return node;
}

// LuCI's own: children stand in an array, each a node or text; what stands by itself is a node or
// HTML.
function E(tag, attributes, content) {
  const node = build(tag, attributes);
  if (Array.isArray(content))
    content.forEach((child) => node.append(child instanceof Node ? child : String(child)));
  else if (content instanceof Node) node.append(content);
  else if (content !== undefined && content !== null) node.innerHTML = String(content);
  return node;
}

// Likewise: text is split at its spaces.
const toArray = (value) =>
  Array.isArray(value)
    ? value
    : String(value ?? "")
        .trim()
        .split(/\s+/);

const L = { resolveDefault: (promise, fallback) => Promise.resolve(promise).catch(() => fallback) };
const polls = [];
const calls = [];

class Option {
  constructor(kind, name, title, description) {
    Object.assign(this, { kind, name, title, description, choices: [], needs: [] });
  }
  value(value, label) {
    this.choices.push([String(value), label ?? value]);
  }
  /** By one option, or by all that an object names. */
  depends(option, value) {
    this.needs.push(Object.entries(typeof option === "object" ? option : { [option]: value }));
  }
  // A widget there is only where the option was shown: one of a dialog is none of the page's.
  getUIElement(id) {
    return this.widgets?.[id] ?? null;
  }
  cfgvalue(values) {
    return this.load ? this.load(values[".name"]) : values[this.name];
  }
  // What its widget would show: a list has something selected.
  current(values) {
    return (
      this.cfgvalue(values) ??
      this.default ??
      (this.kind === "ListValue" ? this.choices[0]?.[0] : undefined)
    );
  }
  shown(values) {
    return (
      !this.needs.length ||
      this.needs.some((all) =>
        all.every(
          ([name, value]) =>
            this.section.options.find((one) => one.name === name)?.current(values) === value,
        ),
      )
    );
  }
  widget(values) {
    const value = this.cfgvalue(values) ?? this.default;
    const id = values[".name"];
    (this.widgets ??= {})[id] = {
      getValue: () => values[this.name],
      setValue: (text) => {
        (ROUTER.uci[id] ??= {})[this.name] = text;
      },
    };
    if (this.kind === "Button")
      return build(
        "div",
        {},
        build(
          "button",
          { class: "btn", click: (event) => this.onclick(event, id) },
          this.inputtitle,
        ),
      );
    if (this.kind === "Flag")
      return build("input", {
        type: "checkbox",
        ...(value === (this.enabled ?? "1") ? { checked: "" } : {}),
      });
    if (this.kind === "ListValue")
      return build(
        "select",
        {},
        this.choices.map(([own, label]) =>
          build("option", { value: own, ...(own === value ? { selected: "" } : {}) }, label),
        ),
      );
    return (this.kind === "DynamicList" ? toArray(value) : [value ?? ""].flat()).map((one) =>
      build("input", { value: one, placeholder: this.placeholder ?? "" }),
    );
  }
}

class Section {
  constructor(kind, name, type, title, description) {
    Object.assign(this, { kind, name, type, title, description, options: [], tabs: [] });
  }
  option(kind, name, title, description) {
    this.options.push(Object.assign(new Option(kind, name, title, description), { section: this }));
    return this.options.at(-1);
  }
  getUIElement(id, name) {
    return this.options.find((option) => option.name === name)?.getUIElement(id) ?? null;
  }
  // What LuCI's "Edit" shows: a section of its own, with copies of the options.
  dialog(id) {
    const copy = new Section("NamedSection", id, this.type, this.title, this.description);
    copy.tabs = this.tabs;
    copy.options = this.options.map((option) =>
      Object.assign(new Option(), { ...option, widgets: undefined, section: copy }),
    );
    return copy;
  }
  tab(name, title) {
    this.tabs.push([name, title]);
  }
  taboption(tab, ...rest) {
    return Object.assign(this.option(...rest), { tab });
  }
  formvalue(id, name) {
    return this.getUIElement(id, name)?.getValue() ?? null;
  }
  cells(values, modal) {
    return this.options
      .filter((option) => (modal || !option.modalonly) && option.shown(values))
      .map((option) => [option, option.widget(values)]);
  }
  // What LuCI's table shows of an option: its textvalue, by default what is stored (a flag's is a
  // word).
  cellOf(option, values) {
    if (option.textvalue) return option.textvalue(values[".name"]);
    const value = option.cfgvalue(values) ?? option.default ?? "";
    return option.kind === "Flag"
      ? value === (option.enabled ?? "1")
        ? "Yes"
        : "No"
      : String(value);
  }
  // And what it asks for before a Save: what is shown, not empty where it may not be, and as
  // `validate` has it.
  refused(values) {
    return this.options
      .filter((option) => option.shown(values))
      .flatMap((option) => {
        const value = String(option.cfgvalue(values) ?? option.default ?? "");
        if (option.rmempty === false && value === "" && option.kind === "Value")
          return [option.name];
        const said = option.validate?.(values[".name"], value) ?? true;
        return said === true ? [] : [option.name];
      });
  }
  rows(values, modal) {
    return this.cells(values, modal).map(([option, widget]) =>
      build("div", { class: "row", "data-option": option.name }, [
        build("label", {}, option.title),
        build("span", {}, [widget, build("small", {}, option.description)]),
      ]),
    );
  }
  render() {
    const sections = Object.values(ROUTER.uci).filter((values) => values[".type"] === this.type);
    const body =
      this.kind === "NamedSection"
        ? this.rows(ROUTER.uci[this.name], true)
        : sections.map((values) => {
            const dialog = this.dialog(values[".name"]);
            const row = this.options
              .filter((option) => !option.modalonly)
              .map((option) =>
                build("td", { "data-column": option.name }, this.cellOf(option, values)),
              );
            const details = build("details", { open: "", "data-section": values[".name"] }, [
              build("summary", {}, this.sectiontitle?.(values[".name"]) ?? values[".name"]),
              build("table", {}, build("tr", {}, row)),
              (this.tabs.length ? this.tabs : [[undefined, ""]]).map(([name, title]) => [
                build("h4", {}, title),
                dialog
                  .cells(values, true)
                  .filter(([option]) => option.tab === name)
                  .map(([option, widget]) =>
                    build("div", { class: "row", "data-option": option.name }, [
                      build("label", {}, option.title),
                      build("span", {}, [widget, build("small", {}, option.description)]),
                    ]),
                  ),
              ]),
            ]);
            details.dataset.refused = dialog.refused(values).join(" ");
            return details;
          });
    return build("div", { class: "cbi-section" }, [
      build("h3", {}, this.title),
      build("p", {}, this.description),
      body,
    ]);
  }
}

const form = Object.fromEntries(
  [
    "Flag",
    "Value",
    "ListValue",
    "MultiValue",
    "DynamicList",
    "Button",
    "NamedSection",
    "GridSection",
  ].map((kind) => [kind, kind]),
);
form.Map = class {
  constructor(config, title, description) {
    Object.assign(this, { config, title, description, sections: [] });
  }
  section(kind, ...rest) {
    this.sections.push(
      kind === "NamedSection" ? new Section(kind, ...rest) : new Section(kind, undefined, ...rest),
    );
    return this.sections.at(-1);
  }
  async render() {
    window.map = this;
    return build("div", { class: "cbi-map" }, [
      build("h2", {}, this.title),
      build("p", {}, this.description),
      this.sections.map((section) => section.render()),
    ]);
  }
};

const fs = {
  async exec(command, args) {
    const line = [command, ...args].join(" ");
    calls.push(line);
    const answer = ROUTER.exec[line];
    if (!answer) throw new Error(`${line}: access denied`);
    return answer;
  },
};
const poll = { add: (step, seconds) => polls.push([step, seconds]) };
const rpc = {
  declare:
    ({ object, method }) =>
    async () => {
      calls.push(`ubus ${object} ${method}`);
      return ROUTER.ubus[`${object} ${method}`];
    },
};
const uci = {
  load: async (config) => calls.push(`uci ${config}`),
  get: (config, id, option) => ROUTER.uci[id]?.[option] ?? null,
  sections: (config, type) => Object.values(ROUTER.uci).filter((one) => one[".type"] === type),
};
const ui = {
  // There is one dialog: another takes its place, and "Edit" is one.
  showModal: (title, content) => {
    document.querySelectorAll("details, #modal").forEach((one) => one.remove());
    document.body.append(build("div", { id: "modal" }, [build("h3", {}, title), content]));
  },
  hideModal: () => document.getElementById("modal").remove(),
  addNotification: (title, content) =>
    document.body.append(build("div", { id: "notification" }, content)),
};
const view = { extend: (methods) => methods };

// LuCI's loader, in short: a view is a function's body, what it requires its arguments.
async function show(source) {
  const names = [...source.matchAll(/^'require (\w+)';$/gm)].map((match) => match[1]);
  const modules = { form, fs, poll, rpc, uci, ui, view };
  const made = new Function(...names, "_", "E", "L", source)(
    ...names.map((name) => modules[name]),
    _,
    E,
    L,
  );
  document.body.append(await made.render(await made.load?.()));
  for (const [step] of polls) await step();
  const options = window.map.sections.flatMap((section) =>
    section.options.map((option) => [section.type, option.name]),
  );
  document.body.append(
    build("script", { id: "told", type: "application/json" }, JSON.stringify({ options, calls })),
  );
}
