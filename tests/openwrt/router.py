# A folder that stands for a router's root: the packaged scripts in it, their paths led there, run by busybox.

import json
import os
import re
import shlex
import subprocess
import sys
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
        for folder in ("etc/config", "etc/init.d", "etc/uci-defaults", "etc/hotplug.d/tty", "usr/bin", "sbin", "tmp", "bin", "dev"):
            (self.root / folder).mkdir(parents=True)
        # As the package's Require-User: makes it.
        (self.root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/ash\nserial:x:1000:1000::/:/bin/false\nwsbridge:x:32768:32768::/:/bin/false\n")
        (self.root / "etc/group").write_text("root:x:0:\ndialout:x:20:serial,wsbridge\nwsbridge:x:32768:wsbridge\n")
        (self.root / "usr/bin/wsbridge").symlink_to(daemon)
        # busybox's own sed, grep, cat: what a router has.
        subprocess.run(["busybox", "--install", "-s", self.root / "bin"], check=True)
        for name in ("uci", "jsonfilter"):
            wrapper = self.root / "bin" / name
            wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} {HERE}/bin/{name} "$@"\n')
            wrapper.chmod(0o755)
        (self.root / "etc/config/system").write_text("config system\n\toption hostname 'Attic-Router'\n")
        (self.root / "etc/config/dhcp").write_text("config dnsmasq\n\toption domain 'lan'\n")
        # What procd runs, and what is in /etc/rc.d.
        self.runs()
        self.enabled = "wsbridge"
        for name, place in [("init", "etc/init.d/wsbridge"), ("defaults", "etc/uci-defaults/80-wsbridge"), ("config", "etc/config/wsbridge"), ("hotplug", "etc/hotplug.d/tty/50-wsbridge")]:
            text = (FILES / f"wsbridge.{name}").read_text()
            if name != "config":
                text = re.sub(r"(?<=[ \t=\"'(])/(?=(etc|usr/bin|sbin|tmp|dev|var/run)/)", f"{self.root}/", text)
            (self.root / place).write_text(text)

    def close(self):
        self.temporary.cleanup()

    @property
    def hotplug(self):
        return self.root / "etc/hotplug.d/tty/50-wsbridge"

    @property
    def config(self):
        return self.root / "etc/config/wsbridge"

    def runs(self, *instances):
        """What procd has: these instances of ours, or none."""
        listed = {name: {"running": True, "pid": 77} for name in instances}
        (self.root / "running").write_text(json.dumps({"wsbridge": {"instances": listed}} if listed else {}))

    def sh(self, *command, **more):
        """Runs a script under the stubs; what was recorded, and how it ended."""
        record = self.root / "record"
        record.write_text("")
        env = {"PATH": str(self.root / "bin"), "RECORD": str(record), "UCI": str(self.config.parent), "ENABLED": self.enabled,
               "RUNNING": str(self.root / "running"), **more}
        done = subprocess.run(["busybox", "ash", HERE / "stubs.sh", *command], env=env, capture_output=True, text=True, timeout=60)
        assert not done.stderr, done.stderr
        return record.read_text().splitlines(), done.returncode

    def init(self, action, **more):
        """Without the triggers, which every answer to procd has behind its instances."""
        recorded, code = self.sh(self.root / "etc/init.d/wsbridge", action, **more)
        if action == "triggers":
            return recorded, code
        kept, triggers = [], False
        for line in recorded:
            triggers = (triggers or line.startswith("procd_add_reload_trigger")) and not line.startswith("procd_close_service")
            if not triggers:
                kept.append(line)
        return kept, code

    def first_set_up(self):
        return self.sh(self.root / "etc/uci-defaults/80-wsbridge", "none")

    def command(self, recorded):
        """The command line procd was given."""
        line = next(line for line in recorded if line.startswith("procd_set_param command "))
        return shlex.split(line)[2:]
