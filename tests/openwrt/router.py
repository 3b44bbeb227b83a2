# A folder that stands for a router's root: the packaged scripts in it, their paths led there, run by busybox.

import os
import re
import shlex
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "packaging/openwrt/files"
HERE = Path(__file__).resolve().parent


def binary():
    """The daemon: what WSBRIDGE names, or a debug build made now."""
    if "WSBRIDGE" in os.environ:
        return Path(os.environ["WSBRIDGE"]).resolve()
    subprocess.run(["cargo", "build", "--quiet", "--locked"], cwd=ROOT, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug/wsbridge"


class Router:
    def __init__(self, daemon):
        self.temporary = tempfile.TemporaryDirectory()
        self.root = Path(self.temporary.name)
        for folder in ("etc/config", "etc/init.d", "etc/uci-defaults", "usr/bin", "tmp", "bin"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/ash\nserial:x:1000:1000::/:/bin/false\n")
        (self.root / "etc/group").write_text("root:x:0:\ndialout:x:20:serial\n")
        (self.root / "usr/bin/wsbridge").symlink_to(daemon)
        # busybox's own sed, grep, cat: what a router has.
        subprocess.run(["busybox", "--install", "-s", self.root / "bin"], check=True)
        for name, place in [("init", "etc/init.d/wsbridge"), ("defaults", "etc/uci-defaults/80-wsbridge"), ("config", "etc/config/wsbridge")]:
            text = (FILES / f"wsbridge.{name}").read_text()
            if name != "config":
                text = re.sub(r"(?<=[ \t=\"'(])/(?=(etc|usr/bin|tmp)/)", f"{self.root}/", text)
            (self.root / place).write_text(text)

    def close(self):
        self.temporary.cleanup()

    @property
    def config(self):
        return self.root / "etc/config/wsbridge"

    def sh(self, *command):
        """Runs a script under the stubs; what was recorded, and how it ended."""
        record = self.root / "record"
        record.write_text("")
        env = {"PATH": str(self.root / "bin"), "RECORD": str(record), "UCI": str(self.config.parent)}
        done = subprocess.run(["busybox", "ash", HERE / "stubs.sh", *command], env=env, capture_output=True, text=True, timeout=60)
        assert not done.stderr, done.stderr
        return record.read_text().splitlines(), done.returncode

    def init(self, action):
        return self.sh(self.root / "etc/init.d/wsbridge", action)

    def first_set_up(self):
        return self.sh(self.root / "etc/uci-defaults/80-wsbridge", "none")

    def command(self, recorded):
        """The command line procd was given."""
        line = next(line for line in recorded if line.startswith("procd_set_param command "))
        return shlex.split(line)[2:]
