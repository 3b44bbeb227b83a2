// LuCI view of wsbridge: who may do what. Passwords and tokens are made by the daemon, shown once, and kept as hashes.
'use strict';
'require form';
'require fs';
'require ui';
'require view';

const RIGHTS = _('Like *=read,write or modem1=read,write,signals,settings,takeover; * stands for any run of letters.');

// The daemon's first line is the secret, the section below has its hash.
async function made(args, option) {
	const { code, stdout, stderr } = await fs.exec('/usr/bin/wsbridge', args);
	const hash = stdout?.match(new RegExp(`option ${option} '([^']+)'`))?.[1];
	if (code !== 0 || !hash)
		throw new Error(stderr || _('The daemon gave no answer.'));
	return { secret: stdout.split('\n')[0], hash };
}

function shown(title, secret) {
	ui.showModal(title, [
		E('p', {}, _('It is shown this once. It holds after Save & Apply.')),
		E('pre', { id: 'wsbridge-secret' }, secret),
		E('div', { class: 'right' }, E('button', { class: 'btn cbi-button', click: ui.hideModal }, _('Close')))
	]);
}

// A button that makes the section's secret anew.
function maker(section, { option, label, title, args }) {
	const hash = section.option(form.Value, option, title, _('Its hash; the button makes a new one.'));
	hash.modalonly = true;
	hash.rmempty = false;
	const button = section.option(form.Button, `_${option}`, label);
	button.modalonly = true;
	button.inputtitle = label;
	button.onclick = async (event, id) => {
		try {
			const name = section.formvalue(id, 'name') || id;
			const { secret, hash: text } = await made(args(name), option);
			hash.getUIElement(id).setValue(text);
			shown(`${title}: ${name}`, secret);
		} catch (error) {
			ui.addNotification(null, E('p', {}, error.message), 'error');
		}
	};
}

function grid(map, kind, title, description) {
	const section = map.section(form.GridSection, kind, title, description);
	section.addremove = true;
	section.anonymous = false;
	section.nodescriptions = true;
	const name = section.option(form.Value, 'name', _('Name'), _('Where it has other letters than a-z, A-Z, 0-9 and _.'));
	name.modalonly = true;
	return section;
}

return view.extend({
	render() {
		const map = new form.Map('wsbridge', _('wsbridge: access'), _('What everybody may do on which endpoint.'));

		const users = grid(map, 'user', _('People'));
		maker(users, { option: 'password', label: _('New password'), title: _('Password'), args: name => [ 'passwd', name, '--generate', '--uci' ] });
		users.option(form.DynamicList, 'role', _('Roles'));
		users.option(form.DynamicList, 'right', _('Rights'), RIGHTS);

		const tokens = grid(map, 'token', _('Programs'));
		maker(tokens, { option: 'sha256', label: _('New token'), title: _('Token'), args: name => [ 'token', 'new', name, '--uci' ] });
		const expires = tokens.option(form.Value, 'expires', _('Expires'));
		expires.placeholder = '2037-01-31';
		tokens.option(form.DynamicList, 'role', _('Roles'));
		tokens.option(form.DynamicList, 'right', _('Rights'), RIGHTS);

		const roles = grid(map, 'role', _('Roles'), _('Rights to be given to several.'));
		roles.option(form.DynamicList, 'right', _('Rights'), RIGHTS);
		return map.render();
	}
});
