// LuCI view of wsbridge: state of the daemon, its listeners, and the list of endpoints with everything to be edited.
'use strict';
'require form';
'require fs';
'require poll';
'require rpc';
'require uci';
'require view';

const callServiceList = rpc.declare({
	object: 'service',
	method: 'list',
	params: [ 'name' ],
	expect: { '': {} }
});

const LINES = [ 'serial', 'rfc2217' ];
const NETWORK = [ 'tcp', 'rfc2217', 'udp' ];
// The first choice is what an option that is not set shows.
const LEVELS = [ [ '', _('as it is') ], [ '1', _('on') ], [ '0', _('off') ] ];

// Tab, option, widget, title, what else. `of` are the types of endpoints that have the option, `needs` is the flag without which it means
// nothing; a placeholder is what holds without it.
const FIELDS = [
	[ 'general', 'enabled', form.Flag, _('Enabled'), { def: '1', list: true } ],
	[ 'general', 'name', form.Value, _('Name'), { hint: _('Where it has other letters than a-z, A-Z, 0-9 and _.') } ],
	[ 'general', 'title', form.Value, _('Title'), { list: true } ],
	[ 'general', 'type', form.ListValue, _('Type'), { values: { serial: _('Serial port'), tcp: _('TCP'), rfc2217: _('Serial port on another box (RFC 2217)'), udp: _('UDP'), sim: _('Simulated device') }, list: true, required: true } ],
	[ 'general', 'port', form.Value, _('Device'), { of: [ 'serial' ], hint: _('A device file; leave it empty to name a USB adapter below, which is found again in any socket.') } ],
	[ 'general', 'usb', form.Value, _('USB vendor:product'), { of: [ 'serial', 'tcp', 'rfc2217' ], hint: _('Like 0403:6001. Of a serial type it chooses the adapter; else it says what is behind, for web tools that choose by it.') } ],
	[ 'general', 'serial', form.Value, _('USB serial number'), { of: [ 'serial' ] } ],
	[ 'general', 'interface', form.Value, _('USB interface'), { of: [ 'serial' ], datatype: 'range(0,255)' } ],
	[ 'general', 'address', form.Value, _('Address'), { of: NETWORK, hint: _('Like 192.0.2.20:502; empty where the device connects to this router.') } ],
	[ 'general', 'listen', form.Value, _('The device connects to'), { of: [ 'tcp' ], hint: _('Address of this router, like 0.0.0.0:7007, in place of the device\'s own; the firewall must let it in.') } ],
	[ 'general', 'from', form.DynamicList, _('It comes from'), { of: [ 'tcp' ], hint: _('Networks, like 10.64.0.0/16; needed where other machines reach the address.') } ],
	[ 'general', 'registration', form.Value, _('Its registration'), { of: [ 'tcp' ], hint: _('What it says first, like PUMP7; ? is any byte. Without it whoever connects is the device.') } ],
	[ 'general', 'keep_registration', form.Flag, _('Pass the registration on'), { of: [ 'tcp' ] } ],
	[ 'line', 'heartbeat_send', form.Value, _('Heartbeat'), { of: [ 'tcp' ], hint: _('Bytes sent while nothing else is, like \\0.') } ],
	[ 'line', 'heartbeat_every', form.Value, _('Heartbeat after'), { of: [ 'tcp' ], placeholder: '30s' } ],
	[ 'line', 'heartbeat_ignore', form.Value, _('Heartbeat of the device'), { of: [ 'tcp' ], hint: _('Bytes that it sends by itself, which are dropped.') } ],
	[ 'general', 'local_port', form.Value, _('Port of this router'), { of: [ 'udp' ], datatype: 'port', placeholder: _('any'), hint: _('For a device that sends to it without being asked; the firewall must let it in.') } ],
	[ 'general', 'device', form.ListValue, _('Device'), { of: [ 'sim' ], required: true, values: [ 'modem', 'console', 'echo', 'modbus-rtu', 'modbus-tcp', 'echo-tcp', 'source', 'nmea' ] } ],
	[ 'line', 'baud', form.Value, _('Baud rate'), { of: LINES, datatype: 'uinteger', placeholder: '9600', values: [ '9600', '19200', '38400', '57600', '115200' ] } ],
	[ 'line', 'format', form.Value, _('Format'), { of: LINES, placeholder: '8N1', values: [ '8N1', '7E1', '8E1' ] } ],
	[ 'line', 'flow', form.ListValue, _('Flow control'), { of: LINES, values: [ '', 'none', 'rtscts', 'xonxoff' ] } ],
	[ 'line', 'open_dtr', form.ListValue, _('DTR when opened'), { of: LINES, values: LEVELS } ],
	[ 'line', 'open_rts', form.ListValue, _('RTS when opened'), { of: LINES, values: LEVELS } ],
	[ 'line', 'rs485', form.Flag, _('RS-485'), { of: [ 'serial' ], hint: _('Direction control by the driver.') } ],
	[ 'line', 'rs485_rts_on_send', form.Flag, _('RS-485: RTS while sending'), { of: [ 'serial' ], needs: 'rs485', def: '1' } ],
	[ 'line', 'rs485_rts_after_send', form.Flag, _('RS-485: RTS while receiving'), { of: [ 'serial' ], needs: 'rs485' } ],
	[ 'line', 'rs485_rx_during_tx', form.Flag, _('RS-485: hear what is sent'), { of: [ 'serial' ], needs: 'rs485' } ],
	[ 'line', 'rs485_terminate', form.Flag, _('RS-485: terminate the bus'), { of: [ 'serial' ], needs: 'rs485' } ],
	[ 'line', 'rs485_delay_before', form.Value, _('RS-485: wait before sending'), { of: [ 'serial' ], needs: 'rs485', placeholder: '0s', hint: _('Like 1ms.') } ],
	[ 'line', 'rs485_delay_after', form.Value, _('RS-485: wait after sending'), { of: [ 'serial' ], needs: 'rs485', placeholder: '0s', hint: _('Like 1ms.') } ],
	[ 'line', 'allow_console', form.Flag, _('Allow a console'), { of: [ 'serial' ], hint: _('Open even a port that is the kernel\'s console or has a login on it.') } ],
	[ 'line', 'tls', form.Flag, _('TLS to the device'), { of: [ 'tcp' ] } ],
	[ 'line', 'tls_ca', form.Value, _('Its authority'), { of: [ 'tcp' ], needs: 'tls', hint: _('Path of a PEM file; without it those of the system.') } ],
	[ 'line', 'tls_server_name', form.Value, _('Name in its certificate'), { of: [ 'tcp' ], needs: 'tls', hint: _('Where it is not that of the address.') } ],
	[ 'line', 'tls_certificate', form.Value, _('Certificate to show it'), { of: [ 'tcp' ], needs: 'tls', hint: _('Path of a PEM file.') } ],
	[ 'line', 'tls_key', form.Value, _('Key of that certificate'), { of: [ 'tcp' ], needs: 'tls', hint: _('Path of a PEM file.') } ],
	[ 'line', 'control', form.ListValue, _('Port control'), { of: [ 'rfc2217' ], values: [ '', 'required', 'optional' ] } ],
	[ 'sharing', 'share', form.ListValue, _('Sharing'), { values: [ '', 'one-writer', 'exclusive', 'everyone' ] } ],
	[ 'sharing', 'open', form.ListValue, _('Open'), { values: [ '', 'always', 'on-demand' ] } ],
	[ 'sharing', 'history', form.Value, _('History'), { placeholder: '256KiB' } ],
	[ 'sharing', 'lease_idle', form.Value, _('Lease ends after'), { placeholder: _('never'), hint: _('Like 10m.') } ],
	[ 'sharing', 'sessions', form.Value, _('Sessions'), { datatype: 'uinteger', placeholder: '16' } ],
	[ 'sharing', 'idle', form.Value, _('Idle sessions end after'), { placeholder: _('never'), hint: _('Like 30m.') } ],
	[ 'sharing', 'linger', form.Value, _('Last bytes may take'), { hint: _('What a session leaves is sent as long as it moves; standing still for so long, like 5s, the rest is discarded.') } ],
	[ 'sharing', 'rate', form.Value, _('Rate'), { placeholder: _('no limit'), hint: _('Like 1MiB/s.') } ],
	[ 'messages', 'packing_idle_ms', form.Value, _('Silence ends a message, ms'), { datatype: 'range(1,60000)' } ],
	[ 'messages', 'packing_delimiter', form.Value, _('Bytes that end a message'), { hint: _('Like \\r\\n.') } ],
	[ 'messages', 'packing_keep', form.Flag, _('Keep those bytes in the message'), { def: '1', hint: _('Of a message that ends with such bytes.') } ],
	[ 'messages', 'packing_plus', form.Value, _('Bytes behind those that belong to it'), { datatype: 'range(1,64)', placeholder: _('none'), hint: _('A checksum: 4 for electricity meters.') } ],
	[ 'messages', 'packing_length', form.Value, _('Bytes of a message'), { datatype: 'range(1,32764)' } ],
	[ 'messages', 'packing_modbus_rtu', form.Flag, _('Modbus RTU frames'), {} ],
	[ 'messages', 'pacing_byte_delay', form.Value, _('Pause after a byte'), { placeholder: _('none'), hint: _('Like 1ms.') } ],
	[ 'messages', 'pacing_line_delay', form.Value, _('Pause after a line'), { placeholder: _('none'), hint: _('Like 50ms.') } ],
	[ 'messages', 'pacing_prompt', form.Value, _('Prompt to wait for'), {} ],
	[ 'messages', 'pacing_timeout', form.Value, _('Longest wait for the prompt'), { placeholder: '2s' } ],
	[ 'recording', 'record', form.Flag, _('Record what passes'), { hint: _('Flash wears out: name a directory on a stick, or /tmp, which a restart empties.') } ],
	[ 'recording', 'record_format', form.ListValue, _('Format'), { needs: 'record', values: [ '', [ 'pcapng', _('for Wireshark (pcapng)') ], [ 'cast', _('for a terminal (cast)') ], [ 'raw', _('the bytes alone (raw)') ] ] } ],
	[ 'recording', 'record_directory', form.Value, _('Directory'), { needs: 'record', hint: _('Like /mnt/stick/recordings.') } ],
	[ 'recording', 'record_input', form.ListValue, _('What clients send'), { needs: 'record', values: LEVELS, hint: _('On consoles it contains passwords.') } ],
	[ 'recording', 'record_max_file', form.Value, _('Longest file'), { needs: 'record', placeholder: '16MiB' } ],
	[ 'recording', 'record_max_age', form.Value, _('Kept for'), { needs: 'record', placeholder: '30d' } ],
	[ 'recording', 'record_max_total', form.Value, _('All files'), { needs: 'record', placeholder: '256MiB', hint: _('Beyond that the oldest goes.') } ],
	[ 'recording', 'record_required', form.Flag, _('Nobody writes what is not recorded'), { needs: 'record' } ],
	[ 'recording', 'record_sync', form.Flag, _('On the disk first'), { needs: 'record', hint: _('Slow: a power cut cannot take it back.') } ],
	[ 'recording', 'record_decode', form.ListValue, _('Decode'), { needs: 'record', values: [ '', 'modbus' ] } ]
];

