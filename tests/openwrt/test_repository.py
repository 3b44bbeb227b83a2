# A feed made from packages, read back: opkg's index and apk's, each with its signature, and what is refused.

import base64
import gzip
import hashlib
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import reader
from test_packages import ARCHES, ROOT, VERSION, build, elf

ARCH = "aarch64_cortex-a53"


def openssl(*args, data=b""):
    return subprocess.run(["openssl", *args], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True).stdout


def repository(*args, code=0):
    told = subprocess.run([sys.executable, ROOT / "packaging/repository", *args], capture_output=True, text=True)
    assert told.returncode == code, told.stderr
    return told.stderr


def usign_key(path):
    """A secret key as usign writes it, made without usign: its number is that of the tests."""
    seed = openssl("genpkey", "-algorithm", "ed25519", "-outform", "DER")[-32:]
    der = bytes.fromhex("302e020100300506032b657004220420") + seed
    public = openssl("pkey", "-inform", "DER", "-pubout", "-outform", "DER", data=der)[-32:]
    raw = b"EdBK" + bytes(4) + bytes(16) + hashlib.sha512(seed + public).digest()[:8] + b"wsbridge" + seed + public
    path.write_text(f"untrusted comment: a key of the tests\n{base64.b64encode(raw).decode()}\n")
    return public


