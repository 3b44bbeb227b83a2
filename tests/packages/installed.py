"""installed.py: a package installed, used and purged in a root file system of its architecture, without systemd running.

Runs in a mount and a network namespace of its own, so that the configuration is used as it is installed, and nothing is left
when it ends. Programs of other architectures run by qemu-user (binfmt_misc).
"""
import fcntl, json, os, pty, re, select, shutil, signal, socket, ssl, struct, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.realpath(__file__))
VM = os.path.join(os.path.dirname(HERE), "vm")
sys.path[:0] = [HERE, VM]

import published, ws           # noqa: E402 (it is in ../vm)
from recipes import recipe     # noqa: E402
from steps import Steps        # noqa: E402

CONFIG = "/etc/wsbridge/wsbridge.yaml"
PASSWORD = re.compile(r"user admin, password (\S+)")
# What dpkg, apt and the account's programs keep for themselves.
OTHERS = ("/var/lib/dpkg/", "/var/log/", "/var/cache/", "/var/lib/apt/", "/var/lib/systemd/deb-systemd", "/etc/passwd",
          "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/subgid", "/etc/.pwd.lock", "/etc/ld.so.cache",
          "/proc/", "/dev/", "/sys/", "/tmp/", "/root/", "/run/")


def check(steps, arch, suite, deb):
    """Does all of it in a child, and adds what that counted."""
    # That of the guests' image where there is one: it is made, or soon needed, anyway.
    alone = [] if arch != "armhf" and suite == "bookworm" else ["--root"]
    line = [os.path.join(VM, "build-image"), *alone, "--arch", arch, "--suite", suite]
    cache = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    subprocess.run([os.path.join(VM, "binfmt-setup"), *([arch] if arch != "amd64" else [])], check=True)
    with tempfile.TemporaryDirectory() as root:
        subprocess.run(f"zstd -qdc '{cache}/root.tar.zst' | tar -C '{root}' -xf -", shell=True, check=True)
        shutil.copy(deb, os.path.join(root, "tmp"))
        child = subprocess.Popen(["unshare", "--net", "--mount", sys.executable, os.path.realpath(__file__), arch, root,
                                  os.path.basename(deb)], stdout=subprocess.PIPE, text=True)
        for line in child.stdout:
            if line.startswith("{"):
                counted = json.loads(line)
                steps.passed += counted["passed"]
                steps.failed += counted["failed"]
            else:
                print(line, end="", flush=True)
        if child.wait():
            raise RuntimeError(f"the steps in the root file system of {arch} ended early")


def loopback_up():
    with socket.socket() as s:
        request = struct.pack("16sh", b"lo", 1)      # IFF_UP
        fcntl.ioctl(s, 0x8914, request)              # SIOCSIFFLAGS


