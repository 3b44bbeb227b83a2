"""pyserial's `serial_for_url` against the real gateway: bytes, settings, lines, errors."""

import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request
from pathlib import Path

import serial
from equipment import PATIENCE, Device, Gateway, Plug, noise, token, until

import wsbridge  # noqa: F401

ECHO = "  e: { sim: echo }\n"


class Case(unittest.TestCase):
    def gateway(self, *args, **kwargs):
        return self.enterContext(Gateway(*args, **kwargs))

    def open(self, url, **kwargs):
        port = serial.serial_for_url(url, timeout=PATIENCE, **kwargs)
        self.addCleanup(port.close)
        return port

    def raises(self, text):
        return self.assertRaisesRegex(serial.SerialException, text)


class Bytes(Case):
    def setUp(self):
        self.device = Device()
        self.addCleanup(self.device.close)
        # A pty has no speed: what it sends has to fit.
        endpoint = f"  e: {{ serial: {{ port: {self.device.path} }}, history: 4MiB }}\n"
        self.gw = self.gateway(endpoint)
        self.port = self.open(self.gw.url("e"))

    def test_bytes_go_both_ways(self):
        self.assertEqual(self.port.write(b"ping"), 4)
        self.assertEqual(self.device.receive(4), b"ping")
        self.device.send(b"pong\nrest")
        self.assertEqual(self.port.readline(), b"pong\n")
        until("the rest", lambda: self.port.in_waiting == 4)
        self.assertEqual(self.port.read_all(), b"rest")

    def test_a_megabyte_each_way_at_once_arrives_in_order(self):
        out, back = noise(1 << 20), noise((1 << 20) + 1)
        got = []
        threads = [
            threading.Thread(target=self.port.write, args=[out]),
            threading.Thread(target=self.device.send, args=[back]),
            threading.Thread(target=lambda: got.append(self.device.receive(len(out)))),
        ]
        for each in threads:
            each.start()
        self.assertEqual(self.port.read(len(back)), back)
        for each in threads:
            each.join()
        self.assertEqual(got, [out])

    def test_a_read_returns_what_came_in_time(self):
        self.device.send(b"some")
        until("it", lambda: self.port.in_waiting == 4)
        self.port.timeout = 0.1
        self.assertEqual(self.port.read(100), b"some")
        self.port.timeout = 0
        self.assertEqual(self.port.read(100), b"")

    def test_a_pause_between_bytes_ends_a_read(self):
        self.port.inter_byte_timeout = 0.1
        self.device.send(b"message")
        began = time.monotonic()
        self.assertEqual(self.port.read(100), b"message")
        self.assertLess(time.monotonic() - began, PATIENCE / 2)

    def test_cancel_read_lets_a_read_return(self):
        self.device.send(b"half")
        until("it", lambda: self.port.in_waiting == 4)
        threading.Timer(0.05, self.port.cancel_read).start()
        self.assertEqual(self.port.read(100), b"half")

    def test_a_device_that_takes_nothing_ends_a_write_in_its_time(self):
        self.port.write_timeout = 0.2
        with self.assertRaises(serial.SerialTimeoutException):
            # More than the gateway and the pty hold.
            self.port.write(bytes(1 << 20))
        self.assertGreater(self.port.out_waiting, 0)
        self.port.write_timeout = 0
        self.assertLess(self.port.write(bytes(1 << 20)), 1 << 20)
        self.port.write_timeout = None
        threading.Timer(0.05, self.port.cancel_write).start()
        self.assertLess(self.port.write(bytes(1 << 20)), 1 << 20)
        self.port.reset_output_buffer()
        until("nothing waits", lambda: self.port.out_waiting == 0)

    def test_what_came_before_the_input_was_discarded_is_not_read(self):
        self.device.send(b"old")
        until("it", lambda: self.port.in_waiting == 3)
        self.port.reset_input_buffer()
        self.device.send(b"new")
        self.assertEqual(self.port.read(3), b"new")

    def test_closing_sends_what_was_written(self):
        self.port.write(b"last words")
        closing = threading.Thread(target=self.port.close)
        closing.start()
        self.assertEqual(self.device.receive(10), b"last words")
        closing.join()
        with self.assertRaises(serial.PortNotOpenError):
            self.port.read(1)
        self.port.open()
        self.port.write(b"again")
        self.assertEqual(self.device.receive(5), b"again")

    def test_a_program_that_ends_without_closing_has_sent_what_it_wrote(self):
        url = self.gw.url("e", query="?lease=take")
        self.port.close()
        program = f"import serial, wsbridge; p = serial.serial_for_url({url!r}); p.write(b'bye')"
        with subprocess.Popen([sys.executable, "-c", program]) as running:
            self.assertEqual(self.device.receive(3), b"bye")
        self.assertEqual(running.returncode, 0)

    def test_a_reader_in_another_thread_ends_when_the_port_is_closed(self):
        failed = []

        def read():
            try:
                self.port.read(1)
            except serial.SerialException as error:
                failed.append(str(error))

        reader = threading.Thread(target=read)
        reader.start()
        self.port.close()
        reader.join(PATIENCE)
        self.assertRegex("".join(failed), "closed|not open")


