# Both kinds of packages, read back: members, owners, modes, conffiles, architecture, scripts, hashes, structure.

import functools
import gzip
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import reader

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging/openwrt"
EPOCH = 1700000000
VERSION = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1] + "-r1"
MODES = {
    "etc/config/wsbridge": 0o600,
    "etc/init.d/wsbridge": 0o755,
    "etc/uci-defaults/80-wsbridge": 0o755,
    "etc/hotplug.d/tty/50-wsbridge": 0o644,
    "lib/upgrade/keep.d/wsbridge": 0o644,
    "usr/bin/wsbridge": 0o755,
    "usr/share/wsbridge/THIRD-PARTY-NOTICES.gz": 0o644,
    "usr/share/wsbridge/wsbridge.cdx.json.gz": 0o644,
}
ARCHES = {"aarch64_cortex-a53": (183, 2, 1), "arm_cortex-a7_neon-vfpv4": (40, 1, 1), "mipsel_24kc": (8, 1, 1), "mips_24kc": (8, 1, 2), "x86_64": (62, 2, 1)}


PAGE = gzip.compress(b"<!doctype html>\n<title>wsbridge</title>\n", mtime=0)


def elf(machine, width, order, kind=1, page=PAGE):
    """A static ELF file with one program header and the console's page, as far as anybody looks; big enough for every form of
    a length."""
    number = lambda value, size: value.to_bytes(size, "little" if order == 1 else "big")
    wide = width == 2
    head = b"\x7fELF" + bytes([width, order, 1]) + bytes(9) + number(2, 2) + number(machine, 2) + number(1, 4)
    size = 64 if wide else 52
    head += number(0, 8) + number(size, 8) + number(0, 8) if wide else number(0, 4) + number(size, 4) + number(0, 4)
    head += number(0, 4) + number(size, 2) + number(56 if wide else 32, 2) + number(1, 2) + bytes(6)
    assert len(head) == size
    return head + number(kind, 4) + bytes(100) + hashlib.sha256(b"x").digest() * 3000 + page


def build(*args, out, epoch=EPOCH, fails=False):
    told = subprocess.run(
        [sys.executable, PACKAGING / "build", "--out", out, *args],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}, capture_output=True, text=True,
    )
    assert (told.returncode != 0) == fails, told.stderr
    return told.stderr


