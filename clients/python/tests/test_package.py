"""The package itself."""

import asyncio
import textwrap
import tomllib
import unittest
from importlib.metadata import version

import serial
from equipment import ROOT, Gateway

import wsbridge


class Package(unittest.TestCase):
    def test_it_has_the_version_of_the_gateway(self):
        gateway = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
        self.assertEqual(version("wsbridge"), gateway)

    def test_it_is_registered_once(self):
        self.assertEqual(serial.protocol_handler_packages.count("wsbridge"), 1)

    def test_everything_is_one_kind_of_error(self):
        self.assertTrue(issubclass(wsbridge.LineError, OSError))

    def test_its_readme_does_what_it_says(self):
        text = (ROOT / "clients/python/README.md").read_text()
        with Gateway("  modem1: { sim: modem }\n  zigbee: { sim: echo }\n") as gw:
            url = f"wsbridge+http://127.0.0.1:{gw.port}"
            first, second = (
                each.split("```")[0].replace("wsbridge://gateway:8443", url)
                for each in text.split("```python\n")[1:]
            )
            said = []
            exec(first.replace("print", "said.append"), {"said": said})
            self.assertEqual(said[0][-4:], b"OK\r\n")
            body = textwrap.indent(second, "    ")
            names = {}
            exec(f"async def run():\n{body}\n    return port", names)
            self.assertFalse(asyncio.run(names["run"]()).is_open)


if __name__ == "__main__":
    unittest.main()
