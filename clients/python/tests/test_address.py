"""URLs: what they mean, and what is refused."""

import unittest

from wsbridge import address


class Addresses(unittest.TestCase):
    def test_a_url_names_gateway_and_endpoint(self):
        for url, gateway, socket in [
            ("wsbridge://gw:8443/plc1", "https://gw:8443", "wss://gw:8443/ws/plc1"),
            ("wsbridge://gw:8443/ws/plc1", "https://gw:8443", "wss://gw:8443/ws/plc1"),
            ("wsbridge://GW/plc1", "https://gw", "wss://gw:443/ws/plc1"),
            ("wsbridge://gw/a/b/plc1", "https://gw/a/b", "wss://gw:443/a/b/ws/plc1"),
            ("wsbridge://[::1]:8443/e", "https://[::1]:8443", "wss://[::1]:8443/ws/e"),
            (
                "wsbridge+http://127.0.0.1:8080/e",
                "http://127.0.0.1:8080",
                "ws://127.0.0.1:8080/ws/e",
            ),
        ]:
            read = address.read(url)
            self.assertEqual((read.gateway, read.socket), (gateway, socket), url)

    def test_options_are_read(self):
        read = address.read(f"wsbridge://gw/e?lease=take&ca=/etc/ca.crt&fingerprint={'AB:' * 31}ab")
        self.assertEqual((read.lease, read.ca), ("take", "/etc/ca.crt"))
        self.assertEqual(read.fingerprint, bytes([0xAB] * 32))

    def test_a_secret_in_a_url_is_refused_with_what_to_do(self):
        for url in (
            "wsbridge://alice:secret@gw/e",
            "wsbridge://gw/e?token=wsb_secret",
            "wsbridge://gw/e?ticket=secret",
            "wsbridge://gw/e?password=secret",
        ):
            with self.assertRaisesRegex(ValueError, "WSBRIDGE_TOKEN") as told:
                address.read(url)
            self.assertNotIn("secret", str(told.exception))

    def test_what_is_no_address_is_refused_with_a_reason(self):
        for url, why in [
            ("https://gw/e", "is not wsbridge://"),
            ("wsbridge:///e", "names no gateway"),
            ("wsbridge://gw:x/e", "not HOST or HOST:PORT"),
            ("wsbridge://gw", "names no endpoint"),
            ("wsbridge://gw/", "names no endpoint"),
            ("wsbridge://gw/a+b", "names no endpoint"),
            ("wsbridge://gw/e?speed=1", "no option speed; there are ca, fingerprint, lease, token"),
            ("wsbridge://gw/e?lease=steal", "one of ask, none, take"),
            ("wsbridge://gw/e?ca=", "ca has no value"),
            ("wsbridge://gw/e?fingerprint=12", "64 hex digits"),
        ]:
            with self.assertRaisesRegex(ValueError, why):
                address.read(url)


if __name__ == "__main__":
    unittest.main()