@functools.cache
def made(path, arch):
    """What the packaging scripts say of an architecture, as the packages carry it; it has to name what is in the binary."""
    sys.path.insert(0, str(PACKAGING))
    from openwrt_pack.package import target_of

    script, word = ("sbom", b'"CycloneDX"') if path.endswith(".json.gz") else ("notices", b"serialport")
    with tempfile.NamedTemporaryFile() as out:
        env = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)}
        subprocess.run([ROOT / "packaging" / script, out.name, "--target", target_of(arch)], check=True, capture_output=True, env=env)
        text = Path(out.name).read_bytes()
    assert word in text, f"{path}: no {word}"
    return gzip.compress(text, 9, mtime=0)


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        for arch, about in ARCHES.items():
            (cls.folder / arch).write_bytes(elf(*about))
            build("--arch", arch, "--binary", cls.folder / arch, out=cls.folder / "out")
        build("--luci", out=cls.folder / "out")
        out = cls.folder / "out"
        cls.ipks = {arch: reader.ipk((out / f"wsbridge_{VERSION}_{arch}.ipk").read_bytes()) for arch in ARCHES}
        cls.apks = {arch: reader.apk((out / f"wsbridge-{VERSION}-{arch}.apk").read_bytes()) for arch in ARCHES}

    def source(self, path, arch):
        if path.startswith("usr/share/"):
            return made(path, arch)
        names = {"etc/config/wsbridge": "config", "etc/init.d/wsbridge": "init", "etc/uci-defaults/80-wsbridge": "defaults", "lib/upgrade/keep.d/wsbridge": "keep", "etc/hotplug.d/tty/50-wsbridge": "hotplug"}
        file = self.folder / arch if path == "usr/bin/wsbridge" else PACKAGING / f"files/wsbridge.{names[path]}"
        return file.read_bytes()

    def test_an_ipk_holds_every_file_with_its_mode_and_owner(self):
        for arch, ipk in self.ipks.items():
            self.assertEqual({path: file[:3] for path, file in ipk.files.items()}, {path: (mode, 0, 0) for path, mode in MODES.items()})
            for path, (*_, content) in ipk.files.items():
                self.assertEqual(content, self.source(path, arch), path)
            folders = {"", "etc", "etc/config", "etc/hotplug.d", "etc/hotplug.d/tty", "etc/init.d", "etc/uci-defaults", "lib", "lib/upgrade", "lib/upgrade/keep.d", "usr", "usr/bin", "usr/share", "usr/share/wsbridge"}
            self.assertEqual(ipk.folders, {path: (0o755, 0, 0) for path in folders})
            self.assertEqual(ipk.times, {EPOCH})

    def test_an_ipk_says_what_opkg_asks(self):
        for arch, ipk in self.ipks.items():
            size = sum(len(file[3]) for file in ipk.files.values())
            wanted = {"Package": "wsbridge", "Version": VERSION, "Depends": "libc", "Architecture": arch, "Installed-Size": str(size)}
            self.assertEqual({key: ipk.facts[key] for key in wanted}, wanted)
            self.assertIn("serial", ipk.facts["Description"])
            self.assertEqual(ipk.conffiles, ["/etc/config/wsbridge"])
            self.assertEqual(set(ipk.scripts), {"postinst", "prerm"})
            self.assertIn("\ndefault_postinst $0 $@\n", ipk.scripts["postinst"])
            self.assertTrue(ipk.scripts["prerm"].endswith("default_prerm $0 $@\n"))

    def test_an_apk_holds_every_file_with_its_mode_owner_and_hash(self):
        for arch, apk in self.apks.items():
            own = {path: file for path, file in apk.files.items() if not path.startswith("lib/apk/")}
            self.assertEqual({path: file[:3] for path, file in own.items()}, {path: (mode, "root", "root") for path, mode in MODES.items()})
            for path, (*_, content, digest) in apk.files.items():
                self.assertEqual(digest, hashlib.sha256(content).digest(), path)
            for path, (*_, content, _) in own.items():
                self.assertEqual(content, self.source(path, arch), path)
            for path in apk.files:
                self.assertIn(path.rsplit("/", 1)[0], apk.folders)
            self.assertEqual(set(apk.folders.values()), {(0o755, "root", "root")})
            self.assertEqual(apk.times, {EPOCH})

    def test_an_apk_says_what_apk_asks(self):
        for arch, apk in self.apks.items():
            wanted = {"name": "wsbridge", "version": VERSION, "arch": arch, "license": "MIT OR Apache-2.0", "depends": []}
            self.assertEqual({key: apk.facts[key] for key in wanted}, wanted)
            self.assertEqual(apk.facts["installed-size"], sum(len(self.source(path, arch)) for path in MODES))

    def test_an_apks_identity_is_the_hash_of_its_tree(self):
        adb = self.apks["x86_64"].adb
        unique = self.apks["x86_64"].unique
        self.assertEqual((len(unique), adb.count(unique)), (20, 1))
        self.assertEqual(hashlib.sha256(adb.replace(unique, bytes(20))).digest()[:20], unique)
        self.assertEqual(len({apk.unique for apk in self.apks.values()}), len(ARCHES))

    def test_an_apk_keeps_the_lists_that_openwrts_scripts_read(self):
        for arch, apk in self.apks.items():
            kept = {path.rsplit(".", 1)[1]: file[3].decode() for path, file in apk.files.items() if path.startswith("lib/apk/packages/")}
            self.assertEqual(kept["list"], "".join(f"/{path}\n" for path in sorted(MODES)))
            self.assertEqual(kept["conffiles"], "/etc/config/wsbridge\n")
            digest = hashlib.sha256(self.source("etc/config/wsbridge", arch)).hexdigest()
            self.assertEqual(kept["conffiles_static"], f"/etc/config/wsbridge {digest}\n")

    def test_an_apks_scripts_are_those_of_openwrts_build_system(self):
        scripts = self.apks["x86_64"].scripts
        self.assertEqual(set(scripts), {"post-install", "pre-deinstall", "post-upgrade"})
        for name, call in [("post-install", "default_postinst\n"), ("pre-deinstall", "default_prerm\n"), ("post-upgrade", "default_postinst\n")]:
            self.assertTrue(scripts[name].startswith("#!/bin/sh\n"), scripts[name])
            self.assertIn(f"\n{call}", scripts[name])
            self.assertIn('export pkgname="wsbridge"\n', scripts[name])
        self.assertIn("export PKG_UPGRADE=1\n", scripts["post-upgrade"])

    def test_scripts_do_nothing_without_functions_and_call_them_with(self):
        shell = {**self.ipks["x86_64"].scripts, **self.apks["x86_64"].scripts}
        with tempfile.TemporaryDirectory() as root:
            env = {"PATH": os.environ["PATH"], "IPKG_INSTROOT": root}
            for text in shell.values():
                self.assertEqual(subprocess.run(["busybox", "ash", "-c", text], env=env, capture_output=True, check=True).stdout, b"")
            (Path(root) / "lib").mkdir()
            calls = "".join(f'{name}() {{ echo {name} "$pkgname"; }}\n' for name in ("default_postinst", "default_prerm", "add_group_and_user"))
            (Path(root) / "lib/functions.sh").write_text(calls)
            for name, text in shell.items():
                said = subprocess.run(["busybox", "ash", "-c", text], env=env, capture_output=True, check=True, text=True).stdout
                self.assertIn("default_prerm" if name in ("prerm", "pre-deinstall") else "default_postinst", said)

    def test_an_upgrade_restarts_what_is_enabled_and_starts_nothing_that_is_not(self):
        ipk, apk = self.ipks["x86_64"].scripts, self.apks["x86_64"].scripts
        feed = (PACKAGING / "feed/wsbridge/Makefile").read_text().split("define Package/wsbridge/postinst\n")[1].split("endef")[0].replace("$$", "$")
        install = "PKG_UPGRADE=0\n"
        with tempfile.TemporaryDirectory() as root:
            init = Path(root) / "etc/init.d/wsbridge"
            init.parent.mkdir(parents=True)
            (Path(root) / "lib").mkdir()
            # As OpenWrt's: it starts whatever init script there is.
            (Path(root) / "lib/functions.sh").write_text(f"default_postinst() {{ {init} start; }}\nadd_group_and_user() {{ :; }}\n")
            for text, enabled, calls in [
                (install + ipk["postinst"], True, ["start"]),
                (apk["post-install"], True, ["start"]),
                # The start is default_postinst's, and the init script knows that it is an upgrade's.
                ("PKG_UPGRADE=1\n" + ipk["postinst"], True, ["start", "restart"]),
                (apk["post-upgrade"], True, ["start", "restart"]),
                ("PKG_UPGRADE=1\n" + ipk["postinst"], False, ["start"]),
                (apk["post-upgrade"], False, ["start"]),
                # The SDK puts it behind default_postinst.
                (install + feed, True, []),
                ("PKG_UPGRADE=1\n" + feed, True, ["restart"]),
                ("PKG_UPGRADE=1\n" + feed, False, []),
            ]:
                answer = "true" if enabled else "false"
                init.write_text(f"#!/bin/sh\ncase $1 in enabled | running) exec {answer} ;; esac\necho $1\n")
                init.chmod(0o755)
                there = text.replace("${IPKG_INSTROOT}/lib/", f"{root}/lib/").replace("/etc/init.d/wsbridge", str(init))
                said = subprocess.run(["busybox", "ash", "-c", there], capture_output=True, check=True, text=True)
                self.assertEqual((said.stdout.split(), said.stderr), (calls, ""), text)

    def test_luci_is_for_every_architecture_and_needs_the_daemon(self):
        out = self.folder / "out"
        ipk = reader.ipk((out / f"luci-app-wsbridge_{VERSION}_all.ipk").read_bytes())
        apk = reader.apk((out / f"luci-app-wsbridge-{VERSION}.apk").read_bytes())
        self.assertEqual((ipk.facts["Architecture"], ipk.facts["Depends"]), ("all", "libc, luci-base, wsbridge"))
        self.assertEqual((apk.facts["arch"], apk.facts["depends"]), ("noarch", ["luci-base", "wsbridge"]))
        wanted = {"usr/share/luci/menu.d/luci-app-wsbridge.json", "usr/share/rpcd/acl.d/luci-app-wsbridge.json"}
        for files in (set(ipk.files), {path for path in apk.files if not path.startswith("lib/apk/")}):
            self.assertTrue(wanted <= files, files)
            self.assertTrue(all(path in wanted or path.startswith("www/luci-static/resources/view/wsbridge/") for path in files), files)
        self.assertEqual(ipk.conffiles, [])
        self.assertIn("/etc/init.d/rpcd reload", ipk.scripts["postinst"])
        self.assertIn("/etc/init.d/rpcd reload", apk.scripts["post-install"])

    def test_two_builds_are_the_same_bytes_and_another_time_is_not(self):
        again, later = self.folder / "again", self.folder / "later"
        for out, epoch in [(again, EPOCH), (later, EPOCH + 1)]:
            build("--arch", "x86_64", "--binary", self.folder / "x86_64", out=out, epoch=epoch)
        for path in again.iterdir():
            self.assertEqual(path.read_bytes(), (self.folder / "out" / path.name).read_bytes(), path.name)
            self.assertNotEqual(path.read_bytes(), (later / path.name).read_bytes(), path.name)

    def test_a_binary_that_would_not_run_is_refused(self):
        wrong = self.folder / "wrong"
        for data, arch, part in [
            (elf(62, 2, 1), "aarch64_cortex-a53", "another machine"),
            (elf(8, 1, 1), "mips_24kc", "another machine"),
            (elf(62, 2, 1, kind=3), "x86_64", "not static"),
            (b"#!/bin/sh\n", "x86_64", "no ELF"),
            (elf(62, 2, 1, page=b""), "x86_64", "wrong: the console's page is not in it"),
            (elf(62, 2, 1, page=gzip.compress(b"var a;")), "x86_64", "the console's page is not in it"),
            (elf(62, 2, 1), "sparc", "no binary of ours runs on sparc"),
            # No floating-point unit, or none that the binary's instructions are for; MIPS32 before its release 2.
            (elf(40, 1, 1), "arm_cortex-a9", "no binary of ours"),
            (elf(40, 1, 1), "arm_xscale", "no binary of ours"),
            (elf(8, 1, 1), "mipsel_mips32", "no binary of ours"),
            (elf(8, 1, 2), "mips_4kec", "no binary of ours"),
        ]:
            wrong.write_bytes(data)
            self.assertIn(part, build("--arch", arch, "--binary", wrong, out=self.folder / "none", fails=True))
        self.assertFalse((self.folder / "none").exists())

    def test_every_processor_of_a_family_has_its_package(self):
        for arch, about in [
            ("aarch64_cortex-a72", (183, 2, 1)), ("aarch64_generic", (183, 2, 1)), ("arm_cortex-a9_vfpv3-d16", (40, 1, 1)),
            ("arm_arm1176jzf-s_vfp", (40, 1, 1)), ("mipsel_24kc_24kf", (8, 1, 1)), ("mipsel_74kc", (8, 1, 1)),
        ]:
            (self.folder / "some").write_bytes(elf(*about))
            build("--arch", arch, "--binary", self.folder / "some", out=self.folder / "family")
            facts = reader.ipk((self.folder / "family" / f"wsbridge_{VERSION}_{arch}.ipk").read_bytes()).facts
            self.assertEqual(facts["Architecture"], arch)

    def test_versions_are_those_that_apk_takes(self):
        sys.path.insert(0, str(PACKAGING))
        from openwrt_pack.package import Wrong, check_version, version_of

        self.assertEqual([version_of("1.2.3", 1), version_of("1.2.3-rc.1", 2)], ["1.2.3-r1", "1.2.3_rc1-r2"])
        for version in ["1.2.3-rc.1", "1.2.3~rc1", "1.0.0+git", "1.2.3", ""]:
            with self.assertRaises(Wrong, msg=version):
                check_version(version)
        for version in ["1.2.3-dev.4", "1.0.0+git"]:
            with self.assertRaises(Wrong, msg=version):
                version_of(version, 1)
