"""All benchmarks, one table after the other: `python -m bench [--quick]`."""

import sys

from bench import core, stack

if __name__ == "__main__":
    quick = ["--quick"] if "--quick" in sys.argv[1:] else []
    print("The engine alone", flush=True)
    core.main(quick)
    print("\nThe platform, started by `paceline up`", flush=True)
    stack.main(["--seconds", "5"] if quick else [])
