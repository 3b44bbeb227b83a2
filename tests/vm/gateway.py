"""gateway.py: the real daemon in the guest, and the clients and adapters of a test."""
import contextlib, hashlib, json, os, shutil, subprocess, tempfile, time

import far, ws

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PACKAGING = os.path.join(ROOT, "packaging")
TOKENS = {"anna": "anna-anna-anna-anna", "bob": "bob-bob-bob-bob-bob"}
PORT = 7777


def release():
    """The Debian whose C library is old enough to be everywhere, and new enough for this machine's binaries."""
    version = os.confstr("CS_GNU_LIBC_VERSION").split()[-1]
    return "bookworm" if tuple(map(int, version.split("."))) <= (2, 36) else "trixie"


class Guest:
    """A throw-away machine, by gwvm."""

    def __init__(self, name):
        self.name = name
        self.port = None

    def gwvm(self, *words, check=True, **more):
        argv = [os.path.join(HERE, "gwvm"), "-n", self.name, *words]
        if "input" not in more:
            more["stdin"] = subprocess.DEVNULL
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, **more)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(words)}: exit status {done.returncode}: {done.stdout.strip()}")
        return done.stdout

    def start(self):
        forward = ["start", "--suite", release(), "--fwd", f"0:{PORT}"]
        try:
            info = self.gwvm(*forward)
        except RuntimeError:          # KVM that does not carry an ordinary kernel, or a boot that hung: once more
            self.gwvm("stop", check=False)
            info = self.gwvm(*forward, "--tcg")
        info = json.loads(info)
        self.port, self.dir = info["fwd"][str(PORT)], info["run_dir"]
        return info

    def path(self, name):
        return os.path.join(self.dir, name)

    def run(self, line, check=True, **more):
        return self.gwvm("run", line, check=check, **more)

    def stop(self):
        self.gwvm("stop", check=False)


