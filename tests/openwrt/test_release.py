# What packaging/release puts together of binaries that are there: the sources, the packages, the folders for OpenWrt's feeds.

import hashlib
import os
import re
import subprocess
import tarfile
import tempfile
import unittest
from pathlib import Path

from test_packages import ARCHES, MODES, ROOT, VERSION, elf

NUMBER = VERSION.removesuffix("-r1")
TARGETS = {"aarch64-unknown-linux-musl": "aarch64_cortex-a53", "mips-unknown-linux-musl": "mips_24kc"}

# As far as our Makefile asks: names of tools, and BuildPackage, which here installs into $(DEST).
RULES = """
INSTALL_DIR = install -d -m 755
INSTALL_BIN = install -m 755
INSTALL_CONF = install -m 600
INSTALL_DATA = install -m 644
INCLUDE_DIR = $(TOPDIR)/include
PKG_BUILD_DIR = $(TOPDIR)/build/$(PKG_NAME)-$(PKG_VERSION)
PKG_INSTALL_DIR = $(TOPDIR)/installed
"""
PACKAGE = """
define BuildPackage
all:
	$$(call Package/$(1)/install,$$(DEST))
	@echo 'vars $$(CARGO_PKG_VARS)' 'source $$(PKG_SOURCE_URL)/$$(PKG_SOURCE) $$(PKG_HASH)'
	@$$(foreach name,TITLE URL USERID DEPENDS,echo '$$(name)$$(call Package/$(1)/$$(name))';)
endef
"""


def release(*args, env=None, code=0):
    told = subprocess.run([ROOT / "packaging/release", *args], capture_output=True, text=True, env={**os.environ, **(env or {})})
    assert told.returncode == code, told.stderr
    return told