class Repository(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        for arch in (ARCH, "mips_24kc"):
            (cls.folder / arch).write_bytes(elf(*ARCHES[arch]))
            build("--arch", arch, "--binary", cls.folder / arch, out=cls.folder / "built")
        build("--luci", out=cls.folder / "built")
        cls.packages = sorted((cls.folder / "built").iterdir())
        cls.public = usign_key(cls.folder / "usign.key")
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", cls.folder / "apk.key")
        cls.keys = ["--usign-key", cls.folder / "usign.key", "--apk-key", cls.folder / "apk.key"]
        repository(*cls.keys, cls.folder / "feed", *cls.packages)
        cls.feed = cls.folder / "feed/openwrt"

    def test_opkgs_index_lists_each_package_of_an_architecture_with_its_hash(self):
        for arch in (ARCH, "mips_24kc"):
            text = (self.feed / arch / "Packages").read_text()
            self.assertEqual(gzip.decompress((self.feed / arch / "Packages.gz").read_bytes()).decode(), text)
            entries = [dict(line.split(": ", 1) for line in entry.splitlines()) for entry in text.split("\n\n")]
            self.assertEqual([entry["Package"] for entry in entries], ["luci-app-wsbridge", "wsbridge"])
            for entry in entries:
                data = (self.feed / arch / entry["Filename"]).read_bytes()
                self.assertEqual((entry["Size"], entry["SHA256sum"]), (str(len(data)), hashlib.sha256(data).hexdigest()))
                told = reader.ipk(data).facts
                self.assertEqual({key: entry[key] for key in told}, told)
                self.assertIn(entry["Architecture"], (arch, "all"))

    def test_opkgs_index_is_signed_as_usign_does_it(self):
        lines = (self.feed / ARCH / "Packages.sig").read_text().splitlines()
        raw = base64.b64decode(lines[1])
        self.assertEqual((raw[:2], raw[2:10], len(raw)), (b"Ed", b"wsbridge", 74))
        (self.folder / "public.der").write_bytes(bytes.fromhex("302a300506032b6570032100") + self.public)
        (self.folder / "signature").write_bytes(raw[10:])
        openssl("pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", self.folder / "public.der",
                "-sigfile", self.folder / "signature", "-in", self.feed / ARCH / "Packages")
        # Under the name by which opkg looks for it.
        public = base64.b64decode((self.feed / b"wsbridge".hex()).read_text().splitlines()[1])
        self.assertEqual(public, b"Ed" + b"wsbridge" + self.public)

    @unittest.skipUnless(shutil.which("signify-openbsd"), "sudo apt install signify-openbsd")
    def test_signify_takes_the_signature_of_its_own_key_and_of_no_other(self):
        place = self.folder / "signify"
        place.mkdir()
        for name in ("own", "other"):
            subprocess.run(["signify-openbsd", "-G", "-n", "-p", place / f"{name}.pub", "-s", place / f"{name}.sec"], check=True)
        repository("--usign-key", place / "own.sec", place / "feed", *(path for path in self.packages if path.suffix == ".ipk"))
        made = place / "feed/openwrt" / ARCH
        check = lambda key: subprocess.run(["signify-openbsd", "-V", "-q", "-p", place / key, "-x", made / "Packages.sig", "-m", made / "Packages"], capture_output=True)
        self.assertEqual(check("own.pub").returncode, 0)
        self.assertNotEqual(check("other.pub").returncode, 0)

    def test_apks_index_vouches_for_each_package_by_the_hash_of_its_tree(self):
        for arch in (ARCH, "mips_24kc"):
            index = reader.packages_adb((self.feed / arch / "packages.adb").read_bytes())
            self.assertEqual([(one["name"], one["version"]) for one in index.packages], [("luci-app-wsbridge", VERSION), ("wsbridge", VERSION)])
            for one in index.packages:
                # The file that apk asks for.
                data = (self.feed / arch / f"{one['name']}-{one['version']}.apk").read_bytes()
                package = reader.apk(data)
                self.assertEqual((one["size"], one["hash"]), (len(data), hashlib.sha256(package.adb).digest()))
                self.assertEqual({key: one[key] for key in package.facts}, package.facts)

    def test_apks_index_is_signed_with_the_key_given(self):
        index = reader.packages_adb((self.feed / ARCH / "packages.adb").read_bytes())
        (signature,) = index.signatures
        point = openssl("ec", "-in", self.folder / "apk.key", "-pubout", "-outform", "DER")[-65:]
        self.assertEqual(signature[:18], b"\x00\x04" + hashlib.sha512(point).digest()[:16])
        (self.folder / "signature.der").write_bytes(signature[18:])
        message = b"indx" + signature[:18] + hashlib.sha512(index.adb).digest()
        openssl("dgst", "-sha512", "-verify", self.feed / "wsbridge.pem", "-signature", self.folder / "signature.der", data=message)

    def test_two_makings_have_the_same_indexes_and_a_newer_package_stands_beside_the_older(self):
        repository(*self.keys, self.folder / "again", *self.packages)
        for name in ("Packages", "Packages.gz", "Packages.sig"):
            self.assertEqual((self.folder / "again/openwrt" / ARCH / name).read_bytes(), (self.feed / ARCH / name).read_bytes())
        build("--release", "2", "--arch", ARCH, "--binary", self.folder / ARCH, out=self.folder / "newer")
        repository(*self.keys, self.folder / "again", *(self.folder / "newer").iterdir())
        index = reader.packages_adb((self.folder / "again/openwrt" / ARCH / "packages.adb").read_bytes())
        self.assertEqual([one["version"] for one in index.packages if one["name"] == "wsbridge"], [VERSION, VERSION[:-1] + "2"])

    def test_wrong_keys_and_missing_ones_are_told_and_nothing_is_made(self):
        place = self.folder / "refused"
        told = repository(place, *self.packages, code=64)
        self.assertIn("--usign-key signs the index of ipk packages", told)
        for wrong in ("apk.key", self.packages[0]):
            shutil.copyfile(self.folder / wrong, self.folder / "wrong.key")
            told = repository("--usign-key", self.folder / "wrong.key", "--unsigned", place, *self.packages, code=1)
            self.assertIn("no secret key of usign", told)
        openssl("ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", self.folder / "wide.key")
        told = repository("--apk-key", self.folder / "wide.key", "--unsigned", place, *self.packages, code=1)
        self.assertIn("no key on the curve P-256", told)
        told = repository("--unsigned", place, self.folder / "apk.key", code=64)
        self.assertIn("no package: ", told)
        self.assertFalse(place.exists())


if __name__ == "__main__":
    unittest.main()
