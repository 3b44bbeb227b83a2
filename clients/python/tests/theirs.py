"""Run pyserial's tests, of the folder and on the port that are named, but for those named after.

Says in JSON how many ran and what failed. Their time limits are 50 ms: what fails is run again.
"""

import json
import sys
import unittest
from pathlib import Path

import wsbridge  # noqa: F401

folder, port, *but = sys.argv[1:]
sys.path.insert(0, folder)
loader = unittest.defaultTestLoader
for file in sorted(Path(folder).glob("test*.py")):
    __import__(file.stem).PORT = port


def flat(suite):
    for each in suite:
        yield from flat(each) if isinstance(each, unittest.TestSuite) else [each]


def run(names):
    """Give those that failed, and why."""
    result = unittest.TestResult()
    loader.loadTestsFromNames(names).run(result)
    return {each.id(): text for each, text in result.failures + result.errors}


files = sorted(file.stem for file in Path(folder).glob("test*.py"))
names = [each.id() for each in flat(loader.loadTestsFromNames(files))]
ran = [name for name in names if name not in but]
failed = run(ran)
for _ in range(3):
    failed = run(failed)
json.dump({"of": len(names), "ran": len(ran), "failed": failed}, sys.stdout)
