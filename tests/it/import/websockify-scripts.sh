#!/bin/sh
# Two bridges, started by hand.
websockify --ssl-target \
    127.0.0.1:6443 plc.example:802 &
sudo ./websockify.py 127.0.0.1:6444 --unix-target=/run/qemu/serial0 2>&1 > /dev/null
websockify 6445 -- ./firmware-emulator --port 6445
