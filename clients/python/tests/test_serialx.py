"""serialx against the real gateway: its waiting API, and its asyncio one, as in Home Assistant."""

import asyncio
import threading
import unittest

import serialx
from equipment import PATIENCE, Device, Gateway, Plug, noise, until
from serialx import PinState, SerialException

import wsbridge  # noqa: F401

ECHO = "  e: { sim: echo }\n"


class Case(unittest.IsolatedAsyncioTestCase):
    def gateway(self, *args, **kwargs):
        return self.enterContext(Gateway(*args, **kwargs))

    def plug(self):
        plug = Plug()
        self.addCleanup(plug.close)
        gw = self.gateway(f'  e: {{ rfc2217: {{ address: "127.0.0.1:{plug.port}" }} }}\n')
        return plug, gw


class Waiting(Case):
    def test_bytes_settings_and_lines(self):
        plug, gw = self.plug()
        with serialx.serial_for_url(gw.url("e"), 19200, read_timeout=PATIENCE) as port:
            self.assertEqual(plug.wire.baudrate, 19200)
            self.assertEqual(port.write(b"hello"), 5)
            self.assertEqual(port.readexactly(5), b"hello")
            port.reconfigure_port(baudrate=115200)
            self.assertEqual(plug.wire.baudrate, 115200)
            port.set_modem_pins(rts=False, dtr=True)
            until("CTS falls", lambda: port.get_modem_pins().cts is PinState.LOW)
            until("DSR is up", lambda: port.get_modem_pins().dsr is PinState.HIGH)
            port.flush()
            port.write(b"unread")
            until("it", lambda: port.num_unread_bytes() == 6)
            port.reset_read_buffer()
            self.assertEqual(port.num_unread_bytes(), 0)
            port.reset_write_buffer()
            until("nothing waits", lambda: port.num_unwritten_bytes() == 0)

    def test_dtr_and_rts_move_only_if_the_program_says_how(self):
        plug, gw = self.plug()
        gw.wait_for("device open")
        before = plug.events
        with serialx.serial_for_url(gw.url("e"), 9600):
            pass
        self.assertEqual(plug.events, before)
        how = {"dtr_on_open": PinState.LOW, "rts_on_close": PinState.LOW}
        with serialx.serial_for_url(gw.url("e"), 9600, **how):
            until("DTR falls", lambda: plug.events[-1:] == (("dtr", False),))
        until("RTS falls", lambda: plug.events[-1:] == (("rts", False),))

    def test_time_outs_and_errors(self):
        gw = self.gateway(ECHO)
        with serialx.serial_for_url(gw.url("e"), 9600, read_timeout=0.05) as port:
            with self.assertRaises(EOFError):
                port.readexactly(1)
            with self.assertRaisesRegex(OSError, "held by"):
                serialx.serial_for_url(gw.url("e"), 9600).open()
        with self.assertRaises(SerialException):
            port.reconfigure_port(baudrate=1)
        device = Device()
        self.addCleanup(device.close)
        gw = self.gateway(f"  e: {{ serial: {{ port: {device.path} }} }}\n")
        with serialx.serial_for_url(gw.url("e"), 9600, write_timeout=0.1) as port:
            with self.assertRaises(TimeoutError):
                port.write(bytes(1 << 20))
            port.reset_write_buffer()


