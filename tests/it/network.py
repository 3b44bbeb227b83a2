"""A network of the test's own: run as `unshare --map-root-user --net python3 network.py WSBRIDGE FOLDER CASE`.

Nothing outside the namespace is touched. What was measured is printed.
"""

import atexit
import fcntl
import hashlib
import heapq
import os
import pathlib
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "vm"))
import ws  # noqa: E402

PATIENCE = 100
DEAD_AFTER = 5
# The address of the far end of a slow network, and of this machine there.
HERE, THERE = "10.9.0.1", "10.9.0.2"


def run(words):
    subprocess.run(words.split(), check=True)


class Gateway:
    """The daemon, and its log."""

    def __init__(self, binary, folder, config):
        file = pathlib.Path(folder) / "wsbridge.yaml"
        file.write_text(config)
        self.lines, self.news = [], threading.Condition()
        environment = {**os.environ, "STATE_DIRECTORY": folder}
        self.process = subprocess.Popen([binary, "serve", "--config", str(file)], env=environment,
                                        stderr=subprocess.PIPE, text=True)
        # A case that fails must not leave it behind.
        atexit.register(self.process.kill)
        threading.Thread(target=self._follow, daemon=True).start()
        self.port = int(self.wait("listening on ").rpartition(":")[2].split()[0])
        self.wait(" ready: ")

    def _follow(self):
        for line in self.process.stderr:
            with self.news:
                self.lines.append(line.rstrip())
                self.news.notify_all()

    def wait(self, *texts):
        """The first line with these texts."""
        with self.news:
            found = lambda: next((line for line in self.lines if all(text in line for text in texts)), None)
            assert self.news.wait_for(found, PATIENCE), f"no {texts} in\n" + "\n".join(self.lines)
            return found()

    def count(self, text):
        return sum(text in line for line in self.lines)

    def stop(self):
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0


def echo(address=""):
    """A device that sends back what it gets; its port."""
    listener = socket.create_server((address, 0))

    def serve(stream):
        while data := stream.recv(65536):
            stream.sendall(data)

    def accept():
        while True:
            threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def box():
    """A serial port on another box, whose device sends back what it gets; its TCP port, or None without pyserial."""
    script = pathlib.Path(__file__).parents[1] / "peers" / "rfc2217_server.py"
    child = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    said = child.stdout.readline().split()
    if not said:
        print("rfc2217 left out: python3 has no pyserial")
        return None
    device = os.open(said[2], os.O_RDWR | os.O_NOCTTY)

    def serve():
        while data := os.read(device, 4096):
            os.write(device, data)

    threading.Thread(target=serve, daemon=True).start()
    threading.Thread(target=child.stdout.read, daemon=True).start()
    return int(said[1])


def config(endpoints, listen="{ address: '127.0.0.1:0', tls: none }"):
    return (f"listen: [ {listen} ]\nauth: none\nmdns: false\ndead_after: {DEAD_AFTER}s\nendpoints:\n" +
            "".join(f"  {name}: {target}\n" for name, target in endpoints.items()))


# The cases.


def cable(binary, folder):
    """Pulled while data are on their way and the window is open: a connection of one's own, a shared one, and a port on
    another box."""
    ports = {"own": echo(), "line": echo(), "box": box()}
    ports = {name: port for name, port in ports.items() if port}
    targets = {
        "own": "{{ tcp: {{ address: '127.0.0.1:{}' }} }}",
        "line": "{{ tcp: {{ address: '127.0.0.1:{}' }}, share: everyone }}",
        "box": "{{ rfc2217: {{ address: '127.0.0.1:{}' }} }}",
    }
    gateway = Gateway(binary, folder, config({name: targets[name].format(port) for name, port in ports.items()}))
    clients = {name: ws.Plain(gateway.port, name, None) for name in ports}
    for number in range(20):
        for client in clients.values():
            client.write(b"ping %02d." % number)
            assert client.read(8) == b"ping %02d." % number
    run("nft add table inet cable")
    run("nft add chain inet cable lost { type filter hook input priority 0; }")
    for port in ports.values():
        for end in ("dport", "sport"):
            run(f"nft add rule inet cable lost tcp {end} {port} drop")
    pulled = time.monotonic()
    for client in clients.values():
        client.write(b"into the void")
    for name in ports:
        line = gateway.wait("nothing acknowledged for 5 s", f"={name} ")
        took = time.monotonic() - pulled
        print(f"cable pulled: noticed after {took:.2f} s of {DEAD_AFTER} s: {line}")
        assert 0.8 * DEAD_AFTER < took < 10 * DEAD_AFTER
    gateway.stop()


