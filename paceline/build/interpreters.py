"""Chooses the Python to install with: the first that is found, or another that is clearly faster.

    python3 paceline/build/interpreters.py [PYTHON]

Prints its path; the comparison goes to standard error. `make` runs this before anything is installed, with
any Python there is, so it needs only the standard library.

Distributions build Python with profile-guided optimisation, version managers mostly do not: that makes a
third of the speed of plain Python. Without the headers (`Python.h`) the engine cannot be compiled and has
half the speed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import NamedTuple

OLDEST, NEWEST = (3, 11), (3, 13)
NAMES = ("python3", "python3.13", "python3.12", "python3.11")
CLEARLY = 0.9  # of the time that the first one takes
ROUNDS = 4  # alternating, because other work on this machine slows single rounds
_TIMEOUT_S = 30
_PROBE = """
import json, os, sys, sysconfig, timeit
import ensurepip, venv
class Thing:
    def __init__(self, number): self.number = number
    def more(self, by): return self.number + by
def work(known={}):
    for number in range(10_000):
        known[number % 100] = Thing(number).more(2)
        (number, str(number), known.get(number))
header = os.path.join(sysconfig.get_path("include"), "Python.h")
best_s = min(timeit.repeat(work, number=1, repeat=15))
real_path = os.path.realpath(sys.executable)
print(json.dumps([sys.executable, real_path, sys.version_info[:3], os.path.exists(header), best_s]))
"""


class Found(NamedTuple):
    """An interpreter that can make an environment. `work_s` is the best time of a piece of plain Python."""

    path: str
    real_path: str
    version: tuple[int, int, int]
    has_headers: bool
    work_s: float

    def __str__(self) -> str:
        version = ".".join(map(str, self.version))
        headers = "" if self.has_headers else ", without headers"
        return f"Python {version} ({self.path}): {1000 * self.work_s:.1f} ms{headers}"


def probe(command: str) -> Found | None:
    """Measure an interpreter; None if it does not run or its version is not supported."""
    try:
        done = subprocess.run(
            [command, "-c", _PROBE], capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
        path, real_path, version, has_headers, work_s = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    found = Found(path, real_path, tuple(version), has_headers, work_s)
    return found if OLDEST <= found.version[:2] <= NEWEST else None


def candidates() -> list[str]:
    """Interpreters on the path, in its order, then those of the system."""
    folders = [*os.get_exec_path(), "/usr/local/bin", "/usr/bin"]
    found = [shutil.which(name, path=folder) for folder in folders for name in NAMES]
    return list(dict.fromkeys(path for path in found if path))


def choose(found: list[Found]) -> Found:
    """The first, unless it lacks headers and another has them, or another with as much is clearly faster."""
    first = found[0]
    best = min(found, key=lambda one: (not one.has_headers, one.work_s))
    if best.has_headers == first.has_headers and best.work_s > CLEARLY * first.work_s:
        return first
    return best


def weighed(commands: list[str]) -> list[Found]:
    """The supported interpreters, once each, in the order of the commands, with their best times."""
    found: dict[str, Found] = {}
    for command in commands:
        one = probe(command)
        if one is not None:
            found.setdefault(one.real_path, one)
    if len(found) > 1:
        for one in [*found.values()] * (ROUNDS - 1):
            again = probe(one.path)
            if again is not None and again.work_s < found[one.real_path].work_s:
                found[one.real_path] = one._replace(work_s=again.work_s)
    return list(found.values())


def main(arguments: list[str]) -> int:
    found = weighed(arguments or candidates())
    if not found:
        problem = f"{arguments[0]} is not a" if arguments else "The path has no"
        print(f"{problem} Python 3.11, 3.12 or 3.13 with venv.", file=sys.stderr)
        return 1
    chosen = choose(found)
    if len(found) > 1:
        for one in found:
            print(f"{'->' if one is chosen else '  '} {one}", file=sys.stderr)
    print(chosen.path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
