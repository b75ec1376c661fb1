"""SIGKILL of each service in turn while simulated traders trade through the API, on a stack that people run.

The log is the judge: what Postgres holds must be exactly what an engine says that reads the exported log from
its start, uninterrupted, and the live engine's state must be that engine's.
"""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from paceline.local.throwaway import Stack, throwaway_stack

KILLED = ("engine", "writer", "router", "feed", "api")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    arguments = ("--without", "airflow", "--without", "docs")
    with throwaway_stack(arguments, {"PACELINE_SNAPSHOT_INTERVAL_S": "2"}) as running:
        yield running


def query(stack: Stack, text: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(stack.settings.database_url) as connection:
        return connection.execute(text, values).fetchall()  # type: ignore[call-overload]


def until(question: Callable[[], object], what: str, within_s: float = 90) -> None:
    deadline = time.monotonic() + within_s
    while not question():
        assert time.monotonic() < deadline, what
        time.sleep(0.5)


def closed(stack: Stack) -> int:
    return int(query(stack, "select count(*) from engine.closed_orders")[0][0])


def stored(stack: Stack, table: str, shard: int, before: int) -> Counter[str]:
    """Output ids that a table holds of a shard, of the messages before a position."""
    rows = query(
        stack,
        f"select shard, position, ordinal from engine.{table} where shard = %s and position < %s",
        shard,
        before,
    )
    return Counter(":".join(map(str, row)) for row in rows)


def test_no_kill_loses_or_doubles_anything(stack: Stack, tmp_path: Path) -> None:
    until(lambda: closed(stack) >= 3, "nobody trades")
    for name in KILLED:
        before = stack.service_pid(name)
        os.kill(before, signal.SIGKILL)
        until(lambda name=name, pid=before: stack.status()["services"][name]["pid"] not in (None, pid), name)
        until(lambda: stack.status()["healthy"], f"not healthy again after {name} was killed")
        traded = closed(stack)
        until(lambda traded=traded: closed(stack) > traded, f"no trade was closed after {name} was killed")

    compared = Counter[str]()
    for shard in range(stack.settings.engine_shards):
        position, live_hash = query(
            stack,
            "select position, state_hash from engine.snapshots where complete and shard = %s"
            " order by position desc limit 1",
            shard,
        )[0]
        log, out = tmp_path / f"{shard}.jsonl.gz", tmp_path / f"{shard}.out.jsonl"
        stack.run("log", "export", "--shard", str(shard), str(log))
        words = ("--shard", str(shard), "--out", str(out), "--at", str(position), "--json")
        assert json.loads(stack.run("replay", str(log), *words).stdout)["state_hash"] == live_hash
        outputs = [json.loads(line) for line in out.read_text().splitlines()]
        for kind, table in (("closed_order", "closed_orders"), ("balance_update", "balances")):
            said = Counter(output["id"] for output in outputs if output["type"] == kind)
            until(
                lambda t=table, s=shard, p=position, w=said: stored(stack, t, s, p) == w,
                f"{table} of {shard}",
            )
            compared[table] += said.total()
    assert compared["closed_orders"] >= 3 + len(KILLED)
