#!/usr/bin/env python3
"""emulated.py: static binaries of any architecture under qemu-user: their version, a login and a WebSocket round trip.

  emulated.py BINARY...        prints a line each, and 'N passed, M failed'
"""
import os, re, ssl, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "vm")]
sys.dont_write_bytecode = True

import ws                      # noqa: E402 (it is in ../vm)
from steps import Steps        # noqa: E402

CONFIG = """
listen: [ { address: "127.0.0.1:0", tls: %(tls)s } ]
state_directory: %(folder)s
users: { admin: { password: { file: %(folder)s/admin }, rights: { "*": [ read, write ] } } }
endpoints: { echo: { sim: echo-tcp } }
"""
# By the machine of the ELF header, and whether it is big-endian.
EMULATORS = {(183, False): ["aarch64"], (40, False): ["arm"], (8, True): ["mips"], (8, False): ["mipsel"], (62, False): ["x86_64"]}


def emulator(binary):
    """The command that runs it, and whether it is big-endian."""
    with open(binary, "rb") as file:
        head = file.read(20)
    big = head[5] == 2
    (name,) = EMULATORS[int.from_bytes(head[18:20], "big" if big else "little"), big]
    line = [f"qemu-{name}-static"]
    if name == "arm" and "Tag_CPU_arch: v6" in subprocess.run(["readelf", "-A", binary], stdout=subprocess.PIPE, text=True).stdout:
        line += ["-cpu", "arm1176"]            # a Raspberry Pi Zero
    return line, big


def certificate(folder):
    """A certificate and its key from files. A big-endian program under qemu-user cannot make its own: that asks for the
    machine's addresses, and qemu does not turn the attributes of netlink's answers, so musl's getifaddrs reads a length
    of 0 for ever."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=gateway", "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"], check=True,
                   stderr=subprocess.DEVNULL)
    return f"{{ certificate: {folder}/cert.pem, key: {folder}/key.pem }}"


def round_trip(binary):
    qemu, big = emulator(binary)

    def run(*words):
        return subprocess.run([*qemu, binary, *words], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    with tempfile.TemporaryDirectory() as folder:
        password = run("passwd", "admin", "--generate", "--file", f"{folder}/admin")
        with open(f"{folder}/wsbridge.yaml", "w") as file:
            file.write(CONFIG % {"folder": folder, "tls": certificate(folder) if big else "self-signed"})
        daemon = subprocess.Popen([*qemu, binary, "serve", "--config", f"{folder}/wsbridge.yaml"], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
        try:
            said = []
            for line in daemon.stdout:
                said.append(line)
                if listening := re.search(r"ready: .* on 127\.0\.0\.1:(\d+)", line):
                    break
            assert listening, "".join(said)
            client = ws.Plain(int(listening.group(1)), "echo", ("admin", password), tls=ssl._create_unverified_context(), timeout=60)
            everything = bytes(range(256))
            client.write(everything)
            assert client.read(256) == everything
            daemon.terminate()
            assert client.wait_closed() == 1001, client.code
            assert daemon.wait(timeout=20) == 0
        finally:
            daemon.kill()
    return f"{' '.join(qemu)}: {run('--version')}, {os.path.getsize(binary)} bytes"


def check(steps, binaries):
    for binary in binaries:
        name = os.path.basename(os.path.dirname(os.path.abspath(binary)))
        steps.step(f"{name}: a login and a WebSocket round trip under qemu-user", round_trip, binary)


def main():
    steps = Steps()
    check(steps, sys.argv[1:])
    print(f"emulated: {steps.passed} passed, {steps.failed} failed")
    sys.exit(1 if steps.failed or not steps.passed else 0)


if __name__ == "__main__":
    main()
