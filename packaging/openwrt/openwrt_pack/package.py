# What a package is before it is an .ipk or an .apk: files with owners and modes, facts, scripts.

import re
from dataclasses import dataclass, field
from hashlib import sha256

# Architectures of OpenWrt's package names by prefix: ELF machine and byte order (1 little, 2 big). `mips_` is not `mipsel_`.
MACHINES = {
    "aarch64_": (183, 1),
    "arm_": (40, 1),
    "mips_": (8, 2),
    "mipsel_": (8, 1),
    "x86_64": (62, 1),
}

# What is packed when nobody asks for another.
USUAL = ["aarch64_cortex-a53", "arm_cortex-a7_neon-vfpv4", "mipsel_24kc", "mips_24kc", "x86_64"]

# Architectures whose processors run a target's static binary.
FAMILIES = [
    (r"aarch64_.+", "aarch64-unknown-linux-musl"),
    # ARMv7 with a floating-point unit: the binary has its instructions.
    (r"arm_cortex-a\d+_(neon|vfp).*", "armv7-unknown-linux-musleabihf"),
    (r"arm_arm1176jzf-s_vfp", "arm-unknown-linux-musleabihf"),
    # MIPS32 release 2.
    (r"mipsel_(24kc|74kc).*", "mipsel-unknown-linux-musl"),
    (r"mips_(24kc|74kc).*", "mips-unknown-linux-musl"),
    (r"x86_64", "x86_64-unknown-linux-musl"),
]


class Wrong(Exception):
    """What cannot be packed, and why."""


def target_of(arch):
    """The Rust target whose binary runs on an architecture of OpenWrt."""
    for pattern, target in FAMILIES:
        if re.fullmatch(pattern, arch):
            return target
    raise Wrong(
        f"no binary of ours runs on {arch}: there are those for aarch64, ARMv7 with vfp or neon (arm_cortex-a7_neon-vfpv4), "
        "arm_arm1176jzf-s_vfp, MIPS 24kc and 74kc of both byte orders, and x86_64"
    )


@dataclass
class File:
    path: str  # without the leading slash
    data: bytes
    mode: int = 0o644

    @property
    def sha256(self):
        return sha256(self.data).hexdigest()


@dataclass
class Package:
    name: str
    version: str
    arch: str  # "all" is for every one
    description: str
    files: list
    section: str = "net"
    depends: list = field(default_factory=list)
    conffiles: list = field(default_factory=list)  # with the leading slash
    after_install: str = ""  # shell, on the device alone
    service: str = ""  # name of its init script
    user: str = ""  # made at the installation: NAME:GROUP:FURTHER GROUPS, as add_group_and_user of /lib/functions.sh reads it
    license: str = "MIT OR Apache-2.0"
    maintainer: str = "wsbridge"
    url: str = ""
    epoch: int = 0

    def __post_init__(self):
        self.files = sorted(self.files, key=lambda file: file.path.encode())
        if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", self.name):
            raise Wrong(f"{self.name!r} is no name of a package")
        check_version(self.version)
        missing = [path for path in self.conffiles if path[1:] not in {file.path for file in self.files}]
        if missing:
            raise Wrong(f"conffiles that are not in the package: {missing}")

    @property
    def after_upgrade(self):
        """Shell. procd sees the same command line as before, so that the old program would run on. The init script looks at the
        configuration first, and one that is switched off and does not run is not started."""
        init = f"/etc/init.d/{self.service}"
        return f"if {init} enabled || {init} running; then {init} restart; fi\n" if self.service else ""

    @property
    def size(self):
        return sum(len(file.data) for file in self.files)

    @property
    def folders(self):
        """Every folder on the way to a file, outermost first."""
        found = set()
        for file in self.files:
            parts = file.path.split("/")[:-1]
            found.update("/".join(parts[:n]) for n in range(1, len(parts) + 1))
        return sorted(found, key=str.encode)


def check_version(version):
    """The part of apk's grammar that we use; opkg takes it, too."""
    if not re.fullmatch(r"\d+(\.\d+)*(_(alpha|beta|pre|rc)\d*)?-r\d+", version):
        raise Wrong(f"{version!r} is no version for apk; it is like 1.2.3-r1 or 1.2.3_rc1-r1")


def version_of(crate, release):
    """`1.2.3-rc.1` of Cargo.toml as OpenWrt writes it: `1.2.3_rc1-r1`."""
    version = re.sub(r"-(alpha|beta|pre|rc)\.?", r"_\1", crate) + f"-r{release}"
    check_version(version)
    return version


def check_binary(data, arch):
    """The binary is for that architecture, and asks for no loader or library."""
    target_of(arch)
    wanted = next(fits for prefix, fits in MACHINES.items() if arch.startswith(prefix))
    if data[:4] != b"\x7fELF":
        raise Wrong("the binary is no ELF file")
    order = "little" if data[5] == 1 else "big"
    number = lambda at, size: int.from_bytes(data[at : at + size], order)
    if (number(18, 2), data[5]) != wanted:
        raise Wrong(f"the binary is for another machine than {arch} (ELF machine {number(18, 2)}, byte order {data[5]})")
    wide = data[4] == 2
    start, step, count = (number(32, 8), number(54, 2), number(56, 2)) if wide else (number(28, 4), number(42, 2), number(44, 2))
    if any(number(start + step * index, 4) == 3 for index in range(count)):
        raise Wrong("the binary is not static: it asks for a loader, which an OpenWrt of another version may not have")
