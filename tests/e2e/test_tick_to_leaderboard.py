"""From a tick of the exchange to the published leaderboard, on a stack started by `paceline up`.

Then the leaderboard is verified from the log: each shard's log is exported and replayed by a new engine. Its
state and closed trades are compared with the published leaderboard.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from paceline.local.stack.throwaway import Stack, throwaway_stack
from sandbox.traders.api import ApiClient

QUIET = ("airflow", "traders", "docs")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    arguments = [word for name in QUIET for word in ("--without", name)]
    environment = {"PACELINE_LEADERBOARD_MINIMUM_TRADES": "1", "PACELINE_SNAPSHOT_INTERVAL_S": "2"}
    with throwaway_stack(arguments, environment) as running:
        yield running


async def trade_a_little(stack: Stack) -> dict[str, list[dict[str, Any]]]:
    """Two members open and close trades. Returns the responses of the closings by account."""
    closings: dict[str, list[dict[str, Any]]] = {}
    for name, side in (("ada", "long"), ("bert", "short")):
        settings = stack.settings
        member = ApiClient(settings.api_url, settings.mail_api_url, f"{name}@example.com", name.title(), None)
        try:
            account = (await member.get("/account/balance"))["account"]
            closings[account] = []
            for symbol in ("BTC_USDC_PERP", "ETH_USDC_PERP"):
                body = {"symbol": symbol, "side": side, "margin": "100", "leverage": 5}
                opened = await member.post("/trade/create", body)
                positions = (await member.get("/trade/positions"))["positions"]
                assert opened["trade"] in [position["trade"] for position in positions]
                closed = await member.post("/trade/close", {"trade": opened["trade"]})
                closings[account].append(closed)
            assert (await member.get("/trade/positions"))["positions"] == []
        finally:
            await member.close()
    return closings


def replayed(stack: Stack, folder: Path, shard: int) -> list[dict[str, Any]]:
    """Replay the exported log of a shard, check that the state hash is the live one, return the outputs."""
    log, out = folder / f"{shard}.jsonl.gz", folder / f"{shard}.out.jsonl"
    position, live_hash = newest_snapshots(stack)[shard]
    stack.run("log", "export", "--shard", str(shard), str(log))
    done = stack.run(
        "replay", str(log), "--shard", str(shard), "--out", str(out), "--at", str(position), "--json"
    )
    report = json.loads(done.stdout)
    assert (report["messages"], report["state_hash"]) == (position, live_hash)
    return [json.loads(line) for line in out.read_text().splitlines()]


def newest_snapshots(stack: Stack) -> dict[int, tuple[int, str]]:
    """Position and state hash of the live engine's newest snapshot, by shard."""
    with psycopg.connect(stack.settings.database_url) as connection:
        rows = connection.execute(
            "select distinct on (shard) shard, position, state_hash from engine.snapshots where complete"
            " order by shard, position desc"
        ).fetchall()
    return {shard: (position, state_hash) for shard, position, state_hash in rows}


def wait_for_snapshots_after(stack: Stack, outputs: list[str]) -> None:
    """Wait until the newest snapshot of each shard is past all these outputs."""
    wanted = [tuple(map(int, output.split(":")[:2])) for output in outputs]

    deadline = time.monotonic() + 60
    while any(newest_snapshots(stack).get(shard, (0, ""))[0] <= position for shard, position in wanted):
        assert time.monotonic() < deadline, "no snapshot came"
        time.sleep(0.5)


def test_the_published_leaderboard_equals_a_replay_of_the_log(stack: Stack, tmp_path: Path) -> None:
    closings = asyncio.run(trade_a_little(stack))
    wait_for_snapshots_after(stack, [closing["id"] for each in closings.values() for closing in each])

    before = httpx.get(f"{stack.settings.api_url}/api/v1/leaderboard").json()
    assert before["success"] is True
    assert before["data"]["items"] == []
    said = stack.run("nightly", "--provisional", timeout_s=240).stdout
    assert "Published the leaderboard" in said

    after = httpx.get(f"{stack.settings.api_url}/api/v1/leaderboard", params={"period": "all"}).json()["data"]
    rows = {row["account"]: row for row in after["items"]}
    assert rows.keys() == closings.keys()
    assert sorted(row["rank"] for row in rows.values()) == [1, 2]

    outputs = [
        output for shard in range(stack.settings.engine_shards) for output in replayed(stack, tmp_path, shard)
    ]
    assert {row["account"]: Decimal(row["profit_usd"]) for row in after["items"]} == profits_of(outputs)


def profits_of(outputs: list[dict[str, Any]]) -> dict[str, Decimal]:
    """Profit of the closed trades after entry and exit fee, by account."""
    entry_fees = {
        o["trade"]: o["fee"] for o in outputs if o["type"] == "order_response" and o["id"] == o["trade"]
    }
    profits: dict[str, Decimal] = {}
    for output in outputs:
        if output["type"] == "closed_order":
            fees = Decimal(output["fee"]) + Decimal(entry_fees[output["trade"]])
            account = output["account"]
            profits[account] = profits.get(account, Decimal(0)) + Decimal(output["profit"]) - fees
    return profits
