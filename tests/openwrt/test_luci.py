# LuCI's page: its JavaScript, menu and rights, and both views in a real Chromium over stubs of LuCI's modules.

import html
import json
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from router import binary

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "packaging/openwrt/luci-app-wsbridge"
VIEWS = APP / "htdocs/luci-static/resources/view/wsbridge"
HERE = Path(__file__).resolve().parent / "luci"
CONFIG = {
    "main": {".type": "wsbridge", ".name": "main", "enabled": "1", "listen": ["[::]:8443"], "tls": "self-signed"},
    "modem1": {".type": "endpoint", ".name": "modem1", "type": "serial", "usb": "0403:6001", "serial": "A50285BI", "baud": "115200", "title": "Dial-out modem"},
    "plc1": {".type": "endpoint", ".name": "plc1", "type": "tcp", "address": "192.0.2.20:502"},
    "alice": {".type": "user", ".name": "alice", "password": "$argon2id$old", "right": ["*=read,write"]},
    "billing": {".type": "token", ".name": "billing", "sha256": "00", "right": ["modem1=read"]},
    "laptop7": {".type": "certificate", ".name": "laptop7", "san": "laptop7.example", "right": ["*=read"]},
    "operator": {".type": "role", ".name": "operator", "right": ["*=read"]},
}


def uci(config):
    """The same as a file."""
    lines = []
    for name, values in config.items():
        lines.append(f"config {values['.type']} '{name}'")
        for option, value in values.items():
            if not option.startswith("."):
                lines += [f"\tlist {option} '{one}'" for one in value] if isinstance(value, list) else [f"\toption {option} '{value}'"]
    return "\n".join(lines) + "\n"


