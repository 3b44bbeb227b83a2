"""The equipment of the tests: the real gateway, devices, and a network that breaks.

Nothing here sleeps to wait for something.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pty
import random
import re
import socket
import struct
import subprocess
import tempfile
import threading
import time
import tty
from pathlib import Path

import serial
import serial.rfc2217
import serial.urlhandler.protocol_loop

ROOT = Path(__file__).resolve().parents[3]
BINARY = os.environ.get("WSBRIDGE_BINARY", str(ROOT / "target/debug/wsbridge"))
PATIENCE = 20

OPEN = 'listen: [ { address: "127.0.0.1:0", tls: none } ]\nauth: none\n'


def until(what, look):
    """What `look` gives, as soon as it gives something."""
    end = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < end, f"{what}: not in time"
        time.sleep(0.01)
    return found


def noise(size):
    return random.Random(size).randbytes(size)


def token(name, rights):
    """A line of `tokens:`; its text is `wsb_NAME`."""
    digest = hashlib.sha256(f"wsb_{name}".encode()).hexdigest()
    return f'  {name}: {{ sha256: "{digest}", rights: {{ "*": [ {rights} ] }} }}\n'


class Gateway:
    """The real binary with a configuration of its own."""

    def __init__(self, endpoints, head=OPEN):
        self.folder = tempfile.TemporaryDirectory()
        self.config = Path(self.folder.name, "wsbridge.yaml")
        state = f"state_directory: {self.folder.name}/state\n"
        self.config.write_text(f"{state}{head}endpoints:\n{endpoints}")
        self._log, self._grown = [], threading.Condition()
        self._start()

    def _start(self):
        self._process = subprocess.Popen(
            [BINARY, "serve", "--config", self.config],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._follow, args=[self._process.stderr], daemon=True).start()
        self.wait_for(" ready: ")
        self.port = int(re.search(r" listening on \S+:(\d+)", self.log)[1])

    def _follow(self, pipe):
        for line in pipe:
            with self._grown:
                self._log.append(line)
                self._grown.notify_all()
        pipe.close()

    @property
    def log(self):
        return "".join(self._log)

    def wait_for(self, text):
        with self._grown:
            assert self._grown.wait_for(lambda: text in self.log, PATIENCE), f"{text}?\n{self.log}"

    def door(self):
        """The port of its first door."""
        found = until("a door", lambda: re.search(r"door open on \S+:(\d+)", self.log))
        return int(found[1])

    def url(self, endpoint, port=None, query=""):
        return f"wsbridge+http://127.0.0.1:{port or self.port}/{endpoint}{query}"

    def kill(self):
        self._process.kill()
        self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.folder.cleanup()


class Device:
    """A serial device: the other end of a pty."""

    def __init__(self):
        self._near, self._far = pty.openpty()
        tty.setraw(self._far)
        self.path = os.ttyname(self._far)

    def send(self, data):
        while data:
            data = data[os.write(self._near, data) :]

    def receive(self, size):
        data = b""
        while len(data) < size:
            data += os.read(self._near, size - len(data))
        return data

    def close(self):
        os.close(self._near)
        os.close(self._far)


class _Wired(serial.urlhandler.protocol_loop.Serial):
    """A plug that joins TX to RX, RTS to CTS and DTR to DSR, and remembers what was moved."""

    events = ()

    def _update_rts_state(self):
        self.events += (("rts", self._rts_state),)

    def _update_dtr_state(self):
        self.events += (("dtr", self._dtr_state),)

    def _update_break_state(self):
        self.events += (("break", self._break_state),)


class Plug:
    """A port on another box, with a loop-back plug in it: pyserial's RFC 2217 server."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.wire = _Wired("loop://", timeout=0.01)
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def events(self):
        return self.wire.events

    def _serve(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._carry(near)

    def _carry(self, near):
        lock = threading.Lock()

        class Connection:
            def write(self, data):
                with lock:
                    near.sendall(data)

        manager = serial.rfc2217.PortManager(self.wire, Connection())
        over = threading.Event()

        def back():
            with contextlib.suppress(OSError):
                while not over.is_set():
                    if data := self.wire.read(self.wire.in_waiting or 1):
                        Connection().write(b"".join(manager.escape(data)))
                    manager.check_modem_lines()

        reader = threading.Thread(target=back)
        reader.start()
        with contextlib.suppress(OSError):
            while data := near.recv(4096):
                self.wire.write(b"".join(manager.filter(data)))
        over.set()
        reader.join()
        near.close()

    def close(self):
        self._listener.close()


class Cutter:
    """A proxy that resets its connections after so many bytes, even within a frame."""

    def __init__(self, to, limits):
        self._to, self._limits = to, iter(limits)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cuts = 0
        self._last = ()
        self._open = threading.Event()
        self._open.set()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    assert self._open.is_set()
                    far = socket.create_connection(("127.0.0.1", self._to))
                except (AssertionError, OSError):
                    near.close()
                    continue
                self._last = (near, far)
                left = [next(self._limits, 1 << 60)]
                lock = threading.Lock()
                for source, to in ((near, far), (far, near)):
                    args = (source, to, left, lock)
                    threading.Thread(target=self._carry, args=args, daemon=True).start()

    def _carry(self, source, to, left, lock):
        with contextlib.suppress(OSError):
            while data := source.recv(16 * 1024):
                with lock:
                    part = data[: left[0]]
                    left[0] -= len(part)
                    is_last = left[0] == 0
                to.sendall(part)
                if is_last:
                    self.cuts += 1
                    self.cut(source, to)
        for each in (source, to):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def cut(self, *sockets):
        """Reset these connections, or the last: what is under way is lost."""
        for each in sockets or self._last:
            with contextlib.suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                each.shutdown(socket.SHUT_RDWR)

    def hold(self):
        """Let nobody through, and cut who is."""
        self._open.clear()
        self.cut()

    def release(self):
        self._open.set()

    def close(self):
        self._listener.close()