def nat(binary, folder):
    """A DTU behind a mobile network, whose NAT entry is dropped without a word: it comes back from another port while the gateway still holds
    the old connection. One that is alive, also with seconds of delay, is not replaced."""
    run(f"ip address add {HERE}/32 dev lo")
    run(f"ip address add {THERE}/32 dev lo")
    run("ip address add 10.8.0.1/32 dev lo")
    tcp = f"{{{{ listen: '0.0.0.0:{{}}', from: [ {THERE} ], registration: 'REG' }}}}"
    free = socket.create_server(("", 0))
    port = free.getsockname()[1]
    free.close()
    gateway = Gateway(binary, folder, config({"dtu": "{ tcp: " + tcp.format(port) + " }"}))
    gateway.wait("waiting for the device on ")

    def dtu(source=THERE, said=b"REG"):
        stream = socket.create_connection((HERE, port), timeout=PATIENCE, source_address=(source, 0))
        stream.sendall(said)
        return stream

    def refused(source):
        try:
            return dtu(source).recv(1) == b"never"
        except (ConnectionResetError, BrokenPipeError):
            return True

    def talk(stream, text):
        client.write(text)
        assert stream.recv(len(text), socket.MSG_WAITALL) == text
        stream.sendall(text[::-1])
        assert client.read(len(text)) == text[::-1]

    assert refused("10.8.0.1"), "from a network that is not listed"
    old = dtu()
    gateway.wait("the device has connected", f"peer={THERE}:{old.getsockname()[1]}")
    client = ws.Plain(gateway.port, "dtu", None)
    talk(old, b"before")
    # The connection is idle, and alive: another one is refused.
    began = time.monotonic()
    assert refused(THERE), "a second one while the first answers"
    print(f"refused while the first answers, after {time.monotonic() - began:.2f} s")
    talk(old, b"still the first")
    # What went through the NAT is lost both ways, and nobody is told.
    run("nft add table inet nat")
    run("nft add chain inet nat lost { type filter hook input priority 0; }")
    for end in ("dport", "sport"):
        run(f"nft add rule inet nat lost tcp {end} {old.getsockname()[1]} drop")
    began = time.monotonic()
    new = dtu()
    gateway.wait("the device has connected", f"peer={THERE}:{new.getsockname()[1]}")
    print(f"after a NAT drop the device had its place again in {time.monotonic() - began:.2f} s")
    assert time.monotonic() - began < 60
    client = ws.Plain(gateway.port, "dtu", None)
    talk(new, b"after")
    # The same while something is on its way to the device that is gone.
    for end in ("dport", "sport"):
        run(f"nft add rule inet nat lost tcp {end} {new.getsockname()[1]} drop")
    client.write(b"into the void")
    newest = dtu()
    gateway.wait("the device has connected", f"peer={THERE}:{newest.getsockname()[1]}")
    gateway.wait("the device went before it took these")
    client = ws.Plain(gateway.port, "dtu", None)
    talk(newest, b"and on")
    gateway.stop()


class Slow(threading.Thread):
    """A network that takes its time: what is sent to THERE comes to HERE from there, half a round trip later."""

    def __init__(self, round_trip):
        super().__init__(daemon=True)
        self.delay = round_trip / 2
        self.tun = os.open("/dev/net/tun", os.O_RDWR)
        # TUNSETIFF: IFF_TUN | IFF_NO_PI.
        fcntl.ioctl(self.tun, 0x400454CA, struct.pack("16sH", b"slow0", 0x1001))
        run(f"ip address add {HERE}/24 dev slow0")
        run("ip link set slow0 up")
        self.start()

    def run(self):
        late = []
        while True:
            wait = late[0][0] - time.monotonic() if late else None
            if select.select([self.tun], [], [], wait if wait is None else max(0, wait))[0]:
                packet = os.read(self.tun, 65536)
                # The ends change places; neither checksum changes with that.
                if packet[0] >> 4 == 4:
                    heapq.heappush(late, (time.monotonic() + self.delay, packet[:12] + packet[16:20] + packet[12:16] + packet[20:]))
            while late and late[0][0] <= time.monotonic():
                os.write(self.tun, heapq.heappop(late)[1])


