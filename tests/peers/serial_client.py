#!/usr/bin/env python3
"""A program in Python at a door. Takes the name of a library, pyserial or serialx, and then lines of Python on standard
input. Says the value of each, or what it raises, in one line. Ends with its standard input."""

import importlib
import sys

library = importlib.import_module("serial" if sys.argv[1] == "pyserial" else sys.argv[1])
names = {"serial": library}
print("ready", flush=True)
for line in sys.stdin:
    try:
        try:
            value = eval(line, names)
        except SyntaxError:
            value = exec(line, names)
        print(repr(value), flush=True)
    except Exception as error:
        print(f"{type(error).__name__}: {error}".replace("\n", " "), flush=True)
