# The .apk of apk-tools 3: an ADB tree with what the package is, then the content of each file, all deflated. Not signed.

import zlib
from hashlib import sha256
from struct import pack

from .adb import BLOCK_ADB, BLOCK_DATA, Tree, block
from .package import File

PACKAGE_SCHEMA = 0x676B6370  # pckg

# As OpenWrt's build system does it for a package of its own.
FUNCTIONS = """[ -s ${{IPKG_INSTROOT}}/lib/functions.sh ] || exit 0
. ${{IPKG_INSTROOT}}/lib/functions.sh
export root="${{IPKG_INSTROOT}}"
export pkgname="{name}"
"""
POSTINST = """[ "${IPKG_NO_SCRIPT}" = "1" ] && exit 0
"""


def scripts(package):
    functions = FUNCTIONS.format(name=package.name)
    on_device = lambda shell: f'[ -n "${{IPKG_INSTROOT}}" ] || {{\n{shell}}}\n' if shell else ""
    installed = f"{POSTINST}{functions}add_group_and_user\ndefault_postinst\n{on_device(package.after_install)}"
    return {
        3: f"#!/bin/sh\n{installed}",
        4: f"#!/bin/sh\n{functions}default_prerm\n",
        7: f"#!/bin/sh\nexport PKG_UPGRADE=1\n{installed}{on_device(package.after_upgrade)}",
    }


def with_lists(package):
    """The files and what OpenWrt keeps of them: `.list` is how the init script is found at install and removal."""
    kept = f"lib/apk/packages/{package.name}"
    own = {file.path: file for file in package.files}
    files = list(package.files)
    files.append(File(f"{kept}.list", "".join(f"/{path}\n" for path in sorted(own)).encode()))
    if package.user:
        files.append(File(f"{kept}.rusers", f"{package.user}\n".encode()))
    if package.conffiles:
        files.append(File(f"{kept}.conffiles", "".join(f"{path}\n" for path in package.conffiles).encode()))
        sums = "".join(f"{path} {own[path[1:]].sha256}\n" for path in package.conffiles)
        files.append(File(f"{kept}.conffiles_static", sums.encode()))
    return files


def write(package):
    """The bytes of the file."""
    tree = Tree()
    acl = lambda mode: tree.object({1: tree.number(mode), 2: tree.blob("root"), 3: tree.blob("root")})
    by_folder = {"": []}
    for file in with_lists(package):
        parts = file.path.split("/")
        for depth in range(1, len(parts)):
            by_folder.setdefault("/".join(parts[:depth]), [])
        by_folder["/".join(parts[:-1])].append(file)

    folders, content = [], []
    for number, folder in enumerate(sorted(by_folder, key=str.encode), 1):
        files = sorted(by_folder[folder], key=lambda file: file.path.rsplit("/", 1)[-1].encode())
        listed = []
        for index, file in enumerate(files, 1):
            listed.append(tree.object({
                1: tree.blob(file.path.rsplit("/", 1)[-1]),
                2: acl(file.mode),
                3: tree.number(len(file.data)),
                4: tree.number(package.epoch),
                5: tree.blob(bytes.fromhex(file.sha256)),
            }))
            if file.data:
                content.append(block(BLOCK_DATA, pack("<II", number, index) + file.data))
        folders.append(tree.object({1: tree.blob(folder), 2: acl(0o755), 3: tree.array(listed)}))

    unique = tree.blob(bytes(20), shared=False)
    info = tree.object({
        1: tree.blob(package.name),
        2: tree.blob(package.version),
        3: unique,
        4: tree.blob(package.description),
        5: tree.blob("noarch" if package.arch == "all" else package.arch),
        6: tree.blob(package.license),
        7: tree.blob(package.name),
        8: tree.blob(package.maintainer),
        9: tree.blob(package.url),
        0xC: tree.number(max(package.size, 1)),
        # A static binary needs no libc.
        0xF: tree.array(tree.object({1: tree.blob(name)}) for name in sorted(package.depends) if name != "libc"),
    })
    run = tree.object({number: tree.blob(text) for number, text in scripts(package).items()})
    tree.root(tree.object({1: info, 2: tree.array(folders), 3: run}))
    # The identity is the hash of the tree with zeros in its place.
    at = (unique & 0x0FFFFFFF) + 1
    tree.bytes[at : at + 20] = sha256(tree.bytes).digest()[:20]

    plain = b"ADB." + pack("<I", PACKAGE_SCHEMA) + block(BLOCK_ADB, bytes(tree.bytes)) + b"".join(content)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"ADBd" + deflate.compress(plain) + deflate.flush()
