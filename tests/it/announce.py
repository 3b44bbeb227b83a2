"""Two machines on one cable, by network namespaces: here the daemon, there somebody who looks for it by python-zeroconf.

    unshare --map-root-user --net python3 announce.py WSBRIDGE FOLDER
"""

import http.client
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import time

PATIENCE = 60
WEB, GATEWAYS, PORTS = "_https._tcp.local.", "_wsbridge._tcp.local.", "_rfc2217._tcp.local."


def ip(words):
    subprocess.run(["ip", *words.split()], check=True)


# There.


def looker():
    import zeroconf

    class Listener(zeroconf.ServiceListener):
        def add_service(self, zc, kind, name):
            info = zc.get_service_info(kind, name, timeout=10_000)
            say("found", kind=kind, name=name, server=info.server, port=info.port,
                addresses=info.parsed_addresses(), text={k.decode(): v.decode() for k, v in info.properties.items()})

        def update_service(self, zc, kind, name):
            pass

        def remove_service(self, zc, kind, name):
            say("gone", kind=kind, name=name)

    say("ready")
    assert sys.stdin.readline()
    ip("addr add 192.0.2.8/24 dev lan1")
    ip("link set lan1 up")
    zc = zeroconf.Zeroconf(interfaces=["192.0.2.8"])
    zeroconf.ServiceBrowser(zc, [WEB, GATEWAYS, PORTS], Listener())
    say("looking")
    # Each line is a name to open over TLS, by the address it has and under its own name.
    for line in sys.stdin:
        name, port, authority = line.split()
        address = zc.get_service_info(WEB, f"wsbridge on {name.partition('.')[0]}.{WEB}").parsed_addresses()[0]
        with socket.create_connection((address, int(port)), timeout=PATIENCE) as plain:
            tls = ssl.create_default_context(cafile=authority).wrap_socket(plain, server_hostname=name)
            tls.sendall(f"GET /healthz HTTP/1.1\r\nHost: {name}:{port}\r\nConnection: close\r\n\r\n".encode())
            answer = http.client.HTTPResponse(tls)
            answer.begin()
            say("answer", status=answer.status)


def say(what, **facts):
    print(json.dumps({"what": what, **facts}), flush=True)


# Here.


class There:
    """The machine at the other end of the cable."""

    def __init__(self):
        self.gone = None
        command = ["unshare", "--net", sys.executable, __file__, "--there"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.hear()["what"] == "ready"
        ip(f"link set lan1 netns {self.process.pid}")
        self.tell("go")
        assert self.hear()["what"] == "looking"

    def tell(self, line):
        print(line, file=self.process.stdin, flush=True)

    def hear(self):
        line = self.process.stdout.readline()
        assert line, "the other machine has ended"
        told = json.loads(line)
        print("   there:", told)
        return told

    def both(self, what):
        """What it says of the two services, by kind."""
        return self.all(what, 2)

    def all(self, what, count):
        """What it says of so many services, by kind."""
        told = [self.hear() for _ in range(count)]
        assert [one["what"] for one in told] == [what] * count, told
        if what == "gone":
            self.gone = time.monotonic()
        elif what == "found" and self.gone:
            # A packet of the same bytes within 800 ms of another is none to zeroconf; two goodbyes are such.
            time.sleep(max(0, self.gone + 1 - time.monotonic()))
        return {one["kind"]: one for one in told}


def main(binary, folder):
    signal.alarm(PATIENCE)
    folder = pathlib.Path(folder)
    own = socket.gethostname().partition(".")[0].lower()
    ip("link set lo up")
    ip("link add lan0 type veth peer name lan1")
    ip("addr add 192.0.2.7/24 dev lan0")
    ip("link set lan0 up")
    there = There()

    config = folder / "wsbridge.yaml"
    hash_of_nothing = "1f" * 32
    text = (f"tokens: {{ t: {{ sha256: '{hash_of_nothing}', rights: {{ e: [ read ] }} }} }}\n"
            f"state_directory: {folder}\nendpoints: {{ e: {{ sim: echo }} }}\n")
    listen = "listen: [ { address: '0.0.0.0:8443' }, { address: '127.0.0.1:8080', tls: none } ]\n"
    config.write_text(listen + text)
    daemon = subprocess.Popen([binary, "serve", "--config", config])

    found = there.both("found")
    web, gateway = found[WEB], found[GATEWAYS]
    assert web["name"] == f"wsbridge on {own}.{WEB}", web
    for one in (web, gateway):
        assert (one["port"], one["addresses"], one["server"]) == (8443, ["192.0.2.7"], f"{own}.local."), one
    assert (web["text"], gateway["text"]) == ({"path": "/"}, {"tls": "1"}), found

    # The name it is announced by is one it answers to, and its certificate has it.
    there.tell(f"{own}.local 8443 {folder}/tls/ca.crt")
    assert there.hear() == {"what": "answer", "status": 200}

    # Another port at a reload; silence when told so; goodbye at the end.
    config.write_text(listen.replace("8443", "8444") + text)
    daemon.send_signal(signal.SIGHUP)
    there.both("gone")
    assert {one["port"] for one in there.both("found").values()} == {8444}
    config.write_text("mdns: false\n" + listen.replace("8443", "8444") + text)
    daemon.send_signal(signal.SIGHUP)
    there.both("gone")
    config.write_text(listen.replace("8443", "8444") + text)
    daemon.send_signal(signal.SIGHUP)
    there.both("found")

    # A door that asks for it, with what is known of the adapter; not the one that does not.
    doors = ", ".join("{ rfc2217: '0.0.0.0:%d', as: t, from: [ 192.0.2.0/24 ], insecure: true%s }" % door
                      for door in [(2217, ", announce: true"), (2218, "")])
    port = "{ serial: { port: { usb: '0403:6001', serial: A50285BI } }, doors: [ " + doors + " ] }"
    config.write_text(listen.replace("8443", "8444") + text.replace("{ sim: echo }", port))
    daemon.send_signal(signal.SIGHUP)
    there.both("gone")
    found = there.all("found", 3)[PORTS]
    assert (found["name"], found["port"]) == (f"e on {own}.{PORTS}", 2217), found
    assert found["text"] == {"VENDOR_ID": "0403", "MODEL_ID": "6001", "SERIAL": "A50285BI"}, found
    daemon.terminate()
    there.all("gone", 3)
    assert daemon.wait() == 0
    there.process.kill()


if sys.argv[1] == "--there":
    looker()
else:
    main(*sys.argv[1:])
