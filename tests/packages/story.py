"""story.py: the life of a package in a booted Debian with systemd, from its installation to its purge, as the guide
tells it."""
import hashlib, http.client, json, os, re, socket, ssl, subprocess, time

import far, ws
from gateway import Guest
from installed import PASSWORD
from recipes import recipe

HTTPS, CONFIG = 8443, "/etc/wsbridge/wsbridge.yaml"
TOKEN = "wsb_a-token-for-the-tests-of-credentials"
EXPOSURE = 2.0


class Story:
    def __init__(self, guest, outside):
        self.guest, self.outside, self.password, self.tunnels = guest, outside, None, {}
        self.ssh = ["ssh", "-q", "-oControlPath=" + guest.path("ctl")]       # the connection that gwvm keeps
        self.before = self.files()
        self.adapter = far.Adapter(guest, "line1", "ftdi", "GW1")

    # -- the guest -------------------------------------------------------------
    def run(self, line, check=True, **more):
        return self.guest.run(line, check, **more).strip()

    def files(self):
        others = ["/var/log", "/var/lib/dpkg", "/var/cache", "/var/lib/apt", "/var/lib/systemd", "/tmp", "/var/tmp", "/root"]
        without = " -o ".join(f"-path {name} -prune" for name in others)
        return set(self.guest.run(f"find / -xdev {without} -o -print").splitlines())

    def port(self, port=HTTPS):
        """A port of this machine that leads to a loopback port of the guest."""
        if port not in self.tunnels:
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                self.tunnels[port] = s.getsockname()[1]
            way = f"127.0.0.1:{self.tunnels[port]}:127.0.0.1:{port}"
            subprocess.run([*self.ssh, "-O", "forward", "-L", way, "root@127.0.0.1"], check=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return self.tunnels[port]

    def show(self, name):
        return self.run(f"systemctl show --value -p {name} wsbridge")

    # -- the daemon ------------------------------------------------------------
    def get(self, path="/api/endpoints", who=None, port=HTTPS):
        if path == "/metrics":                 # programs on that machine need no login, which costs a second there
            return ws.http(self.port(port), path, timeout=30, tls=ssl._create_unverified_context())
        return ws.http(self.port(port), path, who or ("admin", self.password), timeout=30, tls=ssl._create_unverified_context())

    def browse(self, method, path, body=None, cookie=None):
        """A request as the gateway's own page makes it; returns status and headers."""
        port = self.port()
        connection = http.client.HTTPSConnection("localhost", port, timeout=60, context=ssl._create_unverified_context())
        headers = {"Origin": f"https://localhost:{port}", "Content-Type": "application/json"}
        if cookie:
            headers["Cookie"] = cookie
        connection.request(method, path, body and json.dumps(body), headers)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status, response.headers

    def sign_in(self):
        """A browser's sign-in; returns its cookie."""
        status, headers = self.browse("POST", "/api/login", {"user": "admin", "password": self.password})
        assert status == 200, status
        return headers["Set-Cookie"].partition(";")[0]

    def signed_in(self, cookie):
        status, _ = self.browse("GET", "/api/session", cookie=cookie)
        assert status in (200, 401), status
        return status == 200

    def from_outside(self):
        """What another machine on the network is answered."""
        try:
            return ws.http(self.outside, "/healthz", tls=ssl._create_unverified_context())[0]
        except OSError:
            return None

    def open(self, endpoint="line1"):
        return ws.Plain(self.port(), endpoint, ("admin", self.password), timeout=60, tls=ssl._create_unverified_context())

    def until(self, fits, what, timeout=60):
        """Asks again until it is so; only for what nothing tells by itself."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                if fits():
                    return
            except OSError:
                pass
            time.sleep(0.2)
        state = self.run("systemctl status wsbridge; journalctl -n 20 -u wsbridge", False)
        raise AssertionError(f"not within {timeout} s: {what}; {state}")

    def answers(self):
        self.until(lambda: self.get()[0] == 200, "the daemon answers")

    def round_trip(self, client):
        since = self.adapter.mark()
        client.write(b"to the device \xff\x00")
        assert self.adapter.wait_received(16, since) == b"to the device \xff\x00"
        self.adapter.send(b"from the device")
        assert client.read(15) == b"from the device"

    def edit(self, old, new):
        """As an editor does: the file in place."""
        text = self.run(f"cat {CONFIG}")
        assert old in text, text
        self.run(f"cat > {CONFIG}", input=text.replace(old, new, 1) + "\n")

    def drop_in(self, name, text):
        folder = "/etc/systemd/system/wsbridge.service.d"
        self.run(f"mkdir -p {folder} && cat > {folder}/{name}.conf && systemctl daemon-reload", input=text)

    # -- the steps -------------------------------------------------------------
    def install(self, deb):
        self.guest.gwvm("push", deb, "/tmp")
        # At a terminal, as people do; -tt gives them one.
        shown = subprocess.run([*self.ssh, "-tt", "root@127.0.0.1", f"apt-get install -y /tmp/{os.path.basename(deb)}"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True).stdout
        found = PASSWORD.findall(shown)
        assert len(found) == 1, shown
        self.password = found[0]
        assert self.run("systemctl is-active wsbridge; systemctl is-enabled wsbridge").split() == ["active", "enabled"]
        self.answers()
        return self.run("wsbridge --version")

    def safe(self):
        status, _ = self.get(who=("admin", "guessed"))
        assert status == 401, status
        sockets = [line.split() for line in self.run("cat /proc/net/tcp /proc/net/tcp6").splitlines()]
        listening = [place for _, place, _, state, *_ in sockets if state == "0A" and place.endswith(f":{HTTPS:04X}")]
        assert listening == [f"0100007F:{HTTPS:04X}"] and self.from_outside() is None, listening
        rights = self.run(f"stat -c '%a %U %G' {CONFIG} /etc/wsbridge/secrets /etc/wsbridge/secrets/admin /var/lib/wsbridge")
        assert rights.splitlines() == ["640 root wsbridge", "2750 root wsbridge", "640 root wsbridge", "700 wsbridge wsbridge"]
        assert self.run("dpkg --verify wsbridge") == ""
        self.run("wsbridge check")
        logged = self.run("test -s /var/log/apt/term.log && grep -c 'Setting up wsbridge' /var/log/apt/term.log")
        found = self.run(f"grep -rlF -e {self.password} /etc /var /run /root /tmp 2> /dev/null", False)
        found += self.run(f"journalctl | grep -F -e {self.password}", False)
        assert not found, f"the password is in {found}"
        return f"apt's term.log has the installation ({logged} line), and not the password"

    def use(self):
        self.adapter.plug()
        self.until(lambda: "GW1" in self.run("wsbridge ports"), "the adapter is listed")
        self.edit('address: "127.0.0.1:8443"', 'address: "[::]:8443"')
        (port,) = set(re.findall(r"port: (\{ usb: .*GW1.* \})", self.run("wsbridge ports")))
        self.edit("\nendpoints:\n", f"\nendpoints:\n  line1: {{ serial: {{ port: {port}, baud: 115200 }} }}\n")
        self.run("wsbridge check")
        self.run("systemctl reload wsbridge")
        self.until(lambda: '"line1"' in self.get()[1], "the file is in force")
        assert self.from_outside() == 200, "it is not open to the network"
        self.until(self.up, "line1 is up")
        client = self.open()
        self.round_trip(client)
        # Pulled and put back: the daemon hears of it, under the sandbox.
        self.adapter.unplug()
        assert client.wait_closed() == 1011, client.code
        self.adapter.plug()
        self.until(self.up, "line1 is up again")
        client = self.open()
        self.round_trip(client)
        client.leave()
        return port

    def up(self):
        return re.search(r'wsbridge_target_state\{[^}]*endpoint="line1"[^}]*="up"\} 1', self.get("/metrics")[1]) is not None

    def examined(self):
        """A correct installation: an adapter and a UART in use by the packaged unit."""
        ports = json.loads(self.run("wsbridge ports --json"))
        (uart, *_) = [port["device"] for port in ports if port["name"].startswith("ttyS") and not port["warning"]]
        self.edit("\nendpoints:\n", f"\nendpoints:\n  uart: {{ serial: {{ port: {{ path: {uart} }} }} }}\n")
        self.run("systemctl reload wsbridge")
        self.until(lambda: '"uart"' in self.get()[1], "the file is in force")
        shown = self.run("wsbridge doctor --json; echo code $?")
        text, code = shown.rsplit("code ", 1)
        found = json.loads(text)
        wrong = [finding for finding in found["findings"] if finding["level"] == "wrong"]
        assert (code, wrong) == ("0", []), wrong
        well = {finding["place"] for finding in found["findings"] if (finding["id"], finding["level"]) == ("port", "ok")}
        assert {"endpoints.line1", "endpoints.uart"} <= well, found
        # Without rights it says what it cannot see.
        shown = self.run("setpriv --reuid=nobody --regid=nogroup --clear-groups wsbridge doctor --no-connect; true")
        assert "not seen as this user" in shown and "/etc/wsbridge/wsbridge.yaml" in shown, shown
        return f"{uart} and line1; {len(found['findings'])} findings, {found['hints']} hints"

    def surroundings(self):
        """What the daemon reads of the system is there under its unit, or hidden as packaging/README.md says."""
        pid = self.show("MainPID")
        inside = f"nsenter -t {pid} -m setpriv --reuid=wsbridge --regid=wsbridge --init-groups"
        group = "/sys/fs/cgroup/system.slice/wsbridge.service/memory.max"
        there = ["/proc/self/status", "/proc/self/cgroup", group, "/sys/class/tty/console/active", "/sys/dev/char",
                 "/run/systemd/units", "/run/udev/data", "/dev/serial/by-id", "/dev/pts", "/run/lock"]
        hidden = ["/proc/sys", "/proc/consoles", "/proc/net", "/proc/1"]
        found = self.run(f"{inside} sh -c 'for each in {' '.join(there + hidden)}; do [ ! -r $each ] || echo $each; done'")
        assert found.split() == there, found
        assert self.run(f"{inside} cat {group}") == str(256 << 20)
        assert self.run(f"{inside} sh -c 'test -w /run/lock && ! test -w /run/udev/data && echo so'") == "so"
        metrics = dict(re.findall(r"^(process_\w+) (\d+)$", self.get("/metrics")[1], re.M))
        hard = self.run(f"sed -n 's/^Max open files *[0-9]* *\\([0-9]*\\).*/\\1/p' /proc/{pid}/limits")
        assert metrics["process_max_fds"] == hard and int(metrics["process_resident_memory_bytes"]) > 1 << 20, (metrics, hard)
        return f"{len(there)} there, {len(hidden)} hidden, {hard} descriptors"

    def node(self):
        """A `pty` door under the packaged unit: of the service's group, for its members alone, whatever they do to it."""
        path = "/run/wsbridge/echo1"
        rights = "rights: [ read, write, settings ]"
        entry = f"\n  echo1: {{ sim: echo, doors: [ {{ pty: {path}, as: admin, {rights} }} ] }}"
        self.edit("\nendpoints:\n", f"\nendpoints:{entry}\n")
        shown = self.run("wsbridge check")
        assert f"pty {path}" in shown and "group" in shown, shown
        self.run("systemctl reload wsbridge")
        there = lambda: self.run(f"stat -L -c '%a %U %G' {path}", False) == "660 wsbridge wsbridge"
        self.until(there, "the node is there")
        others = "setpriv --reuid=nobody --regid=nogroup"
        member = f"{others} --groups=wsbridge"
        talk = f"sh -c 'exec 3<>{path}; printf hello >&3; timeout --foreground 30 head -c 5 <&3'"
        assert "ermission denied" in self.run(f"{others} --clear-groups {talk} 2>&1", False)
        assert self.run(f"{member} {talk}") == "hello"
        # One that wants it for itself leaves a terminal that nobody else could open, us included.
        alone = f"open F, q(+<), q({path}) or die $!; my $x = 0; ioctl F, 0x540C, $x or die $!; syswrite F, q(mine); sysread F, $x, 4; print $x"
        before = self.run(f"readlink {path}")
        assert self.run(f"{member} perl -e '{alone}'") == "mine"
        self.until(lambda: self.run(f"readlink {path}") != before, "another node is there")
        assert self.run(f"{member} {talk}") == "hello"
        # The speed of the line is what a tool sets.
        assert self.run(f"{member} sh -c 'exec 3<>{path}; stty 57600 <&3; stty speed <&3'") == "57600"
        # A crash leaves the link, a stop does not.
        times = int(self.show("NRestarts"))
        self.run("systemctl kill -s KILL wsbridge")
        self.until(lambda: int(self.show("NRestarts")) == times + 1 and there(), "the node is there again")
        self.answers()
        assert self.run(f"{member} {talk}") == "hello"
        self.run("systemctl stop wsbridge")
        assert self.run(f"ls -d {path} 2> /dev/null", False) == "" and self.run(f"readlink {path}", False) == ""
        self.edit(entry, "")
        self.run("systemctl start wsbridge")
        self.answers()
        return "660 wsbridge wsbridge"

    def reload(self):
        client, pid = self.open(), self.show("MainPID")
        self.edit("A simulated modem, to try things out; remove it", "Changed while a session goes on")
        self.run("systemctl reload wsbridge")
        self.until(lambda: "Changed while" in self.get()[1], "the file is in force")
        self.edit("\nendpoints:\n", "\nendpoint:\n")
        self.run("systemctl reload wsbridge", False)
        self.until(lambda: "endpoint" in self.show("StatusText"), "systemd is told what is wrong")
        told = self.show("StatusText")
        self.edit("\nendpoint:\n", "\nendpoints:\n")
        self.run("systemctl reload wsbridge")
        self.until(lambda: "endpoint" not in self.show("StatusText") or self.show("StatusText") != told, "and that it is mended")
        self.round_trip(client)
        client.leave()
        assert self.show("MainPID") == pid
        new = int(self.run("systemctl --version").split()[1]) >= 253
        assert self.show("Type") == ("notify-reload" if new else "notify")
        return f"a wrong file: {told}"

    def upgrade(self, deb):
        client, pid, config = self.open(), self.show("MainPID"), self.run(f"sha256sum {CONFIG}")
        cookie = self.sign_in()
        self.guest.gwvm("push", deb, "/tmp")
        name = os.path.basename(deb)
        line = recipe("Install", "_NEW_", wsbridge_NEW_arm64=name.removesuffix(".deb"))
        shown = self.run(f"cd /tmp && export DEBIAN_FRONTEND=noninteractive && {line} 2>&1")
        assert client.wait_closed() == 1001, client.code
        assert not PASSWORD.search(shown) and "password" not in shown, shown
        assert self.show("MainPID") != pid and self.run(f"sha256sum {CONFIG}") == config
        assert self.run("dpkg-query -f '${Version}' -W wsbridge").endswith("-2")
        self.answers()
        assert self.signed_in(cookie), "the browser has to sign in again"
        self.until(self.up, "line1 is up")
        client = self.open()
        self.round_trip(client)
        client.leave()

    def password_changed_while_stopped(self):
        cookie = self.sign_in()
        self.run("systemctl restart wsbridge")
        self.answers()
        assert self.signed_in(cookie), "a restart ends the sign-in"
        self.run("systemctl stop wsbridge")
        self.password = "another-password-now"
        self.run("wsbridge passwd admin --file /etc/wsbridge/secrets/admin", input=f"{self.password}\n")
        self.run("systemctl start wsbridge")
        self.answers()
        assert not self.signed_in(cookie), "the sign-in outlives its password"

    def rebooted(self):
        """What outlives a restart is of this boot alone; and the service comes up by itself, with its line."""
        cookie = self.sign_in()
        self.run("systemctl restart wsbridge")
        self.answers()
        assert self.signed_in(cookie), "a restart ends the sign-in"
        assert self.run("findmnt -n -o FSTYPE -T /run/wsbridge") == "tmpfs" and self.run("ls /run/wsbridge") == "sign-ins"
        boot = self.run("cat /proc/sys/kernel/random/boot_id")
        self.guest.gwvm("reboot")
        self.tunnels.clear()                   # they went with the connection
        assert self.run("cat /proc/sys/kernel/random/boot_id") != boot
        self.answers()
        assert not self.signed_in(cookie), "the sign-in outlives a reboot"
        self.until(self.up, "line1 is up")
        client = self.open()
        self.round_trip(client)
        client.leave()

    def refused(self):
        pid = self.show("MainPID")
        self.edit("\nendpoints:\n", "\nendpoint:\n")
        shown = self.run("/var/lib/dpkg/info/wsbridge.postinst configure 0.1.0-1 2>&1")      # what an upgrade runs
        self.edit("\nendpoint:\n", "\nendpoints:\n")
        assert "did you mean `endpoints`" in shown and "not restarted" in shown, shown
        assert self.show("MainPID") == pid and self.get()[0] == 200

    def credentials(self):
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        self.run("install -d -m 700 /etc/wsbridge/credentials && cat > /etc/wsbridge/credentials/billing", input=digest)
        self.drop_in("credentials", self.run("cat /usr/share/doc/wsbridge/examples/credentials.conf"))
        token = "tokens: { billing: { sha256: { credential: billing }, rights: { line1: [ read ] } } }"
        self.edit("\nendpoints:\n", f"\n{token}\nendpoints:\n")
        self.run("systemctl restart wsbridge")
        self.answers()
        status, body = self.get(who=TOKEN)
        assert status == 200 and "line1" in body and "trainer" not in body, body
        self.run("wsbridge check")
        as_service = "setpriv --reuid=wsbridge --regid=wsbridge --clear-groups"
        assert self.run(f"{as_service} cat /etc/wsbridge/credentials/billing 2>&1", False).endswith("denied")

    def watchdog(self):
        self.drop_in("watchdog", "[Service]\nWatchdogSec=4\nTimeoutAbortSec=1\n")
        self.run("systemctl restart wsbridge")
        self.answers()
        pid, times = self.show("MainPID"), self.show("NRestarts")
        self.run(f"kill -STOP {pid}")
        self.until(lambda: self.show("NRestarts") == str(int(times) + 1), "systemd restarts it")
        self.answers()
        assert "Watchdog timeout" in self.run("journalctl -u wsbridge")
        self.run("rm /etc/systemd/system/wsbridge.service.d/watchdog.conf; systemctl daemon-reload")

    def socket(self):
        listener = recipe("TLS", "systemd:https").partition("listen:\n")[2]
        self.edit("\nlisten:\n", f"\nlisten:\n{listener}\n")
        self.run(f"set -e\n{recipe('TLS', 'wsbridge.socket')}\n! systemctl -q is-active wsbridge")
        assert self.run("systemctl is-enabled wsbridge.socket") == "enabled"
        status, _ = self.get(port=443)           # the connection starts the service
        assert status == 200 and self.run("systemctl is-active wsbridge") == "active"
        assert self.show("User") == "wsbridge"
        status, _ = self.get()
        assert status == 200

    def security(self):
        line = self.run("systemd-analyze security wsbridge --no-pager").splitlines()[-1]
        level = float(re.search(r"([0-9.]+) [A-Z]+", line).group(1))
        assert level <= EXPOSURE, line
        assert int(self.show("MemoryMax")) == 256 << 20 and int(self.show("TasksMax")) == 128
        resident = self.run(f"sed -n 's/^VmRSS: *//p' /proc/{self.show('MainPID')}/status")
        return f"{level} with systemd {self.run('systemctl --version').split()[1]}; resident {resident}, {self.show('TasksCurrent')} tasks"

    def remove(self):
        self.run("apt-get remove -y wsbridge 2>&1")
        units = "wsbridge wsbridge.socket wsbridge-admin.socket"
        assert self.run(f"systemctl is-active {units}", False).split() == ["inactive"] * 3
        assert self.run(f"test -e {CONFIG} && test -e /etc/wsbridge/secrets/admin && ! test -e /usr/bin/wsbridge; echo $?") == "0"
        self.run("systemctl --failed --quiet | grep -q wsbridge && exit 1; true")

    def purge(self):
        self.run("rm -rf /etc/systemd/system/wsbridge.service.d /etc/wsbridge/credentials")      # what this story put there
        self.run("apt-get purge -y wsbridge 2>&1; systemctl daemon-reload")
        left = {name for name in self.files() - self.before if not re.search(r"/(passwd|group|shadow|gshadow)-$", name)}
        assert not left, f"left behind: {sorted(left)}"
        assert self.run("getent passwd wsbridge; getent group wsbridge; ls -d /run/wsbridge 2> /dev/null", False) == ""


def tell(steps, arch, suite, first, second, keep):
    """The whole story in a guest of that architecture and Debian release; `second` is the upgrade of `first`."""
    guest = Guest(f"packages{os.getpid()}")
    story = None
    try:
        words = ["start", "--arch", arch, "--suite", suite, "--fwd", f"0:{HTTPS}"]
        try:
            info = guest.gwvm(*words)
        except RuntimeError:                  # a boot that hung: once more
            guest.stop()
            info = guest.gwvm(*words, "--tcg")
        info = json.loads(info)
        guest.dir = info["run_dir"]
        print(f"guest: Debian {suite}, {arch}, {info['accel']}, started in {info['start_s']} s", flush=True)
        story = Story(guest, info["fwd"][str(HTTPS)])
        if steps.step("guest: apt installs it: it runs, is enabled, and its password, shown once, lets in", story.install, first):
            steps.step("guest: it is safe as installed: loopback, TLS, a password kept as a hash alone", story.safe)
            steps.step("guest: opened to the network: a WebSocket round trip to a USB serial adapter, which is pulled and put back", story.use)
            steps.step("guest: a device node is its group's, under the packaged unit, and outlives tools and a crash", story.node)
            steps.step("guest: doctor finds nothing wrong with an adapter and a UART under the packaged unit", story.examined)
            steps.step("guest: what the daemon reads of the system is there under its unit, or hidden as packaging/README.md says",
                       story.surroundings)
            steps.step("guest: a reload keeps sessions, and a wrong file changes nothing", story.reload)
            steps.step("guest: an upgrade keeps the edited configuration and sign-ins, tells sessions 1001, restarts", story.upgrade, second)
            steps.step("guest: a password changed while the service is stopped ends its sign-ins", story.password_changed_while_stopped)
            steps.step("guest: a reboot ends sign-ins; the service and its line come up by themselves", story.rebooted)
            steps.step("guest: a version that does not take the configuration is not started in place of the old", story.refused)
            steps.step("guest: root's secrets come by LoadCredential, as the example does it", story.credentials)
            steps.step("guest: a daemon that hangs is restarted by the watchdog", story.watchdog)
            steps.step("guest: port 443 by socket activation", story.socket)
            steps.step(f"guest: systemd-analyze security is at most {EXPOSURE}", story.security)
            steps.step("guest: remove stops it and keeps the configuration", story.remove)
            steps.step("guest: purge leaves nothing", story.purge)
    finally:
        if story:
            story.adapter.end()
        if keep:
            print(f"the guest goes on: tests/vm/gwvm -n {guest.name} run bash; stop ends it")
        else:
            guest.stop()
