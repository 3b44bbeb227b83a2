// The parts of LuCI that the views use, as far as it takes to show what they make: plain DOM, a router's answers from `ROUTER`.
'use strict';

const _ = text => text;

function E(tag, attributes, content) {
	const node = document.createElement(tag);
	for (const [ key, value ] of Object.entries(attributes ?? {}))
		typeof value === 'function' ? node.addEventListener(key, value) : node.setAttribute(key, value);
	for (const child of [ content ].flat(9))
		if (child !== undefined && child !== null) node.append(child);
	return node;
}

const L = { resolveDefault: (promise, fallback) => Promise.resolve(promise).catch(() => fallback) };
const polls = [];
const calls = [];

class Option {
	constructor(kind, name, title, description) { Object.assign(this, { kind, name, title, description, choices: [], needs: [] }); }
	value(value, label) { this.choices.push([ String(value), label ?? value ]); }
	depends(option, value) { this.needs.push([ option, value ]); }
	// A widget there is only where the option was shown: one of a dialog is none of the page's.
	getUIElement(id) { return this.widgets?.[id] ?? null; }
	cfgvalue(values) { return this.load ? this.load(values['.name']) : values[this.name]; }
	shown(values) { return !this.needs.length || this.needs.some(([ option, value ]) => values[option] === value); }
	widget(values) {
		const value = this.cfgvalue(values) ?? this.default;
		const id = values['.name'];
		(this.widgets ??= {})[id] = { getValue: () => values[this.name], setValue: text => { (ROUTER.uci[id] ??= {})[this.name] = text; } };
		if (this.kind === 'Button') return E('div', {}, E('button', { class: 'btn', click: event => this.onclick(event, id) }, this.inputtitle));
		if (this.kind === 'Flag') return E('input', { type: 'checkbox', ...(value === (this.enabled ?? '1') ? { checked: '' } : {}) });
		if (this.kind === 'ListValue') return E('select', {}, this.choices.map(([ own, label ]) => E('option', { value: own, ...(own === value ? { selected: '' } : {}) }, label)));
		return [ value ?? '' ].flat().map(one => E('input', { value: one, placeholder: this.placeholder ?? '' }));
	}
}

class Section {
	constructor(kind, name, type, title, description) { Object.assign(this, { kind, name, type, title, description, options: [], tabs: [] }); }
	option(kind, name, title, description) {
		this.options.push(Object.assign(new Option(kind, name, title, description), { section: this }));
		return this.options.at(-1);
	}
	getUIElement(id, name) { return this.options.find(option => option.name === name)?.getUIElement(id) ?? null; }
	// What LuCI's "Edit" shows: a section of its own, with copies of the options.
	dialog(id) {
		const copy = new Section('NamedSection', id, this.type, this.title, this.description);
		copy.tabs = this.tabs;
		copy.options = this.options.map(option => Object.assign(new Option(), { ...option, widgets: undefined, section: copy }));
		return copy;
	}
	tab(name, title) { this.tabs.push([ name, title ]); }
	taboption(tab, ...rest) { return Object.assign(this.option(...rest), { tab }); }
	formvalue(id, name) { return this.getUIElement(id, name)?.getValue() ?? null; }
	cells(values, modal) {
		return this.options.filter(option => (modal || !option.modalonly) && option.shown(values)).map(option => [ option, option.widget(values) ]);
	}
	rows(values, modal) {
		return this.cells(values, modal).map(([ option, widget ]) => E('div', { class: 'row', 'data-option': option.name }, [
			E('label', {}, option.title), E('span', {}, [ widget, E('small', {}, option.description) ]) ]));
	}
	render() {
		const sections = Object.values(ROUTER.uci).filter(values => values['.type'] === this.type);
		const body = this.kind === 'NamedSection'
			? this.rows(ROUTER.uci[this.name], true)
			: sections.map(values => {
				const dialog = this.dialog(values['.name']);
				return E('details', { open: '', 'data-section': values['.name'] }, [ E('summary', {}, values['.name']),
					(this.tabs.length ? this.tabs : [ [ undefined, '' ] ]).map(([ name, title ]) => [ E('h4', {}, title),
						dialog.cells(values, true).filter(([ option ]) => option.tab === name).map(([ option, widget ]) =>
							E('div', { class: 'row', 'data-option': option.name }, [ E('label', {}, option.title), E('span', {}, [ widget, E('small', {}, option.description) ]) ])) ]) ]);
			});
		return E('div', { class: 'cbi-section' }, [ E('h3', {}, this.title), E('p', {}, this.description), body ]);
	}
}

const form = Object.fromEntries([ 'Flag', 'Value', 'ListValue', 'DynamicList', 'Button', 'NamedSection', 'GridSection' ].map(kind => [ kind, kind ]));
form.Map = class {
	constructor(config, title, description) { Object.assign(this, { config, title, description, sections: [] }); }
	section(kind, ...rest) {
		this.sections.push(kind === 'NamedSection' ? new Section(kind, ...rest) : new Section(kind, undefined, ...rest));
		return this.sections.at(-1);
	}
	async render() {
		window.map = this;
		return E('div', { class: 'cbi-map' }, [ E('h2', {}, this.title), E('p', {}, this.description), this.sections.map(section => section.render()) ]);
	}
};

const fs = {
	async exec(command, args) {
		const line = [ command, ...args ].join(' ');
		calls.push(line);
		const answer = ROUTER.exec[line];
		if (!answer) throw new Error(`${line}: access denied`);
		return answer;
	}
};
const poll = { add: (step, seconds) => polls.push([ step, seconds ]) };
const rpc = { declare: ({ object, method }) => async () => { calls.push(`ubus ${object} ${method}`); return ROUTER.ubus[`${object} ${method}`]; } };
const uci = { load: async config => calls.push(`uci ${config}`), get: (config, id, option) => ROUTER.uci[id]?.[option] ?? null };
const ui = {
	// There is one dialog: another takes its place, and "Edit" is one.
	showModal: (title, content) => {
		document.querySelectorAll('details, #modal').forEach(one => one.remove());
		document.body.append(E('div', { id: 'modal' }, [ E('h3', {}, title), content ]));
	},
	hideModal: () => document.getElementById('modal').remove(),
	addNotification: (title, content) => document.body.append(E('div', { id: 'notification' }, content))
};
const view = { extend: methods => methods };

// LuCI's loader, in short: a view is a function's body, what it requires its arguments.
async function show(source) {
	const names = [ ...source.matchAll(/^'require (\w+)';$/gm) ].map(match => match[1]);
	const modules = { form, fs, poll, rpc, uci, ui, view };
	const made = new Function(...names, '_', 'E', 'L', source)(...names.map(name => modules[name]), _, E, L);
	document.body.append(await made.render(await made.load?.()));
	for (const [ step ] of polls) await step();
	const options = window.map.sections.flatMap(section => section.options.map(option => [ section.type, option.name ]));
	document.body.append(E('script', { id: 'told', type: 'application/json' }, JSON.stringify({ options, calls })));
}
