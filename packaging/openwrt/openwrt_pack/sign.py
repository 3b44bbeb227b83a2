# Signatures of feeds, made by openssl: usign's (Ed25519) for opkg, and those by an EC key for apk.

import base64
import subprocess
import tempfile
from hashlib import sha512
from pathlib import Path

from .package import Wrong

# PKCS#8 of an Ed25519 key, up to its 32 bytes (RFC 8410 section 7).
ED25519 = bytes.fromhex("302e020100300506032b657004220420")


def openssl(*args, data=b""):
    try:
        done = subprocess.run(["openssl", *args], input=data, capture_output=True)
    except FileNotFoundError as why:
        raise Wrong("openssl is missing; type: sudo apt install openssl") from why
    if done.returncode:
        raise Wrong(f"openssl {args[0]}: {done.stderr.decode().strip()}")
    return done.stdout


class Usign:
    """A secret key as `usign -G -s FILE` or `signify -G -n -s FILE` writes it."""

    def __init__(self, path):
        self.path = path
        lines = path.read_bytes().splitlines()
        try:
            raw = base64.b64decode(lines[1], validate=True)
        except (IndexError, ValueError):
            raw = b""
        # Kind, kind and rounds of its encryption, salt, checksum; then number and key.
        if len(raw) != 104 or raw[:2] != b"Ed":
            raise Wrong(f"{path}: no secret key of usign or signify")
        if raw[4:8] != bytes(4):
            raise Wrong(f"{path}: this key has a passphrase; usign and `signify -G -n` make keys without one")
        self.number, self.seed, self.public = raw[32:40], raw[40:72], raw[72:104]

    def sign(self, data):
        """The text of the signature's file."""
        with tempfile.TemporaryDirectory() as folder:
            key, message = Path(folder, "key.der"), Path(folder, "message")
            key.touch(0o600)
            key.write_bytes(ED25519 + self.seed)
            message.write_bytes(data)
            signature = openssl("pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey", str(key), "-in", str(message))
        text = base64.b64encode(b"Ed" + self.number + signature).decode()
        return f"untrusted comment: signed with key {self.number.hex()}\n{text}\n".encode()

    def public_file(self):
        """The public key as routers have it in /etc/opkg/keys, under the key's number."""
        text = base64.b64encode(b"Ed" + self.number + self.public).decode()
        return f"untrusted comment: public key {self.number.hex()}\n{text}\n".encode()


def ec_public(key):
    """The public key of an EC key, as routers have it in /etc/apk/keys."""
    return openssl("ec", "-in", str(key), "-pubout")


def ec_id(key):
    """apk's name of a key: the beginning of the hash of its point."""
    der = openssl("ec", "-in", str(key), "-pubout", "-outform", "DER", "-conv_form", "uncompressed")
    # The point is the end of it: 04, and two numbers of 32 bytes.
    point = der[-65:]
    if point[0] != 4:
        raise Wrong(f"{key}: no key on the curve P-256; make one by: openssl ecparam -name prime256v1 -genkey -noout")
    return sha512(point).digest()[:16]


def ec(key, data):
    return openssl("dgst", "-sha512", "-sign", str(key), data=data)
