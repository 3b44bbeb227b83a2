"""pyserial's own tests, with a loop-back plug behind the gateway.

Through `wsbridge://`, and through an `rfc2217` door with pyserial's own client. They are not in its
wheel: PYSERIAL_TESTS names the `test` folder of its source package.
"""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

from equipment import Gateway, Plug

FOLDER = os.environ.get("PYSERIAL_TESTS", "")

BUFFERS = "it wants a port that takes less than 1 or 3 KiB; a gateway takes 64 KiB at once"

# What is not run, and why.
OURS = {
    "test.Test_MoreTimeouts.test_WriteTimeout": BUFFERS,
    "test_cancel.TestCancelWrite.test_cancel_once": BUFFERS,
}
ONE = "pyserial's rfc2217 gives one byte to a read with a time-out of 0"
DOORS = {
    "test.Test4_Nonblocking.test2_Loopback": ONE,
    "test.Test4_Nonblocking.test2_LoopbackTimeout": ONE,
    "test.Test_MoreTimeouts.test_WriteTimeout": "pyserial's rfc2217 has no write time-out",
    "test_cancel.TestCancelRead.test_cancel_once": "pyserial's rfc2217 has no cancel_read",
    "test_cancel.TestCancelWrite.test_cancel_once": "pyserial's rfc2217 has no cancel_write",
}


@unittest.skipUnless(FOLDER, "PYSERIAL_TESTS does not name pyserial's tests")
class Theirs(unittest.TestCase):
    def runs(self, url, but):
        runner = Path(__file__).with_name("theirs.py")
        command = [sys.executable, runner, FOLDER, url, *but]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
        result = json.loads(done.stdout)
        failures = "\n".join(result["failed"].values())
        self.assertEqual(result["failed"].keys(), set(), failures)
        self.assertEqual(result["ran"], result["of"] - len(but))
        self.assertGreater(result["ran"], 50)

    def gateway(self, door=""):
        plug = Plug()
        self.addCleanup(plug.close)
        target = f'rfc2217: {{ address: "127.0.0.1:{plug.port}" }}'
        gw = self.enterContext(Gateway(f"  e: {{ {target}{door} }}\n"))
        gw.wait_for("device open")
        return gw

    def test_through_wsbridge(self):
        self.runs(self.gateway().url("e"), OURS)

    def test_through_an_rfc2217_door(self):
        rights = "rights: [ read, write, signals, settings ]"
        gw = self.gateway(f', doors: [ {{ rfc2217: "127.0.0.1:0", {rights} }} ]')
        self.runs(f"rfc2217://127.0.0.1:{gw.door()}", DOORS)


if __name__ == "__main__":
    unittest.main()
