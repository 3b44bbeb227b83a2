# Reads both kinds of OpenWrt packages back, from what their formats say; it shares no line with their writer.

import gzip
import io
import tarfile
import zlib
from dataclasses import dataclass, field


@dataclass
class Read:
    files: dict = field(default_factory=dict)  # path: (mode, owner, group, bytes)
    folders: dict = field(default_factory=dict)  # path: (mode, owner, group)
    facts: dict = field(default_factory=dict)
    scripts: dict = field(default_factory=dict)
    conffiles: list = field(default_factory=list)
    times: set = field(default_factory=set)


def ipk(data):
    read = Read()
    outer = members(data, read)
    assert [name for name, *_ in outer] == ["./debian-binary", "./data.tar.gz", "./control.tar.gz"], outer
    parts = {name: content for name, _, content in outer}
    assert parts["./debian-binary"] == b"2.0\n"
    for name, info, content in members(parts["./data.tar.gz"], read):
        path = name[2:].rstrip("/")
        owner = (info.mode, info.uid, info.gid)
        if info.isdir():
            read.folders[path] = owner
        else:
            assert info.isreg(), name
            read.files[path] = (*owner, content)
    for name, info, content in members(parts["./control.tar.gz"], read):
        match name:
            case "./":
                pass
            case "./control":
                read.facts = dict(line.split(": ", 1) for line in content.decode().splitlines())
            case "./conffiles":
                read.conffiles = content.decode().splitlines()
            case _:
                assert info.mode == 0o755, name
                read.scripts[name[2:]] = content.decode()
    return read


def members(data, read):
    assert data[:4] == b"\x1f\x8b\x08\x00" and data[4:8] == bytes(4), "a gzip with neither name nor time"
    plain = gzip.decompress(data)
    assert plain[257:265] == b"ustar  \0", "GNU tar"
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        found = []
        for info in tar:
            assert (info.uid, info.gid, info.uname, info.gname) == (0, 0, "", ""), info.name
            read.times.add(info.mtime)
            name = info.name + "/" if info.isdir() and not info.name.endswith("/") else info.name
            found.append((name, info, tar.extractfile(info).read() if info.isreg() else None))
    return found


class Adb:
    """A value is four bits of type and 28 of content: a number, or a place in the block."""

    def __init__(self, data):
        self.data = data
        self.used = []

    def u32(self, at):
        assert at % 4 == 0 and at + 4 <= len(self.data), f"a word at {at}"
        return int.from_bytes(self.data[at : at + 4], "little")

    def number(self, value):
        kind, content = value >> 28, value & 0xFFFFFFF
        assert kind in (1, 2), f"{value:#x} is no number"
        return content if kind == 1 else self.u32(content)

    def blob(self, value):
        if value == 0:
            return b""
        kind, at = value >> 28, value & 0xFFFFFFF
        width = {8: 1, 9: 2, 10: 4}[kind]
        assert at % width == 0, f"a blob's length at {at}"
        size = int.from_bytes(self.data[at : at + width], "little")
        # The smallest kind that holds it, as apk writes it.
        assert size >= (0, 0x100, 0x10000)[(8, 9, 10).index(kind)] and at + width + size <= len(self.data)
        return bytes(self.data[at + width : at + width + size])

    def text(self, value):
        return self.blob(value).decode()

    def slots(self, value, kind):
        if value == 0:
            return []
        assert value >> 28 == kind, f"{value:#x} is not of type {kind:#x}"
        at = value & 0xFFFFFFF
        count = self.u32(at)
        assert count > 1, "what is empty is not written"
        return [self.u32(at + 4 * index) for index in range(1, count)]

    def array(self, value):
        return self.slots(value, 0xD)

    def object(self, value):
        slots = self.slots(value, 0xE)
        assert not slots or slots[-1], "the last slot is used"
        return lambda number: slots[number - 1] if number <= len(slots) else 0


def blocks(data):
    at, found = 0, []
    while at < len(data):
        word = int.from_bytes(data[at : at + 4], "little")
        size = word & 0x3FFFFFFF
        padded = size + -size % 8
        assert at % 8 == 0 and size >= 4 and at + padded <= len(data), f"a block at {at}"
        assert not any(data[at + size : at + padded]), "padding is zero"
        found.append((word >> 30, data[at + 4 : at + size]))
        at += padded
    return found


