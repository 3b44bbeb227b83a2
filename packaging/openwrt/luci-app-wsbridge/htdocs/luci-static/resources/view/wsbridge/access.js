// LuCI view of wsbridge: who may do what. Passwords and tokens are made by the daemon, shown once, and kept as hashes.
'use strict';
'require form';
'require fs';
'require uci';
'require ui';
'require view';

const RIGHTS = _('Like *=read,write or modem1=read,write,signals,settings,takeover; * stands for any run of letters.');

// The daemon prints the section with the hash, and the secret beside it, on standard error.
async function made(args, option) {
	const { code, stdout, stderr } = await fs.exec('/usr/bin/wsbridge', args);
	const hash = stdout?.match(new RegExp(`option ${option} '([^']+)'`))?.[1];
	const secret = stderr?.match(/^wsb_\S+$/m)?.[0];
	if (code !== 0 || !hash || !secret)
		throw new Error(stderr || _('The daemon gave no answer.'));
	return { secret, hash };
}

// A button that makes the section's secret anew, and shows it beside itself: there is one dialog, and that is the section's.
// What the daemon is asked has one form, so rpcd lets pass that one; the name in the answer is not used.
function maker(section, { option, label, args }) {
	const hash = section.option(form.Value, option, _('Hash'), _('Of the secret; the button makes a new one. Empty where a file has it.'));
	hash.modalonly = true;
	const button = section.option(form.Button, `_${option}`, label);
	button.modalonly = true;
	button.inputtitle = label;
	// A dialog has copies of the options, so `this` is asked, and not what is known here.
	button.onclick = async function(event, id) {
		const cell = event.currentTarget.parentNode;
		const own = this.section;
		try {
			const { secret, hash: text } = await made(args, option);
			own.getUIElement(id, option).setValue(text);
			cell.querySelectorAll('.wsbridge-secret').forEach(old => old.remove());
			cell.append(E('div', { class: 'wsbridge-secret' }, [
				E('pre', {}, [ secret ]),
				E('em', {}, [ _('It is shown this once, and holds after Save and Save & Apply.') ])
			]));
		} catch (error) {
			ui.addNotification(null, E('p', {}, [ error.message ]), 'error');
		}
	};
}

// A list; what `option` says in its place is one item, which LuCI by itself would split at each space.
function list(section, name, title, description) {
	const option = section.option(form.DynamicList, name, title, description);
	option.load = id => {
		const said = uci.get('wsbridge', id, name);
		return typeof said === 'string' ? [ said ] : said;
	};
}

// A section's own name is not always what it is about: UCI has no `-` in it. LuCI takes a title for HTML.
const named = id => (uci.get('wsbridge', id, 'name') || id).replace(/[<>&]/g, '');

function grid(map, kind, title, description) {
	const section = map.section(form.GridSection, kind, title, description);
	section.addremove = true;
	section.anonymous = false;
	section.nodescriptions = true;
	section.sectiontitle = named;
	const name = section.option(form.Value, 'name', _('Name'), _('Where it has other letters than a-z, A-Z, 0-9 and _.'));
	name.modalonly = true;
	return section;
}

return view.extend({
	render() {
		const map = new form.Map('wsbridge', _('wsbridge: access'), _('What everybody may do on which endpoint.'));

		const users = grid(map, 'user', _('People'));
		maker(users, { option: 'password', label: _('New password'), args: [ 'passwd', 'user', '--generate', '--uci' ] });
		list(users, 'role', _('Roles'));
		list(users, 'right', _('Rights'), RIGHTS);

		const tokens = grid(map, 'token', _('Programs'));
		maker(tokens, { option: 'sha256', label: _('New token'), args: [ 'token', 'new', 'token', '--uci' ] });
		const expires = tokens.option(form.Value, 'expires', _('Expires'), _('At the end of a day (UTC), like 2037-01-31.'));
		expires.placeholder = _('never');
		tokens.option(form.Flag, 'shared', _('Shared'), _('Several programs have it: none takes the right to write from another.'));
		list(tokens, 'role', _('Roles'));
		list(tokens, 'right', _('Rights'), RIGHTS);

		const machines = grid(map, 'certificate', _('Machines'), _('Known by a client certificate of the authority that the gateway names: by one of these three.'));
		machines.option(form.Value, 'common_name', _('Common name'), _('Of its subject, the only one there.'));
		machines.option(form.Value, 'san', _('Alternative name'), _('Like plc-7.example, 192.0.2.7 or a URI.'));
		const fingerprint = machines.option(form.Value, 'fingerprint', _('Fingerprint'), _('SHA-256 of the certificate, in hexadecimal digits.'));
		fingerprint.modalonly = true;
		list(machines, 'role', _('Roles'));
		list(machines, 'right', _('Rights'), RIGHTS);

		const roles = grid(map, 'role', _('Roles'), _('Rights to be given to several.'));
		list(roles, 'right', _('Rights'), RIGHTS);
		return map.render();
	}
});
