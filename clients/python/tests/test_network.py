"""A network that breaks: no byte is lost or doubled, DTR does not move, and an end is told."""

import asyncio
import itertools
import threading
import unittest

import serial
import serialx
from equipment import OPEN, PATIENCE, Cutter, Device, Gateway, Plug, noise, until

import wsbridge  # noqa: F401

SIZE = 4 << 20
CUTS = 20


class Cuts(unittest.TestCase):
    def setUp(self):
        self.gw = self.enterContext(Gateway("  e: { sim: echo-tcp }\n  serial: { sim: echo }\n"))

    def cutter(self, limits=()):
        cutter = Cutter(self.gw.port, limits)
        self.addCleanup(cutter.close)
        return cutter

    def test_20_cuts_lose_no_byte_of_pyserial_either_way(self):
        # Into the handshake, into `hello`, within frames.
        limits = itertools.chain([100, 700], itertools.repeat(2 * SIZE // CUTS, CUTS - 2))
        cutter = self.cutter(itertools.chain([1 << 20], limits))
        data = noise(SIZE)
        with serial.serial_for_url(self.gw.url("e", cutter.port), timeout=3 * PATIENCE) as port:
            writing = threading.Thread(target=port.write, args=[data])
            writing.start()
            self.assertEqual(port.read(SIZE), data)
            writing.join()
        self.assertGreaterEqual(cutter.cuts, CUTS - 2)

    def test_20_cuts_lose_no_byte_of_serialx_either_way(self):
        cutter = self.cutter([2 * SIZE // CUTS] * CUTS)
        data = noise(SIZE)

        async def echo():
            async with serialx.async_serial_for_url(
                self.gw.url("e", cutter.port), baudrate=115200
            ) as port:
                reading = asyncio.create_task(port.readexactly(SIZE))
                await port.write(data)
                return await asyncio.wait_for(reading, 3 * PATIENCE)

        self.assertEqual(asyncio.run(echo()), data)
        self.assertGreaterEqual(cutter.cuts, CUTS - 2)

    def test_requests_outlive_a_cut(self):
        cutter = self.cutter()
        with serial.serial_for_url(self.gw.url("serial", cutter.port), timeout=PATIENCE) as port:
            cutter.hold()
            port.timeout = 0.1
            self.assertEqual(port.read(1), b"")
            port.write(b"while it is away")
            threading.Timer(0.2, cutter.release).start()
            port.flush()
            port.baudrate = 19200
            port.timeout = PATIENCE
            self.assertEqual(port.read(16), b"while it is away")

    def test_a_gateway_that_was_restarted_is_told(self):
        cutter = self.cutter()
        with serial.serial_for_url(self.gw.url("serial", cutter.port), timeout=PATIENCE) as port:
            cutter.hold()
            self.gw.kill()
            self.gw.config.write_text(
                self.gw.config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{self.gw.port}")
            )
            self.gw._start()
            cutter.release()
            with self.assertRaisesRegex(serial.SerialException, "the session is gone"):
                port.read(1)
            port.close()
            port.open()
            port.write(b"x")
            self.assertEqual(port.read(1), b"x")


class Lines(unittest.TestCase):
    def test_a_cut_moves_nothing_and_a_pulse_that_was_sent_comes_once(self):
        plug = Plug()
        self.addCleanup(plug.close)
        endpoint = f'  e: {{ rfc2217: {{ address: "127.0.0.1:{plug.port}" }} }}\n'
        gw = self.enterContext(Gateway(endpoint))
        cutter = Cutter(gw.port, ())
        self.addCleanup(cutter.close)
        with serial.serial_for_url(gw.url("e", cutter.port), timeout=PATIENCE) as port:
            port.dtr = True
            until("DTR", lambda: plug.events[-1:] == (("dtr", True),))
            before = plug.events
            for _ in range(5):
                cutter.cut()
                port.write(b"x")
                self.assertEqual(port.read(1), b"x")
            self.assertEqual(plug.events, before)
            cutter.hold()
            port.dtr = False
            port.dtr = True
            cutter.release()
            port.write(b"x")
            self.assertEqual(port.read(1), b"x")
            self.assertEqual(plug.events[len(before) :], (("dtr", False), ("dtr", True)))


class Ends(unittest.TestCase):
    def test_a_session_that_its_gateway_does_not_keep_ends_with_a_reason(self):
        gw = self.enterContext(Gateway("  e: { sim: echo }\n", f"resume: 1s\n{OPEN}"))
        cutter = Cutter(gw.port, ())
        self.addCleanup(cutter.close)
        watching = self.enterContext(serial.serial_for_url(gw.url("e", query="?lease=none")))
        with serial.serial_for_url(gw.url("e", cutter.port), timeout=PATIENCE) as port:
            cutter.hold()
            until("its end", lambda: watching._line._session.lease_news == "released")
            cutter.release()
            with self.assertRaisesRegex(serial.SerialException, "the session is gone"):
                port.read(1)

    def test_bytes_that_a_lost_device_took_with_it_are_told_at_the_latest_by_close(self):
        device = Device()
        gw = self.enterContext(Gateway(f"  e: {{ serial: {{ port: {device.path} }} }}\n"))
        port = serial.serial_for_url(gw.url("e"), timeout=PATIENCE)
        port.write(bytes(30_000))
        device.close()
        gw.wait_for("device not there")
        until("told", lambda: port._line.broken)
        with self.assertRaises(serial.SerialException):
            port.close()


if __name__ == "__main__":
    unittest.main()
