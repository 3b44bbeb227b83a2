"""Reads a record (docs/audit.md) with nothing of ours: chain, tree, checkpoints. Prints how many lines and checkpoints.

Written from RFC 6962 section 2.1 and C2SP's signed-note and tlog-checkpoint alone.
"""

import base64
import hashlib
import json
import pathlib
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def root(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root(leaves[:split]) + root(leaves[split:])).digest()


def notes(text):
    parts = text.split("\n\n")
    return list(zip(parts[0::2], parts[1::2]))


folder = pathlib.Path(sys.argv[1])
leaves, before = [], bytes(32)
for path in sorted(folder.glob("*.jsonl")):
    heading, *lines = path.read_bytes().splitlines()
    heading = json.loads(heading)
    assert heading["first"] == len(leaves), path
    assert base64.b64decode(heading["prev"]) == before, path
    for line in lines:
        entry = json.loads(line)
        assert entry["n"] == len(leaves), line
        assert base64.b64decode(entry["prev"]) == before, line
        before = hashlib.sha256(line).digest()
        leaves.append(line)
name, number, key = heading["key"].split("+", 2)
key = base64.b64decode(key)
assert key[0] == 1 and hashlib.sha256(name.encode() + b"\n" + key).digest()[:4].hex() == number
verifier = Ed25519PublicKey.from_public_bytes(key[1:])
signed = notes((folder / "checkpoints").read_text())
for body, signature in signed:
    origin, size, hash = body.split("\n")
    assert origin == heading["origin"] == name
    assert base64.b64decode(hash) == root(leaves[: int(size)]), body
    dash, by, stamped = signature.split("\n")[0].split(" ")
    stamped = base64.b64decode(stamped)
    assert dash == "\u2014" and by == name and stamped[:4].hex() == number
    verifier.verify(stamped[4:], (body + "\n").encode())
print(len(leaves), len(signed))