class Gateway:
    """The daemon in a guest. `endpoints` maps a name to the members of its endpoint; JSON is YAML."""

    def __init__(self, guest, binary):
        self.guest, self.endpoints, self.adapters, self.clients = guest, {}, {}, []
        self.first = None
        self.install(binary)

    def install(self, binary):
        with tempfile.TemporaryDirectory() as folder:
            copy = os.path.join(folder, "wsbridge")
            shutil.copy(binary, copy)
            subprocess.run(["strip", copy], check=False, stderr=subprocess.DEVNULL)    # a fifth of the bytes to push
            self.guest.gwvm("push", copy, "/usr/local/bin")
        self.version = self.guest.run("wsbridge --version").strip()

    # -- the daemon ----------------------------------------------------------
    def config(self):
        rights = {"*": ["read", "write", "signals", "settings", "takeover"], "/metrics": ["read"]}
        return {
            "listen": [{"address": f"0.0.0.0:{PORT}", "tls": "none", "plain": "accepted"}],
            "tokens": {name: {"sha256": hashlib.sha256(token.encode()).hexdigest(), "rights": rights}
                       for name, token in TOKENS.items()},
            "resume": "20s",
            "endpoints": self.endpoints,
        }

    def configure(self, then):
        """Writes the configuration, and runs a command in the guest."""
        self.guest.run(f"mkdir -p /etc/wsbridge && cat > /etc/wsbridge/wsbridge.yaml && {then}",
                       input=json.dumps(self.config()))

    def start(self, *properties):
        self.first = self.first or json.dumps(self.endpoints)
        more = "".join(f" -p {word}" for word in properties)
        self.configure(f"systemd-run --quiet --collect --unit=wsbridge{more} /usr/local/bin/wsbridge serve")
        self.until(lambda: self.status() == 200, "the daemon answers")

    def status(self):
        try:
            return ws.http(self.guest.port, "/healthz", timeout=2)[0]
        except OSError:
            return None

    def stop(self):
        self.guest.run("systemctl stop wsbridge", check=False)

    def reload(self):
        """SIGHUP, and the daemon's word that the file is in force."""
        before = self.metric("wsbridge_reloads_total", result="applied")
        self.configure("systemctl kill --signal=HUP wsbridge")
        self.until(lambda: self.metric("wsbridge_reloads_total", result="applied") > before, "the file is in force")

    @contextlib.contextmanager
    def unit(self, config):
        """Inside, the daemon is the shipped unit with its account, and with this configuration. `start` is not called."""
        names = ["wsbridge.service", "wsbridge-admin.socket"]
        self.stop()
        try:
            self.write(config)
            self.guest.gwvm("push", os.path.join(PACKAGING, "sysusers.d", "wsbridge.conf"), "/usr/lib/sysusers.d")
            self.guest.gwvm("push", *(os.path.join(PACKAGING, "systemd", name) for name in names), "/etc/systemd/system")
            self.guest.run("systemd-sysusers && ln -sf /usr/local/bin/wsbridge /usr/bin/wsbridge && systemctl daemon-reload")
            yield
        finally:
            files = " ".join(f"/etc/systemd/system/{name}" for name in names)
            self.guest.run(f"systemctl stop {' '.join(names)}; rm -f {files} /usr/bin/wsbridge; systemctl daemon-reload", check=False)
            self.start()
            self.until_up(*self.endpoints)

    def write(self, config):
        """The configuration of the unit, which its account may read."""
        put = "mkdir -p /etc/wsbridge && cat > /etc/wsbridge/wsbridge.yaml && chmod 644 /etc/wsbridge/wsbridge.yaml"
        self.guest.run(put, input=json.dumps(config))

    @contextlib.contextmanager
    def changed(self, endpoint, **members):
        """Inside, an endpoint has other members (`serial` is merged), and what is given changes them again."""
        old = self.endpoints[endpoint]

        def change(serial=None, **members):
            self.endpoints[endpoint] = {**old, **members, "serial": {**old["serial"], **(serial or {})}}
            self.reload()

        change(**members)
        try:
            yield change
        finally:
            self.endpoints[endpoint] = old
            self.reload()

    def log(self):
        return self.guest.run("journalctl --no-pager -o cat -u wsbridge")

    def until(self, fits, what, timeout=20):
        """Asks again until it is so; only for what nothing tells by itself."""
        deadline = time.monotonic() + timeout * far.PATIENCE
        while not fits():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout} s: {what}")
            time.sleep(0.05)

    def samples(self, name, **labels):
        """The metrics' samples of a name, with their values."""
        status, text = ws.http(self.guest.port, "/metrics", TOKENS["anna"])
        if status != 200:
            raise AssertionError(f"/metrics: HTTP {status}: {text}")
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        found = [line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(name + "{")]
        return {sample: int(value) for sample, value in found if all(label in sample for label in wanted)}

    def metric(self, name, **labels):
        """The value of one sample."""
        (value,) = self.samples(name, **labels).values()
        return value

    def state(self, endpoint):
        """How its target is: closed, opening, up, down; nothing before the first attempt."""
        states = self.samples("wsbridge_target_state", endpoint=endpoint)
        return next((sample.rsplit('"', 2)[1] for sample, here in states.items() if here), None)

    def up(self, endpoint):
        return self.state(endpoint) == "up"

    def until_up(self, *endpoints):
        for endpoint in endpoints:
            self.until(lambda: self.up(endpoint), f"{endpoint} is up")

    def until_free(self, endpoint):
        self.until(lambda: self.metric("wsbridge_sessions_open", endpoint=endpoint) == 0, f"{endpoint} is left")

    # -- its surroundings ------------------------------------------------------
    def adapter(self, name, kind, serial):
        self.adapters[name] = far.Adapter(self.guest, name, kind, serial)
        return self.adapters[name]

    def plain(self, endpoint, user="anna", **more):
        client = ws.Plain(self.guest.port, endpoint, TOKENS[user], **more)
        self.clients.append(client)
        return client

    def control(self, endpoint, user="anna", **more):
        client = ws.Control(self.guest.port, endpoint, TOKENS[user], **more)
        client.endpoint, client.user = endpoint, user
        self.clients.append(client)
        return client

    def resume(self, lost):
        """Goes on with the session of a lost connection, on a new one."""
        session, epoch = lost.session, lost.epoch
        client = self.control(lost.endpoint, lost.user)
        client.session, client.epoch, client.offset = session, epoch, lost.offset
        client.ask("resume", session=session, epoch=epoch, rx=lost.offset)
        return client

    def tidy(self):
        """After a case: no session is left, not even one that waits to be resumed."""
        clients, self.clients = self.clients, []
        for client in clients:
            if client.code is None:
                client.leave()

    def recover(self):
        """After a failed case: everything plugged in, the daemon and its configuration as at the start."""
        self.tidy()
        self.stop()
        for adapter in self.adapters.values():
            adapter.again()
        self.endpoints = json.loads(self.first)
        self.start()
        self.until_up(*self.endpoints)

    def end(self):
        self.tidy()
        for adapter in self.adapters.values():
            adapter.end()
