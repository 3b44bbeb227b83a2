# The indexes of a feed, from packages as they are: opkg's `Packages`, and apk's `packages.adb`. Each is signed with a key given.

import io
import tarfile
import zlib
from hashlib import sha256, sha512
from struct import pack

from . import sign
from .adb import BLOCK_ADB, BLOCK_SIGNATURE, OBJECT, Tree, block
from .package import Wrong

INDEX_SCHEMA = 0x78646E69  # indx

# Fields of a package in apk's index, by number.
NAME, VERSION, HASHES, ARCH, FILE_SIZE, DEPENDS = 1, 2, 3, 5, 0xD, 0xF
TEXTS, NUMBERS = [NAME, VERSION, 4, ARCH, 6, 7, 8, 9], [0xC]


def control(ipk):
    """What an .ipk says of itself: fields in their order."""
    try:
        outer = tarfile.open(fileobj=io.BytesIO(ipk))
        inner = tarfile.open(fileobj=io.BytesIO(outer.extractfile("./control.tar.gz").read()))
        text = inner.extractfile("./control").read().decode()
    except (tarfile.TarError, KeyError, OSError) as why:
        raise Wrong(f"no .ipk: {why}") from why
    return dict(line.split(": ", 1) for line in text.splitlines())


def opkg(packages):
    """`Packages` of a folder's files, name and bytes each."""
    return "\n".join(entry(name, data) for name, data in sorted(packages.items())).encode()


def entry(name, data):
    fields = control(data)
    # The description is last, for it may go on over several lines.
    description = fields.pop("Description", "")
    fields |= {"Filename": name, "Size": str(len(data)), "SHA256sum": sha256(data).hexdigest(), "Description": description}
    return "".join(f"{key}: {value}\n" for key, value in fields.items())


class Info:
    """What an .apk of ours says of itself, and the hash by which an index vouches for it."""

    def __init__(self, data):
        plain = zlib.decompress(data[4:], -15) if data[:4] == b"ADBd" else b""
        if plain[:8] != b"ADB.pckg":
            raise Wrong("no .apk of version 3, deflated")
        size = int.from_bytes(plain[8:12], "little")
        self.adb = plain[12 : 8 + size]
        self.size, self.hash = len(data), sha256(self.adb).digest()
        self.fields = self.object(self.object(self.word(4))[1])
        self.name, self.version, self.arch = (self.text(self.fields[number]) for number in (NAME, VERSION, ARCH))

    def word(self, at):
        return int.from_bytes(self.adb[at : at + 4], "little")

    def object(self, value):
        """Values by number, those of an array, too."""
        at = value & 0x0FFFFFFF
        return {number: self.word(at + 4 * number) for number in range(1, self.word(at))} if value else {}

    def text(self, value):
        at, width = value & 0x0FFFFFFF, {8: 1, 9: 2, 10: 4}.get(value >> 28, 0)
        size = int.from_bytes(self.adb[at : at + width], "little")
        return self.adb[at + width : at + width + size].decode()

    def number(self, value):
        return self.word(value & 0x0FFFFFFF) if value >> 28 == 2 else value & 0x0FFFFFFF

    def copied(self, tree):
        """The package's entry in an index."""
        fields = {number: tree.blob(self.text(self.fields.get(number, 0))) for number in TEXTS if self.fields.get(number)}
        fields |= {number: tree.number(self.number(self.fields[number])) for number in NUMBERS if self.fields.get(number)}
        depends = [self.text(self.object(value)[1]) for value in self.object(self.fields.get(DEPENDS, 0)).values()]
        return tree.object({
            **fields,
            HASHES: tree.blob(self.hash),
            FILE_SIZE: tree.number(self.size),
            DEPENDS: tree.array(tree.object({1: tree.blob(name)}) for name in depends),
        })


def apk(infos, description, key=None):
    """`packages.adb`; with a key, its owner vouches for the hash of each package."""
    tree = Tree()
    listed = [info.copied(tree) for info in sorted(infos, key=lambda info: (info.name, info.version))]
    tree.root(tree.object({1: tree.blob(description), 2: tree.array(listed)}))
    assert tree.bytes[7] >> 4 == OBJECT
    schema = pack("<I", INDEX_SCHEMA)
    plain = b"ADB." + schema + block(BLOCK_ADB, bytes(tree.bytes))
    if key:
        # Version 0, by SHA-512, and whose it is; signed are these, the kind of the tree, and the tree's hash.
        head = bytes([0, 4]) + sign.ec_id(key)
        signature = sign.ec(key, schema + head + sha512(tree.bytes).digest())
        plain += block(BLOCK_SIGNATURE, head + signature)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"ADBd" + deflate.compress(plain) + deflate.flush()
