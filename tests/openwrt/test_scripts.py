# The init script and the first set-up under busybox ash, with stubs that record, and the daemon they start.

import base64
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import time
import unittest

from router import Router, binary

GOOD = """config wsbridge 'main'
	option enabled '1'
	option auth 'none'
	list listen '127.0.0.1:0'
	option tls 'none'

config endpoint 'echo'
	option type 'sim'
	option device 'echo-tcp'
"""


# A service without an instance.
NOTHING = ["procd_open_service", "procd_close_service set"]


class Scripts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = binary()

    def setUp(self):
        self.router = Router(self.daemon)
        self.addCleanup(self.router.close)

    def test_start_gives_procd_one_instance_with_a_constant_command_line(self):
        self.router.config.write_text(GOOD)
        recorded, code = self.router.init("start")
        self.assertEqual(code, 0)
        config, root = self.router.config, self.router.root
        self.assertEqual(self.sent(recorded), [
            "procd_open_instance main",
            f"procd_set_param command {root}/usr/bin/wsbridge serve --syslog --uci {config}",
            f"procd_set_param file {config}",
            "procd_set_param reload_signal HUP",
            "procd_set_param term_timeout 10",
            "procd_set_param respawn 3600 5 0",
            "procd_set_param stdout 1",
            "procd_set_param stderr 1",
            "procd_set_param no_new_privs 1",
            f"procd_set_param env RUNTIME_DIRECTORY={root}/var/run/wsbridge-main",
            "procd_set_param user wsbridge",
            "procd_close_instance ",
        ])
        changed = GOOD.replace("echo-tcp", "source").replace("main'", "main'\n\toption dead_after '9s'")
        self.router.config.write_text(changed)
        self.assertEqual(self.router.init("reload"), (recorded, 0))

    def sent(self, recorded):
        """What procd got of instances."""
        return [line for line in recorded if line.startswith("procd_") and not line.startswith(("procd_open_service", "procd_close_service", "procd_kill"))]

    def test_as_shipped_it_is_disabled_and_nothing_starts(self):
        self.assertIn("option enabled '0'", self.router.config.read_text())
        for action in ["start", "reload"]:
            recorded, code = self.router.init(action)
            self.assertEqual((recorded, code), (NOTHING, 0))

    def test_a_wrong_option_starts_nothing_and_is_logged(self):
        self.router.config.write_text(GOOD + "\toption buad '9600'\n")
        recorded, code = self.router.init("start")
        self.assertEqual((self.sent(recorded), code), ([], 1))
        self.assertTrue(recorded[1].startswith("logger -t wsbridge -p daemon.err "), recorded)
        self.assertIn(":10: option 'buad' of endpoint 'echo': ", recorded[1])
        # Each line once.
        self.assertEqual(len(recorded), len(set(recorded)))

    def test_whatever_is_wrong_with_the_file_what_runs_goes_on_and_the_code_says_so(self):
        broken = [
            (GOOD.replace("echo-tcp", "ehco"), "option 'device' of endpoint 'echo'"),
            # What uci itself cannot read; config_load takes all that stands before it.
            (GOOD + "\toption title 'Modem\n", ":10: the quote ' that opens here is never closed"),
            (GOOD + "opton title 'Modem'\n", ":10: "),
            ("", "no section 'config wsbridge'"),
            ("\n", "no section 'config wsbridge'"),
            (GOOD.split("\n\n")[1], "no section 'config wsbridge'"),
            (GOOD.replace("option enabled '1'", "option enabled 'maybe'"), "an option of wsbridge 'main' (enabled, "),
            (GOOD.replace("option enabled", "option user 'nobody-here'\n\toption enabled"), "no user 'nobody-here'"),
        ]
        for text, part in broken:
            self.router.config.write_text(text)
            for action, last in [("start", "not applied"), ("reload", "not applied"), ("boot", "not applied"), ("restart", "not restarted")]:
                self.router.runs("main")
                recorded, code = self.router.init(action)
                self.assertEqual(code, 1, (action, text))
                # Nothing was sent: neither an answer without instances, nor an end.
                self.assertEqual([line for line in recorded if "close_service" in line or "kill" in line or "instance" in line], [], (action, text))
                self.assertIn(part, recorded[0] if recorded[0].startswith("logger") else recorded[1])
                self.assertIn(f"{last}, everything stays as it was", recorded[-1])
                said = [line for line in recorded if line.startswith("logger")]
                self.assertEqual(len(said), len(set(said)), said)
                self.assertTrue(all("-p daemon.err " in line for line in said), said)
                # At a start of the machine nothing runs yet, and procd is told what to watch.
                self.router.runs()
                recorded, code = self.router.init(action)
                self.assertEqual((self.sent(recorded), code, recorded[-1]), ([], 1, "procd_close_service set"), (action, text))
        self.router.config.unlink()
        self.router.runs("main")
        recorded, code = self.router.init("reload")
        self.assertEqual((code, [line for line in recorded if "close_service" in line]), (1, []))

    def test_a_restart_ends_what_runs_once_the_file_is_right(self):
        self.router.config.write_text(GOOD)
        self.router.runs("main")
        recorded, code = self.router.init("restart")
        self.assertEqual((code, recorded[0], recorded[1]), (0, "procd_kill", "procd_open_service"))
        self.assertEqual(self.sent(recorded)[0], "procd_open_instance main")

    def test_an_upgrade_ends_nothing_before_the_new_program_has_looked_and_starts_nothing_that_is_off(self):
        self.router.config.write_text(GOOD)
        for runs in [(), ("main",)]:
            self.router.runs(*runs)
            # opkg's prerm.
            self.assertEqual(self.router.init("stop", PKG_UPGRADE="1"), ([], 0))
        # The postinst of the package: over a right file and a wrong one.
        self.router.runs("main")
        recorded, code = self.router.init("restart", PKG_UPGRADE="1")
        self.assertEqual((code, recorded[0], self.sent(recorded)[0]), (0, "procd_kill", "procd_open_instance main"))
        self.router.config.write_text(GOOD + "\toption buad '1'\n")
        recorded, code = self.router.init("restart", PKG_UPGRADE="1")
        self.assertEqual((code, [line for line in recorded if line.startswith("procd_")]), (1, []))
        # default_postinst starts whatever init script there is.
        self.router.config.write_text(GOOD)
        self.router.enabled = ""
        self.router.runs()
        self.assertEqual(self.router.init("start", PKG_UPGRADE="1"), (["procd_open_service"], 0))
        recorded, _ = self.router.init("start")
        self.assertEqual(self.sent(recorded)[0], "procd_open_instance main")
        # A removal does end it.
        self.assertEqual(self.router.init("stop"), (["procd_kill"], 0))

    def test_what_is_odd_starts_and_is_told_by_the_daemon_alone(self):
        self.router.config.write_text(GOOD.split("config endpoint")[0])
        recorded, code = self.router.init("start")
        self.assertEqual((code, [line for line in recorded if line.startswith("logger")]), (0, []))
        self.assertIn("procd_open_instance main", recorded)

    def test_a_jail_is_made_where_it_is_asked_for_and_there(self):
        state = f"{self.router.root}/etc/wsbridge"
        self.takes_everything()
        hashes = "".join(f"\nconfig user 'u{n}'\n\toption password_file '{file}'\n" for n, file in enumerate([f"{state}/hash", "/srv/secrets/hash"]))
        self.router.config.write_text(GOOD.replace("option enabled", "option jail '1'\n\toption enabled") + hashes)
        recorded, _ = self.router.init("start")
        self.assertFalse([line for line in recorded if "jail" in line])
        (self.router.root / "sbin/ujail").write_text("#!/bin/sh\n")
        (self.router.root / "sbin/ujail").chmod(0o755)
        recorded, _ = self.router.init("start")
        self.assertIn("procd_add_jail wsbridge-main log procfs sysfs", recorded)
        (writable,) = [line for line in recorded if line.startswith("procd_add_jail_mount_rw ")]
        self.assertIn(f" {state} {self.router.root}/var/run/wsbridge-main /dev ", writable)
        # A file that is written anew is another one, which the jail would not see.
        (readable,) = [line for line in recorded if line.startswith("procd_add_jail_mount ")]
        self.assertIn(f" {self.router.config.parent} ", readable)
        self.assertTrue(readable.endswith("/tmp/resolv.conf /srv/secrets"), readable)

    def test_a_port_that_is_plugged_in_is_for_the_group_of_those_who_may_use_it(self):
        for event, ours in [("add:ttyUSB0", True), ("add:ttyACM1", True), ("remove:ttyUSB0", False), ("add:tty1", False), ("add:sda", False)]:
            action, name = event.split(":")
            recorded, _ = self.router.sh(self.router.hotplug, "none", ACTION=action, DEVNAME=name)
            wanted = [f"chgrp dialout {self.router.root}/dev/{name}", f"chmod 0660 {self.router.root}/dev/{name}"]
            self.assertEqual(recorded, wanted if ours else [], event)

    def test_several_sections_are_several_instances_with_files_of_their_own(self):
        lab = self.router.config.parent / "wsbridge-lab"
        lab.write_text(GOOD)
        self.router.config.write_text(GOOD + "\nconfig wsbridge 'lab'\n\toption enabled '1'\n\toption config 'wsbridge-lab'\n\nconfig wsbridge 'off'\n\toption config 'gone'\n")
        recorded, _ = self.router.init("start")
        opened = [line for line in recorded if "open_instance" in line or " command " in line]
        program = f"procd_set_param command {self.router.root}/usr/bin/wsbridge serve --syslog --uci"
        self.assertEqual(opened, ["procd_open_instance main", f"{program} {self.router.config}", "procd_open_instance lab", f"{program} {lab}"])
        triggers, _ = self.router.init("triggers")
        self.assertIn("procd_add_reload_trigger wsbridge wsbridge-lab gone", triggers)
        lab.unlink()
        recorded, code = self.router.init("start")
        self.assertIn("option 'config' of wsbridge 'lab': there is no", " ".join(recorded))
        self.assertIn("procd_open_instance main", recorded)
        self.assertEqual(code, 1)

    def test_it_runs_as_the_packages_user_and_as_root_where_that_is_asked_for_or_there_is_none(self):
        self.router.config.write_text(GOOD)
        recorded, _ = self.router.init("start")
        config, root = self.router.config, self.router.root
        # The group is the user's own, by its number.
        for line in [f"chown -Rh wsbridge:32768 {root}/etc/wsbridge {root}/var/run/wsbridge-main", f"chgrp 32768 {config}", "procd_set_param user wsbridge"]:
            self.assertIn(line, recorded)
        # procd gives it its further groups itself (initgroups), dialout among them.
        self.assertFalse([line for line in recorded if line.startswith("procd_set_param group")])
        users = (root / "etc/passwd").read_text()
        for text, passwd in [(GOOD.replace("option enabled", "option user 'root'\n\toption enabled"), users), (GOOD, users.split("wsbridge:")[0])]:
            self.router.config.write_text(text)
            (root / "etc/passwd").write_text(passwd)
            recorded, _ = self.router.init("start")
            self.assertFalse([line for line in recorded if "set_param user" in line or line.startswith("chown")], recorded)
            self.assertIn("procd_open_instance main", recorded)

    def test_a_user_that_is_named_may_read_what_it_needs(self):
        self.router.config.write_text(GOOD.replace("option enabled", "option user 'serial'\n\toption group 'dialout'\n\toption enabled"))
        recorded, _ = self.router.init("start")
        config, root = self.router.config, self.router.root
        for line in [f"chown -Rh serial:dialout {root}/etc/wsbridge {root}/var/run/wsbridge-main", f"chgrp dialout {config}", f"chmod 0640 {config}", "procd_set_param user serial", "procd_set_param group dialout"]:
            self.assertIn(line, recorded)
        # Another instance's is another folder: theirs are not each other's.
        lab = self.router.config.parent / "wsbridge-lab"
        lab.write_text(GOOD)
        self.router.config.write_text(GOOD + "\nconfig wsbridge 'lab'\n\toption enabled '1'\n\toption config 'wsbridge-lab'\n\toption user 'serial'\n\toption group 'dialout'\n")
        recorded, _ = self.router.init("start")
        self.assertIn(f"chown -Rh serial:dialout {root}/etc/wsbridge-lab {root}/var/run/wsbridge-lab", recorded)
        self.assertFalse([line for line in recorded if line.startswith(f"chown -Rh serial:dialout {root}/etc/wsbridge ")])
        self.assertTrue((self.router.root / "etc/wsbridge-lab").is_dir())
        self.router.config.write_text(GOOD.replace("option enabled", "option user 'serial'\n\toption group 'uucp'\n\toption enabled"))
        recorded, _ = self.router.init("start")
        self.assertEqual(self.sent(recorded), [])
        self.assertIn("no group 'uucp'", recorded[1])

    def test_a_changed_file_reloads_and_options_are_validated(self):
        recorded, _ = self.router.init("triggers")
        self.assertEqual(recorded[0], "procd_add_reload_trigger wsbridge")
        # In one list: procd keeps the last one alone.
        self.assertEqual((recorded[1], recorded[4].strip(), len(recorded)), ("procd_open_validate", "procd_close_validate", 5))
        self.assertIn("enabled:bool:0", recorded[2])
        self.assertIn("baud:uinteger", recorded[3])

    def takes_everything(self):
        """A daemon that takes any file, also one that names files which are not on this machine."""
        program = self.router.root / "usr/bin/wsbridge"
        program.unlink()
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)

    def test_a_hash_in_a_file_that_changes_alone_is_a_change(self):
        users = "\nconfig user 'bob'\n\toption password_file '/etc/wsbridge/bob'\n\nconfig token t\n\toption \"sha256_file\" /etc/wsbridge/sum\n"
        self.takes_everything()
        self.router.config.write_text(GOOD + users)
        recorded, _ = self.router.init("start")
        self.assertIn(f"procd_set_param file {self.router.config} /etc/wsbridge/bob /etc/wsbridge/sum", recorded)

    def test_the_first_set_up_makes_an_administrator_once_and_the_log_never_has_its_password(self):
        shipped = self.router.config.read_text()
        self.assertEqual(self.router.first_set_up(), ([], 0))
        first = self.router.root / "etc/wsbridge-first-password"
        self.assertEqual(first.stat().st_mode & 0o777, 0o600)
        password = re.search(r"\S{20,}", first.read_text())[0]
        recorded, _ = self.router.init("start")
        self.assertRegex(recorded[1], "first sign-in: user admin, password in .*/etc/wsbridge-first-password; remove")
        self.assertNotIn(password, " ".join(recorded))
        self.assertEqual(self.sent(recorded), [])
        first.unlink()
        self.assertEqual(self.router.init("start"), (NOTHING, 0))
        text = self.router.config.read_text()
        # The router's own name is one that the gateway answers to.
        self.assertTrue(text.startswith(shipped.replace("config wsbridge 'main'\n", "config wsbridge 'main'\n\tlist host 'attic-router.lan'\n")), text)
        self.assertIn("config user 'admin'\n\toption password '$argon2id$", text)
        self.assertIn("\tlist right '*=read,write,signals,settings,takeover,grant,approve,sessions,recordings'", text)
        self.assertNotIn(password, text)
        # Whatever ports this machine has are there, but off.
        for section in text.split("\nconfig endpoint ")[1:]:
            self.assertIn("\toption enabled '0'\n", section)
        self.assertEqual(os.listdir(self.router.root / "etc/wsbridge"), [])
        # Packages source it with each upgrade.
        self.assertEqual(self.router.first_set_up(), ([], 0))
        self.assertEqual(self.router.config.read_text(), text)
        done = subprocess.run([self.daemon, "check", "--uci", self.router.config], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_who_is_set_up_in_another_way_stays_so_with_an_upgrade(self):
        shipped = self.router.config.read_text()
        for own in [
            "config token 'billing'\n\toption sha256 'aa'\n",
            # Also one that is wrong: it is its writer's to mend.
            "config 'user'\n\toption nmae 'x'\n",
            "\tconfig  certificate\n\toption common_name 'x'\n",
        ]:
            text = f"{shipped}\n{own}"
            self.router.config.write_text(text)
            self.assertEqual(self.router.first_set_up(), ([], 0), own)
            self.assertEqual(self.router.config.read_text(), text)
        # Endpoints that are there already get no others beside them, and somebody who may use them.
        self.router.config.write_text(f"{shipped}\nconfig endpoint 'modem1'\n\toption type 'sim'\n\toption device 'echo'\n")
        self.assertEqual(self.router.first_set_up(), ([], 0))
        text = self.router.config.read_text()
        self.assertEqual((text.count("\nconfig endpoint"), text.count("config user 'admin'")), (1, 1))
        # Nobody has to sign in; or this file only names another instance's, where whoever may is.
        for text in [
            shipped.replace("option enabled '0'", "option enabled '1'\n\toption auth 'none'"),
            f"{shipped}\nconfig wsbridge 'lab'\n\toption enabled '1'\n\toption config 'wsbridge-lab'\n",
        ]:
            self.router.config.write_text(text)
            self.assertEqual(self.router.first_set_up(), ([], 0))
            self.assertEqual(self.router.config.read_text(), text)

    def test_a_full_flash_leaves_the_configuration_as_it_was(self):
        shipped = self.router.config.read_text()
        folder = self.router.root / "etc/wsbridge"
        folder.mkdir()
        for full in ["wsbridge/new", "wsbridge-first-password"]:
            (folder.parent / full).symlink_to("/dev/full")
            recorded, code = self.router.first_set_up()
            self.assertEqual((code, self.router.config.read_text(), os.listdir(folder)), (1, shipped, []))
            self.assertEqual(len(recorded), 1)
            self.assertIn("is the flash full?", recorded[0])
        # Next time, with room, all is made.
        self.assertEqual(self.router.first_set_up(), ([], 0))
        self.assertIn("config user 'admin'", self.router.config.read_text())

    def test_a_file_that_is_wrong_already_is_not_touched_by_the_first_set_up(self):
        self.router.config.write_text("config wsbridge 'main'\n\toption nonsense '1'\n")
        recorded, code = self.router.first_set_up()
        self.assertEqual((recorded[0].split(":")[0], code), ("logger -t wsbridge no first set-up", 1))
        self.assertIn("option 'nonsense' of wsbridge 'main'", recorded[0])
        self.assertIn("nonsense", self.router.config.read_text())
        self.assertNotIn("admin", self.router.config.read_text())

    def test_from_the_first_set_up_to_a_websocket_and_a_reload(self):
        shipped = self.router.config.read_text()
        own = f"option state_directory '{self.router.root}/etc/wsbridge'"
        mine = shipped.replace("option enabled '0'", f"option enabled '1'\n\t{own}").replace("[::]:8443", "127.0.0.1:0")
        self.router.config.write_text(mine + "\nconfig endpoint 'echo'\n\toption type 'sim'\n\toption device 'echo-tcp'\n")
        self.router.first_set_up()
        recorded, _ = self.router.init("start")
        password = re.search(r"\S{20,}", (self.router.root / "etc/wsbridge-first-password").read_text())[0]
        with Served(self.router.command(recorded)) as served:
            self.assertEqual(served.echo("admin", password, "echo", b"hello from a router"), b"hello from a router")
            self.assertIn(b" 401 ", served.upgrade("admin", "wrong", "echo")[1])
            self.router.config.write_text(self.router.config.read_text().replace("endpoint 'echo'", "endpoint 'echo2'"))
            self.router.runs("main")
            self.assertEqual(self.sent(self.router.init("reload")[0]), self.sent(recorded))
            served.process.send_signal(signal.SIGHUP)
            served.wait("reloaded: ")
            self.assertEqual(served.echo("admin", password, "echo2", b"again"), b"again")
            self.router.config.write_text(self.router.config.read_text() + "\toption buad '1'\n")
            served.process.send_signal(signal.SIGHUP)
            self.assertIn("option 'buad' of ", served.wait("not reloaded") + served.wait("option 'buad'"))
            self.assertEqual(served.echo("admin", password, "echo2", b"still"), b"still")


class Served:
    """The daemon started by a command line, and clients of it."""

    def __init__(self, command):
        env = {key: value for key, value in os.environ.items() if key not in ("WSBRIDGE_LOG", "STATE_DIRECTORY", "NOTIFY_SOCKET")}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, env=env)
        self.log = b""

    def __enter__(self):
        self.port = int(re.search(r"listening on 127.0.0.1:(\d+)", self.wait("listening on ") )[1])
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def wait(self, text):
        """The line of the log with a text, when it comes."""
        until = time.monotonic() + 60
        while True:
            lines = [line for line in self.log.decode().splitlines(keepends=True) if text in line and line.endswith("\n")]
            if lines:
                return lines[-1]
            ready, _, _ = select.select([self.process.stderr], [], [], until - time.monotonic())
            more = os.read(self.process.stderr.fileno(), 65536) if ready else b""
            assert more, f"no {text!r} in:\n{self.log.decode()}"
            self.log += more

    def upgrade(self, user, password, endpoint):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        stream = context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 60))
        credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
        stream.sendall((
            f"GET /ws/{endpoint} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Basic {credentials}\r\n\r\n"
        ).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            more = stream.recv(1)
            assert more, head
            head += more
        return stream, head

    def echo(self, user, password, endpoint, data):
        """Sends one masked frame (RFC 6455, section 5.2), and gives back the bytes that came."""
        stream, head = self.upgrade(user, password, endpoint)
        with stream:
            assert b" 101 " in head.split(b"\r\n")[0], head
            # A mask of zeros is one, too.
            stream.sendall(bytes([0x82, 0x80 | len(data)]) + bytes(4) + data)
            got = b""
            while len(got) < len(data):
                head = stream.recv(2)
                assert head[0] & 0x0F in (0, 2), head
                size = head[1]
                got += stream.recv(size)
            return got
