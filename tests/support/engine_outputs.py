"""Prints all outputs, the snapshot and the hash of an engine for a seeded scenario, as JSON.

Processes with different forms of the engine (plain Python, compiled) are compared with it.
"""

import json
import sys

from paceline.build import compiled
from paceline.engine import Engine
from tests.support.agreement import apply_line
from tests.support.engine_messages import Scenario

LENGTH = 2_000


def main(seed: int) -> None:
    engine = Engine(shard=seed)
    outputs = [apply_line(engine, line) for line in Scenario(seed, LENGTH).lines]
    chunks = [chunk.decode() for chunk in engine.dump_slices()]
    result = {"form": compiled.form(), "outputs": outputs, "snapshot": chunks, "hash": engine.state_hash()}
    print(json.dumps(result))


if __name__ == "__main__":
    main(int(sys.argv[1]))
