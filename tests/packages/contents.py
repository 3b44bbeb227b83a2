"""contents.py: what is in a package, read back, and what lintian says of it."""
import hashlib, io, os, re, subprocess, tarfile, tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

# Every file that users and programs look for; the manual pages of the sub-commands and the documents are more.
FILES = """
./etc/wsbridge/wsbridge.yaml ./usr/bin/wsbridge
./usr/lib/systemd/system/wsbridge.service ./usr/lib/systemd/system/wsbridge.socket ./usr/lib/systemd/system/wsbridge-admin.socket
./usr/lib/systemd/user/wsbridge-connect.service
./usr/lib/sysusers.d/wsbridge.conf ./usr/lib/tmpfiles.d/wsbridge.conf
./usr/lib/udev/rules.d/60-wsbridge.rules ./usr/lib/udev/rules.d/60-wsbridge-gpio.rules ./usr/lib/udev/rules.d/95-wsbridge-brltty.rules
./usr/share/bash-completion/completions/wsbridge ./usr/share/zsh/vendor-completions/_wsbridge
./usr/share/fish/vendor_completions.d/wsbridge.fish ./usr/share/wsbridge/wsbridge.schema.json
./usr/share/man/man1/wsbridge.1.gz ./usr/share/man/man1/wsbridge-serve.1.gz ./usr/share/man/man5/wsbridge.yaml.5.gz
./usr/share/doc/wsbridge/copyright ./usr/share/doc/wsbridge/changelog.gz ./usr/share/doc/wsbridge/changelog.Debian.gz
./usr/share/doc/wsbridge/guide.md ./usr/share/doc/wsbridge/examples/full.yaml
./usr/share/doc/wsbridge/wsbridge.cdx.json.gz ./usr/share/doc/wsbridge/THIRD-PARTY-NOTICES.gz
""".split()


def output(*words):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout


def members(deb):
    with tarfile.open(fileobj=io.BytesIO(output("dpkg-deb", "--fsys-tarfile", deb))) as tar:
        return {member.name: (member, tar.extractfile(member).read() if member.isfile() else b"") for member in tar}


def files_are_roots_and_whole(deb):
    found = members(deb)
    missing = [name for name in FILES if name not in found]
    assert not missing, f"not in the package: {missing}"
    with tempfile.TemporaryDirectory() as folder:
        output("dpkg-deb", "--control", deb, folder)
        with open(os.path.join(folder, "md5sums")) as sums:
            told = dict(reversed(line.rstrip("\n").split("  ", 1)) for line in sums)
        with open(os.path.join(folder, "conffiles")) as conffiles:
            assert conffiles.read() == "/etc/wsbridge/wsbridge.yaml\n"
    for name, (member, data) in found.items():
        assert (member.uid, member.gid) == (0, 0), f"{name} is {member.uid}:{member.gid}'s"
        program = member.isdir() or name == "./usr/bin/wsbridge"
        assert member.mode == (0o755 if program else 0o644), f"{name} has mode {member.mode:o}"
        if member.isfile():
            assert told.pop(name[2:]) == hashlib.md5(data).hexdigest(), name
    assert not told, f"sums of nothing: {told}"
    return f"{len(found)} members, {os.path.getsize(deb)} bytes"


def binary_is_for(deb, arch, cross):
    data = members(deb)["./usr/bin/wsbridge"][1]
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        machine = output("readelf", "-h", file.name).decode()
        attributes = output("readelf", "-A", file.name).decode()
        versions = re.findall(r"GLIBC_([0-9.]+)", output("readelf", "-V", file.name).decode())
    assert {"amd64": "X86-64", "arm64": "AArch64", "armhf": "ARM"}[arch] in machine, machine
    if arch == "armhf":       # a Raspberry Pi Zero has no more
        assert "Tag_CPU_arch: v6\n" in attributes and "Tag_FP_arch: VFPv2\n" in attributes, attributes
    newest = max(versions, key=lambda version: [int(part) for part in version.split(".")])
    assert not cross or [int(part) for part in newest.split(".")] <= [2, 31], f"needs GLIBC_{newest}"
    assert output("dpkg-deb", "--field", deb, "Architecture").decode().strip() == arch
    return f"{len(data)} bytes, needs GLIBC_{newest}" + (", ARMv6" if arch == "armhf" else "")


def refused_without_the_page(deb, arch):
    """A binary as one is built where npm cannot get the page's packages: no file of the page is in it."""
    with tempfile.TemporaryDirectory() as folder:
        bare = os.path.join(folder, "wsbridge")
        with open(bare, "wb") as file:
            file.write(members(deb)["./usr/bin/wsbridge"][1].replace(b"\x1f\x8b\x08", bytes(3)))
        done = subprocess.run([os.path.join(ROOT, "packaging/deb/build"), "--out", folder, "--binary", bare, arch],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert (done.returncode, done.stdout) == (65, ""), done.stderr
        assert f"{bare}: the console's page is not in it" in done.stderr, done.stderr
        assert os.listdir(folder) == ["wsbridge"]


def lintian_says_nothing(deb):
    done = subprocess.run(["lintian", "--fail-on", "error,warning", "--allow-root", deb], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0 and not re.search("^[EW]:", done.stdout, re.M), done.stdout


def check(steps, arch, deb, cross):
    steps.step(f"{arch}: the package's files are root's, with their sums, and none is missing", files_are_roots_and_whole, deb)
    steps.step(f"{arch}: its binary is for that architecture{' and Debian 11' if cross else ''}", binary_is_for, deb, arch, cross)
    steps.step(f"{arch}: a binary without the console's page is refused", refused_without_the_page, deb, arch)
    steps.step(f"{arch}: lintian has no error and no warning", lintian_says_nothing, deb)
