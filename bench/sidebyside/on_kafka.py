"""Kafka → engine → Kafka, and a plain Faust agent that keeps a dict and answers every fifth message."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import uvloop

from bench.core_load import encoded
from bench.log import Run, serve, write
from bench.servers import Servers, as_role, make_topic, running_servers, terminated_at_end
from bench.sidebyside import work
from bench.sidebyside.own_engine import opening, with_brackets
from paceline.adapters.kafka.topics import ENGINE_IN
from paceline.core.connections import KafkaConnection
from paceline.messages.log_form import encode_messages
from stream.engine.service import EngineOpener

EVENTS, ANSWERS = "side-by-side.in", "side-by-side.out"
_WAIT_S = 600.0


async def engine(servers: Servers, first: work.Quote, records: Sequence[bytes]) -> Run:
    """Run the service's loop on a log of a market, an account and then these records."""
    before = encoded(opening(first))
    engines = EngineOpener(
        as_role(servers.postgres, "writer"), KafkaConnection(servers.kafka), 1, snapshot_interval_s=3600.0
    )
    await write(servers, ENGINE_IN, [*before, *records])
    return await serve("engine", ENGINE_IN, servers, engines, len(before) + len(records))


async def events_on_kafka(servers: Servers, records: Sequence[bytes]) -> None:
    for topic in (EVENTS, ANSWERS):
        await make_topic(servers.kafka, topic)
    await write(servers, EVENTS, records)


def faust_agent(servers: Servers, count: int) -> dict[str, float]:
    """Wall and CPU seconds from the first to the last event, measured in the agent's process."""
    settings = {"BROKER": servers.kafka, "FOLDER": str(servers.folder), "COUNT": str(count)}
    settings |= {"IN": EVENTS, "OUT": ANSWERS}
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "faust",
            "-A",
            "bench.sidebyside.faust_agent",
            "-L",
            "uvloop",
            "worker",
            "-l",
            "warn",
        ],
        env=os.environ | {f"SIDE_BY_SIDE_{name}": value for name, value in settings.items()},
    )
    with terminated_at_end(process):
        return wait_for_result(process, servers.folder / "took.json")


def wait_for_result(process: subprocess.Popen[bytes], answer: Path) -> dict[str, float]:
    end = time.monotonic() + _WAIT_S
    while not answer.exists():
        if process.poll() is not None:
            raise RuntimeError(f"the Faust worker has ended with code {process.returncode}")
        if time.monotonic() > end:
            raise RuntimeError(f"the Faust agent has not finished after {_WAIT_S:.0f} s")
        time.sleep(0.1)
    found: dict[str, float] = json.loads(answer.read_text(encoding="ascii"))
    return found


def measure(quotes: list[work.Quote]) -> list[work.Measured]:
    messages = with_brackets(quotes)
    batches, singles = encoded(messages), [encode_messages([message]) for message in messages]
    orders = (len(messages) - len(quotes)) * work.ORDERS_PER_BRACKET
    with running_servers() as servers:
        batched = uvloop.run(engine(servers.fresh(), quotes[0], batches))
        single = uvloop.run(engine(servers.fresh(), quotes[0], singles))
        uvloop.run(events_on_kafka(servers, singles))
        agent = faust_agent(servers, len(messages))
    taken = {
        work.OURS: (batched.wall_s, batched.cpu_s),
        f"{work.OURS}, a record a message": (single.wall_s, single.cpu_s),
        f"Faust agent {version('faust-streaming')}": (agent["wall_s"], agent["cpu_s"]),
    }
    return [
        work.Measured(who, work.ON_KAFKA, len(quotes), orders, *seconds) for who, seconds in taken.items()
    ]


if __name__ == "__main__":
    work.run_contender(measure)