def delay(binary, folder):
    """A write after a silence of ten times the time: its first round trip is no reason to cut."""
    Slow(0.5)
    port = echo(HERE)
    target = f"tcp: {{ address: '{THERE}:{port}' }}"
    gateway = Gateway(binary, folder, config({"own": f"{{ {target} }}", "line": f"{{ {target}, share: everyone }}"}))
    clients = [ws.Plain(gateway.port, name, None) for name in ("own", "line")]
    for silence in (0, 0.98 * DEAD_AFTER, 10 * DEAD_AFTER, 0):
        time.sleep(silence)
        sent = time.monotonic()
        for client in clients:
            client.write(b"are you there?")
        for client in clients:
            assert client.read(14) == b"are you there?"
        took = time.monotonic() - sent
        print(f"after {silence:.1f} s of silence answered in {took:.2f} s")
        assert took > 0.4, "the network was not slow"
    assert not gateway.count("nothing acknowledged"), gateway.lines
    gateway.stop()


def address(binary, folder):
    """An address that is not there at the start, and one that is taken."""
    listen = "{ address: '127.0.0.1:0', tls: none }, { address: '192.0.2.9:8443', tls: self-signed }"
    token = "tokens: { t: { sha256: '" + "1f" * 32 + "', rights: { e: [ read ] } } }"
    text = config({"e": "{ sim: echo }"}, listen).replace("auth: none", token)
    gateway = Gateway(binary, folder, text)
    assert "192.0.2.9:8443 is not there yet" in gateway.wait(" ready: "), gateway.lines
    time.sleep(2.5)
    assert gateway.count("192.0.2.9:8443: this machine has no such address; trying again") == 1, gateway.lines
    assert ws.http(gateway.port, "/healthz")[0] == 200
    run("ip address add 192.0.2.9/32 dev lo")
    came = time.monotonic()
    gateway.wait("listening on 192.0.2.9:8443")
    print(f"address came: listened on after {time.monotonic() - came:.2f} s")
    socket.create_connection(("192.0.2.9", 8443)).close()
    assert ws.http(gateway.port, "/healthz")[0] == 200
    # Somebody else's port is no matter of waiting.
    taken = subprocess.run([binary, "serve", "--config", f"{folder}/wsbridge.yaml"], capture_output=True, text=True,
                           env={**os.environ, "STATE_DIRECTORY": folder}, timeout=PATIENCE)
    assert taken.returncode == 69 and "192.0.2.9:8443: the port is in use" in taken.stderr, taken
    gateway.stop()


def ghosts(binary, folder):
    """A script far away is no ghost: neither before its first answer to a ping nor after it is its line given away."""
    Slow(2)
    port = echo()
    text = config({"e": f"{{ tcp: {{ address: '127.0.0.1:{port}' }}, share: one-writer }}"},
                  f"{{ address: '0.0.0.0:0', tls: none, plain: accepted }}")
    token = f"tokens: {{ anna: {{ sha256: '{hashlib.sha256(b'anna').hexdigest()}', rights: {{ e: [ read, write ] }} }} }}"
    gateway = Gateway(binary, folder, text.replace("auth: none", token).replace(f"dead_after: {DEAD_AFTER}s\n", ""))
    near = ws._connect
    ws._connect = lambda port, timeout, tls: socket.create_connection((THERE, port), timeout)
    far = ws.Control(gateway.port, "e", "anna")
    assert far.open(role="writer")["role"] == "writer"
    opened, ws._connect, tries = time.monotonic(), near, 0
    beat = far.hello["heartbeat"]
    # Around each ping: before the first answer nothing was measured of it.
    while (silent := time.monotonic() - opened) < 2 * beat + 6:
        if (silent + 2) % beat < 6:
            other = ws.Control(gateway.port, "e", "anna")
            try:
                other.open(role="writer")
                raise AssertionError(f"its line was given away after {silent:.1f} s")
            except ws.Failed as refused:
                assert refused.code == "busy", refused
            other.leave()
            tries += 1
        time.sleep(0.2)
    far.write(b"still mine")
    assert far.read(10) == b"still mine"
    print(f"asked for {tries} times")
    gateway.stop()


if __name__ == "__main__":
    signal.alarm(2 * PATIENCE)
    run("ip link set lo up")
    globals()[sys.argv[3]](*sys.argv[1:3])