def apk(data):
    assert data[:4] == b"ADBd"
    inflate = zlib.decompressobj(-15)
    plain = inflate.decompress(data[4:]) + inflate.flush()
    assert inflate.eof and not inflate.unused_data
    # The header has eight bytes, so borders of eight are the same behind it.
    assert plain[:8] == b"ADB.pckg"
    first, *rest = blocks(plain[8:])
    assert first[0] == 0 and all(kind == 2 for kind, _ in rest), "one ADB block, then data"
    adb = Adb(first[1])
    assert adb.data[:4] == bytes(4), "compatible with version 0"
    read = Read()
    package = adb.object(adb.u32(4))
    facts(adb, adb.object(package(1)), read)
    expected = paths(adb, package(2), read)
    scripts = adb.object(package(3))
    names = {3: "post-install", 4: "pre-deinstall", 7: "post-upgrade"}
    read.scripts = {names[number]: adb.text(scripts(number)) for number in range(1, 8) if scripts(number)}
    found = {}
    for _, block in rest:
        place = (int.from_bytes(block[:4], "little"), int.from_bytes(block[4:8], "little"))
        assert place not in found and list(found) < [*found, place], "data come in the order of the paths"
        found[place] = block[8:]
    assert list(found) == [place for place, (_, size, _) in expected.items() if size], "data of each file that has any"
    for place, (path, size, digest) in expected.items():
        content = found.get(place, b"")
        assert len(content) == size, path
        read.files[path] += (content, digest)
    read.adb = adb.data
    return read


@dataclass
class Index:
    description: str
    packages: list
    adb: bytes
    signatures: list


def packages_adb(data):
    """apk's index of a folder: what it says of each package, and who vouches for it."""
    assert data[:4] == b"ADBd"
    inflate = zlib.decompressobj(-15)
    plain = inflate.decompress(data[4:]) + inflate.flush()
    assert inflate.eof and plain[:8] == b"ADB.indx"
    first, *rest = blocks(plain[8:])
    assert first[0] == 0 and all(kind == 1 for kind, _ in rest), "one ADB block, then signatures"
    adb = Adb(first[1])
    root = adb.object(adb.u32(4))
    listed = []
    for value in adb.array(root(2)):
        info, read = adb.object(value), Read()
        facts(adb, info, read)
        listed.append({**read.facts, "hash": read.unique, "size": adb.number(info(0xD))})
    assert listed == sorted(listed, key=lambda one: (one["name"], one["version"])), "sorted, as apk looks them up"
    return Index(adb.text(root(1)), listed, first[1], [content for _, content in rest])


def facts(adb, info, read):
    names = {1: "name", 2: "version", 4: "description", 5: "arch", 6: "license", 7: "origin", 8: "maintainer", 9: "url"}
    read.facts = {name: adb.text(info(number)) for number, name in names.items() if info(number)}
    read.facts["installed-size"] = adb.number(info(0xC))
    read.facts["depends"] = [adb.text(adb.object(value)(1)) for value in adb.array(info(0xF))]
    read.unique = adb.blob(info(3))


def paths(adb, value, read):
    expected, names = {}, []
    for number, value in enumerate(adb.array(value), 1):
        folder = adb.object(value)
        name = adb.text(folder(1))
        names.append(name.encode())
        read.folders[name] = acl(adb, folder(2))
        inside = []
        for index, value in enumerate(adb.array(folder(3)), 1):
            file = adb.object(value)
            own = adb.text(file(1))
            assert own and "/" not in own
            inside.append(own.encode())
            path = f"{name}/{own}" if name else own
            read.files[path] = acl(adb, file(2))
            read.times.add(adb.number(file(4)))
            expected[number, index] = (path, adb.number(file(3)), adb.blob(file(5)))
        assert inside == sorted(inside), inside
    assert names == sorted(names), names
    return expected


def acl(adb, value):
    it = adb.object(value)
    return (adb.number(it(1)), adb.text(it(2)), adb.text(it(3)))