class Settings(Case):
    def test_the_programs_settings_are_set(self):
        plug = Plug()
        self.addCleanup(plug.close)
        gw = self.gateway(f'  e: {{ rfc2217: {{ address: "127.0.0.1:{plug.port}" }} }}\n')
        port = self.open(gw.url("e"), baudrate=19200, bytesize=7, parity="E", stopbits=2)
        wire = plug.wire
        self.assertEqual((wire.baudrate, wire.bytesize), (19200, 7))
        self.assertEqual((wire.parity, wire.stopbits), ("E", 2))
        port.baudrate = 115200
        self.assertEqual(wire.baudrate, 115200)

    def test_settings_that_are_so_already_need_no_right(self):
        head = 'listen: [ { address: "127.0.0.1:0", tls: none } ]\ntokens:\n'
        gw = self.gateway(ECHO, head + token("reads", "read, write"))
        with serial.serial_for_url(gw.url("e"), 9600, token="wsb_reads", timeout=PATIENCE) as port:
            port.write(b"x")
            self.assertEqual(port.read(1), b"x")
            with self.raises("settings"):
                port.baudrate = 4800
        with self.raises("settings"):
            serial.serial_for_url(gw.url("e"), 4800, token="wsb_reads")

    def test_what_cannot_be_set_is_a_value_error(self):
        gw = self.gateway(ECHO)
        port = self.open(gw.url("e"))
        with self.assertRaises(ValueError):
            port.baudrate = 0
        with self.assertRaises(ValueError):
            port.baudrate = 1 << 33
        port.baudrate = 9600
        with self.assertRaisesRegex(ValueError, "not by both"):
            port.apply_settings({"rtscts": True, "xonxoff": True})


class Lines(Case):
    def setUp(self):
        self.plug = Plug()
        self.addCleanup(self.plug.close)
        self.gw = self.gateway(f'  e: {{ rfc2217: {{ address: "127.0.0.1:{self.plug.port}" }} }}\n')

    def has(self, *events):
        until(f"{events} in {self.plug.events}", lambda: self.plug.events[-len(events) :] == events)

    def test_opening_moves_only_what_the_program_has_set(self):
        self.gw.wait_for("device open")
        before = self.plug.events
        with self.open(self.gw.url("e")) as port:
            port.write(b"x")
            self.assertEqual(port.read(1), b"x")
        self.assertEqual(self.plug.events, before)
        port.dtr = False
        with port:
            self.has(("dtr", False))
        self.assertNotIn(("rts", False), self.plug.events[len(before) :])

    def test_dtr_rts_and_break_move_in_order(self):
        port = self.open(self.gw.url("e"))
        port.dtr = False
        port.rts = False
        port.dtr = True
        port.rts = True
        self.has(("dtr", False), ("rts", False), ("dtr", True), ("rts", True))
        port.send_break(0.01)
        self.has(("break", True), ("break", False))
        port.break_condition = True
        port.break_condition = False
        self.has(("break", True), ("break", False), ("break", True), ("break", False))

    def test_a_step_just_before_closing_is_made(self):
        port = self.open(self.gw.url("e"))
        for level in (False, True, False):
            port.dtr = level
            port.close()
            self.assertEqual(self.plug.events[-1:], (("dtr", level),))
            port.open()

    def test_modem_lines_are_read(self):
        port = self.open(self.gw.url("e"))
        port.rts = False
        until("CTS falls", lambda: not port.cts)
        port.rts = True
        until("CTS rises", lambda: port.cts)
        port.dtr = False
        until("DSR falls", lambda: not port.dsr)
        self.assertFalse(port.ri)
        self.assertIsInstance(port.cd, bool)

    def test_a_line_without_them_says_so(self):
        gw = self.gateway(ECHO)
        port = self.open(gw.url("e"))
        with self.raises("has no DTR"):
            port.dtr = False
        with self.raises("does not say how CTS is"):
            _ = port.cts