def at_a_terminal(argv):
    """Runs a program as a person would, and gives what the terminal showed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(DEBIAN_FRONTEND="noninteractive", LC_ALL="C")
        os.execvp(argv[0], argv)
    shown = b""
    while True:
        select.select([terminal], [], [])
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    text = shown.decode(errors="replace")
    assert status == 0, text
    return text


class Root:
    def __init__(self, arch, root, deb):
        self.arch, self.root, self.deb, self.password = arch, root, deb, None
        subprocess.run(["mount", "-t", "proc", "proc", f"{root}/proc"], check=True)
        subprocess.run(["mount", "--rbind", "/dev", f"{root}/dev"], check=True)
        with open(f"{root}/usr/sbin/policy-rc.d", "w") as policy:
            policy.write("#!/bin/sh\nexit 101\n")
        os.chmod(f"{root}/usr/sbin/policy-rc.d", 0o755)
        loopback_up()
        self.before = self.files()

    def path(self, name):
        return os.path.join(self.root, name.lstrip("/"))

    def run(self, *words):
        done = subprocess.run(["chroot", self.root, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}"
        return done.stdout

    def read(self, name):
        with open(self.path(name)) as file:
            return file.read()

    def files(self):
        found = set()
        for folder, folders, files in os.walk(self.root):
            inside = folder[len(self.root):] + "/"
            folders[:] = [name for name in folders if not (inside + name + "/").startswith(OTHERS)]
            found.update(inside + name for name in [*folders, *files] if not (inside + name).startswith(OTHERS))
        return found

    # -- the steps -------------------------------------------------------------
    def install(self):
        shown = at_a_terminal(["chroot", self.root, "apt-get", "install", "-y", f"/tmp/{self.deb}"])
        found = PASSWORD.findall(shown)
        assert len(found) == 1, shown
        self.password = found[0]
        return self.run("wsbridge", "--version").strip()

    def secret(self):
        hash_file = os.stat(self.path("/etc/wsbridge/secrets/admin"))
        group = self.run("getent", "group", "wsbridge").split(":")[2]
        assert (hash_file.st_uid, str(hash_file.st_gid), hash_file.st_mode & 0o7777) == (0, group, 0o640)
        assert self.read("/etc/wsbridge/secrets/admin").startswith("$argon2id$")
        folders = [self.path(name) for name in ("etc", "var", "run", "tmp", "root")]
        found = subprocess.run(["grep", "-rlF", self.password, *folders], stdout=subprocess.PIPE, text=True).stdout
        assert not found, f"the password is in {found}"
        assert "dialout" in self.run("id", "-nG", "wsbridge").split()

    def pristine(self):
        assert self.run("dpkg", "--verify", "wsbridge") == ""
        assert "systemd" not in self.run("wsbridge", "check")
        assert "Nothing reads this file" in self.read("/etc/wsbridge/ports-found.yaml")
        assert os.readlink(self.path("/etc/systemd/system/multi-user.target.wants/wsbridge.service")).endswith("wsbridge.service")

    def added(self):
        """An endpoint of its own file, for the service to read; purge takes it with the rest."""
        said = self.run("wsbridge", "add", "plc1", "--tcp", "192.0.2.20:502")
        assert "wss://localhost:8443/ws/plc1\n" in said and "No gateway runs" in said, said
        told = self.run("stat", "-c", "%a %U %G", "/etc/wsbridge/endpoints.d", "/etc/wsbridge/endpoints.d/plc1.yaml")
        assert told.splitlines() == ["750 root wsbridge", "640 root wsbridge"], told
        assert os.listdir(self.path("/etc/wsbridge/endpoints.d")) == ["plc1.yaml"]
        failed = subprocess.run(["chroot", self.root, "wsbridge", "add", "plc2", "--tcp", "192.0.2.20"], stderr=subprocess.PIPE)
        assert failed.returncode == 78 and os.listdir(self.path("/etc/wsbridge/endpoints.d")) == ["plc1.yaml"], failed.stderr

    def use(self):
        self.run("install", "-d", "-o", "wsbridge", "-g", "wsbridge", "-m", "700", "/var/lib/wsbridge")      # systemd's task
        endpoint, said, answer = "trainer", b"AT\r", b"OK"
        if self.arch != "amd64":
            # qemu-user (7.2) has not every ioctl of a pty: there a TCP target answers, and the guest has the rest.
            endpoint, said, answer = "echo", bytes(range(256)), bytes(range(256))
            config = self.read(CONFIG).replace("\nendpoints:\n", "\nendpoints:\n  echo: { sim: echo-tcp }\n")
            with open(self.path(CONFIG), "w") as file:
                file.write(config)
        daemon = subprocess.Popen(["chroot", "--userspec=wsbridge:wsbridge", "--groups=dialout", self.root, "wsbridge", "serve"],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            client = self.client(daemon, endpoint)
            client.write(said)
            client.until(lambda: answer in client.data, "the device's answer")
            daemon.send_signal(signal.SIGTERM)
            assert client.wait_closed() == 1001, client.code
            assert daemon.wait(timeout=20) == 0
        except Exception:
            daemon.kill()
            print(daemon.stdout.read())
            raise

    def client(self, daemon, endpoint):
        tls = ssl._create_unverified_context()
        deadline = time.monotonic() + 60
        while True:
            try:
                assert ws.http(8443, "/api/endpoints", tls=tls)[0] == 401
                break
            except ConnectionError:
                assert daemon.poll() is None and time.monotonic() < deadline, "the daemon does not answer"
                time.sleep(0.1)
        return ws.Plain(8443, endpoint, ("admin", self.password), tls=tls, timeout=60)

    def unit(self):
        done = subprocess.run(["chroot", self.root, "systemd-analyze", "verify", "wsbridge.service", "wsbridge.socket", "wsbridge-admin.socket"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        # (The minimal root file system has no man that could look for the page.)
        about = [line for line in done.stdout.splitlines() if "wsbridge" in line and "Command 'man" not in line]
        assert not about, about

    def purge(self):
        # As for port 443.
        self.run("systemctl", "--root=/", "--quiet", "enable", "wsbridge.socket")
        self.run("dpkg", "--remove", "wsbridge")
        assert os.path.exists(self.path("/etc/wsbridge/secrets/admin")), "a removal keeps the configuration"
        self.run("dpkg", "--purge", "wsbridge")
        left = self.files() - self.before
        assert not left, f"left behind: {sorted(left)}"
        for table in ("passwd", "group"):
            assert "wsbridge" not in self.read(f"/etc/{table}"), table

    def without_sysusers(self):
        program = self.path(self.run("sh", "-c", "command -v systemd-sysusers").strip())
        os.rename(program, program + ".away")
        self.install()
        self.secret()
        self.use()
        self.run("dpkg", "--purge", "wsbridge")
        os.rename(program + ".away", program)

    def into_a_file(self):
        """What apt has written into a file stays, and no password is put where its next words would be."""
        words = "LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get install -y"
        self.run("sh", "-c", f"echo before > /tmp/log; {words} /tmp/{self.deb} > /tmp/log 2>&1")
        shown = self.read("/tmp/log")
        assert shown.startswith("Reading package lists...") and "Setting up wsbridge" in shown, shown
        assert not PASSWORD.search(shown) and "wsbridge passwd admin --generate --file" in shown, shown
        assert "sudo wsbridge ports" in shown and "[::]:8443" in shown, shown
        self.run("dpkg", "--purge", "wsbridge")
        # A file that is appended to has it, once, after what was there.
        self.run("sh", "-c", f"echo before > /tmp/log; {words} /tmp/{self.deb} >> /tmp/log 2>&1")
        shown = self.read("/tmp/log")
        assert shown.startswith("before\nReading package lists...") and len(PASSWORD.findall(shown)) == 1, shown
        self.run("dpkg", "--purge", "wsbridge")

    def preset(self):
        """A password that was put there before is the administrator's."""
        self.type("umask 077; echo '$argon2id$preset' > admin")
        self.type(recipe("Install", "install -D").splitlines()[-1])
        shown = at_a_terminal(["chroot", self.root, "apt-get", "install", "-y", f"/tmp/{self.deb}"])
        assert not PASSWORD.search(shown) and "the one in /etc/wsbridge/secrets/admin" in shown, shown
        assert self.read("/etc/wsbridge/secrets/admin") == "$argon2id$preset\n"
        assert self.run("stat", "-c", "%a %U %G", "/etc/wsbridge/secrets/admin").split() == ["640", "root", "wsbridge"]
        self.run("dpkg", "--purge", "wsbridge")

    def restored(self):
        """The guide's backup, put back into a system that has nothing but the package, made anew."""
        self.install()
        self.run("install", "-d", "-o", "wsbridge", "-g", "wsbridge", "-m", "700", "/var/lib/wsbridge")      # systemd's task
        self.use()
        kept = ["/etc/wsbridge", "/var/lib/wsbridge"]
        before = {name: self.told(name) for name in kept}
        self.type(recipe("Back up, restore, move", "tar -czf"))
        assert oct(os.stat(self.path("/root/wsbridge-backup.tgz")).st_mode & 0o777) == "0o600"
        self.run("dpkg", "--purge", "wsbridge")
        # Another machine: there the account has another number.
        self.run("groupadd", "--system", "--gid", "777", "wsbridge")
        self.run("useradd", "--system", "--uid", "777", "--gid", "wsbridge", "--no-create-home", "wsbridge")
        password = self.password
        self.install()
        assert self.password != password and self.told("/etc/wsbridge") != before["/etc/wsbridge"]
        self.type(recipe("Back up, restore, move", "tar -xzpf"))
        assert {name: self.told(name) for name in kept} == before
        self.password = password
        self.use()
        assert self.told("/var/lib/wsbridge") == before["/var/lib/wsbridge"], "the certificate was made anew"
        self.run("dpkg", "--purge", "wsbridge")

    def told(self, name):
        """Owner, group, mode and content of all there is below a name."""
        lines = f"find {name} -printf '%p %u %g %m\\n' | sort; find {name} -type f | sort | xargs sha256sum"
        return self.run("sh", "-c", lines)

    def type(self, lines):
        """In root's home, as printed in the guide; but for systemd, which does not run here."""
        return self.run("sh", "-e", "-c", f"systemctl() {{ :; }}\ncd /root\n{lines}")

    def steps(self, steps):
        how = "" if self.arch == "amd64" else " through qemu-user"
        if not steps.step(f"{self.arch}: it installs{how} and shows a password once", self.install):
            return
        steps.step(f"{self.arch}: that password is nowhere but in a hash that root and the service may read", self.secret)
        steps.step(f"{self.arch}: its configuration is as shipped and right, its service enabled", self.pristine)
        steps.step(f"{self.arch}: an endpoint is added as a file that the service may read, and a wrong one is not", self.added)
        steps.step(f"{self.arch}: the daemon serves: login by that password, WebSocket round trip, 1001 at its end", self.use)
        steps.step(f"{self.arch}: its units are right (systemd-analyze verify)", self.unit)
        steps.step(f"{self.arch}: purge leaves nothing", self.purge)
        if self.arch == "amd64":
            steps.step("amd64: installed into a file, the file is whole; appended to, it has the password", self.into_a_file)
            steps.step("amd64: a password that was put there before the installation is kept", self.preset)
            steps.step("amd64: the guide's backup, restored on another machine, is the gateway it was", self.restored)
            steps.step("amd64: apt takes it from a repository by the repository's key, and by no other", published.check, self)
            steps.step("amd64: all the same where there is no systemd-sysusers", self.without_sysusers)


def main():
    steps = Steps()
    Root(*sys.argv[1:]).steps(steps)
    print(json.dumps({"passed": steps.passed, "failed": steps.failed}), flush=True)


if __name__ == "__main__":
    main()