class Luci(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = binary()
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))

    def asked(self, *args):
        done = subprocess.run([self.daemon, *args], capture_output=True, text=True)
        return {"code": done.returncode, "stdout": done.stdout, "stderr": done.stderr}

    def show(self, name, then="", config=CONFIG, answers={}, running=True):
        """The page as Chromium makes it: its text, what it told of itself, and a screenshot."""
        file = self.folder / "wsbridge"
        file.write_text(uci(config))
        program = "/usr/bin/wsbridge"
        router = {
            "uci": config,
            "ubus": {"service list": {"wsbridge": {"instances": {"main": {"running": True, "pid": 4711}} if running else {}}}},
            "exec": {
                f"{program} check --uci": self.asked("check", "--uci", file),
                f"{program} ports --json": {"code": 0, "stdout": json.dumps([{"device": "/dev/ttyUSB0", "usb": {"id": "0403:6001", "serial": "A50285BI"}}]), "stderr": ""},
                f"{program} passwd user --generate --uci": self.asked("passwd", "user", "--generate", "--uci"),
                f"{program} token new token --uci": self.asked("token", "new", "token", "--uci"),
                **{f"{program} {asked}": answer for asked, answer in answers.items()},
            },
        }
        parts = {"ROUTER": json.dumps(router), "STUBS": (HERE / "stubs.js").read_text(), "VIEW": json.dumps((VIEWS / f"{name}.js").read_text()), "THEN": then}
        page = (HERE / "page.html").read_text()
        for key, value in parts.items():
            page = page.replace(f"%{key}%", value.replace("</", "<\\/") if key != "THEN" else value)
        (self.folder / "page.html").write_text(page)
        kept = ROOT / "target/openwrt-luci"
        kept.mkdir(parents=True, exist_ok=True)
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,2600", f"--user-data-dir={self.folder}/profile", "--virtual-time-budget=5000"]
        url = (self.folder / "page.html").as_uri()
        dom = subprocess.run([*command, "--dump-dom", url], capture_output=True, text=True, check=True, timeout=120).stdout
        subprocess.run([*command, f"--screenshot={kept}/{name}.png", url], capture_output=True, check=True, timeout=120)
        told = re.search(r'<script id="told"[^>]*>(.*?)</script>', dom, re.S)
        told = told[1] if told else "{}"
        dom = re.sub(r"<script.*?</script>", "", dom, flags=re.S)
        assert "BROKEN" not in dom, dom[dom.index("BROKEN") :][:500]
        return dom, json.loads(html.unescape(told)), router

    @unittest.skipUnless(shutil.which("node"), "no node")
    def test_the_views_are_javascript(self):
        for path in VIEWS.glob("*.js"):
            subprocess.run(["node", "--check", path], check=True, capture_output=True)

    def test_menu_and_rights_name_what_there_is(self):
        menu = json.loads((APP / "root/usr/share/luci/menu.d/luci-app-wsbridge.json").read_text())
        shown = {entry["action"]["path"] for entry in menu.values() if entry["action"]["type"] == "view"}
        self.assertEqual(shown, {f"wsbridge/{path.stem}" for path in VIEWS.glob("*.js")})
        rights = json.loads((APP / "root/usr/share/rpcd/acl.d/luci-app-wsbridge.json").read_text())
        self.assertEqual(menu["admin/services/wsbridge"]["depends"]["acl"], list(rights))
        # rpcd asks a login that is not root's for the object's method as well as for the command.
        for way, commands in [("read", ["check --uci", "ports --json"]), ("write", ["passwd user --generate --uci", "token new token --uci"])]:
            own = rights["luci-app-wsbridge"][way]
            self.assertEqual(own["file"], {f"/usr/bin/wsbridge {command}": ["exec"] for command in commands})
            self.assertEqual(own["ubus"]["file"], ["exec"])

    @unittest.skipUnless(shutil.which("chromium"), "no chromium")
    def test_the_page_of_endpoints_shows_them_and_what_the_daemon_says(self):
        dom, told, _ = self.show("endpoints")
        for part in ["Running", "PID 4711", 'data-section="modem1"', 'value="A50285BI"', 'value="192.0.2.20:502"', 'value="[::]:8443"']:
            self.assertIn(part, dom)
        # The daemon's own words: it refuses the hash of the example.
        self.assertIn("The saved configuration is wrong", dom)
        self.assertIn("option 'password' of user 'alice'", html.unescape(dom))
        # Options of other types are hidden.
        plc = dom.split('data-section="plc1"')[1].split("</details>")[0]
        self.assertIn('data-option="address"', plc)
        self.assertNotIn('data-option="baud"', plc)
        # And what means nothing without its flag.
        self.assertIn('data-option="tls"', plc)
        self.assertNotIn('data-option="tls_ca"', plc)
        # The table has labels, and no words of the file.
        self.assertEqual(re.findall('data-column="type">([^<]*)<', dom), ["Serial port", "TCP"])
        # The gateway, to click; by the address that this page came from where it listens on all of them.
        self.assertEqual(re.findall('<a href="([^"]*)"', dom), ["https://:8443/"])
        # In an empty field stands what holds without it, and no example: those are below.
        empty = dict(re.findall(r'data-option="(\w+)"><label>[^<]*</label><span><input value="" placeholder="([^"]+)"', dom))
        defaults = {"hsts": "not said", "format": "8N1", "history": "256KiB", "sessions": "16", "lease_idle": "never", "idle": "never", "rate": "no limit", "pacing_byte_delay": "none", "pacing_line_delay": "none",
                    "packing_plus": "none", "pacing_timeout": "2s", "heartbeat_every": "30s"}
        self.assertEqual(empty, defaults)
        # What is not set shows as such, so that saving the page sets nothing.
        dtr = dom.split('data-option="open_dtr"')[1].split("</select>")[0]
        self.assertLess(dtr.index('value=""'), dtr.index('value="1"'))
        self.known(told)

    @unittest.skipUnless(shutil.which("chromium"), "no chromium")
    def test_doors_are_shown_with_the_endpoint_they_lead_to(self):
        door = {".type": "door", ".name": "cfg0f1e2d", "endpoint": "modem1", "rfc2217": "127.0.0.1:2217", "as": "billing", "right": ["read", "write"], "resets": "esp"}
        dom, told, _ = self.show("endpoints", config={**CONFIG, "cfg0f1e2d": door})
        _, _, doors = dom.partition("<h3>Doors</h3>")
        for part in ['data-section="cfg0f1e2d"', 'value="127.0.0.1:2217"', '<option value="modem1" selected="">', '<option value="esp" selected="">', 'value="billing"']:
            self.assertIn(part, doors)
        self.known(told)

    @unittest.skipUnless(shutil.which("chromium"), "no chromium")
    def test_what_an_endpoint_needs_is_asked_for_before_it_is_saved(self):
        bare = {name: {".type": "endpoint", ".name": name, "type": kind} for name, kind in [("a", "tcp"), ("b", "serial"), ("c", "rfc2217"), ("d", "sim")]}
        bare["e"] = {**bare["b"], ".name": "e", "usb": "0403:6001"}
        bare["f"] = {**bare["b"], ".name": "f", "port": "/dev/ttyS1"}
        bare["g"] = {**bare["a"], ".name": "g", "listen": "127.0.0.1:7007"}
        dom, _, _ = self.show("endpoints", config={**CONFIG, **bare})
        refused = dict(re.findall('data-section="(.)" data-refused="([^"]*)"', dom))
        self.assertEqual(refused, {"a": "address", "b": "port", "c": "address", "d": "", "e": "", "f": "", "g": ""})
        # An address of its own, another port, no TLS, and one that only the router itself reaches.
        main = {**CONFIG["main"], "tls": "none", "listen": ["192.0.2.1:80", "127.0.0.1:9000", "0.0.0.0:8080"]}
        dom, _, _ = self.show("endpoints", config={**CONFIG, "main": main})
        self.assertEqual(re.findall('<a href="([^"]*)"', dom), ["http://192.0.2.1:80/", "http://:8080/"])
        dom, _, _ = self.show("endpoints", config={**CONFIG, "main": {**main, "enabled": "0"}}, running=False)
        self.assertIn("Switched off", dom)
        self.assertNotIn("<a href", dom)

    @unittest.skipUnless(shutil.which("chromium"), "no chromium")
    def test_a_certificate_without_a_word_about_tls_is_shown_as_what_it_is(self):
        files = {key: value for key, value in CONFIG["main"].items() if key != "tls"} | {"certificate": "/etc/ssl/c.pem", "key": "/etc/ssl/k.pem", "client_ca": "/etc/ssl/ca.pem", "client_crl": "/etc/ssl/crl.pem"}
        for main, shown in [(files, "files"), ({**CONFIG["main"], "tls": "none"}, "none"), ({".type": "wsbridge", ".name": "main"}, "self-signed")]:
            dom, _, _ = self.show("endpoints", config={**CONFIG, "main": main})
            tls = dom.split('data-option="tls"')[1].split("</select>")[0]
            self.assertEqual(re.findall(r'value="([a-z-]+)" selected', tls), [shown])
            # What is hidden, a Save takes away.
            for file in ["k.pem", "ca.pem", "crl.pem"]:
                self.assertEqual(f'value="/etc/ssl/{file}"' in dom, shown == "files")

    @unittest.skipUnless(shutil.which("chromium"), "no chromium")
    def test_every_word_of_uci_is_shown_as_what_it_means_so_that_a_save_keeps_it(self):
        modem = {**CONFIG["modem1"], "enabled": "on", "rs485": "yes", "open_dtr": "off", "open_rts": "true"}
        plc = {**CONFIG["plc1"], "enabled": "no"}
        dom, _, _ = self.show("endpoints", config={"main": {**CONFIG["main"], "enabled": "true"}, "modem1": modem, "plc1": plc})
        widget = lambda part, name: part.split(f'data-option="{name}"')[1].split("</span>")[0]
        main, modem, plc = dom.split("<details")
        for part, name, on in [(main, "enabled", True), (modem, "enabled", True), (plc, "enabled", False), (modem, "rs485", True)]:
            self.assertEqual("checked" in widget(part, name), on, name)
        for name, chosen in [("open_dtr", "0"), ("open_rts", "1")]:
            self.assertEqual(re.findall(r'value="(.?)" selected', widget(modem, name)), [chosen])
        # One item, said by `option` in place of `list`.
        dom, _, _ = self.show("access", config={"alice": {**CONFIG["alice"], "right": "plc1=read, write"}})
        self.assertIn('value="plc1=read, write"', dom)

    @unittest.skipUnless(shutil.which("chromium"), "no chromium")
    def test_a_section_is_shown_by_the_name_it_is_about(self):
        anonymous = {**CONFIG["plc1"], ".name": "cfg0a1b2c", "name": "plc-1"}
        dom, _, _ = self.show("endpoints", config={**CONFIG, "cfg0a1b2c": anonymous})
        self.assertEqual(re.findall("<summary>(.*?)</summary>", dom), ["modem1", "plc1", "plc-1"])
        self.assertEqual(dom.count('value="plc-1"'), 1)
        bob = {**CONFIG["alice"], ".name": "cfg0a1b2d", "name": "bob@example<b>&amp;"}
        dom, _, _ = self.show("access", config={"alice": CONFIG["alice"], "cfg0a1b2d": bob})
        # LuCI takes a title for HTML.
        self.assertEqual(re.findall("<summary>(.*?)</summary>", dom), ["alice", "bob@examplebamp;"])

    @unittest.skipUnless(shutil.which("chromium"), "no chromium")
    def test_what_the_daemon_says_is_shown_as_text_whatever_is_in_it(self):
        dom, _, _ = self.show("endpoints", config={**CONFIG, "plc1": {**CONFIG["plc1"], "type": "<b id=planted>tcp</b>"}})
        self.assertIn("<b id=planted>", html.unescape(dom.split('id="wsbridge-state"')[1].split("</pre>")[0]))
        self.assertNotIn('<b id="planted"', dom)
        answer = {"code": 1, "stdout": "", "stderr": "<b id=planted>no</b>"}
        dom, _, _ = self.show("access", "document.querySelector('[data-section=alice] button').click()", answers={"passwd user --generate --uci": answer})
        self.assertIn("&lt;b id=planted&gt;", dom)
        self.assertNotIn('<b id="planted"', dom)

    @unittest.skipUnless(shutil.which("chromium"), "no chromium")
    def test_the_page_of_access_makes_secrets_by_the_daemon_and_shows_them_once(self):
        press = lambda section: f"document.querySelector('[data-section={section}] button').click(); setTimeout(() => document.body.append(E('output', {{}}, ROUTER.uci.{section}.%s)), 100)"
        dom, told, router = self.show("access", press("alice") % "password")
        answer = router["exec"]["/usr/bin/wsbridge passwd user --generate --uci"]
        secret = answer["stderr"].strip()
        self.assertRegex(secret, r"^wsb_\S{20,}$")
        # What may be appended to the file has no secret in it.
        self.assertNotIn("wsb_", answer["stdout"])
        self.assertEqual(dom.count(secret), 1)
        self.assertIn(re.search(r"option password '(.*)'", answer["stdout"])[1], dom)
        # A machine, by what its certificate is known.
        machine = dom.split('data-section="laptop7"')[1].split("</details>")[0]
        for option in ["common_name", "san", "fingerprint", "role", "right"]:
            self.assertIn(f'data-option="{option}"', machine)
        self.assertIn('value="laptop7.example"', machine)
        # In the dialog that asked for it, which has yet to be saved.
        self.assertIn('data-section="alice"', dom)
        self.known(told)
        dom, _, router = self.show("access", press("billing") % "sha256")
        answer = router["exec"]["/usr/bin/wsbridge token new token --uci"]
        self.assertNotIn("wsb_", answer["stdout"])
        self.assertIn(answer["stderr"].strip(), dom)
        self.assertIn(re.search(r"option sha256 '(.*)'", answer["stdout"])[1], dom)

    def known(self, told):
        """Every option of the page is one of the daemon's, and every call one that rpcd lets pass."""
        text = (ROOT / "src/config/uci/full.uci").read_text()
        sections = [section.split("\n") for section in text.split("\nconfig ")[1:]]
        options = {(lines[0].split()[0], line.split()[1]) for lines in sections for line in lines[1:] if line.strip()}
        for kind, option in told["options"]:
            if not option.startswith("_"):
                self.assertIn((kind, option), options)
        self.assertGreater(len(told["options"]), 10)
        rights = json.loads((APP / "root/usr/share/rpcd/acl.d/luci-app-wsbridge.json").read_text())["luci-app-wsbridge"]
        for call in told["calls"]:
            way, rest = call.split(" ", 1)
            if way == "ubus":
                self.assertIn(rest.split()[1], rights["read"]["ubus"][rest.split()[0]])
            elif way == "uci":
                self.assertIn(rest, rights["read"]["uci"])
            else:
                # Word for word: to rpcd a `*` is also every other option of the program, which runs as root.
                self.assertIn(call, [*rights["read"]["file"], *rights["write"]["file"]])