// UCI has more words for 1 and 0 than a widget knows, and what is shown is what a Save writes.
const WORDS = { on: '1', true: '1', yes: '1', enabled: '1', off: '0', false: '0', no: '0', disabled: '0' };

function flag(option, name) {
	option.load = id => {
		const said = uci.get('wsbridge', id, name);
		return WORDS[said] ?? said;
	};
}

// A section's own name is not always what it is about: UCI has no `-` in it. LuCI takes a title for HTML.
const named = id => (uci.get('wsbridge', id, 'name') || id).replace(/[<>&]/g, '');

function values(option, list) {
	const named = Array.isArray(list) ? list.map(one => Array.isArray(one) ? one : [ one, one || _('default') ]) : Object.entries(list);
	named.forEach(([ value, label ]) => option.value(value, label));
}

// Where a browser that sees this page finds the gateway: this router, by the ports it listens on for others.
function addresses() {
	const scheme = uci.get('wsbridge', 'main', 'tls') === 'none' ? 'http' : 'https';
	const found = [ uci.get('wsbridge', 'main', 'listen') ?? [] ].flat().map(address => address.match(/^(.*):(\d+)$/)).filter(Boolean);
	return found.filter(([ , host ]) => !/^127\.|^\[::1\]$/.test(host)).map(([ , host, port ]) =>
		`${scheme}://${/^(0\.0\.0\.0|\[::\])$/.test(host) ? window.location.hostname : host}:${port}/`);
}

