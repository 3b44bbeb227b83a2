#!/usr/bin/env python3
"""A serial port on another box, played by pyserial's RFC 2217 server: one client, a pty for the device.

Prints `listening PORT DEVICE`, then a line for each control event. Reads lines from standard input:
`cts 1`, `dsr 0`, `ri 1`, `cd 1` move a modem line; `linestate N`, `suspend`, `resume` send that notice.
Says `did ...` when that is sent. Takes every speed but 12345. Ends with its standard input."""

import os
import pty
import selectors
import socket
import sys
import tty

import serial.rfc2217 as rfc2217


def say(*words):
    print(*words, flush=True)


class Port:
    """The attributes PortManager sets and reads; a pty has no modem lines, so these are kept here."""

    LINES = ("cts", "dsr", "ri", "cd")
    port = "pty"

    def __init__(self):
        self.__dict__.update(
            cts=False, dsr=False, ri=False, cd=False, baudrate=9600, bytesize=8, parity="N", stopbits=1,
            xonxoff=False, rtscts=False, dtr=True, rts=True, break_condition=False)

    def __setattr__(self, name, value):
        if (name, value) == ("baudrate", 12345):
            raise ValueError("no such speed here")
        self.__dict__[name] = value
        if name not in self.LINES:
            say("set", name, int(value) if isinstance(value, bool) else value)

    def reset_input_buffer(self):
        say("purge input")

    def reset_output_buffer(self):
        say("purge output")


class Connection:
    def __init__(self, stream):
        self.stream = stream

    def write(self, data):
        self.stream.sendall(data)


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    device, far = pty.openpty()
    tty.setraw(far)
    say("listening", listener.getsockname()[1], os.ttyname(far))
    stream, _ = listener.accept()
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    port = Port()
    manager = rfc2217.PortManager(port, Connection(stream))
    select = selectors.DefaultSelector()
    for source in (stream, device, sys.stdin):
        select.register(source, selectors.EVENT_READ)
    while True:
        for key, _ in select.select():
            if key.fileobj is stream:
                data = stream.recv(4096)
                if not data:
                    say("closed")
                    return
                data = b"".join(manager.filter(data))
                while data:
                    data = data[os.write(device, data):]
            elif key.fileobj == device:
                stream.sendall(b"".join(manager.escape(os.read(device, 4096))))
            else:
                words = sys.stdin.readline().split()
                if not words:
                    return
                if words[0] in Port.LINES:
                    setattr(port, words[0], bool(int(words[1])))
                    manager.check_modem_lines()
                elif words[0] == "linestate":
                    manager.rfc2217_send_subnegotiation(rfc2217.SERVER_NOTIFY_LINESTATE, bytes([int(words[1])]))
                elif words[0] == "suspend":
                    manager.rfc2217_send_subnegotiation(rfc2217.SERVER_FLOWCONTROL_SUSPEND)
                elif words[0] == "resume":
                    manager.rfc2217_send_subnegotiation(rfc2217.SERVER_FLOWCONTROL_RESUME)
                say("did", *words)


main()