class Asyncio(Case):
    async def test_a_megabyte_comes_back(self):
        gw = self.gateway("  e: { sim: echo, history: 4MiB }\n")
        data = noise(1 << 20)
        async with asyncio.timeout(PATIENCE):
            async with serialx.async_serial_for_url(gw.url("e"), baudrate=115200) as port:
                reading = asyncio.create_task(port.readexactly(len(data)))
                await port.write(data)
                self.assertEqual(await reading, data)
                await port.flush()

    async def test_settings_and_lines(self):
        plug, gw = self.plug()
        async with serialx.async_serial_for_url(gw.url("e"), baudrate=19200) as port:
            self.assertEqual(plug.wire.baudrate, 19200)
            await port.reconfigure_port(baudrate=57600)
            self.assertEqual(plug.wire.baudrate, 57600)
            await port.set_modem_pins(rts=False)
            until("CTS falls", lambda: not port.transport.serial.get_modem_pins().cts.to_bool())
            self.assertIs((await port.get_modem_pins()).cts, PinState.LOW)

    async def test_a_transport_that_is_closed_has_sent_what_was_written(self):
        device = Device()
        self.addCleanup(device.close)
        gw = self.gateway(f"  e: {{ serial: {{ port: {device.path} }} }}\n")
        got = []
        size = 300_000
        taking = threading.Thread(target=lambda: got.append(device.receive(size)))
        taking.start()
        port = serialx.async_serial_for_url(gw.url("e"), baudrate=115200)
        await port.open()
        port.write_nowait(noise(size))
        self.assertGreater(port.transport.get_write_buffer_size(), 0)
        await port.close()
        taking.join(PATIENCE)
        self.assertEqual(got, [noise(size)])

    async def test_a_transport_that_is_aborted_is_closed_at_once(self):
        device = Device()
        self.addCleanup(device.close)
        gw = self.gateway(f"  e: {{ serial: {{ port: {device.path} }} }}\n")
        port = serialx.async_serial_for_url(gw.url("e"), baudrate=115200)
        await port.open()
        port.write_nowait(bytes(1 << 20))
        port.abort()
        async with asyncio.timeout(PATIENCE):
            await port.wait_closed()
            # The line is free.
            async with serialx.async_serial_for_url(gw.url("e"), baudrate=115200):
                pass

    async def test_a_writer_is_paused_while_the_device_takes_nothing(self):
        device = Device()
        self.addCleanup(device.close)
        gw = self.gateway(f"  e: {{ serial: {{ port: {device.path} }} }}\n")
        port = serialx.async_serial_for_url(gw.url("e"), baudrate=115200)
        await port.open()
        writing = asyncio.create_task(port.write(bytes(1 << 20)))
        taken = await asyncio.to_thread(device.receive, 1000)
        self.assertFalse(writing.done())
        await asyncio.to_thread(device.receive, (1 << 20) - len(taken))
        async with asyncio.timeout(PATIENCE):
            await writing
            await port.close()

    async def test_a_protocol_hears_why_its_line_is_gone(self):
        device = Device()
        gw = self.gateway(f"  e: {{ serial: {{ port: {device.path} }} }}\n")
        lost = asyncio.get_running_loop().create_future()
        came = asyncio.Queue()

        class Protocol(asyncio.Protocol):
            def data_received(self, data):
                for byte in data:
                    came.put_nowait(byte)

            def connection_lost(self, exc):
                lost.set_result(exc)

        loop = asyncio.get_running_loop()
        made = serialx.create_serial_connection(loop, Protocol, gw.url("e"), baudrate=9600)
        transport, _ = await made
        device.send(b"last words")
        self.assertEqual(bytes([await came.get() for _ in range(10)]), b"last words")
        device.close()
        async with asyncio.timeout(PATIENCE):
            self.assertIsInstance(await lost, OSError)
        with self.assertRaises(OSError):
            transport.write(b"x")

    async def test_an_open_that_is_given_up_leaves_nothing(self):
        gw = self.gateway(ECHO)
        for _ in range(5):
            port = serialx.async_serial_for_url(gw.url("e"), baudrate=9600)
            opening = asyncio.create_task(port.open())
            await asyncio.sleep(0.01)
            opening.cancel()
            await asyncio.wait([opening])
            await port.close()
        async with asyncio.timeout(PATIENCE):
            async with serialx.async_serial_for_url(gw.url("e"), baudrate=9600) as port:
                await port.write(b"x")
                self.assertEqual(await port.readexactly(1), b"x")

    async def test_what_cannot_be_opened_says_why(self):
        gw = self.gateway(ECHO)
        with self.assertRaisesRegex(OSError, "HTTP 404"):
            await serialx.async_serial_for_url(gw.url("other"), baudrate=9600).open()


if __name__ == "__main__":
    unittest.main()
