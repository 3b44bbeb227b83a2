#!/usr/bin/env python3
"""A TCP device with a small buffer that takes so many bytes a second: `slow_device.py RATE`.

Prints `listening PORT`, then for each connection that has ended its first byte, how many bytes came, and whether all were
alike: `65 300000 True`. Ends with its standard input."""

import os
import socket
import sys
import threading
import time

STEP = 0.05


def serve(stream, rate):
    piece = max(1, int(rate * STEP))
    first, count, alike = None, 0, True
    due = time.monotonic()
    while True:
        try:
            got = stream.recv(piece)
        except OSError:
            break
        if not got:
            break
        first = got[0] if first is None else first
        count += len(got)
        alike = alike and got == bytes([first]) * len(got)
        due = max(due, time.monotonic() - STEP) + len(got) / rate
        time.sleep(max(0, due - time.monotonic()))
    print(first, count, alike, flush=True)
    stream.close()


def main():
    rate = int(sys.argv[1])
    listener = socket.create_server(("127.0.0.1", 0))
    # Before it listens, or the window of what it accepts is scaled for more.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    print("listening", listener.getsockname()[1], flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    while True:
        stream, _ = listener.accept()
        threading.Thread(target=serve, args=(stream, rate), daemon=True).start()


main()