class Release(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        for target, arch in TARGETS.items():
            (cls.folder / "dist" / target).mkdir(parents=True)
            (cls.folder / "dist" / target / "wsbridge").write_bytes(elf(*ARCHES[arch]))
        (cls.folder / "page").mkdir()
        (cls.folder / "page/manifest.json").write_text("[]")
        cls.out = cls.folder / "out"
        cls.told = cls.make(cls.out).stderr

    @classmethod
    def make(cls, out):
        # With what is not committed, since people run tests before they commit.
        return release("--dirty", "--out", out, "--url", "https://files.example/7/", "--binaries", cls.folder / "dist", *TARGETS,
                       env={"WSBRIDGE_PAGE": str(cls.folder / "page"), "SOURCE_DATE_EPOCH": "1700000000"})

    def test_every_file_is_there_with_its_sum_and_each_step_is_told(self):
        wanted = {f"wsbridge-{NUMBER}.tar.gz", f"wsbridge-{NUMBER}-openwrt-feed.tar.gz", f"luci-app-wsbridge_{VERSION}_all.ipk", f"luci-app-wsbridge-{VERSION}.apk"}
        for target, arch in TARGETS.items():
            wanted |= {f"wsbridge-{NUMBER}-{target}", f"wsbridge_{VERSION}_{arch}.ipk", f"wsbridge-{VERSION}-{arch}.apk"}
        sums = dict(reversed(line.split("  ")) for line in (self.out / "SHA256SUMS").read_text().splitlines())
        self.assertEqual(set(sums), wanted)
        self.assertEqual({path.name for path in self.out.iterdir()}, wanted | {"SHA256SUMS"})
        for name, digest in sums.items():
            self.assertEqual(hashlib.sha256((self.out / name).read_bytes()).hexdigest(), digest)
        self.assertEqual(re.findall(r": (\d+) of (\d+): ", self.told), [(str(number), "8") for number in range(1, 9)])

    def test_the_sources_hold_what_is_tracked_and_the_page(self):
        with tarfile.open(self.out / f"wsbridge-{NUMBER}.tar.gz") as tar:
            members = {member.name: member for member in tar}
        top = f"wsbridge-{NUMBER}"
        for name in ("Cargo.lock", "src/main.rs", "LICENSE-MIT", "page/manifest.json"):
            self.assertIn(f"{top}/{name}", members)
        self.assertFalse([name for name in members if name.startswith(f"{top}/target") or "node_modules" in name or not name.startswith(top)])
        self.assertEqual({(member.uid, member.gid, member.mtime) for member in members.values()}, {(0, 0, 1700000000)})

    def test_the_feeds_makefile_names_the_archive_by_its_hash_and_installs_what_the_packages_hold(self):
        sdk = self.folder / "sdk"
        with tarfile.open(self.out / f"wsbridge-{NUMBER}-openwrt-feed.tar.gz") as tar:
            # Python before 3.12 may know no filters.
            tar.extractall(sdk / "feeds", **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        own = sdk / "feeds/wsbridge-feed"
        (own / "lang/rust").mkdir(parents=True)
        (own / "lang/rust/rust-package.mk").write_text("CARGO_PKG_VARS := A=1\nRUST_ARCH_DEPENDS := @rust\nRustBinPackage =\n")
        (sdk / "include").mkdir()
        (sdk / "rules.mk").write_text(RULES)
        (sdk / "include/package.mk").write_text(PACKAGE)
        (sdk / "installed/bin").mkdir(parents=True)
        (sdk / "installed/bin/wsbridge").write_bytes(b"wsbridge")
        dest = sdk / "dest"
        done = subprocess.run(["make", "--silent", "-C", own / "net/wsbridge", f"TOPDIR={sdk}", f"DEST={dest}"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        digest = hashlib.sha256((self.out / f"wsbridge-{NUMBER}.tar.gz").read_bytes()).hexdigest()
        self.assertIn(f"source https://files.example/7/wsbridge-{NUMBER}.tar.gz {digest}", done.stdout)
        self.assertIn(f"vars A=1 WSBRIDGE_PAGE={sdk}/build/wsbridge-{NUMBER}/page", done.stdout)
        installed = {str(path.relative_to(dest)): path.stat().st_mode & 0o777 for path in dest.rglob("*") if path.is_file()}
        self.assertEqual(installed, {path: mode for path, mode in MODES.items() if not path.startswith("usr/share/")})
        text = (own / "net/wsbridge/Makefile").read_text()
        for line in ("PKG_MAINTAINER:=", "  URL:=https://", "  USERID:=wsbridge:wsbridge:dialout", "include ../../lang/rust/rust-package.mk"):
            self.assertIn(line, text)
        self.assertTrue(text.startswith("include $(TOPDIR)/rules.mk"))
        app = own / "applications/luci-app-wsbridge"
        self.assertIn("include ../../luci.mk", (app / "Makefile").read_text())
        # Each text of the views and of the menu, for translators.
        template = (app / "po/templates/wsbridge.pot").read_text()
        for text in ("Baud rate", "Like \\\\r\\\\n.", "Configure wsbridge", "Web pages allowed beside the gateway's own, like https://tools.example."):
            self.assertIn(f'msgid "{text}"\nmsgstr ""\n', template)

    def test_a_binary_without_the_page_is_not_published(self):
        target = next(iter(TARGETS))
        (self.folder / "bare" / target).mkdir(parents=True)
        (self.folder / "bare" / target / "wsbridge").write_bytes(elf(*ARCHES[TARGETS[target]], page=b""))
        told = release("--dirty", "--out", self.folder / "none", "--binaries", self.folder / "bare", target,
                       env={"WSBRIDGE_PAGE": str(self.folder / "page")}, code=65)
        self.assertIn("the console's page is not in it", told.stderr)
        self.assertFalse((self.folder / "none/SHA256SUMS").exists())

    def test_two_releases_have_the_same_bytes(self):
        self.make(self.folder / "again")
        self.assertEqual((self.folder / "again/SHA256SUMS").read_text(), (self.out / "SHA256SUMS").read_text())

    def test_a_dry_run_says_what_would_be_made_and_makes_nothing(self):
        told = release("--dry-run", "--out", self.folder / "dry", *TARGETS).stdout
        self.assertIn(f"wsbridge-{NUMBER}-openwrt-feed.tar.gz", told)
        self.assertIn("OpenWrt's packages for mips_24kc", told)
        self.assertRegex(told, r"(?m)^missing: ")
        self.assertFalse((self.folder / "dry").exists())

    def test_what_cannot_be_made_is_told_before_anything_is(self):
        told = release("mips", code=64).stderr
        self.assertIn("no target `mips`; there are: x86_64-unknown-linux-gnu ", told)
        told = release("--dirty", "--binaries", self.folder, "x86_64-unknown-linux-musl", code=66).stderr
        self.assertIn("x86_64-unknown-linux-musl makes it", told)
        (self.folder / "mine").mkdir()
        (self.folder / "mine/letter.txt").touch()
        told = release("--dirty", "--out", self.folder / "mine", "--binaries", self.folder / "dist", *TARGETS, code=73).stderr
        self.assertIn("other files", told)
        self.assertTrue((self.folder / "mine/letter.txt").exists())


if __name__ == "__main__":
    unittest.main()
