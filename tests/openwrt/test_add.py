# `wsbridge add --uci` as a router has it: its own /etc, uci, an init script that records.

import subprocess
import unittest

from router import Router, binary
from test_scripts import GOOD


class Add(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = binary()

    def setUp(self):
        self.router = Router(self.daemon)
        self.addCleanup(self.router.close)
        self.router.config.write_text(GOOD)
        self.init = self.router.root / "etc/init.d/wsbridge"
        self.init.write_text(f'#!/bin/sh\necho "$*" >> {self.router.root}/told\n')
        self.init.chmod(0o755)

    def add(self, *words, code=0):
        """With the router's /etc in place of this machine's, in a namespace of its own."""
        root = self.router.root
        line = f'mount --bind {root}/etc /etc && PATH={root}/bin:$PATH && exec "$0" add "$@"'
        done = subprocess.run(["unshare", "--map-root-user", "--mount", "sh", "-c", line, self.daemon, *words, "--uci"],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if "unshare" in done.stderr or "mount" in done.stderr:
            self.skipTest(f"no namespaces here: {done.stderr}")
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout + done.stderr

    def told(self):
        told = self.router.root / "told"
        return told.read_text().splitlines() if told.exists() else []

    def checked(self):
        done = subprocess.run([self.daemon, "check", "--uci", self.router.config, "--yaml"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_an_endpoint_is_committed_put_in_force_and_told_with_its_address(self):
        said = self.add("plc1", "--tcp", "192.0.2.20:502", "--title", "it's the PLC")
        self.assertIn("/ws/plc1\n", said)
        text = self.router.config.read_text()
        self.assertIn("config endpoint 'plc1'\n\toption title 'it'\\''s the PLC'\n\toption type 'tcp'\n\toption address '192.0.2.20:502'\n", text)
        self.assertIn("config endpoint 'echo'", text)
        self.assertEqual(self.told(), ["reload"])
        self.assertIn("192.0.2.20:502", self.checked())
        self.assertFalse(list(self.router.config.parent.glob(".*delta")))

    def test_a_name_that_no_section_can_have_is_an_option_of_one(self):
        self.add("router-console.1", "--rfc2217", "192.0.2.30:2217", "--baud", "9600")
        self.assertIn("config endpoint 'router_console_1'\n\toption name 'router-console.1'\n", self.router.config.read_text())
        self.assertIn("router-console.1", self.checked())

    def test_a_udp_port_is_committed_with_the_port_that_it_sends_to(self):
        said = self.add("boat", "--udp", "192.0.2.40:10110", "--local-port", "10110")
        self.assertIn("/ws/boat\n", said)
        text = self.router.config.read_text()
        self.assertIn("config endpoint 'boat'\n\toption type 'udp'\n\toption address '192.0.2.40:10110'\n\toption local_port '10110'\n", text)
        self.assertIn('udp:\n      address: "192.0.2.40:10110"\n      local_port: "10110"\n', self.checked())
        self.add("wind", "--udp", "192.0.2.41:10110")
        self.assertIn("config endpoint 'wind'\n\toption type 'udp'\n\toption address '192.0.2.41:10110'\n", self.router.config.read_text())
        self.assertEqual(self.told(), ["reload", "reload"])
        said = self.add("buoy", "--udp", "192.0.2.42:10110", "--local-port", "0", code=78)
        self.assertIn("option 'local_port' of endpoint 'buoy'", said)
        self.assertNotIn("buoy", self.router.config.read_text())

    def test_sections_of_that_name_stay_what_they_are(self):
        user = "\nconfig user 'plc1'\n\toption password_file '/nowhere'\n\nconfig endpoint 'a_b'\n\toption type 'sim'\n\toption device 'echo-tcp'\n"
        users = GOOD.replace("\toption auth 'none'\n", "") + user.replace("\toption password_file '/nowhere'\n", self.hash())
        self.router.config.write_text(users)
        self.add("plc1", "--tcp", "192.0.2.20:502")
        self.add("a-b", "--tcp", "192.0.2.21:502")
        text = self.router.config.read_text()
        self.assertIn("config user 'plc1'\n\toption password ", text)
        self.assertIn("config endpoint 'plc1_2'\n\toption name 'plc1'\n", text)
        self.assertIn("config endpoint 'a_b'\n\toption type 'sim'", text)
        self.assertIn("config endpoint 'a_b_2'\n\toption name 'a-b'\n", text)
        self.checked()

    def hash(self):
        done = subprocess.run([self.daemon, "passwd", "plc1", "--generate", "--uci"], capture_output=True, text=True, check=True)
        return done.stdout.partition("\n")[2]

    def test_where_the_whole_would_be_wrong_nothing_changes(self):
        said = self.add("plc1", "--tcp", "192.0.2.20", code=78)
        self.assertIn("option 'address' of endpoint 'plc1'", said)
        said = self.add("echo", "--tcp", "192.0.2.20:502", code=65)
        self.assertIn("there is already an endpoint `echo`", said)
        self.assertEqual((self.router.config.read_text(), self.told()), (GOOD, []))

    def test_what_somebody_has_not_committed_is_not_committed_along(self):
        env = {"UCI": str(self.router.config.parent), "PATH": "/usr/bin:/bin"}
        subprocess.run([self.router.root / "bin/uci", "set", "wsbridge.echo.title=Mine"], env=env, check=True)
        said = self.add("plc1", "--tcp", "192.0.2.20:502", code=65)
        self.assertIn("uci commit wsbridge, or uci revert wsbridge", said)
        self.assertEqual((self.router.config.read_text(), self.told()), (GOOD, []))

    def test_a_reload_that_fails_is_told_with_what_to_type(self):
        self.init.write_text("#!/bin/sh\nexit 1\n")
        said = self.add("plc1", "--tcp", "192.0.2.20:502", code=69)
        self.assertIn("added, but not applied: /etc/init.d/wsbridge reload", said)
        self.assertIn("config endpoint 'plc1'", self.router.config.read_text())

    def test_a_router_without_uci_is_told_so(self):
        (self.router.root / "bin/uci").unlink()
        said = self.add("plc1", "--tcp", "192.0.2.20:502", code=69)
        self.assertIn("nothing was added", said)
        self.assertEqual(self.router.config.read_text(), GOOD)


if __name__ == "__main__":
    unittest.main()
