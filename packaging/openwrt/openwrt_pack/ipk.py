# The .ipk of opkg: a gzipped tar of debian-binary, data.tar.gz and control.tar.gz.

import gzip
import io
import tarfile

POSTINST = """#!/bin/sh
[ "${IPKG_NO_SCRIPT}" = "1" ] && exit 0
[ -s ${IPKG_INSTROOT}/lib/functions.sh ] || exit 0
. ${IPKG_INSTROOT}/lib/functions.sh
default_postinst $0 $@
"""

PRERM = """#!/bin/sh
[ -s ${IPKG_INSTROOT}/lib/functions.sh ] || exit 0
. ${IPKG_INSTROOT}/lib/functions.sh
default_prerm $0 $@
"""


def write(package):
    """The bytes of the file."""
    outer = [
        ("./debian-binary", b"2.0\n", 0o644),
        ("./data.tar.gz", tar_gz(data(package), package.epoch), 0o644),
        ("./control.tar.gz", tar_gz(control(package), package.epoch), 0o644),
    ]
    return tar_gz(outer, package.epoch)


def data(package):
    members = [("./", None, 0o755)]
    members += [(f"./{folder}/", None, 0o755) for folder in package.folders]
    members += [(f"./{file.path}", file.data, file.mode) for file in package.files]
    return sorted(members, key=lambda member: member[0].encode())


def control(package):
    fields = {
        "Package": package.name,
        "Version": package.version,
        "Depends": ", ".join(package.depends),
        "Source": package.url,
        "License": package.license,
        "Section": package.section,
        "Maintainer": package.maintainer,
        "Architecture": package.arch,
        "Require-User": package.user,
        "Installed-Size": str(package.size),
        "Description": package.description,
    }
    text = "".join(f"{key}: {value}\n" for key, value in fields.items() if value)
    members = [("./", None, 0o755), ("./control", text.encode(), 0o644)]
    if package.conffiles:
        members.append(("./conffiles", "".join(f"{path}\n" for path in package.conffiles).encode(), 0o644))
    upgraded = f'[ -n "${{IPKG_INSTROOT}}" ] || [ "${{PKG_UPGRADE}}" != 1 ] || {{\n{package.after_upgrade}}}\n' if package.service else ""
    after = f'[ -n "${{IPKG_INSTROOT}}" ] || {{\n{package.after_install}}}\n' if package.after_install else ""
    members.append(("./postinst", (POSTINST + upgraded + after).encode(), 0o755))
    members.append(("./prerm", PRERM.encode(), 0o755))
    return sorted(members, key=lambda member: member[0])


def tar_gz(members, epoch):
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=out, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for name, content, mode in members:
                info = tarfile.TarInfo(name)
                info.mode, info.mtime, info.uid, info.gid = mode, epoch, 0, 0
                info.uname = info.gname = ""
                if content is None:
                    info.type = tarfile.DIRTYPE
                    tar.addfile(info)
                else:
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    return out.getvalue()