// What the daemon itself says of the file in use, and whether procd runs it.
async function state() {
	const [ services, checked ] = await Promise.all([
		L.resolveDefault(callServiceList('wsbridge'), {}),
		L.resolveDefault(fs.exec('/usr/bin/wsbridge', [ 'check', '--uci' ]), null)
	]);
	const instances = Object.values(services.wsbridge?.instances ?? {});
	return { running: instances.filter(instance => instance.running), checked };
}

// Children of E stand in arrays: LuCI takes text that does not for HTML, and the daemon's words have names from the file in them.
function rendered({ running, checked }) {
	const off = WORDS[uci.get('wsbridge', 'main', 'enabled')] ?? uci.get('wsbridge', 'main', 'enabled') ?? '0';
	const said = checked ? `${checked.stderr || ''}${checked.stdout || ''}`.trim() : _('The daemon cannot be asked; is the package wsbridge installed?');
	const pids = running.map(instance => instance.pid).join(', ');
	return E('div', { id: 'wsbridge-state' }, [
		E('p', {}, [ running.length ? E('strong', { style: 'color: green' }, [ `${_('Running')} (PID ${pids})` ]) : E('strong', { style: 'color: red' }, [ off === '0' ? _('Switched off: it is not enabled below') : _('Not running') ]) ]),
		E('p', {}, running.length ? addresses().map(address => E('a', { href: address, target: '_blank', rel: 'noreferrer', style: 'margin-right: 1em' }, [ address ])) : []),
		E('p', {}, [ checked?.code ? _('The saved configuration is wrong, so it is not applied:') : _('What the saved configuration means:') ]),
		E('pre', { style: 'max-height: 20em; overflow: auto' }, [ said ])
	]);
}

