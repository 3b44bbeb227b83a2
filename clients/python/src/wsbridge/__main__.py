"""`python -m wsbridge MODULE ARGUMENTS..`: runs a program with wsbridge:// known to pyserial."""

import runpy
import sys

if len(sys.argv) < 2:  # noqa: PLR2004
    sys.exit("usage: python -m wsbridge MODULE ARGUMENTS.., as in `python -m wsbridge esptool ..`")
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