class Leases(Case):
    def setUp(self):
        head = 'listen: [ { address: "127.0.0.1:0", tls: none } ]\ntokens:\n'
        head += token("anna", "read, write, settings") + token("bob", "read, write, takeover")
        self.gw = self.gateway(ECHO, head)
        self.anna = self.open(self.gw.url("e"), token="wsb_anna")

    def as_bob(self, lease):
        query = f"?lease={lease}" if lease else ""
        return self.open(self.gw.url("e", query=query), token="wsb_bob")

    def test_a_line_that_another_writes_to_is_busy(self):
        with self.raises("could not open .*: held by anna"):
            self.as_bob(None)

    def test_a_reader_reads_and_writes_nothing(self):
        bob = self.as_bob("none")
        self.anna.write(b"x")
        self.assertEqual(bob.read(1), b"x")
        with self.raises("only reads"):
            bob.write(b"y")

    def test_a_line_that_is_taken_is_told_to_who_had_it(self):
        bob = self.as_bob("take")
        bob.write(b"x")
        self.assertEqual((bob.read(1), self.anna.read(1)), (b"x", b"x"))
        with self.raises("held by bob"):
            self.anna.write(b"y")
        bob.close()
        # It is free again.
        self.anna.write(b"z")
        self.assertEqual(self.anna.read(1), b"z")

    def test_a_holder_that_gives_it_away_lets_the_one_in_who_asks(self):
        opened = []
        asking = threading.Thread(target=lambda: opened.append(self.as_bob("ask")))
        asking.start()
        until("it waits", lambda: self.anna._line._session.lease_news == "requested")
        self.anna.close()
        asking.join(PATIENCE)
        opened[0].write(b"x")
        self.assertEqual(opened[0].read(1), b"x")


class Held(Case):
    def test_a_key_that_is_turned_off_holds_it_until_it_is_on_again(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        key = Path(folder, "key")
        key.touch()
        head = f'listen: [ {{ address: "127.0.0.1:0", tls: none }} ]\nswitch: {{ file: {key} }}\n'
        gw = self.gateway(ECHO, head + "tokens:\n" + token("boss", "read, write, sessions"))
        told = []
        port = self.open(gw.url("e"), token="wsb_boss", on_notice=lambda *it: told.append(it))
        self.assertIn("write", port.rights)
        key.unlink()
        until("the lock", lambda: port.held)
        self.assertEqual((port.rights, port.held[:6]), (("read",), "locked"))
        with self.raises("key switch"):
            port.write(b"x")
        key.touch()
        until("the key", lambda: not port.held)
        self.assertEqual((port.write(b"y"), port.read(1)), (1, b"y"))
        say = urllib.request.Request(
            f"http://127.0.0.1:{gw.port}/api/endpoints/e/say",
            b'{"text": "The line is shut down"}',
            {"Authorization": "Bearer wsb_boss", "Content-Type": "application/json"},
        )
        urllib.request.urlopen(say).close()
        until("the message", lambda: told)
        self.assertEqual(told, [("boss", "The line is shut down")])


class Trouble(Case):
    def test_a_device_that_is_unplugged_is_an_error_after_its_last_byte(self):
        device = Device()
        gw = self.gateway(f"  e: {{ serial: {{ port: {device.path} }} }}\n")
        port = self.open(gw.url("e"))
        device.send(b"last")
        until("it", lambda: port.in_waiting == 4)
        device.close()
        gw.wait_for("device not there")
        self.assertEqual(port.read(4), b"last")
        with self.raises("."):
            port.read(1)
        port.close()
        with self.raises("could not open"):
            port.open()

    def test_what_is_not_there_is_said(self):
        gw = self.gateway(ECHO)
        with self.raises("HTTP 404"):
            self.open(gw.url("other"))
        with self.raises("cannot reach the gateway"):
            self.open(gw.url("e", port=1))

    def test_a_program_that_does_not_know_wsbridge_is_run_with_it(self):
        gw = self.gateway(ECHO)
        program = "import serial, sys; p = serial.serial_for_url(sys.argv[1]); print(p.is_open)"
        Path(gw.folder.name, "program.py").write_text(program)
        command = [sys.executable, "-m", "wsbridge", "program", gw.url("e")]
        said = subprocess.check_output(command, cwd=gw.folder.name, text=True, timeout=PATIENCE)
        self.assertEqual(said, "True\n")


if __name__ == "__main__":
    unittest.main()