return view.extend({
	load() {
		return Promise.all([
			state(),
			L.resolveDefault(fs.exec('/usr/bin/wsbridge', [ 'ports', '--json' ]), null),
			uci.load('wsbridge')
		]);
	},

	render([ now, ports ]) {
		let found = [];
		try { found = JSON.parse(ports?.stdout || '[]'); } catch (broken) { /* No list then; a path can be typed. */ }
		const map = new form.Map('wsbridge', _('wsbridge'), _('Authenticated WebSocket endpoints for serial lines and TCP ports.'));

		const status = map.section(form.NamedSection, 'main', 'wsbridge', _('State'));
		status.anonymous = true;
		status.render = () => E('div', { class: 'cbi-section' }, [ E('h3', {}, [ _('State') ]), rendered(now) ]);
		poll.add(async () => {
			const old = document.getElementById('wsbridge-state');
			const fresh = rendered(await state());
			if (old) old.replaceWith(fresh);
		}, 5);

		this.listeners(map);
		this.endpoints(map, found);
		this.doors(map);
		return map.render();
	},

	listeners(map) {
		const main = map.section(form.NamedSection, 'main', 'wsbridge', _('Gateway'));
		const enabled = main.option(form.Flag, 'enabled', _('Enabled'));
		enabled.rmempty = false;
		flag(enabled, 'enabled');
		const listen = main.option(form.DynamicList, 'listen', _('Listen on'), _('The firewall is left as it is.'));
		listen.placeholder = '[::]:8443';
		const tls = main.option(form.ListValue, 'tls', _('TLS'));
		// A certificate without a word is `files`, to the daemon as here: what is shown is what a Save would write.
		tls.load = id => uci.get('wsbridge', id, 'tls') ?? (uci.get('wsbridge', id, 'certificate') ? 'files' : 'self-signed');
		values(tls, { 'self-signed': _('self-signed'), files: _('certificate files'), none: _('none') });
		for (const [ name, title ] of [ [ 'certificate', _('Certificate') ], [ 'key', _('Private key') ] ]) {
			const file = main.option(form.Value, name, title, _('Path of a PEM file.'));
			file.depends('tls', 'files');
			file.rmempty = false;
		}
		for (const [ name, title, description ] of [
			[ 'client_ca', _('Authority of client certificates'), _('Path of a PEM file. Machines with a certificate of it are let in, as far as the page Access says.') ],
			[ 'client_crl', _('Revoked client certificates'), _('Path of the authority\'s list (CRL), PEM. It is read again when it changes.') ]
		]) {
			const file = main.option(form.Value, name, title, description);
			file.depends('tls', 'files');
		}
		const hsts = main.option(form.Value, 'hsts', _('HTTPS alone for'), _('Browsers use HTTPS alone for so long, like 365d, on every port of this router\'s name: LuCI\'s page, too.'));
		hsts.placeholder = _('not said');
		const plain = main.option(form.Flag, 'plain', _('Accept plain connections'), _('Whoever is on the way can read passwords and data.'));
		plain.enabled = 'accepted';
		plain.disabled = '';
		plain.depends('tls', 'none');
		main.option(form.DynamicList, 'origin', _('Origins'), _('Web pages allowed beside the gateway\'s own, like https://tools.example.'));
		main.option(form.DynamicList, 'host', _('Host names'), _('Names the gateway answers to beside its own.'));
	},

	endpoints(map, found) {
		const grid = map.section(form.GridSection, 'endpoint', _('Endpoints'), _('Each is reached at wss://GATEWAY/ws/NAME.'));
		grid.addremove = true;
		grid.anonymous = false;
		grid.nodescriptions = true;
		grid.sectiontitle = named;
		grid.modaltitle = id => `${_('Endpoint')}: ${named(id)}`;
		for (const [ tab, title ] of [ [ 'general', _('Device') ], [ 'line', _('Line') ], [ 'sharing', _('Sharing') ], [ 'messages', _('Messages') ] ])
			grid.tab(tab, title);
		for (const [ tab, name, widget, title, more ] of FIELDS) {
			const option = grid.taboption(tab, widget, name, title, more.hint);
			option.modalonly = more.list ? null : true;
			if (more.values) values(option, more.values);
			// LuCI's table shows what is stored, and not the label.
			if (more.list && more.values) option.textvalue = id => more.values[uci.get('wsbridge', id, name)] ?? '?';
			// LuCI asks for what is shown alone: an option of another type is none.
			if (more.required) option.rmempty = false;
			if (widget === form.Flag || more.values === LEVELS) flag(option, name);
			if (more.placeholder) option.placeholder = more.placeholder;
			if (more.datatype) option.datatype = more.datatype;
			if (more.def) option.default = more.def;
			for (const type of more.of ?? []) option.depends(more.needs ? { type, [more.needs]: '1' } : { type });
			if (name === 'port') for (const port of found) option.value(port.device, `${port.device}${port.warning ? ' (!)' : ''}`);
			if (name === 'serial') for (const port of found) if (port.usb?.serial) option.value(port.usb.serial, `${port.usb.serial} (${port.device})`);
			if (name === 'usb') for (const port of found) if (port.usb) option.value(port.usb.id, `${port.usb.id} (${port.device})`);
			// A dialog has copies of the options, so `this` is asked.
			if (name === 'address') option.validate = function(id, value) {
				return value || this.section.formvalue(id, 'listen') ? true : _('Write the address of the device.');
			};
			if (name === 'port') option.validate = function(id, value) {
				return value || this.section.formvalue(id, 'usb') ? true : _('Choose a device, or name a USB adapter below.');
			};
		}
	},

	// Where a program that knows no WebSocket reaches an endpoint. Exactly one of the ways is filled in; the daemon says so.
	doors(map) {
		const grid = map.section(form.GridSection, 'door', _('Doors'), _('Other ways in to an endpoint, for programs that know no WebSocket. Fill in exactly one of TCP, RFC 2217, TLS, unix socket and device node. There is no login: 127.0.0.1 is for programs of this router alone.'));
		grid.addremove = true;
		grid.anonymous = true;
		grid.nodescriptions = true;
		const endpoint = grid.option(form.ListValue, 'endpoint', _('Endpoint'));
		for (const section of uci.sections('wsbridge', 'endpoint')) endpoint.value(section.name || section['.name']);
		endpoint.rmempty = false;
		for (const [ name, title ] of [ [ 'tcp', _('TCP') ], [ 'rfc2217', _('RFC 2217') ], [ 'tls', _('TLS') ] ])
			grid.option(form.Value, name, title, _('Address to listen on, like 127.0.0.1:2001.'));
		grid.option(form.Value, 'unix', _('Unix socket'), _('Its path.')).modalonly = true;
		grid.option(form.Value, 'pty', _('Device node'), _('Its path, like /run/wsbridge/modem1; for programs of this router that open a serial port.')).modalonly = true;
		grid.option(form.Value, 'as', _('Counts as'), _('User or token whose rights the door lends.'));
		const more = (widget, name, title, description) => {
			const option = grid.option(widget, name, title, description);
			option.modalonly = true;
			if (widget === form.Flag) flag(option, name);
			return option;
		};
		values(more(form.MultiValue, 'right', _('Lends'), _('Without a choice: read and write.')), [ 'read', 'write', 'signals', 'settings', 'takeover' ]);
		more(form.DynamicList, 'from', _('Let in from'), _('Networks, like 192.0.2.0/24; needed where other machines reach the door.'));
		more(form.Flag, 'insecure', _('Without a login'), _('Needed where other machines reach the door: whoever is on the way can read and write.'));
		values(more(form.ListValue, 'http', _('What web pages can send'), _('Any page can make a browser send HTTP to this router.')), [ '', 'refuse', 'allow' ]);
		more(form.Flag, 'hold', _('Stay while the device is away'));
		more(form.Flag, 'banner', _('Say why in a line of text'), _('Of RFC 2217, to a client that is refused.'));
		more(form.Flag, 'announce', _('Found on the network'), _('Of RFC 2217, by multicast DNS, as openHAB looks for ports.'));
		values(more(form.ListValue, 'resets', _('Resets'), _('esp: those of esptool, with the timing the chip needs.')), [ '', 'none', 'esp' ]);
		for (const [ name, title ] of [ [ 'certificate', _('Certificate') ], [ 'key', _('Private key') ], [ 'client_ca', _('Authority of client certificates') ], [ 'client_crl', _('Revoked client certificates') ] ])
			more(form.Value, name, title, _('Of TLS: path of a PEM file.'));
	}
});
