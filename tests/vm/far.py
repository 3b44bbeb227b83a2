"""far.py: the far end of a line in the guest: a software USB adapter (usbser.py), or the socket of a 16550A."""
import json, os, socket, subprocess, sys, threading, time

# A machine that is busy with others is given so many times the time.
PATIENCE = float(os.environ.get("VM_PATIENCE", "1"))
HERE = os.path.dirname(os.path.realpath(__file__))


def now():
    """Milliseconds of this machine's monotonic clock, the one that usbser.py stamps its events with."""
    return time.monotonic() * 1000


class Adapter:
    """A USB adapter whose far end the test sees: `events` is everything that happened there, in order."""

    def __init__(self, guest, name, kind, serial):
        self.guest, self.name, self.kind, self.serial = guest, name, kind, serial
        self.usb, ctl = guest.path(f"{name}.usb"), guest.path(f"{name}.ctl")
        for path in (self.usb, ctl):
            if os.path.exists(path):
                os.unlink(path)
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "usbser.py"), "--usb", self.usb,
                                         "--ctl", ctl, "--kind", kind, "--serial", serial])
        self.events, self.news, self.plugged = [], threading.Condition(), False
        self.ctl = socket.socket(socket.AF_UNIX)
        deadline = now() + 10_000 * PATIENCE
        while True:
            try:
                self.ctl.connect(ctl)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if now() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.01)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.ctl.makefile():
            with self.news:
                self.events.append(json.loads(line))
                self.news.notify_all()

    def _say(self, **message):
        self.ctl.sendall((json.dumps(message) + "\n").encode())

    # -- the plug ----------------------------------------------------------
    def plug(self):
        self.guest.gwvm("plug", self.name, "--kind", "redir", "--sock", self.usb)
        self.plugged = True

    def pull(self):
        """Out of the socket, at once; returns when that was (ms). QEMU's half is cleared away as well."""
        at = self.yank()
        self.unplug()
        return at

    def yank(self):
        """Only the pull itself: returns when it was (ms), with QEMU's half still there."""
        since = self.mark()
        self._say(unplug=True)
        return self.wait(lambda event: event.get("usb") == "gone", since)["ms"]

    def again(self):
        """Out and in, whatever was; as a chip is at first."""
        self.unplug()
        self.hold(False)
        self.stall()
        self.set(cts=True, dsr=True, ri=False, dcd=True)
        self.plug()

    def unplug(self):
        if self.plugged:
            self.guest.gwvm("unplug", self.name, check=False)
        self.plugged = False

    def end(self):
        self.unplug()
        self.process.terminate()
        self.process.wait()
        self.ctl.close()

    # -- what is seen ------------------------------------------------------
    def mark(self):
        with self.news:
            return len(self.events)

    def wait(self, fits, since=0, timeout=20):
        """The first event since a mark that fits."""
        deadline, at = time.monotonic() + timeout * PATIENCE, since
        with self.news:
            while True:
                for event in self.events[at:]:
                    if fits(event):
                        return event
                at = len(self.events)
                left = deadline - time.monotonic()
                if left <= 0 or not self.news.wait(left):
                    raise AssertionError(f"{self.name}: not seen within {timeout} s; seen: {self.events[since:][-20:]}")

    def seen(self, key, since=0):
        """The events of a kind since a mark."""
        with self.news:
            return [event for event in self.events[since:] if key in event]

    def received(self, since=0):
        """The bytes that came out of the wire since a mark."""
        return bytes.fromhex("".join(event["tx"] for event in self.seen("tx", since)))

    def order(self, since, *keys):
        """What happened since a mark: bytes, joined, and the values of these events; speeds to the hundred."""
        with self.news:
            events, seen = self.events[since:], []
        for event in events:
            if "tx" in event:
                data = bytes.fromhex(event["tx"])
                if seen and isinstance(seen[-1], bytes):
                    seen[-1] += data
                else:
                    seen.append(data)
            for key in keys:
                value = round(event[key], -2) if key == "baud" and key in event else event.get(key)
                if value is not None and not (key == "baud" and seen and seen[-1] == value):
                    seen.append(value)
        return seen

    def wait_received(self, count, since=0, timeout=20):
        """Waits for so many bytes since a mark, and gives what there is."""
        deadline = time.monotonic() + timeout * PATIENCE
        with self.news:
            while True:
                got = bytes.fromhex("".join(event.get("tx", "") for event in self.events[since:]))
                if len(got) >= count:
                    return got
                left = deadline - time.monotonic()
                if left <= 0 or not self.news.wait(left):
                    raise AssertionError(f"{self.name}: {len(got)} of {count} bytes within {timeout} s: {got[-60:]!r}")

    def state(self):
        since = self.mark()
        self._say(state=True)
        return self.wait(lambda event: "state" in event, since)["state"]

    # -- what is done ------------------------------------------------------
    def send(self, data):
        self._say(rx=data.hex())

    def fail(self, error, byte=b"\0"):
        self._say(error=error, byte=byte.hex())

    def set(self, **lines):
        self._say(lines=lines)

    def hold(self, on):
        self._say(hold=on)

    def stall(self, *requests):
        """From now on, these requests of the guest are answered with a STALL."""
        self._say(stall=requests)


class Uart:
    """The far end of the guest's 16550A: bytes only."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.settimeout(20 * PATIENCE)

    def send(self, data):
        self.socket.sendall(data)

    def receive(self, count):
        got = b""
        while len(got) < count:
            part = self.socket.recv(65536)
            if not part:
                raise AssertionError(f"the 16550A's socket ended after {len(got)} of {count} bytes")
            got += part
        return got

    def end(self):
        self.socket.close()
