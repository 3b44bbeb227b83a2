#!/usr/bin/env python3
"""paged.py BINARY: whether the console's page is in a wsbridge of any architecture; where it is not, says so and ends with 65.

A build without Node.js, npm or their network has none (build.rs), and nothing else about it tells.
"""
import sys, zlib

START = b"<!doctype html>"
WITHOUT = ("the console's page is not in it: build it by packaging/build, where npm can get the page's packages, or with "
           "WSBRIDGE_PAGE=DIR")


def within(data):
    """The page is in a binary as it is sent: files under gzip."""
    view, at = memoryview(data), -1
    while (at := data.find(b"\x1f\x8b\x08", at + 1)) >= 0:
        try:
            if zlib.decompressobj(31).decompress(view[at:at + 4096], len(START)) == START:
                return True
        except zlib.error:            # three bytes of something else
            pass
    return False


def main():
    (file,) = sys.argv[1:]
    with open(file, "rb") as binary:
        if not within(binary.read()):
            print(f"{file}: {WITHOUT}", file=sys.stderr)
            sys.exit(65)


if __name__ == "__main__":
    main()
